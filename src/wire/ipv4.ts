/**
 * The IPv4 header: RFC 791 §3.1. A raw socket delivers it before the message; with IP_HDRINCL we also
 * write it.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------+-------+---------------+-------------------------------+
 *     |Version|  IHL  |Type of Service|          Total Length         |
 *     +-------+-------+---------------+-----+-------------------------+
 *     |         Identification        |Flags|     Fragment Offset     |
 *     +---------------+---------------+-----+-------------------------+
 *     |      TTL      |    Protocol   |        Header Checksum        |
 *     +---------------+---------------+-------------------------------+
 *     |                         Source Address                        |
 *     +---------------------------------------------------------------+
 *     |                      Destination Address                      |
 *     +---------------------------------------------------------------+
 *     |                     options, (IHL - 5) × 4                    |
 *     +---------------------------------------------------------------+
 *
 * A keepalived advert, multicast or unicast, has no options, TOS 0xc0, TTL 255, DF clear and an
 * identification that counts up from 1.
 */

import type { Address } from "../lib/address.ts";
import { checksum, SOUND, sum16 } from "./checksum.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/** Bytes of a header without options. */
export const IPV4_HEADER_LENGTH = 20;

/** What a header to send says; the rest is computed or zero. */
export interface Ipv4Fields {
  readonly source: Address;
  readonly destination: Address;
  /** 0 to 255. */
  readonly protocol: number;
  /** Bytes after the header. */
  readonly payloadLength: number;
  /** 1 to 255. */
  readonly ttl: number;
  /** DSCP and ECN in one byte: 0xc0 (internetwork control) for adverts. */
  readonly tos: number;
  /** Identification; 0, the default, lets the kernel choose when it sends a raw packet. */
  readonly id?: number;
}

/** A received header. */
export interface Ipv4Header {
  readonly source: Address;
  readonly destination: Address;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  readonly id: number;
  /** Bytes of the header, options included: 20 to 60. The message begins here. */
  readonly headerLength: number;
  /** Bytes of header and message. The message ends here; what follows is Ethernet padding. */
  readonly totalLength: number;
}

/** Why bytes are not an IPv4 packet: too few of them, not version 4, wrong header checksum. */
export type Ipv4Error = "length" | "version" | "checksum";

/** The 20 bytes of a header without options, unfragmented, DF clear. */
export function encodeIpv4Header(fields: Ipv4Fields): Uint8Array {
  const w = new Writer(new Uint8Array(IPV4_HEADER_LENGTH));
  w.u8(0x45);
  w.u8(fields.tos);
  w.u16(IPV4_HEADER_LENGTH + fields.payloadLength);
  w.u16(fields.id ?? 0);
  w.u16(0);
  w.u8(fields.ttl);
  w.u8(fields.protocol);
  w.u16(0);
  w.bytes(fields.source);
  w.bytes(fields.destination);
  w.patchU16(10, checksum(w.finish()));
  return w.finish();
}

/** The header at the start of `bytes` (addresses are views), which hold the packet to its end. */
export function decodeIpv4(bytes: Uint8Array): Ipv4Header | Ipv4Error {
  const r = new Reader(bytes);
  const versionLength = r.u8();
  const tos = r.u8();
  const totalLength = r.u16();
  const id = r.u16();
  r.skip(2); // flags and offset: the kernel has put fragments together
  const ttl = r.u8();
  const protocol = r.u8();
  r.skip(2); // checksum, verified below
  const source = r.bytes(4);
  const destination = r.bytes(4);
  if (r.short) return "length";
  if (versionLength >> 4 !== 4) return "version";
  const headerLength = (versionLength & 15) * 4;
  if (headerLength < IPV4_HEADER_LENGTH || headerLength > totalLength) return "length";
  if (totalLength > bytes.length) return "length";
  if (sum16(bytes.subarray(0, headerLength)) !== SOUND) return "checksum";
  return { source, destination, protocol, ttl, tos, id, headerLength, totalLength };
}
