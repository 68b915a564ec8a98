/** Which processes count, and when their number does; time is virtual and so are the processes. */

import { expect, test } from "bun:test";
import { VirtualClock } from "../../test/support/virtual_clock.ts";
import type { TrackProcess } from "../config/track.ts";
import { isWanted, ProcessChecks } from "./process_checks.ts";

function wanted(rest: Partial<TrackProcess> = {}): TrackProcess {
  return {
    name: "p",
    process: ["web"],
    param_match: "none",
    full_command: false,
    quorum: 1,
    terminate_delay: 0,
    fork_delay: 0,
    weight: 0,
    reverse: false,
    ...rest,
  };
}

/** Processes by id: name, and words of the command line. */
class World {
  readonly clock = new VirtualClock();
  readonly processes = new Map<number, { readonly name: string; readonly words: string[] }>();
  readonly told: string[] = [];
  readonly log: string[] = [];
  looks = 0;
  readonly checks = new ProcessChecks({
    clock: this.clock,
    nameOf: (pid) => {
      this.looks++;
      return this.processes.get(pid)?.name;
    },
    commandLineOf: (pid) => {
      this.looks++;
      return this.processes.get(pid)?.words.map((word) => `${word}\0`).join("");
    },
    say: (_level, text) => this.log.push(text),
    tell: ({ kind, name, reading }) => this.told.push(`${kind} ${name} ${reading}`),
  });

  /** Watches from now on, as after the first scan. */
  watch(...processes: readonly TrackProcess[]): void {
    if (this.checks.configure(processes)) this.checks.scan([...this.processes.keys()]);
  }

  run(pid: number, name: string, ...words: string[]): void {
    this.processes.set(pid, { name, words: words.length === 0 ? [name] : words });
  }

  exec(pid: number, name: string, ...words: string[]): void {
    this.run(pid, name, ...words);
    this.checks.hear({ type: "exec", pid });
  }

  fork(parent: number, child: number): void {
    this.processes.set(child, this.processes.get(parent)!);
    this.checks.hear({ type: "fork", parent, child });
  }

  exit(pid: number): void {
    this.processes.delete(pid);
    this.checks.hear({ type: "exit", pid });
  }

  /** What was told since the last call. */
  news(): string[] {
    return this.told.splice(0);
  }
}

// As keepalived 2.2.7 judges `./slp 500 501`.
const LINE = "./slp\x00500\x00501\x00";
for (
  const [words, param_match, expected] of [
    [["./slp", "500", "501"], "exact", true],
    [["./slp", "500"], "exact", false],
    [["slp", "500", "501"], "exact", false],
    [["./slp", "500"], "partial", true],
    [["./slp", "500", "5"], "partial", false],
    [["./slp", "500", "5"], "initial", true],
    [["./slp", "500"], "initial", true],
    [["./slp", "501"], "initial", false],
    [["./slp"], "exact", false],
    [["./slp"], "none", true],
    [["./sl"], "none", false],
  ] as const
) {
  test(`${words.join(" ")} ${param_match}: ${expected}`, () => {
    expect(isWanted({ process: words, param_match, full_command: true }, LINE)).toBe(expected);
  });
}

test("a name is compared whole, whatever the command line", () => {
  const world = new World();
  world.run(10, "web", "/usr/sbin/web", "-f");
  world.run(11, "webber", "web");
  world.watch(wanted(), wanted({ name: "path", process: ["/usr/sbin/web"] }));
  expect(world.news()).toEqual(["process p true", "process path false"]);
  expect(world.log).toEqual([]);
});

test("it dies and comes back", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted());
  world.exit(10);
  expect(world.news()).toEqual(["process p true", "process p false"]);
  world.run(12, "sh");
  world.checks.hear({ type: "fork", parent: 1, child: 12 });
  expect(world.news()).toEqual([]);
  world.exec(12, "web");
  expect(world.news()).toEqual(["process p true"]);
  expect(world.log).toEqual([
    "Quorum lost for tracked process p",
    "Quorum gained for tracked process p",
  ]);
  world.exec(12, "other");
  expect(world.news()).toEqual(["process p false"]);
});

test("children count, threads of others and strangers do not", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted({ quorum: 2 }));
  expect(world.news()).toEqual(["process p false"]);
  world.fork(10, 11);
  expect(world.news()).toEqual(["process p true"]);
  world.fork(1, 12);
  world.exit(99);
  world.exit(10);
  expect(world.news()).toEqual(["process p false"]);
});

test("a process that renames itself", () => {
  const world = new World();
  world.watch(wanted(), wanted({ name: "line", full_command: true, process: ["worker"] }));
  world.news();
  world.exec(10, "perl", "worker");
  expect(world.news()).toEqual(["process line true"]);
  world.checks.hear({ type: "name", pid: 10, name: "web" });
  expect(world.news()).toEqual(["process p true"]);
  world.checks.hear({ type: "name", pid: 10, name: "perl" });
  expect(world.news()).toEqual(["process p false"]);
});

test("too many are bad, and quorum_max 0 means none at all", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted({ quorum_max: 1 }), wanted({ name: "none", quorum: 0, quorum_max: 0 }));
  expect(world.news()).toEqual(["process p true", "process none false"]);
  world.fork(10, 11);
  expect(world.news()).toEqual(["process p false"]);
  world.exit(11);
  expect(world.news()).toEqual(["process p true"]);
  world.exit(10);
  expect(world.news()).toEqual(["process p false", "process none true"]);
});

test("an end counts after terminate_delay, and not when another one has come by then", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted({ terminate_delay: 500_000 }));
  world.news();
  world.exit(10);
  world.clock.pass(499_999);
  world.exec(11, "web");
  world.clock.pass(1_000_000);
  expect(world.news()).toEqual([]);
  world.exit(11);
  world.clock.pass(499_999);
  expect(world.news()).toEqual([]);
  world.clock.pass(1);
  expect(world.news()).toEqual(["process p false"]);
  // What becomes another program is no fork and counts at once.
  world.exec(12, "web");
  expect(world.news()).toEqual(["process p true"]);
});

test("what strangers do does not cut a delay short", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted({ terminate_delay: 500_000 }));
  world.news();
  world.exit(10);
  world.clock.pass(100_000);
  world.exec(20, "sh");
  world.checks.hear({ type: "name", pid: 21, name: "other" });
  world.fork(20, 22);
  world.exit(22);
  world.clock.pass(399_999);
  expect(world.news()).toEqual([]);
  world.clock.pass(1);
  expect(world.news()).toEqual(["process p false"]);
});

test("a fork that is followed by another program counts for nothing within fork_delay", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted({ quorum_max: 1, fork_delay: 500_000 }));
  world.news();
  world.fork(10, 11);
  world.clock.pass(100_000);
  world.exec(11, "sh");
  world.clock.pass(1_000_000);
  expect(world.news()).toEqual([]);
  world.fork(10, 12);
  world.clock.pass(500_000);
  expect(world.news()).toEqual(["process p false"]);
});

test("a new scan finds what was missed", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted());
  world.processes.delete(10);
  world.checks.scan([1]);
  expect(world.news()).toEqual(["process p true", "process p false"]);
  world.run(11, "web");
  world.checks.scan([11]);
  expect(world.news()).toEqual(["process p true"]);
  expect(world.checks.results).toEqual([{ kind: "process", name: "p", reading: true }]);
});

test("a reload keeps what it does not change, and says when a scan is due", () => {
  const world = new World();
  world.run(10, "web");
  world.watch(wanted({ terminate_delay: 500_000 }));
  world.exit(10);
  expect(world.checks.configure([wanted({ terminate_delay: 500_000 })])).toBe(false);
  expect(world.checks.configure([])).toBe(false);
  world.clock.pass(1_000_000);
  expect(world.news()).toEqual(["process p true"]);
  expect(world.checks.configure([wanted()])).toBe(true);
});

test("what nobody compares is not looked at", () => {
  const world = new World();
  world.watch(wanted());
  const before = world.looks;
  world.checks.hear({ type: "fork", parent: 5, child: 6 });
  world.checks.hear({ type: "exit", pid: 6 });
  expect(world.looks).toBe(before);
  world.exec(7, "x");
  expect(world.looks).toBe(before + 1);
});
