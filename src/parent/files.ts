/** The configuration reader's view of this machine: its files, environment and links. */

import { S_IFDIR, S_IFMT, S_IFREG } from "../../ffi/constants.ts";
import { fileMode, readFile, readText } from "../../ffi/file.ts";
import { SysError } from "../../ffi/libc.ts";
import { expectMuchMemory } from "../../ffi/memory.ts";
import { linkExists, systemName } from "../../ffi/process.ts";
import type { Files } from "../config/files.ts";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EISDIR: "Is a directory",
  ELOOP: "Too many levels of symbolic links",
  ENOTDIR: "Not a directory",
};

/** A thousand lines, in characters. */
const LONG_TEXT = 16_384;
/** What the largest configurations need. */
const HEAP_BYTES = 256 * 1024 * 1024;

/** What reading needs to know of the command line. */
export interface FilesOptions {
  readonly configId: string | undefined;
  readonly allIncludeChecks: boolean;
  readonly cwd: string;
  /** The process ends when it has read: nobody will ask whether all is still so. */
  readonly isOnce?: boolean;
}

/** The machine as a configuration was read from it. */
export interface SystemFiles extends Files {
  /** Whether reading once more would find the same. */
  isStillSo(): boolean;
}

/** The files, environment and links of this process. */
export function systemFiles(options: FilesOptions): SystemFiles {
  const { isOnce = false } = options;
  const links = new Map<string, boolean>();
  /** What was looked at: a way to look again, and what was there. */
  const seen: { look(): unknown; readonly found: unknown }[] = [];
  let isRandom = false;
  const remember = <T>(found: T, digest: (found: T) => unknown, again: () => T): T => {
    if (!isOnce) seen.push({ look: () => digest(again()), found: digest(found) });
    return found;
  };
  const read = (path: string, bytes?: "bytes"): Found => {
    const found = readAt(path, bytes);
    if (typeof found === "string" && found.length > LONG_TEXT) expectWork(isOnce);
    return found;
  };
  return {
    read: (path, bytes) => remember(read(path, bytes), digestOf, () => readAt(path, bytes)),
    list: (directory) => remember(listOf(directory), String, () => listOf(directory)),
    stat: (path) => remember(statOf(path), JSON.stringify, () => statOf(path)),
    environment: (name) => process.env[name],
    // One answer for a whole reading: a thousand instances often name the same few links.
    hasLink(name): boolean {
      const known = links.get(name);
      if (known !== undefined) return known;
      const exists = remember(linkExists(name), Boolean, () => linkExists(name));
      links.set(name, exists);
      return exists;
    },
    linkBelow(name): string {
      const { linkBelow } = require("./link_below.ts") as typeof import("./link_below.ts");
      return remember(linkBelow(name), String, () => linkBelow(name));
    },
    get cpuCount() {
      return navigator.hardwareConcurrency;
    },
    hostName: systemName().node,
    configId: options.configId,
    cwd: options.cwd,
    allIncludeChecks: options.allIncludeChecks,
    get randomSeed() {
      isRandom = true;
      return Date.now() & 0x7fffffff;
    },
    isStillSo: () => !isOnce && !isRandom && seen.every(({ look, found }) => look() === found),
  };
}

type Found = ReturnType<Files["read"]>;

/**
 * A start runs most of its code once, and the build's JIT policy is made for that. A long text is a loop: there
 * compiling pays. Who ends afterwards need not be thrifty with memory either.
 */
function expectWork(isOnce: boolean): void {
  Bun.unsafe.setJITPolicy(1);
  if (isOnce) expectMuchMemory(HEAP_BYTES);
}

function readAt(path: string, bytes: "bytes" | undefined): Found {
  try {
    if (bytes !== undefined) return readFile(path);
    return readText(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { error: REASONS[error.errno] ?? error.errno };
  }
}

/** What stands for a content without keeping it. */
function digestOf(found: Found): unknown {
  return typeof found === "string" || found instanceof Uint8Array ? Bun.hash(found) : found.error;
}

function listOf(directory: string): readonly string[] | undefined {
  try {
    // Only a pattern needs it.
    return process.getBuiltinModule("node:fs").readdirSync(directory);
  } catch {
    return undefined;
  }
}

function statOf(path: string): ReturnType<Files["stat"]> {
  const mode = fileMode(path);
  if (mode === undefined) return undefined;
  const type = mode & S_IFMT;
  const kind = type === S_IFREG ? "file" : type === S_IFDIR ? "directory" : "other";
  return { kind, executable: (mode & 0o111) !== 0, isOpenToOthers: (mode & 0o077) !== 0 };
}
