/**
 * What an instance needs to authenticate adverts by more than a password: its keys, and a memory of numbers
 * that count once. `auth_type AH` has a sequence number (RFC 2402 §2.5), `auth_hmac` a stamp (stamps.ts).
 */

import type { VrrpInstance } from "../config/vrrp.ts";
import { type StampMemory, stampMemory } from "./stamps.ts";

/** Keys and numbers of one instance. A reload keeps the numbers. */
export interface AuthState {
  /** By the id in the trailer; AH's only one has the id 0. */
  readonly keys: ReadonlyMap<number, Uint8Array>;
  /** AH sequence numbers. */
  readonly ah: {
    /** The greatest one heard, of whomever: 0 to 2^32 - 1. */
    heard: number;
    /** The last one sent. */
    sent: number;
  };
  readonly stamps: StampMemory;
}

/** The clock that numbers begin at, so that a router that was started again is no echo of itself: since 2020, */
const AH_EPOCH_US = 1_577_836_800_000_000;
/**
 * four a second, till 2054. An advert leaves once a second at most, and what leaves between, as an answer, does
 * not put the numbers ahead of the clock for good.
 */
const AH_TICK_US = 250_000;

/** Whether an instance's packets are AH packets. */
export function isAh(instance: VrrpInstance): boolean {
  return instance.version === 2 && instance.family === 4 && instance.auth_hmac === undefined &&
    instance.authentication?.auth_type === "AH";
}

/** Whether an instance's adverts end with a trailer. */
export function sendsTrailer({ auth_hmac }: VrrpInstance): boolean {
  return auth_hmac !== undefined && auth_hmac.mode !== "receive-only";
}

/** The memory of an instance, with the numbers of `previous`; undefined when it needs none. */
export function authState(instance: VrrpInstance, previous?: AuthState): AuthState | undefined {
  const { auth_hmac, authentication, unicast_peer } = instance;
  if (auth_hmac === undefined && !isAh(instance)) return undefined;
  return {
    keys: auth_hmac === undefined
      ? new Map([[0, ahKey(authentication?.auth_pass ?? "")]])
      : new Map(auth_hmac.keys.map(({ id, key }) => [id, Uint8Array.fromHex(key)])),
    ah: previous?.ah ?? { heard: 0, sent: 0 },
    stamps: stampMemory(unicast_peer.length, previous?.stamps),
  };
}

/** A password's first 8 bytes (RFC 2338 §5.3.10); the zeros after a shorter one change no HMAC. */
function ahKey(pass: string): Uint8Array {
  return new TextEncoder().encode(pass).subarray(0, 8);
}

/** The next AH sequence number to send, at `wallUs` since 1970. */
export function nextAhSequence({ ah }: AuthState, wallUs: number): number {
  const least = Math.max(ah.heard, ah.sent) + 1;
  const clock = Math.floor((wallUs - AH_EPOCH_US) / AH_TICK_US);
  ah.sent = Math.min(Math.max(least, clock), 0xffff_ffff);
  return ah.sent;
}

/** Whether an authentic AH sequence number is new; if so it is remembered. */
export function acceptAhSequence({ ah }: AuthState, sequence: number): boolean {
  if (sequence <= ah.heard) return false;
  ah.heard = sequence;
  return true;
}
