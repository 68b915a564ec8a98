/** epoll(7): which of the watched descriptors is readable. */

import { EINTR, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN } from "./constants.ts";
import { EPOLL_EVENT } from "./layout.ts";
import { check, errno, libc, SysError } from "./libc.ts";
import { Memory } from "./memory.ts";

const CAPACITY = 64;
const EPOLL_CLOEXEC = 0o2000000;

/** An epoll instance; descriptors come back through {@link Epoll.descriptor} after a wait. */
export class Epoll {
  readonly #fd: number;
  readonly #events = new Memory(CAPACITY * EPOLL_EVENT.size);
  readonly #event = new Memory(16);

  /** Throws SysError when the kernel is out of descriptors. */
  constructor() {
    this.#fd = check(libc.epoll_create1(EPOLL_CLOEXEC), "epoll_create1", "starting the loop");
  }

  /** Watches a descriptor for `events` (EPOLL…); with EPOLLET each is reported once. */
  add(fd: number, events = EPOLLIN): void {
    this.#event.view.setUint32(0, events >>> 0, true);
    this.#event.view.setInt32(EPOLL_EVENT.data, fd, true);
    const result = libc.epoll_ctl(this.#fd, EPOLL_CTL_ADD, fd, this.#event.pointer);
    check(result, "epoll_ctl", `watching descriptor ${fd}`);
  }

  /** Stops watching a descriptor; one that is not watched, or closed already, is no error. */
  remove(fd: number): void {
    libc.epoll_ctl(this.#fd, EPOLL_CTL_DEL, fd, this.#event.pointer);
  }

  /** Waits at most `timeoutMs` (-1: for ever); how many descriptors are readable. */
  wait(timeoutMs: number): number {
    const count = libc.epoll_wait(this.#fd, this.#events.pointer, CAPACITY, timeoutMs);
    if (count >= 0) return count;
    const code = errno();
    if (code === EINTR) return 0;
    throw new SysError("epoll_wait", code, "waiting for events");
  }

  /** The `index`-th readable descriptor of the last wait. */
  descriptor(index: number): number {
    return this.#events.view.getInt32(index * EPOLL_EVENT.size + EPOLL_EVENT.data, true);
  }

  /** What was reported of the `index`-th descriptor of the last wait: EPOLL… bits. */
  events(index: number): number {
    return this.#events.view.getUint32(index * EPOLL_EVENT.size, true);
  }

  /** Whether the last wait may have left readable descriptors unreported. */
  isFull(count: number): boolean {
    return count === CAPACITY;
  }
}
