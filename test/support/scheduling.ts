/** How the kernel sees a process and its threads: proc(5). */

import { readdirSync, readFileSync } from "node:fs";

/** sched.h SCHED_RR. */
export const SCHED_RR = 2;

/** What a thread is scheduled by: /proc/PID/stat from the third field on. */
export function schedulingOf(
  pid: number,
  thread = pid,
): { nice: number; real: number; policy: number } {
  const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
  const words = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  return { nice: words[16]!, real: words[37]!, policy: words[38]! };
}

/** A field of a thread's status; undefined when it has none of the name. */
export function statusOf(pid: number, field: string, thread = pid): string | undefined {
  const text = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
  return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(text)?.[1];
}

/** The threads of a process. */
export function threadsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}
