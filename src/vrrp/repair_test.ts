/**
 * What follows from a removal, in tables and along a virtual clock; and who is named for it.
 */

import { describe, expect, test } from "bun:test";
import { freeze, routerWith } from "../../test/support/machine.ts";
import { parseTable } from "../../test/support/table.ts";
import { step } from "./fsm.ts";
import {
  judgeRemoval,
  nameCulprit,
  pidOfPort,
  policyOf,
  type Removal,
  retreat,
  stepAlone,
} from "./repair.ts";
import type { State } from "./state.ts";
import { deadline, skewTimeUs } from "./timers.ts";

const SECOND_US = 1_000_000;

/** The usual removal: somebody else took what a MASTER wants, the link works. */
const FOREIGN: Removal = freeze({
  policy: "repair",
  isBack: false,
  noTrack: false,
  isLinkUp: true,
});

const VERDICTS = `
what                        | repairs before, seconds ago              | verdict

the first                   |                                          | repair
the tenth                   | 1 1 1 1 1 1 1 1 1                        | repair
the eleventh                | 1 1 1 1 1 1 1 1 1 1                      | step-down
the eleventh, just in time  | 9.999999 9 8 7 6 5 4 3 2 1               | step-down
the eleventh, too late      | 10 9 8 7 6 5 4 3 2 1                     | repair
many, long ago              | 99 98 97 96 95 94 93 92 91 90 89 88 11   | repair
all in one microsecond      | 0 0 0 0 0 0 0 0 0 0                      | step-down

isBack=true                 |                                          | ignore
noTrack=true                |                                          | ignore
isLinkUp=false              |                                          | ignore
isLinkUp=false              | 1 1 1 1 1 1 1 1 1 1                      | ignore

policy=step_down            |                                          | step-down
policy=step_down, isBack=true |                                        | ignore
policy=step_down, noTrack=true |                                       | ignore
policy=step_down, isLinkUp=false |                                     | ignore
`;

describe("a removal", () => {
  const columns = ["what", "repairs before, seconds ago", "verdict"] as const;
  const now = 1000 * SECOND_US;
  for (const row of parseTable(columns, VERDICTS)) {
    test(row.text, () => {
      const before = row["repairs before, seconds ago"].split(" ").filter(Boolean)
        .map((ago) => now - Math.round(Number(ago) * SECOND_US));
      const { verdict, repairedAt } = judgeRemoval(removalOf(row.what), freeze(before), now);
      expect<string>(verdict).toBe(row.verdict);
      const recent = before.filter((at) => now - at < 10 * SECOND_US);
      expect(repairedAt).toEqual(verdict === "repair" ? [...recent, now] : recent);
    });
  }
});

function removalOf(words: string): Removal {
  const entries = words.split(", ").map((one) => one.split("=")).filter(({ length }) =>
    length === 2
  );
  const changes = entries.map(([key, value]) => [
    key,
    key === "policy" ? value : value === "true",
  ]);
  return { ...FOREIGN, ...Object.fromEntries(changes) };
}

test("once a second for ever is repaired, twice is not", () => {
  expect(removeEvery(SECOND_US, 100)).toBe(100);
  expect(removeEvery(SECOND_US / 2, 100)).toBe(10);
});

/** How many of `most` removals at this distance are repaired before a step down. */
function removeEvery(intervalUs: number, most: number): number {
  let history: readonly number[] = [];
  for (let count = 0; count < most; count++) {
    const judged = judgeRemoval(FOREIGN, history, count * intervalUs);
    if (judged.verdict !== "repair") return count;
    history = judged.repairedAt;
  }
  return most;
}

test("a fight that goes on steps down again at once, a pause forgives", () => {
  let history: readonly number[] = [];
  for (let i = 0; i < 10; i++) history = judgeRemoval(FOREIGN, history, i).repairedAt;
  expect(judgeRemoval(FOREIGN, history, 10).verdict).toBe("step-down");
  expect(judgeRemoval(FOREIGN, history, SECOND_US).verdict).toBe("step-down");
  expect(judgeRemoval(FOREIGN, history, 10 * SECOND_US - 1).verdict).toBe("step-down");
  expect(judgeRemoval(FOREIGN, history, 10 * SECOND_US).verdict).toBe("repair");
});

test("retreat: priority 0, the addresses go, a candidate again after Skew_Time", () => {
  const router = routerWith("");
  const now = 1000 * SECOND_US;
  const master: State = step(routerWith("owner"), { name: "INIT" }, { type: "startup" }, now).state;
  const { state, actions } = retreat(freeze(master), now);
  expect(actions).toEqual([
    { type: "advert", priority: 0 },
    { type: "remove" },
    { type: "transition", from: "MASTER", to: "BACKUP" },
  ]);
  expect(deadline(router, state)).toBe(now + skewTimeUs(router, SECOND_US));
});

test("the process behind a port", () => {
  expect(pidOfPort(0)).toBeUndefined();
  expect(pidOfPort(4242)).toBe(4242);
  expect(pidOfPort((3 << 22) + 4242)).toBe(4242);
  expect(pidOfPort(-4097 >>> 0)).toBeUndefined();
});

test("who it probably was", () => {
  const none: readonly string[] = [];
  expect(nameCulprit({ port: 812, program: "systemd-network", suspects: none }))
    .toBe("by systemd-networkd (process 812)");
  expect(nameCulprit({ port: (1 << 22) + 812, program: "fancy", suspects: ["dhclient"] }))
    .toBe("by fancy (process 812)");
  expect(nameCulprit({ port: 4242, program: undefined, suspects: none }))
    .toBe("by process 4242, which has ended");
  expect(nameCulprit({ port: 4242, program: undefined, suspects: ["dhclient"] }))
    .toBe("by process 4242, which has ended; running here: dhclient");
  expect(nameCulprit({ port: 0, program: undefined, suspects: none }))
    .toBe("by a process the kernel does not name");
  expect(nameCulprit({ port: -4097 >>> 0, program: undefined, suspects: none }))
    .toBe("by a process the kernel does not name");
  expect(nameCulprit({ port: 0, program: undefined, suspects: ["NetworkManager", "dhcpcd"] }))
    .toBe("probably by NetworkManager, dhcpcd");
});

test("without a word it is repaired", () => {
  expect([policyOf({}), policyOf({ vip_removed: "step_down" })]).toEqual(["repair", "step_down"]);
});

test("only a MASTER gives up; any other event is the machine's", () => {
  const router = routerWith("owner");
  const init: State = { name: "INIT" };
  const { state } = stepAlone(router, init, { type: "startup" }, 0);
  expect(state).toEqual(step(router, init, { type: "startup" }, 0).state);
  expect(stepAlone(router, state, { type: "retreat" }, 7)).toEqual(retreat(state, 7));
  for (const other of [init, retreat(state, 7).state]) {
    expect(stepAlone(router, other, { type: "retreat" }, 8)).toEqual({ state: other, actions: [] });
  }
});
