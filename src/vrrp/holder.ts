/** What those who look after the addresses, routes and rules of instances need of whoever decides about instances. */

import type { LogLevel } from "../lib/log.ts";
import type { Running } from "./reception.ts";

/** Who decides about the instances. */
export interface Holder {
  /** Every instance. */
  all(): Iterable<Running>;
  /** An address, route or rule of this MASTER cannot be kept: it leaves to a peer now. */
  giveUp(running: Running): void;
  log(level: LogLevel, text: string, detail?: boolean): void;
}
