/** Routes in the words of `ip -j -N -d route show`, to be compared with what it says itself. */

import { type Address, familyOf, formatAddress } from "../../src/lib/address.ts";
import type { Encap } from "../../src/netlink/encap.ts";
import type { Prefix } from "../../src/netlink/family.ts";
import type { Nexthop, Route } from "../../src/netlink/route.ts";
import type { RouteMetrics } from "../../src/netlink/route_metrics.ts";

type Said = Record<string, unknown>;

const FLAGS: readonly [number, string][] = [
  [1, "dead"],
  [2, "pervasive"],
  [4, "onlink"],
  [16, "linkdown"],
];

/** A route as `ip` would show it; `names` are the links'. */
export function routeAsIpSays(route: Route, names: ReadonlyMap<number, string>): Said {
  const { nexthops, metrics } = route;
  const several = nexthops.length > 1;
  const hops = nexthops.map((nexthop) => nexthopAsIpSays(route, nexthop, names));
  return defined({
    type: String(route.type),
    dst: formatPrefix(route.destination),
    from: route.source && formatPrefix(route.source),
    tos: route.tos === 0 ? undefined : `0x${route.tos.toString(16)}`,
    table: String(route.table),
    protocol: String(route.protocol),
    scope: String(route.scope),
    prefsrc: route.preferredSource && formatAddress(route.preferredSource),
    metric: route.metric,
    expires: route.expires,
    pref: ["medium", "high", undefined, "low"][route.preference ?? 2],
    metrics: metrics && [metricsAsIpSays(metrics)],
    flags: [],
    ...(several ? { nexthops: hops } : hops[0]),
  });
}

/**
 * What `ip` said without what {@link routeAsIpSays} has no words for: the inside of an encapsulation
 * that we do not read.
 */
export function comparable(said: Said): Said {
  const { mode: _mode, segs: _segs, ...rest } = said;
  return rest;
}

function nexthopAsIpSays(
  { family, nexthops }: Route,
  nexthop: Nexthop,
  names: ReadonlyMap<number, string>,
): Said {
  const { gateway, index, flags = 0, realms, encap, weight } = nexthop;
  const said: Said = {
    flags: FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word),
  };
  if (index !== undefined) said["dev"] = names.get(index);
  if (nexthops.length > 1) said["weight"] = weight;
  if (realms !== undefined) {
    said["flow"] = defined({
      from: realms >>> 16 === 0 ? undefined : String(realms >>> 16),
      to: String(realms & 0xffff),
    });
  }
  if (gateway !== undefined) {
    const host = formatAddress(gateway);
    if (familyOf(gateway) === family) said["gateway"] = host;
    else said["via"] = { family: "inet6", host };
  }
  return { ...said, ...(encap && encapAsIpSays(encap)) };
}

function metricsAsIpSays(metrics: RouteMetrics): Said {
  const { rtt, rttvar, rtoMin, fastopenNoCookie, congctl, features, locked: _, ...same } = metrics;
  return defined({
    ...same,
    rtt: rtt && rtt / 8,
    rttvar: rttvar && rttvar / 4,
    rto_min: rtoMin,
    fastopen_no_cookie: fastopenNoCookie,
    congestion: congctl,
    ...(features === 1 ? { ecn: null } : {}),
  });
}

function encapAsIpSays(encap: Encap): Said {
  const text = (address: Address | undefined): string | undefined =>
    address && formatAddress(address);
  switch (encap.kind) {
    case "mpls":
      return defined({ encap: "mpls", dst: encap.labels.join("/"), ttl: encap.ttl });
    case "ip":
    case "ip6": {
      const { id, ttl, tos } = encap;
      const [source, destination] = [text(encap.source), text(encap.destination)];
      const ends = { encap: encap.kind, id: Number(id), src: source, dst: destination };
      return encap.kind === "ip" ? { ...ends, ttl, tos } : { ...ends, hoplimit: ttl, tc: tos };
    }
    case "ila": {
      const words = encap.locator.toHex().match(/..../g)!.map((word) => parseInt(word, 16));
      return {
        encap: "ila",
        locator: words.map((word) => word.toString(16)).join(":"),
        csum_mode: ["adj-transport", "neutral-map", "no-action"][encap.checksumMode!],
        ident_type: ["iid", "luid"][encap.identifierType!],
        hook_type: ["output", "input"][encap.hookType!],
      };
    }
    case "other":
      return { encap: encap.number === 5 ? "seg6" : encap.number };
  }
}

function formatPrefix({ address, length }: Prefix): string {
  if (length === 0) return "default";
  const text = formatAddress(address);
  return length === 8 * address.length ? text : `${text}/${length}`;
}

/** Without what is undefined. */
function defined(said: Said): Said {
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined));
}
