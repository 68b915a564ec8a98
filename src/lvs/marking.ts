/**
 * The tables of nftables that mark what goes to groups of virtual servers, as keepalived has them: for each
 * family a chain `in`, and for each protocol a map from address and port to the mark.
 */

import type { Address, Family } from "../lib/address.ts";
import {
  type Element,
  encodeDeleteTable,
  NFT_SET_INTERVAL,
  type Table,
} from "../netlink/nftables.ts";
import { NFT_REG_1, partRegister } from "../netlink/nft_expression.ts";
import {
  DESTINATION4,
  DESTINATION6,
  host32,
  is,
  load,
  loadMeta,
  TableBuilder,
} from "../netlink/nft_table.ts";
import { type MarkedRange, withoutOverlap } from "./marks.ts";

/** What the configuration says of the tables. Plain JSON. */
export interface MarkingSettings {
  readonly table: string;
  readonly priority: number;
  readonly counters: boolean;
}

const PROTOCOLS = [[6, "tcp"], [17, "udp"], [132, "sctp"]] as const;
const LAST_PORT = 0xffff;

/** The table of a family. */
export function markingTable({ table: name }: MarkingSettings, family: Family): Table {
  return { family: family === 4 ? "ip" : "ip6", name };
}

/** Makes the table of a family, in place of one that may be there; nothing but its removal when it marks nothing. */
export function makeMarkingTable(
  settings: MarkingSettings,
  family: Family,
  ranges: readonly MarkedRange[],
): Uint8Array[] {
  const { priority, counters } = settings;
  const table = markingTable(settings, family);
  const length = family === 4 ? 4 : 16;
  const builder = new TableBuilder(table, { priority, counters });
  builder.hooked("in");
  const own = ranges.filter(({ first }) => first.length === length);
  if (own.length === 0) return [encodeDeleteTable(table)];
  // Who is asked for by port comes before who takes any.
  for (const isAny of [false, true]) {
    for (const [number, name] of PROTOCOLS) {
      const elements = elementsOf(
        own.filter(({ protocol, port }) => protocol === number && (port === 0) === isAny),
      );
      if (elements.length === 0) continue;
      const map = isAny ? `${name}_any_port_map` : `${name}_map`;
      const key = [family === 4 ? "ipv4_addr" : "ipv6_addr", "inet_service"] as const;
      builder.set({ name: map, key, data: "mark", flags: NFT_SET_INTERVAL }, elements);
      builder.rule("in", [
        loadMeta("l4proto"),
        is(Uint8Array.of(number)),
        family === 4 ? DESTINATION4 : DESTINATION6,
        load("transport", 2, 2, partRegister(length)),
        { type: "lookup", set: map, from: NFT_REG_1, to: NFT_REG_1 },
        { type: "set meta", key: "mark", from: NFT_REG_1 },
      ], { type: "return" });
    }
  }
  return builder.messages();
}

function elementsOf(ranges: readonly MarkedRange[]): Element[] {
  const byPort = Map.groupBy(ranges, ({ port }) => port);
  return [...byPort].flatMap(([port, list]) =>
    withoutOverlap(list).map(({ first, last, mark }) => ({
      key: keyOf(first, port),
      lastKey: keyOf(last, port === 0 ? LAST_PORT : port),
      data: host32(mark),
    }))
  );
}

/** Each part is padded to 4 bytes. */
function keyOf(address: Address, port: number): Uint8Array {
  return Uint8Array.of(...address, port >> 8, port & 0xff, 0, 0);
}
