/**
 * ARP for IPv4 over Ethernet: RFC 826, and the gratuitous announcement a new MASTER makes (RFC 9568
 * §6.4.2, RFC 5227 §3).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *     |       Hardware type = 1       |    Protocol type = 0x0800     |
 *     +---------------+---------------+-------------------------------+
 *     |  length = 6   |  length = 4   |           Operation           |
 *     +---------------+---------------+-------------------------------+
 *     |                       Sender MAC (6)                          |
 *     +                               +-------------------------------+
 *     |                               |       Sender address (4)      |
 *     +-------------------------------+-------------------------------+
 *     |                               |         Target MAC (6)        |
 *     +-------------------------------+                               +
 *     |                                                               |
 *     +---------------------------------------------------------------+
 *     |                       Target address (4)                      |
 *     +---------------------------------------------------------------+
 */

import type { Address } from "../lib/address.ts";
import {
  BROADCAST,
  decodeEthernet,
  encodeEthernetHeader,
  ETH_HLEN,
  ETH_P_ARP,
  ETH_P_IP,
  type Mac,
} from "./ethernet.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

const ARP_LENGTH = 28;

/** Hardware type Ethernet (linux/if_arp.h). */
const ARPHRD_ETHER = 1;
/** Operation "request" (linux/if_arp.h). */
export const ARPOP_REQUEST = 1;
/** Operation "reply" (linux/if_arp.h). */
export const ARPOP_REPLY = 2;

/** A received ARP packet. */
export interface Arp {
  /** `ARPOP_REQUEST`, `ARPOP_REPLY` or another of 16 bits. */
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderAddress: Address;
  readonly targetMac: Mac;
  readonly targetAddress: Address;
}

/** Why a frame is no ARP: too short, another EtherType, not about IPv4 over Ethernet. */
export type ArpError = "length" | "etherType" | "hardware";

/** Whom a packet is from and about. */
interface Broadcast {
  readonly operation: number;
  readonly sender: Address;
  readonly targetMac: Mac;
  readonly target: Address;
}

/** A broadcast frame of 42 bytes; the driver pads it. */
function encodeBroadcast(
  mac: Mac,
  { operation, sender, targetMac, target }: Broadcast,
): Uint8Array {
  const w = new Writer(new Uint8Array(ETH_HLEN + ARP_LENGTH));
  w.bytes(encodeEthernetHeader({ destination: BROADCAST, source: mac, etherType: ETH_P_ARP }));
  w.u16(ARPHRD_ETHER);
  w.u16(ETH_P_IP);
  w.u8(mac.length);
  w.u8(target.length);
  w.u16(operation);
  w.bytes(mac);
  w.bytes(sender);
  w.bytes(targetMac);
  w.bytes(target);
  return w.finish();
}

/**
 * The frame that tells a link where an IPv4 `address` now is: a broadcast request whose sender and target
 * address are both that address. The target MAC, which RFC 5227 leaves open, is all ones as keepalived's.
 */
export function encodeGratuitousArp(
  { mac, address }: { readonly mac: Mac; readonly address: Address },
): Uint8Array {
  const ends = { sender: address, targetMac: BROADCAST, target: address };
  return encodeBroadcast(mac, { operation: ARPOP_REQUEST, ...ends });
}

/** The same as an answer that nobody has asked for (RFC 5227 §3): nobody who has the address answers it. */
export function encodeUnsolicitedReply(
  { mac, address }: { readonly mac: Mac; readonly address: Address },
): Uint8Array {
  const ends = { sender: address, targetMac: BROADCAST, target: address };
  return encodeBroadcast(mac, { operation: ARPOP_REPLY, ...ends });
}

const NO_ADDRESS = new Uint8Array(4);
const NO_MAC = new Uint8Array(6);

/**
 * The frame that asks a link who has `address` without saying who asks (RFC 5227 §2.1.1): nobody changes a
 * cache, and whoever has the address answers.
 */
export function encodeArpProbe(
  { mac, address }: { readonly mac: Mac; readonly address: Address },
): Uint8Array {
  const ends = { sender: NO_ADDRESS, targetMac: NO_MAC, target: address };
  return encodeBroadcast(mac, { operation: ARPOP_REQUEST, ...ends });
}

/** The ARP packet in a whole Ethernet frame; padding after it is ignored, addresses are views. */
export function decodeArp(bytes: Uint8Array): Arp | ArpError {
  const frame = decodeEthernet(bytes);
  if (frame === "length") return "length";
  if (frame.etherType !== ETH_P_ARP) return "etherType";
  const r = new Reader(frame.payload);
  const hardware = r.u16();
  const protocol = r.u16();
  const lengths = r.u16();
  const operation = r.u16();
  const senderMac = r.bytes(6);
  const senderAddress = r.bytes(4);
  const targetMac = r.bytes(6);
  const targetAddress = r.bytes(4);
  if (r.short) return "length";
  if (hardware !== ARPHRD_ETHER || protocol !== ETH_P_IP || lengths !== 0x0604) return "hardware";
  return { operation, senderMac, senderAddress, targetMac, targetAddress };
}
