/** Neighbour advertisements against keepalived's own frames; echo against a real ping. */

import { describe, expect, test } from "bun:test";
import { hex, mac, readPacket } from "../../test/golden/packets/packet.ts";
import { checksum, pseudoHeaderSum } from "./checksum.ts";
import {
  decodeEcho,
  decodeEchoReply6,
  decodeNeighbourAdvertisement,
  encodeEcho,
  encodeEchoRequest6,
  encodeNeighbourAdvertisement,
  encodeNeighbourFrame,
  encodeSolicitationFrame,
} from "./icmp.ts";

const ERRORS = ["length", "type", "checksum"];

for (const name of ["neighbour", "neighbour_router"]) {
  const { facts, frame, message, ends } = readPacket(name);
  const expected = { ...facts.neighbour!, mac: mac(facts.neighbour!.mac), address: ends.source };

  describe(name, () => {
    test("both ways", () => {
      expect(encodeNeighbourFrame(expected)).toEqual(frame);
      expect(encodeNeighbourAdvertisement(expected)).toEqual(message.slice());
      expect(decodeNeighbourAdvertisement(message, ends)).toEqual(expected);
    });

    test("every truncation and every changed bit is an error", () => {
      for (let length = 0; length < message.length; length++) {
        const decoded = decodeNeighbourAdvertisement(message.subarray(0, length), ends);
        expect(["length", "checksum"]).toContain(decoded as string);
      }
      const bent = message.slice();
      for (let bit = 0; bit < bent.length * 8; bit++) {
        bent[bit >> 3]! ^= 1 << (bit & 7);
        expect(ERRORS).toContain(decodeNeighbourAdvertisement(bent, ends) as string);
        bent[bit >> 3]! ^= 1 << (bit & 7);
      }
    });

    test("the checksum covers the addresses of the IP header", () => {
      const other = { ...ends, source: ends.source.with(15, 7) };
      expect(decodeNeighbourAdvertisement(message, other)).toBe("checksum");
      const toOther = encodeNeighbourAdvertisement(expected, other);
      expect(decodeNeighbourAdvertisement(toOther, other)).toEqual(expected);
    });
  });
}

test("options: other ones are passed over, a zero length and a cut one are errors", () => {
  const { message, ends } = readPacket("neighbour");
  const fixed = message.slice(0, 24);
  const option = message.slice(24);
  const decode = (...parts: Uint8Array[]): ReturnType<typeof decodeNeighbourAdvertisement> => {
    const bytes = new Uint8Array(parts.flatMap((part) => [...part]));
    bytes.fill(0, 2, 4);
    const sum = checksum(bytes, pseudoHeaderSum(ends, 58, bytes.length));
    bytes.set([sum >> 8, sum & 255], 2);
    return decodeNeighbourAdvertisement(bytes, ends);
  };
  expect(decode(fixed)).toMatchObject({ mac: new Uint8Array(0) });
  const nonce = hex("0e01 0102 0304 0506");
  expect(decode(fixed, nonce, option)).toMatchObject({ mac: mac("02:00:00:00:00:01") });
  expect(decode(fixed, option, nonce)).toMatchObject({ mac: mac("02:00:00:00:00:01") });
  expect(decode(fixed, option.with(1, 0))).toBe("length");
  expect(decode(fixed, option.with(1, 2))).toBe("length");
  expect(decode(fixed, option.subarray(0, 1))).toBe("length");
});

describe("echo", () => {
  // `ping -c 1 -p 00ff -s 5` of iputils and the kernel's answer.
  const request = hex("0800 b9a5 3d5a 0001 00ff 0000 00");
  const reply = hex("0000 c1a5 3d5a 0001 00ff 0000 00");
  const echo = {
    type: "request",
    identifier: 0x3d5a,
    sequence: 1,
    payload: request.slice(8),
  } as const;

  test("both ways", () => {
    expect(encodeEcho(echo)).toEqual(request);
    expect(decodeEcho(request)).toEqual(echo);
    expect(encodeEcho({ ...echo, type: "reply" })).toEqual(reply);
    expect(decodeEcho(reply)).toEqual({ ...echo, type: "reply" });
    const empty = { ...echo, identifier: 65535, sequence: 65535, payload: new Uint8Array(0) };
    expect(decodeEcho(encodeEcho(empty))).toEqual(empty);
  });

  test("truncated or bent is an error", () => {
    for (let length = 0; length < 8; length++) {
      expect(decodeEcho(request.subarray(0, length))).toBe("length");
    }
    expect(decodeEcho(request.subarray(0, 9))).toBe("checksum"); // later, only zeros are cut
    expect(decodeEcho(hex("0801 b9a4 3d5a 0001 00ff 0000 00"))).toBe("type"); // code 1
    for (let bit = 0; bit < request.length * 8; bit++) {
      const bent = request.with(bit >> 3, request[bit >> 3]! ^ (1 << (bit & 7)));
      expect(ERRORS).toContain(decodeEcho(bent) as string);
    }
  });
});

test("a solicitation asks the group of the address, from one of ours", () => {
  const frame = encodeSolicitationFrame({
    mac: mac("02:00:00:00:00:01"),
    source: hex("fe800000000000000000000000000001"),
    address: hex("20010db8000000000000000000abcdef"),
  });
  expect(frame.length).toBe(86);
  expect(frame.subarray(0, 54)).toEqual(hex(`3333ffabcdef 020000000001 86dd 60000000 0020 3a ff
    fe800000000000000000000000000001 ff0200000000000000000001ffabcdef`));
  const message = frame.subarray(54);
  expect(message.subarray(4)).toEqual(hex(`00000000
    20010db8000000000000000000abcdef 0101 020000000001`));
  expect(message.subarray(0, 2)).toEqual(hex("8700"));
  const ends = { source: frame.subarray(22, 38), destination: frame.subarray(38, 54) };
  const plain = message.slice();
  plain.fill(0, 2, 4);
  const sum = checksum(plain, pseudoHeaderSum(ends, 58, plain.length));
  expect((message[2]! << 8) | message[3]!).toBe(sum);
});

test("an ICMPv6 ping is laid out like one of ICMP, and its answer is found", () => {
  const echo = { identifier: 0x1234, sequence: 7, payload: Uint8Array.of(1, 2, 3) };
  // RFC 4443 §4.1; the kernel fills in the checksum.
  expect(encodeEchoRequest6(echo).toHex()).toBe("8000000012340007010203");
  const reply = Uint8Array.fromHex("8100abcd12340007010203");
  expect(decodeEchoReply6(reply)).toEqual({ type: "reply", ...echo });
  expect(decodeEchoReply6(encodeEchoRequest6(echo))).toBe("type");
  expect(decodeEchoReply6(reply.subarray(0, 7))).toBe("length");
});
