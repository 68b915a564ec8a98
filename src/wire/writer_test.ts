/** The writer: what it writes the reader reads; growth and its absence. */

import { expect, test } from "bun:test";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

test("writes fields in network order, cut to their width", () => {
  const w = new Writer();
  w.u8(0x1ff);
  w.u16(0x1fffe);
  w.u32(0xfedcba98);
  w.bytes(Uint8Array.of(1, 2));
  expect(w.at).toBe(9);
  w.patchU16(1, 0x1234);
  expect(w.finish().toHex()).toBe("ff1234fedcba980102");
});

test("grows, keeping what was written", () => {
  const w = new Writer();
  for (let i = 0; i < 1000; i++) w.u32(i * 0x10001);
  w.bytes(new Uint8Array(5000).fill(7));
  const r = new Reader(w.finish());
  for (let i = 0; i < 1000; i++) expect(r.u32()).toBe(i * 0x10001);
  expect(r.bytes(5000).every((byte) => byte === 7)).toBe(true);
  expect([r.remaining, r.short]).toEqual([0, false]);
});

test("writes into a given buffer and refuses to outgrow it", () => {
  const arena = new Uint8Array(8);
  const w = new Writer(arena.subarray(2, 6));
  w.u32(0x01020304);
  expect(arena.toHex()).toBe("0000010203040000");
  expect(w.finish().buffer).toBe(arena.buffer);
  expect(() => w.u8(9)).toThrow(RangeError);
  expect(() => w.bytes(new Uint8Array(1))).toThrow(RangeError);
  expect(arena.toHex()).toBe("0000010203040000");
});
