/**
 * The scripts and checks of vrrp_script: run every interval, one run at a time, ended when they take too long, and
 * judged by rise and fall. Only a change of the judgement is logged and told. Runs in the parent, whose
 * clock and processes are handed in.
 */

import type { VrrpScript } from "../config/track.ts";
import type { LogLevel } from "../lib/log.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import type { Run, ScriptEnd } from "./script.ts";
import { signalNumber } from "./supervisor.ts";

/** From SIGTERM to SIGKILL, in microseconds. */
const GRACE_US = 2_000_000;

/** Time as the checks see it. */
export interface Clock {
  /** The moment on a clock that never goes back, in microseconds. */
  now(): number;
  /** Calls `fire` after so many microseconds; the result calls that off. */
  after(us: number, fire: () => void): () => void;
}

/** The world of the checks. */
export interface Surroundings {
  readonly clock: Clock;
  /**
   * Starts a script; "disabled" when it may not run, which has been logged. Throws when there is no process to
   * be had.
   */
  run(script: VrrpScript): Run | "disabled";
  say(level: LogLevel, text: string): void;
  tell(result: TrackResult): void;
}

/** What is remembered of the results of a script. */
export interface Judgement {
  /** Undefined until the first result. */
  readonly isGood: boolean | undefined;
  /** Results in a row that contradict it. */
  readonly contrary: number;
}

/**
 * The judgement after one more result. The first one is definitive; after that it takes `rise` successes
 * or `fall` failures in a row to change it.
 */
export function judgeResult(
  { isGood, contrary }: Judgement,
  succeeded: boolean,
  { rise, fall }: Pick<VrrpScript, "rise" | "fall">,
): Judgement {
  if (isGood === undefined || isGood === succeeded) return { isGood: succeeded, contrary: 0 };
  const needed = succeeded ? rise : fall;
  if (contrary + 1 >= needed) return { isGood: succeeded, contrary: 0 };
  return { isGood, contrary: contrary + 1 };
}

/** The scripts that somebody tracks. */
export class ScriptChecks {
  readonly #surroundings: Surroundings;
  readonly #checks = new Map<string, ScriptCheck>();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** From now on these scripts run; one that is the same as before keeps what is known of it. */
  configure(scripts: readonly VrrpScript[]): void {
    const wanted = new Map(scripts.map((one) => [one.name, one]));
    for (const [name, check] of this.#checks) {
      if (wanted.has(name)) continue;
      check.stop();
      this.#checks.delete(name);
    }
    for (const [name, script] of wanted) {
      const known = this.#checks.get(name);
      if (known !== undefined && JSON.stringify(known.script) === JSON.stringify(script)) continue;
      known?.stop();
      // What is known of a script stands until its new self has returned.
      if (known?.judgement.isGood === true) {
        this.#surroundings.say("info", `VRRP_Script(${name}) considered successful on reload`);
      }
      const check = new ScriptCheck(script, known?.judgement, this.#surroundings);
      this.#checks.set(name, check);
      check.start();
    }
  }

  /** What is known so far, for whoever has heard nothing yet. */
  get results(): TrackResult[] {
    return [...this.#checks.values()].flatMap((check) => check.result ?? []);
  }

  /** How each script has ended last, by name. */
  get ends(): ReadonlyMap<string, ScriptEnd> {
    const all = [...this.#checks].flatMap(([name, { lastEnd }]) =>
      lastEnd === undefined ? [] : [[name, lastEnd] as const]
    );
    return new Map(all);
  }

  /** Ends all runs. */
  stop(): void {
    for (const check of this.#checks.values()) check.stop();
    this.#checks.clear();
  }
}

/** One run of a script. */
interface Current {
  readonly script: Run;
  /** It has had its time and was told to end. */
  isLate: boolean;
  /** Calls off what is to happen to it next. */
  callOff: () => void;
}

/** One script. */
class ScriptCheck {
  readonly script: VrrpScript;
  readonly #surroundings: Surroundings;
  #judgement: Judgement;
  #run: Current | undefined;
  #isDisabled = false;
  #isStopped = false;
  #dueAt = 0;
  #callOff: () => void = () => {};
  /** The exit status of the last run that ended by itself, or what was wrong. */
  #result: number | string = 0;
  /** A run was skipped, and that was said. */
  #saidSkipped = false;
  /** How the last run has ended. */
  lastEnd: ScriptEnd | undefined;

  constructor(script: VrrpScript, known: Judgement | undefined, surroundings: Surroundings) {
    this.script = script;
    this.#surroundings = surroundings;
    const isGood = known?.isGood ?? (script.init_fail ? false : undefined);
    this.#judgement = { isGood, contrary: 0 };
  }

  get judgement(): Judgement {
    return this.#judgement;
  }

  /** What is to be told of it; undefined before there is anything. */
  get result(): TrackResult | undefined {
    const { name } = this.script;
    const reading = this.#isDisabled ? "disabled" : this.#judgement.isGood;
    return reading === undefined ? undefined : { kind: "script", name, reading };
  }

  start(): void {
    this.#dueAt = this.#surroundings.clock.now();
    this.#tick();
  }

  stop(): void {
    this.#isStopped = true;
    this.#callOff();
    const run = this.#run;
    if (run === undefined) return;
    run.callOff();
    run.script.kill("SIGTERM");
    run.callOff = this.#surroundings.clock.after(GRACE_US, () => run.script.kill("SIGKILL"));
  }

  #tick(): void {
    const { clock } = this.#surroundings;
    if (this.#run === undefined) this.#begin();
    else this.#skip(this.#run);
    if (this.#isDisabled) return;
    const { interval } = this.script;
    const now = clock.now();
    // Runs that were missed while the machine stood still are not made up for.
    this.#dueAt += interval * Math.max(1, Math.ceil((now - this.#dueAt + 1) / interval));
    this.#callOff = clock.after(this.#dueAt - now, () => this.#tick());
  }

  #skip({ isLate }: Current): void {
    if (this.#saidSkipped) return;
    this.#saidSkipped = true;
    const how = isLate ? "being timed out" : "already running";
    const text = `Track script ${this.script.name} is ${how}, expect idle - skipping run`;
    this.#surroundings.say("info", text);
  }

  #begin(): void {
    const { clock } = this.#surroundings;
    let script: Run | "disabled";
    try {
      script = this.#surroundings.run(this.script);
    } catch (error) {
      this.#judge(false, `failed (cannot be run: ${String(error)})`);
      return;
    }
    if (script === "disabled") {
      this.#isDisabled = true;
      this.#surroundings.tell(this.result!);
      return;
    }
    const callOff = clock.after(this.script.timeout, () => this.#timeOut(run));
    const run: Current = { script, isLate: false, callOff };
    this.#run = run;
    void script.ended.then((end) => this.#end(run, end));
  }

  /** It counts as a failure from here on, whatever it makes of the signal. */
  #timeOut(run: Current): void {
    run.isLate = true;
    run.script.kill("SIGTERM");
    run.callOff = this.#surroundings.clock.after(GRACE_US, () => run.script.kill("SIGKILL"));
    this.#judge(false, "timed_out");
  }

  #end(run: Current, end: ScriptEnd): void {
    const { status, signal, why } = end;
    run.callOff();
    if (this.#run !== run || this.#isStopped) return;
    this.lastEnd = end;
    this.#run = undefined;
    if (run.isLate) return;
    this.#saidSkipped = false;
    if (status === null) {
      this.#judge(false, `failed (due to signal ${signalNumber(signal ?? "")})`);
      return;
    }
    // A check has no status that would mean anything to anybody.
    const result = why ?? status;
    if (result !== this.#result) {
      const text = `Script \`${this.script.name}\` now returning ${result}`;
      this.#surroundings.say("info", text);
      this.#result = result;
    }
    const how = why ?? `exited with status ${status}`;
    this.#judge(status === 0, status === 0 ? "succeeded" : `failed (${how})`);
  }

  #judge(succeeded: boolean, how: string): void {
    if (this.#isStopped) return;
    const before = this.#judgement.isGood;
    this.#judgement = judgeResult(this.#judgement, succeeded, this.script);
    const { isGood } = this.#judgement;
    if (isGood === before) return;
    this.#surroundings.say("info", `VRRP_Script(${this.script.name}) ${how}`);
    this.#surroundings.tell(this.result!);
  }
}
