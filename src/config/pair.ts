/**
 * Two configurations that are to guard the same addresses: what they must agree on, and what decides
 * which of them is MASTER. Instances belong together when they have VRID and family in common.
 */
import { rangeOf } from "./election.ts";
import type { Find } from "./finding.ts";
import type { Config } from "./load.ts";
import type { Severity } from "./problem.ts";
import type { VirtualAddress, VrrpInstance } from "./vrrp.ts";

const OWNER = 255;

/** One of the two, with a name for it in sentences. */
export interface Side {
  readonly name: string;
  readonly config: Config;
}

/** One instance of each. */
interface Match {
  readonly a: VrrpInstance;
  readonly b: VrrpInstance;
  readonly left: Side;
  readonly right: Side;
  /** Says something about the instance of the left side. */
  readonly say: (
    severity: Severity,
    code: string,
    near: string,
    message: string,
    hint: string,
  ) => void;
}

/** Finds what is wrong between two configurations; places are those of the left one. */
export function comparePair(left: Side, right: Side, find: Find): void {
  const others = new Map(right.config.vrrp_instances.map((one) => [keyOf(one), one]));
  const byName = new Map(right.config.vrrp_instances.map((one) => [one.name, one]));
  const keys = new Set(left.config.vrrp_instances.map(keyOf));
  for (const a of left.config.vrrp_instances) {
    const say: Match["say"] = (severity, code, near, message, hint) =>
      find({ place: a.place, near, severity, code, message: `(${a.name}) ${message}`, hint });
    const b = others.get(keyOf(a));
    if (b !== undefined) compare({ a, b, left, right, say });
    else sayAlone(a, byName.get(a.name), right, say);
  }
  for (const b of right.config.vrrp_instances) {
    const namesake = left.config.vrrp_instances.some((one) => one.name === b.name);
    if (keys.has(keyOf(b)) || namesake) continue;
    find({
      place: undefined,
      severity: "warning",
      code: "pair_missing",
      message: `(${b.name}) VRID ${b.virtual_router_id} is in ${right.name} only`,
      hint: `add the instance to ${left.name}, or nobody takes over`,
    });
  }
}

function keyOf({ virtual_router_id, family }: VrrpInstance): string {
  return `${virtual_router_id} IPv${family}`;
}

function sayAlone(
  a: VrrpInstance,
  namesake: VrrpInstance | undefined,
  right: Side,
  say: Match["say"],
): void {
  const vrid = a.virtual_router_id;
  if (namesake === undefined) {
    const message = `VRID ${vrid} is not in ${right.name}`;
    say("warning", "pair_missing", "virtual_router_id", message, "add it, or nobody takes over");
  } else if (namesake.family !== a.family) {
    const message = `adverts go by IPv${a.family}, those of ${right.name} by IPv${namesake.family}`;
    say("error", "pair_family", "virtual_ipaddress", message, "start both with the same family");
  } else {
    const message = `VRID ${vrid}, but ${namesake.virtual_router_id} in ${right.name}: ` +
      "both will be MASTER";
    say("error", "pair_vrid", "virtual_router_id", message, "give both the same VRID");
  }
}

function compare(match: Match): void {
  compareProtocol(match);
  compareTransport(match);
  compareAddresses(match);
  compareElection(match);
}

/** Each router drops adverts of another version, secret or (in version 2) interval. */
function compareProtocol({ a, b, right, say }: Match): void {
  if (a.version !== b.version) {
    const message = `version ${a.version}, but ${b.version} in ${right.name}: ` +
      "neither accepts the other's adverts";
    say("error", "pair_version", "version", message, "set the same version on both");
  }
  const [ours, theirs] = [a.authentication, b.authentication];
  if (ours?.auth_type !== theirs?.auth_type) {
    const message = `authentication ${ours?.auth_type ?? "none"}, ` +
      `but ${theirs?.auth_type ?? "none"} in ${right.name}: neither accepts the other's adverts`;
    say("error", "pair_auth", "authentication", message, "set the same auth_type on both");
  } else if (ours?.auth_pass !== theirs?.auth_pass) {
    const message = `auth_pass differs from that of ${right.name}: ` +
      "neither accepts the other's adverts";
    say("error", "pair_auth", "auth_pass", message, "write the same auth_pass on both");
  }
  if (a.advert_int !== b.advert_int) {
    const [x, y] = [a.advert_int / 1e6, b.advert_int / 1e6];
    const isV2 = a.version === 2;
    const message = `advert_int ${x} s, but ${y} s in ${right.name}: ` +
      (isV2
        ? "version 2 drops adverts of another interval"
        : "the time to a take-over depends on who was MASTER");
    say(isV2 ? "error" : "lint", "pair_advert_int", "advert_int", message, "set the same on both");
  }
}

/** Adverts must get there: multicast to the same group, or unicast to each other. */
function compareTransport({ a, b, right, say }: Match): void {
  const [isUnicast, isTheirsUnicast] = [a, b].map((one) => one.unicast_peer.length > 0);
  if (isUnicast !== isTheirsUnicast) {
    const how = (unicast: boolean): string => unicast ? "unicast" : "multicast";
    const message = `adverts go by ${how(isUnicast!)}, those of ${right.name} by ` +
      `${how(isTheirsUnicast!)}: both will be MASTER`;
    say("error", "pair_transport", "unicast_peer", message, "list unicast peers on both, or none");
  } else if (!isUnicast && a.mcast_group !== b.mcast_group) {
    const message = `adverts go to ${a.mcast_group}, those of ${right.name} to ${b.mcast_group}`;
    say("error", "pair_transport", "interface", message, "set the same multicast group on both");
  } else if (
    isUnicast && b.unicast_src_ip !== undefined &&
    !a.unicast_peer.some((peer) => peer.address === b.unicast_src_ip)
  ) {
    const message = `${b.unicast_src_ip}, which ${right.name} sends from, is not among the peers`;
    say("error", "pair_peers", "unicast_peer", message, "add it to unicast_peer");
  }
}

/** Adverts name the addresses, and a router warns of those it does not have itself. */
function compareAddresses({ a, b, right, say }: Match): void {
  const differ = (
    key: "virtual_ipaddress" | "virtual_ipaddress_excluded",
    severity: Severity,
  ): void => {
    const here = missing(a[key], b[key]);
    const there = missing(b[key], a[key]);
    if (here.length + there.length === 0) return;
    const parts = [
      ...here.length === 0 ? [] : [`${here.join(", ")} only here`],
      ...there.length === 0 ? [] : [`${there.join(", ")} only in ${right.name}`],
    ];
    const message = `${key} differs: ${parts.join("; ")}`;
    say(severity, "pair_addresses", key, message, "list the same addresses on both");
  };
  differ("virtual_ipaddress", "error");
  differ("virtual_ipaddress_excluded", "warning");
}

function missing(
  these: readonly VirtualAddress[],
  those: readonly VirtualAddress[],
): readonly string[] {
  const known = new Set(those.map(({ address }) => address));
  return these.filter(({ address }) => !known.has(address)).map(({ address }) => address);
}

/** Who is MASTER, and whether a failure can change that. */
function compareElection({ a, b, left, right, say }: Match): void {
  if (a.priority === OWNER && b.priority === OWNER) {
    const message = `priority 255, and in ${right.name} too: an address has one owner`;
    say("error", "pair_owners", "priority", message, "leave 255 to one, or to none of them");
    return;
  }
  const [ours, theirs] = [rangeOf(a, left.config), rangeOf(b, right.config)];
  if (ours.best === theirs.best) {
    const message = `priority ${ours.best}, and in ${right.name} too: ` +
      "the higher IP address decides, if both are up at once";
    say("lint", "pair_priorities", "priority", message, "give the preferred one the higher one");
  } else if (a.state === "MASTER" && b.state === "MASTER") {
    const message = `state MASTER, and in ${right.name} too: both start as MASTER`;
    say("lint", "pair_states", "state", message, "write state BACKUP on one, or on both");
  }
  sayStuck(ours, theirs, right.name, say);
  if (theirs.weights.length > 0 && theirs.best > ours.best && theirs.worst >= ours.best) {
    const message = `${right.name} does not come below ${ours.best} whatever fails there ` +
      `(${theirs.arithmetic}): no check there ever brings this router up`;
    const hint = `weights must take ${right.name} below ${ours.best}`;
    say("lint", "pair_weights", "priority", message, hint);
  }
}

/** A check that fails must be able to hand over, or it is there for nothing. */
function sayStuck(
  ours: ReturnType<typeof rangeOf>,
  theirs: ReturnType<typeof rangeOf>,
  other: string,
  say: Match["say"],
): void {
  if (ours.weights.length === 0 || ours.best <= theirs.best || ours.worst < theirs.best) return;
  const near = ours.weights[0]!.what.split(" ")[0]!;
  const than = ours.worst === theirs.best ? "equal to" : "above";
  const message = `when everything tracked fails the priority is ${ours.arithmetic}` +
    `, still ${than} the ${theirs.best} of ${other}: ` +
    "no failure hands over";
  const least = ours.worst - theirs.best + 1;
  say("lint", "pair_weights", near, message, `the weights must take off at least ${least} more`);
}
