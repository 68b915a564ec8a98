/** Which links an instance asks for, where its addresses go, and what a link of the kernel is to it. */

import { expect, test } from "bun:test";
import { instanceWith, virtualAddress } from "../../test/support/instances.ts";
import type { VirtualAddress, VrrpInstance } from "../config/vrrp.ts";
import { formatAddress, parseAddress } from "../lib/address.ts";
import type { Link } from "../netlink/link.ts";
import { isGuarded, needsPremises } from "./instance.ts";
import {
  baseSettings,
  fitnessOf,
  linkLocalOf,
  mayAdopt,
  namesOf,
  onVmacs,
  ownVmac,
  rpFilterSettings,
  settingsOf,
  virtualMac,
  type VmacNaming,
  vmacsOf,
  type VmacSpec,
} from "./vmac.ts";

const address = (text: string, rest: Partial<VirtualAddress> = {}): VirtualAddress =>
  virtualAddress(text, { dev: "eth0", ...rest });
const macText = (mac: Uint8Array | undefined): string =>
  Array.from(mac ?? [], (byte) => byte.toString(16).padStart(2, "0")).join(":");
const describe = (specs: readonly VmacSpec[]): string[] =>
  specs.map((one) => `${one.base} ${one.prefix} ${macText(one.mac)} ${one.name ?? ""}`.trimEnd());

/** An instance with addresses of all sorts. */
const with4 = (rest: Partial<VrrpInstance>): VrrpInstance =>
  instanceWith({
    virtual_ipaddress: [address("192.0.2.1"), address("198.51.100.1", { dev: "eth1" })],
    virtual_ipaddress_excluded: [
      address("2001:db8::1"),
      address("2001:db8:1::1", { dev: "eth1" }),
    ],
    ...rest,
  });

const V4 = "00:00:5e:00:01:07";
const V6 = "00:00:5e:00:02:07";

test("the virtual MAC address has the family and the VRID (RFC 9568 §7.3)", () => {
  expect(macText(virtualMac(4, 1))).toBe("00:00:5e:00:01:01");
  expect(macText(virtualMac(6, 255))).toBe("00:00:5e:00:02:ff");
});

const SPECS: [string, Partial<VrrpInstance>, string[]][] = [
  ["nothing asked for", {}, []],
  ["use_vmac", { use_vmac: {} }, [`eth0 vrrp ${V4}`]],
  ["a name of its own", { use_vmac: { name: "mine" } }, [`eth0 vrrp ${V4} mine`]],
  ["no interface, no VMAC of its own", { use_vmac: {}, interface: undefined as never }, []],
  ["a whole MAC", { use_vmac: { mac: "02:00:00:00:00:aa" } }, ["eth0 vrrp 02:00:00:00:00:aa"]],
  ["a MAC for the VRID", { use_vmac: { mac: "02:00:00:00:00" } }, ["eth0 vrrp 02:00:00:00:00:07"]],
  [
    "use_vmac_addr: elsewhere and the other family",
    { use_vmac: {}, use_vmac_addr: true },
    [`eth0 vrrp ${V4}`, `eth1 vrrp ${V4}`, `eth0 vrrp ${V6}`, `eth1 vrrp ${V6}`],
  ],
  [
    "use_vmac_addr alone: what is at home stays",
    { use_vmac_addr: true },
    [`eth1 vrrp ${V4}`, `eth0 vrrp ${V6}`, `eth1 vrrp ${V6}`],
  ],
  [
    "use_vmac of one address",
    {
      virtual_ipaddress: [address("192.0.2.1", { use_vmac: true }), address("192.0.2.2")],
      virtual_ipaddress_excluded: [address("2001:db8::1", { use_vmac: true })],
    },
    [`eth0 vrrp ${V4}`, `eth0 vrrp ${V6}`],
  ],
  [
    "use_vmac of an address that is on the VMAC anyway",
    { use_vmac: {}, virtual_ipaddress: [address("192.0.2.1", { use_vmac: true })] },
    [`eth0 vrrp ${V4}`],
  ],
  ["use_ipvlan", { use_ipvlan: { address: "192.0.2.9", prefixLength: 24 } }, ["eth0 vrrp"]],
];

test.each(SPECS)("%s", (_, rest, expected) => {
  const instance = with4(rest);
  expect(describe(vmacsOf(instance))).toEqual(expected);
  expect(needsPremises(instance)).toBe(expected.length > 0 || rest.use_vmac !== undefined);
});

test("names begin as the configuration says, those for single addresses otherwise", () => {
  const instance = with4({ use_vmac: {}, use_vmac_addr: true });
  const prefixes = (naming: VmacNaming): string[] =>
    vmacsOf(instance, naming).map(({ prefix }) => prefix).slice(0, 2);
  expect(prefixes({ vmac_prefix: "a" })).toEqual(["a", "a"]);
  expect(prefixes({ vmac_addr_prefix: "b" })).toEqual(["vrrp", "b"]);
  expect(prefixes({ vmac_prefix: "a", vmac_addr_prefix: "b" })).toEqual(["a", "b"]);
});

const firstNames = (spec: VmacSpec, count: number): string[] => {
  const names = namesOf(spec);
  return Array.from({ length: count }, () => names.next().value);
};

test("the names a VMAC may have", () => {
  const own = (rest: Partial<VrrpInstance>): VmacSpec => ownVmac(with4(rest))!;
  expect(firstNames(own({ use_vmac: {} }), 3)).toEqual(["vrrp.7", "vrrp1.7", "vrrp2.7"]);
  expect(firstNames(own({ use_vmac: {}, family: 6 }), 3)).toEqual(["vrrp.7", "vrrp6.7", "vrrp1.7"]);
  expect(firstNames(own({ use_vmac: { name: "mine" } }), 2)).toEqual(["mine", "vrrp.7"]);
  const long = { ...own({ use_vmac: {}, virtual_router_id: 200 }), prefix: "abcdefghijklmnop" };
  expect(firstNames(long, 2)).toEqual(["abcdefghijk.200", "abcdefghij1.200"]);
});

test("addresses go to the VMACs that are for them, and the rest stays where it is", () => {
  const instance = with4({ use_vmac: {} });
  const key = ownVmac(instance)!.key;
  const placed = onVmacs(instance, new Map([[key, "vrrp.7"]]));
  const devices = (list: readonly VirtualAddress[]): (string | undefined)[] =>
    list.map(({ dev }) => dev);
  expect(devices(placed.virtual_ipaddress)).toEqual(["vrrp.7", "eth1"]);
  expect(devices(placed.virtual_ipaddress_excluded)).toEqual(["eth0", "eth1"]);
  const all = with4({ use_vmac: {}, use_vmac_addr: true });
  const names = new Map(vmacsOf(all).map((spec, i) => [spec.key, `v${i}`]));
  const { virtual_ipaddress, virtual_ipaddress_excluded } = onVmacs(all, names);
  expect(devices(virtual_ipaddress)).toEqual(["v0", "v1"]);
  expect(devices(virtual_ipaddress_excluded)).toEqual(["v2", "v3"]);
});

test("two that agree in link and MAC address are one", () => {
  const key = (rest: Partial<VrrpInstance>): string => ownVmac(instanceWith(rest))!.key;
  expect(key({ use_vmac: {} })).toBe(key({ use_vmac: { name: "other" } }));
  expect(key({ use_vmac: {} })).not.toBe(key({ use_vmac: {}, interface: "eth1" }));
  expect(key({ use_vmac: {} })).not.toBe(key({ use_vmac: {}, virtual_router_id: 8 }));
  expect(key({ use_ipvlan: {} })).not.toBe(key({ use_ipvlan: {}, virtual_router_id: 8 }));
});

const link = (rest: Partial<Link>): Link => ({
  index: 9,
  name: "vrrp.7",
  flags: 0,
  mtu: 1500,
  address: virtualMac(4, 7),
  broadcast: new Uint8Array(6).fill(255),
  operstate: 6,
  up: true,
  running: true,
  kind: "macvlan",
  macvlanMode: "private",
  linkIndex: 2,
  ...rest,
});

const BASE = link({ index: 2, name: "eth0", kind: "veth", address: virtualMac(4, 1) });

test("over a macvlan the kernel makes a neighbour of it", () => {
  const spec = ownVmac(instanceWith({ use_vmac: {}, interface: "mv0" }))!;
  const base = link({ index: 5, name: "mv0", address: virtualMac(4, 1), linkNetnsid: 3 });
  expect(fitnessOf(link({ linkNetnsid: 3 }), spec, base)).toBe("same");
  expect(fitnessOf(link({ linkNetnsid: 4 }), spec, base)).toBe("other");
  expect(fitnessOf(link({}), spec, base)).toBe("other");
  expect(fitnessOf({ ...base, address: spec.mac! }, spec, base)).toBe("other");
});

test("what a link is to a VMAC", () => {
  const spec = ownVmac(instanceWith({ use_vmac: {} }))!;
  const table: [Partial<Link>, string][] = [
    [{}, "same"],
    [{ macvlanMode: "bridge" }, "foreign"],
    [{ kind: "veth" }, "foreign"],
    [{ address: virtualMac(6, 7) }, "other"],
    [{ linkIndex: 3 }, "other"],
    [{ linkNetnsid: 0 }, "other"],
  ];
  for (const [rest, expected] of table) {
    expect(fitnessOf(link(rest), spec, BASE)).toBe(expected as never);
  }
  expect(mayAdopt(link({ name: "whatever" }), spec, BASE)).toBe(true);
});

test("ipvlans are known by their names alone", () => {
  const spec = ownVmac(instanceWith({ use_ipvlan: { mode: "private" } }))!;
  const { macvlanMode: _, ...rest } = link({ kind: "ipvlan" });
  const ipvlan = (isolation: "private" | "bridge", name = "vrrp.7"): Link => ({
    ...rest,
    name,
    ipvlan: { mode: "l2", isolation },
  });
  expect(fitnessOf(ipvlan("private"), spec, BASE)).toBe("same");
  expect(fitnessOf(ipvlan("bridge"), spec, BASE)).toBe("other");
  expect(fitnessOf(link({}), spec, BASE)).toBe("foreign");
  expect(mayAdopt(ipvlan("private"), spec, BASE)).toBe(true);
  expect(mayAdopt(ipvlan("private", "other"), spec, BASE)).toBe(false);
});

test("a link-local address: that of the link below, one of its MAC address, or an ipvlan's own", () => {
  const base = link({ kind: "veth", address: Uint8Array.of(2, 0x11, 0x22, 0x33, 0x44, 0x55) });
  const macvlan = ownVmac(instanceWith({ use_vmac: {}, family: 6 }))!;
  const below = parseAddress("fe80::1")!;
  expect(formatAddress(linkLocalOf(macvlan, base, below))).toBe("fe80::1");
  expect(formatAddress(linkLocalOf(macvlan, base, undefined))).toBe("fe80::11:22ff:fe33:4455");
  const ipvlan = ownVmac(instanceWith({ use_ipvlan: {}, family: 6 }))!;
  expect(formatAddress(linkLocalOf(ipvlan, base, below))).toBe("fe80::11:225e:733:4455");
});

test("settings: IPv6 is off where nothing needs it, ARP is the VMAC's", () => {
  const v4 = ownVmac(instanceWith({ use_vmac: {} }))!;
  const v6 = ownVmac(instanceWith({ use_vmac: {}, family: 6 }))!;
  const ipvlan = ownVmac(instanceWith({ use_ipvlan: {} }))!;
  expect(Object.fromEntries(settingsOf(v4, "v.7"))).toEqual({
    "net/ipv6/conf/v.7/disable_ipv6": "1",
    "net/ipv4/conf/v.7/arp_ignore": "1",
    "net/ipv4/conf/v.7/rp_filter": "0",
    "net/ipv4/conf/v.7/accept_local": "1",
    "net/ipv4/conf/v.7/promote_secondaries": "1",
  });
  expect(settingsOf(v6, "v.7").map(([path]) => path)).not.toContain("net/ipv4/conf/v.7/arp_ignore");
  expect(settingsOf(ipvlan, "v.7")).toEqual([["net/ipv6/conf/v.7/disable_ipv6", "1"]]);
  expect(baseSettings(v4).map(([path]) => path)).toEqual([
    "net/ipv4/conf/eth0/arp_ignore",
    "net/ipv4/conf/eth0/arp_filter",
    "net/ipv4/conf/eth0/arp_announce",
  ]);
  expect([...baseSettings(v6), ...baseSettings(ipvlan)]).toEqual([]);
});

test("the reverse path filter of all links is handed down to those that have less", () => {
  const table: [Record<string, string>, Record<string, string>][] = [
    [{ all: "0", default: "1", eth0: "0" }, {}],
    [{ all: "1", default: "0", eth0: "0", eth1: "1", eth2: "2" }, {
      default: "1",
      eth0: "1",
      all: "0",
    }],
    [{ all: "2", default: "1", eth0: "1", eth1: "2", eth2: "0" }, {
      default: "2",
      eth0: "2",
      eth2: "2",
      all: "0",
    }],
    [{}, {}],
  ];
  for (const [before, expected] of table) {
    const settings = rpFilterSettings(
      ["eth0", "eth1", "eth2"].filter((name) => name in before),
      (path) => before[path.split("/")[3]!],
    );
    const byName = settings.map(([path, value]) => [path.split("/")[3]!, value]);
    expect(Object.fromEntries(byName)).toEqual(expected);
    // Nothing is without a filter for a moment.
    if (settings.length > 0) expect(byName.at(-1)![0]).toBe("all");
  }
});

test("addresses are guarded by no_accept, but not an owner's", () => {
  expect(isGuarded(instanceWith({ accept: false }))).toBe(true);
  expect(isGuarded(instanceWith({ accept: false, priority: 255 }))).toBe(false);
  expect(isGuarded(instanceWith({}))).toBe(false);
  expect(needsPremises(instanceWith({ promote_secondaries: true }))).toBe(true);
  expect(needsPremises(instanceWith({}))).toBe(false);
});
