/**
 * Keeps the tables of firewall.ts in the kernel: made when the first thing asks for them, current at every
 * turn's end, gone with the last. An address is guarded before it is there, and until it is gone.
 */

import { EEXIST, ENOENT } from "../../ffi/constants.ts";
import type { SysError } from "../../ffi/libc.ts";
import { type Family, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import { type Conversation, Nftables, tableKey } from "../nftables.ts";
import {
  addMembers,
  type FirewallOptions,
  type GuardedAddress,
  type GuardedVmac,
  isIdle,
  makeTable,
  type Members,
  removeMembers,
  removeTable,
  type Structure,
  tableOf,
} from "./firewall.ts";
import { isLinkLocal } from "./links.ts";
import type { Guard } from "./perform.ts";

/** A table and what is in it now. */
export interface Guarding extends Members {
  readonly structure: Structure;
}

/** A table that is there. */
interface Made {
  readonly structure: Structure;
  readonly text: string;
  readonly vmacs: Map<string, GuardedVmac>;
  readonly addresses: Map<string, GuardedAddress>;
}

/** The tables of a process. */
export class Firewall implements Guard {
  readonly #log: (level: LogLevel, text: string) => void;
  readonly #wanted: () => readonly Guarding[];
  readonly #made = new Map<string, Made>();
  readonly #nftables: Nftables;
  /** What the kernel did not make, as text: it is not asked for the same again. */
  readonly #refused = new Map<string, string>();
  #isStale = false;

  /**
   * `wanted` says what is to be guarded whenever something has changed; `open` opens a socket when it is
   * needed, and throws SysError.
   */
  constructor(
    log: (level: LogLevel, text: string) => void,
    wanted: () => readonly Guarding[],
    open?: () => Conversation,
  ) {
    this.#log = log;
    this.#wanted = wanted;
    this.#nftables = new Nftables(log, open);
  }

  /** Whether there is no table. */
  get isEmpty(): boolean {
    return this.#made.size === 0;
  }

  /** Something that matters has changed. */
  changed(): void {
    this.#isStale = true;
  }

  /** Looks whether the tables are there: whoever loads rules anew may have flushed them all. */
  verify(): void {
    if (this.#made.size === 0) return;
    const there = this.#nftables.tables();
    if (there === undefined) return;
    for (const key of this.#made.keys()) {
      if (there.has(key)) continue;
      this.#made.delete(key);
      this.#isStale = true;
      this.#log("warning", `Table ${key} was removed by somebody else - making it again`);
    }
  }

  /** A VMAC is about to be switched on: it is in its table before it says anything. */
  admit(family: Family, vmac: GuardedVmac): void {
    const made = [...this.#made.values()].find(({ structure }) =>
      structure.family === family && structure.guardsVmacs
    );
    this.#isStale = true;
    if (made === undefined) this.close();
    else this.#add(made, { vmacs: [vmac], addresses: [] });
  }

  /** See {@link Guard}: tables are made, and members added. */
  close(): void {
    if (!this.#isStale) return;
    for (const wanted of this.#wanted()) {
      if (isIdle(wanted.structure)) continue;
      const key = keyOf(wanted.structure);
      const text = JSON.stringify(wanted.structure);
      const made = this.#made.get(key);
      if (made?.text === text) {
        if (this.#add(made, wanted)?.code !== ENOENT) continue;
        this.verify();
        if (!this.#made.has(key)) this.#make(wanted, undefined);
      } else if (this.#refused.get(key) !== text) this.#make(wanted, made);
    }
  }

  /** See {@link Guard}: what is left over goes. */
  open(): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    const all = this.#wanted().filter(({ structure }) => !isIdle(structure));
    const wanted = new Map(all.map((one) => [keyOf(one.structure), one]));
    for (const [key, made] of this.#made) {
      const members = wanted.get(key);
      if (members !== undefined) {
        this.#drop(made, members);
        continue;
      }
      this.#made.delete(key);
      this.#nftables.transact(removeTable(made.structure), `removing the table ${key}`, ENOENT);
    }
  }

  /** The tables go, with all that is in them. */
  stop(): void {
    for (const [key, { structure }] of this.#made) {
      this.#nftables.transact(removeTable(structure), `removing the table ${key}`, ENOENT);
    }
    this.#made.clear();
  }

  /** Takes away the tables that a predecessor with these options has left. */
  withdraw(options: FirewallOptions): void {
    for (const family of [4, 6] as const) {
      const structure = { family, options, guardsVmacs: false, guardsAddresses: false };
      this.#nftables.transact(
        removeTable(structure),
        `removing the table ${keyOf(structure)}`,
        ENOENT,
      );
    }
  }

  #make({ structure, ...wanted }: Guarding, before: Made | undefined): void {
    const key = keyOf(structure);
    const doing = `making the table ${key}`;
    // What was guarded before may still be there.
    const vmacs = new Map([...before?.vmacs ?? [], ...vmacsByKey(wanted)]);
    const addresses = new Map([...before?.addresses ?? [], ...addressesByKey(wanted)]);
    const members = {
      vmacs: structure.guardsVmacs ? [...vmacs.values()] : [],
      addresses: structure.guardsAddresses ? [...addresses.values()] : [],
    };
    const make = (isNew: boolean): SysError | undefined =>
      this.#nftables.transact(makeTable(structure, members, isNew), doing, isNew ? EEXIST : 0);
    let refusal = make(before === undefined);
    if (refusal?.code === EEXIST) {
      this.#log("info", `Table ${key} is there already, of a predecessor - replacing it`);
      refusal = make(false);
    }
    const text = JSON.stringify(structure);
    if (refusal !== undefined) {
      this.#refused.set(key, text);
      const effect = "addresses accept everything, and VMACs report their memberships";
      this.#log("warning", `Without the table ${key} ${effect}`);
      return;
    }
    this.#refused.delete(key);
    const made = { vmacs: vmacsByKey(members), addresses: addressesByKey(members) };
    this.#made.set(key, { structure, text, ...made });
  }

  /** The refusal if it was; ENOENT: the table is gone. */
  #add({ structure, vmacs, addresses }: Made, wanted: Members): SysError | undefined {
    const newVmacs = [...vmacsByKey(wanted)].filter(([key]) => !vmacs.has(key));
    const newAddresses = [...addressesByKey(wanted)].filter(([key]) => !addresses.has(key));
    const added = {
      vmacs: newVmacs.map(([, one]) => one),
      addresses: newAddresses.map(([, one]) => one),
    };
    const doing = `adding to the table ${keyOf(structure)}`;
    const refusal = this.#nftables.transact(addMembers(structure, added), doing, ENOENT);
    for (const [key, one] of newVmacs) vmacs.set(key, one);
    for (const [key, one] of newAddresses) addresses.set(key, one);
    return refusal;
  }

  #drop({ structure, vmacs, addresses }: Made, wanted: Members): void {
    const kept = { vmacs: vmacsByKey(wanted), addresses: addressesByKey(wanted) };
    const oldVmacs = [...vmacs].filter(([key]) => !kept.vmacs.has(key));
    const oldAddresses = [...addresses].filter(([key]) => !kept.addresses.has(key));
    const removed = {
      vmacs: oldVmacs.map(([, one]) => one),
      addresses: oldAddresses.map(([, one]) => one),
    };
    const doing = `removing from the table ${keyOf(structure)}`;
    this.#nftables.transact(removeMembers(structure, removed), doing, ENOENT);
    for (const [key] of oldVmacs) vmacs.delete(key);
    for (const [key] of oldAddresses) addresses.delete(key);
  }
}

function keyOf(structure: Structure): string {
  return tableKey(tableOf(structure));
}

function vmacsByKey({ vmacs }: Members): Map<string, GuardedVmac> {
  return new Map(vmacs.map((one) => [`${one.index} ${one.base}`, one]));
}

function addressesByKey({ addresses }: Members): Map<string, GuardedAddress> {
  return new Map(addresses.map((one) => {
    const { address, index } = one;
    return [`${formatAddress(address)}${isLinkLocal(address) ? `%${index}` : ""}`, one];
  }));
}
