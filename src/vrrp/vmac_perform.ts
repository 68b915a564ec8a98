/**
 * Makes the VMACs that instances ask for, looks after them, and takes them away. What a predecessor has left
 * is taken over as it is, addresses and all when it was MASTER; so a role that was started again goes on
 * where the last one stopped. See vmac.ts for what they are.
 */

import { EADDRNOTAVAIL, EEXIST, ENODEV } from "../../ffi/constants.ts";
import type { Request } from "../../ffi/netlink.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import {
  encodeDeleteAddress,
  encodeNewAddress,
  IFA_F_NODAD,
  RT_SCOPE_LINK,
} from "../netlink/address.ts";
import {
  encodeDeleteGroup,
  encodeDeleteLink,
  encodeNewLink,
  encodeSetLink,
  type Link,
} from "../netlink/link.ts";
import type { Placed } from "./instance.ts";
import { isLinkLocal, type LinkTable } from "./links.ts";
import type { Kernel } from "./perform.ts";
import { MOST_REPAIRS, policyOf, WINDOW_US } from "./repair.ts";
import {
  baseSettings,
  fitnessOf,
  hasIpv6,
  linkLocalOf,
  mayAdopt,
  namesOf,
  newVmac,
  onVmacs,
  ownAddress,
  ownVmac,
  rpFilterSettings,
  type Setting,
  settingsOf,
  type VmacNaming,
  vmacsOf,
  type VmacSpec,
  vrfOf,
} from "./vmac.ts";

const LOOPBACK = "lo";
/** Prefix of a link-local address. */
const LINK_LOCAL_LENGTH = 64;
/** The first group of links that is tried for those that are to go together. */
const FAREWELL_GROUP = 0x56_4d_41_43;

/** A VMAC that is there, or will be as soon as the link below is. */
export interface Vmac {
  spec: VmacSpec;
  name: string;
  /** The index of its link; 0 as long as there is none. */
  index: number;
  /** The instances it is for, by key. */
  readonly users: Map<string, VrrpInstance>;
  /** When it was made again because it was gone. */
  remadeAt: readonly number[];
  /** The netlink port of whoever has switched it off or removed it last; 0 when the kernel does not tell. */
  port: number;
}

/** A VMAC that somebody else has removed. */
export interface LostVmac {
  readonly vmac: Vmac;
  /** Whether it is there again; else it has been removed too often. */
  readonly isBack: boolean;
  /** The repairs that count, with this one. */
  readonly repairs: number;
}

/** What VMACs need besides links. */
export interface Surroundings {
  log(level: LogLevel, text: string): void;
  /** Changes a setting of the kernel below /proc/sys, and says what it was before any change. */
  set(path: string, value: string): void;
  original(path: string): string | undefined;
  /** Whether an address is one that instances move. */
  isVirtual(address: Address): boolean;
  /** A link of this index is there and not yet switched on: it has not said anything so far. */
  made(spec: VmacSpec, index: number, base: number): void;
}

/** The VMACs of a process. */
export class Vmacs {
  readonly #kernel: Pick<Kernel, "perform" | "refresh" | "refused">;
  readonly #links: LinkTable;
  readonly #around: Surroundings;
  readonly #all = new Map<string, Vmac>();
  /** What begins generated names. */
  naming: VmacNaming = {};

  constructor(
    kernel: Pick<Kernel, "perform" | "refresh" | "refused">,
    links: LinkTable,
    around: Surroundings,
  ) {
    this.#kernel = kernel;
    this.#links = links;
    this.#around = around;
  }

  /** All of them. */
  all(): IterableIterator<Vmac> {
    return this.#all.values();
  }

  /**
   * Makes the VMACs of an instance, and says where that puts it. Those of before that it has no use for any
   * more go with the next {@link Vmacs.sweep}. `keepsAddresses`: it goes on where a predecessor stopped.
   */
  place(key: string, instance: VrrpInstance, keepsAddresses: boolean): Placed {
    const rival = instance.vmac_rival;
    const specs = rival === undefined ? vmacsOf(instance, this.naming) : [];
    const wanted = new Set(specs.map((one) => one.key));
    for (const vmac of this.#all.values()) {
      if (!wanted.has(vmac.spec.key)) vmac.users.delete(key);
    }
    const made = specs.filter((spec) => this.#use(key, instance, spec, keepsAddresses));
    const names = new Map(specs.map((one) => [one.key, this.#all.get(one.key)!.name]));
    if (rival !== undefined) {
      const { name } = instance;
      const text = `(${rival}) uses same VMAC as VRRP instance ${name}, disabling ${name}`;
      this.#around.log("error", text);
      return { instance, vmac: undefined };
    }
    const own = ownVmac(instance, this.naming);
    return {
      instance: onVmacs(instance, names, this.naming),
      vmac: own && names.get(own.key),
      made: made.map((spec) => names.get(spec.key)!),
    };
  }

  /** An instance is no more. */
  forget(key: string): void {
    for (const vmac of this.#all.values()) vmac.users.delete(key);
  }

  /** Takes away those that nobody uses; whether there were any. */
  sweep(): boolean {
    const useless = [...this.#all.values()].filter(({ users }) => users.size === 0);
    for (const { spec } of useless) this.#all.delete(spec.key);
    this.#remove(...useless);
    return useless.length > 0;
  }

  /** Takes all away. */
  stop(): void {
    this.#remove(...this.#all.values());
    this.#all.clear();
  }

  /** Takes away what a predecessor has made for instances. */
  withdraw(instances: readonly VrrpInstance[]): void {
    const specs = instances.flatMap((one) => vmacsOf(one, this.naming));
    this.#delete(specs.flatMap((spec) => this.#find(spec) ?? []));
  }

  /** A link is down or gone, by the doing of whoever has this netlink port. */
  linkDown(name: string, port: number): void {
    for (const vmac of this.#all.values()) if (vmac.name === name) vmac.port = port;
  }

  /**
   * One that is down while the link below is up may be on its way out: the kernel answers a question about
   * it when it has gone. Whether anything was asked.
   */
  ask(): boolean {
    let isAsked = false;
    for (const { spec, index } of this.#all.values()) {
      const link = this.#links.byIndex(index);
      if (link === undefined || link.up || this.#links.byName(spec.base)?.up !== true) continue;
      if (this.#kernel.refresh(link.name) === undefined) this.#links.removeLink(index);
      isAsked = true;
    }
    return isAsked;
  }

  /**
   * Before anybody draws conclusions from it: those that somebody else has removed are made again, unless
   * that has happened too often or an instance is to step down.
   */
  mend(now: number): LostVmac[] {
    const lost: LostVmac[] = [];
    for (const vmac of this.#all.values()) {
      const { spec, name, index, users } = vmac;
      const base = this.#links.byName(spec.base);
      if (index === 0 || base === undefined || !base.up) continue;
      const link = this.#links.byIndex(index);
      if (link?.name === name) {
        this.#lookAfter(vmac, link, base);
        continue;
      }
      if ([...users.values()].some((user) => policyOf(user) !== "repair")) continue;
      // Under another name it would be in the way.
      if (link !== undefined) this.#delete([link]);
      const isBack = this.#makeAgain(vmac, base, now);
      // What is not back is a fault, and looked after when all else is.
      if (!isBack) vmac.index = 0;
      lost.push({ vmac, isBack, repairs: vmac.remadeAt.length });
    }
    return lost;
  }

  /** Links have changed: what is missing is made again. Whether anything was. */
  linksChanged(now: number): boolean {
    let isNew = false;
    for (const vmac of this.#all.values()) {
      const base = this.#links.byName(vmac.spec.base);
      const link = this.#links.byName(vmac.name);
      if (base === undefined) continue;
      if (link === undefined) isNew = this.#makeAgain(vmac, base, now) || isNew;
      else if (link.index === vmac.index) this.#lookAfter(vmac, link, base);
    }
    return isNew;
  }

  /** When one that was removed too often may be made again; Infinity for never. */
  get retryAt(): number {
    const waiting = [...this.#all.values()].filter(({ name, remadeAt }) =>
      remadeAt.length >= MOST_REPAIRS && this.#links.byName(name) === undefined
    );
    return Math.min(...waiting.map(({ remadeAt }) => remadeAt[0]! + WINDOW_US));
  }

  #makeAgain(vmac: Vmac, base: Link, now: number): boolean {
    vmac.remadeAt = vmac.remadeAt.filter((at) => now - at < WINDOW_US);
    if (vmac.remadeAt.length >= MOST_REPAIRS) return false;
    vmac.remadeAt = [...vmac.remadeAt, now];
    return this.#make(vmac, base, false) !== undefined;
  }

  /** Its link is as large as the one below, in the VRF of that, and has its link-local address. */
  #lookAfter({ spec }: Vmac, link: Link, base: Link): void {
    if (link.mtu !== base.mtu) {
      const bytes = encodeSetLink({ index: link.index, mtu: base.mtu });
      this.#do([{ bytes, doing: `setting the MTU of ${link.name} to ${base.mtu}` }]);
      this.#kernel.refresh(link.name);
    }
    const vrf = vrfOf(base);
    if (vrfOf(link) !== vrf) {
      const bytes = encodeSetLink({ index: link.index, master: vrf });
      this.#do([{ bytes, doing: `putting ${link.name} into the VRF of ${base.name}` }]);
      this.#kernel.refresh(link.name);
    }
    if (link.up) this.#address(spec, link, base);
  }

  // --- making ---

  /** Whether a link was made for it. */
  #use(key: string, user: VrrpInstance, spec: VmacSpec, keepsAddresses: boolean): boolean {
    const base = this.#links.byName(spec.base);
    const known = this.#all.get(spec.key);
    const isShared = known !== undefined && [...known.users.keys()].some((one) => one !== key);
    if (known !== undefined && (isShared || known.spec.name === spec.name)) {
      known.users.set(key, user);
      if (!isShared) known.spec = spec;
      const isMissing = this.#links.byName(known.name) === undefined;
      return isMissing && base !== undefined && this.#make(known, base, true) !== undefined;
    }
    if (known !== undefined) {
      // With another name it is another link, and there cannot be two with one MAC address.
      this.#all.delete(spec.key);
      this.#remove(known);
    }
    const link = this.#find(spec);
    const name = link?.name ?? this.#freeName(spec, user.name);
    const users = new Map([[key, user]]);
    const vmac: Vmac = { spec, name, index: 0, users, remadeAt: [], port: 0 };
    this.#all.set(spec.key, vmac);
    if (base === undefined) return false;
    if (link === undefined) return this.#make(vmac, base, true) !== undefined;
    this.#adopt(vmac, link, base, keepsAddresses);
    return false;
  }

  /** The link of the kernel that is this VMAC. */
  #find(spec: VmacSpec): Link | undefined {
    const base = this.#links.byName(spec.base);
    if (base === undefined) return undefined;
    for (const link of this.#links.all()) {
      const isNamed = spec.name === undefined || spec.name === link.name;
      if (!isNamed || !mayAdopt(link, spec, base)) continue;
      const isTaken = [...this.#all.values()].some((one) =>
        one.spec.key !== spec.key && one.name === link.name
      );
      if (!isTaken) return link;
    }
    return undefined;
  }

  /** The best name that nothing else has. */
  #freeName(spec: VmacSpec, user: string): string {
    const base = this.#links.byName(spec.base);
    for (const name of namesOf(spec)) {
      const isAsked = name === spec.name;
      const holder = [...this.#all.values()].find((one) => one.name === name);
      if (holder !== undefined && holder.users.size > 0) {
        const other = userOf(holder);
        const text = `VRRP instance ${other} is already using ${name} - ignoring name`;
        if (isAsked) this.#around.log("warning", `(${user}) ${text}`);
        continue;
      }
      if (holder !== undefined) {
        this.#all.delete(holder.spec.key);
        this.#remove(holder);
      }
      const link = this.#links.byName(name);
      if (link === undefined) return name;
      if (!isAsked) continue;
      // A link that the configuration names is made what it is to be, if it is of that kind.
      if (base !== undefined && fitnessOf(link, spec, base) !== "foreign") return name;
      const text = `interface ${name} already exists and is not a private macvlan`;
      this.#around.log("warning", `(${user}) ${text}; ignoring vmac if_name`);
    }
    return spec.key;
  }

  #make(vmac: Vmac, base: Link, isFirst: boolean): Link | undefined {
    const { spec } = vmac;
    const user = userOf(vmac);
    const other = this.#links.byName(vmac.name);
    if (other !== undefined) {
      const text =
        `VMAC ${vmac.name} already exists but is incompatible. It will be deleted/updated`;
      this.#around.log("warning", `(${user}) ${text}`);
      this.#delete([other]);
    }
    const doing = `creating VMAC interface ${vmac.name}`;
    const bytes = encodeNewLink(newVmac(spec, vmac.name, base));
    const [refusal] = this.#kernel.perform([{ bytes, doing }]);
    if (refusal !== undefined && refusal.code !== EEXIST) {
      // While it is missing nobody need hear of it every time a link changes.
      if (isFirst) this.#around.log("error", `(${user}): ${refusal.message}`);
      return undefined;
    }
    const link = this.#kernel.refresh(vmac.name);
    if (link === undefined) return undefined;
    vmac.index = link.index;
    if (isFirst) {
      this.#around.log("info", `(${user}): Success creating VMAC interface ${vmac.name}`);
    } else this.#around.log("info", `(${user}): Success re-creating VMAC interface ${vmac.name}`);
    return this.#prepare(vmac, link, base);
  }

  #adopt(vmac: Vmac, link: Link, base: Link, keepsAddresses: boolean): void {
    const user = userOf(vmac);
    vmac.index = link.index;
    this.#around.log("info", `(${user}) Found matching interface ${link.name}`);
    if (!keepsAddresses) this.#strip(link);
    // What goes on as it was needs nothing, and its peers are waiting.
    if (keepsAddresses && link.up) this.#address(vmac.spec, link, base);
    else this.#prepare(vmac, link, base);
  }

  /** Takes away the addresses somebody else has left. */
  #strip(link: Link): void {
    const addresses = [...this.#links.addressesOf(link.index)];
    this.#do(
      addresses.map(({ index, address, prefixLength, peer }) => ({
        bytes: encodeDeleteAddress({
          index,
          address,
          prefixLength,
          ...(peer === undefined ? {} : { peer }),
        }),
        doing: `removing ${formatAddress(address)} from ${link.name}`,
      })),
    );
    for (const address of addresses) this.#links.removeAddress(address);
  }

  /** Settings first, so that nothing is said or answered wrongly; then it is switched on. */
  #prepare(vmac: Vmac, link: Link, base: Link): Link | undefined {
    const { spec, name } = vmac;
    for (const [path, value] of settingsOf(spec, name)) this.#around.set(path, value);
    const { index } = link;
    if (this.#around.original(`net/ipv6/conf/${name}/disable_ipv6`) !== undefined) {
      const bytes = encodeSetLink({ index, addrGenMode: "none" });
      this.#do([{ bytes, doing: `setting the address generation mode of ${name}` }]);
    }
    this.#around.made(spec, index, base.index);
    const bytes = encodeSetLink({ index, up: true });
    if (!link.up) this.#do([{ bytes, doing: `switching on ${name}` }]);
    const up = this.#kernel.refresh(name);
    if (up !== undefined) this.#address(spec, up, base);
    return up;
  }

  /** The address it speaks from: a link-local one, and what the configuration says. */
  #address(spec: VmacSpec, link: Link, base: Link): void {
    const { source } = spec;
    const add = (address: Address, prefixLength: number): void => {
      if (this.#links.holds(link.index, address)) return;
      const isV6 = address.length === 16;
      const bytes = encodeNewAddress({
        index: link.index,
        address,
        prefixLength,
        // Nothing else is to speak from it.
        ...(isV6 ? { flags: IFA_F_NODAD, preferredLifetime: 0 } : {}),
        ...(isLinkLocal(address) ? { scope: RT_SCOPE_LINK } : {}),
      });
      const doing = `adding ${formatAddress(address)} to ${link.name}`;
      const [refusal] = this.#kernel.perform([{ bytes, doing }]);
      if (refusal !== undefined && refusal.code !== EEXIST) this.#kernel.refused(refusal);
      else this.#links.setAddress(ownAddress(link.index, address, prefixLength));
    };
    if (source !== undefined) add(source.address, source.prefixLength);
    if (!hasIpv6(spec) || (source !== undefined && isLinkLocal(source.address))) return;
    const ownOf = ({ index }: Link): Address | undefined =>
      this.#links.linkLocal(index, (one) => this.#around.isVirtual(one));
    if (ownOf(link) !== undefined) return;
    add(linkLocalOf(spec, base, ownOf(base)), LINK_LOCAL_LENGTH);
  }

  // --- taking away ---

  #remove(...vmacs: readonly Vmac[]): void {
    const found = vmacs.flatMap((vmac) => {
      const link = this.#links.byIndex(vmac.index);
      return link === undefined ? [] : [{ vmac, link }];
    });
    const refused = this.#delete(found.map(({ link }) => link));
    for (const { vmac, link } of found) {
      if (refused.has(link)) continue;
      const user = userOf(vmac) || "VMAC";
      this.#around.log("info", `(${user}) Success removing VMAC interface ${vmac.name}`);
    }
  }

  /** Removes links; those that were not. Each by itself takes tens of milliseconds, all together as long. */
  #delete(links: readonly Link[]): Set<Link> {
    const requests = links.map(({ index, name }) => ({
      bytes: encodeDeleteLink(index),
      doing: `removing VMAC interface ${name}`,
    }));
    const isDone = links.length > 1 && this.#deleteTogether(links);
    const verdicts = isDone ? [] : this.#kernel.perform(requests);
    const refused = links.filter((link, i) => {
      const verdict = verdicts[i];
      this.#links.removeLink(link.index);
      if (verdict !== undefined && verdict.code !== ENODEV) this.#kernel.refused(verdict);
      return verdict !== undefined;
    });
    return new Set(refused);
  }

  /** Puts links into a group that nobody else uses and removes that; whether the kernel has done it. */
  #deleteTogether(links: readonly Link[]): boolean {
    const taken = new Set([...this.#links.all()].map(({ group }) => group));
    let group = FAREWELL_GROUP;
    while (taken.has(group)) group++;
    const doing = "removing VMAC interfaces";
    const moves = links.map(({ index }) => ({ bytes: encodeSetLink({ index, group }), doing }));
    const [refusal] = this.#kernel.perform(moves).filter((one) => one !== undefined);
    if (refusal !== undefined) return false;
    const [verdict] = this.#kernel.perform([{ bytes: encodeDeleteGroup(group), doing }]);
    return verdict === undefined;
  }

  /** What the links that are not ours are to be told because of them. */
  settings(): Setting[] {
    const wanted: Setting[] = [];
    let needsRpFilter = false;
    for (const { spec } of this.#all.values()) {
      wanted.push(...baseSettings(spec));
      if (spec.family === 4 && spec.mac !== undefined) needsRpFilter = true;
    }
    if (needsRpFilter) {
      const own = new Set([...this.#all.values()].map(({ name }) => name));
      const others = [...this.#links.all()].map(({ name }) => name)
        .filter((name) => name !== LOOPBACK && !own.has(name));
      wanted.push(...rpFilterSettings(others, (path) => this.#around.original(path)));
    }
    return wanted;
  }

  #do(requests: readonly Request[]): void {
    if (requests.length === 0) return;
    for (const refusal of this.#kernel.perform(requests)) {
      if (refusal !== undefined && refusal.code !== EADDRNOTAVAIL) this.#kernel.refused(refusal);
    }
  }
}

/** The instance whose name goes into lines about a VMAC; "" for none. */
export function userOf({ users }: Vmac): string {
  return users.values().next().value?.name ?? "";
}
