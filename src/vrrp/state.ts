/**
 * The values of the VRRP state machine (fsm.ts): the router it is about, its states, what can happen to
 * it and what it wants done.
 *
 * RFC 9568 §6.4 speaks of Active and Backup; states here have the names operators know, MASTER and BACKUP,
 * and FAULT is keepalived's: a router that must not take part.
 */

import type { Address } from "../lib/address.ts";

/** What the machine needs to know of a virtual router. Durations in microseconds. */
export interface VirtualRouter {
  readonly version: 2 | 3;
  /** 1 to 255, as advertised; 255 is the address owner. */
  readonly priority: number;
  /** Advertisement_Interval. */
  readonly advertisementIntervalUs: number;
  /** Where between two points of the grid its adverts leave: 0 to 7, see gridPoint. */
  readonly lane: number;
  /** Missed adverts before a take-over: 3 in the RFC. */
  readonly downTimerAdverts: number;
  /** Preempt_Mode. */
  readonly preempt: boolean;
  /** How long a lower-priority MASTER is tolerated before it is preempted; 0 is not at all. */
  readonly preemptDelayUs: number;
  /** An address owner configured as MASTER skips BACKUP at start. */
  readonly startsAsMaster: boolean;
  /** A MASTER leaves a lower-priority advert unanswered, as before RFC 9568. */
  readonly lowerPriorityNoAdvert: boolean;
  /** A MASTER sends one more advert before it yields to a higher priority. */
  readonly higherPrioritySendAdvert: boolean;
  /** A MASTER that was silent longer than a router of this priority waits steps down; undefined: never. */
  readonly timerExpiredPriority: number | undefined;
  /** Our own address as peers see it; decides between equal priorities. */
  readonly address: Address;
  readonly garp: GarpPolicy;
}

/** When and how often the addresses are announced by gratuitous ARP or neighbour advertisement. */
export interface GarpPolicy {
  /** Announcements per burst, at least 1. */
  readonly repeat: number;
  /** From the first burst to the second; 0 means there is no second. */
  readonly delayUs: number;
  /** Between refreshing bursts while MASTER; 0 means none. */
  readonly refreshUs: number;
  readonly refreshRepeat: number;
  /** The burst after a lower-priority advert was heard as MASTER; 0 means none. */
  readonly lowerPriorityRepeat: number;
  readonly lowerPriorityDelayUs: number;
}

/** The state of one virtual router. Moments are on the monotonic clock. */
export type State = Init | Fault | Backup | Master;

/** Before start and after stop. */
export interface Init {
  readonly name: "INIT";
}

/** Something this router depends on is broken. */
export interface Fault {
  readonly name: "FAULT";
}

/** Listening to a MASTER, or waiting for its silence to last long enough. */
export interface Backup {
  readonly name: "BACKUP";
  /** When Active_Down_Timer was last set. */
  readonly heardAt: number;
  /** The last advert said goodbye (priority 0): wait Skew_Time only. */
  readonly leaving: boolean;
  /** Active_Adver_Interval; undefined until a MASTER has told us its own. */
  readonly activeAdverIntervalUs: number | undefined;
  /** The end of preempt_delay, once a lower-priority advert has started it. */
  readonly preemptAt: number | undefined;
  /** An owner that gave way to another owner, until that one is gone. */
  readonly lowered: boolean;
}

/** Holding the addresses. */
export interface Master {
  readonly name: "MASTER";
  /** When the last regular advert was due; Adver_Timer ends one interval later. */
  readonly advertisedAt: number;
  /** When the last advert really left, early or late: what the peers count from. */
  readonly sentAt: number;
  /** When the addresses were last announced as a matter of course. */
  readonly announcedAt: number;
  /** The delayed second burst is over; only refreshes follow. */
  readonly settled: boolean;
  /** When a lower-priority advert was answered, until the delayed burst for it is over. */
  readonly assertedAt: number | undefined;
  /** Another owner with a lower address: since when, and when it was last heard. */
  readonly rival: { readonly since: number; readonly heardAt: number } | undefined;
}

/** What can happen to a virtual router. */
export type Event =
  | { readonly type: "startup" }
  | { readonly type: "shutdown" }
  | { readonly type: "timer" }
  | {
    readonly type: "advert";
    readonly priority: number;
    readonly source: Address;
    /** The interval in the advert; version 2 compares it before the machine sees it. */
    readonly advertisementIntervalUs: number;
  }
  /** A link, an address or a tracked object is broken. */
  | { readonly type: "fault" }
  /** Nothing is broken any more. */
  | { readonly type: "recovery" }
  /** We are MASTER already: a predecessor of this process died and its last advert is still valid. */
  | { readonly type: "adoption" }
  /** The router is another one than before, and the peers should know: priority or interval. */
  | { readonly type: "reconfiguration" };

/** An advert that counts. */
export type AdvertEvent = Extract<Event, { type: "advert" }>;

/** What is to be done, in this order. */
export type Action =
  /** Send an advert. */
  | { readonly type: "advert"; readonly priority: number }
  /** Put the virtual addresses on their links. */
  | { readonly type: "add" }
  /** Take them away. */
  | { readonly type: "remove" }
  /** Tell the neighbours, `repeat` times. */
  | { readonly type: "announce"; readonly repeat: number }
  /** The state has changed: for logs, scripts and those who watch. */
  | { readonly type: "transition"; readonly from: State["name"]; readonly to: State["name"] }
  /** The operator should know; `why` is one of a fixed set, formatted by log.ts. */
  | NoteAction;

/** What the operator should know. */
export interface NoteAction {
  readonly type: "note";
  readonly note: Note;
  readonly priority: number;
  readonly source: Address;
  /** Of "interval-learned": the interval before and after. Of a stall: 0, and how long it was. */
  readonly fromUs?: number;
  readonly toUs?: number;
}

/** What the machine noticed and did not turn into a transition. */
export type Note =
  | "timeout"
  | "higher-priority"
  | "same-priority-higher-address"
  | "same-priority-same-address"
  | "lower-priority-asserted"
  | "lower-priority-discarded"
  | "priority-zero-as-master"
  | "priority-zero-as-backup"
  | "interval-learned"
  | "preempt-delay"
  /** We did not run for longer than the peers wait. */
  | "stalled"
  /** The same, and timer_expired_backup makes us give way. */
  | "timer-expired"
  /** Another owner goes on being MASTER: we count as 254 and give way, */
  | "owner-lowered"
  /** until it is gone. */
  | "owner-restored";

/** A new state and what it takes to get there. */
export interface Step {
  readonly state: State;
  readonly actions: readonly Action[];
}
