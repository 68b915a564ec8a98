/** The configuration reader's view of this machine: node:fs, the environment and the kernel's links. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { linkExists } from "../../ffi/process.ts";
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
        return bytes === undefined ? readFileSync(path, "utf8") : readFileSync(path);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? "";
        return { error: REASONS[code] ?? code };
      }
    },
    list(directory): readonly string[] | undefined {
      try {
        return readdirSync(directory);
      } catch {
        return undefined;
      }
    },
    stat(path): ReturnType<Files["stat"]> {
      try {
        const found = statSync(path);
        const kind = found.isFile() ? "file" : found.isDirectory() ? "directory" : "other";
        const { mode } = found;
        return { kind, executable: (mode & 0o111) !== 0, isOpenToOthers: (mode & 0o077) !== 0 };
      } catch {
        return undefined;
      }
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
    hostName: hostname(),
    configId: options.configId,
    cwd: options.cwd,
    allIncludeChecks: options.allIncludeChecks,
    randomSeed: Date.now() & 0x7fffffff,
  };
}
