/**
 * The IP Authentication Header around an advert of VRRP version 2 over IPv4 (RFC 2402, RFC 2338 §5.3.6,
 * `auth_type AH`), transport mode, HMAC-MD5-96 (RFC 2403):
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *     | Next Header   | Payload Length|            Reserved           |
 *     +---------------+---------------+-------------------------------+
 *     |                 Security Parameters Index                     |
 *     +---------------------------------------------------------------+
 *     |                      Sequence Number                          |
 *     +---------------------------------------------------------------+
 *     |                 Authentication Data (12)                      |
 *     +---------------------------------------------------------------+
 *
 * As keepalived has it: the SPI is the source address; of the IP header's mutable fields the TOS, the
 * flags and offset, and the checksum count as zero. So does the TTL on its way to a unicast peer, but not
 * to a multicast group, where it is always 255. The identification counts, so that we must choose it
 * ourselves.
 */

import { equalAuth } from "./vrrp_auth.ts";

/** IP protocol of the header (linux/in.h). */
export const IPPROTO_AH = 51;
/** Bytes of the header with 96 bits of authentication data. */
export const AH_LENGTH = 24;

/** HMAC-MD5 of `data` under `key`: 16 bytes. Handed in, because this folder has no cryptography. */
export type HmacMd5 = (key: Uint8Array, data: Uint8Array) => Uint8Array;

/** Bytes of authentication data: the first 96 bits of the digest. */
const ICV_LENGTH = 12;
const SEQUENCE_AT = 8;
const ICV_AT = 12;
/** Payload Length: the header in words of 4 bytes, less 2. */
const PAYLOAD_LENGTH = AH_LENGTH / 4 - 2;

/** A received header. */
export interface AuthenticationHeader {
  /** IP protocol of what follows. */
  readonly nextHeader: number;
  /** Sequence Number, 0 to 2^32 - 1. */
  readonly sequence: number;
}

/** The header at `at` in an IPv4 packet; undefined when it is cut short or is no HMAC-96 header. */
export function decodeAh(packet: Uint8Array, at: number): AuthenticationHeader | undefined {
  if (packet.length < at + AH_LENGTH || packet[at + 1] !== PAYLOAD_LENGTH) return undefined;
  return { nextHeader: packet[at]!, sequence: sequenceAt(packet, at + SEQUENCE_AT) };
}

/** Writes a header without sequence and authentication data at `at`; the rest of the packet is there. */
export function writeAh(packet: Uint8Array, at: number, nextHeader: number): void {
  packet.fill(0, at, at + AH_LENGTH);
  packet[at] = nextHeader;
  packet[at + 1] = PAYLOAD_LENGTH;
  packet.copyWithin(at + 4, 12, 16); // the SPI: the source address
}

/** Gives the header at `at` its sequence number and signs the whole packet, in place. */
export function signAh(
  packet: Uint8Array,
  at: number,
  sequence: number,
  key: Uint8Array,
  hmac: HmacMd5,
): void {
  packet[at + SEQUENCE_AT] = sequence >>> 24;
  packet[at + SEQUENCE_AT + 1] = sequence >>> 16;
  packet[at + SEQUENCE_AT + 2] = sequence >>> 8;
  packet[at + SEQUENCE_AT + 3] = sequence;
  const digest = hmac(key, signedForm(packet, at));
  packet.set(digest.subarray(0, ICV_LENGTH), at + ICV_AT);
}

/** Whether the authentication data of the header at `at` are right; takes the same time for any. */
export function verifyAh(
  packet: Uint8Array,
  at: number,
  key: Uint8Array,
  hmac: HmacMd5,
): boolean {
  const digest = hmac(key, signedForm(packet, at)).subarray(0, ICV_LENGTH);
  return equalAuth(digest, packet.subarray(at + ICV_AT, at + AH_LENGTH));
}

/** What is signed: a copy of the packet with zeros for mutable fields and authentication data. */
function signedForm(packet: Uint8Array, at: number): Uint8Array {
  const form = packet.slice();
  form[1] = 0; // type of service
  form.fill(0, 6, 8); // flags, fragment offset
  const isMulticast = form[16]! >= 224;
  if (!isMulticast) form[8] = 0; // time to live
  form.fill(0, 10, 12); // header checksum
  form.fill(0, at + ICV_AT, at + AH_LENGTH);
  return form;
}

function sequenceAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>>
    0;
}
