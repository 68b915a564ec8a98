/**
 * The state file of the checkers' side: what is to outlive the daemon (lvs/kept.ts), beside the role's pid file.
 * It is the parent's, which outlives the role.
 */

import type { LogLevel } from "../lib/log.ts";
import { formatKept, type Kept, parseKept, type Remains } from "../lvs/kept.ts";
import type { StandingOrder } from "../lvs/orders.ts";
import { readTrusted, setAside, writeTrusted } from "./trusted_file.ts";

/** A state file and what is in it. */
export class CheckersFile {
  /** Absolute. */
  readonly path: string;
  readonly #say: (level: LogLevel, text: string) => void;
  #kept: Kept | undefined;
  /** What is in the file could not be used. */
  #isSpoiled = false;

  constructor(path: string, say: (level: LogLevel, text: string) => void) {
    this.path = path;
    this.#say = say;
  }

  /** The orders that stand. */
  get orders(): readonly StandingOrder[] {
    return this.#whole.orders;
  }

  /** What a predecessor has left, or we would leave now. */
  get remains(): Remains | undefined {
    return this.#whole.remains;
  }

  /** These stand from now on; why that cannot be written down, which is told. */
  keepOrders(orders: readonly StandingOrder[]): string | undefined {
    return this.#keep({ ...this.#whole, orders });
  }

  /** This would be left from now on. */
  keepRemains(remains: Remains | undefined): void {
    const { orders } = this.#whole;
    const next = remains === undefined ? { orders } : { orders, remains };
    if (!Bun.deepEquals(this.#whole, next)) this.#keep(next);
  }

  get #whole(): Kept {
    return this.#kept ??= this.#read();
  }

  #read(): Kept {
    const found = readTrusted(this.path);
    if (found.type === "nothing") return { orders: [] };
    const { kept, faults } = found.type === "text"
      ? parseKept(found.text)
      : { kept: { orders: [] }, faults: [found.fault] };
    for (const fault of faults) this.#say("warning", `State file ${this.path} ${fault}: ignored`);
    this.#isSpoiled = faults.length > 0;
    return kept;
  }

  #keep(kept: Kept): string | undefined {
    const { path } = this;
    this.#kept = kept;
    if (this.#isSpoiled) {
      const name = setAside(path);
      if (name !== undefined) {
        this.#say("warning", `State file ${path} that could not be used is now ${name}`);
      }
      this.#isSpoiled = false;
    }
    const fault = writeTrusted(path, formatKept(kept));
    if (fault !== undefined) this.#say("error", `State file ${path} ${fault}`);
    return fault;
  }
}
