/**
 * Where operators' orders for real servers are taken (lvs/orders.ts) and kept: in the parent, which outlives
 * the role, and in a state file, which outlives the daemon.
 */

import type { LogLevel } from "../lib/log.ts";
import {
  formatOrders,
  type OrderRequest,
  parseOrders,
  rule,
  type Ruling,
  type ServerName,
  type ServerNames,
  sortOut,
  type StandingOrder,
  wordsOf,
} from "../lvs/orders.ts";
import { readTrusted, setAside, writeTrusted } from "./trusted_file.ts";

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
  /** Of the state file. */
  readonly path: string;
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
  #orders: readonly StandingOrder[] | undefined;
  /** What is in the file could not be used. */
  #isSpoiled = false;
  #last = 0;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** Everything that stands. */
  get orders(): readonly StandingOrder[] {
    return this.#orders ??= this.#load();
  }

  /** Carries a request out; resolves when the role has done it, or has died. */
  async take(request: OrderRequest): Promise<OrderAnswer> {
    const ruling = rule(this.#parts.names(), this.orders, request);
    if (!ruling.isGranted) return ruling;
    const { servers, orders } = ruling;
    const fault = this.#keep(orders);
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
    this.#keep(kept);
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

  #load(): readonly StandingOrder[] {
    const { path } = this.#parts;
    const found = readTrusted(path);
    if (found.type === "nothing") return [];
    const { orders, faults } = found.type === "text"
      ? parseOrders(found.text)
      : { orders: [], faults: [found.fault] };
    for (const fault of faults) {
      this.#parts.say("warning", `State file ${path} ${fault}: ignored`);
    }
    this.#isSpoiled = faults.length > 0;
    return orders;
  }

  /** These stand from now on; why they cannot be written down, which is told. */
  #keep(orders: readonly StandingOrder[]): string | undefined {
    const { path, say } = this.#parts;
    this.#orders = orders;
    if (this.#isSpoiled) {
      const name = setAside(path);
      if (name !== undefined) {
        say("warning", `State file ${path} that could not be used is now ${name}`);
      }
      this.#isSpoiled = false;
    }
    const fault = writeTrusted(path, orders.length === 0 ? undefined : formatOrders(orders));
    if (fault !== undefined) say("error", `State file ${path} ${fault}`);
    return fault;
  }
}
