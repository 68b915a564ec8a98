/** Keyed hashes for tests of what authenticates adverts. */

import { createHmac } from "node:crypto";

/** HMAC-MD5 by the runtime's own library. */
export function hmacMd5(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("md5", key).update(data).digest());
}

/** HMAC-SHA256 by the runtime's own library. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(data).digest());
}
