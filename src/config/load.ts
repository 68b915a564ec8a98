/**
 * text → Config. A start, a reload, a configuration test and a preview all come through here.
 */
import type { Files } from "./files.ts";
import type { Globals } from "./globals.ts";
import type { Problem } from "./problem.ts";
import type { VrrpInstance } from "./vrrp.ts";

/** Everything a configuration says. Plain JSON. */
export interface Config {
  readonly globals: Globals;
  readonly vrrp_instances: readonly VrrpInstance[];
}

/** A configuration with what is wrong with it. */
export interface Loaded {
  readonly config: Config;
  readonly problems: readonly Problem[];
}

/** Reads the file (or glob pattern) at `path` and all it includes. Never throws. */
export declare function load(path: string, files: Files): Loaded;
