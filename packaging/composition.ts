/** What an executable is made of, in bytes: the runtime, our code, its bytecode. */

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import type { Machine } from "./machines.ts";
import type { Runtime } from "./runtime.ts";

/** Lines of text: each part with its size. `work` is a folder for a build without bytecode. */
export async function compositionOf(
  machine: Machine,
  runtime: Runtime,
  executable: string,
  root: string,
  work: string,
): Promise<string> {
  const total = statSync(executable).size;
  const bun = statSync(runtime.path).size;
  const plain = join(work, "plain", machine.name);
  const meta = `${plain}.json`;
  // As packaging/build.sh, but nothing is compiled beforehand: the difference is the bytecode.
  await run([
    join(root, "node_modules/.bin/bun"),
    ...["build", "--compile", "--minify", "--splitting", "--format=esm", "--sourcemap=none"],
    `--metafile=${meta}`,
    `--target=bun-linux-${machine.target}`,
    `--compile-executable-path=${runtime.path}`,
    ...["src/main.ts", "--outfile", plain],
  ], { cwd: root });
  const outputs: Record<string, { bytes: number }> = JSON.parse(readFileSync(meta, "utf8")).outputs;
  const code = Object.entries(outputs).filter(([name]) => name.endsWith(".js"))
    .reduce((sum, [, { bytes }]) => sum + bytes, 0);
  const parts = [
    ["runtime", bun, `Bun ${runtime.version}`],
    ["code", code, "ours and its libraries, minified"],
    ["bytecode", total - bun - code, "the same compiled beforehand, with source maps and padding"],
  ] as const;
  const lines = parts.map(([name, size, about]) =>
    `  ${name.padEnd(9)}${String(size).padStart(10)}  ${about}\n`
  );
  return `upkeep-${machine.name}: ${total} bytes\n${lines.join("")}`;
}
