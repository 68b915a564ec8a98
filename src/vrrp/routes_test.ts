/** Lines of virtual_routes and virtual_rules, as read, become what the kernel is asked for. */

import { describe, expect, test } from "bun:test";
import { on, prefix, route, via } from "../../test/support/routes.ts";
import { lookup, rule } from "../../test/support/rules.ts";
import type { Route as WantedRoute, Rule as WantedRule } from "../config/route.ts";
import { parseAddress } from "../lib/address.ts";
import type { Link } from "../netlink/link.ts";
import { encodeNewRoute, type Route, RTNH_F_ONLINK } from "../netlink/route.ts";
import { encodeNewRule, type Rule } from "../netlink/rule.ts";
import {
  changedItems,
  describeItem,
  isRouteThere,
  type Item,
  itemsOf,
  kernelRoute,
  kernelRule,
  linksOf,
  missingLink,
  routeModifiers,
} from "./routes.ts";

const ETH0 = 2;
const ETH1 = 3;
const KEEPALIVED = 18;

/** eth0, eth1 and a VRF with table 500. */
function linkOf(name: string): Link | undefined {
  const known: Readonly<Record<string, Partial<Link>>> = {
    eth0: { index: ETH0 },
    eth1: { index: ETH1 },
    red: { index: 9, vrfTable: 500 },
  };
  const found = known[name];
  return found === undefined ? undefined : { name, up: true, running: true, ...found } as Link;
}

const GATEWAY = { family: 4, address: "192.0.2.9" } as const;

function wanted(to: string, rest: Partial<WantedRoute> = {}): WantedRoute {
  return { family: to.includes(":") ? 6 : 4, to, no_track: false, ...rest };
}

function ours(to: string | 4 | 6, rest: Partial<Route> = {}): Route {
  return route(to, { protocol: KEEPALIVED, ...rest });
}

const ROUTES: readonly (readonly [string, WantedRoute, Route])[] = [
  [
    "through a gateway on a link",
    wanted("10.1.0.0/16", { via: GATEWAY, dev: "eth0" }),
    ours("10.1.0.0/16", { nexthops: [on(ETH0, "192.0.2.9")] }),
  ],
  [
    "on the link itself: scope global, as keepalived",
    wanted("10.1.0.0/16", { dev: "eth1" }),
    ours("10.1.0.0/16", { scope: 0, nexthops: [on(ETH1)] }),
  ],
  [
    "the default route",
    wanted("default", { via: GATEWAY, dev: "eth0", metric: 7 }),
    ours(4, {
      metric: 7,
      nexthops: [on(ETH0, "192.0.2.9")],
    }),
  ],
  [
    "the default route of IPv6",
    { ...wanted("default", { dev: "eth0", pref: 1, expires: 90_000_000 }), family: 6 },
    ours(6, { preference: 1, expires: 90, nexthops: [on(ETH0)] }),
  ],
  ["nowhere", wanted("10.1.0.0/16", { type: "blackhole" }), ours("10.1.0.0/16", { type: 6 })],
  [
    "a local one needs scope host",
    wanted("10.1.0.1/32", { type: "local", dev: "eth0" }),
    ours("10.1.0.1/32", { type: 2, scope: 254, nexthops: [on(ETH0)] }),
  ],
  [
    "scope, TOS, table, source address",
    wanted("10.1.0.0/16", { dev: "eth0", scope: 253, tos: 16, table: 1000, src: "192.0.2.1" }),
    ours("10.1.0.0/16", {
      scope: 253,
      tos: 16,
      table: 1000,
      preferredSource: parseAddress("192.0.2.1")!,
      nexthops: [on(ETH0)],
    }),
  ],
  [
    "another protocol does not count while it is tracked",
    wanted("10.1.0.0/16", { via: GATEWAY, protocol: 77 }),
    ours("10.1.0.0/16", { nexthops: [via("192.0.2.9")] }),
  ],
  [
    "and does when it is not",
    wanted("10.1.0.0/16", { via: GATEWAY, protocol: 77, no_track: true }),
    ours("10.1.0.0/16", { protocol: 77, nexthops: [via("192.0.2.9")] }),
  ],
  [
    "not tracked, without a protocol",
    wanted("10.1.0.0/16", { via: GATEWAY, no_track: true }),
    ours("10.1.0.0/16", { nexthops: [via("192.0.2.9")] }),
  ],
  [
    "the table of a VRF",
    wanted("10.1.0.0/16", { dev: "eth0", vrf: "red" }),
    ours("10.1.0.0/16", { table: 500, nexthops: [on(ETH0)] }),
  ],
  [
    "a table that is named wins over the VRF's",
    wanted("10.1.0.0/16", { dev: "eth0", vrf: "red", table: 7 }),
    ours("10.1.0.0/16", { table: 7, nexthops: [on(ETH0)] }),
  ],
  [
    "several ways",
    wanted("10.1.0.0/16", {
      nexthops: [{ via: GATEWAY, dev: "eth0", weight: 5, onlink: true }, {
        dev: "eth1",
        realms: 4,
      }],
    }),
    ours("10.1.0.0/16", {
      nexthops: [
        on(ETH0, "192.0.2.9", { weight: 5, flags: RTNH_F_ONLINK }),
        on(ETH1, undefined, { realms: 4 }),
      ],
    }),
  ],
  [
    "metrics",
    wanted("10.1.0.0/16", {
      dev: "eth0",
      metrics: { mtu: 1400, rto_min: 50, fastopen_no_cookie: 1, advmss: 1300 },
      locked: ["advmss", "congctl"],
      congctl: "reno",
      ecn: true,
    }),
    ours("10.1.0.0/16", {
      nexthops: [on(ETH0)],
      metrics: {
        mtu: 1400,
        rtoMin: 50,
        fastopenNoCookie: 1,
        advmss: 1300,
        congctl: "reno",
        features: 1,
        locked: ["advmss", "congctl"],
      },
    }),
  ],
  [
    "from a prefix, with labels",
    wanted("fd01::/48", {
      from: "fd00::/64",
      dev: "eth0",
      encap: { type: "mpls", labels: [16, 17] },
      ttl_propagate: false,
    }),
    ours("fd01::/48", {
      source: prefix("fd00::/64"),
      ttlPropagate: false,
      nexthops: [on(ETH0, undefined, { encap: { kind: "mpls", labels: [16, 17] } })],
    }),
  ],
  [
    "through a tunnel",
    wanted("10.1.0.0/16", {
      dev: "eth0",
      encap: { type: "ip6", id: "18446744073709551615", dst: "fd00::5", hoplimit: 9, tos: 8 },
    }),
    ours("10.1.0.0/16", {
      nexthops: [on(ETH0, undefined, {
        encap: {
          kind: "ip6",
          id: 2n ** 64n - 1n,
          destination: parseAddress("fd00::5")!,
          ttl: 9,
          tos: 8,
        },
      })],
    }),
  ],
  [
    "ILA",
    wanted("fd01::/48", { dev: "eth0", encap: { type: "ila", locator: "1:20:300:abcd" } }),
    ours("fd01::/48", {
      nexthops: [on(ETH0, undefined, {
        encap: { kind: "ila", locator: Uint8Array.fromHex("000100200300abcd") },
      })],
    }),
  ],
];

describe("routes", () => {
  for (const [title, spec, expected] of ROUTES) {
    test(title, () => {
      const found = kernelRoute(spec, linkOf)!;
      expect(found).toEqual(expected);
      expect(encodeNewRoute(found)).toEqual(encodeNewRoute(expected));
    });
  }

  test("a link that is not there", () => {
    const spec = wanted("10.1.0.0/16", { nexthops: [{ dev: "eth0" }, { dev: "eth7" }] });
    expect(kernelRoute(spec, linkOf)).toBeUndefined();
    expect(missingLink({ kind: "route", spec }, linkOf)).toBe("eth7");
    const inVrf = wanted("10.1.0.0/16", { dev: "eth0", vrf: "blue" });
    expect(missingLink({ kind: "route", spec: inVrf }, linkOf)).toBe("blue");
    expect(linksOf({ kind: "route", spec })).toEqual(["eth0", "eth7"]);
  });

  test("before, instead of or behind equal ones (NLM_F_CREATE, EXCL, APPEND)", () => {
    expect(
      [{}, { order: "add" }, { order: "append" }].map((one) => routeModifiers(one as WantedRoute)),
    )
      .toEqual([0x400, 0x600, 0xc00]);
  });
});

const RULES: readonly (readonly [string, Partial<WantedRule>, Rule])[] = [
  [
    "a table",
    { from: "10.1.0.0/16" },
    rule(4, lookup(100), {
      from: prefix("10.1.0.0/16"),
      priority: 1000,
      protocol: KEEPALIVED,
    }),
  ],
  ["not tracked: nobody's protocol", { no_track: true }, rule(4, lookup(100), { priority: 1000 })],
  [
    "or the one it names",
    { no_track: true, protocol: 99 },
    rule(4, lookup(100), {
      priority: 1000,
      protocol: 99,
    }),
  ],
  [
    "all there is to tell packets by",
    {
      family: 6,
      not: true,
      to: "fd01::/48",
      iif: "eth7",
      oif: "eth0",
      tos: 16,
      fwmark: 7,
      tunnel_id: "5",
      uidrange: { start: 5, end: 9 },
      ipproto: 6,
      sport: { start: 1, end: 2 },
      dport: { start: 3, end: 3 },
      protocol: 99,
    },
    rule(6, lookup(100), {
      invert: true,
      to: prefix("fd01::/48"),
      iif: "eth7",
      oif: "eth0",
      tos: 16,
      fwmark: { mark: 7, mask: 0xffff_ffff },
      tunnelId: 5n,
      uidRange: { first: 5, last: 9 },
      ipProto: 6,
      sport: { first: 1, last: 2 },
      dport: { first: 3, last: 3 },
      priority: 1000,
      protocol: KEEPALIVED,
    }),
  ],
  [
    "what a table may be asked for",
    { fwmark: 7, fwmask: 15, realms: 3, suppress_prefixlength: 0, suppress_ifgroup: 5 },
    rule(
      4,
      { ...lookup(100), realms: 3, suppressPrefixLength: 0, suppressGroup: 5 } as Rule["action"],
      {
        fwmark: { mark: 7, mask: 15 },
        priority: 1000,
        protocol: KEEPALIVED,
      },
    ),
  ],
  [
    "on to another rule",
    { action: { type: "goto", target: 2000 } },
    rule(4, {
      type: "goto",
      priority: 2000,
    }, { priority: 1000, protocol: KEEPALIVED }),
  ],
  ...(["nop", "blackhole", "unreachable", "prohibit", "l3mdev"] as const).map((type) =>
    [
      type,
      { action: { type } },
      rule(4, { type }, {
        priority: 1000,
        protocol: KEEPALIVED,
      }),
    ] as const
  ),
];

function wantedRule(rest: Partial<WantedRule> = {}): WantedRule {
  const action = { type: "table", table: 100 } as const;
  return { family: 4, action, priority: 1000, not: false, no_track: false, ...rest };
}

describe("rules", () => {
  for (const [title, rest, expected] of RULES) {
    test(title, () => {
      const found = kernelRule(wantedRule(rest));
      expect(found).toEqual(expected);
      expect(encodeNewRule(found)).toEqual(encodeNewRule(expected));
    });
  }

  test("a link need not be there", () => {
    const spec = wantedRule({ iif: "eth7" });
    expect(missingLink({ kind: "rule", spec }, linkOf)).toBeUndefined();
  });
});

test("IPv6 joins routes: ours is there when all its ways are among those of one", () => {
  const mine = ours("fd01::/48", { nexthops: [on(ETH0, "fe80::9")] });
  const joined = route("fd01::/48", {
    nexthops: [on(ETH0, "fe80::8", { weight: 1 }), on(ETH0, "fe80::9", { weight: 1 })],
  });
  expect(isRouteThere(joined, mine)).toBe(true);
  expect(isRouteThere(mine, mine)).toBe(true);
  const elsewhere = [
    { ...joined, metric: 5 },
    { ...joined, destination: prefix("fd02::/48") },
    { ...joined, nexthops: [on(ETH0, "fe80::8"), on(ETH1, "fe80::9")] },
  ];
  for (const there of elsewhere) expect(isRouteThere(there, mine)).toBe(false);
  const inV4 = route("10.1.0.0/16", { nexthops: [via("192.0.2.8"), via("192.0.2.9")] });
  expect(isRouteThere(inV4, ours("10.1.0.0/16", { nexthops: [via("192.0.2.9")] }))).toBe(false);
});

test("routes come before rules, and a reload tells what is different", () => {
  const [first, second] = [wanted("10.1.0.0/16"), wanted("10.2.0.0/16")];
  const before = itemsOf({ virtual_routes: [first], virtual_rules: [wantedRule()] });
  const after = itemsOf({ virtual_routes: [second, { ...first }], virtual_rules: [] });
  expect(before.map(({ kind }) => kind)).toEqual(["route", "rule"]);
  const { removed, added } = changedItems(before, after);
  expect(removed).toEqual([{ kind: "rule", spec: wantedRule() }]);
  expect(added).toEqual([{ kind: "route", spec: second }]);
  expect(itemsOf({})).toEqual([]);
});

test("items in words", () => {
  const items: readonly (readonly [string, Item])[] = [
    ["route 10.1.0.0/16 via 192.0.2.9 dev eth0 table 5 metric 0", {
      kind: "route",
      spec: wanted("10.1.0.0/16", { via: GATEWAY, dev: "eth0", table: 5, metric: 0 }),
    }],
    ["route blackhole default", {
      kind: "route",
      spec: wanted("default", { type: "blackhole" }),
    }],
    ["route 10.1.0.0/16 via 192.0.2.9 dev eth1", {
      kind: "route",
      spec: wanted("10.1.0.0/16", { nexthops: [{ via: GATEWAY }, { dev: "eth1" }] }),
    }],
    ["rule priority 1000 from 10.1.0.0/16 iif eth0 table 100", {
      kind: "rule",
      spec: wantedRule({ from: "10.1.0.0/16", iif: "eth0" }),
    }],
    ["rule priority 1000 goto 7", {
      kind: "rule",
      spec: wantedRule({ action: { type: "goto", target: 7 } }),
    }],
  ];
  for (const [text, item] of items) expect(describeItem(item)).toBe(text);
});
