/**
 * argv and environment → a role, the daemon, or a verb. The only place where a process ends.
 *
 * What a path does not need is not loaded: the vrrp role never sees the configuration reader, and the
 * libraries for verbs and logs stay out of its way. And what takes longest begins first: the vrrp
 * role is started before the command line has been read, if it looks like one that needs it.
 */

import { EARLY_SIGNALS, INTERFACE_SIGNALS } from "../ffi/constants.ts";
import { blockSignals, setProcessName, startSession, unblockSignals } from "../ffi/process.ts";
import {
  ANNOUNCE_FD,
  CHANNEL_FD,
  DETACHED_VARIABLE,
  LEDGER_FD,
  ROLE_VARIABLE,
} from "./parent/channel.ts";
import type { EarlyRole } from "./parent/daemon.ts";
import { makeLedger, openLedger } from "./parent/ledger.ts";
import { Role } from "./parent/supervisor.ts";

/** sysexits.h EX_SOFTWARE: our own mistake; 1, 2 and 4 would stop the whole daemon. */
const EX_SOFTWARE = 70;

async function main(): Promise<number> {
  const { argv0 } = process;
  const words = process.argv.slice(2);
  const name = argv0.slice(argv0.lastIndexOf("/") + 1);
  const role = process.env[ROLE_VARIABLE];
  delete process.env[ROLE_VARIABLE];
  setProcessName(name);
  if (role === "vrrp") {
    const { runVrrpRole } = await import("./vrrp/role.ts");
    return runVrrpRole(CHANNEL_FD, openLedger(LEDGER_FD), ANNOUNCE_FD);
  }
  if (process.env[DETACHED_VARIABLE] !== undefined) {
    startSession();
    process.chdir("/");
  }
  if (name === "keepalived" || words[0]?.startsWith("-") === true) {
    const early = startEarly(argv0, words);
    const { runDaemon } = await import("./cli/daemon.ts");
    return await runDaemon(argv0, words, early);
  }
  unblockSignals(EARLY_SIGNALS);
  const { runVerb } = await import("./cli/verbs.ts");
  return await runVerb(words);
}

/** Options after which no vrrp role will be needed. */
const OTHER_WORK = new Set([
  "-t",
  "-h",
  "-v",
  "-C",
  "--config-test",
  "--help",
  "--version",
  "--check",
]);

function staysInForeground(word: string): boolean {
  const isCluster = word.startsWith("-") && !word.startsWith("--");
  return word === "--dont-fork" || (isCluster && word.includes("n"));
}

/**
 * Starts the vrrp role when a glance at the command line says that one will run here. A wrong guess does
 * no harm: a role that is told nothing leaves the network alone, and goes when its channel closes.
 */
function startEarly(argv0: string, words: readonly string[]): EarlyRole | undefined {
  const isDaemon = process.env[DETACHED_VARIABLE] !== undefined || words.some(staysInForeground);
  const isOther = words.some((word) => OTHER_WORK.has(word));
  if (!isDaemon || isOther) return undefined;
  blockSignals(INTERFACE_SIGNALS);
  try {
    const ledger = makeLedger();
    return { ledger, role: new Role(argv0, words, ledger) };
  } catch {
    // Whatever is wrong will be found, and said, when the daemon starts in earnest.
    return undefined;
  }
}

function fail(error: unknown): never {
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(EX_SOFTWARE);
}

main().then((status) => process.exit(status), fail);
// Left alone, the runtime would end with 1, which says that starting again is of no use.
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
