/**
 * The addresses that instances hold: put on their links and taken away, and looked after in between. What
 * somebody else takes from a MASTER is put back at once; what does not stay where it is put makes the
 * MASTER leave, see repair.ts.
 */

import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import { IFA_F_DADFAILED, type InterfaceAddress } from "../netlink/address.ts";
import { changedAddresses, type Held, heldAddresses } from "./addresses.ts";
import type { Footing } from "./footing.ts";
import type { LinkTable } from "./links.ts";
import { repairLine, retreatLine } from "./log.ts";
import type { Neighbourhood } from "./neighbourhood.ts";
import { type AddressListener, gatherEvidence, type Kernel } from "./perform.ts";
import type { Running } from "./reception.ts";
import { nameCulprit } from "./repair.ts";
import { type Loss, type RemovedAddress, Repairs } from "./repairs.ts";

/** Who decides about the instances. */
export interface Holder {
  /** Every instance. */
  all(): Iterable<Running>;
  /** An address of this MASTER cannot be kept: it leaves to a peer now. */
  giveUp(running: Running): void;
  log(level: LogLevel, text: string, detail?: boolean): void;
}

/** The parts of the role that are needed here. */
export interface Parts {
  readonly kernel: Kernel;
  readonly links: LinkTable;
  readonly neighbourhood: Neighbourhood;
  readonly footing: Footing;
}

/** What the instances of a process hold. */
export class Holdings implements AddressListener {
  readonly #holder: Holder;
  readonly #parts: Parts;
  readonly #repairs: Repairs<Running>;

  constructor(holder: Holder, parts: Parts) {
    this.#holder = holder;
    this.#parts = parts;
    this.#repairs = new Repairs(parts.links);
  }

  /** A MASTER takes its addresses. */
  take(running: Running): void {
    if (running.held.length > 0) this.#detailed(running, "setting VIPs.");
    for (const held of running.held) this.#parts.kernel.queueAdd(held);
  }

  /** It leaves them. */
  leave(running: Running): void {
    if (running.held.length > 0) this.#detailed(running, "removing VIPs.");
    for (const held of running.held) this.#parts.kernel.queueRemove(held);
  }

  /** A reload has changed what a MASTER holds. */
  change(running: Running, before: VrrpInstance): void {
    const { kernel, neighbourhood } = this.#parts;
    const { removed, added } = changedAddresses(before, running.instance);
    for (const held of removed) {
      // It may have moved to another instance by the same reload.
      if (!this.#isHeldByAnother(running, held)) kernel.queueRemove(held);
    }
    for (const held of added) {
      kernel.queueAdd(held);
      neighbourhood.announce(running, held, running.instance.garp_master_repeat);
    }
  }

  /** Takes away all that an instance may have left on its links, whether or not it is there. */
  withdraw(instance: VrrpInstance): void {
    for (const held of heldAddresses(instance)) this.#parts.kernel.queueRemove(held);
  }

  /** Takes away what a predecessor has left on the links: what this instance names, and nothing else. */
  removeLeftovers(running: Running): void {
    const left = running.held.filter((held) => this.#isThere(held));
    if (left.length > 0) this.#detailed(running, "removing VIPs.");
    for (const held of left) this.#parts.kernel.queueRemove(held);
  }

  /** See {@link AddressListener}. */
  isOurs(address: Address): boolean {
    return this.#parts.footing.isVirtual(address);
  }

  /** See {@link AddressListener}. */
  changed(address: InterfaceAddress): void {
    if ((address.flags & IFA_F_DADFAILED) !== 0) this.#repairDuplicate(address);
  }

  /** See {@link AddressListener}. */
  removed(address: RemovedAddress): void {
    this.#repairs.note(address);
  }

  /** See {@link AddressListener}. */
  missed(): void {
    this.#repairs.noteMissed();
  }

  /** Near the end of a turn, when all that came with a removal is known: puts back what is missing. */
  repair(now: number): void {
    if (!this.#repairs.isPending) return;
    const { kernel, neighbourhood } = this.#parts;
    const isComing = (held: Held): boolean => kernel.isComing(held);
    for (const loss of this.#repairs.judge(this.#holder.all(), isComing, now)) {
      const { holder, held, port, repairs } = loss;
      if (loss.verdict === "step-down") {
        this.#giveUp(loss, false);
        continue;
      }
      kernel.queueAdd(held, { refused: () => this.#giveUp(loss, true) });
      neighbourhood.announce(holder, held, 1);
      const who = nameCulprit(gatherEvidence(port, false));
      this.#holder.log("warning", repairLine(holder.instance.name, held, who, repairs));
    }
  }

  #giveUp({ holder, held, port, repairs }: Loss<Running>, isRefused: boolean): void {
    if (holder.state.name !== "MASTER") return;
    this.#holder.giveUp(holder);
    // Looking for the culprit takes its time: the peers come first.
    this.#parts.kernel.flush();
    const who = nameCulprit(gatherEvidence(port, true));
    const count = isRefused ? undefined : repairs;
    this.#holder.log("error", retreatLine(holder.instance.name, held, who, count));
  }

  /**
   * Duplicate address detection has found another owner of an address that we were elected to hold: it is put
   * back without asking again, and the neighbours are told.
   */
  #repairDuplicate({ address, index }: InterfaceAddress): void {
    const { kernel, links, neighbourhood } = this.#parts;
    for (const running of this.#holder.all()) {
      if (running.state.name !== "MASTER") continue;
      const held = running.held.find((one) =>
        compareAddress(one.address, address) === 0 && links.byName(one.device)?.index === index
      );
      if (held === undefined) continue;
      running.counters.address_conflict++;
      const { name } = running.instance;
      const text = `${formatAddress(address)} on ${held.device} is a duplicate (dadfailed)`;
      this.#holder.log("warning", `(${name}) ${text} - adding it again without detection`);
      kernel.queueRemove(held);
      kernel.queueAdd(held, { nodad: true });
      neighbourhood.announce(running, held, running.instance.garp_master_repeat);
    }
  }

  #isHeldByAnother(running: Running, { device, address }: Held): boolean {
    const isSame = (one: Held): boolean =>
      one.device === device && compareAddress(one.address, address) === 0;
    for (const other of this.#holder.all()) {
      const isMaster = other !== running && other.state.name === "MASTER";
      if (isMaster && other.held.some(isSame)) return true;
    }
    return false;
  }

  #isThere(held: Held): boolean {
    const link = this.#parts.links.byName(held.device);
    return link !== undefined && this.#parts.links.holds(link.index, held.address);
  }

  #detailed(running: Running, text: string): void {
    this.#holder.log("info", `(${running.instance.name}) ${text}`, true);
  }
}
