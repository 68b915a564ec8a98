/** Which group has which mark, what is marked, and the tables that say so. */

import { expect, test } from "bun:test";
import { balancingOf, realServer, virtualServer } from "../../test/support/balancing.ts";
import { formatAddress, parseAddress } from "../lib/address.ts";
import { messages } from "../netlink/message.ts";
import { makeMarkingTable } from "./marking.ts";
import {
  assignMarks,
  familiesOf,
  type MarkedRange,
  type Marks,
  rangesOf,
  withoutOverlap,
} from "./marks.ts";

const group = (name: string, ...members: string[]): string =>
  `virtual_server_group ${name} {\n${members.join("\n")}\n}\n`;
const server = (name: string, protocol = "TCP"): string =>
  virtualServer(realServer(), `group ${name}`, `lb_algo rr\nlb_kind NAT\nprotocol ${protocol}`);
const marking = (more = ""): string => `global_defs {\nnftables_ipvs\n${more}\n}\n`;

function marksOf(text: string, before?: Marks): Marks | undefined {
  return assignMarks(balancingOf(text), before);
}

const ONE = group("A", "192.0.2.1 80") + server("A");
const TWO = group("B", "192.0.2.2 80", "192.0.2.3-9 81") + server("B") + server("B", "UDP");

test("a mark for each group and protocol, in the order of the servers", () => {
  expect(marksOf(ONE + TWO)).toBeUndefined();
  expect(marksOf(marking() + TWO + ONE)).toEqual({ "B TCP": 1000, "B UDP": 1001, "A TCP": 1002 });
  expect(marksOf(marking("nftables_ipvs_start_fwmark 7") + ONE + TWO))
    .toEqual({ "A TCP": 7, "B TCP": 8, "B UDP": 9 });
});

test("marks that somebody else sets are left to them, and their groups alone", () => {
  const other = virtualServer(realServer(), "fwmark 1000") +
    group("C", "fwmark 1001", "192.0.2.77 80") + server("C");
  expect(marksOf(marking() + ONE + other)).toEqual({ "A TCP": 1002 });
  const last = marking("nftables_ipvs_start_fwmark 4294967295");
  expect(marksOf(last + TWO)).toEqual({ "B TCP": 4294967295 });
});

test("what has a mark keeps it", () => {
  const before = marksOf(marking() + ONE + TWO);
  expect(marksOf(marking() + TWO + ONE, before)).toEqual(before!);
  const after = marksOf(marking() + group("N", "192.0.2.99 80") + server("N") + TWO, before);
  expect(after).toEqual({ "B TCP": 1001, "B UDP": 1002, "N TCP": 1000 });
  expect(marksOf(marking("nftables_ipvs_start_fwmark 1002") + ONE + TWO, before))
    .toEqual({ "B UDP": 1002, "A TCP": 1003, "B TCP": 1004 });
});

test("what is marked: addresses and ranges with their port, of both families", () => {
  const entries = [
    { type: "address", address: "192.0.2.1", port: 80 },
    { type: "range", first: "2001:db8::1", last: "2001:db8::9", port: 0 },
  ] as const;
  expect(familiesOf(entries)).toEqual([4, 6]);
  const found = rangesOf({ protocol: "SCTP" }, entries, 5).map(({ first, last, ...rest }) => ({
    from: `${formatAddress(first)}-${formatAddress(last)}`,
    ...rest,
  }));
  expect(found).toEqual([
    { from: "192.0.2.1-192.0.2.1", protocol: 132, port: 80, mark: 5 },
    { from: "2001:db8::1-2001:db8::9", protocol: 132, port: 0, mark: 5 },
  ]);
});

const range = (text: string, mark: number): MarkedRange => {
  const [first = "", last = first] = text.split("-").map((one) => parseAddress(one)!);
  return { protocol: 6, first: first as Uint8Array, last: last as Uint8Array, port: 80, mark };
};

test("what two have in common is the first one's", () => {
  const rows: [ranges: string[], expected: string][] = [
    [
      ["10.0.0.5", "10.0.0.1-10.0.0.9"],
      "10.0.0.1-10.0.0.4=1 10.0.0.5-10.0.0.5=0 10.0.0.6-10.0.0.9=1",
    ],
    [["10.0.0.1-10.0.0.9", "10.0.0.5"], "10.0.0.1-10.0.0.9=0"],
    [["10.0.0.5-10.0.0.7", "10.0.0.1-10.0.0.6"], "10.0.0.1-10.0.0.4=1 10.0.0.5-10.0.0.7=0"],
    [["10.0.0.5-10.0.0.7", "10.0.0.6-10.0.1.0"], "10.0.0.5-10.0.0.7=0 10.0.0.8-10.0.1.0=1"],
    [
      ["10.0.0.255", "10.0.1.1", "10.0.0.254-10.0.1.2"],
      "10.0.0.254-10.0.0.254=2 10.0.0.255-10.0.0.255=0 10.0.1.0-10.0.1.0=2 " +
      "10.0.1.1-10.0.1.1=1 10.0.1.2-10.0.1.2=2",
    ],
    [
      ["255.255.255.255", "255.255.255.250-255.255.255.255", "0.0.0.0"],
      "0.0.0.0-0.0.0.0=2 255.255.255.250-255.255.255.254=1 255.255.255.255-255.255.255.255=0",
    ],
    [
      ["ffff::-ffff::1", "ffff::ffff", "ffff::-ffff::ffff"],
      "ffff::-ffff::1=0 ffff::2-ffff::fffe=2 ffff::ffff-ffff::ffff=1",
    ],
  ];
  for (const [ranges, expected] of rows) {
    const placed = withoutOverlap(ranges.map((text, i) => range(text, i)));
    const shown = placed.map(({ first, last, mark }) =>
      `${formatAddress(first)}-${formatAddress(last)}=${mark}`
    );
    expect(shown.join(" ")).toBe(expected);
  }
});

test("any two of many are apart, and nothing is lost", () => {
  const ranges = Array.from({ length: 60 }, (_, i) => {
    const first = (i * 37) % 200;
    return range(`10.0.0.${first}-10.0.0.${Math.min(255, first + (i * 13) % 50)}`, i);
  });
  const placed = withoutOverlap(ranges);
  for (let i = 0; i < 256; i++) {
    const isIn = ({ first, last }: MarkedRange): boolean => first[3]! <= i && i <= last[3]!;
    expect(placed.filter(isIn).map(({ mark }) => mark))
      .toEqual(ranges.filter(isIn).slice(0, 1).map(({ mark }) => mark));
  }
});

test("a family without anything to mark has no table", () => {
  const settings = { table: "t", priority: -1, counters: false };
  const types = (family: 4 | 6): number[] =>
    makeMarkingTable(settings, family, [range("10.0.0.1", 7)])
      .map((bytes) => [...messages(bytes)][0]!.type & 0xff);
  // Table, no table, table, a map, its members, a chain, a rule; and no table.
  expect(types(4)).toEqual([0, 2, 0, 9, 12, 3, 6]);
  expect(types(6)).toEqual([2]);
});
