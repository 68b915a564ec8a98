/**
 * The stamps of `auth_hmac` trailers: which one to send next, and whether one that was heard is fresh.
 *
 * A stamp is the wall clock in 2^-16 s, with a counter of 16 bits behind it, as one number of 64 bits.
 * Whoever sends never goes back; whoever hears takes each sender's stamps in growing order only. In time
 * mode a stamp must also be near our own clock, and a memory that is not near it any more is void: so
 * both sides recover from a clock that was wrong and has been put right. In monotonic mode nothing is
 * void, and clocks may differ as they like.
 */

import type { AuthHmac } from "../config/vrrp.ts";

/** What an instance remembers of stamps; gone with the process. */
export interface StampMemory {
  /** The last one sent; 0 before the first. */
  sent: bigint;
  /** The greatest one of each sender, whoever was heard last at the end. */
  readonly heard: Map<string, bigint>;
  /** How many senders are remembered. */
  limit: number;
}

/** Senders that are remembered besides the configured peers. */
const STRANGERS = 4;
const SECOND_US = 1_000_000;

/** The memory of an instance with so many unicast peers, or `previous` if there is one. */
export function stampMemory(peers: number, previous: StampMemory | undefined): StampMemory {
  const memory = previous ?? { sent: 0n, heard: new Map<string, bigint>(), limit: 0 };
  memory.limit = peers + STRANGERS;
  return memory;
}

/** The stamp of a moment since 1970, with a counter of 0. The seconds wrap in 2106. */
export function stampAt(wallUs: number): bigint {
  const seconds = Math.floor(wallUs / SECOND_US);
  const fraction = Math.floor((wallUs - seconds * SECOND_US) * 65_536 / SECOND_US);
  return BigInt.asUintN(64, (BigInt(seconds) << 32n) | BigInt(fraction << 16 >>> 0));
}

/** The next stamp to send. */
export function nextStamp(memory: StampMemory, hmac: AuthHmac, wallUs: number): bigint {
  const clock = stampAt(wallUs);
  const isVoid = memory.sent === 0n || isStale(hmac, memory.sent, wallUs);
  const isBehind = !isVoid && !isNewer(clock, memory.sent);
  return memory.sent = isBehind ? BigInt.asUintN(64, memory.sent + 1n) : clock;
}

/** How far a stamp's clock is behind ours in microseconds; negative when it is ahead. */
export function stampAgeUs(stamp: bigint, wallUs: number): number {
  const seconds = BigInt(Math.floor(wallUs / SECOND_US)) - (stamp >> 32n);
  return Number(BigInt.asIntN(32, seconds)) * SECOND_US;
}

/** Whether a stamp is too far from our clock, on either side; never in monotonic mode. */
export function isStale(hmac: AuthHmac, stamp: bigint, wallUs: number): boolean {
  return hmac.anti_replay === "time" && Math.abs(stampAgeUs(stamp, wallUs)) > hmac.time_window;
}

/** Whether an authentic stamp of `sender` is newer than all before; if so it is remembered. */
export function acceptStamp(
  { heard, limit }: StampMemory,
  hmac: AuthHmac,
  sender: string,
  stamp: bigint,
  wallUs: number,
): boolean {
  const mark = heard.get(sender);
  if (mark !== undefined && !isNewer(stamp, mark) && !isStale(hmac, mark, wallUs)) return false;
  heard.delete(sender);
  heard.set(sender, stamp);
  if (heard.size > limit) heard.delete(heard.keys().next().value!);
  return true;
}

/** Whether `a` comes after `b`, across the wrap too. */
function isNewer(a: bigint, b: bigint): boolean {
  return BigInt.asIntN(64, a - b) > 0n;
}
