/** Memory that only a start, or a reload, has needed is given back once it is over, here and in the roles. */

import { releaseStartPages } from "../../ffi/start_pages.ts";
import type { Side } from "./keeper.ts";

/** When the start is surely over; and again, when whatever it has brought with it is. */
const SETTLE_MS = 1_000;
const SETTLE_AGAIN_MS = 40_000;
/** When what that has run is compiled, and the compilers' own code is in memory for nothing. */
const COMPILED_MS = 3_000;

/** The end of a start, as far as memory is concerned. */
export class Settling {
  readonly #sides: () => readonly Side[];
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `sides` are those of the roles that there are. */
  constructor(sides: () => readonly Side[]) {
    this.#sides = sides;
  }

  /** Something has started. */
  begin(): void {
    this.#after(SETTLE_MS);
  }

  /** The daemon ends. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #after(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#settle(ms), ms);
  }

  #settle(afterMs: number): void {
    Bun.unsafe.setJITPolicy(1);
    Bun.gc(true);
    releaseStartPages();
    for (const side of this.#sides()) side.settle();
    if (afterMs < SETTLE_AGAIN_MS) this.#after(SETTLE_AGAIN_MS);
    else this.#timer = setTimeout(releaseStartPages, COMPILED_MS);
  }
}
