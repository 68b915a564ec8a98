/**
 * How the vrrp role behaves as a process among others: its name, its share of the processors, whether it
 * stays in memory. All of it is for whoever asks; without, it is a little ahead of ordinary processes.
 */

import type { Globals } from "../config/globals.ts";

/** What was asked for; absent is the default. Plain JSON: it travels to the role. */
export interface Conduct {
  /** comm, 15 characters at most. */
  readonly name?: string;
  /** -20 to 19. */
  readonly nice?: number;
  /** SCHED_RR: 1 to 99. */
  readonly realTime?: number;
  /** How long it may run at real-time priority without a pause. */
  readonly runLimitUs?: number;
  /** The processors it may use, by number. */
  readonly cpus?: readonly number[];
  readonly staysInMemory?: true;
  /** Up to which real-time priority it raises itself, when it is woken later than `latenessUs`. */
  readonly autoRealTime?: number;
  readonly latenessUs?: number;
}

/** What `process_names` makes of it. */
const COMMON_NAME = "keepalived_vrrp";
/** keepalived's 10 ms would be exceeded by a take-over of a thousand instances. */
const RUN_LIMIT_US = 1_000_000;

/** What a configuration asks for. */
export function conductOf(globals: Globals): Conduct {
  const { vrrp_priority: nice, vrrp_rt_priority: realTime, vrrp_cpu_affinity: cpus } = globals;
  const { max_auto_priority: autoRealTime, min_auto_priority_delay: latenessUs } = globals;
  const name = globals.vrrp_process_name ?? (globals.process_names ? COMMON_NAME : undefined);
  const isRealTime = realTime !== undefined || autoRealTime > 0;
  return {
    ...(name === undefined ? {} : { name }),
    ...(nice === undefined ? {} : { nice }),
    ...(realTime === undefined ? {} : { realTime }),
    ...(isRealTime ? { runLimitUs: globals.vrrp_rlimit_rttime ?? RUN_LIMIT_US } : {}),
    ...(cpus === undefined ? {} : { cpus }),
    ...(globals.vrrp_no_swap ? { staysInMemory: true } : {}),
    ...(autoRealTime > 0 ? { autoRealTime, latenessUs } : {}),
  };
}
