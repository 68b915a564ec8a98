/**
 * The Bun executables that the code is joined to: this machine's from node_modules, another one's from
 * the npm registry, in exactly the version of package-lock.json and with the digest written there.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import type { Machine } from "./machines.ts";

/** A Bun for one machine. */
export interface Runtime {
  /** Its executable. */
  readonly path: string;
  readonly version: string;
  /** As npm writes digests: `sha512-BASE64`, of the package it came in. */
  readonly integrity: string;
}

interface Locked {
  readonly version: string;
  readonly integrity: string;
}

/**
 * The Bun for `machine`. `root` is the project's folder; what is fetched stays in node_modules/.cache.
 * Throws when the digest is not the locked one.
 */
export async function runtimeFor(machine: Machine, root: string): Promise<Runtime> {
  const name = `@oven/bun-linux-${machine.bun}`;
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const locked: Locked | undefined = lock.packages[`node_modules/${name}`];
  if (locked === undefined) throw new Error(`package-lock.json does not know ${name}`);
  const installed = join(root, "node_modules", name, "bin/bun");
  const path = existsSync(installed) ? installed : await fetchRuntime(name, locked, root);
  return { path, version: locked.version, integrity: locked.integrity };
}

async function fetchRuntime(name: string, locked: Locked, root: string): Promise<string> {
  const cache = join(root, "node_modules/.cache/upkeep");
  const file = `${name.replace("@", "").replace("/", "-")}-${locked.version}`;
  const archive = join(cache, `${file}.tgz`);
  mkdirSync(cache, { recursive: true });
  if (!existsSync(archive)) {
    await run([
      "npm",
      "pack",
      "--silent",
      "--pack-destination",
      cache,
      `${name}@${locked.version}`,
    ]);
  }
  const [algorithm = "", digest] = locked.integrity.split(/-(.*)/s);
  const found = createHash(algorithm).update(readFileSync(archive)).digest("base64");
  if (found !== digest) {
    rmSync(archive);
    throw new Error(`${name}: its digest is ${found}, in package-lock.json it is ${digest}`);
  }
  const folder = join(cache, file);
  const path = join(folder, "package/bin/bun");
  if (!existsSync(path)) {
    // Under another name until it is whole.
    const half = `${folder}.${process.pid}`;
    mkdirSync(half);
    await run(["tar", "-xzf", archive, "-C", half]);
    renameSync(half, folder);
  }
  return path;
}
