/**
 * A vrrp_instance as written → one that is complete: defaults copied from global_defs, and settings
 * that exclude each other corrected with keepalived's messages.
 */
import { completeAuthentication, completeHmac } from "./authentication.ts";
import type { Files } from "./files.ts";
import type { Globals } from "./globals.ts";
import type { Problems, Say } from "./problem.ts";
import type { Said } from "./readers.ts";
import type { Written } from "./schema.ts";
import { applyStrictMode } from "./strict_mode.ts";
import type { Track, VirtualAddress, VrrpInstance } from "./vrrp.ts";
import { vrrpInstance, type WrittenInstance } from "./vrrp_keywords.ts";

const OWNER = 255;
const SECOND_US = 1_000_000;
const CENTISECOND_US = 10_000;
/** The longest interval that fits version 3's 12 bits of centiseconds. */
const LONGEST_V3_US = 40_950_000;

/** An instance being made: one object that each part fills, since a file may have thousands. */
export type Draft = { -readonly [K in keyof VrrpInstance]: VrrpInstance[K] };

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
  const group = family === 4 ? globals.vrrp_mcast_group4 : globals.vrrp_mcast_group6;
  const draft: Draft = {
    name,
    place,
    version,
    family,
    state: "BACKUP",
    virtual_router_id: written.virtual_router_id ?? 0,
    priority: written.priority ?? (written.state === "MASTER" ? OWNER : 100),
    nopreempt: written.nopreempt,
    preempt_delay: written.preempt_delay,
    advert_int: advertInterval(written.advert_int, version, say),
    accept: written.accept ?? true,
    garp_master_delay: written.garp_master_delay ?? globals.vrrp_garp_master_delay,
    garp_master_repeat: written.garp_master_repeat ?? globals.vrrp_garp_master_repeat,
    garp_master_refresh: written.garp_master_refresh ?? globals.vrrp_garp_master_refresh,
    garp_master_refresh_repeat: written.garp_master_refresh_repeat ??
      globals.vrrp_garp_master_refresh_repeat,
    garp_lower_prio_delay: written.garp_lower_prio_delay ?? globals.vrrp_garp_lower_prio_delay,
    garp_lower_prio_repeat: written.garp_lower_prio_repeat ?? globals.vrrp_garp_lower_prio_repeat,
    mcast_group: written.mcast_dst_ip ?? group,
    unicast_peer: written.unicast_peer,
    check_unicast_src: written.check_unicast_src,
    virtual_ipaddress: onLink(written.virtual_ipaddress, written.interface),
    virtual_ipaddress_excluded: onLink(written.virtual_ipaddress_excluded, written.interface),
    track_interface: written.track_interface,
    track_script: written.track_script,
    track_process: written.track_process,
    track_file: written.track_file,
    track_bfd: written.track_bfd,
    smtp_alert: written.smtp_alert ?? globals.smtp_alert_vrrp ?? globals.smtp_alert ?? false,
  };
  copyWritten(draft, written);
  const extra = written.garp_extra_if ?? globals.vrrp_garp_extra_if;
  if (extra !== undefined) {
    draft.garp_extra_if = extra.interval;
    if (extra.all) draft.garp_extra_if_all = true;
  }
  fillUnicast(draft, written, globals, say);
  fillVmac(draft, written, say);
  settleElection(draft, written, say);
  fillProtocol(draft, written, globals, say);
  settleTrackers(draft, say);
  fillAuthentication(draft, written, files, say);
  const changes = written.notify_priority_changes ?? globals.vrrp_notify_priority_changes;
  if (changes !== undefined) draft.notify_priority_changes = changes;
  return draft.strict_mode === true ? applyStrictMode(draft, written, say) : draft;
}

/** What an instance has as it is written, or not at all; flags and lists only when they say something. */
const AS_WRITTEN: ReadonlySet<string> = new Set<keyof WrittenInstance & keyof VrrpInstance>([
  "interface",
  "mcast_src_ip",
  "unicast_src_ip",
  "notify",
  "notify_master",
  "notify_backup",
  "notify_fault",
  "notify_stop",
  "notify_deleted",
  "notify_master_rx_lower_pri",
  "kernel_rx_buf_size",
  "vip_removed",
  "old_unicast_checksum",
  "virtual_routes",
  "virtual_rules",
  "notify_webhook",
  "no_virtual_ipaddress",
  "unicast_fault_no_peer",
  "use_vmac_addr",
  "track_src_ip",
  "dont_track_primary",
  "promote_secondaries",
  "linkbeat_use_polling",
]);

function copyWritten(draft: Draft, written: WrittenInstance): void {
  const target = draft as unknown as Record<string, unknown>;
  const source = written as Written;
  // Only what the block states is its own: that is a handful of some fifty keywords.
  for (const key of Object.keys(source)) {
    if (!AS_WRITTEN.has(key)) continue;
    const value = source[key];
    if (value === false || (Array.isArray(value) && value.length === 0)) continue;
    target[key] = value;
  }
}

/** Addresses that name no link go to the instance's. The reader has made them for us alone. */
function onLink(
  addresses: readonly VirtualAddress[],
  link: string | undefined,
): readonly VirtualAddress[] {
  if (link === undefined || addresses.length === 0) return addresses;
  return addresses.map((address) =>
    address.dev === undefined ? { ...address, dev: link } : address
  );
}

/** Where adverts go when not to a group. */
function fillUnicast(draft: Draft, written: WrittenInstance, globals: Globals, say: Say): void {
  const { unicast_peer, unicast_ttl } = written;
  const isAlone = unicast_peer.length === 0;
  // An empty block is another array than the one of an instance that has none.
  const hasPeerBlock = unicast_peer !== vrrpInstance.initial()["unicast_peer"];
  const speaksOfUnicast = hasPeerBlock || written.unicast_src_ip !== undefined ||
    written.check_unicast_src || written.old_unicast_checksum !== undefined;
  if (speaksOfUnicast && isAlone && !written.unicast_fault_no_peer) {
    say(
      "A unicast keyword has been specified without any unicast peers. Defaulting to multicast. " +
        "This usage is deprecated - please update your configuration.",
    );
  }
  if (unicast_ttl !== undefined) {
    if (isAlone) say("Cannot use unicast_ttl without unicast peers - resetting");
    else draft.unicast_ttl = unicast_ttl;
  }
  draft.check_unicast_src ||= globals.vrrp_check_unicast_src === true ||
    unicast_peer.some((peer) => peer.min_ttl !== undefined || peer.max_ttl !== undefined);
}

/** The interface of its own it speaks from. */
function fillVmac(draft: Draft, written: WrittenInstance, say: Say): void {
  const { use_vmac, use_ipvlan, vrf } = written;
  const isUnicast = draft.unicast_peer.length > 0;
  const hasLink = written.interface !== undefined;
  if (vrf !== undefined) {
    if (hasLink) say("Cannot specify VRF interface and interface - ignoring");
    else draft.vrf = vrf;
  }
  if (written.vmac_xmit_base && use_vmac === undefined) {
    say("vmac_xmit_base is only valid with a vmac");
  }
  if (use_vmac === undefined && use_ipvlan === undefined) return;
  if (isUnicast && !hasLink) {
    say("Cannot use VMAC/ipvlan with unicast and no interface - clearing use_vmac");
    return;
  }
  if (use_vmac !== undefined) {
    draft.use_vmac = use_vmac;
    if (isUnicast && !written.vmac_xmit_base) {
      say("unicast with use_vmac requires vmac_xmit_base - setting");
    }
    if (isUnicast || written.vmac_xmit_base) draft.vmac_xmit_base = true;
  }
  if (use_ipvlan === undefined) return;
  draft.use_ipvlan = use_ipvlan;
  const hasSource = (written.mcast_src_ip ?? written.unicast_src_ip) !== undefined;
  if (draft.family !== 4 || use_ipvlan.address !== undefined || hasSource) return;
  const why = "IPv4 ipvlan requires a source ip address to be configured";
  say(`${why}. setting instance to fault state`);
  draft.configuration_fault = why;
}

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
function fillProtocol(draft: Draft, written: WrittenInstance, globals: Globals, say: Say): void {
  for (const [key, global] of INHERITED_FLAGS) {
    if (written[key] ?? globals[global]) draft[key] = true;
  }
  const adverts = written.down_timer_adverts ?? globals.vrrp_down_timer_adverts;
  if (adverts !== DOWN_TIMER_ADVERTS) draft.down_timer_adverts = adverts;
  const rival = written.timer_expired_backup;
  if (rival === undefined) return;
  if (draft.nopreempt) draft.timer_expired_backup = rival;
  else say("timer_expired_backup requires nopreempt - clearing");
}

/** Its own interface is tracked anyway, and the priority of an owner never changes. */
function settleTrackers(draft: Draft, say: Say): void {
  const { track_interface, interface: own } = draft;
  if (track_interface.some(({ name }) => name === own)) {
    say(`Ignoring track_interface ${own} since own interface`);
    draft.track_interface = track_interface.filter(({ name }) => name !== own);
  }
  if (draft.priority !== OWNER) return;
  const unweighted = (
    tracks: readonly Track[],
    tells: (track: Track) => string,
  ): readonly Track[] =>
    tracks.filter((track) => {
      if ((track.weight ?? 0) === 0) return true;
      say(`ignoring ${tells(track)} due to address_owner`);
      return false;
    });
  draft.track_interface = unweighted(
    draft.track_interface,
    ({ name }) => `${name} tracked interface with weight`,
  );
  draft.track_script = unweighted(
    draft.track_script,
    ({ name }) => `tracked script ${name} with weights`,
  );
  for (const kind of ["file", "process", "bfd"] as const) {
    draft[`track_${kind}`] = unweighted(
      draft[`track_${kind}`] ?? [],
      ({ name, weight }) => `tracked ${kind} ${name} with weight ${weight}`,
    );
  }
}

/** State and the two preemption settings, which depend on each other and on the priority. */
function settleElection(draft: Draft, written: WrittenInstance, say: Say): void {
  const isOwner = draft.priority === OWNER;
  draft.state = written.state ?? (isOwner ? "MASTER" : "BACKUP");
  const isMaster = draft.state === "MASTER";
  if (draft.nopreempt && isOwner) {
    say("nopreempt is incompatible with priority 255. resetting nopreempt");
    draft.nopreempt = false;
  }
  if (draft.nopreempt && isMaster) {
    say("Warning - nopreempt will not work with initial state MASTER - clearing");
    draft.nopreempt = false;
  }
  if (draft.preempt_delay > 0 && isMaster) {
    say("Warning - preempt delay will not work with initial state MASTER - clearing");
    draft.preempt_delay = 0;
  }
  if (draft.nopreempt && draft.preempt_delay > 0) {
    say("preempt_delay is incompatible with nopreempt mode - resetting");
    draft.preempt_delay = 0;
  }
}

function fillAuthentication(
  draft: Draft,
  written: WrittenInstance,
  files: Files,
  say: Say,
): void {
  const authentication = completeAuthentication(written, draft.version, say);
  if (authentication?.auth_type === "AH" && draft.state === "MASTER") {
    say("Initial state master is incompatible with AH authentication - clearing");
    draft.state = "BACKUP";
  }
  const auth_hmac = completeHmac(written, draft.advert_int, files, say);
  if (auth_hmac !== undefined) draft.auth_hmac = auth_hmac;
  else if (authentication !== undefined) draft.authentication = authentication;
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
