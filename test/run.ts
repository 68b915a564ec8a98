/**
 * What `npm test` runs: every layer of docs/TESTING.md in order, one line each, and a last line
 * "N passed, N failed, N skipped". A layer that this machine cannot run says what is missing and
 * its test files count as skipped. On Debian, as root, missing packages are installed first.
 */

import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "..");
/** No PATH looks where Debian puts FRR's daemons and where Go's own installer puts Go. */
const PATH = [
  `${ROOT}/node_modules/.bin`,
  process.env["PATH"] ?? "",
  "/usr/sbin:/sbin:/usr/lib/frr:/usr/local/go/bin",
].join(":");

/** Debian's package for each command that a layer needs. */
const PACKAGES: Readonly<Record<string, string>> = {
  "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1": "libc6-arm64-cross",
  bfdd: "frr",
  cpio: "cpio",
  curl: "curl",
  debootstrap: "debootstrap",
  "dpkg-deb": "dpkg",
  fish: "fish",
  ip: "iproute2",
  "iptables-legacy": "iptables",
  ipvsadm: "ipvsadm",
  keepalived: "keepalived",
  lintian: "lintian",
  "linux.uml": "user-mode-linux",
  killall: "psmisc",
  mandoc: "mandoc",
  modprobe: "kmod",
  nft: "nftables",
  ping: "iputils-ping",
  ps: "procps",
  "qemu-aarch64-static": "qemu-user-static",
  rpm: "rpm",
  rpmbuild: "rpm",
  rpmlint: "rpmlint",
  setpriv: "util-linux",
  sysctl: "procps",
  "systemd-analyze": "systemd",
  "systemd-nspawn": "systemd-container",
  tcpdump: "tcpdump",
  nsenter: "util-linux",
  unshare: "util-linux",
  vtysh: "frr",
  xz: "xz-utils",
  zsh: "zsh",
  zstd: "zstd",
};

interface Layer {
  readonly name: string;
  readonly about: string;
  /** A command that counts as one, or the folders and files whose tests are run. */
  readonly command?: readonly string[];
  readonly tests?: readonly string[];
  /** The longest one test may take, and the longest the layer may take. */
  readonly testSeconds?: number;
  readonly seconds: number;
  /** Its files are shared out among so many processes; they mostly wait. */
  readonly processes?: number;
  /** Needs root, network namespaces and these commands ("a or b": one of them). */
  readonly commands?: readonly string[];
  /** Needs dist/upkeep. */
  readonly executable?: true;
  /** Its tests run in a guest with a kernel of its own (test/support/uml.ts). */
  readonly inGuest?: true;
  /** A command that fetches what else it needs; it says what is not to be had, and fails. */
  readonly fetch?: readonly string[];
  /** No test of it depends on tight timing: it runs beside its neighbours of the same kind. */
  readonly isPatient?: true;
  /** Listed once this file or folder exists. */
  readonly since?: string;
}

const NAMESPACE_COMMANDS = ["ip", "ping", "ps", "tcpdump", "unshare"];

const LAYERS: readonly Layer[] = [
  {
    name: "fmt",
    about: "deno fmt --check",
    command: ["deno", "fmt", "--check"],
    seconds: 60,
  },
  { name: "lint", about: "deno lint", command: ["deno", "lint", "--quiet"], seconds: 60 },
  { name: "types", about: "tsc --noEmit", command: ["tsc", "--noEmit"], seconds: 120 },
  {
    name: "unit",
    about: "tests beside their files, tables, goldens, tidiness",
    tests: ["src", "ffi", "packaging", "test/golden", "test/conformance", "test/tidy_test.ts"],
    testSeconds: 20,
    seconds: 180,
  },
  {
    name: "sim",
    about: "simulated networks of routers",
    tests: ["test/sim"],
    testSeconds: 120,
    seconds: 240,
  },
  {
    name: "build",
    about: "npm run build",
    command: ["sh", "packaging/build.sh"],
    seconds: 120,
    since: "src/main.ts",
  },
  {
    name: "netns",
    about: "our executable in network namespaces",
    tests: ["test/netns"],
    testSeconds: 60,
    seconds: 360,
    processes: 2,
    commands: [...NAMESPACE_COMMANDS, "killall", "nft"],
    executable: true,
  },
  {
    name: "uml",
    about: "virtual servers, ipvlans and VRFs in a kernel that has them, beside keepalived",
    tests: ["test/uml"],
    testSeconds: 60,
    seconds: 720,
    commands: [
      ...["linux.uml", "modprobe", "ipvsadm", "iptables-legacy", "keepalived"],
      ...["curl", "ip", "nsenter", "ping", "ps", "sysctl", "tcpdump"],
    ],
    executable: true,
    inGuest: true,
    isPatient: true,
  },
  {
    name: "package",
    about: "packages and images, installed and run",
    tests: ["test/package"],
    testSeconds: 240,
    seconds: 900,
    commands: [
      ...NAMESPACE_COMMANDS,
      ...["debootstrap", "dpkg-deb", "rpm", "rpmbuild", "lintian", "rpmlint"],
      ...["systemd-analyze", "systemd-nspawn", "bash", "zsh", "fish", "mandoc"],
      ...["qemu-aarch64-static", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"],
      ...["cpio", "setpriv", "xz", "zstd", "npm", "nfpm or go"],
    ],
    fetch: ["bun", "test/package/needs.ts"],
    executable: true,
    isPatient: true,
  },
  {
    name: "parity",
    about: "keepalived and upkeep on one wire",
    tests: ["test/parity"],
    testSeconds: 120,
    seconds: 480,
    commands: [...NAMESPACE_COMMANDS, "keepalived", "nft"],
    executable: true,
  },
  {
    name: "interop",
    about: "other implementations and upkeep on one wire",
    tests: ["test/interop"],
    testSeconds: 60,
    seconds: 240,
    commands: [...NAMESPACE_COMMANDS, "bfdd", "vtysh"],
  },
];

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

const scratch = mkdtempSync(join(tmpdir(), "upkeep-test-"));

function say(text: string): void {
  writeSync(1, text);
}

function paint(code: number, text: string): string {
  return process.stdout.isTTY && !process.env["NO_COLOR"] ? `\x1b[${code}m${text}\x1b[0m` : text;
}

/** The test files of a layer as paths that bun takes for paths, not for patterns. */
function filesOf(layer: Layer): string[] {
  const found = (layer.tests ?? []).flatMap((path) =>
    path.endsWith(".ts") ? [path] : [...new Bun.Glob(`${path}/**/*_test.ts`).scanSync(ROOT)]
  );
  return found.sort().filter((path) => existsSync(join(ROOT, path))).map((path) => `./${path}`);
}

function exists(layer: Layer): boolean {
  if (layer.since !== undefined) return existsSync(join(ROOT, layer.since));
  return layer.tests === undefined || filesOf(layer).length > 0;
}

function missingCommands(layer: Layer): string[] {
  return (layer.commands ?? []).filter((command) =>
    command.split(" or ").every((one) => Bun.which(one, { PATH }) === null)
  );
}

let commands = 0;

/** Runs a command; its output goes to a file, which no daemon left behind can hold open. */
async function run(
  command: readonly string[],
  seconds: number,
): Promise<{ status: number; output: string }> {
  const file = join(scratch, `output-${commands++}`);
  const fd = openSync(file, "w");
  const child = Bun.spawn([...command], {
    cwd: ROOT,
    env: { ...process.env, PATH, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "ignore",
    stdout: fd,
    stderr: fd,
  });
  closeSync(fd);
  let late = "";
  const timer = setTimeout(() => {
    late = `stopped: not done after ${seconds} s\n`;
    child.kill();
  }, seconds * 1000);
  const exitCode = await child.exited;
  clearTimeout(timer);
  const { signalCode } = child;
  const died = late === "" && signalCode !== null ? `died of ${signalCode}\n` : "";
  const status = late + died === "" ? exitCode : 1;
  return { status, output: readFileSync(file, "utf8") + late + died };
}

/**
 * Installs what the layers lack. A policy that answers 101 keeps Debian from starting the
 * keepalived service; the shell puts back what was there, even when we are interrupted.
 */
async function install(layers: readonly Layer[]): Promise<void> {
  const packages = new Set(layers.flatMap(missingCommands).map((command) => PACKAGES[command]));
  if (packages.size === 0 || process.getuid?.() !== 0 || Bun.which("apt-get") === null) return;
  const names = [...packages].filter((name) => name !== undefined);
  say(`installing ${names.join(" ")} … `);
  const script = `
    policy=/usr/sbin/policy-rc.d
    if [ -e $policy ] && [ ! -e $policy.upkeep ]; then mv $policy $policy.upkeep; fi
    trap 'rm -f $policy; if [ -e $policy.upkeep ]; then mv $policy.upkeep $policy; fi' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\\nexit 101\\n' > $policy && chmod 755 $policy || exit 1
    export DEBIAN_FRONTEND=noninteractive
    options='-q -o DPkg::Lock::Timeout=60 -o Acquire::Retries=2 -o Acquire::http::Timeout=30'
    apt-get $options update
    apt-get $options install -y --no-install-recommends "$@"
  `;
  const { status, output } = await run(["sh", "-c", script, "sh", ...names], 300);
  say(status === 0 ? "done\n" : `failed\n${output}\n`);
}

/** Why this machine cannot run the layer, or undefined. */
async function obstacle(layer: Layer, built: boolean): Promise<string | undefined> {
  if (layer.commands === undefined) return undefined;
  if (process.getuid?.() !== 0) return "needs root";
  const missing = missingCommands(layer);
  if (missing.length > 0) return `needs ${missing.join(", ")}`;
  if ((await run(["unshare", "--net", "--mount", "true"], 10)).status !== 0) {
    return "needs namespaces";
  }
  if (layer.executable && !built) return "needs dist/upkeep, which was not built";
  if (layer.fetch === undefined) return undefined;
  const { status, output } = await run(layer.fetch, 300);
  return status === 0 ? undefined : `needs ${output.trim()}`;
}

/** The summary that bun test ends with; a crash, which leaves none, is a failure. */
function countOf(status: number, output: string): Count {
  const summaries = output.matchAll(/\n((?: *\d+ [a-z0-9(), ]+\n)+)Ran \d+ tests? across/g);
  const summary = [...summaries].at(-1)?.[1] ?? "";
  const number = (what: string): number => {
    return Number(new RegExp(`^ *(\\d+) ${what}$`, "m").exec(summary)?.[1] ?? 0);
  };
  const failed = number("fail");
  return {
    passed: number("pass"),
    failed: failed === 0 && (status !== 0 || summary === "") ? 1 : failed,
    skipped: number("skip") + number("todo"),
  };
}

/** What became of a layer. */
interface Result {
  readonly count: Count;
  /** Why nothing of it was run. */
  readonly obstacle?: string;
  readonly output: string;
  readonly seconds: number;
}

async function runLayer(layer: Layer, built: boolean): Promise<Result> {
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1000;
  const reason = await obstacle(layer, built);
  if (reason !== undefined) {
    const count = { passed: 0, failed: 0, skipped: filesOf(layer).length };
    return { count, obstacle: reason, output: "", seconds: seconds() };
  }
  if (layer.command !== undefined) {
    const { status, output } = await run(layer.command, layer.seconds);
    const failed = status === 0 ? 0 : 1;
    return { count: { passed: 1 - failed, failed, skipped: 0 }, output, seconds: seconds() };
  }
  const parts = await Promise.all(
    shares(filesOf(layer), layer.processes ?? 1).map((files) => {
      return runTests(layer, files);
    }),
  );
  const sum = (key: keyof Count): number => parts.reduce((all, { count }) => all + count[key], 0);
  return {
    count: { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") },
    output: parts.filter(({ count }) => count.failed > 0).map((one) => one.output).join("\n"),
    seconds: seconds(),
  };
}

/** Files dealt out like cards. */
function shares(files: readonly string[], count: number): string[][] {
  return Array.from({ length: count }, (_, hand) => files.filter((_, i) => i % count === hand))
    .filter((hand) => hand.length > 0);
}

async function runTests(
  layer: Layer,
  files: readonly string[],
): Promise<{ count: Count; output: string }> {
  const { status, output } = await run([
    ...(layer.inGuest === true ? ["bun", "test/support/uml.ts"] : []),
    "bun",
    "test",
    // It would kill the daemons that leave their launcher, too.
    ...(layer.executable === true ? [] : ["--no-orphans"]),
    "--only-failures",
    `--timeout=${(layer.testSeconds ?? 5) * 1000}`,
    ...files,
  ], layer.seconds);
  return { count: countOf(status, output), output };
}

function help(): string {
  const rows = LAYERS.filter(exists).map(({ name, about, commands }) =>
    `  ${name.padEnd(8)}${about}${commands ? ` (root, ${commands.join(", ")})` : ""}\n`
  );
  return `Usage: npm test [-- LAYER...]\n\nWithout a LAYER every one is run, in this order:\n\n${
    rows.join("")
  }\nA layer that needs dist/upkeep builds it first.\n`;
}

/** The layers asked for, with the build before those that need it; a string says what is wrong. */
function choose(names: readonly string[]): readonly Layer[] | string {
  const listed = LAYERS.filter(exists);
  if (names.length === 0) return listed;
  const unknown = names.find((name) => !listed.some((layer) => layer.name === name));
  if (unknown !== undefined) {
    return `no layer is called "${unknown}"; there are ${listed.map((l) => l.name).join(", ")}`;
  }
  const named = listed.filter(({ name }) => names.includes(name));
  const building = named.some(({ executable }) => executable);
  return listed.filter((layer) => named.includes(layer) || (building && layer.name === "build"));
}

/** The layers in their order; neighbours that are patient run at the same time. */
function groupsOf(layers: readonly Layer[]): readonly (readonly Layer[])[] {
  const groups: Layer[][] = [];
  for (const layer of layers) {
    const last = groups.at(-1);
    if (layer.isPatient && last?.[0]?.isPatient) last.push(layer);
    else groups.push([layer]);
  }
  return groups;
}

async function runAll(layers: readonly Layer[]): Promise<Count> {
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  await install(layers);
  let built = false;
  let index = 0;
  for (const group of groupsOf(layers)) {
    const running = group.map((layer) => [layer, runLayer(layer, built)] as const);
    for (const [layer, result] of running) {
      say(`${++index}/${layers.length} ${layer.name.padEnd(7)} ${layer.about} … `);
      const { count } = await result;
      if (layer.name === "build") built = count.failed === 0;
      total.passed += count.passed;
      total.failed += count.failed;
      total.skipped += count.skipped;
      report(layer, await result);
    }
  }
  return total;
}

/** The rest of a layer's line, and its output when it has failed. */
function report(layer: Layer, { count, obstacle, output, seconds }: Result): void {
  if (obstacle !== undefined) {
    say(`${paint(33, "skipped")}: ${obstacle} (${count.skipped} test files)\n`);
    return;
  }
  const word = count.failed > 0 ? paint(31, "FAILED") : paint(32, "ok");
  const tests = layer.tests && ` ${count.passed} passed, ${count.failed} failed, ` +
      `${count.skipped} skipped,`;
  say(`${word}${tests ?? ""} ${seconds.toFixed(1)} s\n`);
  if (count.failed > 0) say(`${output.trimEnd()}\n\n`);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    say(help());
    return 0;
  }
  const layers = choose(args);
  if (typeof layers === "string") say(`${layers}\n`);
  const total = typeof layers === "string"
    ? { passed: 0, failed: 0, skipped: 0 }
    : await runAll(layers);
  say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
