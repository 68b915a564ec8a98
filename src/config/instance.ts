/**
 * A vrrp_instance as written → one that is complete: defaults copied from global_defs, and settings
 * that exclude each other corrected with keepalived's messages.
 */
import type { Globals } from "./globals.ts";
import type { Problems } from "./problem.ts";
import type { Said } from "./readers.ts";
import type { Track, VirtualAddress, VrrpInstance } from "./vrrp.ts";
import { vrrpInstance, type WrittenInstance } from "./vrrp_keywords.ts";

const OWNER = 255;
const SECOND_US = 1_000_000;
const CENTISECOND_US = 10_000;
/** The longest interval that fits version 3's 12 bits of centiseconds. */
const LONGEST_V3_US = 40_950_000;

/** Says something about an instance as a whole; the log line carries no place. */
type Say = (message: string) => void;

/** Completes what the block of an instance says. */
export function completeInstance(
  { name, place, protocol, values: written }: Said<WrittenInstance>,
  globals: Globals,
  problems: Problems,
): VrrpInstance {
  const say: Say = (message) => problems.addAt(place, "general", `(${name}) ${message}`);
  const family = protocol.family === 6 ? 6 : 4;
  const version = protocol.version === 0 ? globals.vrrp_version : protocol.version;
  const link = written.interface;
  const onLink = (address: VirtualAddress): VirtualAddress =>
    link === undefined || address.dev !== undefined ? address : { ...address, dev: link };
  const peers = written.unicast_peer;
  // An empty block is another array than the one of an instance that has none.
  const hasPeerBlock = peers !== vrrpInstance.initial()["unicast_peer"];
  const speaksOfUnicast = hasPeerBlock || written.unicast_src_ip !== undefined;
  if (speaksOfUnicast && peers.length === 0) {
    say(
      "A unicast keyword has been specified without any unicast peers. Defaulting to multicast. " +
        "This usage is deprecated - please update your configuration.",
    );
  }
  const election = readElection(written, say);
  const authentication = readAuthentication(written, version, say);
  const masterWithAh = election.state === "MASTER" && authentication?.auth_type === "AH";
  if (masterWithAh) say("Initial state master is incompatible with AH authentication - clearing");
  return {
    name,
    place,
    version,
    family,
    ...election,
    ...(masterWithAh ? { state: "BACKUP" as const } : {}),
    ...definedOf(written, "interface", "mcast_src_ip", "unicast_src_ip"),
    virtual_router_id: written.virtual_router_id ?? 0,
    advert_int: advertInterval(written.advert_int, version, say),
    accept: written.accept ?? true,
    garp_master_delay: written.garp_master_delay ?? globals.vrrp_garp_master_delay,
    garp_master_repeat: written.garp_master_repeat ?? globals.vrrp_garp_master_repeat,
    garp_master_refresh: written.garp_master_refresh ?? globals.vrrp_garp_master_refresh,
    garp_master_refresh_repeat: written.garp_master_refresh_repeat ??
      globals.vrrp_garp_master_refresh_repeat,
    garp_lower_prio_delay: written.garp_lower_prio_delay ?? globals.vrrp_garp_lower_prio_delay,
    garp_lower_prio_repeat: written.garp_lower_prio_repeat ?? globals.vrrp_garp_lower_prio_repeat,
    mcast_group: family === 4 ? globals.vrrp_mcast_group4 : globals.vrrp_mcast_group6,
    unicast_peer: peers,
    check_unicast_src: written.check_unicast_src || globals.vrrp_check_unicast_src ||
      peers.some((peer) => peer.min_ttl !== undefined || peer.max_ttl !== undefined),
    ...(authentication === undefined ? {} : { authentication }),
    virtual_ipaddress: written.virtual_ipaddress.map(onLink),
    virtual_ipaddress_excluded: written.virtual_ipaddress_excluded.map(onLink),
    ...(written.no_virtual_ipaddress ? { no_virtual_ipaddress: true } : {}),
    track_script: written.track_script,
    track_interface: trackedElsewhere(written, say),
    track_process: written.track_process,
    ...definedOf(
      written,
      "notify",
      "notify_master",
      "notify_backup",
      "notify_fault",
      "notify_stop",
    ),
    smtp_alert: written.smtp_alert ?? globals.smtp_alert ?? false,
  };
}

/** The given fields, without those that were not written. */
function definedOf<K extends keyof WrittenInstance>(
  written: WrittenInstance,
  ...keys: readonly K[]
): { [P in K]?: NonNullable<WrittenInstance[P]> } {
  const found: { [P in K]?: NonNullable<WrittenInstance[P]> } = {};
  for (const key of keys) {
    const value = written[key];
    if (value !== undefined && value !== null) found[key] = value;
  }
  return found;
}

/** Priority, state and the two preemption settings, which depend on each other. */
function readElection(
  written: WrittenInstance,
  say: Say,
): Pick<VrrpInstance, "state" | "priority" | "nopreempt" | "preempt_delay"> {
  const priority = written.priority ?? (written.state === "MASTER" ? OWNER : 100);
  const state = written.state ?? (priority === OWNER ? "MASTER" : "BACKUP");
  let nopreempt = written.nopreempt;
  let preempt_delay = written.preempt_delay;
  if (nopreempt && priority === OWNER) {
    say("nopreempt is incompatible with priority 255. resetting nopreempt");
    nopreempt = false;
  }
  if (state === "MASTER" && nopreempt) {
    say("Warning - nopreempt will not work with initial state MASTER - clearing");
    nopreempt = false;
  }
  if (state === "MASTER" && preempt_delay > 0) {
    say("Warning - preempt delay will not work with initial state MASTER - clearing");
    preempt_delay = 0;
  }
  if (nopreempt && preempt_delay > 0) {
    say("preempt_delay is incompatible with nopreempt mode - resetting");
    preempt_delay = 0;
  }
  return { state, priority, nopreempt, preempt_delay };
}

/** Version 2 counts whole seconds, version 3 centiseconds in 12 bits. */
function advertInterval(us: number, version: 2 | 3, say: Say): number {
  const written = (us / SECOND_US).toFixed(6);
  if (version === 2) {
    if (us % SECOND_US === 0) return us;
    say(`VRRPv2 advertisement interval ${written}s must be an integer. rounding`);
    return Math.max(1, Math.round(us / SECOND_US)) * SECOND_US;
  }
  if (us > LONGEST_V3_US) {
    const seconds = (us / SECOND_US).toFixed(2);
    say(
      `VRRPv3 advertisement interval ${seconds}s is out of range. ` +
        "Must be less than 40.96s. Setting to 40.95s",
    );
    return LONGEST_V3_US;
  }
  if (us % CENTISECOND_US === 0) return us;
  say(`VRRPv3 advertisement interval ${written}s must be in units of 10ms - rounding`);
  return Math.round(us / CENTISECOND_US) * CENTISECOND_US;
}

function readAuthentication(
  { authentication }: WrittenInstance,
  version: 2 | 3,
  say: Say,
): VrrpInstance["authentication"] {
  const { auth_type, auth_pass } = authentication ?? {};
  if (auth_type === undefined) return undefined;
  if (version === 3) {
    say("VRRP version 3 does not support authentication. Ignoring.");
    return undefined;
  }
  if (auth_pass === undefined || auth_pass === "") {
    say("Authentication specified but no password given. Ignoring");
    return undefined;
  }
  return { auth_type, auth_pass };
}

/** Its own interface is tracked anyway. */
function trackedElsewhere(written: WrittenInstance, say: Say): readonly Track[] {
  return written.track_interface.filter(({ name }) => {
    if (name !== written.interface) return true;
    say(`Ignoring track_interface ${name} since own interface`);
    return false;
  });
}
