/**
 * Hearing signals in a process whose loop is Bun's.
 *
 * Bun delivers the named signals. The real-time ones it does not know get libc's `close` as their
 * handler: signal N closes descriptor N, which is one end of a socket pair, and the end of stream is
 * seen at the other end. The parent has a dozen descriptors open, so these numbers are free.
 *
 * SIGTERM is heard in the same way, because the other end can be inherited: the role says farewell at the
 * moment the signal is delivered, whatever the parent's loop is doing.
 */

import { SIG_IGN, SIGTERM } from "../../ffi/constants.ts";
import {
  copyDescriptor,
  functionAddress,
  isDescriptor,
  moveDescriptor,
  setDisposition,
} from "../../ffi/process.ts";
import { closeDescriptor, socketPair } from "../../ffi/socket.ts";
import type { StopLine } from "./ledger.ts";
import { Stream } from "./stream.ts";

/** What the daemon is asked for. */
export type Request = "reload" | "stop" | "data" | "stats" | "stats-clear" | "json" | "threads";

const REALTIME: Readonly<Record<number, Request>> = {
  36: "json", // SIGRTMIN+2 with glibc
  37: "json", // SIGRTMIN+2 with musl
  63: "stats-clear", // SIGRTMAX-1
  64: "threads", // SIGRTMAX
};

/**
 * Calls `hear` for every signal of the daemon's interface, from now to the end of the process. SIGTERM closes
 * the trigger of `line`.
 */
export function hearSignals(
  ignoreInterrupt: boolean,
  line: StopLine,
  hear: (request: Request) => void,
): void {
  process.on("SIGHUP", () => hear("reload"));
  process.on("SIGINT", () => {
    if (!ignoreInterrupt) hear("stop");
  });
  process.on("SIGUSR1", () => hear("data"));
  process.on("SIGUSR2", () => hear("stats"));
  const close = functionAddress("close");
  for (const [signal, request] of Object.entries(REALTIME)) {
    arm(Number(signal), close, () => hear(request));
  }
  hearStop(line, close, () => hear("stop"));
}

/** A launcher may have left us a descriptor of that number; then the role is told by the parent. */
function hearStop(line: StopLine, close: number, hear: () => void): void {
  if (isDescriptor(SIGTERM)) {
    process.on("SIGTERM", hear);
    return;
  }
  moveDescriptor(line.trigger, SIGTERM);
  new Stream(copyDescriptor(line.fd), {
    data(): void {},
    close(): void {
      // The number is free now. Whoever gets it shall keep it.
      setDisposition(SIGTERM, SIG_IGN);
      hear();
    },
  });
  setDisposition(SIGTERM, close);
}

/**
 * Goes through the delivery of a signal that asks for nothing, so that the one that ends the daemon finds
 * its way in memory. (SIGWINCH: nobody sends it to a daemon, and unheard it does nothing.)
 */
export function rehearseSignal(): void {
  process.once("SIGWINCH", () => {});
  process.kill(process.pid, "SIGWINCH");
}

function arm(signal: number, close: number, hear: () => void): void {
  const [watched, closed] = socketPair();
  moveDescriptor(closed, signal);
  // Out of the way: what SIGTERM closes must not be the first number that is free.
  const aside = copyDescriptor(watched);
  closeDescriptor(watched);
  new Stream(aside, {
    data(): void {},
    close(): void {
      arm(signal, close, hear);
      hear();
    },
  });
  setDisposition(signal, close);
}
