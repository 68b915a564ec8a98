/** A connected descriptor of ours in Bun's loop. */

import type { Socket } from "bun";
import { Memory } from "../../ffi/memory.ts";
import { sendNow } from "../../ffi/socket.ts";

/** What a stream tells its owner. */
export interface StreamEvents {
  data(bytes: Uint8Array): void;
  /** The other end is gone. */
  close(): void;
}

/** A stream that keeps what its other end does not take yet. */
export class Stream {
  readonly #fd: number;
  readonly #waiting: Uint8Array[] = [];
  #socket: Socket<undefined> | undefined;
  #isOver = false;

  /** Owns `fd`, a connected non-blocking stream socket, from now on. */
  constructor(fd: number, events: StreamEvents) {
    this.#fd = fd;
    const options = {
      fd,
      socket: {
        open: (socket: Socket<undefined>): void => {
          this.#socket = socket;
          this.#flush();
          if (this.#isOver) socket.end();
        },
        data: (_socket: Socket<undefined>, bytes: Uint8Array): void => events.data(bytes),
        drain: (): void => this.#flush(),
        close: (): void => {
          this.#socket = undefined;
          this.#isOver = true;
          events.close();
        },
        error: (): void => {},
      },
    };
    // Bun's types leave out that `fd` is an address of its own.
    void Bun.connect(options as unknown as Parameters<typeof Bun.connect>[0]);
  }

  /** Sends bytes, now or when there is room. */
  send(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.#flush();
  }

  /** Closes this end, as soon as it is in the loop. */
  end(): void {
    this.#isOver = true;
    this.#socket?.end();
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      const bytes = this.#waiting[0]!;
      const sent = this.#write(bytes);
      if (sent < 0) return;
      if (sent < bytes.length) {
        this.#waiting[0] = bytes.subarray(sent);
        return;
      }
      this.#waiting.shift();
    }
  }

  /** The first words need not wait for the loop's next turn: the descriptor is as good before it is in the loop. */
  #write(bytes: Uint8Array): number {
    if (this.#socket !== undefined) return this.#socket.write(bytes);
    return this.#isOver ? -1 : sendNow(this.#fd, Memory.of(bytes), 0, bytes.length);
  }
}
