/** Pools row by row: what is said and done when servers come and go, in keepalived's words and order. */

import { expect, test } from "bun:test";
import { onlyBalanced, realServer, virtualServer } from "../../test/support/balancing.ts";
import type { Balanced, KnownPool } from "./changes.ts";
import type { News } from "./news.ts";
import type { Order } from "./orders.ts";
import {
  type Finding,
  give,
  hear,
  isSorry,
  type Pool,
  ramp,
  reconfigure,
  start,
  type Step,
  stop,
  sumOf,
  weightOf,
} from "./quorum.ts";

const CHECK = "TCP_CHECK {\n}";
const VS = "[192.0.2.1]:tcp:80";
const A = "198.51.100.1 80";
const B = "198.51.100.2 80";

/** Two servers, of weight 2 and 3; the second one is inhibited on failure. */
function two(lines = "", a = CHECK, b = CHECK): Balanced {
  return onlyBalanced(virtualServer(
    `${lines}\n${realServer(A, `weight 2\n${a}`)}${
      realServer(B, `weight 3\ninhibit_on_failure\n${b}`)
    }`,
  ));
}

/** News as a row of the expected lines: events in capitals, log lines as they are. */
function lines(news: readonly News[]): string[] {
  return news.map((one) => {
    if (one.type === "log") return one.text;
    const script = one.script === undefined ? "" : ` ${one.script.argv.join(" ")}`;
    const who = one.type === "quorum" ? "VS" : `RS ${one.server}`;
    return `${who} ${one.isUp ? "UP" : "DOWN"}${script}`;
  });
}

/** Reports one after the other; the last step. */
function after(
  balanced: Balanced,
  reports: readonly Partial<Finding>[],
  from = start(balanced),
): Step {
  let step = from;
  for (const report of reports) {
    step = hear(balanced, step.pool, { server: A, check: 0, isUp: true, ...report });
  }
  return step;
}

const downA = { server: A, isUp: false };
const downB = { server: B, isUp: false };
const upA = { server: A, isUp: true };
const upB = { server: B, isUp: true };

test("a start with enough weight gains quorum at once, scripts and all", () => {
  const balanced = two("quorum 3\nhysteresis 1\nquorum_up /bin/up");
  expect(lines(start(balanced).news)).toEqual([
    `Gained quorum 3+1=4 <= 5 for VS ${VS}`,
    "VS UP /bin/up",
  ]);
});

test("servers of the first hour are announced when asked for", () => {
  const balanced = two("", "notify_up /bin/a", "alpha\nTCP_CHECK {\nalpha\n}");
  expect(lines(start(balanced, { initNotifies: true }).news)[0]).toBe(
    "RS [198.51.100.1]:tcp:80 UP /bin/a",
  );
  expect(lines(start(balanced, { initNotifies: true }).news).length).toBe(3);
});

test("alpha servers start as down: with a sorry server that is told, without one it is not", () => {
  expect(start(two("alpha")).news).toEqual([]);
  const balanced = two("alpha\nquorum 3\nsorry_server 198.51.100.9 80\nquorum_down /bin/down");
  const { pool, news } = start(balanced);
  expect(lines(news)).toEqual([
    `Starting with quorum down 3+0=3 > 0 for VS ${VS}`,
    `Adding sorry server [198.51.100.9]:tcp:80 to VS ${VS}`,
    `Removing alive servers from the pool for VS ${VS}`,
    "VS DOWN /bin/down",
  ]);
  expect(isSorry(balanced.server, pool)).toBeTrue();
});

test("alpha without a check to wait for means nothing", () => {
  expect(start(two("alpha", "", "")).pool.hasQuorum).toBeTrue();
});

test("a server that fails and comes back", () => {
  const balanced = two("quorum 3\nhysteresis 1\nsorry_server 198.51.100.9 80");
  expect(lines(after(balanced, [downA]).news)).toEqual([
    `Removing service [198.51.100.1]:tcp:80 from VS ${VS}`,
    "RS [198.51.100.1]:tcp:80 DOWN",
  ]);
  expect(lines(after(balanced, [downA, downB]).news)).toEqual([
    `Disabling service [198.51.100.2]:tcp:80 of VS ${VS}`,
    "RS [198.51.100.2]:tcp:80 DOWN",
    `Lost quorum 3-1=2 > 0 for VS ${VS}`,
    `Adding sorry server [198.51.100.9]:tcp:80 to VS ${VS}`,
    `Removing alive servers from the pool for VS ${VS}`,
    "VS DOWN",
  ]);
  // 2 is less than 3 + 1: the hysteresis keeps the pool down.
  expect(lines(after(balanced, [downA, downB, upA]).news)).toEqual([
    `Adding service [198.51.100.1]:tcp:80 to VS ${VS}`,
    "RS [198.51.100.1]:tcp:80 UP",
  ]);
  expect(lines(after(balanced, [downA, downB, upA, upB]).news)).toEqual([
    `Enabling service [198.51.100.2]:tcp:80 of VS ${VS}`,
    "RS [198.51.100.2]:tcp:80 UP",
    `Gained quorum 3+1=4 <= 5 for VS ${VS}`,
    `Removing sorry server [198.51.100.9]:tcp:80 from VS ${VS}`,
    `Adding alive servers to the pool for VS ${VS}`,
    "VS UP",
  ]);
});

test("mails about the quorum have keepalived's numbers and signs", () => {
  const balanced = two("quorum 3\nhysteresis 1\nsorry_server 198.51.100.9 80");
  const mails = (...news: readonly News[]): string[] =>
    news.flatMap((one) => one.type === "quorum" ? [one.mail] : []);
  expect(mails(...start(balanced).news)).toEqual(["Starting with quorum up 3+1=4 <= 5"]);
  expect(mails(...after(balanced, [downA, downB]).news)).toEqual(["Lost quorum 3+1=2 <= 0"]);
  const gained = after(balanced, [downA, downB, upA, upB]).news;
  expect(mails(...gained)).toEqual(["Gained quorum 3+1=4 <= 5"]);
  const waiting = two("alpha\nquorum 3\nsorry_server 198.51.100.9 80");
  expect(mails(...start(waiting).news)).toEqual(["Starting with quorum down 3+0=3 <= 0"]);
});

test("hysteresis: lost below quorum - hysteresis, gained at quorum + hysteresis", () => {
  const rows: [lines: string, reports: Partial<Finding>[], hasQuorum: boolean][] = [
    ["quorum 3", [], true],
    ["quorum 3", [downA], true],
    ["quorum 3", [downB], false],
    ["quorum 3", [downB, upB], true],
    ["quorum 3\nhysteresis 1", [downB], true],
    ["quorum 3\nhysteresis 1", [downB, downA], false],
    ["quorum 3\nhysteresis 1", [downB, downA, upB], false],
    ["quorum 3\nhysteresis 1", [downB, downA, upB, upA], true],
    ["quorum 5\nhysteresis 1", [], false],
    ["quorum 1", [downA, downB], false],
  ];
  for (const [text, reports, hasQuorum] of rows) {
    const { pool } = after(two(text), reports);
    expect([text, reports.length, pool.hasQuorum]).toEqual([text, reports.length, hasQuorum]);
  }
});

test("a pool of weight 0 has no quorum, and says nothing of it", () => {
  const balanced = onlyBalanced(virtualServer(realServer(A, "weight 0")));
  const { pool, news } = start(balanced);
  expect([pool.hasQuorum, lines(news)]).toEqual([false, []]);
});

test("all checks of a server must be up; a repeated report is no news", () => {
  const balanced = two("", `${CHECK}\n${CHECK}`);
  const first = after(balanced, [downA]);
  const second = hear(balanced, first.pool, { server: A, check: 1, isUp: false });
  expect(second.news).toEqual([]);
  const third = hear(balanced, second.pool, { server: A, check: 0, isUp: true });
  expect(third.news).toEqual([]);
  const fourth = hear(balanced, third.pool, { server: A, check: 1, isUp: true });
  expect(lines(fourth.news)[0]).toStartWith("Adding service");
  expect(hear(balanced, fourth.pool, { server: A, check: 1, isUp: true }).news).toEqual([]);
  const stranger = { server: "192.0.2.9 1", check: 0, isUp: false };
  expect(hear(balanced, fourth.pool, stranger)).toEqual({ pool: fourth.pool, news: [] });
});

test("the first word about an alpha server counts, also when it is a failure", () => {
  const balanced = two("alpha", `notify_down /bin/down\n${CHECK}`);
  expect(lines(after(balanced, [downA]).news)).toEqual(["RS [198.51.100.1]:tcp:80 DOWN /bin/down"]);
  expect(after(balanced, [downA, downA]).news).toEqual([]);
  expect(lines(after(balanced, [upA]).news)[1]).toBe("RS [198.51.100.1]:tcp:80 UP");
});

test("a check that sets the weight", () => {
  const balanced = two("quorum 4");
  const { pool, news } = after(balanced, [{ ...upA, weight: 7 }]);
  expect(lines(news)).toEqual([
    `Changing weight from 2 to 7 for active service [198.51.100.1]:tcp:80 of VS ${VS}`,
  ]);
  expect(sumOf(pool)).toBe(10);
  const lost = after(balanced, [{ ...upA, weight: 0 }]);
  expect(lines(lost.news)[1]).toBe(`Lost quorum 4-0=4 > 3 for VS ${VS}`);
});

test("a reload keeps what stays, drops what goes, starts what is new", () => {
  const before = two("quorum 1", "notify_down /bin/down\nTCP_CHECK {\n}");
  const { pool } = after(before, [downB]);
  const same = reconfigure(before, two("quorum 1\nquorum_up /bin/x"), pool);
  expect(same.news).toEqual([]);
  expect(same.pool.servers.map(({ failing }) => failing)).toEqual([[], [0]]);

  const turned = onlyBalanced(virtualServer(
    `quorum 1\n${realServer(B, `weight 3\ninhibit_on_failure\n${CHECK}`)}${
      realServer(A, `weight 2\n${CHECK}`)
    }`,
  ));
  const { news, pool: other } = reconfigure(before, turned, pool);
  expect([news, other.servers.map(({ failing }) => failing)]).toEqual([[], [[0], []]]);

  const changed = two("quorum 1", "", "TCP_CHECK {\nconnect_port 81\n}");
  expect(reconfigure(before, changed, pool).pool.servers[1]!.failing).toEqual([]);

  const heavier = onlyBalanced(virtualServer(realServer(A, "weight 9") + realServer(B, CHECK)));
  expect(lines(reconfigure(before, heavier, pool).news)).toEqual([
    `Changing weight from 2 to 9 for active service [198.51.100.1]:tcp:80 of VS ${VS}`,
    `Changing weight from 3 to 1 for inactive service [198.51.100.2]:tcp:80 of VS ${VS}`,
  ]);

  const others = onlyBalanced(virtualServer(realServer("198.51.100.3 80", CHECK)));
  const step = reconfigure(before, others, pool);
  expect(lines(step.news)).toEqual([
    "service [198.51.100.1]:tcp:80 no longer exist",
    `Removing service [198.51.100.1]:tcp:80 from VS ${VS}`,
    "RS [198.51.100.1]:tcp:80 DOWN /bin/down",
    "service [198.51.100.2]:tcp:80 no longer exist",
  ]);
  expect(step.pool.servers).toEqual([{ failing: [], weight: 1 }]);
});

test("a weight that a check has set survives a reload that does not speak of it", () => {
  const before = two();
  const { pool } = after(before, [{ ...upA, weight: 50 }]);
  const { pool: next } = reconfigure(before, two("quorum_up /bin/x"), pool);
  expect(next.servers[0]!.weight).toBe(50);
});

test("the end: everything is named; omega says farewell for what is up", () => {
  const balanced = two("omega\nquorum_down /bin/q", "notify_down /bin/a");
  const { pool } = after(balanced, [downB]);
  expect(lines(stop(balanced, pool, false))).toEqual([
    `Shutting down service [198.51.100.1]:tcp:80 from VS ${VS}`,
    "RS [198.51.100.1]:tcp:80 DOWN /bin/a",
    `Shutting down (inhibited) service [198.51.100.2]:tcp:80 from VS ${VS}`,
    "VS DOWN /bin/q",
  ]);
  const plain = two("");
  expect(lines(stop(plain, start(plain).pool, true))).toEqual([
    `Removing Virtual Server ${VS}`,
    `Removing service [198.51.100.1]:tcp:80 from VS ${VS}`,
    "RS [198.51.100.1]:tcp:80 DOWN",
    `Removing service [198.51.100.2]:tcp:80 from VS ${VS}`,
    "RS [198.51.100.2]:tcp:80 DOWN",
    "VS DOWN",
  ]);
});

test("a server that starts slowly has a share of its weight, at least 1, and loses it with its health", () => {
  const balanced = two();
  const { pool } = start(balanced);
  const at = (share: number | undefined, from: Pool = pool): number =>
    weightOf(ramp(balanced, from, B, share).servers[1]!);
  expect([at(0), at(0.5), at(0.7), at(undefined)]).toEqual([1, 1, 2, 3]);
  expect(sumOf(ramp(balanced, pool, B, 0))).toBe(5);
  const down = hear(balanced, ramp(balanced, pool, B, 0.1), { server: B, check: 0, isUp: false });
  const up = hear(balanced, down.pool, { server: B, check: 0, isUp: true });
  expect(up.pool.servers[1]!.share).toBeUndefined();
});

const DRAIN: Order = { type: "drain" };
const AWAY: Order = { type: "maintenance" };
const heavy = (weight: number): Order => ({ type: "weight", weight });

/** Gives orders to the first server one after the other, with reports in between; the last step. */
function ordered(
  balanced: Balanced,
  events: readonly (Order | Partial<Finding> | "enable")[],
  server = A,
  from = start(balanced),
): Step {
  let step = from;
  for (const event of events) {
    if (event === "enable") step = give(balanced, step.pool, server, undefined);
    else if ("type" in event) step = give(balanced, step.pool, server, event);
    else step = hear(balanced, step.pool, { server, check: 0, isUp: true, ...event });
  }
  return step;
}

const ofA = `Service [198.51.100.1]:tcp:80 of VS ${VS}`;
const changed = (was: number, is: number, kind = "active"): string =>
  `Changing weight from ${was} to ${is} for ${kind} service [198.51.100.1]:tcp:80 of VS ${VS}`;
const [REMOVED, ADDED] = [
  `Removing service [198.51.100.1]:tcp:80 from VS ${VS}`,
  `Adding service [198.51.100.1]:tcp:80 to VS ${VS}`,
];
const [TOLD_DOWN, TOLD_UP] = ["RS [198.51.100.1]:tcp:80 DOWN", "RS [198.51.100.1]:tcp:80 UP"];

test("orders: what is said and told of each, as the server is", () => {
  const enabled = (what: string): string => `${ofA} is no longer ordered to ${what}`;
  const rows: [events: (Order | Partial<Finding> | "enable")[], said: string[]][] = [
    [[DRAIN], [`${ofA} is ordered to drain`, changed(2, 0)]],
    [[DRAIN, DRAIN], []],
    [[DRAIN, "enable"], [enabled("drain"), changed(0, 2)]],
    [["enable"], []],
    [[heavy(9)], [`${ofA} is ordered to have weight 9`, changed(2, 9)]],
    [[heavy(2)], [`${ofA} is ordered to have weight 2`]],
    [[heavy(9), heavy(4)], [`${ofA} is ordered to have weight 4`, changed(9, 4)]],
    [[heavy(9), { weight: 5 }], []],
    [[heavy(9), { weight: 5 }, "enable"], [enabled("have weight 9"), changed(9, 5)]],
    [[AWAY], [`${ofA} is ordered to be in maintenance`, REMOVED!, TOLD_DOWN!]],
    [[AWAY, "enable"], [enabled("be in maintenance"), ADDED!, TOLD_UP!]],
    [[AWAY, DRAIN], [`${ofA} is ordered to drain`, changed(2, 0), ADDED!, TOLD_UP!]],
    // What checks find out meanwhile is nobody's news yet.
    [[AWAY, downA], []],
    [[AWAY, downA, "enable"], [
      `${enabled("be in maintenance")}, but its checks fail`,
      TOLD_DOWN!,
    ]],
    [[AWAY, downA, upA, "enable"], [enabled("be in maintenance"), ADDED!, TOLD_UP!]],
    [[downA, AWAY], [`${ofA} is ordered to be in maintenance`]],
    [[downA, AWAY, "enable"], [`${enabled("be in maintenance")}, but its checks fail`]],
    [[downA, AWAY, upA, "enable"], [enabled("be in maintenance"), ADDED!, TOLD_UP!]],
    [[downA, DRAIN, upA], [ADDED!, TOLD_UP!]],
    [[DRAIN, downA], [REMOVED!, TOLD_DOWN!]],
    [[downA, heavy(7)], [
      `${ofA} is ordered to have weight 7`,
      changed(2, 7, "inactive"),
    ]],
  ];
  const balanced = two("quorum 1");
  for (const [events, said] of rows) {
    expect([events, lines(ordered(balanced, events).news)]).toEqual([events, said]);
  }
  expect(ordered(balanced, [DRAIN], "192.0.2.9 1").news).toEqual([]);
});

test("maintenance takes an inhibited server out for good, and the first word about an alpha server waits", () => {
  const ofB = ordered(two(), [AWAY], B);
  expect(lines(ofB.news)[1]).toBe(`Removing service [198.51.100.2]:tcp:80 from VS ${VS}`);
  expect(lines(ordered(two(), ["enable"], B, ofB).news)[1]).toBe(
    `Enabling service [198.51.100.2]:tcp:80 of VS ${VS}`,
  );
  expect(ordered(two("alpha"), [AWAY, downA]).news).toEqual([]);
  const alone = onlyBalanced(virtualServer(realServer(B)));
  expect(lines(reconfigure(two(), alone, ordered(two(), [AWAY]).pool).news)).not.toContain(
    TOLD_DOWN!,
  );
});

test("only what checks have found out is anything but an operator's doing", () => {
  const rows: [events: (Order | Partial<Finding> | "enable")[], isOrdered: true | undefined][] = [
    [[AWAY], true],
    [[AWAY, "enable"], true],
    [[AWAY, downA, upA, "enable"], true],
    [[AWAY, downA, "enable"], undefined],
    [[downA, AWAY, upA, "enable"], undefined],
    [[DRAIN, downA], undefined],
  ];
  for (const [events, isOrdered] of rows) {
    const told = ordered(two(), events).news.filter((one) => one.type === "real-server");
    expect([events, told.map((one) => one.isOrdered)]).toEqual([events, [isOrdered]]);
  }
});

test("who is drained or away is missing in the quorum, and orders of weight count", () => {
  const balanced = two("quorum 3\nhysteresis 1");
  const has = (...events: (Order | "enable")[]): boolean =>
    ordered(balanced, events, B).pool.hasQuorum;
  expect([has(), has(DRAIN), has(AWAY), has(heavy(2)), has(heavy(0))]).toEqual([
    true,
    true,
    true,
    true,
    true,
  ]);
  const strict = two("quorum 4");
  const hasStrict = (...events: (Order | "enable")[]): boolean =>
    ordered(strict, events, B).pool.hasQuorum;
  expect([hasStrict(DRAIN), hasStrict(AWAY), hasStrict(heavy(2)), hasStrict(heavy(1))]).toEqual([
    false,
    false,
    true,
    false,
  ]);
  expect(hasStrict(AWAY, "enable")).toBeTrue();
});

test("an order that stands holds from the start, without anything being lost first", () => {
  const balanced = two("quorum 3", `notify_down /bin/down\n${CHECK}`);
  const orders = new Map<string, Order>([["[198.51.100.2]:tcp:80", AWAY], [
    "[198.51.100.9]:tcp:80",
    DRAIN,
  ]]);
  const { pool, news } = start(balanced, { orders, initNotifies: true });
  expect([pool.hasQuorum, sumOf(pool)]).toEqual([false, 2]);
  expect(lines(news)).toEqual([
    "RS [198.51.100.1]:tcp:80 UP",
    `Service [198.51.100.2]:tcp:80 of VS ${VS} is ordered to be in maintenance`,
  ]);
  const third = "198.51.100.3 80";
  const more = onlyBalanced(virtualServer(
    realServer(A, "weight 2") + realServer(B, `weight 3\n${CHECK}`) + realServer(third),
  ));
  const next = reconfigure(balanced, more, pool, new Map([["[198.51.100.3]:tcp:80", DRAIN]])).pool;
  expect(next.servers.map(({ order }) => order)).toEqual([undefined, AWAY, DRAIN]);
  // Nothing of one that is away is told again when it goes for good.
  expect(lines(reconfigure(more, two(), next).news)).toEqual([
    "service [198.51.100.3]:tcp:80 no longer exist",
    `Removing service [198.51.100.3]:tcp:80 from VS ${VS}`,
    "RS [198.51.100.3]:tcp:80 DOWN",
  ]);
  expect(lines(stop(balanced, pool, true))).not.toContain("RS [198.51.100.2]:tcp:80 DOWN");
});

test("who follows one that has died goes on from what was known, and says nothing of it", () => {
  const balanced = two("quorum 4\nhysteresis 1\nsorry_server 198.51.100.9 80", `alpha\n${CHECK}`);
  const down = after(balanced, [upA, { ...upB, weight: 2 }, downB]).pool;
  expect(down.hasQuorum).toBeFalse();
  const known: KnownPool = {
    hasQuorum: down.hasQuorum,
    servers: Object.fromEntries(
      down.servers.map(({ failing, weight }, i) => [[A, B][i]!, { failing, weight }]),
    ),
  };
  expect(start(balanced, { known })).toEqual({ pool: down, news: [] });
  // Between the two bounds a quorum is what it was.
  const still = { ...known, hasQuorum: true, servers: { [B]: { failing: [], weight: 1 } } };
  expect(start(two("quorum 4\nhysteresis 1"), { known: still }).news).toEqual([]);
  // An order that was given while there was no role is obeyed.
  const orders = new Map([["[198.51.100.1]:tcp:80", AWAY]]);
  const both = { hasQuorum: true, servers: {} };
  expect(lines(start(two("quorum 4"), { known: both, orders }).news)).toEqual([
    `Lost quorum 4-0=4 > 3 for VS ${VS}`,
    "VS DOWN",
  ]);
});
