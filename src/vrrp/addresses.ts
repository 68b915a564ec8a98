/**
 * The virtual addresses of an instance: what the configuration says as what the kernel is told, and
 * the difference a reload makes.
 */

import type { VirtualAddress, VrrpInstance } from "../config/vrrp.ts";
import { type Address, parseAddress } from "../lib/address.ts";
import { assert } from "../lib/assert.ts";
import {
  IFA_F_HOMEADDRESS,
  IFA_F_MANAGETEMPADDR,
  IFA_F_MCAUTOJOIN,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  type NewAddress,
} from "../netlink/address.ts";

/** One virtual address and the name of the link that is to hold it. */
export interface Held {
  readonly device: string;
  readonly address: Address;
  readonly spec: VirtualAddress;
}

/** All addresses an instance moves, advertised ones first. */
export function heldAddresses(instance: VrrpInstance): Held[] {
  const { virtual_ipaddress, virtual_ipaddress_excluded, interface: device } = instance;
  return [...virtual_ipaddress, ...virtual_ipaddress_excluded].map((spec) => heldOn(device, spec));
}

/** An address on its own link, or else on `device`. */
export function heldOn(device: string | undefined, spec: VirtualAddress): Held {
  return { device: spec.dev ?? device ?? "", address: bytesOf(spec.address), spec };
}

/** The addresses an instance's adverts carry. */
export function advertisedAddresses(instance: VrrpInstance): Address[] {
  const length = instance.family === 4 ? 4 : 16;
  return instance.virtual_ipaddress.map((spec) => bytesOf(spec.address))
    .filter((address) => address.length === length);
}

/** Where an instance's adverts go: to its unicast peers, or to its multicast group. */
export function advertDestinations(instance: VrrpInstance): Address[] {
  const { unicast_peer, mcast_group } = instance;
  if (unicast_peer.length === 0) return [bytesOf(mcast_group)];
  return unicast_peer.map((peer) => bytesOf(peer.address));
}

/** The address as the kernel wants it, on the link with this index. */
export function kernelAddress(held: Held, index: number): NewAddress {
  const { spec, address } = held;
  const isV6 = address.length === 16;
  let flags = isV6 && !spec.dad ? IFA_F_NODAD : 0;
  if (spec.home) flags |= IFA_F_HOMEADDRESS;
  if (spec.mngtmpaddr) flags |= IFA_F_MANAGETEMPADDR;
  if (spec.noprefixroute) flags |= IFA_F_NOPREFIXROUTE;
  if (spec.autojoin) flags |= IFA_F_MCAUTOJOIN;
  return {
    index,
    address,
    prefixLength: spec.prefixLength,
    scope: spec.scope,
    flags,
    ...(spec.peer === undefined ? {} : { peer: bytesOf(spec.peer.address) }),
    ...(spec.brd === undefined ? {} : { broadcast: bytesOf(spec.brd) }),
    ...(spec.label === undefined || isV6 ? {} : { label: spec.label }),
    ...(spec.preferred_lft === undefined ? {} : { preferredLifetime: spec.preferred_lft }),
  };
}

/**
 * What a reload takes from and adds to the addresses of an instance that is MASTER. `made` are the links
 * that are new and hold nothing yet.
 */
export function changedAddresses(
  before: VrrpInstance,
  after: VrrpInstance,
  made: readonly string[] = [],
): { readonly removed: readonly Held[]; readonly added: readonly Held[] } {
  const was = heldAddresses(before).filter(({ device }) => !made.includes(device));
  const is = heldAddresses(after);
  return {
    removed: was.filter((one) => !is.some((other) => isSameHeld(one, other))),
    added: is.filter((one) => !was.some((other) => isSameHeld(one, other))),
  };
}

/** Whether two are one to the kernel; whether it is tracked, for instance, is our own business. */
export function isSameHeld(a: Held, b: Held): boolean {
  const text = (held: Held): string => JSON.stringify(kernelAddress(held, 0));
  return a.device === b.device && text(a) === text(b);
}

/** Bytes of an address the configuration reader has already accepted. */
function bytesOf(text: string): Address {
  const address = parseAddress(text);
  assert(address !== undefined, `address '${text}' of the configuration`);
  return address;
}
