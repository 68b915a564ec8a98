/** Pages that only the start has used are given back, and the process works on without them. */

import { expect, test } from "bun:test";
import { inChild } from "../test/support/child.ts";

test("memory falls by megabytes, and everything still works, again and again", () => {
  const said = JSON.parse(inChild(`
    import { readFileSync } from "node:fs";
    import { releaseStartPages } from "./ffi/start_pages.ts";
    const residentKib = (): number =>
      Number(/^RssFile:\\s*(\\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
    const work = (): string => {
      const text = JSON.stringify(Array.from({ length: 1000 }, (_, i) => ({ i, s: "x".repeat(i % 50) })));
      const again = JSON.stringify(JSON.parse(text).sort((a, b) => b.i - a.i).reverse());
      Bun.gc(true);
      const hash = new Bun.CryptoHasher("sha256").update(text.replace(/x+/g, "é")).digest("hex");
      const child = Bun.spawnSync(["echo", "alive"]).stdout.toString().trim();
      return [again === text, hash, child, new Intl.NumberFormat("de").format(1234.5)].join();
    };
    const first = work();
    const before = residentKib();
    releaseStartPages();
    const after = residentKib();
    const same = [work() === first];
    for (let i = 0; i < 5; i++) {
      releaseStartPages();
      same.push(work() === first);
    }
    process.stdout.write(JSON.stringify({ before, after, first, same }));
  `)) as { before: number; after: number; first: string; same: boolean[] };
  expect(said.same).toEqual(Array(6).fill(true));
  expect(said.first).toMatch(/^true,[0-9a-f]{64},alive,1\.234,5$/);
  expect(said.before - said.after).toBeGreaterThan(8 * 1024);
});
