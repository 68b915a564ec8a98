/**
 * Small files and lines of text, by the C library: loading node:fs for them would add 0.8 ms to the start of a
 * process that may need nothing else of it.
 */

import {
  AT_FDCWD,
  EAGAIN,
  EINTR,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_WRONLY,
} from "./constants.ts";
import { check, errno, libc, rareLibc, SysError } from "./libc.ts";
import { cString, Memory } from "./memory.ts";

/** Most configurations, and every pid file, in one call. */
const FIRST_BYTES = 16 * 1024;

/** The content of a file. Throws SysError. */
export function readFile(path: string): Uint8Array {
  const doing = `reading ${path}`;
  const fd = check(libc.open(cString(path).pointer, O_RDONLY | O_CLOEXEC, 0), "open", doing);
  try {
    let memory = new Memory(FIRST_BYTES);
    let used = 0;
    for (;;) {
      const count = libc.read(fd, memory.at(used), memory.bytes.length - used);
      if (count === 0) return memory.bytes.subarray(0, used);
      if (count < 0 && errno() === EINTR) continue;
      used += check(count, "read", doing);
      if (used === memory.bytes.length) memory = Memory.of(memory.bytes, 4 * used);
    }
  } finally {
    libc.close(fd);
  }
}

/** The content of a file in UTF-8. Throws SysError. */
export function readText(path: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(readFile(path));
}

/** A file to write at the end of, made if missing; not through a symbolic link unless told. Throws SysError. */
export function openAppend(path: string, followsLinks = false): number {
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | (followsLinks ? 0 : O_NOFOLLOW);
  return check(libc.open(cString(path).pointer, flags, 0o644), "open", `opening ${path}`);
}

/** Writes all of a text in UTF-8. Throws SysError when it cannot. */
export function writeText(fd: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const memory = Memory.of(bytes);
  for (let done = 0; done < bytes.length;) {
    const count = libc.write(fd, memory.at(done), bytes.length - done);
    if (count >= 0) {
      done += count;
      continue;
    }
    const code = errno();
    if (code !== EINTR) throw new SysError("write", code, `writing to descriptor ${fd}`);
  }
}

/** Makes a file that only we may read, or replaces it: whoever opens it finds all of one or the other. Throws SysError. */
export function replaceFile(path: string, text: string): void {
  const [name, next] = [cString(path), cString(`${path}.new`)];
  const doing = `writing ${path}`;
  libc.unlink(next.pointer);
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  const fd = check(libc.open(next.pointer, flags, 0o600), "open", doing);
  try {
    writeText(fd, text);
  } finally {
    libc.close(fd);
  }
  check(rareLibc().rename(next.pointer, name.pointer), "rename", doing);
}

/** Waits for bytes, or the end, of a pipe; whether there were any. */
export function awaitBytes(fd: number): boolean {
  const some = new Memory(16);
  for (;;) {
    const count = libc.read(fd, some.pointer, some.bytes.length);
    if (count >= 0) return count > 0;
    const code = errno();
    if (code === EAGAIN) Bun.sleepSync(1);
    else if (code !== EINTR) return false;
  }
}

/** Lets what was written reach the disk. */
export function syncFile(fd: number): void {
  libc.fsync(fd);
}

const STATX_BYTES = 256; // linux/stat.h struct statx: stx_mode is at 28, stx_ino at 32
const STATX_TYPE_MODE = 3;
const STATX_INO = 0x100;

/** What a path names, links followed, and who may do what with it: S_IFMT and permission bits; undefined for nothing. */
export function fileMode(path: string): number | undefined {
  return statx(path, STATX_TYPE_MODE)?.getUint16(28, true);
}

/** What tells the object that a path names, links followed, from all others of its kind; undefined for nothing. */
export function fileNumber(path: string): bigint | undefined {
  return statx(path, STATX_INO)?.getBigUint64(32, true);
}

function statx(path: string, wanted: number): DataView | undefined {
  const found = new Memory(STATX_BYTES);
  const result = libc.statx(AT_FDCWD, cString(path).pointer, 0, wanted, found.pointer);
  return result < 0 ? undefined : found.view;
}
