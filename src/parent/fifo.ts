/**
 * Named pipes that events are written to. A pipe is opened for reading too, so that writing works when nobody
 * listens; what does not fit is lost, and said to be.
 */

import { makeFifo } from "../../ffi/process.ts";

/** Loaded for the first pipe: a start without one does not wait for it. */
const fs = (): typeof import("node:fs") => process.getBuiltinModule("node:fs");

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
    const { chownSync, constants, openSync, statSync } = fs();
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
      return fs().writeSync(this.#fd, text) === Buffer.byteLength(text);
    } catch {
      return false;
    }
  }

  /** Closes the pipe, and removes it when it is ours. */
  close(): void {
    fs().closeSync(this.#fd);
    if (!this.#isOurs) return;
    try {
      fs().unlinkSync(this.path);
    } catch {
      // Somebody else has.
    }
  }
}
