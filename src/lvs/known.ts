/**
 * What the role has told of its pools, so that the one that follows it when it dies goes on from there: a server
 * that was down stays down, and the kernel's table as it is. Pure.
 */

import type { KnownPool, LvsChange, ServerHealth } from "./changes.ts";

/** What is heard of pools. */
export type PoolNews =
  | { readonly type: "quorum"; readonly key: string; readonly isUp: boolean }
  | {
    readonly type: "health";
    readonly key: string;
    readonly server: string;
    readonly health?: ServerHealth;
  };

interface Entry {
  hasQuorum: boolean;
  /** Something was said: the pool is no longer as it starts. */
  isHeard: boolean;
  readonly servers: Map<string, ServerHealth>;
}

/** The pools of a configuration, by the keys of its virtual servers. */
export class KnownPools {
  readonly #pools = new Map<string, Entry>();

  /** The role has told of a pool; of one that it is to have no longer it comes too late. */
  hear(news: PoolNews): void {
    const pool = this.#pools.get(news.key);
    if (pool === undefined) return;
    pool.isHeard = true;
    if (news.type === "quorum") pool.hasQuorum = news.isUp;
    else if (news.health !== undefined) pool.servers.set(news.server, news.health);
    else pool.servers.delete(news.server);
  }

  /** The role that runs is told of these changes. */
  follow(changes: readonly LvsChange[]): void {
    for (const change of changes) {
      if (change.type === "remove") this.#pools.delete(change.key);
      if (change.type === "add") this.#add(change.key);
    }
  }

  /** The changes for a role that follows one that has died, with what is known. */
  brief(changes: readonly LvsChange[]): LvsChange[] {
    return changes.map((change) => {
      if (change.type === "remove") this.#pools.delete(change.key);
      if (change.type !== "add") return change;
      const known = this.#knownOf(change.key);
      if (known !== undefined) return { ...change, known };
      this.#add(change.key);
      return change;
    });
  }

  /** The role was sent away: whoever comes next starts anew. */
  clear(): void {
    this.#pools.clear();
  }

  #add(key: string): void {
    this.#pools.set(key, { hasQuorum: false, isHeard: false, servers: new Map() });
  }

  #knownOf(key: string): KnownPool | undefined {
    const pool = this.#pools.get(key);
    if (pool?.isHeard !== true) return undefined;
    return { hasQuorum: pool.hasQuorum, servers: Object.fromEntries(pool.servers) };
  }
}
