/** What a crashed daemon may have left, and what of it the next one takes away. */

import { expect, test } from "bun:test";
import {
  configWith,
  groupWith,
  instanceWith,
  virtualAddress,
} from "../../test/support/instances.ts";
import type { Config } from "../config/load.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { abandoned, tracesOf } from "./traces.ts";

const [first, second] = ["192.0.2.1", "192.0.2.2"].map((one) => virtualAddress(one));
const one = (rest: Partial<VrrpInstance> = {}): VrrpInstance =>
  instanceWith({ virtual_ipaddress: [first!], ...rest });
const left = (before: Config, after: Config): (string | undefined)[] =>
  abandoned(JSON.parse(JSON.stringify(tracesOf(before))), after).map((change) =>
    change.type === "add" ? change.instance.name : change.type
  );

test("what is configured again is left to it, whatever else of it has changed", () => {
  const before = configWith([one({ use_vmac: {}, accept: false })]);
  expect(left(before, before)).toEqual([]);
  const change = { priority: 7, advert_int: 3_000_000, nopreempt: true, name: "V" };
  expect(left(before, configWith([one({ use_vmac: {}, accept: false, ...change })]))).toEqual([]);
});

test("an instance that is gone, or holds something else, is taken away whole", () => {
  const before = configWith([one(), one({ name: "W", virtual_router_id: 8 })]);
  expect(left(before, configWith([one()]))).toEqual(["W", "globals"]);
  for (
    const rest of [
      { virtual_ipaddress: [second!] },
      { virtual_ipaddress: [], virtual_ipaddress_excluded: [first!] },
      { use_vmac: {} },
      { accept: false },
      { interface: "eth1" },
    ]
  ) {
    const after = configWith([one(rest), before.vrrp_instances[1]!]);
    expect(left(before, after)).toEqual(["V", "globals"]);
  }
  expect(left(before, configWith([]))).toEqual(["V", "W", "globals"]);
});

test("of static items only those that are not there any more", () => {
  const on = (...addresses: string[]): Config => ({
    ...configWith([]),
    static_ipaddress: addresses.map((address) => virtualAddress(address, { dev: "eth0" })),
  });
  const before = on("192.0.2.1", "192.0.2.2");
  expect(left(before, before)).toEqual([]);
  const [change] = abandoned(tracesOf(before), on("192.0.2.2", "192.0.2.3"));
  expect(change).toMatchObject({
    type: "static",
    items: { addresses: [{ address: "192.0.2.1" }], routes: [], rules: [] },
  });
});

test("names of before count while it is taken away, those of now afterwards", () => {
  const before = configWith([one({ use_vmac: {} })]);
  const named = { ...before, globals: { ...before.globals, vmac_prefix: "old" } };
  const gone = abandoned(tracesOf(named), configWith([]));
  expect(gone.map((change) => change.type === "globals" ? change.globals : change.type))
    .toEqual([{ vmac_prefix: "old" }, "add", {}]);
  expect(abandoned(tracesOf(named), named)).toEqual([]);
});

test("of what is tracked and of groups there are no traces", () => {
  const grouped = {
    ...configWith([one({ track_interface: [{ name: "eth1", weight: 0 }] as never })]),
    vrrp_sync_groups: [groupWith("G", ["V"])],
  };
  expect(tracesOf(grouped).map(({ type }) => type)).toEqual(["add"]);
  const guarded = tracesOf(
    configWith([one({ accept: false }), one({ name: "W", virtual_router_id: 8 })]),
  );
  expect(guarded.map((change) => change.type === "add" && change.instance.accept))
    .toEqual([false, true]);
});

test("nothing secret is left, and no words", () => {
  const secrets = one({
    authentication: { auth_type: "PASS", auth_pass: "hush" },
    auth_hmac: { active_key: 1, keys: [{ id: 1, key: "hush" }] } as never,
    notify_webhook: ["https://hush.example"],
  });
  expect(JSON.stringify(tracesOf(configWith([secrets])))).not.toContain("hush");
});
