/**
 * The machine of a vrrp_sync_group: instances that are MASTER together or not at all, as one pure
 * function over the machines of its members: `stepGroup(group, members, index, event, now)`. What
 * happens to one member comes in, the steps of all members that it takes go out, in the order in
 * which they are to be performed and told.
 *
 * A member whose Active_Down_Timer has run out only wants to be MASTER. It becomes MASTER, and all
 * others with it, once every member wants to; until then it stays BACKUP with a fresh timer. It wants
 * no longer when it accepts an advert. Nothing else is remembered between two events but the state
 * that the group was last told to be in.
 */

import { step } from "./fsm.ts";
import { freshBackup, note, toBackup, toMaster } from "./moves.ts";
import { type InstanceEvent, retreat } from "./repair.ts";
import type { Action, Event, State, Step, VirtualRouter } from "./state.ts";
import { activeDownAt } from "./timers.ts";

/** What is remembered of a group. */
export interface SyncGroup {
  /** The state that was announced last. */
  readonly state: State["name"];
  /** Of each member: its timer has run out and it has accepted no advert since. */
  readonly wants: readonly boolean[];
}

/** A member as its group sees it. */
export interface Member {
  readonly router: VirtualRouter;
  readonly state: State;
  /** What keeps it, and so all of them, from taking part; {@link SCRIPT_PENDING} or a fault of its own. */
  readonly fault: string | undefined;
}

/** The fault that is none yet: a script has not returned for the first time. */
export const SCRIPT_PENDING = "script-pending";

/** One thing to do, in order. */
export type Move =
  /** A member steps: its new state, and what it takes to get there. */
  | { readonly type: "member"; readonly index: number; readonly step: Step }
  /** The others follow the member that has just moved: a line for the log. */
  | { readonly type: "follow"; readonly to: State["name"] }
  /** The group has changed its state: for scripts and those who watch. */
  | { readonly type: "group"; readonly from: State["name"]; readonly to: State["name"] };

/** The group after an event and what is to be done. */
export interface GroupStep {
  readonly group: SyncGroup;
  readonly moves: readonly Move[];
}

/** A group of so many members before its start. */
export function freshGroup(size: number): SyncGroup {
  return { state: "INIT", wants: new Array<boolean>(size).fill(false) };
}

/** What an event of the member `index` makes of a group that has started. */
export function stepGroup(
  group: SyncGroup,
  members: readonly Member[],
  index: number,
  event: InstanceEvent,
  now: number,
): GroupStep {
  const alone = stepQuietly(group, members, index, event, now);
  if (alone !== undefined) return alone;
  const course = new Course(group, members, now);
  switch (event.type) {
    case "timer":
      course.timer(index);
      break;
    case "recovery":
      course.recover(index);
      break;
    case "retreat":
      course.retreat(index);
      break;
    case "fault":
      course.fault(index);
      break;
    case "startup":
    case "shutdown":
    case "advert":
    case "adoption":
      course.pass(index, event);
      break;
  }
  return course.end();
}

/**
 * The first step of all members. With a fault among them all start in FAULT; while a script has not
 * returned nothing happens, and the recovery of that member starts them. They start as MASTER when
 * all are owners that wish for it, else as BACKUP. `isAdopted`: all were MASTER a moment ago in a
 * process that died, and go on so.
 */
export function startGroup(
  group: SyncGroup,
  members: readonly Member[],
  isAdopted: boolean,
  now: number,
): GroupStep {
  const course = new Course(group, members, now);
  course.start(isAdopted);
  return course.end();
}

/**
 * What a new configuration makes of members that may run already. A group that `group` remembers keeps its state
 * and members that have not started follow. A new one is MASTER when every member that has started is; else
 * those that are MASTER leave it to a peer.
 */
export function regroup(
  group: SyncGroup,
  members: readonly Member[],
  now: number,
): GroupStep {
  if (members.every(({ state }) => state.name === "INIT")) {
    return startGroup(group, members, false, now);
  }
  const course = new Course(group, members, now);
  course.regroup();
  return course.end();
}

/**
 * The step of an event that is nobody's business but the member's, as nearly all are: what a group of hundreds
 * would have to look at is left alone. Undefined when the others have to be considered.
 */
function stepQuietly(
  group: SyncGroup,
  members: readonly Member[],
  index: number,
  event: InstanceEvent,
  now: number,
): GroupStep | undefined {
  if (event.type !== "timer" && event.type !== "advert") return undefined;
  const { router, state } = members[index]!;
  if (state.name === "BACKUP" && (event.type === "timer" || group.wants[index])) return undefined;
  const next = step(router, state, event, now);
  if (next.state.name !== state.name || next.actions.some(isAssertion)) return undefined;
  return { group, moves: [{ type: "member", index, step: next }] };
}

/** The moves of one event while they are found. */
class Course {
  readonly #members: readonly Member[];
  readonly #now: number;
  readonly #states: State[];
  readonly #wants: boolean[];
  readonly #moves: Move[] = [];
  #state: State["name"];

  constructor(group: SyncGroup, members: readonly Member[], now: number) {
    this.#members = members;
    this.#now = now;
    this.#states = members.map(({ state }) => state);
    this.#wants = members.map((_, i) => group.wants[i] ?? false);
    this.#state = group.state;
  }

  end(): GroupStep {
    return { group: { state: this.#state, wants: this.#wants }, moves: this.#moves };
  }

  /** A deadline; only that of a BACKUP is the group's business. */
  timer(index: number): void {
    const { router } = this.#members[index]!;
    const state = this.#states[index]!;
    if (state.name !== "BACKUP" || activeDownAt(router, state) > this.#now) {
      this.pass(index, { type: "timer" });
      return;
    }
    this.#wants[index] = true;
    if (this.#states.every(({ name }, i) => name === "MASTER" || this.#wants[i])) {
      this.pass(index, { type: "timer" });
      return;
    }
    const held = { ...state, heardAt: this.#now, leaving: false };
    const actions = [note("timeout", router.priority, router.address)];
    this.#move(index, { state: held, actions });
  }

  /** An event that the member's own machine judges, and what follows from that for the others. */
  pass(index: number, event: Event): void {
    const { router } = this.#members[index]!;
    const before = this.#states[index]!;
    const next = step(router, before, event, this.#now);
    this.#move(index, next);
    const { state } = next;
    if (state.name !== before.name) {
      this.#spread(index, state.name);
    } else if (event.type === "advert" && state.name === "BACKUP") {
      const isAccepted = state !== before && state.heardAt === this.#now && !state.leaving;
      if (isAccepted) this.#wants[index] = false;
    } else if (next.actions.some(isAssertion)) {
      this.#assertOthers(index);
    }
  }

  /** A fault while all wait for a script starts them, in FAULT, the group right after the one it is of. */
  fault(index: number): void {
    if (this.#state !== "INIT") {
      this.pass(index, { type: "fault" });
      return;
    }
    this.#moves.push({ type: "follow", to: "FAULT" });
    this.#move(index, this.#stepBy(index, { type: "fault" }));
    this.#announce("FAULT");
    this.#stepAll({ type: "fault" });
  }

  /**
   * FAULT ends for all when nobody has one left, nor waits for a script. A member that has come to a running
   * group and waited alone joins it.
   */
  recover(index: number): void {
    const isLate = this.#states[index]!.name === "INIT" && this.#state !== "INIT";
    if (isLate) return this.regroup();
    if (this.#members.some(({ fault }) => fault !== undefined)) return;
    if (this.#state === "INIT") this.#startAfter(index);
    else this.pass(index, { type: "recovery" });
  }

  /** All have waited for a script, this one the longest: the others follow it, the group is told last. */
  #startAfter(leader: number): void {
    if (this.#wishesForMaster) {
      this.start(false);
      return;
    }
    this.#startUp(leader, false);
    this.#moves.push({ type: "follow", to: "BACKUP" });
    for (const i of this.#members.keys()) if (i !== leader) this.#startUp(i, false);
    this.#announce("BACKUP");
  }

  get #wishesForMaster(): boolean {
    return this.#members.every(({ router }) => router.startsAsMaster && router.priority === 255);
  }

  /** An owner is MASTER from the start only where all are. */
  #startUp(index: number, startsAsMaster: boolean): void {
    const alike = { ...this.#members[index]!.router, startsAsMaster };
    this.#move(index, step(alike, this.#states[index]!, { type: "startup" }, this.#now));
  }

  /** All leave for a peer and stand as candidates again after Skew_Time. */
  retreat(index: number): void {
    if (this.#states[index]!.name !== "MASTER") return;
    this.#move(index, retreat(this.#states[index]!, this.#now));
    this.#followAll(index, "BACKUP", (i) => this.#leave(i));
  }

  start(isAdopted: boolean): void {
    const faults = this.#members.flatMap(({ fault }) => fault ?? []);
    if (faults.some((fault) => fault !== SCRIPT_PENDING)) {
      this.#announce("FAULT");
      this.#stepAll({ type: "fault" });
      return;
    }
    if (faults.length > 0) return;
    if (isAdopted) {
      this.#stepAll({ type: "adoption" });
      this.#announce("MASTER");
      return;
    }
    const wishesForMaster = this.#wishesForMaster;
    if (!wishesForMaster) this.#announce("BACKUP");
    for (const i of this.#members.keys()) this.#startUp(i, wishesForMaster);
    if (wishesForMaster) this.#announce("MASTER");
  }

  /** A member whose script has not returned yet is silent; it joins the others when that is over. */
  regroup(): void {
    const faults = this.#members.flatMap(({ fault }) => fault ?? []);
    if (faults.some((fault) => fault !== SCRIPT_PENDING)) {
      this.#stepAll({ type: "fault" });
      this.#announce("FAULT");
      return;
    }
    if (this.#state === "FAULT" && faults.length > 0) return;
    const started = this.#states.filter(({ name }) => name !== "INIT");
    const isMaster = this.#state === "MASTER" ||
      (this.#state === "INIT" && started.every(({ name }) => name === "MASTER"));
    const to = isMaster ? "MASTER" : "BACKUP";
    for (const [i, { fault }] of this.#members.entries()) {
      if (this.#states[i]!.name !== to && fault === undefined) {
        this.#move(i, isMaster ? this.#takeOver(i) : this.#leave(i));
      }
    }
    this.#announce(to);
  }

  #takeOver(index: number): Step {
    return toMaster(this.#members[index]!.router, this.#states[index]!, this.#now, []);
  }

  /** To BACKUP without having heard a better MASTER. */
  #leave(index: number): Step {
    const state = this.#states[index]!;
    switch (state.name) {
      case "INIT":
      case "BACKUP":
        return toBackup(state, freshBackup(this.#now), []);
      case "FAULT":
        return this.#stepBy(index, { type: "recovery" });
      case "MASTER":
        return retreat(state, this.#now);
    }
  }

  /** The others follow a member that has changed its state. */
  #spread(index: number, to: State["name"]): void {
    switch (to) {
      case "MASTER":
        this.#followAll(index, to, (i) => this.#takeOver(i));
        return;
      case "BACKUP":
        this.#followAll(index, to, (i) => this.#stepBack(i));
        return;
      case "FAULT":
        this.#followAll(index, to, (i) => this.#stepBy(i, { type: "fault" }));
        return;
      case "INIT":
        // Each is stopped by itself.
        return;
    }
  }

  /** From MASTER because another member heard a better one, or from FAULT because none is left. */
  #stepBack(index: number): Step {
    const state = this.#states[index]!;
    if (state.name === "FAULT") return this.#stepBy(index, { type: "recovery" });
    return toBackup(state, freshBackup(this.#now), [{ type: "remove" }]);
  }

  /** Moves all others that are not in this state yet, and the group. */
  #followAll(leader: number, to: State["name"], stepOf: (index: number) => Step): void {
    const followers = [...this.#states.keys()].filter((i) =>
      i !== leader && this.#states[i]!.name !== to && this.#states[i]!.name !== "INIT"
    );
    if (this.#state !== to) this.#moves.push({ type: "follow", to });
    for (const i of followers) this.#move(i, stepOf(i));
    this.#announce(to);
  }

  /** The others tell the neighbours, too, after one has answered a lower-priority MASTER. */
  #assertOthers(asserting: number): void {
    for (const [i, { router }] of this.#members.entries()) {
      const state = this.#states[i]!;
      const { lowerPriorityRepeat, lowerPriorityDelayUs } = router.garp;
      if (i === asserting || state.name !== "MASTER" || lowerPriorityRepeat === 0) continue;
      const assertedAt = lowerPriorityDelayUs > 0 ? state.assertedAt ?? this.#now : undefined;
      this.#move(i, {
        state: { ...state, assertedAt },
        actions: [{ type: "announce", repeat: lowerPriorityRepeat }],
      });
    }
  }

  #stepAll(event: Event): void {
    for (const i of this.#members.keys()) {
      const next = this.#stepBy(i, event);
      if (next.state !== this.#states[i]) this.#move(i, next);
    }
  }

  #stepBy(index: number, event: Event): Step {
    return step(this.#members[index]!.router, this.#states[index]!, event, this.#now);
  }

  #move(index: number, next: Step): void {
    if (next.state.name !== this.#states[index]!.name) this.#wants[index] = false;
    this.#states[index] = next.state;
    this.#moves.push({ type: "member", index, step: next });
  }

  /** Tells of the group's state, once. */
  #announce(to: State["name"]): void {
    if (this.#state !== to) this.#moves.push({ type: "group", from: this.#state, to });
    this.#state = to;
  }
}

function isAssertion(action: Action): boolean {
  return action.type === "note" && action.note === "lower-priority-asserted";
}
