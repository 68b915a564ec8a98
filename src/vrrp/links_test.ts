/** The table of links under what the kernel may tell, and the address a link speaks with. */

import { expect, test } from "bun:test";
import { type Family, formatAddress, parseAddress } from "../lib/address.ts";
import {
  IFA_F_DADFAILED,
  IFA_F_DEPRECATED,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_F_TENTATIVE,
  type InterfaceAddress,
} from "../netlink/address.ts";
import type { Link } from "../netlink/link.ts";
import { isLinkLocal, LinkTable } from "./links.ts";

function link(index: number, name: string, rest: Partial<Link> = {}): Link {
  const none = new Uint8Array(6);
  return {
    index,
    name,
    flags: 0x41,
    mtu: 1500,
    address: none,
    broadcast: none,
    operstate: 6,
    up: true,
    running: true,
    ...rest,
  };
}

/** `text` as `address/prefix`. */
function on(index: number, text: string, flags = 0, peer?: string): InterfaceAddress {
  const [address = "", prefix] = text.split("/");
  return {
    index,
    address: parseAddress(address)!,
    prefixLength: Number(prefix),
    scope: 0,
    flags,
    preferredLifetime: 0xffffffff,
    validLifetime: 0xffffffff,
    ...(peer === undefined ? {} : { peer: parseAddress(peer)! }),
  };
}

function tableOf(links: readonly Link[], addresses: readonly InterfaceAddress[] = []): LinkTable {
  const table = new LinkTable();
  for (const one of links) table.setLink(one);
  for (const one of addresses) table.setAddress(one);
  return table;
}

/** The primary address in text; `virtual` ones are claimed. */
function primary(
  table: LinkTable,
  index: number,
  family: Family = 4,
  virtual: readonly string[] = [],
): string | undefined {
  const found = table.primaryAddress(
    index,
    family,
    (address) => virtual.includes(formatAddress(address)),
  );
  return found && formatAddress(found);
}

test("links are found by name and by index", () => {
  const table = tableOf([link(1, "lo"), link(2, "eth0")]);
  expect(table.byName("eth0")).toEqual(link(2, "eth0"));
  expect(table.byIndex(1)).toEqual(link(1, "lo"));
  expect(table.byName("eth1")).toBeUndefined();
  expect(table.byIndex(3)).toBeUndefined();
});

test("what is told again replaces what was known, addresses stay", () => {
  const table = tableOf([link(2, "eth0")], [on(2, "192.0.2.1/24")]);
  table.setLink(link(2, "eth0", { up: false, running: false }));
  expect(table.byName("eth0")).toMatchObject({ up: false });
  expect(table.byIndex(2)).toMatchObject({ up: false });
  expect(primary(table, 2)).toBe("192.0.2.1");
});

test("a renamed link is no longer found by its old name, and keeps its addresses", () => {
  const table = tableOf([link(2, "eth0")], [on(2, "192.0.2.1/24")]);
  table.setLink(link(2, "wan"));
  expect(table.byName("eth0")).toBeUndefined();
  expect(table.byName("wan")).toMatchObject({ index: 2 });
  expect(primary(table, 2)).toBe("192.0.2.1");
});

test("a name that has passed to another link stays with it, whatever is told of the old one", () => {
  const renamed = tableOf([link(2, "eth0"), link(3, "eth0")]);
  renamed.setLink(link(2, "old"));
  expect(renamed.byName("eth0")).toMatchObject({ index: 3 });
  expect(renamed.byName("old")).toMatchObject({ index: 2 });
  const removed = tableOf([link(2, "eth0"), link(3, "eth0")]);
  removed.removeLink(2);
  expect(removed.byName("eth0")).toMatchObject({ index: 3 });
  expect(removed.byIndex(2)).toBeUndefined();
});

test("a link that is gone takes its addresses with it", () => {
  const table = tableOf([link(2, "eth0"), link(3, "eth1")], [
    on(2, "192.0.2.1/24"),
    on(3, "198.51.100.1/24"),
  ]);
  table.removeLink(2);
  table.removeLink(9);
  expect(table.byName("eth0")).toBeUndefined();
  table.setLink(link(2, "eth0"));
  expect(primary(table, 2)).toBeUndefined();
  expect(primary(table, 3)).toBe("198.51.100.1");
  table.removeLink(3, true);
  expect(table.byName("eth1")).toBeUndefined();
  expect(primary(table, 3)).toBe("198.51.100.1");
});

test("clear forgets everything", () => {
  const table = tableOf([link(2, "eth0")], [on(2, "192.0.2.1/24")]);
  table.clear();
  expect(table.byName("eth0")).toBeUndefined();
  expect(table.byIndex(2)).toBeUndefined();
  expect(primary(table, 2)).toBeUndefined();
});

test("an address told before its link counts all the same", () => {
  const table = new LinkTable();
  table.setAddress(on(2, "192.0.2.1/24"));
  table.setLink(link(2, "eth0"));
  expect(primary(table, 2)).toBe("192.0.2.1");
});

test("an address is removed by its prefix; one that is not there is no mistake", () => {
  const table = tableOf([link(2, "eth0")], [on(2, "192.0.2.1/24"), on(2, "192.0.2.1/32")]);
  table.removeAddress(on(2, "192.0.2.1/16"));
  table.removeAddress(on(2, "192.0.2.2/24"));
  table.removeAddress(on(3, "192.0.2.1/24"));
  table.removeAddress(on(2, "192.0.2.1/24"));
  expect(table.holds(2, parseAddress("192.0.2.1")!)).toBeTrue();
  table.removeAddress(on(2, "192.0.2.1/32"));
  expect(table.holds(2, parseAddress("192.0.2.1")!)).toBeFalse();
});

test("an address told again keeps its place in the kernel's order", () => {
  const table = tableOf([link(2, "eth0")], [on(2, "192.0.2.1/24"), on(2, "192.0.2.2/24")]);
  table.setAddress(on(2, "192.0.2.1/24", IFA_F_DEPRECATED));
  expect(primary(table, 2)).toBe("192.0.2.2");
  table.setAddress(on(2, "192.0.2.1/24"));
  expect(primary(table, 2)).toBe("192.0.2.1");
});

test("holding an address does not depend on prefix, flags or who claims it", () => {
  const table = tableOf([link(2, "eth0")], [on(2, "192.0.2.1/24", IFA_F_DADFAILED)]);
  const holds = (index: number, text: string): boolean => table.holds(index, parseAddress(text)!);
  expect([holds(2, "192.0.2.1"), holds(2, "192.0.2.2"), holds(3, "192.0.2.1")])
    .toEqual([true, false, false]);
  expect(holds(2, "c000:201::")).toBeFalse();
});

/** Addresses of one link in the kernel's order, each with its flags: which one it speaks with. */
const PRIMARY: [
  title: string,
  family: Family,
  addresses: [string, flags?: number][],
  found?: string,
][] = [
  ["none", 4, []],
  ["the first", 4, [["192.0.2.2/24"], ["192.0.2.1/24"]], "192.0.2.2"],
  ["of its family", 6, [["192.0.2.1/24"], ["fe80::1/64"]], "fe80::1"],
  ["of its family alone", 4, [["fe80::1/64"]]],
  ["not a virtual one", 4, [["10.0.0.100/32"], ["192.0.2.1/24"]], "192.0.2.1"],
  ["a virtual one is none", 4, [["10.0.0.100/32"]]],
  ["not tentative", 6, [["fe80::1/64", IFA_F_TENTATIVE], ["fe80::2/64"]], "fe80::2"],
  ["not failed", 6, [["fe80::1/64", IFA_F_DADFAILED], ["fe80::2/64"]], "fe80::2"],
  ["not deprecated", 6, [["fe80::1/64", IFA_F_DEPRECATED], ["fe80::2/64"]], "fe80::2"],
  ["none that is usable", 6, [["fe80::1/64", IFA_F_TENTATIVE | IFA_F_NODAD]]],
  ["other flags are no matter", 6, [["fe80::1/64", IFA_F_NODAD | IFA_F_NOPREFIXROUTE]], "fe80::1"],
];

for (const [title, family, addresses, found] of PRIMARY) {
  test(`the address a link speaks with: ${title}`, () => {
    const all = addresses.map(([text, flags]) => on(2, text, flags));
    const table = tableOf([link(2, "eth0")], [on(3, "198.51.100.1/24"), ...all]);
    expect(primary(table, 2, family, ["10.0.0.100"])).toBe(found!);
  });
}

test("an IPv4 address with two other ends is two addresses, an IPv6 one changes its other end", () => {
  const peers = (address: string, ...ends: string[]): InterfaceAddress[] =>
    ends.map((end) => on(2, address, 0, end));
  const [first, second] = peers("192.0.2.1/32", "198.51.100.1", "198.51.100.2");
  const four = tableOf([link(2, "ppp0")], [first!, second!]);
  four.removeAddress(second!);
  expect(primary(four, 2)).toBe("192.0.2.1");
  const [before, after] = peers("2001:db8::1/128", "2001:db8::2", "2001:db8::3");
  const six = tableOf([link(2, "ppp0")], [before!, after!]);
  six.removeAddress(after!);
  expect(primary(six, 2, 6)).toBeUndefined();
});

test("link-local or not, where it matters", () => {
  const all = [on(2, "2001:db8::1/64"), on(2, "fe80::1/64"), on(2, "192.0.2.1/24")];
  const table = tableOf([link(2, "eth0")], all);
  const speaks = (family: Family, linkLocal?: boolean): string => {
    const found = table.primaryAddress(2, family, () => false, linkLocal);
    return found === undefined ? "" : formatAddress(found);
  };
  expect([speaks(6, true), speaks(6, false), speaks(6)])
    .toEqual(["fe80::1", "2001:db8::1", "2001:db8::1"]);
  expect(speaks(4, true)).toBe("192.0.2.1");
  for (const text of ["fe80::1", "febf::1"]) expect(isLinkLocal(parseAddress(text)!)).toBe(true);
  for (const text of ["fec0::1", "fe7f::1", "169.254.0.1", "ff02::12"]) {
    expect(isLinkLocal(parseAddress(text)!)).toBe(false);
  }
});

test("an address is usable on whatever link it is, once detection is over; deprecated will do", () => {
  const table = tableOf([link(2, "eth0"), link(3, "eth1")], [
    on(3, "192.0.2.1/24"),
    on(2, "2001:db8::1/64", IFA_F_TENTATIVE),
    on(2, "2001:db8::2/64", IFA_F_DADFAILED),
    on(2, "2001:db8::3/64", IFA_F_DEPRECATED),
  ]);
  const usable = (text: string): boolean => table.isUsable(parseAddress(text)!);
  expect([1, 2, 3, 4].map((i) => usable(`2001:db8::${i}`))).toEqual([false, false, true, false]);
  expect([usable("192.0.2.1"), usable("192.0.2.2")]).toEqual([true, false]);
});

test("a hardware address is ours when one of our links has it", () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const table = tableOf([
    link(2, "eth0", { address: mac }),
    link(3, "tun0", {
      address: new Uint8Array(0),
    }),
  ]);
  expect(table.isOurs(mac.slice())).toBe(true);
  expect(table.isOurs(mac.with(5, 2))).toBe(false);
  expect(table.isOurs(mac.subarray(0, 5))).toBe(false);
});

test("a link works when it is there, up and running, or when whoever knows better says so", () => {
  const table = tableOf([
    link(2, "eth0"),
    link(3, "eth1", { up: false }),
    link(4, "eth2", { running: false }),
  ]);
  const works = (): boolean[] => ["eth0", "eth1", "eth2", "eth9"].map((name) => table.works(name));
  expect(works()).toEqual([true, false, false, false]);
  table.opinion = ({ name }) => name === "eth1";
  expect(works()).toEqual([false, true, false, false]);
});

test("the link-local address is the first that is not virtual and has not failed, tentative or not", () => {
  const table = tableOf([link(2, "eth0")], [
    on(2, "2001:db8::1/64"),
    on(2, "fe80::1/64", IFA_F_DADFAILED),
    on(2, "fe80::2/64", IFA_F_TENTATIVE),
    on(2, "fe80::3/64"),
  ]);
  const linkLocal = (index: number, ...virtual: string[]): string | undefined => {
    const isVirtual = (one: Uint8Array): boolean => virtual.includes(formatAddress(one));
    const found = table.linkLocal(index, isVirtual);
    return found && formatAddress(found);
  };
  expect([linkLocal(2), linkLocal(2, "fe80::2"), linkLocal(3)])
    .toEqual(["fe80::2", "fe80::3", undefined]);
});
