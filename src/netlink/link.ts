/**
 * Links, the kernel's network devices (linux/rtnetlink.h, linux/if_link.h): read from dumps and
 * notifications, made, changed and removed. Every message starts with `struct ifinfomsg`.
 *
 * ```
 *  0        1        2        4                 8
 * +--------+--------+--------+-----------------+
 * | family | pad    | type   | index           |
 * +--------+--------+--------+-----------------+
 * | flags (IFF_*)            | change mask     |
 * +--------------------------+-----------------+
 * | attributes (IFLA_*) ...
 * ```
 */

import { assert } from "../lib/assert.ts";
import { AF_INET6, AF_UNSPEC } from "./family.ts";
import {
  AttributeReader,
  AttributeWriter,
  encodeMessage,
  get32,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  put32,
} from "./message.ts";

/** Message types (linux/rtnetlink.h). */
export const RTM_NEWLINK = 16;
/** The link is gone; in a request: remove it. */
export const RTM_DELLINK = 17;
/** Asks for one link or all. */
const RTM_GETLINK = 18;

/** Multicast group of link notifications (linux/rtnetlink.h). */
export const RTNLGRP_LINK = 1;

/** Flags of a link (linux/if.h): switched on by the operator. */
const IFF_UP = 0x1;
/** Switched on and able to carry packets (RFC 2863 operational state up or unknown). */
const IFF_RUNNING = 0x40;

/** The other end of the cable is there. */
export const IFF_LOWER_UP = 0x10000;

// linux/if_link.h
const IFLA_ADDRESS = 1;
const IFLA_BROADCAST = 2;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_OPERSTATE = 16;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_GROUP = 27;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_KIND = 4;
const IFLA_INFO_SLAVE_DATA = 5;
const IFLA_MACVLAN_MODE = 1;
const IFLA_IPVLAN_MODE = 1;
const IFLA_IPVLAN_FLAGS = 2;
/** In a VRF's data and in that of the links that belong to it. */
const IFLA_VRF_TABLE = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
/** linux/veth.h */
const VETH_INFO_PEER = 1;
/** linux/rtnetlink.h: counters are most of a reply's bytes, and nobody reads them here. */
const RTEXT_FILTER_SKIP_STATS = 8;

const IFINFOMSG_LENGTH = 16;

/** What macvlans of one link hear of each other, and of what is sent back from outside. */
const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8, source: 16 } as const;
/** Where an ipvlan's packets are switched or routed. */
const IPVLAN_MODES = { l2: 0, l3: 1, l3s: 2 } as const;
/** Whether they hear each other. */
const IPVLAN_FLAGS = { bridge: 0, private: 1, vepa: 2 } as const;
/** How a link gets its own IPv6 link-local address (IN6_ADDR_GEN_MODE_* of linux/if_link.h). */
const ADDR_GEN_MODES = { eui64: 0, none: 1, stable_secret: 2, random: 3 } as const;

/** A link as the kernel describes it. */
export interface Link {
  /** Interface index, from 1, unique in its namespace. */
  readonly index: number;
  /** 1 to 15 bytes; can change. */
  readonly name: string;
  /** IFF_*. */
  readonly flags: number;
  /** Largest payload in bytes. */
  readonly mtu: number;
  /** Hardware address: 6 bytes on Ethernet, empty where the link has none. */
  readonly address: Uint8Array;
  /** Hardware broadcast address, as long as `address`. */
  readonly broadcast: Uint8Array;
  /** RFC 2863 operational state, IF_OPER_* of linux/if.h: 0 unknown … 2 down … 6 up. */
  readonly operstate: number;
  /** Index of the bridge, bond or VRF it belongs to. */
  readonly master?: number;
  /** Index of the link below (macvlan, vlan) or opposite (veth). */
  readonly linkIndex?: number;
  /** Set when `linkIndex` counts in another namespace: that namespace's id here, -1 unknown. */
  readonly linkNetnsid?: number;
  /** Number of the group it was put into; absent: 0, the group of all others. */
  readonly group?: number;
  /** Driver of a virtual link: bridge, veth, macvlan, … */
  readonly kind?: string;
  /** What a macvlan hears. */
  readonly macvlanMode?: keyof typeof MACVLAN_MODES;
  /** How an ipvlan works. */
  readonly ipvlan?: IpvlanSettings;
  /** Of a VRF and of the links that belong to one: its routing table. */
  readonly vrfTable?: number;
  /** IFF_UP. */
  readonly up: boolean;
  /** IFF_RUNNING. */
  readonly running: boolean;
}

/** How an ipvlan works; one choice for all ipvlans of a link, the last one made. */
export interface IpvlanSettings {
  /** Where packets are switched (l2) or routed (l3, l3s with netfilter). */
  readonly mode: keyof typeof IPVLAN_MODES;
  /** Whether ipvlans of one link hear each other: here (bridge), by the switch (vepa), never. */
  readonly isolation: keyof typeof IPVLAN_FLAGS;
}

/** What was read of a link so far; `slaveKind` is the driver of its master. */
type Seen = { -readonly [K in keyof Link]?: Link[K] } & { slaveKind?: string };

/**
 * The link an RTM_NEWLINK or RTM_DELLINK message is about. Undefined when malformed, and also when
 * the message is not the link's own record: AF_BRIDGE ones tell of ports (their RTM_DELLINK: the
 * port left its bridge, the link is well), AF_INET6 ones of IPv6 settings, and wireless events
 * carry no MTU.
 */
export function decodeLink(payload: Uint8Array): Link | undefined {
  if (payload.length < IFINFOMSG_LENGTH || payload[0] !== AF_UNSPEC) return undefined;
  const index = get32(payload, 4);
  const flags = get32(payload, 8);
  const seen: Seen = {};
  const r = new AttributeReader(payload.subarray(IFINFOMSG_LENGTH));
  while (r.next()) {
    switch (r.type) {
      case IFLA_IFNAME:
        seen.name = r.text();
        break;
      case IFLA_MTU:
        seen.mtu = r.u32();
        break;
      case IFLA_ADDRESS:
        seen.address = r.bytes();
        break;
      case IFLA_BROADCAST:
        seen.broadcast = r.bytes();
        break;
      case IFLA_OPERSTATE:
        seen.operstate = r.u8();
        break;
      case IFLA_MASTER:
        seen.master = r.u32();
        break;
      case IFLA_LINK: {
        const other = r.u32();
        // A veth is announced once before it has its other end.
        if (other !== 0) seen.linkIndex = other;
        break;
      }
      case IFLA_LINK_NETNSID:
        seen.linkNetnsid = r.s32();
        break;
      case IFLA_GROUP: {
        const group = r.u32();
        if (group !== 0) seen.group = group;
        break;
      }
      case IFLA_LINKINFO:
        r.nest((info) => readInfo(info, seen));
        break;
    }
  }
  const { name, mtu, slaveKind: _, ...rest } = seen;
  if (r.short || index === 0 || !name || mtu === undefined) return undefined;
  const nothing = new Uint8Array(0);
  return {
    address: nothing,
    broadcast: nothing,
    operstate: 0,
    ...rest,
    index,
    name,
    flags,
    mtu,
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
  };
}

/** Reads an IFLA_LINKINFO: the driver of the link and that of its master, each with its data. */
function readInfo(info: AttributeReader, seen: Seen): void {
  while (info.next()) {
    switch (info.type) {
      case IFLA_INFO_KIND:
        seen.kind = info.text();
        break;
      case IFLA_INFO_DATA:
        if (seen.kind === "macvlan") info.nest((data) => readMacvlan(data, seen));
        if (seen.kind === "ipvlan") info.nest((data) => readIpvlan(data, seen));
        if (seen.kind === "vrf") info.nest((data) => readVrf(data, seen));
        break;
      case IFLA_INFO_SLAVE_KIND:
        seen.slaveKind = info.text();
        break;
      case IFLA_INFO_SLAVE_DATA:
        if (seen.slaveKind === "vrf") info.nest((data) => readVrf(data, seen));
        break;
    }
  }
}

function readMacvlan(data: AttributeReader, seen: Seen): void {
  while (data.next()) {
    if (data.type !== IFLA_MACVLAN_MODE) continue;
    const mode = nameOf(MACVLAN_MODES, data.u32());
    if (mode !== undefined) seen.macvlanMode = mode;
  }
}

function readIpvlan(data: AttributeReader, seen: Seen): void {
  let mode: IpvlanSettings["mode"] | undefined;
  let isolation: IpvlanSettings["isolation"] | undefined = "bridge";
  while (data.next()) {
    if (data.type === IFLA_IPVLAN_MODE) mode = nameOf(IPVLAN_MODES, data.u16());
    if (data.type === IFLA_IPVLAN_FLAGS) isolation = nameOf(IPVLAN_FLAGS, data.u16());
  }
  if (mode !== undefined && isolation !== undefined) seen.ipvlan = { mode, isolation };
}

function readVrf(data: AttributeReader, seen: Seen): void {
  while (data.next()) if (data.type === IFLA_VRF_TABLE) seen.vrfTable = data.u32();
}

/** The name of a number; undefined for one that we do not know. */
function nameOf<Name extends string>(
  names: Readonly<Record<Name, number>>,
  number: number,
): Name | undefined {
  return (Object.keys(names) as Name[]).find((name) => names[name] === number);
}

/** What can be said of a link that is there or about to be; what is absent stays as it is. */
export interface LinkSettings {
  /** At most 15 bytes. */
  readonly name?: string;
  /** Switches it on or off. */
  readonly up?: boolean;
  /** Index of its bridge, bond or VRF; 0 takes it out. */
  readonly master?: number;
  /** Descriptor of the network namespace it moves to. */
  readonly netnsFd?: number;
  /** Hardware address. */
  readonly address?: Uint8Array;
  /** Number of its group; 0: none. */
  readonly group?: number;
  /** Largest payload in bytes. */
  readonly mtu?: number;
  /**
   * How it gets its own IPv6 link-local address when it is switched on. Only of a link that is there
   * and has IPv6, else EAFNOSUPPORT.
   */
  readonly addrGenMode?: keyof typeof ADDR_GEN_MODES;
}

/** A link to make. */
export type NewLink =
  & LinkSettings
  & { readonly name: string }
  & (
    | { readonly kind: "bridge" }
    | {
      readonly kind: "veth";
      /**
       * The other end, which may live in another namespace from the start; it is made switched off.
       */
      readonly peer: Omit<LinkSettings, "master" | "up"> & { readonly name: string };
    }
    | {
      readonly kind: "macvlan";
      /** Index of the link below. */
      readonly linkIndex: number;
      /**
       * Whether macvlans of one link hear each other: here (bridge), by the switch (vepa), never
       * (private), or there can be only one (passthru).
       */
      readonly mode: keyof typeof MACVLAN_MODES;
    }
    | (IpvlanSettings & {
      readonly kind: "ipvlan";
      /** Index of the link below. */
      readonly linkIndex: number;
    })
    | {
      readonly kind: "vrf";
      /** Its routing table, 32 bits, not 0. */
      readonly table: number;
    }
  );

/** Asks for every link; replies are RTM_NEWLINK up to NLMSG_DONE. */
export function encodeDumpLinks(): Uint8Array {
  const w = new AttributeWriter();
  writeLink(w, 0, {});
  w.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return encodeMessage({
    type: RTM_GETLINK,
    flags: NLM_F_REQUEST | NLM_F_DUMP,
    payload: w.finish(),
  });
}

/**
 * Asks for one link by name or index; the reply is an RTM_NEWLINK, then an acknowledgement; ENODEV
 * when there is none.
 */
export function encodeGetLink(which: string | number): Uint8Array {
  const w = new AttributeWriter();
  if (typeof which === "number") writeLink(w, which, {});
  else writeLink(w, 0, { name: which });
  w.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  return encodeMessage({
    type: RTM_GETLINK,
    flags: NLM_F_REQUEST | NLM_F_ACK,
    payload: w.finish(),
  });
}

/** Makes a link; EEXIST when its name is taken, EOPNOTSUPP when the kernel has no such driver. */
export function encodeNewLink(link: NewLink): Uint8Array {
  const w = new AttributeWriter();
  writeLink(w, 0, link);
  if (link.kind === "macvlan" || link.kind === "ipvlan") w.u32(IFLA_LINK, link.linkIndex);
  w.nest(IFLA_LINKINFO, () => {
    w.bytes(IFLA_INFO_KIND, new TextEncoder().encode(link.kind)); // the kernel closes it itself
    if (link.kind !== "bridge") w.nest(IFLA_INFO_DATA, () => writeData(w, link));
  });
  return request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, w);
}

/** What a driver wants to know of a new link. */
function writeData(w: AttributeWriter, link: NewLink): void {
  switch (link.kind) {
    case "bridge":
      return;
    case "veth":
      w.nest(VETH_INFO_PEER, () => writeLink(w, 0, link.peer));
      return;
    case "macvlan":
      w.u32(IFLA_MACVLAN_MODE, MACVLAN_MODES[link.mode]);
      return;
    case "ipvlan":
      w.u16(IFLA_IPVLAN_MODE, IPVLAN_MODES[link.mode]);
      w.u16(IFLA_IPVLAN_FLAGS, IPVLAN_FLAGS[link.isolation]);
      return;
    case "vrf":
      w.u32(IFLA_VRF_TABLE, link.table);
      return;
  }
}

/** Changes a link. A new namespace comes first: the rest is done there. */
export function encodeSetLink(link: LinkSettings & { readonly index: number }): Uint8Array {
  const w = new AttributeWriter();
  writeLink(w, link.index, link);
  return request(RTM_NEWLINK, 0, w);
}

/** Removes a link (and a veth's other end with it). */
export function encodeDeleteLink(index: number): Uint8Array {
  const w = new AttributeWriter();
  writeLink(w, index, {});
  return request(RTM_DELLINK, 0, w);
}

/** Removes every link of a group at once, which takes no longer than one; not of group 0. */
export function encodeDeleteGroup(group: number): Uint8Array {
  assert(group > 0, "the group of all others is not removed");
  const w = new AttributeWriter();
  writeLink(w, 0, { group });
  return request(RTM_DELLINK, 0, w);
}

function request(type: number, flags: number, w: AttributeWriter): Uint8Array {
  return encodeMessage({ type, flags: NLM_F_REQUEST | NLM_F_ACK | flags, payload: w.finish() });
}

/** The fixed part and the settings of a link, at the top of a message or as a veth's peer. */
function writeLink(w: AttributeWriter, index: number, link: LinkSettings): void {
  const head = new Uint8Array(IFINFOMSG_LENGTH);
  put32(head, 4, index);
  if (link.up !== undefined) {
    put32(head, 8, link.up ? IFF_UP : 0);
    put32(head, 12, IFF_UP);
  }
  w.raw(head);
  if (link.name !== undefined) w.text(IFLA_IFNAME, link.name);
  if (link.address !== undefined) w.bytes(IFLA_ADDRESS, link.address);
  if (link.master !== undefined) w.u32(IFLA_MASTER, link.master);
  if (link.group !== undefined) w.u32(IFLA_GROUP, link.group);
  if (link.mtu !== undefined) w.u32(IFLA_MTU, link.mtu);
  if (link.netnsFd !== undefined) w.u32(IFLA_NET_NS_FD, link.netnsFd);
  const { addrGenMode } = link;
  if (addrGenMode !== undefined) {
    w.nest(IFLA_AF_SPEC, () => {
      w.nest(AF_INET6, () => w.u8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODES[addrGenMode]));
    });
  }
}
