/**
 * The state machine while MASTER: RFC 9568 §6.4.3, and what keepalived adds to it: two owners, stepping
 * down after a stall (`timer_expired_backup`), silence towards lower priorities.
 *
 * A MASTER that did not run for longer than its peers wait may have been replaced. What has arrived in the
 * meantime is heard before any timer fires, so a better MASTER has its way; when there is none, we advertise
 * and announce at once, because the neighbours may have been told otherwise.
 */

import { compareAddress } from "../lib/address.ts";
import { freshBackup, LOWERED_PRIORITY, note, stay, toBackup, toFault, toInit } from "./moves.ts";
import type { Action, AdvertEvent, Event, Master, Step, VirtualRouter } from "./state.ts";
import { activeDownIntervalUs, adverAt, announceAt, assertAt } from "./timers.ts";

/** How long an owner bears with another one: two adverts of its own and 1.2 intervals more. */
const RIVAL_INTERVALS = 3.2;

/** What nearly every turn of a MASTER does: one list per priority, so that a steady turn makes none. */
const ADVERTS: (readonly Action[])[] = [];
const NOTHING: readonly Action[] = [];

function advertOf(priority: number): readonly Action[] {
  return ADVERTS[priority] ??= [{ type: "advert", priority }];
}

/** Between two points of the grid, at most. */
const GRID_US = 10_000;
const LANE_US = GRID_US / 8;

/**
 * The last point of the common grid at or before `at`: 1 % of the interval, at most 10 ms. Adverts counted
 * from it share their wake-ups and sendmmsg calls with other instances'. A thousand at once would take long
 * enough for others to want the processor meanwhile: where there is room, eight lanes share the grid.
 */
export function gridPoint({ advertisementIntervalUs, lane }: VirtualRouter, at: number): number {
  const stepUs = Math.min(GRID_US, Math.max(1, Math.floor(advertisementIntervalUs / 100)));
  const laneUs = stepUs === GRID_US ? lane * LANE_US : 0;
  return at - ((at + stepUs - laneUs) % stepUs);
}

/** §6.4.3 Active: one event at one moment. */
export function master(router: VirtualRouter, state: Master, event: Event, now: number): Step {
  switch (event.type) {
    case "timer":
      return masterTimer(router, state, now);
    case "advert":
      return masterHears(router, state, event, now);
    case "fault":
      return toFault(state, [{ type: "advert", priority: 0 }, { type: "remove" }]);
    case "shutdown":
      return toInit(state, [{ type: "advert", priority: 0 }, { type: "remove" }]);
    case "reconfiguration":
      return {
        state: { ...state, advertisedAt: now, sentAt: now },
        actions: [{ type: "advert", priority: router.priority }],
      };
    case "startup":
    case "recovery":
    case "adoption":
      return stay(state);
  }
}

function masterTimer(router: VirtualRouter, state: Master, now: number): Step {
  const { garp } = router;
  let actions = NOTHING;
  let { advertisedAt, sentAt, announcedAt, settled, assertedAt } = state;
  const dueAt = adverAt(router, state);
  if (dueAt <= now) {
    if (hasExpired(router, state, now)) return stepDown(router, state, now);
    const stall = afterStall(router, state, now);
    // After a stall the adverts that were missed are not made up for. The first interval of a term is exact,
    // the second one ends on the grid, and so do all that follow.
    const intervalUs = router.advertisementIntervalUs;
    const alignedAt = gridPoint(router, dueAt);
    advertisedAt = alignedAt + intervalUs * Math.floor((now - alignedAt) / intervalUs);
    sentAt = now;
    actions = advertOf(router.priority);
    if (stall !== undefined) {
      actions = [stall, ...actions, { type: "announce", repeat: garp.repeat }];
      announcedAt = now;
      settled = false;
    }
  }
  if (announcedAt === state.announcedAt && announceAt(router, state) <= now) {
    const isSecond = !settled && garp.delayUs > 0;
    const repeat = isSecond ? garp.repeat : garp.refreshRepeat;
    actions = [...actions, { type: "announce", repeat }];
    announcedAt = now;
    settled = true;
  }
  if (assertAt(router, state) <= now) {
    actions = [...actions, { type: "announce", repeat: garp.lowerPriorityRepeat }];
    assertedAt = undefined;
  }
  const { rival } = state;
  return {
    state: { name: "MASTER", advertisedAt, sentAt, announcedAt, settled, assertedAt, rival },
    actions,
  };
}

/** The note of a silence that was longer than a router of our priority waits; undefined for none. */
function afterStall(router: VirtualRouter, state: Master, now: number): Action | undefined {
  const silentUs = now - state.sentAt;
  if (silentUs <= activeDownIntervalUs(router, router.advertisementIntervalUs)) return undefined;
  return { ...note("stalled", router.priority, router.address), fromUs: 0, toUs: silentUs };
}

/** timer_expired_backup: a router of that priority would be MASTER by now, and we do not preempt. */
function hasExpired(router: VirtualRouter, state: Master, now: number): boolean {
  const priority = router.timerExpiredPriority;
  if (priority === undefined || router.preempt) return false;
  const other = { ...router, priority };
  return now - state.sentAt > activeDownIntervalUs(other, router.advertisementIntervalUs);
}

function stepDown(router: VirtualRouter, state: Master, now: number): Step {
  const { priority, address } = router;
  const why = { ...note("timer-expired", priority, address), fromUs: 0, toUs: now - state.sentAt };
  return toBackup(state, freshBackup(now), [why, { type: "remove" }]);
}

function masterHears(
  router: VirtualRouter,
  state: Master,
  advert: AdvertEvent,
  now: number,
): Step {
  const { priority, source } = advert;
  if (priority === 0) {
    return {
      state: { ...state, advertisedAt: now, sentAt: now },
      actions: [
        note("priority-zero-as-master", priority, source),
        { type: "advert", priority: router.priority },
      ],
    };
  }
  const order = compareAddress(source, router.address);
  if (priority > router.priority || (priority === router.priority && order > 0)) {
    const why = priority > router.priority ? "higher-priority" : "same-priority-higher-address";
    return giveWay(router, state, advert, now, [note(why, priority, source)]);
  }
  if (priority === router.priority && order === 0) {
    return { state, actions: [note("same-priority-same-address", priority, source)] };
  }
  return assertMastership(router, state, advert, now);
}

function giveWay(
  router: VirtualRouter,
  state: Master,
  advert: AdvertEvent,
  now: number,
  why: Action[],
  lowered = false,
): Step {
  const activeAdverIntervalUs = router.version === 3 ? advert.advertisementIntervalUs : undefined;
  if (router.higherPrioritySendAdvert) {
    const priority = lowered ? LOWERED_PRIORITY : router.priority;
    why.push({ type: "advert", priority });
  }
  why.push({ type: "remove" });
  return toBackup(state, { ...freshBackup(now), activeAdverIntervalUs, lowered }, why);
}

/** §6.4.3, since RFC 9568: answer a lower MASTER at once, and put its neighbours right. */
function assertMastership(
  router: VirtualRouter,
  state: Master,
  advert: AdvertEvent,
  now: number,
): Step {
  const { garp, priority } = router;
  let { rival } = state;
  if (priority === 255 && advert.priority === 255) {
    const { rival: known } = state;
    const patienceUs = activeDownIntervalUs(router, advert.advertisementIntervalUs);
    const goesOn = known !== undefined && now - known.heardAt <= patienceUs;
    rival = { since: goesOn ? known.since : now, heardAt: now };
    if (now - rival.since > RIVAL_INTERVALS * router.advertisementIntervalUs) {
      const why = note("owner-lowered", advert.priority, advert.source);
      return giveWay(router, state, advert, now, [why], true);
    }
  }
  const stall = afterStall(router, state, now);
  const actions: Action[] = [note("lower-priority-asserted", advert.priority, advert.source)];
  if (stall !== undefined) actions.push(stall);
  let next: Master = { ...state, rival };
  if (!router.lowerPriorityNoAdvert) {
    actions.push({ type: "advert", priority });
    next = { ...next, advertisedAt: now, sentAt: now };
  }
  if (stall !== undefined) next = { ...next, announcedAt: now, settled: false };
  const repeat = Math.max(garp.lowerPriorityRepeat, stall !== undefined ? garp.repeat : 0);
  if (repeat > 0) {
    actions.push({ type: "announce", repeat });
    if (garp.lowerPriorityRepeat > 0 && garp.lowerPriorityDelayUs > 0) {
      next = { ...next, assertedAt: state.assertedAt ?? now };
    }
  }
  return { state: next, actions };
}
