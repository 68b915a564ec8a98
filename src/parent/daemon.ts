/**
 * The parent: it reads the configuration, supervises the roles, hears the signals and keeps the log. It
 * does no networking itself, so nothing it does can delay an advert.
 *
 * The vrrp role is spawned before anything else happens (vrrp_side.ts); the others are loaded when the
 * configuration needs them.
 */

import { INTERFACE_SIGNALS } from "../../ffi/constants.ts";
import { blockSignals, setProcessName, setSignalMask, systemName } from "../../ffi/process.ts";
import { hasEnded } from "../../ffi/socket.ts";
import { monotonicUs } from "../../ffi/timer.ts";
import type { DaemonOptions } from "../cli/options.ts";
import type { Config } from "../config/load.ts";
import { isFatal, refusalOf, startStatus } from "../config/problem.ts";
import type { LogLevel } from "../lib/log.ts";
import { absolutePath, baseName } from "../lib/path.ts";
import { dumpConfig } from "../report/data.ts";
import type { State } from "../vrrp/state.ts";
import { trackingOf } from "../vrrp/trackers.ts";
import type { CheckersSide } from "./checkers_side.ts";
import type { Happening } from "./alerts.ts";
import type { SystemFiles } from "./files.ts";
import type { EarlyRole } from "./early_role.ts";
import { reapStrangers } from "./init.ts";
import type { RunningLifeScript } from "./life_script.ts";
import type { Household, Side } from "./keeper.ts";
import { type Ledger, makeLedger } from "./ledger.ts";
import { Log } from "./logs.ts";
import { Notifier } from "./notifier.ts";
import type { OperateSide } from "./operate_side.ts";
import { awaitEndingScripts, isScript, isScriptEnding } from "./script.ts";
import { ConfigReader, type Reading } from "./reading.ts";
import { Settling } from "./settling.ts";
import { hearSignals, type Request } from "./signals.ts";
import { type VrrpNews, VrrpSide } from "./vrrp_side.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import type { Watch } from "./watch.ts";
import { type Call, Presence } from "./presence.ts";
import { notifyStatus, notifySystemd, openNotifications, type Standing } from "./systemd.ts";

/** When the first advert has surely left. */
const LOG_MS = 30;
/** How long scripts may take to tell of a stop. */
const LAST_SCRIPTS_MS = 1_000;
const DEFAULT_UMASK = 0o177;

/** How the daemon was called. */
export interface Invocation extends Call {
  /** `upkeep`'s version and date, for the first log line. */
  readonly banner: string;
  readonly kernel: string;
  /** The vrrp role and its ledger, when they were started before the command line was read. */
  readonly early: EarlyRole | undefined;
}

/** The daemon's main process. */
export class Daemon {
  readonly #invocation: Invocation;
  readonly #options: DaemonOptions;
  readonly #reader: ConfigReader;
  readonly #log: Log;
  readonly #ledger: Ledger;
  /** What `systemctl status` shows. */
  readonly #states = new Map<string, Standing>();
  readonly #instances = new Map<string, State["name"]>();
  /** BFD sessions that have been up or down since the vrrp role began. */
  readonly #sessions = new Map<string, TrackResult>();
  readonly #finish: (status: number) => void;
  /** Resolves with the exit status when the daemon has ended. */
  readonly ended: Promise<number>;
  #config: Config | undefined;
  /** What the running configuration was read from. */
  #source: SystemFiles | undefined;
  readonly #vrrp: VrrpSide;
  #checkers: CheckersSide | undefined;
  #stopping: { status: number } | undefined;
  readonly #presence: Presence;
  readonly #notifier: Notifier;
  #watch: Watch | undefined;
  #operate: OperateSide | undefined;
  /** What has happened while the operate role's side is loaded. */
  #unheard: Happening[] | undefined;
  readonly #settling = new Settling(() => this.#sides);
  /** A startup or shutdown script that runs, or the last one that did. */
  #lifeScript: RunningLifeScript | undefined;

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
    const { options } = invocation;
    this.#options = options;
    this.#ledger = invocation.early?.ledger ?? makeLedger();
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
    this.#reader = new ConfigReader(
      absolutePath(invocation.cwd, options.configFile),
      {
        configId: options.configId,
        allIncludeChecks: options.allConfig,
        cwd: invocation.cwd,
      },
      (level, text) => this.#say(level, text),
    );
    this.#presence = new Presence(invocation, this.#log, (level, text) => this.#say(level, text));
    this.#notifier = new Notifier(
      (level, text) => this.#say(level, text),
      this.#reader.world,
      (change) => this.#alert(change),
    );
    this.#vrrp = this.#makeVrrp();
    const { promise, resolve: finish } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#finish = finish;
  }

  /**
   * Starts everything; whether the daemon is up. What fails ends it, through {@link Daemon.ended}.
   */
  start(): boolean | Promise<boolean> {
    blockSignals(INTERFACE_SIGNALS);
    process.umask(this.#options.umask ?? DEFAULT_UMASK);
    openNotifications();
    const { early } = this.#invocation;
    if (this.#options.checkOnly) early?.role.release();
    else this.#vrrp.start(early?.role);
    const { stopLine } = this.#ledger;
    hearSignals(this.#options.ignoreSigint, stopLine, (request) => this.#hear(request));
    // Whatever mask we were started with, and whatever came meanwhile, is heard from here on.
    setSignalMask();
    if (process.pid === 1) {
      reapStrangers((pid) => this.#isOurs(pid));
    }
    // Not at once: loading the library would compete with the first advert for the processor.
    setTimeout(() => void this.#log.open(), LOG_MS);
    this.#introduce();
    return this.#firstConfiguration();
  }

  #isOurs(pid: number): boolean {
    return isScript(pid) || this.#operate?.pid === pid ||
      this.#sides.some((side) => side.pid === pid);
  }

  #introduce(): void {
    const { banner, kernel, argv0, argv } = this.#invocation;
    this.#say("info", `Starting ${banner}`);
    this.#say("info", `Running on ${kernel}`);
    const words = [argv0, ...argv].map((word) => `'${word}'`).join(" ");
    this.#say("info", `Command line: ${words}`);
    for (const notice of this.#options.notices) this.#say("warning", notice);
    this.#vrrp.sayStarted();
  }

  #firstConfiguration(): boolean | Promise<boolean> {
    const read = this.#reader.read(this.#running);
    const { config, problems } = read;
    const namespace = this.#presence.elsewhere(config.daemon);
    // Whatever was said here would be said again there.
    if (namespace !== undefined) return this.#moveInto(namespace);
    this.#reader.report(read);
    if (isFatal(problems)) {
      this.#stop(startStatus(problems));
      return false;
    }
    const isMine = this.#presence.take(config.daemon);
    return typeof isMine === "boolean"
      ? this.#beginIf(isMine, read)
      : isMine.then((is) => this.#beginIf(is, read));
  }

  async #moveInto(namespace: string): Promise<boolean> {
    await this.#presence.moveInto(namespace, this.#vrrp.pid);
    this.#stop(1);
    return false;
  }

  #beginIf(isMine: boolean, { config, files }: Reading): boolean {
    if (!isMine) {
      this.#stop(1);
      return false;
    }
    if (this.#options.dumpConf) { for (const line of dumpConfig(config)) this.#say("info", line); }
    void this.#begin(config, files);
    return true;
  }

  /** The startup script first, if there is one. */
  async #begin(config: Config, files: SystemFiles): Promise<void> {
    if (config.globals.startup_script !== undefined) await this.#runLifeScript("startup", config);
    if (this.#stopping !== undefined) return;
    this.#apply(config, files);
    notifySystemd("ready");
  }

  async #runLifeScript(what: "startup" | "shutdown", { globals }: Config): Promise<void> {
    const script = globals[`${what}_script`];
    if (script === undefined) return;
    const { runLifeScript } = await import("./life_script.ts");
    const timeoutUs = globals[`${what}_script_timeout`];
    const say = (level: LogLevel, text: string): void => this.#say(level, text);
    const world = this.#reader.world();
    this.#lifeScript = runLifeScript({ what, script, timeoutUs, globals, world, say });
    await this.#lifeScript.ended;
  }

  get #running(): Pick<Reading, "config" | "files"> | undefined {
    const [config, files] = [this.#config, this.#source];
    return config === undefined || files === undefined ? undefined : { config, files };
  }

  // --- the roles ---

  /** The roles that there are. */
  get #sides(): readonly Side[] {
    return this.#checkers === undefined ? [this.#vrrp] : [this.#vrrp, this.#checkers];
  }

  /** Makes a configuration the running one. */
  #apply(config: Config, source: SystemFiles): void {
    const { process_name, umask = DEFAULT_UMASK } = config.globals;
    process.umask(this.#options.umask ?? umask);
    if (process_name !== this.#config?.globals.process_name) {
      setProcessName(process_name ?? baseName(this.#invocation.argv0));
    }
    const isSame = config === this.#config;
    this.#config = config;
    this.#source = source;
    this.#vrrp.configure(config);
    this.#notifier.configure(config);
    if (isSame) return this.#checkers?.configure(config);
    void this.#watchTracked();
    void this.#balance();
    void this.#reachOut();
  }

  /** What the daemon is to every role. */
  get #household(): Household {
    return {
      log: this.#log,
      dontRespawn: this.#options.dontRespawn,
      isStopping: () => this.#stopping !== undefined,
      say: (level, text) => this.#say(level, text),
      heedStop: () => this.#heedStop(),
      stop: (status) => this.#stop(status),
      gone: () => this.#leaveWithoutRoles(),
      starting: () => this.#settling.begin(),
    };
  }

  #makeVrrp(): VrrpSide {
    const { argv0, argv, options } = this.#invocation;
    const pidFile = (): string => this.#presence.pidFileOf("vrrp", options.vrrpPidFile);
    return new VrrpSide({
      ...this.#household,
      argv0,
      argv,
      options,
      get pidFile() {
        return pidFile();
      },
      tracked: () => this.#watch?.results ?? [],
      news: (message) => this.#publish(message),
      reloaded: () => this.#notifier.repeatStates(),
      forget: () => {
        this.#states.clear();
        this.#instances.clear();
        this.#sessions.clear();
      },
    }, this.#ledger);
  }

  /** Virtual servers are kept by a role of their own; nothing of it is loaded while there are none. */
  async #balance(): Promise<void> {
    const { vrrpOnly, allRoles } = this.#options;
    const { virtual_servers, globals } = this.#config!;
    const hasWork = virtual_servers !== undefined || globals.lvs_sync_daemon !== undefined;
    if (vrrpOnly || (this.#checkers === undefined && !hasWork && !allRoles)) return;
    const { CheckersSide } = await import("./checkers_side.ts");
    if (this.#stopping !== undefined || this.#config === undefined) return;
    this.#checkers ??= new CheckersSide({
      ...this.#household,
      argv0: this.#invocation.argv0,
      argv: this.#invocation.argv,
      options: this.#options,
      ipvsNamespace: this.#presence.ipvsNamespace,
      pidFile: this.#presence.pidFileOf("checkers", this.#options.checkersPidFile),
      instances: () => this.#instances,
      tracked: () => [...this.#watch?.results ?? [], ...this.#sessions.values()],
      world: this.#reader.world,
      news: (message) => {
        if (message.type !== "check") this.#notifier.tellOfServer(message);
        this.#alert(message);
      },
    });
    this.#checkers.configure(this.#config);
  }

  /** Mails and webhooks are sent by a role of their own; nothing of it is loaded while there are none. */
  async #reachOut(): Promise<void> {
    const { globals, vrrp_instances, vrrp_sync_groups = [] } = this.#config!;
    const isPosting = [globals, ...vrrp_instances, ...vrrp_sync_groups]
      .some(({ notify_webhook }) => notify_webhook !== undefined);
    if (this.#operate === undefined && globals.smtp_server === undefined && !isPosting) return;
    this.#unheard ??= [];
    // Starting a process would compete with the first advert for the processor.
    if (this.#operate === undefined) await Bun.sleep(LOG_MS);
    const { OperateSide } = await import("./operate_side.ts");
    if (this.#stopping !== undefined || this.#config === undefined) return;
    const { argv0, argv } = this.#invocation;
    const hostName = systemName().node;
    this.#operate ??= new OperateSide({ ...this.#household, argv0, argv, hostName });
    this.#operate.configure(this.#config);
    for (const happening of this.#unheard.splice(0)) this.#operate.hear(happening);
  }

  #alert(happening: Happening): void {
    if (this.#operate !== undefined) this.#operate.hear(happening);
    else this.#unheard?.push(happening);
  }

  /** What the vrrp role says is passed on to whoever is to know. */
  #publish(message: VrrpNews): void {
    switch (message.type) {
      case "state":
        this.#notifier.tell(message);
        this.#states.set(message.instance, standingOf(message));
        this.#instances.set(message.instance, message.to);
        this.#checkers?.hearInstance(message.instance, message.to);
        notifyStatus(this.#states);
        return;
      case "bfd": {
        const session = { kind: "bfd", name: message.instance, reading: message.isUp } as const;
        this.#sessions.set(message.instance, session);
        this.#checkers?.tellTracked([session]);
        this.#states.set(`BFD ${message.instance}`, { state: message.isUp ? "Up" : "Down" });
        notifyStatus(this.#states);
        return;
      }
      case "rival":
      case "conflict":
        // The role has logged it.
        this.#alert(message);
        return;
      case "group":
        this.#notifier.tell(message);
        return;
      case "priority":
      case "lower-priority":
        this.#notifier.tell(message);
        this.#alert(message);
        return;
    }
  }

  /** What instances track and checks look at is watched here; nothing of it is loaded while there is none. */
  async #watchTracked(): Promise<void> {
    const hasFiles = this.#config?.track_files !== undefined;
    const isTracking = hasFiles || trackingOf(this.#config) !== undefined;
    if (this.#watch === undefined && !isTracking) return;
    const { Watch } = await import("./watch.ts");
    if (this.#stopping !== undefined || this.#config === undefined) return;
    this.#watch ??= new Watch({
      say: (level, text) => this.#say(level, text),
      tell: (results) => {
        this.#vrrp.tellTracked(results);
        this.#checkers?.tellTracked(results);
      },
      world: this.#reader.world,
    });
    await this.#watch.configure(this.#config);
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
    const read = this.#reader.read(this.#running);
    const { config, problems, files } = read;
    this.#reader.report(read);
    // A file so broken that the keyword is lost in it is held to what the running one says.
    const isStrict = config.globals.reload_strict ?? this.#config.globals.reload_strict ?? false;
    const refusal = refusalOf(problems, isStrict);
    if (refusal !== undefined) {
      const why = refusal.severity === "fatal" ? "" : " (reload_strict)";
      this.#say("error", `Reload refused${why}: the running configuration stays as it is`);
    } else {
      this.#presence.keep(config.daemon);
      this.#apply(config, files);
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
    this.#lifeScript?.kill();
    for (const side of this.#sides) side.stop();
    this.#settling.stop();
    notifySystemd("stopping");
    if (this.#config !== undefined) this.#say("info", "Stopping");
    this.#leaveWithoutRoles();
  }

  /** Goes on when all roles are dead or were never needed; the vrrp role may have died as MASTER. */
  #leaveWithoutRoles(): void {
    const { status } = this.#stopping!;
    if (this.#sides.some((side) => side.pid !== undefined)) return;
    if (this.#vrrp.isClean) this.#leave(status);
    else this.#vrrp.withdraw(() => this.#leave(status));
  }

  /** Ends the daemon; scripts that tell of the stop get a second for it, and the last one its own time. */
  #leave(status: number): void {
    const config = this.#config;
    const isLastScript = config?.globals.shutdown_script !== undefined;
    const isSending = this.#operate?.pid !== undefined;
    const isRunning = this.#notifier.isBusy || isScriptEnding();
    if (isRunning || isSending || isLastScript) void this.#leaveLate(status, config);
    else this.#end(status);
  }

  async #leaveLate(status: number, config: Config | undefined): Promise<void> {
    await Promise.all([
      this.#notifier.settle(LAST_SCRIPTS_MS),
      awaitEndingScripts(LAST_SCRIPTS_MS),
      this.#operate?.finish(),
    ]);
    if (config !== undefined) await this.#runLifeScript("shutdown", config);
    this.#end(status);
  }

  #end(status: number): void {
    this.#notifier.close();
    this.#vrrp.forgetState();
    this.#say("info", `Stopped ${this.#invocation.banner}`);
    const leaving = this.#presence.leave();
    this.#log.close();
    if (leaving === undefined) this.#finish(status);
    else void leaving.then(() => this.#finish(status));
  }

  #say(level: LogLevel, text: string): void {
    this.#log.write({ role: "", pid: process.pid }, level, text);
  }
}

function standingOf({ to, reason }: Extract<VrrpNews, { type: "state" }>): Standing {
  return to === "FAULT" ? { state: to, reason } : { state: to };
}
