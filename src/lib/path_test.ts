/** Names of files, as node:path resolves them. */

import { expect, test } from "bun:test";
import { posix } from "node:path";
import { absolutePath, baseName } from "./path.ts";

test("a name below a folder, or absolute already, without detours", () => {
  const names = [
    "a",
    "/a",
    "./a",
    "../a",
    "../../../a",
    "a/../b",
    "a//b/",
    "/",
    "",
    ".",
    "..",
    "/../x",
    "a/./b",
    "...",
    "ü/*",
  ];
  for (const folder of ["/", "/etc", "/etc/keepalived/", "/a/../b"]) {
    for (const name of names) {
      expect([folder, name, absolutePath(folder, name)])
        .toEqual([folder, name, posix.resolve(folder, name)]);
    }
  }
});

test("what stands behind the last slash", () => {
  expect(["/usr/sbin/keepalived", "upkeep", "a/", ""].map(baseName))
    .toEqual(["keepalived", "upkeep", "", ""]);
});
