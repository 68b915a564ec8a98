/**
 * Routes (linux/rtnetlink.h): read from dumps and notifications, added and removed. Every message
 * starts with `struct rtmsg`. A route with one next hop has it among its attributes, one with several
 * in RTA_MULTIPATH, as a list of `struct rtnexthop`; here both are `nexthops`. `struct rtmsg` holds
 * table numbers up to 255, RTA_TABLE every one.
 *
 * ```
 *  0        1        2        3        4        5        6        7        8
 * +--------+--------+--------+--------+--------+--------+--------+--------+
 * | family | dst len| src len| tos    | table  |protocol| scope  | type   |
 * +--------+--------+--------+--------+--------+--------+--------+--------+
 * | flags (RTNH_F_*, RTM_F_*)         |
 * +-----------------------------------+
 * | attributes (RTA_*) ...
 *
 * struct rtnexthop, in RTA_MULTIPATH
 * +-----------------+--------+--------+-----------------------------------+
 * | length          | flags  |weight-1| index                             |
 * +-----------------+--------+--------+-----------------------------------+
 * | attributes (RTA_GATEWAY, RTA_VIA, RTA_FLOW, RTA_ENCAP ...)
 * ```
 */

import { type Address, type Family, familyOf } from "../lib/address.ts";
import { decodeEncap, type Encap, encapNumber, writeEncap } from "./encap.ts";
import {
  addressLength,
  AF_UNSPEC,
  everything,
  familyNumber,
  familyOfNumber,
  type Prefix,
} from "./family.ts";
import {
  align,
  AttributeReader,
  AttributeWriter,
  encodeMessage,
  get16,
  get32,
  NLA_F_NESTED,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  put16,
  put32,
} from "./message.ts";
import { readMetrics, type RouteMetrics, writeMetrics } from "./route_metrics.ts";

/** Message types (linux/rtnetlink.h). */
export const RTM_NEWROUTE = 24;
/** The route is gone; in a request: remove it. */
export const RTM_DELROUTE = 25;
/** Asks for routes. */
const RTM_GETROUTE = 26;

/** Multicast group of IPv4 route notifications (linux/rtnetlink.h). */
export const RTNLGRP_IPV4_ROUTE = 7;
/** Multicast group of IPv6 route notifications. */
export const RTNLGRP_IPV6_ROUTE = 11;

/** Types of route (linux/rtnetlink.h): through a gateway or straight to a link. */
export const RTN_UNICAST = 1;
/** Dropped without a word. */
export const RTN_BLACKHOLE = 6;
/** Refused: host unreachable. */
export const RTN_UNREACHABLE = 7;
/** Refused: administratively prohibited. */
export const RTN_PROHIBIT = 8;
/** Not in this table: the next rule decides. */
export const RTN_THROW = 9;

/** Every type by the word that configurations use. */
export const ROUTE_TYPES: Readonly<Record<string, number>> = {
  unicast: RTN_UNICAST,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: RTN_BLACKHOLE,
  unreachable: RTN_UNREACHABLE,
  prohibit: RTN_PROHIBIT,
  throw: RTN_THROW,
  nat: 10,
  xresolve: 11,
};

/** The table that holds what nobody placed elsewhere. */
export const RT_TABLE_MAIN = 254;
/** In `struct rtmsg`: the number is in RTA_TABLE alone. */
const RT_TABLE_UNSPEC = 0;

/** The metric of an IPv6 route that names none (linux/ipv6_route.h). */
export const IP6_RT_PRIO_USER = 1024;

/** Who made a route (linux/rtnetlink.h): keepalived, and we. */
export const RTPROT_KEEPALIVED = 18;

/** Flags of a next hop (linux/rtnetlink.h): not looked up again (unused by the kernel). */
export const RTNH_F_PERVASIVE = 2;
/** The gateway is on the link whatever its address. */
export const RTNH_F_ONLINK = 4;
/** The flags that are somebody's wish; the others say how the next hop is. */
export const RTNH_F_WISHES = RTNH_F_PERVASIVE | RTNH_F_ONLINK;

/** A copy made for one destination, not a record of a table. */
const RTM_F_CLONED = 0x200;
/** In a question: the record of the table, not a copy made for the destination. */
const RTM_F_FIB_MATCH = 0x2000;

/** linux/rtnetlink.h */
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_FLOW = 11;
const RTA_CACHEINFO = 12;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_PREF = 20;
const RTA_ENCAP_TYPE = 21;
const RTA_ENCAP = 22;
const RTA_EXPIRES = 23;
const RTA_TTL_PROPAGATE = 26;

const RTMSG_LENGTH = 12;
const RTNEXTHOP_LENGTH = 8;
const CACHEINFO_LENGTH = 32;
/** Ticks a second of RTA_CACHEINFO, USER_HZ. */
const USER_HZ = 100;

/** One way out. */
export interface Nexthop {
  /** Index of the link; absent: the kernel finds it from the gateway. */
  readonly index?: number;
  /** The next router, which may be of the other family (IPv6 for IPv4 routes). */
  readonly gateway?: Address;
  /** Its share among several, 1 to 256; absent: 1. */
  readonly weight?: number;
  /** RTNH_F_*. */
  readonly flags?: number;
  /** Realms of packets that go here: from << 16 | to (IPv4). */
  readonly realms?: number;
  /** What is done to the packet first. */
  readonly encap?: Encap;
}

/** A route to add, or as the kernel describes it. */
export interface Route {
  /** Family of the destination. */
  readonly family: Family;
  /** RTN_*. */
  readonly type: number;
  /** Where it leads; length 0: the default route. */
  readonly destination: Prefix;
  /** For packets from there only (IPv6). */
  readonly source?: Prefix;
  /** Source address of what this host sends along it. */
  readonly preferredSource?: Address;
  /** Type of service it is for (IPv4). */
  readonly tos: number;
  /** RT_TABLE_*, 32 bits. */
  readonly table: number;
  /** RTPROT_*, 0 to 255. */
  readonly protocol: number;
  /** RT_SCOPE_* (IPv4). */
  readonly scope: number;
  /** Lower wins; absent: the kernel's, 0 for IPv4 and 1024 for IPv6. */
  readonly metric?: number;
  /** ICMPV6_ROUTER_PREF_*: 0 medium, 1 high, 3 low (IPv6). */
  readonly preference?: number;
  /** Seconds until the kernel removes it (IPv6). */
  readonly expires?: number;
  /** Whether the TTL is copied at the end of a label-switched path. */
  readonly ttlPropagate?: boolean;
  readonly metrics?: RouteMetrics;
  /** None where the type leads nowhere. */
  readonly nexthops: readonly Nexthop[];
}

type Seen<T> = { -readonly [K in keyof T]?: T[K] };

/**
 * The route an RTM_NEWROUTE or RTM_DELROUTE message is about. Undefined when malformed, of another
 * family, or no record of a table but a copy made for one destination.
 */
export function decodeRoute(payload: Uint8Array): Route | undefined {
  if (payload.length < RTMSG_LENGTH) return undefined;
  const family = familyOfNumber(payload[0]);
  const flags = get32(payload, 8);
  if (family === undefined || (flags & RTM_F_CLONED) !== 0) return undefined;
  const length = addressLength(family);
  const [, destinationLength, sourceLength] = payload;
  if (destinationLength! > 8 * length || sourceLength! > 8 * length) return undefined;
  let destination = everything(family);
  let several: Nexthop[] | undefined;
  const seen: Seen<Route> = {};
  const hop = new NexthopReader(length);
  const r = new AttributeReader(payload.subarray(RTMSG_LENGTH));
  while (r.next()) {
    hop.read(r);
    readScalar(r, length, seen);
    switch (r.type) {
      case RTA_DST:
        destination = { address: r.bytes(length), length: destinationLength! };
        break;
      case RTA_SRC:
        seen.source = { address: r.bytes(length), length: sourceLength! };
        break;
      case RTA_MULTIPATH:
        several = decodeNexthops(r.bytes(), length);
        if (several === undefined) return undefined;
        break;
    }
  }
  const one = hop.finish(flags & 0xff);
  if (r.short || one === undefined || destination.length !== destinationLength) return undefined;
  if ((seen.source?.length ?? 0) !== sourceLength) return undefined;
  const nexthops = several ?? (Object.keys(one).length === 0 ? [] : [one]);
  const [, , , tos, table, protocol, scope, type] = payload;
  return {
    table: table!,
    ...seen,
    ...{ family, type: type!, destination, tos: tos!, protocol: protocol!, scope: scope! },
    nexthops,
  };
}

/** Reads what is one value and belongs to the whole route. */
function readScalar(r: AttributeReader, length: number, seen: Seen<Route>): void {
  switch (r.type) {
    case RTA_PREFSRC:
      seen.preferredSource = r.bytes(length);
      return;
    case RTA_PRIORITY:
      seen.metric = r.u32();
      return;
    case RTA_TABLE:
      seen.table = r.u32();
      return;
    case RTA_PREF:
      seen.preference = r.u8();
      return;
    case RTA_EXPIRES:
      seen.expires = r.u32();
      return;
    case RTA_CACHEINFO: {
      // The kernel's own word for the time left; IPv6 sends it with every route.
      const ticks = get32(r.bytes(CACHEINFO_LENGTH), 8) | 0;
      if (ticks > 0) seen.expires = Math.max(1, Math.floor(ticks / USER_HZ));
      return;
    }
    case RTA_TTL_PROPAGATE:
      seen.ttlPropagate = r.u8() !== 0;
      return;
    case RTA_METRICS:
      r.nest((inside) => seen.metrics = readMetrics(inside));
      return;
  }
}

/** Collects a next hop from attributes, of a route or of its part of RTA_MULTIPATH. */
class NexthopReader {
  readonly #length: number;
  readonly #seen: Seen<Nexthop> = {};
  #encapNumber = 0;
  #encap: Uint8Array = new Uint8Array(0);

  /** `length`: bytes of an address of the route's family. */
  constructor(length: number) {
    this.#length = length;
  }

  /** Takes the current attribute when it is about a next hop. */
  read(r: AttributeReader): void {
    switch (r.type) {
      case RTA_OIF:
        this.#seen.index = r.u32();
        return;
      case RTA_GATEWAY:
        this.#seen.gateway = r.bytes(this.#length);
        return;
      case RTA_VIA: {
        // struct rtvia: a family and an address of it.
        const via = r.bytes();
        const family = via.length < 2 ? undefined : familyOfNumber(get16(via, 0));
        const whole = family !== undefined && via.length === 2 + addressLength(family);
        if (whole) this.#seen.gateway = via.slice(2);
        else r.short = true;
        return;
      }
      case RTA_FLOW:
        this.#seen.realms = r.u32();
        return;
      case RTA_ENCAP_TYPE:
        this.#encapNumber = r.u16();
        return;
      case RTA_ENCAP:
        this.#encap = r.bytes();
        return;
    }
  }

  /** The next hop, an empty one if nothing spoke of it; undefined when malformed. */
  finish(flags: number): Nexthop | undefined {
    if (flags !== 0 && this.#seen.index !== undefined) this.#seen.flags = flags;
    if (this.#encapNumber === 0) return this.#seen;
    const encap = decodeEncap(this.#encapNumber, this.#encap);
    return encap === undefined ? undefined : { ...this.#seen, encap };
  }
}

/** The parts of an RTA_MULTIPATH; undefined when malformed. */
function decodeNexthops(bytes: Uint8Array, addressLength: number): Nexthop[] | undefined {
  const all: Nexthop[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const left = bytes.length - offset;
    const length = left < RTNEXTHOP_LENGTH ? 0 : get16(bytes, offset);
    if (length < RTNEXTHOP_LENGTH || length > left) return undefined;
    const hop = new NexthopReader(addressLength);
    const r = new AttributeReader(bytes.subarray(offset + RTNEXTHOP_LENGTH, offset + length));
    while (r.next()) hop.read(r);
    const rest = hop.finish(0);
    if (r.short || rest === undefined) return undefined;
    const flags = bytes[offset + 2]!;
    const index = get32(bytes, offset + 4);
    all.push({
      ...rest,
      ...(index === 0 ? {} : { index }),
      weight: bytes[offset + 3]! + 1,
      ...(flags === 0 ? {} : { flags }),
    });
    offset += align(length);
  }
  return all;
}

/**
 * Adds a route. `modifiers` says what happens when there is an equal one (same destination, TOS,
 * metric and table): NLM_F_REPLACE takes its place, NLM_F_EXCL answers EEXIST, NLM_F_APPEND goes
 * behind it, NLM_F_CREATE alone before it (IPv4).
 */
export function encodeNewRoute(
  route: Route,
  modifiers: number = NLM_F_CREATE | NLM_F_REPLACE,
): Uint8Array {
  const w = new AttributeWriter();
  writeRoute(w, route);
  if (route.preference !== undefined) w.u8(RTA_PREF, route.preference);
  if (route.expires !== undefined) w.u32(RTA_EXPIRES, route.expires);
  if (route.ttlPropagate !== undefined) w.u8(RTA_TTL_PROPAGATE, route.ttlPropagate ? 1 : 0);
  const { metrics } = route;
  if (metrics !== undefined) w.nest(RTA_METRICS, () => writeMetrics(w, metrics));
  return request(RTM_NEWROUTE, modifiers, w);
}

/**
 * Removes the first route that agrees in everything but its metrics, preference and lifetime; ESRCH
 * when there is none. (The kernel keeps some metrics smaller than it was asked to, and then would
 * not find the route.)
 */
export function encodeDeleteRoute(route: Route): Uint8Array {
  const w = new AttributeWriter();
  // Without a metric IPv6 would remove the first of any.
  const metric = route.metric ?? (route.family === 6 ? IP6_RT_PRIO_USER : undefined);
  writeRoute(w, metric === undefined ? route : { ...route, metric });
  return request(RTM_DELROUTE, 0, w);
}

/**
 * Asks for every route of a family, or of all; replies are RTM_NEWROUTE up to NLMSG_DONE. A socket
 * with NETLINK_GET_STRICT_CHK gets those of one table or protocol alone, others get all.
 */
export function encodeDumpRoutes(
  which: { readonly family?: Family; readonly table?: number; readonly protocol?: number } = {},
): Uint8Array {
  const head = new Uint8Array(RTMSG_LENGTH);
  head[0] = which.family === undefined ? AF_UNSPEC : familyNumber(which.family);
  head[5] = which.protocol ?? 0;
  const w = new AttributeWriter();
  w.raw(head);
  if (which.table !== undefined) w.u32(RTA_TABLE, which.table);
  const flags = NLM_F_REQUEST | NLM_F_DUMP;
  return encodeMessage({ type: RTM_GETROUTE, flags, payload: w.finish() });
}

/**
 * Asks which route of the tables a packet to an address takes; the reply is an RTM_NEWROUTE, then an
 * acknowledgement; ENETUNREACH and the like when there is none.
 */
export function encodeGetRoute(to: Address, from?: Address): Uint8Array {
  const head = new Uint8Array(RTMSG_LENGTH);
  head.set([familyNumber(familyOf(to)), 8 * to.length, 8 * (from?.length ?? 0)]);
  put32(head, 8, RTM_F_FIB_MATCH);
  const w = new AttributeWriter();
  w.raw(head);
  w.bytes(RTA_DST, to);
  if (from !== undefined) w.bytes(RTA_SRC, from);
  return request(RTM_GETROUTE, 0, w);
}

function request(type: number, flags: number, w: AttributeWriter): Uint8Array {
  return encodeMessage({ type, flags: NLM_F_REQUEST | NLM_F_ACK | flags, payload: w.finish() });
}

/** The fixed part and what tells one route from another. */
function writeRoute(w: AttributeWriter, route: Route): void {
  const { family, destination, source, table, nexthops } = route;
  const [first] = nexthops;
  const alone = nexthops.length === 1 ? first : undefined;
  const head = new Uint8Array(RTMSG_LENGTH);
  head.set([familyNumber(family), destination.length, source?.length ?? 0, route.tos]);
  head.set([table > 255 ? RT_TABLE_UNSPEC : table, route.protocol, route.scope, route.type], 4);
  put32(head, 8, (alone?.flags ?? 0) & RTNH_F_WISHES);
  w.raw(head);
  if (destination.length > 0) w.bytes(RTA_DST, destination.address);
  if (source !== undefined && source.length > 0) w.bytes(RTA_SRC, source.address);
  if (table > 255) w.u32(RTA_TABLE, table);
  if (route.metric !== undefined) w.u32(RTA_PRIORITY, route.metric);
  if (route.preferredSource !== undefined) w.bytes(RTA_PREFSRC, route.preferredSource);
  if (alone !== undefined) {
    if (alone.index !== undefined) w.u32(RTA_OIF, alone.index);
    writeNexthop(w, family, alone);
  } else if (nexthops.length > 1) {
    w.nest(RTA_MULTIPATH, () => {
      for (const nexthop of nexthops) w.raw(encodeNexthop(family, nexthop));
    });
  }
}

/** What a next hop has apart from its link, flags and weight. */
function writeNexthop(w: AttributeWriter, family: Family, nexthop: Nexthop): void {
  const { gateway, encap } = nexthop;
  if (gateway !== undefined) {
    if (familyOf(gateway) === family) {
      w.bytes(RTA_GATEWAY, gateway);
    } else {
      const via = new Uint8Array(2 + gateway.length);
      put16(via, 0, familyNumber(familyOf(gateway)));
      via.set(gateway, 2);
      w.bytes(RTA_VIA, via);
    }
  }
  if (nexthop.realms !== undefined) w.u32(RTA_FLOW, nexthop.realms);
  if (encap !== undefined) {
    w.nest(RTA_ENCAP | NLA_F_NESTED, () => writeEncap(w, encap));
    w.u16(RTA_ENCAP_TYPE, encapNumber(encap));
  }
}

/** A `struct rtnexthop` with its attributes. */
function encodeNexthop(family: Family, nexthop: Nexthop): Uint8Array {
  const w = new AttributeWriter();
  const head = new Uint8Array(RTNEXTHOP_LENGTH);
  head[2] = (nexthop.flags ?? 0) & RTNH_F_WISHES;
  head[3] = (nexthop.weight ?? 1) - 1;
  put32(head, 4, nexthop.index ?? 0);
  w.raw(head);
  writeNexthop(w, family, nexthop);
  const bytes = w.finish();
  put16(bytes, 0, bytes.length);
  return bytes;
}
