/**
 * The kernel's links and addresses as we know them, kept up to date by whoever hears the kernel. Pure
 * bookkeeping: it answers which link has a name, whether it works, and which address is its own.
 */

import { type Address, compareAddress, type Family } from "../lib/address.ts";
import {
  IFA_F_DADFAILED,
  IFA_F_DEPRECATED,
  IFA_F_TENTATIVE,
  type InterfaceAddress,
} from "../netlink/address.ts";
import type { Link } from "../netlink/link.ts";

/** Flags of an address that make it useless as a source. */
const UNUSABLE = IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TENTATIVE;

/** Flags of an address that nothing can be sent from. */
const UNUSABLE_HERE = IFA_F_DADFAILED | IFA_F_TENTATIVE;

/** Whether an address means something on one link only: fe80::/10. */
export function isLinkLocal(address: Address): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** Links by index and name, with their addresses in the kernel's order. */
export class LinkTable {
  readonly #links = new Map<number, Link>();
  readonly #indexes = new Map<string, number>();
  readonly #addresses = new Map<number, InterfaceAddress[]>();
  /** What somebody who knows better makes of a link; see link_watch.ts. */
  opinion: ((link: Link) => boolean) | undefined;

  /** Forgets everything, before a dump. */
  clear(): void {
    this.#links.clear();
    this.#indexes.clear();
    this.#addresses.clear();
  }

  /** A link is there, or has changed; a new name replaces the old one. */
  setLink(link: Link): void {
    this.removeLink(link.index, true);
    this.#links.set(link.index, link);
    this.#indexes.set(link.name, link.index);
  }

  /** A link is gone, and its addresses with it unless they are to be kept. */
  removeLink(index: number, keepAddresses = false): void {
    const link = this.#links.get(index);
    if (link !== undefined && this.#indexes.get(link.name) === index) {
      this.#indexes.delete(link.name);
    }
    this.#links.delete(index);
    if (!keepAddresses) this.#addresses.delete(index);
  }

  /** An address is there, or has changed. */
  setAddress(address: InterfaceAddress): void {
    const list = this.#addresses.get(address.index) ?? [];
    const at = list.findIndex((one) => isSame(one, address));
    if (at < 0) list.push(address);
    else list[at] = address;
    this.#addresses.set(address.index, list);
  }

  /** An address is gone. */
  removeAddress(address: InterfaceAddress): void {
    const list = this.#addresses.get(address.index) ?? [];
    this.#addresses.set(address.index, list.filter((one) => !isSame(one, address)));
  }

  /** The link of this name. */
  byName(name: string): Link | undefined {
    const index = this.#indexes.get(name);
    return index === undefined ? undefined : this.#links.get(index);
  }

  /** The link of this index. */
  byIndex(index: number): Link | undefined {
    return this.#links.get(index);
  }

  /** Every link. */
  all(): Iterable<Link> {
    return this.#links.values();
  }

  /** The addresses of a link, in the kernel's order. */
  addressesOf(index: number): readonly InterfaceAddress[] {
    return this.#addresses.get(index) ?? [];
  }

  /** The first link-local address of a link that `isVirtual` does not claim, whether or not it is preferred. */
  linkLocal(index: number, isVirtual: (address: Address) => boolean): Address | undefined {
    return this.addressesOf(index).find(({ address, flags }) =>
      isLinkLocal(address) && (flags & IFA_F_DADFAILED) === 0 && !isVirtual(address)
    )?.address;
  }

  /** Whether the link of this name is there and can carry something. */
  works(name: string): boolean {
    const link = this.byName(name);
    if (link === undefined) return false;
    return this.opinion?.(link) ?? (link.up && link.running);
  }

  /** Whether a link holds an address, whatever its prefix. */
  holds(index: number, address: Address): boolean {
    const list = this.#addresses.get(index) ?? [];
    return list.some((one) => compareAddress(one.address, address) === 0);
  }

  /** Whether any link holds a usable address, whatever its prefix. */
  isUsable(address: Address): boolean {
    for (const list of this.#addresses.values()) {
      const found = list.find((one) => compareAddress(one.address, address) === 0);
      if (found !== undefined && (found.flags & UNUSABLE_HERE) === 0) return true;
    }
    return false;
  }

  /** Whether a hardware address is one of our own links'. */
  isOurs(mac: Uint8Array): boolean {
    for (const link of this.#links.values()) {
      if (link.address.length === mac.length && compareAddress(link.address, mac) === 0) {
        return true;
      }
    }
    return false;
  }

  /**
   * The address a link speaks with: its first usable one of the family that `isVirtual` does not
   * claim. Undefined when it has none. Over IPv6 `linkLocal` says which kind is wanted.
   */
  primaryAddress(
    index: number,
    family: Family,
    isVirtual: (address: Address) => boolean,
    linkLocal?: boolean,
  ): Address | undefined {
    const length = family === 4 ? 4 : 16;
    const list = this.#addresses.get(index) ?? [];
    return list.find((one) =>
      one.address.length === length && (one.flags & UNUSABLE) === 0 &&
      (family === 4 || linkLocal === undefined || isLinkLocal(one.address) === linkLocal) &&
      !isVirtual(one.address)
    )?.address;
  }
}

/** IPv4 tells one address from another by its other end, too; IPv6 lets that one change. */
function isSame(a: InterfaceAddress, b: InterfaceAddress): boolean {
  return a.prefixLength === b.prefixLength && compareAddress(a.address, b.address) === 0 &&
    (a.address.length === 16 || compareAddress(a.peer ?? a.address, b.peer ?? b.address) === 0);
}
