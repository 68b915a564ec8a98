/**
 * Lightweight tunnels (linux/lwtunnel.h): what a route does to a packet before it leaves. A number
 * says which kind, RTA_ENCAP_TYPE, and attributes of that kind say how, RTA_ENCAP.
 */

import type { Address } from "../lib/address.ts";
import { AttributeReader, type AttributeWriter, be32 } from "./message.ts";

// linux/lwtunnel.h
const LWTUNNEL_ENCAP_MPLS = 1;
const LWTUNNEL_ENCAP_IP = 2;
const LWTUNNEL_ENCAP_ILA = 3;
const LWTUNNEL_ENCAP_IP6 = 4;
// LWTUNNEL_IP6_* are the same with hop limit for TTL and traffic class for TOS.
const LWTUNNEL_IP_ID = 1;
const LWTUNNEL_IP_DST = 2;
const LWTUNNEL_IP_SRC = 3;
const LWTUNNEL_IP_TTL = 4;
const LWTUNNEL_IP_TOS = 5;
const LWTUNNEL_IP_FLAGS = 6;
// linux/mpls_iptunnel.h
const MPLS_IPTUNNEL_DST = 1;
const MPLS_IPTUNNEL_TTL = 2;
// linux/ila.h
const ILA_ATTR_LOCATOR = 1;
const ILA_ATTR_CSUM_MODE = 7;
const ILA_ATTR_IDENT_TYPE = 8;
const ILA_ATTR_HOOK_TYPE = 9;

// linux/mpls.h
const MPLS_LS_LABEL_SHIFT = 12;
const MPLS_LS_S = 0x100;

/** A tunnel whose far end the route names, for a link that takes it from there. */
export interface IpEncap {
  /** The outer header's family. */
  readonly kind: "ip" | "ip6";
  /** Key or network id, 64 bits. */
  readonly id?: bigint;
  /** The tunnel's far end. */
  readonly destination?: Address;
  /** The tunnel's near end. */
  readonly source?: Address;
  /** TTL or hop limit, 0 to 255; 0: inherited. */
  readonly ttl?: number;
  /** TOS or traffic class, 0 to 255. */
  readonly tos?: number;
  /** TUNNEL_* of linux/if_tunnel.h. */
  readonly flags?: number;
}

/** What happens to a packet before it leaves. */
export type Encap =
  | {
    readonly kind: "mpls";
    /** Labels of 20 bits, the outermost first. */
    readonly labels: readonly number[];
    /** 1 to 255; absent: taken from the packet. */
    readonly ttl?: number;
  }
  | IpEncap
  | {
    readonly kind: "ila";
    /** The upper 64 bits of the destination it puts in, 8 bytes. */
    readonly locator: Uint8Array;
    /** ILA_CSUM_*. */
    readonly checksumMode?: number;
    /** ILA_ATYPE_*. */
    readonly identifierType?: number;
    /** ILA_HOOK_*. */
    readonly hookType?: number;
  }
  | {
    /** A kind we do not read, as the kernel writes it. */
    readonly kind: "other";
    /** LWTUNNEL_ENCAP_*. */
    readonly number: number;
    readonly attributes: Uint8Array;
  };

/** LWTUNNEL_ENCAP_* of an encapsulation. */
export function encapNumber(encap: Encap): number {
  switch (encap.kind) {
    case "mpls":
      return LWTUNNEL_ENCAP_MPLS;
    case "ip":
      return LWTUNNEL_ENCAP_IP;
    case "ip6":
      return LWTUNNEL_ENCAP_IP6;
    case "ila":
      return LWTUNNEL_ENCAP_ILA;
    case "other":
      return encap.number;
  }
}

/** Appends the attributes inside an RTA_ENCAP. */
export function writeEncap(w: AttributeWriter, encap: Encap): void {
  switch (encap.kind) {
    case "mpls":
      w.bytes(MPLS_IPTUNNEL_DST, encodeLabels(encap.labels));
      if (encap.ttl !== undefined) w.u8(MPLS_IPTUNNEL_TTL, encap.ttl);
      return;
    case "ip":
    case "ip6":
      if (encap.id !== undefined) w.be64(LWTUNNEL_IP_ID, encap.id);
      if (encap.destination !== undefined) w.bytes(LWTUNNEL_IP_DST, encap.destination);
      if (encap.source !== undefined) w.bytes(LWTUNNEL_IP_SRC, encap.source);
      if (encap.ttl !== undefined) w.u8(LWTUNNEL_IP_TTL, encap.ttl);
      if (encap.tos !== undefined) w.u8(LWTUNNEL_IP_TOS, encap.tos);
      if (encap.flags !== undefined) w.be16(LWTUNNEL_IP_FLAGS, encap.flags);
      return;
    case "ila":
      w.bytes(ILA_ATTR_LOCATOR, encap.locator);
      if (encap.checksumMode !== undefined) w.u8(ILA_ATTR_CSUM_MODE, encap.checksumMode);
      if (encap.identifierType !== undefined) w.u8(ILA_ATTR_IDENT_TYPE, encap.identifierType);
      if (encap.hookType !== undefined) w.u8(ILA_ATTR_HOOK_TYPE, encap.hookType);
      return;
    case "other":
      w.raw(encap.attributes);
      return;
  }
}

/** The encapsulation of a kind (LWTUNNEL_ENCAP_*) from its attributes; undefined when malformed. */
export function decodeEncap(number: number, attributes: Uint8Array): Encap | undefined {
  const r = new AttributeReader(attributes);
  switch (number) {
    case LWTUNNEL_ENCAP_MPLS:
      return decodeMpls(r);
    case LWTUNNEL_ENCAP_IP:
      return decodeIp(r, "ip");
    case LWTUNNEL_ENCAP_IP6:
      return decodeIp(r, "ip6");
    case LWTUNNEL_ENCAP_ILA:
      return decodeIla(r);
    default:
      return { kind: "other", number, attributes };
  }
}

function decodeMpls(r: AttributeReader): Encap | undefined {
  let labels: number[] = [];
  let ttl: number | undefined;
  while (r.next()) {
    if (r.type === MPLS_IPTUNNEL_DST) labels = decodeLabels(r.bytes());
    if (r.type === MPLS_IPTUNNEL_TTL) ttl = r.u8();
  }
  if (r.short || labels.length === 0) return undefined;
  return { kind: "mpls", labels, ...(ttl === undefined ? {} : { ttl }) };
}

function decodeIp(r: AttributeReader, kind: IpEncap["kind"]): Encap | undefined {
  const seen: { -readonly [K in keyof IpEncap]?: IpEncap[K] } = {};
  const length = kind === "ip" ? 4 : 16;
  while (r.next()) {
    switch (r.type) {
      case LWTUNNEL_IP_ID:
        seen.id = r.be64();
        break;
      case LWTUNNEL_IP_DST:
        seen.destination = r.bytes(length);
        break;
      case LWTUNNEL_IP_SRC:
        seen.source = r.bytes(length);
        break;
      case LWTUNNEL_IP_TTL:
        seen.ttl = r.u8();
        break;
      case LWTUNNEL_IP_TOS:
        seen.tos = r.u8();
        break;
      case LWTUNNEL_IP_FLAGS:
        seen.flags = r.be16();
        break;
    }
  }
  return r.short ? undefined : { ...seen, kind };
}

function decodeIla(r: AttributeReader): Encap | undefined {
  const seen: { checksumMode?: number; identifierType?: number; hookType?: number } = {};
  let locator: Uint8Array | undefined;
  while (r.next()) {
    switch (r.type) {
      case ILA_ATTR_LOCATOR:
        locator = r.bytes(8);
        break;
      case ILA_ATTR_CSUM_MODE:
        seen.checksumMode = r.u8();
        break;
      case ILA_ATTR_IDENT_TYPE:
        seen.identifierType = r.u8();
        break;
      case ILA_ATTR_HOOK_TYPE:
        seen.hookType = r.u8();
        break;
    }
  }
  return r.short || locator === undefined ? undefined : { kind: "ila", locator, ...seen };
}

/** A label stack (RFC 3032 §2.1): 32 bits a label, with a mark on the innermost. */
function encodeLabels(labels: readonly number[]): Uint8Array {
  const out = new Uint8Array(4 * labels.length);
  for (const [i, label] of labels.entries()) {
    const innermost = i === labels.length - 1 ? MPLS_LS_S : 0;
    out.set(be32((label << MPLS_LS_LABEL_SHIFT) | innermost), 4 * i);
  }
  return out;
}

/** Labels of a stack; none when its length or its mark is wrong. */
function decodeLabels(stack: Uint8Array): number[] {
  const labels: number[] = [];
  for (let offset = 0; offset + 4 <= stack.length; offset += 4) {
    const [a, b, c] = [stack[offset]!, stack[offset + 1]!, stack[offset + 2]!];
    labels.push((a << 12) | (b << 4) | (c >> 4));
    const innermost = offset + 4 === stack.length;
    if (((c & 1) === 1) !== innermost) return [];
  }
  return stack.length % 4 === 0 ? labels : [];
}

/**
 * Whether the kernel's encapsulation is the wanted one. What the wish leaves open may be anything:
 * the kernel fills it in.
 */
export function isEncapAsWanted(there: Encap | undefined, wanted: Encap | undefined): boolean {
  if (there === undefined || wanted === undefined) return there === wanted;
  const found = there as unknown as Readonly<Record<string, unknown>>;
  return Object.entries(wanted).every(([name, value]) => isSame(found[name], value));
}

function isSame(a: unknown, b: unknown): boolean {
  if (!isSequence(a) || !isSequence(b)) return a === b;
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function isSequence(value: unknown): value is readonly number[] | Uint8Array {
  return Array.isArray(value) || value instanceof Uint8Array;
}
