/** The retry machine, attempt by attempt. */

import { describe, expect, test } from "bun:test";
import { parseTable } from "../../../test/support/table.ts";
import { type HealthRules, judge, newHealth } from "./health.ts";

/**
 * Each row is a life: what is guessed at the start, the attempts (+ passes, - fails), and for each attempt the
 * step it was at, what became of it, and the pause after it: L is delay_loop, R delay_before_retry, 0 none.
 */
const LIVES = `
why                       | with             | guess | attempts | news

One failure is enough at the start, whatever retry says
start                     | retry 2          | up    | -        | 0 down L
start                     | retry 2          | down  | -        | 0 down L
start passes              | retry 2          | up    | ++       | 0 up L, 0 fine L
alpha passes              | retry 2          | down  | ++       | 0 up L, 0 fine L
a guess is confirmed once | retry 0          | up    | +++      | 0 up L, 0 fine L, 0 fine L

Extra attempts come after delay_before_retry
no retry                  | retry 0          | up    | +-       | 0 up L, 0 down L
one retry                 | retry 1          | up    | +--      | 0 up L, 0 retry R, 0 down L
two retries               | retry 2          | up    | +---     | 0 up L, 0 retry R, 0 retry R, 0 down L
a success clears the count| retry 2          | up    | +--+---  | 0 up L, 0 retry R, 0 retry R, 0 fine L, 0 retry R, 0 retry R, 0 down L

Down: attempts every delay_loop, one success is enough
down stays down           | retry 3          | up    | ---      | 0 down L, 0 still down L, 0 still down L
recovery                  | retry 1          | up    | -+       | 0 down L, 0 up L
recovery counts anew      | retry 1          | up    | -+--     | 0 down L, 0 up L, 0 retry R, 0 down L

Several steps: one an attempt, round and round
steps at the start        | steps 3          | up    | +++++    | 0 progress L, 1 progress L, 2 up L, 0 fine L, 1 fine L
alpha needs all           | steps 2          | down  | ++       | 0 progress L, 1 up L
fast start                | steps 3, fast    | up    | ++++     | 0 progress 0, 1 progress 0, 2 up L, 0 fine L
a start fails at any step | steps 3, retry 1 | up    | +-       | 0 progress L, 1 down L
the failed step again     | steps 3, retry 1 | up    | ++++-+++ | 0 progress L, 1 progress L, 2 up L, 0 fine L, 1 retry R, 1 fine L, 2 fine L, 0 fine L
the failed step first     | steps 3, retry 0 | up    | +++-+++  | 0 progress L, 1 progress L, 2 up L, 0 down L, 0 progress L, 1 progress L, 2 up L
a fast way up             | steps 3, fast    | up    | +++--+++ | 0 progress 0, 1 progress 0, 2 up L, 0 down L, 0 still down L, 0 progress 0, 1 progress 0, 2 up L
a way up that is cut short| steps 2, retry 5 | up    | -+-++    | 0 down L, 0 progress L, 1 still down L, 1 progress L, 0 up L
`;

const LOOP_US = 60_000_000;
const RETRY_US = 3_000_000;

function rulesOf(text: string): HealthRules {
  const number = (word: string, initial: number): number =>
    Number(new RegExp(`${word} (\\d+)`).exec(text)?.[1] ?? initial);
  return {
    retry: number("retry", 0),
    steps: number("steps", 1),
    fast_recovery: text.includes("fast"),
    delay_loop: LOOP_US,
    delay_before_retry: RETRY_US,
  };
}

describe("a life of a check", () => {
  for (const row of parseTable(["why", "with", "guess", "attempts", "news"], LIVES)) {
    test(row.text, () => {
      const rules = rulesOf(row.with);
      let health = newHealth(row.guess === "up");
      const said: string[] = [];
      for (const attempt of row.attempts) {
        const { step } = health;
        const judged = judge(rules, health, attempt === "+");
        const pause = { [LOOP_US]: "L", [RETRY_US]: "R", 0: "0" }[judged.pauseUs];
        said.push(`${step} ${judged.news} ${pause}`);
        health = judged.health;
        expect(health.failures).toBeLessThanOrEqual(rules.retry);
        expect(health.step).toBeLessThan(rules.steps);
      }
      expect(said.join(", ")).toBe(row.news);
    });
  }
});

test("the verdict changes with the news, and never without", () => {
  for (let bits = 0; bits < 2 ** 10; bits++) {
    const rules = rulesOf(`retry ${bits & 3}, steps ${1 + (bits >> 2 & 1)}`);
    let health = newHealth((bits & 8) !== 0);
    for (let at = 0; at < 10; at++) {
      const before = health;
      const judged = judge(rules, health, (bits >> at & 1) === 1);
      health = judged.health;
      if (before.isUp !== health.isUp) expect(judged.news).toBe(health.isUp ? "up" : "down");
      if (judged.news === "up") expect(before.isUp && before.isKnown).toBeFalse();
      if (judged.news === "down") expect(!before.isUp && before.isKnown).toBeFalse();
    }
  }
});

test("a check that goes on as it is makes no new value", () => {
  const rules = rulesOf("retry 1");
  const { health } = judge(rules, newHealth(true), true);
  expect(judge(rules, health, true).health).toBe(health);
});
