/** Damaged copies of a message, for tests that a decoder survives them all. */

/** Every shorter prefix of `bytes`, then every copy with a single bit flipped. */
export function* mutants(bytes: Uint8Array): Generator<Uint8Array, void> {
  for (let length = 0; length < bytes.length; length++) yield bytes.slice(0, length);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const copy = bytes.slice();
    copy[bit >> 3]! ^= 1 << (bit & 7);
    yield copy;
  }
}
