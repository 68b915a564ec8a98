/**
 * The Internet checksum: RFC 1071. The one's complement sum is kept folded to 16 bits, so a sum can
 * seed the next one and a sound message, its checksum field included, sums to 0xffff.
 */

import type { Address } from "../lib/address.ts";

/** Between whom a message travels: what a pseudo-header needs beside protocol and length. */
export interface Endpoints {
  readonly source: Address;
  /** Of the same family as the source. */
  readonly destination: Address;
}

/** The sum of a message whose checksum field is right. */
export const SOUND = 0xffff;

/**
 * One's complement sum of `bytes` as 16-bit words, 0 to 0xffff, continuing from the sum `start`. An
 * odd last byte counts as the high half of a word (RFC 1071 §4.1), so only the last part may be odd.
 * At most 64 KiB.
 */
export function sum16(bytes: Uint8Array, start = 0): number {
  let sum = start;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (even < bytes.length) sum += bytes[even]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** What belongs in the checksum field of `bytes`, that field being zero, after the sum `start`. */
export function checksum(bytes: Uint8Array, start = 0): number {
  return ~sum16(bytes, start) & 0xffff;
}

/**
 * Sum of the pseudo-header before a message of `length` bytes. The headers of IPv4 (RFC 9293 §3.1)
 * and IPv6 (RFC 8200 §8.1) differ only in where their zeros are, which a sum does not see.
 */
export function pseudoHeaderSum(ends: Endpoints, protocol: number, length: number): number {
  return sum16(ends.source, sum16(ends.destination, protocol + length));
}
