/** The scripts that a configuration mentions: where they are, who runs them, and who may change them. */
import type { Place } from "./problem.ts";
import type { Written } from "./schema.ts";
import type { Script } from "./vrrp.ts";
import type { Owned, World } from "./world.ts";

const DEFAULT_USER = "keepalived_script";
const SHELL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A script, and who mentions it. */
export interface Mention {
  readonly script: Script;
  readonly keyword: string;
  readonly who: string;
  /** The name of the block; empty outside named blocks. */
  readonly name: string;
  readonly place: Place | undefined;
}

/** Who runs the scripts of a block, when it says so for itself. */
type Identity = Omit<Script, "argv">;

interface Surrounding extends Omit<Mention, "script" | "keyword"> {
  readonly identity: Identity | undefined;
}

/** Every script in what the files say. */
export function mentionsOf(written: object): readonly Mention[] {
  const found: Mention[] = [];
  collect(written, "", { who: "", name: "", place: undefined, identity: undefined }, found);
  return found;
}

/**
 * Finds the scripts in the values of a block, whatever the keywords are. Large files pass through here:
 * what holds no values costs nothing, and services say when they have no scripts.
 */
function collect(
  value: object,
  keyword: string,
  above: Surrounding,
  found: Mention[],
): void {
  if (Array.isArray(value)) {
    for (const one of value) if (isObject(one)) collect(one, keyword, above, found);
    return;
  }
  const fields = value as Written;
  if (fields["hasScripts"] === false) return;
  if (Array.isArray(fields["argv"])) {
    const { identity, ...block } = above;
    found.push({ ...block, keyword, script: { ...identity, ...value as Script } });
    return;
  }
  const place = fields["place"] as Place | undefined;
  const name = fields["name"];
  const block = typeof name !== "string"
    ? above
    : { ...above, place: place ?? above.place, name, who: `(${name}) ` };
  const user = fields["user"];
  const inside = isObject(user) ? { ...block, identity: user as Identity } : block;
  // What a block says nothing of shows through it, and mentions nothing.
  for (const key of Object.keys(fields)) {
    const one = fields[key];
    if (isObject(one)) collect(one, key === "values" ? keyword : key, inside, found);
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Who runs a script that names nobody, when script_user does not either. */
export function defaultUser(world: World): string {
  return world.userId(DEFAULT_USER) === undefined ? "root" : DEFAULT_USER;
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

/** Whether a script is no program but asks whether a path can be opened (`</dev/tcp/ADDR/PORT`), which a shell does. */
export function isShellTest({ argv }: Script): boolean {
  return argv[0]!.startsWith("</");
}

/** The path of a program, PATH searched for a bare name; undefined when there is none. */
export function locate(program: string, world: World): string | undefined {
  const exists = (path: string): boolean => world.stat(path) !== undefined;
  if (program.startsWith("/")) return exists(program) ? program : undefined;
  if (program.includes("/")) {
    const path = `${world.cwd}/${program}`;
    return exists(path) ? path : undefined;
  }
  const folders = (world.environment("PATH") ?? SHELL_PATH).split(":");
  return folders.map((folder) => `${folder}/${program}`).find(exists);
}

/** A component of a path that others than root may change, and whether its mode lets them. */
export interface Insecure {
  readonly component: string;
  readonly owned: Owned;
  readonly isOpen: boolean;
}

/** The first component of a path that others than root may change; undefined when there is none. */
export function insecureComponent(path: string, world: World): Insecure | undefined {
  for (const component of componentsOf(path, world)) {
    const owned = world.inspect(component);
    if (owned === undefined) continue;
    // In a sticky directory nobody replaces what is another's.
    const isSticky = owned.kind === "directory" && (owned.mode & 0o1000) !== 0;
    const isOpen = !isSticky && (owned.mode & 0o022) !== 0;
    if (owned.uid !== 0 || isOpen) return { component, owned, isOpen };
  }
  return undefined;
}
