/**
 * Two MASTERs at once: when an election is only slow, and when it is a split brain that somebody has to be
 * told of. An election that works ends the moment either side hears the other; a MASTER that is heard again
 * and again while we are MASTER does not hear us, or is not understood here.
 */

import { type Address, compareAddress, formatAddress } from "../lib/address.ts";
import type { Rejection } from "./judge.ts";
import type { State, VirtualRouter } from "./state.ts";
import { activeDownIntervalUs } from "./timers.ts";

/** Another MASTER of the same VRID, as far as we have heard of it. */
export interface Rival {
  readonly source: string;
  /** The first and the last of its adverts in a row. */
  readonly since: number;
  readonly heardAt: number;
  readonly count: number;
  /** When it was last reported. */
  readonly reportedAt: number;
}

/** Fewer adverts than this are an election under way. */
const LEAST = 3;
/** A rival that goes on is reported again after this time. */
const REPORT_US = 60_000_000;

/** So many rivals at once are told apart. */
const MOST = 8;

/**
 * What is known of the rivals after one more advert of `source`, which comes last. `patienceUs` is how long
 * an election takes at most; after such a silence it is a new one. `isReport` says that the operator is to be
 * told now.
 */
export function hearRival(
  before: readonly Rival[],
  source: string,
  now: number,
  patienceUs: number,
): { readonly rivals: readonly Rival[]; readonly rival: Rival; readonly isReport: boolean } {
  const known = before.find((one) => one.source === source);
  const goesOn = known !== undefined && now - known.heardAt <= patienceUs;
  const since = goesOn ? known.since : now;
  const count = goesOn ? known.count + 1 : 1;
  const reportedAt = known?.reportedAt ?? -Infinity;
  const isReport = count >= LEAST && now - since >= patienceUs / 2 &&
    now - reportedAt >= REPORT_US;
  const rival = { source, since, heardAt: now, count, reportedAt: isReport ? now : reportedAt };
  const others = before.filter((one) => one !== known && now - one.heardAt < REPORT_US);
  return { rivals: [...others.slice(1 - MOST), rival], rival, isReport };
}

/** What is needed of an instance that may have a rival. */
interface Challenged {
  readonly router: VirtualRouter;
  readonly state: State;
  rivals: readonly Rival[];
  readonly counters: { other_master_rcvd: number };
}

/** What the operator is told of a rival. */
export interface RivalReport {
  readonly peer: string;
  readonly cause: string;
  readonly text: string;
}

/**
 * Notes an advert of somebody else, which counts while we are MASTER; the report that is to be made now.
 * `rejection` is why it was thrown away.
 */
export function noteRival(
  running: Challenged,
  source: Address,
  rejection: Rejection | undefined,
  now: number,
): RivalReport | undefined {
  const { router, state } = running;
  if (state.name !== "MASTER" || compareAddress(source, router.address) === 0) return undefined;
  running.counters.other_master_rcvd++;
  const patienceUs = activeDownIntervalUs(router, router.advertisementIntervalUs);
  const peer = formatAddress(source);
  const { rivals, rival, isReport } = hearRival(running.rivals, peer, now, patienceUs);
  running.rivals = rivals;
  if (!isReport) return undefined;
  const seconds = ((now - rival.since) / 1_000_000).toFixed(1);
  const text = `${peer} is MASTER too, ${rival.count} adverts in ${seconds} s`;
  return { peer, cause: likelyCause(rejection), text };
}

/** Why two routers are MASTER, as far as it can be told: `rejection` is what is wrong with its adverts. */
export function likelyCause(rejection: Rejection | undefined): string {
  switch (rejection) {
    case undefined:
      return "it does not hear our adverts (firewall, one-way link, filtered multicast), or it " +
        "rejects them (another version, interval or password)";
    case "other-version":
    case "version":
      return "the two use different versions of VRRP";
    case "interval-other":
      return "the two have different values of advert_int";
    case "auth-type-unknown":
    case "auth-type-other":
    case "auth-ext-missing":
      return "the two authenticate in different ways";
    case "auth-data":
    case "auth-ext-unknown-key":
    case "auth-ext-invalid-hmac":
      return "the two have different passwords or keys";
    case "auth-ext-stale":
      return "the clocks of the two differ by more than time_window";
    case "auth-replay":
    case "auth-ext-replay":
      return "its sequence numbers do not grow: replayed adverts, or a clock that went back";
    case "other-cast":
      return "one sends to unicast peers, the other to a multicast group";
    case "stranger":
      return "it is not among our unicast peers, and check_unicast_src is set";
    case "ttl":
    case "peer-ttl":
      return "its adverts come from further away than they may";
    case "checksum":
      return "its checksums are wrong here: address translation, or old_unicast_checksum";
    case "length":
    case "type":
    case "count":
    case "interval":
    case "auth-ext-malformed":
      return "its adverts are malformed, or another protocol uses this VRID";
    case "owner":
      return "it does not hear our adverts, and owner_ignore_adverts keeps us from yielding";
  }
}
