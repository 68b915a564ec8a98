/** Sockets over the loopback: streams that never wait, and batches, whole and with refusals. */

import { expect, test } from "bun:test";
import {
  AF_INET,
  AF_UNIX,
  EAGAIN,
  SO_SNDBUF,
  SO_TIMESTAMPNS,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "./constants.ts";
import { sockaddrIn, sockaddrUn } from "./layout.ts";
import { libc, SysError } from "./libc.ts";
import { Memory, Piece } from "./memory.ts";
import {
  bindSocket,
  bindToDevice,
  closeDescriptor,
  connectSocket,
  hasEnded,
  openSocket,
  type Outgoing,
  ReceiveBatch,
  receiveNow,
  SendBatch,
  sendNow,
  setOption,
  socketPair,
} from "./socket.ts";
import { monotonicUs } from "./timer.ts";
import { prng } from "../test/support/prng.ts";

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

/** Descriptors that are closed with the test. */
class Open {
  readonly #fds: number[] = [];

  add(fd: number): number {
    this.#fds.push(fd);
    return fd;
  }

  /** A UDP socket on a free port of the loopback, and where it is reached. */
  udp(): { fd: number; address: Memory } {
    const fd = this.add(openSocket(AF_INET, SOCK_DGRAM, 0, "testing"));
    for (let port = 20_000 + process.pid % 20_000;; port++) {
      const address = sockaddrIn(LOOPBACK, port);
      if (libc.bind(fd, address.pointer, address.bytes.length) === 0) return { fd, address };
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) closeDescriptor(fd);
  }
}

/** A packet of `length` bytes that begins with its number. */
function packet(number: number, length = 4): Memory {
  const memory = new Memory(length);
  memory.view.setUint32(0, number, true);
  return memory;
}

/** The numbers of all packets that wait, and how many calls it took. */
function receiveAll(batch: ReceiveBatch, fd: number): { numbers: number[]; calls: number } {
  const numbers: number[] = [];
  for (let calls = 1;; calls++) {
    const count = batch.receive(fd);
    for (let i = 0; i < count; i++) {
      const bytes = batch.packet(i);
      numbers.push(bytes[0]! | bytes[1]! << 8);
    }
    if (!batch.isFull(count)) return { numbers, calls };
  }
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

// ---------------------------------------------------------------------------------------------
// Streams
// ---------------------------------------------------------------------------------------------

test("a stream takes what fits and says so, and the rest goes on where it stopped", () => {
  using open = new Open();
  const [a, b] = socketPair().map((fd) => open.add(fd)) as [number, number];
  setOption(a, SOL_SOCKET, SO_SNDBUF, 4096);
  const memory = new Memory(1_000_000);
  for (let i = 0; i < memory.bytes.length; i++) memory.bytes[i] = i * 7;
  const into = new Memory(1000);
  let offset = 0;
  let received = 0;
  let wasFull = false;
  while (received < memory.bytes.length) {
    const sent = sendNow(a, memory, offset, memory.bytes.length - offset);
    expect(sent).toBeGreaterThanOrEqual(0);
    if (sent === 0) wasFull = true;
    offset += sent;
    const count = receiveNow(b, into);
    const expected = memory.bytes.subarray(received, received + count);
    expect(Buffer.compare(into.bytes.subarray(0, count), expected)).toBe(0);
    received += count;
  }
  expect([offset, wasFull]).toEqual([1_000_000, true]);
  expect(receiveNow(b, into)).toBe(0);
});

test("the end of a stream is told apart from nothing to read, and from no room", () => {
  using open = new Open();
  const [a, b] = socketPair() as [number, number];
  open.add(a);
  const memory = Memory.of(Uint8Array.of(1, 2, 3));
  expect(receiveNow(a, memory)).toBe(0);
  expect(hasEnded(a)).toBeFalse();
  sendNow(b, memory, 1, 2);
  closeDescriptor(b);
  expect(receiveNow(a, memory)).toBe(2);
  expect([...memory.bytes]).toEqual([2, 3, 3]);
  expect(receiveNow(a, memory)).toBe(-1);
  expect([hasEnded(a), hasEnded(a)]).toEqual([true, true]);
  // EPIPE, and no signal that would end us.
  expect(sendNow(a, memory, 0, 3)).toBe(-1);
});

test("refusals name the call, the errno and what it was for", () => {
  using open = new Open();
  expect(() => openSocket(99, SOCK_DGRAM, 0, "testing"))
    .toThrow("socket failed with EAFNOSUPPORT while testing");
  const { fd, address } = open.udp();
  expect(() => setOption(fd, SOL_SOCKET, 9999, 1))
    .toThrow("setsockopt failed with ENOPROTOOPT while setting option 9999 of level 1");
  expect(() => bindSocket(fd, address, "binding twice"))
    .toThrow("bind failed with EINVAL while binding twice");
  expect(() => bindToDevice(fd, "no-such-link")).toThrow(SysError);
  const nobody = open.add(openSocket(AF_UNIX, SOCK_DGRAM, 0, "testing"));
  expect(connectSocket(nobody, sockaddrUn(`@upkeep-test-nobody-${process.pid}`))).toBeFalse();
});

// ---------------------------------------------------------------------------------------------
// Batches
// ---------------------------------------------------------------------------------------------

test("200 packets leave in one batch and arrive in order, 64 at a time", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 200);
  expect(sender.isEmpty).toBeTrue();
  for (const i of upTo(200)) expect(sender.add(packet(i), to.address)).toBeUndefined();
  expect(sender.isEmpty).toBeFalse();
  const receiver = new ReceiveBatch(64, 64);
  expect(receiver.receive(to.fd)).toBe(0);
  // Only the batch knows of these packets now.
  Bun.gc(true);
  expect(sender.flush()).toBeUndefined();
  expect(sender.isEmpty).toBeTrue();
  expect(receiveAll(receiver, to.fd)).toEqual({ numbers: upTo(200), calls: 4 });
  expect(sender.flush()).toBeUndefined();
  expect(receiver.receive(to.fd)).toBe(0);
});

test("a full batch flushes itself", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 3);
  const receiver = new ReceiveBatch(8, 64);
  for (const i of upTo(3)) sender.add(packet(i), to.address);
  expect(receiveAll(receiver, to.fd).numbers).toEqual([]);
  sender.add(packet(3), to.address);
  expect(receiveAll(receiver, to.fd).numbers).toEqual([0, 1, 2]);
  sender.flush();
  expect(receiveAll(receiver, to.fd).numbers).toEqual([3]);
});

test("what is sent again may differ in order, destination and length, and says what it says now", () => {
  using open = new Open();
  const [from, left, right] = [open.udp(), open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 20);
  const receiver = new ReceiveBatch(32, 64);
  const packets = upTo(20).map((i) => packet(i));
  const send = (order: readonly number[], to = left): number[] => {
    for (const i of order) sender.add(packets[i]!, to.address);
    expect(sender.flush()).toBeUndefined();
    return receiveAll(receiver, to.fd).numbers;
  };
  const turned = upTo(20).reverse();
  for (const order of [upTo(20), upTo(20), turned, [3, 3, 3], upTo(20)]) {
    expect(send(order)).toEqual([...order]);
  }
  expect(send([1, 2])).toEqual([1, 2]);
  expect(send([1, 2], right)).toEqual([1, 2]);
  packets[1]!.view.setUint32(0, 77, true);
  expect(send([1, 2], right)).toEqual([77, 2]);
  sender.add(Piece.of(Uint8Array.of(77, 0)), right.address);
  sender.flush();
  expect(receiver.receive(right.fd)).toBe(1);
  expect(receiver.packet(0)).toHaveLength(2);
});

test("rounds of several flushes, with packets in between, always send what was added", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 20);
  const receiver = new ReceiveBatch(32, 64);
  const packets = upTo(40).map((i) => packet(i));
  const send = (order: readonly number[]): void => {
    for (const i of order) sender.add(packets[i]!, to.address);
    expect(sender.flush()).toBeUndefined();
    expect(sender.isEmpty).toBeTrue();
    expect(receiveAll(receiver, to.fd).numbers).toEqual([...order]);
  };
  const round = [[0, 1, 2], [3], [4, 5, 6, 7, 8, 9, 10, 11], [12, 13]];
  for (const extra of [[], [], [30], [0], [], [13, 0], [31, 32, 33, 34, 35, 36, 37], [], []]) {
    for (const lane of round) send(lane);
    if (extra.length > 0) send(extra);
  }
  // More than there is room for.
  send(upTo(40));
  for (const lane of round) send(lane);
  // The same packet to somebody else.
  const other = open.udp();
  sender.add(packets[0]!, other.address);
  sender.flush();
  expect(receiveAll(receiver, to.fd).numbers).toEqual([]);
  expect(receiveAll(receiver, other.fd).numbers).toEqual([0]);
});

test("lists are what they say, whatever lay in their places before", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 6);
  const receiver = new ReceiveBatch(32, 64);
  const one = (i: number): Outgoing => ({ bytes: packet(i), to: to.address });
  const lists = upTo(9).map((i) => i % 4 === 3 ? [one(i), one(i + 50), one(i + 60)] : [one(i)]);
  const numbersOf = (i: number): number[] => i % 4 === 3 ? [i, i + 50, i + 60] : [i];
  const next = prng(3);
  for (let round = 0; round < 200; round++) {
    const order = round % 3 === 0
      ? upTo(3)
      : upTo(next.integer(1, 7)).map(() => next.integer(0, 8));
    const expected: number[] = [];
    for (const i of order) {
      // A packet of a list, or the list itself.
      const isAlone = next.chance(0.2);
      expected.push(...isAlone ? [i] : numbersOf(i));
      if (isAlone) sender.add(lists[i]![0]!.bytes, to.address);
      else expect(sender.addAll(lists[i]!)).toBeUndefined();
    }
    sender.flush();
    expect(receiveAll(receiver, to.fd).numbers).toEqual(expected);
  }
});

test("each packet goes to its own address, and a piece is only as long as it is", () => {
  using open = new Open();
  const [from, left, right] = [open.udp(), open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 8);
  const [long, short, cut] = [
    packet(1, 100),
    Piece.of(packet(2, 5).bytes),
    Piece.of(packet(1, 7).bytes),
  ];
  sender.add(long, left.address);
  sender.add(short, right.address);
  sender.add(cut, right.address);
  sender.flush();
  const receiver = new ReceiveBatch(8, 128);
  expect(receiver.receive(left.fd)).toBe(1);
  expect(receiver.packet(0)).toHaveLength(100);
  expect(receiver.receive(right.fd)).toBe(2);
  expect([receiver.packet(0), receiver.packet(1)].map((bytes) => [bytes[0], bytes.length]))
    .toEqual([[2, 5], [1, 7]]);
});

/** What the kernel refuses: more than a datagram holds. */
const HUGE = 65_508;

for (const refused of [[0], [2], [4], [1, 2], [0, 4], [0, 1, 2, 3, 4]]) {
  test(`packets ${refused} of 5 are refused: the others leave, the first refusal is told`, () => {
    using open = new Open();
    const [from, to] = [open.udp(), open.udp()];
    const sender = new SendBatch(from.fd, 8);
    const huge = new Memory(HUGE);
    for (const i of upTo(5)) {
      if (refused.includes(i)) sender.add(huge, to.address);
      else sender.add(packet(i), to.address);
    }
    expect(sender.flush()?.message)
      .toBe(`sendmmsg failed with EMSGSIZE while sending packet ${refused[0]! + 1} of 5`);
    expect(receiveAll(new ReceiveBatch(8, 64), to.fd).numbers)
      .toEqual(upTo(5).filter((i) => !refused.includes(i)));
    // The next batch knows nothing of it.
    sender.add(packet(9), to.address);
    expect(sender.flush()).toBeUndefined();
    expect(receiveAll(new ReceiveBatch(8, 64), to.fd).numbers).toEqual([9]);
  });
}

test("a refusal in a batch that flushes itself is told by add", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 2);
  sender.add(new Memory(HUGE), to.address);
  sender.add(packet(1), to.address);
  expect(sender.add(packet(2), to.address)?.errno).toBe("EMSGSIZE");
  expect(sender.flush()).toBeUndefined();
  expect(receiveAll(new ReceiveBatch(8, 64), to.fd).numbers).toEqual([1, 2]);
});

test("a receiver without room loses packets, the sender never waits", () => {
  using open = new Open();
  const name = sockaddrUn(`@upkeep-test-full-${process.pid}`);
  const to = open.add(openSocket(AF_UNIX, SOCK_DGRAM, 0, "testing"));
  bindSocket(to, name, "testing");
  const sender = new SendBatch(open.add(openSocket(AF_UNIX, SOCK_DGRAM, 0, "testing")), 2000);
  for (const i of upTo(2000)) sender.add(packet(i), name);
  const error = sender.flush();
  expect(error?.code).toBe(EAGAIN);
  const { numbers } = receiveAll(new ReceiveBatch(64, 64), to);
  expect(numbers).toEqual(upTo(numbers.length));
  expect(numbers.length).toBeWithin(1, 2000);
});

test("a packet longer than its slot is cut and says so", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 8);
  const lengths = [63, 64, 65, 1000, 10];
  for (const [i, length] of lengths.entries()) sender.add(packet(i, length), to.address);
  sender.flush();
  const receiver = new ReceiveBatch(8, 64);
  expect(receiver.receive(to.fd)).toBe(5);
  expect(lengths.map((_, i) => [receiver.packet(i).length, receiver.isTruncated(i)])).toEqual([
    [63, false],
    [64, false],
    [64, true],
    [64, true],
    [10, false],
  ]);
  // The slots do not remember.
  sender.add(packet(0), to.address);
  for (const i of upTo(4)) sender.add(packet(i), to.address);
  sender.flush();
  expect(receiver.receive(to.fd)).toBe(5);
  expect(upTo(5).map((i) => receiver.isTruncated(i))).toEqual(Array(5).fill(false));
});

test("an empty packet is a packet", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  const sender = new SendBatch(from.fd, 8);
  sender.add(Piece.of(new Uint8Array(0)), to.address);
  sender.flush();
  const receiver = new ReceiveBatch(8, 64);
  expect(receiver.receive(to.fd)).toBe(1);
  expect(receiver.packet(0)).toHaveLength(0);
});

test("arrival is when the packet came, not when it was read, on the monotonic clock", () => {
  using open = new Open();
  const [from, to] = [open.udp(), open.udp()];
  setOption(to.fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  const sender = new SendBatch(from.fd, 8);
  const receiver = new ReceiveBatch(8, 64);
  // The kernel begins to stamp on arrival a moment after the first socket has asked for it.
  const limit = monotonicUs() + 5_000_000;
  for (let isStamping = false; !isStamping;) {
    sender.add(packet(0), to.address);
    sender.flush();
    const sentAt = monotonicUs();
    while (monotonicUs() < sentAt + 2000);
    expect(receiver.receive(to.fd)).toBe(1);
    isStamping = receiver.arrivedAt(0)! < sentAt + 1000;
    expect(monotonicUs()).toBeLessThan(limit);
  }
  for (let round = 0; round < 3; round++) {
    const before = monotonicUs();
    for (const i of upTo(3)) sender.add(packet(i), to.address);
    sender.flush();
    const after = monotonicUs();
    // What is read 20 ms later has still arrived in between.
    while (monotonicUs() < after + 20_000);
    expect(receiver.receive(to.fd)).toBe(3);
    const arrivals = upTo(3).map((i) => receiver.arrivedAt(i)!);
    for (const arrivedAt of arrivals) {
      // The two clocks are read one after the other.
      expect(arrivedAt).toBeWithin(before - 5000, after + 5000);
    }
    expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
  }
});

test("what the kernel does not stamp has no arrival, whatever was in the slot before", () => {
  using open = new Open();
  const [from, stamped, plain] = [open.udp(), open.udp(), open.udp()];
  setOption(stamped.fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  const sender = new SendBatch(from.fd, 8);
  const receiver = new ReceiveBatch(8, 64);
  const arrival = (to: { fd: number; address: Memory }): number | undefined => {
    sender.add(packet(1), to.address);
    sender.flush();
    expect(receiver.receive(to.fd)).toBe(1);
    return receiver.arrivedAt(0);
  };
  expect(arrival(plain)).toBeUndefined();
  expect(arrival(stamped)).toBeNumber();
  expect(arrival(plain)).toBeUndefined();
  expect(arrival(stamped)).toBeNumber();
});

test("a broken socket is an error, an empty one is not", () => {
  using open = new Open();
  const receiver = new ReceiveBatch(8, 64);
  expect(receiver.receive(open.udp().fd)).toBe(0);
  expect(() => receiver.receive(-1))
    .toThrow("recvmmsg failed with EBADF while receiving packets");
});
