/**
 * Hundreds of seeded scenarios of test/sim/group_simulation.ts. A failure names its seed and how to
 * see it again; `SIM_FROM` and `SIM_SEEDS` choose others.
 */

import { expect, test } from "bun:test";
import { type GroupTally, simulateGroups } from "./group_simulation.ts";

const FIRST = Number(process.env["SIM_FROM"] ?? 1);
const COUNT = Number(process.env["SIM_SEEDS"] ?? 500);

function run(seed: number): GroupTally {
  try {
    return simulateGroups(seed);
  } catch (error) {
    const trace: string[] = [];
    try {
      simulateGroups(seed, trace);
    } catch {
      // The same failure again, this time with its story.
    }
    const story = trace.slice(COUNT === 1 ? 0 : -25).join("\n  ");
    const replay = `SIM_FROM=${seed} SIM_SEEDS=1 bun test test/sim/group_sim_test.ts`;
    throw new Error(`${(error as Error).message}\nseed ${seed}, replay: ${replay}\n  ${story}`);
  }
}

test(`${COUNT} seeds from ${FIRST}: one router has every link after healing`, () => {
  const total: GroupTally = { adverts: 0, transitions: 0, misfortunes: 0, held: 0 };
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const tally = run(seed);
    for (const key of Object.keys(total) as (keyof GroupTally)[]) total[key] += tally[key];
  }
  if (COUNT < 100) return;
  // A simulation in which nothing happens proves nothing.
  expect(total.adverts).toBeGreaterThan(100 * COUNT);
  expect(total.transitions).toBeGreaterThan(5 * COUNT);
  expect(total.misfortunes).toBeGreaterThan(5 * COUNT);
  expect(total.held).toBeGreaterThan(COUNT);
}, 120_000);
