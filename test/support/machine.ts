/**
 * The words that tables of the VRRP machine are written in. A row names a state, an event and what
 * differs from the usual router; the outcome is compared exactly: the state's name, the next
 * deadline, and every action in order.
 *
 * The usual router: version 3, priority 100, 192.0.2.5, an advert per second, preempting, bursts of
 * 5 announcements, one burst only. Its peer is 192.0.2.9 and advertises every two seconds. Moments
 * are in seconds. The figures of the `timer` words are worked out by hand, not by the machine.
 *
 *     state    INIT | FAULT | BACKUP [learned] [leaving] [lowered] | MASTER
 *     event    startup | shutdown | timer | early timer | fault | recovery | adoption | reconfiguration
 *              advert PRIORITY [from LAST-BYTE|ADDRESS] [every SECONDS]
 *              reload (a new router, no event)
 *     with     v2, v6, priority N, owner (255 and state MASTER), state MASTER, interval SECONDS,
 *              nopreempt, delay SECONDS, garp REPEAT+SECONDS, refresh REPEAT+SECONDS,
 *              lower REPEAT+SECONDS, down_timer_adverts N, lower_prio_no_advert,
 *              higher_prio_send_advert, timer_expired_backup N
 *     timer    never | kept | own | peer | skew | adv | +SECONDS from the event | SECONDS
 *              (adv: one interval from the event)
 *     actions  advert PRIORITY, add, remove, announce REPEAT, note WHAT PRIORITY from LAST-BYTE
 *
 * Transitions are not written: there is one, as the last action, if and only if the name changes.
 */

import { expect } from "bun:test";
import { formatAddress, parseAddress } from "../../src/lib/address.ts";
import { step } from "../../src/vrrp/fsm.ts";
import type { Action, Event, State, VirtualRouter } from "../../src/vrrp/state.ts";
import { deadline } from "../../src/vrrp/timers.ts";
import { parseTable } from "./table.ts";

const SECOND_US = 1_000_000;

/** Where a machine is between two rows. */
interface Position {
  readonly router: VirtualRouter;
  readonly state: State;
  readonly now: number;
}

/** Notes are keepalived's; the RFC's own table leaves them out. */
type Notes = "with notes" | "without notes";

interface Expected {
  readonly to: string;
  readonly timer: string;
  readonly actions: string;
}

/** What the `timer` words mean for the usual router, in microseconds from the event. */
const TIMERS: Readonly<Record<string, number>> = {
  own: 3_609_375, // 3 × 1 s + (256 − 100) / 256 × 1 s
  peer: 7_218_750, // 3 × 2 s + (256 − 100) / 256 × 2 s
  skew: 609_375,
};

/** The usual router, changed by the words of a `with` cell. */
export function routerWith(words: string): VirtualRouter {
  let router: VirtualRouter = {
    version: 3,
    priority: 100,
    advertisementIntervalUs: SECOND_US,
    lane: 0,
    downTimerAdverts: 3,
    preempt: true,
    preemptDelayUs: 0,
    startsAsMaster: false,
    lowerPriorityNoAdvert: false,
    higherPrioritySendAdvert: false,
    timerExpiredPriority: undefined,
    address: addressOf("192.0.2.5"),
    garp: {
      repeat: 5,
      delayUs: 0,
      refreshUs: 0,
      refreshRepeat: 1,
      lowerPriorityRepeat: 0,
      lowerPriorityDelayUs: 0,
    },
  };
  for (const phrase of words.split(",").map((one) => one.trim()).filter(Boolean)) {
    router = { ...router, ...changeOf(phrase, router) };
  }
  return router;
}

function changeOf(phrase: string, router: VirtualRouter): Partial<VirtualRouter> {
  const [word, value = ""] = phrase.split(" ");
  const [repeat, delayUs] = [parseInt(value), us(value.split("+").at(-1)!)];
  const table: Readonly<Record<string, Partial<VirtualRouter>>> = {
    v2: { version: 2 },
    v6: { address: addressOf("fe80::5") },
    owner: { priority: 255, startsAsMaster: true },
    state: { startsAsMaster: value === "MASTER" },
    priority: { priority: Number(value) },
    interval: { advertisementIntervalUs: us(value) },
    nopreempt: { preempt: false },
    delay: { preemptDelayUs: us(value) },
    down_timer_adverts: { downTimerAdverts: Number(value) },
    lower_prio_no_advert: { lowerPriorityNoAdvert: true },
    higher_prio_send_advert: { higherPrioritySendAdvert: true },
    timer_expired_backup: { timerExpiredPriority: Number(value) },
    garp: { garp: { ...router.garp, repeat, delayUs } },
    refresh: { garp: { ...router.garp, refreshRepeat: repeat, refreshUs: delayUs } },
    lower: { garp: { ...router.garp, lowerPriorityRepeat: repeat, lowerPriorityDelayUs: delayUs } },
  };
  const change = table[word!];
  if (change === undefined) throw new Error(`Unknown words for a router: "${phrase}"`);
  return change;
}

/** Each row alone: `why | in | event | with | to | timer | actions`. */
export function rules(text: string, notes: Notes): { name: string; check: () => void }[] {
  const columns = ["why", "in", "event", "with", "to", "timer", "actions"] as const;
  return parseTable(columns, text).map((row) => ({
    name: row.text,
    check: () => {
      const router = routerWith(row.with);
      const since = 1000 * SECOND_US;
      const state = stateOf(row.in, since);
      const timers: Readonly<Record<string, number>> = {
        "timer": deadline(router, state),
        "early timer": deadline(router, state) - 1,
      };
      const dueAt = timers[row.event] ?? Infinity;
      // An idle state has no deadline: its stray timer fires whenever it likes.
      const now = dueAt === Infinity ? since + 400_000 : dueAt;
      expectStep({ router, state, now }, row.event.replace("early ", ""), row, notes);
    },
  }));
}

/** Rows that follow each other, from INIT: `at | event | with | to | timer | actions`. */
export function story(text: string): void {
  const columns = ["at", "event", "with", "to", "timer", "actions"] as const;
  let router = routerWith("");
  let state: State = { name: "INIT" };
  for (const row of parseTable(columns, text)) {
    if (row.with !== "") router = routerWith(row.with);
    state = expectStep({ router, state, now: us(row.at) }, row.event, row, "with notes");
  }
}

/** Takes one step, compares all of it, and returns the new state. */
function expectStep(
  from: Position,
  eventText: string,
  row: Expected & { text: string },
  notes: Notes,
): State {
  const { router, state, now } = from;
  const before = deadline(router, state);
  const event = eventText === "reload" ? undefined : eventOf(eventText, router);
  const inputs = JSON.stringify([router, state, event]);
  const after = event === undefined
    ? { state, actions: [] }
    : step(freeze(router), freeze(state), freeze(event), now);
  expect(JSON.stringify([router, state, event]), "the arguments after the step").toBe(inputs);

  const transitions = after.actions.filter((action) => action.type === "transition");
  const changed = after.state.name !== state.name;
  const transition: Action = { type: "transition", from: state.name, to: after.state.name };
  expect(transitions, row.text).toEqual(changed ? [transition] : []);
  if (changed) expect(after.actions.at(-1), row.text).toEqual(transition);

  const dueAt = deadline(router, after.state);
  const wanted = timerOf(row.timer, before, now);
  const seen: Expected & { row: string } = {
    row: row.text,
    to: after.state.name,
    timer: dueAt === wanted ? row.timer : `${dueAt / SECOND_US} (+${(dueAt - now) / SECOND_US})`,
    actions: after.actions
      .filter(({ type }) => type !== "transition" && (type !== "note" || notes === "with notes"))
      .map((action) => formatAction(action, router)).join(", "),
  };
  expect(seen).toEqual({ row: row.text, to: row.to, timer: row.timer, actions: row.actions });
  return after.state;
}

function stateOf(words: string, since: number): State {
  const [name, ...rest] = words.split(" ");
  switch (name) {
    case "INIT":
    case "FAULT":
      return { name };
    case "BACKUP":
      return {
        name,
        heardAt: since,
        leaving: rest.includes("leaving"),
        activeAdverIntervalUs: rest.includes("learned") ? 2 * SECOND_US : undefined,
        preemptAt: undefined,
        lowered: rest.includes("lowered"),
      };
    case "MASTER":
      return {
        name,
        advertisedAt: since,
        sentAt: since,
        announcedAt: since,
        settled: true,
        assertedAt: undefined,
        rival: undefined,
      };
  }
  throw new Error(`Unknown state: "${words}"`);
}

function eventOf(text: string, router: VirtualRouter): Event {
  const advert = /^advert (\d+)(?: from (\S+))?(?: every (\S+))?$/.exec(text);
  if (advert !== null) {
    const [, priority, source = "9", everyText = "2"] = advert;
    return {
      type: "advert",
      priority: Number(priority),
      source: addressOf(/^\d+$/.test(source) ? linkOf(router) + source : source),
      advertisementIntervalUs: us(everyText),
    };
  }
  const types = [
    "startup",
    "shutdown",
    "timer",
    "fault",
    "recovery",
    "adoption",
    "reconfiguration",
  ] as const;
  const type = types.find((one) => one === text);
  if (type === undefined) throw new Error(`Unknown event: "${text}"`);
  return { type };
}

function timerOf(text: string, before: number, now: number): number {
  if (text === "never") return Infinity;
  if (text === "kept") return before;
  if (text === "adv") return now + SECOND_US;
  const named = TIMERS[text];
  if (named !== undefined) return now + named;
  return text.startsWith("+") ? now + us(text) : us(text);
}

function formatAction(action: Action, router: VirtualRouter): string {
  switch (action.type) {
    case "advert":
      return `advert ${action.priority}`;
    case "add":
    case "remove":
      return action.type;
    case "announce":
      return `announce ${action.repeat}`;
    case "transition":
      return `${action.from} to ${action.to}`;
    case "note": {
      const source = formatAddress(action.source).replace(linkOf(router), "");
      return `note ${action.note} ${action.priority} from ${source}`;
    }
  }
}

/** What all addresses of the link begin with. */
function linkOf(router: VirtualRouter): string {
  return router.address.length === 4 ? "192.0.2." : "fe80::";
}

function addressOf(text: string): Uint8Array {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`Not an address: "${text}"`);
  return address;
}

function us(seconds: string): number {
  return Math.round(Number(seconds) * SECOND_US);
}

/** Freezes an object and what is in it, but for bytes, which cannot be frozen. */
export function freeze<Value extends object>(value: Value): Value {
  for (const inner of Object.values(value)) {
    if (typeof inner === "object" && inner !== null && !ArrayBuffer.isView(inner)) freeze(inner);
  }
  return Object.freeze(value);
}
