/**
 * The group machine row by row, then properties that hold after any events.
 *
 *     members  of each, a letter: I INIT, S INIT and waiting for a script, B BACKUP, W BACKUP and wanting
 *              to be MASTER, L BACKUP after a goodbye, M MASTER, F FAULT, X FAULT for a fault of its own, Y INIT with a fault.
 *              A group of B and W is in BACKUP; with an M it is in MASTER, with an F or X in FAULT.
 *     event    INDEX EVENT for a member, or start, adopt, regroup (regroup NAME: the group was in it)
 *     with     words of test/support/machine.ts for every member; `INDEX: words` for one
 *     after    the letters
 *     timers   of each member: never | kept | own | skew | adv
 *     moves    in order: INDEX and its actions, `follow STATE`, `group STATE`
 */

import { describe, expect, test } from "bun:test";
import { freeze, routerWith } from "../../test/support/machine.ts";
import { type Prng, prng } from "../../test/support/prng.ts";
import { parseTable } from "../../test/support/table.ts";
import type { InstanceEvent } from "./repair.ts";
import type { Action, State, VirtualRouter } from "./state.ts";
import {
  freshGroup,
  type GroupStep,
  type Member,
  type Move,
  regroup,
  SCRIPT_PENDING,
  startGroup,
  stepGroup,
  type SyncGroup,
} from "./sync_group.ts";
import { deadline } from "./timers.ts";

const RULES = `
why      | members | event        | with           | after | timers          | moves

Start: BACKUP unless all are owners that wish for MASTER, FAULT with one fault; the group line comes first
start    | I I     | start        |                | B B   | own own         | group BACKUP; 0 BACKUP; 1 BACKUP
start    | I I     | start        | owner          | M M   | adv adv         | 0 advert:255 add announce:5 MASTER; 1 advert:255 add announce:5 MASTER; group MASTER
start    | I I     | start        | 0: owner       | B B   | +3.003906 own   | group BACKUP; 0 BACKUP; 1 BACKUP
start    | I I     | start        | priority 255   | B B   | +3.003906 +3.003906 | group BACKUP; 0 BACKUP; 1 BACKUP
start    | I I     | start        | state MASTER   | B B   | own own         | group BACKUP; 0 BACKUP; 1 BACKUP
start    | I       | start        | owner          | M     | adv             | 0 advert:255 add announce:5 MASTER; group MASTER
start    | I Y     | start        |                | F X   | never never     | group FAULT; 0 FAULT; 1 FAULT
start    | I Y     | start        | owner          | F X   | never never     | group FAULT; 0 FAULT; 1 FAULT
start    | I I     | adopt        |                | M M   | adv adv         | 0 advert:100 add MASTER; 1 advert:100 add MASTER; group MASTER
start    | I Y     | adopt        |                | F X   | never never     | group FAULT; 0 FAULT; 1 FAULT

Scripts: nothing happens until the last one has returned
script   | I S     | start        |                | I S   | never never     |
script   | I S     | adopt        |                | I S   | never never     |
script   | S Y     | start        |                | F X   | never never     | group FAULT; 0 FAULT; 1 FAULT
script   | I S     | 0 recovery   |                | I S   | never never     |
script   | I I     | 1 recovery   |                | B B   | own own         | 1 BACKUP; follow BACKUP; 0 BACKUP; group BACKUP
script   | I I     | 1 recovery   | owner          | M M   | adv adv         | 0 advert:255 add announce:5 MASTER; 1 advert:255 add announce:5 MASTER; group MASTER
script   | S Y     | 1 fault      |                | F X   | never never     | follow FAULT; 1 FAULT; group FAULT; 0 FAULT
script   | F S     | 0 recovery   |                | F S   | never never     |

MASTER: only when every member wants it, then all at once
want     | B B     | 0 timer      |                | W B   | own kept        | 0 timeout
want     | W B     | 0 timer      |                | W B   | own kept        | 0 timeout
want     | W B     | 1 timer      |                | M M   | adv adv         | 1 timeout advert:100 add announce:5 MASTER; follow MASTER; 0 advert:100 add announce:5 MASTER; group MASTER
want     | B W     | 0 timer      |                | M M   | adv adv         | 0 timeout advert:100 add announce:5 MASTER; follow MASTER; 1 advert:100 add announce:5 MASTER; group MASTER
want     | B W     | 0 timer      | 0: priority 200 | M M  | adv adv         | 0 timeout advert:200 add announce:5 MASTER; follow MASTER; 1 advert:100 add announce:5 MASTER; group MASTER
want     | L B     | 0 timer      |                | W B   | own kept        | 0 timeout
want     | W B B   | 1 timer      |                | W W B | kept own kept   | 1 timeout
want     | W B W   | 1 timer      |                | M M M | adv adv adv     | 1 timeout advert:100 add announce:5 MASTER; follow MASTER; 0 advert:100 add announce:5 MASTER; 2 advert:100 add announce:5 MASTER; group MASTER
want     | B       | 0 timer      |                | M     | adv             | 0 timeout advert:100 add announce:5 MASTER; follow MASTER; group MASTER
want     | B B     | 0 early      |                | B B   | kept kept       | 0
want     | M M     | 1 timer      |                | M M   | kept +1         | 1 advert:100

Wanting ends with an advert that is accepted, and only with that
accept   | W B     | 0 advert 101 |                | B B   | own kept        | 0
accept   | W B     | 0 advert 99  |                | W B   | kept kept       | 0 discarded
accept   | W B     | 0 advert 99  | nopreempt      | B B   | own kept        | 0
accept   | W B     | 0 advert 99  | delay 5        | B B   | own kept        | 0 preempt-delay
accept   | W B     | 0 advert 0   |                | W B   | skew kept       | 0 zero
accept   | W B     | 1 advert 101 |                | W B   | kept own        | 1
accept   | B B     | 0 advert 0   |                | B B   | skew kept       | 0 zero

BACKUP: one hears a better MASTER, the others go without a word, and nobody waits less than the full time
yield    | M M     | 0 advert 101 |                | B B   | own own         | 0 higher remove BACKUP; follow BACKUP; 1 remove BACKUP; group BACKUP
yield    | M M M   | 1 advert 101 |                | B B B | own own own     | 1 higher remove BACKUP; follow BACKUP; 0 remove BACKUP; 2 remove BACKUP; group BACKUP
yield    | M       | 0 advert 101 |                | B     | own             | 0 higher remove BACKUP; follow BACKUP; group BACKUP
yield    | M M     | 0 advert 101 | 0: priority 200 | M M  | adv kept        | 0 asserted advert:200

A lower MASTER: the neighbours of every member are told
assert   | M M     | 0 advert 99  |                | M M   | adv kept        | 0 asserted advert:100
assert   | M M     | 0 advert 99  | lower 3+0      | M M   | adv kept        | 0 asserted advert:100 announce:3; 1 announce:3
assert   | M M     | 0 advert 99  | lower 3+0.2    | M M   | +0.2 +0.2       | 0 asserted advert:100 announce:3; 1 announce:3
assert   | M M     | 0 advert 99  | 1: lower 2+0.1 | M M   | adv +0.1        | 0 asserted advert:100; 1 announce:2
assert   | M M     | 0 advert 99  | 0: lower 2+0.1 | M M   | +0.1 kept       | 0 asserted advert:100 announce:2
assert   | M M M   | 2 advert 99  | lower 1+0      | M M M | kept kept adv   | 2 asserted advert:100 announce:1; 0 announce:1; 1 announce:1
assert   | M M     | 1 advert 0   | lower 3+0      | M M   | kept adv        | 1 master-zero advert:100

FAULT: one fault stops all; a MASTER says goodbye on every link
fault    | M M     | 0 fault      |                | F F   | never never     | 0 advert:0 remove FAULT; follow FAULT; 1 advert:0 remove FAULT; group FAULT
fault    | B W     | 1 fault      |                | F F   | never never     | 1 FAULT; follow FAULT; 0 FAULT; group FAULT
fault    | X F     | 1 fault      |                | X F   | never never     | 1
fault    | F F     | 0 recovery   |                | B B   | own own         | 0 BACKUP; follow BACKUP; 1 BACKUP; group BACKUP
fault    | F X     | 0 recovery   |                | F X   | never never     |
fault    | X F     | 1 recovery   |                | X F   | never never     |
fault    | F F     | 0 recovery   | owner          | B B   | +1.003906 +1.003906 | 0 BACKUP; follow BACKUP; 1 BACKUP; group BACKUP
fault    | F F     | 0 advert 0   |                | F F   | never never     | 0
fault    | F F     | 0 timer      |                | F F   | never never     | 0

Retreat: all leave with a goodbye and are back after the skew
retreat  | M M     | 1 retreat    |                | B B   | skew skew       | 1 advert:0 remove BACKUP; follow BACKUP; 0 advert:0 remove BACKUP; group BACKUP
retreat  | B B     | 0 retreat    |                | B B   | kept kept       |
retreat  | X F     | 0 retreat    |                | X F   | never never     |

Stop: each by itself
stop     | M M     | 0 shutdown   |                | I M   | never kept      | 0 advert:0 remove INIT
stop     | I M     | 1 shutdown   |                | I I   | never never     | 1 advert:0 remove INIT
stop     | F X     | 0 shutdown   |                | I X   | never never     | 0 INIT
stop     | I I     | 0 shutdown   |                | I I   | never never     | 0

Reload: a group that goes on keeps its state, new members follow
reload   | M M     | regroup      |                | M M   | kept kept       |
reload   | B W     | regroup      |                | B W   | kept kept       |
reload   | F X     | regroup      |                | F X   | never never     |
reload   | M I     | regroup      |                | M M   | kept adv        | 1 advert:100 add announce:5 MASTER
reload   | B I     | regroup      |                | B B   | kept own        | 1 BACKUP
reload   | M B     | regroup      |                | M M   | kept adv        | 1 advert:100 add announce:5 MASTER
reload   | M B     | regroup BACKUP |              | B B   | skew kept       | 0 advert:0 remove BACKUP
reload   | M Y     | regroup      |                | F X   | never never     | 0 advert:0 remove FAULT; 1 FAULT; group FAULT
reload   | F F     | regroup      |                | B B   | own own         | 0 BACKUP; 1 BACKUP; group BACKUP
reload   | F I     | regroup      |                | B B   | own own         | 0 BACKUP; 1 BACKUP; group BACKUP
reload   | M S     | regroup      |                | M S   | kept never      |
reload   | B S     | regroup      |                | B S   | kept never      |
reload   | F S     | regroup      |                | F S   | never never     |
reload   | M S I   | regroup      |                | M S M | kept never adv  | 2 advert:100 add announce:5 MASTER

Late: a member whose script has returned joins those that run
late     | M I     | 1 recovery   |                | M M   | kept adv        | 1 advert:100 add announce:5 MASTER
late     | B I     | 1 recovery   |                | B B   | kept own        | 1 BACKUP
late     | M I S   | 1 recovery   |                | M M S | kept adv never  | 1 advert:100 add announce:5 MASTER
late     | F I     | 1 recovery   |                | B B   | own own         | 0 BACKUP; 1 BACKUP; group BACKUP
late     | X I     | 1 recovery   |                | X F   | never never     | 1 FAULT
late     | M Y     | 1 fault      |                | F X   | never never     | 1 FAULT; follow FAULT; 0 advert:0 remove FAULT; group FAULT

Reload: a new group is MASTER only when every member is that has started
new      | M M     | regroup INIT |                | M M   | kept kept       | group MASTER
new      | M I     | regroup INIT |                | M M   | kept adv        | 1 advert:100 add announce:5 MASTER; group MASTER
new      | M B     | regroup INIT |                | B B   | skew kept       | 0 advert:0 remove BACKUP; group BACKUP
new      | B B     | regroup INIT |                | B B   | kept kept       | group BACKUP
new      | I I     | regroup INIT |                | B B   | own own         | group BACKUP; 0 BACKUP; 1 BACKUP
new      | M X     | regroup INIT |                | F X   | never never     | 0 advert:0 remove FAULT; group FAULT
`;

const SECOND_US = 1_000_000;
const SINCE = 1000 * SECOND_US;
const OWN_US = 3_609_375;
const SKEW_US = 609_375;

describe("rules", () => {
  const columns = ["why", "members", "event", "with", "after", "timers", "moves"] as const;
  for (const row of parseTable(columns, RULES)) {
    test(row.text, () => {
      const letters = row.members.split(" ");
      const members = freeze(letters.map((letter, i) => memberOf(letter, routerOf(row.with, i))));
      const group: SyncGroup = freeze({
        state: stateNamed(row.event) ?? stateOfGroup(members),
        wants: letters.map((letter) => letter === "W"),
      });
      const { now, result } = perform(group, members, row.event);
      const states = statesAfter(members, result.moves);
      const after = states.map((state, i) => letterOf(state, result.group.wants[i]!, letters[i]!));
      const timers = row.timers.split(/ (?=\S)/).map((word, i) => {
        const dueAt = deadline(members[i]!.router, states[i]!);
        const wanted = timerOf(word, now, deadline(members[i]!.router, members[i]!.state));
        return dueAt === wanted ? word : `+${(dueAt - now) / SECOND_US}`;
      });
      expect({
        after: after.join(" "),
        timers: timers.join(" "),
        moves: result.moves.map(formatMove).join("; "),
      }).toEqual({ after: row.after, timers: row.timers.replace(/ +/g, " "), moves: row.moves });
      expect(result.group.wants).toHaveLength(letters.length);
      expectSoberWants(result.group, states);
    });
  }
});

/** Who is not in BACKUP wants nothing. */
function expectSoberWants({ wants }: SyncGroup, states: readonly State[]): void {
  const idle = wants.filter((_, i) => states[i]!.name !== "BACKUP");
  expect(idle).not.toContain(true);
}

function perform(
  group: SyncGroup,
  members: readonly Member[],
  text: string,
): { now: number; result: GroupStep } {
  const later = SINCE + 400_000;
  const [word, ...rest] = text.split(" ");
  if (word === "start") return { now: later, result: startGroup(group, members, false, later) };
  if (word === "adopt") return { now: later, result: startGroup(group, members, true, later) };
  if (word === "regroup") return { now: later, result: regroup(group, members, later) };
  const index = Number(word);
  const { router, state } = members[index]!;
  const dueAt = deadline(router, state);
  const now = rest[0] === "timer" && dueAt !== Infinity
    ? dueAt
    : rest[0] === "early"
    ? dueAt - 1
    : later;
  return { now, result: stepGroup(group, members, index, eventOf(rest), now) };
}

function eventOf([type, priority]: readonly string[]): InstanceEvent {
  switch (type) {
    case "advert":
      return {
        type,
        priority: Number(priority),
        source: new Uint8Array([192, 0, 2, 9]),
        advertisementIntervalUs: SECOND_US,
      };
    case "early":
      return { type: "timer" };
    case "timer":
    case "fault":
    case "recovery":
    case "retreat":
    case "shutdown":
      return { type };
  }
  throw new Error(`Unknown event: "${type}"`);
}

function routerOf(words: string, index: number): VirtualRouter {
  const one = /^(\d): (.*)$/.exec(words);
  if (one === null) return routerWith(words);
  return routerWith(Number(one[1]) === index ? one[2]! : "");
}

function memberOf(letter: string, router: VirtualRouter): Member {
  const faults: Readonly<Record<string, string>> = { S: SCRIPT_PENDING, X: "link", Y: "link" };
  return { router, state: stateOf(letter), fault: faults[letter] };
}

function stateOf(letter: string): State {
  switch (letter) {
    case "I":
    case "S":
    case "Y":
      return { name: "INIT" };
    case "F":
    case "X":
      return { name: "FAULT" };
    case "B":
    case "L":
    case "W":
      return {
        name: "BACKUP",
        heardAt: SINCE,
        leaving: letter === "L",
        activeAdverIntervalUs: undefined,
        preemptAt: undefined,
        lowered: false,
      };
    case "M":
      return {
        name: "MASTER",
        advertisedAt: SINCE,
        sentAt: SINCE,
        announcedAt: SINCE,
        settled: true,
        assertedAt: undefined,
        rival: undefined,
      };
  }
  throw new Error(`Unknown member: "${letter}"`);
}

function letterOf(state: State, wants: boolean, before: string): string {
  switch (state.name) {
    case "INIT":
      return before === "S" ? "S" : "I";
    case "FAULT":
      return "XY".includes(before) ? "X" : "F";
    case "BACKUP":
      return wants ? "W" : "B";
    case "MASTER":
      return "M";
  }
}

function stateNamed(event: string): State["name"] | undefined {
  return (["INIT", "BACKUP"] as const).find((name) => event === `regroup ${name}`);
}

function stateOfGroup(members: readonly Member[]): State["name"] {
  const names = members.map(({ state }) => state.name);
  return (["FAULT", "MASTER", "BACKUP", "INIT"] as const).find((one) => names.includes(one))!;
}

function statesAfter(members: readonly Member[], moves: readonly Move[]): State[] {
  const states = members.map(({ state }) => state);
  for (const move of moves) if (move.type === "member") states[move.index] = move.step.state;
  return states;
}

function timerOf(word: string, now: number, before: number): number {
  switch (word) {
    case "never":
      return Infinity;
    case "kept":
      return before;
    case "own":
      return now + OWN_US;
    case "skew":
      return now + SKEW_US;
    case "adv":
      return now + SECOND_US;
  }
  return now + Number(word) * SECOND_US;
}

const NOTES: Readonly<Record<string, string>> = {
  "higher-priority": "higher",
  "lower-priority-asserted": "asserted",
  "lower-priority-discarded": "discarded",
  "priority-zero-as-backup": "zero",
  "priority-zero-as-master": "master-zero",
};

function formatMove(move: Move): string {
  switch (move.type) {
    case "follow":
    case "group":
      return `${move.type} ${move.to}`;
    case "member":
      return [move.index, ...move.step.actions.map(formatAction)].join(" ");
  }
}

function formatAction(action: Action): string {
  switch (action.type) {
    case "advert":
      return `advert:${action.priority}`;
    case "announce":
      return `announce:${action.repeat}`;
    case "add":
    case "remove":
      return action.type;
    case "transition":
      return action.to;
    case "note":
      return NOTES[action.note] ?? action.note;
  }
}

describe("after any events", () => {
  for (let seed = 1; seed <= 300; seed++) {
    test(`seed ${seed}`, () => wander(prng(seed)));
  }
});

/** Random events; the members' states stay common, what is announced is what has changed. */
function wander(random: Prng): void {
  const size = random.integer(1, 4);
  const words = random.pick(["", "owner", "nopreempt", "delay 2", "lower 2+0.1"]);
  const routers = Array.from({ length: size }, () => routerWith(words));
  const faults = new Set<number>();
  let states: State[] = routers.map(() => ({ name: "INIT" }));
  let group = freshGroup(size);
  let now = SINCE;
  const view = (): Member[] =>
    routers.map((router, i) => ({
      router,
      state: states[i]!,
      fault: faults.has(i) ? "link" : undefined,
    }));
  const apply = (result: GroupStep): void => {
    let announced = group.state;
    for (const move of result.moves) {
      if (move.type === "member") {
        const { state, actions } = move.step;
        const changes = actions.filter(({ type }) => type === "transition");
        expect(changes).toHaveLength(state.name === states[move.index]!.name ? 0 : 1);
        states = states.with(move.index, state);
      } else if (move.type === "group") {
        expect(move.from).toBe(announced);
        expect(move.to).not.toBe(announced);
        announced = move.to;
      }
    }
    group = result.group;
    expect(group.state).toBe(announced);
    expectSoberWants(group, states);
    expect(new Set(states.map(({ name }) => name))).toEqual(new Set([group.state]));
    expect(group.state === "FAULT").toBe(faults.size > 0);
  };
  apply(startGroup(group, view(), false, now));
  for (let left = 200; left > 0; left--) {
    now += random.integer(0, 3_000_000);
    for (let i = 0; i < size; i++) {
      if (deadline(routers[i]!, states[i]!) <= now) {
        apply(stepGroup(group, view(), i, { type: "timer" }, now));
      }
    }
    const index = random.integer(0, size - 1);
    const type = random.pick(["advert", "advert", "advert", "fault", "recovery", "retreat"]);
    if (type === "fault" ? faults.has(index) : type === "recovery" && !faults.has(index)) continue;
    if (type === "fault") faults.add(index);
    if (type === "recovery") faults.delete(index);
    const priority = String(random.pick([0, 1, 99, 100, 101, 255]));
    apply(stepGroup(group, view(), index, eventOf([type, priority]), now));
  }
}
