/**
 * The tight loop: it waits, everything else returns.
 *
 * A turn sleeps in epoll until a descriptor is readable or the earliest deadline has come, takes one
 * `now`, lets every readable socket be received, then fires the deadlines that are due, and at last
 * runs the flushes, where what the turn has to say leaves in as few system calls as can be. Sockets
 * come before timers so that an advert that has arrived in time counts even when we were late to
 * look. A steady turn allocates nothing.
 */

import { EPOLLET, EPOLLIN } from "../ffi/constants.ts";
import { Epoll } from "../ffi/epoll.ts";
import { monotonicUs, Timer } from "../ffi/timer.ts";
import { type Deadline, Deadlines } from "./lib/deadlines.ts";

/** How long a wake-up takes at most, as a rule: that much earlier we get up for an urgent deadline. */
const LEAD_US = 120;

/** Something the loop calls at its deadline. */
export interface Alarm extends Deadline {
  /** The moment matters to the last microsecond, and comes rarely enough to wait for it awake. */
  readonly isUrgent?: boolean;
  /** Called once when due; it may set a new deadline. */
  fire(now: number): void;
}

/** Somebody with a loop of his own, who is let do his work between two turns. */
export interface Guest {
  readonly hasWork: boolean;
  work(): Promise<void>;
}

/** One loop, one thread, one clock. */
export class Loop {
  readonly #epoll = new Epoll();
  readonly #timer = new Timer();
  readonly #deadlines = new Deadlines<Alarm>();
  readonly #readers = new Map<number, (now: number, events: number) => void>();
  readonly #flushes: ((now: number) => void)[] = [];
  #running = false;
  #guest: Guest | undefined;

  /** The moment of this turn, in microseconds on the monotonic clock. */
  now = monotonicUs();
  /** How long after the moment we wanted to be woken this turn has begun; 0 when something else woke us. */
  lateUs = 0;
  /** The moment of the turn before: what is received in this turn came after it. */
  previous = this.now;

  constructor() {
    this.#epoll.add(this.#timer.fd, EPOLLIN | EPOLLET);
  }

  /**
   * Calls `onReady` in every turn in which `fd` has something to read, or whatever else `events` asks for
   * (EPOLL… bits); it is told what there was.
   */
  watch(fd: number, onReady: (now: number, events: number) => void, events = EPOLLIN): void {
    this.#readers.set(fd, onReady);
    this.#epoll.add(fd, events);
  }

  /** Ends {@link Loop.watch}; to be called before the descriptor is closed. */
  unwatch(fd: number): void {
    if (this.#readers.delete(fd)) this.#epoll.remove(fd);
  }

  /** The same for a descriptor that is about to be closed: the kernel then forgets it by itself. */
  forget(fd: number): void {
    this.#readers.delete(fd);
  }

  /** Fires `alarm` at `at`; Infinity takes its deadline away. */
  schedule(alarm: Alarm, at: number): void {
    this.#deadlines.set(alarm, at);
  }

  /** The earliest deadline, Infinity when there is none. */
  get earliestAt(): number {
    return this.#deadlines.earliestAt;
  }

  /** Calls `flush` at the end of every turn, in the order of registration. */
  atTurnEnd(flush: (now: number) => void): void {
    this.#flushes.push(flush);
  }

  /** Turns until {@link Loop.stop}. */
  run(): void {
    this.#running = true;
    this.#flush();
    while (this.#running) this.turn(-1);
  }

  /** Lets `guest` work whenever it has something to do, in a loop that runs by {@link Loop.runWithGuest}. */
  invite(guest: Guest): void {
    this.#guest = guest;
  }

  /** As {@link Loop.run}, for a loop that may get a guest. */
  async runWithGuest(): Promise<void> {
    this.#running = true;
    this.#flush();
    while (this.#running) {
      this.turn(this.#guest?.hasWork === true ? 0 : -1);
      if (this.#guest?.hasWork !== true) continue;
      this.now = monotonicUs();
      await this.#guest.work();
      this.#flush();
    }
  }

  /** Ends {@link Loop.run} after the current turn, flushes included. */
  stop(): void {
    this.#running = false;
  }

  /** One turn, waiting at most `timeoutMs` (-1: until something happens). */
  turn(timeoutMs: number): void {
    const first = this.#deadlines.first;
    const earliestAt = first?.dueAt ?? Infinity;
    const wakeAt = first?.isUrgent === true ? earliestAt - LEAD_US : earliestAt;
    const isOverdue = wakeAt <= this.now;
    if (!isOverdue) this.#timer.arm(wakeAt);
    let count = this.#epoll.wait(isOverdue ? 0 : timeoutMs);
    this.previous = this.now;
    this.now = monotonicUs();
    this.lateUs = isOverdue ? 0 : Math.max(0, this.now - earliestAt);
    const isNear = first?.isUrgent === true && earliestAt - this.now <= LEAD_US;
    if (isNear && count <= 1 && earliestAt > this.now) {
      while (this.now < earliestAt) this.now = monotonicUs();
      this.#read(count);
      count = this.#epoll.wait(0);
    }
    for (;;) {
      this.#read(count);
      if (!this.#epoll.isFull(count)) break;
      count = this.#epoll.wait(0);
    }
    for (;;) {
      const alarm = this.#deadlines.takeDue(this.now);
      if (alarm === undefined) break;
      alarm.fire(this.now);
    }
    this.#flush();
  }

  #read(count: number): void {
    for (let i = 0; i < count; i++) {
      const fd = this.#epoll.descriptor(i);
      if (fd === this.#timer.fd) this.#timer.fired();
      else this.#readers.get(fd)?.(this.now, this.#epoll.events(i));
    }
  }

  #flush(): void {
    for (const flush of this.#flushes) flush(this.now);
  }
}
