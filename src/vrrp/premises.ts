/**
 * Where instances live when the links there are will not do: on VMACs of their own, and behind a firewall
 * when their addresses accept nothing. Loaded only when an instance asks for either.
 */

import type { VrrpGlobals, VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, type Family } from "../lib/address.ts";
import type { Alarm, Loop } from "../loop.ts";
import { type FromRole, PREMISES_SLOT } from "../parent/channel.ts";
import type { GuardedVmac } from "./firewall.ts";
import { Firewall, type Guarding } from "./firewall_perform.ts";
import type { Holder } from "./holder.ts";
import { type Held, heldAddresses } from "./addresses.ts";
import { isGuarded, type Placed } from "./instance.ts";
import type { LinkTable } from "./links.ts";
import type { Guard, Kernel } from "./perform.ts";
import { type SavedSettings, Sysctls } from "./sysctl_perform.ts";
import type { Setting } from "./vmac.ts";
import { type LostVmac, Vmacs } from "./vmac_perform.ts";

/** Groups of 224.0.0.0/24 are nobody's to know: switches forward them anyway (RFC 4541 §2.1.2). */
const NO_LOCAL_IGMP: Setting = ["net/ipv4/igmp_link_local_mcast_reports", "0"];

/** How often it is looked whether the tables are still there. */
const VERIFY_US = 5_000_000;

/** The parts of the role that are needed here. */
interface Parts {
  readonly loop: Pick<Loop, "schedule" | "now">;
  readonly kernel: Kernel;
  readonly links: LinkTable;
  readonly footing: { isVirtual(address: Address): boolean };
  /** See ledger.ts. */
  readonly ledger: Float64Array;
  /** Takes what the parent keeps for whoever comes after us. */
  readonly tell: (message: FromRole) => void;
}

/** The VMACs and the firewall of a process. */
export class Premises implements Guard {
  readonly #loop: Pick<Loop, "schedule" | "now">;
  readonly #holder: Holder;
  readonly #links: LinkTable;
  readonly #ledger: Float64Array;
  readonly #tell: (message: FromRole) => void;
  readonly #sysctls: Sysctls;
  readonly #vmacs: Vmacs;
  readonly #firewall: Firewall;
  readonly #verification: Alarm;
  readonly #retry: Alarm;
  #globals: VrrpGlobals = {};
  #isEnding = false;
  /** What the parent was told last. */
  #told = "{}";
  readonly #withdrawn: VrrpInstance[] = [];
  /** How long the addresses are, in bytes, that an instance is to guard as MASTER; by its key. */
  readonly #guards = new Map<string, ReadonlySet<number>>();
  /** What the instance holds that is placed; it does not run yet. */
  #placing: readonly Held[] = [];
  /** Something that the settings depend on has changed. */
  #isStale = false;

  constructor(holder: Holder, { loop, kernel, links, footing, ledger, tell }: Parts) {
    this.#loop = loop;
    this.#ledger = ledger;
    this.#holder = holder;
    this.#links = links;
    this.#tell = tell;
    this.#sysctls = new Sysctls((level, text) => holder.log(level, text));
    const log = holder.log.bind(holder);
    this.#firewall = new Firewall((level, text) => log(level, text), () => this.#guarding());
    this.#vmacs = new Vmacs(kernel, links, {
      log: (level, text) => log(level, text),
      set: (path, value) => this.#sysctls.set(path, value),
      original: (path) => this.#sysctls.original(path),
      isVirtual: (address) =>
        footing.isVirtual(address) ||
        this.#placing.some((held) => compareAddress(held.address, address) === 0),
      made: ({ family, mac }, index, base) => {
        if (mac === undefined || this.#isSilent(family)) return;
        this.#firewall.admit(family, { index, base });
      },
    });
    kernel.guard = this;
    this.#retry = { dueAt: Infinity, heapIndex: -1, fire: (now) => this.linksChanged(now) };
    this.#verification = {
      dueAt: Infinity,
      heapIndex: -1,
      fire: (now) => {
        this.#firewall.verify();
        loop.schedule(this.#verification, now + VERIFY_US);
      },
    };
  }

  /** What holds for the role as a whole. */
  setGlobals(globals: VrrpGlobals): void {
    this.#globals = globals;
    this.#vmacs.naming = globals;
    this.#firewall.changed();
    this.#isStale = true;
  }

  /** Takes over the settings that a predecessor has changed. */
  inherit(saved: SavedSettings): void {
    this.#sysctls.inherit(saved);
    this.#isStale = true;
  }

  /** Makes the VMACs of an instance; see {@link Vmacs.place}. */
  place(key: string, instance: VrrpInstance, keepsAddresses: boolean): Placed {
    this.#firewall.changed();
    this.#isStale = true;
    this.#placing = heldAddresses(instance);
    if (isGuarded(instance)) {
      this.#guards.set(key, new Set(this.#placing.map(({ address }) => address.length)));
    } else this.#guards.delete(key);
    return this.#vmacs.place(key, instance, keepsAddresses);
  }

  /** An instance is no more. */
  forget(key: string): void {
    this.#firewall.changed();
    this.#isStale = true;
    this.#guards.delete(key);
    this.#vmacs.forget(key);
  }

  /** An instance has taken or left its addresses. */
  moved(instance: VrrpInstance): void {
    if (isGuarded(instance)) this.#firewall.changed();
  }

  /** See {@link Vmacs.linkDown}. */
  linkDown(name: string, port: number): void {
    this.#vmacs.linkDown(name, port);
  }

  /** See {@link Vmacs.ask}. */
  ask(): boolean {
    return this.#vmacs.ask();
  }

  /** See {@link Vmacs.mend}. */
  mend(now: number): LostVmac[] {
    const lost = this.#vmacs.mend(now);
    if (lost.length > 0) this.#noteNew();
    return lost;
  }

  /**
   * Links have changed: VMACs that are still missing are made again. Their instances are in FAULT already,
   * and come back when the kernel tells of the new ones.
   */
  linksChanged(now: number): void {
    this.#firewall.changed();
    // The links below may be new, too.
    if (this.#vmacs.linksChanged(now)) this.#noteNew();
    const { retryAt } = this.#vmacs;
    if (retryAt !== this.#retry.dueAt) this.#loop.schedule(this.#retry, retryAt);
  }

  #noteNew(): void {
    this.#firewall.changed();
    this.#isStale = true;
  }

  /** See {@link Guard}. */
  close(): void {
    if (this.#isStale) this.#settle();
    this.#isStale = false;
    this.#firewall.close();
  }

  /** See {@link Guard}. */
  open(): void {
    this.#firewall.open();
  }

  /** The parent keeps for the next role what outlives this one. */
  #report(): void {
    const { saved } = this.#sysctls;
    const hasLinks = !this.#vmacs.all().next().done;
    const isEmpty = !hasLinks && this.#firewall.isEmpty && Object.keys(saved).length === 0;
    this.#ledger[PREMISES_SLOT] = isEmpty ? 0 : 1;
    const isWatched = this.#verification.dueAt !== Infinity;
    if (this.#firewall.isEmpty === isWatched) {
      const dueAt = isWatched ? Infinity : this.#loop.now + VERIFY_US;
      this.#loop.schedule(this.#verification, dueAt);
    }
    this.#tellSaved(saved);
  }

  #tellSaved(saved: SavedSettings): void {
    const told = JSON.stringify(saved);
    if (told === this.#told) return;
    this.#told = told;
    this.#tell({ type: "settings", saved });
  }

  /** The daemon ends: with the next {@link Premises.sweep} all goes. */
  end(): void {
    this.#isEnding = true;
  }

  /** After all else has happened: what nobody needs any more goes. */
  sweep(): void {
    if (this.#withdrawn.length > 0) {
      this.#vmacs.withdraw(this.#withdrawn.splice(0));
      this.#firewall.withdraw(this.#globals);
      this.#sysctls.settle([]);
    }
    if (!this.#isEnding) {
      if (this.#vmacs.sweep()) this.#settle();
      this.#report();
      return;
    }
    this.#isEnding = false;
    this.#vmacs.stop();
    this.#firewall.stop();
    this.#sysctls.settle([]);
    this.#report();
  }

  /** With the next {@link Premises.sweep} goes what a predecessor has made for an instance. */
  withdraw(instance: VrrpInstance): void {
    this.#withdrawn.push(instance);
  }

  #settle(): void {
    const all = [...this.#holder.all()];
    const secondaries = all.flatMap(({ instance, held }) =>
      instance.promote_secondaries === true ? secondariesOf(held) : []
    );
    const igmp = this.#globals.disable_local_igmp === true ? [NO_LOCAL_IGMP] : [];
    const wanted = [...igmp, ...this.#vmacs.settings(), ...secondaries];
    this.#sysctls.settle(wanted, (saved) => this.#tellSaved(saved));
  }

  /** What the tables are to be, one for each family. */
  #guarding(): Guarding[] {
    const there = [...this.#holder.all()].flatMap(({ state, instance, held }) =>
      state.name === "MASTER" && isGuarded(instance) ? held : []
    );
    const { nftables, nftables_priority, nftables_counters } = this.#globals;
    const options = {
      ...(nftables === undefined ? {} : { nftables }),
      ...(nftables_priority === undefined ? {} : { nftables_priority }),
      ...(nftables_counters === true ? { nftables_counters } : {}),
    };
    return ([4, 6] as const).map((family) => {
      const length = family === 4 ? 4 : 16;
      const isOurs = ({ address }: Held): boolean => address.length === length;
      const vmacs = this.#guardedVmacs(family);
      return {
        structure: {
          family,
          options,
          guardsVmacs: vmacs.length > 0,
          guardsAddresses: [...this.#guards.values()].some((lengths) => lengths.has(length)),
        },
        vmacs,
        addresses: there.filter(isOurs).map(({ address, device }) => ({
          address,
          index: this.#links.byName(device)?.index ?? 0,
        })),
      };
    });
  }

  /** Whether nothing is reported anyway that VMACs would have to keep to themselves. */
  #isSilent(family: Family): boolean {
    return family === 4 && this.#globals.disable_local_igmp === true;
  }

  #guardedVmacs(family: Family): GuardedVmac[] {
    if (this.#isSilent(family)) return [];
    return [...this.#vmacs.all()].flatMap(({ spec, name }) => {
      const index = this.#links.byName(name)?.index;
      const base = this.#links.byName(spec.base)?.index;
      const isMissing = index === undefined || base === undefined;
      return isMissing || spec.family !== family || spec.mac === undefined ? [] : [{ index, base }];
    });
  }
}

/** `promote_secondaries`: an address that goes does not take those of its subnet with it (IPv4). */
function secondariesOf(held: readonly Held[]): Setting[] {
  const devices = held.filter(({ address }) => address.length === 4).map(({ device }) => device);
  return [...new Set(devices)].map((device) => [
    `net/ipv4/conf/${device}/promote_secondaries`,
    "1",
  ]);
}
