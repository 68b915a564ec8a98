/**
 * Scripts that will not run, or that more people may change than the user they run as. keepalived
 * says only that there is a problem; here it is the very path component, its owner and its mode.
 */
import type { Globals } from "./globals.ts";
import { type Find, modeText } from "./finding.ts";
import {
  defaultUser,
  insecureComponent,
  isShellTest,
  locate,
  type Mention,
  mentionsOf,
} from "./scripts.ts";
import type { Owned, World } from "./world.ts";

/** Adds findings about every script that the configuration mentions, each program once. */
export function lintScripts(written: object, globals: Globals, world: World, find: Find): void {
  const seen = new Set<string>();
  for (const mention of mentionsOf(written)) {
    const user = mention.script.user ?? globals.script_user?.user ?? defaultUser(world);
    const key = `${mention.script.argv[0]} ${user}`;
    if (seen.has(key)) continue;
    seen.add(key);
    lintScript(mention, user, world, find);
  }
}

function lintScript(mention: Mention, user: string, world: World, find: Find): void {
  const { script, keyword, who, place } = mention;
  const program = script.argv[0]!;
  const say = (code: string, message: string, hint: string): void =>
    find({ place, near: keyword, code, message: `${who}${keyword}: ${message}`, hint });
  if (isShellTest(script)) {
    lintShellTest(program, world, say);
    return;
  }
  const path = locate(program, world);
  if (path === undefined) {
    say("script_missing", `there is no ${program}`, "check the path; the script is disabled");
    return;
  }
  const owned = world.inspect(path);
  if (owned === undefined) return;
  const uid = world.userId(user) ?? Number(/^[0-9]+$/.test(user) ? user : NaN);
  if (Number.isNaN(uid)) {
    say(
      "script_user_missing",
      `there is no user ${user} to run ${program}`,
      `create it, or name another user; words after a script in quotes are USER and GROUP`,
    );
    return;
  }
  if (owned.kind !== "file" || !mayExecute(owned, uid)) {
    const what = owned.kind === "file" ? `not executable for ${user}` : "no program";
    say(
      "script_not_executable",
      `${path} is ${what} (${describe(owned, world)})`,
      owned.kind === "file" ? `chmod +x ${path}` : "name a file",
    );
    return;
  }
  if (uid === 0) lintComponents(path, world, say);
}

/** Only some shells open connections, and the system's may be none of them. */
function lintShellTest(
  program: string,
  world: World,
  say: (code: string, message: string, hint: string) => void,
): void {
  const [, protocol, host, port] = /^<\/dev\/(tcp|udp)\/([^/]+)\/([^/]+)$/.exec(program) ?? [];
  const shell = world.realPath("/bin/sh") ?? "";
  if (protocol === undefined || !LIMITED_SHELLS.test(shell)) return;
  say(
    "script_shell",
    `${shell} runs ${program}, which it takes for a file: the script will always fail`,
    protocol === "tcp" ? `check tcp ${host} ${port}, in place of script` : "have a program ask",
  );
}

/** Shells that are known not to have /dev/tcp. */
const LIMITED_SHELLS = /\/(dash|busybox|[mo]?ksh|yash)$/;

/** Whoever may change a component of the path decides what root runs. */
function lintComponents(
  path: string,
  world: World,
  say: (code: string, message: string, hint: string) => void,
): void {
  const insecure = insecureComponent(path, world);
  if (insecure === undefined) return;
  const { component, owned, isOpen } = insecure;
  const fixes = [
    ...(owned.uid === 0 ? [] : [`chown root ${component}`]),
    ...(isOpen ? [`chmod go-w ${component}`] : []),
  ];
  say(
    "script_insecure",
    `${component} (${describe(owned, world)}) may be changed by ${changers(owned, world)}, ` +
      `and root runs ${path}`,
    `${fixes.join(" && ")}; or have a user of its own run it (script_user)`,
  );
}

function mayExecute({ mode, uid: owner }: Owned, uid: number): boolean {
  if (uid === 0) return (mode & 0o111) !== 0;
  // Which groups the user has is not known: either of the two bits may do.
  return uid === owner ? (mode & 0o100) !== 0 : (mode & 0o011) !== 0;
}

function describe({ uid, gid, mode }: Owned, world: World): string {
  const owner = `${world.nameOf("user", uid)}:${world.nameOf("group", gid)}`;
  return `owner ${owner}, mode ${modeText(mode)}`;
}

function changers({ uid, gid, mode }: Owned, world: World): string {
  if ((mode & 0o002) !== 0) return "everybody";
  const who = [
    ...uid === 0 ? [] : [`user ${world.nameOf("user", uid)}`],
    ...(mode & 0o020) === 0 ? [] : [`group ${world.nameOf("group", gid)}`],
  ];
  return who.join(" and ");
}
