/** When two MASTERs are an election, and when they are a split brain. */

import { expect, test } from "bun:test";
import { routerWith } from "../../test/support/machine.ts";
import { type Address, formatAddress } from "../lib/address.ts";
import type { Rejection } from "./judge.ts";
import { hearRival, likelyCause, noteRival, type Rival, type RivalReport } from "./rival.ts";
import type { State } from "./state.ts";

const PATIENCE = 3_600_000;
const SECOND_US = 1_000_000;

/** At which seconds adverts of these senders are reported. */
function reports(heard: readonly (readonly [number, string])[]): string[] {
  let rivals: readonly Rival[] = [];
  const said: string[] = [];
  for (const [at, source] of heard) {
    const next = hearRival(rivals, source, at * SECOND_US, PATIENCE);
    rivals = next.rivals;
    expect(rivals.at(-1)).toBe(next.rival);
    expect(rivals.length).toBeLessThan(9);
    if (next.isReport) said.push(`${at} ${source} ${next.rival.count}`);
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

test("two of them that alternate are told apart, and both are reported", () => {
  expect(reports([[0, "a"], [1, "b"], [2, "a"], [3, "b"]])).toEqual([]);
  const both = [...every(1, "a"), ...every(1, "b", 0.5)].toSorted(([one], [other]) => one - other);
  expect(reports(both)).toEqual(["2 a 3", "2.5 b 3"]);
});

test("of very many at once the latest are told apart, and who was silent for long is forgotten", () => {
  const crowd = Array.from({ length: 20 }, (_, i): [number, string] => [i / 100, `${i}`]);
  expect(reports([...crowd, ...crowd, ...crowd])).toEqual([]);
  expect(reports([...crowd, ...every(1, "a", 1)])).toEqual(["3 a 3"]);
});

test("only a MASTER has rivals, and is none of its own; all are counted", () => {
  const router = routerWith("");
  const source = router.address.with(3, 9);
  const master: State = {
    name: "MASTER",
    advertisedAt: 0,
    sentAt: 0,
    announcedAt: 0,
    settled: true,
    assertedAt: undefined,
    rival: undefined,
  };
  const running = {
    router,
    state: master,
    rivals: [] as readonly Rival[],
    counters: { other_master_rcvd: 0 },
  };
  const note = (from: Address, at: number, rejection?: Rejection): RivalReport | undefined =>
    noteRival(running, from, rejection, at * SECOND_US);
  expect([0, 1].map((at) => note(source, at))).toEqual([undefined, undefined]);
  expect(note(source, 2, "auth-data")).toEqual({
    peer: formatAddress(source),
    cause: likelyCause("auth-data"),
    text: `${formatAddress(source)} is MASTER too, 3 adverts in 2.0 s`,
  });
  expect([note(source, 3), running.counters.other_master_rcvd]).toEqual([undefined, 4]);
  for (const at of [4, 5, 6]) note(router.address, at);
  running.state = { name: "INIT" } as never;
  for (const at of [7, 8, 9]) note(source, at);
  expect([running.counters.other_master_rcvd, running.rivals.length]).toEqual([4, 1]);
});

test("the cause is told by what is wrong with its adverts", () => {
  expect(likelyCause(undefined)).toContain("does not hear our adverts");
  expect(likelyCause("interval-other")).toContain("advert_int");
  expect(likelyCause("auth-data")).toContain("passwords or keys");
  expect(likelyCause("other-version")).toContain("versions");
  expect(likelyCause("auth-ext-stale")).toContain("clocks");
  expect(likelyCause("other-cast")).toContain("unicast");
});
