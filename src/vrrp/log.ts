/**
 * What an instance tells the operator, in keepalived's own phrases: people and programs match on
 * them. Levels are keepalived's too.
 */

import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Held } from "./addresses.ts";
import { WINDOW_US } from "./repair.ts";
import type { NoteAction, State, VirtualRouter } from "./state.ts";

/** A line for the log; `detail` lines are for -D only. */
export interface Line {
  readonly level: LogLevel;
  readonly text: string;
  readonly detail: boolean;
}

function line(level: LogLevel, text: string, detail = false): Line {
  return { level, text, detail };
}

/** The lines of a transition; none where keepalived has none. */
export function transitionLines(
  name: string,
  router: VirtualRouter,
  from: State,
  to: State,
): readonly Line[] {
  switch (to.name) {
    case "INIT":
      return [];
    case "MASTER": {
      const entering = line("info", `(${name}) Entering MASTER STATE`);
      const learned = from.name === "BACKUP" ? from.activeAdverIntervalUs : undefined;
      const ownUs = router.advertisementIntervalUs;
      if (learned === undefined || learned === ownUs) return [entering];
      const change = `from ${ms(learned)} to locally configured ${ms(ownUs)}`;
      return [entering, line("info", `(${name}) changing advert interval ${change}`, true)];
    }
    case "BACKUP":
    case "FAULT": {
      const init = from.name === "INIT" ? " (init)" : "";
      return [line("info", `(${name}) Entering ${to.name} STATE${init}`)];
    }
  }
}

function ms(us: number): string {
  return `${us / 1000}ms`;
}

/** What is wrong with the addresses an advert carries, in keepalived's phrases; none when they are ours. */
export function addressListLines(
  instance: VrrpInstance,
  expected: readonly Address[],
  received: readonly Address[],
): string[] {
  const { name, virtual_router_id: vrid } = instance;
  if (received.length !== expected.length) {
    const counts = `${received.length}, expected ${expected.length}!`;
    return [`(${name}) received an unexpected ip number count ${counts}`];
  }
  const missing = expected.filter((one) =>
    !received.some((other) => compareAddress(one, other) === 0)
  );
  return missing.map((one) =>
    `(${name}) ip address associated with VRID ${vrid} not present in MASTER advert: ${
      formatAddress(one)
    }`
  );
}

/** The line of something the machine noticed. */
export function noteLine(
  name: string,
  router: VirtualRouter,
  action: NoteAction,
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
      return line(
        "info",
        `(${name}) advertisement interval updated from ${ms(action.fromUs ?? 0)} to ${
          ms(action.toUs ?? 0)
        } by master`,
        true,
      );
    case "stalled":
    case "timer-expired":
    case "owner-lowered":
    case "owner-restored":
      return rareLine(name, router, action, action.note);
    case "preempt-delay": {
      const seconds = (router.preemptDelayUs / 1_000_000).toFixed(6);
      return line("info", `(${name}) start preempt delay (${seconds})`, true);
    }
  }
}

/** What else is told of an advert of lower priority that a MASTER has heard. */
export function lowerPriority(
  { instance, router }: {
    readonly instance: Pick<VrrpInstance, "name">;
    readonly router: VirtualRouter;
  },
  { source, priority }: NoteAction,
): {
  readonly type: "lower-priority";
  readonly instance: string;
  readonly priority: number;
  readonly peer: string;
  readonly peerPriority: number;
} {
  return {
    type: "lower-priority",
    instance: instance.name,
    priority: router.priority,
    peer: formatAddress(source),
    peerPriority: priority,
  };
}

type Rare = "stalled" | "timer-expired" | "owner-lowered" | "owner-restored";

/** What keepalived has no phrase for, or hardly ever says. */
function rareLine(name: string, router: VirtualRouter, action: NoteAction, what: Rare): Line {
  const silence = `no advert was sent for ${((action.toUs ?? 0) / 1_000_000).toFixed(3)} s`;
  switch (what) {
    case "stalled": {
      const then = "still MASTER, announcing the addresses again";
      return line("warning", `(${name}) Did not run in time: ${silence} - ${then}`);
    }
    case "timer-expired": {
      const then = "giving way to whoever has taken over";
      return line("warning", `(${name}) Did not run in time: ${silence} - ${then}`);
    }
    case "owner-lowered": {
      const rival = `${
        formatAddress(action.source)
      }, goes on advertising priority ${action.priority}`;
      const then = "lowering our priority to 254 until it is gone";
      return line("warning", `(${name}) Another address owner, ${rival} - ${then}`);
    }
    case "owner-restored": {
      const then = `restoring priority ${router.priority}`;
      return line("info", `(${name}) The other address owner is gone - ${then}`);
    }
  }
}

/** The lines of one burst of announcements, for -D: what begins, then each of them. */
export function announcementLines(name: string, held: Held, repeat: number): string[] {
  const { device, spec } = held;
  const isV4 = held.address.length === 4;
  const [many, one] = isV4
    ? ["gratuitous ARPs", "gratuitous ARP"]
    : ["Unsolicited Neighbour Adverts", "unsolicited Neighbour Advert"];
  const begins = `(${name}) Sending/queueing ${many} on ${device} for ${spec.address}`;
  return [begins, ...Array<string>(repeat).fill(`Sending ${one} on ${device} for ${spec.address}`)];
}

/** Somebody else's removal that was put right; `repairs` counts those of the last seconds. */
export function repairLine(name: string, held: Held, culprit: string, repairs: number): string {
  return removedLine(name, objectOf(held), culprit, repairs);
}

/** The same of anything a MASTER holds, in words. */
export function removedLine(name: string, what: string, culprit: string, repairs: number): string {
  const often = repairs > 1 ? ` (${repairs} times in ${WINDOW_US / 1_000_000} s)` : "";
  return `(${name}) ${what} was removed ${culprit} - put back${often}`;
}

/**
 * An address that could not be kept: `repairs` were made before, undefined when the kernel refused one.
 * Names the likely culprit, so that the operator knows what to configure.
 */
export function retreatLine(
  name: string,
  held: Held,
  culprit: string,
  repairs: number | undefined,
): string {
  return retreatText({ name, what: objectOf(held), port: 0 }, culprit, repairs);
}

/** An instance that leaves because of something it cannot keep. */
export interface Retreat {
  readonly name: string;
  /** What it lost, in words. */
  readonly what: string;
  /** The netlink port of whoever took it; 0 when the kernel does not tell. */
  readonly port: number;
}

/** {@link retreatLine} of anything a MASTER holds. */
export function retreatText(
  { name, what }: Retreat,
  culprit: string,
  repairs: number | undefined,
): string {
  const seconds = WINDOW_US / 1_000_000;
  const why = repairs === undefined
    ? ", and cannot be put back"
    : repairs === 0
    ? ""
    : `, and again after ${repairs} repairs in ${seconds} s`;
  return `(${name}) ${what} was removed ${culprit}${why} - leaving MASTER`;
}

function objectOf({ spec, device }: Held): string {
  return `address ${spec.address}/${spec.prefixLength} on ${device}`;
}
