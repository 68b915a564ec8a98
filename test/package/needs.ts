/**
 * What the package tests need from elsewhere, fetched where that lasts; ends with 1 and says what is not to
 * be had.
 */

import { resolve } from "node:path";
import { MACHINES } from "../../packaging/machines.ts";
import { findNfpm } from "../../packaging/nfpm.ts";
import { runtimeFor } from "../../packaging/runtime.ts";

const ROOT = resolve(import.meta.dir, "../..");

/** Where debootstrap gets its packages, as apt has it configured on a Debian machine. */
export const MIRROR = "http://deb.debian.org/debian";
/** The release that roots are made of. */
export const RELEASE = "bookworm";

const NEEDS: readonly (readonly [name: string, get: () => Promise<unknown>])[] = [
  ["nfpm, which Go cannot make", findNfpm],
  ["Bun for both machines from npm", async () => {
    for (const machine of MACHINES) await runtimeFor(machine, ROOT);
  }],
  [MIRROR, async () => {
    const signal = AbortSignal.timeout(30_000);
    const { ok, status } = await fetch(`${MIRROR}/dists/${RELEASE}/InRelease`, { signal });
    if (!ok) throw new Error(`status ${status}`);
  }],
];

if (import.meta.main) {
  const reasons = await Promise.all(NEEDS.map(async ([name, get]) => {
    try {
      await get();
      return [];
    } catch (error) {
      const [first, ...rest] = String(error).trim().split("\n");
      return [`${name} (${rest.at(-1) ?? first})`];
    }
  }));
  const missing = reasons.flat();
  process.stdout.write(missing.join(", "));
  process.exitCode = missing.length === 0 ? 0 : 1;
}
