/**
 * Memory the kernel reads and writes. A `Memory` owns an explicitly created ArrayBuffer, whose bytes
 * never move, and takes its pointer once: the pointer of a small typed array would go stale as
 * soon as its `.buffer` is touched, and the kernel would write into freed memory.
 */

import { errno, libc, SysError } from "./libc.ts";
import { type Pointer, ptr, toArrayBuffer } from "./native.ts";

/** A fixed block of zeroed memory with a pointer that stays valid as long as the object lives. */
export class Memory {
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

  /** Address of the byte at `offset`. */
  at(offset: number): Pointer {
    return (this.pointer + offset) as Pointer;
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
