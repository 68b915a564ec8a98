/**
 * The arithmetic of tracking, row by row: KIND NAME[*WEIGHT[r]] with what is known of it: good, bad, a
 * number, off (cannot be watched) or ? (nothing yet). The sequences of weights are those of keepalived.
 */

import { expect, test } from "bun:test";
import { parseTable } from "../../test/support/table.ts";
import {
  describeTracker,
  explainPriority,
  type Reading,
  shortfall,
  standing,
  type Tracker,
  type TrackerKind,
} from "./tracking.ts";

const RULES = `
base | trackers                              | priority | faults       | why

     A weight above 0 counts while it is good, one below 0 while it is bad
100  | script s*10 good                      | 110      |              | 100 + 10 (script s) = 110
100  | script s*10 bad                       | 100      |              | 100 as configured
100  | script s*10 ?                         | 100      |              | 100 as configured
100  | script s*-10 good                     | 100      |              | 100 as configured
100  | script s*-10 bad                      | 90       |              | 100 - 10 (script s) = 90
100  | script s*-10 ?                        | 100      |              | 100 as configured

     reverse turns the sign round
100  | script s*10r good                     | 90       |              | 100 - 10 (script s) = 90
100  | script s*10r bad                      | 100      |              | 100 as configured
100  | script s*-10r good                    | 100      |              | 100 as configured
100  | script s*-10r bad                     | 110      |              | 100 + 10 (script s) = 110

     Without a weight it is a fault
100  | script s*0 good                       | 100      |              | 100 as configured
100  | script s*0 bad                        | 100      | script s     | 100 as configured
100  | script s*0r good                      | 100      | script s     | 100 as configured
100  | script s*0r bad                       | 100      |              | 100 as configured
100  | script s*0 ?                          | 100      | pending      | 100 as configured
100  | script s*0 off                        | 100      |              | 100 as configured
100  | interface e*0 bad, script s*0 bad     | 100      | interface e, script s | 100 as configured
100  | interface e*0 bad, script s*0 ?       | 100      | interface e, pending | 100 as configured
100  | file f*2 ?                            | 100      | pending      | 100 as configured
100  | process p*2 ?                         | 100      | pending      | 100 as configured
100  | bfd b*0 bad                           | 100      | bfd b        | 100 as configured

     What starts as bad is bad until it was heard of
100  | bfd b*-5! ?                           | 95       |              | 100 - 5 (BFD session b) = 95
100  | script s*0! ?                         | 100      | script s     | 100 as configured
100  | script s*0! good                      | 100      |              | 100 as configured

     The number in a file counts
100  | file f*1 7                            | 107      |              | 100 + 7 (file f) = 107
100  | file f*3 -7                           | 79       |              | 100 - 21 (file f) = 79
100  | file f*3r 7                           | 79       |              | 100 - 21 (file f) = 79
100  | file f*0 0                            | 100      |              | 100 as configured
100  | file f*0 1                            | 100      | file f       | 100 as configured
100  | file f*0r 0                           | 100      | file f       | 100 as configured
100  | file f*1 -253                         | 1        |              | 100 - 253 (file f) = -153, kept at 1
100  | file f*1 -254                         | 100      | file f       | 100 as configured
100  | file f*2 -127                         | 100      | file f       | 100 as configured
1    | file f*254 254                        | 254      |              | 1 + 253 (file f) = 254

     The sum is kept between 1 and 254
250  | script s*10 good                      | 254      |              | 250 + 10 (script s) = 260, kept at 254
250  | script s*10 good, script t*-9 bad     | 251      |              | 250 + 10 (script s) - 9 (script t) = 251
5    | script s*-10 bad                      | 1        |              | 5 - 10 (script s) = -5, kept at 1

     An owner never changes, but for a fault
255  | script s*-10 bad                      | 255      |              | 255 as configured
255  | script s*0 bad                        | 255      | script s     | 255 as configured
`;

const READINGS: Readonly<Record<string, Reading>> = {
  good: true,
  bad: false,
  off: "disabled",
  "?": undefined,
};

function readTracker(text: string): [Tracker, Reading] {
  const [kind, named, known] = text.split(" ") as [TrackerKind, string, string];
  const [, name, weight, reverse, bad] = /^(\w)\*(-?\d+)(r?)(!?)$/.exec(named)!;
  const tracker: Tracker = {
    kind,
    name: name!,
    weight: Number(weight),
    reverse: reverse === "r",
    ...(bad === "!" ? { startsBad: true } : {}),
  };
  return [tracker, known in READINGS ? READINGS[known] : Number(known)];
}

for (const row of parseTable(["base", "trackers", "priority", "faults", "why"], RULES)) {
  test(row.text, () => {
    const readings = new Map(row.trackers.split(", ").map(readTracker));
    const found = standing(
      Number(row.base),
      [...readings.keys()],
      (tracker) => readings.get(tracker),
    );
    const faults = found.faults.map(({ kind, name }) => `${kind} ${name}`);
    if (found.isPending) faults.push("pending");
    expect(`${found.priority}`).toBe(row.priority);
    expect(faults.join(", ")).toBe(row.faults);
    expect(explainPriority(found)).toBe(row.why);
  });
}

test("of many terms those that weigh most are told apart", () => {
  const trackers = Array.from({ length: 20 }, (_, i): Tracker => ({
    kind: "script",
    name: `s${i}`,
    weight: i === 15 ? -30 : i < 10 ? 1 : 2,
    reverse: false,
  }));
  const told = explainPriority(standing(100, trackers, ({ name }) => name !== "s15"));
  expect(told).toBe(
    "100 - 30 (script s15) + 2 (script s10) + 2 (script s11) + 2 (script s12) + 2 (script s13)" +
      " + 2 (script s14) + 2 (script s16) + 16 (13 more) = 98",
  );
});

test("a peer must be better, not as good, to take over", () => {
  const cases = [[90, 80], [90, 89], [90, 90], [90, 91], [90, 200]] as const;
  expect(cases.map(([own, peer]) => shortfall(own, peer))).toEqual([11, 2, 1, 0, 0]);
});

test("what is tracked is told in words", () => {
  const of = (kind: TrackerKind): Tracker => ({ kind, name: "x", weight: 0, reverse: false });
  expect(describeTracker(of("script"), false)).toBe("script x fails");
  expect(describeTracker(of("script"), true)).toBe("script x succeeds");
  expect(describeTracker(of("interface"), false)).toBe("interface x is down");
  expect(describeTracker(of("process"), false)).toBe("process x does not run");
  expect(describeTracker(of("bfd"), undefined)).toBe("BFD session x is Down");
  expect(describeTracker(of("file"), 5)).toBe("file x holds 5");
});
