/** Routes of every kind that there is, as the commands of `test/golden/netlink/routes.json` ask for. */

import { type Address, type Family, parseAddress } from "../../src/lib/address.ts";
import type { Prefix } from "../../src/netlink/family.ts";
import { type Nexthop, type Route, ROUTE_TYPES, RTNH_F_ONLINK } from "../../src/netlink/route.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));
const ip = (text: string): Address => parseAddress(text)!;

/** A prefix in text; without a length it is one address. */
export function prefix(text: string): Prefix {
  const [address, length] = text.split("/");
  const bytes = ip(address!);
  return { address: bytes, length: length === undefined ? 8 * bytes.length : Number(length) };
}

const ANY: Readonly<Record<Family, string>> = { 4: "0.0.0.0/0", 6: "::/0" };
const BOOT = 3;
/** RT_SCOPE_LINK. */
export const LINK = 253;
const HOST = 254;
const LOW = 3;

/** A route as iproute2 fills it in: protocol boot, table main, unicast. */
export function route(destination: string | Family, rest: Partial<Route> = {}): Route {
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

/** Through a gateway, wherever it is. */
export const via = (gateway: string, rest: Nexthop = {}): Nexthop => ({
  gateway: ip(gateway),
  ...rest,
});
/** Out of a link. */
export const on = (index: number, gateway?: string, rest: Nexthop = {}): Nexthop => ({
  index,
  ...(gateway === undefined ? {} : { gateway: ip(gateway) }),
  ...rest,
});
/** A type by its word. */
export const type = (name: string): Pick<Route, "type"> => ({ type: ROUTE_TYPES[name]! });

/** The routes of the golden's commands, in their order; `x0` and `x1` are indices of links. */
export function someRoutes(x0: number, x1: number): readonly Route[] {
  return [
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
}
