/**
 * What an instance tells the operator, in keepalived's own phrases: people and programs match on
 * them. Levels are keepalived's too.
 */

import { formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Held } from "./addresses.ts";
import type { Action, State, VirtualRouter } from "./fsm.ts";

/** A line for the log; `detail` lines are for -D only. */
export interface Line {
  readonly level: LogLevel;
  readonly text: string;
  readonly detail: boolean;
}

function line(level: LogLevel, text: string, detail = false): Line {
  return { level, text, detail };
}

/** The line of a transition; undefined where keepalived has none. */
export function transitionLine(
  name: string,
  from: State["name"],
  to: State["name"],
): Line | undefined {
  switch (to) {
    case "INIT":
      return undefined;
    case "MASTER":
      return line("info", `(${name}) Entering MASTER STATE`);
    case "BACKUP":
    case "FAULT": {
      const init = from === "INIT" ? " (init)" : "";
      return line("info", `(${name}) Entering ${to} STATE${init}`);
    }
  }
}

/** The line of something the machine noticed. */
export function noteLine(
  name: string,
  router: VirtualRouter,
  action: Extract<Action, { type: "note" }>,
): Line {
  const peer = formatAddress(action.source);
  const { priority } = action;
  switch (action.note) {
    case "timeout":
      return line("info", `(${name}) Receive advertisement timeout`, true);
    case "higher-priority":
      return line(
        "info",
        `(${name}) Master received advert from ${peer} with higher priority ${priority}, ours ${router.priority}`,
      );
    case "same-priority-higher-address":
      return line(
        "info",
        `(${name}) Master received advert from ${peer} with same priority ${priority} but higher IP address than ours`,
      );
    case "same-priority-same-address":
      return line(
        "warning",
        `(${name}) WARNING - equal priority advert received from remote host with our IP address.`,
      );
    case "lower-priority-asserted":
      return line(
        "info",
        `(${name}) Received advert from ${peer} with lower priority ${priority}, ours ${router.priority}, forcing new election`,
      );
    case "lower-priority-discarded":
      return line(
        "info",
        `(${name}) received lower priority (${priority}) advert from ${peer} - discarding`,
      );
    case "priority-zero-as-master":
      return line("info", `(${name}) Master received priority 0 message`, true);
    case "priority-zero-as-backup":
      return line("info", `(${name}) Backup received priority 0 advertisement`, true);
    case "interval-learned":
      return line("info", `(${name}) advertisement interval updated by master ${peer}`, true);
  }
}

/** The lines of one burst of announcements, for -D: what begins, then each of them. */
export function announcementLines(name: string, held: Held, repeat: number): string[] {
  const { device, spec } = held;
  const isV4 = held.address.length === 4;
  const [many, one] = isV4
    ? ["gratuitous ARPs", "gratuitous ARP"]
    : ["unsolicited Neighbour Advert", "unsolicited Neighbour Advert"];
  const begins = `(${name}) Sending/queueing ${many} on ${device} for ${spec.address}`;
  return [begins, ...Array<string>(repeat).fill(`Sending ${one} on ${device} for ${spec.address}`)];
}
