/**
 * Named pipes that events are written to. A pipe is opened for reading too, so that writing works when nobody
 * listens; what does not fit is lost, and said to be.
 */

import {
  chownSync,
  closeSync,
  constants,
  openSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { makeFifo } from "../../ffi/process.ts";

/** A pipe that is open. */
export class FifoWriter {
  readonly path: string;
  readonly #fd: number;
  /** It was not there before. */
  readonly #isOurs: boolean;

  /**
   * Makes the pipe unless it is there, owned by `uid` and `gid`, and opens it. Throws when something else is
   * there, or the system refuses.
   */
  constructor(path: string, uid: number, gid: number) {
    this.path = path;
    const found = statSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isFIFO()) throw new Error(`${path} is no FIFO`);
    this.#isOurs = found === undefined;
    if (this.#isOurs) {
      makeFifo(path, 0o666);
      chownSync(path, uid, gid);
    }
    this.#fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** Writes an event; false when there is no room for it. */
  write(text: string): boolean {
    try {
      return writeSync(this.#fd, text) === text.length;
    } catch {
      return false;
    }
  }

  /** Closes the pipe, and removes it when it is ours. */
  close(): void {
    closeSync(this.#fd);
    if (!this.#isOurs) return;
    try {
      unlinkSync(this.path);
    } catch {
      // Somebody else has.
    }
  }
}
