/** Scripts of one instance: in order, how they end is kept, and what happens when the daemon goes. */

import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poll } from "../../test/support/waiting.ts";
import { awaitEndingScripts, isScriptEnding, runScript, type ScriptEnd } from "./script.ts";
import { ScriptQueue } from "./script_queue.ts";

/** A queue whose scripts are lines of shell, and all that came of them. */
class Bench {
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly log: string[] = [];
  readonly ends: (readonly [string, ScriptEnd])[] = [];
  readonly queue = new ScriptQueue(
    (_level, text) => this.log.push(text),
    () => undefined,
    (what, end) => this.ends.push([what, end]),
  );

  run(line: string, what = line): Runnable {
    const script = shell(`cd ${this.folder}; ${line}`);
    this.queue.add({ script, words: [], context: {}, what }, false);
    return script;
  }

  /** What the scripts have written into a file; "" when there is none. */
  read(name: string): string {
    const path = join(this.folder, name);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

type Runnable = Parameters<typeof runScript>[0];

function shell(line: string): Runnable {
  return { argv: ["/bin/sh", "-c", line], uid: process.getuid!(), gid: process.getgid!() };
}

test("one after the other, and how each ended is told", async () => {
  using bench = new Bench();
  bench.run("sleep 0.1; echo first >>out", "first");
  bench.run("echo second >>out; exit 3", "second");
  bench.run("kill -9 $$", "third");
  expect(bench.queue.isIdle).toBeFalse();
  await bench.queue.idle();
  expect(bench.read("out")).toBe("first\nsecond\n");
  expect(bench.ends.map(([what, { status, signal }]) => [what, status, signal])).toEqual([
    ["first", 0, null],
    ["second", 3, null],
    ["third", null, "SIGKILL"],
  ]);
  expect(bench.ends[0]![1].durationMs).toBeGreaterThan(90);
  expect(bench.log.map((line) => line.replace(/after .*/, ""))).toEqual([
    "second ended with status 3 ",
    "third ended with signal SIGKILL ",
  ]);
});

test("what waits behind one that takes its time can be had at once", async () => {
  using bench = new Bench();
  bench.run("echo $$ >pid; exec sleep 60", "slow");
  bench.run("echo told >>out", "stop");
  await poll(() => bench.read("pid") !== "", 5000, "it does not run");
  expect(bench.read("out")).toBe("");
  bench.queue.hurry();
  await bench.queue.idle();
  expect(bench.read("out")).toBe("told\n");
  // The slow one is nobody's business.
  process.kill(Number(bench.read("pid")), "SIGKILL");
});

test("a script that does not heed SIGTERM is killed when the daemon goes", async () => {
  using bench = new Bench();
  const line = `trap "" TERM; echo $$ >${bench.folder}/pid; while :; do sleep 0.05; done`;
  const deaf = runScript(shell(line), [], {});
  const quick = runScript(shell("exec sleep 60"), [], {});
  await poll(() => bench.read("pid") !== "", 5000, "it does not run");
  expect(isScriptEnding()).toBeFalse();
  quick.kill("SIGTERM");
  deaf.kill("SIGTERM");
  expect(isScriptEnding()).toBeTrue();
  expect((await quick.ended).signal).toBe("SIGTERM");
  await awaitEndingScripts(20);
  expect((await deaf.ended).signal).toBe("SIGKILL");
  expect(isScriptEnding()).toBeFalse();
});
