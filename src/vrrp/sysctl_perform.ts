/**
 * Settings of the kernel that hold as long as we need them: each is remembered as it was, verified when it
 * has been set, and put back in the end unless somebody else has changed it meanwhile.
 */

import { readSysctl, writeSysctl } from "../../ffi/sysctl.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Setting } from "./vmac.ts";

/** What settings were before they were changed, and what they were changed to, by path below /proc/sys. */
export type SavedSettings = Readonly<Record<string, { readonly was: string; readonly is: string }>>;

/** The settings a process has changed. */
export class Sysctls {
  readonly #log: (level: LogLevel, text: string) => void;
  #saved: SavedSettings = {};

  constructor(log: (level: LogLevel, text: string) => void) {
    this.#log = log;
  }

  /** What is to be known to whoever comes after us. */
  get saved(): SavedSettings {
    return this.#saved;
  }

  /** Takes over what a predecessor has changed and nobody has since. */
  inherit(saved: SavedSettings): void {
    const ours = Object.entries(saved).filter(([path, { is }]) => readSysctl(path) === is);
    this.#saved = { ...Object.fromEntries(ours), ...this.#saved };
  }

  /** What a setting was before it was changed; undefined when there is no such setting. */
  original(path: string): string | undefined {
    return this.#saved[path]?.was ?? readSysctl(path);
  }

  /**
   * These, and no others, are to be other than they were. `ahead` is told what will have been saved before
   * anything is set, so that it is known whenever this process dies.
   */
  settle(wanted: readonly Setting[], ahead: (saved: SavedSettings) => void = () => {}): void {
    const next = new Map(wanted);
    const before = Object.entries(this.#saved);
    const saved = Object.fromEntries(before.filter(([path]) => next.has(path)));
    const changes = wanted.flatMap(([path, value]) => {
      const was = readSysctl(path);
      return was === undefined || was === value ? [] : [{ path, was, value }];
    });
    for (const { path, was, value } of changes) saved[path] ??= { was, is: value };
    if (changes.length > 0) ahead({ ...this.#saved, ...saved });
    for (const [path, { was, is }] of before) {
      if (!next.has(path) && readSysctl(path) === is) this.#reset(path, was);
    }
    for (const { path, was, value } of changes) {
      if (isShared(path)) {
        this.#log("info", `NOTICE: setting sysctl ${dotted(path)} from ${was} to ${value}`);
      }
      this.set(path, value);
    }
    this.#saved = saved;
  }

  /**
   * Sets what nobody will miss: a setting of a link of our own. It is set even to what it is, for those that
   * were never set follow the default. A refusal is logged.
   */
  set(path: string, value: string): void {
    // Without IPv6 in the kernel there is nothing to set.
    if (readSysctl(path) === undefined) return;
    const refusal = writeSysctl(path, value);
    if (refusal !== undefined) {
      this.#log("error", refusal.message);
      return;
    }
    const after = readSysctl(path);
    if (after === value) return;
    this.#log("error", `sysctl ${dotted(path)} is ${after} after it was set to ${value}`);
  }

  #reset(path: string, value: string): void {
    if (isShared(path)) {
      this.#log("info", `NOTICE: resetting sysctl ${dotted(path)} to ${value}`);
    }
    this.set(path, value);
  }
}

/** Whether a setting counts for more than one link. */
function isShared(path: string): boolean {
  return /\/conf\/(all|default)\//.test(path);
}

/** As sysctl(8) writes it: a dot in the name of a link is a slash there. */
function dotted(path: string): string {
  const swapped: Readonly<Record<string, string>> = { "/": ".", ".": "/" };
  return path.replace(/[./]/g, (mark) => swapped[mark]!);
}
