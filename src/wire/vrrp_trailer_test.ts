/**
 * The authenticating trailer: bytes laid out by hand from the description and signed by another library, both
 * families and versions, then cut and bent.
 */

import { describe, expect, test } from "bun:test";
import { address, hex } from "../../test/golden/packets/packet.ts";
import { hmacSha256 } from "../../test/support/hmac.ts";
import { decodeAdvert, encodeAdvert, messageLength, sealMessage } from "./vrrp.ts";
import { decodeTrailer, signTrailer, TRAILER_LENGTH, verifyTrailer } from "./vrrp_trailer.ts";

const KEY = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
const TRAILER = { keyId: 7, stamp: 0xdeadbeef_80010203n };
/** Type 1, key 7, reserved; seconds; sub-seconds and counter. */
const PREFIX = "01 07 0000 deadbeef 8001 0203";

const CASES = [
  {
    name: "version 3 over IPv4",
    source: "192.168.77.1",
    destination: "192.168.77.2",
    message: "3134c801 0064 0000 c0a84d64",
    pseudo: "04 03 34 00 c0a84d01 000000000000000000000000",
  },
  {
    name: "version 2 over IPv4",
    source: "192.168.77.1",
    destination: "224.0.0.18",
    message: "2134c801 0001 0000 c0a84d64 0000000000000000",
    pseudo: "04 02 34 00 c0a84d01 000000000000000000000000",
  },
  {
    name: "version 3 over IPv6",
    source: "fd00::1",
    destination: "fd00::2",
    message: "3133c801 0064 0000 fd000000000000000000000000000100",
    pseudo: "06 03 33 00 fd000000000000000000000000000001",
  },
];

for (const { name, source, destination, message, pseudo } of CASES) {
  describe(name, () => {
    const ends = { source: address(source), destination: address(destination) };
    const plain = hex(message);
    const digest = hmacSha256(KEY, hex(`${pseudo} ${message} ${PREFIX} ${"00".repeat(16)}`));
    const signed = encodeAdvert(
      decodeAdvert(sealed(plain, ends), ends) as Exclude<ReturnType<typeof decodeAdvert>, string>,
      ends,
      { trailerLength: TRAILER_LENGTH },
    );
    signTrailer(signed, ends.source, TRAILER, KEY, hmacSha256);
    if (ends.source.length === 16) sealMessage(signed, ends);

    test("the trailer is what the description says", () => {
      expect(signed.length).toBe(plain.length + TRAILER_LENGTH);
      expect(signed.subarray(plain.length).toHex())
        .toBe(hex(PREFIX).toHex() + digest.toHex().slice(0, 32));
      expect(messageLength(signed, ends)).toBe(plain.length);
    });

    test("it is read and verified, with any checksum", () => {
      expect(decodeTrailer(signed)).toEqual(TRAILER);
      expect(verifyTrailer(signed, ends.source, KEY, hmacSha256)).toBe(true);
      expect(verifyTrailer(signed.with(6, 1).with(7, 2), ends.source, KEY, hmacSha256)).toBe(true);
      expect(verifyTrailer(signed, ends.source, KEY.with(31, 0), hmacSha256)).toBe(false);
      expect(verifyTrailer(signed, ends.source.with(3, 9), KEY, hmacSha256)).toBe(false);
    });

    test("the checksum covers it over IPv6, and does not over IPv4", () => {
      const options = { trailerLength: TRAILER_LENGTH };
      expect(decodeAdvert(signed, ends, options)).toMatchObject({ priority: 200 });
      const cut = decodeAdvert(signed.subarray(0, plain.length), ends);
      expect(typeof cut).toBe(ends.source.length === 4 ? "object" : "string");
      const bent = signed.with(signed.length - 1, signed.at(-1)! ^ 1);
      expect(typeof decodeAdvert(bent, ends, options))
        .toBe(ends.source.length === 4 ? "object" : "string");
    });

    test("every changed bit but the checksum's is noticed", () => {
      for (let bit = 0; bit < signed.length * 8; bit++) {
        if (bit >> 4 === 3) continue;
        const bent = signed.slice();
        bent[bit >> 3]! ^= 1 << (bit & 7);
        const isGood = decodeTrailer(bent) !== undefined &&
          verifyTrailer(bent, ends.source, KEY, hmacSha256);
        expect([bit, isGood]).toEqual([bit, false]);
      }
    });
  });
}

/** The message with its checksum put right. */
function sealed(
  message: Uint8Array,
  ends: { source: Uint8Array; destination: Uint8Array },
): Uint8Array {
  const copy = message.slice();
  sealMessage(copy, message[0]! >> 4 === 2 ? undefined : ends);
  return copy;
}

test("another type, reserved bits or too few bytes are no trailer", () => {
  const trailer = hex(`${PREFIX} ${"00".repeat(16)}`);
  expect(decodeTrailer(trailer)).toEqual(TRAILER);
  expect(decodeTrailer(trailer.with(0, 2))).toBeUndefined();
  expect(decodeTrailer(trailer.with(2, 1))).toBeUndefined();
  expect(decodeTrailer(trailer.with(3, 1))).toBeUndefined();
  expect(decodeTrailer(trailer.subarray(1))).toBeUndefined();
});
