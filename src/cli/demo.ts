/**
 * The verb `demo`: a failover between two real daemons, watched live, on one machine and without a
 * trace left behind.
 *
 * It needs the right to make network namespaces. Who is not root gets it in a user namespace of
 * their own: util-linux's unshare makes one and becomes this program again.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { SysError } from "../../ffi/libc.ts";
import { type Config, load } from "../config/load.ts";
import { explainProblem } from "../config/problem.ts";
import { systemFiles } from "../parent/files.ts";
import { isColourful, painter } from "./colour.ts";
import { embeddedConfiguration, type Plan, planDemo, type RouterName } from "./demo_plan.ts";
import { DemoError, Journal, Story } from "./demo_story.ts";
import { formatEvent, formatJson, formatOpening, formatSummary } from "./demo_timeline.ts";

/** What the command line asks of the demo. */
export interface DemoOptions {
  /** One JSON object instead of text. */
  readonly json: boolean;
  /** Seconds between two adverts of the embedded pair: 0.01 to 40.95 in hundredths. */
  readonly advertInt: number;
  /** The user's own pair of configurations instead. */
  readonly config?: readonly [string, string];
}

/** What ends a demo early: the exit status is 128 and the signal's number, as shells report it. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
/** The same for output that nobody reads any more. */
const SIGPIPE = 13;

/**
 * Runs the demo and returns the exit status. `words` are those that start this verb again, for the
 * second attempt in a user namespace.
 */
export async function runDemo(options: DemoOptions, words: readonly string[]): Promise<number> {
  let interruption: number | undefined;
  const interrupt = (number: number, why: string): void => {
    interruption ??= number;
    journal.fail(new DemoError(why));
  };
  const say = (text: string): void => {
    if (!print(text)) interrupt(SIGPIPE, "Nobody reads the output any more");
  };
  const paint = painter(isColourful(process.stdout));
  const tell = options.json ? (): void => {} : say;
  const journal = new Journal((event) => tell(formatEvent(event, paint)));
  const listeners = Object.entries(SIGNALS).map(([signal, number]) => {
    const listener = (): void => interrupt(number, `Stopped by ${signal}`);
    process.on(signal, listener);
    return (): unknown => process.off(signal, listener);
  });
  let story: Story | undefined;
  let folder: string | undefined;
  let failure: string | undefined;
  try {
    becomeCapable(words);
    folder = mkdtempSync(join(tmpdir(), "upkeep-demo-"));
    const files = options.config === undefined
      ? writeEmbedded(folder, options.advertInt)
      : { A: resolve(options.config[0]), B: resolve(options.config[1]) };
    const plan = planFor(files);
    tell(formatOpening(plan, paint));
    story = new Story(plan, journal, folder, files);
    await story.play();
    journal.close();
    tell(formatSummary(plan, journal.failovers, options.config !== undefined, paint));
  } catch (error) {
    if (!(error instanceof DemoError || error instanceof SysError)) throw error;
    failure = error.message;
    journal.close();
    complain(failure, interruption === undefined ? story?.lastLines : []);
  } finally {
    await story?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    for (const off of listeners) off();
  }
  if (options.json) say(formatJson(journal.events, journal.failovers, failure));
  if (interruption !== undefined) return 128 + interruption;
  return failure === undefined ? 0 : 1;
}

/** Says why on standard error, with the end of the daemons' logs. */
function complain(message: string, logLines: readonly string[] = []): void {
  const paint = painter(isColourful(process.stderr));
  const lines = logLines.map((line) => `  ${line}\n`).join("");
  const log = lines === "" ? "" : `The last lines of the routers' logs:\n${lines}`;
  writeSync(2, `${paint("upkeep demo:", "red")} ${message}\n${log}`);
}

/** Writes at once, so that nothing is lost at the exit; false when nobody reads any more. */
function print(text: string): boolean {
  try {
    writeSync(1, text);
    return true;
  } catch {
    return false;
  }
}

function writeEmbedded(folder: string, advertInt: number): Record<RouterName, string> {
  const write = (name: RouterName): string => {
    const path = join(folder, `${name}.conf`);
    writeFileSync(path, embeddedConfiguration(name, advertInt), { mode: 0o600 });
    return path;
  };
  return { A: write("A"), B: write("B") };
}

/** Reads both files as the daemons will; the links they name are there by then. */
function planFor(files: Readonly<Record<RouterName, string>>): Plan {
  const context = { configId: undefined, allIncludeChecks: false, cwd: process.cwd() };
  const world = { ...systemFiles(context), hasLink: () => true };
  const read = (name: RouterName): Config => {
    const { config, problems } = load(files[name], world);
    const fatal = problems.find(({ severity }) => severity === "fatal");
    if (fatal === undefined) return config;
    throw new DemoError(`No daemon starts with file ${name}\n${explainProblem(fatal)}`);
  };
  const plan = planDemo(read("A"), read("B"));
  if (typeof plan === "string") throw new DemoError(plan);
  return plan;
}

// linux/capability.h: CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN
const NEEDED = (1n << 12n) | (1n << 13n) | (1n << 21n);

/** Returns if this process may make namespaces; else becomes one that may, or throws DemoError. */
function becomeCapable(words: readonly string[]): void {
  const status = readFileSync("/proc/self/status", "utf8");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  if ((effective & NEEDED) === NEEDED) return;
  const unshare = Bun.which("unshare");
  if (unshare === null) {
    throw new DemoError("It takes root, or unshare from util-linux; neither is here");
  }
  // The nested one asks for what the demo will: some kernels grant the first and refuse the second.
  const attempt = Bun.spawnSync([unshare, "-Urn", unshare, "-n", "true"], { stderr: "pipe" });
  if (!attempt.success) {
    const why = attempt.stderr.toString().trim().replaceAll("\n", "; ");
    throw new DemoError(
      `It takes root, or a kernel that lets users make namespaces (${why})\n` +
        "Try it with sudo; or see the sysctls user.max_user_namespaces, " +
        "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns",
    );
  }
  process.execve?.(unshare, [unshare, "-Urn", process.execPath, ...words], process.env);
}
