/**
 * Neighbours (linux/neighbour.h): which hardware address answers for an IP address on a link, as ARP
 * and neighbour discovery found out. Every message starts with `struct ndmsg`.
 *
 * ```
 *  0        1        2                 4                 8
 * +--------+--------+-----------------+-----------------+
 * | family | padding                  | index           |
 * +--------+--------+-----------------+-----------------+
 * | state (NUD_*)   | flags  | type   |
 * +-----------------+--------+--------+
 * | attributes (NDA_*) ...
 * ```
 */

import { type Address, type Family, familyOf } from "../lib/address.ts";
import { addressLength, AF_UNSPEC, familyNumber, familyOfNumber } from "./family.ts";
import {
  AttributeReader,
  AttributeWriter,
  encodeMessage,
  get16,
  get32,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  put16,
  put32,
} from "./message.ts";

/** Message types (linux/rtnetlink.h). */
export const RTM_NEWNEIGH = 28;
/** The neighbour is forgotten; in a request: forget it. */
export const RTM_DELNEIGH = 29;
/** Asks for neighbours. */
const RTM_GETNEIGH = 30;

/** Multicast group of neighbour notifications (linux/rtnetlink.h). */
export const RTNLGRP_NEIGH = 3;

/** States (linux/neighbour.h): asked for, not answered yet. */
export const NUD_INCOMPLETE = 0x01;
/** Answered lately. */
export const NUD_REACHABLE = 0x02;
/** Answered once. */
export const NUD_STALE = 0x04;
/** Answered once and in use again; soon to be asked. */
export const NUD_DELAY = 0x08;
/** Answered once and asked again. */
export const NUD_PROBE = 0x10;
/** Did not answer. */
export const NUD_FAILED = 0x20;
/** Set by somebody, never asked. */
export const NUD_PERMANENT = 0x80;

/** In a request: use it, which is to ask for it unless it is known. */
const NTF_USE = 0x01;
/** It says of itself that it is a router (IPv6). */
export const NTF_ROUTER = 0x80;

const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_PROBES = 4;

const NDMSG_LENGTH = 12;

/** A neighbour by its address. */
export interface NeighbourKey {
  /** Index of the link. */
  readonly index: number;
  readonly address: Address;
}

/** A neighbour as the kernel describes it. */
export interface Neighbour extends NeighbourKey {
  /** Its hardware address, 6 bytes on Ethernet; absent while nobody has answered. */
  readonly linkAddress?: Uint8Array;
  /** NUD_*, one of them or 0. */
  readonly state: number;
  /** NTF_*. */
  readonly flags: number;
  /** How often it was asked since it last answered. */
  readonly probes: number;
}

/**
 * The neighbour an RTM_NEWNEIGH or RTM_DELNEIGH message is about. Undefined when malformed or of
 * another family (bridges tell of the addresses they learned).
 */
export function decodeNeighbour(payload: Uint8Array): Neighbour | undefined {
  if (payload.length < NDMSG_LENGTH) return undefined;
  const family = familyOfNumber(payload[0]);
  const index = get32(payload, 4);
  if (family === undefined || index === 0) return undefined;
  let address: Address | undefined;
  let linkAddress: Uint8Array | undefined;
  let probes = 0;
  const r = new AttributeReader(payload.subarray(NDMSG_LENGTH));
  while (r.next()) {
    if (r.type === NDA_DST) address = r.bytes(addressLength(family));
    if (r.type === NDA_LLADDR) linkAddress = r.bytes();
    if (r.type === NDA_PROBES) probes = r.u32();
  }
  if (r.short || address === undefined) return undefined;
  return {
    index,
    address,
    ...(linkAddress === undefined ? {} : { linkAddress }),
    state: get16(payload, 8),
    flags: payload[10]!,
    probes,
  };
}

/** Makes the kernel ask who has an address, unless it knows; what it learns comes as a notification. */
export function encodeProbeNeighbour(neighbour: NeighbourKey): Uint8Array {
  const w = new AttributeWriter();
  writeNeighbour(w, neighbour, 0, NTF_USE);
  return request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, w);
}

/** Notes who has an address: NUD_PERMANENT, or a state from which the kernel will find out itself. */
export function encodeNewNeighbour(
  neighbour: NeighbourKey & Pick<Neighbour, "linkAddress" | "state">,
): Uint8Array {
  const w = new AttributeWriter();
  writeNeighbour(w, neighbour, neighbour.state, 0);
  if (neighbour.linkAddress !== undefined) w.bytes(NDA_LLADDR, neighbour.linkAddress);
  return request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, w);
}

/** Forgets a neighbour; ENOENT when there is none. */
export function encodeDeleteNeighbour(neighbour: NeighbourKey): Uint8Array {
  const w = new AttributeWriter();
  writeNeighbour(w, neighbour, 0, 0);
  return request(RTM_DELNEIGH, 0, w);
}

/** Asks for the neighbours of a family, or of both; replies are RTM_NEWNEIGH up to NLMSG_DONE. */
export function encodeDumpNeighbours(family?: Family): Uint8Array {
  const payload = new Uint8Array(NDMSG_LENGTH);
  payload[0] = family === undefined ? AF_UNSPEC : familyNumber(family);
  return encodeMessage({ type: RTM_GETNEIGH, flags: NLM_F_REQUEST | NLM_F_DUMP, payload });
}

function writeNeighbour(
  w: AttributeWriter,
  { index, address }: NeighbourKey,
  state: number,
  flags: number,
): void {
  const head = new Uint8Array(NDMSG_LENGTH);
  head[0] = familyNumber(familyOf(address));
  put32(head, 4, index);
  put16(head, 8, state);
  head[10] = flags;
  w.raw(head);
  w.bytes(NDA_DST, address);
}

function request(type: number, modifiers: number, w: AttributeWriter): Uint8Array {
  const flags = NLM_F_REQUEST | NLM_F_ACK | modifiers;
  return encodeMessage({ type, flags, payload: w.finish() });
}
