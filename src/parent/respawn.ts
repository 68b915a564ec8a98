/** When a role that died is started again: pure arithmetic. */

import type { Config } from "../config/load.ts";

/** A role that lived this long is started again at once. */
const SETTLED_US = 60_000_000;
const LONGEST_SECONDS = 60;

/** The next delay in seconds: 0, 1, 2, 4 … 60, and 0 again after a life of more than a minute. */
export function nextDelay(lastDelay: number | undefined, livedUs: number): number {
  if (lastDelay === undefined || livedUs > SETTLED_US) return 0;
  return lastDelay === 0 ? 1 : Math.min(LONGEST_SECONDS, lastDelay * 2);
}

/** Exit statuses that mean: starting again would not help. */
export function isPermanent(status: number): boolean {
  return status === 1 || status === 2 || status === 4;
}

/**
 * How long peers wait at the very least before one of them takes over (three of the shortest
 * intervals): a role that is away for longer must not leave its addresses behind.
 */
export function patienceUs(config: Config): number {
  return 3 * Math.min(Infinity, ...config.vrrp_instances.map((one) => one.advert_int));
}
