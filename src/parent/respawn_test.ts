/** When a role that died is started again, row by row. */

import { expect, test } from "bun:test";
import { configWith, instanceWith } from "../../test/support/instances.ts";
import { isPermanent, nextDelay, patienceUs } from "./respawn.ts";

const MINUTE_US = 60_000_000;

test("a role that keeps dying is started again after 0, 1, 2, 4 … 60 s", () => {
  const delays: number[] = [];
  for (let i = 0; i < 10; i++) delays.push(nextDelay(delays.at(-1), 1000));
  expect(delays).toEqual([0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
});

test("one that lived for more than a minute is started again at once", () => {
  for (const last of [0, 1, 32, 60]) expect(nextDelay(last, MINUTE_US + 1)).toBe(0);
  expect(nextDelay(32, MINUTE_US)).toBe(60);
  expect(nextDelay(undefined, 0)).toBe(0);
});

test("exit statuses 1, 2 and 4 are final, all others are not", () => {
  const final = Array.from({ length: 256 }, (_, status) => status).filter(isPermanent);
  expect(final).toEqual([1, 2, 4]);
});

test("peers are as patient as three of the shortest intervals", () => {
  const config = (...intervals: number[]): ReturnType<typeof configWith> =>
    configWith(intervals.map((advert_int) => instanceWith({ advert_int })));
  expect(patienceUs(config(1_000_000))).toBe(3_000_000);
  expect(patienceUs(config(5_000_000, 10_000, 1_000_000))).toBe(30_000);
  expect(patienceUs(config())).toBe(Infinity);
});
