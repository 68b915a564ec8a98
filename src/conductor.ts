/** A role's conduct (config/conduct.ts), made true: what the kernel schedules it by, keeps of it, and calls it. */

import {
  limitRealTime,
  lineage,
  lockMemory,
  setAffinity,
  setProcessName,
  setRoundRobin,
  setSessionNice,
  setShare,
  unlockMemory,
} from "../ffi/process.ts";
import type { Conduct } from "./config/conduct.ts";
import type { LogLevel } from "./lib/log.ts";

/** A share of the processors. */
export interface Share {
  readonly nice: number;
  /** How short a turn is: who asks for less gets a processor the sooner when woken; 0 is the system's. */
  readonly sliceUs: number;
}

/** What everybody has who asks for nothing. */
export const ORDINARY: Share = { nice: 0, sliceUs: 0 };

/** The conduct of this process. */
export class Conductor {
  readonly #name: string;
  readonly #share: Share;
  readonly #log: (level: LogLevel, text: string) => void;
  #conduct: Conduct = {};
  /** The real-time priority it has raised itself to; 0 for none. */
  #raisedTo = 0;

  /** `name` is comm, and `share` what {@link Conductor.begin} takes, unless something else is asked for. */
  constructor(name: string, share: Share, log: (level: LogLevel, text: string) => void) {
    this.#name = name;
    this.#share = share;
    this.#log = log;
  }

  /** The share of the processors that nobody had to ask for; without the right to it the system's has to do. */
  begin(): void {
    try {
      setShare(this.#share.nice, this.#share.sliceUs);
    } catch {
      // Without CAP_SYS_NICE.
    }
  }

  /**
   * Where all that one setsid(2) has begun is scheduled as one (sched(7), autogroup), nice values count only
   * within, and the whole has one of its own. If the whole is the daemon it gets ours.
   */
  settle(): void {
    try {
      const { parent, session } = lineage();
      if (session === parent) setSessionNice(this.#conduct.nice ?? this.#share.nice);
    } catch {
      // No autogroups, or not the right to.
    }
  }

  /** Behaves as a configuration asks, and no more as the one before it did. */
  follow(next: Conduct): void {
    const before = this.#conduct;
    if (JSON.stringify(before) === JSON.stringify(next)) return;
    this.#conduct = next;
    if (next.name !== before.name) setProcessName(next.name ?? this.#name);
    if (next.runLimitUs !== before.runLimitUs) {
      this.#try(() => limitRealTime(next.runLimitUs ?? Infinity));
    }
    if (next.nice !== before.nice || next.realTime !== before.realTime) {
      this.#raisedTo = 0;
      this.#try(() => this.#schedule(next));
    }
    if (`${next.cpus}` !== `${before.cpus}`) this.#try(() => setAffinity(next.cpus));
    if (next.staysInMemory !== before.staysInMemory) {
      this.#try(next.staysInMemory ? lockMemory : unlockMemory);
    }
  }

  /** It was woken `lateUs` after it wanted to be: later than can be borne, it asks for more. */
  noteLateness(lateUs: number): void {
    const { autoRealTime = 0, latenessUs = Infinity, realTime = 0 } = this.#conduct;
    if (lateUs < latenessUs) return;
    const next = Math.max(realTime, this.#raisedTo) + 1;
    if (next > autoRealTime) return;
    this.#raisedTo = next;
    const ms = Math.round(lateUs / 1000);
    this.#log("info", `Woken ${ms} ms late: raising the real-time priority to ${next}`);
    this.#try(() => setRoundRobin(next));
  }

  #schedule({ nice = this.#share.nice, realTime }: Conduct): void {
    setShare(nice, this.#share.sliceUs);
    if (realTime !== undefined) setRoundRobin(realTime);
  }

  #try(change: () => void): void {
    try {
      change();
    } catch (error) {
      this.#log("warning", error instanceof Error ? error.message : String(error));
    }
  }
}
