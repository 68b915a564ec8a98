/**
 * What a bench has found: per figure and player the median, the extremes and how many, and ratios of
 * the medians; as text for people, as one object for programs.
 */

import { lookAtMachine, type Machine, PLAYERS, PROGRAMS, progress, versionOf } from "./observe.ts";

/** A machine that is busier than this before or after makes its figures doubtful. */
const BUSY = 0.1;

/** What is told of a series of values. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
  readonly values: readonly number[];
}

interface Figure {
  readonly unit: string;
  readonly players: Map<string, number[]>;
}

/** Collects figures and prints them; the machine is looked at when it begins and when it ends. */
export class Report {
  readonly #figures = new Map<string, Figure>();
  readonly #remarks: string[] = [];
  readonly #ratios: readonly (readonly [string, string])[];
  readonly #json: boolean;
  readonly #start: Machine;
  #printed = 0;

  private constructor(
    start: Machine,
    ratios: readonly (readonly [string, string])[],
    json: boolean,
  ) {
    this.#start = start;
    this.#ratios = ratios;
    this.#json = json;
  }

  /** Begins one; `ratios` are pairs of players, always with upkeep over keepalived as the first. */
  static async begin(
    title: string,
    json: boolean,
    ratios: readonly (readonly [string, string])[] = [],
  ): Promise<Report> {
    const start = await lookAtMachine();
    const report = new Report(start, [["upkeep", "keepalived"], ...ratios], json);
    const { kernel, cpus } = start;
    report.#say(`${title}\n${kernel}, ${cpus}; ${load(start)} at the start\n`);
    report.#say(`${PLAYERS.map((player) => versionOf(PROGRAMS[player])).join(" beside ")}\n`);
    if (start.busy > BUSY) {
      report.remark("The machine was busy before we began: the figures are worse than its own.");
    }
    return report;
  }

  /** Adds a value. A figure is named once for all its players; units are ms, µs or MiB or a word. */
  add(figure: string, unit: string, player: string, value: number): void {
    const { players } = this.#figures.getOrInsertComputed(
      figure,
      () => ({ unit, players: new Map() }),
    );
    players.getOrInsertComputed(player, () => []).push(value);
  }

  /** Adds a sentence that a reader of the figures has to know. */
  remark(text: string): void {
    if (this.#remarks.includes(text)) return;
    this.#remarks.push(text);
    this.#say(`  ! ${text}\n`);
  }

  /** Prints, under a heading, the figures added since the last time. */
  print(heading = ""): void {
    progress("");
    if (heading !== "") this.#say(`\n${heading}\n`);
    for (const [name, figure] of [...this.#figures].slice(this.#printed)) {
      this.#say(`\n  ${name} [${figure.unit}]\n${this.#rows(figure)}`);
    }
    this.#printed = this.#figures.size;
  }

  /** The last words: the machine again, or everything as one JSON object. */
  async end(): Promise<void> {
    const end = await lookAtMachine();
    this.#say(`\n${load(end)} at the end\n`);
    if (end.busy > BUSY) this.remark("The machine was busy when we ended: others ran beside us.");
    if (!this.#json) return;
    const figures = [...this.#figures].map(([name, { unit, players }]) => ({
      name,
      unit,
      players: Object.fromEntries([...players].map(([who, values]) => [who, summarize(values)])),
      ratios: Object.fromEntries(this.#ratiosOf(players)),
    }));
    const { kernel, cpus } = this.#start;
    const machine = { kernel, cpus, start: busyness(this.#start), end: busyness(end) };
    const text = JSON.stringify({ machine, figures, remarks: this.#remarks }, null, 2);
    process.stdout.write(`${text}\n`);
  }

  #rows({ unit, players }: Figure): string {
    const width = Math.max(...[...players.keys()].map((name) => name.length));
    const number = (value: number): string => value.toFixed(DIGITS[unit] ?? 0).padStart(10);
    const rows = [...players].map(([name, values]) => {
      const { median, min, max, runs } = summarize(values);
      const spread = runs === 1 ? "" : `  min ${number(min)}  max ${number(max)}`;
      const what = runs === 1 ? "" : "median ";
      return `    ${name.padEnd(width)}  ${what}${number(median)}${spread}  n=${runs}\n`;
    });
    const ratios = this.#ratiosOf(players).map(([name, ratio]) =>
      `    ${name} ${ratio === null ? "says nothing here" : ratio.toFixed(2)}\n`
    );
    return [...rows, ...ratios].join("");
  }

  /** null where a median is not positive: a quotient would be nonsense. */
  #ratiosOf(players: ReadonlyMap<string, number[]>): [string, number | null][] {
    return this.#ratios.filter((pair) => pair.every((name) => players.has(name))).map((pair) => {
      const [ours, theirs] = pair.map((name) => summarize(players.get(name)!).median);
      return [pair.join("/"), ours! > 0 && theirs! > 0 ? ours! / theirs! : null];
    });
  }

  #say(text: string): void {
    if (!this.#json) process.stdout.write(text);
  }
}

const DIGITS: Readonly<Record<string, number>> = { ms: 3, "µs": 1, MiB: 2, KiB: 1 };

/** Median (of an even number: the mean of the middle two), extremes and number of some values. */
export function summarize(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, runs: values.length, values };
}

/** The value that the given share of the values, 0 to 1, does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

function load(machine: Machine): string {
  return `load ${machine.load.toFixed(2)}, CPUs ${(machine.busy * 100).toFixed(0)} % busy`;
}

function busyness({ load, busy }: Machine): { load: number; busy: number } {
  return { load, busy };
}
