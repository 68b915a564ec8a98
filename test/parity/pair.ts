/**
 * Two routers, A and B, on one wire, each played by keepalived or by upkeep: the steps of a scenario,
 * and what is left of it to compare afterwards.
 *
 * Networks are made once and lent from scenario to scenario: making them stops this process for
 * longer than a step may be late.
 */

import { Daemon, isSupported, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import {
  advertsOf,
  announcementsOf,
  type Frame,
  neighbourAdvertsOf,
  Tap,
  type WireAdvert,
  type WireArp,
} from "./wire.ts";

/** A router by its place on the wire. */
export type Side = "A" | "B";

/** Who plays a router. */
export type Player = "keepalived" | "upkeep";

/** Who plays which. */
export type Cast = Readonly<Record<Side, Player>>;

/** What goes over the wire: version, authentication, and IPv6 where it says so. */
export type Variant = "v2" | "v2 PASS" | "v2 AH" | "v3" | "v3 IPv6";

/** The statements of one router that its variant does not already make. */
export interface Settings {
  readonly priority: number;
  readonly version?: 2 | 3;
  /** Seconds. */
  readonly advert_int?: number;
  readonly auth_pass?: string;
  readonly virtual_router_id?: number;
  /** How many addresses (default 1) from 10.0.0.`firstAddress` on (default 100); fe80::`firstAddress`. */
  readonly addresses?: number;
  readonly firstAddress?: number;
  /** Further lines of the instance; $A and $B stand for the addresses of the two, $C for one of nobody. */
  readonly lines?: readonly string[];
}

/** Two routers and what happens to them. */
export interface Plot {
  /** Seconds, instead of the variant's advert_int. */
  readonly advert_int?: Partial<Record<Variant, number>>;
  /** The addresses they speak with, instead of their links' own. */
  readonly sources?: Readonly<Record<Side, string>>;
  readonly A: Settings;
  readonly B: Settings;
  readonly play: (pair: Pair) => Promise<void>;
}

/** What a plot leaves behind when it was played. */
export interface Story {
  readonly cast: Cast;
  /** The whole log of each side, without times. */
  readonly logs: Readonly<Record<Side, readonly string[]>>;
  readonly adverts: readonly WireAdvert[];
  readonly announcements: readonly WireArp[];
}

const SIDES: readonly Side[] = ["A", "B"];
const ADDRESS: Readonly<Record<Side, string>> = { A: "10.0.0.1", B: "10.0.0.2" };
const ADDRESS6: Readonly<Record<Side, string>> = { A: "fe80::1", B: "fe80::2" };
const MAC: Readonly<Record<Side, string>> = { A: "02:00:00:00:00:01", B: "02:00:00:00:00:02" };
const STEP_MS = 12_000;
const SETTLE_MS = 100;
/** What either daemon says of a process of its own that has died. */
const FALLEN = /Respawning|process failed|exited (due to|with)|segfault/i;
/** From the start of a daemon to the moment it starts its first timer, about. */
const STARTUP_MS = 60;

/** The address a router speaks with. */
export function addressOf(side: Side, { sources }: Plot, variant: Variant): string {
  return sources?.[side] ?? (variant === "v3 IPv6" ? ADDRESS6 : ADDRESS)[side];
}

/** Seconds between adverts where a scenario does not say otherwise. */
const ADVERT_INT: Readonly<Record<Variant, number>> = {
  "v2": 1,
  "v2 PASS": 1,
  "v2 AH": 1,
  "v3": 0.1,
  "v3 IPv6": 0.1,
};

const SCHEMES: Readonly<Partial<Record<Variant, string>>> = { "v2 PASS": "PASS", "v2 AH": "AH" };

/** The configuration file of a router. */
function configuration(plot: Plot, variant: Variant, settings: Settings): string {
  const version = settings.version ?? (variant.startsWith("v3") ? 3 : 2);
  const advertInt = settings.advert_int ?? intervalOf(plot, variant);
  const scheme = SCHEMES[variant];
  const pass = settings.auth_pass ?? (scheme === undefined ? undefined : "secret");
  const first = settings.firstAddress ?? 100;
  const addresses = Array.from(
    { length: settings.addresses ?? 1 },
    (_, i) => variant === "v3 IPv6" ? `fe80::${first + i}` : `10.0.0.${first + i}`,
  );
  const lines = (settings.lines ?? []).join("\n  ")
    .replaceAll("$A", addressOf("A", plot, variant))
    .replaceAll("$B", addressOf("B", plot, variant))
    .replaceAll("$C", addressOf("A", plot, variant).replace(/.$/, "9"));
  return `global_defs {
  vrrp_version ${version}
}
vrrp_instance VI_1 {
  interface eth0
  virtual_router_id ${settings.virtual_router_id ?? 51}
  priority ${settings.priority}
  advert_int ${advertInt}
  ${lines}
  ${
    pass === undefined
      ? ""
      : `authentication {\n    auth_type ${scheme ?? "PASS"}\n    auth_pass ${pass}\n  }`
  }
  virtual_ipaddress {
    ${addresses.join("\n    ")}
  }
}
`;
}

function intervalOf(plot: Plot, variant: Variant): number {
  return plot.advert_int?.[variant] ?? ADVERT_INT[variant];
}

const built = new Map<Variant, boolean>();

/** Whether the executable under test takes part in a variant at all, by its own word. */
export function isBuilt(variant: Variant): boolean {
  let yes = built.get(variant);
  if (yes === undefined) {
    const plot = {
      A: { priority: 1 },
      B: { priority: 1 },
      play: (): Promise<void> => Promise.resolve(),
    };
    yes = isSupported(configuration(plot, variant, plot.A));
    built.set(variant, yes);
  }
  return yes;
}

/** The two routers while a scenario is played. */
export class Pair {
  readonly intervalMs: number;
  readonly #network: Network;
  readonly #plot: Plot;
  readonly #variant: Variant;
  readonly #cast: Cast;
  /** Everything started on a side, latest last. */
  readonly #daemons: Readonly<Record<Side, Daemon[]>> = { A: [], B: [] };
  readonly #stopping: Promise<number>[] = [];
  readonly #masterAtMs: Partial<Record<Side, number>> = {};

  constructor(network: Network, plot: Plot, variant: Variant, cast: Cast) {
    this.#network = network;
    this.#plot = plot;
    this.#variant = variant;
    this.#cast = cast;
    this.intervalMs = intervalOf(plot, variant) * 1000;
  }

  /** Starts a router and waits until it has begun. */
  async start(side: Side): Promise<void> {
    const program = this.#cast[side] === "upkeep" ? UPKEEP : "keepalived";
    const config = configuration(this.#plot, this.#variant, this.#plot[side]);
    const daemon = new Daemon(this.#network, side, config, { program });
    this.#daemons[side].push(daemon);
    await poll(() => daemon.log.includes("Entering "), STEP_MS, `${side} does not begin`);
  }

  /** Starts a router so that it becomes MASTER half-way between two adverts of the other. */
  async startBetween(side: Side, other: Side): Promise<void> {
    const { priority } = this.#plot[side];
    const unitMs = this.#variant.startsWith("v3") ? this.intervalMs : 1000;
    const aheadMs = STARTUP_MS + 3 * this.intervalMs + ((256 - priority) / 256) * unitMs;
    await this.#sleepTo(other, 0.5 - aheadMs / this.intervalMs);
    await this.start(side);
  }

  /** Kills every process of a router at once; what it has logged of becoming MASTER is out by then. */
  async crash(side: Side): Promise<void> {
    const daemon = this.#daemon(side);
    const isTold = (): boolean => {
      const at = daemon.log.lastIndexOf("Entering MASTER STATE");
      return at < 0 || /gratuitous ARP|eighbour Advert/.test(daemon.log.slice(at));
    };
    await poll(isTold, STEP_MS, `${side} does not say what it did as MASTER`);
    await daemon.crash();
  }

  /** Asks a router to stop; does not wait for its end. */
  stop(side: Side): Promise<void> {
    this.#stopping.push(this.#daemon(side).stop(STEP_MS));
    return Promise.resolve();
  }

  /** Gives a router other settings and makes it read them. */
  reload(side: Side, settings: Settings): Promise<void> {
    const daemon = this.#daemon(side);
    daemon.rewrite(configuration(this.#plot, this.#variant, settings));
    daemon.skipLog();
    daemon.signal("SIGHUP");
    return Promise.resolve();
  }

  /** Takes a router off the wire; its link stays up. */
  cut(side: Side): Promise<void> {
    this.#network.run("wire", "ip", "link", "set", `to-${side}`, "nomaster");
    return Promise.resolve();
  }

  /** Puts it back. */
  join(side: Side): Promise<void> {
    this.#network.run("wire", "ip", "link", "set", `to-${side}`, "master", "br0");
    return Promise.resolve();
  }

  /** Switches a router's link off. */
  linkDown(side: Side): Promise<void> {
    this.#network.run(side, "ip", "link", "set", "eth0", "down");
    return Promise.resolve();
  }

  /** Switches it on. */
  linkUp(side: Side): Promise<void> {
    this.#network.run(side, "ip", "link", "set", "eth0", "up");
    return Promise.resolve();
  }

  /** Waits for a log line of a router after the one waited for before. */
  async says(side: Side, phrase: string): Promise<void> {
    const { atUs } = await this.#daemon(side).waitForLog(phrase, STEP_MS);
    if (phrase.includes("MASTER")) this.#masterAtMs[side] = atUs / 1000;
  }

  /** Waits until a router holds every address and the other none. */
  holds(side: Side): Promise<void> {
    const count = this.#plot[side].addresses ?? 1;
    return poll(
      () => this.#held(side) === count && this.#held(side === "A" ? "B" : "A") === 0,
      2000,
      `${side} does not hold ${count} addresses alone`,
    );
  }

  /** Waits for some intervals (default: more than three and a skew), in which nothing is expected. */
  silence(intervals = 4.2): Promise<void> {
    return Bun.sleep(intervals * this.intervalMs);
  }

  /** Waits for a point between two adverts of a MASTER, from 0 to 1. */
  waitForPhase(side: Side, phase: number): Promise<void> {
    return this.#sleepTo(side, phase);
  }

  /** Waits for those that were asked to stop, and for the last lines of the others. */
  async finish(): Promise<void> {
    const statuses = await Promise.all(this.#stopping);
    if (statuses.some((status) => status !== 0)) throw new Error(`stopped with ${statuses}`);
    await Bun.sleep(SETTLE_MS);
    for (const side of SIDES) {
      const fallen = this.log(side).find((line) => FALLEN.test(line));
      if (fallen !== undefined) throw new Error(`${side} fell: ${fallen}`);
    }
  }

  /** The whole log of a side. */
  log(side: Side): string[] {
    return this.#daemons[side].flatMap(({ lines }) => lines.map(({ text }) => text));
  }

  /** Kills what still runs and makes the network as it was. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      SIDES.flatMap((side) => this.#daemons[side].map((daemon) => daemon[Symbol.asyncDispose]())),
    );
  }

  #daemon(side: Side): Daemon {
    const daemon = this.#daemons[side].at(-1);
    if (daemon === undefined) throw new Error(`${side} was not started`);
    return daemon;
  }

  #held(side: Side): number {
    const said = this.#network.run(side, "ip", "-o", "address", "show", "dev", "eth0");
    return [...said.matchAll(/inet6? \S+?\/(32|128) /g)].length;
  }

  /** When we are late by more than a tenth of the interval, the next one has to do. */
  async #sleepTo(side: Side, phase: number): Promise<void> {
    const from = this.#masterAtMs[side];
    if (from === undefined) throw new Error(`${side} was not MASTER`);
    const part = ((phase % 1) + 1) % 1;
    for (;;) {
      const passed = (nowMs() - from) / this.intervalMs;
      const next = Math.ceil(passed - part) + part;
      await Bun.sleep((next - passed) * this.intervalMs);
      if ((nowMs() - from) / this.intervalMs - next < 0.1) return;
    }
  }
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

// --- the networks ---

const idle: Network[] = [];
const waiting: ((network: Network) => void)[] = [];

/** Makes the networks; as many scenarios can be played at once. */
export function makeNetworks(count: number): void {
  for (let i = 0; i < count; i++) idle.push(new Network(SIDES, { ipv6: true }));
}

/** Removes them. */
export function removeNetworks(): void {
  for (const network of idle.splice(0)) network[Symbol.dispose]();
}

function lend(): Promise<Network> {
  const network = idle.pop();
  if (network !== undefined) return Promise.resolve(network);
  return new Promise((resolve) => waiting.push(resolve));
}

function giveBack(network: Network): void {
  const next = waiting.shift();
  if (next === undefined) idle.push(network);
  else next(network);
}

/** Whatever a crash has left goes; links have the same addresses in every network. */
function tidy(network: Network): void {
  for (const side of SIDES) {
    network.run("wire", "ip", "link", "set", `to-${side}`, "master", "br0");
    const lines = [
      "ip address flush dev eth0",
      `ip link set eth0 address ${MAC[side]} up`,
      `ip address add ${ADDRESS[side]}/24 dev eth0`,
      `ip address add ${ADDRESS6[side]}/64 dev eth0 nodad`,
      `ip address add ${ADDRESS6[side].replace("fe80", "fd00")}/64 dev eth0 nodad`,
    ];
    network.run(side, "sh", "-ec", lines.join("\n"));
  }
}

/** Plays a scenario once. Throws with both logs when a step does not happen. */
export async function play(plot: Plot, variant: Variant, cast: Cast): Promise<Story> {
  const network = await lend();
  try {
    tidy(network);
    await using tap = await Tap.start(network);
    await using pair = new Pair(network, plot, variant, cast);
    try {
      await plot.play(pair);
      await pair.finish();
    } catch (error) {
      const logs = SIDES.map((side) => `${side}: ${cast[side]}\n${pair.log(side).join("\n")}`);
      throw new Error(`${String(error)}\n${logs.join("\n")}`);
    }
    const logs = { A: pair.log("A"), B: pair.log("B") };
    const frames: Frame[] = await tap.finish();
    const announcements = variant === "v3 IPv6"
      ? neighbourAdvertsOf(frames)
      : announcementsOf(frames);
    return { cast, logs, adverts: advertsOf(frames), announcements };
  } finally {
    giveBack(network);
  }
}
