/**
 * The parent's side of the vrrp role: what it is told of the configuration, the ledger that outlives it, and
 * what is done for it when it is dead. The role is spawned before anything else happens: while it opens
 * its sockets, the configuration is read here.
 */

import { fileMode } from "../../ffi/file.ts";
import { removePidFile } from "../../ffi/pid_file.ts";
import type { DaemonOptions } from "../cli/options.ts";
import type { BfdInstance } from "../config/bfd.ts";
import { vrrpConduct } from "../config/conduct.ts";
import type { Config } from "../config/load.ts";
import { stateFileOf } from "../lib/path.ts";
import { type Change, diff, hasStatics, hasVrrpWork, leftovers } from "../vrrp/diff.ts";
import { wantsVmacs } from "../vrrp/instance.ts";
import type { SavedSettings } from "../vrrp/sysctl_perform.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import { encodeFrame, FrameReader, type FromRole, type ToRole } from "./channel.ts";
import type { FromAnyRole } from "./common_channel.ts";
import { type Household, Keeper, type Side } from "./keeper.ts";
import { type Ledger, slotOf } from "./ledger.ts";
import { patienceUs } from "./respawn.ts";
import { rehearseSignal } from "./signals.ts";
import { type Role, spawnRole } from "./supervisor.ts";

const REHEARSALS = 20;
const NO_CONDUCT = "{}";
/** When the first advert has surely left. */
const REMEMBER_MS = 100;

/** What the vrrp role says that is news to others. */
export type VrrpNews = Exclude<FromRole, FromAnyRole | { readonly type: "settings" }>;

/** What the side needs of its daemon. */
export interface VrrpHousehold extends Household {
  readonly argv0: string;
  readonly argv: readonly string[];
  readonly options: DaemonOptions;
  /** Absolute; known when the configuration is. */
  readonly pidFile: string;
  /** Everything known of what is tracked outside the role. */
  tracked(): readonly TrackResult[];
  /** Something has happened to an instance, a group or a BFD session. */
  news(message: VrrpNews): void;
  /** A reload is over. */
  reloaded(): void;
  /** The role is dead; nothing is known of its instances. */
  forget(): void;
}

/** The vrrp role, kept. */
export class VrrpSide implements Side {
  readonly #household: VrrpHousehold;
  readonly #keeper: Keeper<ToRole, FromRole>;
  readonly #ledger: Ledger;
  readonly #slots = new Map<string, number>();
  readonly #farewell: ToRole;
  #config: Config | undefined;
  /** What the role was told of its conduct, as text. */
  #conduct = NO_CONDUCT;
  /** BFD sessions that are Up, or were when the last role died. */
  readonly #up = new Set<string>();
  /** What a role has changed in the kernel's settings, for the next one to put back. */
  #saved: SavedSettings = {};
  /** What a daemon that has crashed before this one began has left on the links and nobody wants. */
  #abandoned: readonly Change[] | undefined;
  /** Whether the state file is ours. */
  #hasState = false;
  #isRemembering = false;

  constructor(household: VrrpHousehold, ledger: Ledger) {
    const { argv0, argv, options } = household;
    this.#household = household;
    this.#ledger = ledger;
    this.#farewell = { type: "shutdown", keepAddresses: options.dontReleaseVrrp };
    this.#keeper = new Keeper({
      title: "VRRP",
      ident: "vrrp",
      get pidFile() {
        return household.pidFile;
      },
      spawn: () => spawnRole(argv0, argv, ledger),
      isNeeded: () => this.#isNeeded,
      brief: () => this.#brief(),
      hear: (message) => {
        if (message.type === "settings") {
          this.#saved = message.saved;
          // At once: only who has changed some comes here, and nobody else knows what they were.
          this.#write();
          return;
        }
        if (message.type === "bfd") this.#noteBfd(message.instance, message.isUp);
        household.news(message);
      },
      configured: (isReload) => {
        if (isReload) household.reloaded();
      },
      absent: (seconds) => {
        if (this.#config === undefined || seconds * 1_000_000 <= patienceUs(this.#config)) return;
        // Peers will take over before the role is back: nothing of ours may stay on the links.
        this.withdraw(() => {}, true);
      },
      left: () => household.forget(),
    }, household);
  }

  get pid(): number | undefined {
    return this.#keeper.pid;
  }

  /** Starts the role, or keeps the one that was started in advance. */
  start(early: Role | undefined): void {
    if (early === undefined) this.#keeper.spawn();
    else this.#keeper.adopt(early);
  }

  /** Says that the role was started. */
  sayStarted(): void {
    this.#keeper.sayStarted();
  }

  /** Tells the role what has become of tracked objects. */
  tellTracked(results: readonly TrackResult[]): void {
    this.#keeper.tell({ type: "tracked", results });
  }

  configure(wanted: Config): void {
    const config = shareVmacs(wanted);
    if (this.#config === undefined) this.#recover(config);
    const changes = diff(this.#config, config);
    this.#config = config;
    if (this.#keeper.ready(this.#isNeeded)) this.#tell(changes);
    else if (!this.#isNeeded && this.#abandoned !== undefined) this.#clean(this.#abandoned);
    this.#remember();
  }

  // --- the state file ---

  /** A daemon that crashed has left a state file. */
  #recover(config: Config): void {
    const path = stateFileOf(this.#household.pidFile);
    if (this.#household.options.checkOnly || fileMode(path) === undefined) return;
    const { say } = this.#household;
    try {
      // Loaded only here: a start has nothing to recover from.
      const { readRemains } = require("./state_file.ts") as typeof import("./state_file.ts");
      const { abandoned } = require("../vrrp/traces.ts") as typeof import("../vrrp/traces.ts");
      const remains = readRemains(path);
      this.#hasState = true;
      if (remains === undefined) return;
      this.#saved = remains.saved;
      this.#abandoned = abandoned(remains.traces, config);
      const rest = this.#abandoned.length > 0 ? ", what nobody wants any more is taken away" : "";
      say("notice", `Going on from ${path}, which a predecessor has left${rest}`);
    } catch (error) {
      say("warning", `Ignoring ${path}, which a predecessor has left: ${String(error)}`);
    }
  }

  /** Writes the state file anew, when what is more urgent has been done. */
  #remember(): void {
    if (!this.#isNeeded || this.#isRemembering) return;
    this.#isRemembering = true;
    setTimeout(() => {
      this.#isRemembering = false;
      this.#write();
    }, REMEMBER_MS).unref();
  }

  #write(): void {
    if (this.#household.isStopping() || !this.#isNeeded) return;
    const { writeRemains } = require("./state_file.ts") as typeof import("./state_file.ts");
    const { tracesOf } = require("../vrrp/traces.ts") as typeof import("../vrrp/traces.ts");
    const path = stateFileOf(this.#household.pidFile);
    try {
      this.#hasState = true;
      writeRemains(path, { saved: this.#saved, traces: tracesOf(this.#config!) });
    } catch (error) {
      this.#household.say("warning", `After a crash nothing would be known: ${String(error)}`);
    }
  }

  /** The daemon ends properly. What it leaves on the links on purpose stays known. */
  forgetState(): void {
    if (!this.#hasState || this.#household.options.dontReleaseVrrp) return;
    removePidFile(stateFileOf(this.#household.pidFile));
  }

  settle(): void {
    this.#keeper.tell({ type: "settle" });
    // What the stop needs is run now, so that peers need not wait for it then.
    rehearseSignal();
    for (let i = 0; i < REHEARSALS; i++) {
      new FrameReader<ToRole>().push(encodeFrame(this.#farewell));
    }
  }

  stop(): void {
    this.#keeper.stop(this.#farewell, this.#config?.daemon?.child_wait_time);
  }

  /** Whether a role that is gone has left nothing on the links that must be taken off. */
  get isClean(): boolean {
    return this.#household.options.dontReleaseVrrp ||
      (!hasStatics(this.#config) && this.#ledger.lastAdvertAt.every((at) => at === 0));
  }

  /** Takes off the links what a dead role has left there; `ended` is called when that is done. */
  withdraw(ended: () => void, keepStatics = false): void {
    this.#ledger.lastAdvertAt.fill(0);
    this.#clean(leftovers(this.#config, keepStatics), ended);
  }

  /** Starts a role that takes something off the links and ends. */
  #clean(changes: readonly Change[], ended = (): void => {}): void {
    const { argv0, argv } = this.#household;
    this.#abandoned = undefined;
    try {
      const role = spawnRole(argv0, argv, this.#ledger);
      this.#keeper.attend(role, ended);
      role.tell({ type: "settings", saved: this.#saved });
      role.tell({ type: "withdraw", changes });
    } catch (error) {
      this.#household.say(
        "error",
        `Cannot start a process to remove the addresses: ${String(error)}`,
      );
      ended();
    }
  }

  /** Whether the configuration has something for the vrrp role to do. */
  get #isNeeded(): boolean {
    const { checkOnly, allRoles } = this.#household.options;
    if (checkOnly) return false;
    return allRoles || hasVrrpWork(this.#config) || this.#bfdInstances.length > 0;
  }

  get #bfdInstances(): readonly BfdInstance[] {
    return this.#household.options.noBfd ? [] : this.#config?.bfd_instances ?? [];
  }

  #noteBfd(name: string, isUp: boolean): void {
    if (isUp) this.#up.add(name);
    else this.#up.delete(name);
  }

  /** A new role goes on from what is known of the world of the one before. */
  #brief(): void {
    this.#conduct = NO_CONDUCT;
    this.#keeper.tell({ type: "settings", saved: this.#saved });
    const wasUp = [...this.#up];
    this.tellTracked(wasUp.map((name) => ({ kind: "bfd", name, reading: true })));
    this.#tell(diff(undefined, this.#config), wasUp);
  }

  #tell(changes: readonly Change[], wasUp: readonly string[] = []): void {
    const { options, pidFile } = this.#household;
    if (this.#abandoned !== undefined) {
      this.#keeper.tell({ type: "settings", saved: this.#saved });
      this.#keeper.tell({ type: "clean", changes: this.#abandoned });
      this.#abandoned = undefined;
    }
    const results = this.#household.tracked();
    if (results.length > 0) this.tellTracked(results);
    this.#keeper.tell({
      type: "configure",
      changes: this.#withSlots(changes),
      detail: options.logDetail > 0,
      keepAddresses: options.dontReleaseVrrp,
    });
    const bfd = this.#bfdInstances;
    const conduct = this.#config === undefined
      ? {}
      : vrrpConduct(this.#config.globals, bfd.length > 0);
    if (JSON.stringify(conduct) !== this.#conduct) {
      this.#conduct = JSON.stringify(conduct);
      this.#keeper.tell({ type: "conduct", conduct });
    }
    this.#keeper.tell({ type: "bfd", instances: bfd, wasUp });
    this.#keeper.tell({ type: "pid-file", path: pidFile });
    if (changes.length > 0) this.#household.starting();
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
}

/** Who gets a VMAC that several instances ask for. */
function shareVmacs(config: Config): Config {
  if (config.vrrp_instances.filter(wantsVmacs).length < 2) return config;
  // Loaded only here: most configurations, and their start, can do without.
  const { withRivals } = require(
    "../vrrp/vmac_rivals.ts",
  ) as typeof import("../vrrp/vmac_rivals.ts");
  return withRivals(config);
}
