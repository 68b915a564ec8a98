/** The parent's side of the checkers role: what it is told of the configuration and of VRRP. */

import { collectYoung } from "../../ffi/collector.ts";
import type { DaemonOptions } from "../cli/options.ts";
import { checkersConduct } from "../config/conduct.ts";
import type { Config } from "../config/load.ts";
import { type Balancing, byKey, diffLvs, hasLvsWork, type LvsChange } from "../lvs/changes.ts";
import { stateFileOf } from "../lib/path.ts";
import type { Remains } from "../lvs/kept.ts";
import { KnownPools } from "../lvs/known.ts";
import { thin } from "../lvs/likeness.ts";
import { namesOf, type OrderRequest, type StandingOrder } from "../lvs/orders.ts";
import { idsOf } from "../lvs/services.ts";
import type { IpvsTimeouts } from "../netlink/ipvs_control.ts";
import type { World } from "../config/world.ts";
import { assignMarks } from "../lvs/marks.ts";
import type { State } from "../vrrp/state.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import { CheckersFile } from "./checkers_file.ts";
import type { FromAnyRole } from "./common_channel.ts";
import type { FromCheckers, ToCheckers } from "./checkers_channel.ts";
import { type Household, Keeper, type Side } from "./keeper.ts";
import { type OrderAnswer, OrderDesk } from "./order_desk.ts";
import type { Programs } from "./programs.ts";
import { hereAndNow } from "./state_file.ts";
import { spawnRole } from "./supervisor.ts";

/** What the checkers role says that is news to others. */
export type CheckersNews = Extract<FromCheckers, { type: "real-server" | "check" | "quorum" }>;

type ProgramRequest = Extract<FromCheckers, { type: "program" | "stop-program" }>;

/** What the side needs of its daemon. */
export interface CheckersHousehold extends Household {
  readonly argv0: string;
  readonly argv: readonly string[];
  readonly options: DaemonOptions;
  /** Absolute. */
  readonly pidFile: string;
  /** The path of the network namespace whose IPVS is used; undefined is our own. */
  readonly ipvsNamespace: string | undefined;
  /** The instances whose state is known. */
  instances(): Iterable<readonly [name: string, state: State["name"]]>;
  /** Everything known of what is tracked outside the role. */
  tracked(): readonly TrackResult[];
  /** The machine, when a program has to be looked at. */
  world(): World;
  /** Something has happened to a real or virtual server. */
  news(message: CheckersNews): void;
}

/** How long what follows a change has the machine to itself, in milliseconds. */
const REMEMBER_MS = 500;
/** Changes in a message. */
const PART = 64;
/** Changes after which what they have left is collected. */
const COLLECTED = 8 * PART;

/** The checkers role, kept. */
export class CheckersSide implements Side {
  readonly #household: CheckersHousehold;
  readonly #keeper: Keeper<ToCheckers, FromCheckers>;
  #config: (Config & Pick<Balancing, "marks">) | undefined;
  /** What roles that have died were told: their services are still in the kernel. */
  #former: Balancing | undefined;
  /** What the role, or one that has died, has told of its pools. */
  readonly #known = new KnownPools();
  /** What the kernel's timeouts were before a role has set them. */
  #timeouts: IpvsTimeouts | undefined;
  /** Services that a daemon before this one may have left. */
  #left: readonly string[] = [];
  readonly #file: CheckersFile;
  readonly #desk: OrderDesk;
  /** The file tells of another configuration. */
  #isStale = false;
  #programs: Programs | undefined;
  /** The role has been told of changes and is at work on them. */
  #isStarting = false;
  /** Only the first start of a daemon removes what others have left. */
  #hasStarted = false;

  constructor(household: CheckersHousehold) {
    const { argv0, argv, pidFile } = household;
    this.#household = household;
    // The executable's start is interpreted; what thousands of servers have to say is worth compiling.
    Bun.unsafe.setJITPolicy(1);
    this.#file = new CheckersFile(stateFileOf(pidFile), household.say);
    this.#desk = new OrderDesk({
      file: this.#file,
      say: household.say,
      names: () => namesOf(byKey(this.#config)),
      tell: (id, orders) => {
        this.#keeper.tell({ type: "orders", id, orders });
        return this.#keeper.pid !== undefined;
      },
    });
    this.#keeper = new Keeper({
      title: "Healthcheck",
      ident: "healthcheckers",
      pidFile,
      spawn: () => spawnRole<ToCheckers, FromCheckers>(argv0, argv, undefined, "checkers"),
      isNeeded: () => this.#isNeeded,
      brief: () => this.#brief(),
      hear: (message) => this.#hear(message),
      configured: () => this.#noteConfigured(),
      left: (status) => {
        // What its programs come to, nobody wants to know any more.
        this.#programs?.stopAll();
        this.#desk.left();
        if (status === 0) this.#forget();
      },
    }, household);
  }

  get pid(): number | undefined {
    return this.#keeper.pid;
  }

  configure(next: Config): void {
    const before = this.#config;
    // Marks stay with their groups, through reloads and new roles.
    const marks = assignMarks(next, before?.marks);
    const config = marks === undefined ? next : { ...next, marks };
    this.#config = config;
    if (before === undefined) this.#recover();
    this.#programs?.refresh();
    if (!this.#isNeeded) this.#dismiss();
    if (this.#keeper.ready(this.#isNeeded)) {
      const changes = diffLvs(before, config);
      this.#known.follow(changes);
      this.#tell(changes);
    }
    if (this.#keeper.pid === undefined) this.#former ??= before;
    this.#desk.review();
    if (config !== before) this.#isStale = true;
  }

  // --- what a daemon leaves that dies as a whole ---

  #recover(): void {
    const { path, remains } = this.#file;
    if (remains === undefined || remains.whereabouts !== this.#whereabouts) return;
    this.#left = remains.services;
    this.#timeouts = remains.timeouts;
    this.#household.say("info", `Going on from what ${path} says of a predecessor's services`);
  }

  /** The table is complete: writes down what would be left, when what is more urgent has been done. */
  #remember(): void {
    if (!this.#isStale) return;
    this.#isStale = false;
    setTimeout(() => {
      if (this.#household.isStopping() || !this.#isNeeded) return;
      this.#file.keepRemains(this.#remains(this.#timeouts));
    }, REMEMBER_MS).unref();
  }

  /** A role has taken everything back, but for services that are to stay. */
  #forget(): void {
    const isKept = this.#household.isStopping() && this.#household.options.dontReleaseIpvs;
    this.#file.keepRemains(isKept ? this.#remains(undefined) : undefined);
  }

  #remains(timeouts: IpvsTimeouts | undefined): Remains {
    const services = diffLvs(undefined, this.#config!)
      .flatMap((change) => change.type === "add" ? idsOf(change.balanced) : []);
    const whereabouts = this.#whereabouts;
    return { whereabouts, services, ...(timeouts === undefined ? {} : { timeouts }) };
  }

  /** The kernel's table that is ours, of all that there ever are. */
  get #whereabouts(): string {
    const { boot, namespace } = hereAndNow();
    const elsewhere = this.#config?.daemon?.net_namespace_ipvs ?? "";
    return `${boot} ${namespace} ${elsewhere}`.trimEnd();
  }

  /** Only now the start, or what a reload is to it, is over: giving back before that would cost it dear. */
  #noteConfigured(): void {
    if (this.#isStarting) this.#household.starting();
    this.#isStarting = false;
    this.#remember();
  }

  /** Carries out what an operator wants of a real server; resolves when it is done. */
  order(request: OrderRequest): Promise<OrderAnswer> {
    return this.#desk.take(request);
  }

  /** The orders that stand. */
  get orders(): readonly StandingOrder[] {
    return this.#desk.orders;
  }

  #hear(message: Exclude<FromCheckers, FromAnyRole>): void {
    switch (message.type) {
      case "program":
      case "stop-program":
        void this.#serve(message);
        return;
      case "obeyed":
        this.#desk.obeyed(message.id);
        return;
      case "timeouts":
        this.#timeouts = message.before;
        this.#isStale = true;
        return;
      case "health":
        this.#known.hear(message);
        return;
      case "quorum":
        this.#known.hear(message);
        this.#household.news(message);
        return;
      case "real-server":
      case "check":
        this.#household.news(message);
        return;
    }
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
    this.#known.clear();
    this.#timeouts = undefined;
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
    // Nobody else can take back what one has left that died and has not come back yet.
    if (this.#keeper.isAway) {
      this.#keeper.spawn();
      this.#brief();
    }
    const { dontReleaseIpvs: keepServices } = this.#household.options;
    const wait = this.#config?.daemon?.child_wait_time;
    this.#keeper.stop({ type: "shutdown", keepServices }, wait);
  }

  get #isNeeded(): boolean {
    const { vrrpOnly, allRoles } = this.#household.options;
    return !vrrpOnly && (allRoles || hasLvsWork(this.#config));
  }

  /** Tells a new role everything, and what its predecessor may have left that is not wanted any more. */
  #brief(): void {
    const config = this.#config!;
    const { ipvsNamespace: path } = this.#household;
    if (path !== undefined) this.#keeper.tell({ type: "ipvs-namespace", path });
    const old = this.#former === undefined ? [] : diffLvs(undefined, this.#former);
    if (this.#timeouts !== undefined) {
      this.#keeper.tell({ type: "timeouts", before: this.#timeouts });
    }
    if (this.#left.length > 0) this.#keeper.tell({ type: "leftovers", services: this.#left });
    this.#left = [];
    this.#desk.brief();
    this.#tell(this.#known.brief([...old, ...diffLvs(this.#former, config)]));
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
      // What is left of the parts before makes room for the next ones: new memory would cost more.
      if (at > 0 && at % COLLECTED === 0) collectYoung();
      const part = changes.slice(at, at + PART);
      this.#keeper.tell({
        type: "configure",
        changes: thin(this.#hasStarted ? part.map(withoutFlush) : part),
        isPart: at + PART < changes.length,
        detail: options.logDetail > 0,
      });
    }
    this.#hasStarted = true;
    this.#keeper.tell({ type: "pid-file", path: pidFile });
    this.#isStarting ||= changes.length > 0;
  }
}

function withoutFlush(change: LvsChange): LvsChange {
  return change.type === "globals"
    ? { ...change, globals: { ...change.globals, flush: false } }
    : change;
}
