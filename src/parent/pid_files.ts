/** Pid files of processes other than this one. */

import { readText } from "../../ffi/file.ts";
import { removePidFile } from "../../ffi/pid_file.ts";

/** Removes the pid file of a process that was killed and could not do it itself. */
export function removePidFileOf(pid: number, path: string): void {
  try {
    if (readText(path).trim() === String(pid)) removePidFile(path);
  } catch {
    // It did, or there never was one.
  }
}
