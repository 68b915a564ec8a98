/**
 * Which probes there are: a check that several services have in common is run once and its result handed to
 * all of them. And when each runs first, so that they are spread evenly from the start.
 */

import type { Check, Ssl } from "../config/lvs.ts";
import type { TrackFile } from "../config/track.ts";
import { isAlike } from "./changes.ts";

/** What a result is about: a check of a server of a service. */
export interface CheckSubject {
  /** The key of the virtual server. */
  readonly service: string;
  /** The key of the real server; one that several services have is the same by it. */
  readonly server: string;
  /** The place of the check among those of its real server. */
  readonly index: number;
}

/** One check of a real server of a virtual server. */
export interface PlannedCheck extends CheckSubject {
  /** As log lines name them. */
  readonly virtualServer: string;
  readonly realServer: string;
  readonly check: Check;
  /** What the real server is configured with. */
  readonly serverWeight: number;
  /** What is taken for granted until it has been run. */
  readonly isUp: boolean;
  /** Not to be run for the time being; what is known stays. */
  readonly isSuspended: boolean;
  /** What SSL_GET shows to servers. */
  readonly ssl?: Ssl | undefined;
  /** The track_file of a FILE_CHECK. */
  readonly file?: Pick<TrackFile, "weight" | "reverse"> | undefined;
}

/** Those that one probe is run for: at least one, and they all have the same check. */
export type ProbePlan = readonly [PlannedCheck, ...PlannedCheck[]];

/** What became of a check, told when it has changed. */
export interface CheckResult extends CheckSubject {
  readonly isUp: boolean;
  /** What went wrong last; "" when nothing has. */
  readonly why: string;
  /** How long the last attempt took. */
  readonly latencyUs: number;
  /** When it went up or down last, on the monotonic clock. */
  readonly changedAt: number;
  /** What it adds to the weight its server is configured with; absent when it has no say. */
  readonly weight?: number;
  /** It has changed its mind, and a mail says this of it. */
  readonly mail?: string;
}

/** The probes of checks, by real server: one for all that ask for the same. */
export function planProbes(
  checks: readonly PlannedCheck[],
): ReadonlyMap<string, readonly ProbePlan[]> {
  const all = new Map<string, [PlannedCheck, ...PlannedCheck[]][]>();
  for (const planned of checks) {
    const { server } = planned;
    const plans = all.get(server);
    const known = plans?.find(([first]) => isSameProbe(first, planned));
    if (known !== undefined) known.push(planned);
    else if (plans !== undefined) plans.push([planned]);
    else all.set(server, [[planned]]);
  }
  return all;
}

/** Whether two checks of one real server come to the same. */
export function isSameProbe(a: PlannedCheck, b: PlannedCheck): boolean {
  const { check } = a;
  if (!isAlike(check, b.check)) return false;
  switch (check.type) {
    case "SSL_GET":
      return isAlike(a.ssl, b.ssl);
    case "FILE_CHECK":
      return isAlike(a.file, b.file);
    case "MISC_CHECK":
      return !check.misc_dynamic || a.serverWeight === b.serverWeight;
    case "TCP_CHECK":
    case "HTTP_GET":
    case "SMTP_CHECK":
    case "DNS_CHECK":
    case "UDP_CHECK":
    case "PING_CHECK":
    case "GRPC_CHECK":
    case "BFD_CHECK":
      return true;
  }
}

/** A subject as one text. */
export function subjectOf({ service, server, index }: CheckSubject): string {
  return `${service} ${server} ${index}`;
}

/** Before the first attempt, as keepalived has it. */
const LEAD_US = 1_000_000;
/** What a probe costs at most as a rule, told from the next: even without a warm-up they do not start as one. */
const SPACING_US = 200;
/** The golden section: any number of its multiples, without their whole parts, lie evenly from 0 to 1. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** From the beginning to the first attempt of the `index`-th of `count` probes that begin together. */
export function firstDelayUs(warmup: number, index: number, count: number): number {
  const span = Math.max(warmup, count * SPACING_US);
  return LEAD_US + Math.floor(((index + 1) * GOLDEN % 1) * span);
}

/** Attempts that begin at the same moment share a turn of the loop. */
const LONGEST_GRID_US = 5000;
const GRIDS_A_LOOP = 100;

/** The next point of a common grid, a hundredth of the period and at most 5 ms wide, for an attempt at `at`. */
export function gridPoint(at: number, delay_loop: number): number {
  const grid = Math.max(1, Math.min(LONGEST_GRID_US, Math.floor(delay_loop / GRIDS_A_LOOP)));
  return Math.ceil(at / grid) * grid;
}
