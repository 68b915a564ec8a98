/**
 * static_ipaddress, static_routes and static_rules: there from the start to the stop, whoever is MASTER.
 * What somebody else takes is put back.
 */

import { formatAddress } from "../lib/address.ts";
import { type Held, heldOn } from "./addresses.ts";
import type { Holder } from "./holder.ts";
import type { LinkTable } from "./links.ts";
import type { Kernel } from "./perform.ts";
import { type Item, itemsOf, type StaticItems } from "./routes.ts";
import type { Routing } from "./routing.ts";

/** The static items of a process; routes and rules are `routing`'s. */
export class Statics {
  readonly #holder: Holder;
  readonly #kernel: Kernel;
  readonly #links: LinkTable;
  readonly #routing: Routing;
  #addresses: readonly Held[] = [];

  constructor(holder: Holder, kernel: Kernel, links: LinkTable, routing: Routing) {
    this.#holder = holder;
    this.#kernel = kernel;
    this.#links = links;
    this.#routing = routing;
  }

  /** They are to be these: what is not among them any more goes, what is new comes, the rest stays. */
  configure(items: StaticItems): void {
    const before = this.#addresses;
    const after = addressesOf(items);
    this.#addresses = after;
    const key = ({ spec }: Held): string => JSON.stringify(spec);
    const [was, is] = [new Set(before.map(key)), new Set(after.map(key))];
    const removed = before.filter((one) => !is.has(key(one)));
    const added = after.filter((one) => !was.has(key(one)));
    // Routes need addresses: they come after them and go before.
    const routing = (): void => this.#routing.setStatics(routingOf(items));
    if (added.length === 0) routing();
    for (const held of added) this.#kernel.queueAdd(held);
    if (added.length > 0) routing();
    for (const held of removed) this.#kernel.queueRemove(held);
  }

  /** The daemon ends. */
  stop(): void {
    this.configure({ addresses: [], routes: [], rules: [] });
  }

  /** Takes away what a process that has died may have left. */
  withdraw(items: StaticItems): void {
    this.#routing.withdrawStatics(routingOf(items));
    for (const held of addressesOf(items)) this.#kernel.queueRemove(held);
  }

  /** Links or addresses have changed: what is missing on links that work is put back. */
  linksChanged(): void {
    for (const held of this.#addresses) {
      const link = this.#links.byName(held.device);
      const isMissing = link?.up === true && !this.#links.holds(link.index, held.address);
      if (!isMissing || held.spec.no_track || this.#kernel.isComing(held)) continue;
      const { prefixLength } = held.spec;
      const text = `${formatAddress(held.address)}/${prefixLength} on ${held.device}`;
      this.#holder.log("notice", `Restoring deleted static address ${text}`);
      this.#kernel.queueAdd(held);
      this.#routing.restoreStatics();
    }
  }
}

function addressesOf({ addresses }: StaticItems): Held[] {
  return addresses.map((spec) => heldOn(undefined, spec));
}

function routingOf({ routes, rules }: StaticItems): Item[] {
  return itemsOf({ virtual_routes: routes, virtual_rules: rules });
}
