/**
 * The kernel's table as we know it: read back at the start, kept as commands succeed, and read anew
 * wherever the kernel shows that it is otherwise. What is already right is never touched.
 */

import { EINTR, ENOBUFS, ESRCH } from "../../ffi/constants.ts";
import { SysError } from "../../ffi/libc.ts";
import type { LogLevel } from "../lib/log.ts";
import type { IpvsTimeouts, SyncDaemon } from "../netlink/ipvs_control.ts";
import { type Command, diff } from "./diff.ts";
import type { Ipvs } from "./perform.ts";
import { isSameDaemon } from "./sync_daemon.ts";
import type { Entry, Table } from "./table.ts";

/** How often a table that turns out otherwise is read anew before the rest is given up. */
const ATTEMPTS = 3;

type Say = (level: LogLevel, text: string) => void;

/** The kernel's table and what else IPVS is set to. */
export class Mirror {
  readonly #ipvs: Ipvs;
  readonly #say: Say;
  readonly #keep: (before: IpvsTimeouts) => void;
  readonly #table = new Map<string, Entry>();
  /** Every service that was ever ours and may be in the kernel. */
  readonly #known = new Set<string>();
  #timeoutsBefore: IpvsTimeouts | undefined;
  #daemons: readonly SyncDaemon[] | undefined;

  /** `keep` is told what the timeouts were, before they are set for the first time. */
  constructor(ipvs: Ipvs, say: Say, keep: (before: IpvsTimeouts) => void = () => {}) {
    this.#ipvs = ipvs;
    this.#say = say;
    this.#keep = keep;
  }

  /** What the timeouts were before a predecessor set them. */
  inheritTimeouts(before: IpvsTimeouts): void {
    this.#timeoutsBefore = before;
  }

  /** Removes every service of the kernel, whoever made it. */
  flush(): void {
    this.#report(this.#ipvs.flush());
    this.#table.clear();
  }

  /** Makes the table what is wanted at `ids`, where an id that is not in `wanted` is to be gone. */
  reconcile(ids: ReadonlySet<string>, wanted: Table): void {
    const unknown = [...ids].filter((id) => !this.#known.has(id));
    this.#attempt("reading the table", () => this.#read(new Set(unknown)));
    let behind = ids;
    for (let attempt = 1; behind.size > 0 && attempt <= ATTEMPTS; attempt++) {
      const stale = this.#perform(diff(this.#table, wanted, behind), attempt === ATTEMPTS);
      if (stale === undefined) return;
      this.#accept(behind, stale, wanted);
      this.#attempt("reading the table", () => this.#read(stale));
      behind = ids.intersection(stale);
    }
  }

  /** Reads what the kernel has of these. */
  #read(ids: ReadonlySet<string>): void {
    if (ids.size === 0) return;
    const found = this.#ipvs.read(ids);
    for (const id of ids) {
      this.#known.add(id);
      const entry = found.get(id);
      if (entry === undefined) this.#table.delete(id);
      else this.#table.set(id, entry);
    }
  }

  /** All was done but at some: elsewhere the table is what was wanted. */
  #accept(ids: ReadonlySet<string>, stale: ReadonlySet<string>, wanted: Table): void {
    for (const id of ids) {
      if (stale.has(id)) continue;
      const entry = wanted.get(id);
      if (entry === undefined) this.#table.delete(id);
      else this.#table.set(id, entry);
    }
  }

  /** The services that must be read anew; undefined when nothing can be done. */
  #perform(commands: Iterable<Command>, isLast: boolean): ReadonlySet<string> | undefined {
    try {
      const { refusals, stale } = this.#ipvs.perform(commands);
      if (isLast) { for (const text of refusals) this.#say("error", text); }
      return stale;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      // Answers were lost: nobody knows which of the commands have been obeyed.
      if (error.code !== ENOBUFS || isLast) this.#say("error", `IPVS: ${error.message}`);
      return error.code === ENOBUFS ? new Set(this.#known) : undefined;
    }
  }

  /** Sets the timeouts, in seconds; those that are not named are what they were before we came. */
  setTimeouts(wanted: Partial<IpvsTimeouts> | undefined): void {
    if (wanted === undefined && this.#timeoutsBefore === undefined) return;
    this.#attempt("reading the timeouts", () => {
      if (this.#timeoutsBefore === undefined) {
        this.#timeoutsBefore = this.#ipvs.timeouts();
        if (this.#timeoutsBefore === undefined) return;
        this.#keep(this.#timeoutsBefore);
      }
      this.#report(this.#ipvs.setTimeouts({ ...this.#timeoutsBefore, ...wanted }));
    });
  }

  /** Has these synchronisation daemons run and no others. */
  setDaemons(wanted: readonly SyncDaemon[]): void {
    if (wanted.length === 0 && this.#daemons === undefined) return;
    this.#attempt("listing the sync daemons", () => {
      const running = this.#daemons ?? this.#ipvs.daemons();
      this.#daemons = undefined;
      for (const one of running) {
        if (wanted.some((other) => isSameDaemon(one, other))) continue;
        const refused = this.#ipvs.stopDaemon(one);
        // One that had not yet begun to run, or has ended, is gone as well.
        if (refused?.code !== EINTR && refused?.code !== ESRCH) this.#report(refused);
      }
      this.#daemons = wanted.filter((one) => {
        if (running.some((other) => isSameDaemon(other, one))) return true;
        const refused = this.#ipvs.startDaemon(one);
        this.#report(refused);
        return refused === undefined;
      });
    });
  }

  #report(refused: SysError | undefined): void {
    if (refused !== undefined) this.#say("error", `IPVS: ${refused.message}`);
  }

  #attempt(doing: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.#say("error", `IPVS: ${doing}: ${error.message}`);
    }
  }
}
