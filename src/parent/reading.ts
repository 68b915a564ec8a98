/** The configuration as the daemon reads it: at the start, and again at each reload unless nothing has changed. */

import { type Config, load } from "../config/load.ts";
import { formatProblem, type Problem } from "../config/problem.ts";
import type { World } from "../config/world.ts";
import type { LogLevel } from "../lib/log.ts";
import { type FilesOptions, type SystemFiles, systemFiles } from "./files.ts";
import { systemWorld } from "./world.ts";

/** What the files say, and how they were looked at. */
export interface Reading {
  readonly config: Config;
  readonly problems: readonly Problem[];
  readonly files: SystemFiles;
  /** They say what they said before. */
  readonly isSame: boolean;
}

const LEVELS = { fatal: "error", error: "warning", warning: "warning", lint: "info" } as const;

/** Reads one file, and what it includes. */
export class ConfigReader {
  readonly #path: string;
  readonly #options: FilesOptions;
  readonly #say: (level: LogLevel, text: string) => void;

  /** `path` is absolute; `say` writes the parent's own log lines. */
  constructor(path: string, options: FilesOptions, say: (level: LogLevel, text: string) => void) {
    this.#path = path;
    this.#options = options;
    this.#say = say;
  }

  /** The files and users of this machine, for whoever looks at scripts. */
  readonly world = (): World => systemWorld(systemFiles(this.#options));

  /** What the files say now; the `running` configuration when they are as they were. Never throws. */
  read(running: Pick<Reading, "config" | "files"> | undefined): Reading {
    if (running?.files.isStillSo() === true) return { ...running, problems: [], isSame: true };
    const files = systemFiles(this.#options);
    return { ...load(this.#path, files), files, isSame: false };
  }

  /** Writes what was read, and every problem, to the log. */
  report({ problems, isSame }: Reading): void {
    this.#say("info", `Configuration file ${this.#path}`);
    if (isSame) this.#say("info", "The configuration is the one that runs");
    for (const problem of problems) this.#say(LEVELS[problem.severity], formatProblem(problem));
  }
}
