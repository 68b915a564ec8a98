/**
 * Whether a route in the kernel is the one we want. The kernel does not give back what it was given:
 * it finds the link from the gateway, fills in metric and preference, masks IPv6 prefixes, forgets
 * TOS, scope and realms for IPv6, drops the weight of a lone next hop and sends IPv6 refusals through
 * `lo`. All of that is no difference; what else differs is.
 */

import { compareAddress } from "../lib/address.ts";
import { isEncapAsWanted } from "./encap.ts";
import { everything, isSamePrefix } from "./family.ts";
import {
  IP6_RT_PRIO_USER,
  type Nexthop,
  type Route,
  RT_TABLE_MAIN,
  RTN_BLACKHOLE,
  RTN_PROHIBIT,
  RTN_THROW,
  RTN_UNREACHABLE,
  RTNH_F_ONLINK,
} from "./route.ts";
import { areMetricsAsWanted } from "./route_metrics.ts";

/** The types that lead nowhere. */
const REFUSALS: readonly number[] = [RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT, RTN_THROW];

/** Whether `there`, from a dump or a notification, is the route that `wanted` asks for. */
export function isRouteAsWanted(there: Route, wanted: Route): boolean {
  return isSamePlace(there, wanted) &&
    there.type === wanted.type &&
    there.protocol === wanted.protocol &&
    (wanted.family === 6 ? isAsWanted6(there, wanted) : there.scope === wanted.scope) &&
    isSameAddress(there.preferredSource, wanted.preferredSource) &&
    areMetricsAsWanted(there.metrics, wanted.metrics) &&
    areNexthopsAsWanted(there, wanted);
}

/**
 * Whether two routes compete for one place in a table: adding the one with NLM_F_EXCL while the
 * other is there answers EEXIST.
 */
export function isSamePlace(a: Route, b: Route): boolean {
  return a.family === b.family &&
    tableOf(a) === tableOf(b) &&
    metricOf(a) === metricOf(b) &&
    (a.family === 6 || a.tos === b.tos) &&
    isSamePrefix(a.destination, b.destination) &&
    isSamePrefix(a.source ?? everything(a.family), b.source ?? everything(b.family));
}

function tableOf({ table }: Route): number {
  return table === 0 ? RT_TABLE_MAIN : table;
}

function metricOf({ family, metric = 0 }: Route): number {
  return family === 6 && metric === 0 ? IP6_RT_PRIO_USER : metric;
}

function isAsWanted6(there: Route, wanted: Route): boolean {
  return (there.preference ?? 0) === (wanted.preference ?? 0) &&
    (there.expires === undefined) === (wanted.expires === undefined);
}

function areNexthopsAsWanted(there: Route, wanted: Route): boolean {
  if (REFUSALS.includes(wanted.type)) return true;
  if (there.nexthops.length !== wanted.nexthops.length) return false;
  const alone = wanted.nexthops.length === 1;
  // IPv6 keeps them in an order of its own.
  const left = [...there.nexthops];
  return wanted.nexthops.every((wish) => {
    const found = left.findIndex((nexthop) =>
      isNexthopAsWanted(nexthop, wish, wanted.family === 4) &&
      (alone || (nexthop.weight ?? 1) === (wish.weight ?? 1))
    );
    if (found >= 0) left.splice(found, 1);
    return found >= 0;
  });
}

function isNexthopAsWanted(there: Nexthop, wanted: Nexthop, realmsCount: boolean): boolean {
  const onlink = ((there.flags ?? 0) ^ (wanted.flags ?? 0)) & RTNH_F_ONLINK;
  return (wanted.index === undefined || there.index === wanted.index) &&
    isSameAddress(there.gateway, wanted.gateway) &&
    onlink === 0 &&
    (!realmsCount || (there.realms ?? 0) === (wanted.realms ?? 0)) &&
    isEncapAsWanted(there.encap, wanted.encap);
}

function isSameAddress(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.length === b.length && compareAddress(a, b) === 0;
}
