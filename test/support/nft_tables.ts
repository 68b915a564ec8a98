/**
 * Tables of nftables as the commands of `test/golden/netlink/nftables.json` ask for: what keepalived
 * makes for VIPs that accept nothing and for virtual MACs, and marks for IPVS.
 */

import { parseAddress } from "../../src/lib/address.ts";
import {
  type Expression,
  NFT_REG_1,
  NFT_REG_2,
  partRegister,
  type Verdict,
} from "../../src/netlink/nft_expression.ts";
import {
  encodeDeleteChain,
  encodeDeleteElements,
  encodeDeleteNftRules,
  encodeDeleteSet,
  encodeDeleteTable,
  encodeNewChain,
  encodeNewElements,
  encodeNewNftRule,
  encodeNewSet,
  encodeNewTable,
  NFT_SET_CONSTANT,
  NFT_SET_INTERVAL,
  type SetName,
  type Table,
} from "../../src/netlink/nftables.ts";
import { NLM_F_EXCL } from "../../src/netlink/message.ts";

const ip = (text: string): Uint8Array => parseAddress(text)!;
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text.padEnd(16, "\0"));
/** A number as this host has it. */
const host32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const port = (value: number): Uint8Array => Uint8Array.of(value >> 8, value);
const join = (...parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]));

const load = (
  base: "network" | "transport",
  offset: number,
  length: number,
  to = NFT_REG_1,
): Expression => ({ type: "payload", base, offset, length, to });
const meta = (key: Extract<Expression, { type: "meta" }>["key"], to = NFT_REG_1): Expression => ({
  type: "meta",
  key,
  to,
});
const cmp = (data: Uint8Array, operator: "==" | "!=" | ">=" = "=="): Expression => ({
  type: "cmp",
  from: NFT_REG_1,
  operator,
  data,
});
const is = (byte: number): Expression => cmp(Uint8Array.of(byte));
const inSet = (set: string): Expression => ({ type: "lookup", set, from: NFT_REG_1 });
const then = (verdict: Verdict): Expression => ({ type: "verdict", verdict });
const [DROP, ACCEPT] = [then({ type: "drop" }), then({ type: "accept" })];

const SOURCE4 = load("network", 12, 4);
const DESTINATION4 = load("network", 16, 4);
const SOURCE6 = load("network", 8, 16);
const DESTINATION6 = load("network", 24, 16);
const ICMPV6_TYPE = [meta("l4proto"), is(58), load("transport", 0, 1)];
const FROM_VMAC = [meta("oifkind"), cmp(ascii("macvlan"))];
/** Sends a copy by the link below the virtual MAC's instead. */
const BELOW: readonly Expression[] = [
  meta("oif", NFT_REG_2),
  { type: "lookup", set: "vmac_map", from: NFT_REG_2, to: NFT_REG_2 },
  { type: "dup", address: NFT_REG_1, device: NFT_REG_2 },
  DROP,
];
/** fe80::/10 */
const linkLocal = (address: Expression): readonly Expression[] => [
  address,
  {
    type: "bitwise",
    from: NFT_REG_1,
    to: NFT_REG_1,
    mask: ip("ffc0::"),
    xor: new Uint8Array(16),
  },
  cmp(ip("fe80::")),
];

const T4: Table = { family: "ip", name: "keepalived" };
const T6: Table = { family: "ip6", name: "keepalived" };
const TI: Table = { family: "inet", name: "ipvs" };
const set = (table: Table, name: string): SetName => ({ table, name });
const rule = (table: Table, chain: string, ...expressions: readonly Expression[]): Uint8Array =>
  encodeNewNftRule({ table, chain, expressions });
const hooked = (
  table: Table,
  name: string,
  point: "input" | "output" | "prerouting",
  priority = -1,
  policy: "accept" | "drop" = "accept",
): Uint8Array => encodeNewChain({ table, name, hook: { point, priority, policy } });

/** Indices of the links that the tables name. */
export type LinkIndices = Readonly<Record<"eth0" | "vrrp.4" | "vrrp.6", number>>;

/** Every change of the golden in its order, those from the first refused one on included. */
export function someChanges(links: LinkIndices): readonly (readonly Uint8Array[])[] {
  const [eth0, vrrp4, vrrp6] = [links.eth0, links["vrrp.4"], links["vrrp.6"]].map(host32);
  const one = (bytes: Uint8Array): Uint8Array[] => [bytes];
  return [...tables4(eth0!, vrrp4!), ...tables6(eth0!, vrrp6!), ...tablesInet().map(one)].map((
    it,
  ) => it instanceof Uint8Array ? [it] : it);
}

function tables4(eth0: Uint8Array, vrrp4: Uint8Array): (Uint8Array | Uint8Array[])[] {
  const vips = set(T4, "vips");
  const vmacs = set(T4, "vmac_map");
  return [
    encodeNewTable(T4),
    encodeNewSet({ ...vmacs, id: 1, key: ["iface_index"], data: "iface_index" }),
    encodeNewElements(vmacs, [{ key: vrrp4, data: eth0 }]),
    encodeNewSet({ ...vips, id: 1, key: ["ipv4_addr"] }),
    encodeNewElements(vips, [{ key: ip("10.0.0.100") }, { key: ip("10.0.0.101") }]),
    hooked(T4, "out", "output"),
    hooked(T4, "in", "input"),
    rule(T4, "out", load("network", 9, 1), is(2), ...FROM_VMAC, DESTINATION4, ...BELOW),
    rule(T4, "out", SOURCE4, inSet("vips"), DROP),
    rule(T4, "in", DESTINATION4, inSet("vips"), DROP),
  ];
}

function tables6(eth0: Uint8Array, vrrp6: Uint8Array): (Uint8Array | Uint8Array[])[] {
  const named = (name: string): SetName => set(T6, name);
  const [MLD2_REPORT, ROUTER_SOLICIT] = [143, 133];
  return [
    encodeNewTable(T6),
    encodeNewSet({ ...named("vmac_map"), id: 1, key: ["iface_index"], data: "iface_index" }),
    encodeNewSet({ ...named("vmac_set"), id: 1, key: ["iface_index"] }),
    encodeNewSet({ ...named("vips"), id: 1, key: ["ipv6_addr"] }),
    encodeNewSet({
      ...named("neighbor-discovery"),
      id: 1,
      key: ["icmpv6_type"],
      flags: NFT_SET_CONSTANT,
    }),
    encodeNewSet({ ...named("vips_link_local"), id: 1, key: ["ipv6_addr", "iface_index"] }),
    encodeNewElements(named("vmac_map"), [{ key: vrrp6, data: eth0 }]),
    encodeNewElements(named("vmac_set"), [{ key: vrrp6 }]),
    encodeNewElements(named("vips"), [{ key: ip("fd00::200") }]),
    encodeNewElements(
      named("neighbor-discovery"),
      [135, 136].map((type) => ({
        key: Uint8Array.of(type),
      })),
    ),
    encodeNewElements(named("vips_link_local"), [{ key: join(ip("fe80::100"), vrrp6) }]),
    encodeNewChain(named("in_link_local")),
    encodeNewChain(named("out_link_local")),
    hooked(T6, "out", "output"),
    hooked(T6, "in", "input", -1, "drop"),
    rule(T6, "out", ...ICMPV6_TYPE, is(MLD2_REPORT), ...FROM_VMAC, DESTINATION6, ...BELOW),
    rule(
      T6,
      "out",
      ...ICMPV6_TYPE,
      is(ROUTER_SOLICIT),
      ...FROM_VMAC,
      meta("oif"),
      inSet("vmac_set"),
      DROP,
    ),
    rule(T6, "out", ...ICMPV6_TYPE, inSet("neighbor-discovery"), ACCEPT),
    rule(T6, "out", ...linkLocal(SOURCE6), then({ type: "goto", chain: "out_link_local" })),
    rule(T6, "out", SOURCE6, inSet("vips"), DROP),
    rule(T6, "in", ...ICMPV6_TYPE, inSet("neighbor-discovery"), ACCEPT),
    rule(T6, "in", ...linkLocal(DESTINATION6), then({ type: "goto", chain: "in_link_local" })),
    rule(T6, "in", DESTINATION6, inSet("vips"), DROP),
    rule(T6, "in_link_local", DESTINATION6, meta("iif", NFT_REG_2), inSet("vips_link_local"), DROP),
    rule(T6, "out_link_local", SOURCE6, meta("oif", NFT_REG_2), inSet("vips_link_local"), DROP),
  ];
}

function tablesInet(): Uint8Array[] {
  const [TCP, UDP] = [6, 17];
  const [NFPROTO_IPV4, NFPROTO_IPV6] = [2, 10];
  const DPORT = load("transport", 2, 2);
  const tcp4 = set(TI, "tcp4");
  const one80 = { key: join(ip("192.0.2.1"), port(80), port(0)), data: host32(1000) };
  const toMark: Expression = { type: "set meta", key: "mark", from: NFT_REG_1 };
  const byMark: Expression = { type: "lookup", set: "where", from: NFT_REG_1, to: "verdict" };
  return [
    encodeNewTable(TI),
    encodeNewSet({ ...tcp4, id: 1, key: ["ipv4_addr", "inet_service"], data: "mark" }),
    encodeNewSet({
      ...set(TI, "ports"),
      id: 1,
      key: ["inet_service"],
      data: "mark",
      flags: NFT_SET_INTERVAL,
    }),
    encodeNewSet({
      ...set(TI, "ranges"),
      id: 1,
      key: ["ipv4_addr", "inet_service"],
      data: "mark",
      flags: NFT_SET_INTERVAL,
    }),
    encodeNewSet({ ...set(TI, "where"), id: 1, key: ["mark"], data: "verdict" }),
    hooked(TI, "pre", "prerouting", -150),
    encodeNewChain(set(TI, "more")),
    ...encodeNewElements(tcp4, [
      one80,
      { key: join(ip("192.0.2.2"), port(443), port(0)), data: host32(1001) },
    ]),
    ...encodeNewElements(set(TI, "ports"), [
      { key: port(0), isEnd: true },
      { key: port(80), data: host32(1002) },
      { key: port(90), isEnd: true },
    ]),
    ...encodeNewElements(set(TI, "ranges"), [
      { ...one80, lastKey: one80.key },
      {
        key: join(ip("192.0.2.8"), port(0), port(0)),
        lastKey: join(ip("192.0.2.15"), port(0xffff), port(0)),
        data: host32(1001),
      },
    ]),
    ...encodeNewElements(set(TI, "where"), [
      { key: host32(5), data: { type: "drop" } },
      { key: host32(6), data: { type: "accept" } },
      { key: host32(7), data: { type: "jump", chain: "more" } },
    ]),
    rule(
      TI,
      "pre",
      ...[meta("nfproto"), is(NFPROTO_IPV4), meta("l4proto"), is(TCP)],
      { type: "counter" },
      DESTINATION4,
      load("transport", 2, 2, partRegister(4)),
      { type: "lookup", set: "tcp4", from: NFT_REG_1, to: NFT_REG_1 },
      toMark,
    ),
    rule(
      TI,
      "pre",
      ...[meta("l4proto"), is(UDP), DPORT, cmp(port(53), "!=")],
      ...[meta("nfproto"), is(NFPROTO_IPV4), SOURCE4],
      {
        type: "bitwise",
        from: NFT_REG_1,
        to: NFT_REG_1,
        mask: ip("255.0.0.1"),
        xor: new Uint8Array(4),
      },
      cmp(ip("10.0.0.1")),
      then({ type: "jump", chain: "more" }),
    ),
    rule(
      TI,
      "more",
      ...[meta("mark"), cmp(host32(1000)), meta("iifname"), cmp(ascii("eth0"))],
      { type: "counter", packets: 3n, bytes: 400n },
      then({ type: "return" }),
    ),
    rule(
      TI,
      "more",
      ...[meta("l4proto"), is(TCP), DPORT, cmp(port(1024), ">=")],
      { type: "immediate", to: NFT_REG_1, data: host32(7) },
      toMark,
    ),
    rule(TI, "pre", meta("iifname"), cmp(ascii("eth1"), "!="), meta("mark"), byMark),
    // From here on the golden has refusals, too.
    rule(TI, "more", meta("mark"), byMark),
    ...encodeNewElements(tcp4, [one80]),
    ...encodeNewElements(tcp4, [one80], NLM_F_EXCL),
    encodeNewTable(T4, NLM_F_EXCL),
    rule(
      TI,
      "more",
      ...[meta("mark"), cmp(host32(9), "!="), meta("oif"), cmp(host32(1))],
      ...[meta("nfproto"), is(NFPROTO_IPV6), SOURCE6],
      {
        type: "bitwise",
        from: NFT_REG_1,
        to: NFT_REG_1,
        mask: ip("e000::"),
        xor: new Uint8Array(16),
      },
      cmp(ip("::")),
      ACCEPT,
    ),
    encodeDeleteNftRules(TI, "pre", 6n),
    ...encodeDeleteElements(set(T4, "vips"), [{ key: ip("10.0.0.100") }]),
    encodeDeleteNftRules(T6, "in"),
    encodeDeleteTable(TI),
    encodeDeleteSet(set(T4, "nothing")),
    encodeDeleteChain(set(T6, "in")),
    ...encodeDeleteElements(set(T4, "vips"), [{ key: ip("10.0.0.1") }]),
  ];
}
