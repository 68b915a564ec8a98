/**
 * What instances hold: addresses are put on their links and taken away, and looked after in between. What
 * somebody else takes from a MASTER is put back at once; what does not stay where it is put makes the
 * MASTER leave, see repair.ts. Routes, rules and static items are routing.ts's and statics.ts's, which
 * are there only when something is configured.
 */

import type { VrrpGlobals, VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, formatAddress } from "../lib/address.ts";
import type { Loop } from "../loop.ts";
import type { FromRole } from "../parent/channel.ts";
import { IFA_F_DADFAILED, type InterfaceAddress } from "../netlink/address.ts";
import { changedAddresses, type Held, heldAddresses, isSameHeld } from "./addresses.ts";
import type { Change } from "./diff.ts";
import type { Footing } from "./footing.ts";
import type { Holder } from "./holder.ts";
import { isGuarded, needsPremises, type Placed, shareEmptyLists } from "./instance.ts";
import type { LinkTable } from "./links.ts";
import { removedLine, repairLine, retreatLine, retreatText } from "./log.ts";
import type { Neighbourhood } from "./neighbourhood.ts";
import { type AddressListener, gatherEvidence, type Kernel } from "./perform.ts";
import type { Premises } from "./premises.ts";
import type { Running } from "./reception.ts";
import { nameCulprit } from "./repair.ts";
import { type Loss, type RemovedAddress, Repairs } from "./repairs.ts";
import type { StaticItems } from "./routes.ts";
import type { Routing } from "./routing.ts";
import type { Statics } from "./statics.ts";
import type { SavedSettings } from "./sysctl_perform.ts";

/** The parts of the role that are needed here. */
export interface Parts {
  readonly loop: Loop;
  readonly kernel: Kernel;
  readonly links: LinkTable;
  readonly neighbourhood: Neighbourhood;
  readonly footing: Footing;
  readonly ledger: Float64Array;
  /** Takes what the parent should know. */
  readonly tell: (message: FromRole) => void;
}

/** What the instances of a process hold. */
export class Holdings implements AddressListener {
  readonly #holder: Holder;
  readonly #parts: Parts;
  readonly #repairs: Repairs<Running>;
  /** What instances do not hold any more since this reload. */
  readonly #dropped: Held[] = [];
  /** Undefined until there is a route, a rule or a static item. */
  #routing: Routing | undefined;
  #statics: Statics | undefined;
  /** Undefined until an instance wants a link of its own or a firewall. */
  #premises: Premises | undefined;
  #globals: VrrpGlobals = {};

  constructor(holder: Holder, parts: Parts) {
    this.#holder = holder;
    this.#parts = parts;
    this.#repairs = new Repairs(parts.links);
  }

  /** What holds for the role as a whole. */
  setGlobals(globals: VrrpGlobals): void {
    this.#globals = globals;
    if (globals.disable_local_igmp === true) this.#premisesWanted();
    this.#premises?.setGlobals(globals);
  }

  /** Takes over the settings of the kernel that a predecessor has changed. */
  inherit(saved: SavedSettings): void {
    if (Object.keys(saved).length > 0) this.#premisesWanted().inherit(saved);
  }

  /** Where an instance lives: see premises.ts. Its addresses there stay if it is to go on as MASTER. */
  place(key: string, wanted: VrrpInstance, keepsAddresses: boolean): Placed {
    const instance = shareEmptyLists(wanted);
    const premises = needsPremises(instance) ? this.#premisesWanted() : this.#premises;
    return premises?.place(key, instance, keepsAddresses) ?? { instance, vmac: undefined };
  }

  /** An instance is no more. */
  forget(key: string): void {
    this.#premises?.forget(key);
  }

  /** All has happened: what nobody needs any more goes. */
  sweep(): void {
    this.#premises?.sweep();
  }

  /** A MASTER takes its addresses. */
  take(running: Running): void {
    this.#premises?.moved(running.instance);
    if (isGuarded(running.instance)) this.#detailed(running, "setting firewall drop rule");
    if (running.held.length > 0) this.#detailed(running, "setting VIPs.");
    for (const held of running.held) this.#parts.kernel.queueAdd(held);
    this.#routingFor(running.instance)?.take(running);
  }

  /** It leaves them. */
  leave(running: Running): void {
    this.#routingFor(running.instance)?.leave(running);
    if (running.held.length > 0) this.#detailed(running, "removing VIPs.");
    for (const held of running.held) this.#parts.kernel.queueRemove(held);
    this.#premises?.moved(running.instance);
    if (isGuarded(running.instance)) this.#detailed(running, "removing firewall drop rule");
  }

  /** A reload has changed what a MASTER holds. */
  change(running: Running, before: VrrpInstance, { made = [] }: Placed): void {
    const { kernel, neighbourhood } = this.#parts;
    const { removed, added } = changedAddresses(before, running.instance, made);
    const routing = this.#routingFor(before) ?? this.#routingFor(running.instance);
    routing?.removeOld(running, before);
    this.#dropped.push(...removed);
    for (const held of added) {
      kernel.queueAdd(held);
      neighbourhood.announce(running, held, running.instance.garp_master_repeat);
    }
    if (removed.length + added.length > 0) routing?.restore(running);
    routing?.addNew(running, before);
  }

  /**
   * A reload is over. What an instance has dropped is taken away, unless another one has taken it over as it
   * is: then it never leaves its link.
   */
  settle(): void {
    for (const held of this.#dropped.splice(0)) {
      const heir = this.#heirOf(held);
      if (heir !== undefined && isSameHeld(heir, held)) continue;
      this.#parts.kernel.queueRemove(held);
      if (heir !== undefined) this.#parts.kernel.queueAdd(heir);
    }
  }

  /** Takes away all that was once added for a change, whether or not it is there. */
  withdraw(change: Change): void {
    if (change.type === "globals") this.setGlobals(change.globals);
    if (change.type === "static") this.#staticsWanted().withdraw(change.items);
    if (change.type !== "add") return;
    const { instance } = change;
    this.#routingFor(instance)?.withdraw(instance);
    for (const held of heldAddresses(instance)) this.#parts.kernel.queueRemove(held);
    if (needsPremises(instance)) this.#premisesWanted().withdraw(instance);
  }

  /** Takes away what a predecessor has left on the links: what this instance names, and nothing else. */
  removeLeftovers(running: Running): void {
    this.#routingFor(running.instance)?.withdraw(running.instance);
    const left = running.held.filter((held) => this.#isThere(held));
    if (left.length > 0) this.#detailed(running, "removing VIPs.");
    for (const held of left) this.#parts.kernel.queueRemove(held);
  }

  /** What follows nobody is to be this. */
  setStatics(items: StaticItems): void {
    this.#staticsWanted().configure(items);
  }

  /** The daemon ends, and with it what follows nobody, and the links of its own unless addresses stay. */
  stop(keepAddresses: boolean): void {
    this.#statics?.stop();
    if (!keepAddresses) this.#premises?.end();
  }

  /**
   * Links have changed, and before anybody concludes a fault: VMACs that somebody else has removed are made
   * again, with what MASTERs hold on them.
   */
  mend(now: number): void {
    const premises = this.#premises;
    if (premises === undefined) return;
    if (premises.ask()) this.#parts.kernel.readMonitor(this);
    for (const { vmac: { name, port, users }, isBack, repairs } of premises.mend(now)) {
      const what = `VMAC interface ${name}`;
      const who = nameCulprit(gatherEvidence(port, !isBack));
      if (isBack) this.#refill(name);
      for (const { name: user } of users.values()) {
        if (isBack) this.#holder.log("warning", removedLine(user, what, who, repairs));
        else this.#holder.log("error", retreatText({ name: user, what, port }, who, repairs));
      }
    }
  }

  /** A link has been made anew: what is held on it is put there. */
  #refill(name: string): void {
    const { kernel, neighbourhood } = this.#parts;
    for (const running of this.#holder.all()) {
      if (running.state.name !== "MASTER") continue;
      for (const held of running.held.filter(({ device }) => device === name)) {
        kernel.queueAdd(held);
        neighbourhood.announce(running, held, running.instance.garp_master_repeat);
      }
    }
  }

  /** Links, or addresses that are not the instances', have changed. */
  linksChanged(now: number): void {
    this.#premises?.linksChanged(now);
    this.#statics?.linksChanged();
    this.#routing?.linksChanged();
  }

  /** See {@link AddressListener}. */
  linkDown(name: string, port: number): void {
    this.#routing?.linkDown(name);
    this.#premises?.linkDown(name, port);
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
    if (this.#repairs.isPending) this.#repairAddresses(now);
    this.#routing?.repair(now);
  }

  #repairAddresses(now: number): void {
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
      this.#routing?.restore(holder);
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

  #routingFor({ virtual_routes, virtual_rules }: VrrpInstance): Routing | undefined {
    const isNeeded = virtual_routes !== undefined || virtual_rules !== undefined;
    return isNeeded ? this.#routingWanted() : this.#routing;
  }

  #routingWanted(): Routing {
    if (this.#routing !== undefined) return this.#routing;
    const { kernel, links, loop } = this.#parts;
    // Loaded only here: most configurations, and their start, can do without.
    const { Routing } = require("./routing.ts") as typeof import("./routing.ts");
    return this.#routing = new Routing(this.#holder, kernel, links, loop);
  }

  #staticsWanted(): Statics {
    if (this.#statics !== undefined) return this.#statics;
    const { kernel, links } = this.#parts;
    const { Statics } = require("./statics.ts") as typeof import("./statics.ts");
    return this.#statics = new Statics(this.#holder, kernel, links, this.#routingWanted());
  }

  #premisesWanted(): Premises {
    if (this.#premises !== undefined) return this.#premises;
    const { Premises } = require("./premises.ts") as typeof import("./premises.ts");
    this.#premises = new Premises(this.#holder, this.#parts);
    this.#premises.setGlobals(this.#globals);
    return this.#premises;
  }

  /** What a MASTER holds that is the same address on the same link. */
  #heirOf({ device, address }: Held): Held | undefined {
    const isSame = (one: Held): boolean =>
      one.device === device && compareAddress(one.address, address) === 0;
    for (const { state, held } of this.#holder.all()) {
      const heir = state.name === "MASTER" ? held.find(isSame) : undefined;
      if (heir !== undefined) return heir;
    }
    return undefined;
  }

  #isThere(held: Held): boolean {
    const link = this.#parts.links.byName(held.device);
    return link !== undefined && this.#parts.links.holds(link.index, held.address);
  }

  #detailed(running: Running, text: string): void {
    this.#holder.log("info", `(${running.instance.name}) ${text}`, true);
  }
}
