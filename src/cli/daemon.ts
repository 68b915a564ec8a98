/**
 * What keepalived's command line starts: a number to print, a configuration to test, or the daemon, in the
 * foreground or away from its terminal.
 */

import { appendFileSync, closeSync, readSync, statSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { release, type, version } from "node:os";
import { INTERFACE_SIGNALS } from "../../ffi/constants.ts";
import { blockSignals } from "../../ffi/process.ts";
import { configTestStatus, reportProblem } from "../config/problem.ts";
import { load } from "../config/load.ts";
import { Daemon, type EarlyRole, type Invocation } from "../parent/daemon.ts";
import { DETACHED_VARIABLE } from "../parent/channel.ts";
import { scriptProblems } from "../config/script_security.ts";
import { systemFiles } from "../parent/files.ts";
import { OWN_ENVIRONMENT } from "../parent/supervisor.ts";
import { followedVersion, usageText, versionText } from "./daemon_help.ts";
import { type DaemonOptions, readDaemonOptions } from "./options.ts";
import { RELEASE } from "./release.ts";
import { systemWorld } from "../parent/world.ts";

/** Where the launcher waits for the daemon's first words. */
const READY_FD = 3;
const READY = "ready";
/** A configuration file of a thousand lines. */
const LARGE_BYTES = 16_384;

/**
 * Runs keepalived's command line; resolves with the exit status. `early` is a vrrp role that was started
 * because the command line looked as if one would be needed.
 */
export async function runDaemon(
  argv0: string,
  argv: readonly string[],
  early: EarlyRole | undefined,
): Promise<number> {
  const options = readDaemonOptions(argv0, argv);
  for (const error of options.errors) print(error);
  if (options.version) {
    print(versionText({ ...RELEASE, kernel: kernelText() }));
    return 0;
  }
  if (options.help) {
    print(usageText(argv0));
    return 0;
  }
  if (options.signum !== undefined) {
    writeSync(1, `${options.signum}\n`);
    return 0;
  }
  if (options.errors.length > 0) return 1;
  if (options.configTest !== undefined) return testConfiguration(options);
  const detachedFrom = process.env[DETACHED_VARIABLE];
  delete process.env[DETACHED_VARIABLE];
  if (!options.dontFork && detachedFrom === undefined) return await detach(argv0, argv);
  return await runInForeground({ argv0, argv, options, early }, detachedFrom);
}

async function runInForeground(
  call: Pick<Invocation, "argv0" | "argv" | "options" | "early">,
  detachedFrom: string | undefined,
): Promise<number> {
  const daemon = new Daemon({
    ...call,
    banner: `Keepalived v${followedVersion} (upkeep ${RELEASE.version})`,
    kernel: kernelText(),
    cwd: detachedFrom ?? process.cwd(),
  });
  const isUp = daemon.start();
  if (detachedFrom !== undefined) {
    if (isUp) writeSync(READY_FD, READY);
    closeSync(READY_FD);
  }
  return await daemon.ended;
}

/**
 * Starts the daemon away from this terminal and waits until it is up, so that whoever called can rely on
 * its pid file; when it ends before that, its status is ours.
 */
async function detach(argv0: string, argv: readonly string[]): Promise<number> {
  // Signals that come before the daemon can hear them wait for it.
  blockSignals(INTERFACE_SIGNALS);
  const child = Bun.spawn({
    cmd: ["/proc/self/exe", ...argv],
    argv0,
    stdio: ["ignore", "ignore", "ignore", "pipe"],
    env: { ...process.env, ...OWN_ENVIRONMENT, [DETACHED_VARIABLE]: process.cwd() },
  });
  const ready = child.stdio[READY_FD];
  if (typeof ready === "number" && awaitReady(ready)) {
    child.unref();
    return 0;
  }
  return await child.exited;
}

/** Waits for the daemon's word that it is up; false when it ends without. */
function awaitReady(fd: number): boolean {
  const buffer = new Uint8Array(16);
  for (;;) {
    try {
      return readSync(fd, buffer) > 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return false;
      Bun.sleepSync(1);
    }
  }
}

/** `-t`: reads as every role would and reports; the status is keepalived's. */
function testConfiguration(options: DaemonOptions): number {
  hurryForLarge(options.configFile);
  const files = systemFiles({
    configId: options.configId,
    allIncludeChecks: options.allConfig,
    cwd: process.cwd(),
  });
  const { config, written, problems: found } = load(resolve(options.configFile), files, "test");
  const problems = [...found, ...scriptProblems(written, config.globals, systemWorld(files))];
  const report = problems.map(reportProblem).join("\n");
  const file = options.configTest?.file;
  if (report !== "" && file === undefined) print(report);
  else if (report !== "" && file !== undefined) {
    appendFileSync(file, `${report}\n`, { mode: 0o644 });
  }
  return configTestStatus(problems);
}

/**
 * The build's JIT policy is that of a daemon, which runs most of its code once. A large file is a loop: there
 * compiling pays, while a small one is read before it would.
 */
function hurryForLarge(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size >= LARGE_BYTES) Bun.unsafe.setJITPolicy(1);
}

/** As `uname -srv`. */
function kernelText(): string {
  return `${type()} ${release()} ${version()}`;
}

function print(text: string): void {
  writeSync(2, text.endsWith("\n") ? text : `${text}\n`);
}
