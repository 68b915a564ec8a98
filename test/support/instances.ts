/** Configurations as values, for tests of what comes after the reader: plain, except for what is said. */

import { globalDefs, type WrittenGlobals } from "../../src/config/global_keywords.ts";
import { completeGlobals } from "../../src/config/globals.ts";
import type { Config } from "../../src/config/load.ts";
import type { VrrpSyncGroup } from "../../src/config/sync_group.ts";
import type { VirtualAddress, VrrpInstance } from "../../src/config/vrrp.ts";

/** A vrrp_instance V of router 7 on eth0, version 2, without addresses; `rest` says what differs. */
export function instanceWith(rest: Partial<VrrpInstance> = {}): VrrpInstance {
  return {
    name: "V",
    place: { file: "/etc/keepalived/keepalived.conf", line: 1 },
    version: 2,
    family: 4,
    state: "BACKUP",
    interface: "eth0",
    virtual_router_id: 7,
    priority: 100,
    advert_int: 1_000_000,
    nopreempt: false,
    preempt_delay: 0,
    accept: true,
    garp_master_delay: 5_000_000,
    garp_master_repeat: 5,
    garp_master_refresh: 0,
    garp_master_refresh_repeat: 1,
    garp_lower_prio_delay: 5_000_000,
    garp_lower_prio_repeat: 5,
    mcast_group: "224.0.0.18",
    unicast_peer: [],
    check_unicast_src: false,
    virtual_ipaddress: [],
    virtual_ipaddress_excluded: [],
    track_script: [],
    track_interface: [],
    track_process: [],
    smtp_alert: false,
    ...rest,
  };
}

/** One entry of virtual_ipaddress, a host's prefix unless `rest` says otherwise. */
export function virtualAddress(
  address: string,
  rest: Partial<VirtualAddress> = {},
): VirtualAddress {
  return {
    address,
    prefixLength: address.includes(":") ? 128 : 32,
    scope: 0,
    home: false,
    dad: false,
    mngtmpaddr: false,
    noprefixroute: false,
    autojoin: false,
    no_track: false,
    ...rest,
  };
}

/** A configuration of these instances. */
export function configWith(vrrp_instances: readonly VrrpInstance[]): Config {
  return {
    globals: completeGlobals(
      { ...(globalDefs.initial() as WrittenGlobals), router_id: "left" },
      "",
    ),
    vrrp_instances,
  };
}

/** A sync group of these instances, without trackers. */
export function groupWith(name: string, group: readonly string[]): VrrpSyncGroup {
  return {
    name,
    place: { file: "/etc/keepalived/keepalived.conf", line: 1 },
    group,
    track_script: [],
    track_interface: [],
    track_file: [],
    track_process: [],
    track_bfd: [],
    smtp_alert: false,
    sync_group_tracking_weight: false,
  };
}
