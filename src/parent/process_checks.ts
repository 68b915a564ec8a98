/**
 * The processes of vrrp_track_process: how many of them run, by the events of the kernel, and whether that
 * are as many as there should be. A change that ends or begins with the end of a process waits for
 * terminate_delay, one by a fork for fork_delay; what becomes another program counts at once. Runs in the
 * parent, whose clock and view of the processes are handed in.
 */

import type { TrackProcess } from "../config/track.ts";
import type { LogLevel } from "../lib/log.ts";
import type { ProcessEvent } from "../netlink/process_event.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import type { Clock } from "./script_checks.ts";

/** The world of the checks. */
export interface ProcessSurroundings {
  readonly clock: Clock;
  /** comm; undefined when there is no such process, or it has ended and waits to be collected. */
  nameOf(pid: number): string | undefined;
  /** The words of the command line, a NUL after each; undefined when there is no such process. */
  commandLineOf(pid: number): string | undefined;
  say(level: LogLevel, text: string): void;
  tell(result: TrackResult): void;
}

/** The keywords that say which processes are meant. */
type Wanted = Pick<TrackProcess, "process" | "param_match" | "full_command">;

/** Whether a process of this command line, a NUL after each word, is meant; for those that compare it. */
export function isWanted({ process: words, param_match }: Wanted, commandLine: string): boolean {
  const pattern = words.join("\0");
  switch (param_match) {
    case "initial":
      return commandLine.startsWith(pattern);
    case "exact":
      return commandLine === `${pattern}\0`;
    case "partial":
    case "none":
      return commandLine.startsWith(`${pattern}\0`);
  }
}

/** What decides how long a change has to last before it counts. */
type Cause = "termination" | "fork" | "other";

/** The processes that somebody tracks. */
export class ProcessChecks {
  readonly #surroundings: ProcessSurroundings;
  #checks: readonly ProcessCheck[] = [];

  constructor(surroundings: ProcessSurroundings) {
    this.#surroundings = surroundings;
  }

  /** From now on these are watched; whether a scan has to follow, because one was not watched before. */
  configure(wanted: readonly TrackProcess[]): boolean {
    const before = this.#checks;
    this.#checks = wanted.map((process) => {
      const text = JSON.stringify(process);
      return before.find((one) => JSON.stringify(one.process) === text) ??
        new ProcessCheck(process, this.#surroundings);
    });
    for (const old of before) if (!this.#checks.includes(old)) old.stop();
    return this.#checks.some((one) => !before.includes(one));
  }

  /** These are all the processes there are. */
  scan(pids: readonly number[]): void {
    for (const check of this.#checks) check.restart();
    for (const pid of pids) this.#look(pid);
    for (const check of this.#checks) check.weigh("termination");
  }

  /** Something became of a process. */
  hear(event: ProcessEvent): void {
    switch (event.type) {
      case "listening":
        return;
      case "fork":
        for (const check of this.#checks) check.fork(event.parent, event.child);
        return;
      case "exec":
        // Most are nobody's business, and do not cut short what others wait for.
        for (const check of this.#look(event.pid)) check.weigh("other");
        return;
      case "name":
        for (const check of this.#checks) check.rename(event.pid, event.name);
        return;
      case "exit":
        for (const check of this.#checks) check.end(event.pid);
        return;
    }
  }

  /** What is known so far. */
  get results(): TrackResult[] {
    return this.#checks.flatMap(({ result }) => result ?? []);
  }

  /** Nothing is told any more. */
  stop(): void {
    this.configure([]);
  }

  /** Looks at a process; those to whom it makes a difference. */
  #look(pid: number): ProcessCheck[] {
    let name: string | undefined;
    let line: string | undefined;
    return this.#checks.filter((check) => {
      if (check.process.full_command) line ??= this.#surroundings.commandLineOf(pid) ?? "";
      else name ??= this.#surroundings.nameOf(pid) ?? "";
      return check.note(pid, name, line);
    });
  }
}

/** One vrrp_track_process. */
class ProcessCheck {
  readonly process: TrackProcess;
  readonly #surroundings: ProcessSurroundings;
  readonly #pids = new Set<number>();
  #isGood: boolean | undefined;
  /** Calls off what is about to count; undefined when nothing is. */
  #callOff: (() => void) | undefined;

  constructor(process: TrackProcess, surroundings: ProcessSurroundings) {
    this.process = process;
    this.#surroundings = surroundings;
  }

  /** What is to be told of it; undefined before the first scan. */
  get result(): TrackResult | undefined {
    const { name } = this.process;
    return this.#isGood === undefined
      ? undefined
      : { kind: "process", name, reading: this.#isGood };
  }

  stop(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  /** Forgets the processes, of which it will be told anew. */
  restart(): void {
    this.#pids.clear();
  }

  /** Takes a process as one that is meant, or not, by its name or command line; whether it was not before. */
  note(pid: number, name: string | undefined, line: string | undefined): boolean {
    const { process } = this;
    const isOne = process.full_command
      ? line !== undefined && isWanted(process, line)
      : name === process.process[0];
    if (isOne === this.#pids.has(pid)) return false;
    if (isOne) this.#pids.add(pid);
    else this.#pids.delete(pid);
    return true;
  }

  fork(parent: number, child: number): void {
    if (!this.#pids.has(parent)) return;
    this.#pids.add(child);
    this.weigh("fork");
  }

  rename(pid: number, name: string): void {
    if (!this.process.full_command && this.note(pid, name, undefined)) this.weigh("other");
  }

  end(pid: number): void {
    if (this.#pids.delete(pid)) this.weigh("termination");
  }

  /** Whether they are as many as there should be, which counts now or later. */
  weigh(cause: Cause): void {
    const { quorum, quorum_max = Infinity, terminate_delay, fork_delay } = this.process;
    const isGood = this.#pids.size >= quorum && this.#pids.size <= quorum_max;
    if (isGood === this.#isGood) {
      this.stop();
      return;
    }
    const delays = { termination: terminate_delay, fork: fork_delay, other: 0 };
    const delayUs = this.#isGood === undefined ? 0 : delays[cause];
    if (delayUs === 0) this.#declare(isGood);
    else this.#callOff ??= this.#surroundings.clock.after(delayUs, () => this.#declare(isGood));
  }

  #declare(isGood: boolean): void {
    this.stop();
    const isFirst = this.#isGood === undefined;
    this.#isGood = isGood;
    const { name } = this.process;
    const change = isGood ? "gained" : "lost";
    this.#surroundings.tell({ kind: "process", name, reading: isGood });
    if (!isFirst) this.#surroundings.say("info", `Quorum ${change} for tracked process ${name}`);
  }
}
