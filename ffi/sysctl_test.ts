/** Settings as the kernel has them, and those it does not have. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { readSysctl } from "./sysctl.ts";

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
