/** Licences: nothing that is bundled goes without its notice. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { bundledLibraries, copyrightFile, runtimeLibraries, takenOver } from "./licences.ts";

const ROOT = resolve(import.meta.dir, "..");

test("every notice in a library's code is its own or that of a part we name", () => {
  for (const { name, text = "" } of bundledLibraries(ROOT)) {
    const known = [text, ...takenOver(name).map((one) => one.text ?? "")];
    const folder = join(ROOT, "node_modules", name);
    const found = [...new Bun.Glob("**/*.{js,cjs,mjs}").scanSync(folder)].flatMap((path) => {
      const code = readFileSync(join(folder, path), "utf8");
      return [...code.matchAll(/Copyright (?!notice|holders)\S.*/gi)].map(([line]) => line.trim());
    });
    expect(found.filter((line) => !known.some((one) => one.includes(line)))).toEqual([]);
  }
});

test("the copyright file has a paragraph for each, and the text of each licence", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const file = copyrightFile(ROOT, devDependencies.bun);
  const used = new Set([...file.matchAll(/^License: (\S+)\n(?! )/gm)].map(([, name]) => name));
  const given = new Set([...file.matchAll(/^License: (\S+)\n /gm)].map(([, name]) => name));
  expect(file).toContain("Mathias Bynens");
  expect([...used].sort()).toEqual(["MIT", "MIT-0"]);
  expect([...given]).toEqual(expect.arrayContaining([...used]));
  for (const { name } of runtimeLibraries(ROOT, devDependencies.bun)) expect(file).toContain(name);
});
