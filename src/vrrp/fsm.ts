/**
 * The VRRP state machine of RFC 9568 §6.4 with keepalived's differences, as one pure function:
 * `step(router, state, event, now) → {state, actions}`.
 *
 * Two ideas carry it. A timer is not an object but a moment derived from the state and the router
 * by `deadline(router, state)`: nothing is started, cancelled or stale. And because the router (the
 * configuration) is an argument, a reload needs no event: the next deadline simply follows the new
 * interval and priority.
 *
 * §6.4 speaks of Active and Backup; states here have the names operators know, MASTER and BACKUP,
 * and FAULT is keepalived's: a router that must not take part.
 */

import { type Address, compareAddress } from "../lib/address.ts";

/** What the machine needs to know of a virtual router. Durations in microseconds. */
export interface VirtualRouter {
  readonly version: 2 | 3;
  /** 1 to 255, as advertised; 255 is the address owner. */
  readonly priority: number;
  /** Advertisement_Interval. */
  readonly advertisementIntervalUs: number;
  /** Preempt_Mode. */
  readonly preempt: boolean;
  /** How long a lower-priority MASTER is tolerated before it is preempted; 0 is not at all. */
  readonly preemptDelayUs: number;
  /** An address owner configured as MASTER skips BACKUP at start. */
  readonly startsAsMaster: boolean;
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
}

/** Holding the addresses. */
export interface Master {
  readonly name: "MASTER";
  /** When the last regular advert was due; Adver_Timer ends one interval later. */
  readonly advertisedAt: number;
  /** When the addresses were last announced as a matter of course. */
  readonly announcedAt: number;
  /** The delayed second burst is over; only refreshes follow. */
  readonly settled: boolean;
  /** When a lower-priority advert was answered, until the delayed burst for it is over. */
  readonly assertedAt: number | undefined;
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
  | { readonly type: "adoption" };

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
  | {
    readonly type: "note";
    readonly note: Note;
    readonly priority: number;
    readonly source: Address;
    /** Of "interval-learned": the interval before and after. */
    readonly fromUs?: number;
    readonly toUs?: number;
  };

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
  | "preempt-delay";

/** A new state and what it takes to get there. */
export interface Step {
  readonly state: State;
  readonly actions: readonly Action[];
}

/** Skew_Time (§6.1; version 2: RFC 3768 §6.1, always fractions of a second). */
export function skewTimeUs(router: VirtualRouter, activeAdverIntervalUs: number): number {
  const unitUs = router.version === 2 ? 1_000_000 : activeAdverIntervalUs;
  return Math.floor(((256 - router.priority) * unitUs) / 256);
}

/** Active_Down_Interval: three lost adverts and the skew. */
export function activeDownIntervalUs(router: VirtualRouter, activeAdverIntervalUs: number): number {
  return 3 * activeAdverIntervalUs + skewTimeUs(router, activeAdverIntervalUs);
}

/** When the machine wants its next `timer` event; Infinity for never. */
export function deadline(router: VirtualRouter, state: State): number {
  switch (state.name) {
    case "INIT":
    case "FAULT":
      return Infinity;
    case "BACKUP":
      return activeDownAt(router, state);
    case "MASTER":
      return Math.min(adverAt(router, state), announceAt(router, state), assertAt(router, state));
  }
}

/** Active_Down_Timer as a moment. */
export function activeDownAt(router: VirtualRouter, state: Backup): number {
  const learnedUs = router.version === 3 ? state.activeAdverIntervalUs : undefined;
  const intervalUs = learnedUs ?? router.advertisementIntervalUs;
  const waitUs = state.leaving
    ? skewTimeUs(router, intervalUs)
    : activeDownIntervalUs(router, intervalUs);
  return state.heardAt + waitUs;
}

/** Adver_Timer as a moment. */
export function adverAt(router: VirtualRouter, state: Master): number {
  return state.advertisedAt + router.advertisementIntervalUs;
}

/** The next burst as a matter of course: the second one, or a refresh; Infinity for none. */
export function announceAt(router: VirtualRouter, state: Master): number {
  const { delayUs, refreshUs } = router.garp;
  const waitUs = !state.settled && delayUs > 0 ? delayUs : refreshUs;
  return waitUs > 0 ? state.announcedAt + waitUs : Infinity;
}

/** The delayed burst after a lower-priority advert; Infinity for none. */
function assertAt(router: VirtualRouter, state: Master): number {
  const { lowerPriorityRepeat, lowerPriorityDelayUs } = router.garp;
  const isPending = state.assertedAt !== undefined && lowerPriorityRepeat > 0;
  return isPending ? state.assertedAt + lowerPriorityDelayUs : Infinity;
}

/**
 * The last point of the common grid at or before `now`. The grid is 1 % of the interval, at most
 * 10 ms: adverts counted from it share their wake-ups and sendmmsg calls with other instances', and
 * the first interval is the only one that is shorter, by less than a grid step.
 */
export function gridPoint(router: VirtualRouter, now: number): number {
  const stepUs = Math.min(10_000, Math.max(1, Math.floor(router.advertisementIntervalUs / 100)));
  return now - (now % stepUs);
}

/** One event at one moment; `now` never goes back. */
export function step(router: VirtualRouter, state: State, event: Event, now: number): Step {
  switch (state.name) {
    case "INIT":
      return init(router, state, event, now);
    case "FAULT":
      return fault(router, state, event, now);
    case "BACKUP":
      return backup(router, state, event, now);
    case "MASTER":
      return master(router, state, event, now);
  }
}

// §6.4.1 Initialize
function init(router: VirtualRouter, state: Init, event: Event, now: number): Step {
  switch (event.type) {
    case "startup":
      if (router.startsAsMaster && router.priority === 255) return toMaster(router, state, now, []);
      return toBackup(state, freshBackup(now), []);
    case "adoption":
      return adopt(router, state, now);
    case "fault":
      return toFault(state, []);
    case "shutdown":
    case "timer":
    case "advert":
    case "recovery":
      return stay(state);
  }
}

// keepalived's FAULT: adverts are ignored until everything we depend on is back.
function fault(router: VirtualRouter, state: Fault, event: Event, now: number): Step {
  switch (event.type) {
    case "recovery":
      if (!router.startsAsMaster || router.priority !== 255) {
        return toBackup(state, freshBackup(now), []);
      }
      // An owner waits one interval and its skew instead of the whole Active_Down_Interval.
      return toBackup(state, {
        ...freshBackup(now),
        heardAt: now - 2 * router.advertisementIntervalUs,
      }, []);
    case "shutdown":
      return toInit(state, []);
    case "startup":
    case "timer":
    case "advert":
    case "fault":
    case "adoption":
      return stay(state);
  }
}

// §6.4.2 Backup
function backup(router: VirtualRouter, state: Backup, event: Event, now: number): Step {
  switch (event.type) {
    case "timer":
      if (activeDownAt(router, state) > now) return stay(state);
      return toMaster(router, state, now, [note("timeout", router.priority, router.address)]);
    case "advert":
      return backupHears(router, state, event, now);
    case "fault":
      return toFault(state, []);
    case "shutdown":
      return toInit(state, []);
    case "startup":
    case "recovery":
    case "adoption":
      return stay(state);
  }
}

type Advert = Extract<Event, { type: "advert" }>;

function backupHears(router: VirtualRouter, state: Backup, advert: Advert, now: number): Step {
  const { priority, source } = advert;
  if (priority === 0) {
    // The MASTER is leaving: wait only long enough to let a better BACKUP win.
    const actions = [note("priority-zero-as-backup", priority, source)];
    return { state: { ...state, heardAt: now, leaving: true }, actions };
  }
  if (!router.preempt || priority >= router.priority) return heard(router, state, advert, now);
  if (router.preemptDelayUs > 0) {
    const preemptAt = state.preemptAt ?? now + router.preemptDelayUs;
    if (now < preemptAt) {
      const next = heard(router, { ...state, preemptAt }, advert, now);
      if (state.preemptAt !== undefined) return next;
      return { ...next, actions: [note("preempt-delay", priority, source), ...next.actions] };
    }
  }
  // Discard: our timer keeps running and we preempt.
  return { state, actions: [note("lower-priority-discarded", priority, source)] };
}

/** Sets Active_Down_Timer anew after an advert we accept. */
function heard(router: VirtualRouter, state: Backup, advert: Advert, now: number): Step {
  const isLower = advert.priority < router.priority;
  const learned = router.version === 3 ? advert.advertisementIntervalUs : undefined;
  const known = state.activeAdverIntervalUs ?? router.advertisementIntervalUs;
  const isNews = learned !== undefined && learned !== known;
  return {
    state: {
      name: "BACKUP",
      heardAt: now,
      leaving: false,
      activeAdverIntervalUs: learned,
      preemptAt: isLower ? state.preemptAt : undefined,
    },
    actions: isNews
      ? [{
        ...note("interval-learned", advert.priority, advert.source),
        fromUs: known,
        toUs: learned,
      }]
      : [],
  };
}

// §6.4.3 Active
function master(router: VirtualRouter, state: Master, event: Event, now: number): Step {
  switch (event.type) {
    case "timer":
      return masterTimer(router, state, now);
    case "advert":
      return masterHears(router, state, event, now);
    case "fault":
      return toFault(state, [{ type: "advert", priority: 0 }, { type: "remove" }]);
    case "shutdown":
      return toInit(state, [{ type: "advert", priority: 0 }, { type: "remove" }]);
    case "startup":
    case "recovery":
    case "adoption":
      return stay(state);
  }
}

function masterTimer(router: VirtualRouter, state: Master, now: number): Step {
  const { garp } = router;
  const actions: Action[] = [];
  let { advertisedAt, announcedAt, settled, assertedAt } = state;
  if (adverAt(router, state) <= now) {
    actions.push({ type: "advert", priority: router.priority });
    // After a stall the adverts that were missed are not made up for.
    const intervalUs = router.advertisementIntervalUs;
    advertisedAt += intervalUs * Math.floor((now - advertisedAt) / intervalUs);
  }
  if (announceAt(router, state) <= now) {
    const isSecond = !settled && garp.delayUs > 0;
    actions.push({ type: "announce", repeat: isSecond ? garp.repeat : garp.refreshRepeat });
    announcedAt = now;
    settled = true;
  }
  if (assertAt(router, state) <= now) {
    actions.push({ type: "announce", repeat: garp.lowerPriorityRepeat });
    assertedAt = undefined;
  }
  return { state: { name: "MASTER", advertisedAt, announcedAt, settled, assertedAt }, actions };
}

function masterHears(router: VirtualRouter, state: Master, advert: Advert, now: number): Step {
  const { priority, source } = advert;
  if (priority === 0) {
    return {
      state: { ...state, advertisedAt: gridPoint(router, now) },
      actions: [
        note("priority-zero-as-master", priority, source),
        { type: "advert", priority: router.priority },
      ],
    };
  }
  const order = compareAddress(source, router.address);
  if (priority > router.priority || (priority === router.priority && order > 0)) {
    const why = priority > router.priority ? "higher-priority" : "same-priority-higher-address";
    const learned = router.version === 3 ? advert.advertisementIntervalUs : undefined;
    return toBackup(
      state,
      { ...freshBackup(now), activeAdverIntervalUs: learned },
      [note(why, priority, source), { type: "remove" }],
    );
  }
  if (priority === router.priority && order === 0) {
    return { state, actions: [note("same-priority-same-address", priority, source)] };
  }
  return assertMastership(router, state, advert, now);
}

/** §6.4.3, since RFC 9568: answer a lower MASTER at once, and put its neighbours right. */
function assertMastership(router: VirtualRouter, state: Master, advert: Advert, now: number): Step {
  const { garp } = router;
  const actions: Action[] = [
    note("lower-priority-asserted", advert.priority, advert.source),
    { type: "advert", priority: router.priority },
  ];
  let next: Master = { ...state, advertisedAt: gridPoint(router, now) };
  if (garp.lowerPriorityRepeat > 0) {
    actions.push({ type: "announce", repeat: garp.lowerPriorityRepeat });
    if (garp.lowerPriorityDelayUs > 0) next = { ...next, assertedAt: state.assertedAt ?? now };
  }
  return { state: next, actions };
}

function freshBackup(now: number): Backup {
  return {
    name: "BACKUP",
    heardAt: now,
    leaving: false,
    activeAdverIntervalUs: undefined,
    preemptAt: undefined,
  };
}

function note(
  what: Note,
  priority: number,
  source: Address,
): Extract<Action, { type: "note" }> {
  return { type: "note", note: what, priority, source };
}

function stay(state: State): Step {
  return { state, actions: [] };
}

function toInit(from: State, before: readonly Action[]): Step {
  const transition: Action = { type: "transition", from: from.name, to: "INIT" };
  return { state: { name: "INIT" }, actions: [...before, transition] };
}

function toFault(from: State, before: readonly Action[]): Step {
  const transition: Action = { type: "transition", from: from.name, to: "FAULT" };
  return { state: { name: "FAULT" }, actions: [...before, transition] };
}

function toBackup(from: State, next: Backup, before: readonly Action[]): Step {
  const transition: Action = { type: "transition", from: from.name, to: "BACKUP" };
  return { state: next, actions: [...before, transition] };
}

/** §6.4.1 (110), §6.4.2 (330): advert first, then the addresses, then the neighbours. */
function toMaster(
  router: VirtualRouter,
  from: State,
  now: number,
  before: readonly Action[],
): Step {
  return {
    state: freshMaster(router, now),
    actions: [
      ...before,
      { type: "advert", priority: router.priority },
      { type: "add" },
      { type: "announce", repeat: router.garp.repeat },
      { type: "transition", from: from.name, to: "MASTER" },
    ],
  };
}

/** MASTER already in the eyes of the peers: one advert at once, the addresses made sure of. */
function adopt(router: VirtualRouter, from: State, now: number): Step {
  return {
    state: freshMaster(router, now),
    actions: [
      { type: "advert", priority: router.priority },
      { type: "add" },
      { type: "transition", from: from.name, to: "MASTER" },
    ],
  };
}

function freshMaster(router: VirtualRouter, now: number): Master {
  const advertisedAt = gridPoint(router, now);
  return { name: "MASTER", advertisedAt, announcedAt: now, settled: false, assertedAt: undefined };
}
