/** Gratuitous ARP against keepalived's own frame. */

import { expect, test } from "bun:test";
import { address, hex, mac, readPacket } from "../../test/golden/packets/packet.ts";
import {
  ARPOP_REPLY,
  ARPOP_REQUEST,
  decodeArp,
  encodeArpProbe,
  encodeGratuitousArp,
  encodeUnsolicitedReply,
} from "./arp.ts";

const { frame } = readPacket("garp");
const arp = {
  operation: ARPOP_REQUEST,
  senderMac: mac("02:00:00:00:00:01"),
  senderAddress: address("192.0.2.100"),
  targetMac: mac("ff:ff:ff:ff:ff:ff"),
  targetAddress: address("192.0.2.100"),
};

test("keepalived's frame both ways", () => {
  expect(encodeGratuitousArp({ mac: arp.senderMac, address: arp.senderAddress })).toEqual(frame);
  expect(decodeArp(frame)).toEqual(arp);
});

test("truncation is an error, padding is none", () => {
  for (let length = 0; length < frame.length; length++) {
    expect(decodeArp(frame.subarray(0, length))).toBe("length");
  }
  expect(decodeArp(new Uint8Array([...frame, ...new Uint8Array(18)]))).toEqual(arp);
});

test("every bit after the MACs of the frame matters", () => {
  const bent = frame.slice();
  for (let bit = 12 * 8; bit < bent.length * 8; bit++) {
    bent[bit >> 3]! ^= 1 << (bit & 7);
    expect(decodeArp(bent)).not.toEqual(arp);
    bent[bit >> 3]! ^= 1 << (bit & 7);
  }
});

test("what is not ARP for IPv4 over Ethernet is named", () => {
  expect(decodeArp(frame.with(13, 0x00))).toBe("etherType");
  for (const at of [14, 15, 16, 17, 18, 19]) expect(decodeArp(frame.with(at, 9))).toBe("hardware");
});

test("a reply, made by hand", () => {
  const reply = hex(`020000000001 020000000002 0806 0001 0800 0604 0002
    020000000002 c0000202 020000000001 c0000201`);
  expect(decodeArp(reply)).toEqual({
    operation: ARPOP_REPLY,
    senderMac: mac("02:00:00:00:00:02"),
    senderAddress: address("192.0.2.2"),
    targetMac: mac("02:00:00:00:00:01"),
    targetAddress: address("192.0.2.1"),
  });
});

test("an answer that nobody has asked for differs from the announcement in its operation alone", () => {
  const mac = Uint8Array.of(0, 0, 0x5e, 0, 1, 7);
  const address = Uint8Array.of(192, 0, 2, 1);
  const asked = encodeGratuitousArp({ mac, address });
  const answer = encodeUnsolicitedReply({ mac, address });
  expect(decodeArp(answer)).toMatchObject({ operation: ARPOP_REPLY, senderMac: mac });
  const different = [...answer].flatMap((byte, i) => byte === asked[i] ? [] : [i]);
  expect(different).toEqual([21]);
});

test("a probe asks without saying who: nobody's cache changes", () => {
  const probe = encodeArpProbe({ mac: arp.senderMac, address: address("192.0.2.100") });
  expect(probe).toEqual(hex(`ffffffffffff 020000000001 0806 0001 0800 0604 0001
    020000000001 00000000 000000000000 c0000264`));
  expect(decodeArp(probe)).toMatchObject({ operation: ARPOP_REQUEST });
});
