/**
 * What an instance tracks, and what becomes of its priority: every tracked object that has a weight moves
 * it, one without a weight puts the instance into FAULT while it is bad. Pure; the result carries why it is
 * what it is, so that a log line, a page or a script can tell.
 *
 * keepalived's rules. A weight above 0 counts while the object is good, one below 0 while it is bad, and
 * `reverse` turns the sign round. The number in a file is multiplied by its weight. The sum is kept between
 * 1 and 254; an owner (255) never changes.
 */

const OWNER = 255;
const LOWEST = 1;
const HIGHEST = 254;
/** A file that takes away so much, or more, is a FAULT; */
const FATAL = -254;
/** one file adds at most this. */
const MOST_GAIN = 253;

/** What can be tracked. */
export type TrackerKind = "script" | "interface" | "file" | "process" | "bfd";

/** One thing an instance depends on; plain JSON. */
export interface Tracker {
  readonly kind: TrackerKind;
  readonly name: string;
  /** -254 to 254; 0 is FAULT while it is bad. */
  readonly weight: number;
  readonly reverse: boolean;
  /** Of a BFD session or a script that counts as bad until it was heard of. */
  readonly startsBad?: true;
}

/**
 * What is known of a tracked object: whether it is good, or the number in a file. "disabled": it cannot be
 * watched, and counts as not tracked. Undefined: nothing is known yet.
 */
export type Reading = boolean | number | "disabled" | undefined;

/** What became of a tracked object; plain JSON. */
export interface TrackResult {
  readonly kind: TrackerKind;
  readonly name: string;
  readonly reading: boolean | number | "disabled";
}

/** What one object does to a priority; never 0. */
export interface Contribution {
  readonly tracker: Tracker;
  readonly points: number;
}

/** The priority of an instance, and how it comes about. */
export interface Standing {
  /** As configured. */
  readonly base: number;
  readonly contributions: readonly Contribution[];
  /** Effective priority: 1 to 254, or 255 for an owner. */
  readonly priority: number;
  /** What keeps it in FAULT. */
  readonly faults: readonly Tracker[];
  /** A script that could keep it in FAULT has not returned yet, or nobody has looked at a process or file. */
  readonly isPending: boolean;
}

/** The standing of an instance with this configured priority. */
export function standing(
  base: number,
  trackers: readonly Tracker[],
  read: (tracker: Tracker) => Reading,
): Standing {
  const contributions: Contribution[] = [];
  const faults: Tracker[] = [];
  let isPending = false;
  for (const tracker of trackers) {
    const reading = read(tracker) ?? (tracker.startsBad === true ? false : undefined);
    if (reading === "disabled") continue;
    if (reading === undefined) {
      if (isLookedAt(tracker) || (tracker.kind === "script" && tracker.weight === 0)) {
        isPending = true;
      }
      continue;
    }
    const points = pointsOf(tracker, reading);
    if (points === "fault") faults.push(tracker);
    else if (points !== 0 && base !== OWNER) contributions.push({ tracker, points });
  }
  const sum = contributions.reduce((total, { points }) => total + points, base);
  const priority = base === OWNER ? OWNER : Math.min(HIGHEST, Math.max(LOWEST, sum));
  return { base, contributions, priority, faults, isPending };
}

/** Whether all there is to be known of an object is known at once. */
function isLookedAt({ kind }: Tracker): boolean {
  return kind === "process" || kind === "file";
}

/** What a tracker does to the priority; "fault" when it takes its instance out of the election. */
function pointsOf({ weight, reverse }: Tracker, reading: boolean | number): number | "fault" {
  if (typeof reading === "number") {
    if (weight === 0) return (reading !== 0) !== reverse ? "fault" : 0;
    const points = reading * (reverse ? -weight : weight);
    return points <= FATAL ? "fault" : Math.min(MOST_GAIN, points);
  }
  if (weight === 0) return reading === reverse ? "fault" : 0;
  const counts = weight > 0 ? reading : !reading;
  if (!counts) return 0;
  return reverse ? -weight : weight;
}

/** A tracker as the log names it: `script check`. */
export function nameTracker({ kind, name }: Tracker): string {
  return kind === "bfd" ? `BFD session ${name}` : `${kind} ${name}`;
}

/** The state of a tracked object in words: `script check fails`, `interface eth1 is down`. */
export function describeTracker(tracker: Tracker, reading: Reading): string {
  const name = nameTracker(tracker);
  if (typeof reading === "number") return `${name} holds ${reading}`;
  const isGood = reading === true;
  switch (tracker.kind) {
    case "script":
      return `${name} ${isGood ? "succeeds" : "fails"}`;
    case "interface":
      return `${name} is ${isGood ? "up" : "down"}`;
    case "process":
      return `${name} ${isGood ? "runs" : "does not run"}`;
    case "bfd":
      return `${name} is ${isGood ? "Up" : "Down"}`;
    case "file":
      return name;
  }
}

/** So many terms are told apart; a line of hundreds helps nobody. */
const MOST_TERMS = 8;

/**
 * How a priority comes about: `100 - 20 (script check) + 10 (interface eth1) = 90`. Where there are many
 * terms, those that weigh most are named.
 */
export function explainPriority({ base, contributions, priority }: Standing): string {
  const isLong = contributions.length > MOST_TERMS;
  const named = !isLong ? contributions : contributions
    .toSorted((a, b) => Math.abs(b.points) - Math.abs(a.points)).slice(0, MOST_TERMS - 1);
  const total = (of: readonly Contribution[]): number =>
    of.reduce((sum, { points }) => sum + points, 0);
  const term = (points: number, what: string): string =>
    ` ${points < 0 ? "-" : "+"} ${Math.abs(points)} (${what})`;
  const terms = named.map(({ tracker, points }) => term(points, nameTracker(tracker)));
  const sum = base + total(contributions);
  if (isLong) {
    const rest = contributions.length - named.length;
    terms.push(term(sum - base - total(named), `${rest} more`));
  }
  const kept = sum === priority ? "" : `, kept at ${priority}`;
  return terms.length === 0 ? `${base} as configured` : `${base}${terms.join("")} = ${sum}${kept}`;
}

/**
 * By how many points a MASTER of this priority is too strong for a peer to take over: a peer of the same
 * priority leaves it in office. 0 when it would be replaced.
 */
export function shortfall(priority: number, peerPriority: number): number {
  return Math.max(0, priority - peerPriority + 1);
}
