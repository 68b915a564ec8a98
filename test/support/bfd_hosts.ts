/**
 * Ends of BFD sessions on hosts of a {@link Network}: a speaker of ours in a process of its own, and FRR's
 * bfdd. keepalived is a {@link Daemon}. Each is gone with `await using`.
 */

import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { BfdInstance } from "../../src/config/bfd.ts";
import { bfdKey } from "../../src/vrrp/bfd_sessions.ts";
import type { Command, Told } from "./bfd_driver.ts";
import { killTree } from "./daemon.ts";
import type { Network } from "./namespaces.ts";
import { poll, until, Waiting } from "./waiting.ts";

const DRIVER = resolve(import.meta.dir, "bfd_driver.ts");
const ROOT = resolve(import.meta.dir, "../..");

/** keepalived's defaults, in microseconds, between 10.0.0.1 (ours) and 10.0.0.2. */
export function bfdInstance(more: Partial<BfdInstance> = {}): BfdInstance {
  return {
    name: "one",
    neighbor_ip: "10.0.0.2",
    source_ip: "10.0.0.1",
    min_rx: 10_000,
    min_tx: 10_000,
    idle_tx: 1_000_000,
    multiplier: 5,
    passive: false,
    ttl: 255,
    max_hops: 0,
    multihop: false,
    weight: 0,
    reverse: false,
    vrrp: true,
    checker: true,
    ...more,
  };
}

type Look = NonNullable<Extract<Told, { type: "look" }>["look"]>;
type Event = Extract<Told, { type: "event" }>;

/** A process of ours that speaks BFD on a host. */
export class Speaker {
  /** All it has told. */
  readonly told: Told[] = [];
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #waiting = new Waiting();
  #looks = 0;

  private constructor(network: Network, host: string) {
    this.#child = Bun.spawn([...network.enter(host), process.execPath, DRIVER], {
      cwd: ROOT,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  /** Starts one that is ready for commands. */
  static async start(network: Network, host: string): Promise<Speaker> {
    const speaker = new Speaker(network, host);
    await speaker.find((one) => one.type === "ready");
    return speaker;
  }

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The log so far. */
  get log(): string[] {
    return this.told.filter((one) => one.type === "log").map(({ text }) => text);
  }

  /** The events so far of one session. */
  events(name = "one"): Event[] {
    return this.told.filter((one) => one.type === "event").filter((one) => one.name === name);
  }

  /** Tells it something. */
  command(command: Command): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    void this.#child.stdin.flush();
  }

  /** Adds a session, or changes the one with the same ends. */
  configure(instance: BfdInstance, type: "add" | "change" = "add"): void {
    this.command({ type: "configure", change: { type, key: bfdKey(instance), instance } });
  }

  /** Removes a session. */
  remove(instance: BfdInstance): void {
    this.command({ type: "configure", change: { type: "remove", key: bfdKey(instance) } });
  }

  /** The first thing told, from the `from`-th on, that is `wanted`; waits for it. */
  find(wanted: (one: Told) => boolean, ms = 8000, from = 0): Promise<Told> {
    return until(
      this.#waiting,
      () => this.told.slice(from).find(wanted),
      ms,
      () => `not told within ${ms} ms; told:\n${this.describe()}`,
    );
  }

  /** The next event of a session after `from` things told. */
  async event(isUp: boolean, { name = "one", from = 0, ms = 8000 } = {}): Promise<Event> {
    const isIt = (one: Told): boolean =>
      one.type === "event" && one.name === name && one.isUp === isUp;
    return await this.find(isIt, ms, from) as Event;
  }

  /** How a session stands; throws when there is none. */
  async look(name = "one"): Promise<Look> {
    const index = this.#looks++;
    this.command({ type: "look", name });
    const all = (): Told[] => this.told.filter((one) => one.type === "look");
    const complaint = (): string => `no answer:\n${this.describe()}`;
    const told = await until(this.#waiting, () => all()[index], 5000, complaint);
    if (told.type !== "look" || told.look === undefined) throw new Error(`no session ${name}`);
    return told.look;
  }

  /** All it has told, as text. */
  describe(): string {
    return this.told.map((one) => JSON.stringify(one)).join("\n");
  }

  /** Lets it say farewell and end; throws when it does not. */
  async shutdown(): Promise<void> {
    this.command({ type: "shutdown" });
    await poll(() => this.#child.exitCode !== null, 5000, "the speaker does not end");
    if (this.#child.exitCode !== 0) throw new Error(`it ended with ${this.#child.exitCode}`);
  }

  /** Kills it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.#child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.told.push(JSON.parse(line) as Told);
      this.#waiting.look();
    }
  }
}

/** Where Debian has bfdd; it is on nobody's PATH. */
export const BFDD = "/usr/lib/frr/bfdd";

/** FRR's bfdd on a host, without zebra, its files in a folder of its own. */
export class Bfdd {
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-bfdd`));
  readonly #network: Network;
  readonly #host: string;
  readonly #child: Bun.Subprocess;

  /** Starts one with the text of a configuration file. */
  constructor(network: Network, host: string, config: string) {
    this.#network = network;
    this.#host = host;
    const { uid, gid } = identityOf("frr");
    chownSync(this.folder, uid, gid);
    const file = (name: string): string => join(this.folder, name);
    writeFileSync(file("bfdd.conf"), config);
    writeFileSync(file("vtysh.conf"), "");
    chownSync(file("bfdd.conf"), uid, gid);
    const places = ["--vty_socket", this.folder, "--bfdctl", file("bfdd.sock")];
    const files = ["-f", file("bfdd.conf"), "-i", file("bfdd.pid"), "-z", file("zserv.api")];
    this.#child = Bun.spawn(
      [...network.enter(host), BFDD, "-u", "frr", "-g", "frr", "-P", "0", ...places, ...files],
      { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    );
  }

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** What it says of its peer; undefined while it has none or does not answer yet. */
  peer(): Readonly<Record<string, string | number | boolean>> | undefined {
    try {
      const [first] = JSON.parse(this.#vtysh("show bfd peers json")) as Record<string, string>[];
      return first;
    } catch {
      return undefined;
    }
  }

  /** Waits until what it says of its peer is `wanted`, and returns it. */
  async waitFor(
    wanted: (peer: Readonly<Record<string, unknown>>) => boolean,
    ms = 10_000,
  ): Promise<Readonly<Record<string, string | number | boolean>>> {
    let last = this.peer();
    const isSo = (): boolean => {
      last = this.peer();
      return last !== undefined && wanted(last);
    };
    await poll(isSo, ms, "bfdd is not as expected").catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`);
    });
    return last!;
  }

  /** Gives it lines of configuration below `bfd`. */
  configure(...lines: readonly string[]): void {
    this.#vtysh("configure terminal", "bfd", ...lines);
  }

  /** Kills it, as a crash would. */
  async crash(): Promise<void> {
    await killTree(this.pid);
    await this.#child.exited;
  }

  /** Kills it and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #vtysh(...lines: readonly string[]): string {
    const words = ["vtysh", "--vty_socket", this.folder, "--config_dir", this.folder];
    return this.#network.run(this.#host, ...words, ...lines.flatMap((line) => ["-c", line]));
  }
}

function identityOf(user: string): { uid: number; gid: number } {
  const line = readFileSync("/etc/passwd", "utf8").split("\n").find((one) =>
    one.startsWith(`${user}:`)
  );
  if (line === undefined) throw new Error(`there is no user ${user}`);
  const [, , uid, gid] = line.split(":").map(Number);
  return { uid: uid!, gid: gid! };
}
