/**
 * The trailer that authenticates an advert of any version and family (`auth_hmac`;
 * draft-cassen-vrrp-auth-hmac, as keepalived 2.4.2 and later speak it), 28 bytes after the message:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *     |     Type      |    Key ID     |           Reserved            |
 *     +---------------+---------------+-------------------------------+
 *     |                Seconds since 1970 (UTC)                       |
 *     +-------------------------------+-------------------------------+
 *     |      Sub-seconds (2^-16)      |            Counter            |
 *     +-------------------------------+-------------------------------+
 *     |                      HMAC, 128 bits                           |
 *     +---------------------------------------------------------------+
 *
 * Seconds, sub-seconds and counter are one sequence number of 64 bits that grows with every advert.
 *
 * What is hashed, with SHA-256 of which the first half is kept: 20 bytes that name the sender (family 4 or
 * 6, version, VRID, 0, source address filled up with zeros to 16 bytes), the message, the trailer; the
 * checksum and the HMAC itself count as zeros. The destination does not count, so that all unicast peers
 * get the same trailer.
 */

import type { Address } from "../lib/address.ts";
import { equalAuth } from "./vrrp_auth.ts";

/** Bytes of the trailer. */
export const TRAILER_LENGTH = 28;

/** HMAC-SHA256 of `data` under `key`: 32 bytes. Handed in, because this folder has no cryptography. */
export type HmacSha256 = (key: Uint8Array, data: Uint8Array) => Uint8Array;

/** The one type of trailer there is: HMAC-SHA256, truncated to 128 bits. */
const TYPE_SHA256 = 1;
const HMAC_AT = 12;
const PSEUDO_LENGTH = 20;
const CHECKSUM_AT = 6;

/** A sequence number: moments in 2^-16 s since 1970, and a counter that tells equal ones apart. */
export interface Sequence {
  /** Seconds, 32 bits. */
  readonly seconds: number;
  /** Sub-seconds and counter, 32 bits. */
  readonly rest: number;
}

/** A received trailer without its HMAC. */
export interface Trailer extends Sequence {
  /** Which key, 1 to 255. */
  readonly keyId: number;
}

/** The trailer at the end of `signed`; undefined when it is of another type or uses reserved bits. */
export function decodeTrailer(signed: Uint8Array): Trailer | undefined {
  const at = signed.length - TRAILER_LENGTH;
  if (at < 0 || signed[at] !== TYPE_SHA256) return undefined;
  if (signed[at + 2] !== 0 || signed[at + 3] !== 0) return undefined;
  const keyId = signed[at + 1]!;
  return { keyId, seconds: u32(signed, at + 4), rest: u32(signed, at + 8) };
}

/** Fills in the trailer at the end of `signed`, a message from its VRRP header on, in place. */
export function signTrailer(
  signed: Uint8Array,
  source: Address,
  { keyId, seconds, rest }: Trailer,
  key: Uint8Array,
  hmac: HmacSha256,
): void {
  const at = signed.length - TRAILER_LENGTH;
  const view = new DataView(signed.buffer, signed.byteOffset + at, TRAILER_LENGTH);
  view.setUint32(0, (TYPE_SHA256 << 24) | (keyId << 16));
  view.setUint32(4, seconds);
  view.setUint32(8, rest);
  signed.set(digestOf(signed, source, key, hmac), at + HMAC_AT);
}

/** Whether the HMAC at the end of `signed` is right; takes the same time for any. */
export function verifyTrailer(
  signed: Uint8Array,
  source: Address,
  key: Uint8Array,
  hmac: HmacSha256,
): boolean {
  const digest = digestOf(signed, source, key, hmac);
  return equalAuth(digest, signed.subarray(signed.length - digest.length));
}

function digestOf(
  signed: Uint8Array,
  source: Address,
  key: Uint8Array,
  hmac: HmacSha256,
): Uint8Array {
  const form = new Uint8Array(PSEUDO_LENGTH + signed.length);
  form[0] = source.length === 4 ? 4 : 6;
  form[1] = signed[0]! >> 4;
  form[2] = signed[1]!;
  form.set(source, 4);
  form.set(signed, PSEUDO_LENGTH);
  form.fill(0, PSEUDO_LENGTH + CHECKSUM_AT, PSEUDO_LENGTH + CHECKSUM_AT + 2);
  const length = TRAILER_LENGTH - HMAC_AT;
  form.fill(0, form.length - length);
  return hmac(key, form).subarray(0, length);
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>>
    0;
}
