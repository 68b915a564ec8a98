/**
 * CLOCK_MONOTONIC and one timerfd on it. Times are integer microseconds since the clock's start, exact
 * in a double for 285 years. (epoll_pwait2 would be simpler, but needs Linux 5.11; 4.18 must work.)
 */

import { CLOCK_MONOTONIC, CLOCK_REALTIME, TFD_TIMER_ABSTIME } from "./constants.ts";
import { check, libc } from "./libc.ts";
import { Memory } from "./memory.ts";

const TFD_CLOEXEC_NONBLOCK = 0o2004000;
const timespec = new Memory(16);

/** Now on CLOCK_MONOTONIC, in whole microseconds. */
export function monotonicUs(): number {
  libc.clock_gettime(CLOCK_MONOTONIC, timespec.pointer);
  return readTimespec(timespec.view, 0);
}

/** Now on CLOCK_REALTIME, in whole microseconds since 1970. */
export function realtimeUs(): number {
  libc.clock_gettime(CLOCK_REALTIME, timespec.pointer);
  return readTimespec(timespec.view, 0);
}

/** The struct timespec at `offset`, in whole microseconds. */
export function readTimespec(view: DataView, offset: number): number {
  const seconds = view.getUint32(offset, true) + view.getInt32(offset + 4, true) * 2 ** 32;
  return seconds * 1_000_000 + Math.floor(view.getUint32(offset + 8, true) / 1000);
}

/** A timerfd that becomes readable at an absolute time on the monotonic clock. */
export class Timer {
  /** The descriptor to watch (edge-triggered, it needs no read). */
  readonly fd: number;
  readonly #spec = new Memory(32); // struct itimerspec: interval, value
  #armedAt = Infinity;

  /** Throws SysError when the kernel is out of descriptors. */
  constructor() {
    const result = libc.timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC_NONBLOCK);
    this.fd = check(result, "timerfd_create", "starting the loop's timer");
  }

  /** Fires at `at` (µs), or never for Infinity. Asking again for the same moment costs nothing. */
  arm(at: number): void {
    if (at === this.#armedAt) return;
    this.#armedAt = at;
    const { view } = this.#spec;
    // A value of zero would disarm; a moment in the past fires at once, which is what we want.
    const us = at === Infinity ? 0 : Math.max(1, at);
    const seconds = Math.floor(us / 1_000_000);
    view.setUint32(16, seconds % 2 ** 32, true);
    view.setUint32(20, Math.floor(seconds / 2 ** 32), true);
    view.setUint32(24, Math.round((us - seconds * 1_000_000) * 1000), true);
    view.setUint32(28, 0, true);
    const result = libc.timerfd_settime(this.fd, TFD_TIMER_ABSTIME, this.#spec.pointer, null);
    check(result, "timerfd_settime", "arming the loop's timer");
  }

  /** Tells that the timer has fired, so that the same moment may be armed again. */
  fired(): void {
    this.#armedAt = Infinity;
  }
}
