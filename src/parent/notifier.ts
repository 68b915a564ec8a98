/**
 * Who is told when an instance or a sync group changes its state: its scripts, and the FIFOs. Scripts of one
 * of them run one after the other, in the order of the events; the next one starts when the one before
 * has ended, or after five seconds. Nothing here can delay an advert: the vrrp role only sends a message.
 */

import type { Config } from "../config/load.ts";
import type { VrrpSyncGroup } from "../config/sync_group.ts";
import type { Script, VrrpInstance } from "../config/vrrp.ts";
import type { World } from "../config/world.ts";
import type { LogLevel } from "../lib/log.ts";
import type { FromRole } from "./channel.ts";
import type { FromCheckers } from "./checkers_channel.ts";
import type { Change } from "./alerts.ts";
import { FifoWriter } from "./fifo.ts";
import {
  type Runnable,
  type RunningScript,
  runScript,
  type ScriptEnd,
  vetScript,
} from "./script.ts";
import { ScriptQueue, type Waiting } from "./script_queue.ts";

/** What the role says that is for scripts and FIFOs. */
type News = Extract<FromRole, { type: "state" | "group" | "priority" | "lower-priority" }>;

/** What the checkers role says that is for them. */
type ServerNews = Extract<FromCheckers, { type: "real-server" | "quorum" }>;

/** What scripts and FIFOs are told. */
type NotifyState = "MASTER" | "BACKUP" | "FAULT" | "STOP" | "DELETED";

/** What FIFO lines and the words of `notify` begin with. */
type Kind = "INSTANCE" | "GROUP";

/** Whose scripts are run. */
type Owner = Pick<
  VrrpInstance,
  | "name"
  | "notify"
  | "notify_master"
  | "notify_backup"
  | "notify_fault"
  | "notify_stop"
  | "notify_deleted"
  | "notify_webhook"
  | "smtp_alert"
>;

/** A change as scripts and FIFOs are told of it. */
interface Told {
  readonly state: NotifyState | "MASTER_RX_LOWER_PRI";
  readonly previous: string;
  readonly priority: number;
  readonly reason?: string;
  readonly peer?: string;
}

type Say = (level: LogLevel, text: string) => void;

/** Which FIFOs an event goes to besides the one for all. */
type FifoName = "vrrp_notify_fifo" | "lvs_notify_fifo";

interface OpenFifo {
  readonly name: "notify_fifo" | FifoName;
  readonly writer: FifoWriter;
}

/** From a configuration to a look at its scripts. */
const REVIEW_MS = 1000;

/** The notifications of a configuration. */
export class Notifier {
  readonly #say: Say;
  readonly #world: () => World;
  readonly #alert: (change: Change) => void;
  readonly #queues = new Map<string, ScriptQueue>();
  readonly #vetted = new Map<string, Runnable | undefined>();
  readonly #readers = new Map<string, { readonly line: string; readonly script: RunningScript }>();
  #fifos: readonly OpenFifo[] = [];
  #config: Config | undefined;
  #instances = new Map<string, VrrpInstance>();
  #groups = new Map<string, VrrpSyncGroup>();
  /** Taken out of the configuration, but not yet gone. */
  readonly #removed = new Map<string, VrrpInstance>();
  readonly #ends = new Map<string, ScriptEnd>();
  /** What FIFOs were told last, by kind and name. */
  readonly #last = new Map<string, { readonly state: string; readonly priority: number }>();

  /**
   * `say` takes log lines; `world` shows the machine when a script has to be looked at; `alert` takes what
   * scripts have been told, for those who are elsewhere.
   */
  constructor(say: Say, world: () => World, alert: (change: Change) => void) {
    this.#say = say;
    this.#world = world;
    this.#alert = alert;
  }

  /** What is to be told from now on, and to whom; opens the FIFOs and starts their readers. */
  configure(config: Config): void {
    const before = this.#instances;
    this.#config = config;
    this.#instances = new Map(config.vrrp_instances.map((one) => [one.name, one]));
    this.#groups = new Map((config.vrrp_sync_groups ?? []).map((one) => [one.name, one]));
    // What a reload has removed is told once more that it is gone.
    for (const [name, instance] of before) {
      if (this.#instances.has(name)) this.#removed.delete(name);
      else this.#removed.set(name, instance);
    }
    this.#vetted.clear();
    this.#openFifos(config);
    if (mayRunScripts(config)) this.#reviewSoon(config);
  }

  /** A script that will not run is found out before it is needed, but not while the daemon starts. */
  #reviewSoon(config: Config): void {
    const timer = setTimeout(() => {
      if (this.#config === config) void review();
    }, REVIEW_MS);
    timer.unref();
    const review = async (): Promise<void> => {
      const { reviewScripts } = await import("./script_review.ts");
      if (this.#config === config) reviewScripts(config, this.#world(), this.#say);
    };
  }

  /** Tells everybody of a change. */
  tell(news: News): void {
    switch (news.type) {
      case "state":
        this.#tellOfInstance(news);
        return;
      case "group": {
        const { group, from: previous, to, reason, peer } = news;
        const known = this.#groups.get(group);
        if (known === undefined) return;
        const state = to === "INIT" ? "STOP" : to;
        // The priority of a group is always 0.
        this.#tellOf("GROUP", known, { state, previous, priority: 0, ...about(reason, peer) });
        return;
      }
      case "lower-priority":
        this.#tellOfLowerPriority(news);
        return;
      case "priority":
        this.#tellOfPriority(news);
        return;
    }
  }

  /** No script is run for these; to FIFOs whoever is no MASTER is BACKUP. */
  #tellOfPriority(
    { instance, state, priority, isWanted }: Extract<News, { type: "priority" }>,
  ): void {
    if (state !== "INIT") this.#last.set(`INSTANCE ${instance}`, { state, priority });
    if (!isWanted) return;
    const word = state === "MASTER" ? "MASTER_PRIORITY" : "BACKUP_PRIORITY";
    this.#write(`INSTANCE "${instance}" ${word} ${priority}\n`);
  }

  /** Tells everybody of a real server or a quorum. */
  tellOfServer(news: ServerNews): void {
    const { type, service, isUp, script } = news;
    const state = isUp ? "UP" : "DOWN";
    const isReal = type === "real-server";
    if (script !== undefined) {
      const keyword = `${isReal ? "notify" : "quorum"}_${state.toLowerCase()}`;
      const name = isReal ? `${news.server} of ${service}` : service;
      this.#runScript(`${type} ${name}`, script, [], {
        UPKEEP_VIRTUAL_SERVER: service,
        ...(isReal ? { UPKEEP_REAL_SERVER: news.server } : {}),
        UPKEEP_STATE: state,
      }, `(${name}) ${keyword} script ${script.argv[0]}`);
    }
    const line = isReal ? `RS ${news.server} ${service} ${state}` : `VS ${service} ${state}`;
    // keepalived writes the end of its string, too.
    this.#write(`${line}\n\0`, "lvs_notify_fifo");
  }

  /** Such adverts may come often: while a script for one waits, the next ones need none. */
  #tellOfLowerPriority(news: Extract<News, { type: "lower-priority" }>): void {
    const { instance, priority, peer, peerPriority } = news;
    const known = this.#instances.get(instance);
    if (known === undefined) return;
    const script = known.notify_master_rx_lower_pri;
    const reason = `an advert of priority ${peerPriority} was received`;
    const state = "MASTER_RX_LOWER_PRI";
    const told = { state, previous: "MASTER", priority, reason, peer } as const;
    const keyword = "notify_master_rx_lower_pri";
    if (script !== undefined) this.#run("INSTANCE", known, keyword, script, [], told);
    this.#write(`INSTANCE "${instance}" ${state} ${priority}\n`);
  }

  #tellOfInstance(news: Extract<News, { type: "state" }>): void {
    const { instance, from, to, priority, reason, peer } = news;
    const removed = this.#removed.get(instance);
    const known = removed ?? this.#instances.get(instance);
    if (known === undefined) return;
    const isGone = removed !== undefined && to === "INIT";
    if (isGone) this.#removed.delete(instance);
    const last = known.notify_deleted === undefined ? "FAULT" : "DELETED";
    const state = isGone ? last : to === "INIT" ? "STOP" : to;
    const told = { state, previous: from, priority, ...about(reason, peer) } as const;
    this.#tellOf("INSTANCE", known, told, isGone);
  }

  /** One that a reload has removed is in FAULT to everybody but the script for that. */
  #tellOf(
    kind: Kind,
    owner: Owner,
    told: Told & { readonly state: NotifyState },
    isGone = false,
  ): void {
    const { name, notify } = owner;
    const { state, priority } = told;
    const own = isGone && state === "FAULT" ? undefined : ownScript(owner, state);
    if (own !== undefined) this.#run(kind, owner, own.keyword, own.script, [], told);
    if (notify !== undefined) {
      this.#run(kind, owner, "notify", notify, [kind, name, state, `${priority}`], told);
    }
    this.#write(`${kind} "${name}" ${state} ${priority}\n`);
    this.#last.set(`${kind} ${name}`, told);
    this.#alert({ type: "change", kind, owner, ...told });
  }

  /** A reload is over: the FIFOs are told all states again, where that is asked for. */
  repeatStates(): void {
    if (this.#config?.globals.fifo_write_vrrp_states_on_reload !== true) return;
    const all = [
      ...[...this.#groups.keys()].map((name) => ["GROUP", name] as const),
      ...[...this.#instances.keys()].map((name) => ["INSTANCE", name] as const),
    ];
    for (const [kind, name] of all) {
      const last = this.#last.get(`${kind} ${name}`);
      if (last !== undefined) this.#write(`${kind} "${name}" ${last.state} ${last.priority}\n`);
    }
  }

  /** The end: resolves when every script has ended, or after `ms`, of which those that wait get half. */
  async settle(ms: number): Promise<void> {
    const queues = [...this.#queues.values()];
    const all = Promise.all(queues.map((queue) => queue.idle()));
    await Promise.race([all, Bun.sleep(ms / 2)]);
    if (!this.isBusy) return;
    for (const queue of queues) queue.hurry();
    await Promise.race([all, Bun.sleep(ms / 2)]);
  }

  /** How each script has ended last, by whose and which it is: `(NAME) KEYWORD script PATH`. */
  get ends(): ReadonlyMap<string, ScriptEnd> {
    return this.#ends;
  }

  /** Whether a script runs or waits. */
  get isBusy(): boolean {
    return [...this.#queues.values()].some((queue) => !queue.isIdle);
  }

  /** Closes the FIFOs and ends their readers. */
  close(): void {
    for (const { script } of this.#readers.values()) script.kill("SIGTERM");
    this.#readers.clear();
    for (const { writer } of this.#fifos) writer.close();
    this.#fifos = [];
  }

  #run(
    kind: Kind,
    { name }: Owner,
    keyword: string,
    script: Script,
    words: readonly string[],
    told: Told,
  ): void {
    this.#runScript(`${kind} ${name}`, script, words, {
      [`UPKEEP_${kind}`]: name,
      UPKEEP_STATE: told.state,
      UPKEEP_PREVIOUS: told.previous,
      UPKEEP_PRIORITY: `${told.priority}`,
      ...(told.reason === undefined ? {} : { UPKEEP_REASON: told.reason }),
      ...(told.peer === undefined ? {} : { UPKEEP_PEER: told.peer }),
    }, `(${name}) ${keyword} script ${script.argv[0]}`);
  }

  /** Runs a script after those that were started before it under the same key. */
  #runScript(
    key: string,
    script: Script,
    words: readonly string[],
    context: Waiting["context"],
    what: string,
  ): void {
    const runnable = this.#vet(script, what);
    if (runnable === undefined) return;
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      this.#queues.set(
        key,
        queue = new ScriptQueue(
          this.#say,
          () => this.#config?.globals.notify_timeout,
          (name, end) => this.#ends.set(name, end),
        ),
      );
    }
    const isRepetitive = context["UPKEEP_STATE"] === "MASTER_RX_LOWER_PRI";
    queue.add({ script: runnable, words, context, what }, isRepetitive);
  }

  /** What a script is run as; undefined, said once, while it cannot be. */
  #vet(script: Script, what: string): Runnable | undefined {
    const key = JSON.stringify(script);
    const known = this.#vetted.get(key);
    if (known !== undefined) return known;
    const found = vetScript(script, this.#config!.globals, this.#world());
    const runnable = "why" in found ? undefined : found;
    if ("why" in found && !this.#vetted.has(key)) {
      this.#say("error", `${what} is not run: ${found.why} (${found.hint})`);
    }
    this.#vetted.set(key, runnable);
    return runnable;
  }

  #write(line: string, kind: FifoName = "vrrp_notify_fifo"): void {
    for (const { name, writer } of this.#fifos) {
      if (name !== "notify_fifo" && name !== kind) continue;
      if (!writer.write(line)) {
        this.#say("warning", `${name} ${writer.path} takes no more: lost ${line.trim()}`);
      }
    }
  }

  #openFifos(config: Config): void {
    const { globals } = config;
    const taken = new Set<string>();
    const wanted = (["notify_fifo", "vrrp_notify_fifo", "lvs_notify_fifo"] as const).map((name) => {
      const { [name]: fifo, [`${name}_script` as const]: script } = globals;
      // One path is one FIFO with one reader; what goes to the FIFO for all goes to no other.
      const isTwin = name !== "notify_fifo" && fifo?.path === globals.notify_fifo?.path;
      const isRead = fifo !== undefined && taken.has(fifo.path);
      if (fifo !== undefined && script !== undefined) taken.add(fifo.path);
      return { name, fifo: isTwin ? undefined : fifo, script: isRead ? undefined : script };
    });
    const before = this.#fifos;
    this.#fifos = wanted.flatMap(({ name, fifo }) => {
      if (fifo === undefined) return [];
      const open = before.find((one) => one.name === name && one.writer.path === fifo.path);
      return open === undefined ? this.#openFifo(name, fifo) : [open];
    });
    for (const old of before) if (!this.#fifos.includes(old)) old.writer.close();
    for (const { name, fifo, script } of wanted) {
      this.#startReader(name, fifo?.path, script);
    }
  }

  #openFifo(
    name: OpenFifo["name"],
    fifo: NonNullable<Config["globals"]["notify_fifo"]>,
  ): readonly OpenFifo[] {
    const owner = vetScript(
      { argv: ["/"], ...(fifo.user === undefined ? {} : { user: fifo.user }) },
      this.#config!.globals,
      this.#world(),
    );
    const { uid, gid } = "why" in owner ? { uid: 0, gid: 0 } : owner;
    try {
      return [{ name, writer: new FifoWriter(fifo.path, uid, gid) }];
    } catch (error) {
      this.#say("error", `Unable to open ${name} ${fifo.path}: ${String(error)}`);
      return [];
    }
  }

  /** The program that reads a FIFO: started with its path, ended when it is not wanted any more. */
  #startReader(name: string, path: string | undefined, script: Script | undefined): void {
    const line = path === undefined || script === undefined ? "" : JSON.stringify([path, script]);
    const running = this.#readers.get(name);
    if (running?.line === line) return;
    running?.script.kill("SIGTERM");
    this.#readers.delete(name);
    if (path === undefined || script === undefined) return;
    const runnable = this.#vet(script, `${name}_script ${script.argv[0]}`);
    if (runnable === undefined) return;
    try {
      const reader = runScript(runnable, [path], {});
      this.#readers.set(name, { line, script: reader });
      void reader.ended.then(({ status, signal }) => {
        if (this.#readers.get(name)?.script !== reader) return;
        this.#readers.delete(name);
        const how = signal === null ? `status ${status}` : `signal ${signal}`;
        this.#say("warning", `${name.replaceAll("_", " ")} script terminated (${how})`);
      });
    } catch (error) {
      this.#say("error", `${name}_script cannot be run: ${String(error)}`);
    }
  }
}

/** What is known of a cause. */
function about(reason?: string, peer?: string): Pick<Told, "reason" | "peer"> {
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(peer === undefined ? {} : { peer }),
  };
}

/** Whether there can be a script in a configuration. */
function mayRunScripts(config: Config): boolean {
  const { globals, vrrp_instances, vrrp_sync_groups = [], vrrp_scripts, virtual_servers } = config;
  const owners: readonly Owner[] = [...vrrp_instances, ...vrrp_sync_groups];
  const isTelling = (one: Owner): boolean =>
    one.notify !== undefined || STATES.some((state) => ownScript(one, state) !== undefined);
  return vrrp_scripts !== undefined || virtual_servers !== undefined ||
    Object.keys(globals).some((name) => name.endsWith("_script")) || owners.some(isTelling) ||
    vrrp_instances.some((one) => one.notify_master_rx_lower_pri !== undefined);
}

const STATES: readonly NotifyState[] = ["MASTER", "BACKUP", "FAULT", "STOP", "DELETED"];

/** The script that is only run for one state. */
function ownScript(
  owner: Owner,
  state: NotifyState,
): { readonly keyword: string; readonly script: Script } | undefined {
  const of = (keyword: string, script: Script | undefined): ReturnType<typeof ownScript> =>
    script === undefined ? undefined : { keyword, script };
  switch (state) {
    case "MASTER":
      return of("notify_master", owner.notify_master);
    case "BACKUP":
      return of("notify_backup", owner.notify_backup);
    case "FAULT":
      return of("notify_fault", owner.notify_fault);
    case "STOP":
      return of("notify_stop", owner.notify_stop);
    case "DELETED":
      return of("notify_deleted", owner.notify_deleted?.script);
  }
}
