/** What is heard of tracked objects, and what an instance makes of it: priority, fault, and who is told. */

import { expect, test } from "bun:test";
import { instanceWith } from "../../test/support/instances.ts";
import { parseAddress } from "../lib/address.ts";
import type { Link } from "../netlink/link.ts";
import { LinkTable } from "./links.ts";
import { notePeer, type RunningInstance, startRunning } from "./running.ts";
import type { State } from "./state.ts";
import { deadline } from "./timers.ts";
import { Tracked, type TrackedNews } from "./tracked.ts";
import type { Tracker, TrackerKind } from "./tracking.ts";

const MASTER: State = {
  name: "MASTER",
  advertisedAt: 0,
  sentAt: 0,
  announcedAt: 0,
  settled: true,
  assertedAt: undefined,
  rival: undefined,
};
const BACKUP: State = {
  name: "BACKUP",
  heardAt: 0,
  leaving: false,
  activeAdverIntervalUs: undefined,
  preemptAt: undefined,
  lowered: false,
};

function tracker(kind: TrackerKind, name: string, weight: number): Tracker {
  return { kind, name, weight, reverse: false };
}

/** An instance V of priority 100 that tracks these. */
function scene(trackers: readonly Tracker[], more: Parameters<typeof instanceWith>[0] = {}): {
  links: LinkTable;
  tracked: Tracked;
  running: RunningInstance<never, never>;
  news: TrackedNews[];
  texts: () => string[];
} {
  const links = new LinkTable();
  const news: TrackedNews[] = [];
  const tracked = new Tracked(links, (message) => news.push(message));
  tracked.configure({ of: { V: trackers }, says: [] });
  const running = startRunning<never, never>(
    "V",
    -1,
    { instance: instanceWith(more), vmac: undefined },
    () => {},
  );
  const texts = (): string[] => news.flatMap((one) => one.type === "log" ? [one.text] : []);
  return { links, tracked, running, news, texts };
}

test("a result changes the priority, and with it the deadline of a BACKUP", () => {
  const { tracked, running, texts } = scene([tracker("script", "s", -20)]);
  running.state = BACKUP;
  expect(tracked.weigh(running)).toBe(false);
  const before = deadline(running.router, running.state);
  tracked.note([{ kind: "script", name: "s", reading: false }]);
  expect(tracked.weigh(running)).toBe(true);
  expect(running.router.priority).toBe(80);
  // Version 2: 20/256 s.
  expect(deadline(running.router, running.state) - before).toBe(78_125);
  expect(tracked.weigh(running)).toBe(false);
  expect(texts()).toEqual([
    "(V) Changing effective priority from 100 to 80",
    "(V) Priority is 100 - 20 (script s) = 80",
  ]);
});

test("what a peer has is compared when a MASTER fails", () => {
  const says = (peerPriority: number, reading: boolean): string[] => {
    const { tracked, running, texts, news } = scene([tracker("script", "s", -20)]);
    running.state = MASTER;
    tracked.note([{ kind: "script", name: "s", reading: !reading }]);
    tracked.weigh(running);
    notePeer(running, parseAddress("10.0.0.2")!, peerPriority);
    tracked.note([{ kind: "script", name: "s", reading }]);
    tracked.weigh(running);
    const said = texts().filter((text) => text.includes("No failover"));
    const told = news.flatMap((one) => one.type === "priority" ? one.stuck ?? [] : []);
    expect(told.map(({ missing }) => missing)).toEqual(said.map((text) => Number(text.slice(-2))));
    return said;
  };
  expect(says(80, false)).toEqual([
    "(V) No failover will happen: 10.0.0.2 has 80, the best priority heard of a peer - " +
    "the weight is too small by 1",
  ]);
  expect(says(70, false)[0]).toEndWith("too small by 11");
  expect(says(81, false)).toEqual([]);
  expect(says(70, true)).toEqual([]);
});

test("the best peer is the one that was heard with most, as it was heard last", () => {
  const { running } = scene([]);
  const [a, b] = ["10.0.0.2", "10.0.0.3"].map((text) => parseAddress(text)!) as [
    Uint8Array,
    Uint8Array,
  ];
  const after = (source: Uint8Array, priority: number): [number | undefined, number] => {
    notePeer(running, source, priority);
    return [running.peer?.[3], running.peerPriority];
  };
  expect(after(a, 50)).toEqual([2, 50]);
  expect(after(b, 40)).toEqual([2, 50]);
  expect(after(b, 90)).toEqual([3, 90]);
  expect(after(b, 60)).toEqual([3, 60]);
});

test("links are looked up, and a missing one is down", () => {
  const { links, tracked, running, texts } = scene([
    tracker("interface", "eth1", 0),
    tracker("interface", "eth2", -10),
  ]);
  tracked.weigh(running);
  expect(running.router.priority).toBe(90);
  expect(tracked.faultOf(running)).toBe("tracked");
  tracked.explainFault(running, "tracked");
  expect(texts().at(-1)).toBe("(V) interface eth1 is down");
  tracked.explainFault(running, "link-down");
  expect(texts().at(-1)).toBe("(V) still in FAULT: interface eth0 is down, interface eth1 is down");
  tracked.explainFault(running, "link-down");
  expect(texts().filter((text) => text.includes("still")).length).toBe(1);
  const up = { up: true, running: true } as Link;
  links.setLink({ ...up, index: 2, name: "eth1" });
  links.setLink({ ...up, index: 3, name: "eth2", running: false });
  tracked.weigh(running);
  expect(tracked.faultOf(running)).toBeUndefined();
  expect(running.router.priority).toBe(90);
});

test("who takes part already does not wait for a script", () => {
  const { tracked, running } = scene([tracker("script", "s", 0)]);
  tracked.weigh(running);
  expect(tracked.faultOf(running)).toBe("script-pending");
  running.state = MASTER;
  expect(tracked.faultOf(running)).toBeUndefined();
});

test("a changed priority is told with what it is made of", () => {
  const told = (state: State, asks = false): TrackedNews[] => {
    const { tracked, running, news } = scene(
      [tracker("file", "f", 1)],
      { notify_priority_changes: asks },
    );
    running.state = state;
    tracked.note([{ kind: "file", name: "f", reading: 7 }]);
    tracked.weigh(running);
    return news.filter(({ type }) => type === "priority");
  };
  expect(told(MASTER)).toEqual([{
    type: "priority",
    instance: "V",
    state: "MASTER",
    priority: 107,
    isWanted: false,
    base: 100,
    contributions: [{ of: "file f", points: 7 }],
  }]);
  expect(told(BACKUP, true)).toMatchObject([{ state: "BACKUP", isWanted: true }]);
  expect(told({ name: "FAULT" })).toMatchObject([{ state: "FAULT" }]);
  // Before the first state only to who wants every change.
  expect(told({ name: "INIT" }, true)).toMatchObject([{ state: "INIT", isWanted: true }]);
  expect(told({ name: "INIT" })).toEqual([]);
});

test("what is tracked no longer counts no longer", () => {
  const { tracked, running } = scene([tracker("script", "s", -20)]);
  tracked.note([{ kind: "script", name: "s", reading: false }]);
  tracked.weigh(running);
  tracked.configure({ of: {}, says: [] });
  expect(tracked.weigh(running)).toBe(true);
  expect(running.router.priority).toBe(100);
  expect(running.standing).toBeUndefined();
});
