/**
 * Why instances change their state, in words, for whoever is told of it: what the last event was, and what
 * the machine has noted about it. One event may move several instances; all of them have its cause.
 */

import { formatAddress } from "../lib/address.ts";
import type { InstanceEvent } from "./repair.ts";
import type { NoteAction } from "./state.ts";

/** What made an instance change its state. */
export interface Cause {
  readonly reason: string;
  /** The other router that has to do with it. */
  readonly peer?: string;
}

const REASONS: Readonly<Record<InstanceEvent["type"], string>> = {
  startup: "started",
  adoption: "the VRRP process was restarted",
  shutdown: "stopped",
  timer: "no adverts were received",
  advert: "an advert was received",
  fault: "something it needs is missing",
  recovery: "nothing is wrong any more",
  reconfiguration: "configured anew",
  retreat: "what it held was removed",
};

/** The cause of what is being done. */
export class Causes {
  #cause: Cause = { reason: "" };

  /** An event is about to be dispatched; `why` says what is wrong, for a fault. */
  begin(event: InstanceEvent, why: string): void {
    const reason = event.type === "fault" && why !== "" ? why : REASONS[event.type];
    this.#cause = event.type === "advert"
      ? { reason, peer: formatAddress(event.source) }
      : { reason };
  }

  /** The machine has noted something, which the log says in these words about this instance. */
  note({ note, source }: NoteAction, text: string): void {
    const reason = text.replace(/^\(.*?\) /, "");
    // The source of a timeout is ourselves.
    this.#cause = note === "timeout" ? { reason } : { reason, peer: formatAddress(source) };
  }

  /** The members of a sync group follow one of them. */
  follow(group: string): void {
    const { reason, ...rest } = this.#cause;
    this.#cause = { reason: `VRRP_Group(${group}): ${reason}`, ...rest };
  }

  /** The cause of what is being done now. */
  get current(): Cause {
    return this.#cause;
  }
}
