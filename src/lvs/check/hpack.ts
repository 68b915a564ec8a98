/**
 * HPACK (RFC 7541), as much of it as a client needs that asks one thing: header fields are written as literals
 * and read with Huffman's code, and there is no dynamic table, which our SETTINGS say.
 */

import { latin1, utf8 } from "./talk.ts";

/** A header field: name and value. */
export type Field = readonly [name: string, value: string];

/** Header fields as a block of literals without indexing (§6.2.2). */
export function encodeFields(fields: readonly Field[]): Uint8Array {
  const out: number[] = [];
  for (const field of fields) {
    out.push(0);
    for (const text of field) {
      const bytes = utf8(text);
      writeInteger(out, 7, bytes.length);
      for (const byte of bytes) out.push(byte);
    }
  }
  return Uint8Array.from(out);
}

/** §5.1, with nothing in the bits before the prefix. */
function writeInteger(out: number[], prefix: number, value: number): void {
  const most = 2 ** prefix - 1;
  if (value < most) {
    out.push(value);
    return;
  }
  out.push(most);
  let rest = value - most;
  for (; rest >= 128; rest >>= 7) out.push(128 | (rest & 127));
  out.push(rest);
}

/** Appendix A: what of the static table a response to us can hold; other names are of no interest. */
const STATUS: Readonly<Record<number, string>> = {
  8: "200",
  9: "204",
  10: "206",
  11: "304",
  12: "400",
  13: "404",
  14: "500",
};
const STATIC_SIZE = 61;

/** The fields of a block; undefined when it is malformed. A name that is of no interest is "". */
export function decodeFields(block: Uint8Array): readonly Field[] | undefined {
  const reader = new BlockReader(block);
  const fields: Field[] = [];
  while (!reader.isAtEnd && !reader.isBad) {
    const first = reader.peek();
    if (first >= 0x80) {
      const index = reader.integer(7);
      fields.push([nameOf(index, reader), STATUS[index] ?? ""]);
    } else if (first >= 0x20 && first < 0x40) {
      reader.integer(5); // §6.3: the size of a table that is not there
    } else {
      const index = reader.integer(first >= 0x40 ? 6 : 4);
      const name = index === 0 ? reader.text() : nameOf(index, reader);
      fields.push([name, reader.text()]);
    }
  }
  return reader.isBad ? undefined : fields;
}

function nameOf(index: number, reader: BlockReader): string {
  if (index < 1 || index > STATIC_SIZE) reader.isBad = true;
  return index in STATUS ? ":status" : "";
}

class BlockReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  isBad = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  peek(): number {
    return this.#bytes[this.#at] ?? 0;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) this.isBad = true;
    return byte ?? 0;
  }

  integer(prefix: number): number {
    const most = 2 ** prefix - 1;
    let value = this.#byte() & most;
    if (value < most) return value;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
    this.isBad = true;
    return 0;
  }

  /** §5.2. */
  text(): string {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    if (bytes.length < length) this.isBad = true;
    if (!isHuffman) return latin1(bytes);
    const text = decodeHuffman(bytes);
    if (text === undefined) this.isBad = true;
    return text ?? "";
  }
}

/** Appendix B: the bits of each symbol's code; the code itself follows from them, as it is canonical. */
// deno-fmt-ignore
const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];
const LONGEST = 30;

interface Huffman {
  /** Of the codes of each length: the first, and where their symbols begin. */
  readonly first: readonly number[];
  readonly start: readonly number[];
  readonly symbols: readonly number[];
}

let huffman: Huffman | undefined;

/** Codes of one length are consecutive in the order of their symbols, and follow those that are shorter. */
function makeHuffman(): Huffman {
  const first: number[] = [];
  const start: number[] = [];
  const symbols: number[] = [];
  let code = 0;
  for (let length = 0; length <= LONGEST + 1; length++) {
    first[length] = code;
    start[length] = symbols.length;
    for (let symbol = 0; symbol < LENGTHS.length; symbol++) {
      if (LENGTHS[symbol] === length) {
        symbols.push(symbol);
        code++;
      }
    }
    code *= 2;
  }
  return { first, start, symbols };
}

/** §5.2: what is left at the end are fewer than eight bits, all ones. */
function decodeHuffman(bytes: Uint8Array): string | undefined {
  huffman ??= makeHuffman();
  const { first, start, symbols } = huffman;
  let text = "";
  let code = 0;
  let length = 0;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    code = code * 2 + (bytes[bit >> 3]! >> (7 - (bit & 7)) & 1);
    length++;
    const index = code - first[length]!;
    if (index < start[length + 1]! - start[length]!) {
      text += String.fromCharCode(symbols[start[length]! + index]!);
      code = length = 0;
    } else if (length >= LONGEST) return undefined;
  }
  return length < 8 && code === 2 ** length - 1 ? text : undefined;
}
