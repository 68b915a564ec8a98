/**
 * What simulated routers live in: a clock that jumps to whatever comes next, weather, cuts, and the story of it
 * all; and how hundreds of seeds are run.
 */

import type { Network, Weather } from "../support/network.ts";
import type { Prng } from "../support/prng.ts";

/** The slowest message, in intervals: it may be overtaken by the next two adverts. */
export const MAX_DELAY = 2;

/** The time of one scenario, and what happened when. */
export class Clock {
  now = 1_000_000_000;
  readonly #trace: string[] | undefined;
  readonly #mostTurns: number;
  #turns = 0;

  /** More than `mostTurns` mean that answers are answered for ever; `trace` receives a line per event. */
  constructor(mostTurns: number, trace: string[] | undefined) {
    this.#mostTurns = mostTurns;
    this.#trace = trace;
  }

  /** Jumps from one `earliestAt` to the next, with a turn at each, until `durationUs` has passed. */
  runFor(durationUs: number, earliestAt: () => number, turn: () => void): void {
    const end = this.now + durationUs;
    for (;;) {
      const next = earliestAt();
      if (next > end) break;
      if (++this.#turns > this.#mostTurns) throw new Error("The routers never rest");
      this.now = Math.max(this.now, next);
      turn();
    }
    this.now = end;
  }

  /** One line of the story. */
  note(line: string): void {
    this.#trace?.push(`${(this.now / 1e6).toFixed(6)} ${line}`);
  }
}

/** Anything from nothing to hardly a message in time. */
export function drawWeather(random: Prng, longestUs: number): Weather {
  return {
    loss: random.pick([0, 0.05, 0.3, 0.8]),
    duplication: random.pick([0, 0.2]),
    maxDelayUs: random.pick([0, 200, longestUs >> 2, MAX_DELAY * longestUs]),
  };
}

/** Messages arrive, and well before the next ones. */
export function drawCalm(random: Prng, shortestUs: number): Weather {
  const maxDelayUs = random.pick([0, 200, shortestUs >> 3]);
  return { loss: 0, duplication: random.pick([0, 0.2]), maxDelayUs };
}

/** Ways in which nodes lose sight of each other. */
export const CUTS = ["partition", "one-way", "pair"] as const;

/** One of {@link CUTS}. */
export type Cut = (typeof CUTS)[number];

/** Cuts a network of `size` nodes: in two, around `node` for what it sends, or between it and another one. */
export function cut<M>(
  kind: Cut,
  random: Prng,
  network: Network<M>,
  size: number,
  node: number,
): void {
  const all = Array.from({ length: size }, (_, name) => name);
  switch (kind) {
    case "partition": {
      const sides = all.map(() => random.chance(0.5));
      for (const a of all) for (const b of all) if (sides[a] !== sides[b]) network.cut(a, b);
      return;
    }
    case "one-way":
      for (const other of all) network.cut(node, other);
      return;
    case "pair": {
      // Unicast peers may lose each other while a third one hears both.
      const other = random.pick(all);
      network.cut(node, other);
      if (random.chance(0.5)) network.cut(other, node);
    }
  }
}

/** The only one; throws when there is none, or another one too. */
export function onlyMaster<Host extends { readonly name: number }>(masters: readonly Host[]): Host {
  const [master] = masters;
  if (master !== undefined && masters.length === 1) return master;
  throw new Error(`MASTER: ${masters.map(({ name }) => name).join(" and ") || "nobody"}`);
}

/** Which seeds are run: `SIM_FROM` and `SIM_SEEDS` choose others. */
export const FIRST = Number(process.env["SIM_FROM"] ?? 1);

/** How many of them. */
export function seedCount(usual: number): number {
  return Number(process.env["SIM_SEEDS"] ?? usual);
}

/**
 * Runs `count` seeds and adds up what happened. When one fails, the error has the end of its story and how to
 * replay it with `file`.
 */
export function runSeeds<Tally extends { [K in keyof Tally]: number }>(
  simulate: (seed: number, trace?: string[]) => Tally,
  count: number,
  file: string,
): Tally {
  const total: Partial<Tally> = {};
  for (let seed = FIRST; seed < FIRST + count; seed++) {
    const tally = runSeed(simulate, seed, count, file);
    for (const key of Object.keys(tally) as (keyof Tally)[]) {
      total[key] = ((total[key] ?? 0) + tally[key]) as Tally[keyof Tally];
    }
  }
  return total as Tally;
}

function runSeed<Tally>(
  simulate: (seed: number, trace?: string[]) => Tally,
  seed: number,
  count: number,
  file: string,
): Tally {
  try {
    return simulate(seed);
  } catch (error) {
    const trace: string[] = [];
    try {
      simulate(seed, trace);
    } catch {
      // The same failure again, this time with its story.
    }
    const story = trace.slice(count === 1 ? 0 : -25).join("\n  ");
    const replay = `SIM_FROM=${seed} SIM_SEEDS=1 bun test ${file}`;
    throw new Error(`${(error as Error).message}\nseed ${seed}, replay: ${replay}\n  ${story}`);
  }
}
