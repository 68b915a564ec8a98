/**
 * The tables of nftables that go with virtual routers, one for each family: what they are to hold, as the
 * messages that make it so. They have two duties.
 *
 * Reports of group membership leave a host by every link, which would teach switches that the virtual MAC
 * address is behind a BACKUP's port: those of VMACs are sent by the link below instead. And addresses that
 * accept nothing (RFC 9568 §6.1, Accept_Mode) neither receive nor send, but for neighbour discovery.
 */

import type { Address, Family } from "../lib/address.ts";
import {
  type Element,
  encodeDeleteElements,
  encodeDeleteTable,
  encodeNewElements,
  NFT_SET_CONSTANT,
  type SetName,
  type Table,
} from "../netlink/nftables.ts";
import {
  DESTINATION4,
  DESTINATION6,
  host32,
  is,
  load,
  loadMeta,
  TableBuilder,
} from "../netlink/nft_table.ts";
import { type Expression, NFT_REG_1, NFT_REG_2, type Verdict } from "../netlink/nft_expression.ts";
import { isLinkLocal } from "./links.ts";

const TABLE_NAME = "keepalived";
const PRIORITY = -1;

const IPPROTO_IGMP = 2;
const IPPROTO_ICMPV6 = 58;
/** Types of ICMPv6 (RFC 4861 §4, RFC 3810 §5.2). */
const ROUTER_SOLICITATION = 133;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const MLD2_REPORT = 143;
/** As the kernel calls the kind of a link: 16 bytes. */
const KIND_LENGTH = 16;

/** What the configuration says of the tables. */
export interface FirewallOptions {
  readonly nftables?: string;
  readonly nftables_priority?: number;
  readonly nftables_counters?: boolean;
}

/** A VMAC and the link below, by their indexes. */
export interface GuardedVmac {
  readonly index: number;
  readonly base: number;
}

/** An address that accepts nothing; link-local ones mean something on one link only. */
export interface GuardedAddress {
  readonly address: Address;
  /** The index of its link. */
  readonly index: number;
}

/** What the table of one family is made of; a change of it makes the table anew. */
export interface Structure {
  readonly family: Family;
  readonly options: FirewallOptions;
  readonly guardsVmacs: boolean;
  /** Whether some address may come to accept nothing. */
  readonly guardsAddresses: boolean;
}

/** What is in the sets of a table. */
export interface Members {
  readonly vmacs: readonly GuardedVmac[];
  readonly addresses: readonly GuardedAddress[];
}

/** Whether a table would be empty: there is none then. */
export function isIdle({ guardsVmacs, guardsAddresses }: Structure): boolean {
  return !guardsVmacs && !guardsAddresses;
}

/** The table of a family. */
export function tableOf({ family, options }: Structure): Table {
  return { family: family === 4 ? "ip" : "ip6", name: options.nftables ?? TABLE_NAME };
}

/** Makes a table, in place of one that may be there unless `isNew`, see {@link TableBuilder.messages}. */
export function makeTable(structure: Structure, members: Members, isNew = false): Uint8Array[] {
  const { nftables_priority: priority = PRIORITY, nftables_counters: counters = false } =
    structure.options;
  const builder = new TableBuilder(tableOf(structure), { priority, counters });
  if (structure.family === 4) build4(builder, structure);
  else build6(builder, structure);
  return [...builder.messages(isNew), ...addMembers(structure, members)];
}

/** Removes a table; ENOENT when there is none. */
export function removeTable(structure: Structure): Uint8Array[] {
  return [encodeDeleteTable(tableOf(structure))];
}

/** Guards more. */
export function addMembers(structure: Structure, members: Members): Uint8Array[] {
  return bySet(structure, members).flatMap(([set, elements]) => encodeNewElements(set, elements));
}

/** Guards them no more. */
export function removeMembers(structure: Structure, members: Members): Uint8Array[] {
  return bySet(structure, members).flatMap(([set, elements]) =>
    encodeDeleteElements(set, elements)
  );
}

function bySet(structure: Structure, { vmacs, addresses }: Members): [SetName, Element[]][] {
  const table = tableOf(structure);
  const local = addresses.filter(({ address }) => isLinkLocal(address));
  const others = addresses.filter(({ address }) => !isLinkLocal(address));
  const own = structure.family === 6 ? vmacs : [];
  const sets: [string, Element[]][] = [
    [VMAC_MAP, vmacs.map(({ index, base }) => ({ key: host32(index), data: host32(base) }))],
    [VMAC_SET, own.map(({ index }) => ({ key: host32(index) }))],
    [VIPS, others.map(({ address }) => ({ key: address }))],
    [
      LINK_LOCAL_VIPS,
      local.map(({ address, index }) => ({ key: Uint8Array.of(...address, ...host32(index)) })),
    ],
  ];
  return sets.filter(([, elements]) => elements.length > 0)
    .map(([name, elements]) => [{ table, name }, elements]);
}

const VMAC_MAP = "vmac_map";
const VMAC_SET = "vmac_set";
const VIPS = "vips";
const LINK_LOCAL_VIPS = "vips_link_local";
const NEIGHBOUR_DISCOVERY = "neighbor-discovery";

const DROP: Verdict = { type: "drop" };
const ACCEPT: Verdict = { type: "accept" };

function inSet(set: string): Expression {
  return { type: "lookup", set, from: NFT_REG_1 };
}

const PROTOCOL4 = load("network", 9, 1);
const SOURCE4 = load("network", 12, 4);
const SOURCE6 = load("network", 8, 16);
const ICMPV6_TYPE: readonly Expression[] = [
  loadMeta("l4proto"),
  is(Uint8Array.of(IPPROTO_ICMPV6)),
  load("transport", 0, 1),
];
const FROM_MACVLAN: readonly Expression[] = [loadMeta("oifkind"), is(kindName("macvlan"))];

function kindName(kind: string): Uint8Array {
  return new TextEncoder().encode(kind.padEnd(KIND_LENGTH, "\0"));
}

/** Sends a copy to the same destination by the link below. */
function byLinkBelow(destination: Expression): readonly Expression[] {
  return [
    destination,
    loadMeta("oif", NFT_REG_2),
    { type: "lookup", set: VMAC_MAP, from: NFT_REG_2, to: NFT_REG_2 },
    { type: "dup", address: NFT_REG_1, device: NFT_REG_2 },
  ];
}

/** fe80::/10 */
function withinLinkLocal(address: Expression): readonly Expression[] {
  const [mask, prefix] = [new Uint8Array(16), new Uint8Array(16)];
  mask.set([0xff, 0xc0]);
  prefix.set([0xfe, 0x80]);
  const xor = new Uint8Array(16);
  return [address, { type: "bitwise", from: NFT_REG_1, to: NFT_REG_1, mask, xor }, is(prefix)];
}

function build4(builder: TableBuilder, { guardsVmacs, guardsAddresses }: Structure): void {
  if (guardsVmacs) builder.set({ name: VMAC_MAP, key: ["iface_index"], data: "iface_index" });
  if (guardsAddresses) builder.set({ name: VIPS, key: ["ipv4_addr"] });
  builder.hooked("out");
  if (guardsAddresses) builder.hooked("in");
  if (guardsVmacs) {
    const report = [PROTOCOL4, is(Uint8Array.of(IPPROTO_IGMP)), ...FROM_MACVLAN];
    builder.rule("out", [...report, ...byLinkBelow(DESTINATION4)], DROP);
  }
  if (!guardsAddresses) return;
  builder.rule("out", [SOURCE4, inSet(VIPS)], DROP);
  builder.rule("in", [DESTINATION4, inSet(VIPS)], DROP);
}

function build6(builder: TableBuilder, { guardsVmacs, guardsAddresses }: Structure): void {
  if (guardsVmacs) {
    builder.set({ name: VMAC_MAP, key: ["iface_index"], data: "iface_index" });
    builder.set({ name: VMAC_SET, key: ["iface_index"] });
  }
  if (guardsAddresses) guardSets6(builder);
  builder.hooked("out");
  if (guardsAddresses) {
    builder.hooked("in");
    builder.called("in_link_local");
    builder.called("out_link_local");
  }
  if (guardsVmacs) {
    const type = (number: number): Expression[] => [...ICMPV6_TYPE, is(Uint8Array.of(number))];
    const report = [...type(MLD2_REPORT), ...FROM_MACVLAN, ...byLinkBelow(DESTINATION6)];
    builder.rule("out", report, DROP);
    const solicitation = [...type(ROUTER_SOLICITATION), ...FROM_MACVLAN];
    builder.rule("out", [...solicitation, loadMeta("oif"), inSet(VMAC_SET)], DROP);
  }
  if (guardsAddresses) guardRules6(builder);
}

function guardSets6(builder: TableBuilder): void {
  builder.set({ name: VIPS, key: ["ipv6_addr"] });
  builder.set(
    { name: NEIGHBOUR_DISCOVERY, key: ["icmpv6_type"], flags: NFT_SET_CONSTANT },
    [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT].map((type) => ({
      key: Uint8Array.of(type),
    })),
  );
  builder.set({ name: LINK_LOCAL_VIPS, key: ["ipv6_addr", "iface_index"] });
}

function guardRules6(builder: TableBuilder): void {
  const discovery = [...ICMPV6_TYPE, inSet(NEIGHBOUR_DISCOVERY)];
  for (const [name, address] of [["out", SOURCE6], ["in", DESTINATION6]] as const) {
    const chain = `${name}_link_local`;
    builder.rule(name, discovery, ACCEPT);
    builder.rule(name, withinLinkLocal(address), { type: "goto", chain });
    builder.rule(name, [address, inSet(VIPS)], DROP);
    const link = loadMeta(name === "in" ? "iif" : "oif", NFT_REG_2);
    builder.rule(chain, [address, link, inSet(LINK_LOCAL_VIPS)], DROP);
  }
}
