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

/** What is the cause when nothing more is known: made once, as there is one for every advert. */
const CAUSES: Readonly<Record<InstanceEvent["type"], Cause>> = {
  startup: { reason: "started" },
  adoption: { reason: "the VRRP process was restarted" },
  shutdown: { reason: "stopped" },
  timer: { reason: "no adverts were received" },
  advert: { reason: "an advert was received" },
  fault: { reason: "something it needs is missing" },
  recovery: { reason: "nothing is wrong any more" },
  reconfiguration: { reason: "configured anew" },
  retreat: { reason: "what it held was removed" },
};

/** The cause of what is being done. */
export class Causes {
  #cause: Cause = { reason: "" };

  /** An event is about to be dispatched; `why` says what is wrong, for a fault. */
  begin(event: InstanceEvent, why: string): void {
    const cause = CAUSES[event.type];
    if (event.type === "advert") this.#cause = { ...cause, peer: formatAddress(event.source) };
    else this.#cause = event.type === "fault" && why !== "" ? { reason: why } : cause;
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
