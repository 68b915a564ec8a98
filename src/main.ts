/**
 * argv and environment → a role, the daemon, or a verb. The only place where a process ends.
 *
 * What a path does not need is not loaded: the vrrp role never sees the configuration reader, and the
 * libraries for verbs and logs stay out of its way.
 */

import { EARLY_SIGNALS } from "../ffi/constants.ts";
import { setProcessName, unblockSignals } from "../ffi/process.ts";
import { ANNOUNCE_FD, CHANNEL_FD, LEDGER_FD, ROLE_VARIABLE } from "./parent/channel.ts";
import { takeEarlyRole } from "./parent/early_role.ts";
import { openLedger } from "./parent/ledger.ts";

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
  if (role === "checkers") {
    const { runCheckersRole } = await import("./lvs/role.ts");
    return runCheckersRole(CHANNEL_FD);
  }
  if (role === "operate") {
    const { runOperateRole } = await import("./operate/role.ts");
    return await runOperateRole(CHANNEL_FD);
  }
  if (role === "exec") {
    const { runExecRole } = await import("./parent/exec_role.ts");
    return runExecRole();
  }
  const early = takeEarlyRole();
  if (name === "keepalived" || words[0]?.startsWith("-") === true) {
    const { runDaemon } = await import("./cli/daemon.ts");
    return await runDaemon(argv0, words, early);
  }
  unblockSignals(EARLY_SIGNALS);
  const { runVerb } = await import("./cli/verbs.ts");
  return await runVerb(words);
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
