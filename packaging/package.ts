/**
 * `npm run package`: everything that is shipped, into dist/. For each machine the executable, a .deb, an
 * .rpm and a root; for all of them an OCI image, a bill of materials and the checksums. The same
 * commit gives the same bytes: times are SOURCE_DATE_EPOCH, by default the commit's, and every archive
 * is written in a fixed order.
 *
 *     --out DIR   another folder than dist
 *     --fast      packed loosely, for tests of what is inside
 */

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join, resolve } from "node:path";
import { FOLLOWED_VERSION } from "../src/cli/release.ts";
import { RELEASE } from "../src/cli/release.ts";
import { run } from "./command.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completions.ts";
import { compositionOf } from "./composition.ts";
import { applianceEntries, type Layer, libraryVersion, ociArchive, sha256 } from "./image.ts";
import { copyrightFile, rootLicences } from "./licences.ts";
import { type Machine, MACHINES } from "./machines.ts";
import { configurationPage, manPage } from "./man_page.ts";
import { findNfpm } from "./nfpm.ts";
import { repackRpm } from "./rpm.ts";
import { type Runtime, runtimeFor } from "./runtime.ts";
import { billOfMaterials } from "./sbom.ts";
import { readAr, writeAr, writeTar } from "./tar.ts";

const ROOT = resolve(import.meta.dir, "..");

interface Settings {
  readonly out: string;
  readonly fast: boolean;
  /** Seconds since 1970. */
  readonly time: number;
}

interface Built {
  readonly machine: Machine;
  readonly runtime: Runtime;
  readonly executable: string;
}

async function main(args: readonly string[]): Promise<void> {
  const settings = await readSettings(args);
  const { out } = settings;
  const work = join(out, "work");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const builds: Built[] = [];
  for (const machine of MACHINES) builds.push(await build(machine, work));
  const bunVersion = builds[0]!.runtime.version;
  const copyright = copyrightFile(ROOT, bunVersion);
  const bill = billOfMaterials({
    root: ROOT,
    version: RELEASE.version,
    time: settings.time,
    runtimes: builds.map(({ machine, runtime }) => [machine, runtime]),
    executables: new Map(
      builds.map(({ machine, executable }) => [machine.name, sha256(readFileSync(executable))]),
    ),
    libraries: new Map(
      MACHINES.flatMap((machine) => {
        const version = libraryVersion(machine);
        return version === undefined ? [] : [[machine.name, version] as const];
      }),
    ),
  });
  const nfpm = await findNfpm();
  const packages = builds.flatMap((built) => {
    stage(join(work, built.machine.name), { copyright, bill }, settings.time);
    return [makeDeb(nfpm, built, work, settings), makeRpm(nfpm, built, work, settings)];
  });
  const roots = builds.map((built) => makeAppliance(built, copyright, settings));
  const made = (await Promise.all(packages)).map(([name, data]) => write(out, name, data));
  const layers = (await Promise.all(roots)).filter((layer) => layer !== undefined);
  for (const { machine, packed } of layers) {
    made.push(write(out, `upkeep-appliance-${machine.name}.tar.zst`, packed));
  }
  made.push(write(out, "upkeep-oci.tar", ociArchive(layers, RELEASE.version, settings.time)));
  made.push(write(out, "upkeep.cdx.json", new TextEncoder().encode(bill)));
  for (const { machine, executable } of builds) {
    made.push(write(out, `upkeep-${machine.name}`, readFileSync(executable), 0o755));
  }
  const sums = made.toSorted().map((name) => `${sha256(readFileSync(join(out, name)))}  ${name}\n`);
  write(out, "SHA256SUMS", new TextEncoder().encode(sums.join("")));
  report(made, out);
  for (const { machine, runtime, executable } of builds) {
    say(await compositionOf(machine, runtime, executable, ROOT, work));
  }
  rmSync(work, { recursive: true });
}

async function readSettings(args: readonly string[]): Promise<Settings> {
  const at = args.indexOf("--out");
  const out = resolve(at < 0 ? join(ROOT, "dist") : args[at + 1] ?? "");
  const given = process.env["SOURCE_DATE_EPOCH"];
  const time = Number(given ?? await lastCommit());
  if (!Number.isInteger(time)) throw new Error(`SOURCE_DATE_EPOCH is no number: "${given}"`);
  return { out, fast: args.includes("--fast"), time };
}

/** The moment of the last commit, or outside a repository of the release. */
async function lastCommit(): Promise<number> {
  try {
    const output = await run(["git", "log", "-1", "--format=%ct"], { cwd: ROOT });
    return Number(new TextDecoder().decode(output));
  } catch {
    return Date.parse(RELEASE.date) / 1000;
  }
}

async function build(machine: Machine, work: string): Promise<Built> {
  const runtime = await runtimeFor(machine, ROOT);
  const executable = join(work, "build", machine.name, "upkeep");
  await run([
    "sh",
    join(ROOT, "packaging/build.sh"),
    executable,
    `--target=bun-linux-${machine.target}`,
    `--compile-executable-path=${runtime.path}`,
  ]);
  return { machine, runtime, executable };
}

/** Writes what goes into the packages beside the executable, all with the time of the commit. */
function stage(folder: string, texts: { copyright: string; bill: string }, time: number): void {
  mkdirSync(join(folder, "guides"), { recursive: true });
  const put = (name: string, content: string | Uint8Array): void => {
    writeFileSync(join(folder, name), content);
    utimesSync(join(folder, name), time, time);
  };
  const files = join(ROOT, "packaging/files");
  for (const name of readdirSync(files)) put(name, readFileSync(join(files, name)));
  const guides = join(ROOT, "docs/guides");
  for (const name of readdirSync(guides)) put(`guides/${name}`, readFileSync(join(guides, name)));
  put("guides/COMPATIBILITY.md", readFileSync(join(ROOT, "docs/COMPATIBILITY.md")));
  put("upkeep.8.gz", gzip(manPage()));
  put("keepalived.conf.5.gz", gzip(configurationPage()));
  put("upkeep.bash", bashCompletion());
  put("_upkeep", zshCompletion());
  put("upkeep.fish", fishCompletion("upkeep"));
  put("keepalived.fish", fishCompletion("keepalived"));
  put("copyright", texts.copyright);
  put("sbom.cdx.json", texts.bill);
  put("changelog.Debian.gz", gzip(changelog(time)));
}

function changelog(time: number): string {
  const date = new Date(time * 1000).toUTCString().replace("GMT", "+0000");
  return `upkeep (${RELEASE.version}-1) unstable; urgency=medium\n\n  * Version ${RELEASE.version}.\n\n` +
    ` -- The upkeep authors <upkeep@packages.invalid>  ${date}\n`;
}

async function nfpmPackage(
  nfpm: readonly string[],
  { machine, executable }: Built,
  work: string,
  { time }: Settings,
  packager: "deb" | "rpm",
): Promise<Uint8Array> {
  const staged = join(work, machine.name);
  const file = join(work, `${machine.name}.${packager}`);
  const copy = join(staged, "upkeep");
  writeFileSync(copy, readFileSync(executable));
  utimesSync(copy, time, time);
  await run([...nfpm, "package", "--packager", packager, "--target", file], {
    cwd: ROOT,
    env: {
      SOURCE_DATE_EPOCH: String(time),
      UPKEEP_ARCH: machine.name,
      UPKEEP_VERSION: RELEASE.version,
      UPKEEP_FOLLOWED: FOLLOWED_VERSION,
      UPKEEP_STAGE: staged,
    },
  });
  return readFileSync(file);
}

async function makeDeb(
  nfpm: readonly string[],
  built: Built,
  work: string,
  settings: Settings,
): Promise<[name: string, data: Uint8Array]> {
  const members = readAr(await nfpmPackage(nfpm, built, work, settings, "deb"));
  const packed = await Promise.all(
    members.map(async ({ name, data }) =>
      name === "data.tar"
        ? { name: "data.tar.xz", data: await xz(data, built.machine, settings) }
        : { name, data }
    ),
  );
  const name = `upkeep_${RELEASE.version}-1_${built.machine.name}.deb`;
  return [name, writeAr(packed, settings.time)];
}

async function makeRpm(
  nfpm: readonly string[],
  built: Built,
  work: string,
  settings: Settings,
): Promise<[name: string, data: Uint8Array]> {
  const loose = await nfpmPackage(nfpm, built, work, settings, "rpm");
  const data = await repackRpm(loose, (cpio) => xz(cpio, built.machine, settings));
  return [`upkeep-${RELEASE.version}-1.${built.machine.rpm}.rpm`, data];
}

async function makeAppliance(
  { machine, executable }: Built,
  copyright: string,
  settings: Settings,
): Promise<Layer | undefined> {
  const entries = applianceEntries(
    machine,
    readFileSync(executable),
    rootLicences(ROOT, copyright),
  );
  if (entries === undefined) {
    say(
      `no root for ${machine.name}: its C library is not on this computer (libc6-${machine.name}-cross)\n`,
    );
    return undefined;
  }
  const tar = writeTar(entries, settings.time);
  const packed = await run(["zstd", settings.fast ? "-1" : "-19", "-q", "--single-thread", "-c"], {
    input: tar,
  });
  return { machine, diffId: sha256(tar), packed };
}

/** One thread, so that the number of processors leaves no trace. rpm unpacks in at most 100 MiB. */
function xz(data: Uint8Array, { xzFilters }: Machine, { fast }: Settings): Promise<Uint8Array> {
  const level = `--lzma2=preset=${fast ? 0 : 9}`;
  return run(["xz", "-T1", "-c", ...xzFilters, level], { input: data });
}

function gzip(text: string): Uint8Array {
  return Bun.gzipSync(new TextEncoder().encode(text), { level: 9 });
}

function write(out: string, name: string, data: Uint8Array, mode = 0o644): string {
  writeFileSync(join(out, name), data, { mode });
  return basename(name);
}

function report(names: readonly string[], out: string): void {
  for (const name of names.toSorted()) {
    const { size } = statSync(join(out, name));
    say(`${(size / 2 ** 20).toFixed(1).padStart(7)} MiB  ${name}\n`);
  }
}

function say(text: string): void {
  process.stdout.write(text);
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
