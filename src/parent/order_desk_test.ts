/** Orders that are taken, kept and brought back, over files that hold them, hold rubbish, or cannot be had. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StandingOrder } from "../lvs/orders.ts";
import { stateFileOf } from "../lib/path.ts";
import { CheckersFile } from "./checkers_file.ts";
import { OrderDesk } from "./order_desk.ts";
import { readTrusted, writeTrusted } from "./trusted_file.ts";

const [VS, A, B] = ["[192.0.2.1]:tcp:80", "[198.51.100.1]:tcp:80", "[198.51.100.2]:tcp:80"];
const AWAY = { service: VS!, server: A!, order: { type: "maintenance" } } as const;
const IS_ROOT = process.geteuid?.() === 0;
const NOBODY = 65_534;

let folder = "";
let path = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  path = stateFileOf(join(folder, "checkers.pid"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A desk with its log and what its role was told. */
class Bench {
  readonly said: string[] = [];
  readonly told: { id: number; orders: readonly StandingOrder[] }[] = [];
  servers: readonly string[] = [A!, B!];
  hasRole = true;
  readonly desk = new OrderDesk({
    file: new CheckersFile(path, (_level, text) => this.said.push(text)),
    say: (_level, text) => this.said.push(text),
    names: () => new Map([[VS!, { name: VS!, servers: new Set(this.servers) }]]),
    tell: (id, orders) => {
      if (this.hasRole) this.told.push({ id, orders });
      return this.hasRole;
    },
  });
}

const drainA = { server: A!, wanted: { type: "drain" } } as const;

test("an order is done when the role has done it, and not before", async () => {
  const { desk, told } = new Bench();
  let isOver = false;
  const answer = desk.take(drainA).finally(() => isOver = true);
  const second = desk.take({ server: B!, wanted: { type: "maintenance" } });
  await Promise.resolve();
  expect([isOver, told.length, told[1]!.orders.length]).toEqual([false, 2, 2]);
  // What was told last includes what was told before.
  desk.obeyed(told[0]!.id);
  expect(await answer).toEqual({
    isGranted: true,
    servers: [{ service: VS!, server: A! }],
    isDone: true,
  });
  desk.left();
  expect(await second).toMatchObject({ isGranted: true, isDone: false });
  expect(desk.orders.length).toBe(2);
});

test("without a role an order is kept for the next one", async () => {
  const bench = new Bench();
  bench.hasRole = false;
  expect(await bench.desk.take(drainA)).toMatchObject({ isGranted: true, isDone: false });
  bench.hasRole = true;
  bench.desk.brief();
  expect(bench.told[0]!.orders).toEqual([{ service: VS!, server: A!, order: { type: "drain" } }]);
  expect(await bench.desk.take({ ...drainA, server: "nobody" })).toMatchObject({
    isGranted: false,
    known: [A!, B!],
  });
  expect(bench.told.length).toBe(1);
});

test("orders are there after a restart, until they are lifted; nobody else may read them", () => {
  void new Bench().desk.take(drainA);
  expect(statSync(path).mode & 0o7777).toBe(0o600);
  const again = new Bench();
  expect(again.desk.orders).toEqual([{ service: VS!, server: A!, order: { type: "drain" } }]);
  void again.desk.take({ server: A!, wanted: { type: "enable" } });
  expect(readdirSync(folder)).toEqual([]);
  expect(new Bench().desk.orders).toEqual([]);
});

test("a reload drops the orders of servers that it does not name, and says so", () => {
  const bench = new Bench();
  void bench.desk.take(drainA);
  void bench.desk.take({ server: B!, wanted: { type: "weight", weight: 5 } });
  bench.told.length = 0;
  bench.desk.review();
  expect([bench.told, bench.said]).toEqual([[], []]);
  bench.servers = [A!];
  bench.desk.review();
  expect(bench.said).toEqual([
    `Service ${B} of VS ${VS}, ordered to have weight 5, is no longer configured: ` +
    "the order is dropped",
  ]);
  expect(bench.told.map(({ orders }) => orders.length)).toEqual([1]);
  expect(new Bench().desk.orders.length).toBe(1);
});

const WHOLE = JSON.stringify({
  version: 1,
  real_servers: [{ virtual_server: VS, real_server: A, order: "maintenance" }],
});

test("rubbish is said and ignored, and kept beside what takes its place", () => {
  writeFileSync(path, WHOLE.slice(0, -1), { mode: 0o600 });
  const { desk, said } = new Bench();
  expect(desk.orders).toEqual([]);
  expect(said.length).toBe(1);
  expect(said[0]).toStartWith(`State file ${path} is no JSON`);
  expect(readFileSync(path, "utf8")).toBe(WHOLE.slice(0, -1));
  void desk.take(drainA);
  expect(said[1]).toBe(`State file ${path} that could not be used is now ${path}.bad`);
  expect(readFileSync(`${path}.bad`, "utf8")).toBe(WHOLE.slice(0, -1));
  expect(new Bench().desk.orders.length).toBe(1);
});

test.skipIf(!IS_ROOT)("what others may have written is not believed", () => {
  const fault = (): string => {
    const { desk, said } = new Bench();
    expect(desk.orders).toEqual([]);
    return said.join("\n").replace(`State file ${path} `, "");
  };
  writeFileSync(path, WHOLE, { mode: 0o600 });
  expect(new Bench().desk.orders).toEqual([AWAY]);
  chownSync(path, NOBODY, NOBODY);
  expect(fault()).toBe(`belongs to user ${NOBODY}: ignored`);
  chownSync(path, 0, 0);
  chmodSync(path, 0o620);
  expect(fault()).toBe("may be written by others: ignored");
  chmodSync(path, 0o600);
  chownSync(folder, NOBODY, NOBODY);
  expect(fault()).toBe(`is in ${folder}, which belongs to user ${NOBODY}: ignored`);
  chownSync(folder, 0, 0);
  chmodSync(folder, 0o777);
  expect(fault()).toBe(`is in ${folder}, where others may rename files: ignored`);
  chmodSync(folder, 0o1777);
  expect(new Bench().desk.orders).toEqual([AWAY]);
  rmSync(path);
  writeFileSync(join(folder, "other"), WHOLE, { mode: 0o600 });
  symlinkSync(join(folder, "other"), path);
  expect(fault()).toStartWith("cannot be read: ELOOP");
  rmSync(path);
  Bun.spawnSync(["mkfifo", path]);
  expect(fault()).toBe("is no file: ignored");
});

test("an order holds even when it cannot be written down, and the answer says so", async () => {
  const missing = new Bench();
  rmSync(folder, { recursive: true });
  const answer = missing.desk.take(drainA);
  missing.desk.obeyed(1);
  expect(await answer).toMatchObject({ isGranted: true, isDone: true });
  const { unsaved } = await answer as { unsaved?: string };
  expect(unsaved).toStartWith("cannot be written: ENOENT");
  expect(missing.said).toEqual([`State file ${path} ${unsaved}`]);
});

test("a trusted file is whole or not there", () => {
  expect(readTrusted(path)).toEqual({ type: "nothing" });
  writeFileSync(`${path}.new`, "left by a crash", { mode: 0o644 });
  expect(writeTrusted(path, "one")).toBeUndefined();
  expect(readTrusted(path)).toEqual({ type: "text", text: "one" });
  expect(existsSync(`${path}.new`)).toBeFalse();
  expect(writeTrusted(path, undefined)).toBeUndefined();
  expect(writeTrusted(path, undefined)).toBeUndefined();
  expect(readdirSync(folder)).toEqual([]);
  expect([stateFileOf("/run/checkers.pid"), stateFileOf("/run/odd")]).toEqual([
    "/run/checkers.state",
    "/run/odd.state",
  ]);
});
