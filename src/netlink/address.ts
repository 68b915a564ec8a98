/**
 * Addresses of links (linux/if_addr.h): read from dumps and notifications, added and removed. Every
 * message starts with `struct ifaddrmsg`. IFA_LOCAL is the link's own address and IFA_ADDRESS the
 * other end's; without another end both are the same, and IPv6 then sends only IFA_ADDRESS. Here
 * `address` is always the own one.
 *
 * ```
 *  0        1        2        3        4                 8
 * +--------+--------+--------+--------+-----------------+
 * | family | prefix | flags  | scope  | index           |
 * +--------+--------+--------+--------+-----------------+
 * | attributes (IFA_*) ...
 * ```
 */

import { type Address, compareAddress, type Family, familyOf } from "../lib/address.ts";
import { addressLength, AF_UNSPEC, familyNumber, familyOfNumber } from "./family.ts";
import {
  AttributeReader,
  AttributeWriter,
  encodeMessage,
  get32,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_REPLACE,
  NLM_F_REQUEST,
  put32,
} from "./message.ts";

/** Message types (linux/rtnetlink.h). */
export const RTM_NEWADDR = 20;
/** The address is gone; in a request: remove it. */
export const RTM_DELADDR = 21;
/** Asks for addresses. */
const RTM_GETADDR = 22;

/** Multicast group of IPv4 address notifications (linux/rtnetlink.h). */
export const RTNLGRP_IPV4_IFADDR = 5;
/** Multicast group of IPv6 address notifications. */
export const RTNLGRP_IPV6_IFADDR = 9;

/** Flags of an address (linux/if_addr.h): usable at once, not looked for elsewhere first (IPv6). */
export const IFA_F_NODAD = 0x02;
/** Duplicate address detection found another owner. */
export const IFA_F_DADFAILED = 0x08;
/** The home address of a mobile node (IPv6). */
export const IFA_F_HOMEADDRESS = 0x10;
/** The preferred lifetime is over: never chosen as a source. */
export const IFA_F_DEPRECATED = 0x20;
/** Duplicate address detection is still going on. */
export const IFA_F_TENTATIVE = 0x40;
/** Temporary addresses are made after it (IPv6). */
export const IFA_F_MANAGETEMPADDR = 0x100;
/** Brings no route to its prefix. */
export const IFA_F_NOPREFIXROUTE = 0x200;
/** Joins the multicast group that it is. */
export const IFA_F_MCAUTOJOIN = 0x400;

/** Scopes (linux/rtnetlink.h): everywhere. */
const RT_SCOPE_UNIVERSE = 0;
/** Valid on this link. */
export const RT_SCOPE_LINK = 253;

/** Lifetime without end, in the kernel's seconds (INFINITY_LIFE_TIME of net/addrconf.h). */
const INFINITY_LIFE_TIME = 0xffffffff;

// linux/if_addr.h
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_BROADCAST = 4;
const IFA_CACHEINFO = 6;
const IFA_FLAGS = 8;

const IFADDRMSG_LENGTH = 8;
const CACHEINFO_LENGTH = 16;

/** An address to add to a link. */
export interface NewAddress {
  /** Index of the link. */
  readonly index: number;
  /** The link's own address. */
  readonly address: Address;
  /** 0 to 32 or 128. */
  readonly prefixLength: number;
  /** RT_SCOPE_*; absent: RT_SCOPE_UNIVERSE. IPv6 tells its own from the address. */
  readonly scope?: number;
  /** IFA_F_*. */
  readonly flags?: number;
  /** Address of the other end of a point-to-point link. */
  readonly peer?: Address;
  /** Broadcast address (IPv4). */
  readonly broadcast?: Address;
  /** Name shown by old programs, usually `LINK` or `LINK:word`, at most 15 bytes (IPv4). */
  readonly label?: string;
  /** Seconds until it is deprecated; 0: deprecated at once; absent: INFINITY_LIFE_TIME. */
  readonly preferredLifetime?: number;
  /** Seconds until it is removed, at least `preferredLifetime`; absent: INFINITY_LIFE_TIME. */
  readonly validLifetime?: number;
}

/** An address of a link as the kernel describes it. */
export interface InterfaceAddress extends NewAddress {
  /** RT_SCOPE_*. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
  /** Seconds left when the kernel wrote the message, or INFINITY_LIFE_TIME. */
  readonly preferredLifetime: number;
  /** Seconds left when the kernel wrote the message, or INFINITY_LIFE_TIME. */
  readonly validLifetime: number;
}

/**
 * The address an RTM_NEWADDR or RTM_DELADDR message is about; undefined when malformed or of
 * another family.
 */
export function decodeAddressMessage(payload: Uint8Array): InterfaceAddress | undefined {
  if (payload.length < IFADDRMSG_LENGTH) return undefined;
  const family = familyOfNumber(payload[0]);
  if (family === undefined) return undefined;
  const length = addressLength(family);
  const prefixLength = payload[1]!;
  const index = get32(payload, 4);
  const seen: { -readonly [K in keyof InterfaceAddress]?: InterfaceAddress[K] } = {};
  let local: Address | undefined;
  let other: Address | undefined;
  const r = new AttributeReader(payload.subarray(IFADDRMSG_LENGTH));
  while (r.next()) {
    switch (r.type) {
      case IFA_LOCAL:
        local = r.bytes(length);
        break;
      case IFA_ADDRESS:
        other = r.bytes(length);
        break;
      case IFA_BROADCAST:
        seen.broadcast = r.bytes(length);
        break;
      case IFA_LABEL:
        seen.label = r.text();
        break;
      case IFA_FLAGS:
        seen.flags = r.u32();
        break;
      case IFA_CACHEINFO: {
        const info = r.bytes(CACHEINFO_LENGTH);
        seen.preferredLifetime = get32(info, 0);
        seen.validLifetime = get32(info, 4);
        break;
      }
    }
  }
  const address = local ?? other;
  if (r.short || index === 0 || prefixLength > 8 * length || address === undefined) {
    return undefined;
  }
  if (other !== undefined && compareAddress(other, address) !== 0) seen.peer = other;
  return {
    flags: payload[2]!,
    preferredLifetime: INFINITY_LIFE_TIME,
    validLifetime: INFINITY_LIFE_TIME,
    ...seen,
    index,
    address,
    prefixLength,
    scope: payload[3]!,
  };
}

/**
 * Adds an address. `modifiers` says what happens when it is there: NLM_F_REPLACE renews it,
 * NLM_F_EXCL answers EEXIST.
 */
export function encodeNewAddress(
  address: NewAddress,
  modifiers: number = NLM_F_CREATE | NLM_F_REPLACE,
): Uint8Array {
  const w = new AttributeWriter();
  const flags = address.flags ?? 0;
  writeAddress(w, address, flags, address.scope ?? RT_SCOPE_UNIVERSE);
  if (address.broadcast !== undefined) w.bytes(IFA_BROADCAST, address.broadcast);
  if (flags > 0xff) w.u32(IFA_FLAGS, flags);
  const { preferredLifetime, validLifetime } = address;
  if (preferredLifetime !== undefined || validLifetime !== undefined) {
    const info = new Uint8Array(CACHEINFO_LENGTH);
    put32(info, 0, preferredLifetime ?? INFINITY_LIFE_TIME);
    put32(info, 4, validLifetime ?? INFINITY_LIFE_TIME);
    w.bytes(IFA_CACHEINFO, info);
  }
  return request(RTM_NEWADDR, modifiers, w);
}

/** Removes an address; EADDRNOTAVAIL when it is not there. */
export function encodeDeleteAddress(
  address: Pick<NewAddress, "index" | "address" | "prefixLength" | "peer" | "label">,
): Uint8Array {
  const w = new AttributeWriter();
  writeAddress(w, address, 0, RT_SCOPE_UNIVERSE);
  return request(RTM_DELADDR, 0, w);
}

/** Asks for every address of a family, or of all; replies are RTM_NEWADDR up to NLMSG_DONE. */
export function encodeDumpAddresses(family?: Family): Uint8Array {
  const payload = new Uint8Array(IFADDRMSG_LENGTH);
  payload[0] = family === undefined ? AF_UNSPEC : familyNumber(family);
  return encodeMessage({ type: RTM_GETADDR, flags: NLM_F_REQUEST | NLM_F_DUMP, payload });
}

function request(type: number, flags: number, w: AttributeWriter): Uint8Array {
  return encodeMessage({ type, flags: NLM_F_REQUEST | NLM_F_ACK | flags, payload: w.finish() });
}

/** The fixed part and what tells one address from another. */
function writeAddress(
  w: AttributeWriter,
  it: Pick<NewAddress, "index" | "address" | "prefixLength" | "peer" | "label">,
  flags: number,
  scope: number,
): void {
  const head = new Uint8Array(IFADDRMSG_LENGTH);
  // The 8-bit field of the fixed part holds the low flags; IFA_FLAGS, when there, is heard instead.
  head.set([familyNumber(familyOf(it.address)), it.prefixLength, flags, scope]);
  put32(head, 4, it.index);
  w.raw(head);
  w.bytes(IFA_LOCAL, it.address);
  w.bytes(IFA_ADDRESS, it.peer ?? it.address);
  if (it.label !== undefined) w.text(IFA_LABEL, it.label);
}
