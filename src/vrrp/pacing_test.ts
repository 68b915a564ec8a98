/** The pace of announcements: who waits for whom, how long, and what is dropped. */

import { expect, test } from "bun:test";
import { PacedQueue, paceOf } from "./pacing.ts";

/** Takes what is due whenever it is due, from `now` on: "moment frame" each. */
function drain(queue: PacedQueue<string>, now: number): string[] {
  const taken: string[] = [];
  for (let at = now; queue.dueAt !== Infinity; at = Math.max(at, queue.dueAt)) {
    for (const frame of queue.take(at)) taken.push(`${at} ${frame}`);
  }
  return taken;
}

test("one at a time, at once when idle, every address before any again", () => {
  const queue = new PacedQueue<string>(100);
  queue.push("V", "a", 2);
  queue.push("V", "b", 3);
  expect(drain(queue, 1000)).toEqual(["1000 a", "1100 b", "1200 a", "1300 b", "1400 b"]);
  queue.push("V", "c", 1);
  expect(queue.dueAt).toBe(1500);
  expect(queue.take(1499)).toEqual([]);
  expect(queue.take(1500)).toEqual(["c"]);
  queue.push("V", "d", 2);
  expect(drain(queue, 9000)).toEqual(["9000 d", "9100 d"]);
  queue.push("V", "e", 0);
  expect(queue.dueAt).toBe(Infinity);
});

test("a turn that is a little late makes up for it, a stall does not count", () => {
  const queue = new PacedQueue<string>(1000);
  queue.push("V", "a", 9);
  expect(queue.take(10_000)).toEqual(["a"]);
  expect(queue.take(11_150)).toEqual(["a"]);
  expect(queue.dueAt).toBe(12_000);
  expect(queue.take(14_200)).toEqual(["a", "a", "a"]);
  expect(queue.dueAt).toBe(15_000);
  expect(queue.take(25_000)).toEqual(["a"]);
  expect(queue.dueAt).toBe(26_000);
});

test("however short the interval, a turn has an end", () => {
  const queue = new PacedQueue<string>(1);
  queue.push("V", "a", 1000);
  queue.take(0);
  let turns = 1;
  let frames = 1;
  for (let now = 4000; queue.dueAt !== Infinity; now += 1000) {
    frames += queue.take(now).length;
    turns++;
  }
  expect(frames).toBe(1000);
  expect(turns).toBeGreaterThan(15);
});

test("an owner takes back its own", () => {
  const queue = new PacedQueue<string>(10);
  queue.push("V", "a", 2);
  queue.push("W", "b", 2);
  expect(queue.take(0)).toEqual(["a"]);
  queue.drop("V");
  expect(drain(queue, 10)).toEqual(["10 b", "20 b"]);
});

test("a link's pace: its group's, else the general one, for each kind", () => {
  const globals = {
    vrrp_garp_interval: 5,
    garp_groups: [
      { interfaces: ["eth1"], gna_interval: 7 },
      { interfaces: ["eth2", "eth3"], garp_interval: 9, gna_interval: 0 },
    ],
  };
  const table = [
    ["eth0", true, "garp_interval eth0", 5],
    ["eth0", false, "gna_interval eth0", 0],
    ["eth1", true, "garp_interval eth1", 5],
    ["eth1", false, "gna_interval group 0", 7],
    ["eth2", true, "garp_interval group 1", 9],
    ["eth3", true, "garp_interval group 1", 9],
    ["eth3", false, "gna_interval group 1", 0],
  ] as const;
  for (const [device, isV4, key, intervalUs] of table) {
    expect(paceOf(globals, device, isV4)).toEqual({ key, intervalUs });
  }
  expect(paceOf({}, "eth0", true).intervalUs).toBe(0);
});
