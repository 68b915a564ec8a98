/**
 * The vrrp role that the executable's first instructions have started (packaging/entry.ts), long before any
 * code of ours runs. They have left us what they made, in the environment: for each of a few numbers eight
 * hexadecimal digits.
 */

import { type Ledger, ledgerOf } from "./ledger.ts";
import { Role } from "./supervisor.ts";

/** In the environment of a process whose vrrp role runs already; deleted at once. */
export const EARLY_VARIABLE = "UPKEEP_EARLY";
/** What the first instructions set for the runtime of any other process than a role. */
export const EARLY_SETTINGS = [
  "BUN_JSC_useWarmUpMarkedBlocks",
  "BUN_JSC_useDFGJIT",
  "BUN_JSC_useConcurrentGC",
  "BUN_JSC_largeHeapSize",
  "BUN_JSC_gcMaxHeapSize",
];

/** A role started in advance. */
export interface EarlyRole {
  readonly role: Role;
  readonly ledger: Ledger;
}

/**
 * Takes over the role that was started because the command line looked as if one would be needed, and
 * cleans the environment; undefined when there is none. A wrong guess does no harm: a role that is told
 * nothing leaves the network alone, and goes when its channel closes.
 */
export function takeEarlyRole(): EarlyRole | undefined {
  const told = process.env[EARLY_VARIABLE];
  for (const name of [EARLY_VARIABLE, ...EARLY_SETTINGS]) delete process.env[name];
  if (told === undefined) return undefined;
  const [channel = -1, , heard = -1, trigger = -1, fd = -1, announceFd = -1, pid = -1] =
    told.match(/[0-9a-f]{8}/g)?.map((digits) => Number.parseInt(digits, 16)) ?? [];
  return {
    ledger: ledgerOf({ fd, announceFd, stopLine: { fd: heard, trigger } }),
    role: new Role({ pid, channel }),
  };
}
