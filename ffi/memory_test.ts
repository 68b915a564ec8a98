/** The kernel and we see the same bytes at any time: pointers never go stale. */

import { expect, test } from "bun:test";
import { cString, mapShared, Memory, Piece } from "./memory.ts";
import { libc } from "./libc.ts";
import { openSharedMemory } from "./process.ts";
import { closeDescriptor, receiveNow, sendNow, socketPair } from "./socket.ts";

/** Something for the collector to do, and room for it to move things to. */
function disturb(): void {
  const litter: Uint8Array[] = [];
  for (let i = 0; i < 2000; i++) litter.push(new Uint8Array(i % 64 + 1));
  Bun.gc(true);
}

test("a block is zeroed, and its three faces are one", () => {
  const memory = new Memory(8);
  expect([...memory.bytes]).toEqual(Array(8).fill(0));
  memory.view.setUint32(4, 0x01020304, true);
  expect([...memory.bytes]).toEqual([0, 0, 0, 0, 4, 3, 2, 1]);
  expect(memory.bytes.buffer).toBe(memory.buffer);
  expect(Number(memory.at(4)) - Number(memory.pointer)).toBe(4);
});

test("a block of bytes is a copy, and none are still a block", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const memory = Memory.of(bytes);
  bytes.fill(9);
  expect([...memory.bytes]).toEqual([1, 2, 3]);
  expect(Memory.of(new Uint8Array(0)).bytes).toHaveLength(1);
});

test("a string for C ends with a NUL and is UTF-8", () => {
  expect([...cString("ü").bytes]).toEqual([0xc3, 0xbc, 0]);
  expect([...cString("").bytes]).toEqual([0]);
});

test("what the kernel reads and writes is the block, before and after the collector", () => {
  const [a, b] = socketPair();
  for (const size of [1, 2, 8, 16, 63, 64, 65, 512, 1000, 5000]) {
    const from = new Memory(size);
    const to = new Memory(size);
    for (let round = 0; round < 3; round++) {
      from.bytes.fill(size + round);
      // Touching .buffer is what moves the bytes of a small array that owns them itself.
      expect(from.bytes.buffer.byteLength + to.bytes.buffer.byteLength).toBe(2 * size);
      disturb();
      expect(sendNow(a, from, 0, size)).toBe(size);
      disturb();
      expect(receiveNow(b, to)).toBe(size);
      expect([...to.bytes]).toEqual(Array(size).fill((size + round) & 255));
      expect([...new Uint8Array(to.buffer)]).toEqual([...to.bytes]);
    }
  }
  closeDescriptor(a);
  closeDescriptor(b);
});

test("many blocks at once do not share a byte", () => {
  const [a, b] = socketPair();
  const blocks = Array.from({ length: 500 }, () => new Memory(4));
  for (const [i, block] of blocks.entries()) block.view.setUint32(0, i, true);
  disturb();
  const into = new Memory(4);
  for (const [i, block] of blocks.entries()) {
    sendNow(a, block, 0, 4);
    receiveNow(b, into);
    expect(into.view.getUint32(0, true)).toBe(i);
  }
  closeDescriptor(a);
  closeDescriptor(b);
});

test("two mappings of one descriptor are the same memory", () => {
  const fd = openSharedMemory("upkeep-test", 4096);
  const one = new Float64Array(mapShared(fd, 4096));
  const other = new Float64Array(mapShared(fd, 4096));
  closeDescriptor(fd);
  expect(one).toHaveLength(512);
  expect(other[7]).toBe(0);
  one[7] = 1.5;
  expect(other[7]).toBe(1.5);
  disturb();
  other[511] = -2;
  expect(one[511]).toBe(-2);
});

test("what cannot be mapped is an error", () => {
  expect(() => mapShared(-1, 4096))
    .toThrow("mmap failed with EBADF while mapping 4096 shared bytes");
});

test("pieces keep their bytes and their place, and share neither", () => {
  const [a, b] = socketPair();
  const to = new Memory(10_000);
  const bytesOf = (i: number): Uint8Array =>
    new Uint8Array(i % 40 === 39 ? 9000 : i % 300 + 1).fill(i);
  const pieces = Array.from({ length: 300 }, (_, i) => Piece.of(bytesOf(i)));
  disturb();
  for (const [i, piece] of pieces.entries()) {
    expect(piece.length).toBe(bytesOf(i).length);
    expect(piece.bytes).toEqual(bytesOf(i));
    expect(piece.pointer % 8).toBe(0);
    expect(libc.send(a, piece.pointer, piece.length, 0)).toBe(piece.length);
    expect(receiveNow(b, to)).toBe(piece.length);
    expect(to.bytes.subarray(0, piece.length)).toEqual(bytesOf(i));
  }
  pieces[0]!.bytes.fill(99);
  expect(pieces[0]!.bytes).toEqual(new Uint8Array(1).fill(99));
  expect(pieces[1]!.bytes).toEqual(bytesOf(1));
  closeDescriptor(a);
  closeDescriptor(b);
});
