/**
 * The tracked objects of a running role: what was last heard of each, and what that makes of the priority
 * of those who track it. Links are looked up where everybody does; the rest is told by whoever watches.
 */

import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import { explainFault, type FaultReason } from "./instance.ts";
import type { LinkTable } from "./links.ts";
import type { State, VirtualRouter } from "./state.ts";
import { SCRIPT_PENDING } from "./sync_group.ts";
import type { Tracking } from "./trackers.ts";
import {
  describeTracker,
  explainPriority,
  nameTracker,
  type Reading,
  shortfall,
  type Standing,
  standing,
  type Tracker,
  type TrackResult,
} from "./tracking.ts";

/** What the parent should know, see channel.ts. */
export type TrackedNews =
  | { readonly type: "log"; readonly level: LogLevel; readonly text: string }
  | PriorityNews;

/** A MASTER that has failed, but will not be replaced. */
export interface Stuck {
  /** The best peer that was heard, and its priority. */
  readonly peer: string;
  readonly peerPriority: number;
  /** How many points more would have to be taken away. */
  readonly missing: number;
}

/** What an instance tracks has changed its priority, and how it comes about. */
export interface PriorityNews {
  readonly type: "priority";
  readonly instance: string;
  readonly state: State["name"];
  /** Effective priority, 1 to 254. */
  readonly priority: number;
  /** Whether notify_priority_changes asks for it. */
  readonly isWanted: boolean;
  /** As configured, */
  readonly base: number;
  /** and what has been added to it; `of` as in the log. */
  readonly contributions: readonly { readonly of: string; readonly points: number }[];
  readonly stuck?: Stuck;
}

/** What is needed of an instance that runs. */
interface Weighed {
  readonly instance: VrrpInstance;
  /** The VMAC it speaks from. */
  readonly vmac: string | undefined;
  router: VirtualRouter;
  readonly state: State;
  /** Undefined when it tracks nothing. */
  standing: Standing | undefined;
  /** What keeps it from taking part, as it was last logged; "" for nothing. */
  why: string;
  /** The best peer that was heard, 0 for none. */
  readonly peerPriority: number;
  readonly peer: Address | undefined;
}

/** Why a MASTER whose priority has dropped stays MASTER; undefined when it does not, or nothing is known. */
function stuckBy(running: Weighed, next: Standing, before: number): Stuck | undefined {
  const { state, peer, peerPriority } = running;
  const { priority, faults } = next;
  const isFailing = state.name === "MASTER" && priority < before && faults.length === 0;
  if (!isFailing || peer === undefined) return undefined;
  const missing = shortfall(priority, peerPriority);
  return missing === 0 ? undefined : { peer: formatAddress(peer), peerPriority, missing };
}

/** What is tracked, and by whom. */
export class Tracked {
  readonly #links: LinkTable;
  readonly #tell: (message: TrackedNews) => void;
  #tracking: Tracking = { of: {}, says: [] };
  readonly #readings = new Map<string, Reading>();

  /** `tell` takes what the parent should know. */
  constructor(links: LinkTable, tell: (message: TrackedNews) => void) {
    this.#links = links;
    this.#tell = tell;
  }

  /** Takes over what a configuration says; whoever runs is weighed again afterwards. */
  configure(tracking: Tracking): void {
    this.#tracking = tracking;
    for (const text of tracking.says) this.#log("warning", text);
  }

  /** Takes over what was heard. */
  note(results: readonly TrackResult[]): void {
    for (const { kind, name, reading } of results) this.#readings.set(`${kind} ${name}`, reading);
  }

  /** Makes the effective priority of an instance current; whether it has changed. */
  weigh(running: Weighed): boolean {
    const { instance, router } = running;
    const trackers = this.#tracking.of[instance.name];
    const { priority } = router;
    if (trackers === undefined) {
      running.standing = undefined;
      if (instance.priority === priority) return false;
    }
    const next = standing(instance.priority, trackers ?? [], (one) => this.#read(one));
    if (trackers !== undefined) running.standing = next;
    if (next.priority === priority) return false;
    running.router = { ...router, priority: next.priority };
    this.#explain(running, next, priority);
    return true;
  }

  #log(level: LogLevel, text: string): void {
    this.#tell({ type: "log", level, text });
  }

  #explain(running: Weighed, next: Standing, before: number): void {
    const { name } = running.instance;
    const { priority } = next;
    this.#log("info", `(${name}) Changing effective priority from ${before} to ${priority}`);
    if (next.contributions.length > 0) {
      this.#log("info", `(${name}) Priority is ${explainPriority(next)}`);
    }
    const stuck = stuckBy(running, next, before);
    if (stuck !== undefined) {
      const rival = `${stuck.peer} has ${stuck.peerPriority}, the best priority heard of a peer`;
      const advice = `the weight is too small by ${stuck.missing}`;
      this.#log("warning", `(${name}) No failover will happen: ${rival} - ${advice}`);
    }
    const { name: state } = running.state;
    const isWanted = running.instance.notify_priority_changes === true;
    // Before its first state only who asks for every change wants to know.
    if (state === "INIT" && !isWanted) return;
    const { base, contributions } = next;
    this.#tell({
      type: "priority",
      instance: name,
      state,
      priority,
      isWanted,
      base,
      contributions: contributions.map(({ tracker, points }) => ({
        of: nameTracker(tracker),
        points,
      })),
      ...(stuck === undefined ? {} : { stuck }),
    });
  }

  /** Why what an instance tracks keeps it from taking part. */
  faultOf({ standing: known, state }: Weighed): FaultReason | undefined {
    if (known === undefined) return undefined;
    if (known.faults.length > 0) return "tracked";
    // Whoever takes part already goes on until the script has returned.
    return known.isPending && state.name === "INIT" ? SCRIPT_PENDING : undefined;
  }

  /** Says in the log what keeps an instance from taking part, all of it, whenever that changes. */
  explainFault(running: Weighed, fault: FaultReason | undefined): void {
    const { standing: known, instance, vmac, why: before } = running;
    const bad = (known?.faults ?? []).map((one) => describeTracker(one, this.#read(one)));
    const other = fault === undefined || fault === "tracked"
      ? []
      : [explainFault(fault, instance, "", vmac)];
    running.why = [...other, ...bad].join(", ");
    if (running.why === before || running.why === "") return;
    const still = before === "" ? "" : "still in FAULT: ";
    this.#log("warning", `(${instance.name}) ${still}${running.why}`);
  }

  #read(tracker: Tracker): Reading {
    const { kind, name } = tracker;
    if (kind !== "interface") return this.#readings.get(`${kind} ${name}`);
    return this.#links.works(name);
  }
}
