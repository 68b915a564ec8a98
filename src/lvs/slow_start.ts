/**
 * The weight of a server that has just come up: with slow_start it rises step by step, so that a server whose
 * caches are cold is not sent its whole share at once.
 */

/** Steps a ramp has at most: each is a message to the kernel. */
const STEPS = 20;

/** A weight on its way up. */
export interface RampedWeight {
  readonly weight: number;
  /** From the recovery to the next step; Infinity when the whole weight has been reached. */
  readonly nextUs: number;
}

/**
 * The weight of a server `sinceUs` after its recovery, whose whole weight is `weight` and whose slow_start
 * lasts `slowStartUs`. It begins with one step's share, never with 0, and never exceeds the whole.
 */
export function rampedWeight(weight: number, slowStartUs: number, sinceUs: number): RampedWeight {
  if (weight <= 1 || sinceUs >= slowStartUs) return { weight, nextUs: Infinity };
  const steps = Math.min(STEPS, weight);
  const step = Math.max(0, Math.floor(sinceUs * steps / slowStartUs));
  const share = Math.max(1, Math.floor(weight * (step + 1) / steps));
  if (step + 1 >= steps) return { weight, nextUs: Infinity };
  return { weight: share, nextUs: Math.ceil((step + 1) * slowStartUs / steps) };
}
