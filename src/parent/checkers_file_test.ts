/** The checkers' state file: orders and remains in it are each other's neighbours and no more. */

import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckersFile } from "./checkers_file.ts";

const ORDER = { service: "S", server: "R", order: { type: "drain" } } as const;
const REMAINS = { whereabouts: "here", services: ["192.0.2.1:tcp:80"] };

let folder = "";
beforeEach(() => folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`)));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The file as a process finds it that has just begun. */
function opened(): CheckersFile {
  return new CheckersFile(join(folder, "checkers.state"), (_level, text) => {
    throw new Error(text);
  });
}

test("one part stays when the other changes, and without either there is no file", () => {
  const file = opened();
  expect([file.orders, file.remains]).toEqual([[], undefined]);
  file.keepRemains(REMAINS);
  expect(file.keepOrders([ORDER])).toBeUndefined();
  expect([opened().orders, opened().remains]).toEqual([[ORDER], REMAINS]);
  opened().keepRemains(undefined);
  expect([opened().orders, opened().remains]).toEqual([[ORDER], undefined]);
  opened().keepOrders([]);
  expect(existsSync(file.path)).toBeFalse();
});

test("the same once more is not written", () => {
  const file = opened();
  file.keepRemains(undefined);
  expect(existsSync(file.path)).toBeFalse();
  file.keepRemains(REMAINS);
  const { ino } = statSync(file.path);
  file.keepRemains({ ...REMAINS, services: [...REMAINS.services] });
  expect(statSync(file.path).ino).toBe(ino);
  file.keepRemains({ ...REMAINS, services: [] });
  expect(opened().remains?.services).toEqual([]);
});
