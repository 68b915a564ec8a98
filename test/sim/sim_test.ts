/**
 * Hundreds of seeded scenarios of test/sim/simulation.ts. A failure names its seed and how to see it
 * again; `SIM_FROM` and `SIM_SEEDS` choose others (`SIM_FROM=77 SIM_SEEDS=1` replays seed 77).
 */

import { expect, test } from "bun:test";
import { simulate, type Tally } from "./simulation.ts";

const FIRST = Number(process.env["SIM_FROM"] ?? 1);
const COUNT = Number(process.env["SIM_SEEDS"] ?? 2000);

/** The tally of a seed; when it fails, the end of its story and how to replay it. */
function run(seed: number): Tally {
  try {
    return simulate(seed);
  } catch (error) {
    const trace: string[] = [];
    try {
      simulate(seed, trace);
    } catch {
      // The same failure again, this time with its story.
    }
    const story = trace.slice(COUNT === 1 ? 0 : -25).join("\n  ");
    const replay = `SIM_FROM=${seed} SIM_SEEDS=1 bun test test/sim`;
    throw new Error(`${(error as Error).message}\nseed ${seed}, replay: ${replay}\n  ${story}`);
  }
}

test(`${COUNT} seeds from ${FIRST}: one MASTER after healing, addresses held iff MASTER`, () => {
  const total: Tally = { adverts: 0, transitions: 0, misfortunes: 0, splits: 0 };
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const tally = run(seed);
    for (const key of Object.keys(total) as (keyof Tally)[]) total[key] += tally[key];
  }
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
