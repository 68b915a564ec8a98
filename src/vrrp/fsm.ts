/**
 * The VRRP state machine of RFC 9568 §6.4 with keepalived's differences, as one pure function:
 * `step(router, state, event, now) → {state, actions}`. Its values are in state.ts, MASTER's part is in
 * fsm_master.ts.
 *
 * Two ideas carry it. A timer is not an object but a moment derived from the state and the router
 * by `deadline(router, state)` in timers.ts: nothing is started, cancelled or stale. And because the
 * router (the configuration) is an argument, a deadline follows a reload by itself.
 */

import { master } from "./fsm_master.ts";
import { adopt, freshBackup, note, stay, toBackup, toFault, toInit, toMaster } from "./moves.ts";
import type {
  Action,
  AdvertEvent,
  Backup,
  Event,
  Fault,
  Init,
  State,
  Step,
  VirtualRouter,
} from "./state.ts";
import { activeDownAt } from "./timers.ts";

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
    case "reconfiguration":
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
        heardAt: now - (router.downTimerAdverts - 1) * router.advertisementIntervalUs,
      }, []);
    case "shutdown":
      return toInit(state, []);
    case "startup":
    case "timer":
    case "advert":
    case "fault":
    case "adoption":
    case "reconfiguration":
      return stay(state);
  }
}

// §6.4.2 Backup
function backup(router: VirtualRouter, state: Backup, event: Event, now: number): Step {
  switch (event.type) {
    case "timer": {
      if (activeDownAt(router, state) > now) return stay(state);
      const { priority, address } = router;
      const why: Action[] = [note("timeout", priority, address)];
      if (state.lowered) why.push(note("owner-restored", priority, address));
      return toMaster(router, state, now, why);
    }
    case "advert":
      return backupHears(router, state, event, now);
    case "fault":
      return toFault(state, []);
    case "shutdown":
      return toInit(state, []);
    case "startup":
    case "recovery":
    case "adoption":
    case "reconfiguration":
      return stay(state);
  }
}

function backupHears(
  router: VirtualRouter,
  state: Backup,
  advert: AdvertEvent,
  now: number,
): Step {
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
function heard(router: VirtualRouter, state: Backup, advert: AdvertEvent, now: number): Step {
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
      lowered: state.lowered,
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
