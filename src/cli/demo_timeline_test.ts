/** Failovers from what was seen, and the texts. */

import { expect, test } from "bun:test";
import { memoryFiles } from "../config/files.ts";
import { load } from "../config/load.ts";
import { painter } from "./colour.ts";
import { embeddedConfiguration, type Plan, planDemo } from "./demo_plan.ts";
import {
  formatEvent,
  formatJson,
  formatOpening,
  formatSummary,
  type MeasuredFailover,
  measureFailover,
  type Sightings,
} from "./demo_timeline.ts";

const plain = painter(false);

/** A ping every 5 ms from 0 on, answered at once, except from `from` until before `to`. */
function pings(from: number, to: number, end: number): Sightings["answers"] {
  const all = Array.from({ length: end / 5000 }, (_, i) => ({ at: i * 5000, sequence: i + 1 }));
  return all.filter(({ at }) => at < from || at >= to);
}

test("the gap after the signal is what counts", () => {
  const answers = pings(100_000, 460_000, 600_000);
  const adverts = [
    { at: 0, source: "A" },
    { at: 95_000, source: "A" },
    { at: 456_000, source: "B" },
    { at: 556_000, source: "B" },
  ];
  expect(measureFailover("crash", 98_000, { answers, adverts })).toEqual({
    kind: "crash",
    tookMs: 362,
    pingsLost: 72,
    betweenAdvertsUs: 361_000,
    answeredAt: 460_000,
  });
});

test("an earlier and longer gap is another story", () => {
  const answers = pings(10_000, 300_000, 400_000).concat(
    pings(0, 0, 100_000).map(({ at, sequence }) => ({ at: at + 450_000, sequence: sequence + 90 })),
  );
  const { tookMs, pingsLost } = measureFailover("stop", 396_000, { answers, adverts: [] });
  expect([tookMs, pingsLost]).toEqual([54, 10]);
});

test("an answer on its way while the signal was sent ends nothing", () => {
  const answers = pings(101_000, 400_000, 500_000);
  expect(measureFailover("crash", 99_900, { answers, adverts: [] }).tookMs).toBe(300.1);
});

test("answers that come late or twice are not lost", () => {
  const late = [{ at: 1, sequence: 1 }, { at: 50, sequence: 3 }, { at: 51, sequence: 2 }];
  const answers = [...late, { at: 60, sequence: 3 }, { at: 70, sequence: 4 }];
  const failover = measureFailover("stop", 10, { answers, adverts: [] });
  expect([failover.tookMs, failover.pingsLost]).toEqual([0, 0]);
});

test("the goodbye of a stopped MASTER is its last advert", () => {
  const adverts = [
    { at: 0, source: "A" },
    { at: 101, source: "A" },
    { at: 162, source: "B" },
    { at: 170, source: "A" },
  ];
  const between = (since: number, seen: Sightings["adverts"]): number | undefined =>
    measureFailover("stop", since, { answers: [], adverts: seen }).betweenAdvertsUs;
  expect(between(100, adverts)).toBe(61);
  expect(between(100, adverts.slice(0, 2))).toBeUndefined();
  expect(between(100, adverts.slice(2, 3))).toBeUndefined();
  expect(between(100, [])).toBeUndefined();
});

test("nothing seen at all is no failure of ours", () => {
  const nothing = measureFailover("crash", 5, { answers: [], adverts: [] });
  expect([nothing.tookMs, nothing.pingsLost]).toEqual([0, 0]);
});

test("columns are aligned and colour is only for eyes", () => {
  const lines = [
    { atMs: 0.4, router: "A", event: "starts" },
    { atMs: 12_345.6, router: "client", event: "x" },
  ].map((event) => formatEvent(event, plain));
  expect(lines).toEqual(["  0.000  A       starts\n", " 12.346  client  x\n"]);
  const master = { atMs: 1, router: "A", event: "Entering MASTER STATE" };
  expect(formatEvent(master, painter(true))).toBe(
    "  0.001  A       \x1b[32mEntering MASTER STATE\x1b[0m\n",
  );
  expect(formatEvent(master, plain)).not.toContain("\x1b");
});

function embeddedPlan(): Plan {
  const files = memoryFiles({
    "/a": embeddedConfiguration("A", 0.1),
    "/b": embeddedConfiguration("B", 0.1),
  });
  const plan = planDemo(load("/a", files).config, load("/b", files).config);
  if (typeof plan === "string") throw new Error(plan);
  return plan;
}

const failovers: readonly MeasuredFailover[] = [
  { kind: "crash", tookMs: 357.71, pingsLost: 67, betweenAdvertsUs: 361_200 },
  { kind: "stop", tookMs: 0, pingsLost: 0, betweenAdvertsUs: undefined },
];

test("the summary puts the measured beside the theory", () => {
  const plan = embeddedPlan();
  expect(formatOpening(plan, plain)).toContain(
    "VIP 192.0.2.10, client 192.0.2.100, router A with priority 150",
  );
  const text = formatSummary(plan, failovers, false, plain);
  expect(text.split("\n").slice(1, 4)).toEqual([
    "       VIP back after  pings lost  advert to advert  in theory",
    "crash  357.7 ms        67          361.2 ms          360.9 ms = 3 × 100 ms + 60.9 ms skew",
    "stop   at once         0           not heard         60.9 ms = skew alone",
  ]);
  expect(text).toContain("Try next: upkeep demo --advert-int 0.01");
  expect(formatSummary(plan, failovers, true, plain)).toContain("Try next: upkeep demo, for");
  const warned = formatOpening({ ...plan, scripts: ["/bin/x"] }, plain);
  expect(warned).toContain("which really run: /bin/x\n");
});

test("JSON is one object on one line, with these fields and no others", () => {
  const events = [{ atMs: 1.5, router: "A", event: "starts" }];
  const text = formatJson(events, failovers);
  expect(text.indexOf("\n")).toBe(text.length - 1);
  expect(JSON.parse(text)).toEqual({
    events,
    failovers: [
      { kind: "crash", tookMs: 357.71, pingsLost: 67 },
      { kind: "stop", tookMs: 0, pingsLost: 0 },
    ],
  });
  expect(JSON.parse(formatJson([], [], "why")).error).toBe("why");
});
