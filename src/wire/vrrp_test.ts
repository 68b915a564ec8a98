/** Adverts: keepalived's own packets byte for byte, the RFCs' rules by hand, cut, bent and random. */

import { describe, expect, test } from "bun:test";
import { address, advertOf, hex, readPackets } from "../../test/golden/packets/packet.ts";
import { checksum, type Endpoints, pseudoHeaderSum } from "./checksum.ts";
import {
  type Advert,
  type AdvertError,
  type ChecksumStyle,
  checksumStyle,
  decodeAdvert,
  encodeAdvert,
} from "./vrrp.ts";
import { passData } from "./vrrp_auth.ts";

const ERRORS = ["length", "version", "type", "checksum", "count", "interval"];
const FOUR = { source: address("192.0.2.1"), destination: address("224.0.0.18") };
const SIX = { source: address("fe80::1"), destination: address("ff02::12") };
const packets = readPackets().filter(({ facts }) => facts.advert !== undefined);

test("there are captures", () => expect(packets.length).toBe(12));

for (const { name, facts, message, ends } of packets) {
  describe(name, () => {
    const advert = advertOf(facts);

    test("both ways", () => {
      expect(decodeAdvert(message, ends)).toEqual(advert);
      expect(encodeAdvert(advert, ends)).toEqual(message.slice());
    });

    test("every truncation is too short", () => {
      for (let length = 0; length < message.length; length++) {
        expect(decodeAdvert(message.subarray(0, length), ends)).toBe("length");
      }
    });

    test("padding of any content changes nothing", () => {
      for (const padding of [new Uint8Array(1), new Uint8Array(26), new Uint8Array(7).fill(0xa5)]) {
        expect(decodeAdvert(new Uint8Array([...message, ...padding]), ends)).toEqual(advert);
      }
    });

    test("every changed bit is an error", () => {
      for (let bit = 0; bit < message.length * 8; bit++) {
        const bent = message.slice();
        bent[bit >> 3]! ^= 1 << (bit & 7);
        expect(ERRORS).toContain(decodeAdvert(bent, ends) as string);
      }
    });
  });
}

/** A message by hand, its checksum put right: with pseudo-header or without. */
function sealed(text: string, ends: Endpoints, pseudo: boolean): Uint8Array {
  const message = hex(text);
  const start = pseudo ? pseudoHeaderSum(ends, 112, message.length) : 0;
  const sum = checksum(message, start);
  message.set([sum >> 8, sum & 255], 6);
  return message;
}

const ADDRESS4 = "c0000264";
const ADDRESS6 = "fe80 0000 0000 0000 0000 0000 0000 0100";
const NO_AUTH = "0000 0000 0000 0000";

const rules:
  readonly (readonly [string, string, Endpoints, boolean, Partial<Advert> | AdvertError])[] = [
    // rule, message, ends, pseudo-header, outcome
    ["v3 IPv4, RFC 5798's checksum", `31336401 0064 0000 ${ADDRESS4}`, FOUR, true, { vrid: 51 }],
    ["v3 IPv4, RFC 9568's checksum", `31336401 0064 0000 ${ADDRESS4}`, FOUR, false, { vrid: 51 }],
    ["v3 IPv6 with pseudo-header", `31336401 0064 0000 ${ADDRESS6}`, SIX, true, { priority: 100 }],
    ["v3 IPv6 without", `31336401 0064 0000 ${ADDRESS6}`, SIX, false, "checksum"],
    ["v2 with pseudo-header", `21336401 0001 0000 ${ADDRESS4} ${NO_AUTH}`, FOUR, true, "checksum"],
    ["v2 without authentication data", `21336401 0001 0000 ${ADDRESS4}`, FOUR, false, "length"],
    ["v2 of the other family", `21336401 0001 0000 ${ADDRESS6}`, SIX, true, { authType: 0 }],
    ["v2 AH delivers its type", `21336401 0201 0000 ${ADDRESS4} ${NO_AUTH}`, FOUR, false, {
      authType: 2,
      authData: hex(NO_AUTH),
    }],
    [
      "v2 unknown type is for the caller",
      `21336401 ff01 0000 ${ADDRESS4} ${NO_AUTH}`,
      FOUR,
      false,
      {
        authType: 255,
      },
    ],
    ["v2 without address", `21336400 0001 0000 ${NO_AUTH}`, FOUR, false, { addresses: [] }],
    ["v2 interval 255 s", `21336400 00ff 0000 ${NO_AUTH}`, FOUR, false, {
      advertisementIntervalUs: 255_000_000,
    }],
    ["v3 interval 4095 cs", `31336401 0fff 0000 ${ADDRESS4}`, FOUR, true, {
      advertisementIntervalUs: 40_950_000,
    }],
    ["v3 reserved bits are ignored", `31336401 f001 0000 ${ADDRESS4}`, FOUR, true, {
      advertisementIntervalUs: 10_000,
      authType: 0,
    }],
    ["v3 no address, erratum 8299", `31336400 0064 0000`, FOUR, true, "count"],
    ["v3 no interval, erratum 8301", `31336401 0000 0000 ${ADDRESS4}`, FOUR, true, "interval"],
    ["v3 only reserved bits", `31336401 f000 0000 ${ADDRESS4}`, FOUR, true, "interval"],
    ["VRID 0 is for the caller", `31006401 0064 0000 ${ADDRESS4}`, FOUR, true, { vrid: 0 }],
    ["version 1", `11336401 0001 0000 ${ADDRESS4} ${NO_AUTH}`, FOUR, false, "version"],
    ["version 4", `41336401 0064 0000 ${ADDRESS4}`, FOUR, true, "version"],
    ["type 0", `30336401 0064 0000 ${ADDRESS4}`, FOUR, true, "type"],
    ["type 9", `39336401 0064 0000 ${ADDRESS4}`, FOUR, true, "type"],
    ["type 2", `22336401 0001 0000 ${ADDRESS4} ${NO_AUTH}`, FOUR, false, "type"],
    ["more addresses announced than sent", `313364ff 0064 0000 ${ADDRESS4}`, FOUR, true, "length"],
    ["seven bytes", "31336401 0064 00", FOUR, true, "length"],
    ["nothing", "", FOUR, true, "length"],
  ];

for (const [rule, text, ends, pseudo, outcome] of rules) {
  test(rule, () => {
    const message = text.length < 18 ? hex(text) : sealed(text, ends, pseudo);
    const decoded = decodeAdvert(message, ends);
    if (typeof outcome === "string") expect(decoded).toBe(outcome);
    else expect(decoded).toMatchObject(outcome);
  });
}

test("the pseudo-header's addresses are those of the packet", () => {
  const message = sealed(`31336401 0064 0000 ${ADDRESS4}`, FOUR, true);
  expect(decodeAdvert(message, { ...FOUR, source: address("192.0.2.2") })).toBe("checksum");
  expect(decodeAdvert(message, { ...FOUR, destination: address("192.0.2.1") })).toBe("checksum");
});

test("three ways to make the checksum of version 3 over IPv4, told apart", () => {
  const peer = { source: address("192.0.2.1"), destination: address("192.0.2.2") };
  const group = address("224.0.0.18");
  const advert = advertOf(packets.find(({ name }) => name === "v3_unicast")!.facts);
  const styles: readonly ChecksumStyle[] = ["pseudo", "message", "group"];
  for (const style of styles) {
    const message = encodeAdvert(advert, peer, { style, group });
    expect(checksumStyle(message, peer, group)).toBe(style);
    expect(decodeAdvert(message, peer, { group })).toEqual(advert);
    expect(decodeAdvert(message, peer)).toEqual(style === "group" ? "checksum" : advert);
    expect(checksumStyle(message.with(2, 1), peer, group)).toBeUndefined();
  }
});

test("intervals are rounded to the unit and kept in range", () => {
  const base = { vrid: 1, priority: 1, addresses: [address("192.0.2.9")], authType: 0 };
  const table = [
    [2, 1_000_000, 1_000_000],
    [2, 1_400_000, 1_000_000],
    [2, 10_000, 1_000_000],
    [2, 300_000_000, 255_000_000],
    [3, 15_001, 20_000],
    [3, 14_999, 10_000],
    [3, 0, 10_000],
    [3, 41_000_000, 40_950_000],
  ] as const;
  for (const [version, given, expected] of table) {
    const authData = version === 2 ? passData("") : new Uint8Array(0);
    const advert: Advert = { ...base, version, authData, advertisementIntervalUs: given };
    const sent = decodeAdvert(encodeAdvert(advert, FOUR), FOUR);
    expect(sent).toEqual({ ...advert, advertisementIntervalUs: expected });
  }
});

test("authentication data of another size is our own mistake", () => {
  const advert = advertOf(packets.find(({ name }) => name === "v2_pass")!.facts);
  expect(() => encodeAdvert({ ...advert, authData: new Uint8Array(0) }, FOUR)).toThrow("8 bytes");
});

/** A repeatable sequence of whole numbers below `limit`. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
}

test("what is encoded is decoded, for 500 random adverts", () => {
  const next = random(20240401);
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => next(256));
  for (let i = 0; i < 500; i++) {
    const size = next(2) === 0 ? 4 : 16;
    const ends = { source: bytes(size), destination: bytes(size) };
    const version = next(2) === 0 ? 2 : 3;
    const advert: Advert = {
      version,
      vrid: next(256),
      priority: next(256),
      advertisementIntervalUs: version === 2
        ? (1 + next(255)) * 1_000_000
        : (1 + next(4095)) * 10_000,
      addresses: Array.from({ length: next(8) === 0 ? 255 : 1 + next(4) }, () => bytes(size)),
      authType: version === 2 ? next(3) : 0,
      authData: bytes(version === 2 && size === 4 ? 8 : 0),
    };
    expect(decodeAdvert(encodeAdvert(advert, ends), ends)).toEqual(advert);
  }
});

test("20 000 random messages never throw, and what passes is re-encoded to itself", () => {
  const next = random(7);
  const seen = new Map<string, number>();
  for (let i = 0; i < 20_000; i++) {
    const message = Uint8Array.from({ length: next(48) }, () => next(256));
    const ends = next(2) === 0 ? FOUR : SIX;
    if (message.length > 8) {
      message.set([[0x21, 0x31, 0x31, next(256)][next(4)]!, next(256), next(256), next(4)]);
      if (next(4) === 0) message.fill(0, 4, 6);
      const pad = message[0]! >> 4 === 2 && ends === FOUR ? 8 : 0;
      const part = message.subarray(0, 8 + message[3]! * ends.source.length + pad);
      part.fill(0, 6, 8);
      const start = ends === SIX || next(2) === 0 ? pseudoHeaderSum(ends, 112, part.length) : 0;
      const sum = checksum(part, start);
      part.set([sum >> 8, sum & 255], 6);
    }
    const decoded = decodeAdvert(message, ends);
    const outcome = typeof decoded === "string" ? decoded : `version ${decoded.version}`;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    if (typeof decoded === "string" || decoded.advertisementIntervalUs === 0) continue;
    expect(decodeAdvert(encodeAdvert(decoded, ends), ends)).toEqual(decoded);
  }
  for (const outcome of [...ERRORS, "version 2", "version 3"]) {
    expect([outcome, (seen.get(outcome) ?? 0) > 100]).toEqual([outcome, true]);
  }
});
