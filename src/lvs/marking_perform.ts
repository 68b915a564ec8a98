/**
 * Keeps the tables of marking.ts in the kernel: current whenever something has changed, made again when
 * somebody has flushed them, gone in the end. Loaded when something is to be marked.
 */

import { ENOENT } from "../../ffi/constants.ts";
import type { Family } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Alarm, Loop } from "../loop.ts";
import { encodeDeleteTable } from "../netlink/nftables.ts";
import { type Conversation, Nftables, tableKey } from "../nftables.ts";
import { makeMarkingTable, type MarkingSettings, markingTable } from "./marking.ts";
import type { MarkedRange } from "./marks.ts";

/** How often it is looked whether the tables are still there. */
const VERIFY_US = 5_000_000;
const FAMILIES = [4, 6] as const;
/** Of each family something that might be marked. */
const SAMPLES: readonly MarkedRange[] = FAMILIES.map((family) => {
  const address = new Uint8Array(family === 4 ? 4 : 16);
  return { protocol: 6, first: address, last: address, port: 1, mark: 1 };
});

type Log = (level: LogLevel, text: string) => void;

/** The tables of a process. */
export class Marking {
  readonly #loop: Pick<Loop, "schedule" | "now">;
  readonly #log: Log;
  readonly #nftables: Nftables;
  readonly #verification: Alarm;
  /** Whether the kernel can have a table of a family, as far as that is known. */
  readonly #isPossible = new Map<Family, boolean>();
  readonly #made = new Set<Family>();
  #settings: MarkingSettings | undefined;
  #ranges: readonly MarkedRange[] = [];

  /** `open` opens a socket where IPVS is; it throws SysError. */
  constructor(loop: Pick<Loop, "schedule" | "now">, log: Log, open?: () => Conversation) {
    this.#loop = loop;
    this.#log = log;
    this.#nftables = new Nftables(log, open);
    this.#verification = { dueAt: Infinity, heapIndex: -1, fire: () => this.#verify() };
  }

  /** What the tables are like from now on; undefined: there are none. Others than before begin empty. */
  configure(settings: MarkingSettings | undefined): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    this.stop();
    this.#settings = settings;
    this.#isPossible.clear();
  }

  /** Whether the kernel has what it takes to mark packets of these families; what it lacks is logged once. */
  canMark(families: readonly Family[]): boolean {
    return families.every((family) => {
      const known = this.#isPossible.get(family) ?? this.#try(family);
      this.#isPossible.set(family, known);
      return known;
    });
  }

  /** Makes a table and removes it, in one batch. */
  #try(family: Family): boolean {
    if (this.#settings === undefined) return false;
    const settings = { ...this.#settings, table: `${this.#settings.table}_test` };
    const table = markingTable(settings, family);
    const messages = makeMarkingTable(settings, family, SAMPLES);
    const doing = `trying a table like ${tableKey(markingTable(this.#settings, family))}`;
    const refusal = this.#nftables.transact([...messages, encodeDeleteTable(table)], doing);
    if (refusal === undefined) return true;
    const effect = "each address of a group gets a service of its own";
    this.#log(
      "warning",
      `Without the table ${tableKey(markingTable(this.#settings, family))} ${effect}`,
    );
    return false;
  }

  /** Marks these, and nothing else any more. */
  mark(ranges: readonly MarkedRange[]): void {
    this.#ranges = ranges;
    for (const family of FAMILIES) this.#make(family);
    this.#schedule();
  }

  #make(family: Family): void {
    const settings = this.#settings;
    if (settings === undefined) return;
    const length = family === 4 ? 4 : 16;
    const isWanted = this.#ranges.some(({ first }) => first.length === length);
    if (!isWanted && !this.#made.has(family)) return;
    const messages = makeMarkingTable(settings, family, this.#ranges);
    const doing = `making the table ${tableKey(markingTable(settings, family))}`;
    const refusal = this.#nftables.transact(messages, doing, isWanted ? 0 : ENOENT);
    if (!isWanted) this.#made.delete(family);
    else if (refusal === undefined) this.#made.add(family);
  }

  /** Whoever loads rules anew may have flushed all there were. */
  #verify(): void {
    const there = this.#nftables.tables();
    for (const family of there === undefined ? [] : FAMILIES) {
      if (!this.#made.has(family)) continue;
      const key = tableKey(markingTable(this.#settings!, family));
      if (there!.has(key)) continue;
      this.#log("warning", `Table ${key} was removed by somebody else - making it again`);
      this.#make(family);
    }
    this.#schedule();
  }

  #schedule(): void {
    const isNeeded = this.#made.size > 0;
    this.#loop.schedule(this.#verification, isNeeded ? this.#loop.now + VERIFY_US : Infinity);
  }

  /** The tables go. */
  stop(): void {
    this.mark([]);
  }
}
