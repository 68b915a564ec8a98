/**
 * What keepalived's command line starts: a number to print, a configuration to test, or the daemon. Each is
 * loaded when it is known to be wanted.
 */

import { INTERFACE_SIGNALS } from "../../ffi/constants.ts";
import { writeText } from "../../ffi/file.ts";
import { systemName, unblockSignals } from "../../ffi/process.ts";
import type { EarlyRole } from "../parent/early_role.ts";
import { readDaemonOptions } from "./options.ts";

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
  for (const error of options.errors) writeText(2, `${error}\n`);
  if (options.version) {
    const { versionText } = await import("./daemon_help.ts");
    const { RELEASE } = await import("./release.ts");
    writeText(2, versionText({ ...RELEASE, kernel: systemName().kernel }));
    return 0;
  }
  if (options.help) {
    const { usageText } = await import("./daemon_help.ts");
    writeText(2, usageText(argv0));
    return 0;
  }
  if (options.signum !== undefined) {
    writeText(1, `${options.signum}\n`);
    return 0;
  }
  if (options.errors.length > 0) return 1;
  if (options.configTest !== undefined) {
    unblockSignals(INTERFACE_SIGNALS);
    const { testConfiguration } = await import("./verdict.ts");
    return testConfiguration(options);
  }
  const { launch } = await import("./launch.ts");
  return await launch({ argv0, argv, options, early });
}
