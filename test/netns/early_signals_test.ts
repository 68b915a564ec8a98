/**
 * Signals that come before any code of ours runs: the executable blocks them with its first instructions
 * (packaging/entry.ts). What no program can help is the time that the dynamic linker takes before that.
 */

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { enterNamespaceOf, enterNetworkNamespace, openOwnNamespace } from "../../ffi/process.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import { instance } from "../support/configs.ts";
import { childrenOf, isAlive, killTree, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(120_000);

/** HUP, USR1, USR2 and the real-time ones of glibc and musl. */
const STORM = [1, 10, 12, 36, 37, 63, 64];
const VIP = "10.0.0.100/32";
const STARTS = 40;
const DETACHED_STARTS = 15;
/** How long each start is stormed: past the moment at which signals are heard. */
const STORM_MS = 40;
const LONGEST_WAIT_MS = 2000;
const ATTEMPTS = 50;

const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
const CONFIG = join(folder, "keepalived.conf");
const PID = join(folder, "keepalived.pid");
const FILES = ["-f", CONFIG, "-p", PID, "-r", join(folder, "vrrp.pid")];
writeFileSync(CONFIG, instance({ state: "MASTER", priority: 255 }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts the executable on a host with nothing between us and it. */
function start(network: Network, words: readonly string[]): Bun.Subprocess {
  const home = openOwnNamespace();
  enterNetworkNamespace(`/run/netns/${network.netns("a")}`);
  try {
    return Bun.spawn([UPKEEP, ...words], { stdio: ["ignore", "ignore", "ignore"] });
  } finally {
    enterNamespaceOf(home);
    closeDescriptor(home);
  }
}

/** How much memory, in KiB, a process holds that blocks HUP; 0 when it does not. */
function memoryBehindBlock(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const mask = /^SigBlk:\s*(\w+)/m.exec(status)![1]!;
    const isBlocked = (Number.parseInt(mask.slice(-1), 16) & 1) !== 0;
    return isBlocked ? Number(/^VmRSS:\s*(\d+)/m.exec(status)![1]!) : 0;
  } catch {
    return 0;
  }
}

/** Waits for the first instructions, without a turn of the loop; how much memory the process held. */
function awaitBlock(pid: number): number {
  const until = performance.now() + LONGEST_WAIT_MS;
  for (let memory = 0; performance.now() < until;) {
    memory = memoryBehindBlock(pid);
    if (memory > 0) return memory;
  }
  throw new Error("it does not block signals");
}

/** A process and all that came from it. */
function family(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(family)];
}

/** Waits for the first instructions, then spares nobody; how much memory (KiB) the process held by then. */
async function stormOver(child: Bun.Subprocess): Promise<number> {
  const startedAt = performance.now();
  const memory = awaitBlock(child.pid);
  const known = new Set<number>();
  while (performance.now() - startedAt < STORM_MS) {
    for (const pid of family(child.pid)) known.add(pid);
    for (const pid of known) {
      for (const signal of isAlive(pid) ? STORM : []) process.kill(pid, signal);
    }
    await Bun.sleep(0);
  }
  return memory;
}

const isMaster = (network: Network): boolean => network.addresses("a").includes(VIP);

test(`${STARTS} starts in the foreground: a storm from the first instruction kills nothing`, async () => {
  using network = new Network(["a"]);
  const memories: number[] = [];
  for (let round = 0; round < STARTS; round++) {
    await using stack = new AsyncDisposableStack();
    const child = start(network, ["-n", "-G", ...FILES]);
    stack.defer(() => killTree(child.pid));
    memories.push(await stormOver(child));
    await poll(() => isMaster(network), 5000, "no address");
    expect([round, child.exitCode, child.signalCode]).toEqual([round, null, null]);
    expect(childrenOf(child.pid)).toHaveLength(1);
    child.kill("SIGTERM");
    expect([round, await child.exited]).toEqual([round, 0]);
    expect(isMaster(network)).toBeFalse();
  }
  // The runtime alone takes twice as much before our first line: the block was there before it.
  expect(Math.min(...memories)).toBeLessThan(8192);
});

test(`${DETACHED_STARTS} starts into the background: nor there`, async () => {
  using network = new Network(["a"]);
  for (let round = 0; round < DETACHED_STARTS; round++) {
    await using stack = new AsyncDisposableStack();
    const child = start(network, ["-G", ...FILES]);
    stack.defer(() => killTree(child.pid));
    await stormOver(child);
    expect([round, await child.exited]).toEqual([round, 0]);
    const pid = Number(readFileSync(PID, "utf8"));
    stack.defer(() => killTree(pid));
    await poll(() => isMaster(network), 5000, "no address");
    expect(childrenOf(pid)).toHaveLength(1);
    process.kill(pid, "SIGTERM");
    await poll(() => !isAlive(pid), 5000, "it does not end");
    expect(isMaster(network)).toBeFalse();
  }
});

test("TERM and INT end a start as they end any program, and a verb can be hung up", async () => {
  using network = new Network(["a"]);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    // A verb blocks signals for some milliseconds only: one that was faster than we are tells nothing.
    let ended: string | number | null = null;
    for (let i = 0; i < ATTEMPTS && ended === null; i++) {
      const child = start(network, ["version"]);
      while (memoryBehindBlock(child.pid) === 0 && isAlive(child.pid));
      child.kill(signal);
      await child.exited;
      ended = child.signalCode;
    }
    expect([signal, ended]).toEqual([signal, signal]);
  }
});
