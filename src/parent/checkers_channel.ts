/** What the parent and the checkers role say to each other; how it travels is in channel.ts. */

import type { Conduct } from "../config/conduct.ts";
import type { Script } from "../config/vrrp.ts";
import type { ServerHealth } from "../lvs/changes.ts";
import type { ProgramEnd } from "../lvs/check/misc.ts";
import type { ThinChanges } from "../lvs/likeness.ts";
import type { StandingOrder } from "../lvs/orders.ts";
import type { IpvsTimeouts } from "../netlink/ipvs_control.ts";
import type { State } from "../vrrp/state.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import type { FromAnyRole } from "./common_channel.ts";

/** From the parent to the checkers role. */
export type ToCheckers =
  /** What is to be different: everything at the start, the difference after a reload. */
  | {
    readonly type: "configure";
    readonly changes: ThinChanges;
    /** More of the same is to come: nothing is performed yet. */
    readonly isPart: boolean;
    /** Whether lines for -D are wanted. */
    readonly detail: boolean;
  }
  /** Where the IPVS is that the role is for, when it is not here; comes before what is to be in it. */
  | { readonly type: "ipvs-namespace"; readonly path: string }
  /** How the role is to behave as a process from now on. */
  | { readonly type: "conduct"; readonly conduct: Conduct }
  /** A VRRP instance has changed its state, or this is its state when the role was started. */
  | { readonly type: "instance"; readonly instance: string; readonly state: State["name"] }
  /** What became of files and BFD sessions; what is not named is as it was. */
  | { readonly type: "tracked"; readonly results: readonly TrackResult[] }
  /** What operators want of real servers: these orders and no others. Before a configuration it holds for that. */
  | { readonly type: "orders"; readonly id: number; readonly orders: readonly StandingOrder[] }
  /** Services that a predecessor may have left: those that are not configured go. Comes before any configuration. */
  | { readonly type: "leftovers"; readonly services: readonly string[] }
  /** What the kernel's timeouts were before a predecessor set them; comes before any configuration. */
  | { readonly type: "timeouts"; readonly before: IpvsTimeouts }
  /** A program that the role has asked for has ended. */
  | { readonly type: "program-end"; readonly id: number; readonly end: ProgramEnd }
  /** The start is over: give back what only it has needed. */
  | { readonly type: "settle" }
  /** Claim and write the role's pid file. */
  | { readonly type: "pid-file"; readonly path: string }
  /** Leave: the services go, unless they are to be kept. */
  | { readonly type: "shutdown"; readonly keepServices: boolean };

/** From the checkers role to the parent. */
export type FromCheckers =
  | FromAnyRole
  /** A program is to be run for a check. */
  | {
    readonly type: "program";
    readonly id: number;
    readonly script: Script;
    readonly timeoutUs: number;
  }
  /** Nobody wants to know any more what becomes of a program. */
  | { readonly type: "stop-program"; readonly id: number }
  /** What operators want is done, as the kernel lets it be. */
  | { readonly type: "obeyed"; readonly id: number }
  /** What the kernel's timeouts were before they were set: kept for the next role, should this one die. */
  | { readonly type: "timeouts"; readonly before: IpvsTimeouts }
  /** What checks have found out about a server, kept likewise; absent when it is as it starts, or gone. */
  | {
    readonly type: "health";
    /** The key of the virtual server, and that of the real server. */
    readonly key: string;
    readonly server: string;
    readonly health?: ServerHealth;
  }
  /** A real server came or went: its notify script is run and the FIFOs are told. */
  | {
    readonly type: "real-server";
    /** As names show it: `[ADDRESS]:tcp:80`, `FWM 7`, `[GROUP]:0`. */
    readonly service: string;
    readonly server: string;
    readonly isUp: boolean;
    /** An operator's doing: its checks have nothing to do with it. */
    readonly isOrdered?: true;
    /** notify_up or notify_down, when there is one. */
    readonly script?: Script;
  }
  /** A check has changed its mind: for mails. */
  | {
    readonly type: "check";
    readonly service: string;
    readonly server: string;
    /** The server as it is now, by all its checks; */
    readonly isUp: boolean;
    /** whether it was not before. */
    readonly isChange: boolean;
    /** What the mail says. */
    readonly mail: string;
  }
  /** A virtual server has gained or lost its quorum: likewise. */
  | {
    readonly type: "quorum";
    readonly service: string;
    /** The key of the virtual server. */
    readonly key: string;
    readonly isUp: boolean;
    /** What a mail says of it. */
    readonly mail: string;
    /** quorum_up or quorum_down, when there is one. */
    readonly script?: Script;
  };
