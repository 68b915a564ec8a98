/**
 * Where operators' orders for real servers are taken (lvs/orders.ts) and kept: in the parent, which outlives
 * the role, and in a state file, which outlives the daemon.
 */

import type { LogLevel } from "../lib/log.ts";
import {
  type OrderRequest,
  rule,
  type Ruling,
  type ServerName,
  type ServerNames,
  sortOut,
  type StandingOrder,
  wordsOf,
} from "../lvs/orders.ts";
import type { CheckersFile } from "./checkers_file.ts";

/** What an operator is told. */
export type OrderAnswer =
  | {
    readonly isGranted: true;
    /** Whom it is about: at least one. */
    readonly servers: readonly ServerName[];
    /** The kernel's table is accordingly; else it will be, when the role is back. */
    readonly isDone: boolean;
    /** Why it will not outlive the daemon. */
    readonly unsaved?: string;
  }
  | Extract<Ruling, { isGranted: false }>;

/** What a desk works with. */
export interface DeskParts {
  readonly file: Pick<CheckersFile, "orders" | "keepOrders">;
  say(level: LogLevel, text: string): void;
  /** The servers of the running configuration. */
  names(): ServerNames;
  /** Tells the role which orders stand, under a number of its own; whether there is a role. */
  tell(id: number, orders: readonly StandingOrder[]): boolean;
}

/** The orders of a daemon. */
export class OrderDesk {
  readonly #parts: DeskParts;
  /** Those who wait for the role, by the number it was told. */
  readonly #waiting = new Map<number, (isDone: boolean) => void>();
  #last = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** Everything that stands. */
  get orders(): readonly StandingOrder[] {
    return this.#parts.file.orders;
  }

  /** Carries a request out; resolves when the role has done it, or has died. */
  async take(request: OrderRequest): Promise<OrderAnswer> {
    const ruling = rule(this.#parts.names(), this.orders, request);
    if (!ruling.isGranted) return ruling;
    const { servers, orders } = ruling;
    const fault = this.#parts.file.keepOrders(orders);
    const isDone = await this.#tell();
    const unsaved = fault === undefined ? {} : { unsaved: fault };
    return { isGranted: true, servers, isDone, ...unsaved };
  }

  /** Another configuration runs: orders of servers that it does not name are dropped. */
  review(): void {
    if (this.orders.length === 0) return;
    const { kept, dropped } = sortOut(this.#parts.names(), this.orders);
    if (dropped.length === 0) return;
    for (const { service, server, order } of dropped) {
      const what = `Service ${server} of VS ${service}, ordered to ${wordsOf(order)}`;
      this.#parts.say("notice", `${what}, is no longer configured: the order is dropped`);
    }
    this.#parts.file.keepOrders(kept);
    void this.#tell();
  }

  /** A role has been started. */
  brief(): void {
    if (this.orders.length > 0) void this.#tell();
  }

  /** The role has done what it was told under this number, and before. */
  obeyed(id: number): void {
    this.#settle(true, id);
  }

  /** The role is dead. */
  left(): void {
    this.#settle(false, Infinity);
  }

  #settle(isDone: boolean, last: number): void {
    for (const [id, settle] of this.#waiting) {
      if (id > last) continue;
      this.#waiting.delete(id);
      settle(isDone);
    }
  }

  #tell(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const id = ++this.#last;
    if (this.#parts.tell(id, this.orders)) this.#waiting.set(id, resolve);
    else resolve(false);
    return promise;
  }
}
