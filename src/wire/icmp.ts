/**
 * The ICMP messages we speak: the unsolicited neighbour advertisement that tells an IPv6 link where
 * an address now is (RFC 4861 §4.4 and §7.2.6), and IPv4 echo (RFC 792), the client's ping.
 */

import type { Address } from "../lib/address.ts";
import { checksum, type Endpoints, pseudoHeaderSum, SOUND, sum16 } from "./checksum.ts";
import { encodeEthernetHeader, ETH_P_IPV6, type Mac, multicastMac } from "./ethernet.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/** IP protocol of ICMP (linux/in.h). */
export const IPPROTO_ICMP = 1;
/** IPv6 next header of ICMPv6 (linux/in6.h). */
export const IPPROTO_ICMPV6 = 58;

/** ff02::1, every IPv6 node of the link. */
export const ALL_NODES: Address = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** Why a message is not what the decoder reads: too short, other type or code, wrong checksum. */
export type IcmpError = "length" | "type" | "checksum";

const NEIGHBOUR_ADVERTISEMENT = 136;
const TARGET_LINK_LAYER_ADDRESS = 2;
const FLAG_ROUTER = 0x80;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;

/** What an unsolicited neighbour advertisement announces. */
export interface NeighbourAnnouncement {
  /** Where the address is now. */
  readonly mac: Mac;
  /** The IPv6 address announced. */
  readonly address: Address;
  /** The sender forwards IPv6 on this link (its `forwarding` sysctl). */
  readonly router: boolean;
}

/** A received neighbour advertisement; `mac` is empty when the option is missing. */
export interface NeighbourAdvertisement extends NeighbourAnnouncement {
  readonly solicited: boolean;
  readonly override: boolean;
}

/**
 * The 32-byte ICMPv6 message, override flag set, checksummed for its way to `ends.destination`.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *     |  Type = 136   |   Code = 0    |           Checksum            |
 *     +-+-+-+---------+---------------+-------------------------------+
 *     |R|S|O|                     Reserved                            |
 *     +-+-+-+---------------------------------------------------------+
 *     |                      Target Address (16)                      |
 *     +---------------+---------------+-------------------------------+
 *     |   Type = 2    |  Length = 1   |   Target link-layer address   |
 *     +---------------+---------------+                               +
 *     |                                                               |
 *     +---------------------------------------------------------------+
 */
export function encodeNeighbourAdvertisement(
  { mac, address, router }: NeighbourAnnouncement,
  ends: Endpoints = { source: address, destination: ALL_NODES },
): Uint8Array {
  const w = new Writer(new Uint8Array(32));
  w.u8(NEIGHBOUR_ADVERTISEMENT);
  w.u8(0);
  w.u16(0);
  w.u32((FLAG_OVERRIDE | (router ? FLAG_ROUTER : 0)) << 24);
  w.bytes(address);
  w.u8(TARGET_LINK_LAYER_ADDRESS);
  w.u8(1); // in units of 8 bytes
  w.bytes(mac);
  w.patchU16(2, checksum(w.finish(), pseudoHeaderSum(ends, IPPROTO_ICMPV6, w.at)));
  return w.finish();
}

/**
 * The same as the whole 86-byte Ethernet frame keepalived sends: to ff02::1, from the announced
 * address itself, hop limit 255, traffic class and flow label 0.
 */
export function encodeNeighbourFrame(announcement: NeighbourAnnouncement): Uint8Array {
  const message = encodeNeighbourAdvertisement(announcement);
  const ends = { source: announcement.address, destination: ALL_NODES };
  return encodeIcmpFrame(announcement.mac, ends, message);
}

const NEIGHBOUR_SOLICITATION = 135;
const SOURCE_LINK_LAYER_ADDRESS = 1;
/** ff02::1:ff00:0/104, to be completed by the last 24 bits of an address (RFC 4291 §2.7.1). */
const SOLICITED_NODE: Address = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);

/**
 * The 86-byte frame that asks a link who has `address` (RFC 4861 §4.3, §7.2.2), from `source`, an address of
 * the link whose station has `mac`: the answer comes to us alone.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *     |  Type = 135   |   Code = 0    |           Checksum            |
 *     +---------------+---------------+-------------------------------+
 *     |                           Reserved                            |
 *     +---------------------------------------------------------------+
 *     |                      Target Address (16)                      |
 *     +---------------+---------------+-------------------------------+
 *     |   Type = 1    |  Length = 1   |   Source link-layer address   |
 *     +---------------+---------------+                               +
 *     |                                                               |
 *     +---------------------------------------------------------------+
 */
export function encodeSolicitationFrame(
  { mac, address, source }: {
    readonly mac: Mac;
    readonly address: Address;
    readonly source: Address;
  },
): Uint8Array {
  const group = SOLICITED_NODE.slice();
  group.set(address.subarray(13), 13);
  const m = new Writer(new Uint8Array(32));
  m.u16(NEIGHBOUR_SOLICITATION << 8);
  m.u16(0);
  m.u32(0);
  m.bytes(address);
  m.u8(SOURCE_LINK_LAYER_ADDRESS);
  m.u8(1);
  m.bytes(mac);
  const ends = { source, destination: group };
  m.patchU16(2, checksum(m.finish(), pseudoHeaderSum(ends, IPPROTO_ICMPV6, m.at)));
  return encodeIcmpFrame(mac, ends, m.finish());
}

function encodeIcmpFrame(mac: Mac, ends: Endpoints, message: Uint8Array): Uint8Array {
  const destination = multicastMac(ends.destination);
  const w = new Writer();
  w.bytes(encodeEthernetHeader({ destination, source: mac, etherType: ETH_P_IPV6 }));
  w.u32(6 << 28); // IPv6 header: RFC 8200 §3
  w.u16(message.length);
  w.u8(IPPROTO_ICMPV6);
  w.u8(255);
  w.bytes(ends.source);
  w.bytes(ends.destination);
  w.bytes(message);
  return w.finish();
}

/** The neighbour advertisement in an ICMPv6 message that travelled between `ends`. */
export function decodeNeighbourAdvertisement(
  message: Uint8Array,
  ends: Endpoints,
): NeighbourAdvertisement | IcmpError {
  const r = new Reader(message);
  const typeCode = r.u16();
  r.skip(2); // checksum, verified below
  const flags = r.u32() >>> 24;
  const address = r.bytes(16);
  if (r.short) return "length";
  if (typeCode !== NEIGHBOUR_ADVERTISEMENT << 8) return "type";
  const start = pseudoHeaderSum(ends, IPPROTO_ICMPV6, message.length);
  if (sum16(message, start) !== SOUND) return "checksum";
  let mac: Mac = new Uint8Array(0);
  while (r.remaining > 0) {
    const type = r.u8();
    const length = r.u8() * 8;
    if (length === 0) return "length"; // RFC 4861 §7.1.2
    const value = r.bytes(length - 2);
    if (type === TARGET_LINK_LAYER_ADDRESS) mac = value;
  }
  if (r.short) return "length";
  return {
    mac,
    address,
    router: (flags & FLAG_ROUTER) !== 0,
    solicited: (flags & FLAG_SOLICITED) !== 0,
    override: (flags & FLAG_OVERRIDE) !== 0,
  };
}

const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;
/** ICMPv6 (RFC 4443 §4). */
const ECHO_REQUEST_6 = 128;
const ECHO_REPLY_6 = 129;

/** A ping or its answer. */
export interface Echo {
  readonly type: "request" | "reply";
  /** Whose ping it is, 16 bits. */
  readonly identifier: number;
  /** Which ping it is, 16 bits. */
  readonly sequence: number;
  /** Returned unchanged by the one who answers; a view of the message when decoded. */
  readonly payload: Uint8Array;
}

/**
 * The ICMP message of a ping or its answer.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *     |  Type = 8, 0  |   Code = 0    |           Checksum            |
 *     +---------------+---------------+-------------------------------+
 *     |          Identifier           |        Sequence Number        |
 *     +-------------------------------+-------------------------------+
 *     |                            payload                            |
 *     +---------------------------------------------------------------+
 */
export function encodeEcho(echo: Echo): Uint8Array {
  const w = new Writer(new Uint8Array(8 + echo.payload.length));
  w.u8(echo.type === "request" ? ECHO_REQUEST : ECHO_REPLY);
  w.u8(0);
  w.u16(0);
  w.u16(echo.identifier);
  w.u16(echo.sequence);
  w.bytes(echo.payload);
  w.patchU16(2, checksum(w.finish()));
  return w.finish();
}

/**
 * The ICMPv6 message of a ping, which is laid out alike; its checksum, over addresses too, is left to the
 * kernel.
 */
export function encodeEchoRequest6(
  { identifier, sequence, payload }: Omit<Echo, "type">,
): Uint8Array {
  const w = new Writer(new Uint8Array(8 + payload.length));
  w.u8(ECHO_REQUEST_6);
  w.u8(0);
  w.u16(0);
  w.u16(identifier);
  w.u16(sequence);
  w.bytes(payload);
  return w.finish();
}

/** The answer to a ping in an ICMPv6 message, whose checksum the kernel has verified. */
export function decodeEchoReply6(message: Uint8Array): Echo | IcmpError {
  const r = new Reader(message);
  const type = r.u8();
  const code = r.u8();
  r.skip(2);
  const identifier = r.u16();
  const sequence = r.u16();
  const payload = r.bytes(r.remaining);
  if (r.short) return "length";
  if (type !== ECHO_REPLY_6 || code !== 0) return "type";
  return { type: "reply", identifier, sequence, payload };
}

/** The ping or answer in an ICMP message, which begins after the IPv4 header. */
export function decodeEcho(message: Uint8Array): Echo | IcmpError {
  const r = new Reader(message);
  const type = r.u8();
  const code = r.u8();
  r.skip(2); // checksum, verified below
  const identifier = r.u16();
  const sequence = r.u16();
  const payload = r.bytes(r.remaining);
  if (r.short) return "length";
  if ((type !== ECHO_REQUEST && type !== ECHO_REPLY) || code !== 0) return "type";
  if (sum16(message) !== SOUND) return "checksum";
  return { type: type === ECHO_REQUEST ? "request" : "reply", identifier, sequence, payload };
}
