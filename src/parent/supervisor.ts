/**
 * One role as its parent sees it: a process of our own executable, fed through the channel, its end
 * told to whoever asked.
 */

import { INTERFACE_SIGNALS } from "../../ffi/constants.ts";
import {
  blockSignals,
  type ChildEnd,
  collectChild,
  sendSignal,
  setSignalMask,
} from "../../ffi/process.ts";
import { closeDescriptor, socketPair } from "../../ffi/socket.ts";
import { monotonicUs } from "../../ffi/timer.ts";
import { encodeFrame, FrameReader, type FromRole, ROLE_VARIABLE, type ToRole } from "./channel.ts";
import type { Ledger } from "./ledger.ts";
import { Stream } from "./stream.ts";

/**
 * The runtime's settings for the tight loop, in a role's environment. Collecting and compiling happen in the
 * thread that needs them: there is no helper to wait for.
 */
const WITHOUT_THREADS = {
  BUN_JSC_useConcurrentGC: "0",
  BUN_JSC_numberOfGCMarkers: "1",
  BUN_JSC_useConcurrentJIT: "0",
};

/** The same for the vrrp role, whose heap stays small. */
export const RUNTIME = {
  ...WITHOUT_THREADS,
  // The slowest compiler pays for itself in minutes at best, and never gives back 3 MiB.
  BUN_JSC_useFTLJIT: "0",
  // A thread that prepares memory for a heap that will never be that large.
  BUN_JSC_useWarmUpMarkedBlocks: "0",
  // Bytes between two collections: short ones, and memory that stays where it is.
  BUN_JSC_gcMaxHeapSize: "1500000",
};

/** The same for the checkers role, whose heap holds thousands of servers, but need not hold them twice. */
const CHECKERS_RUNTIME = {
  ...WITHOUT_THREADS,
  // It comes to run when the start is over, and keeps what it has compiled with.
  BUN_JSC_useFTLJIT: "0",
  // By how much the heap grows from one collection to the next; 2 and 1.5 as a rule.
  BUN_JSC_smallHeapGrowthFactor: "1.25",
  BUN_JSC_mediumHeapGrowthFactor: "1.25",
  // Bytes between two collections: what comes and goes with a configuration takes the same place again.
  BUN_JSC_gcMaxHeapSize: "2000000",
};

/**
 * What a process of our own finds changed in its environment: it does not end with its parent, as that
 * variable of somebody's development tools would have it.
 */
export const OWN_ENVIRONMENT = { BUN_FEATURE_FLAG_NO_ORPHANS: undefined };

/** The roles; the vrrp role alone inherits the ledger. */
export type RoleName = "vrrp" | "checkers" | "operate";

/** What a role's owner wants to hear. */
export interface RoleEvents<From extends object = FromRole> {
  /** What came at once, in order. */
  messages(all: readonly From[]): void;
  /** The process is gone: by exit status, or by signal (its number, or 0). */
  ended(status: number | null, signal: number): void;
}

const RUNTIMES = { vrrp: RUNTIME, checkers: CHECKERS_RUNTIME, operate: {} } as const;

/** A process that has become a role. */
export interface RoleProcess {
  readonly pid: number;
  /** Our end of its channel, a non-blocking stream socket. */
  readonly channel: number;
  /** Its end, when the runtime collects it; otherwise we do, once its channel has closed. */
  readonly end?: Promise<ChildEnd>;
}

/** How often a process whose channel has closed is looked at, in milliseconds: it is about to end. */
const LOOK_MS = 1;

/** A running role. */
export class Role<To extends object = ToRole, From extends object = FromRole> {
  /** Its process id. */
  readonly pid: number;
  /** When it was spawned, on the monotonic clock. */
  readonly startedAt = monotonicUs();
  readonly #stream: Stream;
  readonly #early: ((events: RoleEvents<From>) => void)[] = [];
  #events: RoleEvents<From> | undefined;

  constructor(process: RoleProcess) {
    this.pid = process.pid;
    const frames = new FrameReader<From>();
    this.#stream = new Stream(process.channel, {
      data: (bytes) => {
        const all = frames.push(bytes);
        if (all.length > 0) this.#tellOwner((events) => events.messages(all));
      },
      close: () => {
        if (process.end === undefined) this.#awaitEnd();
      },
    });
    void process.end?.then((end) => this.#tellEnd(end));
  }

  #awaitEnd(): void {
    const end = collectChild(this.pid);
    if (end === undefined) setTimeout(() => this.#awaitEnd(), LOOK_MS);
    else this.#tellEnd(end);
  }

  #tellEnd({ status, signal }: ChildEnd): void {
    this.#stream.end();
    this.#tellOwner((events) => events.ended(status, signal));
  }

  /** Hears from the role from now on, what it has said before included. */
  attach(events: RoleEvents<From>): void {
    this.#events = events;
    for (const tell of this.#early.splice(0)) tell(events);
  }

  /** Tells the role something. */
  tell(message: To): void {
    this.#stream.send(encodeFrame(message));
  }

  /** Closes the channel: the role shuts down gracefully. */
  release(): void {
    this.#stream.end();
  }

  /** Sends a signal that roles do not block. */
  kill(signal: number): void {
    sendSignal(this.pid, signal);
  }

  #tellOwner(tell: (events: RoleEvents<From>) => void): void {
    if (this.#events === undefined) this.#early.push(tell);
    else tell(this.#events);
  }
}

/**
 * Spawns a role with the parent's own argv, so that it looks the same to monitoring. Its signal mask
 * is blocked before its first instruction: roles hear no signals. `ledger` is for the vrrp role. Throws
 * when there is no process to be had.
 */
export function spawnRole<To extends object = ToRole, From extends object = FromRole>(
  argv0: string,
  argv: readonly string[],
  ledger?: Ledger,
  name: RoleName = "vrrp",
): Role<To, From> {
  const [ours, theirs] = socketPair();
  const before = blockSignals(INTERFACE_SIGNALS);
  const { promise: end, resolve } = Promise.withResolvers<ChildEnd>();
  try {
    const child = Bun.spawn({
      cmd: ["/proc/self/exe", ...argv],
      argv0,
      stdio: [
        "ignore",
        "inherit",
        "inherit",
        theirs,
        ...(ledger === undefined
          ? []
          : [ledger.fd, ledger.announceFd ?? "ignore", ledger.stopLine.fd] as const),
      ],
      env: {
        ...process.env,
        ...OWN_ENVIRONMENT,
        ...RUNTIMES[name],
        [ROLE_VARIABLE]: name,
      },
      onExit: ({ signalCode }, status) =>
        resolve({ status, signal: signalCode === null ? 0 : signalNumber(signalCode) }),
    });
    return new Role({ pid: child.pid, channel: ours, end });
  } finally {
    setSignalMask(before);
    closeDescriptor(theirs);
  }
}

/** The signals a process dies of. (node:os has them all, but loading it would delay the first advert.) */
const DEADLY: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXCPU: 24,
  SIGSYS: 31,
};

/** The number of a signal that ended a process; 0 for one that does not end any. */
export function signalNumber(signal: string | number): number {
  return typeof signal === "number" ? signal : DEADLY[signal] ?? 0;
}
