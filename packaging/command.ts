/** Other programs, run one after the other or as many at once as there are processors. */

import { availableParallelism } from "node:os";

/** What may be said about a run. */
export interface CommandOptions {
  /** Bytes for its standard input. */
  readonly input?: Uint8Array;
  /** More variables for its environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

let free = availableParallelism();
const queue: (() => void)[] = [];

/**
 * Runs a command and returns its standard output, once a processor is free for it. Rejects with what it
 * wrote on standard error when it fails.
 */
export async function run(
  words: readonly string[],
  { input, env = {}, cwd }: CommandOptions = {},
): Promise<Uint8Array> {
  await turn();
  try {
    const child = Bun.spawn([...words], {
      stdin: input ?? "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    const [output, errors, status] = await Promise.all([
      new Response(child.stdout).bytes(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    if (status === 0) return output;
    const said = `${new TextDecoder().decode(output)}${errors}`.trim();
    throw new Error(`${words.join(" ")} ended with ${status}\n${said}`);
  } finally {
    const next = queue.shift();
    if (next === undefined) free++;
    else next();
  }
}

function turn(): Promise<void> {
  if (free > 0) {
    free--;
    return Promise.resolve();
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  queue.push(resolve);
  return promise;
}
