/**
 * Files that are believed: nobody but us or root can have written them. They are always whole, for a new one takes
 * the place of the old one at once.
 */

import { fileMode, replaceFile } from "../../ffi/file.ts";
import { folderOf } from "../lib/path.ts";

/** Larger than what thousands of servers need. */
const MOST_BYTES = 16 * 1024 * 1024;
const STICKY = 0o1000;
const FOR_OTHERS = 0o022;

type Fs = typeof import("node:fs");

/** What was found. */
export type Found =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "nothing" }
  /** Words that follow the file's name. */
  | { readonly type: "fault"; readonly fault: string };

/** What such a file holds. */
export function readTrusted(path: string): Found {
  // Nearly never is there one, and then the module is not needed.
  if (fileMode(path) === undefined) return { type: "nothing" };
  const fs = process.getBuiltinModule("node:fs");
  let fd: number | undefined;
  try {
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
    fd = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const fault = placeFault(fs, path) ?? fileFault(fs.fstatSync(fd));
    if (fault !== undefined) return { type: "fault", fault };
    return { type: "text", text: fs.readFileSync(fd, "utf8") };
  } catch (error) {
    return { type: "fault", fault: `cannot be read: ${(error as Error).message}` };
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** Makes a text what such a file holds, or removes it; what is against that, in words like those of a fault. */
export function writeTrusted(path: string, text: string | undefined): string | undefined {
  const fs = process.getBuiltinModule("node:fs");
  try {
    if (text === undefined) {
      fs.rmSync(path, { force: true });
      return undefined;
    }
    const fault = placeFault(fs, path);
    if (fault === undefined) replaceFile(path, text);
    return fault;
  } catch (error) {
    return `cannot be written: ${(error as Error).message}`;
  }
}

/** Moves a file that cannot be used out of the way, so that nothing in it is lost; its new name. */
export function setAside(path: string): string | undefined {
  const name = `${path}.bad`;
  try {
    process.getBuiltinModule("node:fs").renameSync(path, name);
    return name;
  } catch {
    return undefined;
  }
}

/** What is wrong with the folder of a file. */
function placeFault(fs: Fs, path: string): string | undefined {
  const folder = folderOf(path);
  const { uid, mode } = fs.statSync(folder);
  if (!isOurs(uid)) return `is in ${folder}, which belongs to user ${uid}`;
  const isOpen = (mode & FOR_OTHERS) !== 0 && (mode & STICKY) === 0;
  return isOpen ? `is in ${folder}, where others may rename files` : undefined;
}

/** What is wrong with a file itself. */
function fileFault(stats: import("node:fs").Stats): string | undefined {
  const { uid, mode, size } = stats;
  if (!stats.isFile()) return "is no file";
  if (!isOurs(uid)) return `belongs to user ${uid}`;
  if ((mode & FOR_OTHERS) !== 0) return "may be written by others";
  return size > MOST_BYTES ? `has ${size} bytes` : undefined;
}

function isOurs(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.();
}
