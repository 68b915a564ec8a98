/**
 * Two routers under seeded misfortune on real links: addresses, VMACs, routes, tables and links are taken away,
 * processes stopped, killed and started again, configurations exchanged. When it is over every address is held
 * once, and after a proper stop everything is as it was before. `MISFORTUNE_SEED` plays another story.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { type Prng, prng } from "../support/prng.ts";
import { arpSettings, vmacNames } from "../support/vmac.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(200_000);

const ROUNDS = 25;
/** A role that was killed again and again comes back after 1, 2, 4 … s. */
const PATIENCE_MS = 75_000;
const SIDES = ["a", "b"] as const;
type Side = (typeof SIDES)[number];
const OWN: Readonly<Record<Side, string>> = { a: "10.0.0.1", b: "10.0.0.2" };
const HELD = ["10.0.0.100/32", "10.1.0.100/32", "10.1.0.109/32", "fd00::100/64"];
const VIRTUAL = /^10\.[01]\.0\.1\d\d\/|^fd00::100\//;

/** What a story is about, the same for both routers. */
interface Setting {
  readonly isGrouped: boolean;
  readonly isUnicast: boolean;
  readonly isRouted: boolean;
}

class Story {
  readonly #random: Prng;
  readonly #network: Network;
  readonly #setting: Setting;
  readonly daemons: Record<Side, Daemon>;
  readonly #first: Record<Side, Daemon>;
  /** What happened, to be told when it ends badly. */
  readonly told: string[] = [];

  constructor(random: Prng, network: Network) {
    this.#random = random;
    this.#network = network;
    this.#setting = {
      isGrouped: random.chance(0.5),
      isUnicast: random.chance(0.3),
      isRouted: random.chance(0.5),
    };
    this.daemons = { a: this.#start("a", 200), b: this.#start("b", 100) };
    this.#first = { ...this.daemons };
  }

  /** The addresses that come and go, as a router holds them. */
  held(side: Side): string[] {
    return virtualOf(this.#network, side).map(({ address }) => address);
  }

  /** Each of the addresses that both configurations have is held once, by one router for a whole group. */
  get isSettled(): boolean {
    const [ofA, ofB] = [this.held("a"), this.held("b")];
    const all = [...ofA, ...ofB];
    return HELD.every((one) => all.filter((other) => other === one).length === 1) &&
      (!this.#setting.isGrouped || ofA.length === 0 || ofB.length === 0);
  }

  async misfortune(): Promise<void> {
    const random = this.#random;
    const side = random.pick(SIDES);
    const [kind, strike] = random.pick(Object.entries(this.#kinds));
    this.told.push(`${side}: ${kind}`);
    await strike(side);
    await Bun.sleep(random.pick([0, 10, 100, 600]));
  }

  readonly #kinds: Readonly<Record<string, (side: Side) => void | Promise<void>>> = {
    "addresses go": (side: Side): void => {
      const all = virtualOf(this.#network, side);
      const link = all.length > 0 ? this.#random.pick(all).link : "";
      for (const one of all.filter((other) => other.link === link)) {
        this.#try(side, "address", "delete", one.address, "dev", link);
      }
    },
    "a VMAC goes": (side: Side): void => {
      this.#withVmac(side, (name) => this.#try(side, "link", "delete", name));
    },
    "a VMAC gets another name": (side: Side): void => {
      const other = `x${this.told.length}`;
      this.#withVmac(side, (name) => this.#try(side, "link", "set", name, "name", other));
    },
    "a VMAC is down": async (side: Side): Promise<void> => {
      const [name] = vmacNames(this.#network, side);
      if (name !== undefined) await this.#flap(side, name);
    },
    "a link is down": (side: Side): Promise<void> =>
      this.#flap(side, this.#random.pick(["eth0", "eth1"])),
    "its own address goes": async (side: Side): Promise<void> => {
      const words = [`${OWN[side]}/24`, "dev", "eth0"];
      this.#try(side, "address", "delete", ...words);
      await Bun.sleep(this.#random.integer(0, 500));
      this.#try(side, "address", "add", ...words);
    },
    "routes and rules go": (side: Side): void => {
      this.#try(side, "route", "flush", "10.9.0.0/24");
      this.#try(side, "rule", "delete", "table", "77");
    },
    "tables go": (side: Side): void => void this.#network.run(side, "nft", "flush", "ruleset"),
    "the role is killed": (side: Side): void => this.#signal(side, "SIGKILL"),
    "the role stands still": async (side: Side): Promise<void> => {
      this.#signal(side, "SIGSTOP");
      await Bun.sleep(this.#random.integer(0, 900));
      this.#signal(side, "SIGCONT");
    },
    "everything is killed": async (side: Side): Promise<void> => {
      await this.daemons[side].crash();
      await Bun.sleep(this.#random.integer(0, 800));
      this.daemons[side] = this.#start(side, this.#random.integer(1, 254));
      await this.daemons[side].waitForLog("Startup complete", 10_000);
    },
    "the same again": (side: Side): void => this.daemons[side].signal("SIGHUP"),
    "another configuration": (side: Side): void => {
      this.daemons[side].rewrite(this.#configuration(side, this.#random.integer(1, 254)));
      this.daemons[side].signal("SIGHUP");
    },
  };

  #start(side: Side, priority: number): Daemon {
    // All daemons of a router find the same state file.
    const before = this.#first?.[side];
    const words = before === undefined ? [] : ["-r", before.vrrpPidFile];
    return new Daemon(this.#network, side, this.#configuration(side, priority), { words });
  }

  #configuration(side: Side, priority: number): string {
    const { isGrouped, isUnicast, isRouted } = this.#setting;
    const random = this.#random;
    const sometimes = (word: string, odds = 0.6): string => random.chance(odds) ? word : "";
    const own = `${sometimes("use_vmac")}\n${sometimes("no_accept")}`;
    const routes = `virtual_routes { 10.9.0.0/24 dev eth0 }
      virtual_rules { from 10.9.0.0/24 table 77 }`;
    const peers = `unicast_peer { ${OWN[side === "a" ? "b" : "a"]} }`;
    const one = sometimes(`10.0.0.${random.integer(101, 105)}/32`);
    return [
      "global_defs { dynamic_interfaces }",
      isGrouped ? "vrrp_sync_group G { group { V4\n V6\n W } }" : "",
      instance({
        name: "V4",
        priority,
        addresses: ["10.0.0.100/32", "10.1.0.100/32 dev eth1", one],
        more: `${own}\n${isRouted ? routes : ""}\n${isUnicast ? peers : ""}`,
      }),
      instance({ name: "V6", priority, addresses: ["fe80::7", "fd00::100/64"], more: own }),
      instance({
        name: "W",
        vrid: 9,
        interface: "eth1",
        priority,
        addresses: ["10.1.0.109/32"],
        more: sometimes("use_vmac"),
      }),
    ].join("\n");
  }

  /** What is not there cannot be taken away. */
  #try(side: Side, ...words: readonly string[]): void {
    Bun.spawnSync([...this.#network.enter(side), "ip", ...words], { stderr: "ignore" });
  }

  #withVmac(side: Side, strike: (name: string) => void): void {
    const names = vmacNames(this.#network, side);
    if (names.length > 0) strike(this.#random.pick(names));
  }

  async #flap(side: Side, name: string): Promise<void> {
    this.#try(side, "link", "set", name, "down");
    await Bun.sleep(this.#random.integer(0, 700));
    this.#try(side, "link", "set", name, "up");
  }

  /** A role may be dead already. */
  #signal(side: Side, signal: NodeJS.Signals): void {
    try {
      process.kill(this.daemons[side].pids().vrrp, signal);
    } catch {
      this.told.push("there is none");
    }
  }
}

/** The addresses that come and go, with their links, in one look. */
function virtualOf(network: Network, side: Side): { link: string; address: string }[] {
  const shown = network.run(side, "ip", "-o", "address", "show");
  return [...shown.matchAll(/^\d+: (\S+) +inet6? (\S+)/gm)]
    .map(([, link = "", address = ""]) => ({ link, address }))
    .filter(({ address }) => VIRTUAL.test(address));
}

/** What a stop must leave as it was. */
function remains(network: Network, side: Side): unknown {
  return {
    addresses: virtualOf(network, side),
    // One that somebody has renamed while nobody looked is nobody's.
    vmacs: vmacNames(network, side).filter((name) => !name.startsWith("x")),
    settings: arpSettings(network, side, "eth0", "eth1"),
    tables: network.run(side, "nft", "list", "tables"),
  };
}

const chosen = process.env["MISFORTUNE_SEED"];

test.each(chosen === undefined ? [24, 52] : [Number(chosen)])("seed %p", async (seed) => {
  const random = prng(seed);
  using network = new Network(SIDES, { ipv6: true, hasSecondLink: true });
  const before = SIDES.map((side) => remains(network, side));
  const story = new Story(random, network);
  const { daemons } = story;
  try {
    await daemons.a.waitForLog("Entering MASTER STATE", 10_000);
    for (let i = 0; i < ROUNDS; i++) await story.misfortune();
    await poll(() => story.isSettled, PATIENCE_MS, "the addresses are not each held once");
    for (const [i, side] of SIDES.entries()) {
      expect(daemons[side].log).not.toMatch(/process failed|Terminating/);
      expect(await daemons[side].stop(10_000)).toBe(0);
      expect(remains(network, side)).toEqual(before[i]);
    }
  } catch (error) {
    const held = SIDES.map((side) => `${side}: ${story.held(side).join(" ")}`);
    const logs = SIDES.map((side) => daemons[side].log);
    throw new Error([String(error), ...story.told, ...held, ...logs].join("\n"));
  } finally {
    for (const side of SIDES) await daemons[side].crash();
  }
});
