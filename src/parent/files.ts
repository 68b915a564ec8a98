/** The configuration reader's view of this machine: its files, environment and links. */

import { S_IFDIR, S_IFMT, S_IFREG } from "../../ffi/constants.ts";
import { fileMode, readFile, readText } from "../../ffi/file.ts";
import { SysError } from "../../ffi/libc.ts";
import { linkExists, systemName } from "../../ffi/process.ts";
import type { Files } from "../config/files.ts";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "No such file or directory",
  EACCES: "Permission denied",
  EISDIR: "Is a directory",
  ELOOP: "Too many levels of symbolic links",
  ENOTDIR: "Not a directory",
};

/** What reading needs to know of the command line. */
export interface FilesOptions {
  readonly configId: string | undefined;
  readonly allIncludeChecks: boolean;
  readonly cwd: string;
}

/** The files, environment and links of this process. */
export function systemFiles(options: FilesOptions): Files {
  const links = new Map<string, boolean>();
  return {
    read(path, bytes): string | Uint8Array | { readonly error: string } {
      try {
        return bytes === undefined ? readText(path) : readFile(path);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        return { error: REASONS[error.errno] ?? error.errno };
      }
    },
    list(directory): readonly string[] | undefined {
      try {
        // Only a pattern needs it.
        return process.getBuiltinModule("node:fs").readdirSync(directory);
      } catch {
        return undefined;
      }
    },
    stat(path): ReturnType<Files["stat"]> {
      const mode = fileMode(path);
      if (mode === undefined) return undefined;
      const type = mode & S_IFMT;
      const kind = type === S_IFREG ? "file" : type === S_IFDIR ? "directory" : "other";
      return { kind, executable: (mode & 0o111) !== 0, isOpenToOthers: (mode & 0o077) !== 0 };
    },
    environment: (name) => process.env[name],
    // One answer for a whole reading: a thousand instances often name the same few links.
    hasLink(name): boolean {
      const known = links.get(name);
      if (known !== undefined) return known;
      const exists = linkExists(name);
      links.set(name, exists);
      return exists;
    },
    get cpuCount() {
      return navigator.hardwareConcurrency;
    },
    hostName: systemName().node,
    configId: options.configId,
    cwd: options.cwd,
    allIncludeChecks: options.allIncludeChecks,
    randomSeed: Date.now() & 0x7fffffff,
  };
}
