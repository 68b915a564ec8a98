/**
 * The arithmetic of elections: between which priorities an instance moves as what it tracks comes and
 * goes. The sum of base and weights is kept between 1 and 254; an owner never moves.
 */
import type { Config } from "./load.ts";
import type { Track, VrrpInstance } from "./vrrp.ts";

const OWNER = 255;
const HIGHEST = 254;

/** Something tracked that moves the priority. */
export interface Weight {
  /** Such as `track_script check`. */
  readonly what: string;
  /** What it adds while it is good (positive) or takes away while it is bad (negative); not 0. */
  readonly weight: number;
}

/** The priorities of an instance. */
export interface Range {
  /** With everything good. */
  readonly best: number;
  /** With everything bad. */
  readonly worst: number;
  readonly weights: readonly Weight[];
  /** How `worst` comes about, such as `150 - 20 = 130`. */
  readonly arithmetic: string;
}

/** An object to track, with the weight it has wherever no other is given. */
interface Tracked {
  readonly name: string;
  readonly weight: number;
  readonly reverse: boolean;
}

/**
 * The weights of an instance; what puts it into FAULT instead has none. Files are left out: what they add
 * depends on the number they hold.
 */
export function weightsOf(instance: VrrpInstance, config: Config): readonly Weight[] {
  const found: Weight[] = [];
  const add = (
    keyword: string,
    tracks: readonly Track[] = [],
    objects: readonly Tracked[] = [],
  ): void => {
    for (const track of tracks) {
      const own = objects.find(({ name }) => name === track.name);
      const { weight = 0, reverse } = track.weight === undefined ? own ?? track : track;
      if (weight === 0) continue;
      found.push({ what: `${keyword} ${track.name}`, weight: reverse ? -weight : weight });
    }
  };
  add("track_script", instance.track_script, config.vrrp_scripts);
  add("track_process", instance.track_process, config.track_processes);
  add("track_bfd", instance.track_bfd, config.bfd_instances);
  add("track_interface", instance.track_interface);
  return found;
}

/** The priorities between which an instance moves. */
export function rangeOf(instance: VrrpInstance, config: Config): Range {
  const base = instance.priority;
  const weights = weightsOf(instance, config);
  if (base === OWNER) return { best: base, worst: base, weights, arithmetic: `${base}, the owner` };
  const clamp = (sum: number): number => Math.max(1, Math.min(HIGHEST, sum));
  const gains = weights.filter(({ weight }) => weight > 0);
  const losses = weights.filter(({ weight }) => weight < 0);
  const total = (all: readonly Weight[]): number => all.reduce((sum, one) => sum + one.weight, 0);
  const best = clamp(base + total(gains));
  const worst = clamp(base + total(losses));
  const terms = losses.map(({ weight }) => ` - ${-weight}`).join("");
  const lost = gains.map(({ weight }) => ` without + ${weight}`).join("");
  const sum = base + total(losses);
  const clamped = sum === worst ? "" : `, kept at ${worst}`;
  const arithmetic = losses.length > 0
    ? `${base}${terms} = ${sum}${clamped}${lost}`
    : `${base}${lost}`;
  return { best, worst, weights, arithmetic };
}
