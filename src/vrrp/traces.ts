/**
 * What a daemon leaves on the links when everything of it dies at once: enough of its configuration to take
 * it away, and what of it a later configuration no longer names. Nothing secret is in it.
 */

import type { Config } from "../config/load.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { byKey, type Change, diff } from "./diff.ts";
import { isGuarded } from "./instance.ts";
import type { StaticItems } from "./routes.ts";

/** A configuration as what may be left of it. */
export function tracesOf(config: Config): Change[] {
  return diff(undefined, config).flatMap((change): Change[] => {
    if (change.type === "add") return [{ ...change, instance: traceOf(change.instance) }];
    return change.type === "globals" || change.type === "static" ? [change] : [];
  });
}

/**
 * Those of the traces of a predecessor that a configuration does not name; none for most. What it names is
 * its own to take over or away.
 */
export function abandoned(traces: readonly Change[], next: Config): Change[] {
  const named = byKey(next);
  const again = diff(undefined, next).find((change) => change.type === "static");
  const left = traces.flatMap((change): Change[] => {
    if (change.type === "globals") return [change];
    if (change.type === "static") return without(change.items, again?.items);
    if (change.type !== "add") return [];
    const heir = named.get(change.key);
    const isSame = heir !== undefined && isEqual(traceOf(heir), change.instance);
    return isSame ? [] : [change];
  });
  if (left.every(({ type }) => type === "globals")) return [];
  // Names and tables are the next configuration's again.
  return [...left, { type: "globals", globals: {} }];
}

function without(items: StaticItems, again: StaticItems | undefined): Change[] {
  const rest = <T>(list: readonly T[], kept: readonly T[] = []): T[] =>
    list.filter((one) => !kept.some((other) => isEqual(one, other)));
  const left = {
    addresses: rest(items.addresses, again?.addresses),
    routes: rest(items.routes, again?.routes),
    rules: rest(items.rules, again?.rules),
  };
  const isNothing = Object.values(left).every((list) => list.length === 0);
  return isNothing ? [] : [{ type: "static", items: left }];
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** What decides what an instance has on the links. */
const TRACES: readonly (keyof VrrpInstance)[] = [
  "name",
  "family",
  "virtual_router_id",
  "interface",
  "mcast_src_ip",
  "virtual_ipaddress",
  "virtual_ipaddress_excluded",
  "virtual_routes",
  "virtual_rules",
  "use_vmac",
  "use_vmac_addr",
  "use_ipvlan",
  "promote_secondaries",
];

/** As much of an instance as whoever takes its traces away looks at. */
function traceOf(instance: VrrpInstance): VrrpInstance {
  const kept = TRACES.map((key) => [key, instance[key]]).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(kept), accept: !isGuarded(instance) } as unknown as VrrpInstance;
}
