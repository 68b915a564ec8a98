/**
 * Being process 1 of a container: orphans become our children and must be collected when they die. Those
 * we have spawned ourselves are Bun's to collect, so each dead child is looked at first.
 */

import { collectChild, peekDeadChild } from "../../ffi/process.ts";

/** How long a child of ours may stay uncollected before we look again, in milliseconds. */
const AGAIN_MS = 50;

/** Collects, from now on, every dead child that `isOurs` does not claim. */
export function reapStrangers(isOurs: (pid: number) => boolean): void {
  const look = (): void => {
    for (;;) {
      const pid = peekDeadChild();
      if (pid === undefined) return;
      if (isOurs(pid)) {
        setTimeout(look, AGAIN_MS);
        return;
      }
      collectChild(pid);
    }
  };
  process.on("SIGCHLD", look);
  look();
}
