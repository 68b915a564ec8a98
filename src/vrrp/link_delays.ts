/**
 * `interface_up_down_delays`: a link that fails or comes back is believed only when it has stayed so for a
 * while. Pure: what is believed of each link, and until when.
 */

import type { UpDownDelay } from "../config/vrrp.ts";

interface Belief {
  works: boolean;
  /** When the other state counts, if it lasts; Infinity while there is no other. */
  changesAt: number;
}

/** What is believed of links with a delay. */
export class LinkDelays {
  readonly #delays = new Map<string, UpDownDelay>();
  readonly #beliefs = new Map<string, Belief>();

  /** The delays are these; what is believed of links that still have one stays. */
  configure(delays: readonly UpDownDelay[]): void {
    this.#delays.clear();
    for (const delay of delays) this.#delays.set(delay.interface, delay);
    for (const name of this.#beliefs.keys()) {
      if (!this.#delays.has(name)) this.#beliefs.delete(name);
    }
  }

  /** Whether a link counts as working that really `works` or does not, at `now`. */
  judge(name: string, works: boolean, now: number): boolean {
    const delay = this.#delays.get(name);
    if (delay === undefined) return works;
    const belief = this.#beliefs.get(name);
    if (belief === undefined) {
      this.#beliefs.set(name, { works, changesAt: Infinity });
      return works;
    }
    if (belief.works === works) belief.changesAt = Infinity;
    else if (belief.changesAt === Infinity) {
      belief.changesAt = now + (works ? delay.up : delay.down);
    }
    if (belief.changesAt <= now) Object.assign(belief, { works, changesAt: Infinity });
    return belief.works;
  }

  /** When a link that has changed will be believed; Infinity for none. */
  get dueAt(): number {
    return Math.min(Infinity, ...[...this.#beliefs.values()].map(({ changesAt }) => changesAt));
  }
}
