/** Code in a process of its own, for what changes a process, or needs another one. */

import { resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** The command that runs TypeScript from the root of the project; `before` comes before it. */
function commandFor(code: string, before: readonly string[]): string[] {
  return [...before, process.execPath, "-e", code];
}

/**
 * What `code` wrote to standard output. It imports by paths from the root (`./ffi/process.ts`).
 * Throws with its standard error when it fails. `before` are words that run a command as somebody
 * or somewhere else.
 */
export function inChild(code: string, before: readonly string[] = []): string {
  const done = Bun.spawnSync(commandFor(code, before), { cwd: ROOT, stdin: "ignore" });
  if (done.success) return done.stdout.toString();
  throw new Error(`the child ended with ${done.exitCode}: ${done.stderr.toString().trim()}`);
}

/** A process that has said something and now waits until it is killed; it dies with the test. */
export class WaitingChild {
  /** Its process id. */
  readonly pid: number;
  /** The first thing it said. */
  readonly said: string;
  readonly #child: Bun.Subprocess;

  private constructor(child: Bun.Subprocess, said: string) {
    this.#child = child;
    this.pid = child.pid;
    this.said = said;
  }

  /** Runs `code`, as {@link inChild} would, up to its first words. Rejects when it says nothing. */
  static async start(code: string): Promise<WaitingChild> {
    const forever = "await new Promise(() => setInterval(() => {}, 1_000_000));";
    const child = Bun.spawn(commandFor(`${code}\n${forever}`, []), {
      cwd: ROOT,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const { value } = await child.stdout.getReader().read();
    if (value === undefined) throw new Error("the child ended without a word");
    return new WaitingChild(child, new TextDecoder().decode(value));
  }

  /** Kills it and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}
