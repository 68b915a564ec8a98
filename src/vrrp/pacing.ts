/**
 * The pace of announcements: links, or groups of links, on which gratuitous ARPs or neighbour advertisements
 * must keep a distance (vrrp_garp_interval, vrrp_gna_interval, garp_group). What has to wait waits in a queue
 * with a deadline; nothing here blocks.
 */

import type { VrrpGlobals } from "../config/vrrp.ts";

/** Some frames of one kind that wait for their turns. */
export interface Waiting<Frame> {
  readonly owner: string;
  readonly frame: Frame;
  remaining: number;
}

/** A turn that is late by no more than this makes up for it; an idle time does not count. */
const MADE_UP_US = 5000;
/** However short the interval, no turn sends more than this. */
const MOST_AT_ONCE = 64;

/** One queue: every address has its turn before any has its second. */
export class PacedQueue<Frame> {
  /** Between two frames. */
  readonly intervalUs: number;
  #waiting: Waiting<Frame>[] = [];
  #nextAt = -Infinity;

  /** `intervalUs` is more than 0. */
  constructor(intervalUs: number) {
    this.intervalUs = intervalUs;
  }

  /** When the next frame may leave; Infinity when none waits. */
  get dueAt(): number {
    return this.#waiting.length === 0 ? Infinity : this.#nextAt;
  }

  /** Adds `repeat` frames. */
  push(owner: string, frame: Frame, repeat: number): void {
    if (repeat > 0) this.#waiting.push({ owner, frame, remaining: repeat });
  }

  /** Takes back what `owner` has queued. */
  drop(owner: string): void {
    this.#waiting = this.#waiting.filter((one) => one.owner !== owner);
  }

  /** The frames that may leave at `now`. */
  take(now: number): Frame[] {
    const frames: Frame[] = [];
    while (this.#waiting.length > 0 && this.#nextAt <= now && frames.length < MOST_AT_ONCE) {
      const next = this.#waiting.shift()!;
      frames.push(next.frame);
      if (--next.remaining > 0) this.#waiting.push(next);
      const isLate = now - this.#nextAt <= MADE_UP_US;
      this.#nextAt = (isLate ? this.#nextAt : now) + this.intervalUs;
    }
    return frames;
  }
}

/** Which pace a link keeps. */
export interface Pace {
  /** Links with the same key share their queue. */
  readonly key: string;
  /** 0 is as fast as can be. */
  readonly intervalUs: number;
}

/** The pace of one kind of announcement on a link: its garp_group's if that says one, else its own. */
export function paceOf(globals: VrrpGlobals, device: string, isV4: boolean): Pace {
  const keyword = isV4 ? "garp_interval" : "gna_interval";
  const groups = globals.garp_groups ?? [];
  const index = groups.findIndex(({ interfaces }) => interfaces.includes(device));
  const grouped = groups[index]?.[keyword];
  if (grouped !== undefined) return { key: `${keyword} group ${index}`, intervalUs: grouped };
  const intervalUs = (isV4 ? globals.vrrp_garp_interval : globals.vrrp_gna_interval) ?? 0;
  return { key: `${keyword} ${device}`, intervalUs };
}
