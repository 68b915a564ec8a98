/**
 * startup_script and shutdown_script: run before the roles begin and after they have ended, with a limit. How
 * they end is only logged. Loaded only when there is one.
 */

import type { Globals } from "../config/globals.ts";
import type { Script } from "../config/vrrp.ts";
import type { World } from "../config/world.ts";
import type { LogLevel } from "../lib/log.ts";
import { runScript, type ScriptEnd, vetScript } from "./script.ts";
import { signalNumber } from "./supervisor.ts";

/** From SIGTERM to SIGKILL, in milliseconds. */
const GRACE_MS = 200;

/** What a script of the daemon's life is, and who runs it. */
export interface LifeScript {
  readonly what: "startup" | "shutdown";
  readonly script: Script;
  readonly timeoutUs: number;
  readonly globals: Globals;
  readonly world: World;
  say(level: LogLevel, text: string): void;
}

/** A script that runs. */
export interface RunningLifeScript {
  /** Resolves when it has ended, or was ended. */
  readonly ended: Promise<void>;
  /** Ends it now. */
  kill(): void;
}

/** Runs the script. One that may not run, or cannot be started, has ended at once. */
export function runLifeScript(life: LifeScript): RunningLifeScript {
  const { what, script, timeoutUs, globals, world, say } = life;
  const none = { ended: Promise.resolve(), kill: (): void => {} };
  const vetted = vetScript(script, globals, world);
  if ("why" in vetted) {
    say("error", `${what} script is not run: ${vetted.why} (${vetted.hint})`);
    return none;
  }
  try {
    const running = runScript(vetted, [], {});
    const limit = setTimeout(() => {
      say("warning", `${what} script timed out`);
      running.kill("SIGTERM");
      setTimeout(() => running.kill("SIGKILL"), GRACE_MS).unref();
    }, timeoutUs / 1000);
    const ended = running.ended.then((end) => {
      clearTimeout(limit);
      sayEnd(life, end);
    });
    return { ended, kill: () => running.kill("SIGKILL") };
  } catch (error) {
    say("error", `${what} script cannot be run: ${String(error)}`);
    return none;
  }
}

/** keepalived's phrases. */
function sayEnd({ what, say }: LifeScript, { status, signal }: ScriptEnd): void {
  const name = `${what} script script`;
  if (status === 0) say("info", `${name} succeeded`);
  else if (status !== null) say("info", `${name} failed, status ${status}`);
  else say("info", `${name} killed by signal ${signalNumber(signal ?? "")}`);
}
