/**
 * Routing rules (linux/fib_rules.h): which packets are looked up in which table, in the order of
 * their priorities. Every message starts with `struct fib_rule_hdr`; its table holds numbers up to
 * 255, FRA_TABLE every one. A lookup in the table of a packet's VRF (l3mdev) is a lookup with a mark.
 *
 * ```
 *  0        1        2        3        4        5        6        7        8
 * +--------+--------+--------+--------+--------+--------+--------+--------+
 * | family | dst len| src len| tos    | table  | reserved        | action |
 * +--------+--------+--------+--------+--------+-----------------+--------+
 * | flags (FIB_RULE_*)                |
 * +-----------------------------------+
 * | attributes (FRA_*) ...
 * ```
 */

import type { Family } from "../lib/address.ts";
import {
  addressLength,
  AF_UNSPEC,
  everything,
  familyNumber,
  familyOfNumber,
  isSamePrefix,
  type Prefix,
} from "./family.ts";
import {
  AttributeReader,
  AttributeWriter,
  encodeMessage,
  get16,
  get32,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  put16,
  put32,
} from "./message.ts";

/** Message types (linux/rtnetlink.h). */
export const RTM_NEWRULE = 32;
/** The rule is gone; in a request: remove it. */
export const RTM_DELRULE = 33;
/** Asks for rules. */
const RTM_GETRULE = 34;

/** Multicast group of IPv4 rule notifications (linux/rtnetlink.h). */
export const RTNLGRP_IPV4_RULE = 8;
/** Multicast group of IPv6 rule notifications. */
export const RTNLGRP_IPV6_RULE = 19;

/** The rule holds for packets that do not match. */
const FIB_RULE_INVERT = 2;

const FR_ACT_TO_TBL = 1;
const FR_ACT_GOTO = 2;
/** The actions that have nothing to say beside their number. */
const PLAIN_ACTIONS = { nop: 3, blackhole: 6, unreachable: 7, prohibit: 8 } as const;

const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_GOTO = 4;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_FLOW = 11;
const FRA_TUN_ID = 12;
const FRA_SUPPRESS_IFGROUP = 13;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FRA_L3MDEV = 19;
const FRA_UID_RANGE = 20;
const FRA_PROTOCOL = 21;
const FRA_IP_PROTO = 22;
const FRA_SPORT_RANGE = 23;
const FRA_DPORT_RANGE = 24;

const FIB_RULE_HDR_LENGTH = 12;
const EVERY_BIT = 0xffffffff;
/** The kernel's word for "does not suppress". */
const NOTHING_SUPPRESSED = 0xffffffff;

/** From the first to the last, both included. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** What happens to a packet that matches. */
export type RuleAction =
  | {
    readonly type: "table";
    /** RT_TABLE_*, 32 bits, not 0. */
    readonly table: number;
    /** Routes of at most this prefix length do not count. */
    readonly suppressPrefixLength?: number;
    /** Routes to links of this group do not count. */
    readonly suppressGroup?: number;
    /** Realms of the packet: from << 16 | to (IPv4). */
    readonly realms?: number;
  }
  /** The table of the VRF that the packet belongs to. */
  | { readonly type: "l3mdev" }
  | {
    readonly type: "goto";
    /** Priority of the rule to go on with, above this one's. */
    readonly priority: number;
  }
  | { readonly type: keyof typeof PLAIN_ACTIONS };

/** A rule to add, or as the kernel describes it. */
export interface Rule {
  readonly family: Family;
  /** Holds for the packets that do not match. */
  readonly invert?: boolean;
  readonly from?: Prefix;
  readonly to?: Prefix;
  /** Type of service; 0: any. */
  readonly tos: number;
  /** Name of the link it came in by; `lo`: sent by this host. It need not be there. */
  readonly iif?: string;
  /** Name of the link that its socket is bound to. */
  readonly oif?: string;
  /** The packet's mark; `mask` says which bits of it count. */
  readonly fwmark?: { readonly mark: number; readonly mask: number };
  /** Id of the tunnel it came from, 64 bits. */
  readonly tunnelId?: bigint;
  /** Users whose sockets it is for. */
  readonly uidRange?: Range;
  /** Protocol of the transport layer, 1 to 255. */
  readonly ipProto?: number;
  /** Ports, 1 to 65534. */
  readonly sport?: Range;
  /** Ports, 1 to 65534. */
  readonly dport?: Range;
  /** Who made it, RTPROT_*, 0 to 255. */
  readonly protocol: number;
  /** Lower ones are asked first; absent: before all but the first. */
  readonly priority?: number;
  readonly action: RuleAction;
}

type Seen<T> = { -readonly [K in keyof T]?: T[K] };

/** What the attributes say of the action. */
interface ActionParts {
  table: number;
  goto: number;
  l3mdev: boolean;
  suppressPrefixLength: number;
  suppressGroup: number;
  realms: number;
}

/**
 * The rule an RTM_NEWRULE or RTM_DELRULE message is about. Undefined when malformed, of another
 * family, or of an action that is none of ours.
 */
export function decodeRule(payload: Uint8Array): Rule | undefined {
  if (payload.length < FIB_RULE_HDR_LENGTH) return undefined;
  const family = familyOfNumber(payload[0]);
  if (family === undefined) return undefined;
  const length = addressLength(family);
  const [, toLength, fromLength, tos, table, , , number] = payload;
  if (toLength! > 8 * length || fromLength! > 8 * length) return undefined;
  const seen: Seen<Rule> = {};
  const parts: ActionParts = {
    table: table!,
    goto: 0,
    l3mdev: false,
    suppressPrefixLength: NOTHING_SUPPRESSED,
    suppressGroup: NOTHING_SUPPRESSED,
    realms: 0,
  };
  let mask = EVERY_BIT;
  const r = new AttributeReader(payload.subarray(FIB_RULE_HDR_LENGTH));
  while (r.next()) {
    readAction(r, parts);
    readSelector(r, seen);
    if (r.type === FRA_DST) seen.to = { address: r.bytes(length), length: toLength! };
    if (r.type === FRA_SRC) seen.from = { address: r.bytes(length), length: fromLength! };
    if (r.type === FRA_FWMASK) mask = r.u32();
  }
  const { protocol = 0, fwmark, ...rest } = seen;
  const action = actionOf(number!, parts);
  if (r.short || action === undefined) return undefined;
  if ((rest.to?.length ?? 0) !== toLength || (rest.from?.length ?? 0) !== fromLength) {
    return undefined;
  }
  if ((get32(payload, 8) & FIB_RULE_INVERT) !== 0) rest.invert = true;
  const marked = fwmark === undefined ? {} : { fwmark: { mark: fwmark.mark, mask } };
  return { ...rest, ...marked, family, tos: tos!, protocol, action };
}

/** Reads what tells which packets are meant, and where the rule stands. */
function readSelector(r: AttributeReader, seen: Seen<Rule>): void {
  switch (r.type) {
    case FRA_IIFNAME:
      seen.iif = r.text();
      return;
    case FRA_OIFNAME:
      seen.oif = r.text();
      return;
    case FRA_FWMARK:
      seen.fwmark = { mark: r.u32(), mask: EVERY_BIT };
      return;
    case FRA_TUN_ID:
      seen.tunnelId = r.be64();
      return;
    case FRA_UID_RANGE: {
      const range = r.bytes(8);
      seen.uidRange = { first: get32(range, 0), last: get32(range, 4) };
      return;
    }
    case FRA_IP_PROTO:
      seen.ipProto = r.u8();
      return;
    case FRA_SPORT_RANGE:
      seen.sport = readPorts(r);
      return;
    case FRA_DPORT_RANGE:
      seen.dport = readPorts(r);
      return;
    case FRA_PROTOCOL:
      seen.protocol = r.u8();
      return;
    case FRA_PRIORITY:
      seen.priority = r.u32();
      return;
  }
}

/** A `struct fib_rule_port_range`. */
function readPorts(r: AttributeReader): Range {
  const range = r.bytes(4);
  return { first: get16(range, 0), last: get16(range, 2) };
}

function readAction(r: AttributeReader, parts: ActionParts): void {
  switch (r.type) {
    case FRA_TABLE:
      parts.table = r.u32();
      return;
    case FRA_GOTO:
      parts.goto = r.u32();
      return;
    case FRA_L3MDEV:
      parts.l3mdev = r.u8() !== 0;
      return;
    case FRA_SUPPRESS_PREFIXLEN:
      parts.suppressPrefixLength = r.u32();
      return;
    case FRA_SUPPRESS_IFGROUP:
      parts.suppressGroup = r.u32();
      return;
    case FRA_FLOW:
      parts.realms = r.u32();
      return;
  }
}

function actionOf(number: number, parts: ActionParts): RuleAction | undefined {
  if (number === FR_ACT_GOTO) return { type: "goto", priority: parts.goto };
  if (number !== FR_ACT_TO_TBL) {
    const names = Object.keys(PLAIN_ACTIONS) as (keyof typeof PLAIN_ACTIONS)[];
    const type = names.find((name) => PLAIN_ACTIONS[name] === number);
    return type && { type };
  }
  if (parts.l3mdev) return { type: "l3mdev" };
  const { table, suppressPrefixLength, suppressGroup, realms } = parts;
  return {
    type: "table",
    table,
    ...(suppressPrefixLength === NOTHING_SUPPRESSED ? {} : { suppressPrefixLength }),
    ...(suppressGroup === NOTHING_SUPPRESSED ? {} : { suppressGroup }),
    ...(realms === 0 ? {} : { realms }),
  };
}

/** Adds a rule; EEXIST when there is an equal one. */
export function encodeNewRule(rule: Rule): Uint8Array {
  return encode(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

/** Removes the first rule that agrees in all that `rule` says; ENOENT when there is none. */
export function encodeDeleteRule(rule: Rule): Uint8Array {
  return encode(RTM_DELRULE, 0, rule);
}

/** Asks for every rule of a family, or of all; replies are RTM_NEWRULE up to NLMSG_DONE. */
export function encodeDumpRules(family?: Family): Uint8Array {
  const payload = new Uint8Array(FIB_RULE_HDR_LENGTH);
  payload[0] = family === undefined ? AF_UNSPEC : familyNumber(family);
  return encodeMessage({ type: RTM_GETRULE, flags: NLM_F_REQUEST | NLM_F_DUMP, payload });
}

function encode(type: number, modifiers: number, rule: Rule): Uint8Array {
  const { family, from, to, fwmark, action } = rule;
  const w = new AttributeWriter();
  const head = new Uint8Array(FIB_RULE_HDR_LENGTH);
  const table = action.type === "table" && action.table < 256 ? action.table : 0;
  head.set([familyNumber(family), to?.length ?? 0, from?.length ?? 0, rule.tos, table]);
  head[7] = actionNumber(action);
  put32(head, 8, rule.invert ? FIB_RULE_INVERT : 0);
  w.raw(head);
  if (from !== undefined && from.length > 0) w.bytes(FRA_SRC, from.address);
  if (to !== undefined && to.length > 0) w.bytes(FRA_DST, to.address);
  if (rule.iif !== undefined) w.text(FRA_IIFNAME, rule.iif);
  if (rule.oif !== undefined) w.text(FRA_OIFNAME, rule.oif);
  if (fwmark !== undefined) {
    w.u32(FRA_FWMARK, fwmark.mark);
    if (fwmark.mask !== EVERY_BIT) w.u32(FRA_FWMASK, fwmark.mask);
  }
  if (rule.tunnelId !== undefined) w.be64(FRA_TUN_ID, rule.tunnelId);
  if (rule.uidRange !== undefined) writeUids(w, rule.uidRange);
  if (rule.ipProto !== undefined) w.u8(FRA_IP_PROTO, rule.ipProto);
  if (rule.sport !== undefined) writePorts(w, FRA_SPORT_RANGE, rule.sport);
  if (rule.dport !== undefined) writePorts(w, FRA_DPORT_RANGE, rule.dport);
  // Zero is what it is without.
  if (rule.protocol !== 0) w.u8(FRA_PROTOCOL, rule.protocol);
  if (rule.priority !== undefined) w.u32(FRA_PRIORITY, rule.priority);
  writeAction(w, action);
  const flags = NLM_F_REQUEST | NLM_F_ACK | modifiers;
  return encodeMessage({ type, flags, payload: w.finish() });
}

function actionNumber(action: RuleAction): number {
  switch (action.type) {
    case "table":
    case "l3mdev":
      return FR_ACT_TO_TBL;
    case "goto":
      return FR_ACT_GOTO;
    case "nop":
    case "blackhole":
    case "unreachable":
    case "prohibit":
      return PLAIN_ACTIONS[action.type];
  }
}

function writeAction(w: AttributeWriter, action: RuleAction): void {
  switch (action.type) {
    case "table": {
      const { table, suppressPrefixLength, suppressGroup, realms } = action;
      if (table > 255) w.u32(FRA_TABLE, table);
      if (suppressPrefixLength !== undefined) w.u32(FRA_SUPPRESS_PREFIXLEN, suppressPrefixLength);
      if (suppressGroup !== undefined) w.u32(FRA_SUPPRESS_IFGROUP, suppressGroup);
      if (realms !== undefined) w.u32(FRA_FLOW, realms);
      return;
    }
    case "l3mdev":
      w.u8(FRA_L3MDEV, 1);
      return;
    case "goto":
      w.u32(FRA_GOTO, action.priority);
      return;
    case "nop":
    case "blackhole":
    case "unreachable":
    case "prohibit":
      return;
  }
}

/** A `struct fib_rule_uid_range`. */
function writeUids(w: AttributeWriter, range: Range): void {
  const bytes = new Uint8Array(8);
  put32(bytes, 0, range.first);
  put32(bytes, 4, range.last);
  w.bytes(FRA_UID_RANGE, bytes);
}

function writePorts(w: AttributeWriter, type: number, range: Range): void {
  const bytes = new Uint8Array(4);
  put16(bytes, 0, range.first);
  put16(bytes, 2, range.last);
  w.bytes(type, bytes);
}

/**
 * Whether `there`, from a dump or a notification, is the rule that `wanted` asks for. The kernel
 * chooses the priority when nobody does, and forgets the realms of an IPv6 rule.
 */
export function isRuleAsWanted(there: Rule, wanted: Rule): boolean {
  const plain = ["family", "tos", "iif", "oif", "tunnelId", "ipProto", "protocol"] as const;
  const ranges = ["uidRange", "sport", "dport"] as const;
  return plain.every((name) => there[name] === wanted[name]) &&
    ranges.every((name) => isSameRange(there[name], wanted[name])) &&
    (wanted.priority === undefined || there.priority === wanted.priority) &&
    (there.invert ?? false) === (wanted.invert ?? false) &&
    (["from", "to"] as const).every((name) => {
      const any = everything(there.family);
      return isSamePrefix(there[name] ?? any, wanted[name] ?? any);
    }) &&
    isSameMark(there.fwmark, wanted.fwmark) &&
    isSameAction(there, wanted);
}

function isSameRange(a: Range | undefined, b: Range | undefined): boolean {
  return a?.first === b?.first && a?.last === b?.last;
}

function isSameMark(a: Rule["fwmark"], b: Rule["fwmark"]): boolean {
  return a?.mark === b?.mark && a?.mask === b?.mask;
}

function isSameAction(there: Rule, wanted: Rule): boolean {
  const [a, b] = [there.action, wanted.action];
  if (a.type === "goto" && b.type === "goto") return a.priority === b.priority;
  if (a.type !== "table" || b.type !== "table") return a.type === b.type;
  return a.table === b.table && a.suppressPrefixLength === b.suppressPrefixLength &&
    a.suppressGroup === b.suppressGroup &&
    (wanted.family === 6 || (a.realms ?? 0) === (b.realms ?? 0));
}
