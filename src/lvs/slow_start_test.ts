/** Ramps, step by step. */

import { expect, test } from "bun:test";
import { prng } from "../../test/support/prng.ts";
import { rampedWeight } from "./slow_start.ts";

/** All weights of a ramp with the moments at which they begin. */
function ramp(weight: number, slowStartUs: number): [number, number][] {
  const steps: [number, number][] = [];
  let at = 0;
  for (;;) {
    const { weight: now, nextUs } = rampedWeight(weight, slowStartUs, at);
    steps.push([at, now]);
    if (nextUs === Infinity) return steps;
    at = nextUs;
  }
}

test("a weight of a few has a step for each", () => {
  expect(ramp(4, 1_000_000)).toEqual([[0, 1], [250_000, 2], [500_000, 3], [750_000, 4]]);
  expect(ramp(1, 1_000_000)).toEqual([[0, 1]]);
  expect(ramp(0, 1_000_000)).toEqual([[0, 0]]);
  expect(ramp(5, 0)).toEqual([[0, 5]]);
});

test("a great weight has twenty steps of a twentieth", () => {
  const steps = ramp(1000, 20_000_000);
  expect(steps.length).toBe(20);
  expect(steps.slice(0, 2)).toEqual([[0, 50], [1_000_000, 100]]);
  expect(steps.at(-1)).toEqual([19_000_000, 1000]);
});

test("a ramp only rises, ends at the whole, and never asks for the moment that is", () => {
  const random = prng(11);
  for (let round = 0; round < 500; round++) {
    const weight = random.integer(0, 3000);
    const steps = ramp(weight, random.integer(1, 100_000_000));
    expect(steps.length).toBeLessThanOrEqual(21);
    expect(steps.at(-1)![1]).toBe(weight);
    for (let i = 1; i < steps.length; i++) {
      expect(steps[i]![0]).toBeGreaterThan(steps[i - 1]![0]);
      expect(steps[i]![1]).toBeGreaterThan(steps[i - 1]![1]);
    }
  }
});
