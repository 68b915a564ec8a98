/** The log in files of a temporary folder: shapes, order, and what waits for the library. */

import { afterAll, beforeEach, expect, setSystemTime, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, type LogTargets, type Speaker } from "./logs.ts";

const root = mkdtempSync(join(tmpdir(), "upkeep-logs-"));
afterAll(() => rmSync(root, { recursive: true }));

/** A folder of its own for each test; its name has a dot. */
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "a.b-"));
});

const PARENT: Speaker = { role: "", pid: 1 };
const ROLE: Speaker = { role: "vrrp", pid: 2 };

function logTo(name: string, rest: Partial<LogTargets> = {}): Log {
  const file = join(folder, name);
  return new Log({ console: false, syslog: false, facility: 3, file, flushFile: false, ...rest });
}

/** The lines of a file, without their times. */
function linesOf(name: string): string[] {
  const path = join(folder, name);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines.pop()).toBe("");
  return lines.map((line) => {
    const [, text] = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}: (.*)$/.exec(line)!;
    return text!;
  });
}

test("what is written before open() waits, and then appears once and in order", async () => {
  const log = logTo("log");
  log.write(PARENT, "info", "one");
  log.write(PARENT, "warning", "two");
  expect(linesOf("log")).toEqual([]);
  const opened = log.open();
  log.write(PARENT, "error", "three");
  await opened;
  log.write(PARENT, "notice", "four");
  await log.open();
  log.write(PARENT, "debug", "five");
  expect(linesOf("log")).toEqual(["one", "two", "three", "four", "five"]);
  log.close();
  expect(linesOf("log")).toEqual(["one", "two", "three", "four", "five"]);
});

test("what is written together leaves together, in order, also when that fails or the log is closed", async () => {
  const log = logTo("log");
  await log.open();
  const fails = (): void =>
    log.together(() => {
      log.write(PARENT, "info", "one");
      log.write(ROLE, "info", "other");
      log.write(PARENT, "info", "two");
      expect([linesOf("log"), linesOf("log_vrrp")]).toEqual([[], []]);
      throw new Error("of the test");
    });
  expect(fails).toThrow("of the test");
  expect([linesOf("log"), linesOf("log_vrrp")]).toEqual([["one", "two"], ["other"]]);
  log.write(PARENT, "info", "three");
  expect(linesOf("log")).toEqual(["one", "two", "three"]);
  log.together(() => {
    log.write(PARENT, "info", "four");
    log.close();
    expect(linesOf("log")).toEqual(["one", "two", "three", "four"]);
  });
});

test("close() writes what still waits, without the library", () => {
  const log = logTo("log");
  log.write(PARENT, "info", "one");
  log.write(ROLE, "info", "role's {own}");
  log.close();
  expect(linesOf("log")).toEqual(["one"]);
  expect(linesOf("log_vrrp")).toEqual(["role's {own}"]);
  log.close();
  expect(linesOf("log")).toEqual(["one"]);
});

test("a log that is closed while the library loads writes nothing twice", async () => {
  const log = logTo("log");
  log.write(PARENT, "info", "one");
  const opened = log.open();
  log.close();
  await opened;
  expect(linesOf("log")).toEqual(["one"]);
  log.close();
});

test("the text is data: braces, percent signs and names of fields stay", async () => {
  const texts = ["{text} {pid} {", "}}{{", "%s %d %%", "a {nested {text}} b", "\\{text\\}", ""];
  const log = logTo("log");
  log.write(PARENT, "info", texts[0]!);
  await log.open();
  for (const text of texts.slice(1)) log.write(PARENT, "info", text);
  log.close();
  expect(linesOf("log")).toEqual(texts);
});

/** The parent's file and the role's. */
const NAMES: [parent: string, role: string][] = [
  ["log", "log_vrrp"],
  ["keepalived.log", "keepalived_vrrp.log"],
  ["a.b.c", "a.b_vrrp.c"],
];

for (const [parent, role] of NAMES) {
  test(`the parent writes to ${parent}, the role to ${role}`, async () => {
    const log = logTo(parent);
    await log.open();
    log.write(PARENT, "info", "from the parent");
    log.write(ROLE, "info", "from the role");
    log.write(PARENT, "info", "once more");
    log.close();
    expect(linesOf(parent)).toEqual(["from the parent", "once more"]);
    expect(linesOf(role)).toEqual(["from the role"]);
    expect(statSync(join(folder, parent)).mode & 0o777).toBe(0o644 & ~process.umask());
  });
}

test("a file is appended to", () => {
  for (const text of ["one", "two"]) {
    const log = logTo("log");
    log.write(PARENT, "info", text);
    log.close();
  }
  expect(linesOf("log")).toEqual(["one", "two"]);
});

test("a file that cannot be written loses the lines, not the process", async () => {
  for (const name of ["missing/log", "link"]) {
    if (name === "link") symlinkSync(join(folder, "target"), join(folder, "link"));
    const waiting = logTo(name);
    waiting.write(PARENT, "info", "lost");
    waiting.close();
    const open = logTo(name);
    await open.open();
    open.write(PARENT, "info", "lost");
    open.write(ROLE, "info", "lost");
    open.close();
  }
  expect(existsSync(join(folder, "target"))).toBeFalse();
});

test("lines are flushed to the disk when asked for", async () => {
  const log = logTo("log", { flushFile: true });
  log.write(PARENT, "info", "one");
  await log.open();
  log.write(PARENT, "info", "two");
  expect(linesOf("log")).toEqual(["one", "two"]);
  log.close();
});

test("a file that cannot be flushed to a disk is written all the same", async () => {
  for (const isOpened of [false, true]) {
    const log = logTo("log", { file: "/dev/null", flushFile: true });
    log.write(PARENT, "info", "one");
    if (isOpened) await log.open();
    log.close();
  }
});

test("a log without targets is silent", async () => {
  const log = new Log({ console: false, syslog: false, facility: 3, flushFile: false });
  log.write(PARENT, "info", "one");
  await log.open();
  log.write(PARENT, "info", "two");
  log.close();
});

test("the time is ctime's: local, the day of the month in two columns", () => {
  const log = logTo("log");
  const times = [
    "Fri Nov 20 08:04:51 2026",
    "Sun Feb  1 23:59:00 2026",
    "Thu Jan  1 00:00:09 2037",
  ];
  for (const time of times) {
    setSystemTime(new Date(time));
    log.write(PARENT, "info", "x");
  }
  setSystemTime();
  log.close();
  expect(readFileSync(join(folder, "log"), "utf8"))
    .toBe(times.map((time) => `${time}: x\n`).join(""));
});
