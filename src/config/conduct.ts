/**
 * How roles behave as processes among others: name, share of the processors, whether they stay in memory.
 * All of it is for whoever asks; without, each is as its role makes it (conductor.ts).
 */

import { VRRP_NICE } from "./global_defaults.ts";
import type { Globals } from "./globals.ts";

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

/** keepalived's 10 ms would be exceeded by a take-over of a thousand instances. */
const RUN_LIMIT_US = 1_000_000;

type RoleWord = "priority" | "rt_priority" | "rlimit_rttime" | "cpu_affinity" | "no_swap";

/** What the words that begin with a role's name say. */
type Asked = { readonly [K in RoleWord]: Globals[`vrrp_${K}`] };

function asked(globals: Globals, role: "vrrp" | "checker" | "bfd"): Asked {
  return {
    priority: globals[`${role}_priority`],
    rt_priority: globals[`${role}_rt_priority`],
    rlimit_rttime: globals[`${role}_rlimit_rttime`],
    cpu_affinity: globals[`${role}_cpu_affinity`],
    no_swap: globals[`${role}_no_swap`],
  };
}

/**
 * What a configuration asks of the vrrp role. One that also does BFD heeds what is asked of that: it is as
 * urgent as the more urgent of the two, and otherwise what is said of VRRP counts first.
 */
export function vrrpConduct(globals: Globals, doesBfd = false): Conduct {
  const { vrrp_process_name: name } = globals;
  const vrrp = asked(globals, "vrrp");
  const wanted = doesBfd ? together(vrrp, asked(globals, "bfd")) : vrrp;
  return conduct(wanted, globals, name, "keepalived_vrrp");
}

/** What a configuration asks of the checkers role. */
export function checkersConduct(globals: Globals): Conduct {
  const { checker_process_name: name } = globals;
  return conduct(asked(globals, "checker"), globals, name, "keepalived_lvs");
}

function together(vrrp: Asked, bfd: Asked): Asked {
  const { priority = VRRP_NICE, rt_priority: realTime = 0 } = vrrp;
  const urgent = Math.max(realTime, bfd.rt_priority ?? 0);
  return {
    priority: bfd.priority === undefined ? vrrp.priority : Math.min(priority, bfd.priority),
    rt_priority: urgent === 0 ? undefined : urgent,
    rlimit_rttime: vrrp.rlimit_rttime ?? bfd.rlimit_rttime,
    cpu_affinity: vrrp.cpu_affinity ?? bfd.cpu_affinity,
    no_swap: vrrp.no_swap || bfd.no_swap,
  };
}

/** `common` is the name that `process_names` makes of it. */
function conduct(
  { priority: nice, rt_priority: realTime, rlimit_rttime, cpu_affinity: cpus, no_swap }: Asked,
  globals: Globals,
  named: string | undefined,
  common: string,
): Conduct {
  const { max_auto_priority: autoRealTime, min_auto_priority_delay: latenessUs } = globals;
  const name = named ?? (globals.process_names ? common : undefined);
  const isRealTime = realTime !== undefined || autoRealTime > 0;
  return {
    ...(name === undefined ? {} : { name }),
    ...(nice === undefined ? {} : { nice }),
    ...(realTime === undefined ? {} : { realTime }),
    ...(isRealTime ? { runLimitUs: rlimit_rttime ?? RUN_LIMIT_US } : {}),
    ...(cpus === undefined ? {} : { cpus }),
    ...(no_swap ? { staysInMemory: true } : {}),
    ...(autoRealTime > 0 ? { autoRealTime, latenessUs } : {}),
  };
}
