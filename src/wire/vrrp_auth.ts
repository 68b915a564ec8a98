/**
 * The simple text password of VRRP version 2 (RFC 2338 §5.3.6, `auth_type PASS`): 8 bytes in clear
 * after the addresses. It keeps out mistakes, not attackers; RFC 3768 dropped it, the field stayed.
 */

/** Bytes of the authentication data. */
export const AUTH_LENGTH = 8;

/** The authentication data of a password: its first 8 bytes in UTF-8, filled up with NUL. */
export function passData(secret: string): Uint8Array {
  const data = new Uint8Array(AUTH_LENGTH);
  data.set(new TextEncoder().encode(secret).subarray(0, AUTH_LENGTH));
  return data;
}

/** Whether `a` and `b` are equal, in a time that tells nothing about where they differ. */
export function equalAuth(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ (b[i] ?? 0);
  return difference === 0;
}
