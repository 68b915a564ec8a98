/**
 * Writes network-order fields one after another, into a buffer of its own that grows or into one it
 * was given (a slot of the send arena), which never does: outgrowing that is a RangeError, because
 * its size was our own arithmetic.
 */

/** A cursor that appends; every number is cut to its field's width. */
export class Writer {
  #bytes: Uint8Array;
  #at = 0;
  readonly #grows: boolean;

  /** Writes into `into` from its start, or into a growing buffer. */
  constructor(into?: Uint8Array) {
    this.#bytes = into ?? new Uint8Array(64);
    this.#grows = into === undefined;
  }

  /** Bytes written so far, hence the offset of the next field. */
  get at(): number {
    return this.#at;
  }

  /** Appends one byte. */
  u8(value: number): void {
    const at = this.#take(1);
    this.#bytes[at] = value;
  }

  /** Appends 2 bytes. */
  u16(value: number): void {
    this.patchU16(this.#take(2), value);
  }

  /** Appends 4 bytes. */
  u32(value: number): void {
    const at = this.#take(4);
    this.patchU16(at, value >>> 16);
    this.patchU16(at + 2, value);
  }

  /** Appends a copy of `bytes`. */
  bytes(bytes: Uint8Array): void {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Overwrites the 2 bytes at offset `at`, already written: a length or checksum known later. */
  patchU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** A view of what was written. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  /** Where the next `length` bytes go, after making room for them. */
  #take(length: number): number {
    const at = this.#at;
    const end = at + length;
    if (end > this.#bytes.length) {
      if (!this.#grows) throw new RangeError(`${end} bytes into a buffer of ${this.#bytes.length}`);
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#at = end;
    return at;
  }
}
