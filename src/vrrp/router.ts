/**
 * The virtual routers of this host at run time: what they hear from the kernel and from their peers, and
 * what they do about it. Every change of an instance's state goes through `#dispatch`; what has to be
 * done is queued in the kernel and happens when the turn is flushed.
 */

import type { VrrpGlobals, VrrpInstance } from "../config/vrrp.ts";
import type { Address } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Loop } from "../loop.ts";
import type { FromRole } from "../parent/channel.ts";
import type { Advert } from "../wire/vrrp.ts";
import { Advertiser } from "./advertiser.ts";
import { Causes } from "./causes.ts";
import type { Change } from "./diff.ts";
import { Footing } from "./footing.ts";
import { type GroupMove, Groups } from "./groups.ts";
import type { Holder } from "./holder.ts";
import { Holdings } from "./holdings.ts";
import type { FaultReason } from "./instance.ts";
import type { Received, Rejection } from "./judge.ts";
import { Leisure } from "./leisure.ts";
import { LinkTable } from "./links.ts";
import type { LinkWatch } from "./link_watch.ts";
import { lowerPriority, noteLine, transitionLines } from "./log.ts";
import { Neighbourhood } from "./neighbourhood.ts";
import { Kernel } from "./perform.ts";
import { rehearseLife } from "./rehearsal.ts";
import { type Listener, Reception, type Running } from "./reception.ts";
import { type InstanceEvent, stepAlone } from "./repair.ts";
import { noteRival, type RivalReport } from "./rival.ts";
import { notePeer, reconfigure, startRunning, timerOf } from "./running.ts";
import { StartDelay } from "./start_delay.ts";
import type { SavedSettings } from "./sysctl_perform.ts";
import type { Action, Event, State, Step } from "./state.ts";
import { SCRIPT_PENDING } from "./sync_group.ts";
import { activeDownIntervalUs, deadline } from "./timers.ts";
import { Tracked } from "./tracked.ts";
import type { TrackResult } from "./tracking.ts";

const TIMER: Event = { type: "timer" };

/** The virtual routers of one process. */
export class Router implements Listener, Holder {
  readonly #loop: Loop;
  readonly #tell: (message: FromRole) => void;
  readonly #links = new LinkTable();
  readonly #kernel: Kernel;
  readonly #advertiser: Advertiser;
  readonly #running = new Map<string, Running>();
  readonly #reception: Reception;
  readonly #neighbourhood: Neighbourhood;
  readonly #footing: Footing;
  readonly #holdings: Holdings;
  readonly #groups = new Groups<Running>();
  readonly #tracked: Tracked;
  /** Those of the changes being performed that a predecessor has left as MASTER. */
  readonly #adopted = new Set<Running>();
  readonly #delay: StartDelay;
  readonly #causes = new Causes();
  /** What happens between turns. */
  readonly leisure: Leisure;
  #linksChanged = false;
  #linkWatch: LinkWatch | undefined;

  readonly #onTimer: Running["fire"];
  #wantsDetail = false;

  /** Whether lines for -D are wanted. */
  set wantsDetail(yes: boolean) {
    this.#wantsDetail = yes;
    this.#neighbourhood.wantsDetail = yes;
  }

  /**
   * Reads the links and listens to the kernel. `ledger` is where each MASTER's last advert is noted,
   * `announcer` the packet socket for gratuitous ARP, `tell`
   * takes what the parent should know. Throws SysError when the kernel gives no netlink sockets.
   */
  constructor(
    loop: Loop,
    ledger: Float64Array,
    announcer: number,
    tell: (message: FromRole) => void,
  ) {
    this.#loop = loop;
    this.#onTimer = timerOf((running, now) => this.#dispatch(running, TIMER, now));
    this.leisure = new Leisure(loop);
    this.#delay = new StartDelay(loop, (now) => this.#release(now));
    this.#tell = tell;
    this.#kernel = new Kernel(this.#links, announcer, (level, text) => this.log(level, text));
    this.#advertiser = new Advertiser(this.#kernel.ports, ledger);
    this.#reception = new Reception(loop, this);
    this.#neighbourhood = new Neighbourhood(loop, this.#kernel, this.#links, tell);
    this.#tracked = new Tracked(this.#links, tell);
    this.#footing = new Footing(this.#kernel, this.#links, this.#reception, () => this.all());
    this.#holdings = new Holdings(this, {
      loop,
      kernel: this.#kernel,
      links: this.#links,
      neighbourhood: this.#neighbourhood,
      footing: this.#footing,
      ledger,
      tell,
    });
    loop.watch(this.#kernel.monitor.fd, () => {
      if (this.#kernel.readMonitor(this.#holdings)) this.#linksChanged = true;
    });
  }

  /** How many adverts a second leave when every instance is MASTER. */
  get advertsPerSecond(): number {
    const rates = [...this.#running.values()].map((one) => 1_000_000 / one.instance.advert_int);
    return rates.reduce((sum, rate) => sum + rate, 0);
  }

  /** Performs the changes of a configuration. */
  configure(changes: readonly Change[], now: number): void {
    for (const change of changes) this.#configure(change, now);
    this.#holdings.settle();
    this.#gather(now);
  }

  /** The groups become what they are to be, and start, unless the start is held up. */
  #gather(now: number): void {
    const isHeldUp = this.#delay.isHolding(now);
    this.#perform(this.#groups.gather(this.all(), this.#adopted, isHeldUp, now), now);
    for (const running of this.#adopted) {
      const text = `(${running.instance.name}) Still MASTER after a restart of the VRRP process`;
      if (running.state.name === "MASTER") this.log("notice", text);
      else this.#forgetTerm(running);
    }
    this.#adopted.clear();
  }

  /** A predecessor's term as MASTER is over. */
  #forgetTerm(running: Running): void {
    this.#advertiser.note(running, 0);
    this.#holdings.removeLeftovers(running);
  }

  #configure(change: Change, now: number): void {
    switch (change.type) {
      case "globals":
        this.#setGlobals(change.globals, now);
        return;
      case "static":
        this.#holdings.setStatics(change.items);
        return;
      case "groups":
        this.#groups.configure(change.groups);
        return;
      case "tracking":
        this.#tracked.configure(change.tracking);
        // At the end of the turn all are looked at anew.
        this.#linksChanged = true;
        return;
      case "add":
        this.#add(change, now);
        return;
      case "change":
        this.#change(this.#running.get(change.key)!, change.instance, now);
        return;
      case "remove": {
        const running = this.#running.get(change.key);
        if (running === undefined) return;
        this.#dispatch(running, { type: "shutdown" }, now);
        this.#kernel.flush();
        this.#running.delete(change.key);
        this.#footing.instancesChanged();
        this.#footing.leave(running);
        this.#holdings.forget(change.key);
        return;
      }
    }
  }

  #setGlobals(globals: VrrpGlobals, now: number): void {
    this.#kernel.setBuffers(globals);
    this.#footing.setGlobals(globals);
    this.#holdings.setGlobals(globals);
    this.#reception.mentionsUnknown = globals.log_unknown_vrids === true;
    this.#neighbourhood.configure(globals);
    this.#watchLinks(globals, now);
    const seconds = this.#delay.begin(globals, now);
    if (seconds > 0) this.log("info", `Delaying startup for ${seconds} seconds`);
  }

  #watchLinks(globals: VrrpGlobals, now: number): void {
    const isNeeded = globals.up_down_delays !== undefined || globals.linkbeat !== undefined;
    if (this.#linkWatch === undefined) {
      if (!isNeeded) return;
      // Loaded only here: most configurations, and their start, can do without.
      const { LinkWatch } = require("./link_watch.ts") as typeof import("./link_watch.ts");
      this.#linkWatch = new LinkWatch(this.#loop, this.#links, () => {
        this.#linksChanged = true;
      });
    }
    this.#linkWatch.configure(globals, now);
    this.#linksChanged = true;
  }

  /** The start of those that were held up. */
  #release(now: number): void {
    for (const running of this.#running.values()) {
      if (running.state.name === "INIT") this.#startUp(running, now);
    }
    this.#gather(now);
  }

  #add(change: Extract<Change, { type: "add" }>, now: number): void {
    const { key, slot, adoptedAt } = change;
    const placed = this.#holdings.place(key, change.instance, adoptedAt !== undefined);
    const running: Running = startRunning(key, slot, placed, this.#onTimer);
    this.#running.set(key, running);
    this.#footing.instancesChanged();
    this.#tracked.weigh(running);
    const fault = this.#assess(running);
    running.fault = fault;
    const { router } = running;
    const downUs = activeDownIntervalUs(router, router.advertisementIntervalUs);
    this.#delay.settle(now);
    const isAdopted = fault === undefined && adoptedAt !== undefined && now < adoptedAt + downUs;
    if (isAdopted) this.#adopted.add(running);
    else this.#forgetTerm(running);
    this.#startUp(running, now);
  }

  /** Its group starts a member; a start may be held up, but not that of a MASTER. */
  #startUp(running: Running, now: number): void {
    const { fault, instance } = running;
    const isAdopted = this.#adopted.has(running);
    if (!isAdopted && this.#delay.isHolding(now)) return;
    if (fault !== SCRIPT_PENDING) this.#tracked.explainFault(running, fault);
    if (!this.#groups.includes(instance.name) && fault !== SCRIPT_PENDING) {
      const type = isAdopted ? "adoption" : fault === undefined ? "startup" : "fault";
      this.#dispatch(running, { type }, now);
    }
  }

  #change(running: Running, wanted: VrrpInstance, now: number): void {
    const before = running.instance;
    const placed = this.#holdings.place(running.key, wanted, false);
    const next = placed.instance;
    reconfigure(running, placed);
    this.#tracked.weigh(running);
    this.#footing.instancesChanged();
    if (running.state.name === "MASTER") this.#holdings.change(running, before, placed);
    this.#reassess(running, now);
    this.#footing.sizeBuffer(running.port);
    this.#schedule(running);
    const isNews = before.priority !== next.priority || before.advert_int !== next.advert_int;
    if (isNews) this.#dispatch(running, { type: "reconfiguration" }, now);
  }

  /** Takes over the settings of the kernel that a predecessor has changed. */
  inherit(saved: SavedSettings): void {
    this.#holdings.inherit(saved);
  }

  /** Takes away what a predecessor may have left. */
  withdraw(changes: readonly Change[]): void {
    for (const change of changes) this.#holdings.withdraw(change);
    this.#kernel.flush();
    this.#holdings.sweep();
  }

  /** Every instance leaves: priority 0 adverts, and the addresses go unless they are to stay. */
  shutdown(keepAddresses: boolean, now: number): void {
    for (const running of this.#running.values()) {
      this.#dispatch(running, { type: "shutdown" }, now, keepAddresses);
    }
    this.#perform(this.#groups.stop(), now);
    this.#holdings.stop(keepAddresses);
  }

  /** The end of a turn: everything queued happens. */
  flush(now: number): void {
    if (this.#linksChanged) {
      this.#linksChanged = false;
      this.#holdings.mend(now);
      for (const running of this.#running.values()) this.#reassess(running, now);
      this.#holdings.linksChanged(now);
      // What a link has lost while nobody believed that it had failed.
      if (this.#linkWatch !== undefined) this.#holdings.missed();
    }
    this.#linkWatch?.looked();
    this.#holdings.repair(now);
    this.#kernel.flush();
    this.#holdings.sweep();
  }

  /** Rehearses an election, see rehearsal.ts; nobody may listen. */
  rehearse(now: number): void {
    const [model] = this.#running.values();
    if (model?.port === undefined) return;
    this.#kernel.flush();
    const actor = rehearseLife(model, (...event) => this.#dispatch(...event), now);
    this.#loop.schedule(actor, Infinity);
    this.#kernel.rehearse();
  }

  /** Tells the parent a line for the log; `detail` lines are for -D only. */
  log(level: LogLevel, text: string, detail = false): void {
    if (!detail || this.#wantsDetail) this.#tell({ type: "log", level, text });
  }

  // --- the kernel ---

  /** See {@link Holder}. */
  all(): Iterable<Running> {
    return this.#running.values();
  }

  /** See {@link Holder}. */
  giveUp(running: Running): void {
    this.#dispatch(running, { type: "retreat" }, this.#loop.now);
  }

  /** What is tracked was heard of. */
  hearTracked(results: readonly TrackResult[], now: number): void {
    this.#tracked.note(results);
    for (const running of this.#running.values()) {
      if (running.standing !== undefined) this.#reassess(running, now);
    }
  }

  #assess(running: Running): FaultReason | undefined {
    return this.#footing.assess(running) ?? this.#tracked.faultOf(running);
  }

  #reassess(running: Running, now: number): void {
    const before = running.fault;
    // A deadline follows the priority.
    if (this.#tracked.weigh(running)) this.#schedule(running);
    const fault = this.#assess(running);
    running.fault = fault;
    if (running.state.name === "INIT") {
      if (before === SCRIPT_PENDING && fault !== before) this.#startLate(running, now);
      return;
    }
    this.#tracked.explainFault(running, fault);
    if (fault !== undefined && before === undefined) {
      this.#dispatch(running, { type: "fault" }, now);
    } else if (fault === undefined && before !== undefined) {
      this.#dispatch(running, { type: "recovery" }, now);
    }
  }

  /** The scripts it has waited for have returned. */
  #startLate(running: Running, now: number): void {
    if (this.#delay.isHolding(now)) return;
    this.#startUp(running, now);
    const type = running.fault === undefined ? "recovery" : "fault";
    if (this.#groups.includes(running.instance.name)) this.#dispatch(running, { type }, now);
  }

  // --- the peers ---

  /** See {@link Listener}. */
  hear(running: Running, advert: Advert, source: Address, now: number): void {
    const { priority, advertisementIntervalUs } = advert;
    if (priority > 0) {
      notePeer(running, source, priority);
      this.#report(running, noteRival(running, source, undefined, now));
    }
    this.#dispatch(running, { type: "advert", priority, source, advertisementIntervalUs }, now);
  }

  /** See {@link Listener}. */
  refuse(running: Running, packet: Received, rejection: Rejection, now: number): void {
    this.#report(running, noteRival(running, packet.source, rejection, now));
  }

  /** Somebody else advertises while we are MASTER: an election, or a split brain. */
  #report(running: Running, report: RivalReport | undefined): void {
    if (report === undefined) return;
    const { peer, cause, text } = report;
    const instance = running.instance.name;
    this.log("warning", `(${instance}) Split brain: ${text} - likely cause: ${cause}`);
    this.#tell({ type: "rival", instance, peer, cause });
  }

  // --- the machine ---

  /** What an event makes of an instance, and of those that share a group with it. */
  #dispatch(running: Running, event: InstanceEvent, now: number, keepAddresses = false): void {
    const { router, state } = running;
    this.#causes.begin(event, running.why);
    const moves = this.#groups.step(running, event, now);
    if (moves !== undefined) this.#perform(moves, now, keepAddresses);
    else this.#take(running, stepAlone(router, state, event, now), now, keepAddresses);
  }

  #perform(moves: readonly GroupMove<Running>[], now: number, keepAddresses = false): void {
    for (const move of moves) {
      switch (move.type) {
        case "member":
          this.#take(move.running, move.step, now, keepAddresses);
          break;
        case "follow":
          this.log("info", `VRRP_Group(${move.group}) Syncing instances to ${move.to} state`);
          this.#causes.follow(move.group);
          break;
        case "group":
          this.#tell({ ...move, ...this.#causes.current });
          break;
      }
    }
  }

  /** The one place where an instance's state changes. */
  #take(running: Running, { state, actions }: Step, now: number, keepAddresses: boolean): void {
    const before = running.state;
    running.state = state;
    const isTransition = state.name !== before.name;
    this.leisure.note(isTransition);
    if (isTransition) this.#advertiser.advertiseAtOnce(running, actions, now);
    let isLogged = !isTransition;
    for (const action of actions) {
      // The log tells why, then where to, then what that took.
      if (!isLogged && action.type !== "note") {
        isLogged = true;
        this.#logTransition(running, before);
      }
      if (action.type !== "advert") this.#act(running, action, keepAddresses, now);
      else if (action.priority === 0) {
        this.log("info", `(${running.instance.name}) sent 0 priority`, true);
      } else if (!isTransition) this.#advertiser.advertise(running, action.priority, now);
    }
    this.#schedule(running);
  }

  #logTransition(running: Running, before: State): void {
    const { instance, router, state } = running;
    for (const line of transitionLines(instance.name, router, before, state)) {
      this.log(line.level, line.text, line.detail);
    }
  }

  #schedule(running: Running): void {
    const { router, state } = running;
    running.isUrgent = state.name === "BACKUP";
    this.#loop.schedule(running, deadline(router, state));
    if (state.name === "BACKUP") this.#advertiser.prepare(running);
  }

  #act(
    running: Running,
    action: Exclude<Action, { type: "advert" }>,
    keepAddresses: boolean,
    now: number,
  ): void {
    switch (action.type) {
      case "add":
        this.#holdings.take(running);
        return;
      case "remove":
        this.#advertiser.note(running, 0);
        this.#neighbourhood.leave(running);
        if (!keepAddresses) this.#holdings.leave(running);
        return;
      case "announce":
        for (const held of running.held) {
          this.#neighbourhood.announce(running, held, action.repeat);
        }
        return;
      case "transition":
        this.#transition(running, action, now);
        return;
      case "note": {
        if (action.note === "stalled" || action.note === "timer-expired") running.counters.stalls++;
        const line = noteLine(running.instance.name, running.router, action);
        this.log(line.level, line.text, line.detail);
        this.#causes.note(action, line.text);
        if (action.note === "lower-priority-asserted") this.#tell(lowerPriority(running, action));
        return;
      }
    }
  }

  #transition(
    running: Running,
    action: Extract<Action, { type: "transition" }>,
    now: number,
  ): void {
    const { from, to } = action;
    if (from === "INIT" || from === "FAULT") this.#neighbourhood.greetPeers(running);
    if (to === "MASTER") {
      running.counters.become_master++;
      this.#neighbourhood.enter(running, now);
    }
    if (from === "MASTER") running.counters.release_master++;
    const { instance: { name: instance }, router: { priority } } = running;
    this.#tell({ type: "state", instance, from, to, priority, ...this.#causes.current });
  }
}
