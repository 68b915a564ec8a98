/** Pid files: whose they are while somebody lives, and what becomes of those of the dead. */

import { afterAll, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inChild, WaitingChild } from "../test/support/child.ts";
import { claimPidFile, removePidFile } from "./pid_file.ts";

const folder = mkdtempSync(join(tmpdir(), "upkeep-pid-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

/** Code that claims a pid file and says whether it could. */
const claiming = (path: string): string => `
  const { claimPidFile } = await import("./ffi/pid_file.ts");
  process.stdout.write(String(claimPidFile(${JSON.stringify(path)}, process.pid)));
`;

test("a claimed file holds the number and a line's end, readable by all", () => {
  const path = at("new");
  const mask = process.umask(0o077);
  try {
    expect(claimPidFile(path, 4711)).toBeTrue();
  } finally {
    process.umask(mask);
  }
  expect(readFileSync(path, "utf8")).toBe("4711\n");
  expect(statSync(path).mode & 0o777).toBe(0o644);
});

test("nobody else gets it while its process lives, and nothing in it changes", async () => {
  const path = at("shared");
  {
    await using owner = await WaitingChild.start(claiming(path));
    expect(owner.said).toBe("true");
    expect(claimPidFile(path, 1)).toBeFalse();
    expect(readFileSync(path, "utf8")).toBe(`${owner.pid}\n`);
  }
  // Its owner was killed and could remove nothing.
  expect(claimPidFile(path, 2)).toBeTrue();
  expect(readFileSync(path, "utf8")).toBe("2\n");
  expect(inChild(claiming(path))).toBe("false");
});

test("what a dead process left is replaced, however long it was", () => {
  const path = at("stale");
  writeFileSync(path, "1234567890\nand more\n", { mode: 0o600 });
  expect(claimPidFile(path, 5)).toBeTrue();
  expect(readFileSync(path, "utf8")).toBe("5\n");
  expect(statSync(path).mode & 0o777).toBe(0o644);
});

test("a symbolic link is refused, and what it leads to stays as it was", () => {
  writeFileSync(at("target"), "precious");
  symlinkSync(at("target"), at("link"));
  symlinkSync(at("nothing"), at("dangling"));
  for (const path of [at("link"), at("dangling")]) {
    expect(() => claimPidFile(path, 1))
      .toThrow(`open failed with ELOOP while writing pid file ${path}`);
  }
  expect(readFileSync(at("target"), "utf8")).toBe("precious");
  expect(existsSync(at("nothing"))).toBeFalse();
});

test("where there is no folder there is no pid file", () => {
  const path = at("missing/file");
  expect(() => claimPidFile(path, 1))
    .toThrow(`open failed with ENOENT while writing pid file ${path}`);
});

test("removing a file that is gone is no mistake", () => {
  const path = at("gone");
  writeFileSync(path, "");
  removePidFile(path);
  expect(existsSync(path)).toBeFalse();
  removePidFile(path);
});
