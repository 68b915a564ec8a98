/**
 * The process that becomes a script with all groups of its user: what the runtime cannot ask for when it
 * spawns. Only started for scripts that want it.
 */

import { becomeProgram, type Identity } from "../../ffi/exec.ts";

/** In the environment of the process: what it is to become, as JSON; deleted before it does. */
export const EXEC_VARIABLE = "UPKEEP_EXEC";

/** What is to be run. */
export interface ExecTask extends Identity {
  readonly argv: readonly string[];
  /** What is executed, if it is not the first word. */
  readonly path?: string;
}

/** Becomes the script. Throws SysError. */
export function runExecRole(): never {
  const task = JSON.parse(process.env[EXEC_VARIABLE] ?? "") as ExecTask;
  delete process.env[EXEC_VARIABLE];
  const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
  return becomeProgram(task.argv, environment, task, task.path);
}
