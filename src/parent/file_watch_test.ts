/** The numbers of track_file in the syntax of C, and files that come and go. */

import { expect, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poll } from "../../test/support/waiting.ts";
import { FileWatch, numberIn } from "./file_watch.ts";

test.each<readonly [string, number | undefined]>([
  ["", 0],
  ["7\n", 7],
  ["  -12 apples", -12],
  ["+3", 3],
  ["0x1f", 31],
  ["-0X10", -16],
  ["010", 8],
  ["09", 0],
  ["0", 0],
  ["-0", 0],
  ["seven", 0],
  ["2147483647", 2_147_483_647],
  ["-2147483648", -2_147_483_648],
  ["2147483648", undefined],
  ["-2147483649", undefined],
])("%p holds %p", (text, value) => {
  expect(numberIn(text)).toBe(value as number);
});

test("a file that is made, replaced and removed is noticed", async () => {
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  const file = join(folder, "load");
  const told: (boolean | number | string)[] = [];
  const said: string[] = [];
  const watch = new FileWatch(
    (_level, text) => said.push(text),
    ({ reading }) => told.push(reading),
  );
  const tells = (value: number): Promise<void> =>
    poll(() => told.at(-1) === value, 3000, `${value} was not told: ${told}`);
  try {
    watch.configure([{ name: "f", file, weight: 1, reverse: false, init_file: INIT }]);
    expect(told).toEqual([5]);
    writeFileSync(file, "7\n");
    await tells(7);
    writeFileSync(`${file}.new`, "-3\n");
    renameSync(`${file}.new`, file);
    await tells(-3);
    rmSync(file);
    await tells(0);
    expect(watch.results).toEqual([{ kind: "file", name: "f", reading: 0 }]);
    expect(said).toEqual([]);
  } finally {
    watch.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

const INIT = { value: 5, overwrite: false };
