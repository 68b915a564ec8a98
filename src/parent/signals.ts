/**
 * Hearing signals in a process whose loop is Bun's.
 *
 * Bun delivers the named signals. The real-time ones it does not know get libc's `close` as their
 * handler: signal N closes descriptor N, which is one end of a socket pair, and the end of stream is
 * seen at the other end. Descriptors that low are ours alone: the parent has a dozen open.
 */

import { functionAddress, moveDescriptor, setDisposition } from "../../ffi/process.ts";
import { socketPair } from "../../ffi/socket.ts";
import { Stream } from "./stream.ts";

/** What the daemon is asked for. */
export type Request = "reload" | "stop" | "data" | "stats" | "stats-clear" | "json" | "threads";

const REALTIME: Readonly<Record<number, Request>> = {
  36: "json", // SIGRTMIN+2 with glibc
  37: "json", // SIGRTMIN+2 with musl
  63: "stats-clear", // SIGRTMAX-1
  64: "threads", // SIGRTMAX
};

/** Calls `hear` for every signal of the daemon's interface, from now to the end of the process. */
export function hearSignals(ignoreInterrupt: boolean, hear: (request: Request) => void): void {
  process.on("SIGHUP", () => hear("reload"));
  process.on("SIGTERM", () => hear("stop"));
  process.on("SIGINT", () => {
    if (!ignoreInterrupt) hear("stop");
  });
  process.on("SIGUSR1", () => hear("data"));
  process.on("SIGUSR2", () => hear("stats"));
  const close = functionAddress("close");
  for (const [signal, request] of Object.entries(REALTIME)) {
    arm(Number(signal), close, () => hear(request));
  }
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
  new Stream(watched, {
    data(): void {},
    close(): void {
      arm(signal, close, hear);
      hear();
    },
  });
  setDisposition(signal, close);
}
