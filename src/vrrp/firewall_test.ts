/** The tables, message by message, against what nft sends for the same (see nftables.json). */

import { expect, test } from "bun:test";
import golden from "../../test/golden/netlink/nftables.json";
import { someChanges } from "../../test/support/nft_tables.ts";
import { parseAddress } from "../lib/address.ts";
import { messages } from "../netlink/message.ts";
import {
  addMembers,
  isIdle,
  makeTable,
  type Members,
  removeMembers,
  removeTable,
  type Structure,
  tableOf,
} from "./firewall.ts";

const ip = (text: string): Uint8Array => parseAddress(text)!;
const { eth0, "vrrp.4": vrrp4, "vrrp.6": vrrp6 } = golden.links;
const NOTHING: Members = { vmacs: [], addresses: [] };
const structure = (family: 4 | 6, rest: Partial<Structure> = {}): Structure => ({
  family,
  options: {},
  guardsVmacs: true,
  guardsAddresses: true,
  ...rest,
});

/** A message without the number of its set, which has no meaning outside of its batch. */
const plain = (bytes: Uint8Array): string =>
  bytes.toHex().replace(
    /08000a00000000..0a000d00|08000a00000000..16000d00/g,
    (found) => `08000a0000000001${found.slice(16)}`,
  );

/** nft's messages for the commands that begin with these words, sorted. */
const nfts = (...beginnings: string[]): string[] => {
  const all = someChanges(golden.links);
  const found = golden.requests.flatMap(({ command }, i) => {
    const isMeant = beginnings.some((one) => command.startsWith(one));
    // The golden's chain drops what no rule decides on: keepalived's does not.
    return isMeant && !command.includes("policy drop") ? all[i]!.map(plain) : [];
  });
  return found.toSorted();
};

/** Ours without the first ones that make the table, sorted. */
const ours = (changes: readonly Uint8Array[], before: number): string[] =>
  changes.slice(before).map(plain).toSorted();

/** The number of the subsystem's message. */
const kind = (bytes: Uint8Array): number => [...messages(bytes)][0]!.type & 0xff;
const [NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE] = [0, 2, 3, 6];

test("IPv4: a map of VMACs, a set of addresses, and what is dropped", () => {
  const members = {
    vmacs: [{ index: vrrp4, base: eth0 }],
    addresses: ["10.0.0.100", "10.0.0.101"].map((one) => ({ address: ip(one), index: eth0 })),
  };
  const made = makeTable(structure(4), members);
  expect(made.slice(0, 3).map(kind)).toEqual([NEWTABLE, DELTABLE, NEWTABLE]);
  const begin = ["map", "element", "set", "chain", "rule"].map((word) =>
    `add ${word} ip keepalived `
  );
  const adds = nfts(...begin);
  expect(adds).toHaveLength(9);
  expect(ours(made, 3)).toEqual(adds);
});

test("IPv6: neighbour discovery goes on, link-local addresses are those of one link", () => {
  const members = {
    vmacs: [{ index: vrrp6, base: eth0 }],
    addresses: ["fd00::200", "fe80::100"].map((one) => ({ address: ip(one), index: vrrp6 })),
  };
  const made = makeTable(structure(6), members, true);
  expect(made.slice(0, 2).map(kind)[0]).toBe(NEWTABLE);
  const begin = ["map", "element", "set", "chain", "rule"].map((word) =>
    `add ${word} ip6 keepalived `
  );
  const adds = nfts(...begin);
  expect(adds).toHaveLength(23);
  // One more than the golden has: the chain that accepts what no rule decides on.
  const surplus = ours(made, 1).filter((one) => !adds.includes(one));
  expect(surplus.map((one) => kind(Uint8Array.fromHex(one)))).toEqual([NEWCHAIN]);
  expect(ours(made, 1).filter((one) => adds.includes(one))).toEqual(adds);
});

test("sets come before the rules that name them, chains before theirs", () => {
  for (const family of [4, 6] as const) {
    const kinds = makeTable(structure(family), NOTHING).map(kind);
    expect(kinds.lastIndexOf(NEWCHAIN)).toBeLessThan(kinds.indexOf(NEWRULE));
    expect(kinds.findLastIndex((one) => one === 9)).toBeLessThan(kinds.indexOf(NEWCHAIN));
  }
});

test("each duty alone, and none", () => {
  const sizes = [
    structure(4, { guardsAddresses: false }),
    structure(4, { guardsVmacs: false }),
    structure(6, { guardsAddresses: false }),
    structure(6, { guardsVmacs: false }),
  ].map((one) => makeTable(one, NOTHING, true).filter((bytes) => kind(bytes) === NEWRULE).length);
  expect(sizes).toEqual([1, 2, 2, 8]);
  expect(isIdle(structure(4, { guardsVmacs: false, guardsAddresses: false }))).toBe(true);
  expect(isIdle(structure(4, { guardsVmacs: false }))).toBe(false);
});

test("members come and go by themselves; those of no set make no message", () => {
  const one = { vmacs: [], addresses: [{ address: ip("10.0.0.100"), index: eth0 }] };
  const added = addMembers(structure(4), one);
  const removed = removeMembers(structure(4), one);
  expect([added.map(kind), removed.map(kind)]).toEqual([[12], [14]]);
  expect(addMembers(structure(4), NOTHING)).toEqual([]);
  const vmac = { vmacs: [{ index: vrrp6, base: eth0 }], addresses: [] };
  expect(addMembers(structure(6), vmac)).toHaveLength(2);
  expect(addMembers(structure(4), vmac)).toHaveLength(1);
  expect(removeTable(structure(4)).map(kind)).toEqual([DELTABLE]);
});

test("name, priority and counters are the configuration's", () => {
  const options = { nftables: "mine", nftables_priority: 0, nftables_counters: true };
  const named = structure(4, { options });
  expect(tableOf(named)).toEqual({ family: "ip", name: "mine" });
  expect(tableOf(structure(6))).toEqual({ family: "ip6", name: "keepalived" });
  const texts = (one: Structure): string[] => makeTable(one, NOTHING).map((b) => b.toHex());
  const counter = new TextEncoder().encode("counter").toHex();
  const rules = (all: string[]): string[] => all.filter((hex) => hex.includes(counter));
  expect(rules(texts(named))).toHaveLength(3);
  expect(rules(texts(structure(4)))).toEqual([]);
  // NFTA_HOOK_PRIORITY
  const hasPriority = (all: string[], hex: string): boolean =>
    all.some((one) => one.includes(`08000200${hex}`));
  expect(hasPriority(texts(structure(4)), "ffffffff")).toBe(true);
  expect(hasPriority(texts(named), "ffffffff")).toBe(false);
  expect(hasPriority(texts(named), "00000000")).toBe(true);
});
