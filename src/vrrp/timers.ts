/**
 * The timers of the VRRP state machine as moments derived from router and state (RFC 9568 §6.1; version 2:
 * RFC 3768 §6.1). Nothing is started, cancelled or stale, and a reload moves them by itself.
 */

import type { Backup, Master, State, VirtualRouter } from "./state.ts";

/** Skew_Time; in version 2 always fractions of a second. */
export function skewTimeUs(router: VirtualRouter, activeAdverIntervalUs: number): number {
  const unitUs = router.version === 2 ? 1_000_000 : activeAdverIntervalUs;
  return Math.floor(((256 - router.priority) * unitUs) / 256);
}

/** Active_Down_Interval: the adverts that may be lost, and the skew. */
export function activeDownIntervalUs(router: VirtualRouter, activeAdverIntervalUs: number): number {
  return router.downTimerAdverts * activeAdverIntervalUs +
    skewTimeUs(router, activeAdverIntervalUs);
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
export function assertAt(router: VirtualRouter, state: Master): number {
  const { lowerPriorityRepeat, lowerPriorityDelayUs } = router.garp;
  const isPending = state.assertedAt !== undefined && lowerPriorityRepeat > 0;
  return isPending ? state.assertedAt + lowerPriorityDelayUs : Infinity;
}
