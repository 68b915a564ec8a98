/** What is noted of removals, and what is made of it when the turn is over. */

import { describe, expect, test } from "bun:test";
import { virtualAddress } from "../../test/support/instances.ts";
import type { VirtualAddress } from "../config/vrrp.ts";
import { type Address, parseAddress } from "../lib/address.ts";
import type { Link } from "../netlink/link.ts";
import type { Held } from "./addresses.ts";
import { LinkTable } from "./links.ts";
import type { RemovalOption } from "./repair.ts";
import { type Holder, Repairs } from "./repairs.ts";

const NOW = 1_000_000_000;
const VIP = "10.0.0.100";
const ETH0 = 2;
const PORT = 4242;

function addressOf(text: string): Address {
  return parseAddress(text)!;
}

function heldOn(device: string, address: string, rest: Partial<VirtualAddress> = {}): Held {
  return { device, address: addressOf(address), spec: virtualAddress(address, rest) };
}

function holderOf(
  held: readonly Held[],
  state = "MASTER",
  option: RemovalOption = {},
): Holder {
  return { key: "V", instance: { name: "V", ...option }, state: { name: state }, held };
}

/** eth0, up unless told otherwise, and eth1. */
function linksWith(rest: Partial<Link> = {}): LinkTable {
  const links = new LinkTable();
  for (const [index, name] of [[ETH0, "eth0"], [3, "eth1"]] as const) {
    links.setLink({
      index,
      name,
      up: true,
      running: true,
      flags: 0,
      type: 1,
      mtu: 1500,
      address: new Uint8Array(6),
      ...(index === ETH0 ? rest : {}),
    } as Link);
  }
  return links;
}

function put(links: LinkTable, address: string): void {
  links.setAddress({
    index: ETH0,
    address: addressOf(address),
    prefixLength: 32,
    scope: 0,
    flags: 0,
    preferredLifetime: 0,
    validLifetime: 0,
  });
}

const nothingComes = (): boolean => false;

interface Case {
  readonly why: string;
  readonly holder?: Holder;
  readonly link?: Partial<Link>;
  readonly isThere?: true;
  readonly isComing?: true;
  readonly where?: number;
  readonly verdicts: readonly string[];
}

const CASES: readonly Case[] = [
  { why: "a MASTER has lost it", verdicts: ["repair"] },
  {
    why: "a BACKUP does not hold it",
    holder: holderOf([heldOn("eth0", VIP)], "BACKUP"),
    verdicts: [],
  },
  { why: "FAULT", holder: holderOf([heldOn("eth0", VIP)], "FAULT"), verdicts: [] },
  { why: "another address", holder: holderOf([heldOn("eth0", "10.0.0.101")]), verdicts: [] },
  { why: "the same on another link", holder: holderOf([heldOn("eth1", VIP)]), verdicts: [] },
  { why: "from another link", where: 3, verdicts: [] },
  { why: "it is back", isThere: true, verdicts: [] },
  { why: "it is about to be added", isComing: true, verdicts: [] },
  { why: "the link is down", link: { up: false }, verdicts: [] },
  {
    why: "a link without carrier keeps what it has",
    link: { running: false },
    verdicts: ["repair"],
  },
  { why: "the link is gone", link: { name: "other" }, verdicts: [] },
  {
    why: "no_track",
    holder: holderOf([heldOn("eth0", VIP, { no_track: true })]),
    verdicts: [],
  },
  {
    why: "vip_removed step_down",
    holder: holderOf([heldOn("eth0", VIP)], "MASTER", { vip_removed: "step_down" }),
    verdicts: ["step-down"],
  },
  {
    why: "vip_removed repair",
    holder: holderOf([heldOn("eth0", VIP)], "MASTER", { vip_removed: "repair" }),
    verdicts: ["repair"],
  },
];

describe("a removal", () => {
  for (const { why, holder, link, isThere, isComing, where, verdicts } of CASES) {
    test(`${why}: ${verdicts.join() || "nothing"}`, () => {
      const links = linksWith(link);
      if (isThere) put(links, VIP);
      const repairs = new Repairs<Holder>(links);
      repairs.note({ index: where ?? ETH0, address: addressOf(VIP), port: PORT });
      expect(repairs.isPending).toBe(true);
      const holders = [holder ?? holderOf([heldOn("eth0", VIP)])];
      const losses = repairs.judge(holders, () => isComing ?? false, NOW);
      expect(losses.map(({ verdict }) => verdict)).toEqual(
        [...verdicts] as typeof losses[0]["verdict"][],
      );
      for (const loss of losses) expect(loss).toMatchObject({ holder: holders[0]!, port: PORT });
      // Judged once.
      expect(repairs.isPending).toBe(false);
      expect(repairs.judge(holders, nothingComes, NOW)).toEqual([]);
    });
  }
});

test("each address has repairs of its own, and the eleventh removal of one takes all", () => {
  const repairs = new Repairs<Holder>(linksWith());
  const holder = holderOf([heldOn("eth0", VIP), heldOn("eth0", "10.0.0.101")]);
  const lose = (...addresses: readonly string[]): string[] => {
    for (const address of addresses) {
      repairs.note({ index: ETH0, address: addressOf(address), port: PORT });
    }
    return repairs.judge([holder], nothingComes, NOW)
      .map(({ verdict, held, repairs: count }) => `${verdict} ${held.spec.address} ${count}`);
  };
  for (let count = 1; count <= 9; count++) expect(lose(VIP)).toEqual([`repair ${VIP} ${count}`]);
  expect(lose("10.0.0.101", VIP)).toEqual([`repair ${VIP} 10`, "repair 10.0.0.101 1"]);
  expect(lose("10.0.0.101")).toEqual(["repair 10.0.0.101 2"]);
  expect(lose("10.0.0.101", VIP)).toEqual([`step-down ${VIP} 10`]);
});

test("lost notifications: whatever is not there has been removed by nobody knows whom", () => {
  const links = linksWith();
  put(links, VIP);
  const repairs = new Repairs<Holder>(links);
  const holder = holderOf([heldOn("eth0", VIP), heldOn("eth0", "10.0.0.101")]);
  expect(repairs.isPending).toBe(false);
  repairs.noteMissed();
  expect(repairs.isPending).toBe(true);
  const losses = repairs.judge([holder], nothingComes, NOW);
  expect(losses.map(({ held, port }) => [held.spec.address, port])).toEqual([["10.0.0.101", 0]]);
  expect(repairs.isPending).toBe(false);
});
