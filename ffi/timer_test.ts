/** The clock that never jumps, and the descriptor that wakes us at a moment on it. */

import { expect, test } from "bun:test";
import { EPOLLET, EPOLLIN } from "./constants.ts";
import { Epoll } from "./epoll.ts";
import { closeDescriptor, sendNow, socketPair } from "./socket.ts";
import { Memory } from "./memory.ts";
import { monotonicUs, readTimespec, realtimeUs, Timer } from "./timer.ts";

/** A timer and who waits for it; `wait` tells whether it has fired within some milliseconds. */
function timerInEpoll(): { timer: Timer; wait: (ms: number) => boolean } {
  const timer = new Timer();
  const epoll = new Epoll();
  epoll.add(timer.fd, EPOLLIN | EPOLLET);
  return { timer, wait: (ms) => epoll.wait(ms) === 1 };
}

test("the monotonic clock is in whole microseconds, and only goes forward", () => {
  let last = monotonicUs();
  for (let i = 0; i < 10_000; i++) {
    const now = monotonicUs();
    expect(Number.isInteger(now) && now >= last).toBeTrue();
    last = now;
  }
  const sinceStartUs = performance.now() * 1000;
  expect(monotonicUs()).toBeGreaterThan(sinceStartUs);
});

test("the calendar's clock is JavaScript's", () => {
  const before = Date.now();
  const us = realtimeUs();
  expect(us / 1000).toBeWithin(before - 1, Date.now() + 2);
});

test("a timespec is read in full: 64-bit seconds, nanoseconds cut to microseconds", () => {
  const view = new DataView(new ArrayBuffer(24));
  view.setBigInt64(8, 5_000_000_000n, true);
  view.setBigInt64(16, 999_999_999n, true);
  expect(readTimespec(view, 8)).toBe(5_000_000_000_999_999);
});

test("a timer fires at its moment and not before", () => {
  const { timer, wait } = timerInEpoll();
  for (const us of [1, 500, 3000, 20_000]) {
    const at = monotonicUs() + us;
    timer.arm(at);
    expect(wait(5000)).toBeTrue();
    expect(monotonicUs()).toBeGreaterThanOrEqual(at);
    timer.fired();
    expect(wait(0)).toBeFalse();
  }
});

test("a moment that is over fires at once, also the clock's very start", () => {
  const { timer, wait } = timerInEpoll();
  for (const at of [monotonicUs() - 1000, 1, 0, -5]) {
    timer.arm(at);
    expect(wait(5000)).toBeTrue();
    timer.fired();
  }
});

test("Infinity disarms; a later moment replaces an earlier one", () => {
  const { timer, wait } = timerInEpoll();
  timer.arm(monotonicUs() + 2000);
  timer.arm(Infinity);
  expect(wait(10)).toBeFalse();
  timer.arm(monotonicUs() + 2000);
  timer.arm(monotonicUs() + 10_000_000);
  expect(wait(10)).toBeFalse();
  timer.arm(monotonicUs() + 2000);
  expect(wait(5000)).toBeTrue();
});

test("the same moment is armed once, until it has fired", () => {
  const { timer, wait } = timerInEpoll();
  const at = monotonicUs() + 1000;
  timer.arm(at);
  timer.arm(at);
  expect(wait(5000)).toBeTrue();
  // Nobody has told the timer that it fired: it believes to be armed.
  timer.arm(at);
  expect(wait(10)).toBeFalse();
  timer.fired();
  timer.arm(at);
  expect(wait(5000)).toBeTrue();
});

test("moments beyond 32 bits of seconds are kept", () => {
  const { timer, wait } = timerInEpoll();
  timer.arm(2 ** 33 * 1_000_000 + 1);
  expect(wait(10)).toBeFalse();
});

test("epoll tells which descriptors are readable, as long as they are, or once by edge", () => {
  const epoll = new Epoll();
  const pairs = Array.from({ length: 3 }, () => socketPair());
  epoll.add(pairs[0]![0]);
  epoll.add(pairs[1]![0], EPOLLIN | EPOLLET);
  epoll.add(pairs[2]![0]);
  expect(epoll.wait(0)).toBe(0);
  const byte = new Memory(1);
  for (const [, far] of pairs.slice(0, 2)) sendNow(far, byte, 0, 1);
  const readable = (): number[] => {
    const count = epoll.wait(0);
    return Array.from({ length: count }, (_, i) => epoll.descriptor(i)).sort((a, b) => a - b);
  };
  expect(readable()).toEqual([pairs[0]![0], pairs[1]![0]].sort((a, b) => a - b));
  expect(readable()).toEqual([pairs[0]![0]]);
  epoll.remove(pairs[0]![0]);
  expect(readable()).toEqual([]);
  epoll.remove(pairs[0]![0]);
  epoll.remove(-1);
  expect(() => epoll.add(pairs[1]![0]))
    .toThrow(`epoll_ctl failed with EEXIST while watching descriptor ${pairs[1]![0]}`);
  expect(() => epoll.add(-1)).toThrow("epoll_ctl failed with EBADF while watching descriptor -1");
  for (const fd of pairs.flat()) closeDescriptor(fd);
});

test("a wait that could not report everything says so", () => {
  const epoll = new Epoll();
  const pairs = Array.from({ length: 65 }, () => socketPair());
  const byte = new Memory(1);
  for (const [i, [near, far]] of pairs.entries()) {
    epoll.add(near);
    if (i < 63) sendNow(far, byte, 0, 1);
  }
  expect(epoll.wait(0)).toBe(63);
  expect(epoll.isFull(63)).toBeFalse();
  for (const [, far] of pairs.slice(63)) sendNow(far, byte, 0, 1);
  expect(epoll.isFull(epoll.wait(0))).toBeTrue();
  for (const fd of pairs.flat()) closeDescriptor(fd);
});
