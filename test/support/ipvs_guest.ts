/** IPVS in the guest: daemons in its own namespace, and the table as `ipvsadm` shows it. */

import { Daemon, type DaemonSettings } from "./daemon.ts";
import type { Network } from "./namespaces.ts";
import { poll } from "./waiting.ts";

/** Everything that is not in a namespace of its own. */
export const GUEST = { enter: () => [] } as unknown as Network;

/** Starts upkeep, or another program, in the guest itself. */
export function startHere(config: string, settings: DaemonSettings = {}): Daemon {
  return new Daemon(GUEST, "", config, settings);
}

/** What a command wrote; throws with its standard error when it fails. */
export function run(...words: readonly string[]): string {
  const done = Bun.spawnSync([...words]);
  if (done.success) return done.stdout.toString();
  throw new Error(`${words.join(" ")}: ${done.stderr.toString().trim()}`);
}

/** The table as `ipvsadm -Sn` writes it, in an order of its own; `before` are words that run it elsewhere. */
export function savedTable(before: readonly string[] = []): string[] {
  return run(...before, "ipvsadm", "-Sn").split("\n").map((line) => line.trimEnd())
    .filter((line) => line !== "").sort();
}

/** Everything of IPVS that a configuration can set: table, thresholds, timeouts and daemons. */
export function everything(): string[] {
  const thresholds = run("ipvsadm", "-Ln", "--thresholds").split("\n").slice(3)
    .map((line) => line.trim().replace(/\s+/g, " ")).filter((line) => line.startsWith("->"));
  return [
    ...savedTable(),
    ...thresholds.sort(),
    run("ipvsadm", "-L", "--timeout").trim(),
    ...run("ipvsadm", "-L", "--daemon").trim().split("\n").sort(),
  ];
}

/** Waits until the table is this; throws with both when it is not in time. */
export async function tableIs(
  expected: readonly string[],
  ms = 10_000,
  before: readonly string[] = [],
): Promise<void> {
  const wanted = [...expected].sort();
  let last: string[] = [];
  const isSo = (): boolean => {
    last = savedTable(before);
    return JSON.stringify(last) === JSON.stringify(wanted);
  };
  try {
    await poll(isSo, ms, "the table is another");
  } catch {
    throw new Error(`the table is\n${last.join("\n")}\nand should be\n${wanted.join("\n")}`);
  }
}

/** Leaves IPVS as it was before anybody used it. */
export function reset(): void {
  run("ipvsadm", "-C");
  run("ipvsadm", "--set", "900", "120", "300");
  for (const which of ["master", "backup"]) Bun.spawnSync(["ipvsadm", "--stop-daemon", which]);
}
