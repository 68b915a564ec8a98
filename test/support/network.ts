/**
 * One link between a few nodes, without a clock: messages are lost, delayed, duplicated, overtake
 * each other and fail to cross cuts, all by a seeded source. Time is an argument.
 */

import type { Prng } from "./prng.ts";

/** What happens to messages on their way. */
export interface Weather {
  /** The probability that a message does not reach one of its receivers. */
  readonly loss: number;
  /** The probability that it arrives twice. */
  readonly duplication: number;
  /** Each copy takes 0 to this long. */
  readonly maxDelayUs: number;
}

/** A message about to arrive. */
export interface Delivery<Message> {
  readonly at: number;
  readonly to: number;
  readonly message: Message;
}

/** Nodes are numbered from 0; a message goes to all others that it can reach. */
export class Network<Message> {
  weather: Weather = { loss: 0, duplication: 0, maxDelayUs: 0 };
  readonly #random: Prng;
  readonly #size: number;
  /** Directed cuts as `from * size + to`. */
  readonly #cuts = new Set<number>();
  #flying: Delivery<Message>[] = [];

  constructor(random: Prng, size: number) {
    this.#random = random;
    this.#size = size;
  }

  /** When the next message arrives; Infinity when none is under way. */
  get earliestAt(): number {
    return this.#flying.reduce((earliest, { at }) => Math.min(earliest, at), Infinity);
  }

  /** Messages from `from` no longer reach `to`; the other direction is not touched. */
  cut(from: number, to: number): void {
    this.#cuts.add(from * this.#size + to);
  }

  /** Undoes every cut. */
  mend(): void {
    this.#cuts.clear();
  }

  /** Sends to every other node; a cut matters now, not on arrival. */
  send(from: number, message: Message, now: number): void {
    for (let to = 0; to < this.#size; to++) {
      if (to === from || this.#cuts.has(from * this.#size + to)) continue;
      if (this.#random.chance(this.weather.loss)) continue;
      const copies = this.#random.chance(this.weather.duplication) ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        const at = now + this.#random.integer(0, this.weather.maxDelayUs);
        this.#flying.push({ at, to, message });
      }
    }
  }

  /** Takes what has arrived by `now`, earliest first, in order of sending among equals. */
  receive(now: number): Delivery<Message>[] {
    const arrived = this.#flying.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
    if (arrived.length > 0) this.#flying = this.#flying.filter(({ at }) => at > now);
    return arrived;
  }
}
