/** Reloads as algebra: over random configurations, and what makes an instance the same one. */

import { expect, test } from "bun:test";
import {
  configWith,
  groupWith,
  instanceWith,
  virtualAddress,
} from "../../test/support/instances.ts";
import { type Prng, prng } from "../../test/support/prng.ts";
import type { Config } from "../config/load.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import {
  apply,
  byKey,
  type Change,
  diff,
  hasStatics,
  hasVrrpWork,
  type InstanceChange,
  instanceKey,
  leftovers,
} from "./diff.ts";

/** Few choices, so that two configurations often meet in a key. */
function someInstance(random: Prng, name: string): VrrpInstance {
  const family = random.pick([4, 6] as const);
  const peers = [[], ["192.0.2.1"], ["192.0.2.1", "192.0.2.2"]];
  return instanceWith({
    name,
    place: { file: random.pick(["/a", "/b"]), line: random.integer(1, 9) },
    family,
    version: family === 6 ? 3 : random.pick([2, 3]),
    interface: random.pick(["eth0", "eth1"]),
    virtual_router_id: random.integer(1, 3),
    priority: random.integer(1, 3),
    advert_int: random.pick([1_000_000, 2_000_000]),
    unicast_peer: random.pick(peers).map((address) => ({ address })),
    virtual_ipaddress: random.shuffle(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
      .slice(0, random.integer(0, 3)).map((address) => virtualAddress(address)),
  });
}

/** Up to eight instances, each with a key of its own: the reader lets no other pass. */
function someConfig(random: Prng): Config {
  const count = random.integer(0, 8);
  const all = Array.from({ length: count }, (_, i) => someInstance(random, `V${i}`));
  return configWith([...new Map(all.map((one) => [instanceKey(one), one])).values()]);
}

/** Without what does not matter. */
function unplaced(instances: ReadonlyMap<string, VrrpInstance>): Map<string, VrrpInstance> {
  const place = { file: "", line: 0 };
  return new Map([...instances].map(([key, one]) => [key, { ...one, place }]));
}

const kinds = (changes: readonly Change[]): string[] => changes.map(({ type }) => type);

/** The changes of instances; there are no others where there are neither groups nor globals. */
function ofInstances(changes: readonly Change[]): InstanceChange[] {
  const found = changes.filter(({ type }) => type !== "groups" && type !== "globals");
  expect(found).toHaveLength(changes.length);
  return found as InstanceChange[];
}

test("over random configurations, applying the difference makes one into the other", () => {
  const seen = { add: 0, change: 0, remove: 0 };
  for (let seed = 1; seed <= 300; seed++) {
    const random = prng(seed);
    const a = someConfig(random);
    const b = someConfig(random);
    const changes = ofInstances(diff(a, b));
    for (const { type } of changes) seen[type]++;
    expect([seed, unplaced(apply(changes, byKey(a)))])
      .toEqual([seed, unplaced(byKey(b))]);
    // One change a key, each for a reason.
    expect(new Set(changes.map(({ key }) => key)).size).toBe(changes.length);
    const [before, after] = [byKey(a), byKey(b)];
    for (const { type, key } of changes) {
      expect([seed, type, before.has(key), after.has(key)])
        .toEqual([seed, type, type !== "add", type !== "remove"]);
    }
    // What is freed comes before what may want it.
    const lastRemoval = kinds(changes).lastIndexOf("remove");
    expect([seed, ...kinds(changes).slice(0, lastRemoval + 1)])
      .toEqual([seed, ...Array<string>(lastRemoval + 1).fill("remove")]);
  }
  expect(Math.min(seen.add, seen.change, seen.remove)).toBeGreaterThan(100);
});

test("a configuration differs from itself in nothing, wherever in the files it stands", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const config = someConfig(prng(seed));
    expect(diff(config, config)).toEqual([]);
    const moved = config.vrrp_instances.map((one) => ({
      ...one,
      place: { file: "/elsewhere", line: one.place.line + 10 },
    }));
    expect(diff(config, configWith(moved.reverse()))).toEqual([]);
  }
});

test("a start only adds, a stop only removes", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const config = someConfig(prng(seed));
    const { vrrp_instances: all } = config;
    expect(diff(undefined, config)).toEqual(
      all.map((instance) => ({ type: "add", key: instanceKey(instance), instance, slot: -1 })),
    );
    expect(diff(config, undefined)).toEqual(
      all.map((one) => ({ type: "remove", key: instanceKey(one), name: one.name })),
    );
  }
  expect(diff(undefined, undefined)).toEqual([]);
});

const peer = (...addresses: string[]): Pick<VrrpInstance, "unicast_peer"> => ({
  unicast_peer: addresses.map((address) => ({ address })),
});

/** What a new value makes of an instance: another one, the same one changed, or the same one. */
const VALUES: [was: Partial<VrrpInstance>, is: Partial<VrrpInstance>, changes: string[]][] = [
  [{}, { interface: "eth1" }, ["remove", "add"]],
  [{}, { virtual_router_id: 8 }, ["remove", "add"]],
  [{}, { family: 6 }, ["remove", "add"]],
  [{}, { mcast_group: "224.0.0.19" }, ["remove", "add"]],
  [{}, peer("192.0.2.1"), ["remove", "add"]],
  [peer("192.0.2.1"), {}, ["remove", "add"]],
  [peer("192.0.2.1"), peer("192.0.2.2"), ["change"]],
  [peer("192.0.2.1"), peer("192.0.2.1", "192.0.2.2"), ["change"]],
  // To unicast peers the group means nothing; it is no other instance for it.
  [peer("192.0.2.1"), { ...peer("192.0.2.1"), mcast_group: "224.0.0.19" }, ["change"]],
  [peer("192.0.2.1"), { unicast_peer: [{ address: "192.0.2.1", min_ttl: 254 }] }, ["change"]],
  [{}, { name: "W" }, ["change"]],
  [{}, { version: 3 }, ["change"]],
  [{}, { state: "MASTER" }, ["change"]],
  [{}, { priority: 101 }, ["change"]],
  [{}, { advert_int: 2_000_000 }, ["change"]],
  [{}, { virtual_ipaddress: [virtualAddress("10.0.0.1")] }, ["change"]],
  [{}, { authentication: { auth_type: "PASS", auth_pass: "x" } }, ["change"]],
  [{}, { place: { file: "/b", line: 7 } }, []],
  [{}, {}, []],
];

for (const [was, is, changes] of VALUES) {
  const title = `${JSON.stringify(was)} → ${JSON.stringify(is)}`;
  test(`${title}: ${changes.join(", ") || "nothing"}`, () => {
    const a = configWith([instanceWith(was)]);
    const b = configWith([instanceWith(is)]);
    expect(kinds(diff(a, b))).toEqual(changes);
  });
}

test("instances that have all but their peers in common are told apart by name", () => {
  const [one, two] = ["one", "two"].map((name, i) =>
    instanceWith({ name, ...peer(`192.0.2.${i + 1}`) })
  );
  const both = configWith([one!, two!]);
  expect([...byKey(both).values()]).toEqual([one, two] as VrrpInstance[]);
  expect(diff(both, configWith([two!, one!]))).toEqual([]);
  const changed = { ...two!, ...peer("192.0.2.3") };
  expect(diff(both, configWith([changed, one!])))
    .toMatchObject([{ type: "change", instance: { name: "two" } }]);
});

test("a removal names the instance as it was called before", () => {
  const a = configWith([instanceWith({ name: "before" })]);
  const b = configWith([instanceWith({ name: "after", virtual_router_id: 8 })]);
  expect(diff(a, b)).toMatchObject([
    { type: "remove", name: "before" },
    { type: "add", instance: { name: "after" } },
  ]);
});

test("what holds for the role as a whole comes first, and only when it is another", () => {
  const plain = configWith([instanceWith()]);
  const { globals } = plain;
  const delayed = { ...plain, globals: { ...globals, vrrp_startup_delay: 5 } };
  expect(diff(undefined, plain).map(({ type }) => type)).toEqual(["add"]);
  expect(diff(undefined, delayed).map(({ type }) => type)).toEqual(["globals", "add"]);
  expect(diff(plain, delayed)).toEqual([{ type: "globals", globals: { vrrp_startup_delay: 5 } }]);
  expect(diff(delayed, plain)).toEqual([{ type: "globals", globals: {} }]);
  expect(diff(delayed, delayed)).toEqual([]);
  expect(diff(delayed, undefined).map(({ type }) => type)).toEqual(["remove"]);
});

test("groups come first, all of them, when one is different", () => {
  const instances = [instanceWith({ name: "V" }), instanceWith({ name: "W", interface: "eth1" })];
  const bare = configWith(instances);
  const grouped = { ...bare, vrrp_sync_groups: [groupWith("G", ["V", "W"])] };
  const groups = grouped.vrrp_sync_groups;
  expect(diff(undefined, grouped).map(({ type }) => type)).toEqual(["groups", "add", "add"]);
  expect(diff(bare, grouped)).toEqual([{ type: "groups", groups }]);
  expect(diff(grouped, bare)).toEqual([{ type: "groups", groups: [] }]);
  expect(diff(grouped, undefined).map(({ type }) => type)).toEqual(["groups", "remove", "remove"]);
  const [moved] = groups.map((one) => ({ ...one, place: { file: "/b", line: 9 } }));
  expect(diff(grouped, { ...grouped, vrrp_sync_groups: [moved!] })).toEqual([]);
  const other = [{ ...groups[0]!, group: ["V"] }];
  expect(diff(grouped, { ...grouped, vrrp_sync_groups: other }))
    .toEqual([{ type: "groups", groups: other }]);
});

test("names and buffers that hold for the role as a whole are said as they are", () => {
  const plain = configWith([]);
  const globalsOf = (rest: Partial<Config["globals"]>): unknown =>
    diff(undefined, { ...plain, globals: { ...plain.globals, ...rest } });
  const names = { vmac_prefix: "own", nftables: "", nftables_priority: 0 };
  expect(globalsOf(names)).toEqual([{ type: "globals", globals: names }]);
  const policies = [[{ mtu: true }, "MTU"], [{}, "ADVERT"], [{ bytes: 9000 }, 9000]] as const;
  for (const [vrrp_rx_bufs_policy, said] of policies) {
    const [change] = globalsOf({ vrrp_rx_bufs_policy } as never) as Change[];
    expect(change).toMatchObject({ globals: { vrrp_rx_bufs_policy: said } });
  }
});

test("what is tracked is told whenever something of it is different, and when nothing is left", () => {
  const tracking = (...names: string[]): Config =>
    configWith([
      instanceWith({ track_interface: names.map((name) => ({ name, weight: 5 })) as never }),
    ]);
  const told = (was: Config | undefined, is: Config | undefined): (readonly string[])[] =>
    diff(was, is).flatMap((change) =>
      change.type === "tracking" ? [(change.tracking.of["V"] ?? []).map(({ name }) => name)] : []
    );
  const [none, one, two] = [tracking(), tracking("eth1"), tracking("eth1", "eth2")];
  expect(told(undefined, none!)).toEqual([]);
  expect(told(undefined, one!)).toEqual([["eth1"]]);
  expect(told(one, two)).toEqual([["eth1", "eth2"]]);
  expect(told(two, none)).toEqual([[]]);
  expect([told(two, tracking("eth1", "eth2")), told(two, undefined)]).toEqual([[], []]);
});

test("what a dead role may have left, with and without what follows nobody", () => {
  const nothing = configWith([]);
  const alone = { ...nothing, static_ipaddress: [virtualAddress("192.0.2.1", { dev: "eth0" })] };
  const both = { ...alone, vrrp_instances: [instanceWith()] };
  expect(kinds(leftovers(both, false))).toEqual(["static", "add"]);
  expect(kinds(leftovers(both, true))).toEqual(["add"]);
  expect(leftovers(undefined, false)).toEqual([]);
  expect([undefined, nothing, alone, both].map(hasVrrpWork)).toEqual([false, false, true, true]);
  expect([undefined, nothing, alone, both].map(hasStatics)).toEqual([false, false, true, true]);
  expect(hasVrrpWork(configWith([instanceWith()]))).toBe(true);
});
