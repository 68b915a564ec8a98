/**
 * Keeping a role: it is started, told what it is to do, started again when it dies, and sent away in the end.
 * What a role is for, and what it says, its side knows (vrrp_side.ts, checkers_side.ts).
 */

import { SIGKILL } from "../../ffi/constants.ts";
import { monotonicUs } from "../../ffi/timer.ts";
import type { Config } from "../config/load.ts";
import type { LogLevel } from "../lib/log.ts";
import type { FromAnyRole } from "./common_channel.ts";
import type { Log, Speaker } from "./logs.ts";
import { removePidFileOf } from "./pid_files.ts";
import { isPermanent, nextDelay } from "./respawn.ts";
import type { Role } from "./supervisor.ts";

/** How long a role may take to leave before it is killed (keepalived's default). */
const STOP_US = 5_000_000;
/** The longest that a timer of the runtime waits. */
const LONGEST_MS = 0x7fff_ffff;

/** What the daemon as a whole is to its roles. */
export interface Household {
  readonly log: Log;
  /** Whether it is ending. */
  isStopping(): boolean;
  /** The end of a role ends the daemon. */
  readonly dontRespawn: boolean;
  /** One line of the parent's own. */
  say(level: LogLevel, text: string): void;
  /** A role may have heard of the stop before us; what it says of that comes after our own words. */
  heedStop(): void;
  /** Ends the daemon; only the first call counts. */
  stop(status: number): void;
  /** A role has ended and, the daemon being about to, will not be started again. */
  gone(): void;
  /** A role has been told what to do: its start is over soon. */
  starting(): void;
}

/** A role as the daemon sees it. */
export interface Side {
  /** The process, when there is one. */
  readonly pid: number | undefined;
  /** What the role is to do from now on; it is started or let go as that needs. */
  configure(config: Config): void;
  /** The start is over. */
  settle(): void;
  /** Tells the role to leave. */
  stop(): void;
}

/** What a side knows of its role. `To` and `From` are what is said over the channel. */
export interface Kept<To extends object, From extends { readonly type: string }> {
  /** As in "Starting VRRP child process". */
  readonly title: string;
  /** In its syslog ident and its log file's name. */
  readonly ident: string;
  /** Absolute; known when the configuration is. */
  readonly pidFile: string;
  /** Starts a process. Throws SysError. */
  spawn(): Role<To, From>;
  /** Whether there is something for it to do. */
  isNeeded(): boolean;
  /** Tells a role that has just been started everything. */
  brief(): void;
  /** Hears what is not common to all roles. */
  hear(message: Exclude<From, FromAnyRole>): void;
  /** It has performed what it was told, at its start or after that. */
  configured?(isReload: boolean): void;
  /** The role is dead, and will be for so many seconds. */
  absent?(seconds: number): void;
  /** Looks after what a role leaves behind that does not come back; 0 is a proper end. */
  left?(status: number | null): void;
}

/** One kept role. */
export class Keeper<To extends object, From extends { readonly type: string }> {
  readonly #kept: Kept<To, From>;
  readonly #household: Household;
  #role: Role<To, From> | undefined;
  /** It has performed its first configuration. */
  #isReload = false;
  #delay: number | undefined;
  #respawnTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(kept: Kept<To, From>, household: Household) {
    this.#kept = kept;
    this.#household = household;
  }

  /** The process, when there is one. */
  get pid(): number | undefined {
    return this.#role?.pid;
  }

  /** Whether the role has died and is to come back in a while. */
  get isAway(): boolean {
    return this.#respawnTimer !== undefined;
  }

  /** Tells the role something, if it is there. */
  tell(message: To): void {
    this.#role?.tell(message);
  }

  /** Starts the role. */
  spawn(): void {
    try {
      this.adopt(this.#kept.spawn());
    } catch (error) {
      this.#household.say(
        "error",
        `Cannot start the ${this.#kept.title} process: ${String(error)}`,
      );
      this.#household.stop(1);
    }
  }

  /** Keeps a role that was started already. */
  adopt(role: Role<To, From>): void {
    this.#role = role;
    this.#isReload = false;
    role.attach({
      messages: (all) => this.#listen(role, all),
      ended: (status, signal) => this.#roleEnded(role, status, signal),
    });
  }

  /** Hears a role that is only started to do one thing and end. */
  attend(role: Role<To, From>, ended: () => void): void {
    role.attach({ messages: (all) => this.#listen(role, all), ended });
  }

  /** Says that the role was started. */
  sayStarted(): void {
    if (this.#role === undefined) return;
    const { title } = this.#kept;
    this.#household.say("info", `Starting ${title} child process, pid=${this.#role.pid}`);
  }

  /**
   * Whether the role runs and is to be told what has changed. One that is not wanted is let go, one that
   * is missing started and told everything, now or when its time has come.
   */
  ready(isWanted: boolean): boolean {
    if (isWanted && this.#role !== undefined) return true;
    if (!isWanted) this.#role?.release();
    else if (this.#respawnTimer === undefined) {
      this.#restart();
      this.sayStarted();
    }
    return false;
  }

  /** Says farewell to the role, which is killed when it takes longer than `waitUs` (child_wait_time). */
  stop(farewell: To, waitUs = STOP_US): void {
    clearTimeout(this.#respawnTimer);
    const role = this.#role;
    if (role === undefined) return;
    role.tell(farewell);
    setTimeout(() => {
      const { title } = this.#kept;
      this.#household.say("error", `${title} process ${role.pid} did not end in time, killing it`);
      role.kill(SIGKILL);
    }, Math.min(LONGEST_MS, waitUs / 1000)).unref();
  }

  #listen(role: Role<To, From>, all: readonly From[]): void {
    this.#household.heedStop();
    this.#household.log.together(() => {
      for (const message of all) this.#hear(role, message);
    });
  }

  #hear(role: Role<To, From>, message: From): void {
    const said = message as FromAnyRole | Exclude<From, FromAnyRole>;
    if (!isCommon(said)) return this.#kept.hear(said);
    const speaker: Speaker = { role: this.#kept.ident, pid: role.pid };
    const { log } = this.#household;
    switch (said.type) {
      case "log":
        log.write(speaker, said.level, said.text);
        return;
      case "dropped":
        log.write(speaker, "warning", `${said.lines} log lines were lost`);
        return;
      case "configured":
        log.write(speaker, "info", this.#isReload ? "Reload complete" : "Startup complete");
        this.#kept.configured?.(this.#isReload);
        this.#isReload = true;
        return;
      case "crash":
        log.write(speaker, "error", `${this.#kept.title} process failed: ${said.stack}`);
        return;
    }
  }

  #roleEnded(role: Role<To, From>, status: number | null, signal: number): void {
    if (this.#role !== role) return;
    const household = this.#household;
    const { title, pidFile } = this.#kept;
    household.heedStop();
    this.#role = undefined;
    const isDismissed = household.isStopping() ||
      (status === 0 && !this.#kept.isNeeded());
    const isPermanentEnd = status !== null && isPermanent(status);
    const isLast = isDismissed || isPermanentEnd || household.dontRespawn;
    // The next role first: every millisecond counts against the patience of the peers, words do not.
    const seconds = isLast ? undefined : this.#respawn(role);
    this.#kept.left?.(status);
    removePidFileOf(role.pid, pidFile);
    if (household.isStopping()) household.gone();
    if (isDismissed) return;
    const how = signal > 0 ? `due to signal ${signal}` : `with status ${status}`;
    household.say("error", `pid ${role.pid} exited ${how}`);
    if (isPermanentEnd) {
      const what = `exited with permanent error ${status}. Terminating`;
      household.say("error", `${title} child process ${what}`);
      household.stop(status);
    } else if (seconds === undefined) {
      household.say("error", `${title} child process died: Exiting`);
      household.stop(1);
    } else {
      household.say("error", `${title} child process(${role.pid}) died: Respawning`);
      const delay = `Restart of ${title} process delayed ${seconds} seconds to limit respawn rate`;
      if (seconds > 0) household.say("info", delay);
      this.sayStarted();
    }
  }

  /** Starts the next role, now or later; the delay in seconds. */
  #respawn(dead: Role<To, From>): number {
    const seconds = nextDelay(this.#delay, monotonicUs() - dead.startedAt);
    this.#delay = seconds;
    if (seconds === 0) {
      this.#restart();
      return 0;
    }
    this.#kept.absent?.(seconds);
    this.#respawnTimer = setTimeout(() => {
      this.#restart();
      this.sayStarted();
    }, seconds * 1000);
    return seconds;
  }

  #restart(): void {
    this.#respawnTimer = undefined;
    if (this.#household.isStopping()) return;
    this.spawn();
    if (this.#role !== undefined) this.#kept.brief();
  }
}

const COMMON: ReadonlySet<string> = new Set<FromAnyRole["type"]>([
  "log",
  "dropped",
  "configured",
  "crash",
]);

function isCommon(said: { readonly type: string }): said is FromAnyRole {
  return COMMON.has(said.type);
}
