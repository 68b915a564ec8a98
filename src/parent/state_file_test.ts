/** The state file on a real file system. */

import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readRemains, writeRemains } from "./state_file.ts";

const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
const path = join(folder, "vrrp.state");
afterAll(() => rmSync(folder, { recursive: true }));

const remains = {
  saved: { "net/ipv4/conf/eth0/arp_ignore": { was: "0", is: "1" } },
  traces: [{ type: "globals", globals: {} }],
} as const;

test("what was written is read again, by nobody else, and replaced as a whole", () => {
  writeRemains(path, { saved: {}, traces: [] });
  writeRemains(path, remains);
  expect(readRemains(path)).toEqual(remains);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["vrrp.state"]);
});

test("one of another boot, network namespace or version does not count", () => {
  writeRemains(path, remains);
  const written = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  for (const other of [{ boot: "other" }, { namespace: "1" }, { version: 2 }]) {
    writeFileSync(path, JSON.stringify({ ...written, ...other }));
    expect(readRemains(path)).toBeUndefined();
  }
});

test("one that is broken says so", () => {
  writeRemains(path, remains);
  const text = readFileSync(path, "utf8");
  const strange = ["net/../../etc/motd", "kernel/core_pattern"].map((name) =>
    text.replace("net/ipv4/conf/eth0/arp_ignore", name)
  );
  for (
    const broken of ["", text.slice(0, 40), text.replace("traces", "tracks"), "null", ...strange]
  ) {
    writeFileSync(path, broken);
    expect(() => readRemains(path)).toThrow();
  }
});

test("one that others may have written does not count", () => {
  writeRemains(path, remains);
  chmodSync(path, 0o620);
  expect(() => readRemains(path)).toThrow("it may be written by others");
  chmodSync(path, 0o600);
  expect(readRemains(path)).toEqual(remains);
});
