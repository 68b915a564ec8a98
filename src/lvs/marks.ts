/**
 * Groups of virtual servers that are one service each (`nftables_ipvs`): what goes to an address of the group
 * is marked, and the service is for the mark. Which group has which mark, and which addresses that are.
 */

import type { Config } from "../config/load.ts";
import type { GroupEntry, VirtualServer } from "../config/lvs.ts";
import {
  type Address,
  compareAddress,
  type Family,
  familyOf,
  parseAddress,
} from "../lib/address.ts";

/** Marks of groups, by {@link markKey}. */
export type Marks = Readonly<Record<string, number>>;

const FIRST_MARK = 1000;
const LAST_MARK = 0xffff_ffff;
const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** What is marked: all from `first` to `last` of one port, or of any. */
export interface MarkedRange {
  readonly protocol: 6 | 17 | 132;
  readonly first: Address;
  readonly last: Address;
  /** 0 is any. */
  readonly port: number;
  readonly mark: number;
}

/** What a mark belongs to: a group, and a protocol. Undefined for a server without a group. */
export function markKey({ target, protocol }: VirtualServer): string | undefined {
  return target.type === "group" ? `${target.group} ${protocol ?? "UDP"}` : undefined;
}

/**
 * The marks of a configuration: the first that are free, in the order of the servers; what had one `before` keeps
 * it, so that its connections live on. Undefined when nothing is marked.
 */
export function assignMarks(
  config: Pick<Config, "globals" | "virtual_servers" | "virtual_server_groups">,
  before: Marks = {},
): Marks | undefined {
  const { globals, virtual_servers = [], virtual_server_groups = [] } = config;
  if (globals.nftables_ipvs === undefined) return undefined;
  const first = globals.nftables_ipvs_start_fwmark ?? FIRST_MARK;
  const taken = usedMarks(config);
  const marked = new Set(
    virtual_server_groups.filter(({ entries }) => entries.length > 0 && entries.every(isAddress))
      .map(({ name }) => name),
  );
  const keys = new Set(
    virtual_servers.flatMap((server) => {
      const { target } = server;
      return target.type === "group" && marked.has(target.group) ? [markKey(server)!] : [];
    }),
  );
  const marks: Record<string, number> = {};
  for (const key of keys) {
    const mark = before[key];
    if (mark === undefined || mark < first || taken.has(mark)) continue;
    marks[key] = mark;
    taken.add(mark);
  }
  let next = first;
  for (const key of keys) {
    if (marks[key] !== undefined) continue;
    while (taken.has(next)) next++;
    if (next > LAST_MARK) break;
    marks[key] = next++;
  }
  return marks;
}

function isAddress({ type }: GroupEntry): boolean {
  return type !== "fwmark";
}

/** The marks that somebody else sets. */
function usedMarks(
  { virtual_servers = [], virtual_server_groups = [] }: Pick<
    Config,
    "virtual_servers" | "virtual_server_groups"
  >,
): Set<number> {
  const ofServers = virtual_servers.flatMap(({ target }) =>
    target.type === "fwmark" ? [target.fwmark] : []
  );
  const ofGroups = virtual_server_groups.flatMap(({ entries }) =>
    entries.flatMap((entry) => entry.type === "fwmark" ? [entry.fwmark] : [])
  );
  return new Set([...ofServers, ...ofGroups]);
}

/** What is to be marked so that a service for the mark gets what goes to a group. */
export function rangesOf(
  { protocol }: Pick<VirtualServer, "protocol">,
  entries: readonly GroupEntry[],
  mark: number,
): MarkedRange[] {
  return entries.flatMap((entry) => {
    if (entry.type === "fwmark") return [];
    const [first, last] = entry.type === "address"
      ? [entry.address, entry.address]
      : [entry.first, entry.last];
    return [{
      protocol: PROTOCOLS[protocol ?? "UDP"],
      first: parseAddress(first)!,
      last: parseAddress(last)!,
      port: entry.port,
      mark,
    }];
  });
}

/** The families of a group's addresses. */
export function familiesOf(entries: readonly GroupEntry[]): Family[] {
  const found = new Set<Family>();
  for (const entry of entries) {
    if (entry.type !== "fwmark") {
      found.add(familyOf(parseAddress(entry.type === "address" ? entry.address : entry.first)!));
    }
  }
  return [...found];
}

/**
 * Ranges of one protocol and port without what two of them have in common, which is the earlier one's, in the
 * order of their addresses.
 */
export function withoutOverlap(ranges: readonly MarkedRange[]): MarkedRange[] {
  const placed: MarkedRange[] = [];
  for (const range of ranges) {
    let at = firstReaching(placed, range.first);
    for (let { first } = range; compareAddress(first, range.last) <= 0; at++) {
      const next = placed[at];
      if (next === undefined || compareAddress(next.first, range.last) > 0) {
        placed.splice(at, 0, { ...range, first });
        break;
      }
      if (compareAddress(first, next.first) < 0) {
        placed.splice(at++, 0, { ...range, first, last: neighbour(next.first, -1)! });
      }
      const beyond = neighbour(next.last, 1);
      if (beyond === undefined) break;
      first = beyond;
    }
  }
  return placed;
}

/** The index of the first of disjoint ranges, in order, that ends at an address or behind it. */
function firstReaching(placed: readonly MarkedRange[], address: Address): number {
  let [low, high] = [0, placed.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareAddress(placed[middle]!.last, address) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The address behind or before another; undefined at the end of all. */
function neighbour(address: Address, step: 1 | -1): Address | undefined {
  const next = address.slice();
  const wraps = step === 1 ? 0xff : 0;
  let at = next.length - 1;
  while (at >= 0 && next[at] === wraps) next[at--] = 0xff - wraps;
  if (at < 0) return undefined;
  next[at]! += step;
  return next;
}
