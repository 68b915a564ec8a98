/**
 * Hundreds of seeded scenarios of test/sim/group_simulation.ts. A failure names its seed and how to
 * see it again; `SIM_FROM` and `SIM_SEEDS` choose others.
 */

import { expect, test } from "bun:test";
import { simulateGroups } from "./group_simulation.ts";
import { FIRST, runSeeds, seedCount } from "./world.ts";

const COUNT = seedCount(500);

test(`${COUNT} seeds from ${FIRST}: one router has every link after healing`, () => {
  const total = runSeeds(simulateGroups, COUNT, "test/sim/group_sim_test.ts");
  if (COUNT < 100) return;
  // A simulation in which nothing happens proves nothing.
  expect(total.adverts).toBeGreaterThan(100 * COUNT);
  expect(total.transitions).toBeGreaterThan(5 * COUNT);
  expect(total.misfortunes).toBeGreaterThan(5 * COUNT);
  expect(total.held).toBeGreaterThan(COUNT);
}, 120_000);
