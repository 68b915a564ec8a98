/**
 * Sequence numbers of authenticated adverts: which one is next, and which ones have been seen.
 *
 * AH (RFC 2402 §3.3.2, §3.4.3): 32 bits. Whoever sends goes on from the greatest number heard, as keepalived
 * does; we begin no lower than the seconds since 1970, so that a router that was started again, whose
 * predecessor may have been MASTER a moment ago, is never taken for an echo of it.
 *
 * `auth_hmac` (draft-cassen-vrrp-auth-hmac): 64 bits that begin with the wall clock. In "time" mode an advert
 * from outside the window is stale, whoever sent it, and what was remembered of a sender expires with the
 * window, so that a clock that was put right does not lock its router out. In "monotonic" mode each sender's
 * numbers only have to grow.
 */

import type { AuthHmac, VrrpInstance } from "../config/vrrp.ts";
import type { Sequence, Trailer } from "../wire/vrrp_hmac.ts";

/** Concurrent senders of one VRID that are told apart besides configured peers. */
const STRANGERS = 4;
const SECOND_US = 1_000_000;

/** What an authenticated instance remembers. */
export interface AuthState {
  /** AH: the greatest number accepted from a peer, and the last one sent. */
  heard: number;
  sent: number;
  /** Trailers: the last number sent, and by sender the last one accepted, least recently used first. */
  last: Sequence;
  readonly marks: Map<string, Sequence>;
  readonly most: number;
  /** The keys as bytes, by id; for AH the password under 0. */
  readonly keys: ReadonlyMap<number, Uint8Array>;
}

/** Whether an instance's packets are AH packets. */
export function isAh(instance: VrrpInstance): boolean {
  return instance.version === 2 && instance.family === 4 && instance.auth_hmac === undefined &&
    instance.authentication?.auth_type === "AH";
}

/** Whether an instance's adverts carry a trailer. */
export function sendsTrailer(instance: VrrpInstance): boolean {
  return instance.auth_hmac !== undefined && instance.auth_hmac.mode !== "receive-only";
}

/**
 * What is to be remembered for an instance; undefined when it does not authenticate, or by a password only.
 * `before` is what was remembered under an earlier configuration: numbers live on, keys do not.
 */
export function authState(
  instance: VrrpInstance,
  before?: AuthState,
): AuthState | undefined {
  const { auth_hmac, authentication, unicast_peer } = instance;
  const keys = new Map<number, Uint8Array>();
  for (const { id, key } of auth_hmac?.keys ?? []) keys.set(id, Uint8Array.fromHex(key));
  if (isAh(instance)) keys.set(0, new TextEncoder().encode(authentication?.auth_pass).slice(0, 8));
  if (keys.size === 0) return undefined;
  return {
    heard: before?.heard ?? 0,
    sent: before?.sent ?? 0,
    last: before?.last ?? { seconds: 0, rest: 0 },
    marks: before?.marks ?? new Map(),
    most: unicast_peer.length + STRANGERS,
    keys,
  };
}

/** The next AH sequence number to send, at `wallUs` since 1970. */
export function nextAhSequence(state: AuthState, wallUs: number): number {
  const least = Math.max(state.heard, state.sent) + 1;
  state.sent = Math.min(Math.max(least, Math.floor(wallUs / SECOND_US)), 0xffff_ffff);
  return state.sent;
}

/** Whether an authentic AH sequence number is new; if so it is remembered. */
export function acceptAhSequence(state: AuthState, sequence: number): boolean {
  if (sequence <= state.heard) return false;
  state.heard = sequence;
  return true;
}

/** A moment of the wall clock as a sequence number. */
export function clockSequence(wallUs: number): Sequence {
  const seconds = Math.floor(wallUs / SECOND_US);
  const fraction = Math.floor(((wallUs - seconds * SECOND_US) * 65_536) / SECOND_US);
  return { seconds: seconds >>> 0, rest: (fraction << 16) >>> 0 };
}

/** The trailer of the next advert, at `wallUs` since 1970. */
export function nextTrailer(state: AuthState, hmac: AuthHmac, wallUs: number): Trailer {
  const clock = clockSequence(wallUs);
  const { last } = state;
  const aheadUs = age(last, clock.seconds) * -SECOND_US;
  // A clock that was put right has left our numbers beyond what anybody accepts.
  const isStranded = hmac.anti_replay === "time" && aheadUs > hmac.time_window;
  const isFirst = last.seconds === 0 && last.rest === 0;
  if (isFirst || isStranded || isAfter(clock, last)) state.last = clock;
  else if (last.rest < 0xffff_ffff) state.last = { seconds: last.seconds, rest: last.rest + 1 };
  else state.last = { seconds: (last.seconds + 1) >>> 0, rest: 0 };
  return { keyId: hmac.active_key, ...state.last };
}

/** By how much a trailer's clock differs from ours; positive is old. */
export function skewUs(trailer: Sequence, wallUs: number): number {
  return age(trailer, Math.floor(wallUs / SECOND_US)) * SECOND_US;
}

/** Whether a trailer is from outside the window; never in monotonic mode. */
export function isStale(hmac: AuthHmac, trailer: Sequence, wallUs: number): boolean {
  return hmac.anti_replay === "time" && Math.abs(skewUs(trailer, wallUs)) > hmac.time_window;
}

/** Whether an authentic trailer is newer than all before from `sender`; if so it is remembered. */
export function acceptTrailer(
  state: AuthState,
  hmac: AuthHmac,
  sender: string,
  { seconds, rest }: Sequence,
  wallUs: number,
): boolean {
  const mark = state.marks.get(sender);
  const isExpired = mark !== undefined && isStale(hmac, mark, wallUs);
  if (mark !== undefined && !isExpired && !isAfter({ seconds, rest }, mark)) return false;
  state.marks.delete(sender);
  if (state.marks.size >= state.most) {
    const [oldest] = state.marks.keys();
    state.marks.delete(oldest!);
  }
  state.marks.set(sender, { seconds, rest });
  return true;
}

/** Serial number arithmetic (RFC 1982): the wrap of the seconds in 2106 is no event. */
function isAfter(a: Sequence, b: Sequence): boolean {
  const seconds = (a.seconds - b.seconds) | 0;
  return seconds > 0 || (seconds === 0 && a.rest > b.rest);
}

/** How many seconds `sequence` lies before `seconds`, modulo 2^32. */
function age(sequence: Sequence, seconds: number): number {
  return (seconds - sequence.seconds) | 0;
}
