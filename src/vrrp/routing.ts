/**
 * The routes and rules that follow a MASTER, and the static items that follow nobody: put into the
 * kernel's tables, taken out, and looked after in between as holdings.ts does with addresses.
 *
 * The kernel is heard over a socket of its own: where routing daemons are at work it may overflow, and
 * what is lost then must not be news of links. A notification alone proves nothing (IPv6 joins and parts
 * routes, `ip route replace` tells of no removal), so whatever touches a place of ours makes us look.
 */

import { EEXIST, ENOENT, ESRCH } from "../../ffi/constants.ts";
import { NetlinkMonitor } from "../../ffi/netlink.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import type { Loop } from "../loop.ts";
import { type Message, NLM_F_REPLACE } from "../netlink/message.ts";
import {
  decodeRoute,
  encodeDeleteRoute,
  encodeDumpRoutes,
  encodeNewRoute,
  type Route,
  RTM_DELROUTE,
  RTM_NEWROUTE,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_ROUTE,
  RTPROT_KEEPALIVED,
} from "../netlink/route.ts";
import {
  decodeRule,
  encodeDeleteRule,
  encodeDumpRules,
  encodeNewRule,
  isRuleAsWanted,
  RTM_DELRULE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_RULE,
  type Rule,
} from "../netlink/rule.ts";
import type { Holder } from "./holder.ts";
import type { LinkTable } from "./links.ts";
import { removedLine, type Retreat, retreatText } from "./log.ts";
import { gatherEvidence, type Kernel } from "./perform.ts";
import type { Running } from "./reception.ts";
import { judgeRemoval, nameCulprit, policyOf, type Verdict } from "./repair.ts";
import {
  changedItems,
  describeItem,
  holdsItem,
  isRouteThere,
  isSameDestination,
  isSameItem,
  type Item,
  itemsOf,
  kernelRoute,
  kernelRule,
  type LinkOf,
  linksOf,
  missingLink,
  routeModifiers,
} from "./routes.ts";

/** Room for the notifications of a routing daemon's work; more are made up for by a look at the tables. */
const GROUPS = [
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV6_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_IPV6_RULE,
];

/** Something that happened in a table, and the port of whoever did it. */
type Touched =
  & { readonly port: number }
  & ({ readonly route: Route } | { readonly rule: Rule });

/** An item that may be gone. */
interface Suspect {
  /** Undefined for a static item. */
  readonly running: Running | undefined;
  readonly item: Item;
  readonly port: number;
}

/** What the kernel has. */
interface Tables {
  readonly routes: readonly Route[];
  readonly rules: readonly Rule[];
}

/** Routes and rules of a process. */
export class Routing {
  readonly #holder: Holder;
  readonly #kernel: Kernel;
  readonly #linkOf: LinkOf;
  readonly #monitor: NetlinkMonitor;
  readonly #touched: Touched[] = [];
  readonly #repairedAt = new Map<string, readonly number[]>();
  /** Links that were down or missing since the last look: what led through them is gone. */
  readonly #broken = new Set<string>();
  #statics: readonly Item[] = [];
  #missedSome = false;

  /** Starts to listen. Throws SysError when the kernel gives no socket. */
  constructor(holder: Holder, kernel: Kernel, links: LinkTable, loop: Loop) {
    this.#holder = holder;
    this.#kernel = kernel;
    this.#linkOf = (name) => links.byName(name);
    this.#monitor = kernel.listen(GROUPS);
    loop.watch(this.#monitor.fd, () => {
      if (!this.#monitor.receive((message) => this.#hear(message))) this.#missedSome = true;
    });
  }

  /** A MASTER takes its routes, then its rules. */
  take(running: Running): void {
    const { virtual_routes = [], virtual_rules = [] } = running.instance;
    if (virtual_routes.length > 0) this.#detailed(running, "setting Virtual Routes");
    if (virtual_rules.length > 0) this.#detailed(running, "setting Virtual Rules");
    for (const item of itemsOf(running.instance)) this.#add(item);
  }

  /** It leaves them the other way round. */
  leave(running: Running): void {
    const { virtual_routes = [], virtual_rules = [] } = running.instance;
    if (virtual_rules.length > 0) this.#detailed(running, "removing Virtual Rules");
    if (virtual_routes.length > 0) this.#detailed(running, "removing Virtual Routes");
    for (const item of itemsOf(running.instance).reverse()) this.#remove(item);
  }

  /** Takes away all that an instance may have left in the tables, whether or not it is there. */
  withdraw(instance: VrrpInstance): void {
    for (const item of itemsOf(instance).reverse()) {
      if (!this.#isWanted(item)) this.#remove(item, true);
    }
  }

  /** A reload has changed what a MASTER holds: what is no longer wanted goes. */
  removeOld(running: Running, before: VrrpInstance): void {
    const { removed } = changedItems(itemsOf(before), itemsOf(running.instance));
    for (const item of removed.toReversed()) {
      // It may have moved to another instance by the same reload.
      if (!this.#isWanted(item)) this.#remove(item);
    }
  }

  /** And what is new comes, when its addresses are there. */
  addNew(running: Running, before: VrrpInstance): void {
    const { added } = changedItems(itemsOf(before), itemsOf(running.instance));
    for (const item of added) this.#add(item);
  }

  /** Addresses have gone and come: the kernel drops routes that prefer one that goes, and tells nobody. */
  restore(running: Running): void {
    this.#restore(itemsOf(running.instance));
  }

  /** The same of what follows nobody. */
  restoreStatics(): void {
    this.#restore(this.#statics);
  }

  #restore(items: readonly Item[]): void {
    for (const item of items) if (!isLeftAlone(item)) this.#add(item, { quiet: true });
  }

  /** The static routes and rules are to be these. */
  setStatics(items: readonly Item[]): void {
    const { removed, added } = changedItems(this.#statics, items);
    this.#statics = items;
    for (const item of removed.toReversed()) this.#remove(item);
    for (const item of added) this.#add(item);
  }

  /** Takes static items away that nobody may have added, or may have before us. */
  withdrawStatics(items: readonly Item[]): void {
    for (const item of items.toReversed()) this.#remove(item, true);
  }

  /** A link is down or gone. IPv4 routes go with it, and the kernel tells nobody. */
  linkDown(name: string): void {
    this.#broken.add(name);
  }

  /** Links have changed: what led through those that are back is put back. */
  linksChanged(): void {
    const back = [...this.#broken].filter((name) => this.#linkOf(name)?.up === true);
    if (back.length === 0) return;
    for (const name of back) this.#broken.delete(name);
    const items = [...this.#statics, ...this.#masters().flatMap((one) => itemsOf(one.instance))];
    for (const item of items) {
      if (linksOf(item).some((name) => back.includes(name))) this.#add(item, { quiet: true });
    }
  }

  /** Near the end of a turn: puts back what somebody else has taken. */
  repair(now: number): void {
    if (this.#touched.length === 0 && !this.#missedSome) return;
    const suspects = this.#suspects();
    this.#touched.length = 0;
    this.#missedSome = false;
    if (suspects.length === 0) return;
    const tables = this.#look(suspects);
    for (const suspect of suspects) {
      if (suspect.running === undefined) this.#repairStatic(suspect, tables, now);
      else this.#repairVirtual(suspect, suspect.running, tables, now);
    }
  }

  #repairVirtual(suspect: Suspect, running: Running, tables: Tables, now: number): void {
    // It may have given up because of another.
    if (running.state.name !== "MASTER") return;
    const { item, port } = suspect;
    const { verdict, repairs } = this.#judge(suspect, tables, now);
    if (verdict === "ignore") return;
    const what = describeItem(item);
    const retreat = { name: running.instance.name, what, port };
    if (verdict === "step-down") {
      this.#giveUp(running, retreat, repairs);
      return;
    }
    this.#add(item, { refused: () => this.#giveUp(running, retreat, undefined) });
    const who = nameCulprit(gatherEvidence(port, false));
    this.#holder.log("warning", removedLine(running.instance.name, what, who, repairs));
  }

  #repairStatic(suspect: Suspect, tables: Tables, now: number): void {
    const { verdict, repairs } = this.#judge(suspect, tables, now);
    if (verdict === "ignore") return;
    const what = `static ${describeItem(suspect.item)}`;
    if (verdict === "repair") {
      this.#add(suspect.item);
      this.#holder.log("notice", `Restoring deleted ${what}`);
      return;
    }
    const who = nameCulprit(gatherEvidence(suspect.port, true));
    this.#holder.log("error", `${what} was removed ${who} after ${repairs} repairs - left alone`);
  }

  #judge(
    { running, item, port: _ }: Suspect,
    tables: Tables,
    now: number,
  ): { readonly verdict: Verdict; readonly repairs: number } {
    const key = `${running?.key ?? ""} ${JSON.stringify(item)}`;
    const { verdict, repairedAt } = judgeRemoval(
      {
        policy: running === undefined ? "repair" : policyOf(running.instance),
        isBack: this.#kernel.isComing(item.spec) || this.#isThere(item, tables),
        noTrack: false,
        isLinkUp: item.kind === "rule" ||
          linksOf(item).every((name) => this.#linkOf(name)?.up === true),
      },
      this.#repairedAt.get(key) ?? [],
      now,
    );
    if (repairedAt.length === 0) this.#repairedAt.delete(key);
    else this.#repairedAt.set(key, repairedAt);
    return { verdict, repairs: repairedAt.length };
  }

  #giveUp(running: Running, retreat: Retreat, repairs: number | undefined): void {
    if (running.state.name !== "MASTER") return;
    this.#holder.giveUp(running);
    // Looking for the culprit takes its time: the peers come first.
    this.#kernel.flush();
    const who = nameCulprit(gatherEvidence(retreat.port, true));
    this.#holder.log("error", retreatText(retreat, who, repairs));
  }

  // --- the kernel ---

  #hear({ type, flags, payload, pid: port }: Message): void {
    const isReplaced = type === RTM_NEWROUTE && (flags & NLM_F_REPLACE) !== 0;
    if (type === RTM_DELROUTE || isReplaced) {
      const route = decodeRoute(payload);
      if (route !== undefined) this.#touched.push({ port, route });
    } else if (type === RTM_DELRULE) {
      const rule = decodeRule(payload);
      if (rule !== undefined) this.#touched.push({ port, rule });
    }
  }

  /** Those of a MASTER's and the static items that something has happened to. */
  #suspects(): Suspect[] {
    const suspects: Suspect[] = [];
    const consider = (running: Running | undefined, items: readonly Item[]): void => {
      for (const item of items) {
        if (isLeftAlone(item)) continue;
        const hit = this.#touched.find(this.#concerning(item));
        if (hit === undefined && !this.#missedSome) continue;
        suspects.push({ running, item, port: hit?.port ?? 0 });
      }
    };
    consider(undefined, this.#statics);
    for (const running of this.#masters()) consider(running, itemsOf(running.instance));
    return suspects;
  }

  /** Whether an event concerns an item; there may be thousands where a routing daemon works. */
  #concerning(item: Item): (touched: Touched) => boolean {
    if (item.kind === "rule") {
      const rule = kernelRule(item.spec);
      return (touched) => "rule" in touched && isRuleAsWanted(touched.rule, rule);
    }
    const route = kernelRoute(item.spec, this.#linkOf);
    if (route === undefined) return () => false;
    return (touched) => "route" in touched && isSameDestination(touched.route, route);
  }

  /** What the kernel has of the kinds and families that suspects are of. */
  #look(suspects: readonly Suspect[]): Tables {
    const routes: Route[] = [];
    const rules: Rule[] = [];
    const isWanted = (kind: Item["kind"], family: 4 | 6): boolean =>
      suspects.some(({ item }) => item.kind === kind && item.spec.family === family);
    for (const family of [4, 6] as const) {
      if (isWanted("route", family)) {
        // IPv6 routes that were joined have the protocol of the first.
        const only = family === 4 ? { protocol: RTPROT_KEEPALIVED } : {};
        this.#kernel.dump(encodeDumpRoutes({ family, ...only }), "listing the routes", (found) => {
          const route = decodeRoute(found.payload);
          if (route !== undefined) routes.push(route);
        });
      }
      if (isWanted("rule", family)) {
        this.#kernel.dump(encodeDumpRules(family), "listing the rules", (found) => {
          const rule = decodeRule(found.payload);
          if (rule !== undefined) rules.push(rule);
        });
      }
    }
    return { routes, rules };
  }

  #isThere(item: Item, { routes, rules }: Tables): boolean {
    if (item.kind === "rule") {
      const wanted = kernelRule(item.spec);
      return rules.some((there) => isRuleAsWanted(there, wanted));
    }
    const wanted = kernelRoute(item.spec, this.#linkOf);
    return wanted !== undefined && routes.some((there) => isRouteThere(there, wanted));
  }

  #add(
    item: Item,
    { quiet = false, refused }: { readonly quiet?: boolean; readonly refused?: () => void } = {},
  ): void {
    const doing = `adding ${describeItem(item)}`;
    const missing = missingLink(item, this.#linkOf);
    if (missing !== undefined) {
      this.#broken.add(missing);
      if (!quiet) this.#holder.log("error", `No interface ${missing} while ${doing}`);
      return;
    }
    const bytes = item.kind === "rule"
      ? encodeNewRule(kernelRule(item.spec))
      : encodeNewRoute(kernelRoute(item.spec, this.#linkOf)!, routeModifiers(item.spec));
    const coming = item.spec;
    const request = { bytes, doing };
    this.#kernel.queue({ request, expected: EEXIST, quiet, coming, ...(refused && { refused }) });
  }

  /** One that is not there is no error. */
  #remove(item: Item, quiet = false): void {
    const doing = `removing ${describeItem(item)}`;
    if (item.kind === "rule") {
      const request = { bytes: encodeDeleteRule(kernelRule(item.spec)), doing };
      this.#kernel.queue({ request, expected: ENOENT, quiet });
      return;
    }
    // Without its link it has gone with it.
    const route = kernelRoute(item.spec, this.#linkOf);
    if (route === undefined) return;
    this.#kernel.queue({
      request: { bytes: encodeDeleteRoute(route), doing },
      expected: ESRCH,
      quiet,
    });
  }

  #masters(): Running[] {
    return [...this.#holder.all()].filter(({ state }) => state.name === "MASTER");
  }

  /** Whether some MASTER holds an item, or it follows nobody. */
  #isWanted(item: Item): boolean {
    return this.#statics.some((one) => isSameItem(one, item)) ||
      this.#masters().some(({ instance }) => holdsItem(instance, item));
  }

  #detailed(running: Running, text: string): void {
    this.#holder.log("info", `(${running.instance.name}) ${text}`, true);
  }
}

/** What nobody watches over: `no_track`, and what the kernel itself removes in time. */
function isLeftAlone({ kind, spec }: Item): boolean {
  return spec.no_track || (kind === "route" && spec.expires !== undefined);
}
