/**
 * Routers on two or three links, on each with one member of its sync group, under seeded misfortune
 * on one link at a time: loss, delay, cuts, faults of a member; and of whole routers: crashes,
 * stalls, reloads, respawns, retreats. A broken rule throws.
 *
 * At every moment: a group takes over only when no member still hears a MASTER; all members of a group are in one state, the one that was announced last;
 * addresses are held if and only if MASTER; a MASTER's adverts are never more than one interval
 * apart; priority 0 is sent only on leaving.
 *
 * After healing and a quiet time: one router has every link, for good. No router all of whose members
 * preempt has a greater priority, and it is at least as good as each that was MASTER when the links
 * were mended. For that, routers rank alike on every link: with other priorities two groups can take
 * the addresses from each other for ever, here as in keepalived.
 */

import { compareAddress } from "../../src/lib/address.ts";
import type { InstanceEvent } from "../../src/vrrp/repair.ts";
import type { Action, AdvertEvent, State, VirtualRouter } from "../../src/vrrp/state.ts";
import {
  freshGroup,
  type GroupStep,
  type Member,
  regroup,
  startGroup,
  stepGroup,
  type SyncGroup,
} from "../../src/vrrp/sync_group.ts";
import { deadline } from "../../src/vrrp/timers.ts";
import { freeze } from "../support/machine.ts";
import { Network } from "../support/network.ts";
import { type Prng, prng } from "../support/prng.ts";
import { Clock, cut, CUTS, drawCalm, drawWeather, MAX_DELAY, onlyMaster } from "./world.ts";

/** How much happened, to tell a simulation from an idle one. */
export interface GroupTally {
  adverts: number;
  /** Of groups. */
  transitions: number;
  misfortunes: number;
  /** A member's timer ran out while another member still heard a MASTER. */
  held: number;
}

type Advert = AdvertEvent;

interface Seat {
  router: VirtualRouter;
  state: State;
  hasFault: boolean;
  readonly inbox: Advert[];
  holds: boolean;
  /** The next advert is due before this moment. */
  advertBy: number;
  /** When it last heard, as a BACKUP, a MASTER that it has to obey and that has not said goodbye since. */
  obeyedAt: number;
}

interface Host {
  readonly name: number;
  readonly lastByte: number;
  /** The same on every link, up to what the link adds for all. */
  priority: number;
  /** By link. */
  seats: Seat[];
  group: SyncGroup;
  alive: boolean;
  stalledUntil: number;
}

/** Runs the scenario of a seed; `trace` receives a line per event. Throws when a rule is broken. */
export function simulateGroups(seed: number, trace?: string[]): GroupTally {
  return new GroupSimulation(prng(seed), trace).run();
}

const INTERVALS_US = {
  2: [[1_000_000], [1_000_000, 3_000_000]],
  3: [[1_000_000], [10_000], [100_000, 250_000], [10_000, 50_000, 1_000_000]],
};

const MOST_TURNS = 200_000;

class GroupSimulation {
  readonly #random: Prng;
  readonly #clock: Clock;
  readonly #tally: GroupTally = { adverts: 0, transitions: 0, misfortunes: 0, held: 0 };
  readonly #version: 2 | 3;
  readonly #intervalsUs: readonly number[];
  readonly #preempt: number;
  /** What each link adds to every priority on it. */
  readonly #offsets: readonly number[];
  readonly #networks: readonly Network<Advert>[];
  readonly #hosts: readonly Host[];
  #settled = false;

  constructor(random: Prng, trace: string[] | undefined) {
    this.#random = random;
    this.#clock = new Clock(MOST_TURNS, trace);
    this.#version = random.pick([2, 3]);
    this.#intervalsUs = random.pick(INTERVALS_US[this.#version]);
    this.#preempt = random.pick([1, 1, 0.8, 0]);
    const size = random.integer(2, 5);
    this.#offsets = Array.from({ length: random.integer(2, 3) }, () => random.pick([0, 0, 10]));
    this.#networks = this.#offsets.map(() => new Network<Advert>(random, size));
    const bytes = random.shuffle(Array.from({ length: 254 }, (_, i) => i + 1));
    this.#hosts = Array.from({ length: size }, (_, name) => ({
      name,
      lastByte: bytes[name]!,
      priority: this.#drawPriority(),
      seats: [],
      group: freshGroup(this.#offsets.length),
      alive: false,
      stalledUntil: 0,
    }));
    for (const host of this.#hosts) host.seats = this.#freshSeats(host);
  }

  run(): GroupTally {
    const unitUs = Math.max(...this.#intervalsUs);
    for (const host of this.#random.shuffle(this.#hosts)) {
      this.#start(host);
      this.#runFor(this.#random.integer(0, 2 * unitUs));
    }
    for (let left = this.#random.integer(0, 25); left > 0; left--) {
      this.#runFor(this.#random.integer(0, this.#random.pick([0, 1, 5]) * unitUs));
      this.#misfortune();
    }
    if (this.#random.chance(0.7)) {
      cut("partition", this.#random, this.#random.pick(this.#networks), this.#hosts.length, 0);
    }
    this.#calm();
    this.#runFor(this.#random.integer(MAX_DELAY, 10) * unitUs);
    const masters = this.#masters();
    for (const network of this.#networks) network.mend();
    this.#note(`mended, MASTER: ${masters.map(({ name }) => name).join() || "none"}`);

    const routers = this.#hosts.flatMap(({ seats }) => seats.map(({ router }) => router));
    const delayUs = Math.max(...routers.map(({ preemptDelayUs }) => preemptDelayUs));
    this.#runFor(delayUs + 6 * (4 * unitUs + 1_000_000));
    this.#expectElected(masters);
    this.#settled = true;
    this.#runFor(10 * unitUs);
    return this.#tally;
  }

  get #now(): number {
    return this.#clock.now;
  }

  #masters(): Host[] {
    return this.#hosts.filter(({ group }) => group.state === "MASTER");
  }

  #drawPriority(): number {
    return this.#random.pick([50, 99, 100, 100, 101, 200]);
  }

  #freshSeats(host: Host): Seat[] {
    return this.#offsets.map((_, link) => ({
      router: this.#drawRouter(host, link),
      state: { name: "INIT" } as const,
      hasFault: false,
      inbox: [],
      holds: false,
      advertBy: Infinity,
      obeyedAt: -Infinity,
    }));
  }

  #drawRouter(host: Host, link: number): VirtualRouter {
    const random = this.#random;
    const advertisementIntervalUs = random.pick(this.#intervalsUs);
    const sometimes = (us: number): number => random.chance(0.2) ? random.integer(us / 20, us) : 0;
    return freeze({
      version: this.#version,
      priority: host.priority + this.#offsets[link]!,
      advertisementIntervalUs,
      lane: random.integer(0, 7),
      downTimerAdverts: 3,
      lowerPriorityNoAdvert: false,
      higherPrioritySendAdvert: false,
      timerExpiredPriority: undefined,
      preempt: random.chance(this.#preempt),
      preemptDelayUs: sometimes(5 * advertisementIntervalUs),
      startsAsMaster: random.chance(0.5),
      address: new Uint8Array([192, 0, 2 + link, host.lastByte]),
      garp: {
        repeat: 5,
        delayUs: sometimes(5 * advertisementIntervalUs),
        refreshUs: 0,
        refreshRepeat: 1,
        lowerPriorityRepeat: random.integer(0, 2),
        lowerPriorityDelayUs: sometimes(5 * advertisementIntervalUs),
      },
    });
  }

  // --- time ---

  #runFor(durationUs: number): void {
    const next = (): number =>
      Math.min(
        ...this.#networks.map(({ earliestAt }) => earliestAt),
        ...this.#hosts.map((host) => this.#wakeAt(host)),
      );
    this.#clock.runFor(durationUs, next, () => this.#turn());
    for (const host of this.#hosts) this.#expectPunctual(host);
  }

  #wakeAt(host: Host): number {
    if (!host.alive) return Infinity;
    const dueAt = Math.min(
      ...host.seats.map(({ inbox, router, state }) =>
        inbox.length > 0 ? 0 : deadline(router, state)
      ),
    );
    return Math.max(dueAt, host.stalledUntil);
  }

  /** What is readable comes before what is due, as in the loop. */
  #turn(): void {
    for (const [link, network] of this.#networks.entries()) {
      for (const { to, message } of network.receive(this.#now)) {
        const host = this.#hosts[to]!;
        if (host.alive) host.seats[link]!.inbox.push(message);
      }
    }
    for (const host of this.#hosts) {
      if (!host.alive || host.stalledUntil > this.#now) continue;
      for (const [link, { router, inbox }] of host.seats.entries()) {
        for (const advert of inbox.splice(0)) {
          const differs = advert.advertisementIntervalUs !== router.advertisementIntervalUs;
          if (router.version === 3 || !differs) this.#step(host, link, advert);
        }
      }
      this.#fire(host);
    }
  }

  #fire(host: Host): void {
    for (const link of host.seats.keys()) {
      for (let times = 0;; times++) {
        const { router, state } = host.seats[link]!;
        if (deadline(router, state) > this.#now) break;
        if (times === 3) this.#break(host, "spins: its deadline does not move");
        this.#step(host, link, { type: "timer" });
      }
    }
  }

  // --- steps ---

  #view(host: Host): Member[] {
    return host.seats.map(({ router, state, hasFault }) => ({
      router,
      state,
      fault: hasFault ? "link" : undefined,
    }));
  }

  #step(host: Host, link: number, event: InstanceEvent): void {
    this.#expectPunctual(host);
    const isTimeout = event.type === "timer" && host.group.state === "BACKUP";
    const what = event.type === "advert" ? `advert ${event.priority}` : event.type;
    const result = stepGroup(host.group, freeze(this.#view(host)), link, freeze(event), this.#now);
    this.#perform(host, `link ${link} ${what}`, event, result);
    if (event.type === "advert") this.#remember(host.seats[link]!, event);
    if (isTimeout && host.group.state === "MASTER") this.#expectAlone(host);
    if (isTimeout && host.group.state === "BACKUP") this.#tally.held++;
  }

  #perform(host: Host, what: string, event: InstanceEvent, { group, moves }: GroupStep): void {
    const before = host.group.state;
    let announced = before;
    for (const move of moves) {
      if (move.type === "group") announced = move.to;
      if (move.type !== "member") continue;
      const seat = host.seats[move.index]!;
      seat.state = freeze(move.step.state);
      for (const action of move.step.actions) this.#act(host, move.index, event, action);
      if (seat.state.name !== "MASTER") seat.advertBy = Infinity;
    }
    host.group = freeze(group);
    this.#note(`${host.name} ${before} ${what} → ${group.state} ${JSON.stringify(group.wants)}`);
    if (announced !== group.state) this.#break(host, `announces ${announced} in ${group.state}`);
    if (announced !== before) {
      this.#tally.transitions++;
      if (this.#settled) this.#break(host, `moves to ${announced} on quiet links`);
    }
    for (const [link, { state, holds }] of host.seats.entries()) {
      if (state.name !== group.state && event.type !== "shutdown") {
        this.#break(host, `is in ${state.name} on link ${link}, its group in ${group.state}`);
      }
      if (holds !== (state.name === "MASTER")) {
        this.#break(host, `${holds ? "holds" : "lacks"} addresses in ${state.name}, link ${link}`);
      }
    }
  }

  #act(host: Host, link: number, event: InstanceEvent, action: Action): void {
    const seat = host.seats[link]!;
    switch (action.type) {
      case "advert": {
        const { priority, address: source, advertisementIntervalUs } = seat.router;
        const leaves = ["shutdown", "fault", "retreat"].includes(event.type);
        if (action.priority !== priority && !(leaves && action.priority === 0)) {
          this.#break(host, `sends priority ${action.priority} on ${event.type}`);
        }
        seat.advertBy = this.#now + advertisementIntervalUs;
        this.#tally.adverts++;
        const advert = { ...action, source, advertisementIntervalUs };
        this.#networks[link]!.send(host.name, freeze(advert), this.#now);
        return;
      }
      case "add":
        seat.holds = true;
        return;
      case "remove":
        seat.holds = false;
        return;
      case "announce":
      case "note":
      case "transition":
        return;
    }
  }

  #remember(seat: Seat, { priority }: Advert): void {
    const { router, state } = seat;
    if (state.name !== "BACKUP") return;
    if (priority === 0) seat.obeyedAt = -Infinity;
    else if (!router.preempt || priority >= router.priority) seat.obeyedAt = this.#now;
  }

  // --- misfortune ---

  #misfortune(): void {
    this.#tally.misfortunes++;
    const random = this.#random;
    const host = random.pick(this.#hosts);
    const network = random.pick(this.#networks);
    const canAct = host.alive && host.stalledUntil <= this.#now;
    const kind = random.pick([
      ...["weather", "partition", ...CUTS, "mend", "start", "crash"] as const,
      ...(canAct
        ? ["stop", "fault", "recovery", "reload", "respawn", "stall", "retreat"] as const
        : []),
    ]);
    const link = random.integer(0, this.#offsets.length - 1);
    this.#note(`${kind} ${host.name} link ${link}`);
    switch (kind) {
      case "weather":
        network.weather = drawWeather(random, Math.max(...this.#intervalsUs));
        return;
      // Of one link: on the others everybody still hears everybody.
      case "partition":
      case "one-way":
      case "pair":
        return cut(kind, random, network, this.#hosts.length, host.name);
      case "mend":
        return network.mend();
      case "start":
        if (!host.alive) this.#start(host);
        return;
      case "crash":
        return this.#forget(host);
      case "stop":
        for (const one of host.seats.keys()) this.#step(host, one, { type: "shutdown" });
        return this.#forget(host);
      case "fault":
      case "recovery":
        host.seats[link]!.hasFault = kind === "fault";
        return this.#step(host, link, { type: kind });
      case "reload":
        return this.#reload(host);
      case "respawn":
        return this.#respawn(host);
      case "stall":
        host.stalledUntil = this.#now + random.integer(0, 6 * Math.max(...this.#intervalsUs));
        for (const seat of host.seats) seat.advertBy = Infinity;
        return;
      case "retreat":
        return this.#step(host, link, { type: kind });
    }
  }

  #start(host: Host, isAdopted = false): void {
    host.alive = true;
    const result = startGroup(host.group, freeze(this.#view(host)), isAdopted, this.#now);
    this.#perform(host, "start", { type: "startup" }, result);
  }

  #forget(host: Host): void {
    host.alive = false;
    host.stalledUntil = 0;
    host.group = freshGroup(this.#offsets.length);
    for (const seat of host.seats) {
      Object.assign(seat, { state: { name: "INIT" }, holds: false, advertBy: Infinity });
      seat.obeyedAt = -Infinity;
      seat.inbox.length = 0;
    }
  }

  /** The addresses outlive a MASTER's process; the next one goes on with them. */
  #respawn(host: Host): void {
    const wasMaster = host.group.state === "MASTER";
    this.#forget(host);
    if (wasMaster) { for (const seat of host.seats) seat.holds = true; }
    this.#start(host, wasMaster);
  }

  /** Other settings; sometimes a member is replaced by one that has not started. */
  #reload(host: Host): void {
    host.priority = this.#drawPriority();
    for (const [link, seat] of host.seats.entries()) {
      this.#replace(seat, this.#drawRouter(host, link));
    }
    if (this.#random.chance(0.3)) {
      const seat = this.#random.pick(host.seats);
      Object.assign(seat, { state: { name: "INIT" }, holds: false, advertBy: Infinity });
    }
    const isNew = this.#random.chance(0.3);
    const group = isNew ? freshGroup(this.#offsets.length) : host.group;
    const result = regroup(group, freeze(this.#view(host)), this.#now);
    this.#perform(host, "reload", { type: "recovery" }, result);
  }

  #replace(seat: Seat, router: VirtualRouter): void {
    seat.router = router;
    if (seat.state.name !== "MASTER") return;
    // Until its next advert a MASTER may take the longer of the two intervals.
    const dueAt = seat.state.advertisedAt + router.advertisementIntervalUs;
    seat.advertBy = Math.max(seat.advertBy, dueAt);
  }

  /** No more misfortune but for the cuts; the sick recover and some of the dead come back. */
  #calm(): void {
    this.#note("calm");
    const calm = drawCalm(this.#random, Math.min(...this.#intervalsUs));
    for (const network of this.#networks) network.weather = calm;
    for (const host of this.#hosts) host.stalledUntil = Math.min(host.stalledUntil, this.#now);
    this.#runFor(0);
    for (const host of this.#hosts) {
      for (const [link, seat] of host.seats.entries()) {
        const wasFaulty = seat.hasFault;
        seat.hasFault = false;
        if (host.alive && wasFaulty) this.#step(host, link, { type: "recovery" });
        // Version 2 demands one interval: with two of them there are two MASTERs for ever.
        const advertisementIntervalUs = Math.max(...this.#intervalsUs);
        if (this.#version === 2) this.#replace(seat, { ...seat.router, advertisementIntervalUs });
      }
      if (!host.alive && this.#random.chance(0.5)) this.#start(host);
    }
    if (this.#hosts.every(({ alive }) => !alive)) this.#start(this.#random.pick(this.#hosts));
  }

  // --- rules ---

  #expectPunctual(host: Host): void {
    for (const { advertBy } of host.seats) {
      if (this.#now > advertBy) this.#break(host, "is MASTER and silent for too long");
    }
  }

  /** No member of a group that takes over has a MASTER to obey. */
  #expectAlone(host: Host): void {
    const leastUs = 3 * Math.min(...this.#intervalsUs);
    for (const [link, { obeyedAt }] of host.seats.entries()) {
      if (this.#now - obeyedAt < leastUs) this.#break(host, `disregards a MASTER on link ${link}`);
    }
  }

  #expectElected(atMending: readonly Host[]): void {
    const master = onlyMaster(this.#masters());
    for (const host of this.#hosts.filter(({ alive }) => alive)) {
      if (host !== master && host.group.state !== "BACKUP") {
        this.#break(host, `is in ${host.group.state}`);
      }
      const preempts = host.seats.every(({ router }) => router.preempt);
      if (preempts && host.priority > master.priority) {
        this.#break(host, `is better than the MASTER, ${master.name}, and does not preempt`);
      }
    }
    for (const host of atMending) {
      if (isBetter(host, master)) {
        this.#break(host, `was MASTER when the links were mended and lost to ${master.name}`);
      }
    }
  }

  #break(host: Host, rule: string): never {
    throw new Error(`Router ${host.name} (priority ${host.priority}) ${rule}`);
  }

  #note(line: string): void {
    this.#clock.note(line);
  }
}

function isBetter(a: Host, b: Host): boolean {
  const difference = a.priority - b.priority;
  if (difference !== 0) return difference > 0;
  return compareAddress(a.seats[0]!.router.address, b.seats[0]!.router.address) > 0;
}
