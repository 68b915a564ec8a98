/**
 * Programs that the configuration names: who may run them, and running them. No shell comes between:
 * the words of the configuration are the words the program gets.
 */

import type { Globals } from "../config/globals.ts";
import { type Insecure, insecureComponent, isShellTest, locate } from "../config/scripts.ts";
import type { Script } from "../config/vrrp.ts";
import type { World } from "../config/world.ts";
import { ROLE_VARIABLE } from "./channel.ts";
import type { EXEC_VARIABLE as ExecVariable, ExecTask } from "./exec_role.ts";
import { findGroup, findUser, groupsOf } from "./users.ts";

/** See exec_role.ts, which is not loaded here. */
const EXEC_VARIABLE: typeof ExecVariable = "UPKEEP_EXEC";
const DEFAULT_USER = "keepalived_script";
const SHELL = "/bin/sh";

/** A script that may run. */
export interface Runnable {
  /** The program, or a shell with it. */
  readonly argv: readonly string[];
  /** What is executed, when the first word is a link to it that keeps its name. */
  readonly path?: string;
  readonly uid: number;
  readonly gid: number;
  /** All its groups, where they are asked for. */
  readonly groups?: readonly number[];
}

/** Why a script will not run, for the log; a hint says what would cure it. */
export interface Refusal {
  readonly why: string;
  readonly hint: string;
}

/** Finds a script and who runs it; what stands in the way otherwise. */
export function vetScript(script: Script, globals: Globals, world: World): Runnable | Refusal {
  const program = script.argv[0]!;
  const identity = identityOf(script, globals);
  if ("why" in identity) return identity;
  if (isShellTest(script)) {
    return { argv: [SHELL, "-c", script.argv.join(" ")], ...identity };
  }
  const path = locate(program, world);
  if (path === undefined) return { why: `there is no ${program}`, hint: "check the path" };
  const owned = world.inspect(path);
  if (owned?.kind !== "file") return { why: `${path} is no program`, hint: "name a file" };
  if ((owned.mode & 0o111) === 0) {
    return { why: `${path} is not executable`, hint: `chmod +x ${path}` };
  }
  const insecure = identity.uid === 0 && globals.enable_script_security === true
    ? insecureComponent(path, world)
    : undefined;
  if (insecure !== undefined) {
    const { blame, cure } = blameOf(insecure, world);
    return {
      why: `unsafe permissions found: root would run ${path}, and ${blame}`,
      hint: cure,
    };
  }
  const rest = script.argv.slice(1);
  // Scripts look for their neighbours where they are; programs with many names go by the one they are called.
  const real = globals.use_symlink_paths === true ? path : world.realPath(path) ?? path;
  if (needsShell(path)) return { argv: [SHELL, real, ...rest], ...identity };
  return { argv: [path, ...rest], ...(real === path ? {} : { path: real }), ...identity };
}

/** What is wrong with a component of a path, and what would cure it. */
export function blameOf(
  { component, owned: { uid, mode }, isOpen }: Insecure,
  world: World,
): { readonly blame: string; readonly cure: string } {
  const cures = [
    ...(uid === 0 ? [] : [`chown root ${component}`]),
    ...(isOpen ? [`chmod go-w ${component}`] : []),
  ];
  const owner = world.nameOf("user", uid);
  const state = `owner ${owner}, mode 0${mode.toString(8)}`;
  return { blame: `${component} (${state}) can be changed by others`, cure: cures.join(" && ") };
}

/** The user and group that run a script: its own, script_user, keepalived_script, or who we are. */
function identityOf(
  { user, group }: Script,
  { script_user, enable_script_security, set_supplementary_groups }: Globals,
): Pick<Runnable, "uid" | "gid" | "groups"> | Refusal {
  const name = user ?? script_user?.user;
  const groupWord = user === undefined ? script_user?.group : group;
  const groupName = groupWord?.replace(/^:/, "");
  const wantsGroups = set_supplementary_groups === true || groupWord?.startsWith(":") === true;
  const found = findUser(numeric(name ?? DEFAULT_USER));
  if (found === undefined && name !== undefined) {
    return { why: `there is no user ${name}`, hint: `create it, or name another one` };
  }
  if (found === undefined) {
    if (enable_script_security === true) {
      const hint = `create the user ${DEFAULT_USER}, or name one with script_user`;
      return { why: `there is no user ${DEFAULT_USER}`, hint };
    }
    return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  }
  const more = wantsGroups ? { groups: groupsOf(found) } : {};
  if (groupName === undefined) return { uid: found.uid, gid: found.gid, ...more };
  const gid = findGroup(numeric(groupName))?.gid;
  if (gid !== undefined) return { uid: found.uid, gid, ...more };
  return { why: `there is no group ${groupName}`, hint: "create it, or name another one" };
}

function numeric(name: string): string | number {
  return /^[0-9]+$/.test(name) ? Number(name) : name;
}

/** Whether a file is neither a program nor names one in its first line. */
function needsShell(path: string): boolean {
  const start = new Uint8Array(4);
  // A start without scripts does not wait for the module.
  const { closeSync, openSync, readSync } = process.getBuiltinModule("node:fs");
  try {
    const fd = openSync(path, "r");
    readSync(fd, start);
    closeSync(fd);
  } catch {
    return false;
  }
  const isElf = start[0] === 0x7f && start[1] === 0x45 && start[2] === 0x4c && start[3] === 0x46;
  return !isElf && !(start[0] === 0x23 && start[1] === 0x21);
}

/** How a script ended. */
export interface ScriptEnd {
  /** null when a signal ended it. */
  readonly status: number | null;
  readonly signal: string | null;
  readonly durationMs: number;
  /** Of a built-in check that has failed: what is wrong, in words. */
  readonly why?: string;
}

/** A script, or a check in its place, that runs. */
export interface Run {
  /** Resolves when it has ended. */
  readonly ended: Promise<ScriptEnd>;
  /** Signals the script and all that it has started. */
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** A script that runs. */
export interface RunningScript extends Run {
  readonly pid: number;
}

const running = new Set<number>();
/** Those that were told to end and have not yet. */
const ending = new Set<RunningScript>();

/** Whether a process is a script that was started here and has not ended, as far as is known. */
export function isScript(pid: number): boolean {
  return running.has(pid);
}

/** Whether a script was told to end and has not yet. */
export function isScriptEnding(): boolean {
  return ending.size > 0;
}

/** The daemon goes: scripts that were told to end get so many milliseconds for it, and are killed then. */
export async function awaitEndingScripts(ms: number): Promise<void> {
  const all = Promise.all([...ending].map((script) => script.ended));
  await Promise.race([all, Bun.sleep(ms)]);
  for (const script of ending) script.kill("SIGKILL");
}

/** What scripts do not inherit: it would change what they run. */
const NOT_INHERITED = { IFS: undefined, LD_PRELOAD: undefined, LD_LIBRARY_PATH: undefined };

/**
 * Runs a script with more words at its end, in a process group of its own, without terminal or files.
 * `context` is added to its environment. Throws when it cannot be started.
 */
export function runScript(
  { argv, path = argv[0]!, uid, gid, groups }: Runnable,
  words: readonly string[],
  context: Readonly<Record<string, string>>,
): RunningScript {
  const startedAt = performance.now();
  const isOther = uid !== process.getuid?.() || gid !== process.getgid?.();
  const all = [...argv, ...words];
  // The runtime knows no groups: a process of ours takes them and becomes the script.
  const task: ExecTask | undefined = groups === undefined ? undefined : {
    argv: all,
    path,
    uid,
    gid,
    groups,
  };
  const child = Bun.spawn(task === undefined ? [path, ...all.slice(1)] : ["/proc/self/exe"], {
    ...(task === undefined ? { argv0: all[0]! } : {}),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
    env: {
      ...process.env,
      ...NOT_INHERITED,
      ...context,
      ...(task === undefined
        ? {}
        : { [ROLE_VARIABLE]: "exec", [EXEC_VARIABLE]: JSON.stringify(task) }),
    },
    ...(isOther && task === undefined ? { uid, gid } : {}),
  });
  // A script that outlives us is nobody's business.
  child.unref();
  running.add(child.pid);
  const script: RunningScript = {
    pid: child.pid,
    ended: child.exited.then(() => {
      running.delete(child.pid);
      ending.delete(script);
      return {
        status: child.exitCode,
        signal: child.signalCode === null ? null : `${child.signalCode}`,
        durationMs: performance.now() - startedAt,
      };
    }),
    kill(signal): void {
      if (running.has(child.pid)) ending.add(script);
      try {
        process.kill(-child.pid, signal);
      } catch {
        // It has ended meanwhile.
      }
    },
  };
  return script;
}
