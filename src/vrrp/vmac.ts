/**
 * VMACs: the links of its own that an instance speaks from and holds its addresses on, macvlans with the
 * virtual router's MAC address (RFC 9568 §7.3) or ipvlans. Which ones a configuration asks for, what they
 * are called, and which link of the kernel is one of them.
 *
 * An instance has one for itself, and one for each other link and family whose addresses are to have a
 * virtual MAC address, too.
 */

import type { UseIpvlan, VirtualAddress, VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, type Family, parseAddress } from "../lib/address.ts";
import { IFA_F_NODAD, type InterfaceAddress, RT_SCOPE_LINK } from "../netlink/address.ts";
import type { IpvlanSettings, Link, NewLink } from "../netlink/link.ts";
import { isLinkLocal } from "./links.ts";

/** Names of links (linux/if.h IFNAMSIZ). */
const LONGEST_NAME = 15;
/** What generated names begin with. */
const PREFIX = "vrrp";
const MAC_LENGTH = 6;

/** What an instance wants a link of its own to be. */
export interface VmacSpec {
  /** Tells one from another: what two instances agree in is one link. */
  readonly key: string;
  /** The name of the link below. */
  readonly base: string;
  /** Of the addresses that it holds. */
  readonly family: Family;
  readonly vrid: number;
  /** Its name if the configuration gives it one. */
  readonly name: string | undefined;
  /** What a generated name begins with. */
  readonly prefix: string;
  /** Of a macvlan; an ipvlan has that of the link below. */
  readonly mac: Uint8Array | undefined;
  /** Of an ipvlan. */
  readonly isolation: IpvlanSettings["isolation"];
  /** The group it is put into; undefined: that of the link below. */
  readonly group: number | undefined;
  /** What it speaks from if the configuration says so. */
  readonly source: { readonly address: Address; readonly prefixLength: number } | undefined;
}

/** What the names of generated links begin with. */
export interface VmacNaming {
  readonly vmac_prefix?: string;
  /** Of those for single addresses. */
  readonly vmac_addr_prefix?: string;
}

/** The virtual router's MAC address (RFC 9568 §7.3): 00-00-5E-00-01-VRID, with 02 for IPv6. */
export function virtualMac(family: Family, vrid: number): Uint8Array {
  return Uint8Array.of(0, 0, 0x5e, 0, family === 4 ? 1 : 2, vrid);
}

/** The VMACs of an instance, the one it speaks from first; none for most. */
export function vmacsOf(instance: VrrpInstance, naming: VmacNaming = {}): VmacSpec[] {
  const specs = new Map<string, VmacSpec>();
  const own = ownVmac(instance, naming);
  if (own !== undefined) specs.set(own.key, own);
  for (const one of addressesOf(instance)) {
    const spec = vmacOf(instance, one, naming);
    if (spec !== undefined && !specs.has(spec.key)) specs.set(spec.key, spec);
  }
  return [...specs.values()];
}

/** The VMAC that an instance speaks from, unless it speaks from the link below; undefined for most. */
export function ownVmac(instance: VrrpInstance, naming: VmacNaming = {}): VmacSpec | undefined {
  const { use_vmac, use_ipvlan, interface: base, family, virtual_router_id: vrid } = instance;
  if (base === undefined) return undefined;
  const prefix = naming.vmac_prefix ?? PREFIX;
  if (use_vmac !== undefined) {
    const source = sourceOn(instance.mcast_src_ip, family);
    return macvlan({
      base,
      family,
      vrid,
      prefix,
      mac: customMac(use_vmac.mac, vrid) ?? virtualMac(family, vrid),
      name: use_vmac.name,
      group: use_vmac.group,
      source,
    });
  }
  return use_ipvlan === undefined ? undefined : ipvlan(use_ipvlan, base, instance, prefix);
}

function macvlan(
  spec: Omit<VmacSpec, "key" | "isolation"> & { readonly mac: Uint8Array },
): VmacSpec {
  return { ...spec, key: `macvlan ${spec.base} ${spec.mac.join()}`, isolation: "private" };
}

function ipvlan(
  { name, address, prefixLength, mode, group }: UseIpvlan,
  base: string,
  { family, virtual_router_id: vrid }: VrrpInstance,
  prefix: string,
): VmacSpec {
  const source = parseAddress(address ?? "");
  return {
    key: `ipvlan ${base} ${name ?? `${family} ${vrid}`}`,
    base,
    family,
    vrid,
    name,
    prefix,
    mac: undefined,
    isolation: mode ?? "bridge",
    group,
    source: source && { address: source, prefixLength: prefixLength ?? 8 * source.length },
  };
}

/** A link-local source of adverts has to be on the link that they leave from. */
function sourceOn(source: string | undefined, family: Family): VmacSpec["source"] {
  const address = family === 6 ? parseAddress(source ?? "") : undefined;
  return address && { address, prefixLength: 64 };
}

/** Six bytes, or five that the VRID follows. */
function customMac(text: string | undefined, vrid: number): Uint8Array | undefined {
  if (text === undefined) return undefined;
  const bytes = text.split(":").map((byte) => parseInt(byte, 16));
  return Uint8Array.from(bytes.length < MAC_LENGTH ? [...bytes, vrid] : bytes);
}

/** The VMAC that is to hold an address of an instance; undefined when it goes where it says. */
function vmacOf(
  instance: VrrpInstance,
  spec: VirtualAddress,
  naming: VmacNaming,
): VmacSpec | undefined {
  const { interface: base, family: ownFamily, virtual_router_id: vrid } = instance;
  const family = familyOfText(spec.address);
  const dev = spec.dev ?? base;
  const isAtHome = dev === base && family === ownFamily;
  const own = ownVmac(instance, naming);
  if (isAtHome && own !== undefined) return own;
  const isWanted = spec.use_vmac === true || (instance.use_vmac_addr === true && !isAtHome);
  if (!isWanted || dev === undefined) return undefined;
  const custom = family === ownFamily ? customMac(instance.use_vmac?.mac, vrid) : undefined;
  return macvlan({
    base: dev,
    family,
    vrid,
    prefix: naming.vmac_addr_prefix ?? naming.vmac_prefix ?? PREFIX,
    mac: custom ?? virtualMac(family, vrid),
    name: undefined,
    group: own?.group,
    source: undefined,
  });
}

function addressesOf(instance: VrrpInstance): readonly VirtualAddress[] {
  return [...instance.virtual_ipaddress, ...instance.virtual_ipaddress_excluded];
}

function familyOfText(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

/** The instance with every address that a VMAC holds on it; `names` are those of the links, by key. */
export function onVmacs(
  instance: VrrpInstance,
  names: ReadonlyMap<string, string>,
  naming: VmacNaming = {},
): VrrpInstance {
  const move = (list: readonly VirtualAddress[]): VirtualAddress[] =>
    list.map((one) => {
      const name = names.get(vmacOf(instance, one, naming)?.key ?? "");
      return name === undefined ? one : { ...one, dev: name };
    });
  return {
    ...instance,
    virtual_ipaddress: move(instance.virtual_ipaddress),
    virtual_ipaddress_excluded: move(instance.virtual_ipaddress_excluded),
  };
}

/** Whether a VMAC's addresses are of IPv6; it has none of the other family. */
export function hasIpv6(spec: VmacSpec): boolean {
  return spec.family === 6;
}

/** The names that a VMAC may have, the best first, without end. */
export function* namesOf(
  { name, prefix, vrid, family }: VmacSpec,
): Generator<string, never, undefined> {
  if (name !== undefined) yield name;
  // A prefix that leaves no room for the rest is cut.
  const make = (number: string): string => {
    const end = `${number}.${vrid}`;
    return prefix.slice(0, LONGEST_NAME - end.length) + end;
  };
  yield make("");
  if (family === 6) yield make("6");
  for (let number = 1;; number++) yield make(String(number));
}

/** What a link that has the name of a VMAC is. */
export type Fitness =
  /** It is the VMAC, left by a predecessor or made in advance. */
  | "same"
  /** A private macvlan, or an ipvlan, that is no VMAC of this one: it may be made anew. */
  | "other"
  /** Something else that is not to be touched. */
  | "foreign";

/** What a link is to a VMAC over the link `base`. */
export function fitnessOf(link: Link, spec: VmacSpec, base: Link): Fitness {
  const isAbove = isOver(link, base);
  if (spec.mac === undefined) {
    if (link.kind !== "ipvlan") return "foreign";
    const { mode, isolation } = link.ipvlan ?? {};
    return isAbove && mode === "l2" && isolation === spec.isolation ? "same" : "other";
  }
  if (link.kind !== "macvlan" || link.macvlanMode !== "private") return "foreign";
  return isAbove && compareAddress(link.address, spec.mac) === 0 ? "same" : "other";
}

/**
 * Whether a link was made over another. The kernel puts one that is made over a macvlan beside it: both are
 * over the same link then, which may live in another namespace.
 */
function isOver(link: Link, base: Link): boolean {
  if (link.linkIndex === base.index && link.linkNetnsid === undefined) return true;
  return base.kind === "macvlan" && link.index !== base.index &&
    link.linkIndex === base.linkIndex && link.linkNetnsid === base.linkNetnsid;
}

/**
 * Whether a link may be taken for a VMAC. A macvlan is known by its MAC address whatever it is called;
 * ipvlans all have that of the link below, and only the name tells them apart.
 */
export function mayAdopt(link: Link, spec: VmacSpec, base: Link): boolean {
  if (fitnessOf(link, spec, base) !== "same") return false;
  return spec.mac !== undefined || link.name === namesOf(spec).next().value;
}

/**
 * The link-local address of a VMAC: that of the link below, `below`, or else one made of its MAC address
 * (RFC 4291 appendix A). An ipvlan shares that address with the link below and so needs another: in its
 * middle it has the VRID.
 */
export function linkLocalOf(spec: VmacSpec, base: Link, below: Address | undefined): Address {
  const isIpvlan = spec.mac === undefined;
  if (below !== undefined && !isIpvlan) return below;
  const mac = base.address;
  const [first = 0, second = 0, third = 0, ...rest] = mac;
  const middle = isIpvlan ? [0x5e, spec.vrid] : [0xff, 0xfe];
  return Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, first ^ 2, second, third, ...middle, ...rest);
}

/** A kernel setting below /proc/sys and what it is to be. */
export type Setting = readonly [path: string, value: string];

/** What the kernel is told of a new VMAC before it is switched on. */
export function settingsOf(spec: VmacSpec, name: string): Setting[] {
  if (spec.family === 6) {
    // What routers announce is for the link below: here it would give every router the same address.
    const conf = `net/ipv6/conf/${name}`;
    return [[`${conf}/disable_ipv6`, "0"], [`${conf}/accept_ra`, "0"], [`${conf}/autoconf`, "0"]];
  }
  const off: Setting = [`net/ipv6/conf/${name}/disable_ipv6`, "1"];
  if (spec.mac === undefined) return [off];
  const conf = `net/ipv4/conf/${name}`;
  return [
    off,
    [`${conf}/arp_ignore`, "1"],
    // Adverts of peers have addresses of the link below's subnet, which leads elsewhere,
    [`${conf}/rp_filter`, "0"],
    // and those of our own instances come back from the wire.
    [`${conf}/accept_local`, "1"],
    [`${conf}/promote_secondaries`, "1"],
  ];
}

/**
 * What the link below is told: it leaves the questions for addresses of its VMACs to them; and answers to
 * what they receive, which it sends, must not teach neighbours its own MAC address for theirs.
 */
export function baseSettings(spec: VmacSpec): Setting[] {
  if (spec.family === 6 || spec.mac === undefined) return [];
  const conf = `net/ipv4/conf/${spec.base}`;
  return [[`${conf}/arp_ignore`, "1"], [`${conf}/arp_filter`, "1"], [`${conf}/arp_announce`, "2"]];
}

/** The path of a link's reverse path filter. */
export function rpFilterOf(name: string): string {
  return `net/ipv4/conf/${name}/rp_filter`;
}

/**
 * The reverse path filter of all links counts for each of them. So that VMACs can be without, it is handed
 * down to `links` and to those to come. `original` is what a setting was before we changed anything.
 */
export function rpFilterSettings(
  links: readonly string[],
  original: (path: string) => string | undefined,
): Setting[] {
  const value = (name: string): number => Number(original(rpFilterOf(name)) ?? 0);
  const all = value("all");
  if (!(all > 0)) return [];
  const down = ["default", ...links]
    .filter((name) => value(name) < all)
    .map((name): Setting => [rpFilterOf(name), String(all)]);
  return [...down, [rpFilterOf("all"), "0"]];
}

/** The VRF that the routes of a link are in, by index; 0 for none. */
export function vrfOf({ vrfTable, master }: Link): number {
  return vrfTable === undefined ? 0 : master ?? 0;
}

/** The link that a VMAC is to be, over `base`. */
export function newVmac(spec: VmacSpec, name: string, base: Link): NewLink {
  const group = spec.group ?? base.group;
  const vrf = vrfOf(base);
  const common = {
    name,
    linkIndex: base.index,
    ...(group === undefined ? {} : { group }),
    // Its routes are those of the link below.
    ...(vrf === 0 ? {} : { master: vrf }),
  };
  return spec.mac === undefined
    ? { ...common, kind: "ipvlan", mode: "l2", isolation: spec.isolation }
    : { ...common, kind: "macvlan", mode: "private", address: spec.mac };
}

/** An address that has just been added to a VMAC, as the kernel will tell of it. */
export function ownAddress(
  index: number,
  address: Address,
  prefixLength: number,
): InterfaceAddress {
  const forever = 0xffffffff;
  return {
    index,
    address,
    prefixLength,
    scope: isLinkLocal(address) ? RT_SCOPE_LINK : 0,
    flags: IFA_F_NODAD,
    preferredLifetime: forever,
    validLifetime: forever,
  };
}
