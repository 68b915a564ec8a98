/**
 * What surrounds the machine of bfd.ts and is as pure: what a bfd_instance means to it, what a reload
 * changes, which packets a session admits, and what the log says.
 */

import type { BfdInstance } from "../config/bfd.ts";
import type { LogLevel } from "../lib/log.ts";
import type { ControlError, SessionState } from "../wire/bfd.ts";
import {
  type Action,
  detectionTimeUs,
  type Session,
  transmitIntervalUs,
  type Variables,
} from "./bfd.ts";

/** One step from the previous sessions to the next. Plain JSON: it travels to the role. */
export type BfdChange =
  | { readonly type: "add"; readonly key: string; readonly instance: BfdInstance }
  | { readonly type: "change"; readonly key: string; readonly instance: BfdInstance }
  | { readonly type: "remove"; readonly key: string };

/** What makes a session the same across a reload: its ends and its port. All else can change while it is Up. */
export function bfdKey({ neighbor_ip, source_ip = "", multihop }: BfdInstance): string {
  return `${neighbor_ip}/${source_ip}/${multihop ? "multihop" : "single"}`;
}

/** The steps from `previous` to `next`, removals first. */
export function diffBfd(
  previous: readonly BfdInstance[],
  next: readonly BfdInstance[],
): BfdChange[] {
  const before = new Map(previous.map((one) => [bfdKey(one), one]));
  const after = new Map(next.map((one) => [bfdKey(one), one]));
  const changes: BfdChange[] = [];
  for (const key of before.keys()) {
    if (!after.has(key)) changes.push({ type: "remove", key });
  }
  for (const [key, instance] of after) {
    const known = before.get(key);
    if (known === undefined) changes.push({ type: "add", key, instance });
    else if (!isSame(known, instance)) changes.push({ type: "change", key, instance });
  }
  return changes;
}

function isSame(a: BfdInstance, b: BfdInstance): boolean {
  const [one, other] = [a, b].map((instance) => JSON.stringify(Object.entries(instance).sort()));
  return one === other;
}

/** What the machine needs to know of an instance. */
export function sessionOf(instance: BfdInstance): Session {
  return {
    minTxUs: instance.min_tx,
    minRxUs: instance.min_rx,
    idleTxUs: instance.idle_tx,
    multiplier: instance.multiplier,
    passive: instance.passive,
  };
}

/** The value of max_hops that admits every TTL. */
const ANY_HOPS = 255;

/** The lowest TTL or hop limit a packet of the session may have (RFC 5881 §5 when that is 255); 0 is any. */
export function lowestTtl({ ttl, max_hops }: BfdInstance): number {
  if (max_hops < 0 || max_hops >= ANY_HOPS) return 0;
  return Math.max(0, ttl - max_hops);
}

/** Why a packet was not given to a session's machine; each is a counter. */
export type Discard = ControlError | "no-session" | "ttl";

/** Packets of a session, or of none. */
export interface BfdCounters {
  received: number;
  sent: number;
  /** Packets the kernel would not send. */
  refused: number;
  /** Discarded packets that told which session they were for. */
  discarded: number;
}

/** A line for the log; `detail` lines are for -D only. */
export interface Line {
  readonly level: LogLevel;
  readonly text: string;
  readonly detail: boolean;
}

/** What the log says of an action; undefined when nothing. The phrases are keepalived's. */
export function actionLine(name: string, action: Action): Line | undefined {
  switch (action.type) {
    case "transition":
      return transitionLine(name, action);
    case "expired": {
      const ms = Math.floor(action.detectionUs / 1000);
      const text = `(${name}) Expired after ${ms} ms (${action.overdueUs} usec overdue)`;
      return { level: "info", text, detail: false };
    }
    case "send":
    case "signal":
    case "closed":
      return undefined;
  }
}

function transitionLine(name: string, action: Extract<Action, { type: "transition" }>): Line {
  const entering = `(${name}) Entering ${action.to} state`;
  if (action.to !== "Down" || action.from === "AdminDown") {
    const detail = action.to === "Init" || action.from === "AdminDown";
    return { level: "info", text: entering, detail };
  }
  const why = `Local diagnostic - ${diagnosticName(action.diagnostic)}, ` +
    `Remote diagnostic - ${diagnosticName(action.remoteDiagnostic)}`;
  return { level: "warning", text: `${entering} (${why})`, detail: false };
}

/** The names of RFC 5880 §4.1 in keepalived's spelling. */
const DIAGNOSTICS: readonly string[] = [
  "No Diagnostic",
  "Control Detection Time Expired",
  "Echo Function Failed",
  "Neighbor Signaled Session Down",
  "Forwarding Plane Reset",
  "Path Down",
  "Concatenated Path Down",
  "Administratively Down",
  "Reverse Concatenated Path Down",
];

function diagnosticName(code: number): string {
  return DIAGNOSTICS[code] ?? `Unknown (${code})`;
}

/** What two ends have agreed on; undefined when `after` says nothing that `before` has not said. */
export function agreementLine(
  name: string,
  before: Variables,
  after: Variables,
): Line | undefined {
  const state: SessionState = "Up";
  if (after.name !== state) return undefined;
  const [intervalUs, detectionUs] = [transmitIntervalUs(after), detectionTimeUs(after)];
  const isKnown = before.name === state && intervalUs === transmitIntervalUs(before) &&
    detectionUs === detectionTimeUs(before);
  if (isKnown) return undefined;
  const text = `(${name}) Sends every ${intervalUs} us, detection time is ${detectionUs} us`;
  return { level: "info", text, detail: true };
}

/** Why a packet was discarded: `ttl` and `yourDiscriminator` as received, `least` the lowest TTL admitted. */
export function discardText(
  why: Discard,
  source: string,
  seen: { readonly ttl: number; readonly yourDiscriminator: number; readonly least: number },
): string {
  const from = `Discarding packet from ${source}`;
  switch (why) {
    case "ttl": {
      const field = source.includes(":") ? "hop_limit" : "ttl";
      return `Packet ${field}(${seen.ttl}) < ${seen.least} - discarding (from ${source})`;
    }
    case "no-session": {
      const yours = seen.yourDiscriminator.toString(16).padStart(8, "0");
      return `${from} (session is not found - your discriminator field is 0x${yours})`;
    }
    case "version":
      return `${from}: not of version 1`;
    case "length":
      return `${from}: shorter than it says or than it can be`;
    case "multiplier":
      return `${from}: Packet 'detection multiplier' field is zero`;
    case "multipoint":
      return `${from}: Packet has 'multipoint' flag`;
    case "my-discriminator":
      return `${from}: Packet 'my discriminator' field is zero`;
    case "your-discriminator":
      return `${from}: Packet 'your discriminator' field is zero and 'state' field is not Down or AdminDown`;
    case "authentication":
      return `${from}: it asks for authentication, of which there is none`;
    case "poll-final":
      return `${from}: both poll and final flags set`;
  }
}
