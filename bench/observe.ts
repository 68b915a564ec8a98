/**
 * What the benches read of the system: the clock that packets are stamped with, the CPU time and
 * memory of a daemon's processes, the state of the machine. All of it comes from the kernel, nothing
 * from the daemon.
 */

import { readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { libc } from "../ffi/libc.ts";
import { Memory } from "../ffi/memory.ts";
import { childrenOf, UPKEEP } from "../test/support/daemon.ts";

/** The two that are compared, as they are called in reports, and the commands behind the names. */
export const PROGRAMS = { upkeep: UPKEEP, keepalived: "keepalived" } as const;

/** One of {@link PROGRAMS}. */
export type Program = keyof typeof PROGRAMS;

/** Both, in the order in which they take turns. */
export const PLAYERS: readonly Program[] = ["upkeep", "keepalived"];

const CLOCK_REALTIME = 0; // time.h
const timespec = new Memory(16);

/**
 * The wall clock in microseconds, asked anew of the kernel: the clock of packet stamps also when it is
 * being slewed, which the runtime's own idea of it is not.
 */
export function wallUs(): number {
  libc.clock_gettime(CLOCK_REALTIME, timespec.pointer);
  const { view } = timespec;
  return Number(view.getBigInt64(0, true)) * 1e6 + Math.floor(view.getUint32(8, true) / 1000);
}

/** A process and all its descendants that live, ancestors first. */
export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

/** CPU time of threads so far by thread id, in microseconds. */
export type CpuTimes = ReadonlyMap<string, number>;

/**
 * The time that each thread of a process and its descendants has been on a CPU, from the scheduler's
 * nanoseconds (the process's own count is in ticks of 10 ms).
 */
export function cpuTimes(pid: number): CpuTimes {
  return new Map(treeOf(pid).flatMap((one) => [...ownCpuTimes(one)]));
}

/** The same of a process without its descendants. */
export function ownCpuTimes(pid: number): CpuTimes {
  const times = new Map<string, number>();
  for (const thread of threadsOf(pid)) {
    const text = read(`/proc/${pid}/task/${thread}/schedstat`);
    times.set(thread, Number(text.split(" ")[0]) / 1000);
  }
  return times;
}

/**
 * The CPU time used since `before` (default: ever), in microseconds. What a thread did that has ended
 * meanwhile is not known, and missing.
 */
export function cpuUsedUs(times: CpuTimes, before: CpuTimes = new Map()): number {
  return [...times].reduce((sum, [thread, us]) => sum + us - (before.get(thread) ?? 0), 0);
}

/** The memory of one process, in KiB. */
export interface ProcessMemory {
  /** Resident. */
  readonly rss: number;
  /** Resident, with pages that N processes share counted as 1/N. */
  readonly pss: number;
}

/** The memory of a process and of each of its descendants. */
export function memoryOf(pid: number): ProcessMemory[] {
  return treeOf(pid).map((one) => {
    const text = read(`/proc/${one}/smaps_rollup`);
    const field = (name: string): number =>
      Number(new RegExp(`^${name}: *(\\d+)`, "m").exec(text)?.[1]);
    return { rss: field("Rss"), pss: field("Pss") };
  });
}

/** How many processes that are not ours run the same executable file, which makes a PSS look smaller. */
export function strangersOf(pid: number): number {
  const exe = executable(pid);
  const ours = new Set(treeOf(pid));
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  return pids.filter((one) => !ours.has(one) && executable(one) === exe).length;
}

/** The machine and how busy it was. */
export interface Machine {
  readonly kernel: string;
  readonly cpus: string;
  /** Load average of the last minute. */
  readonly load: number;
  /** The share of all CPUs that somebody used, or the hypervisor took, during half a second. */
  readonly busy: number;
}

/** Looks at the machine for half a second; to be called when nothing of ours runs. */
export async function lookAtMachine(): Promise<Machine> {
  const before = cpuTicks();
  await Bun.sleep(500);
  const after = cpuTicks();
  const list = cpus();
  return {
    kernel: `Linux ${release()} ${process.arch}`,
    cpus: `${list.length} × ${list[0]?.model ?? "CPU"}`,
    load: loadavg()[0]!,
    busy: 1 - (after.idle - before.idle) / Math.max(1, after.all - before.all),
  };
}

/** The version a program gives as its own. */
export function versionOf(program: string): string {
  const done = Bun.spawnSync([program, "--version"]);
  const text = done.stdout.toString() + done.stderr.toString();
  return (/upkeep [\d.]+/.exec(text) ?? /Keepalived v[\d.]+/i.exec(text))?.[0] ?? program;
}

/**
 * Says what a bench lacks and ends the process: root, a command, an executable. From then on an
 * interrupt leaves nothing behind either.
 */
export function prepare(): void {
  const missing = [...Object.values(PROGRAMS), "ip", "tcpdump", "nsenter", "bash"]
    .filter((command) => Bun.which(command) === null);
  const complaint = process.getuid?.() !== 0
    ? "needs root"
    : missing.length > 0
    ? `needs ${missing.join(", ")} (npm run build makes dist/upkeep)`
    : undefined;
  if (complaint !== undefined) {
    process.stderr.write(`${complaint}\n`);
    process.exit(1);
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      for (const pid of treeOf(process.pid).slice(1)) tryKill(pid);
      process.exit(130);
    });
  }
  process.on("exit", () => {
    const ours = `upk${process.pid}-`;
    for (const name of readdirSync(tmpdir())) {
      if (name.startsWith(ours)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  });
}

/** Runs a bench to its end; a failure is told and makes the status 1. */
export function run(bench: () => Promise<void>): void {
  prepare();
  bench().then(
    () => process.exit(0),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    },
  );
}

/** A line about what is going on, for people who wait; the last one is overwritten. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

function cpuTicks(): { idle: number; all: number } {
  // proc(5): user nice system idle iowait irq softirq steal, then guests, counted in user already.
  const words = read("/proc/stat").split("\n")[0]!.split(/ +/).slice(1, 9).map(Number);
  return { idle: words[3]! + words[4]!, all: words.reduce((sum, word) => sum + word, 0) };
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function executable(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has just ended.
  }
}

/** Empty when the process or thread has just ended. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
