/**
 * Who is told when an instance changes its state: its scripts, and the FIFOs. Scripts of one instance run one
 * after the other, in the order of the events; the next one starts when the one before has ended, or
 * after five seconds. Nothing here can delay an advert: the vrrp role only sends a message.
 */

import type { Config } from "../config/load.ts";
import type { Script, VrrpInstance } from "../config/vrrp.ts";
import type { World } from "../config/world.ts";
import type { LogLevel } from "../lib/log.ts";
import { FifoWriter } from "./fifo.ts";
import { type Runnable, type RunningScript, runScript, vetScript } from "./script.ts";

/** How long a script keeps the next one of its instance waiting, in milliseconds. */
const PATIENCE_MS = 5000;

/** What scripts and FIFOs are told. */
export type NotifyState = "MASTER" | "BACKUP" | "FAULT" | "STOP" | "DELETED";

/** One change of one instance. */
export interface NotifyEvent {
  readonly instance: string;
  readonly state: NotifyState;
  /** The state before. */
  readonly previous: string;
  /** Effective priority. */
  readonly priority: number;
}

type Say = (level: LogLevel, text: string) => void;

interface Waiting {
  readonly script: Runnable;
  readonly words: readonly string[];
  readonly context: Readonly<Record<string, string>>;
  readonly what: string;
}

/** The scripts of one instance, in order. */
class Queue {
  readonly #say: Say;
  readonly #waiting: Waiting[] = [];
  #current: { readonly script: RunningScript; readonly timer: NodeJS.Timeout } | undefined;
  #onIdle: (() => void)[] = [];

  constructor(say: Say) {
    this.#say = say;
  }

  get isIdle(): boolean {
    return this.#current === undefined && this.#waiting.length === 0;
  }

  add(entry: Waiting): void {
    this.#waiting.push(entry);
    if (this.#current === undefined) this.#next();
  }

  /** Resolves when nothing is left to run. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #next(): void {
    this.#current = undefined;
    const entry = this.#waiting.shift();
    if (entry === undefined) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
      return;
    }
    const { what } = entry;
    try {
      const script = runScript(entry.script, entry.words, entry.context);
      const timer = setTimeout(() => {
        this.#say(
          "warning",
          `${what} has run for ${PATIENCE_MS / 1000} s, the next one starts beside it`,
        );
        this.#next();
      }, PATIENCE_MS);
      timer.unref();
      const current = { script, timer };
      this.#current = current;
      void script.ended.then(({ status, signal, durationMs }) => {
        clearTimeout(timer);
        const how = signal === null ? `status ${status}` : `signal ${signal}`;
        const took = `after ${(durationMs / 1000).toFixed(1)} s`;
        if (status !== 0) this.#say("warning", `${what} ended with ${how} ${took}`);
        if (this.#current === current) this.#next();
      });
    } catch (error) {
      this.#say("error", `${what} cannot be run: ${String(error)}`);
      this.#next();
    }
  }
}

/** The notifications of a configuration. */
export class Notifier {
  readonly #say: Say;
  readonly #world: () => World;
  readonly #queues = new Map<string, Queue>();
  readonly #vetted = new Map<string, Runnable | undefined>();
  readonly #readers = new Map<string, { readonly line: string; readonly script: RunningScript }>();
  #fifos: readonly { readonly name: string; readonly writer: FifoWriter }[] = [];
  #config: Config | undefined;
  #instances = new Map<string, VrrpInstance>();
  /** Taken out of the configuration, but not yet gone. */
  readonly #removed = new Map<string, VrrpInstance>();

  /** `say` takes log lines; `world` shows the machine when a script has to be looked at. */
  constructor(say: Say, world: () => World) {
    this.#say = say;
    this.#world = world;
  }

  /** What is to be told from now on, and to whom; opens the FIFOs and starts their readers. */
  configure(config: Config): void {
    const before = this.#instances;
    this.#config = config;
    this.#instances = new Map(config.vrrp_instances.map((one) => [one.name, one]));
    // What a reload has removed is told once more that it is gone.
    for (const [name, instance] of before) {
      if (this.#instances.has(name)) this.#removed.delete(name);
      else this.#removed.set(name, instance);
    }
    this.#vetted.clear();
    this.#openFifos(config);
  }

  /** Tells everybody of a change. */
  tell(event: NotifyEvent): void {
    const removed = this.#removed.get(event.instance);
    const known = removed ?? this.#instances.get(event.instance);
    if (known === undefined) return;
    const isGone = removed !== undefined && event.state === "STOP";
    if (isGone) this.#removed.delete(event.instance);
    const isSaid = known.notify_deleted !== undefined;
    const state = !isGone ? event.state : isSaid ? "DELETED" : "FAULT";
    const told = { ...event, state };
    const own = ownScript(known, state);
    if (own !== undefined) this.#run(known, own.keyword, own.script, [], told);
    if (known.notify !== undefined) {
      const words = ["INSTANCE", known.name, state, `${event.priority}`];
      this.#run(known, "notify", known.notify, words, told);
    }
    this.#write(`INSTANCE "${known.name}" ${state} ${event.priority}\n`);
  }

  /** Resolves when every script has ended, or after `ms`. */
  async settle(ms: number): Promise<void> {
    const all = Promise.all([...this.#queues.values()].map((queue) => queue.idle()));
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([all, limit]);
    clearTimeout(timer);
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
    instance: VrrpInstance,
    keyword: string,
    script: Script,
    words: readonly string[],
    event: NotifyEvent,
  ): void {
    const what = `(${instance.name}) ${keyword} script ${script.argv[0]}`;
    const runnable = this.#vet(script, what);
    if (runnable === undefined) return;
    let queue = this.#queues.get(instance.name);
    if (queue === undefined) this.#queues.set(instance.name, queue = new Queue(this.#say));
    const context = {
      UPKEEP_INSTANCE: event.instance,
      UPKEEP_STATE: event.state,
      UPKEEP_PREVIOUS: event.previous,
      UPKEEP_PRIORITY: `${event.priority}`,
    };
    queue.add({ script: runnable, words, context, what });
  }

  /** What a script is run as; undefined, said once, when it will not be. */
  #vet(script: Script, what: string): Runnable | undefined {
    const key = JSON.stringify(script);
    if (this.#vetted.has(key)) return this.#vetted.get(key);
    const found = vetScript(script, this.#config!.globals, this.#world());
    const runnable = "why" in found ? undefined : found;
    if ("why" in found) this.#say("error", `${what} is not run: ${found.why} (${found.hint})`);
    this.#vetted.set(key, runnable);
    return runnable;
  }

  #write(line: string): void {
    for (const { name, writer } of this.#fifos) {
      if (!writer.write(line)) {
        this.#say("warning", `${name} ${writer.path} takes no more: lost ${line.trim()}`);
      }
    }
  }

  #openFifos(config: Config): void {
    const { notify_fifo, vrrp_notify_fifo } = config.globals;
    const wanted = [
      { name: "notify_fifo", fifo: notify_fifo, script: config.globals.notify_fifo_script },
      {
        name: "vrrp_notify_fifo",
        fifo: vrrp_notify_fifo?.path === notify_fifo?.path ? undefined : vrrp_notify_fifo,
        script: config.globals.vrrp_notify_fifo_script,
      },
    ];
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
    name: string,
    fifo: NonNullable<Config["globals"]["notify_fifo"]>,
  ): readonly { name: string; writer: FifoWriter }[] {
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
        this.#say("warning", `${name}_script ended with ${signal ?? `status ${status}`}`);
      });
    } catch (error) {
      this.#say("error", `${name}_script cannot be run: ${String(error)}`);
    }
  }
}

/** The script that is only run for one state. */
function ownScript(
  instance: VrrpInstance,
  state: NotifyState,
): { readonly keyword: string; readonly script: Script } | undefined {
  const of = (keyword: string, script: Script | undefined): ReturnType<typeof ownScript> =>
    script === undefined ? undefined : { keyword, script };
  switch (state) {
    case "MASTER":
      return of("notify_master", instance.notify_master);
    case "BACKUP":
      return of("notify_backup", instance.notify_backup);
    case "FAULT":
      return of("notify_fault", instance.notify_fault);
    case "STOP":
      return of("notify_stop", instance.notify_stop);
    case "DELETED":
      return of("notify_deleted", instance.notify_deleted?.script);
  }
}
