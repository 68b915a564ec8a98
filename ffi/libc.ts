/**
 * The one door to the C library: its symbols, the cached errno and the error every refused
 * call becomes. Symbols are declared here and nowhere else; the files beside this one give them
 * names and types worth calling.
 *
 * Variadic functions (ioctl, fcntl, prctl, syscall) are declared with fixed arguments: on x86-64 and arm64
 * Linux both are passed alike.
 */

import { dlopen, type Pointer, read } from "./native.ts";
import { errnoName } from "./constants.ts";

// Sizes come back as 32-bit numbers: no transfer of ours comes near 2 GiB, and -1 stays -1.
const SYMBOLS = {
  __errno_location: { args: [], returns: "ptr" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  dlsym: { args: ["ptr", "ptr"], returns: "ptr" },
  dup2: { args: ["i32", "i32"], returns: "i32" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  fchmod: { args: ["i32", "u32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "u64"], returns: "i32" },
  fsync: { args: ["i32"], returns: "i32" },
  ftruncate: { args: ["i32", "i64"], returns: "i32" },
  if_nametoindex: { args: ["ptr"], returns: "u32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  kill: { args: ["i32", "i32"], returns: "i32" },
  madvise: { args: ["u64", "u64", "i32"], returns: "i32" },
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  mkfifo: { args: ["ptr", "u32"], returns: "i32" },
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  prctl: { args: ["i32", "u64", "u64", "u64", "u64"], returns: "i32" },
  pthread_sigmask: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: "i32" },
  readlink: { args: ["ptr", "ptr", "u64"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
  recvmmsg: { args: ["i32", "ptr", "u32", "i32", "ptr"], returns: "i32" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i32" },
  sendmmsg: { args: ["i32", "ptr", "u32", "i32"], returns: "i32" },
  setns: { args: ["i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  signal: { args: ["i32", "u64"], returns: "ptr" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
  syscall: { args: ["i64", "u64", "ptr", "u64"], returns: "i32" },
  timerfd_create: { args: ["i32", "i32"], returns: "i32" },
  timerfd_settime: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  uname: { args: ["ptr"], returns: "i32" },
  unlink: { args: ["ptr"], returns: "i32" },
  unshare: { args: ["i32"], returns: "i32" },
  waitid: { args: ["i32", "u32", "ptr", "i32"], returns: "i32" },
  write: { args: ["i32", "ptr", "u64"], returns: "i32" },
} as const;

/** What only few configurations need, and no start should wait for. */
const RARE_SYMBOLS = {
  execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" },
  mlockall: { args: ["i32"], returns: "i32" },
  mount: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "i32" },
  munlockall: { args: [], returns: "i32" },
  rename: { args: ["ptr", "ptr"], returns: "i32" },
  sched_setaffinity: { args: ["i32", "u64", "ptr"], returns: "i32" },
  sched_setscheduler: { args: ["i32", "i32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
} as const;

/** Where the C library lives: glibc's name first, then musl's per architecture. */
const NAMES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"];

type Symbols = Parameters<typeof dlopen>[1];
type Functions<S extends Symbols> = ReturnType<typeof dlopen<S>>["symbols"];

function openLibc<const S extends Symbols>(symbols: S): Functions<S> {
  let last: unknown;
  for (const name of NAMES) {
    const library: unknown = dlopen(name, symbols);
    if (!(library instanceof Error)) return (library as ReturnType<typeof dlopen<S>>).symbols;
    last = library;
  }
  throw new Error(`No C library found (tried ${NAMES.join(", ")}): ${String(last)}`);
}

/** The C library's functions, with the kernel's own argument order. Numbers in, numbers out. */
export const libc = openLibc(SYMBOLS);

let opened: Functions<typeof RARE_SYMBOLS> | undefined;

/** More of them, opened when the first one is wanted. */
export function rareLibc(): Functions<typeof RARE_SYMBOLS> {
  return opened ??= openLibc(RARE_SYMBOLS);
}

const errnoPointer = libc.__errno_location() as Pointer;

/** The number the last failed call left behind. Read it before calling anything else. */
export function errno(): number {
  return read.i32(errnoPointer, 0);
}

/** A system call the kernel refused: which call, which errno, and what we were doing. */
export class SysError extends Error {
  /** The call, as in its man page. */
  readonly call: string;
  /** The errno's number. */
  readonly code: number;
  /** The errno's name, such as `"EPERM"`. */
  readonly errno: string;

  /** `doing` completes the sentence "while …"; `detail` is the kernel's own text, if it gave one. */
  constructor(call: string, code: number, doing: string, detail?: string) {
    const why = detail === undefined ? "" : `: ${detail}`;
    super(`${call} failed with ${errnoName(code)} while ${doing}${why}`);
    this.name = "SysError";
    this.call = call;
    this.code = code;
    this.errno = errnoName(code);
  }
}

/** The result of a call that returns -1 on failure; throws the {@link SysError} for it. */
export function check(result: number, call: string, doing: string): number {
  if (result < 0) throw new SysError(call, errno(), doing);
  return result;
}
