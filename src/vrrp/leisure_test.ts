/** When there is time to collect garbage, and when there is enough of it. */

import { expect, test } from "bun:test";
import { Leisure } from "./leisure.ts";

/** A role at work: `pauses` are how long nothing is due after each turn, in milliseconds. */
function rest(
  steps: number,
  changes: number,
  turns: readonly (readonly [number, number])[],
): string {
  const loop = { now: 0, earliestAt: Infinity };
  const done: string[] = [];
  const leisure = new Leisure(loop, {
    young: () => done.push(`young ${loop.now / 1000}`),
    all: () => done.push(`all ${loop.now / 1000}`),
  });
  for (let i = 0; i < steps; i++) leisure.note(i < changes);
  for (const [at, pause] of turns) {
    loop.now = at * 1000;
    loop.earliestAt = loop.now + pause * 1000;
    leisure.rest(loop.now);
  }
  return done.join(", ");
}

test("a thousand adverts are collected between bursts, never within", () => {
  expect(rest(5_999, 0, [[1, 900]])).toBe("");
  expect(rest(6_000, 0, [[1, 0], [2, 2], [3, 900], [4, 900]])).toBe("young 3");
});

test("many changes of state are collected whole when they are over and there is much time", () => {
  expect(rest(99, 99, [[2_000, 900]])).toBe("");
  expect(rest(100, 100, [[500, 900], [1_500, 50], [2_500, 900], [3_500, 900]])).toBe("all 2500");
  expect(rest(6_000, 100, [[500, 900], [2_500, 900]])).toBe("young 500, all 2500");
});

test("what was counted during a rehearsal was no upheaval", () => {
  const loop = { now: 5_000_000, earliestAt: Infinity };
  const leisure = new Leisure(loop, {
    young: () => {},
    all: () => {
      throw new Error("collects");
    },
  });
  for (let i = 0; i < 200; i++) leisure.note(true);
  leisure.forget();
  leisure.rest(9_000_000);
});
