/** The reader: values, and a "too short" flag that sticks. */

import { expect, test } from "bun:test";
import { Reader } from "./reader.ts";

const BYTES = Uint8Array.of(0xff, 1, 2, 0xfe, 3, 4, 5, 6, 7);

test("reads fields in network order, unsigned", () => {
  const r = new Reader(BYTES);
  expect(r.u8()).toBe(0xff);
  expect(r.u16()).toBe(0x0102);
  expect(r.u32()).toBe(0xfe030405);
  expect(r.remaining).toBe(2);
  r.skip(1);
  expect([...r.bytes(1)]).toEqual([7]);
  expect(r.remaining).toBe(0);
  expect(r.short).toBe(false);
});

test("bytes are a view", () => {
  const bytes = BYTES.slice();
  const view = new Reader(bytes, 1).bytes(2);
  bytes[1] = 99;
  expect([...view]).toEqual([99, 2]);
});

test("a read past the end yields zeros and so does every later one", () => {
  const reads: ((r: Reader) => number)[] = [
    (r) => r.u16(),
    (r) => r.u32(),
    (r) => r.bytes(2).length,
  ];
  for (const read of reads) {
    const r = new Reader(Uint8Array.of(7));
    expect(read(r)).toBe(0);
    expect(r.short).toBe(true);
    expect(r.remaining).toBe(0);
    expect(r.u8()).toBe(0); // although one byte was left
    expect(r.bytes(0).length).toBe(0);
    expect(r.short).toBe(true);
  }
  const r = new Reader(Uint8Array.of(7));
  r.skip(2);
  expect([r.short, r.u8()]).toEqual([true, 0]);
});

test("starts at an offset; one past the end is short at once", () => {
  expect(new Reader(BYTES, 8).u8()).toBe(7);
  expect(new Reader(BYTES, 9).short).toBe(false);
  expect(new Reader(BYTES, 10).short).toBe(true);
  expect(new Reader(BYTES, 10).remaining).toBe(0);
});
