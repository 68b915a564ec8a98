/** UDP over the loopback: what comes with a datagram, in both families. */

import { expect, test } from "bun:test";
import { networkInterfaces } from "node:os";
import { IP_TTL, IPPROTO_IP, IPPROTO_IPV6, IPV6_UNICAST_HOPS } from "./constants.ts";
import { SysError } from "./libc.ts";
import { Memory } from "./memory.ts";
import { closeDescriptor, SendBatch, setOption } from "./socket.ts";
import { monotonicUs } from "./timer.ts";
import { DatagramBatch, linkIndex, openUdp, socketAddress } from "./udp.ts";

const V4 = Uint8Array.of(127, 0, 0, 1);
const OTHER_V4 = Uint8Array.of(127, 0, 0, 2);
const V6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const HAS_V6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === "::1");

/** A socket on a free port of any address of the family. */
function openAnywhere(family: Uint8Array): { fd: number; port: number } {
  for (let port = 20_000 + process.pid % 20_000;; port++) {
    try {
      return { fd: openUdp(new Uint8Array(family.length), 0, port, "testing"), port };
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== "EADDRINUSE") throw error;
    }
  }
}

function exchange(from: Uint8Array, to: Uint8Array, lengths: readonly number[]): {
  batch: DatagramBatch;
  count: number;
  sentAt: number;
} {
  const { fd, port } = openAnywhere(to);
  const sender = openUdp(from, 0, 0, "testing");
  try {
    if (from.length === 4) setOption(sender, IPPROTO_IP, IP_TTL, 77);
    else setOption(sender, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 77);
    const sending = new SendBatch(sender, 16);
    const sentAt = monotonicUs();
    for (const [i, length] of lengths.entries()) {
      const packet = new Memory(length);
      packet.bytes.fill(i + 1);
      expect(sending.add(packet, socketAddress(to, 0, port))).toBeUndefined();
    }
    expect(sending.flush()).toBeUndefined();
    const batch = new DatagramBatch(4, 32);
    return { batch, count: batch.receive(fd), sentAt };
  } finally {
    closeDescriptor(fd);
    closeDescriptor(sender);
  }
}

const CASES: readonly (readonly [string, Uint8Array, Uint8Array, boolean])[] = [
  ["IPv4", V4, OTHER_V4, true],
  ["IPv6", V6, V6, HAS_V6],
];

for (const [family, from, to, isThere] of CASES) {
  test.skipIf(!isThere)(`${family}: who, to whom, how far and when`, () => {
    const { batch, count, sentAt } = exchange(from, to, [24, 1, 40]);
    expect(count).toBe(3);
    expect(batch.isFull(count)).toBe(false);
    for (const [i, length] of [24, 1, 32].entries()) {
      batch.look(i);
      expect(batch.bytes.subarray(0, batch.length)).toEqual(new Uint8Array(length).fill(i + 1));
      expect(batch.isTruncated).toBe(i === 2);
      expect(batch.ttl).toBe(77);
      expect(batch.source).toEqual(from);
      expect(batch.destination).toEqual(to);
      expect(batch.arrivedAt).toBeGreaterThanOrEqual(sentAt - 1000);
      expect(batch.arrivedAt).toBeLessThanOrEqual(monotonicUs() + 1000);
    }
  });
}

test("a full batch says so, and the next call goes on where it ended", () => {
  const { fd, port } = openAnywhere(V4);
  const sender = openUdp(V4, 0, 0, "testing");
  const sending = new SendBatch(sender, 8);
  for (let i = 0; i < 6; i++) {
    sending.add(Memory.of(Uint8Array.of(i)), socketAddress(V4, 0, port));
  }
  expect(sending.flush()).toBeUndefined();
  const batch = new DatagramBatch(4, 32);
  const seen: number[] = [];
  for (;;) {
    const count = batch.receive(fd);
    for (let i = 0; i < count; i++) {
      batch.look(i);
      seen.push(batch.bytes[0]!);
      expect([batch.ttl, batch.length, [...batch.source]]).toEqual([64, 1, [...V4]]);
    }
    if (!batch.isFull(count)) break;
  }
  expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  expect(batch.receive(fd)).toBe(0);
  closeDescriptor(fd);
  closeDescriptor(sender);
});

test("a port that is taken, an address that is not ours and a dead descriptor are refused by name", () => {
  const { fd, port } = openAnywhere(V4);
  const refusal = (act: () => unknown): string => {
    try {
      act();
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  const anywhere = new Uint8Array(4);
  expect(refusal(() => openUdp(anywhere, 0, port, "trying"))).toBe(
    "bind failed with EADDRINUSE while trying",
  );
  expect(refusal(() => openUdp(Uint8Array.of(192, 0, 2, 77), 0, 0, "trying"))).toBe(
    "bind failed with EADDRNOTAVAIL while trying",
  );
  closeDescriptor(fd);
  expect(refusal(() => new DatagramBatch(1, 32).receive(-1))).toStartWith(
    "recvmmsg failed with EBADF",
  );
});

test("a link has an index, no link has none", () => {
  expect(linkIndex("lo")).toBe(1);
  expect(linkIndex("no-such-link")).toBe(0);
});
