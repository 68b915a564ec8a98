/** Path patterns against a made-up directory tree. */
import { expect, test } from "bun:test";
import { directoryOf, expandBraces, matchesName, matchPaths, resolvePath } from "./glob.ts";

test("braces expand left to right, nested ones too", () => {
  expect(expandBraces("a")).toEqual(["a"]);
  expect(expandBraces("{b,a}.conf")).toEqual(["b.conf", "a.conf"]);
  expect(expandBraces("{a,b{1,2}}{x,}")).toEqual(["ax", "a", "b1x", "b1", "b2x", "b2"]);
  expect(expandBraces("{open")).toEqual(["{open"]);
  expect(expandBraces("{a,b}".repeat(40)).length).toBeLessThanOrEqual(1024);
});

test("names match as glob(7) says", () => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ["*.conf", "a.conf", true],
    ["*.conf", ".conf", false],
    [".*", ".conf", true],
    ["a*b*c", "aXbYbc", true],
    ["a*b*c", "aXbYb", false],
    ["?", "a", true],
    ["?", "", false],
    ["[a-c]x", "bx", true],
    ["[!a-c]x", "bx", false],
    ["[^a-c]x", "dx", true],
    ["[]x]", "]", true],
    ["[a", "[a", true],
    ["", "", true],
    ["*", "", true],
  ];
  for (const [pattern, name, expected] of table) {
    expect([pattern, name, matchesName(pattern, name)]).toEqual([pattern, name, expected]);
  }
  // Would take for ever if it went back more than one star.
  expect(matchesName("*a".repeat(40), "a".repeat(39) + "b")).toBe(false);
});

test("paths come sorted and relative to the pattern", () => {
  const tree: Record<string, string[]> = { "/e": ["b.conf", "a.conf", "d"], "/e/d": ["c.conf"] };
  const exists = (path: string): boolean =>
    path in tree || (tree[directoryOf(path)] ?? []).includes(path.slice(path.lastIndexOf("/") + 1));
  const match = (pattern: string): readonly string[] =>
    matchPaths(pattern, "/e", (path) => tree[path], exists);
  expect(match("*.conf")).toEqual(["a.conf", "b.conf"]);
  expect(match("/e/*.conf")).toEqual(["/e/a.conf", "/e/b.conf"]);
  expect(match("*/c.conf")).toEqual(["d/c.conf"]);
  expect(match("a.conf")).toEqual(["a.conf"]);
  expect(match("z.conf")).toEqual([]);
  expect(match("z*/x")).toEqual([]);
});

test("paths resolve without the system", () => {
  expect(resolvePath("/etc/x", "../y//z/./w")).toBe("/etc/y/z/w");
  expect(resolvePath("/etc", "/a/../../b")).toBe("/b");
  expect(directoryOf("/a/b")).toBe("/a");
  expect(directoryOf("/a")).toBe("/");
});
