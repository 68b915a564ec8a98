/**
 * What `auth_hmac` appends to an advert of either version and family: 28 bytes that prove who sent it, and when.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+---------------+-------------------------------+
 *     |   Type (1)    |    Key ID     |           Reserved            |
 *     +---------------+---------------+-------------------------------+
 *     |                            Seconds                            |
 *     +-------------------------------+-------------------------------+
 *     |      Sub-seconds (2^-16)      |            Counter            |
 *     +-------------------------------+-------------------------------+
 *     |              HMAC-SHA256, the first 128 bits (16)             |
 *     +---------------------------------------------------------------+
 *
 * Seconds, sub-seconds and counter are read as one number of 64 bits, the stamp, so that "newer" is ">".
 *
 * The HMAC covers 20 bytes that say what the message does not (family as 4 or 6, version, VRID, 0, the
 * source address filled up with zeros to 16 bytes), then message and trailer, checksum and HMAC in
 * them counting as zero: the checksum is made after it where it covers the trailer, over IPv6.
 */

import { equalAuth } from "./vrrp_auth.ts";

/** Bytes of the trailer. */
export const TRAILER_LENGTH = 28;

/** HMAC-SHA256 of `data` under `key`: 32 bytes. Handed in, because this folder has no cryptography. */
export type HmacSha256 = (key: Uint8Array, data: Uint8Array) => Uint8Array;

/** A trailer but for its HMAC. */
export interface Trailer {
  /** Which of the keys: 1 to 255. */
  readonly keyId: number;
  /** Seconds, sub-seconds and counter: 64 bits, unsigned. */
  readonly stamp: bigint;
}

const TYPE_HMAC_SHA256 = 1;
const STAMP_AT = 4;
const HMAC_AT = 12;
const HMAC_LENGTH = TRAILER_LENGTH - HMAC_AT;
const CHECKSUM_AT = 6;
/** Bytes of what the HMAC covers besides the message. */
const PREAMBLE_LENGTH = 20;

/** The trailer at the end of `message`; undefined when there is none of this type. */
export function decodeTrailer(message: Uint8Array): Trailer | undefined {
  if (message.length < TRAILER_LENGTH) return undefined;
  const view = trailerOf(message);
  const isOurs = view.getUint8(0) === TYPE_HMAC_SHA256 && view.getUint16(2) === 0;
  return isOurs ? { keyId: view.getUint8(1), stamp: view.getBigUint64(STAMP_AT) } : undefined;
}

/** Fills in the last {@link TRAILER_LENGTH} bytes of a `message` that `source` sends. */
export function signTrailer(
  message: Uint8Array,
  source: Uint8Array,
  { keyId, stamp }: Trailer,
  key: Uint8Array,
  hmac: HmacSha256,
): void {
  const view = trailerOf(message);
  view.setUint8(0, TYPE_HMAC_SHA256);
  view.setUint8(1, keyId);
  view.setUint16(2, 0);
  view.setBigUint64(STAMP_AT, stamp);
  message.set(hmacOf(message, source, key, hmac), message.length - HMAC_LENGTH);
}

/** Whether the HMAC of a `message` with a trailer is that of `key`, told in constant time. */
export function verifyTrailer(
  message: Uint8Array,
  source: Uint8Array,
  key: Uint8Array,
  hmac: HmacSha256,
): boolean {
  return equalAuth(hmacOf(message, source, key, hmac), message.subarray(-HMAC_LENGTH));
}

function trailerOf(message: Uint8Array): DataView {
  const at = message.byteOffset + message.length - TRAILER_LENGTH;
  return new DataView(message.buffer, at, TRAILER_LENGTH);
}

function hmacOf(
  message: Uint8Array,
  source: Uint8Array,
  key: Uint8Array,
  hmac: HmacSha256,
): Uint8Array {
  const covered = new Uint8Array(PREAMBLE_LENGTH + message.length);
  const [versionType = 0, vrid = 0] = message;
  covered.set([source.length === 4 ? 4 : 6, versionType >> 4, vrid, 0]);
  covered.set(source, 4);
  covered.set(message, PREAMBLE_LENGTH);
  covered.fill(0, PREAMBLE_LENGTH + CHECKSUM_AT, PREAMBLE_LENGTH + CHECKSUM_AT + 2);
  covered.fill(0, covered.length - HMAC_LENGTH);
  return hmac(key, covered).subarray(0, HMAC_LENGTH);
}
