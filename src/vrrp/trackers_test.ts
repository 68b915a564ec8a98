/** Which objects count for an instance: its own, those of its group, with the object's weight or another. */

import { expect, test } from "bun:test";
import {
  configWith,
  groupWith,
  instanceWith,
  virtualAddress,
} from "../../test/support/instances.ts";
import type { Config } from "../config/load.ts";
import type { VrrpScript } from "../config/track.ts";
import { diff } from "./diff.ts";
import { trackedNames, trackingOf } from "./trackers.ts";
import type { Tracker } from "./tracking.ts";

function script(name: string, rest: Partial<VrrpScript> = {}): VrrpScript {
  return {
    name,
    script: { argv: ["/bin/true"] },
    interval: 1_000_000,
    timeout: 1_000_000,
    rise: 1,
    fall: 1,
    weight: 0,
    reverse: false,
    init_fail: false,
    ...rest,
  };
}

const bare = (name: string): { name: string; reverse: boolean } => ({ name, reverse: false });

function tracking(
  rest: Partial<Config>,
  ...instances: Parameters<typeof instanceWith>[0][]
): Config {
  return { ...configWith(instances.map((one) => instanceWith(one))), ...rest };
}

test("nothing tracked is nothing to send", () => {
  expect(trackingOf(undefined)).toBeUndefined();
  const plain = tracking({ vrrp_scripts: [script("s")] }, {});
  expect(trackingOf(plain)).toBeUndefined();
  expect(diff(undefined, plain).map(({ type }) => type)).toEqual(["add"]);
});

test("the weight of the object counts where the entry names none", () => {
  const config = tracking(
    { vrrp_scripts: [script("s", { weight: 5, reverse: true }), script("i", { init_fail: true })] },
    { name: "A", track_script: [bare("s"), bare("i")] },
    { name: "B", track_script: [{ name: "s", weight: 0, reverse: false }] },
    { name: "C" },
  );
  expect(trackingOf(config)?.of).toEqual({
    A: [
      { kind: "script", name: "s", weight: 5, reverse: true },
      { kind: "script", name: "i", weight: 0, reverse: false, startsBad: true },
    ],
    B: [{ kind: "script", name: "s", weight: 0, reverse: false }],
  });
  expect(trackedNames(trackingOf(config), "script")).toEqual(new Set(["s", "i"]));
});

test("trackers of a group are those of its members, weighted ones of a member are dropped", () => {
  const config = tracking(
    {
      vrrp_scripts: [script("s", { weight: 5 }), script("g")],
      vrrp_sync_groups: [{ ...groupWith("G", ["A", "B"]), track_script: [bare("g")] }],
    },
    { name: "A", track_script: [bare("s")] },
    { name: "B", track_interface: [bare("eth1")] },
  );
  const found = trackingOf(config)!;
  const g = { kind: "script", name: "g", weight: 0, reverse: false };
  expect(found.of).toEqual(
    {
      A: [g],
      B: [{ kind: "interface", name: "eth1", weight: 0, reverse: false }, g],
    } as typeof found.of,
  );
  expect(found.says).toEqual(["(A) ignoring tracked script s with weights due to SYNC group"]);
});

test("a reload sends what is tracked when it is different, before the instances", () => {
  const one = tracking({ vrrp_scripts: [script("s")] }, { track_script: [bare("s")] });
  const heavier = { ...one, vrrp_scripts: [script("s", { weight: 9 })] };
  const types = (a: Config | undefined, b: Config): string[] => diff(a, b).map(({ type }) => type);
  expect(types(undefined, one)).toEqual(["tracking", "add"]);
  expect(types(one, one)).toEqual([]);
  expect(types(one, heavier)).toEqual(["tracking"]);
  expect(types(one, tracking({}, {}))).toEqual(["tracking", "change"]);
});

test("links of addresses elsewhere count, unless they are its own, not tracked, or weighed otherwise", () => {
  const elsewhere = (dev: string, no_track = false): ReturnType<typeof virtualAddress> =>
    virtualAddress("10.0.0.9", { dev, no_track });
  const config = tracking(
    {},
    {
      name: "A",
      virtual_ipaddress: [elsewhere("eth0"), elsewhere("eth1"), elsewhere("eth2", true)],
    },
    { name: "B", virtual_ipaddress_excluded: [elsewhere("eth3")] },
    {
      name: "C",
      virtual_ipaddress: [elsewhere("eth1")],
      track_interface: [{ name: "eth1", weight: 5, reverse: false }],
    },
    { name: "D", virtual_ipaddress: [elsewhere("eth0")] },
  );
  const fatal = (name: string): Tracker => ({ kind: "interface", name, weight: 0, reverse: false });
  expect(trackingOf(config)?.of).toEqual({
    A: [fatal("eth1")],
    B: [fatal("eth3")],
    C: [{ ...fatal("eth1"), weight: 5 }],
  });
  expect(trackingOf(tracking({}, { virtual_ipaddress: [elsewhere("eth0")] }))).toBeUndefined();
});

test("links of static items count for the instances of their track_group", () => {
  const config = tracking(
    {
      track_groups: [{ name: "g", group: ["A", "B"] }, { name: "h", group: ["C"] }],
      static_ipaddress: [
        virtualAddress("10.1.0.1", { dev: "eth1", track_group: "g" }),
        virtualAddress("10.2.0.1", { dev: "eth2" }),
      ],
      static_routes: [{
        family: 4,
        to: "10.3.0.0/24",
        dev: "eth3",
        no_track: false,
        track_group: "g",
      }],
    },
    { name: "A" },
    { name: "B", interface: "eth1" },
    { name: "C" },
  );
  const links = (name: string): string[] =>
    (trackingOf(config)?.of[name] ?? []).map((one) => one.name);
  expect([links("A"), links("B"), links("C")]).toEqual([["eth1", "eth3"], ["eth3"], []]);
});
