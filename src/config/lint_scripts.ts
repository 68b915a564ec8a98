/**
 * Scripts that will not run, or that more people may change than the user they run as. keepalived
 * says only that there is a problem; here it is the very path component, its owner and its mode.
 */
import type { Globals } from "./globals.ts";
import { type Find, modeText } from "./finding.ts";
import type { Place } from "./problem.ts";
import type { Written } from "./schema.ts";
import type { Script } from "./vrrp.ts";
import type { Owned, World } from "./world.ts";

const DEFAULT_USER = "keepalived_script";
const SHELL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A script, and who mentions it. */
interface Mention {
  readonly script: Script;
  readonly keyword: string;
  readonly who: string;
  readonly place: Place | undefined;
}

/** Adds findings about every script that the configuration mentions, each program once. */
export function lintScripts(written: unknown, globals: Globals, world: World, find: Find): void {
  const seen = new Set<string>();
  const mentions: Mention[] = [];
  collect(written, { keyword: "", who: "", place: undefined }, mentions);
  for (const mention of mentions) {
    const user = mention.script.user ?? globals.script_user?.user ?? defaultUser(world);
    const key = `${mention.script.argv[0]} ${user}`;
    if (seen.has(key)) continue;
    seen.add(key);
    lintScript(mention, user, world, find);
  }
}

function defaultUser(world: World): string {
  return world.userId(DEFAULT_USER) === undefined ? "root" : DEFAULT_USER;
}

/** Finds the scripts in the values of a block, whatever the keywords are. */
function collect(value: unknown, above: Omit<Mention, "script">, found: Mention[]): void {
  if (Array.isArray(value)) {
    for (const one of value) collect(one, above, found);
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const fields = value as Written;
  if (Array.isArray(fields["argv"])) {
    found.push({ ...above, script: value as Script });
    return;
  }
  const place = fields["place"] as Place | undefined;
  const name = fields["name"];
  const inside = place === undefined || typeof name !== "string"
    ? above
    : { ...above, place, who: `(${name}) ` };
  for (const [keyword, one] of Object.entries(fields)) {
    const isValues = keyword === "values" || keyword === "place";
    collect(one, isValues ? inside : { ...inside, keyword }, found);
  }
}

function lintScript(mention: Mention, user: string, world: World, find: Find): void {
  const { script, keyword, who, place } = mention;
  const program = script.argv[0]!;
  const say = (code: string, message: string, hint: string): void =>
    find({ place, near: keyword, code, message: `${who}${keyword}: ${message}`, hint });
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

/** Whoever may change a component of the path decides what root runs. */
function lintComponents(
  path: string,
  world: World,
  say: (code: string, message: string, hint: string) => void,
): void {
  for (const component of componentsOf(path, world)) {
    const owned = world.inspect(component);
    if (owned === undefined) continue;
    const isOthers = owned.uid !== 0;
    // In a sticky directory nobody replaces what is another's.
    const isSticky = owned.kind === "directory" && (owned.mode & 0o1000) !== 0;
    const isOpen = !isSticky && (owned.mode & 0o022) !== 0;
    if (!isOthers && !isOpen) continue;
    const fixes = [
      ...isOthers ? [`chown root ${component}`] : [],
      ...isOpen ? [`chmod go-w ${component}`] : [],
    ];
    say(
      "script_insecure",
      `${component} (${describe(owned, world)}) may be changed by ${changers(owned, world)}, ` +
        `and root runs ${path}`,
      `${fixes.join(" && ")}; or have a user of its own run it (script_user)`,
    );
    return;
  }
}

/** The path and everything above it, as written and as it is once links are resolved. */
function componentsOf(path: string, world: World): readonly string[] {
  const real = world.realPath(path) ?? path;
  const found = new Set<string>(["/"]);
  for (const one of [path, real]) {
    for (let at = one.indexOf("/", 1); at >= 0; at = one.indexOf("/", at + 1)) {
      found.add(one.slice(0, at));
    }
    found.add(one);
  }
  return [...found];
}

function locate(program: string, world: World): string | undefined {
  const exists = (path: string): boolean => world.stat(path) !== undefined;
  if (program.startsWith("/")) return exists(program) ? program : undefined;
  if (program.includes("/")) {
    const path = `${world.cwd}/${program}`;
    return exists(path) ? path : undefined;
  }
  const folders = (world.environment("PATH") ?? SHELL_PATH).split(":");
  return folders.map((folder) => `${folder}/${program}`).find(exists);
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
