/**
 * Routes and rules of the configuration as the kernel is told of them. Pure: whoever asks knows the links.
 *
 * What is tracked carries protocol 18 whatever its line says: that is how ours are told from others'.
 * Scope and protocol are keepalived's choice where a line has none: scope global even for what is on the
 * link itself, protocol 18 for routes, none for rules that are not tracked.
 */

import type {
  Route as WantedRoute,
  RouteEncap,
  RouteMetric,
  RouteNexthop,
  Rule as WantedRule,
} from "../config/route.ts";
import type { VirtualAddress, VrrpInstance } from "../config/vrrp.ts";
import { type Address, parseAddress } from "../lib/address.ts";
import { assert } from "../lib/assert.ts";
import type { Encap } from "../netlink/encap.ts";
import { everything, isSamePrefix, type Prefix } from "../netlink/family.ts";
import type { Link } from "../netlink/link.ts";
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL } from "../netlink/message.ts";
import {
  type Nexthop,
  type Route,
  ROUTE_TYPES,
  RT_TABLE_MAIN,
  RTN_UNICAST,
  RTNH_F_ONLINK,
  RTPROT_KEEPALIVED,
} from "../netlink/route.ts";
import { isRouteAsWanted, isSamePlace } from "../netlink/route_match.ts";
import { type MetricName, type RouteMetrics, RTAX_FEATURE_ECN } from "../netlink/route_metrics.ts";
import type { Range, Rule, RuleAction } from "../netlink/rule.ts";

/** A route or rule of the configuration; its `spec` is what tells one from another. */
export type Item =
  | { readonly kind: "route"; readonly spec: WantedRoute }
  | { readonly kind: "rule"; readonly spec: WantedRule };

/** What static_ipaddress, static_routes and static_rules list. Plain JSON. */
export interface StaticItems {
  readonly addresses: readonly VirtualAddress[];
  readonly routes: readonly WantedRoute[];
  readonly rules: readonly WantedRule[];
}

/** Gives the link of a name. */
export type LinkOf = (name: string) => Link | undefined;

/** All of an instance, routes first; none for most. */
export function itemsOf(
  { virtual_routes = [], virtual_rules = [] }: Pick<
    VrrpInstance,
    "virtual_routes" | "virtual_rules"
  >,
): Item[] {
  return [
    ...virtual_routes.map((spec): Item => ({ kind: "route", spec })),
    ...virtual_rules.map((spec): Item => ({ kind: "rule", spec })),
  ];
}

/** Whether two items say the same. */
export function isSameItem(a: Item, b: Item): boolean {
  return a.kind === b.kind && isSameSpec(a.spec, b.spec);
}

/** Whether an item is one of an instance's. */
export function holdsItem(
  { virtual_routes = [], virtual_rules = [] }: Pick<
    VrrpInstance,
    "virtual_routes" | "virtual_rules"
  >,
  { kind, spec }: Item,
): boolean {
  const list: readonly Item["spec"][] = kind === "route" ? virtual_routes : virtual_rules;
  return list.some((one) => isSameSpec(one, spec));
}

/** Most differ in what is cheap to compare. */
function isSameSpec(a: Item["spec"], b: Item["spec"]): boolean {
  return a.family === b.family && a.to === b.to && JSON.stringify(a) === JSON.stringify(b);
}

/** What a reload takes away and adds. */
export function changedItems(
  before: readonly Item[],
  after: readonly Item[],
): { readonly removed: readonly Item[]; readonly added: readonly Item[] } {
  const key = (item: Item): string => JSON.stringify(item);
  const [was, is] = [new Set(before.map(key)), new Set(after.map(key))];
  return {
    removed: before.filter((item) => !is.has(key(item))),
    added: after.filter((item) => !was.has(key(item))),
  };
}

/** The names of the links that an item speaks of. */
export function linksOf(item: Item): string[] {
  const named = item.kind === "route"
    ? [item.spec.dev, ...(item.spec.nexthops ?? []).map(({ dev }) => dev)]
    : [item.spec.iif, item.spec.oif];
  return named.filter((name) => name !== undefined);
}

/** The first link that a route needs and that is not there; a rule needs none. */
export function missingLink(item: Item, linkOf: LinkOf): string | undefined {
  if (item.kind === "rule") return undefined;
  const { vrf } = item.spec;
  const needed = [...linksOf(item), ...(vrf === undefined ? [] : [vrf])];
  return needed.find((name) => linkOf(name) === undefined);
}

/** In words, for the log. */
export function describeItem(item: Item): string {
  const said = (word: string, value: string | number | undefined): string =>
    value === undefined ? "" : ` ${word} ${value}`;
  if (item.kind === "route") {
    const { type, to, via, dev, table, metric, nexthops = [] } = item.spec;
    const kind = type === undefined || type === "unicast" ? "" : `${type} `;
    const hops = nexthops.map((hop) => `${said("via", hop.via?.address)}${said("dev", hop.dev)}`);
    return `route ${kind}${to}${said("via", via?.address)}${said("dev", dev)}${hops.join("")}` +
      said("table", table) + said("metric", metric);
  }
  const { from, to, iif, oif, fwmark, priority, action } = item.spec;
  const does = action.type === "table"
    ? `table ${action.table}`
    : action.type === "goto"
    ? `goto ${action.target}`
    : action.type;
  return `rule priority ${priority}${said("from", from)}${said("to", to)}${said("iif", iif)}` +
    `${said("oif", oif)}${said("fwmark", fwmark)} ${does}`;
}

// --- routes ---

const METRICS: Readonly<Record<RouteMetric, Exclude<MetricName, "congctl" | "features">>> = {
  mtu: "mtu",
  advmss: "advmss",
  hoplimit: "hoplimit",
  rtt: "rtt",
  rttvar: "rttvar",
  reordering: "reordering",
  window: "window",
  cwnd: "cwnd",
  ssthresh: "ssthresh",
  rto_min: "rtoMin",
  initcwnd: "initcwnd",
  initrwnd: "initrwnd",
  quickack: "quickack",
  fastopen_no_cookie: "fastopenNoCookie",
};

/** RT_SCOPE_* that a type needs: the kernel refuses the others. */
const NEEDED_SCOPE: Readonly<Record<string, number>> = {
  local: 254,
  nat: 254,
  broadcast: 253,
  anycast: 253,
};

/** The route the kernel is asked for; undefined while {@link missingLink} names one. */
export function kernelRoute(spec: WantedRoute, linkOf: LinkOf): Route | undefined {
  if (missingLink({ kind: "route", spec }, linkOf) !== undefined) return undefined;
  const { family, type = "unicast", src, from, metric, pref, expires, ttl_propagate } = spec;
  const vrfTable = spec.vrf === undefined ? undefined : linkOf(spec.vrf)?.vrfTable;
  const metrics = metricsOf(spec);
  return {
    family,
    type: ROUTE_TYPES[type] ?? RTN_UNICAST,
    destination: spec.to === "default" ? everything(family) : prefixOf(spec.to),
    tos: spec.tos ?? 0,
    table: spec.table ?? vrfTable ?? RT_TABLE_MAIN,
    protocol: spec.no_track ? spec.protocol ?? RTPROT_KEEPALIVED : RTPROT_KEEPALIVED,
    scope: spec.scope ?? (family === 4 ? NEEDED_SCOPE[type] ?? 0 : 0),
    nexthops: nexthopsOf(spec, linkOf),
    ...(from === undefined ? {} : { source: prefixOf(from) }),
    ...(src === undefined ? {} : { preferredSource: addressOf(src) }),
    ...(metric === undefined ? {} : { metric }),
    ...(pref === undefined ? {} : { preference: pref }),
    ...(expires === undefined ? {} : { expires: Math.round(expires / 1_000_000) }),
    ...(ttl_propagate === undefined ? {} : { ttlPropagate: ttl_propagate }),
    ...(metrics === undefined ? {} : { metrics }),
  };
}

/** NLM_F_* for adding it: in front of equal routes unless its line says otherwise. */
export function routeModifiers({ order }: Pick<WantedRoute, "order">): number {
  if (order === undefined) return NLM_F_CREATE;
  return NLM_F_CREATE | (order === "add" ? NLM_F_EXCL : NLM_F_APPEND);
}

/**
 * Whether a route of the kernel's is, or holds, the wanted one: IPv6 joins routes to one destination, and
 * ours is then one way among others.
 */
export function isRouteThere(there: Route, wanted: Route): boolean {
  if (isRouteAsWanted(there, wanted)) return true;
  if (wanted.family === 4 || there.nexthops.length <= wanted.nexthops.length) return false;
  return there.type === wanted.type && isSamePlace(there, wanted) &&
    wanted.nexthops.every((wish) =>
      there.nexthops.some((one) => isRouteAsWanted(among(there, one), among(wanted, wish)))
    );
}

/** A route with one of its ways, and without what the first of joined routes decides for all. */
function among(route: Route, { weight: _, ...nexthop }: Nexthop): Route {
  const { metrics: _metrics, preferredSource: _source, ...rest } = route;
  return { ...rest, protocol: 0, nexthops: [nexthop] };
}

function nexthopsOf(spec: WantedRoute, linkOf: LinkOf): Nexthop[] {
  const { via, dev, onlink, encap, realms, nexthops } = spec;
  if (nexthops !== undefined) return nexthops.map((hop) => nexthopOf(hop, linkOf));
  const isNowhere = (via ?? dev ?? onlink ?? encap ?? realms) === undefined;
  return isNowhere ? [] : [nexthopOf(spec, linkOf)];
}

function nexthopOf(hop: RouteNexthop, linkOf: LinkOf): Nexthop {
  const { via, dev, weight, onlink, encap, realms } = hop;
  return {
    ...(dev === undefined ? {} : { index: linkOf(dev)!.index }),
    ...(via === undefined ? {} : { gateway: addressOf(via.address) }),
    ...(weight === undefined ? {} : { weight }),
    ...(onlink === true ? { flags: RTNH_F_ONLINK } : {}),
    ...(realms === undefined ? {} : { realms }),
    ...(encap === undefined ? {} : { encap: encapOf(encap) }),
  };
}

function encapOf(encap: RouteEncap): Encap {
  const { id, dst, src, tos, flags } = encap;
  switch (encap.type) {
    case "mpls":
      return { kind: "mpls", labels: encap.labels ?? [] };
    case "ip":
    case "ip6": {
      // IPv6 calls a TTL a hop limit; either word is understood.
      const ttl = encap.hoplimit ?? encap.ttl;
      return {
        kind: encap.type,
        ...(id === undefined ? {} : { id: BigInt(id) }),
        ...(dst === undefined ? {} : { destination: addressOf(dst) }),
        ...(src === undefined ? {} : { source: addressOf(src) }),
        ...(ttl === undefined ? {} : { ttl }),
        ...(tos === undefined ? {} : { tos }),
        ...(flags === undefined ? {} : { flags }),
      };
    }
    case "ila": {
      const groups = (encap.locator ?? "").split(":").map((group) => parseInt(group, 16));
      return { kind: "ila", locator: Uint8Array.from(groups.flatMap((n) => [n >> 8, n & 0xff])) };
    }
  }
}

function metricsOf({ metrics, locked = [], congctl, ecn }: WantedRoute): RouteMetrics | undefined {
  const found: { -readonly [K in keyof RouteMetrics]: RouteMetrics[K] } = {};
  for (const [name, value] of Object.entries(metrics ?? {})) {
    found[METRICS[name as RouteMetric]] = value;
  }
  if (congctl !== undefined) found.congctl = congctl;
  if (ecn === true) found.features = RTAX_FEATURE_ECN;
  if (locked.length > 0) {
    found.locked = locked.map((name) => name === "congctl" ? name : METRICS[name]);
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

// --- rules ---

const EVERY_BIT = 0xffff_ffff;

/** The rule the kernel is asked for. Links need not be there. */
export function kernelRule(spec: WantedRule): Rule {
  const { from, to, iif, oif, fwmark, fwmask = EVERY_BIT, tunnel_id, ipproto } = spec;
  const { uidrange, sport, dport } = spec;
  return {
    family: spec.family,
    tos: spec.tos ?? 0,
    protocol: spec.no_track ? spec.protocol ?? 0 : RTPROT_KEEPALIVED,
    priority: spec.priority,
    action: actionOf(spec),
    ...(spec.not ? { invert: true } : {}),
    ...(from === undefined ? {} : { from: prefixOf(from) }),
    ...(to === undefined ? {} : { to: prefixOf(to) }),
    ...(iif === undefined ? {} : { iif }),
    ...(oif === undefined ? {} : { oif }),
    ...(fwmark === undefined ? {} : { fwmark: { mark: fwmark, mask: fwmask } }),
    ...(tunnel_id === undefined ? {} : { tunnelId: BigInt(tunnel_id) }),
    ...(uidrange === undefined ? {} : { uidRange: rangeOf(uidrange) }),
    ...(ipproto === undefined ? {} : { ipProto: ipproto }),
    ...(sport === undefined ? {} : { sport: rangeOf(sport) }),
    ...(dport === undefined ? {} : { dport: rangeOf(dport) }),
  };
}

function actionOf(spec: WantedRule): RuleAction {
  const { action, realms, suppress_prefixlength, suppress_ifgroup } = spec;
  switch (action.type) {
    case "table":
      return {
        ...action,
        ...(realms === undefined ? {} : { realms }),
        ...(suppress_prefixlength === undefined
          ? {}
          : { suppressPrefixLength: suppress_prefixlength }),
        ...(suppress_ifgroup === undefined ? {} : { suppressGroup: suppress_ifgroup }),
      };
    case "goto":
      return { type: "goto", priority: action.target };
    case "nop":
    case "blackhole":
    case "unreachable":
    case "prohibit":
    case "l3mdev":
      return { type: action.type };
  }
}

function rangeOf({ start, end }: { readonly start: number; readonly end: number }): Range {
  return { first: start, last: end };
}

// --- text the configuration reader has already accepted ---

function prefixOf(text: string): Prefix {
  const slash = text.indexOf("/");
  assert(slash > 0, `prefix '${text}' of the configuration`);
  return { address: addressOf(text.slice(0, slash)), length: Number(text.slice(slash + 1)) };
}

function addressOf(text: string): Address {
  const address = parseAddress(text);
  assert(address !== undefined, `address '${text}' of the configuration`);
  return address;
}

/** Whether something that happened to a route concerns one of ours: where it leads decides. */
export function isSameDestination(a: Route, b: Route): boolean {
  return a.family === b.family && isSamePrefix(a.destination, b.destination);
}
