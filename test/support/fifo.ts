/** A notification FIFO and what was written to it. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poll } from "./waiting.ts";

/** A FIFO with a reader; it does not end with the daemon. */
export class Fifo {
  readonly #folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  /** What the configuration names. */
  readonly path = join(this.#folder, "fifo");
  readonly #file = join(this.#folder, "told");
  readonly #child: Bun.Subprocess;

  constructor() {
    Bun.spawnSync(["mkfifo", this.path]);
    // Open for writing, too: it does not end with the daemon.
    const read = `exec cat <>"$1" >"$2"`;
    this.#child = Bun.spawn(["sh", "-c", read, "sh", this.path, this.#file]);
  }

  /** The lines so far. */
  get lines(): string[] {
    return readFileSync(this.#file, "utf8").split("\n").slice(0, -1);
  }

  /** Waits until a line is there so many times. */
  has(line: string, times = 1, ms = 12_000): Promise<void> {
    const count = (): number => this.lines.filter((one) => one === line).length;
    return poll(() => count() >= times, ms, `not told: ${line}`);
  }

  /** Ends the reader and removes everything. */
  async close(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    rmSync(this.#folder, { recursive: true });
  }
}
