/**
 * Whether a packet counts for an instance: an advert's own soundness, authentication, and what the
 * configuration asks of it, in keepalived's order; the first reason against it is its verdict.
 */

import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, formatAddress } from "../lib/address.ts";
import type { Advert, AdvertError } from "../wire/vrrp.ts";
import type { Counters } from "./instance.ts";

/** Why an advert does not count: the codec's reasons and those that depend on the configuration. */
export type Rejection =
  | AdvertError
  | "ttl"
  | "other-cast"
  | "stranger"
  | "peer-ttl"
  | "other-version"
  | "auth-type-unknown"
  | "auth-type-other"
  | "auth-data"
  | "auth-replay"
  | "interval-other"
  | "owner"
  | AuthRejection;

/** Why a trailer does not authenticate an advert. */
export type AuthRejection =
  | "auth-ext-missing"
  | "auth-ext-malformed"
  | "auth-ext-unknown-key"
  | "auth-ext-invalid-hmac"
  | "auth-ext-stale"
  | "auth-ext-replay";

/** The counter of a rejection; undefined for adverts that are meant to be ignored. */
export function counterOf(rejection: Rejection): keyof Counters | undefined {
  switch (rejection) {
    case "length":
    case "checksum":
      return "packet_len_err";
    case "ttl":
    case "peer-ttl":
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
    case "auth-replay":
      return "auth_failure";
    case "auth-ext-missing":
      return "auth_ext_missing";
    case "auth-ext-malformed":
      return "auth_ext_malformed";
    case "auth-ext-unknown-key":
      return "auth_ext_unknown_key";
    case "auth-ext-invalid-hmac":
      return "auth_ext_invalid_hmac";
    case "auth-ext-stale":
      return "auth_ext_stale";
    case "auth-ext-replay":
      return "auth_ext_replay";
    case "owner":
      return undefined;
  }
}

/** A packet that came in; 0 or empty where it was too short to tell. Views of the receive buffer. */
export interface Received {
  readonly vrid: number;
  readonly source: Address;
  readonly destination: Address;
  /** What it says, or why it says nothing. */
  readonly advert: Advert | AdvertError;
  /** TTL or hop limit. */
  readonly ttl: number;
  /** Bytes from the VRRP header on. */
  readonly length: number;
  /** Bytes after those that the header announces; negative when some of them are missing. */
  readonly surplus: number;
  readonly versionType: number;
  /** Whole seconds (version 2). */
  readonly interval: number;
  readonly authType: number;
  /** Version 2: the 8 bytes after the addresses. */
  readonly authData: Uint8Array;
}

/** Checks that need keys; each takes the same time for any data. */
export interface Secrets {
  /** Whether authentication data are what auth_pass makes of them. */
  hasSecret(data: Uint8Array, authPass: string): boolean;
  /** What is wrong with the authentication header around a packet. */
  judgeAh(packet: Received): "auth-data" | "auth-replay" | undefined;
  /** What is wrong with the trailer of a packet that has one. */
  judgeTrailer(packet: Received): AuthRejection | undefined;
}

const OWNER = 255;
const HEADER_LENGTH = 8;
const TRAILER_LENGTH = 28;
const ADVERTISEMENT = 1;
const AUTH_NONE = 0;
const AUTH_PASS = 1;
const AUTH_AH = 2;

/** Whether a packet counts for an instance: undefined when it does, else the first reason why not. */
export function judge(
  instance: VrrpInstance,
  packet: Received,
  secrets: Secrets,
): Rejection | undefined {
  const { advert } = packet;
  const isUnicast = instance.unicast_peer.length > 0;
  if (packet.length < HEADER_LENGTH) return "length";
  if (!isUnicast && packet.ttl !== OWNER) return "ttl";
  const version = packet.versionType >> 4;
  if (version !== instance.version) {
    return version === 2 || version === 3 ? "other-version" : "version";
  }
  const rejection = judgeTrailer(instance, packet, secrets) ??
    (version === 2 ? judgeVersion2(instance, packet, secrets) : undefined);
  if (rejection !== undefined) return rejection;
  if ((packet.versionType & 15) !== ADVERTISEMENT) return "type";
  if (packet.surplus !== (hasTrailer(instance, packet) ? TRAILER_LENGTH : 0)) return "length";
  if (typeof advert === "string") return advert;
  if (isUnicast === isMulticast(packet.destination)) return "other-cast";
  if (ignoresAdverts(instance)) return "owner";
  return isUnicast && instance.check_unicast_src ? judgePeer(instance, packet) : undefined;
}

/** owner_ignore_adverts; strict_mode sets it for every owner. */
function ignoresAdverts(instance: VrrpInstance): boolean {
  const wanted = instance.owner_ignore_adverts === true || instance.strict_mode === true;
  return wanted && instance.priority === OWNER;
}

/** Whether what follows the message is its authenticating trailer. */
export function hasTrailer(instance: VrrpInstance, packet: Pick<Received, "surplus">): boolean {
  return instance.auth_hmac !== undefined && packet.surplus === TRAILER_LENGTH;
}

function judgeTrailer(
  instance: VrrpInstance,
  packet: Received,
  secrets: Secrets,
): AuthRejection | undefined {
  const { auth_hmac } = instance;
  if (auth_hmac === undefined) return undefined;
  if (hasTrailer(instance, packet)) return secrets.judgeTrailer(packet);
  if (packet.surplus > 0) return "auth-ext-malformed";
  // While it is rolled out, adverts of those that do not have it yet are taken as they are.
  const mode = instance.strict_mode === true ? "enforce" : auth_hmac.mode;
  return mode === "enforce" ? "auth-ext-missing" : undefined;
}

/** RFC 3768 §7.1: authentication and the interval must be ours. */
function judgeVersion2(
  instance: VrrpInstance,
  packet: Received,
  secrets: Secrets,
): Rejection | undefined {
  const { authentication, auth_hmac, family } = instance;
  // Over IPv6, where version 2 knows no authentication data, and under a trailer there is none.
  if (family === 4) {
    if (packet.authType > AUTH_AH) return "auth-type-unknown";
    const wanted = authTypeOf(instance);
    if (packet.authType !== wanted) return "auth-type-other";
    const isSecret = wanted === AUTH_PASS && auth_hmac === undefined;
    const pass = authentication?.auth_pass ?? "";
    if (isSecret && !secrets.hasSecret(packet.authData, pass)) return "auth-data";
    const rejection = wanted === AUTH_AH ? secrets.judgeAh(packet) : undefined;
    if (rejection !== undefined) return rejection;
  }
  return packet.interval * 1_000_000 === instance.advert_int ? undefined : "interval-other";
}

/** check_unicast_src: the sender is a peer, as many hops away as it may be. */
function judgePeer(instance: VrrpInstance, packet: Received): "stranger" | "peer-ttl" | undefined {
  const source = formatAddress(packet.source);
  const peer = instance.unicast_peer.find((one) => one.address === source);
  if (peer === undefined) return "stranger";
  const { min_ttl = 0, max_ttl = 255 } = peer;
  return packet.ttl < min_ttl || packet.ttl > max_ttl ? "peer-ttl" : undefined;
}

/** 224.0.0.0/4, ff00::/8. */
function isMulticast(address: Address): boolean {
  const first = address[0] ?? 0;
  return address.length === 4 ? first >= 224 && first < 240 : first === 0xff;
}

/** The authentication type in an instance's adverts: RFC 2338 §5.3.6. */
export function authTypeOf(instance: VrrpInstance): number {
  const { version, family, authentication, auth_hmac } = instance;
  if (version !== 2 || family !== 4 || auth_hmac !== undefined) return AUTH_NONE;
  if (authentication === undefined) return AUTH_NONE;
  return authentication.auth_type === "PASS" ? AUTH_PASS : AUTH_AH;
}

/** What is wrong with a packet, in keepalived's phrase where it has one, with the peer named. */
export function explainRejection(
  instance: VrrpInstance,
  rejection: Rejection,
  packet: Received,
): string {
  const { version } = instance;
  const trailer = "authentication trailer";
  const phrase: Record<Rejection, string> = {
    "length": packet.surplus > 0
      ? `vrrp packet too long, ${packet.surplus} bytes more than announced`
      : `vrrp packet too short, length ${packet.length}`,
    "checksum": `Invalid VRRPv${version} checksum`,
    "ttl": `invalid TTL/HL. Received ${packet.ttl} and expect 255`,
    "peer-ttl": `TTL/HL ${packet.ttl} is not in the range set for this unicast peer`,
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
    "auth-data": authTypeOf(instance) === AUTH_AH
      ? "IPSEC-AH : invalid IPSEC HMAC-MD5 value. Due to fields mutation or bad password !"
      : "received an invalid passwd!",
    "auth-replay": "IPSEC-AH : sequence number already processed. Packet dropped",
    "auth-ext-missing": `advert without ${trailer}`,
    "auth-ext-malformed": `malformed ${trailer}`,
    "auth-ext-unknown-key": `${trailer} signed with a key that is not configured`,
    "auth-ext-invalid-hmac": `invalid HMAC in ${trailer} - another key, or a forged advert`,
    "auth-ext-stale": `stale ${trailer} - the clocks differ by more than time_window, or a replay`,
    "auth-ext-replay": `replayed ${trailer}`,
    "owner": "owner_ignore_adverts",
  };
  return `(${instance.name}) ${phrase[rejection]} (from ${formatAddress(packet.source)})`;
}
