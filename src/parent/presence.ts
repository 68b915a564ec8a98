/**
 * A daemon among others of its machine: the place it takes (place.ts), its pid file, and what its lines are
 * marked with. Most daemons are the only one, and load nothing for it.
 */

import { claimPidFile, removePidFile } from "../../ffi/pid_file.ts";
import type { DaemonOptions } from "../cli/options.ts";
import type { DaemonSettings } from "../config/load.ts";
import type { LogLevel } from "../lib/log.ts";
import { absolutePath } from "../lib/path.ts";
import type { Log } from "./logs.ts";
import {
  identSuffix,
  namespacePath,
  pidFileAt,
  type Place,
  placeOf,
  usesPidFolder,
} from "./place.ts";

/** How the daemon was called, as far as it matters here. */
export interface Call {
  readonly argv0: string;
  readonly argv: readonly string[];
  readonly options: DaemonOptions;
  /** Where relative names start from. */
  readonly cwd: string;
  /** Where it was called, if it has left its terminal since. */
  readonly detachedFrom: string | undefined;
  /** The network namespace it was moved to. */
  readonly namespace: string | undefined;
}

/** The place of one daemon. */
export class Presence {
  readonly #call: Call;
  readonly #log: Log;
  readonly #say: (level: LogLevel, text: string) => void;
  #place: Place = {};
  #hasPidFile = false;

  constructor(call: Call, log: Log, say: (level: LogLevel, text: string) => void) {
    this.#call = call;
    this.#log = log;
    this.#say = say;
  }

  /** The pid file of a process whose usual one is `/run/NAME.pid`, absolute. */
  pidFileOf(name: string, wanted: string): string {
    return absolutePath(this.#call.cwd, pidFileAt(this.#place, name, wanted));
  }

  /** The path of the network namespace whose IPVS is used; undefined is where the daemon is. */
  get ipvsNamespace(): string | undefined {
    const { ipvsNamespace: name } = this.#place;
    return name === undefined ? undefined : namespacePath(name);
  }

  /** The network namespace that the daemon has to move to before it begins; undefined when it is there. */
  elsewhere(settings: DaemonSettings | undefined): string | undefined {
    const { namespace } = placeOf(this.#call.options, settings);
    return namespace === this.#call.namespace ? undefined : namespace;
  }

  /** Becomes a new process in a network namespace; returns only when that fails, which is told. */
  async moveInto(namespace: string, role: number | undefined): Promise<void> {
    const { argv0, argv, detachedFrom } = this.#call;
    const { moveInto } = await import("./namespace.ts");
    try {
      moveInto({ namespace, argv0, argv, detachedFrom, role });
    } catch (error) {
      this.#say("error", `Unable to set network namespace ${namespace}: ${String(error)}`);
    }
  }

  /** Takes the place a configuration asks for; false, which is told, when another daemon has it. */
  take(settings: DaemonSettings | undefined): boolean | Promise<boolean> {
    this.#place = placeOf(this.#call.options, settings);
    return usesPidFolder(this.#place) ? this.#takeNamed() : this.#claim();
  }

  async #takeNamed(): Promise<boolean> {
    const suffix = identSuffix(this.#place);
    if (suffix !== "") this.#say("info", `Changing syslog ident to Keepalived${suffix}`);
    this.#log.identSuffix = suffix;
    const { makePidFolder } = await import("./namespace.ts");
    try {
      makePidFolder(this.#place);
    } catch (error) {
      this.#say("error", String(error));
    }
    return this.#claim();
  }

  #claim(): boolean {
    const pidFile = this.#ownPidFile;
    try {
      this.#hasPidFile = claimPidFile(pidFile, process.pid);
      if (!this.#hasPidFile) this.#say("error", "daemon is already running");
    } catch (error) {
      this.#say("error", `Cannot write pidfile ${pidFile}: ${String(error)}`);
    }
    return this.#hasPidFile;
  }

  get #ownPidFile(): string {
    return this.pidFileOf("keepalived", this.#call.options.pidFile);
  }

  /** A reload asks for this place, which cannot be had any more. */
  keep(settings: DaemonSettings | undefined): void {
    if (Bun.deepEquals(placeOf(this.#call.options, settings), this.#place)) return;
    const what = "net_namespace, net_namespace_ipvs, instance and use_pid_dir";
    this.#say("warning", `Cannot change ${what} at a reload - keeping the old values`);
  }

  /** The daemon ends: removes its pid file, then, in the time that takes, folders nobody uses any more. */
  leave(): Promise<void> | undefined {
    if (this.#hasPidFile) removePidFile(this.#ownPidFile);
    if (!usesPidFolder(this.#place)) return undefined;
    return import("./namespace.ts").then(({ removePidFolder }) => removePidFolder(this.#place));
  }
}
