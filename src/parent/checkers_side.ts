/** The parent's side of the checkers role: what it is told of the configuration and of VRRP. */

import type { DaemonOptions } from "../cli/options.ts";
import { checkersConduct } from "../config/conduct.ts";
import type { Config } from "../config/load.ts";
import { type Balancing, diffLvs, hasLvsWork, type LvsChange } from "../lvs/changes.ts";
import type { World } from "../config/world.ts";
import type { State } from "../vrrp/state.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import type { FromAnyRole } from "./common_channel.ts";
import type { FromCheckers, ToCheckers } from "./checkers_channel.ts";
import { type Household, Keeper, type Side } from "./keeper.ts";
import type { Programs } from "./programs.ts";
import { spawnRole } from "./supervisor.ts";

/** What the checkers role says that is news to others. */
export type CheckersNews = Exclude<FromCheckers, FromAnyRole | ProgramRequest>;

type ProgramRequest = Extract<FromCheckers, { type: "program" | "stop-program" }>;

/** What the side needs of its daemon. */
export interface CheckersHousehold extends Household {
  readonly argv0: string;
  readonly argv: readonly string[];
  readonly options: DaemonOptions;
  /** Absolute. */
  readonly pidFile: string;
  /** The instances whose state is known. */
  instances(): Iterable<readonly [name: string, state: State["name"]]>;
  /** Everything known of what is tracked outside the role. */
  tracked(): readonly TrackResult[];
  /** The machine, when a program has to be looked at. */
  world(): World;
  /** Something has happened to a real or virtual server. */
  news(message: CheckersNews): void;
}

/** Changes in a message. */
const PART = 64;

/** The checkers role, kept. */
export class CheckersSide implements Side {
  readonly #household: CheckersHousehold;
  readonly #keeper: Keeper<ToCheckers, FromCheckers>;
  #config: Config | undefined;
  /** What roles that have died were told: their services are still in the kernel. */
  #former: Balancing | undefined;
  #programs: Programs | undefined;
  /** Only the first start of a daemon removes what others have left. */
  #hasStarted = false;

  constructor(household: CheckersHousehold) {
    const { argv0, argv, pidFile } = household;
    this.#household = household;
    this.#keeper = new Keeper({
      title: "Healthcheck",
      ident: "healthcheckers",
      pidFile,
      spawn: () => spawnRole<ToCheckers, FromCheckers>(argv0, argv, undefined, "checkers"),
      isNeeded: () => this.#isNeeded,
      brief: () => this.#brief(),
      hear: (message) => this.#hear(message),
      // What its programs come to, nobody wants to know any more.
      left: () => this.#programs?.stopAll(),
    }, household);
  }

  get pid(): number | undefined {
    return this.#keeper.pid;
  }

  configure(config: Config): void {
    const before = this.#config;
    this.#config = config;
    this.#programs?.refresh();
    if (!this.#isNeeded) this.#dismiss();
    if (this.#keeper.ready(this.#isNeeded)) this.#tell(diffLvs(before, config));
    if (this.#keeper.pid === undefined) this.#former ??= before;
  }

  #hear(message: CheckersNews | ProgramRequest): void {
    if (message.type === "program" || message.type === "stop-program") void this.#serve(message);
    else this.#household.news(message);
  }

  /** What programs need is not loaded while there are none. */
  async #serve(request: ProgramRequest): Promise<void> {
    const { Programs } = await import("./programs.ts");
    if (this.#household.isStopping()) return;
    const programs = this.#programs ??= new Programs({
      say: (level, text) => this.#household.say(level, text),
      ended: (id, end) => this.#keeper.tell({ type: "program-end", id, end }),
      world: () => this.#household.world(),
      globals: () => this.#config!.globals,
    });
    if (request.type === "stop-program") programs.stop(request.id);
    else programs.run(request.id, request.script, request.timeoutUs);
  }

  /** Tells the role what has become of files and BFD sessions. */
  tellTracked(results: readonly TrackResult[]): void {
    this.#keeper.tell({ type: "tracked", results });
  }

  /** Nothing is left to do: unlike at the end of a parent, what is in the kernel goes. */
  #dismiss(): void {
    this.#keeper.tell({ type: "shutdown", keepServices: false });
  }

  /** A VRRP instance has changed its state. */
  hearInstance(instance: string, state: State["name"]): void {
    this.#keeper.tell({ type: "instance", instance, state });
  }

  settle(): void {
    this.#keeper.tell({ type: "settle" });
  }

  stop(): void {
    this.#programs?.stopAll();
    const { dontReleaseIpvs: keepServices } = this.#household.options;
    this.#keeper.stop({ type: "shutdown", keepServices });
  }

  get #isNeeded(): boolean {
    const { vrrpOnly, allRoles } = this.#household.options;
    return !vrrpOnly && (allRoles || hasLvsWork(this.#config));
  }

  /** Tells a new role everything, and what its predecessor may have left that is not wanted any more. */
  #brief(): void {
    const config = this.#config!;
    const fresh = diffLvs(undefined, config);
    if (this.#former === undefined) this.#tell(fresh);
    else {
      const old = diffLvs(undefined, this.#former);
      this.#tell([...old, ...diffLvs(this.#former, config)]);
    }
    this.#former = undefined;
    if (!this.#isNeeded) this.#dismiss();
  }

  #tell(changes: readonly LvsChange[]): void {
    const { options, pidFile } = this.#household;
    const { globals } = this.#config!;
    this.#keeper.tell({ type: "conduct", conduct: checkersConduct(globals) });
    for (const [instance, state] of this.#household.instances()) {
      this.#keeper.tell({ type: "instance", instance, state });
    }
    const results = this.#household.tracked();
    if (results.length > 0) this.tellTracked(results);
    // A few at a time, so that neither end needs memory for all of them twice.
    for (let at = 0; at === 0 || at < changes.length; at += PART) {
      const part = changes.slice(at, at + PART);
      this.#keeper.tell({
        type: "configure",
        changes: this.#hasStarted ? part.map(withoutFlush) : part,
        isPart: at + PART < changes.length,
        detail: options.logDetail > 0,
      });
    }
    this.#hasStarted = true;
    this.#keeper.tell({ type: "pid-file", path: pidFile });
    if (changes.length > 0) this.#household.starting();
  }
}

function withoutFlush(change: LvsChange): LvsChange {
  return change.type === "globals"
    ? { ...change, globals: { ...change.globals, flush: false } }
    : change;
}
