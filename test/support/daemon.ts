/**
 * A daemon under test, upkeep or keepalived, on a host of a {@link Network}: started with the same
 * command line, its log read line by line, and gone with `await using`, whatever happened.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { nowUs } from "./capture.ts";
import type { Network } from "./namespaces.ts";
import { poll, until, Waiting } from "./waiting.ts";

/** The executable that is tested: `UPKEEP` in the environment names another. */
export const UPKEEP = process.env["UPKEEP"] ?? resolve(import.meta.dir, "../../dist/upkeep");

/** Whether the executable runs a configuration whole: it says itself what it leaves out. */
export function isSupported(config: string): boolean {
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  const file = join(folder, "keepalived.conf");
  writeFileSync(file, config);
  const { stdout, stderr } = Bun.spawnSync([UPKEEP, "-t", "-l", "-f", file]);
  rmSync(folder, { recursive: true, force: true });
  return !`${stdout}${stderr}`.includes("not supported yet");
}

/** How a daemon is started. */
export interface DaemonSettings {
  /** A name or path; the default is {@link UPKEEP}. */
  readonly program?: string;
  /** More words for the command line. */
  readonly words?: readonly string[];
  /** A command that becomes the program: `env`, `unshare` with their words. */
  readonly before?: readonly string[];
  /** Pid files where the daemon itself wants them. */
  readonly usualPidFiles?: boolean;
  /** Syslog too. */
  readonly syslog?: boolean;
  /** More variables for the environment. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A line of the log, without its time. */
export interface LogLine {
  /** When we read it: microseconds of wall clock. */
  readonly atUs: number;
  readonly text: string;
}

/** A daemon's processes. */
export interface Pids {
  readonly parent: number;
  readonly vrrp: number;
}

/** A daemon in the foreground (`-n -l -D`, and `-G` but for syslog). */
export class Daemon {
  /** The log so far, with what else was printed. */
  readonly lines: LogLine[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly configFile = join(this.folder, "keepalived.conf");
  readonly pidFile = join(this.folder, "keepalived.pid");
  readonly vrrpPidFile = join(this.folder, "vrrp.pid");
  /** When it was started: microseconds of wall clock. */
  readonly startedUs: number;
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #waiting = new Waiting();
  readonly #drained: Promise<unknown>;
  /** Every process of it that we know of, to be gone at the end. */
  readonly #seen = new Set<number>();
  #cursor = 0;

  /** Starts a daemon on a host with the text of a configuration. */
  constructor(
    network: Pick<Network, "enter">,
    host: string,
    config: string,
    settings: DaemonSettings = {},
  ) {
    const { program = UPKEEP, words = [], before = [], environment = {} } = settings;
    writeFileSync(this.configFile, config);
    const pidFiles = settings.usualPidFiles ? [] : ["-p", this.pidFile, "-r", this.vrrpPidFile];
    const files = ["-f", this.configFile, ...pidFiles];
    const options = ["-n", "-l", "-D", ...(settings.syslog ? [] : ["-G"]), ...files, ...words];
    this.startedUs = nowUs();
    this.#child = Bun.spawn([...network.enter(host), ...before, program, ...options], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      // A process group of its own, for crash().
      detached: true,
      env: { ...process.env, ...environment },
    });
    this.#seen.add(this.#child.pid);
    this.#drained = Promise.all([this.#read(this.#child.stdout), this.#read(this.#child.stderr)]);
  }

  /** The process id of the parent. */
  get pid(): number {
    return this.#child.pid;
  }

  /** The exit status when it has ended; null while it runs or when a signal ended it. */
  get status(): number | null {
    return this.#child.exitCode;
  }

  /** The whole log as text. */
  get log(): string {
    return this.lines.map(({ text }) => text).join("\n");
  }

  /**
   * The next line after the one found before that matches; waits for it. Throws with the log when `ms`
   * have passed without one.
   */
  async waitForLog(pattern: RegExp | string, ms = 5000): Promise<LogLine> {
    const matches = (text: string): boolean =>
      typeof pattern === "string" ? text.includes(pattern) : pattern.test(text);
    const index = await until(
      this.#waiting,
      () => {
        const at = this.lines.findIndex(({ text }, i) => i >= this.#cursor && matches(text));
        return at < 0 ? undefined : at;
      },
      ms,
      () => `no line "${pattern}" in ${ms} ms:\n${this.log}`,
    );
    this.#cursor = index + 1;
    return this.lines[index]!;
  }

  /** Counts what was logged so far once more in the next {@link Daemon.waitForLog}. */
  rewindLog(): void {
    this.#cursor = 0;
  }

  /** Leaves out what was logged so far in the next {@link Daemon.waitForLog}. */
  skipLog(): void {
    this.#cursor = this.lines.length;
  }

  /** Its processes; throws when there is no role. */
  pids(): Pids {
    const parent = this.#child.pid;
    const vrrp = childrenOf(parent)[0];
    if (vrrp === undefined) throw new Error(`no vrrp role:\n${this.log}`);
    this.#seen.add(vrrp);
    return { parent, vrrp };
  }

  /** Writes the configuration file anew; {@link Daemon.signal} HUP makes the daemon read it. */
  rewrite(config: string): void {
    writeFileSync(this.configFile, config);
  }

  /** Sends a signal, by name or number, to the parent. */
  signal(signal: NodeJS.Signals | number): void {
    process.kill(this.pid, signal);
  }

  /** The exit status, once it has ended by itself; throws when it has not within `ms`. */
  async ended(ms = 5000): Promise<number> {
    await poll(
      () => this.#child.exitCode !== null || this.#child.signalCode !== null,
      ms,
      "no end",
    );
    await this.#drained;
    return this.#child.exitCode ?? -1;
  }

  /** Asks it to stop (TERM) and returns its exit status, -1 when a signal ended it. */
  stop(ms = 5000): Promise<number> {
    this.signal("SIGTERM");
    return this.ended(ms);
  }

  /** Kills every process of it at once, as a power failure would. */
  async crash(): Promise<void> {
    await killTree(this.pid, [...this.#seen]);
    await this.#child.exited;
  }

  /** Kills what is left and removes the files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.crash();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of stream) {
      const atUs = nowUs();
      const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = parts.pop()!;
      for (const part of parts) this.lines.push({ atUs, text: part.replace(CONSOLE_TIME, "") });
      this.#waiting.look();
    }
    if (rest !== "") this.lines.push({ atUs: nowUs(), text: rest });
  }
}

/** ctime(3), as the console's lines begin. */
const CONSOLE_TIME = /^\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}: /;

/** The children of a process (of its main thread), dead ones that nobody has collected left out. */
export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
      .split(" ").filter((word) => word !== "").map(Number).filter(isAlive);
  } catch {
    return [];
  }
}

/** Whether the process exists and has not ended. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat[stat.lastIndexOf(")") + 2] !== "Z";
  } catch {
    return false;
  }
}

/** Kills a process with its group and all its descendants, and others that belong to it. */
export async function killTree(pid: number, others: readonly number[] = []): Promise<void> {
  const all = [...treeOf(pid), ...others].filter(isAlive);
  for (const one of [-pid, ...all]) tryKill(one);
  await poll(() => !all.some(isAlive), 5000, "processes survive SIGKILL");
}

function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}
