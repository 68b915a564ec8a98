/** What the states of the machine share: fresh states, notes, and the transitions between them. */

import type { Address } from "../lib/address.ts";
import type {
  Action,
  Backup,
  Master,
  Note,
  NoteAction,
  State,
  Step,
  VirtualRouter,
} from "./state.ts";

/** What an owner counts as while another owner that does not give way is MASTER. */
export const LOWERED_PRIORITY = 254;

/** BACKUP from now on, nobody heard yet. */
export function freshBackup(now: number): Backup {
  return {
    name: "BACKUP",
    heardAt: now,
    leaving: false,
    activeAdverIntervalUs: undefined,
    preemptAt: undefined,
    lowered: false,
  };
}

/** MASTER from now on, its first advert just sent. */
export function freshMaster(now: number): Master {
  return {
    name: "MASTER",
    advertisedAt: now,
    sentAt: now,
    announcedAt: now,
    settled: false,
    assertedAt: undefined,
    rival: undefined,
  };
}

/** The operator is to know what was noticed, and of whom. */
export function note(what: Note, priority: number, source: Address): NoteAction {
  return { type: "note", note: what, priority, source };
}

/** Nothing happens. */
export function stay(state: State): Step {
  return { state, actions: [] };
}

/** The end. */
export function toInit(from: State, before: readonly Action[]): Step {
  return { state: { name: "INIT" }, actions: [...before, transition(from, "INIT")] };
}

/** Out of the election until what is broken works. */
export function toFault(from: State, before: readonly Action[]): Step {
  return { state: { name: "FAULT" }, actions: [...before, transition(from, "FAULT")] };
}

/** Listening. */
export function toBackup(from: State, next: Backup, before: readonly Action[]): Step {
  return { state: next, actions: [...before, transition(from, "BACKUP")] };
}

/** §6.4.1 (110), §6.4.2 (330): advert first, then the addresses, then the neighbours. */
export function toMaster(
  router: VirtualRouter,
  from: State,
  now: number,
  before: readonly Action[],
): Step {
  return {
    state: freshMaster(now),
    actions: [
      ...before,
      { type: "advert", priority: router.priority },
      { type: "add" },
      { type: "announce", repeat: router.garp.repeat },
      transition(from, "MASTER"),
    ],
  };
}

/** MASTER already in the eyes of the peers: one advert at once, the addresses made sure of. */
export function adopt(router: VirtualRouter, from: State, now: number): Step {
  return {
    state: freshMaster(now),
    actions: [
      { type: "advert", priority: router.priority },
      { type: "add" },
      transition(from, "MASTER"),
    ],
  };
}

function transition(from: State, to: State["name"]): Action {
  return { type: "transition", from: from.name, to };
}
