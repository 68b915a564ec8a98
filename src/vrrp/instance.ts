/**
 * One vrrp_instance at run time: the router the state machine sees, why it may not take part, what an
 * advert must be like to count, and what has been counted.
 */

import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, formatAddress } from "../lib/address.ts";
import type { Advert, AdvertError } from "../wire/vrrp.ts";
import type { VirtualRouter } from "./state.ts";

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
  pri_zero_rcvd: number;
  pri_zero_sent: number;
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
    pri_zero_rcvd: 0,
    pri_zero_sent: 0,
  };
}

/** RFC 9568 §6.1: Active_Down_Interval is three intervals and the skew. */
const DOWN_TIMER_ADVERTS = 3;
const OWNER = 255;

/** The router of an instance that speaks with `address`; strict_mode overrides what the RFC does not know. */
export function virtualRouter(instance: VrrpInstance, address: Address): VirtualRouter {
  const isStrict = instance.strict_mode === true;
  const downTimerAdverts = instance.down_timer_adverts ?? DOWN_TIMER_ADVERTS;
  return {
    version: instance.version,
    priority: instance.priority,
    advertisementIntervalUs: instance.advert_int,
    downTimerAdverts: isStrict ? DOWN_TIMER_ADVERTS : downTimerAdverts,
    preempt: !instance.nopreempt,
    preemptDelayUs: isStrict ? 0 : instance.preempt_delay,
    startsAsMaster: isStrict ? instance.priority === OWNER : instance.state === "MASTER",
    lowerPriorityNoAdvert: isStrict || instance.lower_prio_no_advert === true,
    higherPrioritySendAdvert: !isStrict && instance.higher_prio_send_advert === true,
    timerExpiredPriority: instance.timer_expired_backup,
    address,
    garp: {
      repeat: instance.garp_master_repeat,
      delayUs: instance.garp_master_delay,
      refreshUs: instance.garp_master_refresh,
      refreshRepeat: instance.garp_master_refresh_repeat,
      lowerPriorityRepeat: isStrict ? 0 : instance.garp_lower_prio_repeat,
      lowerPriorityDelayUs: isStrict ? 0 : instance.garp_lower_prio_delay,
    },
  };
}

/** Why an advert does not count: the codec's reasons and those that depend on the configuration. */
export type Rejection =
  | AdvertError
  | "ttl"
  | "other-cast"
  | "stranger"
  | "other-version"
  | "auth-type-unknown"
  | "auth-type-other"
  | "auth-data"
  | "interval-other";

/** The counter of a rejection. */
export function counterOf(rejection: Rejection): keyof Counters {
  switch (rejection) {
    case "length":
    case "checksum":
      return "packet_len_err";
    case "ttl":
      return "ip_ttl_err";
    case "version":
    case "other-version":
    case "other-cast":
    case "stranger":
    case "type":
      return "invalid_type_rcvd";
    case "count":
      return "addr_list_err";
    case "interval":
    case "interval-other":
      return "advert_interval_err";
    case "auth-type-unknown":
      return "invalid_authtype";
    case "auth-type-other":
      return "authtype_mismatch";
    case "auth-data":
      return "auth_failure";
  }
}

/** A packet that came in; 0 where it was too short to tell. Views of the receive buffer. */
export interface Received {
  readonly vrid: number;
  readonly source: Address;
  readonly destination: Address;
  /** What it says, or why it says nothing. */
  readonly advert: Advert | AdvertError;
  readonly ttl: number;
  /** Bytes from the VRRP header on. */
  readonly length: number;
  readonly versionType: number;
  /** Whole seconds (version 2). */
  readonly interval: number;
  readonly authType: number;
}

/** What is wrong with a packet, in keepalived's phrase, with the peer named. */
export function explainRejection(
  instance: VrrpInstance,
  rejection: Rejection,
  packet: Received,
): string {
  const { version } = instance;
  const phrase: Record<Rejection, string> = {
    "length": `vrrp packet too short, length ${packet.length}`,
    "checksum": `Invalid VRRPv${version} checksum`,
    "ttl": `invalid TTL/HL. Received ${packet.ttl} and expect 255`,
    "other-cast": isMulticast(packet.destination)
      ? "discarding multicast packet on unicast instance"
      : "discarding unicast packet on multicast instance",
    "stranger": `unicast source address ${formatAddress(packet.source)} not a unicast peer`,
    "version": `wrong version. Received ${packet.versionType >> 4} and expect ${version}`,
    "other-version": `wrong version. Received ${packet.versionType >> 4} and expect ${version}`,
    "type": `Invalid packet type. ${packet.versionType & 15} and expect 1`,
    "count": "received an unexpected ip number count 0",
    "interval": "advertisement interval 0 received",
    "interval-other": `advertisement interval mismatch mine=${
      instance.advert_int / 1_000_000
    } sec rcv'd=${packet.interval} sec`,
    "auth-type-unknown": `Invalid auth type: ${packet.authType}`,
    "auth-type-other": `received a ${packet.authType} auth, expecting ${authTypeOf(instance)}!`,
    "auth-data": "received an invalid passwd!",
  };
  return `(${instance.name}) ${phrase[rejection]} (from ${formatAddress(packet.source)})`;
}

const AUTH_NONE = 0;
const AUTH_PASS = 1;
const AUTH_AH = 2;

/**
 * Whether a packet counts for an instance: undefined when it does, else the first reason why not, in
 * keepalived's order. `hasSecret` tells, in constant time, whether authentication data are an
 * auth_pass.
 */
export function judge(
  instance: VrrpInstance,
  packet: Received,
  hasSecret: (data: Uint8Array, authPass: string) => boolean,
): Rejection | undefined {
  const { advert } = packet;
  const isUnicast = instance.unicast_peer.length > 0;
  if (isUnicast === isMulticast(packet.destination)) return "other-cast";
  if (!isUnicast && packet.ttl !== 255) return "ttl";
  if (typeof advert === "string") return advert;
  if (advert.version !== instance.version) return "other-version";
  const rejection = instance.version === 2 ? judgeVersion2(instance, advert, hasSecret) : undefined;
  if (rejection !== undefined || !isUnicast || !instance.check_unicast_src) return rejection;
  const source = formatAddress(packet.source);
  return instance.unicast_peer.some((peer) => peer.address === source) ? undefined : "stranger";
}

/** RFC 3768 §7.1: authentication and the interval must be ours. */
function judgeVersion2(
  instance: VrrpInstance,
  advert: Advert,
  hasSecret: (data: Uint8Array, authPass: string) => boolean,
): Rejection | undefined {
  if (advert.authType > AUTH_AH) return "auth-type-unknown";
  const wanted = authTypeOf(instance);
  if (advert.authType !== wanted) return "auth-type-other";
  const authPass = instance.authentication?.auth_pass ?? "";
  if (wanted === AUTH_PASS && !hasSecret(advert.authData, authPass)) return "auth-data";
  if (advert.advertisementIntervalUs !== instance.advert_int) return "interval-other";
  return undefined;
}

/** 224.0.0.0/4, ff00::/8. */
function isMulticast(address: Address): boolean {
  const first = address[0] ?? 0;
  return address.length === 4 ? first >= 224 && first < 240 : first === 0xff;
}

function authTypeOf(instance: VrrpInstance): number {
  return instance.authentication?.auth_type === "PASS" ? AUTH_PASS : AUTH_NONE;
}

/** Why an instance is in FAULT. */
export type FaultReason = "no-link" | "link-down" | "no-address";

/** A fault in words, for the log. */
export function explainFault(reason: FaultReason, instance: VrrpInstance): string {
  const link = instance.interface ?? "";
  switch (reason) {
    case "no-link":
      return `interface ${link} does not exist`;
    case "link-down":
      return `interface ${link} is down`;
    case "no-address":
      return `interface ${link} has no IPv${instance.family} address to send from`;
  }
}
