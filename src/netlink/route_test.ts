/** Routes as a real kernel described them, and requests as iproute2 sent them. */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/routes.json";
import { sortedMessage } from "../../test/support/attributes.ts";
import { comparable, routeAsIpSays } from "../../test/support/ip_route.ts";
import { mutants } from "../../test/support/mutants.ts";
import { type Address, type Family, parseAddress } from "../lib/address.ts";
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
  ROUTE_TYPES,
  RTM_NEWROUTE,
  RTNH_F_ONLINK,
} from "./route.ts";
import { isRouteAsWanted, isSamePlace } from "./route_match.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const ip = (text: string): Address => parseAddress(text)!;
const records = (datagrams: readonly string[]): Message[] =>
  datagrams.flatMap((datagram) => [...messages(hex(datagram))])
    .filter((message) => message.type !== NLMSG_DONE);

function prefix(text: string): Prefix {
  const [address, length] = text.split("/");
  const bytes = ip(address!);
  return { address: bytes, length: length === undefined ? 8 * bytes.length : Number(length) };
}

const { x0, x1 } = golden.links;
const ANY: Readonly<Record<Family, string>> = { 4: "0.0.0.0/0", 6: "::/0" };
const BOOT = 3;
const LINK = 253;
const HOST = 254;
const LOW = 3;

/** A route as iproute2 fills it in: protocol boot, table main, unicast. */
function route(destination: string | Family, rest: Partial<Route> = {}): Route {
  const to = prefix(typeof destination === "number" ? ANY[destination] : destination);
  return {
    family: to.address.length === 4 ? 4 : 6,
    type: ROUTE_TYPES["unicast"]!,
    destination: to,
    tos: 0,
    table: 254,
    protocol: BOOT,
    scope: 0,
    nexthops: [],
    ...rest,
  };
}

const via = (gateway: string, rest: Nexthop = {}): Nexthop => ({ gateway: ip(gateway), ...rest });
const on = (index: number, gateway?: string, rest: Nexthop = {}): Nexthop => ({
  index,
  ...(gateway === undefined ? {} : { gateway: ip(gateway) }),
  ...rest,
});
const type = (name: string): Pick<Route, "type"> => ({ type: ROUTE_TYPES[name]! });

/** The routes of the golden's commands, in their order. */
const ADDED: readonly Route[] = [
  route("10.0.1.0/24", { nexthops: [via("192.0.2.9")] }),
  route(4, {
    nexthops: [on(x0, "192.0.2.9")],
    preferredSource: ip("192.0.2.1"),
    metric: 77,
    protocol: 18,
  }),
  route("10.0.2.0/24", { nexthops: [on(x0)], table: 1000, protocol: 18, scope: LINK, tos: 16 }),
  route("10.0.2.0/24", { nexthops: [on(x1)], table: 1000, protocol: 18, scope: LINK, tos: 16 }),
  route("10.0.2.0/24", { nexthops: [via("198.51.100.9")], table: 1000, protocol: 18, tos: 16 }),
  route("10.0.3.0/24", { nexthops: [on(x0, "203.0.113.9", { flags: RTNH_F_ONLINK })] }),
  route("10.0.4.0/24", { nexthops: [on(x0, "2001:db8::9")] }),
  route("10.0.5.0/24", type("blackhole")),
  route("10.0.5.0/24", { ...type("unreachable"), metric: 5 }),
  route("10.0.5.0/24", { ...type("prohibit"), metric: 6, table: 42 }),
  route("10.0.5.0/24", { ...type("throw"), metric: 7, table: 42 }),
  route("10.0.6.0/24", { ...type("local"), nexthops: [on(x0)], table: 255, scope: HOST }),
  route("239.0.0.0/8", { ...type("multicast"), nexthops: [on(x0)], scope: LINK }),
  route("10.0.6.255", { ...type("broadcast"), nexthops: [on(x0)], scope: LINK, table: 42 }),
  route("10.0.7.0/24", {
    nexthops: [via("192.0.2.9")],
    metrics: {
      mtu: 1400,
      window: 30000,
      rtt: 80,
      rttvar: 20,
      ssthresh: 20,
      cwnd: 30,
      advmss: 1300,
      reordering: 8,
      hoplimit: 12,
      initcwnd: 11,
      features: 1,
      rtoMin: 300,
      initrwnd: 13,
      quickack: 1,
      fastopenNoCookie: 1,
      congctl: "reno",
      locked: ["mtu", "rtt", "ssthresh", "cwnd", "reordering", "rtoMin", "congctl"],
    },
  }),
  route("10.0.8.0/24", {
    nexthops: [via("192.0.2.9")],
    metrics: { mtu: 66000, advmss: 70000, congctl: "cubic" },
  }),
  route("10.0.9.0/24", { nexthops: [via("192.0.2.9", { realms: 3 << 16 | 4 })] }),
  route("10.0.10.0/24", {
    protocol: 18,
    nexthops: [
      on(x0, "192.0.2.9", { weight: 3 }),
      on(x1, "198.51.100.9", { weight: 256, flags: RTNH_F_ONLINK, realms: 5 }),
      on(x0, "2001:db8::9"),
    ],
  }),
  route("10.0.11.0/24", {
    nexthops: [
      on(x0, "192.0.2.9", {
        encap: {
          kind: "ip",
          id: 7n,
          destination: ip("10.1.1.1"),
          source: ip("10.1.1.2"),
          ttl: 9,
          tos: 4,
        },
      }),
      via("198.51.100.9"),
    ],
  }),
  route("10.0.12.0/24", {
    scope: LINK,
    nexthops: [on(x0, undefined, {
      encap: { kind: "ip", id: 9n, destination: ip("10.1.1.1") },
    })],
  }),
  route("10.0.13.0/24", {
    scope: LINK,
    nexthops: [on(x0, undefined, {
      encap: {
        kind: "ip6",
        id: 2n ** 64n - 1n,
        destination: ip("2001:db8::5"),
        source: ip("2001:db8::6"),
        ttl: 60,
        tos: 8,
      },
    })],
  }),
  route("10.0.14.0/24", {
    nexthops: [
      via("192.0.2.9", { encap: { kind: "mpls", labels: [100, 200, 1048575], ttl: 30 } }),
    ],
  }),
  route("10.0.15.0/24", {
    nexthops: [via("192.0.2.9", { encap: { kind: "mpls", labels: [16] } })],
  }),
  route("10.0.16.0/24", { nexthops: [via("192.0.2.9")], ttlPropagate: true }),
  route("2001:db8:10::/48", { nexthops: [via("2001:db8::9")] }),
  route(6, { nexthops: [on(x0, "fe80::9")], metric: 55, protocol: 18, preference: 1 }),
  route("2001:db8:11::/48", {
    nexthops: [via("2001:db8::9")],
    preference: LOW,
    expires: 1000,
    metrics: { mtu: 1300, hoplimit: 9 },
    preferredSource: ip("2001:db8::1"),
  }),
  route("2001:db8:12::/48", {
    source: prefix("2001:db8:99::/48"),
    nexthops: [via("2001:db8::9")],
    table: 1000,
  }),
  route("2001:db8:13::/48", type("blackhole")),
  route("2001:db8:13::/48", { ...type("unreachable"), metric: 5 }),
  route("2001:db8:13::/48", { ...type("prohibit"), metric: 6, table: 42 }),
  route("2001:db8:13::/48", { ...type("throw"), metric: 7, table: 42 }),
  route("2001:db8:14::/48", { ...type("local"), nexthops: [on(x0)], table: 255 }),
  route("ff05::/16", { ...type("multicast"), nexthops: [on(x0)], table: 42 }),
  route("2001:db8:15::/48", {
    protocol: 18,
    nexthops: [
      on(x0, "2001:db8::9", { weight: 3 }),
      on(x1, "2001:db8:1::9", { weight: 200 }),
      on(x1, "fe80::7", { flags: RTNH_F_ONLINK }),
    ],
  }),
  route("2001:db8:16::/48", {
    nexthops: [on(x0, undefined, {
      encap: { kind: "ip6", id: 3n, destination: ip("2001:db8::5") },
    })],
  }),
  route("2001:db8:17::/48", {
    nexthops: [via("2001:db8::9", {
      encap: {
        kind: "ila",
        locator: hex("0001000200030004"),
        checksumMode: 1,
        identifierType: 1,
        hookType: 0,
      },
    })],
  }),
  route("2001:db8:18::/48", {
    nexthops: [on(x0, undefined, {
      encap: {
        kind: "other",
        number: 5,
        // SEG6_IPTUNNEL_SRH: the mode, a routing header (RFC 8754 §2), the segments backwards
        attributes: hex(
          "30000100 01000000 00040401 01000000" +
            "20010db8 00000000 00000000 00000006 20010db8 00000000 00000000 00000005",
        ),
      },
    })],
  }),
  route("2001:db8:19::/48", {
    nexthops: [via("2001:db8::9", { encap: { kind: "mpls", labels: [300] } })],
  }),
  route("2001:db8:1a::/48", {
    nexthops: [on(x0, "2001:db8::9", { flags: RTNH_F_ONLINK })],
    metrics: { advmss: 1200, features: 1, congctl: "reno", locked: ["congctl"] },
  }),
];

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
