/** What takes longest and is begun first, see lab.ts: everything made twice, and a package in full strength. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { artefacts, madeAgain, prepare, tightSize } from "./lab.ts";

prepare();

const MIB = 2 ** 20;

test("made again, elsewhere, every artefact is the same to the byte", async () => {
  const first = readFileSync(join(await artefacts(), "SHA256SUMS"), "utf8");
  const again = readFileSync(join(await madeAgain(), "SHA256SUMS"), "utf8");
  expect(again).toBe(first);
});

test("packed tightly, a package is at most 40 MiB", async () => {
  const size = await tightSize();
  expect(size).toBeGreaterThan(30 * MIB);
  // The control archive and the headers are small.
  expect(size).toBeLessThan(40 * MIB - 64 * 1024);
});
