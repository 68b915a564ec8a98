/** Links that fail, come back and flap, and when that is believed. */

import { expect, test } from "bun:test";
import { LinkDelays } from "./link_delays.ts";

/** What is believed of a link, by looks at `[moment, works]`; with when the next look is due. */
function believed(looks: readonly (readonly [number, boolean])[], down = 100, up = 300): string {
  const delays = new LinkDelays();
  delays.configure([{ interface: "eth0", down, up }]);
  return looks.map(([at, works]) => {
    const believes = delays.judge("eth0", works, at) ? "up" : "down";
    return delays.dueAt === Infinity ? believes : `${believes} until ${delays.dueAt}`;
  }).join(", ");
}

test("the first look counts", () => {
  expect(believed([[0, true]])).toBe("up");
  expect(believed([[0, false]])).toBe("down");
});

test("a change counts when it has lasted, and not a moment before", () => {
  expect(believed([[0, true], [50, false], [149, false], [150, false]]))
    .toBe("up, up until 150, up until 150, down");
  expect(believed([[0, false], [50, true], [349, true], [350, true]]))
    .toBe("down, down until 350, down until 350, up");
});

test("a flap is none, and begins anew", () => {
  expect(believed([[0, true], [50, false], [90, true], [95, false], [160, false], [195, false]]))
    .toBe("up, up until 150, up, up until 195, up until 195, down");
});

test("without a delay there is none: of this link, in this direction", () => {
  expect(believed([[0, true], [50, false], [60, true], [360, true]], 0, 300))
    .toBe("up, down, down until 360, up");
  const delays = new LinkDelays();
  delays.configure([{ interface: "eth1", down: 5, up: 5 }]);
  expect([delays.judge("eth0", true, 0), delays.judge("eth0", false, 0)]).toEqual([true, false]);
  expect(delays.dueAt).toBe(Infinity);
});

test("a reload keeps what is believed, and forgets links that have no delay any more", () => {
  const delays = new LinkDelays();
  const both = ["eth0", "eth1"].map((name) => ({ interface: name, down: 100, up: 100 }));
  delays.configure(both);
  for (const { interface: name } of both) delays.judge(name, true, 0);
  for (const { interface: name } of both) delays.judge(name, false, 10);
  delays.configure(both.slice(0, 1));
  expect(delays.judge("eth0", false, 20)).toBe(true);
  expect(delays.judge("eth1", false, 20)).toBe(false);
  expect(delays.dueAt).toBe(110);
});
