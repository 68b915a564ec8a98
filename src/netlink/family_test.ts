/** Prefixes compared, and families by their numbers. */

import { expect, test } from "bun:test";
import { parseAddress } from "../lib/address.ts";
import { everything, familyNumber, familyOfNumber, isSamePrefix, type Prefix } from "./family.ts";

function prefix(text: string): Prefix {
  const [address, length] = text.split("/");
  return { address: parseAddress(address!)!, length: Number(length) };
}

test("prefixes are the same when their bits are", () => {
  const rows: [string, string, boolean][] = [
    ["10.0.0.0/8", "10.255.1.2/8", true],
    ["10.0.0.0/8", "11.0.0.0/8", false],
    ["10.0.0.0/8", "10.0.0.0/9", false],
    ["10.128.0.0/9", "10.129.0.0/9", true],
    ["10.128.0.0/9", "10.1.0.0/9", false],
    ["10.0.0.1/32", "10.0.0.1/32", true],
    ["10.0.0.1/32", "10.0.0.0/32", false],
    ["0.0.0.0/0", "255.0.0.0/0", true],
    ["0.0.0.0/0", "::/0", false],
    ["2001:db8::/33", "2001:db8:7fff::1/33", true],
    ["2001:db8::/33", "2001:db8:8000::/33", false],
    ["::1/128", "::/128", false],
  ];
  for (const [a, b, same] of rows) {
    expect([a, b, isSamePrefix(prefix(a), prefix(b))]).toEqual([a, b, same]);
    expect([b, a, isSamePrefix(prefix(b), prefix(a))]).toEqual([b, a, same]);
  }
});

test("families and their numbers", () => {
  expect([4, 6].map((family) => familyOfNumber(familyNumber(family as 4 | 6)))).toEqual([4, 6]);
  expect([undefined, 0, 1, 7, 128].map(familyOfNumber)).toEqual(Array(5).fill(undefined));
  expect([everything(4), everything(6)].map(({ address }) => address.length)).toEqual([4, 16]);
});
