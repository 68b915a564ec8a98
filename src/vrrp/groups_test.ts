/**
 * Groups at run time: who belongs where after each configuration, in which order things are told, and that
 * what concerns one member only costs one step.
 */

import { describe, expect, test } from "bun:test";
import { groupWith } from "../../test/support/instances.ts";
import { routerWith } from "../../test/support/machine.ts";
import { type GroupMove, Groups, type Running } from "./groups.ts";
import type { State, VirtualRouter } from "./state.ts";
import { deadline } from "./timers.ts";

const NOW = 1_000_000_000;
const NOBODY: ReadonlySet<Instance> = new Set();

/** A running instance of a test: the moves are performed by {@link perform}. */
interface Instance extends Running {
  state: State;
  fault: string | undefined;
}

function instanceOf(name: string, router: VirtualRouter = routerWith("")): Instance {
  return { instance: { name }, router, state: { name: "INIT" }, fault: undefined };
}

/** Performs moves and tells them, transitions only: `V BACKUP`, `follow G`, `G BACKUP`. */
function perform(moves: readonly GroupMove<Instance>[] | undefined): string[] {
  return (moves ?? []).flatMap((move) => {
    switch (move.type) {
      case "member": {
        const { running, step } = move;
        const isTold = running.state.name !== step.state.name;
        running.state = step.state;
        return isTold ? [`${running.instance.name} ${step.state.name}`] : [];
      }
      case "follow":
        return [`follow ${move.group}`];
      case "group":
        return [`${move.group} ${move.to}`];
    }
  });
}

function start(names: string, ...groups: readonly string[]): {
  groups: Groups<Instance>;
  all: Map<string, Instance>;
  told: string[];
} {
  const all = new Map(names.split(" ").map((name) => [name, instanceOf(name)]));
  const made = new Groups<Instance>();
  made.configure(groups.map((words) => groupWith(words[0]!, words.slice(2).split(" "))));
  const told = perform(made.gather(all.values(), NOBODY, false, NOW));
  return { groups: made, all, told };
}

test("groups start their members, and nobody else's", () => {
  const { groups, all, told } = start("a b c d", "G a b", "H d");
  expect(told).toEqual(["G BACKUP", "a BACKUP", "b BACKUP", "H BACKUP", "d BACKUP"]);
  expect(all.get("c")!.state.name).toBe("INIT");
  expect(["a", "b", "c", "d"].map((name) => groups.includes(name)))
    .toEqual([true, true, false, true]);
  expect(groups.step(all.get("c")!, { type: "startup" }, NOW)).toBeUndefined();
});

test("take-over, fault and stop in the order of the notifications", () => {
  const { groups, all } = start("a b", "G a b");
  const [a, b] = [all.get("a")!, all.get("b")!];
  const dueAt = deadline(a.router, a.state);
  expect(perform(groups.step(a, { type: "timer" }, dueAt))).toEqual([]);
  expect(perform(groups.step(b, { type: "timer" }, dueAt)))
    .toEqual(["b MASTER", "follow G", "a MASTER", "G MASTER"]);
  a.fault = "link-down";
  expect(perform(groups.step(a, { type: "fault" }, dueAt)))
    .toEqual(["a FAULT", "follow G", "b FAULT", "G FAULT"]);
  a.fault = undefined;
  expect(perform(groups.step(a, { type: "recovery" }, dueAt)))
    .toEqual(["a BACKUP", "follow G", "b BACKUP", "G BACKUP"]);
  const stops = [a, b].flatMap((one) => perform(groups.step(one, { type: "shutdown" }, dueAt)));
  expect([...stops, ...perform(groups.stop())]).toEqual(["a INIT", "b INIT", "G INIT"]);
});

test("an advert as usual moves its member and leaves the others alone", () => {
  const { groups, all } = start("a b", "G a b");
  const advert = {
    type: "advert",
    priority: 200,
    source: new Uint8Array([192, 0, 2, 9]),
    advertisementIntervalUs: 1_000_000,
  } as const;
  const moves = groups.step(all.get("b")!, advert, NOW + 1)!;
  expect(moves).toHaveLength(1);
  expect(moves[0]).toMatchObject({ type: "member", running: all.get("b")! });
});

describe("adoption", () => {
  for (const adopted of ["", "a", "a b"]) {
    test(`of ${adopted || "nobody"}`, () => {
      const all = ["a", "b"].map((name) => instanceOf(name));
      const groups = new Groups<Instance>();
      groups.configure([groupWith("G", ["a", "b"])]);
      const left = new Set(all.filter(({ instance }) => adopted.includes(instance.name)));
      // Held up or not: a term as MASTER goes on at once, or is over.
      for (const isHeldUp of [true, false]) {
        const told = perform(groups.gather(all, left, isHeldUp, NOW));
        const isWhole = adopted === "a b";
        const expected = isWhole
          ? isHeldUp ? ["a MASTER", "b MASTER", "G MASTER"] : []
          : isHeldUp
          ? []
          : ["G BACKUP", "a BACKUP", "b BACKUP"];
        expect(told).toEqual(expected);
      }
    });
  }
});

describe("a reload", () => {
  /** Two MASTERs in G, one outside, each as it is after a take-over. */
  function masters(): ReturnType<typeof start> {
    const started = start("a b c", "G a b");
    const { groups, all } = started;
    for (const name of ["a", "b"]) {
      const one = all.get(name)!;
      perform(groups.step(one, { type: "timer" }, deadline(one.router, one.state)));
    }
    expect(all.get("a")!.state.name).toBe("MASTER");
    return started;
  }

  test("that changes nothing moves nobody", () => {
    const { groups, all } = masters();
    expect(perform(groups.gather(all.values(), NOBODY, false, NOW))).toEqual([]);
  });

  test("a new member follows a group that is MASTER", () => {
    const { groups, all } = masters();
    groups.configure([groupWith("G", ["a", "b", "c"])]);
    expect(perform(groups.gather(all.values(), NOBODY, false, NOW))).toEqual(["c MASTER"]);
  });

  test("a group that goes leaves its members as they are, each for itself", () => {
    const { groups, all } = masters();
    groups.configure([]);
    expect(perform(groups.gather(all.values(), NOBODY, false, NOW))).toEqual([]);
    expect(groups.step(all.get("a")!, { type: "fault" }, NOW)).toBeUndefined();
    expect(groups.stop()).toEqual([]);
  });

  test("members that leave MASTERs behind form a new group as MASTER", () => {
    const { groups, all } = masters();
    groups.configure([groupWith("H", ["b", "a"])]);
    expect(perform(groups.gather(all.values(), NOBODY, false, NOW))).toEqual(["H MASTER"]);
  });

  test("what a member wanted it still wants in its new place", () => {
    const { groups, all } = start("a b c", "G a b");
    const a = all.get("a")!;
    const dueAt = deadline(a.router, a.state);
    perform(groups.step(a, { type: "timer" }, dueAt));
    groups.configure([groupWith("G", ["c", "b", "a"])]);
    expect(perform(groups.gather(all.values(), NOBODY, false, dueAt))).toEqual(["c BACKUP"]);
    const laterAt = Math.max(...[...all.values()].map((one) => deadline(one.router, one.state)));
    perform(groups.step(all.get("b")!, { type: "timer" }, laterAt));
    expect(perform(groups.step(all.get("c")!, { type: "timer" }, laterAt)))
      .toEqual(["c MASTER", "follow G", "b MASTER", "a MASTER", "G MASTER"]);
  });

  test("members whose instances are not there are left out", () => {
    const { groups, all } = masters();
    all.delete("b");
    groups.configure([groupWith("G", ["a", "b"]), groupWith("H", ["x"])]);
    expect(perform(groups.gather(all.values(), NOBODY, false, NOW))).toEqual([]);
    expect(groups.stop().map(({ type }) => type)).toEqual(["group"]);
  });
});
