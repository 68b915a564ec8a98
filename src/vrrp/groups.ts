/**
 * The sync groups of this host at run time: which running instances belong together, and what the group
 * machine makes of what happens to one of them. Pure bookkeeping around sync_group.ts; whoever runs the
 * instances performs the moves.
 */

import type { VrrpSyncGroup } from "../config/sync_group.ts";
import type { InstanceEvent } from "./repair.ts";
import type { State, Step } from "./state.ts";
import {
  freshGroup,
  type GroupStep,
  type Member,
  regroup,
  startGroup,
  stepGroup,
  type SyncGroup,
} from "./sync_group.ts";

/** What a group needs to know of an instance that runs. */
export interface Running extends Member {
  readonly instance: { readonly name: string };
}

/** One thing to do, in order. */
export type GroupMove<R extends Running> =
  | { readonly type: "member"; readonly running: R; readonly step: Step }
  /** The others follow the member that has just moved: a line for the log. */
  | { readonly type: "follow"; readonly group: string; readonly to: State["name"] }
  /** The group has changed its state. */
  | {
    readonly type: "group";
    readonly group: string;
    readonly from: State["name"];
    readonly to: State["name"];
  };

interface RunningGroup<R extends Running> {
  readonly name: string;
  readonly members: readonly R[];
  machine: SyncGroup;
}

/** All groups and who is in them. */
export class Groups<R extends Running> {
  #specs: readonly VrrpSyncGroup[] = [];
  readonly #groups = new Map<string, RunningGroup<R>>();
  readonly #byMember = new Map<R, { readonly group: RunningGroup<R>; readonly index: number }>();

  /** Takes over what a configuration says; {@link Groups.gather} makes it true. */
  configure(specs: readonly VrrpSyncGroup[]): void {
    this.#specs = specs;
  }

  /** Whether an instance of this name is to be started by its group. */
  includes(name: string): boolean {
    return this.#specs.some(({ group }) => group.includes(name));
  }

  /**
   * Makes the groups current when all changes of a configuration are done, and says what follows for
   * their members: groups start, or take members in. `adopted` are instances that a predecessor left as
   * MASTER; a group goes on as MASTER only when all its members are among them. `isHeldUp`: no other
   * group starts yet.
   */
  gather(
    all: Iterable<R>,
    adopted: ReadonlySet<R>,
    isHeldUp: boolean,
    now: number,
  ): GroupMove<R>[] {
    const byName = new Map([...all].map((running) => [running.instance.name, running]));
    const before = new Map(this.#groups);
    this.#groups.clear();
    this.#byMember.clear();
    const moves: GroupMove<R>[] = [];
    for (const { name, group: names } of this.#specs) {
      const members = names.flatMap((one) => byName.get(one) ?? []);
      if (members.length === 0) continue;
      const group = { name, members, machine: inherit(before.get(name), members) };
      this.#groups.set(name, group);
      for (const [index, member] of members.entries()) {
        this.#byMember.set(member, { group, index });
      }
      const isFresh = members.every(({ state }) => state.name === "INIT");
      const isAdopted = members.every((member) => adopted.has(member));
      if (isFresh && isHeldUp && !isAdopted) continue;
      const next = isFresh
        ? startGroup(freshGroup(members.length), members, isAdopted, now)
        : regroup(group.machine, members, now);
      moves.push(...this.#advance(group, next));
    }
    return moves;
  }

  /** What an event of an instance makes of its group; undefined when it is in none. */
  step(running: R, event: InstanceEvent, now: number): GroupMove<R>[] | undefined {
    const place = this.#byMember.size === 0 ? undefined : this.#byMember.get(running);
    if (place === undefined) return undefined;
    const { group, index } = place;
    return this.#advance(group, stepGroup(group.machine, group.members, index, event, now));
  }

  /** All instances have stopped: the groups have, too. */
  stop(): GroupMove<R>[] {
    return [...this.#groups.values()].map(({ name, machine }) => ({
      type: "group",
      group: name,
      from: machine.state,
      to: "INIT",
    }));
  }

  #advance(group: RunningGroup<R>, { group: machine, moves }: GroupStep): GroupMove<R>[] {
    group.machine = machine;
    const { name, members } = group;
    return moves.map((move) => {
      switch (move.type) {
        case "member":
          return { type: "member", running: members[move.index]!, step: move.step };
        case "follow":
          return { type: "follow", group: name, to: move.to };
        case "group":
          return { type: "group", group: name, from: move.from, to: move.to };
      }
    });
  }
}

/** What is remembered of a group goes on with its members, who may be others now. */
function inherit<R extends Running>(
  before: RunningGroup<R> | undefined,
  members: readonly R[],
): SyncGroup {
  if (before === undefined) return freshGroup(members.length);
  const { state, wants } = before.machine;
  return { state, wants: members.map((one) => wants[before.members.indexOf(one)] ?? false) };
}
