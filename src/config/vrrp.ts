/**
 * What a vrrp_instance says: one virtual router, self-contained, defaults and globals filled in.
 * The fields keep the spelling of the configuration; durations are integer microseconds.
 */

import type { ReceiveBuffer } from "../lib/receive_buffer.ts";
import type { Place } from "./problem.ts";
import type { Route, Rule } from "./route.ts";

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
  /** Static addresses only: the group whose instances suffer when it cannot be restored. */
  readonly track_group?: string;
  /** Virtual addresses only: on a macvlan of its own. */
  readonly use_vmac?: boolean;
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

/** `use_vmac`: a macvlan of the instance's own. */
export interface UseVmac {
  /** vrrp.VRID when absent. */
  readonly name?: string;
  /** Six bytes, or five that the VRID follows; the RFC's when absent. */
  readonly mac?: string;
  readonly netlink_notify_msg?: true;
  /** Link group, by number; the interface's when absent. */
  readonly group?: number;
}

/** `use_ipvlan`: an ipvlan of the instance's own. */
export interface UseIpvlan {
  readonly name?: string;
  /** What it speaks from. */
  readonly address?: string;
  readonly prefixLength?: number;
  readonly mode?: "bridge" | "private" | "vepa";
  readonly group?: number;
}

/** `auth_hmac`: the trailer of src/wire/vrrp_trailer.ts. */
export interface AuthHmac {
  /** Every key a peer may have signed with. */
  readonly keys: readonly {
    /** 1 to 255. */
    readonly id: number;
    /** 32 to 64 bytes in hexadecimal. */
    readonly key: string;
  }[];
  /** The id of the key to sign with; one of `keys`. */
  readonly active_key: number;
  /** How far the clocks of two routers may differ. */
  readonly time_window: number;
  readonly anti_replay: "time" | "monotonic";
  /** "permissive" accepts adverts without a trailer, "receive-only" sends none besides. */
  readonly mode: "enforce" | "permissive" | "receive-only";
}

/** What global_defs says to the vrrp role as a whole; absent is keepalived's default. */
export interface VrrpGlobals {
  /** Nothing is sent, received or changed for so long after the start, */
  readonly vrrp_startup_delay?: number;
  /** and not before the machine has been up for so long. */
  readonly vrrp_delay_after_boot?: number;
  readonly log_unknown_vrids?: boolean;
  /** Receive buffers of advert sockets: a policy, or bytes. */
  readonly vrrp_rx_bufs_policy?: "MTU" | "ADVERT" | number;
  /** How many packets a policy makes room for: 3 unless it says otherwise. */
  readonly vrrp_rx_bufs_multiplier?: number;
  /** Between gratuitous ARPs on one link; 0 is no pacing. */
  readonly vrrp_garp_interval?: number;
  /** Between unsolicited neighbour advertisements on one link. */
  readonly vrrp_gna_interval?: number;
  readonly garp_groups?: readonly GarpGroup[];
  /** The kernel does not report membership of 224.0.0.0/24. */
  readonly disable_local_igmp?: boolean;
  /** The table of the firewall, and how it is made. */
  readonly nftables?: string;
  readonly nftables_priority?: number;
  readonly nftables_counters?: boolean;
  /** What the names of generated links begin with. */
  readonly vmac_prefix?: string;
  readonly vmac_addr_prefix?: string;
  /** What may wait of netlink's: in the sockets for commands, and in those that hear of changes. */
  readonly netlink_cmd?: ReceiveBuffer;
  readonly netlink_monitor?: ReceiveBuffer;
  /** How long links must be down or up before that counts, as long as the peers have patience. */
  readonly up_down_delays?: readonly UpDownDelay[];
  /** Links that are asked for their carrier every second. */
  readonly linkbeat?: readonly Linkbeat[];
}

/** One garp_group: links that share the pace of their announcements. */
export interface GarpGroup {
  readonly interfaces: readonly string[];
  readonly garp_interval?: number;
  readonly gna_interval?: number;
}

/** How the state of a link is asked for instead of heard. */
export interface Linkbeat {
  readonly interface: string;
  /** The first that works when absent. */
  readonly type?: "MII" | "ETHTOOL" | "IOCTL";
}

/** How long a link must be down or up before that counts, in microseconds. */
export interface UpDownDelay {
  readonly interface: string;
  readonly down: number;
  readonly up: number;
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
  /** FAULT instead of multicast when no peer is left. */
  readonly unicast_fault_no_peer?: boolean;
  /** TTL or hop limit of adverts to peers, 0 to 255; absent: 255, and over IPv6 the kernel's default. */
  readonly unicast_ttl?: number;
  /** Version 3 checksums over the multicast group: never, always; absent: as the first peer does. */
  readonly old_unicast_checksum?: "never" | "always";
  /** FAULT while mcast_src_ip or unicast_src_ip is on no link. */
  readonly track_src_ip?: boolean;
  /** Missed adverts before a take-over, 1 to 100; absent: 3. */
  readonly down_timer_adverts?: number;
  readonly lower_prio_no_advert?: boolean;
  readonly higher_prio_send_advert?: boolean;
  readonly owner_ignore_adverts?: boolean;
  /** The priority of the router that may have taken over while we did not run, 1 to 254; absent: off. */
  readonly timer_expired_backup?: number;
  readonly skip_check_adv_addr?: boolean;
  /** Version 3 over IPv4: checksums without pseudo-header. */
  readonly v3_checksum_as_v2?: boolean;
  readonly strict_mode?: boolean;
  /** Receive buffer of its advert socket, bytes; absent: vrrp_rx_bufs_policy. */
  readonly kernel_rx_buf_size?: number;
  /** Announcements over the other links that hold its addresses; 0 is off. */
  readonly garp_extra_if?: number;
  /** `all` of garp_extra_if: over links that hold none of them, too. */
  readonly garp_extra_if_all?: boolean;
  /** Replaces `authentication`; any version, both families. */
  readonly auth_hmac?: AuthHmac;
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
  readonly track_file?: readonly Track[];
  readonly track_bfd?: readonly Track[];
  readonly use_vmac?: UseVmac;
  readonly use_vmac_addr?: boolean;
  readonly vmac_xmit_base?: boolean;
  readonly use_ipvlan?: UseIpvlan;
  /** Only without an interface. */
  readonly vrf?: string;
  readonly dont_track_primary?: boolean;
  readonly promote_secondaries?: boolean;
  readonly linkbeat_use_polling?: boolean;
  readonly virtual_routes?: readonly Route[];
  readonly virtual_rules?: readonly Rule[];
  /** What a MASTER does about addresses that somebody else removes; absent: repair. */
  readonly vip_removed?: "repair" | "step_down";
  /** The instance that has its VMAC, and does not move as one with it. */
  readonly vmac_rival?: string;
  /** Why it cannot take part, whatever the kernel says. */
  readonly configuration_fault?: string;
  readonly notify_deleted?: { readonly script?: Script };
  readonly notify_master_rx_lower_pri?: Script;
  readonly notify_priority_changes?: boolean;
  readonly notify?: Script;
  readonly notify_master?: Script;
  readonly notify_backup?: Script;
  readonly notify_fault?: Script;
  readonly notify_stop?: Script;
  /** URLs. */
  readonly notify_webhook?: readonly string[];
  readonly smtp_alert: boolean;
}
