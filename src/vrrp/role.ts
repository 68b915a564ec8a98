/**
 * The vrrp role: a process that only ever runs the tight loop. It learns from the parent what its virtual
 * routers are to be, and leaves when the parent says so or is gone.
 *
 * It opens its sockets and dumps the links before the parent has read the configuration, so that the
 * first advert can leave as soon as it is known what to advertise.
 */

import { INTERFACE_SIGNALS, SIG_IGN } from "../../ffi/constants.ts";
import { claimPidFile, removePidFile } from "../../ffi/pid_file.ts";
import { setDisposition } from "../../ffi/process.ts";
import { hasEnded } from "../../ffi/socket.ts";
import { releaseStartPages } from "../../ffi/start_pages.ts";
import type { BfdInstance } from "../config/bfd.ts";
import { VRRP_NICE } from "../config/global_defaults.ts";
import { baseName, stateFileOf } from "../lib/path.ts";
import { Conductor, type Share } from "../conductor.ts";
import { type Alarm, Loop } from "../loop.ts";
import {
  encodeFrame,
  FrameReader,
  Outbox,
  RoleChannel,
  STOP_FD,
  type ToRole,
} from "../parent/channel.ts";
import { diffBfd } from "./bfd_sessions.ts";
import { BfdSpeaker } from "./bfd_speaker.ts";
import { Router } from "./router.ts";

/**
 * Ahead of ordinary processes, behind nothing that matters; never real time unless asked for. A turn is shorter,
 * and whoever is at work when we are woken makes way at once.
 */
const SHARE: Share = { nice: VRRP_NICE, sliceUs: 100 };
/** How soon a channel that was full is tried again. */
const RETRY_US = 20_000;
/** sysexits.h EX_SOFTWARE: our own mistake, after which the parent starts the role again. */
const EX_SOFTWARE = 70;
/** After so many goes the code of an election is as fast as it gets, and its pages are where they belong. */
const REHEARSALS = 60;
/**
 * Compiled code takes a third off the time of an advert but costs 5 MiB, most of it the compilers' own: it pays
 * from so many adverts a second on. Below, code is interpreted for ever.
 */
const BUSY = 200;
const NEVER = 1e9;
/** Ten times what the runtime would wait for: what is not run for every advert is not worth compiling. */
const OFTEN = 10;
/** By then what is run for every advert is compiled, and the compilers' own code is in memory for nothing. */
const COMPILED_US = 4_000_000;
/** One at a time and far enough apart that no advert waits for them. */
const REHEARSAL_US = 7_000;

/**
 * Runs the role until its parent ends it; the exit status. `channel` is the descriptor of the channel to
 * the parent, `ledger` the shared memory in which each MASTER's last advert is noted, `announcer` the packet
 * socket for gratuitous ARP.
 */
export function runVrrpRole(
  channel: number,
  ledger: Float64Array,
  announcer: number,
): number {
  try {
    new VrrpRole(channel, ledger, announcer).run();
    return 0;
  } catch (error) {
    const stack = error instanceof Error ? error.stack ?? error.message : String(error);
    const parent = new RoleChannel(channel);
    parent.outbox.push({ type: "crash", stack });
    parent.flush();
    return EX_SOFTWARE;
  }
}

class VrrpRole {
  readonly #loop = new Loop();
  readonly #parent: RoleChannel;
  readonly #router: Router;
  readonly #bfd: BfdSpeaker;
  readonly #conductor: Conductor;
  #bfdInstances: readonly BfdInstance[] = [];
  /** Who hears what the router says: the parent, or nobody during a rehearsal. */
  #audience: Outbox;
  readonly #retry: Alarm;
  /** A configuration was performed in this turn. */
  #configured = false;
  #pidFile: string | undefined;
  /** Whether addresses stay when the daemon is stopped. */
  #keepAddresses = false;
  #hearsStop = false;
  #isLeaving = false;
  /** They have stayed. */
  #keptAddresses = false;

  constructor(channel: number, ledger: Float64Array, announcer: number) {
    this.#parent = new RoleChannel(channel);
    this.#audience = this.#parent.outbox;
    this.#router = new Router(this.#loop, ledger, announcer, (message) => {
      this.#audience.push(message);
      // What they were is known before they are changed, should we die of it.
      if (message.type === "settings") this.#audience.flush();
    });
    this.#bfd = new BfdSpeaker({
      loop: this.#loop,
      log: (level, text, detail) => this.#router.log(level, text, detail),
      onEvent: ({ name }, isUp) => {
        this.#parent.outbox.push({ type: "bfd", instance: name, isUp });
        this.#router.hearTracked([{ kind: "bfd", name, reading: isUp }], this.#loop.now);
      },
      random: Math.random,
    });
    const name = baseName(process.argv0);
    this.#conductor = new Conductor(name, SHARE, (level, text) => this.#router.log(level, text));
    this.#retry = alarmOf(() => {});
  }

  run(): void {
    this.#loop.watch(this.#parent.fd, (now) => this.#readChannel(now));
    this.#loop.atTurnEnd((now) => this.#endTurn(now));
    this.#conductor.begin();
    this.#loop.run();
    // The adverts of the farewell have left: they are waited for by more.
    this.#bfd.shutdown(this.#loop.now);
    this.#parent.flush();
    if (this.#pidFile === undefined) return;
    removePidFile(this.#pidFile);
    // Nothing is left behind, and the parent may be gone.
    if (!this.#keptAddresses) removePidFile(stateFileOf(this.#pidFile));
  }

  #readChannel(now: number): void {
    // A parent that is gone counts as one that asked us to leave.
    if (this.#parent.receive((message) => this.#obey(message, now))) return;
    this.#shutdown(this.#keepAddresses && hasEnded(STOP_FD), now);
  }

  /**
   * What the first advert does not wait for. Signals are blocked from the start, and before there is a
   * configuration there is nothing to stop, and a withdrawal must not be.
   */
  #arrive(): void {
    if (this.#hearsStop) return;
    this.#hearsStop = true;
    this.#loop.watch(STOP_FD, (now) => this.#shutdown(this.#keepAddresses, now));
    for (const signal of INTERFACE_SIGNALS) setDisposition(signal, SIG_IGN);
  }

  #obey(message: ToRole, now: number): void {
    switch (message.type) {
      case "configure":
        this.#router.wantsDetail = message.detail;
        this.#keepAddresses = message.keepAddresses;
        this.#configured = true;
        this.#router.configure(message.changes, now);
        return;
      case "settings":
        this.#router.inherit(message.saved);
        return;
      case "bfd":
        for (const change of diffBfd(this.#bfdInstances, message.instances)) {
          this.#bfd.configure(change, now);
        }
        this.#bfdInstances = message.instances;
        this.#bfd.presume(message.wasUp ?? [], now);
        return;
      case "pid-file":
        this.#claim(message.path);
        return;
      case "conduct":
        this.#conductor.follow(message.conduct);
        return;
      case "tracked":
        this.#router.hearTracked(message.results, now);
        return;
      case "settle":
        this.#settle(now);
        return;
      case "clean":
        this.#router.withdraw(message.changes);
        return;
      case "withdraw":
        this.#router.withdraw(message.changes);
        this.#loop.stop();
        return;
      case "shutdown":
        this.#shutdown(message.keepAddresses, now);
        return;
    }
  }

  #claim(path: string): void {
    if (this.#pidFile === path) return;
    try {
      if (claimPidFile(path, process.pid)) {
        this.#pidFile = path;
        return;
      }
      this.#router.log("error", `VRRP child process: pid file ${path} is held by another process`);
    } catch (error) {
      this.#router.log("error", `VRRP child process: cannot write pidfile: ${String(error)}`);
    }
  }

  /** The line and the channel may tell of it in one turn. */
  #shutdown(keepAddresses: boolean, now: number): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    if (this.#hearsStop) this.#loop.unwatch(STOP_FD);
    this.#keptAddresses = keepAddresses;
    this.#router.shutdown(keepAddresses, now);
    this.#loop.stop();
  }

  #endTurn(now: number): void {
    this.#conductor.noteLateness(this.#loop.lateUs);
    this.#router.flush(now);
    if (this.#configured) {
      this.#configured = false;
      this.#arrive();
      this.#parent.outbox.push({ type: "configured" });
    }
    this.#loop.schedule(this.#retry, this.#parent.flush() ? Infinity : now + RETRY_US);
    this.#router.leisure.rest(now);
  }

  /** Gives back what only the start has needed, and takes hold of what the next election will. */
  #settle(now: number): void {
    releaseStartPages();
    this.#conductor.settle();
    let rounds = REHEARSALS;
    const rehearsal = alarmOf((at) => {
      this.#rehearse(at);
      if (--rounds > 0) return this.#loop.schedule(rehearsal, at + REHEARSAL_US);
      this.#router.leisure.forget();
      const isBusy = this.#router.advertsPerSecond > BUSY;
      Bun.unsafe.setJITPolicy(isBusy ? OFTEN : NEVER);
      if (isBusy) this.#loop.schedule(compiled, at + COMPILED_US);
    });
    const compiled = alarmOf(releaseStartPages);
    this.#loop.schedule(rehearsal, now + REHEARSAL_US);
  }

  /** An election and a message from the parent, without consequences. */
  #rehearse(now: number): void {
    const nobody = new Outbox((bytes) => bytes.length);
    this.#audience = nobody;
    this.#router.rehearse(now);
    nobody.flush();
    new FrameReader<ToRole>().push(encodeFrame({ type: "settle" }));
    this.#audience = this.#parent.outbox;
  }
}

function alarmOf(fire: (now: number) => void): Alarm {
  return { dueAt: Infinity, heapIndex: -1, fire };
}
