/** Every object that src/netlink can ask for, made in a real kernel and read back by us and by others. */

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  decodeLink,
  encodeDeleteLink,
  encodeDumpLinks,
  encodeNewLink,
  encodeSetLink,
  type Link,
} from "../../src/netlink/link.ts";
import {
  decodeNeighbour,
  encodeDeleteNeighbour,
  encodeDumpNeighbours,
  encodeNewNeighbour,
  encodeProbeNeighbour,
  type Neighbour,
  NUD_PERMANENT,
} from "../../src/netlink/neighbour.ts";
import {
  decodeRoute,
  encodeDeleteRoute,
  encodeDumpRoutes,
  encodeGetRoute,
  encodeNewRoute,
  type Route,
} from "../../src/netlink/route.ts";
import { isRouteAsWanted } from "../../src/netlink/route_match.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "../../src/netlink/message.ts";
import {
  decodeRule,
  encodeDeleteRule,
  encodeDumpRules,
  encodeNewRule,
  isRuleAsWanted,
} from "../../src/netlink/rule.ts";
import {
  decodeTable,
  encodeBatch,
  encodeDeleteTable,
  encodeDumpTables,
  encodeNewElements,
  encodeNewSet,
  encodeNewTable,
  type Table,
} from "../../src/netlink/nftables.ts";
import type { Request } from "../../ffi/netlink.ts";
import { NETLINK_NETFILTER } from "../../ffi/constants.ts";
import { comparable, routeAsIpSays } from "../support/ip_route.ts";
import { comparableRule, ruleAsIpSays } from "../support/ip_rule.ts";
import { poll } from "../support/waiting.ts";
import { Network } from "../support/namespaces.ts";
import { HostNetlink, requests } from "../support/netlink.ts";
import { someChanges } from "../support/nft_tables.ts";
import { someRoutes } from "../support/routes.ts";
import { SOME_RULES } from "../support/rules.ts";
import nftables from "../golden/netlink/nftables.json";
import routes from "../golden/netlink/routes.json";

setDefaultTimeout(60_000);

type Said = Record<string, unknown>;

/** What `ip -j` says of something, in one family. */
function ip(network: Network, ...words: readonly string[]): Said[] {
  return JSON.parse(network.run("a", "ip", "-N", "-d", "-j", ...words));
}

/** Runs the commands that a golden was captured after. */
function setUp(network: Network, commands: readonly string[]): void {
  network.run("a", "sh", "-ec", commands.join("\n"));
}

function indexOf(network: Network, link: string): number {
  return ip(network, "link", "show", "dev", link)[0]!["ifindex"] as number;
}

/** A route's words without the seconds it has left, which have gone on since. */
function timeless(said: Said): Said {
  return "expires" in said ? { ...said, expires: Number(said["expires"]) > 900 } : said;
}

/** Whether a kernel may have been built without what the route needs: MPLS, ILA or segment routing. */
const isRare = (route: Route): boolean =>
  route.nexthops.some(({ encap }) => ["mpls", "ila", "other"].includes(encap?.kind ?? ""));

test("routes of every kind: added, shown by ip and by us alike, found, and removed", () => {
  using network = new Network(["a"], { ipv6: true });
  setUp(network, routes.setup);
  using netlink = HostNetlink.open(network, "a");
  const names = new Map(["lo", "eth0", "x0", "x1", "x2"].map((n) => [indexOf(network, n), n]));
  const families = [4, 6] as const;
  const ours = (): Route[] =>
    families.flatMap((family) => netlink.all(encodeDumpRoutes({ family }), decodeRoute));
  const theirs = (): Said[] =>
    families.flatMap((family) => ip(network, `-${family}`, "route", "show", "table", "all"));
  const before = theirs();

  const wanted = someRoutes(indexOf(network, "x0"), indexOf(network, "x1"));
  const add = (route: Route): Uint8Array => encodeNewRoute(route, NLM_F_CREATE);
  const verdicts = netlink.perform(requests(wanted, add));
  const refused = wanted.filter((_, i) => verdicts[i] !== undefined);
  expect(refused.filter((route) => !isRare(route))).toEqual([]);
  expect(verdicts.every((verdict) => verdict === undefined || verdict.errno === "EOPNOTSUPP"))
    .toBeTrue();

  const there = ours();
  const said = there.map((route) => routeAsIpSays(route, names));
  expect(said.map(timeless)).toEqual(theirs().map(comparable).map(timeless));
  const added = wanted.filter((_, i) => verdicts[i] === undefined);
  for (const route of added) {
    const found = there.filter((one) => isRouteAsWanted(one, route));
    expect([route, found.length]).toEqual([route, 1]);
  }
  const again = netlink.perform(
    requests(added, (r) => encodeNewRoute(r, NLM_F_CREATE | NLM_F_EXCL)),
  );
  expect(again.map((verdict) => verdict?.errno)).toEqual(added.map(() => "EEXIST"));

  const removed = netlink.perform(requests(added, encodeDeleteRoute));
  expect(removed.filter((verdict) => verdict !== undefined)).toEqual([]);
  expect(theirs()).toEqual(before);
  const gone = netlink.perform(requests(added, encodeDeleteRoute));
  expect(gone.map((verdict) => verdict?.errno)).toEqual(added.map(() => "ESRCH"));
});

test("a dump of one table and protocol has no others; a question is answered", () => {
  using network = new Network(["a"], { ipv6: true });
  setUp(network, routes.setup);
  using netlink = HostNetlink.open(network, "a");
  const [x0, x1] = [indexOf(network, "x0"), indexOf(network, "x1")];
  const wanted = someRoutes(x0, x1).filter((route) => !isRare(route));
  netlink.perform(requests(wanted, (route) => encodeNewRoute(route, NLM_F_CREATE)));
  const kept = netlink.all(encodeDumpRoutes({ table: 1000, protocol: 18, family: 4 }), decodeRoute);
  expect(kept.map(({ table, protocol }) => [table, protocol])).toEqual(Array(3).fill([1000, 18]));
  const asked = Uint8Array.of(10, 0, 1, 77);
  const answers = netlink.perform([{ bytes: encodeGetRoute(asked), doing: "asking" }]);
  expect(answers).toEqual([undefined]);
});

test("rules of every kind: added, shown by ip and by us alike, found, and removed", () => {
  using network = new Network(["a"], { ipv6: true });
  using netlink = HostNetlink.open(network, "a");
  const families = [4, 6] as const;
  const theirs = (): Said[] =>
    families.flatMap((family) => ip(network, `-${family}`, "rule", "show")).map(comparableRule);
  const before = theirs();
  const verdicts = netlink.perform(requests(SOME_RULES, encodeNewRule));
  expect(verdicts.filter((verdict) => verdict !== undefined)).toEqual([]);

  const there = families.flatMap((family) => netlink.all(encodeDumpRules(family), decodeRule));
  expect(there.map(ruleAsIpSays)).toEqual(theirs());
  for (const rule of SOME_RULES) {
    const found = there.filter((one) => isRuleAsWanted(one, rule));
    expect([rule, found.length]).toEqual([rule, 1]);
  }
  const placed = SOME_RULES.filter(({ priority }) => priority !== undefined);
  const again = netlink.perform(requests(placed, encodeNewRule));
  expect(again.map((verdict) => verdict?.errno)).toEqual(placed.map(() => "EEXIST"));

  const removed = netlink.perform(requests(SOME_RULES, encodeDeleteRule));
  expect(removed.filter((verdict) => verdict !== undefined)).toEqual([]);
  expect(theirs()).toEqual(before);
  const [gone] = netlink.perform(requests(SOME_RULES.slice(0, 1), encodeDeleteRule));
  expect(gone?.errno).toBe("ENOENT");
});

test("a VMAC's link: made, set, switched on, moved to another group and address, removed", async () => {
  using network = new Network(["a"], { ipv6: true });
  using netlink = HostNetlink.open(network, "a");
  const eth0 = indexOf(network, "eth0");
  const vmac = Uint8Array.fromHex("00005e000107");
  const look = (): Link | undefined =>
    netlink.all(encodeDumpLinks(), decodeLink).find(({ name }) => name === "vrrp.7");
  const shown = (): Said => ip(network, "link", "show", "dev", "vrrp.7")[0]!;
  const make = { name: "vrrp.7", kind: "macvlan", linkIndex: eth0, mode: "private" } as const;
  netlink.must(encodeNewLink({ ...make, address: vmac, group: 7 }), "making vrrp.7");

  const made = look()!;
  expect(made).toMatchObject({
    kind: "macvlan",
    macvlanMode: "private",
    linkIndex: eth0,
    group: 7,
    address: vmac,
    up: false,
  });
  expect(shown()).toMatchObject({
    link: "eth0",
    group: "7",
    address: "00:00:5e:00:01:07",
    linkinfo: { info_kind: "macvlan", info_data: { mode: "private" } },
    inet6_addr_gen_mode: "eui64",
  });
  const [taken] = netlink.perform([{ bytes: encodeNewLink(make), doing: "making it again" }]);
  expect(taken?.errno).toBe("EEXIST");

  const { index } = made;
  netlink.must(encodeSetLink({ index, addrGenMode: "none" }), "setting its address mode");
  netlink.must(encodeSetLink({ index, up: true }), "switching it on");
  await poll(() => shown()["operstate"] === "UP", 3000, "not up");
  expect(shown()).toMatchObject({ inet6_addr_gen_mode: "none" });
  expect(network.run("a", "ip", "-6", "-o", "address", "show", "dev", "vrrp.7")).toBe("");
  expect(look()).toMatchObject({ up: true, running: true });

  const other = Uint8Array.fromHex("00005e000108");
  netlink.must(encodeSetLink({ index, up: false, address: other, group: 0 }), "changing it");
  expect(shown()).toMatchObject({ address: "00:00:5e:00:01:08", group: "0" });
  expect(shown()["flags"]).not.toContain("UP");
  expect(look()).toMatchObject({ up: false, running: false });
  expect(look()?.group).toBeUndefined();

  netlink.must(encodeDeleteLink(index), "removing it");
  expect(look()).toBeUndefined();
});

test("macvlans of every mode that one link can have", () => {
  using network = new Network(["a"]);
  using netlink = HostNetlink.open(network, "a");
  const linkIndex = indexOf(network, "eth0");
  const modes = ["private", "vepa", "bridge", "source"] as const;
  for (const mode of modes) {
    netlink.must(encodeNewLink({ kind: "macvlan", name: mode, linkIndex, mode }), `making ${mode}`);
  }
  const links = netlink.all(encodeDumpLinks(), decodeLink);
  for (const mode of modes) {
    const { linkinfo } = ip(network, "link", "show", "dev", mode)[0]!;
    expect(linkinfo).toMatchObject({ info_data: { mode } });
    expect(links.find(({ name }) => name === mode)?.macvlanMode).toBe(mode);
  }
});

/** All that nft shows of a host's tables, without the counts of what came by. */
function ruleset(network: Network, host: string): unknown {
  const text = network.run(host, "nft", "-j", "list", "ruleset");
  return JSON.parse(text.replace(/"(packets|bytes)": ?\d+/g, '"$1": 0'));
}

/** A batch of changes, each named by its number. */
function batch(changes: readonly Uint8Array[]): Request[] {
  return encodeBatch(changes).map((bytes, i) => ({ bytes, doing: `part ${i}` }));
}

/** The commands of the golden that made something, up to the first refusal. */
const MADE = nftables.requests.findIndex(({ answers }) => answers !== undefined);

test("tables of nftables: ours and nft's are one to nft; nothing is left of them", () => {
  using network = new Network(["a", "b"]);
  for (const host of ["a", "b"]) network.run(host, "ip", "link", "del", "eth0");
  for (const host of ["a", "b"]) network.run(host, "sh", "-ec", nftables.setup.join("\n"));
  const commands = nftables.requests.slice(0, MADE).map(({ command }) => command);
  network.run("b", "nft", commands.join(";"));
  using netlink = HostNetlink.open(network, "a", NETLINK_NETFILTER);
  const links = { eth0: 0, "vrrp.4": 0, "vrrp.6": 0 };
  for (const name of Object.keys(links) as (keyof typeof links)[]) {
    links[name] = indexOf(network, name);
  }
  const changes = someChanges(links).slice(0, MADE).flat();
  expect(netlink.transact(batch(changes))).toBeUndefined();

  const shown = ruleset(network, "a") as { nftables: unknown[] };
  expect(shown.nftables.length).toBeGreaterThan(30);
  expect(shown).toEqual(ruleset(network, "b") as typeof shown);
  const tables = netlink.all(encodeDumpTables(), decodeTable);
  expect(tables.map(({ family, name }) => `${family} ${name}`)).toEqual([
    "ip keepalived",
    "ip6 keepalived",
    "inet ipvs",
  ]);
  expect(netlink.transact(batch(tables.map(encodeDeleteTable)))).toBeUndefined();
  expect(netlink.all(encodeDumpTables(), decodeTable)).toEqual([]);
});

test("a batch is done whole or not at all, and the refusal names its part", () => {
  using network = new Network(["a"]);
  using netlink = HostNetlink.open(network, "a", NETLINK_NETFILTER);
  const table = (name: string): Table => ({ family: "ip", name });
  const gone = encodeDeleteTable(table("gone"));
  const make = encodeNewTable(table("one"));
  const last = encodeNewTable(table("two"));
  const tables = (): string[] =>
    netlink.all(encodeDumpTables(), decodeTable).map(({ name }) => name);
  for (const changes of [[make, gone, last], [make, last, gone], [gone, make, gone]]) {
    const refusal = netlink.transact(batch(changes));
    expect(refusal?.errno).toBe("ENOENT");
    expect(refusal?.message).toContain(`part ${changes.indexOf(gone) + 1}`);
    expect(tables()).toEqual([]);
  }
  expect(netlink.transact(batch([make, last]))).toBeUndefined();
  expect(tables()).toEqual(["one", "two"]);
  const without = [make, last].map((bytes, i) => ({ bytes, doing: `alone ${i}` }));
  const outside = netlink.perform(
    without.slice(0, 1).map((it) => ({
      ...it,
      bytes: encodeBatch([it.bytes])[1]!,
    })),
  );
  expect(outside[0]?.errno).toBe("EINVAL"); // no change without a batch
});

test("20 000 elements in one batch", () => {
  using network = new Network(["a"]);
  using netlink = HostNetlink.open(network, "a", NETLINK_NETFILTER);
  const table = { family: "ip6", name: "t" } as const;
  const vips = { table, name: "vips" };
  const elements = Array.from({ length: 20_000 }, (_, i) => ({
    key: Uint8Array.of(0xfd, ...Array<number>(12).fill(0), i >> 16, i >> 8, i),
  }));
  const refusal = netlink.transact(batch([
    encodeNewTable(table),
    encodeNewSet({ ...vips, id: 1, key: ["ipv6_addr"] }),
    ...encodeNewElements(vips, elements),
  ]));
  expect(refusal).toBeUndefined();
  const shown = JSON.parse(network.run("a", "nft", "-j", "list", "set", "ip6", "t", "vips"));
  const set = shown.nftables.find((it: Said) => "set" in it).set;
  expect(set.elem.length).toBe(20_000);
});

test("a neighbour is asked for, answers, is noted otherwise, and forgotten", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  using netlink = HostNetlink.open(network, "a");
  const index = indexOf(network, "eth0");
  const link = JSON.parse(network.run("b", "ip", "-j", "link", "show", "dev", "eth0"))[0];
  const others = { 4: Uint8Array.of(10, 0, 0, 2), 6: new Uint8Array(16) };
  others[6].set([0xfd], 0);
  others[6].set([2], 15);
  for (const family of [4, 6] as const) {
    const key = { index, address: others[family] };
    const look = (): Neighbour | undefined =>
      netlink.all(encodeDumpNeighbours(family), decodeNeighbour)
        .find(({ address }) => address.toHex() === key.address.toHex());
    expect(look()).toBeUndefined();
    netlink.must(encodeProbeNeighbour(key), "asking");
    await poll(() => look()?.linkAddress !== undefined, 3000, "no answer");
    expect(look()?.linkAddress?.toHex()).toBe(link.address.replaceAll(":", ""));

    const linkAddress = Uint8Array.of(2, 0, 0, 0, 0, 9);
    netlink.must(encodeNewNeighbour({ ...key, linkAddress, state: NUD_PERMANENT }), "noting");
    expect(look()).toMatchObject({ linkAddress, state: NUD_PERMANENT });
    const [said] = ip(network, `-${family}`, "neigh", "show", "nud", "permanent", "dev", "eth0");
    expect(said).toMatchObject({ lladdr: "02:00:00:00:00:09", state: ["PERMANENT"] });

    netlink.must(encodeDeleteNeighbour(key), "forgetting");
    const shown = ip(network, `-${family}`, "neigh", "show", "nud", "permanent", "dev", "eth0");
    expect(shown).toEqual([]);
  }
});
