/** TCP_CHECK: a connection that opens is all it wants. */

import { bad, GOOD, type Talk, type Verdict } from "./talk.ts";

/** The talk of every TCP_CHECK: it has no memory. */
export const TCP_TALK: Talk = {
  start: (): Verdict => GOOD,
  onBytes: (): Verdict => GOOD,
  onClosed: (): Verdict => GOOD,
  onTimer: (): Verdict => bad("connect timeout", "no connection in time"),
};
