/** When scripts run, and what their results count as; time is virtual, scripts end when the test says so. */

import { expect, test } from "bun:test";
import { VirtualClock } from "../../test/support/virtual_clock.ts";
import type { VrrpScript } from "../config/track.ts";
import type { Run as ScriptRun, ScriptEnd } from "./script.ts";
import { type Judgement, judgeResult, ScriptChecks } from "./script_checks.ts";

const SECOND = 1_000_000;

function script(rest: Partial<VrrpScript> = {}): VrrpScript {
  return {
    name: "s",
    script: { argv: ["/bin/check"] },
    interval: SECOND,
    timeout: SECOND,
    rise: 1,
    fall: 1,
    weight: 0,
    reverse: false,
    init_fail: false,
    ...rest,
  };
}

/** A run that the test ends. */
class Run implements ScriptRun {
  readonly ended: Promise<ScriptEnd>;
  readonly signals: string[] = [];
  readonly #resolve: (end: ScriptEnd) => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<ScriptEnd>();
    this.ended = promise;
    this.#resolve = resolve;
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.signals.push(signal);
  }

  async end(status: number | null, signal: string | null = null): Promise<void> {
    this.#resolve({ status, signal, durationMs: 0 });
    await this.ended;
    await Promise.resolve();
  }
}

/** A clock that moves when it is told to, and everything the checks have done. */
class World {
  readonly runs: Run[] = [];
  readonly startedAt: number[] = [];
  readonly log: string[] = [];
  readonly told: string[] = [];
  isDisabled = false;
  isRefused = false;
  readonly clock = new VirtualClock(5_000_000);
  readonly checks = new ScriptChecks({
    clock: this.clock,
    run: () => {
      if (this.isRefused) throw new Error("EAGAIN");
      if (this.isDisabled) return "disabled";
      this.startedAt.push((this.clock.now() - 5_000_000) / SECOND);
      const run = new Run();
      this.runs.push(run);
      return run;
    },
    say: (_level, text) => this.log.push(text),
    tell: ({ name, reading }) => this.told.push(`${name} ${reading}`),
  });

  get last(): Run {
    return this.runs.at(-1)!;
  }

  pass(seconds: number): void {
    this.clock.pass(seconds * SECOND);
  }

  /** The machine stands still: time goes on, and what was due happens late. */
  stall(seconds: number): void {
    this.clock.stall(seconds * SECOND);
  }

  /** One run after the other, each with this status. */
  async results(...statuses: readonly number[]): Promise<void> {
    for (const status of statuses) {
      await this.last.end(status);
      this.pass(1);
    }
  }
}

test("it runs at once, then every interval", async () => {
  const world = new World();
  world.checks.configure([script()]);
  await world.results(0, 0, 0);
  expect(world.startedAt).toEqual([0, 1, 2, 3]);
  expect(world.told).toEqual(["s true"]);
  expect(world.log).toEqual(["VRRP_Script(s) succeeded"]);
});

test("a change is logged and told, a repetition is not", async () => {
  const world = new World();
  world.checks.configure([script()]);
  await world.results(0, 1, 1, 3);
  expect(world.checks.ends.get("s")).toEqual({ status: 3, signal: null, durationMs: 0 });
  await world.results(0);
  expect(world.told).toEqual(["s true", "s false", "s true"]);
  expect(world.log).toEqual([
    "VRRP_Script(s) succeeded",
    "Script `s` now returning 1",
    "VRRP_Script(s) failed (exited with status 1)",
    "Script `s` now returning 3",
    "Script `s` now returning 0",
    "VRRP_Script(s) succeeded",
  ]);
});

/** Results in order, + or -, and the judgement after each: G good, B bad, ? unknown. */
const COURSES = [
  { rise: 1, fall: 1, from: undefined, results: "+-+--+", becomes: "GBGBBG" },
  { rise: 2, fall: 3, from: undefined, results: "+---++", becomes: "GGGBBG" },
  // A success in between starts the count anew.
  { rise: 2, fall: 2, from: undefined, results: "+-+-+--+-++", becomes: "GGGGGGBBBBG" },
  // The first result is definitive.
  { rise: 3, fall: 3, from: undefined, results: "-++-+++", becomes: "BBBBBBG" },
  // init_fail needs them all.
  { rise: 3, fall: 1, from: false, results: "+++-", becomes: "BBGB" },
] as const;

for (const { rise, fall, from, results, becomes } of COURSES) {
  test(`rise ${rise}, fall ${fall}: ${results} is ${becomes}`, () => {
    let judgement: Judgement = { isGood: from, contrary: 0 };
    const found = [...results].map((one) => {
      judgement = judgeResult(judgement, one === "+", { rise, fall });
      return judgement.isGood === true ? "G" : "B";
    });
    expect(found.join("")).toBe(becomes);
  });
}

test("while it runs, the next run is skipped", async () => {
  const world = new World();
  world.checks.configure([script({ timeout: 10 * SECOND })]);
  world.pass(3.5);
  expect(world.startedAt).toEqual([0]);
  expect(world.log).toEqual(["Track script s is already running, expect idle - skipping run"]);
  await world.last.end(0);
  world.pass(1);
  expect(world.startedAt).toEqual([0, 4]);
});

test("one that takes too long has failed: TERM, and KILL two seconds later", async () => {
  const world = new World();
  world.checks.configure([script({ timeout: 0.5 * SECOND })]);
  await world.results(0);
  world.pass(0.4);
  expect(world.told).toEqual(["s true"]);
  world.pass(0.1);
  expect(world.told).toEqual(["s true", "s false"]);
  expect(world.log.at(-1)).toBe("VRRP_Script(s) timed_out");
  world.pass(1.9);
  expect(world.last.signals).toEqual(["SIGTERM"]);
  world.pass(0.1);
  expect(world.last.signals).toEqual(["SIGTERM", "SIGKILL"]);
  // What it makes of the signal does not count any more.
  await world.last.end(0);
  expect(world.told).toEqual(["s true", "s false"]);
  world.pass(0.6);
  await world.last.end(0);
  expect(world.told.at(-1)).toBe("s true");
});

test("one that heeds TERM is not killed", async () => {
  const world = new World();
  world.checks.configure([script({ timeout: 0.5 * SECOND, interval: 10 * SECOND })]);
  world.pass(0.6);
  await world.last.end(null, "SIGTERM");
  world.pass(5);
  expect(world.last.signals).toEqual(["SIGTERM"]);
  expect(world.told).toEqual(["s false"]);
});

test("one that a signal ends has failed", async () => {
  const world = new World();
  world.checks.configure([script()]);
  await world.last.end(null, "SIGKILL");
  expect(world.log).toEqual(["VRRP_Script(s) failed (due to signal 9)"]);
  expect(world.told).toEqual(["s false"]);
});

test("one that cannot be started has failed, and is tried again", async () => {
  const world = new World();
  world.isRefused = true;
  world.checks.configure([script()]);
  expect(world.told).toEqual(["s false"]);
  expect(world.log[0]).toContain("EAGAIN");
  world.isRefused = false;
  world.pass(1);
  await world.last.end(0);
  expect(world.told).toEqual(["s false", "s true"]);
});

test("one that may not run is told so once and never runs", () => {
  const world = new World();
  world.isDisabled = true;
  world.checks.configure([script()]);
  world.pass(10);
  expect(world.told).toEqual(["s disabled"]);
  expect(world.runs).toEqual([]);
});

test("runs missed in a stall are not made up for", async () => {
  const world = new World();
  world.checks.configure([script()]);
  await world.last.end(0);
  world.stall(7.3);
  await world.last.end(0);
  expect(world.startedAt).toEqual([0, 7.3]);
  world.pass(0.7);
  expect(world.startedAt).toEqual([0, 7.3, 8]);
});

test("init_fail is told from the start", async () => {
  const world = new World();
  world.checks.configure([script({ init_fail: true, rise: 2 })]);
  expect(world.checks.results).toEqual([{ kind: "script", name: "s", reading: false }]);
  await world.results(0, 0);
  expect(world.told).toEqual(["s true"]);
});

test("a reload keeps what is known of a script, changed or not", async () => {
  const world = new World();
  world.checks.configure([script()]);
  await world.results(0);
  world.checks.configure([script()]);
  expect(world.runs).toHaveLength(2);
  world.checks.configure([script({ interval: 2 * SECOND, init_fail: true })]);
  expect(world.runs[1]!.signals).toEqual(["SIGTERM"]);
  expect(world.runs).toHaveLength(3);
  expect(world.checks.results).toEqual([{ kind: "script", name: "s", reading: true }]);
  await world.last.end(0);
  expect(world.told).toEqual(["s true"]);
});

test("one that nobody tracks any more is ended, and what it says is not heard", async () => {
  const world = new World();
  world.checks.configure([script()]);
  world.checks.configure([]);
  expect(world.last.signals).toEqual(["SIGTERM"]);
  world.pass(2);
  expect(world.last.signals).toEqual(["SIGTERM", "SIGKILL"]);
  await world.last.end(1);
  world.pass(5);
  expect(world.told).toEqual([]);
  expect(world.runs).toHaveLength(1);
});
