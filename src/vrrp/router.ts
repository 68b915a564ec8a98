/**
 * The virtual routers of this host at run time: what they hear from the kernel and from their peers, and
 * what they do about it. Every change of an instance's state goes through `#dispatch`; what has to be
 * done is queued in the kernel and happens when the turn is flushed.
 */

import { ReceiveBatch } from "../../ffi/socket.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, formatAddress, parseAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Loop } from "../loop.ts";
import type { FromRole } from "../parent/channel.ts";
import type { Advert } from "../wire/vrrp.ts";
import { changedAddresses, type Held, heldAddresses } from "./addresses.ts";
import type { Change } from "./diff.ts";
import { step } from "./fsm.ts";
import {
  counterOf,
  explainFault,
  explainRejection,
  type FaultReason,
  judge,
  virtualRouter,
} from "./instance.ts";
import { LinkTable } from "./links.ts";
import { addressListLines, announcementLines, noteLine, transitionLines } from "./log.ts";
import { advertPackets, hasSecret, Kernel, type Packet, type Port, readPacket } from "./perform.ts";
import { forgetPackets, reconfigure, type RunningInstance, startRunning } from "./running.ts";
import type { Action, Event, State } from "./state.ts";
import { activeDownIntervalUs, deadline } from "./timers.ts";

/** Packets in one recvmmsg; the largest advert (255 IPv4 addresses, options) is about 1.1 KiB. */
const PACKETS_PER_CALL = 32;
const PACKET_BYTES = 2048;
/** The same complaint about the same instance is logged once in this time. */
const COMPLAINT_US = 10_000_000;

const TIMER: Event = { type: "timer" };

/** A running instance with its socket and its current advert. */
type Running = RunningInstance<Port, readonly Packet[]>;

/** The virtual routers of one process. */
export class Router {
  readonly #loop: Loop;
  readonly #ledger: Float64Array;
  readonly #tell: (message: FromRole) => void;
  readonly #links = new LinkTable();
  readonly #kernel: Kernel;
  readonly #running = new Map<string, Running>();
  readonly #byPort = new Map<Port, Map<number, Running>>();
  /** Made when the first packet comes: before that, it would delay the first advert. */
  #receive: ReceiveBatch | undefined;
  /** The virtual addresses of all instances, as text; undefined when out of date. */
  #virtual: Set<string> | undefined;
  #linksChanged = false;

  /** Whether lines for -D are wanted. */
  wantsDetail = false;

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
    this.#ledger = ledger;
    this.#tell = tell;
    this.#kernel = new Kernel(this.#links, announcer, (level, text) => this.log(level, text));
    loop.watch(this.#kernel.monitor.fd, () => this.#readMonitor());
  }

  /** How many adverts a second leave when every instance is MASTER. */
  get advertsPerSecond(): number {
    const rates = [...this.#running.values()].map((one) => 1_000_000 / one.instance.advert_int);
    return rates.reduce((sum, rate) => sum + rate, 0);
  }

  /** Performs one change of the configuration. */
  configure(change: Change, now: number): void {
    switch (change.type) {
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
        this.#virtual = undefined;
        this.#leavePort(running);
        return;
      }
    }
  }

  #add(change: Extract<Change, { type: "add" }>, now: number): void {
    const { key, instance, slot, adoptedAt } = change;
    const running: Running = startRunning(key, slot, instance, (at) => {
      this.#dispatch(running, TIMER, at);
    });
    this.#running.set(key, running);
    this.#virtual = undefined;
    const fault = this.#assess(running);
    running.fault = fault;
    const { router } = running;
    const downUs = activeDownIntervalUs(router, router.advertisementIntervalUs);
    if (fault === undefined && adoptedAt !== undefined && now < adoptedAt + downUs) {
      this.log("notice", `(${instance.name}) Still MASTER after a restart of the VRRP process`);
      this.#dispatch(running, { type: "adoption" }, now);
      return;
    }
    this.#noteInLedger(running, 0);
    this.#removeLeftovers(running);
    this.#dispatch(running, { type: fault === undefined ? "startup" : "fault" }, now);
    if (fault !== undefined) this.log("warning", this.#faultText(running, fault));
  }

  #change(running: Running, next: VrrpInstance, now: number): void {
    const before = running.instance;
    if (before.priority !== next.priority) {
      const change = `from ${before.priority} to ${next.priority}`;
      this.log("info", `(${next.name}) Changing effective priority ${change}`);
    }
    reconfigure(running, next);
    this.#virtual = undefined;
    if (running.state.name === "MASTER") {
      const { removed, added } = changedAddresses(before, next);
      for (const held of removed) this.#kernel.queueRemove(held);
      for (const held of added) {
        this.#kernel.queueAdd(held);
        this.#announce(running, held, next.garp_master_repeat);
      }
    }
    this.#reassess(running, now);
    this.#schedule(running);
    const isNews = before.priority !== next.priority || before.advert_int !== next.advert_int;
    if (isNews) this.#dispatch(running, { type: "reconfiguration" }, now);
  }

  /** Takes away what a predecessor may have left on the links of added instances. */
  withdraw(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.type !== "add") continue;
      for (const held of heldAddresses(change.instance)) this.#kernel.queueRemove(held);
    }
    this.#kernel.flush();
  }

  #removeLeftovers(running: Running): void {
    const left = running.held.filter((held) => {
      const link = this.#links.byName(held.device);
      return link !== undefined && this.#links.holds(link.index, held.address);
    });
    if (left.length > 0) this.#detailed(running, "removing VIPs.");
    for (const held of left) this.#kernel.queueRemove(held);
  }

  /** Every instance leaves: priority 0 adverts, and the addresses go unless they are to stay. */
  shutdown(keepAddresses: boolean, now: number): void {
    for (const running of this.#running.values()) {
      this.#dispatch(running, { type: "shutdown" }, now, keepAddresses);
    }
  }

  /** The end of a turn: everything queued happens. */
  flush(now: number): void {
    if (this.#linksChanged) {
      this.#linksChanged = false;
      for (const running of this.#running.values()) this.#reassess(running, now);
    }
    this.#kernel.flush();
  }

  /**
   * Goes through a take-over and a farewell with a copy of an instance; nothing reaches the network or the
   * ledger, and whoever calls sees to it that nobody listens. Code that runs for the first time takes many times as long, and
   * the first time must not be when it matters.
   */
  rehearse(now: number): void {
    const [model] = this.#running.values();
    if (model?.port === undefined) return;
    this.#kernel.flush();
    const { key, instance, port, router } = model;
    const actor: Running = startRunning(key, -1, instance, () => {});
    actor.port = this.#kernel.deafPort(port);
    actor.router = router;
    this.#dispatch(actor, { type: "startup" }, now);
    for (let turn = 0; turn < 2; turn++) {
      this.#dispatch(actor, { type: "timer" }, deadline(router, actor.state));
    }
    this.#dispatch(actor, { type: "shutdown" }, now);
    this.#loop.schedule(actor, Infinity);
    this.#kernel.rehearse();
  }

  /** Tells the parent a line for the log; `detail` lines are for -D only. */
  log(level: LogLevel, text: string, detail = false): void {
    if (!detail || this.wantsDetail) this.#tell({ type: "log", level, text });
  }

  // --- the kernel ---

  #readMonitor(): void {
    if (this.#kernel.readMonitor((address) => this.#isVirtual(address))) this.#linksChanged = true;
  }

  /** What keeps an instance from taking part, after making its port and router current. */
  #assess(running: Running): FaultReason | undefined {
    const { instance } = running;
    const link = this.#links.byName(instance.interface ?? "");
    if (running.port !== undefined && running.port.link.index !== link?.index) {
      this.#leavePort(running);
    }
    if (link === undefined) return "no-link";
    if (running.port === undefined) this.#joinPort(running);
    const own = this.#sourceAddress(instance, link.index);
    if (own !== undefined) {
      if (compareAddress(own, running.router.address) !== 0) forgetPackets(running);
      running.router = virtualRouter(instance, own);
    }
    if (!link.up || !link.running) return "link-down";
    if (running.port === undefined || own === undefined) return "no-address";
    return undefined;
  }

  #sourceAddress(instance: VrrpInstance, index: number): Address | undefined {
    const wanted = instance.unicast_src_ip ?? instance.mcast_src_ip;
    if (wanted !== undefined) return parseAddress(wanted);
    return this.#links.primaryAddress(index, instance.family, (one) => this.#isVirtual(one));
  }

  /** Whether an address is one that our instances move: it is no link's own. */
  #isVirtual(address: Address): boolean {
    this.#virtual ??= new Set(
      [...this.#running.values()].flatMap((one) => one.held.map((held) => held.spec.address)),
    );
    return this.#virtual.has(formatAddress(address));
  }

  #reassess(running: Running, now: number): void {
    const before = running.fault;
    const fault = this.#assess(running);
    running.fault = fault;
    if (fault !== undefined && before === undefined) {
      this.log("warning", this.#faultText(running, fault));
      this.#dispatch(running, { type: "fault" }, now);
    } else if (fault === undefined && before !== undefined) {
      this.#dispatch(running, { type: "recovery" }, now);
    }
  }

  #faultText(running: Running, fault: FaultReason): string {
    return `(${running.instance.name}) ${explainFault(fault, running.instance)}`;
  }

  #joinPort(running: Running): void {
    const { instance } = running;
    const link = this.#links.byName(instance.interface ?? "");
    if (link === undefined) return;
    const isUnicast = instance.unicast_peer.length > 0;
    const group = isUnicast ? undefined : parseAddress(instance.mcast_group);
    const port = this.#kernel.portFor(link, group);
    if (port === undefined) return;
    running.port = port;
    let users = this.#byPort.get(port);
    if (users === undefined) {
      users = new Map();
      this.#byPort.set(port, users);
      this.#loop.watch(port.fd, (now) => this.#readPort(port, now));
    }
    users.set(instance.virtual_router_id, running);
  }

  #leavePort(running: Running): void {
    const { port } = running;
    running.port = undefined;
    forgetPackets(running);
    if (port === undefined) return;
    const users = this.#byPort.get(port);
    users?.delete(running.instance.virtual_router_id);
    if (users === undefined || users.size > 0) return;
    this.#byPort.delete(port);
    this.#loop.unwatch(port.fd);
    this.#kernel.closePort(port);
  }

  // --- the peers ---

  #readPort(port: Port, now: number): void {
    const users = this.#byPort.get(port);
    const batch = this.#receive ??= new ReceiveBatch(PACKETS_PER_CALL, PACKET_BYTES);
    for (;;) {
      const count = batch.receive(port.fd);
      for (let i = 0; i < count; i++) {
        // An advert counts from its arrival, not from when we came to read it.
        const arrivedAt = Math.min(now, Math.max(this.#loop.previous, batch.arrivedAt(i) ?? now));
        this.#hearPacket(users, batch.packet(i), arrivedAt);
      }
      if (!batch.isFull(count)) return;
    }
  }

  #hearPacket(users: Map<number, Running> | undefined, bytes: Uint8Array, now: number): void {
    const packet = readPacket(bytes);
    const running = packet === undefined ? undefined : users?.get(packet.vrid);
    if (packet === undefined || running === undefined || running.state.name === "INIT") return;
    const { advert } = packet;
    const rejection = judge(running.instance, packet, hasSecret);
    if (rejection === undefined && typeof advert !== "string") {
      this.#hearAdvert(running, advert, packet.source, now);
    } else if (rejection !== undefined) {
      running.counters[counterOf(rejection)]++;
      this.#complain(
        running,
        rejection,
        explainRejection(running.instance, rejection, packet),
        now,
      );
    }
  }

  #hearAdvert(running: Running, advert: Advert, source: Address, now: number): void {
    const { counters, instance } = running;
    counters.advert_rcvd++;
    if (advert.priority === 0) counters.pri_zero_rcvd++;
    for (const text of addressListLines(instance, running.advertised, advert.addresses)) {
      counters.addr_list_err++;
      this.#complain(running, text, text, now);
    }
    const { priority, advertisementIntervalUs } = advert;
    this.#dispatch(running, { type: "advert", priority, source, advertisementIntervalUs }, now);
  }

  #complain(running: Running, what: string, text: string, now: number): void {
    if (now - (running.complainedAt.get(what) ?? -COMPLAINT_US) < COMPLAINT_US) return;
    running.complainedAt.set(what, now);
    this.log("warning", text);
  }

  // --- the machine ---

  /** The one place where an instance's state changes. */
  #dispatch(running: Running, event: Event, now: number, keepAddresses = false): void {
    const { state, actions } = step(running.router, running.state, event, now);
    const before = running.state;
    running.state = state;
    const isTransition = state.name !== before.name;
    if (isTransition) this.#advertiseAtOnce(running, actions, now);
    let isLogged = !isTransition;
    for (const action of actions) {
      // The log tells why, then where to, then what that took.
      if (!isLogged && action.type !== "note") {
        isLogged = true;
        this.#logTransition(running, before);
      }
      if (action.type !== "advert") this.#act(running, action, keepAddresses);
      else if (action.priority === 0) this.#detailed(running, "sent 0 priority");
      else if (!isTransition) this.#advertise(running, action.priority, now);
    }
    this.#schedule(running);
  }

  /** An election is decided by its first advert: it does not wait for the rest of the turn. */
  #advertiseAtOnce(running: Running, actions: readonly Action[], now: number): void {
    for (const action of actions) {
      if (action.type === "advert") this.#advertise(running, action.priority, now);
    }
    this.#kernel.flushAdverts();
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
    if (state.name !== "BACKUP" || running.port === undefined) return;
    // Ready before it is needed.
    this.#prepare(running, router.priority);
    this.#prepare(running, 0);
  }

  #act(
    running: Running,
    action: Exclude<Action, { type: "advert" }>,
    keepAddresses: boolean,
  ): void {
    switch (action.type) {
      case "add":
        if (running.held.length > 0) this.#detailed(running, "setting VIPs.");
        for (const held of running.held) this.#kernel.queueAdd(held);
        return;
      case "remove":
        this.#noteInLedger(running, 0);
        this.#kernel.dropAnnouncements(running.key);
        if (keepAddresses) return;
        if (running.held.length > 0) this.#detailed(running, "removing VIPs.");
        for (const held of running.held) this.#kernel.queueRemove(held);
        return;
      case "announce":
        for (const held of running.held) this.#announce(running, held, action.repeat);
        return;
      case "transition":
        this.#transition(running, action);
        return;
      case "note": {
        const line = noteLine(running.instance.name, running.router, action);
        this.log(line.level, line.text, line.detail);
        return;
      }
    }
  }

  #announce(running: Running, held: Held, repeat: number): void {
    this.#kernel.queueAnnounce(running.key, held.device, held.address, repeat);
    if (!this.wantsDetail) return;
    for (const text of announcementLines(running.instance.name, held, repeat)) {
      this.log("info", text);
    }
  }

  #detailed(running: Running, text: string): void {
    this.log("info", `(${running.instance.name}) ${text}`, true);
  }

  #advertise(running: Running, priority: number, now: number): void {
    const { port, counters } = running;
    if (port === undefined) return;
    this.#kernel.queueAdvert(port, this.#prepare(running, priority));
    counters.advert_sent++;
    if (priority === 0) {
      counters.pri_zero_sent++;
    } else {
      this.#noteInLedger(running, now);
    }
  }

  /** The packets of an advert, made anew only when something in them has changed. */
  #prepare(running: Running, priority: number): readonly Packet[] {
    const { instance, router } = running;
    if (priority === 0) return running.farewell ??= advertPackets(instance, 0, router.address);
    if (running.packets === undefined || running.packetPriority !== priority) {
      running.packets = advertPackets(instance, priority, router.address);
      running.packetPriority = priority;
    }
    return running.packets;
  }

  #transition(running: Running, action: Extract<Action, { type: "transition" }>): void {
    const { from, to } = action;
    if (from === "INIT" || from === "FAULT") this.#greetPeers(running);
    if (to === "MASTER") running.counters.become_master++;
    if (from === "MASTER") running.counters.release_master++;
    const instance = running.instance.name;
    this.#tell({ type: "state", instance, from, to, priority: running.router.priority });
  }

  /**
   * Unicast peers may still be looking for our hardware address, and hold back their adverts until their
   * next try: one announcement of our own address answers them.
   */
  #greetPeers(running: Running): void {
    const { instance, router, key } = running;
    if (instance.unicast_peer.length === 0 || instance.interface === undefined) return;
    this.#kernel.queueAnnounce(key, instance.interface, router.address, 1);
  }

  #noteInLedger(running: Running, at: number): void {
    if (running.slot >= 0) this.#ledger[running.slot] = at;
  }
}
