/** What the configuration reader sees of a real folder, and the reasons in strerror(3)'s words. */

import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { load } from "../config/load.ts";
import { systemFiles } from "./files.ts";

const folder = mkdtempSync(join(tmpdir(), "upkeep-files-"));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

writeFileSync(at("plain"), "text");
writeFileSync(at("program"), "", { mode: 0o700 });
writeFileSync(at("bytes"), Uint8Array.of(0xff, 0x00, 0xfe));
writeFileSync(at("secret"), "", { mode: 0 });
mkdirSync(at("empty"));
symlinkSync("plain", at("link"));
symlinkSync("loop", at("loop"));
symlinkSync("nowhere", at("dangling"));

const files = systemFiles({ configId: "blue", allIncludeChecks: true, cwd: "/etc" });

test("a file is read as it is, through a link too", () => {
  expect(files.read(at("plain"))).toBe("text");
  expect(files.read(at("link"))).toBe("text");
  expect(files.read(at("bytes"))).toBe("\ufffd\0\ufffd");
  expect([...files.read(at("bytes"), "bytes") as Uint8Array]).toEqual([0xff, 0x00, 0xfe]);
});

/** Root may read any file, except for what the kernel itself lets nobody read. */
const CLOSED = process.getuid?.() === 0 ? "/proc/sys/vm/compact_memory" : at("secret");

const REASONS: [path: string, reason: string][] = [
  [at("missing"), "No such file or directory"],
  [at("dangling"), "No such file or directory"],
  [at("empty"), "Is a directory"],
  [at("loop"), "Too many levels of symbolic links"],
  [at("plain/below"), "Not a directory"],
  [CLOSED, "Permission denied"],
  [at("x".repeat(300)), "ENAMETOOLONG"],
];

for (const [path, error] of REASONS) {
  test(`${path.replace(folder, "…").slice(0, 40)}: ${error}`, () => {
    expect(files.read(path)).toEqual({ error });
  });
}

test("a folder is listed without its own names; what is none is not listed", () => {
  expect([...files.list(folder)!].sort()).toEqual(
    ["bytes", "dangling", "empty", "link", "loop", "plain", "program", "secret"],
  );
  expect(files.list(at("empty"))).toEqual([]);
  expect(files.list(at("plain"))).toBeUndefined();
  expect(files.list(at("missing"))).toBeUndefined();
});

test("what a path names, links followed", () => {
  expect(files.stat(at("plain"))).toMatchObject({ kind: "file", executable: false });
  expect(files.stat(at("link"))).toMatchObject({ kind: "file", executable: false });
  expect(files.stat(at("program"))).toMatchObject({ kind: "file", executable: true });
  expect(files.stat(at("empty"))).toMatchObject({ kind: "directory", executable: true });
  expect(files.stat("/dev/null")).toMatchObject({ kind: "other", executable: false });
  for (const name of ["missing", "dangling", "loop"]) expect(files.stat(at(name))).toBeUndefined();
  for (const bit of [0o100, 0o010, 0o001]) {
    chmodSync(at("program"), bit);
    expect(files.stat(at("program"))?.executable).toBeTrue();
  }
});

test("environment, links, host and options are those of this process", () => {
  process.env["UPKEEP_FILES_TEST"] = "here";
  expect(files.environment("UPKEEP_FILES_TEST")).toBe("here");
  delete process.env["UPKEEP_FILES_TEST"];
  expect(files.environment("UPKEEP_FILES_TEST")).toBeUndefined();
  expect([files.hasLink("lo"), files.hasLink("no-such-link")]).toEqual([true, false]);
  const { hostName, configId, cwd, allIncludeChecks, randomSeed } = files;
  expect({ hostName, configId, cwd, allIncludeChecks })
    .toEqual({ hostName: hostname(), configId: "blue", cwd: "/etc", allIncludeChecks: true });
  expect(Number.isInteger(randomSeed)).toBeTrue();
});

test("what was looked at is still so, or is not", () => {
  const options = { configId: undefined, allIncludeChecks: false, cwd: "/" };
  mkdirSync(at("watched"));
  const file = at("watched/a");
  writeFileSync(file, "one");
  const look = (): ReturnType<typeof systemFiles> => {
    const seen = systemFiles(options);
    seen.read(file);
    seen.read(at("watched/missing"));
    seen.list(at("watched"));
    seen.stat(file);
    seen.hasLink("lo");
    return seen;
  };
  expect(look().isStillSo()).toBeTrue();
  const rows: [what: string, change: () => void][] = [
    ["another text of one length", () => writeFileSync(file, "two")],
    ["a file that is there now", () => writeFileSync(at("watched/missing"), "")],
    ["another in the folder", () => writeFileSync(at("watched/b"), "")],
    ["a mode", () => chmodSync(file, 0o755)],
    ["a file that is gone", () => rmSync(file)],
  ];
  for (const [what, change] of rows) {
    const seen = look();
    change();
    expect([what, seen.isStillSo()]).toEqual([what, false]);
    expect([what, look().isStillSo()]).toEqual([what, true]);
  }
});

test("a configuration is the same as long as its files are, but for one that throws dice", () => {
  const main = at("main.conf");
  writeFileSync(at("part.conf"), "global_defs {\n}\n");
  const read = (text: string): boolean => {
    writeFileSync(main, text);
    const seen = systemFiles({ configId: undefined, allIncludeChecks: false, cwd: folder });
    load(main, seen);
    return seen.isStillSo();
  };
  expect(read("include part.*\n$A=1\n")).toBeTrue();
  expect(read("global_defs {\nrouter_id r${_RANDOM 1 100}\n}\n")).toBeFalse();
});
