/** Which probes there are, and how they are spread. */

import { expect, test } from "bun:test";
import type { Check, TcpCheck } from "../config/lvs.ts";
import { firstDelayUs, gridPoint, type PlannedCheck, planProbes, subjectOf } from "./probes.ts";

const TCP: TcpCheck = {
  type: "TCP_CHECK",
  connect_ip: "10.0.0.1",
  connect_port: 80,
  connect_timeout: 1,
  fwmark: 0,
  retry: 0,
  delay_before_retry: 0,
  warmup: 0,
  delay_loop: 1,
  alpha: false,
  log_all_failures: false,
};

function planned(
  virtualServer: string,
  check: Check,
  rest: Partial<PlannedCheck> = {},
): PlannedCheck {
  return {
    service: virtualServer,
    server: "rs",
    virtualServer,
    realServer: "rs",
    index: 0,
    check,
    serverWeight: 1,
    isUp: true,
    isSuspended: false,
    ...rest,
  };
}

function shape(checks: readonly PlannedCheck[]): string[] {
  return [...planProbes(checks).values()].flat().map((plan) => plan.map(subjectOf).join(", "));
}

test("a check that several services have in common is one probe", () => {
  expect(shape([planned("a", TCP), planned("b", { ...TCP }), planned("c", TCP, { index: 3 })]))
    .toEqual([
      "a rs 0, b rs 0, c rs 3",
    ]);
});

test("what differs in anything is another probe", () => {
  const misc: Check = {
    ...TCP,
    type: "MISC_CHECK",
    misc_path: { argv: ["x"] },
    misc_timeout: 1,
    misc_dynamic: true,
  };
  const file: Check = { type: "FILE_CHECK", track_file: "f", reverse: false };
  const ssl = { ...TCP, type: "SSL_GET", url: [] } as unknown as Check;
  const heavy = { serverWeight: 2 };
  const pairs: readonly (readonly [PlannedCheck, PlannedCheck, number])[] = [
    [planned("a", TCP), planned("b", TCP, { server: "other" }), 2],
    [planned("a", TCP), planned("b", { ...TCP, retry: 1 }), 2],
    [planned("a", TCP), planned("b", TCP, heavy), 1],
    [planned("a", misc), planned("b", misc, heavy), 2],
    [
      planned("a", { ...misc, misc_dynamic: false }),
      planned("b", { ...misc, misc_dynamic: false }, heavy),
      1,
    ],
    [
      planned("a", file, { file: { weight: 1, reverse: false } }),
      planned("b", file, {
        file: { weight: 2, reverse: false },
      }),
      2,
    ],
    [planned("a", ssl), planned("b", ssl, { ssl: { ca: "/x" } }), 2],
  ];
  for (const [one, other, count] of pairs) {
    expect([subjectOf(other), shape([one, other]).length]).toEqual([subjectOf(other), count]);
  }
});

test("first attempts lie evenly over the warm-up, a second after the start", () => {
  const count = 1000;
  const warmup = 10_000_000;
  const all = Array.from({ length: count }, (_, i) => firstDelayUs(warmup, i, count));
  expect(Math.min(...all)).toBeGreaterThanOrEqual(1_000_000);
  expect(Math.max(...all)).toBeLessThan(11_000_000);
  const tenths = new Array<number>(10).fill(0);
  for (const us of all) tenths[Math.floor((us - 1_000_000) / 1_000_000)]!++;
  for (const one of tenths) expect(Math.abs(one - count / 10)).toBeLessThan(3);
  const sorted = all.toSorted((a, b) => a - b);
  // Ten milliseconds apart on the average, never less than two fifths of that nor more than three times.
  for (let i = 1; i < count; i++) {
    expect(sorted[i]! - sorted[i - 1]!).toBeWithin(4000, 30_000);
  }
});

test("without a warm-up they are a little apart all the same", () => {
  const all = Array.from({ length: 500 }, (_, i) => firstDelayUs(0, i, 500));
  expect(Math.max(...all)).toBeLessThan(1_100_000);
  expect(new Set(all).size).toBeGreaterThan(490);
});

test("attempts meet on a grid, and never come before their time", () => {
  expect(gridPoint(1_000_001, 1_000_000)).toBe(1_005_000);
  expect(gridPoint(1_005_000, 60_000_000)).toBe(1_005_000);
  expect(gridPoint(1_000_001, 50_000)).toBe(1_000_500);
  expect(gridPoint(1_000_001, 20)).toBe(1_000_001);
});
