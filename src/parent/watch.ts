/**
 * What is watched from the parent for the vrrp role: scripts, files and processes that its instances track.
 * Loaded only when something of the kind is tracked.
 */

import { monotonicUs } from "../../ffi/timer.ts";
import type { Config } from "../config/load.ts";
import type { VrrpScript } from "../config/track.ts";
import type { World } from "../config/world.ts";
import type { LogLevel } from "../lib/log.ts";
import { receiveBuffer } from "../lib/receive_buffer.ts";
import { checkedFiles } from "../lvs/changes.ts";
import { trackedNames, trackingOf } from "../vrrp/trackers.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import type { startCheck } from "./builtin_checks.ts";
import { FileWatch } from "./file_watch.ts";
import type { ProcessWatch } from "./process_watch.ts";
import { type Run, type Runnable, runScript, vetScript } from "./script.ts";
import { type Clock, ScriptChecks } from "./script_checks.ts";

/** What the watch needs from its owner. */
export interface WatchOwner {
  say(level: LogLevel, text: string): void;
  /** Takes what has changed. */
  tell(results: readonly TrackResult[]): void;
  /** The machine, when a script has to be looked at. */
  world(): World;
}

const CLOCK: Clock = {
  now: monotonicUs,
  after(us, fire): () => void {
    const timer = setTimeout(fire, us / 1000);
    return () => clearTimeout(timer);
  },
};

/** Everything that is watched. */
export class Watch {
  readonly #owner: WatchOwner;
  readonly #scripts: ScriptChecks;
  readonly #files: FileWatch;
  readonly #vetted = new Map<string, Runnable | "disabled">();
  /** Loaded when there is something to check. */
  #startCheck: typeof startCheck | undefined;
  #processes: ProcessWatch | undefined;
  #config: Config | undefined;
  #isStopped = false;
  /** What is found out while a configuration is taken over, to be told at once: it is one change of priority. */
  #found: TrackResult[] | undefined;

  constructor(owner: WatchOwner) {
    this.#owner = owner;
    const say = owner.say.bind(owner);
    const tell = (result: TrackResult): void => this.#tell(result);
    this.#scripts = new ScriptChecks({
      clock: CLOCK,
      run: (script) => this.#run(script),
      say,
      tell,
    });
    this.#files = new FileWatch(say, tell);
  }

  #tell(result: TrackResult): void {
    if (this.#found === undefined) this.#owner.tell([result]);
    else this.#found.push(result);
  }

  /** What is to be watched from now on; resolves when it is, and what was there to be seen has been told. */
  async configure(config: Config): Promise<void> {
    this.#found ??= [];
    try {
      await this.#watch(config);
    } finally {
      const found = this.#found;
      this.#found = undefined;
      if (found !== undefined && found.length > 0) this.#owner.tell(found);
    }
  }

  async #watch(config: Config): Promise<void> {
    this.#config = config;
    this.#vetted.clear();
    const tracking = trackingOf(config);
    const scripts = trackedNames(tracking, "script");
    const files = trackedNames(tracking, "file").union(checkedFiles(config));
    this.#files.configure((config.track_files ?? []).filter(({ name }) => files.has(name)));
    const wantedScripts = (config.vrrp_scripts ?? []).filter(({ name }) => scripts.has(name));
    if (wantedScripts.some(({ check }) => check !== undefined)) {
      this.#startCheck = (await import("./builtin_checks.ts")).startCheck;
      if (this.#isStopped || this.#config !== config) return;
    }
    this.#scripts.configure(wantedScripts);
    const processes = trackedNames(tracking, "process");
    if (processes.size === 0 && this.#processes === undefined) return;
    const { ProcessWatch } = await import("./process_watch.ts");
    if (this.#isStopped || this.#config !== config) return;
    const { say } = this.#owner;
    const tell = (result: TrackResult): void => this.#tell(result);
    this.#processes ??= new ProcessWatch({ clock: CLOCK, say, tell });
    const wanted = (config.track_processes ?? []).filter(({ name }) => processes.has(name));
    const { process_monitor_rcv_bufs: bytes, process_monitor_rcv_bufs_force: force } =
      config.globals;
    this.#processes.configure(wanted, receiveBuffer(bytes, force));
    if (wanted.length > 0) return;
    // Who tracks none any more is not to be woken by every process of the machine.
    this.#processes.stop();
    this.#processes = undefined;
  }

  /** All that is known so far, for a role that has just been started. */
  get results(): TrackResult[] {
    const processes = this.#processes?.results ?? [];
    return [...this.#scripts.results, ...this.#files.results, ...processes];
  }

  /** Ends all runs; nothing is watched any more. */
  stop(): void {
    this.#isStopped = true;
    this.#scripts.stop();
    this.#files.stop();
    this.#processes?.stop();
  }

  #run({ name, script, check }: VrrpScript): Run | "disabled" {
    if (check !== undefined) return this.#startCheck!(check);
    let found = this.#vetted.get(name);
    if (found === undefined) {
      const verdict = vetScript(script!, this.#config!.globals, this.#owner.world());
      if ("why" in verdict) {
        const text = `Disabling track script ${name} - ${verdict.why} (${verdict.hint})`;
        this.#owner.say("error", text);
      }
      found = "why" in verdict ? "disabled" : verdict;
      this.#vetted.set(name, found);
    }
    return found === "disabled" ? found : runScript(found, [], {});
  }
}
