/**
 * vrrp_startup_delay and vrrp_delay_after_boot: until a moment nothing is sent, received or changed. Only the
 * start of the process is held up; what a reload adds starts at once.
 */

import type { VrrpGlobals } from "../config/vrrp.ts";
import type { Alarm, Loop } from "../loop.ts";

/** The moment before which nothing starts. */
export class StartDelay {
  readonly #loop: Loop;
  readonly #release: (now: number) => void;
  #until: number | undefined;

  /** `release` is called when the time is over. */
  constructor(loop: Loop, release: (now: number) => void) {
    this.#loop = loop;
    this.#release = release;
  }

  /** Whether nothing starts yet. */
  isHolding(now: number): boolean {
    return (this.#until ?? now) > now;
  }

  /** The start is not held up if it was not until now. */
  settle(now: number): void {
    this.#until ??= now;
  }

  /** Heeds the first configuration; the seconds that the start is held up for, 0 for none. */
  begin(globals: VrrpGlobals, now: number): number {
    if (this.#until !== undefined) return 0;
    // The monotonic clock begins with the machine.
    const { vrrp_startup_delay = 0, vrrp_delay_after_boot = 0 } = globals;
    this.#until = Math.max(now + vrrp_startup_delay, vrrp_delay_after_boot);
    if (this.#until <= now) return 0;
    const alarm: Alarm = { dueAt: Infinity, heapIndex: -1, fire: (at) => this.#release(at) };
    this.#loop.schedule(alarm, this.#until);
    return (this.#until - now) / 1_000_000;
  }
}
