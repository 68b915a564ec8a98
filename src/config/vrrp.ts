/**
 * What a vrrp_instance says: one virtual router, self-contained, defaults and globals filled in.
 * The fields keep the spelling of the configuration; durations are integer microseconds.
 */

import type { Place } from "./problem.ts";

/** A script with its arguments and the identity it runs under. */
export interface Script {
  /** The program and its arguments; at least one word. */
  readonly argv: readonly string[];
  readonly user?: string;
  /** A leading ":" (kept) also loads the supplementary groups. */
  readonly group?: string;
}

/** One entry of virtual_ipaddress or virtual_ipaddress_excluded. */
export interface VirtualAddress {
  /** Canonical text (RFC 5952 for IPv6). */
  readonly address: string;
  /** 0 to 32 or 128. */
  readonly prefixLength: number;
  /** The link that holds it; the instance's interface unless `dev` says otherwise. */
  readonly dev?: string;
  /** rtnetlink scope number: 0 global, 200 site, 253 link, 254 host, 255 nowhere. */
  readonly scope: number;
  readonly brd?: string;
  readonly label?: string;
  readonly peer?: { readonly address: string; readonly prefixLength: number };
  readonly home: boolean;
  /** `-nodad`: duplicate address detection is wanted (IPv6). */
  readonly dad: boolean;
  readonly mngtmpaddr: boolean;
  readonly noprefixroute: boolean;
  readonly autojoin: boolean;
  readonly no_track: boolean;
  /** Seconds; undefined is forever. 0 for an IPv6 /128 unless the file says otherwise. */
  readonly preferred_lft?: number;
}

/** One entry of track_script, track_interface or track_process. */
export interface Track {
  readonly name: string;
  /** -254 to 254; undefined means the weight of the tracked object itself. */
  readonly weight?: number;
  readonly reverse: boolean;
}

/** One entry of unicast_peer. */
export interface UnicastPeer {
  readonly address: string;
  /** 0 to 255 each. */
  readonly min_ttl?: number;
  readonly max_ttl?: number;
}

/** One vrrp_instance. Plain JSON. */
export interface VrrpInstance {
  readonly name: string;
  /** Where its block starts. */
  readonly place: Place;
  /** 2 or 3, with vrrp_version and the family already considered. */
  readonly version: 2 | 3;
  /** The family of its adverts. */
  readonly family: 4 | 6;
  /** The state it wishes for at start. */
  readonly state: "MASTER" | "BACKUP";
  /** Absent only for unicast with a source address. */
  readonly interface?: string;
  /** 1 to 255; 0 only in a configuration that is refused. */
  readonly virtual_router_id: number;
  /** 1 to 255; 255 is the address owner. */
  readonly priority: number;
  /** Version 2: whole seconds to 255. Version 3: 10 ms to 40.95 s in steps of 10 ms. */
  readonly advert_int: number;
  readonly nopreempt: boolean;
  readonly preempt_delay: number;
  readonly accept: boolean;
  readonly garp_master_delay: number;
  readonly garp_master_repeat: number;
  /** 0 is off. */
  readonly garp_master_refresh: number;
  readonly garp_master_refresh_repeat: number;
  readonly garp_lower_prio_delay: number;
  readonly garp_lower_prio_repeat: number;
  /** The source address of adverts; the first address of the interface when both are absent. */
  readonly mcast_src_ip?: string;
  readonly unicast_src_ip?: string;
  /** The multicast group of its adverts. */
  readonly mcast_group: string;
  /** Empty means multicast. */
  readonly unicast_peer: readonly UnicastPeer[];
  readonly check_unicast_src: boolean;
  /** Version 2 only. */
  readonly authentication?: {
    readonly auth_type: "PASS" | "AH";
    /** At most 8 bytes of UTF-8. */
    readonly auth_pass: string;
  };
  readonly virtual_ipaddress: readonly VirtualAddress[];
  readonly virtual_ipaddress_excluded: readonly VirtualAddress[];
  /** An instance without addresses is meant. */
  readonly no_virtual_ipaddress?: true;
  readonly track_script: readonly Track[];
  readonly track_interface: readonly Track[];
  readonly track_process: readonly Track[];
  readonly notify?: Script;
  readonly notify_master?: Script;
  readonly notify_backup?: Script;
  readonly notify_fault?: Script;
  readonly notify_stop?: Script;
  readonly smtp_alert: boolean;
}
