/**
 * A vrrp_instance as written → one that is complete: defaults copied from global_defs, and settings
 * that exclude each other corrected with keepalived's messages.
 */
import { completeAuthentication, completeHmac } from "./authentication.ts";
import type { Files } from "./files.ts";
import type { Globals } from "./globals.ts";
import type { Problems, Say } from "./problem.ts";
import type { Said } from "./readers.ts";
import { applyStrictMode } from "./strict_mode.ts";
import type { Track, VirtualAddress, VrrpInstance } from "./vrrp.ts";
import { vrrpInstance, type WrittenInstance } from "./vrrp_keywords.ts";

const OWNER = 255;
const SECOND_US = 1_000_000;
const CENTISECOND_US = 10_000;
/** The longest interval that fits version 3's 12 bits of centiseconds. */
const LONGEST_V3_US = 40_950_000;

/** Completes what the block of an instance says. */
export function completeInstance(
  { name, place, protocol, values: written }: Said<WrittenInstance>,
  globals: Globals,
  files: Files,
  problems: Problems,
): VrrpInstance {
  const say: Say = (message) => problems.addAt(place, "general", `(${name}) ${message}`);
  const family = protocol.family === 6 ? 6 : 4;
  const version = protocol.version === 0 ? globals.vrrp_version : protocol.version;
  const unicast = readUnicast(written, globals, say);
  const vmac = readVmac(written, unicast.unicast_peer.length > 0, family, say);
  const election = readElection(written, say);
  const authentication = completeAuthentication(written, version, say);
  const masterWithAh = election.state === "MASTER" && authentication?.auth_type === "AH";
  if (masterWithAh) say("Initial state master is incompatible with AH authentication - clearing");
  const advert_int = advertInterval(written.advert_int, version, say);
  const auth_hmac = completeHmac(written, advert_int, files, say);
  const complete: VrrpInstance = {
    name,
    place,
    version,
    family,
    ...election,
    ...(masterWithAh ? { state: "BACKUP" as const } : {}),
    ...definedOf(written, "interface", "mcast_src_ip", "unicast_src_ip"),
    virtual_router_id: written.virtual_router_id ?? 0,
    advert_int,
    accept: written.accept ?? true,
    ...readAnnouncements(written, globals),
    mcast_group: written.mcast_dst_ip ??
      (family === 4 ? globals.vrrp_mcast_group4 : globals.vrrp_mcast_group6),
    ...unicast,
    ...vmac,
    ...readProtocol(written, globals, election.nopreempt, say),
    ...(authentication === undefined || auth_hmac !== undefined ? {} : { authentication }),
    ...(auth_hmac === undefined ? {} : { auth_hmac }),
    ...addressesOf(written),
    ...(written.virtual_routes.length === 0 ? {} : { virtual_routes: written.virtual_routes }),
    ...(written.virtual_rules.length === 0 ? {} : { virtual_rules: written.virtual_rules }),
    ...trackersOf(written, election.priority === OWNER, say),
    ...notificationsOf(written, globals),
  };
  return complete.strict_mode === true ? applyStrictMode(complete, written, say) : complete;
}

/** How announcements are paced and repeated. */
function readAnnouncements(
  written: WrittenInstance,
  globals: Globals,
): Pick<
  VrrpInstance,
  | "garp_master_delay"
  | "garp_master_repeat"
  | "garp_master_refresh"
  | "garp_master_refresh_repeat"
  | "garp_lower_prio_delay"
  | "garp_lower_prio_repeat"
  | "garp_extra_if"
  | "garp_extra_if_all"
> {
  const extra = written.garp_extra_if ?? globals.vrrp_garp_extra_if;
  return {
    garp_master_delay: written.garp_master_delay ?? globals.vrrp_garp_master_delay,
    garp_master_repeat: written.garp_master_repeat ?? globals.vrrp_garp_master_repeat,
    garp_master_refresh: written.garp_master_refresh ?? globals.vrrp_garp_master_refresh,
    garp_master_refresh_repeat: written.garp_master_refresh_repeat ??
      globals.vrrp_garp_master_refresh_repeat,
    garp_lower_prio_delay: written.garp_lower_prio_delay ?? globals.vrrp_garp_lower_prio_delay,
    garp_lower_prio_repeat: written.garp_lower_prio_repeat ?? globals.vrrp_garp_lower_prio_repeat,
    ...(extra === undefined ? {} : { garp_extra_if: extra.interval }),
    ...(extra?.all === true ? { garp_extra_if_all: true } : {}),
  };
}

/** Where adverts go when not to a group. */
function readUnicast(
  written: WrittenInstance,
  globals: Globals,
  say: Say,
): Pick<
  VrrpInstance,
  | "unicast_peer"
  | "check_unicast_src"
  | "unicast_ttl"
  | "unicast_fault_no_peer"
  | "old_unicast_checksum"
> {
  const { unicast_peer, unicast_ttl, old_unicast_checksum } = written;
  // An empty block is another array than the one of an instance that has none.
  const hasPeerBlock = unicast_peer !== vrrpInstance.initial()["unicast_peer"];
  const speaksOfUnicast = hasPeerBlock || written.unicast_src_ip !== undefined ||
    written.check_unicast_src || old_unicast_checksum !== undefined;
  const isAlone = unicast_peer.length === 0;
  if (speaksOfUnicast && isAlone && !written.unicast_fault_no_peer) {
    say(
      "A unicast keyword has been specified without any unicast peers. Defaulting to multicast. " +
        "This usage is deprecated - please update your configuration.",
    );
  }
  if (isAlone && unicast_ttl !== undefined) {
    say("Cannot use unicast_ttl without unicast peers - resetting");
  }
  return {
    unicast_peer,
    check_unicast_src: written.check_unicast_src || globals.vrrp_check_unicast_src ||
      unicast_peer.some((peer) => peer.min_ttl !== undefined || peer.max_ttl !== undefined),
    ...(isAlone || unicast_ttl === undefined ? {} : { unicast_ttl }),
    ...(old_unicast_checksum === undefined ? {} : { old_unicast_checksum }),
    ...(written.unicast_fault_no_peer ? { unicast_fault_no_peer: true } : {}),
  };
}

/** The interface of its own it speaks from. */
function readVmac(
  written: WrittenInstance,
  isUnicast: boolean,
  family: 4 | 6,
  say: Say,
): Pick<
  VrrpInstance,
  "use_vmac" | "use_vmac_addr" | "vmac_xmit_base" | "use_ipvlan" | "vrf" | "configuration_fault"
> {
  const { use_vmac, use_ipvlan } = written;
  const hasLink = written.interface !== undefined;
  if (written.vrf !== undefined && hasLink) {
    say("Cannot specify VRF interface and interface - ignoring");
  }
  const vrf = written.vrf === undefined || hasLink ? {} : { vrf: written.vrf };
  if ((use_vmac ?? use_ipvlan) !== undefined && isUnicast && !hasLink) {
    say("Cannot use VMAC/ipvlan with unicast and no interface - clearing use_vmac");
    return vrf;
  }
  if (written.vmac_xmit_base && use_vmac === undefined) {
    say("vmac_xmit_base is only valid with a vmac");
  }
  const mustUseBase = use_vmac !== undefined && isUnicast;
  if (mustUseBase && !written.vmac_xmit_base) {
    say("unicast with use_vmac requires vmac_xmit_base - setting");
  }
  const fromBase = use_vmac !== undefined && (written.vmac_xmit_base || mustUseBase);
  const isNameless = use_ipvlan !== undefined && family === 4 && use_ipvlan.address === undefined &&
    (written.mcast_src_ip ?? written.unicast_src_ip) === undefined;
  const why = "IPv4 ipvlan requires a source ip address to be configured";
  if (isNameless) say(`${why}. setting instance to fault state`);
  return {
    ...vrf,
    ...(use_vmac === undefined ? {} : { use_vmac }),
    ...(written.use_vmac_addr ? { use_vmac_addr: true } : {}),
    ...(fromBase ? { vmac_xmit_base: true } : {}),
    ...(use_ipvlan === undefined ? {} : { use_ipvlan }),
    ...(isNameless ? { configuration_fault: why } : {}),
  };
}

/** Flags that only the instance can set. */
const OWN_FLAGS = [
  "track_src_ip",
  "dont_track_primary",
  "promote_secondaries",
  "linkbeat_use_polling",
] as const;

/** Flags with a default in global_defs. */
const INHERITED_FLAGS = [
  ["lower_prio_no_advert", "vrrp_lower_prio_no_advert"],
  ["higher_prio_send_advert", "vrrp_higher_prio_send_advert"],
  ["owner_ignore_adverts", "vrrp_owner_ignore_adverts"],
  ["skip_check_adv_addr", "vrrp_skip_check_adv_addr"],
  ["v3_checksum_as_v2", "v3_checksum_as_v2"],
  ["strict_mode", "vrrp_strict"],
] as const;

const DOWN_TIMER_ADVERTS = 3;

/** Options of the state machine and of the packets. */
function readProtocol(
  written: WrittenInstance,
  globals: Globals,
  nopreempt: boolean,
  say: Say,
): Partial<VrrpInstance> {
  const { timer_expired_backup: rival } = written;
  if (rival !== undefined && !nopreempt) {
    say("timer_expired_backup requires nopreempt - clearing");
  }
  const found: { -readonly [K in keyof VrrpInstance]?: VrrpInstance[K] } = {};
  for (const key of OWN_FLAGS) if (written[key]) found[key] = true;
  for (const [key, global] of INHERITED_FLAGS) {
    if (written[key] ?? globals[global]) found[key] = true;
  }
  const adverts = written.down_timer_adverts ?? globals.vrrp_down_timer_adverts;
  if (adverts !== DOWN_TIMER_ADVERTS) found.down_timer_adverts = adverts;
  if (rival !== undefined && nopreempt) found.timer_expired_backup = rival;
  return Object.assign(
    found,
    definedOf(written, "kernel_rx_buf_size", "lvs_sync_daemon_interface", "vip_removed"),
  );
}

function addressesOf(
  written: WrittenInstance,
): Pick<
  VrrpInstance,
  "virtual_ipaddress" | "virtual_ipaddress_excluded" | "no_virtual_ipaddress"
> {
  const link = written.interface;
  const onLink = (address: VirtualAddress): VirtualAddress =>
    link === undefined || address.dev !== undefined ? address : { ...address, dev: link };
  return {
    virtual_ipaddress: written.virtual_ipaddress.map(onLink),
    virtual_ipaddress_excluded: written.virtual_ipaddress_excluded.map(onLink),
    ...(written.no_virtual_ipaddress ? { no_virtual_ipaddress: true } : {}),
  };
}

/** Its own interface is tracked anyway, and the priority of an owner never changes. */
function trackersOf(
  written: WrittenInstance,
  isOwner: boolean,
  say: Say,
): Pick<
  VrrpInstance,
  "track_interface" | "track_script" | "track_file" | "track_process" | "track_bfd"
> {
  const elsewhere = written.track_interface.filter(({ name }) => {
    if (name !== written.interface) return true;
    say(`Ignoring track_interface ${name} since own interface`);
    return false;
  });
  const unweighted = (
    tracks: readonly Track[],
    tells: (track: Track) => string,
  ): readonly Track[] =>
    tracks.filter((track) => {
      if (!isOwner || (track.weight ?? 0) === 0) return true;
      say(`ignoring ${tells(track)} due to address_owner`);
      return false;
    });
  return {
    track_interface: unweighted(elsewhere, ({ name }) => `${name} tracked interface with weight`),
    track_script: unweighted(
      written.track_script,
      ({ name }) => `tracked script ${name} with weights`,
    ),
    track_file: unweighted(
      written.track_file,
      ({ name, weight }) => `tracked file ${name} with weight ${weight}`,
    ),
    track_process: unweighted(
      written.track_process,
      ({ name, weight }) => `tracked process ${name} with weight ${weight}`,
    ),
    track_bfd: unweighted(
      written.track_bfd,
      ({ name, weight }) => `tracked bfd ${name} with weight ${weight}`,
    ),
  };
}

function notificationsOf(written: WrittenInstance, globals: Globals): Pick<
  VrrpInstance,
  | "notify"
  | "notify_master"
  | "notify_backup"
  | "notify_fault"
  | "notify_stop"
  | "notify_deleted"
  | "notify_master_rx_lower_pri"
  | "notify_priority_changes"
  | "smtp_alert"
> {
  const changes = written.notify_priority_changes ?? globals.vrrp_notify_priority_changes;
  return {
    ...definedOf(
      written,
      "notify",
      "notify_master",
      "notify_backup",
      "notify_fault",
      "notify_stop",
      "notify_deleted",
      "notify_master_rx_lower_pri",
    ),
    ...(changes === undefined ? {} : { notify_priority_changes: changes }),
    smtp_alert: written.smtp_alert ?? globals.smtp_alert_vrrp ?? globals.smtp_alert ?? false,
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
