/** IPv4 headers of every captured packet, both ways, cut and bent. */

import { expect, test } from "bun:test";
import { address, hex, readPackets } from "../../test/golden/packets/packet.ts";
import { decodeIpv4, encodeIpv4Header } from "./ipv4.ts";

const packets = readPackets().filter(({ facts }) => facts.ipv4 !== undefined);

test("there are captures", () => expect(packets.length).toBeGreaterThanOrEqual(8));

for (const { name, facts, frame, ends } of packets) {
  const header = { ...facts.ipv4!, ...ends };
  const packet = frame.slice(14);

  test(`${name}: header both ways`, () => {
    expect(decodeIpv4(packet)).toEqual(header);
    const payloadLength = header.totalLength - header.headerLength;
    expect(encodeIpv4Header({ ...header, payloadLength })).toEqual(packet.slice(0, 20));
  });

  test(`${name}: truncation is an error, padding is none`, () => {
    for (let length = 0; length < packet.length; length++) {
      expect(decodeIpv4(packet.subarray(0, length))).toBe("length");
    }
    expect(decodeIpv4(new Uint8Array([...packet, 0, 0, 0, 0]))).toEqual(header);
  });

  test(`${name}: every bit of the header matters`, () => {
    for (let bit = 0; bit < 160; bit++) {
      packet[bit >> 3]! ^= 1 << (bit & 7);
      expect(["length", "version", "checksum"]).toContain(decodeIpv4(packet) as string);
      packet[bit >> 3]! ^= 1 << (bit & 7);
    }
  });
}

test("options belong to the header", () => {
  // An IGMP report's header with the router alert option, as Linux sends it.
  const packet = hex(
    "46c0 0028 0000 4000 0102 41f8 c000 0201 e000 0016 9404 0000" + "00".repeat(16),
  );
  expect(decodeIpv4(packet)).toMatchObject({
    headerLength: 24,
    totalLength: 40,
    protocol: 2,
    ttl: 1,
  });
});

test("a header or total length that contradicts itself is refused", () => {
  const fields = { protocol: 1, payloadLength: 0, ttl: 1, tos: 0 };
  const ends = { source: address("192.0.2.1"), destination: address("192.0.2.2") };
  const packet = new Uint8Array([
    ...encodeIpv4Header({ ...fields, ...ends }),
    ...new Uint8Array(40),
  ]);
  expect(decodeIpv4(packet)).toMatchObject({ id: 0, totalLength: 20 });
  expect(decodeIpv4(packet.with(0, 0x44))).toBe("length");
  expect(decodeIpv4(packet.with(0, 0x46))).toBe("length");
  expect(decodeIpv4(packet.with(3, 19))).toBe("length");
  expect(decodeIpv4(packet.with(0, 0x65))).toBe("version");
});
