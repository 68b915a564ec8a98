/** The authentication header: keepalived's own packet both ways, then cut, bent and signed anew. */

import { describe, expect, test } from "bun:test";
import { readPacket } from "../../test/golden/packets/packet.ts";
import { hmacMd5 } from "../../test/support/hmac.ts";
import { AH_LENGTH, decodeAh, signAh, verifyAh, writeAh } from "./ah.ts";
import { IPV4_HEADER_LENGTH as AT } from "./ipv4.ts";
import { passData } from "./vrrp_auth.ts";

const KEY = passData("secret");
/** The IP packets of keepalived's adverts, header first, and the offsets of what may change on their way. */
const CASES = [
  // TOS, flags and fragment offset, header checksum (RFC 2402 §3.3.3.1.1); to a peer the TTL, too.
  { name: "v2_ah", mutable: [1, 6, 7, 10, 11] },
  { name: "v2_ah_unicast", mutable: [1, 6, 7, 8, 10, 11] },
].map((one) => ({ ...one, packet: readPacket(one.name).frame.slice(14) }));

for (const { name, mutable, packet } of CASES) describe(name, () => check(packet, mutable));

function check(packet: Uint8Array<ArrayBuffer>, mutable: readonly number[]): void {
  test("keepalived's header is read and verified", () => {
    expect(decodeAh(packet, AT)).toEqual({ nextHeader: 112, sequence: 1 });
    expect(verifyAh(packet, AT, KEY, hmacMd5)).toBe(true);
    expect(verifyAh(packet, AT, passData("secreT"), hmacMd5)).toBe(false);
  });

  test("ours is the same byte for byte", () => {
    const ours = packet.slice().fill(0xee, AT, AT + AH_LENGTH);
    writeAh(ours, AT, 112);
    signAh(ours, AT, 1, KEY, hmacMd5);
    expect(ours).toEqual(packet);
  });

  test("every sequence number, and what follows from it", () => {
    for (const sequence of [0, 1, 255, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      const signed = packet.slice();
      signAh(signed, AT, sequence, KEY, hmacMd5);
      expect(decodeAh(signed, AT)?.sequence).toBe(sequence);
      expect(verifyAh(signed, AT, KEY, hmacMd5)).toBe(true);
    }
  });

  test("a header cut short or of another length is none", () => {
    for (let length = 0; length < AT + AH_LENGTH; length++) {
      expect(decodeAh(packet.subarray(0, length), AT)).toBeUndefined();
    }
    expect(decodeAh(packet.with(AT + 1, 5), AT)).toBeUndefined();
  });

  test("every changed bit but those of mutable fields breaks the signature", () => {
    for (let bit = 0; bit < packet.length * 8; bit++) {
      const bent = packet.slice();
      bent[bit >> 3]! ^= 1 << (bit & 7);
      expect([bit, verifyAh(bent, AT, KEY, hmacMd5)]).toEqual([bit, mutable.includes(bit >> 3)]);
    }
  });
}
