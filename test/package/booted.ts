/** A root booted with systemd, or one process of it, in a container on a host of a test's network. */

import { readFileSync } from "node:fs";
import { childrenOf, killTree } from "../support/daemon.ts";
import type { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { attempt, type Outcome, WITH_US } from "./lab.ts";

/** What systemd-nspawn gives a container by default and a router has no need for. */
const UNNEEDED =
  "AUDIT_CONTROL AUDIT_WRITE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_OWNER " +
  "KILL LEASE LINUX_IMMUTABLE MKNOD NET_BIND_SERVICE NET_BROADCAST SETFCAP SETGID SETPCAP SETUID " +
  "SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_NICE SYS_PTRACE SYS_RESOURCE SYS_TTY_CONFIG";

/** How a container is run. */
export interface ContainerOptions {
  /** The words of process 1; without any, the root's own init is booted. */
  readonly words?: readonly string[];
}

/** A container, to be used with `await using`. */
export class Container {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #text: Promise<string>;

  constructor(network: Network, host: string, root: string, { words = [] }: ContainerOptions = {}) {
    const dropped = UNNEEDED.split(" ").map((name) => `CAP_${name}`).join(",");
    this.#child = Bun.spawn([
      ...WITH_US,
      ...["systemd-nspawn", "-q", "-D", root, "--register=no", "--keep-unit", "--console=pipe"],
      `--network-namespace-path=/run/netns/${network.netns(host)}`,
      "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
      ...(words.length === 0 ? ["-b"] : [`--drop-capability=${dropped}`, ...words]),
    ], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    this.#text = Promise.all([
      new Response(this.#child.stdout).text(),
      new Response(this.#child.stderr).text(),
    ]).then((texts) => texts.join(""));
  }

  /** Process 1 of the container, as seen from here. */
  async init(): Promise<number> {
    const find = (): number | undefined =>
      childrenOf(this.#child.pid).find((pid) => /^NSpid:\t\d+\t1$/m.test(statusOf(pid)));
    await poll(() => find() !== undefined || this.#child.exitCode !== null, 10_000, "no container");
    const pid = find();
    if (pid === undefined) throw new Error(`the container did not start:\n${await this.#text}`);
    return pid;
  }

  /** Waits until systemd has started everything it should. */
  async booted(): Promise<void> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const { text } = await this.attempt("systemctl", "is-system-running", "--wait");
      if (/^(running|degraded)/m.test(text)) return;
      if (performance.now() > deadline) throw new Error(`systemd has not booted: ${text}`);
      await Bun.sleep(50);
    }
  }

  /** Runs a command inside and says what it did. */
  async attempt(...words: readonly string[]): Promise<Outcome> {
    const pid = await this.init();
    const enter = ["nsenter", "-t", String(pid), "-m", "-u", "-i", "-n", "-p", "-r", "-w"];
    return attempt([...enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", ...words]);
  }

  /** Runs a command inside that has to succeed. */
  async run(...words: readonly string[]): Promise<string> {
    const { status, text } = await this.attempt(...words);
    if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}\n${text}`);
    return text;
  }

  /** What it has printed and its status, once it has ended by itself. */
  async ended(): Promise<Outcome> {
    const status = await this.#child.exited;
    return { status, text: await this.#text };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) await killTree(this.#child.pid);
    await this.#child.exited;
  }
}

/** /proc/PID/status, empty when the process is gone. */
export function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
}
