/** Archives against what tar(5) and ar(5) say of their bytes. */

import { expect, test } from "bun:test";
import { concatenate, readAr, writeAr, writeTar } from "./tar.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

test("an ar archive has its magic, padded headers, and even offsets", () => {
  const archive = writeAr(
    [{ name: "odd", data: bytes("abc") }, { name: "b", data: bytes("x") }],
    7,
  );
  expect(text(archive)).toBe(
    "!<arch>\n" +
      "odd             7           0     0     100644  3         `\nabc\n" +
      "b               7           0     0     100644  1         `\nx\n",
  );
  expect(readAr(archive).map(({ name, data }) => [name, text(data)]))
    .toEqual([["odd", "abc"], ["b", "x"]]);
  expect(() => readAr(bytes("!<oops>\n"))).toThrow("not an ar archive");
});

test("a tar header has its fields where POSIX puts them, and a checksum over blanks", () => {
  const tar = writeTar([{ path: "a/b", mode: 0o755, data: bytes("hello") }], 0o17);
  const field = (at: number, width: number): string => text(tar.subarray(at, at + width));
  expect(tar.length).toBe(4 * 512); // header, data, two blocks of zeros
  expect(field(0, 4)).toBe("a/b\0");
  expect(field(100, 8)).toBe("0000755\0");
  expect(field(124, 12)).toBe("00000000005\0");
  expect(field(136, 12)).toBe("00000000017\0");
  expect(field(156, 1)).toBe("0");
  expect(field(257, 8)).toBe("ustar\x0000");
  expect(field(512, 6)).toBe("hello\0");
  const sum = parseInt(field(148, 6), 8);
  const blanked = tar.slice(0, 512).fill(0x20, 148, 156);
  expect(sum).toBe(blanked.reduce((total, byte) => total + byte, 0));
});

test("folders and links have no data, and a name too long is refused", () => {
  const tar = writeTar([{ path: "d/", mode: 0o700 }, { path: "l", link: "d" }], 0);
  expect(String.fromCharCode(tar[156]!, tar[512 + 156]!, tar[512 + 157]!)).toBe("52d");
  expect(() => writeTar([{ path: "x".repeat(101), mode: 0 }], 0)).toThrow("no room");
});

test("pieces are joined in their order", () => {
  expect(text(concatenate([bytes("a"), new Uint8Array(), bytes("bc")]))).toBe("abc");
});
