/**
 * What the package tests share, made once: the artefacts, a Debian root with keepalived installed, and
 * ways to run something inside a root. Everything lies in one folder, in memory where there is room,
 * and is gone when the process ends.
 */

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { MIRROR, RELEASE } from "./needs.ts";

const PROJECT = resolve(import.meta.dir, "../..");

/** Roots and artefacts together take about 3 GB. */
const ROOM = 5 * 2 ** 30;

/** One for all test files of a run. */
interface Shared {
  readonly folder: string;
  artefacts?: Promise<string>;
  again?: Promise<string>;
  tightSize?: Promise<number>;
  unpacked?: Promise<string>;
  baseRoot?: Promise<string>;
}

const shared: Shared = ((globalThis as { upkeepPackageLab?: Shared }).upkeepPackageLab ??= open());

function open(): Shared {
  const memory = "/dev/shm";
  const isRoomy = existsSync(memory) && statfsSync(memory).bavail * statfsSync(memory).bsize > ROOM;
  const base = isRoomy ? memory : tmpdir();
  // What a run that was killed could not remove.
  for (const name of readdirSync(base)) {
    const pid = /^upkpackage(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      rmSync(join(base, name), { recursive: true, force: true });
    }
  }
  const folder = mkdtempSync(join(base, `upkpackage${process.pid}-`));
  // bun test runs no exit handlers: a shell waits for the end of its input, which is our own end.
  const script = 'cat >/dev/null; rm -rf --one-file-system "$0"';
  const stdio = ["pipe", "ignore", "ignore"] as const;
  Bun.spawn(["sh", "-c", script, folder], { stdio: [...stdio], detached: true }).unref();
  return { folder };
}

/** A new folder that is gone at the end. */
export function scratch(name: string): string {
  return mkdtempSync(join(shared.folder, `${name}-`));
}

/** What a command did. */
export interface Outcome {
  readonly status: number;
  /** Standard output and standard error. */
  readonly text: string;
}

/** What may be said about a run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const PATH = `${process.env["PATH"]}:/usr/sbin:/sbin:/usr/local/go/bin`;

/** Runs a command and says what it did. */
export async function attempt(
  words: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const child = Bun.spawn([...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd: options.cwd ?? PROJECT,
    env: { ...process.env, PATH, LC_ALL: "C.UTF-8", ...options.env },
  });
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { status, text: output + errors };
}

/** Runs a command that has to succeed and returns what it printed. */
export async function run(words: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, text } = await attempt(words, options);
  if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}\n${text}`);
  return text;
}

/**
 * The folder with everything that `npm run package` makes, loosely packed. UPKEEP_PACKAGES names a
 * folder where it has been done before.
 */
export function artefacts(): Promise<string> {
  return shared.artefacts ??= makePackages(PROJECT, process.env["UPKEEP_PACKAGES"]);
}

async function makePackages(project: string, given: string | undefined): Promise<string> {
  if (given !== undefined) return given;
  const out = join(shared.folder, "artefacts");
  await run(["node_modules/.bin/bun", "packaging/package.ts", "--fast", "--out", out], {
    cwd: project,
  });
  return out;
}

/** The artefacts made a second time, from a copy of the project in another folder. */
export function madeAgain(): Promise<string> {
  return shared.again ??= artefacts().then(makeElsewhere);
}

/** What comes before a command that nobody may be waiting for any more when this process ends: it ends, too. */
export const WITH_US: readonly string[] = ["setpriv", "--pdeathsig", "KILL"];

/** How long the .deb's content is, packed as packaging/package.ts does it; the .rpm holds the same. */
export function tightSize(): Promise<number> {
  return shared.tightSize ??= packTightly();
}

async function packTightly(): Promise<number> {
  const tar = join(scratch("tight"), "data.tar");
  const unpack = 'dpkg-deb --fsys-tarfile "$0" >"$1"';
  await run(["sh", "-c", unpack, await artefact(/amd64\.deb$/), tar]);
  await run([...WITH_US, "nice", "xz", "-T1", "--x86", "--lzma2=preset=9", tar]);
  return statSync(`${tar}.xz`).size;
}

async function makeElsewhere(): Promise<string> {
  const copy = scratch("copy");
  const out = scratch("again");
  const [kept, modules] = [[".git", "dist"], "node_modules"];
  const names = readdirSync(PROJECT).filter((name) => !kept.includes(name) && name !== modules);
  await run(["cp", "-r", ...names, copy]);
  mkdirSync(join(copy, modules));
  // By hard links where that is possible: the tools are large.
  const words = ["-a", ...readdirSync(join(PROJECT, modules)), join(copy, modules)];
  const linked = await attempt(["cp", "-l", ...words], { cwd: join(PROJECT, modules) });
  if (linked.status !== 0) await run(["cp", "-f", ...words], { cwd: join(PROJECT, modules) });
  const time = (await run(["git", "log", "-1", "--format=%ct"])).trim();
  const command = ["nice", "node_modules/.bin/bun", "packaging/package.ts", "--fast", "--out", out];
  await run([...WITH_US, ...command], {
    cwd: copy,
    env: { SOURCE_DATE_EPOCH: time },
  });
  return out;
}

/** The one artefact whose name matches. */
export async function artefact(pattern: RegExp): Promise<string> {
  const folder = await artefacts();
  const names = readdirSync(folder).filter((name) => pattern.test(name));
  if (names.length !== 1) throw new Error(`${pattern} matches ${names.join(", ") || "nothing"}`);
  return join(folder, names[0]!);
}

/** A folder with the unpacked .deb for amd64. */
export function unpacked(): Promise<string> {
  return shared.unpacked ??= unpack();
}

async function unpack(): Promise<string> {
  const folder = join(shared.folder, "unpacked");
  await run(["dpkg-deb", "-x", await artefact(/amd64\.deb$/), folder]);
  return folder;
}

/**
 * Begins to make what takes longest, so that it is ready when it is needed: most tests wait more than they
 * compute.
 */
export function prepare(): void {
  // Who awaits one of these will hear of a failure.
  tightSize().catch(() => {});
  madeAgain().catch(() => {});
}

/** What the roots have beside the least. */
const PACKAGES = "keepalived,systemd-sysv,iproute2,iputils-ping,nftables,rpm";

function baseRoot(): Promise<string> {
  return shared.baseRoot ??= debootstrap();
}

async function debootstrap(): Promise<string> {
  const root = join(shared.folder, "base");
  const kept = join(PROJECT, "node_modules/.cache/upkeep", `${RELEASE}-${PACKAGES}.tar.zst`);
  if (isFresh(kept)) {
    mkdirSync(root);
    await run(["tar", "--zstd", "-xf", kept, "-C", root]);
    return root;
  }
  const include = `--include=${PACKAGES}`;
  await run(["debootstrap", "--variant=minbase", include, RELEASE, root, MIRROR]);
  await run(["chroot", root, "apt-get", "clean"]);
  // Nothing is started by installing in a root that is not booted.
  writeFileSync(join(root, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  // Kept for the next run; under another name until it is whole.
  const half = `${kept}.${process.pid}`;
  mkdirSync(dirname(kept), { recursive: true });
  await run(["tar", "-I", "zstd -1", "-cf", half, "-C", root, "."]);
  renameSync(half, kept);
  return root;
}

/** Whether a file is there and younger than a week. */
function isFresh(path: string): boolean {
  return existsSync(path) && Date.now() - statSync(path).mtimeMs < 7 * 86_400_000;
}

/** A Debian root of its own with keepalived installed, to be used with `await using`. */
export class DebianRoot {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** A copy of the base root, with a file copied into its /root for each one given. */
  static async make(...files: readonly string[]): Promise<DebianRoot> {
    const base = await baseRoot();
    const path = scratch("root");
    await run(["cp", "-a", `${base}/.`, path]);
    for (const file of files) await run(["cp", file, join(path, "root/")]);
    return new DebianRoot(path);
  }

  /** The words before a command that make it a process of the root, with a /proc, in this process's place. */
  get enter(): readonly string[] {
    const script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"';
    return ["unshare", "--mount", "sh", "-c", script, this.path];
  }

  /**
   * Runs a command in the root, which sees no process but its own: what a maintainer script stops, it
   * stops there. Says what it did.
   */
  attempt(...words: readonly string[]): Promise<Outcome> {
    const space = ["unshare", "--pid", "--fork", "--kill-child"];
    const env = { DEBIAN_FRONTEND: "noninteractive", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
    return attempt([
      ...space,
      ...this.enter,
      "env",
      ...Object.entries(env).map((pair) => pair.join("=")),
      ...words,
    ]);
  }

  /** Runs a command that has to succeed. */
  async run(...words: readonly string[]): Promise<string> {
    const { status, text } = await this.attempt(...words);
    if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}\n${text}`);
    return text;
  }

  /** The text of a file. */
  read(path: string): string {
    return readFileSync(join(this.path, path), "utf8");
  }

  /** Writes a file, and the folder it is in if that is not there. */
  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.path, path)), { recursive: true });
    writeFileSync(join(this.path, path), text);
  }

  has(path: string): boolean {
    return existsSync(join(this.path, path));
  }

  /** Every file, link and folder but for what changes by itself, sorted. */
  async list(): Promise<string[]> {
    const left = [
      "./proc/*",
      "./dev/*",
      "./sys/*",
      "./run/*",
      "./tmp/*",
      "./root/*",
      "./var/lib/dpkg/*",
    ];
    const tests = left.flatMap((path) => ["!", "-path", path]);
    return (await run(["find", ".", ...tests], { cwd: this.path })).trim().split("\n").sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run(["rm", "-rf", "--one-file-system", this.path]);
  }
}

/** The newest .deb again under another version, to upgrade to. */
export async function debOfVersion(deb: string, version: string): Promise<string> {
  const tree = scratch("deb");
  await run(["dpkg-deb", "-R", deb, tree]);
  const control = join(tree, "DEBIAN/control");
  writeFileSync(
    control,
    readFileSync(control, "utf8").replace(/^Version: .*/m, `Version: ${version}`),
  );
  const path = join(shared.folder, `upkeep_${version}_amd64.deb`);
  await run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, path]);
  rmSync(tree, { recursive: true });
  return path;
}

// Nearly every test needs both, and none should have to be done within its own time.
await Promise.all([artefacts(), baseRoot()]);
