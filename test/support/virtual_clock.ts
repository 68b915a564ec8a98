/** Time for tests that must not wait. */

/** A clock that moves when a test says so, and fires what is due on its way. */
export class VirtualClock {
  /** Microseconds. */
  #now: number;
  #timers: { readonly at: number; readonly fire: () => void }[] = [];

  constructor(now = 0) {
    this.#now = now;
  }

  /** The moment, in microseconds. */
  now(): number {
    return this.#now;
  }

  /** Calls `fire` after so many microseconds; the result calls that off. */
  after(us: number, fire: () => void): () => void {
    const timer = { at: this.#now + us, fire };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** Lets so many microseconds pass. */
  pass(us: number): void {
    const end = this.#now + us;
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.#now = Math.max(this.#now, due.at);
      due.fire();
    }
    this.#now = end;
  }

  /** The machine stands still for so long: what was due happens late. */
  stall(us: number): void {
    this.#now += us;
    this.pass(0);
  }
}
