/** The heap against a sorted array, over seeded random operations. */

import { expect, test } from "bun:test";
import { type Deadline, Deadlines } from "./deadlines.ts";

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test("takes items in the order of their deadlines, whatever was set, moved or removed", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const next = random(seed);
    const heap = new Deadlines<Deadline>();
    const items = Array.from({ length: 30 }, () => ({ dueAt: Infinity, heapIndex: -1 }));
    for (let i = 0; i < 200; i++) {
      const item = items[Math.floor(next() * items.length)]!;
      const choice = next();
      if (choice < 0.7) heap.set(item, Math.floor(next() * 1000));
      else if (choice < 0.9) heap.remove(item);
      else heap.set(item, Infinity);
      const pending = items.filter((one) => one.dueAt !== Infinity);
      expect(heap.size).toBe(pending.length);
      expect(heap.earliestAt).toBe(Math.min(Infinity, ...pending.map((one) => one.dueAt)));
    }
    const expected = items.map((one) => one.dueAt).filter((at) => at <= 500).sort((a, b) => a - b);
    const taken: number[] = [];
    for (;;) {
      const at = heap.earliestAt;
      if (heap.takeDue(500) === undefined) break;
      taken.push(at);
    }
    expect(taken).toEqual(expected);
    expect(heap.earliestAt).toBeGreaterThan(500);
  }
});

test("an item that fires may be given a new deadline at once", () => {
  const heap = new Deadlines<Deadline>();
  const item = { dueAt: Infinity, heapIndex: -1 };
  heap.set(item, 10);
  expect(heap.takeDue(9)).toBeUndefined();
  expect(heap.takeDue(10)).toBe(item);
  expect(item.heapIndex).toBe(-1);
  heap.set(item, 20);
  expect(heap.earliestAt).toBe(20);
});

test("what is due at the same moment fires by rank, round after round", () => {
  const heap = new Deadlines<Deadline>();
  const items = Array.from({ length: 100 }, (_, rank) => ({ dueAt: 0, heapIndex: -1, rank }));
  const next = random(7);
  for (let round = 1; round <= 5; round++) {
    for (const item of items.toSorted(() => next() - 0.5)) heap.set(item, round * 1000);
    const fired = items.map(() => heap.takeDue(round * 1000));
    expect(fired).toEqual(items);
  }
});
