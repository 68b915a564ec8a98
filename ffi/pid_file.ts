/**
 * Pid files: written and locked by the process they name, for as long as it lives. The lock is on the open
 * file description, so the kernel lifts it with the process, however it ends.
 */

import {
  EAGAIN,
  F_OFD_SETLK,
  F_WRLCK,
  O_CLOEXEC,
  O_CREAT,
  O_NOFOLLOW,
  O_RDWR,
} from "./constants.ts";
import { wholeFileLock } from "./layout.ts";
import { check, errno, libc, SysError } from "./libc.ts";
import { cString } from "./memory.ts";

const MODE = 0o644;

/**
 * Locks `path` and writes `pid` into it, replacing what a dead process left. False when a live process
 * holds it. The descriptor stays open for the rest of the process. Throws SysError.
 */
export function claimPidFile(path: string, pid: number): boolean {
  const doing = `writing pid file ${path}`;
  const flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  const fd = check(libc.open(cString(path).pointer, flags, MODE), "open", doing);
  if (libc.fcntl(fd, F_OFD_SETLK, wholeFileLock(F_WRLCK).pointer) < 0) {
    const code = errno();
    libc.close(fd);
    if (code === EAGAIN || code === 13) return false;
    throw new SysError("fcntl", code, doing);
  }
  const text = cString(`${pid}\n`);
  libc.fchmod(fd, MODE);
  check(libc.ftruncate(fd, 0), "ftruncate", doing);
  check(libc.write(fd, text.pointer, text.bytes.length - 1), "write", doing);
  return true;
}

/** Removes a pid file this process has claimed; one that is gone already is no error. */
export function removePidFile(path: string): void {
  libc.unlink(cString(path).pointer);
}
