/**
 * What a role does while it has nothing else to do: it collects garbage. A collection in the middle of a
 * thousand adverts would delay the rest of them.
 */

import { collectAll, collectYoung } from "../../ffi/collector.ts";
import type { Loop } from "../loop.ts";

/** After so many steps there is a megabyte of old states about; the collector would wake up at 1.5 MB. */
const LITTER = 6_000;
/** How long nothing may be due for a small collection. */
const PAUSE_US = 3_000;
/** So many changes of state leave several megabytes. */
const UPHEAVAL = 100;
/** How long it must be over, and how long nothing may be due, for a whole collection. */
const QUIET_US = 1_000_000;
const LONG_PAUSE_US = 100_000;

/** A small collection and a whole one. */
export interface Collectors {
  young(): void;
  all(): void;
}

/** Counts what makes garbage. */
export class Leisure {
  readonly #loop: Pick<Loop, "now" | "earliestAt">;
  readonly #collect: Collectors;
  #steps = 0;
  #changes = 0;
  #changedAt = 0;

  /** `collect` is what collects; the runtime does unless a test says otherwise. */
  constructor(
    loop: Pick<Loop, "now" | "earliestAt">,
    collect: Collectors = { young: collectYoung, all: collectAll },
  ) {
    this.#loop = loop;
    this.#collect = collect;
  }

  /** A machine has made a step, to another state or not. */
  note(isChange: boolean): void {
    this.#steps++;
    if (!isChange) return;
    this.#changes++;
    this.#changedAt = this.#loop.now;
  }

  /** What was counted since the start was no upheaval. */
  forget(): void {
    this.#changes = 0;
  }

  /** The end of a turn: collects if there is enough to collect, and the time. */
  rest(now: number): void {
    const isUpset = this.#changes >= UPHEAVAL && now - this.#changedAt >= QUIET_US;
    if (!isUpset && this.#steps < LITTER) return;
    const pauseUs = this.#loop.earliestAt - now;
    if (isUpset && pauseUs >= LONG_PAUSE_US) {
      this.#changes = 0;
      this.#steps = 0;
      this.#collect.all();
    } else if (this.#steps >= LITTER && pauseUs >= PAUSE_US) {
      this.#steps = 0;
      this.#collect.young();
    }
  }
}
