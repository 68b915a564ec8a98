/**
 * Becoming another program, as another user with all the user's groups. The kernel's own calls are used: they
 * change this thread alone, and the program that takes its place has only that one.
 */

import { check, libc } from "./libc.ts";
import { cString, Memory } from "./memory.ts";
import { setDisposition, setSignalMask } from "./process.ts";
import { writeAddress } from "./socket.ts";

const isArm = process.arch === "arm64";
// asm/unistd.h
const SYS_SETGROUPS = isArm ? 159 : 116;
const SYS_SETGID = isArm ? 144 : 106;
const SYS_SETUID = isArm ? 146 : 105;
const SYS_EXECVE = isArm ? 221 : 59;
const SIG_DFL = 0;
const LAST_SIGNAL = 64;

/** Who a program runs as. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

/**
 * Becomes the program at `path` with these words and this environment (`NAME=VALUE`). No signal is blocked or
 * ignored in it. Throws SysError, and only then returns to the caller, who is another user by then.
 */
export function becomeProgram(
  argv: readonly string[],
  environment: readonly string[],
  { uid, gid, groups }: Identity,
  path = argv[0]!,
): never {
  const doing = `becoming ${path}`;
  const list = new Memory(Math.max(4, 4 * groups.length));
  for (const [i, group] of groups.entries()) list.view.setUint32(4 * i, group, true);
  check(libc.syscall(SYS_SETGROUPS, groups.length, list.pointer, 0), "setgroups", doing);
  check(libc.syscall(SYS_SETGID, gid, null, 0), "setgid", doing);
  check(libc.syscall(SYS_SETUID, uid, null, 0), "setuid", doing);
  for (let signal = 1; signal <= LAST_SIGNAL; signal++) setDisposition(signal, SIG_DFL);
  setSignalMask();
  const words = texts(argv);
  const variables = texts(environment);
  const file = cString(path);
  const result = libc.syscall(
    SYS_EXECVE,
    file.pointer,
    words.table.pointer,
    variables.table.pointer,
  );
  check(result, "execve", doing);
  throw new Error(`${doing}: the kernel says that it was done`);
}

/** An array of pointers to C strings, NULL at its end, and what keeps them where they are. */
function texts(all: readonly string[]): { readonly table: Memory; readonly strings: Memory[] } {
  const strings = all.map(cString);
  const table = new Memory(8 * (all.length + 1));
  for (const [i, { pointer }] of strings.entries()) {
    writeAddress(table.view, 8 * i, pointer);
  }
  return { table, strings };
}
