/**
 * What a route tells TCP and IP about the way (RTAX_* of linux/rtnetlink.h): a nest of 32-bit
 * numbers, one text, and a mask of those the kernel must not change by what it learns.
 */

import { AttributeReader, type AttributeWriter } from "./message.ts";

const RTAX_LOCK = 1;
const RTAX_HOPLIMIT = 10;
const RTAX_CC_ALGO = 16;

/** linux/rtnetlink.h, by our names. */
const NUMBERS = {
  mtu: 2,
  window: 3,
  rtt: 4,
  rttvar: 5,
  ssthresh: 6,
  cwnd: 7,
  advmss: 8,
  reordering: 9,
  hoplimit: RTAX_HOPLIMIT,
  initcwnd: 11,
  features: 12,
  rtoMin: 13,
  initrwnd: 14,
  quickack: 15,
  fastopenNoCookie: 17,
} as const;

/** A metric that is a number. */
type NumberName = keyof typeof NUMBERS;

/** A metric that can be locked. */
export type MetricName = NumberName | "congctl";

/** RTAX_FEATURE_ECN: offers ECN to this destination whatever the sysctl says. */
export const RTAX_FEATURE_ECN = 1;

/** The metrics of a route; what is absent is left to the kernel. */
export interface RouteMetrics {
  /** Path MTU in bytes. */
  readonly mtu?: number;
  /** Largest window to advertise, in bytes. */
  readonly window?: number;
  /** Round-trip time, in the kernel's unit of 1/8 ms. */
  readonly rtt?: number;
  /** Its variance, in the kernel's unit of 1/4 ms. */
  readonly rttvar?: number;
  /** Slow start threshold in segments. */
  readonly ssthresh?: number;
  /** Largest congestion window in segments; heard only when locked. */
  readonly cwnd?: number;
  /** Largest segment to advertise, in bytes. */
  readonly advmss?: number;
  /** How far segments may be out of order. */
  readonly reordering?: number;
  /** Hop limit of what is sent, 1 to 255. */
  readonly hoplimit?: number;
  /** Congestion window at the start, in segments. */
  readonly initcwnd?: number;
  /** RTAX_FEATURE_*. */
  readonly features?: number;
  /** Shortest retransmission timeout in ms. */
  readonly rtoMin?: number;
  /** Receive window at the start, in segments. */
  readonly initrwnd?: number;
  /** 1: acknowledges at once. */
  readonly quickack?: number;
  /** 1: TCP fast open without a cookie. */
  readonly fastopenNoCookie?: number;
  /** Name of the congestion control, at most 15 bytes. */
  readonly congctl?: string;
  /** Those that the kernel must not change by what it learns. */
  readonly locked?: readonly MetricName[];
}

const ROWS = Object.entries(NUMBERS) as [NumberName, number][];

function bitOf(name: MetricName): number {
  return 1 << (name === "congctl" ? RTAX_CC_ALGO : NUMBERS[name]);
}

/** Appends the attributes inside an RTA_METRICS. */
export function writeMetrics(w: AttributeWriter, metrics: RouteMetrics): void {
  for (const [name, number] of ROWS) {
    const value = metrics[name];
    if (value !== undefined) w.u32(number, value);
  }
  const { congctl } = metrics;
  if (congctl !== undefined) w.bytes(RTAX_CC_ALGO, new TextEncoder().encode(congctl));
  const mask = (metrics.locked ?? []).reduce((bits, name) => bits | bitOf(name), 0);
  if (mask !== 0) w.u32(RTAX_LOCK, mask);
}

/** The metrics inside an RTA_METRICS; what is malformed sets the reader's `short`. */
export function readMetrics(r: AttributeReader): RouteMetrics {
  const seen: { -readonly [K in keyof RouteMetrics]?: RouteMetrics[K] } = {};
  let mask = 0;
  while (r.next()) {
    const name = ROWS.find(([, number]) => number === r.type)?.[0];
    if (name !== undefined) seen[name] = r.u32();
    else if (r.type === RTAX_CC_ALGO) seen.congctl = r.text();
    else if (r.type === RTAX_LOCK) mask = r.u32();
  }
  const all: MetricName[] = [...ROWS.map(([name]) => name), "congctl"];
  const locked = all.filter((name) => (mask & bitOf(name)) !== 0);
  return locked.length === 0 ? seen : { ...seen, locked };
}

/** The most that the kernel keeps (net/ipv4/metrics.c); what is more becomes this. */
const MOST: Readonly<Partial<Record<NumberName, number>>> = {
  advmss: 65535 - 40,
  mtu: 65535 - 15,
  hoplimit: 255,
};

/** Whether the kernel's metrics are the wanted ones; a wish for 0 is none. */
export function areMetricsAsWanted(there: RouteMetrics = {}, wanted: RouteMetrics = {}): boolean {
  const wish = (name: NumberName): number => Math.min(wanted[name] ?? 0, MOST[name] ?? Infinity);
  if (ROWS.some(([name]) => (there[name] ?? 0) !== wish(name))) return false;
  if (there.congctl !== wanted.congctl) return false;
  const mask = (metrics: RouteMetrics): string => [...new Set(metrics.locked)].sort().join();
  return mask(there) === mask(wanted);
}
