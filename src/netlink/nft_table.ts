/** A table of nftables put together, in the order in which the kernel has to hear of its parts. */

import { NLM_F_EXCL } from "./message.ts";
import { type Expression, NFT_REG_1, type Verdict } from "./nft_expression.ts";
import {
  type Chain,
  type Element,
  encodeDeleteTable,
  encodeNewChain,
  encodeNewElements,
  encodeNewNftRule,
  encodeNewSet,
  encodeNewTable,
  type NewSet,
  type Table,
} from "./nftables.ts";

/** What holds for all chains and rules of a table. */
export interface TableOptions {
  /** Of the chains that the kernel calls: lower ones are called first. */
  readonly priority: number;
  /** Whether rules count what they decide on. */
  readonly counters: boolean;
}

const HOOKS = { in: "input", out: "output" } as const;

/** Collects what a table is made of. */
export class TableBuilder {
  readonly #table: Table;
  readonly #options: TableOptions;
  readonly #sets: Uint8Array[] = [];
  readonly #chains: Uint8Array[] = [];
  readonly #rules: Uint8Array[] = [];

  constructor(table: Table, options: TableOptions) {
    this.#table = table;
    this.#options = options;
  }

  /** Adds a set, or a map, with members. */
  set(set: Omit<NewSet, "table" | "id">, elements: readonly Element[] = []): void {
    const name = { table: this.#table, name: set.name };
    this.#sets.push(encodeNewSet({ ...set, ...name, id: this.#sets.length + 1 }));
    this.#sets.push(...encodeNewElements(name, elements));
  }

  /** Adds a chain for all that comes in or goes out. */
  hooked(name: keyof typeof HOOKS): void {
    const { priority } = this.#options;
    this.#chain({ name, hook: { point: HOOKS[name], priority, policy: "accept" } });
  }

  /** Adds a chain that other chains call. */
  called(name: string): void {
    this.#chain({ name });
  }

  #chain(chain: Omit<Chain, "table">): void {
    this.#chains.push(encodeNewChain({ table: this.#table, ...chain }));
  }

  /** Adds a rule at the end of a chain. */
  rule(chain: string, expressions: readonly Expression[], verdict: Verdict): void {
    const counter: Expression[] = this.#options.counters
      ? [{ type: "counter", packets: 0n, bytes: 0n }]
      : [];
    const end: Expression = { type: "verdict", verdict };
    const all = [...expressions, ...counter, end];
    this.#rules.push(encodeNewNftRule({ table: this.#table, chain, expressions: all }));
  }

  /**
   * The messages that make it in place of one that may be there, in one batch: at no time is there none.
   * `isNew`: there is none, and EEXIST the answer if there is.
   */
  messages(isNew = false): Uint8Array[] {
    const table = this.#table;
    const start = isNew
      ? [encodeNewTable(table, NLM_F_EXCL)]
      : [encodeNewTable(table), encodeDeleteTable(table), encodeNewTable(table)];
    return [...start, ...this.#sets, ...this.#chains, ...this.#rules];
  }
}

/** Loads bytes of a header. */
export function load(
  base: "network" | "transport",
  offset: number,
  length: number,
  to = NFT_REG_1,
): Expression {
  return { type: "payload", base, offset, length, to };
}

/** Loads what is known of the packet. */
export function loadMeta(
  key: Extract<Expression, { type: "meta" }>["key"],
  to = NFT_REG_1,
): Expression {
  return { type: "meta", key, to };
}

/** Goes on when what was loaded is this. */
export function is(data: Uint8Array): Expression {
  return { type: "cmp", from: NFT_REG_1, operator: "==", data };
}

/** Loads the address that a packet of IPv4 goes to. */
export const DESTINATION4: Expression = load("network", 16, 4);
/** The same of IPv6. */
export const DESTINATION6: Expression = load("network", 24, 16);

/** A number as this host has it. */
export function host32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
