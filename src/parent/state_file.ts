/**
 * The state file: what a daemon leaves behind when parent and role die at once, for the next one to take away
 * or put back. It lies beside the pid file of the vrrp role, is there while the daemon runs, and goes with a
 * proper end.
 *
 * It counts only where it was written, since the last boot and in the same network namespace: elsewhere the
 * links are others that happen to have the same names.
 */

import { fileMode, fileNumber, fileOwner, readText, replaceFile } from "../../ffi/file.ts";
import type { Change } from "../vrrp/diff.ts";
import type { SavedSettings } from "../vrrp/sysctl_perform.ts";

const VERSION = 1;

/** What is left behind. */
export interface Remains {
  /** Settings of the kernel that were changed. */
  readonly saved: SavedSettings;
  /** What may be on the links, see traces.ts. */
  readonly traces: readonly Change[];
}

/** Writes the file, or replaces it. Throws SysError. */
export function writeRemains(path: string, remains: Remains): void {
  replaceFile(path, `${JSON.stringify({ ...hereAndNow(), ...remains })}\n`);
}

/** What the file says; undefined when it is of another boot or namespace. Throws what is wrong with it. */
export function readRemains(path: string): Remains | undefined {
  const isOurs = fileOwner(path) === process.geteuid?.() && ((fileMode(path) ?? 0) & 0o77) === 0;
  if (!isOurs) throw new Error("others may have written it");
  const { version, boot, namespace, saved, traces } = JSON.parse(readText(path)) as Written;
  const here = hereAndNow();
  if (version !== VERSION || boot !== here.boot || namespace !== here.namespace) return undefined;
  if (typeof saved !== "object" || !Array.isArray(traces)) {
    throw new Error("parts of it are missing");
  }
  const stranger = Object.keys(saved).find((path) =>
    !path.startsWith("net/") || path.includes("..")
  );
  if (stranger !== undefined) throw new Error(`'${stranger}' is no setting of ours`);
  return { saved, traces };
}

interface Written extends Remains {
  readonly version: number;
  readonly boot: string;
  readonly namespace: string;
}

/** What tells this run of the kernel and this network namespace from all others. */
function hereAndNow(): Omit<Written, keyof Remains> {
  return {
    version: VERSION,
    boot: readText("/proc/sys/kernel/random/boot_id").trim(),
    namespace: String(fileNumber("/proc/self/ns/net")),
  };
}
