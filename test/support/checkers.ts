/** The checkers role with its parent's side, but without a daemon: what a daemon may ask of it can be asked here. */

import { resolve } from "node:path";
import { readDaemonOptions } from "../../src/cli/options.ts";
import { memoryFiles } from "../../src/config/files.ts";
import { load } from "../../src/config/load.ts";
import { type CheckersNews, CheckersSide } from "../../src/parent/checkers_side.ts";
import { Log } from "../../src/parent/logs.ts";
import { systemFiles } from "../../src/parent/files.ts";
import { systemWorld } from "../../src/parent/world.ts";
import { poll } from "./waiting.ts";

/** The program from its sources: the role is started with this process's own executable. */
const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const SILENT = { console: false, syslog: false, facility: 3, flushFile: false };

/** A role that is kept. */
export class Checkers implements AsyncDisposable {
  /** What was logged. */
  readonly lines: string[] = [];
  /** What was told of servers and services. */
  readonly news: CheckersNews[] = [];
  readonly side: CheckersSide;
  #isStopping = false;
  #isGone = false;

  /** `pidFile` is absolute. */
  constructor(pidFile: string) {
    const log = new Log(SILENT);
    log.write = (_speaker, _level, text): void => void this.lines.push(text);
    const options = readDaemonOptions("upkeep", []);
    this.side = new CheckersSide({
      log,
      argv0: "upkeep",
      argv: [MAIN],
      options,
      pidFile,
      ipvsNamespace: undefined,
      dontRespawn: false,
      isStopping: () => this.#isStopping,
      say: (_level, text) => void this.lines.push(text),
      heedStop: () => {},
      stop: () => {},
      gone: () => void (this.#isGone = true),
      starting: () => {},
      instances: () => [],
      tracked: () => [],
      world: () =>
        systemWorld(systemFiles({ configId: undefined, allIncludeChecks: false, cwd: "/" })),
      news: (message) => void this.news.push(message),
    });
  }

  /** Makes a configuration the running one; resolves when it is performed. */
  async configure(text: string): Promise<void> {
    const before = this.#performed;
    this.side.configure(load("/k.conf", memoryFiles({ "/k.conf": text }), "test").config);
    await poll(() => this.#performed > before, 30_000, `not configured: ${this.lines.join("\n")}`);
  }

  get #performed(): number {
    return this.lines.filter((line) => /^(Startup|Reload) complete$/.test(line)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    this.side.stop();
    await poll(() => this.#isGone, 10_000, "no end of the role");
  }
}
