/**
 * One vrrp_instance at run time: the router the state machine sees, why it may not take part, and what
 * has been counted.
 */

import type { VirtualAddress, VrrpInstance } from "../config/vrrp.ts";
import type { Address } from "../lib/address.ts";
import type { GarpPolicy, VirtualRouter } from "./state.ts";

/** Statistics by keepalived's names (its JSON dump). */
export interface Counters {
  advert_rcvd: number;
  advert_sent: number;
  become_master: number;
  release_master: number;
  packet_len_err: number;
  advert_interval_err: number;
  ip_ttl_err: number;
  invalid_type_rcvd: number;
  addr_list_err: number;
  invalid_authtype: number;
  authtype_mismatch: number;
  auth_failure: number;
  auth_ext_missing: number;
  auth_ext_malformed: number;
  auth_ext_unknown_key: number;
  auth_ext_invalid_hmac: number;
  auth_ext_stale: number;
  auth_ext_replay: number;
  pri_zero_rcvd: number;
  pri_zero_sent: number;
  /** Ours: how often we did not run for longer than the peers wait, */
  stalls: number;
  /** adverts of another MASTER that were heard, or thrown away, while we were MASTER, */
  other_master_rcvd: number;
  /** and answers of other stations to the question who has our addresses. */
  address_conflict: number;
}

/** An instance on the links it lives on. */
export interface Placed {
  /** With its addresses on their links. */
  readonly instance: VrrpInstance;
  /** The VMAC that it speaks from, by name; undefined: it has none. */
  readonly vmac: string | undefined;
  /** The links that were made for it just now: what it holds on them is not there yet. */
  readonly made?: readonly string[];
}

/** The link its adverts travel by: its own, or a VRF that stands for all links in it; undefined: any. */
export function deviceOf({ interface: link, vrf }: VrrpInstance): string | undefined {
  return link ?? vrf;
}

/** Whether an instance needs more than the links there are, see premises.ts. */
export function needsPremises(instance: VrrpInstance): boolean {
  return wantsVmacs(instance) || isGuarded(instance) || instance.promote_secondaries === true;
}

/** Whether an instance wants links of its own, see vmac.ts. */
export function wantsVmacs(instance: VrrpInstance): boolean {
  const { use_vmac, use_ipvlan, use_vmac_addr } = instance;
  if (use_vmac !== undefined || use_ipvlan !== undefined || use_vmac_addr === true) return true;
  const { virtual_ipaddress, virtual_ipaddress_excluded } = instance;
  const isOnVmac = (one: VirtualAddress): boolean => one.use_vmac === true;
  return virtual_ipaddress.some(isOnVmac) || virtual_ipaddress_excluded.some(isOnVmac);
}

/** Whether the addresses of an instance accept nothing while it is MASTER (RFC 9568 §6.1, Accept_Mode). */
export function isGuarded({ accept, priority }: VrrpInstance): boolean {
  return !accept && priority !== OWNER;
}

const LISTS = [
  "unicast_peer",
  "virtual_ipaddress",
  "virtual_ipaddress_excluded",
  "track_interface",
  "track_script",
  "track_process",
  "track_file",
  "track_bfd",
] as const;
const NONE: readonly never[] = [];

/**
 * An instance as it came from the parent, with one empty list in place of all its empty ones: that is half of
 * its memory. Changes what it is given.
 */
export function shareEmptyLists(instance: VrrpInstance): VrrpInstance {
  const draft = instance as { -readonly [K in keyof VrrpInstance]: VrrpInstance[K] };
  for (const name of LISTS) if (draft[name]?.length === 0) draft[name] = NONE;
  return instance;
}

/** All zero. */
export function freshCounters(): Counters {
  return {
    advert_rcvd: 0,
    advert_sent: 0,
    become_master: 0,
    release_master: 0,
    packet_len_err: 0,
    advert_interval_err: 0,
    ip_ttl_err: 0,
    invalid_type_rcvd: 0,
    addr_list_err: 0,
    invalid_authtype: 0,
    authtype_mismatch: 0,
    auth_failure: 0,
    auth_ext_missing: 0,
    auth_ext_malformed: 0,
    auth_ext_unknown_key: 0,
    auth_ext_invalid_hmac: 0,
    auth_ext_stale: 0,
    auth_ext_replay: 0,
    pri_zero_rcvd: 0,
    pri_zero_sent: 0,
    stalls: 0,
    other_master_rcvd: 0,
    address_conflict: 0,
  };
}

/** RFC 9568 §6.1: Active_Down_Interval is three intervals and the skew. */
const DOWN_TIMER_ADVERTS = 3;
const OWNER = 255;
/** 255 VRIDs in eight lanes. */
const VRIDS_PER_LANE = 32;

/**
 * The router of an instance that speaks with `address` and has this effective priority; strict_mode overrides
 * what the RFC does not know.
 */
export function virtualRouter(
  instance: VrrpInstance,
  address: Address,
  priority = instance.priority,
): VirtualRouter {
  const isStrict = instance.strict_mode === true;
  const downTimerAdverts = instance.down_timer_adverts ?? DOWN_TIMER_ADVERTS;
  return {
    version: instance.version,
    priority,
    advertisementIntervalUs: instance.advert_int,
    lane: Math.floor(instance.virtual_router_id / VRIDS_PER_LANE),
    downTimerAdverts: isStrict ? DOWN_TIMER_ADVERTS : downTimerAdverts,
    preempt: !instance.nopreempt,
    preemptDelayUs: isStrict ? 0 : instance.preempt_delay,
    startsAsMaster: isStrict ? instance.priority === OWNER : instance.state === "MASTER",
    lowerPriorityNoAdvert: isStrict || instance.lower_prio_no_advert === true,
    higherPrioritySendAdvert: !isStrict && instance.higher_prio_send_advert === true,
    timerExpiredPriority: instance.timer_expired_backup,
    address,
    garp: shared({
      repeat: instance.garp_master_repeat,
      delayUs: instance.garp_master_delay,
      refreshUs: instance.garp_master_refresh,
      refreshRepeat: instance.garp_master_refresh_repeat,
      lowerPriorityRepeat: isStrict ? 0 : instance.garp_lower_prio_repeat,
      lowerPriorityDelayUs: isStrict ? 0 : instance.garp_lower_prio_delay,
    }),
  };
}

let lastPolicy: GarpPolicy | undefined;

/** The same policy as before, if it says the same: most instances of a host have one. */
function shared(policy: GarpPolicy): GarpPolicy {
  const { repeat, delayUs, refreshUs, refreshRepeat, lowerPriorityRepeat, lowerPriorityDelayUs } =
    policy;
  const isSame = lastPolicy?.repeat === repeat && lastPolicy.delayUs === delayUs &&
    lastPolicy.refreshUs === refreshUs && lastPolicy.refreshRepeat === refreshRepeat &&
    lastPolicy.lowerPriorityRepeat === lowerPriorityRepeat &&
    lastPolicy.lowerPriorityDelayUs === lowerPriorityDelayUs;
  if (isSame) return lastPolicy!;
  lastPolicy = policy;
  return policy;
}

/** Why an instance is in FAULT. */
export type FaultReason =
  | "no-link"
  | "link-down"
  | "no-address"
  /** The same of the link of its own that it speaks from or holds its addresses on. */
  | "no-vmac"
  | "vmac-down"
  | "no-source"
  /** A link that a route or rule needs; one that an address goes to. */
  | "route-link"
  | "no-peer"
  | "configuration"
  /** Something it tracks is bad; a tracked script has not returned yet. */
  | "tracked"
  | "script-pending";

/** A fault in words, for the log; `tracked` are the words for what it tracks. */
export function explainFault(
  reason: FaultReason,
  instance: VrrpInstance,
  tracked = "",
  vmac = "",
): string {
  const link = deviceOf(instance) ?? "";
  switch (reason) {
    case "no-vmac":
      return `interface ${vmac} does not exist`;
    case "vmac-down":
      return `interface ${vmac} is down`;
    case "no-link":
      return `interface ${link} does not exist`;
    case "link-down":
      return `interface ${link} is down`;
    case "no-address":
      return `interface ${link} has no IPv${instance.family} address to send from`;
    case "no-source":
      return `no interface has the source address ${sourceOf(instance) ?? ""}`;
    case "route-link":
      return `an interface of its routes or rules is down or missing (${
        trackedLinks(instance).join(", ")
      })`;
    case "no-peer":
      return "no unicast peer is left";
    case "configuration":
      return instance.configuration_fault ?? "";
    case "tracked":
      return tracked;
    case "script-pending":
      return "waiting for a tracked script to return for the first time";
  }
}

/** The links that routes and rules of an instance lead through, unless told that they do not count. */
export function trackedLinks({ virtual_routes, virtual_rules }: VrrpInstance): string[] {
  const hops = (virtual_routes ?? []).filter((route) => !route.no_track)
    .flatMap((route) => [route, ...(route.nexthops ?? [])].map(({ dev }) => dev));
  const ends = (virtual_rules ?? []).filter((rule) => !rule.no_track)
    .flatMap(({ iif, oif }) => [iif, oif]);
  return [...new Set([...hops, ...ends].filter((name) => name !== undefined))];
}

/** The source address that the configuration asks for, as text. */
export function sourceOf(instance: VrrpInstance): string | undefined {
  return instance.unicast_src_ip ?? instance.mcast_src_ip ?? instance.use_ipvlan?.address;
}
