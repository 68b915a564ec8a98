/**
 * The parent: it reads the configuration, supervises the roles, hears the signals and keeps the log. It
 * does no networking itself, so nothing it does can delay an advert.
 *
 * The vrrp role is spawned before anything else happens: while it opens its sockets, the
 * configuration is read here.
 */

import { INTERFACE_SIGNALS, SIGKILL } from "../../ffi/constants.ts";
import { claimPidFile, removePidFile } from "../../ffi/pid_file.ts";
import { blockSignals, setSignalMask } from "../../ffi/process.ts";
import { hasEnded } from "../../ffi/socket.ts";
import { releaseStartPages } from "../../ffi/start_pages.ts";
import { monotonicUs } from "../../ffi/timer.ts";
import type { DaemonOptions } from "../cli/options.ts";
import type { BfdInstance } from "../config/bfd.ts";
import { type Config, load } from "../config/load.ts";
import { formatProblem, isFatal, type Problem, refusalOf, startStatus } from "../config/problem.ts";
import type { Files } from "../config/files.ts";
import type { LogLevel } from "../lib/log.ts";
import { absolutePath } from "../lib/path.ts";
import { dumpConfig } from "../report/data.ts";
import { type Change, diff, hasStatics, hasVrrpWork, leftovers } from "../vrrp/diff.ts";
import { trackingOf } from "../vrrp/trackers.ts";
import { encodeFrame, FrameReader, type FromRole, type ToRole } from "./channel.ts";
import { systemFiles } from "./files.ts";
import type { EarlyRole } from "./early_role.ts";
import { type Ledger, makeLedger, slotOf } from "./ledger.ts";
import { Log, type Speaker } from "./logs.ts";
import { reapStrangers } from "./init.ts";
import { Notifier } from "./notifier.ts";
import { removePidFileOf } from "./pid_files.ts";
import { isPermanent, nextDelay, patienceUs } from "./respawn.ts";
import { hearSignals, rehearseSignal, type Request } from "./signals.ts";
import { type Role, spawnRole } from "./supervisor.ts";
import { systemWorld } from "./world.ts";
import type { Watch } from "./watch.ts";
import { notifyStatus, notifySystemd, openNotifications } from "./systemd.ts";

/** When the first advert has surely left. */
const LOG_MS = 30;
/** When the start is surely over. */
const SETTLE_MS = 1_000;
/** How long a role may take to leave before it is killed, in milliseconds (keepalived's default). */
const STOP_MS = 5_000;
/** How long scripts may take to tell of a stop. */
const LAST_SCRIPTS_MS = 1_000;
const DEFAULT_UMASK = 0o177;
const REHEARSALS = 20;

/** How the daemon was called. */
export interface Invocation {
  readonly argv0: string;
  readonly argv: readonly string[];
  readonly options: DaemonOptions;
  /** `upkeep`'s version and date, for the first log line. */
  readonly banner: string;
  readonly kernel: string;
  /** Where relative names start from. */
  readonly cwd: string;
  /** The vrrp role and its ledger, when they were started before the command line was read. */
  readonly early: EarlyRole | undefined;
}

/** The daemon's main process. */
export class Daemon {
  readonly #invocation: Invocation;
  readonly #options: DaemonOptions;
  readonly #configFile: string;
  readonly #log: Log;
  readonly #ledger: Ledger;
  readonly #slots = new Map<string, number>();
  readonly #states = new Map<string, string>();
  readonly #finish: (status: number) => void;
  readonly #farewell: ToRole;
  /** Resolves with the exit status when the daemon has ended. */
  readonly ended: Promise<number>;
  #config: Config | undefined;
  #role: Role | undefined;
  #stopping: { status: number } | undefined;
  #hasPidFile = false;
  /** The role has performed its first configuration. */
  #isReload = false;
  readonly #notifier: Notifier;
  #watch: Watch | undefined;
  #delay: number | undefined;
  #settleTimer: ReturnType<typeof setTimeout> | undefined;
  #respawnTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
    const { options } = invocation;
    this.#options = options;
    this.#farewell = { type: "shutdown", keepAddresses: options.dontReleaseVrrp };
    this.#ledger = invocation.early?.ledger ?? makeLedger();
    this.#configFile = absolutePath(invocation.cwd, options.configFile);
    const file = options.logFile === undefined
      ? undefined
      : options.logFile.file ?? `${process.env["TMPDIR"] ?? "/tmp"}/keepalived.log`;
    this.#log = new Log({
      console: options.logConsole,
      syslog: !options.noSyslog,
      facility: options.logFacility,
      flushFile: options.flushLogFile,
      ...(file === undefined ? {} : { file }),
    });
    this.#notifier = new Notifier(
      (level, text) => this.#say(level, text),
      () => systemWorld(this.#files()),
    );
    const { promise, resolve: finish } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#finish = finish;
  }

  /**
   * Starts everything; whether the daemon is up. What fails ends it, through {@link Daemon.ended}.
   */
  start(): boolean {
    blockSignals(INTERFACE_SIGNALS);
    process.umask(this.#options.umask ?? DEFAULT_UMASK);
    openNotifications();
    const { early } = this.#invocation;
    if (this.#options.checkOnly) early?.role.release();
    else if (early === undefined) this.#spawn();
    else this.#adopt(early.role);
    const { stopLine } = this.#ledger;
    hearSignals(this.#options.ignoreSigint, stopLine, (request) => this.#hear(request));
    // Whatever mask we were started with, and whatever came meanwhile, is heard from here on.
    setSignalMask();
    if (process.pid === 1) reapStrangers((pid) => pid === this.#role?.pid);
    // Not at once: loading the library would compete with the first advert for the processor.
    setTimeout(() => void this.#log.open(), LOG_MS);
    this.#introduce();
    return this.#claimPidFile() && this.#firstConfiguration();
  }

  #pathOf(name: string): string {
    return absolutePath(this.#invocation.cwd, name);
  }

  #introduce(): void {
    const { banner, kernel, argv0, argv } = this.#invocation;
    this.#say("info", `Starting ${banner}`);
    this.#say("info", `Running on ${kernel}`);
    const words = [argv0, ...argv].map((word) => `'${word}'`).join(" ");
    this.#say("info", `Command line: ${words}`);
    for (const notice of this.#options.notices) this.#say("warning", notice);
    this.#sayStarted();
  }

  #claimPidFile(): boolean {
    const pidFile = this.#pathOf(this.#options.pidFile);
    try {
      this.#hasPidFile = claimPidFile(pidFile, process.pid);
      if (this.#hasPidFile) return true;
      this.#say("error", "daemon is already running");
    } catch (error) {
      this.#say("error", `Cannot write pidfile ${pidFile}: ${String(error)}`);
    }
    this.#stop(1);
    return false;
  }

  #firstConfiguration(): boolean {
    const { config, problems } = this.#load();
    if (isFatal(problems)) {
      this.#stop(startStatus(problems));
      return false;
    }
    if (this.#options.dumpConf) { for (const line of dumpConfig(config)) this.#say("info", line); }
    this.#config = config;
    this.#configureRole(diff(undefined, config));
    this.#notifier.configure(config);
    void this.#watchTracked();
    notifySystemd("ready");
    return true;
  }

  #files(): Files {
    return systemFiles({
      configId: this.#options.configId,
      allIncludeChecks: this.#options.allConfig,
      cwd: this.#invocation.cwd,
    });
  }

  #load(): { config: Config; problems: readonly Problem[] } {
    this.#say("info", `Configuration file ${this.#configFile}`);
    const loaded = load(this.#configFile, this.#files());
    const level = { fatal: "error", error: "warning", warning: "warning", lint: "info" } as const;
    for (const problem of loaded.problems) {
      this.#say(level[problem.severity], formatProblem(problem));
    }
    return loaded;
  }

  // --- the vrrp role ---

  #spawn(): void {
    try {
      const { argv0, argv } = this.#invocation;
      this.#adopt(spawnRole(argv0, argv, this.#ledger));
    } catch (error) {
      this.#say("error", `Cannot start the VRRP process: ${String(error)}`);
      this.#stop(1);
    }
  }

  #adopt(role: Role): void {
    this.#role = role;
    this.#isReload = false;
    role.attach({
      message: (message) => this.#listen(message),
      ended: (status, signal) => this.#roleEnded(role, status, signal),
    });
  }

  /** Whether the configuration has something for the vrrp role to do. */
  get #hasWork(): boolean {
    return hasVrrpWork(this.#config) || this.#bfdInstances.length > 0;
  }

  get #bfdInstances(): readonly BfdInstance[] {
    return this.#options.noBfd ? [] : this.#config?.bfd_instances ?? [];
  }

  /** Sends the changes to the role; starts it, or lets it go, as the configuration needs. */
  #configureRole(changes: readonly Change[]): void {
    const isWanted = !this.#options.checkOnly &&
      (this.#options.allRoles || this.#hasWork);
    if (!isWanted) {
      this.#role?.release();
      return;
    }
    if (this.#role === undefined) {
      // A role that is to be started again later will be told everything then.
      if (this.#respawnTimer === undefined) this.#restart();
      return;
    }
    const detail = this.#options.logDetail > 0;
    const keepAddresses = this.#options.dontReleaseVrrp;
    const slotted = this.#withSlots(changes);
    const results = this.#watch?.results ?? [];
    if (results.length > 0) this.#role.tell({ type: "tracked", results });
    this.#role.tell({ type: "configure", changes: slotted, detail, keepAddresses });
    this.#role.tell({ type: "bfd", instances: this.#bfdInstances });
    this.#role.tell({ type: "pid-file", path: this.#pathOf(this.#options.vrrpPidFile) });
    clearTimeout(this.#settleTimer);
    this.#settleTimer = setTimeout(() => this.#settle(), SETTLE_MS);
  }

  /** The start is over: gives back what only it has needed, here and in the role. */
  #settle(): void {
    Bun.unsafe.setJITPolicy(1);
    Bun.gc(true);
    releaseStartPages();
    this.#role?.tell({ type: "settle" });
    // What the stop needs is run now, so that peers need not wait for it then.
    rehearseSignal();
    for (let i = 0; i < REHEARSALS; i++) {
      new FrameReader<ToRole>().push(encodeFrame(this.#farewell));
    }
  }

  /** Gives each added instance its place in the ledger, and what the ledger says of it. */
  #withSlots(changes: readonly Change[]): Change[] {
    return changes.map((change) => {
      if (change.type !== "add") return change;
      const slot = this.#slots.get(change.key) ?? slotOf(this.#slots.size);
      this.#slots.set(change.key, slot);
      const adoptedAt = slot < 0 ? 0 : this.#ledger.lastAdvertAt[slot]!;
      return adoptedAt === 0 ? { ...change, slot } : { ...change, slot, adoptedAt };
    });
  }

  #listen(message: FromRole): void {
    this.#heedStop();
    const speaker: Speaker = { role: "vrrp", pid: this.#role?.pid ?? process.pid };
    switch (message.type) {
      case "log":
        this.#log.write(speaker, message.level, message.text);
        return;
      case "dropped":
        this.#log.write(speaker, "warning", `${message.lines} log lines were lost`);
        return;
      case "state":
        this.#notifier.tell(message);
        this.#states.set(message.instance, message.to);
        notifyStatus(this.#states);
        return;
      case "bfd":
        this.#states.set(`BFD ${message.instance}`, message.isUp ? "Up" : "Down");
        notifyStatus(this.#states);
        return;
      case "rival":
      case "conflict":
        // The role has logged it; whoever else is to know is told from here.
        return;
      case "group":
      case "priority":
        this.#notifier.tell(message);
        return;
      case "configured":
        this.#log.write(speaker, "info", this.#isReload ? "Reload complete" : "Startup complete");
        this.#isReload = true;
        return;
      case "crash":
        this.#log.write(speaker, "error", `VRRP process failed: ${message.stack}`);
        return;
    }
  }

  /** What instances track is watched here; nothing of it is loaded while there is none. */
  async #watchTracked(): Promise<void> {
    const isTracking = trackingOf(this.#config) !== undefined;
    if (this.#watch === undefined && !isTracking) return;
    const { Watch } = await import("./watch.ts");
    if (this.#stopping !== undefined || this.#config === undefined) return;
    this.#watch ??= new Watch({
      say: (level, text) => this.#say(level, text),
      tell: (results) => this.#role?.tell({ type: "tracked", results }),
      world: () => systemWorld(this.#files()),
    });
    this.#watch.configure(this.#config);
  }

  #roleEnded(role: Role, status: number | null, signal: number): void {
    if (this.#role !== role) return;
    this.#heedStop();
    this.#role = undefined;
    const isNeeded = this.#hasWork || this.#options.allRoles;
    const isDismissed = this.#stopping !== undefined || (status === 0 && !isNeeded);
    const isPermanentEnd = status !== null && isPermanent(status);
    const isLast = isDismissed || isPermanentEnd || this.#options.dontRespawn;
    // The next role first: every millisecond counts against the patience of the peers, words do not.
    const seconds = isLast ? undefined : this.#respawn(role);
    this.#states.clear();
    removePidFileOf(role.pid, this.#pathOf(this.#options.vrrpPidFile));
    if (this.#stopping !== undefined) this.#leaveWithoutRole(this.#stopping.status);
    if (isDismissed) return;
    const how = signal > 0 ? `due to signal ${signal}` : `with status ${status}`;
    this.#say("error", `pid ${role.pid} exited ${how}`);
    if (isPermanentEnd) {
      this.#say("error", `VRRP child process exited with permanent error ${status}. Terminating`);
      this.#stop(status);
    } else if (seconds === undefined) {
      this.#say("error", "VRRP child process died: Exiting");
      this.#stop(1);
    } else {
      this.#say("error", `VRRP child process(${role.pid}) died: Respawning`);
      const delay = `Restart of VRRP process delayed ${seconds} seconds to limit respawn rate`;
      if (seconds > 0) this.#say("info", delay);
      this.#sayStarted();
    }
  }

  /** Starts the next role, now or later; the delay in seconds. */
  #respawn(dead: Role): number {
    const seconds = nextDelay(this.#delay, monotonicUs() - dead.startedAt);
    this.#delay = seconds;
    if (seconds === 0) {
      this.#restart();
      return 0;
    }
    if (this.#config !== undefined && seconds * 1_000_000 > patienceUs(this.#config)) {
      // Peers will take over before the role is back: nothing of ours may stay on the links.
      this.#withdraw(() => {}, true);
    }
    this.#respawnTimer = setTimeout(() => {
      this.#restart();
      this.#sayStarted();
    }, seconds * 1000);
    return seconds;
  }

  #restart(): void {
    this.#respawnTimer = undefined;
    if (this.#stopping !== undefined) return;
    this.#spawn();
    if (this.#role !== undefined) this.#configureRole(diff(undefined, this.#config));
  }

  #sayStarted(): void {
    if (this.#role === undefined) return;
    this.#say("info", `Starting VRRP child process, pid=${this.#role.pid}`);
  }

  /** Takes off the links what a dead role has left there; `ended` is called when that is done. */
  #withdraw(ended: () => void, keepStatics = false): void {
    const { argv0, argv } = this.#invocation;
    this.#ledger.lastAdvertAt.fill(0);
    try {
      const role = spawnRole(argv0, argv, this.#ledger);
      role.attach({ message: (message) => this.#listen(message), ended });
      role.tell({ type: "withdraw", changes: leftovers(this.#config, keepStatics) });
    } catch (error) {
      this.#say("error", `Cannot start a process to remove the addresses: ${String(error)}`);
      ended();
    }
  }

  // --- signals ---

  #hear(request: Request): void {
    switch (request) {
      case "reload":
        this.#reload();
        return;
      case "stop":
        this.#stop(0);
        return;
      case "data":
      case "stats":
      case "stats-clear":
      case "json":
      case "threads":
        this.#say("info", `Signal for ${request} received: this dump is not available yet`);
        return;
    }
  }

  #reload(): void {
    if (this.#stopping !== undefined || this.#config === undefined) return;
    const startedAt = monotonicUs();
    notifySystemd("reloading");
    this.#say("info", "Reloading ...");
    const { config, problems } = this.#load();
    // A file so broken that the keyword is lost in it is held to what the running one says.
    const isStrict = config.globals.reload_strict ?? this.#config.globals.reload_strict ?? false;
    const refusal = refusalOf(problems, isStrict);
    if (refusal !== undefined) {
      const why = refusal.severity === "fatal" ? "" : " (reload_strict)";
      this.#say("error", `Reload refused${why}: the running configuration stays as it is`);
    } else {
      const changes = diff(this.#config, config);
      this.#config = config;
      this.#configureRole(changes);
      this.#notifier.configure(config);
      void this.#watchTracked();
      this.#say("info", `Reload finished in ${monotonicUs() - startedAt} usec`);
    }
    notifySystemd("ready");
  }

  /** The role may have heard of the stop before us; what it says of that comes after our own words. */
  #heedStop(): void {
    if (this.#stopping === undefined && hasEnded(this.#ledger.stopLine.fd)) this.#stop(0);
  }

  /** Ends the daemon; only the first call counts. */
  #stop(status: number): void {
    if (this.#stopping !== undefined) return;
    this.#stopping = { status };
    this.#watch?.stop();
    const role = this.#role;
    role?.tell(this.#farewell);
    clearTimeout(this.#respawnTimer);
    clearTimeout(this.#settleTimer);
    notifySystemd("stopping");
    if (this.#config !== undefined) this.#say("info", "Stopping");
    if (role === undefined) return this.#leaveWithoutRole(status);
    setTimeout(() => {
      this.#say("error", `VRRP process ${role.pid} did not end in time, killing it`);
      role.kill(SIGKILL);
    }, STOP_MS).unref();
  }

  /** The role is dead or was never needed; it may have died as MASTER. */
  #leaveWithoutRole(status: number): void {
    const isClean = !hasStatics(this.#config) && this.#ledger.lastAdvertAt.every((at) => at === 0);
    if (isClean || this.#options.dontReleaseVrrp) this.#leave(status);
    else this.#withdraw(() => this.#leave(status));
  }

  /** Ends the daemon; scripts that tell of the stop get a second for it. */
  #leave(status: number): void {
    if (this.#notifier.isBusy) {
      void this.#notifier.settle(LAST_SCRIPTS_MS).then(() => this.#end(status));
    } else this.#end(status);
  }

  #end(status: number): void {
    this.#notifier.close();
    this.#say("info", `Stopped ${this.#invocation.banner}`);
    if (this.#hasPidFile) removePidFile(this.#pathOf(this.#options.pidFile));
    this.#log.close();
    this.#finish(status);
  }

  #say(level: LogLevel, text: string): void {
    this.#log.write({ role: "", pid: process.pid }, level, text);
  }
}
