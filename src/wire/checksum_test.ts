/** The Internet checksum against RFC 1071's example, a slow model and its own algebra. */

import { expect, test } from "bun:test";
import { address, hex } from "../../test/golden/packets/packet.ts";
import { checksum, pseudoHeaderSum, SOUND, sum16 } from "./checksum.ts";

/** One's complement arithmetic is arithmetic modulo 65535 in which 65535 stands for 0. */
function model(bytes: Uint8Array, start: number): number {
  let value = BigInt(start);
  for (const [i, byte] of bytes.entries()) value += BigInt(byte) << (i % 2 === 0 ? 8n : 0n);
  return value === 0n ? 0 : Number((value - 1n) % 65535n) + 1;
}

test("RFC 1071 §3", () => {
  const bytes = hex("0001 f203 f4f5 f6f7");
  expect(sum16(bytes)).toBe(0xddf2);
  expect(checksum(bytes)).toBe(0x220d);
});

test("odd lengths count the last byte as the high half", () => {
  expect(sum16(hex("01"))).toBe(0x0100);
  expect(sum16(hex("0001 f203 f4f5 f6"))).toBe(sum16(hex("0001 f203 f4f5 f600")));
  expect(sum16(hex(""))).toBe(0);
  expect(sum16(hex("ffff ffff 0001"))).toBe(1); // the carry of a carry
});

test("agrees with the model for every length to 300, also after another sum", () => {
  let seed = 1;
  const next = (): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16;
  for (let length = 0; length <= 300; length++) {
    const bytes = Uint8Array.from({ length }, () => next());
    const start = next();
    expect(sum16(bytes, start)).toBe(model(bytes, start));
    const cut = (length >> 1) & ~1;
    expect(sum16(bytes.subarray(cut), sum16(bytes.subarray(0, cut)))).toBe(sum16(bytes));
  }
  expect(sum16(new Uint8Array(65536).fill(0xff))).toBe(0xffff);
});

test("a message with its checksum in place is sound, and no single bit may change", () => {
  const bytes = hex("4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7");
  const sum = checksum(bytes);
  expect(sum).toBe(0xb861);
  bytes.set([sum >> 8, sum & 255], 10);
  expect(sum16(bytes)).toBe(SOUND);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    expect(sum16(bytes)).not.toBe(SOUND);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
  }
});

test("pseudo-headers equal the sum of their bytes", () => {
  const four = { source: address("192.0.2.1"), destination: address("224.0.0.18") };
  expect(pseudoHeaderSum(four, 112, 16)).toBe(sum16(hex("c0000201 e0000012 0070 0010")));
  const six = { source: address("fe80::1"), destination: address("ff02::12") };
  const bytes = new Uint8Array([...six.source, ...six.destination, ...hex("00000028 00000070")]);
  expect(pseudoHeaderSum(six, 112, 40)).toBe(sum16(bytes));
});
