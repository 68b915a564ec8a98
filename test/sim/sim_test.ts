/**
 * Hundreds of seeded scenarios of test/sim/simulation.ts. A failure names its seed and how to see it
 * again; `SIM_FROM` and `SIM_SEEDS` choose others (`SIM_FROM=77 SIM_SEEDS=1` replays seed 77).
 */

import { expect, test } from "bun:test";
import { simulate } from "./simulation.ts";
import { FIRST, runSeeds, seedCount } from "./world.ts";

const COUNT = seedCount(2000);

test(`${COUNT} seeds from ${FIRST}: one MASTER after healing, addresses held iff MASTER`, () => {
  const total = runSeeds(simulate, COUNT, "test/sim/sim_test.ts");
  if (COUNT < 100) return;
  // A simulation in which nothing happens proves nothing.
  expect(total.adverts).toBeGreaterThan(100 * COUNT);
  expect(total.transitions).toBeGreaterThan(10 * COUNT);
  expect(total.misfortunes).toBeGreaterThan(5 * COUNT);
  expect(total.splits).toBeGreaterThan(COUNT);
}, 60_000);

test("a seed tells the same story twice", () => {
  const stories = [0, 1].map(() => {
    const trace: string[] = [];
    simulate(FIRST, trace);
    return trace.join("\n");
  });
  expect(stories[0]).toBe(stories[1]!);
});
