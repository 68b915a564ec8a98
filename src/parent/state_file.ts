/**
 * The state file: what a daemon leaves behind when parent and role die at once, for the next one to take away
 * or put back. It lies beside the pid file of the vrrp role, is there while the daemon runs, and goes with a
 * proper end.
 *
 * It counts only where it was written, since the last boot and in the same network namespace: elsewhere the
 * links are others that happen to have the same names.
 */

import { fileNumber, readText, replaceFile } from "../../ffi/file.ts";
import type { Change } from "../vrrp/diff.ts";
import type { SavedSettings } from "../vrrp/sysctl_perform.ts";
import { readTrusted } from "./trusted_file.ts";

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
  replaceFile(path, `${JSON.stringify({ version: VERSION, ...hereAndNow(), ...remains })}\n`);
}

/** What the file says; undefined when it is of another boot or namespace. Throws what is wrong with it. */
export function readRemains(path: string): Remains | undefined {
  const found = readTrusted(path);
  if (found.type !== "text") {
    throw new Error(found.type === "fault" ? `it ${found.fault}` : "it is gone");
  }
  const { version, boot, namespace, saved, traces } = JSON.parse(found.text) as Written;
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

/** One run of the kernel, and one network namespace in it. */
export interface HereAndNow {
  readonly boot: string;
  readonly namespace: string;
}

interface Written extends Remains, HereAndNow {
  readonly version: number;
}

/** What tells this run of the kernel and this network namespace from all others. */
export function hereAndNow(): HereAndNow {
  return {
    boot: readText("/proc/sys/kernel/random/boot_id").trim(),
    namespace: String(fileNumber("/proc/self/ns/net")),
  };
}
