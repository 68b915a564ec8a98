/**
 * Address families and prefixes as routes, rules and neighbours write them: a byte for the family
 * (linux/socket.h), a length in bits, and the address in an attribute that is left out when the
 * length is 0.
 */

import { type Address, type Family, familyOf } from "../lib/address.ts";

/** Every family (linux/socket.h). */
export const AF_UNSPEC = 0;
/** IPv4. */
export const AF_INET = 2;
/** IPv6. */
export const AF_INET6 = 10;

/** The kernel's number of a family. */
export function familyNumber(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** The family of a kernel's number; undefined for one that is not IP. */
export function familyOfNumber(number: number | undefined): Family | undefined {
  if (number === AF_INET) return 4;
  return number === AF_INET6 ? 6 : undefined;
}

/** Bytes of an address. */
export function addressLength(family: Family): number {
  return family === 4 ? 4 : 16;
}

/** A range of addresses by its first bits. */
export interface Prefix {
  readonly address: Address;
  /** 0 to 32 or 128. */
  readonly length: number;
}

/** The prefix that holds every address. */
export function everything(family: Family): Prefix {
  return { address: new Uint8Array(addressLength(family)), length: 0 };
}

/** Whether two prefixes hold the same addresses; bits behind the length do not count. */
export function isSamePrefix(a: Prefix, b: Prefix): boolean {
  if (a.length !== b.length || familyOf(a.address) !== familyOf(b.address)) return false;
  return a.address.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, a.length - 8 * i));
    return (byte ^ b.address[i]!) >> (8 - bits) === 0;
  });
}
