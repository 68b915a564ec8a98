/**
 * Reads network-order fields one after another. A decoder reads all it expects and asks `short` once
 * at the end: after the first read past the end every read yields zeros, so nothing throws and no
 * field needs a check of its own.
 */

const EMPTY = new Uint8Array(0);

/** A cursor over received bytes whose "too short" flag sticks. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  #short: boolean;

  /** Starts at `offset` bytes; an offset past the end is short from the beginning. */
  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#short = offset > bytes.length;
    this.#at = this.#short ? bytes.length : offset;
  }

  /** Whether any read so far wanted more than there was. */
  get short(): boolean {
    return this.#short;
  }

  /** Bytes not yet read; 0 once short. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next byte, 0 when short. */
  u8(): number {
    const at = this.#take(1);
    return at < 0 ? 0 : this.#bytes[at]!;
  }

  /** The next 2 bytes as a number, 0 when short. */
  u16(): number {
    const at = this.#take(2);
    return at < 0 ? 0 : (this.#bytes[at]! << 8) | this.#bytes[at + 1]!;
  }

  /** The next 4 bytes as a number from 0 to 2^32 - 1, 0 when short. */
  u32(): number {
    const at = this.#take(4);
    if (at < 0) return 0;
    const b = this.#bytes;
    return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
  }

  /** A view (not a copy) of the next `length` bytes, empty when short. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return at < 0 ? EMPTY : this.#bytes.subarray(at, at + length);
  }

  /** Passes over `length` bytes. */
  skip(length: number): void {
    this.#take(length);
  }

  /** Where the next `length` bytes begin, or -1 when they are not there. */
  #take(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) {
      this.#short = true;
      this.#at = this.#bytes.length;
      return -1;
    }
    this.#at += length;
    return at;
  }
}
