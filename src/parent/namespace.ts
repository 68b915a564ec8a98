/**
 * Moving a daemon into a network namespace: the main thread enters it, and becomes a new program there before
 * any other thread could be left behind. Loaded by who asks for it only.
 */

import { INTERFACE_SIGNALS, SIGKILL } from "../../ffi/constants.ts";
import { SysError } from "../../ffi/libc.ts";
import {
  becomeProgram,
  bindFolder,
  blockSignals,
  enterMountNamespace,
  enterNetworkNamespace,
  sendSignal,
  unbindFolder,
  waitForEnd,
} from "../../ffi/process.ts";
import { DETACHED_VARIABLE, NAMESPACE_VARIABLE } from "./channel.ts";
import { namespacePath, PID_FOLDER, type Place, usesPidFolder } from "./place.ts";
import { OWN_ENVIRONMENT } from "./supervisor.ts";

/** What the new program has to know. */
export interface Move {
  readonly namespace: string;
  readonly argv0: string;
  readonly argv: readonly string[];
  /** Where a daemon that has left its terminal was called; undefined in the foreground. */
  readonly detachedFrom: string | undefined;
  /** A role that was started in the wrong namespace, and was told nothing yet. */
  readonly role: number | undefined;
}

/**
 * Starts the daemon over in a network namespace; does not return. Its pid files are in a folder of the
 * namespace's name, which the daemon sees in the place of the usual one. Throws SysError.
 */
export function moveInto({ namespace, argv0, argv, detachedFrom, role }: Move): never {
  enterNetworkNamespace(namespacePath(namespace));
  enterMountNamespace();
  const folder = `${PID_FOLDER}/${namespace}`;
  makeFolder(folder);
  bindFolder(folder, PID_FOLDER);
  if (role !== undefined) {
    sendSignal(role, SIGKILL);
    waitForEnd(role);
  }
  // Whatever comes meanwhile waits until it can be heard.
  blockSignals(INTERFACE_SIGNALS);
  becomeProgram("/proc/self/exe", [argv0, ...argv], {
    ...process.env,
    ...OWN_ENVIRONMENT,
    [NAMESPACE_VARIABLE]: namespace,
    ...(detachedFrom === undefined ? {} : { [DETACHED_VARIABLE]: detachedFrom }),
  });
}

/** Makes the folder for pid files, if there is to be one. Throws SysError. */
export function makePidFolder(place: Place): void {
  if (usesPidFolder(place) && place.namespace === undefined) makeFolder(PID_FOLDER);
}

/** Removes the folders for pid files that nobody uses any more. */
export function removePidFolder(place: Place): void {
  if (!usesPidFolder(place)) return;
  const { namespace } = place;
  if (namespace !== undefined) {
    unbindFolder(PID_FOLDER);
    removeFolder(`${PID_FOLDER}/${namespace}`);
  }
  removeFolder(PID_FOLDER);
}

function makeFolder(path: string): void {
  const { chmodSync, existsSync, mkdirSync } = process.getBuiltinModule("node:fs");
  for (const one of new Set([PID_FOLDER, path])) {
    if (existsSync(one)) continue;
    try {
      mkdirSync(one);
      chmodSync(one, 0o755);
    } catch (error) {
      const { errno = 0 } = error as { errno?: number };
      throw new SysError("mkdir", Math.abs(errno), `making the folder ${one} for pid files`);
    }
  }
}

function removeFolder(path: string): void {
  try {
    process.getBuiltinModule("node:fs").rmdirSync(path);
  } catch {
    // Somebody else's files are in it.
  }
}
