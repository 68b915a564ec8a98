/**
 * Adverts as packets: made once and sent from where they lie until something in them changes. Only what
 * authenticates them, sequence number and hash, is written anew for each.
 */

import { sockaddrIn, sockaddrIn6 } from "../../ffi/layout.ts";
import { Piece } from "../../ffi/memory.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, parseAddress } from "../lib/address.ts";
import { AH_LENGTH, decodeAh, IPPROTO_AH, signAh, verifyAh, writeAh } from "../wire/ah.ts";
import type { Endpoints } from "../wire/checksum.ts";
import { decodeIpv4, encodeIpv4Header, IPV4_HEADER_LENGTH } from "../wire/ipv4.ts";
import {
  type ChecksumStyle,
  decodeAdvert,
  encodeAdvert,
  IPPROTO_VRRP,
  messageLength,
  sealMessage,
} from "../wire/vrrp.ts";
import { passData } from "../wire/vrrp_auth.ts";
import { decodeTrailer, signTrailer, TRAILER_LENGTH, verifyTrailer } from "../wire/vrrp_trailer.ts";
import { advertDestinations, advertisedAddresses } from "./addresses.ts";
import { acceptAhSequence, type AuthState, isAh, nextAhSequence, sendsTrailer } from "./auth.ts";
import { type AuthRejection, authTypeOf, type Received } from "./judge.ts";
import { isLinkLocal } from "./links.ts";
import { type Packet, type Port, TOS_INTERNETWORK_CONTROL, TTL } from "./ports.ts";
import type { RunningInstance } from "./running.ts";
import { acceptStamp, isStale, nextStamp } from "./stamps.ts";

/** How an instance's adverts are made besides what its configuration says. */
export interface Manner {
  readonly source: Address;
  /** The link they leave through: the scope of link-local destinations. */
  readonly index: number;
  readonly style: ChecksumStyle;
}

/** IP protocol of an instance's adverts. */
export function protocolOf(instance: VrrpInstance): number {
  return isAh(instance) ? IPPROTO_AH : IPPROTO_VRRP;
}

/**
 * An instance's advert, one packet for its group or for each of its peers. The kernel fills in the
 * identification, but for AH, which covers it.
 */
export function advertPackets(
  instance: VrrpInstance,
  priority: number,
  manner: Manner,
): readonly Packet[] {
  const { version, authentication, family } = instance;
  const authType = authTypeOf(instance);
  const pass = authType === 1 ? authentication?.auth_pass ?? "" : "";
  const hasAuthData = version === 2 && family === 4;
  const advert = {
    version,
    vrid: instance.virtual_router_id,
    priority,
    advertisementIntervalUs: instance.advert_int,
    addresses: advertisedAddresses(instance),
    authType,
    authData: hasAuthData ? passData(pass) : new Uint8Array(0),
  };
  const options = {
    style: manner.style,
    group: parseAddress(instance.mcast_group),
    trailerLength: sendsTrailer(instance) ? TRAILER_LENGTH : 0,
  };
  return advertDestinations(instance).map((destination) => {
    const ends = { source: manner.source, destination };
    const message = encodeAdvert(advert, ends, options);
    if (family === 4) return packet4(instance, ends, message);
    const scope = isLinkLocal(destination) ? manner.index : 0;
    return { bytes: Piece.of(message), to: Piece.of(sockaddrIn6(destination, scope).bytes) };
  });
}

function packet4(instance: VrrpInstance, ends: Endpoints, message: Uint8Array): Packet {
  const protocol = protocolOf(instance);
  const ahLength = protocol === IPPROTO_AH ? AH_LENGTH : 0;
  const isUnicast = instance.unicast_peer.length > 0;
  const header = encodeIpv4Header({
    ...ends,
    protocol,
    payloadLength: ahLength + message.length,
    ttl: isUnicast ? instance.unicast_ttl ?? TTL : TTL,
    tos: TOS_INTERNETWORK_CONTROL,
  });
  const packet = new Uint8Array(header.length + ahLength + message.length);
  packet.set(header);
  packet.set(message, header.length + ahLength);
  if (ahLength > 0) writeAh(packet, header.length, IPPROTO_VRRP);
  return { bytes: Piece.of(packet), to: Piece.of(sockaddrIn(ends.destination).bytes) };
}

/** HMAC-MD5 by the runtime's library. */
export function hmacMd5(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("md5", key).update(data).digest();
}

/** HMAC-SHA256 by the runtime's library. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256", key).update(data).digest();
}

/** Signs an advert's packets for one more journey, all with the same number; `wallUs` is since 1970. */
export function signPackets(
  instance: VrrpInstance,
  packets: readonly Packet[],
  source: Address,
  auth: AuthState,
  wallUs: number,
): void {
  const { auth_hmac } = instance;
  if (auth_hmac === undefined) {
    const sequence = nextAhSequence(auth, wallUs);
    for (const { bytes: { bytes } } of packets) {
      // The kernel would choose the identification after we have signed.
      bytes[4] = (sequence >> 8) & 0xff;
      bytes[5] = (sequence & 0xff) || 1;
      signAh(bytes, IPV4_HEADER_LENGTH, sequence, auth.keys.get(0)!, hmacMd5);
    }
    return;
  }
  if (!sendsTrailer(instance)) return;
  const keyId = auth_hmac.active_key;
  const trailer = { keyId, stamp: nextStamp(auth.stamps, auth_hmac, wallUs) };
  const key = auth.keys.get(keyId)!;
  for (const { bytes, to } of packets) {
    const isV4 = instance.family === 4;
    const message = isV4 ? bytes.bytes.subarray(IPV4_HEADER_LENGTH) : bytes.bytes;
    signTrailer(message, source, trailer, key, hmacSha256);
    // Over IPv6 the checksum covers the trailer.
    if (!isV4) sealMessage(message, { source, destination: to.bytes.subarray(8, 24) });
  }
}

/** What is known of a packet before it is known whose it is; views of the receive buffer. */
export interface Envelope extends Endpoints {
  /** The whole packet over IPv4, header first; the message over IPv6. */
  readonly packet: Uint8Array;
  /** From the VRRP header on. */
  readonly message: Uint8Array;
  readonly ttl: number;
  readonly isAh: boolean;
}

/** An IPv4 packet as a raw socket delivers it, AH around the advert or not; undefined when it is no such thing. */
export function openIpv4(packet: Uint8Array): Envelope | undefined {
  const header = decodeIpv4(packet);
  if (typeof header === "string") return undefined;
  const { source, destination, ttl, headerLength, totalLength, protocol } = header;
  const isWrapped = protocol === IPPROTO_AH;
  const start = headerLength + (isWrapped ? AH_LENGTH : 0);
  const whole = packet.subarray(0, totalLength);
  if (isWrapped && decodeAh(whole, headerLength)?.nextHeader !== IPPROTO_VRRP) return undefined;
  const message = whole.subarray(start);
  return { packet: whole, message, source, destination, ttl, isAh: isWrapped };
}

/** What an envelope holds. `group` makes old unicast checksums sound, see ChecksumStyle. */
export function readAdvert(envelope: Envelope, group: Address | undefined): Received {
  const { message, source, destination, ttl } = envelope;
  const length = messageLength(message, envelope);
  const surplus = message.length - length;
  const trailerLength = surplus === TRAILER_LENGTH ? TRAILER_LENGTH : 0;
  return {
    vrid: message[1] ?? 0,
    source,
    destination,
    ttl,
    length: message.length,
    surplus,
    versionType: message[0] ?? 0,
    authType: message[4] ?? 0,
    interval: message[5] ?? 0,
    authData: message.subarray(Math.max(0, length - 8), length),
    advert: decodeAdvert(message, envelope, { trailerLength, group }),
  };
}

/** What is wrong with the authentication header of a packet; a sound one is remembered. */
export function judgeAh(
  auth: AuthState,
  { packet, message }: Envelope,
): "auth-data" | "auth-replay" | undefined {
  const at = packet.length - message.length - AH_LENGTH;
  const header = decodeAh(packet, at);
  const key = auth.keys.get(0);
  if (header === undefined || key === undefined) return "auth-data";
  if (!verifyAh(packet, at, key, hmacMd5)) return "auth-data";
  return acceptAhSequence(auth, header.sequence) ? undefined : "auth-replay";
}

/** What is wrong with the trailer of a message; a sound one is remembered under `sender`. */
export function judgeTrailer(
  instance: VrrpInstance,
  auth: AuthState,
  { message, source }: Envelope,
  sender: string,
  wallUs: number,
): AuthRejection | undefined {
  const hmac = instance.auth_hmac!;
  const trailer = decodeTrailer(message);
  if (trailer === undefined) return "auth-ext-malformed";
  // Before the hash, so that a flood of old captures costs little.
  if (isStale(hmac, trailer.stamp, wallUs)) return "auth-ext-stale";
  const key = auth.keys.get(trailer.keyId);
  if (key === undefined) return "auth-ext-unknown-key";
  if (!verifyTrailer(message, source, key, hmacSha256)) return "auth-ext-invalid-hmac";
  const isNew = acceptStamp(auth.stamps, hmac, sender, trailer.stamp, wallUs);
  return isNew ? undefined : "auth-ext-replay";
}

/** The packets of an advert, made anew only when something in them has changed. */
export function preparePackets(
  running: RunningInstance<Port, readonly Packet[]>,
  priority: number,
): readonly Packet[] {
  if (priority === 0) return running.farewell ??= makePackets(running, 0);
  if (running.packets === undefined || running.packetPriority !== priority) {
    running.packets = makePackets(running, priority);
    running.packetPriority = priority;
  }
  return running.packets;
}

function makePackets(
  { instance, router, port, style }: RunningInstance<Port, readonly Packet[]>,
  priority: number,
): readonly Packet[] {
  const index = port?.link?.index ?? 0;
  return advertPackets(instance, priority, { source: router.address, index, style });
}
