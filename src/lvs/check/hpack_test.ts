/** Header fields: RFC 7541's own examples, truncations, and what a hostile block can be. */

import { expect, test } from "bun:test";
import { prng } from "../../../test/support/prng.ts";
import { decodeFields, encodeFields } from "./hpack.ts";

const hex = (text: string): Uint8Array => Uint8Array.fromHex(text.replaceAll(" ", ""));

/** Appendix C.6.1: Huffman's code, names of the static table. */
const RESPONSE = hex(
  "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e " +
    "919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
);

test("RFC 7541 C.6.1: Huffman's code; names that are of no interest are empty", () => {
  expect(decodeFields(RESPONSE)).toEqual([
    [":status", "302"],
    ["", "private"],
    ["", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ["", "https://www.example.com"],
  ]);
});

test("RFC 7541 C.2: a literal with its name, and one that is in the static table whole", () => {
  const custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
  expect(decodeFields(hex(custom))).toEqual([["custom-key", "custom-header"]]);
  expect(decodeFields(hex("88 20"))).toEqual([[":status", "200"]]);
});

test("what is written can be read", () => {
  const fields = [["te", "trailers"], ["x", "y".repeat(1000)], ["", ""]] as const;
  expect(decodeFields(encodeFields(fields))).toEqual(fields.map(([...field]) => field));
});

test("a block that is cut short, of an unknown index or of a wrong end is malformed", () => {
  // Between two fields the shorter block is a block, too.
  for (let length = 1; length < RESPONSE.length; length++) {
    const fields = decodeFields(RESPONSE.subarray(0, length));
    expect(fields === undefined || fields.length < 4).toBeTrue();
  }
  for (const bad of ["be", "ff ff ff ff ff 0f", "80", "0081ff 00", "0084ffffffff00", "0003 61"]) {
    expect([bad, decodeFields(hex(bad))]).toEqual([bad, undefined]);
  }
});

test("no block throws", () => {
  const random = prng(3);
  for (let round = 0; round < 20_000; round++) {
    const length = random.integer(0, 40);
    decodeFields(Uint8Array.from({ length }, () => random.integer(0, 255)));
  }
});
