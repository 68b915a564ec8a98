/**
 * What IPVS counts for a service or a destination (IPVS_STATS_ATTR_* of linux/ip_vs.h). The kernel
 * sends it twice: with 32 bits, where packet counts wrap, and since Linux 4.1 with 64.
 */

import type { AttributeReader } from "./message.ts";

/** What has come by since the start or the last reset; the rates are averages of the last seconds. */
export interface Stats {
  readonly connections: bigint;
  readonly inPackets: bigint;
  readonly outPackets: bigint;
  readonly inBytes: bigint;
  readonly outBytes: bigint;
  readonly connectionsPerSecond: bigint;
  readonly inPacketsPerSecond: bigint;
  readonly outPacketsPerSecond: bigint;
  readonly inBytesPerSecond: bigint;
  readonly outBytesPerSecond: bigint;
}

/** IPVS_STATS_ATTR_*, from 1 on. */
const NAMES: readonly (keyof Stats)[] = [
  "connections",
  "inPackets",
  "outPackets",
  "inBytes",
  "outBytes",
  "connectionsPerSecond",
  "inPacketsPerSecond",
  "outPacketsPerSecond",
  "inBytesPerSecond",
  "outBytesPerSecond",
];

/** The counts that have 64 bits in either form. */
const WIDE: readonly (keyof Stats)[] = ["inBytes", "outBytes"];

const NOTHING: Stats = {
  connections: 0n,
  inPackets: 0n,
  outPackets: 0n,
  inBytes: 0n,
  outBytes: 0n,
  connectionsPerSecond: 0n,
  inPacketsPerSecond: 0n,
  outPacketsPerSecond: 0n,
  inBytesPerSecond: 0n,
  outBytesPerSecond: 0n,
};

/** Collects the statistics of one object, the wider form when both are there. */
export class StatsReader {
  #stats: Stats = NOTHING;
  #isWide = false;

  /** Takes the attribute that the reader stands at, which holds the form with 64 bits or the other. */
  read(r: AttributeReader, isWide: boolean): void {
    r.nest((inside) => {
      const seen: { -readonly [K in keyof Stats]: Stats[K] } = { ...NOTHING };
      while (inside.next()) {
        const name = NAMES[inside.type - 1];
        if (name === undefined) continue; // padding
        seen[name] = isWide || WIDE.includes(name) ? inside.u64() : BigInt(inside.u32());
      }
      if (isWide || !this.#isWide) this.#stats = seen;
      this.#isWide ||= isWide;
    });
  }

  /** What was read; zeros when the kernel sent nothing. */
  finish(): Stats {
    return this.#stats;
  }
}
