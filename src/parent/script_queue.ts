/**
 * Scripts that are run one after the other, in the order of the events they tell of; the next one starts when
 * the one before has ended, or after five seconds.
 */

import type { LogLevel } from "../lib/log.ts";
import { type Runnable, type RunningScript, runScript, type ScriptEnd } from "./script.ts";

/** How long a script keeps the next one of its instance waiting, in milliseconds. */
const PATIENCE_MS = 5000;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2000;
/** Scripts of one instance that may wait; an instance that flaps under a slow script has no use for more. */
const MOST_WAITING = 100;

type Say = (level: LogLevel, text: string) => void;

/** A script that waits for its turn. */
export interface Waiting {
  readonly script: Runnable;
  readonly words: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  readonly what: string;
}

/** The scripts of one instance, in order. */
export class ScriptQueue {
  readonly #say: Say;
  readonly #waiting: Waiting[] = [];
  #current: { readonly script: RunningScript; readonly timer: NodeJS.Timeout } | undefined;
  #onIdle: (() => void)[] = [];
  readonly #limitUs: () => number | undefined;
  readonly #ended: (what: string, end: ScriptEnd) => void;

  /**
   * `say` takes log lines; `limitUs` is how long a script may run (`notify_timeout`); `ended` takes how each
   * has ended.
   */
  constructor(
    say: Say,
    limitUs: () => number | undefined,
    ended: (what: string, end: ScriptEnd) => void,
  ) {
    this.#say = say;
    this.#limitUs = limitUs;
    this.#ended = ended;
  }

  /** Whether nothing runs or waits. */
  get isIdle(): boolean {
    return this.#current === undefined && this.#waiting.length === 0;
  }

  /** One that is repetitive is left out while another one like it waits. */
  add(entry: Waiting, isRepetitive: boolean): void {
    if (isRepetitive && this.#waiting.some(({ what }) => what === entry.what)) return;
    this.#waiting.push(entry);
    if (this.#waiting.length > MOST_WAITING) {
      const { what } = this.#waiting.shift()!;
      this.#say("warning", `${what} is not run: ${MOST_WAITING} others wait after it`);
    }
    if (this.#current === undefined) this.#next();
  }

  /** What waits starts at once, whoever still runs. */
  hurry(): void {
    while (this.#waiting.length > 0) this.#next();
  }

  /** Resolves when nothing is left to run. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #next(): void {
    clearTimeout(this.#current?.timer);
    this.#current = undefined;
    const entry = this.#waiting.shift();
    if (entry === undefined) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
      return;
    }
    const { what } = entry;
    try {
      const script = runScript(entry.script, entry.words, entry.context);
      const timer = setTimeout(() => {
        this.#say(
          "warning",
          `${what} has run for ${PATIENCE_MS / 1000} s, the next one starts beside it`,
        );
        this.#next();
      }, PATIENCE_MS);
      timer.unref();
      const current = { script, timer };
      this.#current = current;
      const limit = this.#limit(script, what);
      void script.ended.then((end) => {
        const { status, signal, durationMs } = end;
        clearTimeout(timer);
        clearTimeout(limit);
        const how = signal === null ? `status ${status}` : `signal ${signal}`;
        const took = `after ${(durationMs / 1000).toFixed(1)} s`;
        if (status !== 0) this.#say("warning", `${what} ended with ${how} ${took}`);
        this.#ended(what, end);
        if (this.#current === current) this.#next();
      });
    } catch (error) {
      this.#say("error", `${what} cannot be run: ${String(error)}`);
      this.#next();
    }
  }

  /** Unless that is asked for, no script is ever ended: people run daemons from them. */
  #limit(script: RunningScript, what: string): NodeJS.Timeout | undefined {
    const limitUs = this.#limitUs();
    if (limitUs === undefined) return undefined;
    return setTimeout(() => {
      this.#say("warning", `${what} is ended: it has run for ${limitUs / 1_000_000} s`);
      script.kill("SIGTERM");
      setTimeout(() => script.kill("SIGKILL"), GRACE_MS).unref();
    }, limitUs / 1000).unref();
  }
}
