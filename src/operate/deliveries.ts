/**
 * What waits to be delivered to one place: in order, one at a time, again after a pause that doubles when it
 * fails for a reason that may pass, and given up after a while.
 */

/** How a delivery went. */
export type Outcome =
  | "delivered"
  /** It may work later, */
  | { readonly retry: string }
  /** or never will. */
  | { readonly refused: string };

/** The world of the deliveries. */
export interface DeliverySurroundings<T> {
  /** Tries once; must not reject. */
  deliver(item: T): Promise<Outcome>;
  /** Calls `fire` after so many milliseconds; the result calls that off. */
  after(ms: number, fire: () => void): () => void;
  /** What went wrong, for the log; `isFinal`: the item is given up. */
  failed(item: T, why: string, isFinal: boolean): void;
  /** An item was delivered or given up. */
  done(item: T): void;
}

/** The first pause, and the longest. */
const FIRST_MS = 1000;
const LONGEST_MS = 60_000;
/** 1, 2, 4 … 60, 60 s: some ten minutes. */
const MOST_TRIES = 15;
/** So many may wait; beyond that the oldest are left out, which the parent says. */
const MOST_WAITING = 1000;

/** The deliveries to one place. */
export class Deliveries<T> {
  readonly #surroundings: DeliverySurroundings<T>;
  readonly #waiting: T[] = [];
  #tries = 0;
  #isTrying = false;
  /** Ends the pause. */
  #wake: (() => void) | undefined;
  #isHurried = false;
  #onIdle: (() => void)[] = [];

  constructor(surroundings: DeliverySurroundings<T>) {
    this.#surroundings = surroundings;
  }

  /** Adds something to be delivered. */
  add(item: T): void {
    this.#waiting.push(item);
    if (this.#waiting.length > MOST_WAITING) {
      // The first one is being delivered.
      const [oldest] = this.#waiting.splice(1, 1);
      this.#surroundings.done(oldest!);
    }
    if (!this.#isTrying && this.#wake === undefined) void this.#try();
  }

  /** Pauses are over: what fails once more is given up. Resolves when nothing waits. */
  async finish(): Promise<void> {
    this.#isHurried = true;
    this.#wake?.();
    if (this.#waiting.length === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  async #try(): Promise<void> {
    this.#isTrying = true;
    while (this.#waiting.length > 0 && this.#wake === undefined) {
      const item = this.#waiting[0]!;
      const outcome = await this.#surroundings.deliver(item);
      this.#tries++;
      this.#settle(item, outcome);
    }
    this.#isTrying = false;
    if (this.#waiting.length === 0) { for (const resolve of this.#onIdle.splice(0)) resolve(); }
  }

  #settle(item: T, outcome: Outcome): void {
    const why = outcome === "delivered"
      ? undefined
      : "retry" in outcome
      ? outcome.retry
      : outcome.refused;
    const mayRetry = outcome !== "delivered" && "retry" in outcome && this.#tries < MOST_TRIES;
    if (mayRetry && !this.#isHurried) {
      if (this.#tries === 1) this.#surroundings.failed(item, why!, false);
      this.#pause();
      return;
    }
    if (why !== undefined) this.#surroundings.failed(item, why, true);
    this.#tries = 0;
    this.#waiting.shift();
    this.#surroundings.done(item);
  }

  #pause(): void {
    const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#tries - 1));
    const go = (): void => {
      callOff();
      this.#wake = undefined;
      void this.#try();
    };
    const callOff = this.#surroundings.after(ms, go);
    this.#wake = go;
  }
}
