/**
 * What a process asks the kernel about itself: its name, signal mask and dispositions, scheduling,
 * namespaces, memory locks. Namespaces and scheduling change one thread only, so they are set on
 * the main thread before a re-exec, or only for the time of one call, never for long in a process that
 * already runs others.
 */

import {
  CLONE_NEWNET,
  ESRCH,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_SETFD,
  FD_CLOEXEC,
  O_CLOEXEC,
  O_RDONLY,
  PR_SET_NAME,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SYS_SCHED_SETATTR,
} from "./constants.ts";
import { openAppend, readText, writeText } from "./file.ts";
import { check, errno, libc, rareLibc, SysError } from "./libc.ts";
import { cString, Memory } from "./memory.ts";

/** Sets comm, what `pidof` and `pgrep` look at; the kernel keeps 15 bytes. */
export function setProcessName(name: string): void {
  libc.prctl(PR_SET_NAME, cString(name).pointer, 0, 0, 0);
}

const LAST_SIGNAL = 64;
const SIGSET_BYTES = 128; // sigset_t of glibc and musl

/** Blocks the given signals in this thread; returns the mask before, to be given to {@link setSignalMask}. */
export function blockSignals(signals: readonly number[]): Memory {
  const before = new Memory(SIGSET_BYTES);
  libc.pthread_sigmask(SIG_BLOCK, signalSet(signals).pointer, before.pointer);
  return before;
}

/** Ends the blocking of the given signals in this thread; those that wait are delivered at once. */
export function unblockSignals(signals: readonly number[]): void {
  libc.pthread_sigmask(SIG_UNBLOCK, signalSet(signals).pointer, null);
}

function signalSet(signals: readonly number[]): Memory {
  const set = new Memory(SIGSET_BYTES);
  for (const signal of signals) {
    const byte = (signal - 1) >> 3;
    set.bytes[byte] = set.bytes[byte]! | (1 << ((signal - 1) & 7));
  }
  return set;
}

/** Sets the mask {@link blockSignals} returned; without one, nothing is blocked. */
export function setSignalMask(mask: Memory = new Memory(SIGSET_BYTES)): void {
  libc.pthread_sigmask(SIG_SETMASK, mask.pointer, null);
}

/** Sets a disposition that is a number: SIG_DFL, SIG_IGN or a function's address. */
export function setDisposition(signal: number, disposition: number): void {
  libc.signal(signal, disposition);
}

/** The address of a libc function, for use as a signal's disposition. */
export function functionAddress(name: string): number {
  const address = libc.dlsym(null, cString(name).pointer);
  if (address === null) throw new Error(`libc has no ${name}`);
  return Number(address);
}

/** Makes `target` another name of descriptor `fd`, close-on-exec; whatever it was is closed. */
export function moveDescriptor(fd: number, target: number): void {
  check(libc.dup2(fd, target), "dup2", `placing descriptor ${fd} at ${target}`);
  libc.fcntl(target, F_SETFD, FD_CLOEXEC);
  libc.close(fd);
}

/** Whether `fd` is a descriptor of this process. */
export function isDescriptor(fd: number): boolean {
  return libc.fcntl(fd, F_GETFD, 0) >= 0;
}

/** Another descriptor for what `fd` is, close-on-exec, above all that signals have for a number. Throws SysError. */
export function copyDescriptor(fd: number): number {
  const copy = libc.fcntl(fd, F_DUPFD_CLOEXEC, LAST_SIGNAL + 1);
  return check(copy, "fcntl", `copying descriptor ${fd}`);
}

/** Sends a signal; false when there is no such process. Signal 0 only asks. */
export function sendSignal(pid: number, signal: number): boolean {
  return libc.kill(pid, signal) === 0;
}

const SCHED_ATTR_BYTES = 48; // linux/sched/types.h SCHED_ATTR_SIZE_VER0

/**
 * Sets the nice value (-20 to 19) of this thread, and after how long (100 to 100 000 µs) it makes way for
 * others of its kind: who asks for less gets a processor the sooner when woken (Linux 6.12; older ones
 * ignore it). Throws SysError without the right to.
 */
export function setShare(nice: number, sliceUs: number): void {
  const attributes = new Memory(SCHED_ATTR_BYTES); // size, policy (0: SCHED_OTHER), flags, nice …
  attributes.view.setUint32(0, SCHED_ATTR_BYTES, true);
  attributes.view.setInt32(16, nice, true);
  attributes.view.setUint32(24, sliceUs * 1000, true);
  const result = libc.syscall(SYS_SCHED_SETATTR, 0, attributes.pointer, 0);
  check(result, "sched_setattr", `setting the nice value to ${nice}`);
}

/** SCHED_RR with the given priority (1 to 99) for this thread. Throws SysError. */
export function setRoundRobin(priority: number): void {
  const SCHED_RR = 2; // sched.h
  const parameter = new Memory(4);
  parameter.view.setInt32(0, priority, true);
  const result = rareLibc().sched_setscheduler(0, SCHED_RR, parameter.pointer);
  check(result, "sched_setscheduler", `setting real-time priority ${priority}`);
}

/** Whose child this process is, and by whose setsid(2) it came to be where it is. Throws SysError without /proc. */
export function lineage(): { readonly parent: number; readonly session: number } {
  const stat = readText("/proc/self/stat");
  const [, parent = 0, , session = 0] = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(
    Number,
  );
  return { parent, session };
}

/** The nice value of all that one setsid(2) has begun, as a whole (sched(7), autogroup). Throws SysError. */
export function setSessionNice(nice: number): void {
  const fd = openAppend("/proc/self/autogroup", true);
  try {
    writeText(fd, `${nice}`);
  } finally {
    libc.close(fd);
  }
}

const RLIMIT_RTTIME = 15; // bits/resource.h
const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/**
 * How many microseconds this process may run at real-time priority without a pause before SIGXCPU ends it;
 * Infinity for no limit. The hard limit stays: lowered, it could not be raised again. Throws SysError.
 */
export function limitRealTime(us: number): void {
  const limits = new Memory(16); // struct rlimit
  limits.view.setBigUint64(0, us === Infinity ? UNLIMITED : BigInt(us), true);
  limits.view.setBigUint64(8, UNLIMITED, true);
  check(
    rareLibc().setrlimit(RLIMIT_RTTIME, limits.pointer),
    "setrlimit",
    `limiting runs to ${us} us`,
  );
}

const CPU_SET_BYTES = 128; // sched.h: 1024 processors

/**
 * The processors that this process may use, by number; undefined for all. Every thread that there is gets
 * them, and those that come later inherit them. Throws SysError.
 */
export function setAffinity(cpus: readonly number[] | undefined): void {
  const set = new Memory(CPU_SET_BYTES);
  if (cpus === undefined) set.bytes.fill(0xff);
  for (const cpu of cpus ?? []) set.bytes[cpu >> 3] = (set.bytes[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  const doing = `keeping to processors ${cpus?.join(" ") ?? "at will"}`;
  for (const thread of process.getBuiltinModule("node:fs").readdirSync("/proc/self/task")) {
    const result = rareLibc().sched_setaffinity(Number(thread), CPU_SET_BYTES, set.pointer);
    if (result < 0 && errno() !== ESRCH) check(result, "sched_setaffinity", doing);
  }
}

/** Locks memory as it is touched (MCL_ONFAULT: locking all of it would not fit). Throws SysError. */
export function lockMemory(): void {
  const MCL_CURRENT_FUTURE_ONFAULT = 1 | 2 | 4; // sys/mman.h
  check(rareLibc().mlockall(MCL_CURRENT_FUTURE_ONFAULT), "mlockall", "locking memory");
}

/** Ends {@link lockMemory}. */
export function unlockMemory(): void {
  rareLibc().munlockall();
}

/** Moves this thread into the network namespace at `path`. Throws SysError. */
export function enterNetworkNamespace(path: string): void {
  const doing = `entering network namespace ${path}`;
  const fd = check(libc.open(cString(path).pointer, O_RDONLY | O_CLOEXEC, 0), "open", doing);
  const result = libc.setns(fd, CLONE_NEWNET);
  const code = errno();
  libc.close(fd);
  if (result < 0) throw new SysError("setns", code, doing);
}

// sys/mount.h
const MS_BIND = 4096;
const MS_REC = 16_384;
const MS_SLAVE = 1 << 19;
const MNT_DETACH = 2;
const CLONE_NEWNS = 0x0002_0000; // linux/sched.h

/** Gives this thread a mount namespace whose mounts are its own. Throws SysError. */
export function enterMountNamespace(): void {
  const doing = "making a mount namespace";
  check(libc.unshare(CLONE_NEWNS), "unshare", doing);
  const [none, root] = [cString("none"), cString("/")];
  const result = rareLibc().mount(none.pointer, root.pointer, null, MS_REC | MS_SLAVE, null);
  check(result, "mount", doing);
}

/** Makes `folder` appear at `target` too. Throws SysError. */
export function bindFolder(folder: string, target: string): void {
  const [from, to] = [cString(folder), cString(target)];
  const result = rareLibc().mount(from.pointer, to.pointer, null, MS_BIND, null);
  check(result, "mount", `mounting ${folder} over ${target}`);
}

/** Ends {@link bindFolder}. */
export function unbindFolder(target: string): void {
  rareLibc().umount2(cString(target).pointer, MNT_DETACH);
}

/**
 * Replaces this process by another program, whatever its threads are doing; variables that are undefined are
 * left out. Does not return. Throws SysError.
 */
export function becomeProgram(
  path: string,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): never {
  const variables = Object.entries(environment).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`]
  );
  const [words, settings] = [stringArray(argv), stringArray(variables)];
  rareLibc().execve(cString(path).pointer, words.list.pointer, settings.list.pointer);
  throw new SysError("execve", errno(), `starting ${path} anew`);
}

/** A NULL-terminated list of pointers to strings; `strings` keeps these alive. */
function stringArray(texts: readonly string[]): { list: Memory; strings: readonly Memory[] } {
  const strings = texts.map(cString);
  const list = new Memory(8 * (strings.length + 1));
  strings.forEach(({ pointer }, i) => list.view.setBigUint64(8 * i, BigInt(pointer), true));
  return { list, strings };
}

/** Waits until a child has ended, and collects it. */
export function waitForEnd(pid: number): void {
  libc.waitid(P_PID, pid, new Memory(128).pointer, WEXITED);
}

/** Gives this thread a new network namespace; returns a descriptor of it. Throws SysError. */
export function newNetworkNamespace(): number {
  check(libc.unshare(CLONE_NEWNET), "unshare", "making a network namespace");
  return openOwnNamespace();
}

/** A descriptor of the network namespace this thread is in. Throws SysError. */
export function openOwnNamespace(): number {
  const path = cString("/proc/thread-self/ns/net").pointer;
  const result = libc.open(path, O_RDONLY | O_CLOEXEC, 0);
  return check(result, "open", "opening the network namespace");
}

/** Moves this thread into the network namespace of a descriptor. Throws SysError. */
export function enterNamespaceOf(fd: number): void {
  check(libc.setns(fd, CLONE_NEWNET), "setns", "entering a network namespace");
}

/**
 * What `open` gives in the network namespace at `path`, or, when that cannot be entered and `orHere` allows it,
 * in our own, where this thread is again afterwards. Throws SysError.
 */
export function inNetworkNamespace<T>(path: string, open: () => T, orHere = false): T {
  const own = openOwnNamespace();
  try {
    try {
      enterNetworkNamespace(path);
    } catch (error) {
      if (!orHere) throw error;
    }
    return open();
  } finally {
    enterNamespaceOf(own);
    libc.close(own);
  }
}

/** The network namespace the machine has started with: the kernel's threads live there, and 2 is their parent. */
export const FIRST_NETWORK_NAMESPACE = "/proc/2/ns/net";

/** An anonymous file of `size` bytes for memory shared between processes. Throws SysError. */
export function openSharedMemory(name: string, size: number): number {
  const MFD_CLOEXEC = 1; // linux/memfd.h
  const doing = `making ${size} bytes of shared memory`;
  const fd = check(libc.memfd_create(cString(name).pointer, MFD_CLOEXEC), "memfd_create", doing);
  check(libc.ftruncate(fd, size), "ftruncate", doing);
  return fd;
}

const NAME_BYTES = 65; // sys/utsname.h: sysname, nodename, release, version …

/** What uname(1) says. */
export interface SystemName {
  /** `-n` */
  readonly node: string;
  /** `-srv` */
  readonly kernel: string;
}

/** The names of this machine and its kernel. (node:os has them too, and takes 0.3 ms to load.) */
export function systemName(): SystemName {
  const names = new Memory(6 * NAME_BYTES);
  libc.uname(names.pointer);
  const [system, node, release, version] = [0, 1, 2, 3].map((index) => {
    const from = index * NAME_BYTES;
    return String.fromCharCode(...names.bytes.subarray(from, names.bytes.indexOf(0, from)));
  });
  return { node: node!, kernel: `${system} ${release} ${version}` };
}

/** Whether a link of this name exists in this thread's network namespace. */
export function linkExists(name: string): boolean {
  return libc.if_nametoindex(cString(name).pointer) !== 0;
}

const P_ALL = 0; // sys/wait.h
const P_PID = 1;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x01000000;
const CLD_EXITED = 1; // bits/siginfo-consts.h

/** A dead child nobody has collected yet, left uncollected; undefined when there is none. */
export function peekDeadChild(): number | undefined {
  const info = new Memory(128); // siginfo_t: si_pid is at 16 on 64-bit targets
  const result = libc.waitid(P_ALL, 0, info.pointer, WEXITED | WNOHANG | WNOWAIT);
  const pid = result < 0 ? 0 : info.view.getInt32(16, true);
  return pid > 0 ? pid : undefined;
}

/** How a child ended: its exit status, or null and the signal that ended it. */
export interface ChildEnd {
  readonly status: number | null;
  readonly signal: number;
}

/** Collects a dead child; undefined when it lives, or is none of ours. */
export function collectChild(pid: number): ChildEnd | undefined {
  const info = new Memory(128);
  const result = libc.waitid(P_PID, pid, info.pointer, WEXITED | WNOHANG);
  if (result < 0 || info.view.getInt32(16, true) !== pid) return undefined;
  const value = info.view.getInt32(24, true); // si_status
  const isExit = info.view.getInt32(8, true) === CLD_EXITED; // si_code
  return isExit ? { status: value, signal: 0 } : { status: null, signal: value };
}

/** Makes a named pipe; the umask takes permissions away. Throws SysError when there is one, or it cannot be. */
export function makeFifo(path: string, mode: number): void {
  check(libc.mkfifo(cString(path).pointer, mode), "mkfifo", `making the FIFO ${path}`);
}
