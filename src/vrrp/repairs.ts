/**
 * Watches over what instances hold at run time: takes what the kernel tells of addresses that are gone,
 * and says what to do about each. The judgement is repair.ts's; this is its memory.
 */

import { type Address, compareAddress, formatAddress } from "../lib/address.ts";
import type { Held } from "./addresses.ts";
import type { LinkTable } from "./links.ts";
import { judgeRemoval, policyOf, type RemovalOption, type Verdict } from "./repair.ts";

/** An address that the kernel says is gone. */
export interface RemovedAddress {
  /** The link's index. */
  readonly index: number;
  readonly address: Address;
  /** The port id of whoever asked for it, 0 when the kernel does not tell. */
  readonly port: number;
}

/** What is to be known of an instance that may hold addresses. */
export interface Holder {
  readonly key: string;
  readonly instance: { readonly name: string } & RemovalOption;
  readonly state: { readonly name: string };
  readonly held: readonly Held[];
}

/** Something to do for an instance that has lost an address. */
export interface Loss<H extends Holder> {
  readonly holder: H;
  readonly held: Held;
  readonly verdict: Exclude<Verdict, "ignore">;
  /** The repairs of this address that count, with this one. */
  readonly repairs: number;
  readonly port: number;
}

/** What was removed in this turn and what was repaired before. */
export class Repairs<H extends Holder> {
  readonly #links: LinkTable;
  readonly #removed: RemovedAddress[] = [];
  readonly #repairedAt = new Map<string, readonly number[]>();
  #missedSome = false;

  /** `links` is what the kernel has told so far. */
  constructor(links: LinkTable) {
    this.#links = links;
  }

  /** An address is gone, whoever has removed it; judged by {@link Repairs.judge}. */
  note(removed: RemovedAddress): void {
    this.#removed.push(removed);
  }

  /** Notifications were lost: every address counts as removed that is not there. */
  noteMissed(): void {
    this.#missedSome = true;
  }

  /** Whether {@link Repairs.judge} has anything to do. */
  get isPending(): boolean {
    return this.#missedSome || this.#removed.length > 0;
  }

  /**
   * What to do about all that was noted, when everything that came with it has been heard. Our own removals
   * need no mark: what we take away, no MASTER wants, or it is about to be added again, which `isComing`
   * tells.
   */
  judge(holders: Iterable<H>, isComing: (held: Held) => boolean, now: number): Loss<H>[] {
    const removed = this.#removed.splice(0);
    const missedSome = this.#missedSome;
    this.#missedSome = false;
    const losses: Loss<H>[] = [];
    for (const holder of holders) {
      if (holder.state.name !== "MASTER") continue;
      const policy = policyOf(holder.instance);
      for (const held of holder.held) {
        const link = this.#links.byName(held.device);
        const hit = removed.find(({ index, address }) =>
          index === link?.index && compareAddress(address, held.address) === 0
        );
        if (hit === undefined && !missedSome) continue;
        const isBack = isComing(held) ||
          (link !== undefined && this.#links.holds(link.index, held.address));
        const key = `${holder.key} ${held.device} ${formatAddress(held.address)}`;
        const { verdict, repairedAt } = judgeRemoval(
          {
            policy,
            isBack,
            noTrack: held.spec.no_track,
            isLinkUp: link !== undefined && link.up,
          },
          this.#repairedAt.get(key) ?? [],
          now,
        );
        if (repairedAt.length === 0) this.#repairedAt.delete(key);
        else this.#repairedAt.set(key, repairedAt);
        if (verdict === "ignore") continue;
        losses.push({ holder, held, verdict, repairs: repairedAt.length, port: hit?.port ?? 0 });
        // The others go with it.
        if (verdict === "step-down") break;
      }
    }
    return losses;
  }
}
