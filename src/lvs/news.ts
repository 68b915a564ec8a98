/** What is said of pools and their servers: keepalived's phrases, and ours for what it does not have. Pure. */

import type { RealServer, SorryServer, VirtualServer } from "../config/lvs.ts";
import type { Script } from "../config/vrrp.ts";
import type { LogLevel } from "../lib/log.ts";
import { serverName } from "../lib/lvs_name.ts";
import type { Balanced } from "./changes.ts";
import { type Order, wordsOf } from "./orders.ts";

/** What the operator, scripts and FIFOs are to hear. */
export type News =
  | { readonly type: "log"; readonly level: LogLevel; readonly text: string }
  | {
    readonly type: "real-server";
    readonly server: string;
    readonly isUp: boolean;
    /** An operator's doing: its checks have nothing to do with it. */
    readonly isOrdered?: true;
    readonly script?: Script;
  }
  | {
    readonly type: "quorum";
    readonly isUp: boolean;
    readonly script?: Script;
    readonly mail: string;
  };

/** A line. */
export function log(level: LogLevel, text: string): News {
  return { type: "log", level, text };
}

/** A real server as messages name it. */
export function nameOf({ server: { protocol } }: Balanced, { address, port }: {
  readonly address: string;
  readonly port: number;
}): string {
  return serverName(address, protocol?.toLowerCase() ?? "none", port);
}

/** The weight that counts has changed. */
export function weightNews(
  balanced: Balanced,
  real: RealServer,
  { was, is, isActive }: {
    readonly was: number;
    readonly is: number;
    /** It is in the pool. */
    readonly isActive: boolean;
  },
): News {
  const what = `${isActive ? "" : "in"}active service ${nameOf(balanced, real)}`;
  return log("info", `Changing weight from ${was} to ${is} for ${what} of VS ${balanced.name}`);
}

/** An order holds from now on. */
export function orderNews(balanced: Balanced, real: RealServer, order: Order): News {
  return log("notice", `${subjectOf(balanced, real)} is ordered to ${wordsOf(order)}`);
}

/** An order holds no longer. */
export function liftNews(
  balanced: Balanced,
  real: RealServer,
  order: Order,
  isFailing: boolean,
): News {
  const but = isFailing ? ", but its checks fail" : "";
  return log(
    "notice",
    `${subjectOf(balanced, real)} is no longer ordered to ${wordsOf(order)}${but}`,
  );
}

function subjectOf(balanced: Balanced, real: RealServer): string {
  return `Service ${nameOf(balanced, real)} of VS ${balanced.name}`;
}

/** A server has come into the pool or has left it. */
export function aliveNews(
  balanced: Balanced,
  real: RealServer,
  isAlive: boolean,
  verb = real.inhibit_on_failure ? "Disabling" : "Removing",
): News[] {
  const text = isAlive
    ? real.inhibit_on_failure
      ? `Enabling service ${nameOf(balanced, real)} of VS ${balanced.name}`
      : `Adding service ${nameOf(balanced, real)} to VS ${balanced.name}`
    : `${verb} service ${nameOf(balanced, real)} ${
      verb === "Disabling" ? "of" : "from"
    } VS ${balanced.name}`;
  return [log("info", text), told(balanced, real, isAlive)];
}

/** What scripts and FIFOs hear of a server. */
export function told(balanced: Balanced, real: RealServer, isAlive: boolean): News {
  const script = isAlive ? real.notify_up : real.notify_down;
  const news = { type: "real-server", server: nameOf(balanced, real), isUp: isAlive } as const;
  return script === undefined ? news : { ...news, script };
}

/** A pool has gained or lost its quorum. */
export function quorumNews(
  { quorum_up, quorum_down }: VirtualServer,
  isGained: boolean,
  mail: string,
): News {
  const script = isGained ? quorum_up : quorum_down;
  return { type: "quorum", isUp: isGained, mail, ...(script === undefined ? {} : { script }) };
}

/** What a mail says of a quorum; keepalived's have the same signs for gain and loss. */
export function quorumMail(
  what: string,
  { quorum, hysteresis }: VirtualServer,
  limit: number,
  sum: number,
): string {
  return `${what} ${quorum}+${hysteresis}=${limit} <= ${sum}`;
}

/** The sorry server stands in, or goes. */
export function sorryNews(balanced: Balanced, sorry: SorryServer, isComing: boolean): News[] {
  const pool = isComing ? "Removing alive servers from" : "Adding alive servers to";
  return [
    log("info", sorryLine(balanced, sorry, isComing)),
    log("info", `${pool} the pool for VS ${balanced.name}`),
  ];
}

/** What is done with a sorry server. */
export function sorryLine(balanced: Balanced, sorry: SorryServer, isComing: boolean): string {
  const adds = sorry.inhibit ? "Enabling" : "Adding";
  const removes = sorry.inhibit ? "Disabling" : "Removing";
  const what = `sorry server ${nameOf(balanced, sorry)}`;
  return isComing
    ? `${adds} ${what} to VS ${balanced.name}`
    : `${removes} ${what} from VS ${balanced.name}`;
}
