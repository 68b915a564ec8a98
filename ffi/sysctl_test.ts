/** Settings as the kernel has them, and those it does not have. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { readSysctl, writeSysctl } from "./sysctl.ts";

test("a setting is read as it is, without its newline", () => {
  for (const path of ["kernel/ostype", "net/ipv4/conf/lo/forwarding", "kernel/pid_max"]) {
    expect(readSysctl(path)).toBe(readFileSync(`/proc/sys/${path}`, "utf8").trim());
  }
});

test("what is not there is undefined, and leaves no descriptor behind", () => {
  for (let i = 0; i < 2000; i++) {
    expect(readSysctl("net/ipv6/conf/nowhere9/forwarding")).toBeUndefined();
  }
  for (let i = 0; i < 2000; i++) expect(readSysctl("kernel/ostype")).toBe("Linux");
});

test("a setting that cannot be written says which, and why", () => {
  expect(writeSysctl("net/nothing", "1")?.message).toBe(
    "open failed with ENOENT while setting net/nothing to 1",
  );
  expect(writeSysctl("kernel/ostype", "1")?.message).toContain("while setting kernel/ostype to 1");
});
