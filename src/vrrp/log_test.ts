/** The phrases, letter for letter: people and programs match on them. */

import { expect, test } from "bun:test";
import { instanceWith, virtualAddress } from "../../test/support/instances.ts";
import { parseTable } from "../../test/support/table.ts";
import { parseAddress } from "../lib/address.ts";
import { type Held, heldAddresses } from "./addresses.ts";
import { freshBackup, freshMaster } from "./moves.ts";
import type { Note, State } from "./state.ts";
import { virtualRouter } from "./instance.ts";
import {
  addressListLines,
  announcementLines,
  type Line,
  noteLine,
  repairLine,
  retreatLine,
  transitionLines,
} from "./log.ts";

const bytes = (text: string): Uint8Array => parseAddress(text)!;
const ROUTER = virtualRouter(
  instanceWith({ version: 3, advert_int: 500_000, preempt_delay: 1_500_000 }),
  bytes("192.0.2.1"),
);

/** A line as `level: text`, with what is for -D in brackets. */
const show = ({ level, text, detail }: Line): string => `${level}: ${detail ? `[${text}]` : text}`;

const { activeAdverIntervalUs: _none, ...BACKUP } = freshBackup(0);
const STATES: Readonly<Record<string, State>> = {
  "INIT": { name: "INIT" },
  "FAULT": { name: "FAULT" },
  "MASTER": freshMaster(0),
  "BACKUP that heard nobody": { ...BACKUP, activeAdverIntervalUs: undefined },
  "BACKUP of our interval": { ...BACKUP, activeAdverIntervalUs: 500_000 },
  "BACKUP of another interval": { ...BACKUP, activeAdverIntervalUs: 1_250_000 },
};

const TRANSITIONS = `
from                       | to     | lines
INIT                       | MASTER | info: (V) Entering MASTER STATE
INIT                       | BACKUP | info: (V) Entering BACKUP STATE (init)
INIT                       | FAULT  | info: (V) Entering FAULT STATE (init)
BACKUP that heard nobody   | MASTER | info: (V) Entering MASTER STATE
BACKUP of our interval     | MASTER | info: (V) Entering MASTER STATE
BACKUP of another interval | MASTER | info: (V) Entering MASTER STATE; info: [(V) changing advert interval from 1250ms to locally configured 500ms]
BACKUP of our interval     | FAULT  | info: (V) Entering FAULT STATE
MASTER                     | BACKUP | info: (V) Entering BACKUP STATE
MASTER                     | FAULT  | info: (V) Entering FAULT STATE
FAULT                      | BACKUP | info: (V) Entering BACKUP STATE
FAULT                      | MASTER | info: (V) Entering MASTER STATE
MASTER                     | INIT   |
BACKUP of our interval     | INIT   |
`;

for (const row of parseTable(["from", "to", "lines"], TRANSITIONS)) {
  test(`${row.from} → ${row.to}: ${row.lines}`, () => {
    const to = STATES[row.to === "BACKUP" ? "BACKUP of our interval" : row.to]!;
    const lines = transitionLines("V", ROUTER, STATES[row.from]!, to);
    expect(lines.map(show).join("; ")).toBe(row.lines);
  });
}

const NOTES: Record<Note, string> = {
  "timeout": "info: [(V) Receive advertisement timeout]",
  "higher-priority":
    "info: (V) Master received advert from 192.0.2.9 with higher priority 77, ours 100",
  "same-priority-higher-address":
    "info: (V) Master received advert from 192.0.2.9 with same priority 77 but higher IP address than ours",
  "same-priority-same-address":
    "warning: (V) WARNING - equal priority advert received from remote host with our IP address.",
  "lower-priority-asserted":
    "info: (V) Received advert from 192.0.2.9 with lower priority 77, ours 100, forcing new election",
  "lower-priority-discarded":
    "info: (V) received lower priority (77) advert from 192.0.2.9 - discarding",
  "priority-zero-as-master": "info: [(V) Master received priority 0 message]",
  "priority-zero-as-backup": "info: [(V) Backup received priority 0 advertisement]",
  "interval-learned": "info: [(V) advertisement interval updated from 500ms to 40950ms by master]",
  "stalled":
    "warning: (V) Did not run in time: no advert was sent for 40.950 s - still MASTER, announcing the addresses again",
  "timer-expired":
    "warning: (V) Did not run in time: no advert was sent for 40.950 s - giving way to whoever has taken over",
  "owner-lowered":
    "warning: (V) Another address owner, 192.0.2.9, goes on advertising priority 77 - lowering our priority to 254 until it is gone",
  "owner-restored": "info: (V) The other address owner is gone - restoring priority 100",
  "preempt-delay": "info: [(V) start preempt delay (1.500000)]",
};

for (const [name, text] of Object.entries(NOTES)) {
  test(`${name}: ${text}`, () => {
    const note = name as Note;
    const line = noteLine("V", ROUTER, {
      type: "note",
      note,
      source: bytes("192.0.2.9"),
      priority: 77,
      fromUs: 500_000,
      toUs: 40_950_000,
    });
    expect(show(line)).toBe(text);
  });
}

const A = bytes("10.0.0.1");
const B = bytes("10.0.0.2");
const C = bytes("10.0.0.3");

/** What an instance has, what an advert says, and what is wrong with that. */
const LISTS: [title: string, expected: Uint8Array[], received: Uint8Array[], lines: string[]][] = [
  ["the same", [A, B], [A, B], []],
  ["another order", [A, B], [B, A], []],
  ["none at all", [], [], []],
  ["fewer", [A, B], [A], ["(V) received an unexpected ip number count 1, expected 2!"]],
  ["more", [A], [A, B, C], ["(V) received an unexpected ip number count 3, expected 1!"]],
  ["some where there are none", [], [A], [
    "(V) received an unexpected ip number count 1, expected 0!",
  ]],
  ["one is missing", [A, B], [A, C], [
    "(V) ip address associated with VRID 7 not present in MASTER advert: 10.0.0.2",
  ]],
  ["all are missing", [A, B], [C, C], [
    "(V) ip address associated with VRID 7 not present in MASTER advert: 10.0.0.1",
    "(V) ip address associated with VRID 7 not present in MASTER advert: 10.0.0.2",
  ]],
  ["an IPv6 one is missing", [bytes("2001:db8::1")], [bytes("2001:db8::2")], [
    "(V) ip address associated with VRID 7 not present in MASTER advert: 2001:db8::1",
  ]],
];

for (const [title, expected, received, lines] of LISTS) {
  test(`the addresses of an advert: ${title}`, () => {
    expect(addressListLines(instanceWith(), expected, received)).toEqual(lines);
  });
}

test("announcements: what begins, then each of them", () => {
  const instance = instanceWith({
    virtual_ipaddress: [virtualAddress("10.0.0.1", { dev: "eth1" }), virtualAddress("2001:db8::1")],
  });
  const [four, six] = heldAddresses(instance) as [Held, Held];
  expect(announcementLines("V", four, 2)).toEqual([
    "(V) Sending/queueing gratuitous ARPs on eth1 for 10.0.0.1",
    "Sending gratuitous ARP on eth1 for 10.0.0.1",
    "Sending gratuitous ARP on eth1 for 10.0.0.1",
  ]);
  expect(announcementLines("V", six, 1)).toEqual([
    "(V) Sending/queueing Unsolicited Neighbour Adverts on eth0 for 2001:db8::1",
    "Sending unsolicited Neighbour Advert on eth0 for 2001:db8::1",
  ]);
});

test("removals by others: what, by whom, how often, and what follows", () => {
  const instance = instanceWith({
    virtual_ipaddress: [virtualAddress("10.0.0.1", { prefixLength: 24 })],
  });
  const [held] = heldAddresses(instance) as [Held];
  const removed = "(V) address 10.0.0.1/24 on eth0 was removed by dhclient (process 7)";
  const who = "by dhclient (process 7)";
  expect(repairLine("V", held, who, 1)).toBe(`${removed} - put back`);
  expect(repairLine("V", held, who, 4)).toBe(`${removed} - put back (4 times in 10 s)`);
  expect(retreatLine("V", held, who, 10))
    .toBe(`${removed}, and again after 10 repairs in 10 s - leaving MASTER`);
  expect(retreatLine("V", held, who, 0)).toBe(`${removed} - leaving MASTER`);
  expect(retreatLine("V", held, who, undefined))
    .toBe(`${removed}, and cannot be put back - leaving MASTER`);
});
