/**
 * Memory the kernel reads and writes. A `Memory` owns an explicitly created ArrayBuffer, whose bytes
 * never move, and takes its pointer once: the pointer of a small typed array would go stale as
 * soon as its `.buffer` is touched, and the kernel would write into freed memory.
 */

import { errno, libc, SysError } from "./libc.ts";
import { type Pointer, ptr, toArrayBuffer } from "./native.ts";

/** Bytes for the kernel whose place does not change. */
export interface Block {
  readonly bytes: Uint8Array;
  /** How many there are. */
  readonly length: number;
  /** Address of the first; valid as long as the block is known to somebody. */
  readonly pointer: Pointer;
}

/** A fixed block of zeroed memory with a pointer that stays valid as long as the object lives. */
export class Memory implements Block {
  /** The block itself. */
  readonly buffer: ArrayBuffer;
  /** The block as bytes. */
  readonly bytes: Uint8Array;
  /** The block as numbers; always pass `true` (little-endian, the order of all our targets). */
  readonly view: DataView;
  /** Address of the first byte. */
  readonly pointer: Pointer;

  /** `size` in bytes, at least 1. */
  constructor(size: number) {
    this.buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(this.buffer);
    this.view = new DataView(this.buffer);
    this.pointer = ptr(this.bytes);
  }

  /** A block holding a copy of `bytes`, and as much more as makes `size`. */
  static of(bytes: Uint8Array, size = bytes.length): Memory {
    const memory = new Memory(Math.max(1, size));
    memory.bytes.set(bytes);
    return memory;
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Address of the byte at `offset`. */
  at(offset: number): Pointer {
    return (this.pointer + offset) as Pointer;
  }
}

/** So much is cut into pieces; it is free again when all of them are forgotten. */
const SHEET_BYTES = 4096;
/** What a piece begins at a multiple of. */
const PIECE_ALIGNMENT = 8;
let sheet: Memory | undefined;
let cutBytes = 0;

/**
 * A small block, cut from a larger one. An ArrayBuffer with its views costs most of a kilobyte besides its
 * bytes, a piece some fifty: for what there are thousands of.
 */
export class Piece implements Block {
  readonly length: number;
  readonly pointer: Pointer;
  readonly #sheet: Memory;

  private constructor(from: Memory, offset: number, length: number) {
    this.#sheet = from;
    this.pointer = from.at(offset);
    this.length = length;
  }

  /** A piece holding a copy of `bytes`. */
  static of(bytes: Uint8Array): Piece {
    const { length } = bytes;
    if (sheet === undefined || cutBytes + length > sheet.length) {
      sheet = new Memory(Math.max(SHEET_BYTES, length));
      cutBytes = 0;
    }
    const piece = new Piece(sheet, cutBytes, length);
    cutBytes += Math.ceil(length / PIECE_ALIGNMENT) * PIECE_ALIGNMENT;
    piece.bytes.set(bytes);
    return piece;
  }

  /** A view, made anew with each call. */
  get bytes(): Uint8Array {
    const offset = this.pointer - this.#sheet.pointer;
    return this.#sheet.bytes.subarray(offset, offset + this.length);
  }
}

/** `text` as a NUL-terminated string. */
export function cString(text: string): Memory {
  return Memory.of(new TextEncoder().encode(text + "\0"));
}

const PROT_READ_WRITE = 3; // sys/mman.h
const MAP_SHARED = 1;

/** Maps `size` bytes of descriptor `fd`, shared with every process that maps it too. */
export function mapShared(fd: number, size: number): ArrayBuffer {
  const address = libc.mmap(null, size, PROT_READ_WRITE, MAP_SHARED, fd, 0);
  if (address === null || Number(address) >= 2 ** 63 || Number(address) === -1) {
    throw new SysError("mmap", errno(), `mapping ${size} shared bytes`);
  }
  return toArrayBuffer(address, 0, size);
}

const MADV_HUGEPAGE = 14; // bits/mman-linux.h
/** The runtime takes the memory of its heap from blocks that begin at a multiple of this. */
const ARENA_BYTES = 32 * 1024 * 1024;

/**
 * Says that this process is about to fill much memory: `bytes` of its heap are to come in large pages where the
 * kernel has them, which saves a fault for each 4 KiB. What is not there, or not ours to say, stays as it is.
 */
export function expectMuchMemory(bytes: number): void {
  const { pointer } = new Memory(ARENA_BYTES / 8192);
  libc.madvise(pointer - pointer % ARENA_BYTES, bytes, MADV_HUGEPAGE);
}
