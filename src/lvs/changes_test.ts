/** What a reload sends: nothing for what is the same, one step for what is not. */

import { expect, test } from "bun:test";
import {
  balancedOf,
  balancingOf,
  fleet,
  realServer,
  virtualServer,
} from "../../test/support/balancing.ts";
import { concernsKernel, diffLvs, isAlike, type LvsChange } from "./changes.ts";

function shown(changes: readonly LvsChange[]): string[] {
  return changes.map((one) => one.type === "globals" ? "globals" : `${one.type} ${one.key}`);
}

function between(before: string | undefined, after: string): string[] {
  return shown(
    diffLvs(before === undefined ? undefined : balancingOf(before), balancingOf(after)),
  );
}

const ONE = virtualServer(realServer());
const TWO = virtualServer(realServer(), "192.0.2.2 80");

test("a start adds everything, and begins with what holds for all", () => {
  expect(between(undefined, ONE + TWO)).toEqual([
    "globals",
    "add [192.0.2.1]:tcp:80",
    "add [192.0.2.2]:tcp:80",
  ]);
});

test("nothing has changed, wherever it stands in the file", () => {
  expect(between(ONE + TWO, ONE + TWO)).toEqual([]);
  expect(between(ONE + TWO, `\n\n# moved\n${ONE}\n\n${TWO}`)).toEqual([]);
  expect(between(ONE + TWO, TWO + ONE)).toEqual([]);
});

test("one that is different, one that goes, one that comes", () => {
  const other = virtualServer(realServer("198.51.100.1 80", "weight 2"));
  expect(between(ONE + TWO, other + TWO)).toEqual(["change [192.0.2.1]:tcp:80"]);
  expect(between(ONE + TWO, TWO)).toEqual(["remove [192.0.2.1]:tcp:80"]);
  expect(between(TWO, ONE + TWO)).toEqual(["add [192.0.2.1]:tcp:80"]);
  expect(between(fleet(50, 2), fleet(50, 2, "", 7))).toEqual(["change [10.1.0.7]:tcp:80"]);
});

test("a group that has changed changes who stands for it", () => {
  const using = virtualServer(realServer(), "group G");
  const group = (lines: string): string => `virtual_server_group G {\n${lines}\n}\n${using}`;
  expect(between(group("192.0.2.1 80"), group("192.0.2.1 80\n192.0.2.2 80"))).toEqual([
    "change [G]:tcp",
  ]);
  expect(between(group("192.0.2.1 80"), group("192.0.2.1 80"))).toEqual([]);
});

test("who comes before it in its group changes the name of a service, and nothing else", () => {
  const group = "virtual_server_group G {\n192.0.2.1 80\n}\n";
  const tcp = virtualServer(realServer(), "group G");
  const udp = virtualServer(realServer(), "group G", "lb_algo rr\nlb_kind NAT\nprotocol UDP");
  expect(between(group + tcp, group + udp + tcp)).toEqual(["add [G]:udp", "change [G]:tcp"]);
  const names = [...balancedOf(group + udp + tcp).values()].map(({ name }) => name);
  expect(names).toEqual(["[G]:0", "[G]:1"]);
});

test("two of one name are two; marks of two families, too", () => {
  expect(between(undefined, ONE + ONE).slice(1)).toEqual([
    "add [192.0.2.1]:tcp:80",
    "add [192.0.2.1]:tcp:80 #2",
  ]);
  const mark = (address: string): string => virtualServer(realServer(address), "fwmark 7");
  expect(between(undefined, mark("198.51.100.1 80") + mark("2001:db8::1 80")).slice(1)).toEqual([
    "add FWM 7",
    "add FWM 7 6",
  ]);
});

test("the sync daemon has the id of its instance unless it has its own", () => {
  const instance = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 51\n}\n";
  const idOf = (line: string): number | undefined => {
    const config = balancingOf(`global_defs {\n${line}\n}\n${instance}${ONE}`);
    const [first] = diffLvs(undefined, config);
    return first?.type === "globals" ? first.globals.syncDaemon?.id : undefined;
  };
  expect(idOf("lvs_sync_daemon eth0 inst V")).toBe(51);
  expect(idOf("lvs_sync_daemon eth0 inst V id 7")).toBe(7);
  expect(idOf("lvs_sync_daemon eth0")).toBe(0);
  expect(idOf("")).toBeUndefined();
});

test("who has nothing to balance asks nothing of the kernel", () => {
  const asks = (text: string): boolean => concernsKernel(diffLvs(undefined, balancingOf(text)));
  const all = (line: string): string => `global_defs {\n${line}\n}\n`;
  expect(asks("")).toBe(false);
  expect(asks(all("lvs_flush_on_stop\ncheckers_priority -5"))).toBe(false);
  expect(asks(ONE)).toBe(true);
  for (const line of ["lvs_flush", "lvs_timeouts tcp 5", "lvs_sync_daemon eth0"]) {
    expect([line, asks(all(line))]).toEqual([line, true]);
  }
  expect(concernsKernel(diffLvs(balancingOf(ONE), balancingOf("")))).toBe(true);
  expect(concernsKernel([])).toBe(false);
});

test("an instance may bring the sync daemon; the first one counts", () => {
  const instance = (name: string, vrid: number, link: string): string =>
    `vrrp_instance ${name} {\ninterface eth0\nvirtual_router_id ${vrid}\nvirtual_ipaddress {\n` +
    `192.0.2.${vrid}\n}\nlvs_sync_daemon_interface ${link}\n}\n`;
  const two = instance("V", 51, "eth0") + instance("W", 52, "eth1");
  const daemonOf = (text: string): unknown => {
    const [first] = diffLvs(undefined, balancingOf(text));
    return first?.type === "globals" ? first.globals.syncDaemon : undefined;
  };
  expect(daemonOf(two)).toEqual({ interface: "eth0", instance: "V", id: 51 });
  expect(daemonOf(`global_defs {\nlvs_sync_daemon eth2\n}\n${two}`)).toEqual({
    interface: "eth2",
    id: 0,
  });
});

test("values are alike when they mean the same", () => {
  const rows: [a: unknown, b: unknown, isSame: boolean][] = [
    [{ a: 1, place: 1 }, { a: 1, place: 2 }, true],
    [{ a: 1 }, { a: 1, b: undefined }, true],
    [{ a: 1, b: undefined }, { a: 1 }, true],
    [{ a: 1 }, { a: 1, b: 0 }, false],
    [{ a: 1, b: 0 }, { a: 1 }, false],
    [[1, 2], [1, 2], true],
    [[1, 2], [2, 1], false],
    [[1], [1, 2], false],
    [{ a: [{ b: null }] }, { a: [{ b: null }] }, true],
    [{ a: null }, { a: {} }, false],
    ["1", 1, false],
  ];
  for (const [a, b, isSame] of rows) expect([a, b, isAlike(a, b)]).toEqual([a, b, isSame]);
});
