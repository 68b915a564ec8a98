/** The keywords of vrrp_instance: one virtual router. */
import { authentication, authHmac } from "./auth_keywords.ts";
import {
  alias,
  bool,
  flag,
  formatScript,
  integer,
  list,
  oneOf,
  readScript,
  script,
  seconds,
  section,
  wholeSeconds,
  word,
} from "./readers.ts";
import { garpExtraIf } from "./global_rows.ts";
import { routes } from "./route_rows.ts";
import { rules } from "./rule_rows.ts";
import { block, complain, type LineRow, type Values } from "./schema.ts";
import { trackRows } from "./track_rows.ts";
import { formatVirtualAddress } from "./virtual_address.ts";
import { useIpvlan, useVmac } from "./vmac_rows.ts";
import type { Script, UnicastPeer, VirtualAddress } from "./vrrp.ts";
import {
  alwaysYes,
  formatPeer,
  multicastGroup,
  nativeIpv6,
  oldUnicastChecksum,
  readInterface,
  readMemberAddress,
  readPeer,
  readUniqueAddress,
  sourceAddress,
  state,
  timerExpiredBackup,
  version,
  vrf,
} from "./vrrp_rows.ts";
import { webhookLine } from "./webhook_row.ts";

const UINT_MAX = 4_294_967_295;
const INT_MAX = 2_147_483_647;

const invalid = (keyword: string) => (text: string, who: string): string =>
  `(${who}): ${keyword} '${text}' invalid - ignoring`;
const raised = (keyword: string) => (_text: string, who: string): string =>
  `(${who}): ${keyword} must be greater than 0, setting to 1`;
const notBool = (keyword: string) => (text: string, who: string): string =>
  `(${who}) invalid ${keyword} ${text} specified`;

/** The keywords of vrrp_instance. */
export const vrrpInstance = block(() => ({
  version: version(),
  native_ipv6: nativeIpv6(),
  state: state(),
  interface: word<string, undefined>(
    "IFNAME - interface for adverts, and for addresses that name none; range 15 characters, no " +
      "loopback; must be set unless unicast with a source address",
    undefined,
    readInterface,
  ),
  virtual_router_id: integer(
    "N - the VRID, one for all routers that share the addresses; range 1..255; must be set",
    undefined,
    {
      min: 1,
      max: 255,
      strict: true,
      says: (text, who) => `(${who}): VRID '${text}' not valid - must be between 1 & 255`,
    },
  ),
  priority: integer(
    "N - priority in elections, 255 for the owner of the addresses; range 1..255; " +
      "default 100, 255 with state MASTER",
    undefined,
    {
      min: 1,
      max: 255,
      strict: true,
      otherwise: 100,
      says: (_text, who) =>
        `(${who}) Priority not valid! must be between 1 & 255. Using default 100`,
    },
  ),
  advert_int: seconds(
    "SECS - time from advert to advert; range 0.01..255, version 2 whole seconds, version 3 to 40.95 " +
      "in steps of 0.01; default 1",
    1_000_000,
    {
      min: 0.01,
      max: 255,
      says: (text, who) => `(${who}) Advert interval (${text}) not valid! Must be > 0 - ignoring`,
    },
  ),
  use_vmac: useVmac(),
  use_vmac_addr: flag("- addresses on other interfaces get a macvlan each, too; default off"),
  vmac_xmit_base: flag(
    "- send and receive on the interface below the macvlan; default off, on with unicast",
  ),
  use_ipvlan: useIpvlan(),
  unicast_peer: list<UnicastPeer>(
    "{ ADDR [min_ttl N] [max_ttl N] per line } - send adverts to these instead of a multicast group; " +
      "range 0..255; default none, min_ttl 0, max_ttl 255",
    readPeer,
    formatPeer,
  ),
  unicast_fault_no_peer: flag("- FAULT instead of multicast when no peer is left; default off"),
  check_unicast_src: flag(
    "- accept adverts from listed peers only; default off, on when a peer has a TTL limit",
  ),
  old_unicast_checksum: oldUnicastChecksum(),
  vrf: vrf(),
  dont_track_primary: flag("- the state of its own interface does not count; default off"),
  ...trackRows(),
  mcast_src_ip: sourceAddress(
    "IPADDR - source of adverts; default the first address of the interface",
  ),
  unicast_src_ip: sourceAddress(
    "IPADDR - source of adverts to unicast peers; default the first address of the interface",
  ),
  mcast_dst_ip: multicastGroup(
    "IPADDR - group of its adverts; range multicast, link-local for IPv6; default vrrp_mcast_group4/6",
  ),
  track_src_ip: flag("- FAULT while its source address is missing; default off"),
  unicast_ttl: integer(
    "N - TTL or hop limit of adverts to peers; range 0..255; default 255, the kernel's for IPv6",
    undefined,
    {
      min: 0,
      max: 255,
      says: (text, who) => `(${who}): TTL '${text}' not valid - must be between 0 & 255`,
    },
  ),
  virtual_ipaddress: list<VirtualAddress>(
    "{ ADDR[/LEN] [dev IF] [scope S] [label L] [brd B] [peer P] ... per line } - addresses it holds " +
      "while MASTER and names in its adverts; range all of one family; default none",
    readMemberAddress,
    formatVirtualAddress,
  ),
  virtual_ipaddress_excluded: list<VirtualAddress>(
    "{ ADDR[/LEN] ... per line } - addresses it holds while MASTER and does not name; default none",
    readUniqueAddress,
    formatVirtualAddress,
  ),
  no_virtual_ipaddress: flag("- allow an instance without addresses; default off"),
  promote_secondaries: flag(
    "- addresses of a subnet survive the removal of its first one; default off",
  ),
  linkbeat_use_polling: {
    ...flag("- ask for the state of its link every second; see linkbeat_interfaces; default off"),
    deprecated: true,
    read: (node, context) => {
      const message = `(${context.who}) 'linkbeat_use_polling' in vrrp instance deprecated - ` +
        "use linkbeat_interfaces block";
      complain(context, node, "general", message, 0);
      return true;
    },
  },
  virtual_routes: routes(
    "{ [TYPE] DEST [via GW] [dev IF] [src ADDR] [table T] [metric N] ... per line } - routes that " +
      "follow MASTER, as ip-route(8); default none",
    false,
  ),
  virtual_rules: rules(
    "{ [from A] [to B] [iif IF] ... table T|ACTION [priority N] per line } - policy rules that follow " +
      "MASTER, as ip-rule(8); default none",
    false,
  ),
  v3_checksum_as_v2: bool(
    "[BOOL] - version 3 over IPv4 with checksums as RFC 9568 has them, without a pseudo-header; " +
      "default the global one",
    notBool("v3_checksum_as_v2"),
  ),
  accept: {
    ...bool(
      "- take traffic to the addresses; default on, in strict mode for the owner only",
      () => "",
    ),
    read: () => true,
    format: (value: boolean | undefined) => value === true ? [""] : [],
  },
  no_accept: {
    ...alias("accept", opposite("- drop traffic to the addresses unless owner; default off")),
    format: (value: boolean | undefined) => value === false ? [""] : [],
  },
  skip_check_adv_addr: alwaysYes(bool(
    "[BOOL] - do not compare the addresses in adverts with ours; any BOOL is yes; " +
      "default the global one",
    notBool("skip_check_adv_addr"),
  )),
  strict_mode: bool(
    "[BOOL] - keep to the letter of the protocol; default vrrp_strict",
    notBool("strict_mode"),
  ),
  preempt: alias("nopreempt", opposite("- take over from a MASTER of lower priority; default on")),
  nopreempt: flag(
    "- leave a MASTER of lower priority alone; range not with priority 255 or state MASTER; default off",
  ),
  preempt_delay: seconds(
    "SECS - wait before taking over from a MASTER of lower priority; range 0..1000, not with state " +
      "MASTER or nopreempt; default 0",
    0,
    {
      min: 0,
      max: 1000,
      says: (_text, who) => `(${who}) Preempt_delay not valid! must be between 0-1000`,
    },
  ),
  debug: integer("N - kept, means nothing; range 0..4; default 0", 0, {
    min: 0,
    max: 4,
    says: (text, who) => `(${who}) Debug value '${text}' not valid; must be between 0-4`,
  }),
  notify_backup: script("SCRIPT [USER [[:]GROUP]] - run when it enters BACKUP"),
  notify_master: script("SCRIPT [USER [[:]GROUP]] - run when it enters MASTER"),
  notify_fault: script("SCRIPT [USER [[:]GROUP]] - run when it enters FAULT"),
  notify_stop: script("SCRIPT [USER [[:]GROUP]] - run at stop, which waits up to a second"),
  notify_deleted: notifyDeleted(),
  notify: script(
    "SCRIPT [USER [[:]GROUP]] - run on every change, given INSTANCE NAME STATE PRIORITY",
  ),
  notify_master_rx_lower_pri: script(
    "SCRIPT [USER [[:]GROUP]] - run when it hears a lower advert as MASTER",
  ),
  notify_webhook: webhookLine("its changes"),
  smtp_alert: bool(
    "[BOOL] - mail on changes of state; default smtp_alert_vrrp, else smtp_alert, else off",
    (text) => `Invalid vrrp_instance smtp_alert parameter ${text}`,
  ),
  notify_priority_changes: bool(
    "[BOOL] - changes of priority go to the FIFOs; default that of its sync group or the global one",
    (text, who) => `(${who}) Invalid value '${text}' for notify_priority_changes specified`,
  ),
  lvs_sync_daemon_interface: syncDaemonInterface(),
  garp_master_delay: wholeSeconds(
    "SECS - wait before the second burst of announcements; range 0..4294; default the global one",
    undefined,
    invalid("garp_master_delay"),
  ),
  garp_master_refresh: integer(
    "SECS - period of refreshing bursts while MASTER, 0 for none; range 0..4294967295; " +
      "default the global one",
    undefined,
    {
      min: 0,
      max: UINT_MAX,
      times: 1_000_000,
      says: (text, who) => `(${who}): Invalid garp_master_refresh '${text}' - ignoring`,
    },
  ),
  garp_master_repeat: frames(
    "garp_master_repeat",
    "N - frames of a burst; range 1..4294967295; default the global one",
  ),
  garp_master_refresh_repeat: frames(
    "garp_master_refresh_repeat",
    "N - frames of a refreshing burst; range 1..4294967295; default the global one",
  ),
  garp_lower_prio_delay: wholeSeconds(
    "SECS - wait before the second burst after a lower advert; range 0..4294; " +
      "default the global one, 0 in strict mode",
    undefined,
    invalid("garp_lower_prio_delay"),
  ),
  garp_lower_prio_repeat: integer(
    "N - frames of a burst after a lower advert, 0 for none; range 0..2147483647; " +
      "default the global one, 0 in strict mode",
    undefined,
    { min: 0, max: INT_MAX, says: invalid("garp_lower_prio_repeat") },
  ),
  down_timer_adverts: integer(
    "N - adverts that must be missing before a take-over; range 1..100; " +
      "default the global one, 3 in strict mode",
    undefined,
    {
      min: 1,
      max: 100,
      says: (text, who) => `(${who}): Invalid down_timer_adverts [1:100] '${text}'`,
    },
  ),
  timer_expired_backup: timerExpiredBackup(
    "[PRIO] - step down when it did not run for so long that a router of this priority may have taken " +
      "over; range 1..254, with nopreempt only; default off, without PRIO 254",
  ),
  thread_timer_expired: formerTimerExpired(),
  garp_extra_if: extraIf(
    "[all] SECS - announce addresses this often over other interfaces that hold them, 0 for never; " +
      "range 0..86400; default the global one",
  ),
  vmac_garp_intvl: alias(
    "garp_extra_if",
    extraIf("[all] SECS - former spelling of garp_extra_if; range 0..86400"),
    () => 'Keyword "vmac_garp_intvl" is deprecated - please use "garp_extra_if"',
  ),
  lower_prio_no_advert: bool(
    "[BOOL] - do not answer lower adverts; default the global one, on in strict mode",
    notBool("lower_prio_no_advert"),
  ),
  higher_prio_send_advert: bool(
    "[BOOL] - send an advert before giving way to a higher one; default the global one, off in strict mode",
    notBool("higher_prio_send_advert"),
  ),
  owner_ignore_adverts: bool(
    "[BOOL] - the owner ignores all adverts; range priority 255 only; default the global one",
    notBool("owner_ignore_adverts"),
  ),
  kernel_rx_buf_size: integer(
    "BYTES - receive buffer of its socket; range 0..4294967295; default vrrp_rx_bufs_policy",
    undefined,
    {
      min: 0,
      max: UINT_MAX,
      missing: "invalid kernel_rx_buf_size specified",
      says: (_text, who) => `(${who}) invalid kernel_rx_buf_size specified`,
    },
  ),
  authentication: section(
    "{ ... } - VRRPv2 authentication; range version 2 only; default none",
    authentication,
  ),
  auth_hmac: section(
    "{ ... } - adverts carry a signature with time or counter; range not with authentication; " +
      "default none",
    authHmac,
  ),
  vip_removed: {
    ...oneOf(
      "repair|step_down - what a MASTER does when somebody else removes one of its addresses, routes or " +
        "rules: put it back, or give way as keepalived does; default repair",
      ["repair", "step_down"],
      (text, who) => `(${who}) unknown vip_removed '${text}'`,
    ),
    ours: true,
  },
}), "sparse");

/** What the block of an instance says, before defaults from elsewhere. */
export type WrittenInstance = Values<typeof vrrpInstance>;

/** A number of frames, at least 1. */
function frames(keyword: string, doc: string): LineRow<number | undefined> {
  return integer(doc, undefined, {
    min: 0,
    max: UINT_MAX,
    says: invalid(keyword),
    raised: raised(keyword),
  });
}

/** As the global one, but 0 means never. */
function extraIf(doc: string): ReturnType<typeof garpExtraIf> {
  return garpExtraIf(doc, 0);
}

/** A keyword that says no to what its alias says yes to. */
function opposite(doc: string): LineRow<boolean> {
  return { doc, shape: "line", initial: false, read: () => false };
}

/** Without a script it only changes what the other notifications are told. */
function notifyDeleted(): LineRow<{ readonly script?: Script } | undefined> {
  return {
    doc:
      "[SCRIPT [USER [[:]GROUP]]] - a reload that removes the instance says DELETED, not FAULT; " +
      "default off",
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      if (before !== undefined && node.words.length > 1) {
        const message = `(${context.who}) notify_deleted already specified - ignoring ${
          node.words[1]
        }`;
        complain(context, node, "general", message, 1);
        return undefined;
      }
      const found = node.words.length > 1 ? readScript(node, context) : undefined;
      return found === undefined ? before ?? {} : { script: found };
    },
    format: (value) =>
      value === undefined ? [] : [value.script === undefined ? "" : formatScript(value.script)],
  };
}

function syncDaemonInterface(): LineRow<string | undefined> {
  return {
    ...word<string, undefined>(
      "IFNAME - lvs_sync_daemon over that interface, following this instance; default none",
      undefined,
      (name) => name,
    ),
    deprecated: true,
    read: (node, context, before) => {
      const message =
        `(${context.who}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated.`;
      complain(context, node, "general", message, 0, { hint: "lvs_sync_daemon in global_defs" });
      return before ?? node.words[1];
    },
  };
}

function formerTimerExpired(): LineRow<number | undefined> & {
  readonly aliasOf: "timer_expired_backup";
} {
  const row = timerExpiredBackup("[PRIO] - former spelling of timer_expired_backup; range 1..254");
  return {
    ...alias("timer_expired_backup", row),
    deprecated: true,
    read: (node, context, before) => {
      const message =
        `(${context.who}) thread_timer_expired is deprecated - please use timer_expired_backup`;
      complain(context, node, "general", message, 0);
      return row.read(node, context, before);
    },
  };
}
