/** Datagrams to a Unix socket (syslog's /dev/log, systemd's notification socket): sent or lost. */

import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_DGRAM } from "./constants.ts";
import { sockaddrUn } from "./layout.ts";
import { libc } from "./libc.ts";
import { Memory } from "./memory.ts";
import { closeDescriptor, connectSocket, openSocket } from "./socket.ts";

/** A sender that connects when it has something to say, and again when the listener was restarted. */
export class Datagrams {
  readonly #path: string;
  #fd = -1;

  /** A path, or an abstract name that begins with "@". */
  constructor(path: string) {
    this.#path = path;
  }

  /** Sends one datagram; false when nobody took it. */
  send(text: string): boolean {
    const memory = Memory.of(new TextEncoder().encode(text));
    for (let attempt = 0; attempt < 2; attempt++) {
      if (this.#fd < 0 && !this.#connect()) return false;
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      if (libc.send(this.#fd, memory.pointer, memory.bytes.length, flags) >= 0) return true;
      closeDescriptor(this.#fd);
      this.#fd = -1;
    }
    return false;
  }

  #connect(): boolean {
    const fd = openSocket(AF_UNIX, SOCK_DGRAM, 0, `talking to ${this.#path}`);
    if (connectSocket(fd, sockaddrUn(this.#path))) {
      this.#fd = fd;
      return true;
    }
    closeDescriptor(fd);
    return false;
  }
}
