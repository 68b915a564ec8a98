/** Kernel settings under /proc/sys, as short texts. */

import { O_CLOEXEC, O_RDONLY, O_WRONLY } from "./constants.ts";
import { errno, libc, SysError } from "./libc.ts";
import { cString, Memory } from "./memory.ts";

/** Settings are a number or a few words. */
const MOST_BYTES = 128;
const FOLDER = "/proc/sys/";

/** What the setting at `path` (below /proc/sys) says, without the newline; undefined when there is none. */
export function readSysctl(path: string): string | undefined {
  const fd = libc.open(cString(FOLDER + path).pointer, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const memory = new Memory(MOST_BYTES);
  const length = libc.read(fd, memory.pointer, MOST_BYTES);
  libc.close(fd);
  if (length < 0) return undefined;
  return new TextDecoder().decode(memory.bytes.subarray(0, length)).trim();
}

/** Sets the setting at `path` (below /proc/sys); the kernel's refusal, undefined for none. */
export function writeSysctl(path: string, value: string): SysError | undefined {
  const doing = `setting ${path} to ${value}`;
  const fd = libc.open(cString(FOLDER + path).pointer, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return new SysError("open", errno(), doing);
  const text = Memory.of(new TextEncoder().encode(`${value}\n`));
  const written = libc.write(fd, text.pointer, text.bytes.length);
  const refusal = written < 0 ? new SysError("write", errno(), doing) : undefined;
  libc.close(fd);
  return refusal;
}
