/**
 * The Ethernet II frame header, untagged (the kernel strips and adds VLAN tags).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *     |                          Destination                          |
 *     +                               +-------------------------------+
 *     |                               |                               |
 *     +-------------------------------+            Source             +
 *     |                                                               |
 *     +-------------------------------+-------------------------------+
 *     |           EtherType           |            payload            |
 *     +-------------------------------+-------------------------------+
 */

import type { Address } from "../lib/address.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/** A hardware address: 6 bytes. */
export type Mac = Uint8Array;

/** EtherType of IPv4 (linux/if_ether.h). */
export const ETH_P_IP = 0x0800;
/** EtherType of ARP (linux/if_ether.h). */
export const ETH_P_ARP = 0x0806;
/** EtherType of IPv6 (linux/if_ether.h). */
export const ETH_P_IPV6 = 0x86dd;
/** Bytes of the header. */
export const ETH_HLEN = 14;

/** The hardware address of every station on the link. */
export const BROADCAST: Mac = new Uint8Array(6).fill(0xff);

/** The three fields of a frame header. */
export interface EthernetHeader {
  readonly destination: Mac;
  readonly source: Mac;
  /** 16 bits, as `ETH_P_IP`. */
  readonly etherType: number;
}

/** A received frame: its header and a view of what follows, padding included. */
export interface EthernetFrame extends EthernetHeader {
  readonly payload: Uint8Array;
}

/** The 14 bytes of a frame header. */
export function encodeEthernetHeader(header: EthernetHeader): Uint8Array {
  const w = new Writer(new Uint8Array(ETH_HLEN));
  w.bytes(header.destination);
  w.bytes(header.source);
  w.u16(header.etherType);
  return w.finish();
}

/** The frame in `bytes` (views, not copies), or "length" when it is shorter than a header. */
export function decodeEthernet(bytes: Uint8Array): EthernetFrame | "length" {
  const r = new Reader(bytes);
  const destination = r.bytes(6);
  const source = r.bytes(6);
  const etherType = r.u16();
  const payload = r.bytes(r.remaining);
  return r.short ? "length" : { destination, source, etherType, payload };
}

/** The hardware address of an IP multicast group: RFC 1112 §6.4 for IPv4, RFC 2464 §7 for IPv6. */
export function multicastMac(group: Address): Mac {
  if (group.length === 16) return Uint8Array.of(0x33, 0x33, ...group.subarray(12));
  return Uint8Array.of(0x01, 0x00, 0x5e, group[1]! & 0x7f, group[2]!, group[3]!);
}
