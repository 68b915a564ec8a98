/** Passwords as bytes, and their comparison. */

import { expect, test } from "bun:test";
import { hex } from "../../test/golden/packets/packet.ts";
import { equalAuth, passData } from "./vrrp_auth.ts";

test("a password is 8 bytes: padded, cut, in UTF-8", () => {
  const table = [
    ["", "0000000000000000"],
    ["secret", "7365637265740000"],
    ["12345678", "3132333435363738"],
    ["123456789", "3132333435363738"],
    ["pässwort", "70c3a47373776f72"],
  ] as const;
  for (const [secret, expected] of table) expect(passData(secret)).toEqual(hex(expected));
});

test("equal only when every byte is", () => {
  const data = passData("secret");
  expect(equalAuth(data, passData("secret"))).toBe(true);
  for (let bit = 0; bit < 64; bit++) {
    const bent = data.with(bit >> 3, data[bit >> 3]! ^ (1 << (bit & 7)));
    expect(equalAuth(data, bent)).toBe(false);
  }
  expect(equalAuth(data, data.subarray(0, 7))).toBe(false);
  expect(equalAuth(data.subarray(0, 7), data)).toBe(false);
  expect(equalAuth(passData(""), new Uint8Array(0))).toBe(false);
  expect(equalAuth(new Uint8Array(0), new Uint8Array(0))).toBe(true);
});
