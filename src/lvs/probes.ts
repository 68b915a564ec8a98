/**
 * Which probes there are: a check that several services have in common is run once and its result handed to
 * all of them. And when each runs first, so that they are spread evenly from the start.
 */

import type { Check, Ssl } from "../config/lvs.ts";
import type { TrackFile } from "../config/track.ts";

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
  /** Not to be run for the time being; what is known stays. */
  readonly isSuspended: boolean;
  /** What SSL_GET shows to servers. */
  readonly ssl?: Ssl | undefined;
  /** The track_file of a FILE_CHECK. */
  readonly file?: Pick<TrackFile, "weight" | "reverse"> | undefined;
}

/** A check that is to be run, and for whom. */
export interface ProbePlan {
  /** What makes it one: the real server, and everything its check says. */
  readonly key: string;
  /** The first of those it is run for; they all have the same check. */
  readonly sample: PlannedCheck;
  /** At least one. */
  readonly subscribers: readonly PlannedCheck[];
}

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
}

/** The probes of checks, by key, in the order of the checks. */
export function planProbes(checks: readonly PlannedCheck[]): ReadonlyMap<string, ProbePlan> {
  const all = new Map<string, { key: string; sample: PlannedCheck; subscribers: PlannedCheck[] }>();
  for (const planned of checks) {
    const key = keyOf(planned);
    const known = all.get(key);
    if (known !== undefined) known.subscribers.push(planned);
    else all.set(key, { key, sample: planned, subscribers: [planned] });
  }
  return all;
}

/** Checks as text, which takes longest: what a reload has left alone is the same object. */
const texts = new WeakMap<Check, string>();

function keyOf({ server, check, ssl, file, serverWeight }: PlannedCheck): string {
  const { type } = check;
  const text = texts.get(check) ?? JSON.stringify(check);
  texts.set(check, text);
  const rest = type === "SSL_GET"
    ? ssl
    : type === "FILE_CHECK"
    ? file
    : type === "MISC_CHECK" && check.misc_dynamic
    ? serverWeight
    : undefined;
  return `${server} ${text}${rest === undefined ? "" : JSON.stringify(rest)}`;
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
