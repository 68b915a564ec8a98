/** Turns of the loop over real sockets and the real clock: what comes before what, and when. */

import { afterEach, expect, test } from "bun:test";
import { Memory } from "../ffi/memory.ts";
import { closeDescriptor, receiveNow, sendNow, socketPair } from "../ffi/socket.ts";
import { monotonicUs, Timer } from "../ffi/timer.ts";
import { type Alarm, Loop } from "./loop.ts";

const open: number[] = [];
afterEach(() => {
  for (const fd of open.splice(0)) closeDescriptor(fd);
});

/** An alarm that calls `fire`. */
function alarm(fire: (now: number) => void, rest: Partial<Alarm> = {}): Alarm {
  return { dueAt: Infinity, heapIndex: -1, fire, ...rest };
}

/** A socket that has `count` bytes to read. */
function readable(count = 1): number {
  const [near, far] = socketPair();
  open.push(near, far);
  for (let i = 0; i < count; i++) sendNow(far, new Memory(1), 0, 1);
  return near;
}

const byte = new Memory(1);
const read = (fd: number): number => receiveNow(fd, byte);

test("in one turn what has arrived comes first, then what is due, then the flushes", () => {
  const loop = new Loop();
  const said: string[] = [];
  const fds = [readable(), readable()];
  loop.atTurnEnd(() => said.push("first flush"));
  loop.atTurnEnd(() => said.push("second flush"));
  loop.schedule(alarm(() => said.push("overdue")), monotonicUs() - 1_000_000);
  for (const fd of fds) loop.watch(fd, () => said.push(`socket ${read(fd)}`));
  loop.turn(0);
  expect(said).toEqual(["socket 1", "socket 1", "overdue", "first flush", "second flush"]);
  loop.turn(0);
  expect(said.slice(5)).toEqual(["first flush", "second flush"]);
});

test("everything in a turn happens at one moment, after that of the turn before", () => {
  const loop = new Loop();
  const moments: number[] = [];
  const fd = readable();
  const before = loop.now;
  loop.watch(fd, (now) => (read(fd), moments.push(now)));
  loop.schedule(alarm((now) => moments.push(now)), before);
  loop.atTurnEnd((now) => moments.push(now));
  loop.turn(0);
  expect(moments).toEqual(Array(3).fill(loop.now));
  expect(loop.previous).toBe(before);
  expect(loop.now).toBeWithin(before, monotonicUs() + 1);
  const first = loop.now;
  loop.turn(0);
  expect(loop.previous).toBe(first);
});

test("more sockets than epoll tells of at once are all read in one turn", () => {
  const loop = new Loop();
  const seen = new Set<number>();
  let flushes = 0;
  loop.atTurnEnd(() => flushes++);
  for (let i = 0; i < 150; i++) {
    const fd = readable();
    loop.watch(fd, () => (read(fd), seen.add(fd)));
  }
  loop.turn(0);
  expect([seen.size, flushes]).toEqual([150, 1]);
});

test("a socket that still has something to read is called again in the next turn", () => {
  const loop = new Loop();
  const fd = readable(3);
  let calls = 0;
  loop.watch(fd, () => (read(fd), calls++));
  for (let turn = 1; turn <= 5; turn++) {
    loop.turn(0);
    expect(calls).toBe(Math.min(turn, 3));
  }
});

test("a socket that is no longer watched is not called, even if it was readable already", () => {
  const loop = new Loop();
  const fds = [readable(), readable(), readable()];
  const called: number[] = [];
  for (const fd of fds) {
    loop.watch(fd, () => {
      called.push(fd);
      for (const other of fds) loop.unwatch(other);
    });
  }
  loop.turn(0);
  expect(called).toHaveLength(1);
  loop.turn(0);
  expect(called).toHaveLength(1);
  // Its bytes are still there for who watches it next.
  const again = called[0]!;
  loop.watch(again, () => called.push(read(again)));
  loop.turn(0);
  expect(called).toEqual([again, 1]);
});

test("a socket watched within a turn is heard in the next", () => {
  const loop = new Loop();
  const [first, second] = [readable(), readable()];
  const called: string[] = [];
  loop.watch(first, () => {
    read(first);
    loop.watch(second, () => (read(second), called.push("second")));
    called.push("first");
  });
  loop.turn(0);
  loop.turn(0);
  expect(called).toEqual(["first", "second"]);
});

test("what is due fires in the order of the moments, equal ones by rank", () => {
  const loop = new Loop();
  const fired: string[] = [];
  const past = loop.now - 1000;
  const rows: [name: string, at: number, rank?: number][] = [
    ["e", past + 2],
    ["c", past + 1, 3],
    ["a", past, 9],
    ["b", past + 1, 1],
    ["d", past + 1, 7],
    ["f", past + 3, -1],
  ];
  for (const [name, at, rank = 0] of rows) {
    loop.schedule(alarm(() => fired.push(name), { rank }), at);
  }
  loop.turn(0);
  expect(fired.join("")).toBe("abcdef");
});

test("an alarm fires once; it may set its next moment, or another's, or take one away", () => {
  const loop = new Loop();
  const fired: string[] = [];
  const start = loop.now - 1_000_000;
  const later = alarm(() => fired.push("later"));
  const never = alarm(() => fired.push("never"));
  const once = alarm(() => {
    fired.push("once");
    loop.schedule(later, start + 1);
    loop.schedule(never, Infinity);
  });
  const twice = alarm((now) => {
    if (fired.push("twice") < 4) loop.schedule(twice, now - 1);
  });
  loop.schedule(once, start);
  loop.schedule(never, start + 1);
  loop.schedule(twice, start + 2);
  loop.turn(0);
  loop.turn(0);
  expect(fired).toEqual(["once", "later", "twice", "twice"]);
});

test("the very next microsecond is for the next turn", () => {
  const loop = new Loop();
  const fired: string[] = [];
  const next = alarm(() => fired.push("next"));
  loop.schedule(
    alarm((now) => {
      fired.push("first");
      loop.schedule(next, now + 1);
    }),
    loop.now,
  );
  loop.turn(0);
  expect(fired).toEqual(["first"]);
  loop.turn(-1);
  expect(fired).toEqual(["first", "next"]);
});

test("an alarm set anew fires at its new moment only", () => {
  const loop = new Loop();
  let fired = 0;
  const one = alarm(() => fired++);
  loop.schedule(one, loop.now - 1);
  loop.schedule(one, loop.now + 60_000_000);
  loop.turn(0);
  expect(fired).toBe(0);
  loop.schedule(one, loop.now - 1);
  loop.turn(0);
  loop.turn(0);
  expect(fired).toBe(1);
});

test("a turn waits for a socket, for the earliest deadline, or as long as it may", () => {
  const loop = new Loop();
  const fd = readable();
  loop.watch(fd, () => read(fd));
  loop.schedule(alarm(() => {}), loop.now + 60_000_000);
  loop.turn(10_000);
  const start = loop.now;
  loop.turn(20);
  expect(loop.now - start).toBeGreaterThan(15_000);
  const at = monotonicUs() + 5000;
  let firedAt = 0;
  loop.schedule(
    alarm((now) => {
      firedAt = now;
    }),
    at,
  );
  while (firedAt === 0) loop.turn(-1);
  expect(firedAt).toBeWithin(at, at + 500_000);
});

for (const isUrgent of [false, true]) {
  const kind = isUrgent ? "an urgent" : "a";
  test(`${kind} deadline never fires early, and is not late by much`, () => {
    const loop = new Loop();
    const lateUs: number[] = [];
    let turns = 0;
    for (let i = 0; i < 40; i++) {
      const at = monotonicUs() + 50 + i * 60;
      const start = lateUs.length;
      const one = alarm(() => lateUs.push(monotonicUs() - at), { isUrgent });
      loop.schedule(one, at);
      for (; lateUs.length === start; turns++) loop.turn(-1);
    }
    expect(lateUs).toHaveLength(40);
    expect(Math.min(...lateUs)).toBeGreaterThanOrEqual(0);
    // A busy machine may keep us waiting; it does not do so every time.
    expect(lateUs.toSorted((a, b) => a - b)[20]).toBeLessThan(20_000);
    // It is waited for awake, not turn after turn.
    expect(turns).toBeLessThanOrEqual(2 * 40);
  });
}

test("what arrives while an urgent deadline is awaited counts before it fires", () => {
  const loop = new Loop();
  const said: string[] = [];
  const [near, far] = socketPair();
  open.push(near, far);
  loop.watch(near, () => (read(near), said.push("socket")));
  // Sent in a turn's flush, so that the loop finds it on its way into the next wait.
  let isSent = false;
  loop.atTurnEnd(() => {
    if (isSent) return;
    isSent = true;
    loop.schedule(alarm(() => said.push("deadline"), { isUrgent: true }), monotonicUs() + 100);
    sendNow(far, new Memory(1), 0, 1);
  });
  loop.turn(0);
  while (!said.includes("deadline")) loop.turn(-1);
  expect(said).toEqual(["socket", "deadline"]);
});

test("what arrives at the last moment before an urgent deadline counts, too", () => {
  const loop = new Loop();
  for (let round = 0; round < 20; round++) {
    const said: string[] = [];
    const at = monotonicUs() + 1000;
    // Another timer stands for a peer: it makes its descriptor readable just before.
    const peer = new Timer();
    open.push(peer.fd);
    loop.watch(peer.fd, () => {
      said.push("socket");
      loop.unwatch(peer.fd);
    });
    peer.arm(at - 30);
    loop.schedule(alarm(() => said.push("deadline"), { isUrgent: true }), at);
    while (!said.includes("deadline")) loop.turn(-1);
    expect(said).toEqual(["socket", "deadline"]);
  }
});

test("run flushes what is there, and ends after the turn in which it is stopped", () => {
  const loop = new Loop();
  const said: string[] = [];
  const fd = readable();
  loop.watch(fd, () => {
    read(fd);
    said.push("socket");
    loop.stop();
  });
  loop.schedule(alarm(() => said.push("alarm")), loop.now - 1);
  loop.atTurnEnd(() => said.push("flush"));
  loop.run();
  expect(said).toEqual(["flush", "socket", "alarm", "flush"]);
});
