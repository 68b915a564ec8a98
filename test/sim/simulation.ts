/**
 * A few routers on one link under seeded misfortune: loss, delay, cuts, crashes, stalls, reloads, and where
 * adverts are authenticated clocks that jump.
 * The clock is a number that jumps to whatever comes next. Some rules are checked at every moment,
 * others after the link has healed and a quiet time has passed; a broken rule throws.
 *
 * At every moment: addresses are held if and only if MASTER; a MASTER's adverts are never more than
 * one interval apart, and exactly one but for the interval that brings them onto the grid; no authenticated
 * advert counts twice; priority 0 is sent only on leaving.
 *
 * After the quiet time: one MASTER, for good. No router that preempts has a greater priority. And a
 * MASTER yields only to a better one (by priority, then by address), so the last one is at least as
 * good as each that was MASTER when the link was mended, owners (255) excepted. The address alone never makes a BACKUP
 * preempt (RFC 9568 §6.4.2): among equal priorities the greatest address wins only against MASTERs.
 */

import type { AuthHmac } from "../../src/config/vrrp.ts";
import { compareAddress } from "../../src/lib/address.ts";
import { type AuthState, authState } from "../../src/vrrp/auth.ts";
import { step } from "../../src/vrrp/fsm.ts";
import { acceptStamp, isStale, nextStamp } from "../../src/vrrp/stamps.ts";
import type { Action, Event, State, VirtualRouter } from "../../src/vrrp/state.ts";
import { deadline } from "../../src/vrrp/timers.ts";
import { instanceWith } from "../support/instances.ts";
import { freeze } from "../support/machine.ts";
import { Network } from "../support/network.ts";
import { type Prng, prng } from "../support/prng.ts";
import {
  Clock,
  type Cut,
  cut,
  CUTS,
  drawCalm,
  drawWeather,
  MAX_DELAY,
  onlyMaster,
} from "./world.ts";

/** How much happened, to tell a simulation from an idle one. */
export interface Tally {
  adverts: number;
  transitions: number;
  misfortunes: number;
  /** Moments at which somebody became MASTER while another one was. */
  splits: number;
}

/** What the codec would make of a packet. */
type Advert = Extract<Event, { type: "advert" }>;

/** An advert on its way, with what authenticates it. */
interface Signed {
  readonly advert: Advert;
  readonly from: number;
  readonly stamp: bigint | undefined;
}

/**
 * Why an advert was sent: a regular one on time (the first after something else, or a later one), one after a
 * stall, or something else.
 */
type Cause = "timer" | "first timer" | "late timer" | "event";

/** What is remembered of the last advert of a MASTER. */
interface Sent {
  readonly at: number;
  readonly cause: Cause;
}

interface Host {
  readonly name: number;
  router: VirtualRouter;
  state: State;
  /** The process exists. */
  alive: boolean;
  /** The process does not run until then; what arrives waits in the inbox. */
  stalledUntil: number;
  readonly inbox: Signed[];
  /** Sequence numbers, when adverts are authenticated; gone with the process. */
  auth: AuthState | undefined;
  /** How far its wall clock is ahead of the true one. */
  clockUs: number;
  /** Every sequence number it has accepted, by sender. */
  readonly accepted: Set<string>;
  /** The addresses are on the link, by the actions that were performed. */
  holds: boolean;
  /** Undefined when the next interval need not be exact. */
  sent: Sent | undefined;
  /** The next advert is due before this moment. */
  advertBy: number;
}

/** Runs the scenario of a seed; `trace` receives a line per event. Throws when a rule is broken. */
export function simulate(seed: number, trace?: string[]): Tally {
  return new Simulation(prng(seed), trace).run();
}

const INTERVALS_US = {
  2: [[1_000_000], [3_000_000], [1_000_000, 3_000_000]],
  3: [
    [1_000_000],
    [10_000],
    [250_000],
    [100_000, 250_000, 1_000_000],
    [10_000, 20_000, 50_000],
  ],
};

/** The wall clock at the beginning of the monotonic one. */
const EPOCH_US = 1_795_000_000_000_000;

const HMAC: AuthHmac = {
  keys: [{ id: 1, key: "00".repeat(32) }],
  active_key: 1,
  time_window: 5_000_000,
  anti_replay: "time",
  mode: "enforce",
};

/** A scenario takes a few thousand turns; more means that answers are answered for ever. */
const MOST_TURNS = 100_000;

class Simulation {
  readonly #random: Prng;
  readonly #clock: Clock;
  readonly #tally: Tally = { adverts: 0, transitions: 0, misfortunes: 0, splits: 0 };
  readonly #version: 2 | 3;
  readonly #intervalsUs: readonly number[];
  readonly #priorities: readonly number[];
  readonly #preempt: number;
  readonly #hosts: readonly Host[];
  readonly #network: Network<Signed>;
  /** How adverts are authenticated; undefined when they are not. */
  readonly #hmac: AuthHmac | undefined;
  /** No transition is expected any more. */
  #settled = false;

  constructor(random: Prng, trace: string[] | undefined) {
    this.#random = random;
    this.#clock = new Clock(MOST_TURNS, trace);
    this.#version = random.pick([2, 3]);
    this.#intervalsUs = random.pick(INTERVALS_US[this.#version]);
    this.#priorities = random.pick([
      [100],
      [50, 100, 100, 150],
      [1, 99, 100, 101, 254, 255],
      Array.from({ length: 255 }, (_, i) => i + 1),
    ]);
    this.#preempt = random.pick([1, 1, 0.5, 0]);
    const lastBytes = random.shuffle(Array.from({ length: 254 }, (_, i) => i + 1));
    const prefix = random.chance(0.5)
      ? [192, 0, 2]
      : [0xfe, 0x80, ...new Array<number>(13).fill(0)];
    const size = random.integer(2, 7);
    const anti_replay = random.pick(["time", "time", "monotonic"] as const);
    this.#hmac = random.chance(0.3) ? { ...HMAC, anti_replay } : undefined;
    this.#hosts = Array.from({ length: size }, (_, name) => ({
      name,
      router: this.#drawRouter(new Uint8Array([...prefix, lastBytes[name]!])),
      state: { name: "INIT" } as const,
      alive: false,
      stalledUntil: 0,
      inbox: [],
      auth: this.#freshAuth(),
      clockUs: random.integer(-1_000_000, 1_000_000),
      accepted: new Set(),
      holds: false,
      sent: undefined,
      advertBy: Infinity,
    }));
    this.#network = new Network(random, size);
  }

  run(): Tally {
    const unitUs = this.#longestUs;
    this.#network.weather = drawWeather(this.#random, unitUs);
    const simultaneous = this.#random.chance(0.3);
    for (const host of this.#random.shuffle(this.#hosts)) {
      this.#start(host);
      if (!simultaneous) this.#runFor(this.#random.integer(0, 2 * unitUs));
    }
    for (let left = this.#random.integer(0, 25); left > 0; left--) {
      this.#runFor(this.#random.integer(0, this.#random.pick([0, 1, 5]) * unitUs));
      this.#misfortune();
    }
    if (this.#random.chance(0.5)) this.#cut("partition");
    this.#calm();
    // The cuts outlive the bad weather, and what it had held up: both sides may have a MASTER.
    this.#runFor(this.#random.integer(MAX_DELAY, 10) * unitUs);
    const masters = this.#masters();
    this.#network.mend();
    this.#note(`mended, MASTER: ${masters.map(({ name }) => name).join() || "none"}`);

    const delaysUs = this.#hosts.map(({ router }) => router.preemptDelayUs);
    // A router that was started again while its clock was behind is an echo until the clock catches up.
    const echoUs = this.#hmac === undefined ? 0 : 2 * this.#hmac.time_window;
    this.#runFor(Math.max(...delaysUs) + echoUs + 4 * (4 * unitUs + 1_000_000));
    this.#expectElected(masters);
    this.#settled = true;
    this.#runFor(10 * unitUs);
    return this.#tally;
  }

  get #now(): number {
    return this.#clock.now;
  }

  get #longestUs(): number {
    return Math.max(...this.#intervalsUs);
  }

  #masters(): Host[] {
    return this.#hosts.filter(({ state }) => state.name === "MASTER");
  }

  #drawRouter(address: Uint8Array): VirtualRouter {
    const random = this.#random;
    const intervalUs = random.pick(this.#intervalsUs);
    const sometimes = (us: number): number => random.chance(0.3) ? random.integer(us / 20, us) : 0;
    return freeze({
      version: this.#version,
      priority: random.pick(this.#priorities),
      advertisementIntervalUs: intervalUs,
      preempt: random.chance(this.#preempt),
      preemptDelayUs: sometimes(10 * this.#longestUs),
      startsAsMaster: random.chance(0.5),
      lane: random.integer(0, 7),
      downTimerAdverts: random.pick([3, 3, 3, 2, 5]),
      // With different intervals a BACKUP may never learn in time that it is not wanted.
      lowerPriorityNoAdvert: this.#intervalsUs.length === 1 && random.chance(0.2),
      higherPrioritySendAdvert: random.chance(0.1),
      timerExpiredPriority: random.chance(0.1) ? 254 : undefined,
      address,
      garp: {
        repeat: 5,
        delayUs: sometimes(5 * intervalUs),
        refreshUs: sometimes(5 * intervalUs),
        refreshRepeat: 1,
        lowerPriorityRepeat: random.integer(0, 5),
        lowerPriorityDelayUs: sometimes(5 * intervalUs),
      },
    });
  }

  // -------------------------------------------------------------------------------------------
  // Time
  // -------------------------------------------------------------------------------------------

  #runFor(durationUs: number): void {
    const next = (): number =>
      Math.min(this.#network.earliestAt, ...this.#hosts.map((host) => this.#wakeAt(host)));
    this.#clock.runFor(durationUs, next, () => this.#turn());
    for (const host of this.#hosts) this.#expectPunctual(host);
  }

  #wakeAt(host: Host): number {
    if (!host.alive) return Infinity;
    const dueAt = host.inbox.length > 0 ? 0 : deadline(host.router, host.state);
    return Math.max(dueAt, host.stalledUntil);
  }

  /** What is readable comes before what is due, as in the loop. */
  #turn(): void {
    for (const { to, message } of this.#network.receive(this.#now)) {
      const host = this.#hosts[to]!;
      if (host.alive) host.inbox.push(message);
    }
    for (const host of this.#hosts) {
      if (!host.alive || host.stalledUntil > this.#now) continue;
      for (const signed of host.inbox.splice(0)) this.#hear(host, signed);
      for (let times = 0; deadline(host.router, host.state) <= this.#now; times++) {
        if (times === 3) this.#break(host, "spins: its deadline does not move");
        this.#step(host, { type: "timer" });
      }
    }
  }

  #hear(host: Host, signed: Signed): void {
    const { advert } = signed;
    if (!this.#isAuthentic(host, signed)) return;
    // In version 2 a packet with another interval is dropped before it reaches the machine.
    const differs = advert.advertisementIntervalUs !== host.router.advertisementIntervalUs;
    if (host.router.version === 3 || !differs) this.#step(host, advert);
  }

  #freshAuth(): AuthState | undefined {
    const hmac = this.#hmac;
    if (hmac === undefined) return undefined;
    // As many as there may be routers: nobody is forgotten.
    const peers = Array.from({ length: 7 }, (_, i) => ({ address: `192.0.2.${i + 1}` }));
    return authState(instanceWith({ auth_hmac: hmac, unicast_peer: peers }));
  }

  /** Stale adverts and echoes are dropped; none may count twice. */
  #isAuthentic(host: Host, { from, stamp }: Signed): boolean {
    if (stamp === undefined) return true;
    const wallUs = EPOCH_US + this.#now + host.clockUs;
    const hmac = this.#hmac!;
    const isAuthentic = !isStale(hmac, stamp, wallUs) &&
      acceptStamp(host.auth!.stamps, hmac, `${from}`, stamp, wallUs);
    if (!isAuthentic) return false;
    const echo = `${from} ${stamp}`;
    if (host.accepted.has(echo)) this.#break(host, `accepts an advert of ${from} twice`);
    host.accepted.add(echo);
    return true;
  }

  // -------------------------------------------------------------------------------------------
  // One step of one host
  // -------------------------------------------------------------------------------------------

  #step(host: Host, event: Event): void {
    this.#expectPunctual(host);
    const from = host.state;
    const dueAt = deadline(host.router, from);
    const { state, actions } = step(host.router, from, freeze(event), this.#now);
    host.state = freeze(state);
    const what = event.type === "advert" ? `advert ${event.priority}` : event.type;
    this.#note(`${host.name} ${from.name} ${what} → ${state.name} ${actions.map(inShort).join()}`);
    const cause = causeOf(event, from, dueAt === this.#now, host.sent);
    for (const action of actions) this.#perform(host, event, action, cause);
    if (state.name !== "MASTER") host.advertBy = Infinity;
    if (host.holds !== (state.name === "MASTER")) {
      this.#break(host, `${host.holds ? "holds" : "lacks"} the addresses in ${state.name}`);
    }
  }

  #perform(host: Host, event: Event, action: Action, cause: Cause): void {
    switch (action.type) {
      case "advert":
        return this.#send(host, event, action.priority, cause);
      case "add":
        host.holds = true;
        return;
      case "remove":
        host.holds = false;
        return;
      case "transition":
        this.#tally.transitions++;
        if (this.#settled) this.#break(host, `moves to ${action.to} on a quiet link`);
        if (action.to === "MASTER" && this.#masters().length > 1) this.#tally.splits++;
        return;
      case "announce":
      case "note":
        return;
    }
  }

  #send(host: Host, event: Event, priority: number, cause: Cause): void {
    const { router, sent } = host;
    const leaves = event.type === "shutdown" || event.type === "fault";
    const isLowered = router.priority === 255 && priority === 254 && event.type === "advert";
    if (!isLowered && priority !== (leaves ? 0 : router.priority)) {
      this.#break(host, `sends priority ${priority} on ${event.type}`);
    }
    const intervalUs = router.advertisementIntervalUs;
    if (cause.endsWith("timer") && cause !== "late timer" && sent !== undefined) {
      const passedUs = this.#now - sent.at;
      // The second interval of a term or after an answer ends at a grid point, at most 1 % early.
      const leastUs = sent.cause === "first timer" ? 0.99 * intervalUs : intervalUs;
      if (passedUs < leastUs || passedUs > intervalUs) {
        this.#break(host, `sends after ${passedUs} µs instead of ${intervalUs} µs`);
      }
    }
    host.sent = cause === "late timer" ? undefined : { at: this.#now, cause };
    host.advertBy = this.#now + intervalUs;
    this.#tally.adverts++;
    const advert: Advert = freeze({
      type: "advert",
      priority,
      source: router.address,
      advertisementIntervalUs: intervalUs,
    });
    const hmac = this.#hmac;
    const wallUs = EPOCH_US + this.#now + host.clockUs;
    const stamp = hmac === undefined ? undefined : nextStamp(host.auth!.stamps, hmac, wallUs);
    this.#network.send(host.name, { advert, from: host.name, stamp }, this.#now);
  }

  // -------------------------------------------------------------------------------------------
  // Misfortune
  // -------------------------------------------------------------------------------------------

  #misfortune(): void {
    this.#tally.misfortunes++;
    const random = this.#random;
    const host = random.pick(this.#hosts);
    const stalled = host.stalledUntil > this.#now;
    const kinds = ["weather", ...CUTS, "mend", "start", "crash"] as const;
    // In monotonic mode a clock that goes back locks out who is started again: that is its price.
    const isTimed = this.#hmac?.anti_replay === "time";
    const kind = random.pick([
      ...kinds,
      ...(isTimed ? ["clock", "clock"] as const : []),
      ...(stalled ? [] : ["stop", "fault", "recovery", "reload", "respawn", "stall"] as const),
    ]);
    this.#note(`${kind} ${host.name}`);
    if (kind === "weather") {
      this.#network.weather = drawWeather(random, this.#longestUs);
    } else if (kind === "partition" || kind === "one-way" || kind === "pair") {
      this.#cut(kind, host);
    } else if (kind === "clock") {
      host.clockUs += random.pick([-1, 1]) * random.pick([500_000, 3_600_000_000]);
    } else if (kind === "mend") {
      this.#network.mend();
    } else if (kind === "start") {
      if (!host.alive) this.#start(host);
    } else if (host.alive) {
      this.#strike(host, kind);
    }
  }

  #strike(
    host: Host,
    kind: "crash" | "stop" | "fault" | "recovery" | "reload" | "respawn" | "stall",
  ): void {
    switch (kind) {
      case "crash":
        return this.#forget(host, false);
      case "stop":
        this.#step(host, { type: "shutdown" });
        return this.#forget(host, false);
      case "fault":
      case "recovery":
        return this.#step(host, { type: kind });
      case "reload":
        return this.#reload(host, this.#drawRouter(host.router.address));
      case "respawn": {
        const { name } = host.state;
        this.#forget(host, name === "MASTER");
        return this.#start(host, name === "MASTER" ? "adoption" : "startup");
      }
      case "stall":
        host.stalledUntil = this.#now + this.#random.integer(0, 6 * this.#longestUs);
        host.sent = undefined;
        host.advertBy = Infinity;
        return;
    }
  }

  #start(host: Host, type: "startup" | "adoption" = "startup"): void {
    host.alive = true;
    this.#step(host, { type });
  }

  /** The end of a process. Its addresses outlive it only if the next one is to adopt them. */
  #forget(host: Host, holds: boolean): void {
    host.alive = false;
    host.state = { name: "INIT" };
    host.stalledUntil = 0;
    host.inbox.length = 0;
    host.auth = this.#freshAuth();
    host.accepted.clear();
    host.holds = holds;
    host.sent = undefined;
    host.advertBy = Infinity;
  }

  #reload(host: Host, router: VirtualRouter): void {
    host.router = router;
    this.#step(host, { type: "reconfiguration" });
  }

  #cut(kind: Cut, host = this.#hosts[0]!): void {
    cut(kind, this.#random, this.#network, this.#hosts.length, host.name);
  }

  /** No more misfortune but for the cuts; the sick recover and some of the dead come back. */
  #calm(): void {
    this.#note("calm");
    this.#network.weather = drawCalm(this.#random, Math.min(...this.#intervalsUs));
    for (const host of this.#hosts) {
      host.stalledUntil = Math.min(host.stalledUntil, this.#now);
      // The clocks are put right.
      host.clockUs = this.#random.integer(-1_000_000, 1_000_000);
    }
    this.#runFor(0);
    for (const host of this.#hosts) {
      if (host.state.name === "FAULT") this.#step(host, { type: "recovery" });
      // Version 2 demands one interval: with two of them there are two MASTERs for ever.
      if (this.#version === 2) {
        this.#reload(host, { ...host.router, advertisementIntervalUs: this.#longestUs });
      }
      if (!host.alive && this.#random.chance(0.5)) this.#start(host);
    }
    if (this.#hosts.every(({ alive }) => !alive)) this.#start(this.#random.pick(this.#hosts));
  }

  // -------------------------------------------------------------------------------------------
  // Rules
  // -------------------------------------------------------------------------------------------

  #expectPunctual(host: Host): void {
    if (this.#now > host.advertBy) this.#break(host, "is MASTER and silent for too long");
  }

  #expectElected(atMending: readonly Host[]): void {
    const master = onlyMaster(this.#masters());
    for (const host of this.#hosts) {
      if (host.alive && host.state.name !== "MASTER" && host.state.name !== "BACKUP") {
        this.#break(host, `is in ${host.state.name}`);
      }
      if (host.alive && host.router.preempt && host.router.priority > master.router.priority) {
        this.#break(host, `is better than the MASTER, ${master.name}, and does not preempt`);
      }
    }
    for (const host of atMending) {
      // An owner that was not heard for long enough has given way to another owner.
      const hasGivenWay = master.router.priority === 255;
      if (!hasGivenWay && isBetter(host.router, master.router)) {
        this.#break(host, `was MASTER when the link was mended and lost to a worse ${master.name}`);
      }
    }
  }

  #break(host: Host, rule: string): never {
    const { priority, preempt, advertisementIntervalUs } = host.router;
    const about = `priority ${priority}, ${preempt ? "" : "no"}preempt, ${advertisementIntervalUs}`;
    throw new Error(`Router ${host.name} (${about} µs) ${rule}`);
  }

  #note(line: string): void {
    this.#clock.note(line);
  }
}

function causeOf(event: Event, from: State, onTime: boolean, sent: Sent | undefined): Cause {
  if (event.type !== "timer" || from.name !== "MASTER") return "event";
  if (!onTime) return "late timer";
  return sent === undefined || sent.cause === "event" ? "first timer" : "timer";
}

function isBetter(a: VirtualRouter, b: VirtualRouter): boolean {
  const difference = a.priority - b.priority;
  return difference > 0 || (difference === 0 && compareAddress(a.address, b.address) > 0);
}

function inShort(action: Action): string {
  if (action.type === "note") return ` (${action.note})`;
  return action.type === "advert" ? ` advert ${action.priority}` : ` ${action.type}`;
}
