/**
 * argv and environment → a role, the daemon, or a verb. The only place where a process ends.
 *
 * What a path does not need is not loaded: the vrrp role never sees the configuration reader, and the
 * libraries for verbs and logs stay out of its way.
 */

import { basename } from "node:path";
import { setProcessName } from "../ffi/process.ts";
import { CHANNEL_FD, LEDGER_FD, ROLE_VARIABLE } from "./parent/channel.ts";
import { openLedger } from "./parent/ledger.ts";

/** sysexits.h EX_SOFTWARE: our own mistake; 1, 2 and 4 would stop the whole daemon. */
const EX_SOFTWARE = 70;

async function main(): Promise<number> {
  const { argv0 } = process;
  const words = process.argv.slice(2);
  const name = basename(argv0);
  const role = process.env[ROLE_VARIABLE];
  delete process.env[ROLE_VARIABLE];
  setProcessName(name);
  if (role === "vrrp") {
    const { runVrrpRole } = await import("./vrrp/role.ts");
    return runVrrpRole(CHANNEL_FD, openLedger(LEDGER_FD));
  }
  if (name === "keepalived" || words[0]?.startsWith("-") === true) {
    const { runDaemon } = await import("./cli/daemon.ts");
    return await runDaemon(argv0, words);
  }
  const { runVerb } = await import("./cli/verbs.ts");
  return await runVerb(words);
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    const text = error instanceof Error ? error.stack ?? error.message : String(error);
    process.stderr.write(`${text}\n`);
    process.exit(EX_SOFTWARE);
  },
);
