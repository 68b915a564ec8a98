/** Routes as a real kernel described them, and requests as iproute2 sent them. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/routes.json";
import { sortedMessage } from "../../test/support/attributes.ts";
import { comparable, routeAsIpSays } from "../../test/support/ip_route.ts";
import { mutants } from "../../test/support/mutants.ts";
import { LINK, on, prefix, route, someRoutes, type } from "../../test/support/routes.ts";
import { type Address, parseAddress } from "../lib/address.ts";
import type { Prefix } from "./family.ts";
import {
  type Message,
  messages,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  NLMSG_DONE,
} from "./message.ts";
import {
  decodeRoute,
  encodeDeleteRoute,
  encodeDumpRoutes,
  encodeGetRoute,
  encodeNewRoute,
  type Nexthop,
  type Route,
  RTM_NEWROUTE,
  RTNH_F_ONLINK,
} from "./route.ts";
import { isRouteAsWanted, isSamePlace } from "./route_match.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const ip = (text: string): Address => parseAddress(text)!;
const records = (datagrams: readonly string[]): Message[] =>
  datagrams.flatMap((datagram) => [...messages(hex(datagram))])
    .filter((message) => message.type !== NLMSG_DONE);

const { x0, x1 } = golden.links;
const ADDED = someRoutes(x0, x1);
const isDeletion = (command: string): boolean => command.includes(" route del ");
const commands = golden.requests.map(({ command }) => command);

/** The routes of the golden's deletions, in their order. */
const DELETED: readonly Route[] = [0, 1, 7, 17, 27].map((i) => ADDED[i]!);

function modifiersOf(command: string): number {
  if (command.includes(" replace ")) return NLM_F_CREATE | NLM_F_REPLACE;
  if (command.includes(" append ")) return NLM_F_CREATE | NLM_F_APPEND;
  return command.includes(" prepend ") ? NLM_F_CREATE : NLM_F_CREATE | NLM_F_EXCL;
}

function oursOf(command: string): Uint8Array {
  const i = commands.filter((other) => isDeletion(other) === isDeletion(command)).indexOf(command);
  if (!isDeletion(command)) return encodeNewRoute(ADDED[i]!, modifiersOf(command));
  return encodeDeleteRoute(DELETED[i]!);
}

const RTA_METRICS = 8;
const RTA_ENCAP = 22;
const NESTS = { [RTA_METRICS]: {}, [RTA_ENCAP]: {} };

test.each(golden.requests)("the request of $command", ({ command, hex: theirs }) => {
  const ours = oursOf(command);
  if (command.startsWith("ip -6 route add default")) {
    // ip names the address of no bits, too.
    const [one, other] = [ours, hex(theirs)].map((bytes) => [...messages(bytes)][0]!);
    expect([one!.type, one!.flags]).toEqual([other!.type, other!.flags]);
    expect(decodeRoute(one!.payload)).toEqual(decodeRoute(other!.payload)!);
    return;
  }
  expect(sortedMessage(ours, 28, NESTS)).toEqual(sortedMessage(hex(theirs), 28, NESTS));
});

test.each(golden.dumps)("a dump reads as ip reads it: $name", ({ datagrams, links, routes }) => {
  const names = new Map(Object.entries(links).map(([name, index]) => [index, name] as const));
  const seen = records(datagrams).map((message) => {
    expect(message.type).toBe(RTM_NEWROUTE);
    return routeAsIpSays(decodeRoute(message.payload)!, names);
  });
  expect(seen).toEqual(routes.map((route) => comparable(route)));
});

const dumped = golden.dumps.flatMap(({ datagrams }) => records(datagrams));

test("what is decoded and encoded again decodes to itself", () => {
  for (const { payload } of dumped) {
    const route = decodeRoute(payload)!;
    const [again] = messages(encodeNewRoute(route));
    expect(decodeRoute(again!.payload)).toEqual(route);
  }
  for (const one of ADDED) {
    const [sent] = messages(encodeNewRoute(one));
    const seen = decodeRoute(sent!.payload)!;
    expect(encodeNewRoute(seen).toHex()).toBe(encodeNewRoute(one).toHex());
  }
});

test("damaged records are undefined or whole, and never throw", () => {
  const prefixes = (
    { destination, source }: Route,
  ): Prefix[] => [destination, source ?? destination];
  const requests = golden.requests.map(({ hex: bytes }) => [...messages(hex(bytes))][0]!);
  for (const { payload } of [...dumped, ...requests]) {
    for (const mutant of mutants(payload)) {
      const it = decodeRoute(mutant);
      if (it === undefined) continue;
      const length = it.family === 4 ? 4 : 16;
      const whole = prefixes(it).every((p) =>
        p.address.length === length && p.length <= 8 * length
      ) && it.nexthops.every(({ gateway }) => !gateway || [4, 16].includes(gateway.length));
      expect(whole).toBeTrue();
      encodeNewRoute(it);
    }
  }
});

test("every route that was added is found in the dump, once", () => {
  const there = dumped.map(({ payload }) => decodeRoute(payload)!);
  for (const wanted of ADDED) {
    const found = there.filter((one) => isRouteAsWanted(one, wanted));
    expect([wanted, found.length]).toEqual([wanted, 1]);
    expect(isSamePlace(found[0]!, wanted)).toBeTrue();
  }
});

test("a route that differs in one thing is another", () => {
  const hop = (rest: Partial<Nexthop>): Partial<Route> => ({
    nexthops: [{ ...on(x0, "192.0.2.9"), ...rest }],
  });
  const base = route("10.0.1.0/24", { ...hop({}), metrics: { mtu: 1400, locked: ["mtu"] } });
  const six = route("2001:db8:1::/48", { nexthops: [on(x0, "fe80::1")] });
  const two = { nexthops: [on(x0, "192.0.2.9"), on(x1, "192.0.2.8", { weight: 2 })] };
  const rows: [Route, Partial<Route>][] = [
    [base, type("local")],
    [base, { destination: prefix("10.0.2.0/24") }],
    [base, { destination: prefix("10.0.1.0/25") }],
    [base, { preferredSource: ip("192.0.2.1") }],
    [base, { tos: 4 }],
    [base, { table: 100 }],
    [base, { protocol: 18 }],
    [base, { scope: LINK }],
    [base, { metric: 1 }],
    [base, { metrics: { mtu: 1401, locked: ["mtu"] } }],
    [base, { metrics: { mtu: 1400 } }],
    [base, { metrics: { mtu: 1400, locked: ["mtu"], congctl: "reno" } }],
    [base, { metrics: {} }],
    [base, { nexthops: [] }],
    [base, two],
    [base, hop({ index: x1 })],
    [base, hop({ gateway: ip("192.0.2.8") })],
    [base, hop({ flags: RTNH_F_ONLINK })],
    [base, hop({ realms: 1 })],
    [base, hop({ encap: { kind: "mpls", labels: [16] } })],
    [{ ...base, ...two }, { nexthops: [two.nexthops[0]!, { ...two.nexthops[1]!, weight: 3 }] }],
    [{ ...base, ...two }, { nexthops: [two.nexthops[0]!, two.nexthops[0]!] }],
    [
      route("10.0.1.0/24", hop({ encap: { kind: "mpls", labels: [16, 17] } })),
      hop({ encap: { kind: "mpls", labels: [16, 18] } }),
    ],
    [six, { source: prefix("2001:db8:2::/48") }],
    [six, { preference: 1 }],
    [six, { expires: 9 }],
    [six, { metric: 1 }],
  ];
  for (const [one, change] of rows) {
    const other = { ...one, ...change };
    expect(isRouteAsWanted(one, one)).toBeTrue();
    expect([change, isRouteAsWanted(other, one)]).toEqual([change, false]);
    expect([change, isRouteAsWanted(one, other)]).toEqual([change, false]);
  }
  const same: [Route, Partial<Route>][] = [
    [base, { metric: 0 }],
    [six, { metric: 1024, tos: 4, scope: LINK }],
    [six, { destination: prefix("2001:db8:1::9/48") }],
    [route(4, { ...type("blackhole"), table: 254 }), { table: 0 }],
    [{ ...base, ...two }, { nexthops: [...two.nexthops].reverse() }],
    [base, hop({ weight: 7, flags: 16 })],
  ];
  for (const [one, change] of same) {
    expect([change, isRouteAsWanted({ ...one, ...change }, one)]).toEqual([change, true]);
  }
});

test("malformed records", () => {
  const head = "02180000 fe030001 00000000";
  const to = "08000100 0a000100";
  const rows: [string, boolean][] = [
    [`${head} ${to}`, true],
    [`02000000 fe030001 00000000`, true], // the default route
    [head, false], // 24 bits of nothing
    [`02210000 fe030001 00000000 ${to}`, false], // a prefix of 33 bits
    [`02182000 fe030001 00000000 ${to}`, false], // 32 bits of source, and none
    [`80180000 fe030001 00000000 ${to}`, false], // RTNL_FAMILY_IPMR
    [`02180000 fe030001 00020000 ${to}`, false], // RTM_F_CLONED
    [`${head} 07000100 0a000100`, false],
    [`${head} ${to} 06000400 01000000`, false], // an index of two bytes
    [`${head} ${to} 0c000900 0800 00 00 02000000`, true],
    [`${head} ${to} 0c000900 0700 00 00 02000000`, false], // a next hop below its own length
    [`${head} ${to} 0c000900 0900 00 00 02000000`, false], // and past the end
    [`${head} ${to} 10000900 0c00 00 00 02000000 05000500`, false], // a short attribute in it
    [`${head} ${to} 0a001200 0200 c0000209`, true],
    [`${head} ${to} 09001200 0200 c0000200 0000`, false], // RTA_VIA, three bytes
    [`${head} ${to} 0a001200 0700 c0000209`, false], // of another family
    [`${head} ${to} 0c000800 08000200 dc050000`, true],
    [`${head} ${to} 0c000800 06000200 dc050000`, false], // an MTU of two bytes
    [`${head} ${to} 06001500 01000000`, false], // MPLS without labels
    [`${head} ${to} 06001500 01000000 0c001680 08000100 00064100`, true],
    [`${head} ${to} 06001500 01000000 0c001680 08000100 00064000`, false], // no last label
    [`${head} ${to} 06001500 01000000 0b001680 07000100 00064100`, false], // half of one
    [`${head} ${to} 06001500 03000000`, false], // ILA without a locator
  ];
  for (const [bytes, good] of rows) {
    expect([bytes, decodeRoute(hex(bytes)) !== undefined]).toEqual([bytes, good]);
  }
});

test("questions", () => {
  const zeros = "00000000 00000000";
  const cases: [Uint8Array, string][] = [
    [encodeDumpRoutes(), `1c000000 1a00 0103 ${zeros} 00000000 00000000 00000000`],
    [
      encodeDumpRoutes({ family: 6, table: 1000, protocol: 18 }),
      `24000000 1a00 0103 ${zeros} 0a000000 00120000 00000000 08000f00 e8030000`,
    ],
    [
      encodeGetRoute(ip("10.0.0.1"), ip("192.0.2.1")),
      `2c000000 1a00 0500 ${zeros} 02202000 00000000 00200000 08000100 0a000001 08000200 c0000201`,
    ],
  ];
  for (const [ours, expected] of cases) expect(ours.toHex()).toBe(expected.replaceAll(" ", ""));
});
