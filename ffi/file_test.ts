/** Files by the C library, held against node:fs. */

import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  awaitBytes,
  fileMode,
  openAppend,
  readFile,
  readText,
  syncFile,
  writeText,
} from "./file.ts";
import { closeDescriptor, socketPair } from "./socket.ts";

const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
const at = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true }));

test("files of any length come whole", () => {
  for (const length of [0, 1, 16383, 16384, 16385, 65536, 65537, 300_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
    writeFileSync(at("some"), bytes);
    expect([length, Buffer.compare(readFile(at("some")), bytes)]).toEqual([length, 0]);
  }
  // What has no length of its own.
  expect(readText("/proc/self/status")).toContain(`Pid:\t${process.pid}\n`);
});

test("text is UTF-8; what is none becomes U+FFFD, and a mark at the beginning stays", () => {
  for (const bytes of ["Zürich → 東京 🦘", "\ufeffa", ""].map((text) => Buffer.from(text))) {
    writeFileSync(at("text"), bytes);
    expect(readText(at("text"))).toBe(readFileSync(at("text"), "utf8"));
  }
  writeFileSync(at("text"), Uint8Array.of(0x61, 0xff, 0x62));
  expect(readText(at("text"))).toBe("a\ufffdb");
});

test("lines are added to a file, through a link only when told", () => {
  symlinkSync("log", at("link"));
  expect(() => openAppend(at("link"))).toThrow("open failed with ELOOP while opening");
  for (const [name, follows] of [["log", false], ["link", true], ["log", true]] as const) {
    const fd = openAppend(at(name), follows);
    writeText(fd, `${name} ü\n`);
    syncFile(fd);
    closeDescriptor(fd);
  }
  expect(readFileSync(at("log"), "utf8")).toBe("log ü\nlink ü\nlog ü\n");
  expect(statSync(at("log")).mode & 0o777).toBe(0o644 & ~process.umask());
});

test("what cannot be written is an error", () => {
  const fd = openSync("/dev/full", "w");
  expect(() => writeText(fd, "x")).toThrow(
    `write failed with ENOSPC while writing to descriptor ${fd}`,
  );
  expect(() => writeText(fd, "")).not.toThrow();
  closeSync(fd);
  expect(() => readFile(folder)).toThrow("read failed with EISDIR while reading");
  expect(() => readFile(at("missing"))).toThrow("open failed with ENOENT while reading");
});

test("what a path is, as stat(1) has it", () => {
  mkdirSync(at("below"), { mode: 0o751 });
  writeFileSync(at("program"), "", { mode: 0o705 });
  symlinkSync("program", at("way"));
  symlinkSync("nowhere", at("astray"));
  for (const path of [at("below"), at("program"), at("way"), "/dev/null", "/"]) {
    expect([path, fileMode(path)]).toEqual([path, statSync(path).mode]);
  }
  expect([fileMode(at("astray")), fileMode(at("missing"))]).toEqual([undefined, undefined]);
});

test("bytes are waited for, or the end", () => {
  for (const hasWord of [true, false]) {
    const [a, b] = socketPair();
    if (hasWord) writeText(b, "ready");
    closeDescriptor(b);
    expect(awaitBytes(a)).toBe(hasWord);
    closeDescriptor(a);
  }
  expect(awaitBytes(-1)).toBeFalse();
});
