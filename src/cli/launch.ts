/** Starting the daemon, here or away from its terminal. */

import { INTERFACE_SIGNALS } from "../../ffi/constants.ts";
import { awaitBytes, writeText } from "../../ffi/file.ts";
import { blockSignals, systemName } from "../../ffi/process.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import { DETACHED_VARIABLE, NAMESPACE_VARIABLE } from "../parent/channel.ts";
import { Daemon, type Invocation } from "../parent/daemon.ts";
import { OWN_ENVIRONMENT } from "../parent/supervisor.ts";
import { FOLLOWED_VERSION, RELEASE } from "./release.ts";

/** Where the launcher waits for the daemon's first words. */
const READY_FD = 3;
const READY = "ready";

/** Runs the daemon as it was called, to its end in the foreground, until it is up elsewhere; the exit status. */
export async function launch(
  call: Pick<Invocation, "argv0" | "argv" | "options" | "early">,
): Promise<number> {
  const detachedFrom = process.env[DETACHED_VARIABLE];
  delete process.env[DETACHED_VARIABLE];
  const isDetaching = !call.options.dontFork && detachedFrom === undefined;
  if (!isDetaching) return await runInForeground(call, detachedFrom);
  call.early?.role.release();
  return await detach(call.argv0, call.argv);
}

async function runInForeground(
  call: Pick<Invocation, "argv0" | "argv" | "options" | "early">,
  detachedFrom: string | undefined,
): Promise<number> {
  const namespace = process.env[NAMESPACE_VARIABLE];
  delete process.env[NAMESPACE_VARIABLE];
  const daemon = new Daemon({
    ...call,
    banner: `Keepalived v${FOLLOWED_VERSION} (upkeep ${RELEASE.version})`,
    kernel: systemName().kernel,
    cwd: detachedFrom ?? process.cwd(),
    detachedFrom,
    namespace,
  });
  const isUp = await daemon.start();
  if (detachedFrom !== undefined) {
    if (isUp) writeText(READY_FD, READY);
    closeDescriptor(READY_FD);
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
  if (typeof ready === "number" && awaitBytes(ready)) {
    child.unref();
    return 0;
  }
  return await child.exited;
}
