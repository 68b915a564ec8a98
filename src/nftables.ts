/**
 * nftables in the kernel, for whoever keeps tables there: a socket that is opened when it is needed, batches
 * whose refusals are logged, and a look at which tables there are.
 */

import { SysError } from "../ffi/libc.ts";
import { Netlink } from "../ffi/netlink.ts";
import type { LogLevel } from "./lib/log.ts";
import { decodeTable, encodeBatch, encodeDumpTables, type Table } from "./netlink/nftables.ts";

/** linux/netlink.h */
const NETLINK_NETFILTER = 12;

/** Whom the tables are asked of and changed through. */
export type Conversation = Pick<Netlink, "transact" | "dump">;

/** A socket for nftables in the network namespace of whoever opens it. Throws SysError. */
export function openNftables(): Conversation {
  return new Netlink(NETLINK_NETFILTER);
}

/** The tables of a namespace. */
export class Nftables {
  readonly #log: (level: LogLevel, text: string) => void;
  readonly #open: () => Conversation;
  #netlink: Conversation | undefined;

  /** `open` opens a socket when it is needed, and throws SysError. */
  constructor(log: (level: LogLevel, text: string) => void, open = openNftables) {
    this.#log = log;
    this.#open = open;
  }

  /**
   * Makes changes, all or none; the kernel's refusal if there was one, logged unless it is the `expected` errno.
   */
  transact(
    changes: readonly Uint8Array[],
    doing: string,
    expected = 0,
  ): SysError | undefined {
    if (changes.length === 0) return undefined;
    try {
      this.#netlink ??= this.#open();
      const batch = encodeBatch(changes).map((bytes) => ({ bytes, doing }));
      const refusal = this.#netlink.transact(batch);
      if (refusal !== undefined && refusal.code !== expected) this.#log("error", refusal.message);
      return refusal;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.#log("error", error.message);
      return error;
    }
  }

  /** The tables there are, by {@link tableKey}; undefined, which is logged, when the kernel does not say. */
  tables(): Set<string> | undefined {
    const there = new Set<string>();
    try {
      this.#netlink ??= this.#open();
      this.#netlink.dump(encodeDumpTables(), "listing the tables of nftables", ({ payload }) => {
        const table = decodeTable(payload);
        if (table !== undefined) there.add(tableKey(table));
      });
      return there;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      this.#log("error", error.message);
      return undefined;
    }
  }
}

/** What tells a table from others, as nft names it: `ip keepalived`. */
export function tableKey({ family, name }: Table): string {
  return `${family} ${name}`;
}
