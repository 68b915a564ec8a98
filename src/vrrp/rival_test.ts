/** When two MASTERs are an election, and when they are a split brain. */

import { expect, test } from "bun:test";
import { hearRival, likelyCause, type Rival } from "./rival.ts";

const PATIENCE = 3_600_000;
const SECOND_US = 1_000_000;

/** At which seconds adverts of these senders are reported. */
function reports(heard: readonly (readonly [number, string])[]): string[] {
  let rival: Rival | undefined;
  const said: string[] = [];
  for (const [at, source] of heard) {
    const next = hearRival(rival, source, at * SECOND_US, PATIENCE);
    rival = next.rival;
    if (next.isReport) said.push(`${at} ${source} ${rival.count}`);
  }
  return said;
}

const every = (seconds: number, source: string, from = 0, to = 10): [number, string][] => {
  const count = Math.floor((to - from) / seconds) + 1;
  return Array.from({ length: count }, (_, i) => [from + i * seconds, source]);
};

test("one or two adverts are an election, and so are a few at once", () => {
  expect(reports([[0, "a"]])).toEqual([]);
  expect(reports([[0, "a"], [1, "a"]])).toEqual([]);
  expect(reports([[0, "a"], [0.01, "a"], [0.02, "a"], [0.03, "a"]])).toEqual([]);
});

test("one that goes on is reported once, and again after a minute", () => {
  expect(reports(every(1, "a"))).toEqual(["2 a 3"]);
  expect(reports(every(1, "a", 0, 130))).toEqual(["2 a 3", "62 a 63", "122 a 123"]);
});

test("after a silence it is a new election, but the minute is the same", () => {
  expect(reports([...every(1, "a", 0, 1), ...every(1, "a", 6, 8)])).toEqual(["8 a 3"]);
  expect(reports([...every(1, "a", 0, 4), ...every(1, "a", 20, 24)])).toEqual(["2 a 3"]);
});

test("two of them that alternate are two elections, each of which may come to an end", () => {
  expect(reports([[0, "a"], [1, "b"], [2, "a"], [3, "b"], [4, "a"]])).toEqual([]);
});

test("the cause is told by what is wrong with its adverts", () => {
  expect(likelyCause(undefined)).toContain("does not hear our adverts");
  expect(likelyCause("interval-other")).toContain("advert_int");
  expect(likelyCause("auth-data")).toContain("passwords or keys");
  expect(likelyCause("other-version")).toContain("versions");
  expect(likelyCause("auth-ext-stale")).toContain("clocks");
  expect(likelyCause("other-cast")).toContain("unicast");
});
