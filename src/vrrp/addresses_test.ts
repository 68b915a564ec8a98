/** Virtual addresses as the kernel is told of them, and what a reload makes of them. */

import { expect, test } from "bun:test";
import { instanceWith, virtualAddress } from "../../test/support/instances.ts";
import type { VirtualAddress, VrrpInstance } from "../config/vrrp.ts";
import { formatAddress, parseAddress } from "../lib/address.ts";
import type { NewAddress } from "../netlink/address.ts";
import {
  advertDestinations,
  advertisedAddresses,
  changedAddresses,
  type Held,
  heldAddresses,
  kernelAddress,
} from "./addresses.ts";

const texts = (held: readonly Held[]): string[] =>
  held.map(({ device, address }) => `${formatAddress(address)} on ${device}`);

const INSTANCE = instanceWith({
  virtual_ipaddress: [
    virtualAddress("10.0.0.1", { dev: "eth0" }),
    virtualAddress("10.0.0.2", { dev: "eth1" }),
    virtualAddress("2001:db8::1"),
  ],
  virtual_ipaddress_excluded: [virtualAddress("10.0.0.3"), virtualAddress("fe80::1")],
});

test("all addresses are moved, excluded ones too; without a device they go to the interface", () => {
  const held = heldAddresses(INSTANCE);
  expect(texts(held)).toEqual([
    "10.0.0.1 on eth0",
    "10.0.0.2 on eth1",
    "2001:db8::1 on eth0",
    "10.0.0.3 on eth0",
    "fe80::1 on eth0",
  ]);
  expect(held[1]!.spec).toBe(INSTANCE.virtual_ipaddress[1]!);
});

test("advertised are those of the instance's family that are not excluded, in their order", () => {
  expect(advertisedAddresses(INSTANCE).map(formatAddress)).toEqual(["10.0.0.1", "10.0.0.2"]);
  expect(advertisedAddresses({ ...INSTANCE, family: 6 }).map(formatAddress))
    .toEqual(["2001:db8::1"]);
  expect(advertisedAddresses(instanceWith())).toEqual([]);
});

test("adverts go to the peers, else to the group", () => {
  const to = (rest: Partial<VrrpInstance>): string[] =>
    advertDestinations(instanceWith(rest)).map(formatAddress);
  expect(to({})).toEqual(["224.0.0.18"]);
  expect(to({ family: 6, mcast_group: "ff02::12" })).toEqual(["ff02::12"]);
  expect(to({ unicast_peer: [{ address: "192.0.2.2" }, { address: "192.0.2.1" }] }))
    .toEqual(["192.0.2.2", "192.0.2.1"]);
});

/** What an entry of the configuration becomes, besides index, address, prefix and scope. */
const KERNEL: [address: string, rest: Partial<VirtualAddress>, told: Partial<NewAddress>][] = [
  ["10.0.0.1", {}, { flags: 0 }],
  // Duplicate address detection is IPv6's alone: there it is off unless asked for.
  ["10.0.0.1", { dad: true }, { flags: 0 }],
  ["2001:db8::1", {}, { flags: 0x02 }],
  ["2001:db8::1", { dad: true }, { flags: 0 }],
  ["2001:db8::1", { home: true }, { flags: 0x12 }],
  ["2001:db8::1", { mngtmpaddr: true }, { flags: 0x102 }],
  ["2001:db8::1", { noprefixroute: true }, { flags: 0x202 }],
  ["10.0.0.1", { noprefixroute: true }, { flags: 0x200 }],
  ["10.0.0.1", { autojoin: true }, { flags: 0x400 }],
  [
    "2001:db8::1",
    { home: true, mngtmpaddr: true, noprefixroute: true, autojoin: true },
    { flags: 0x712 },
  ],
  ["10.0.0.1", { no_track: true }, { flags: 0 }],
  ["10.0.0.1", { label: "eth0:1" }, { flags: 0, label: "eth0:1" }],
  ["2001:db8::1", { label: "eth0:1" }, { flags: 0x02 }],
  ["10.0.0.1", { brd: "10.0.0.255" }, { flags: 0, broadcast: parseAddress("10.0.0.255")! }],
  [
    "10.0.0.1",
    { peer: { address: "10.9.9.9", prefixLength: 24 } },
    { flags: 0, peer: parseAddress("10.9.9.9")! },
  ],
  ["2001:db8::1", { preferred_lft: 0 }, { flags: 0x02, preferredLifetime: 0 }],
  ["2001:db8::1", { preferred_lft: 60 }, { flags: 0x02, preferredLifetime: 60 }],
];

for (const [text, rest, told] of KERNEL) {
  test(`the kernel is told ${text} ${JSON.stringify(rest)}`, () => {
    const spec = virtualAddress(text, { prefixLength: 24, scope: 253, ...rest });
    const address = parseAddress(text)!;
    expect(kernelAddress({ device: "eth0", address, spec }, 5))
      .toStrictEqual({ index: 5, address, prefixLength: 24, scope: 253, ...told } as NewAddress);
  });
}

const three = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map((text) => virtualAddress(text));

/** Addresses before and after a reload: what is removed and what is added. */
const RELOADS: [
  title: string,
  was: Partial<VrrpInstance>,
  is: Partial<VrrpInstance>,
  removed: string[],
  added: string[],
][] = [
  ["nothing", { virtual_ipaddress: three }, { virtual_ipaddress: three }, [], []],
  [
    "another order",
    { virtual_ipaddress: three },
    { virtual_ipaddress: three.toReversed() },
    [],
    [],
  ],
  [
    "one gone, one new",
    { virtual_ipaddress: three.slice(0, 2) },
    { virtual_ipaddress: three.slice(1) },
    ["10.0.0.1 on eth0"],
    ["10.0.0.3 on eth0"],
  ],
  [
    "only no longer advertised",
    { virtual_ipaddress: three },
    { virtual_ipaddress: three.slice(1), virtual_ipaddress_excluded: three.slice(0, 1) },
    [],
    [],
  ],
  [
    "another device",
    { virtual_ipaddress: [virtualAddress("10.0.0.1", { dev: "eth0" })] },
    { virtual_ipaddress: [virtualAddress("10.0.0.1", { dev: "eth1" })] },
    ["10.0.0.1 on eth0"],
    ["10.0.0.1 on eth1"],
  ],
  [
    "another interface",
    { virtual_ipaddress: three.slice(0, 1) },
    { virtual_ipaddress: three.slice(0, 1), interface: "eth1" },
    ["10.0.0.1 on eth0"],
    ["10.0.0.1 on eth1"],
  ],
  [
    "another prefix",
    { virtual_ipaddress: [virtualAddress("10.0.0.1")] },
    { virtual_ipaddress: [virtualAddress("10.0.0.1", { prefixLength: 24 })] },
    ["10.0.0.1 on eth0"],
    ["10.0.0.1 on eth0"],
  ],
  [
    "another label",
    { virtual_ipaddress: [virtualAddress("10.0.0.1", { label: "eth0:1" })] },
    { virtual_ipaddress: [virtualAddress("10.0.0.1", { label: "eth0:2" })] },
    ["10.0.0.1 on eth0"],
    ["10.0.0.1 on eth0"],
  ],
  [
    "no longer tracked",
    { virtual_ipaddress: [virtualAddress("10.0.0.1")] },
    { virtual_ipaddress: [virtualAddress("10.0.0.1", { no_track: true })] },
    [],
    [],
  ],
  ["all gone", { virtual_ipaddress: three.slice(0, 1) }, {}, ["10.0.0.1 on eth0"], []],
];

for (const [title, was, is, removed, added] of RELOADS) {
  test(`a reload: ${title}`, () => {
    const changed = changedAddresses(instanceWith(was), instanceWith(is));
    expect(texts(changed.removed)).toEqual(removed);
    expect(texts(changed.added)).toEqual(added);
  });
}

test("an address the reader would never have passed is our own mistake", () => {
  const instance = instanceWith({ virtual_ipaddress: [virtualAddress("10.0.0.256")] });
  expect(() => heldAddresses(instance)).toThrow("address '10.0.0.256' of the configuration");
});
