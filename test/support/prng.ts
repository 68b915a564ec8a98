/**
 * Randomness that repeats: the same seed gives the same numbers on every machine (mulberry32, one
 * 32-bit word of state).
 */

/** A seeded source of random choices. */
export interface Prng {
  /** At least 0, below 1. */
  fraction(): number;
  /** An integer from `least` to `most`, both included. */
  integer(least: number, most: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  /** One of the items, of which there must be some. */
  pick<Item>(items: readonly Item[]): Item;
  /** The items in random order. */
  shuffle<Item>(items: readonly Item[]): Item[];
}

/** A source of its own for each seed; neighbouring seeds have nothing in common. */
export function prng(seed: number): Prng {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const integer = (least: number, most: number): number =>
    least + Math.floor(fraction() * (most - least + 1));
  return {
    fraction,
    integer,
    chance: (probability) => fraction() < probability,
    pick: (items) => items[integer(0, items.length - 1)]!,
    shuffle: (items) => {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = integer(0, i);
        [out[i], out[j]] = [out[j]!, out[i]!];
      }
      return out;
    },
  };
}
