/** Tables over a kernel that keeps or refuses them: what is asked of it, and how often. */

import { expect, test } from "bun:test";
import { EEXIST, ENOENT } from "../../ffi/constants.ts";
import { SysError } from "../../ffi/libc.ts";
import type { Request } from "../../ffi/netlink.ts";
import { parseAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import { type Message, messages } from "../netlink/message.ts";
import { encodeNewTable } from "../netlink/nftables.ts";
import type { Structure } from "./firewall.ts";
import { Firewall, type Guarding } from "./firewall_perform.ts";

const EOPNOTSUPP = 95;
const KINDS: Readonly<Record<number, string>> = {
  0: "table",
  2: "-table",
  3: "chain",
  6: "rule",
  9: "set",
  12: "element",
  14: "-element",
};

/** A firewall, what it asks the kernel for, and what it logs; `refuse` says what is refused. */
function scene(refuse: (kinds: readonly string[]) => number = () => 0): {
  firewall: Firewall;
  wanted: { now: Guarding[] };
  asked: string[];
  logged: string[];
  /** What the kernel says it has, as messages. */
  tables: Uint8Array[];
} {
  const [asked, logged]: string[][] = [[], []];
  const wanted: { now: Guarding[] } = { now: [] };
  const transact = (batch: readonly Request[]): SysError | undefined => {
    const kinds = batch.slice(1, -1).map(({ bytes }) =>
      KINDS[[...messages(bytes)][0]!.type & 0xff]!
    );
    asked!.push(kinds.join(" "));
    const code = refuse(kinds);
    return code === 0 ? undefined : new SysError("netlink", code, batch[0]!.doing);
  };
  const log = (_: LogLevel, text: string): number => logged!.push(text);
  const tables: Uint8Array[] = [];
  const dump = (_: Uint8Array, __: string, each: (message: Message) => void): void => {
    for (const bytes of tables) for (const message of messages(bytes)) each(message);
  };
  const firewall = new Firewall(log, () => wanted.now, () => ({ transact, dump }));
  return { firewall, wanted, asked: asked!, logged: logged!, tables };
}

const guarding = (
  addresses: readonly string[],
  rest: Partial<Structure> = {},
): Guarding => ({
  structure: { family: 4, options: {}, guardsVmacs: false, guardsAddresses: true, ...rest },
  vmacs: [],
  addresses: addresses.map((one) => ({ address: parseAddress(one)!, index: 2 })),
});

const TABLE = "table set chain chain rule rule";

test("a table is made once, its members come before addresses do and go after them", () => {
  const { firewall, wanted, asked } = scene();
  const turn = (...addresses: string[]): string[] => {
    wanted.now = [guarding(addresses)];
    firewall.changed();
    firewall.close();
    const before = asked.splice(0);
    firewall.open();
    return [before.join(), asked.splice(0).join()];
  };
  expect(turn()).toEqual([TABLE, ""]);
  expect(turn("192.0.2.1")).toEqual(["element", ""]);
  expect(turn("192.0.2.1")).toEqual(["", ""]);
  expect(turn("192.0.2.2")).toEqual(["element", "-element"]);
  wanted.now = [guarding([], { guardsAddresses: false })];
  firewall.changed();
  firewall.close();
  firewall.open();
  expect([asked.splice(0), firewall.isEmpty]).toEqual([["-table"], true]);
});

test("a VMAC is in its table before it is switched on", () => {
  const { firewall, wanted, asked } = scene();
  const vmacs = [{ index: 5, base: 2 }, { index: 6, base: 2 }];
  const now = (count: number): Guarding => ({
    ...guarding([], { guardsVmacs: true, guardsAddresses: false }),
    vmacs: vmacs.slice(0, count),
  });
  wanted.now = [now(1)];
  firewall.admit(4, vmacs[0]!);
  expect(asked.splice(0)).toEqual(["table set chain rule element"]);
  firewall.admit(4, vmacs[1]!);
  expect(asked.splice(0)).toEqual(["element"]);
  // It is gone again before the turn ends.
  firewall.close();
  firewall.open();
  expect(asked.splice(0)).toEqual(["-element"]);
});

test("nothing is asked when nothing has changed", () => {
  const { firewall, wanted, asked } = scene();
  wanted.now = [guarding(["192.0.2.1"])];
  firewall.close();
  firewall.open();
  expect(asked).toEqual([]);
});

test("another structure makes the table anew, with what was guarded before", () => {
  const { firewall, wanted, asked } = scene();
  wanted.now = [guarding(["192.0.2.1"])];
  firewall.changed();
  firewall.close();
  wanted.now = [guarding(["192.0.2.2"], { options: { nftables_counters: true } })];
  firewall.close();
  expect(asked).toEqual([
    `${TABLE} element`,
    `table -${TABLE.replace("table", "table table")} element`,
  ]);
  firewall.open();
  // It held both until then.
  expect(asked.at(-1)).toBe("-element");
});

test("a table that somebody has flushed is made again, with all that was in it", () => {
  const { firewall, wanted, asked, logged, tables } = scene();
  firewall.verify();
  wanted.now = [guarding(["192.0.2.1"])];
  firewall.changed();
  firewall.close();
  firewall.open();
  asked.length = 0;
  tables.push(encodeNewTable({ family: "ip6", name: "keepalived" }));
  tables.push(encodeNewTable({ family: "ip", name: "keepalived" }));
  firewall.verify();
  firewall.close();
  expect([asked, logged]).toEqual([[], []]);
  tables.pop();
  firewall.verify();
  firewall.close();
  firewall.open();
  expect(asked).toEqual([`${TABLE} element`]);
  expect(logged).toEqual(["Table ip keepalived was removed by somebody else - making it again"]);
});

test("a flushed table is found out at the latest when something is to be added", () => {
  let isFlushed = false;
  const { firewall, wanted, asked, logged } = scene((kinds) =>
    isFlushed && kinds.join() === "element" ? ENOENT : 0
  );
  wanted.now = [guarding([])];
  firewall.changed();
  firewall.close();
  firewall.open();
  asked.length = 0;
  isFlushed = true;
  wanted.now = [guarding(["192.0.2.1"])];
  firewall.changed();
  firewall.close();
  expect(asked).toEqual(["element", `${TABLE} element`]);
  expect(logged).toHaveLength(1);
});

test("a predecessor's table is replaced in one batch", () => {
  let isThere = true;
  const { firewall, wanted, asked, logged } = scene((kinds) => {
    if (isThere && !kinds.includes("-table")) return EEXIST;
    isThere = false;
    return 0;
  });
  wanted.now = [guarding([])];
  firewall.changed();
  firewall.close();
  expect(asked).toEqual([TABLE, `table -${TABLE.replace("table", "table table")}`]);
  expect(logged).toEqual([
    "Table ip keepalived is there already, of a predecessor - replacing it",
  ]);
});

test("a kernel that has no such tables is asked once, until something else is wanted", () => {
  const { firewall, wanted, asked, logged } = scene(() => EOPNOTSUPP);
  wanted.now = [guarding([])];
  for (let turn = 0; turn < 3; turn++) {
    firewall.changed();
    firewall.close();
    firewall.open();
  }
  expect(asked).toHaveLength(1);
  expect(logged).toEqual([
    "netlink failed with EOPNOTSUPP while making the table ip keepalived",
    "Without the table ip keepalived addresses accept everything, and VMACs report their memberships",
  ]);
  wanted.now = [guarding([], { options: { nftables: "other" } })];
  firewall.changed();
  firewall.close();
  expect(asked).toHaveLength(2);
  firewall.stop();
  expect(asked).toHaveLength(2);
});
