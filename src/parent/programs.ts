/**
 * The programs of MISC_CHECK, which the checkers role asks for: vetted, run, given their time, and their end told.
 * Loaded only when there is such a check.
 */

import type { Globals } from "../config/globals.ts";
import type { Script } from "../config/vrrp.ts";
import type { World } from "../config/world.ts";
import type { LogLevel } from "../lib/log.ts";
import type { ProgramEnd } from "../lvs/check/misc.ts";
import { type Refusal, type Runnable, type RunningScript, runScript, vetScript } from "./script.ts";
import { signalNumber } from "./supervisor.ts";

/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2000;

/** What programs need of their owner. */
export interface ProgramsOwner {
  say(level: LogLevel, text: string): void;
  /** A program has ended. */
  ended(id: number, end: ProgramEnd): void;
  world(): World;
  globals(): Globals;
}

/** One run. */
interface Run {
  readonly script: RunningScript;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The programs that run. */
export class Programs {
  readonly #owner: ProgramsOwner;
  readonly #runs = new Map<number, Run>();
  /** What was found of each script since the configuration was read. */
  readonly #vetted = new Map<string, Runnable | Refusal>();

  constructor(owner: ProgramsOwner) {
    this.#owner = owner;
  }

  /** The configuration has changed: scripts are looked at anew. */
  refresh(): void {
    this.#vetted.clear();
  }

  /** Runs a script; the end is told by the id. */
  run(id: number, script: Script, timeoutUs: number): void {
    const found = this.#vet(script);
    if ("why" in found) {
      this.#owner.ended(id, { how: "refused", why: found.why });
      return;
    }
    let running: RunningScript;
    try {
      running = runScript(found, [], {});
    } catch (error) {
      this.#owner.ended(id, { how: "refused", why: `cannot be run: ${String(error)}` });
      return;
    }
    const timer = setTimeout(() => {
      this.#end(id, { how: "timeout" });
      terminate(running);
    }, timeoutUs / 1000);
    this.#runs.set(id, { script: running, timer });
    void running.ended.then(({ status, signal }) => {
      this.#end(
        id,
        status === null
          ? { how: "signal", signal: signalNumber(signal ?? "") }
          : { how: "exit", status },
      );
    });
  }

  /** Ends a program that nobody wants to hear of any more. */
  stop(id: number): void {
    const run = this.#runs.get(id);
    if (run === undefined) return;
    this.#runs.delete(id);
    clearTimeout(run.timer);
    terminate(run.script);
  }

  /** Ends all. */
  stopAll(): void {
    for (const id of [...this.#runs.keys()]) this.stop(id);
  }

  #vet(script: Script): Runnable | Refusal {
    const key = JSON.stringify(script);
    let found = this.#vetted.get(key);
    if (found === undefined) {
      found = vetScript(script, this.#owner.globals(), this.#owner.world());
      this.#vetted.set(key, found);
      if ("why" in found) {
        const text = `Misc check script ${script.argv[0]}: ${found.why} (${found.hint})`;
        this.#owner.say("error", text);
      }
    }
    return found;
  }

  #end(id: number, end: ProgramEnd): void {
    const run = this.#runs.get(id);
    if (run === undefined) return;
    this.#runs.delete(id);
    clearTimeout(run.timer);
    this.#owner.ended(id, end);
  }
}

function terminate(script: RunningScript): void {
  script.kill("SIGTERM");
  const timer = setTimeout(() => script.kill("SIGKILL"), GRACE_MS);
  timer.unref();
  void script.ended.then(() => clearTimeout(timer));
}
