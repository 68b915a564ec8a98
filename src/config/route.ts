/** Routes and rules as configurations say them. Names are numbers already; plain JSON. */

/** An address with the family it is written in. */
export interface Via {
  readonly family: 4 | 6;
  readonly address: string;
}

/** A lightweight tunnel; `type` says which of the other fields there are. */
export interface RouteEncap {
  readonly type: "mpls" | "ip" | "ip6" | "ila";
  /** mpls: the stack of labels. */
  readonly labels?: readonly number[];
  /** ip, ip6. */
  readonly id?: string;
  readonly dst?: string;
  readonly src?: string;
  readonly tos?: number;
  readonly ttl?: number;
  readonly hoplimit?: number;
  readonly flags?: number;
  /** ila: the 64 bits of the locator, in hexadecimal groups. */
  readonly locator?: string;
}

/** One way out. */
export interface RouteNexthop {
  readonly via?: Via;
  readonly dev?: string;
  /** 1 to 256. */
  readonly weight?: number;
  readonly onlink?: boolean;
  readonly encap?: RouteEncap;
  readonly realms?: number;
}

/** Metrics of a route (RTAX_*), by their keyword. */
export type RouteMetric =
  | "mtu"
  | "advmss"
  | "hoplimit"
  | "rtt"
  | "rttvar"
  | "reordering"
  | "window"
  | "cwnd"
  | "ssthresh"
  | "rto_min"
  | "initcwnd"
  | "initrwnd"
  | "quickack"
  | "fastopen_no_cookie";

/** One entry of virtual_routes or static_routes. */
export interface Route extends RouteNexthop {
  readonly family: 4 | 6;
  /** ADDR/LEN, or "default". */
  readonly to: string;
  /** Keyword of the type; unicast when absent. */
  readonly type?: string;
  readonly from?: string;
  readonly src?: string;
  readonly tos?: number;
  readonly table?: number;
  readonly protocol?: number;
  readonly scope?: number;
  readonly metric?: number;
  /** Microseconds. */
  readonly expires?: number;
  /** In the kernel's own units. */
  readonly metrics?: { readonly [K in RouteMetric]?: number };
  /** Metrics the kernel may not change. */
  readonly locked?: readonly (RouteMetric | "congctl")[];
  readonly congctl?: string;
  readonly ecn?: boolean;
  /** 0 medium, 1 high, 3 low. */
  readonly pref?: number;
  readonly ttl_propagate?: boolean;
  /** Where it goes among equal routes. */
  readonly order?: "add" | "append";
  readonly nexthops?: readonly RouteNexthop[];
  readonly no_track: boolean;
  readonly track_group?: string;
  /** The VRF whose table it goes to. */
  readonly vrf?: string;
}

/** What a rule does. */
export type RuleAction =
  | { readonly type: "table"; readonly table: number }
  | { readonly type: "goto"; readonly target: number }
  | { readonly type: "nop" | "blackhole" | "unreachable" | "prohibit" | "l3mdev" };

/** A range of numbers, both ends in it. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** One entry of virtual_rules or static_rules. */
export interface Rule {
  readonly family: 4 | 6;
  readonly action: RuleAction;
  readonly priority: number;
  readonly not: boolean;
  /** ADDR/LEN. */
  readonly from?: string;
  readonly to?: string;
  readonly iif?: string;
  readonly oif?: string;
  readonly tos?: number;
  readonly fwmark?: number;
  readonly fwmask?: number;
  readonly realms?: number;
  readonly suppress_prefixlength?: number;
  readonly suppress_ifgroup?: number;
  /** Decimal: it has 64 bits. */
  readonly tunnel_id?: string;
  readonly uidrange?: Range;
  readonly protocol?: number;
  readonly ipproto?: number;
  readonly sport?: Range;
  readonly dport?: Range;
  readonly no_track: boolean;
  readonly track_group?: string;
}

/** The protocol that tells what is tracked from what others have made (linux/rtnetlink.h). */
export const RTPROT_KEEPALIVED = 18;

/** What is said of another one. */
export function foreignProtocol(what: "Route" | "Rule"): string {
  const rest = "cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol";
  return `${what} ${rest}`;
}
