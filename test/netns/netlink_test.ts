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
import { comparable, routeAsIpSays } from "../support/ip_route.ts";
import { comparableRule, ruleAsIpSays } from "../support/ip_rule.ts";
import { Network } from "../support/namespaces.ts";
import { HostNetlink, requests } from "../support/netlink.ts";
import { someRoutes } from "../support/routes.ts";
import { SOME_RULES } from "../support/rules.ts";
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

/** The four that a kernel may have been built without. */
const isRare = (route: Route): boolean =>
  route.nexthops.some(({ encap }) => encap?.kind === "mpls" || encap?.kind === "ila");

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
  expect(there.map((route) => routeAsIpSays(route, names))).toEqual(theirs().map(comparable));
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

test("a VMAC's link: made, set, switched on, moved to another group and address, removed", () => {
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
  expect(shown()).toMatchObject({ inet6_addr_gen_mode: "none", operstate: "UP" });
  expect(network.run("a", "ip", "-6", "-o", "address", "show", "dev", "vrrp.7")).toBe("");
  expect(look()).toMatchObject({ up: true, running: true });

  const other = Uint8Array.fromHex("00005e000108");
  netlink.must(encodeSetLink({ index, up: false, address: other, group: 0 }), "changing it");
  expect(shown()).toMatchObject({ address: "00:00:5e:00:01:08", group: "0", operstate: "DOWN" });
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
