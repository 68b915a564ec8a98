/**
 * What the load balancer's blocks say: services, their real servers and the checks of these, complete
 * and self-contained. The fields keep the spelling of the configuration; durations are integer
 * microseconds, addresses canonical text. Plain JSON.
 */
import type { Place } from "./problem.ts";
import type { Script } from "./vrrp.ts";

/** What a service answers to. */
export type ServiceTarget =
  /** Port 0 is any port. */
  | { readonly type: "address"; readonly address: string; readonly port: number }
  /** 0 to 4294967295. */
  | { readonly type: "fwmark"; readonly fwmark: number }
  /** The name of a virtual_server_group, and how many services of it came before; absent for the first. */
  | { readonly type: "group"; readonly group: string; readonly number?: number };

/** One line of a virtual_server_group. */
export type GroupEntry =
  | { readonly type: "address"; readonly address: string; readonly port: number }
  /** All addresses from `first` to `last`, both included. */
  | { readonly type: "range"; readonly first: string; readonly last: string; readonly port: number }
  /** The family of its real servers unless told. */
  | { readonly type: "fwmark"; readonly fwmark: number; readonly family?: 4 | 6 };

/** A virtual_server_group: what a service may answer to besides one address. */
export interface VirtualServerGroup {
  readonly name: string;
  readonly place: Place;
  /** At least one. */
  readonly entries: readonly GroupEntry[];
}

/** The schedulers keepalived knows. */
export const SCHEDULERS = [
  "rr",
  "wrr",
  "lc",
  "wlc",
  "lblc",
  "sh",
  "mh",
  "dh",
  "fo",
  "ovf",
  "lblcr",
  "sed",
  "nq",
  "twos",
] as const;

/** How packets reach a real server. */
export interface Forwarding {
  readonly method: "NAT" | "DR" | "TUN";
  /** Of a tunnel; ipip when absent. */
  readonly type?: "ipip" | "gue" | "gre" | undefined;
  /** Of a gue tunnel, 1 to 65535. */
  readonly port?: number | undefined;
  readonly checksum?: "nocsum" | "csum" | "remcsum" | undefined;
}

/** The server that steps in when quorum is lost. */
export interface SorryServer {
  readonly address: string;
  readonly port: number;
  /** Weight 0 instead of removal. */
  readonly inhibit: boolean;
  readonly lvs_method: Forwarding;
}

/** One virtual_server: a service, or one per member of its group. */
export interface VirtualServer {
  readonly target: ServiceTarget;
  /** Where its block starts. */
  readonly place: Place;
  /** From ip_family, the address, or its servers; absent when nothing tells. */
  readonly ip_family?: 4 | 6 | undefined;
  /** Absent for a firewall mark. */
  readonly protocol?: "TCP" | "UDP" | "SCTP" | undefined;
  readonly lvs_sched: typeof SCHEDULERS[number];
  readonly ops: boolean;
  readonly "flag-1": boolean;
  readonly "flag-2": boolean;
  readonly "flag-3": boolean;
  readonly lvs_method: Forwarding;
  readonly persistence_engine?: string | undefined;
  /** Whole seconds in microseconds; absent is off. */
  readonly persistence_timeout?: number | undefined;
  /** A netmask (IPv4) or a prefix length (IPv6); absent is one host. */
  readonly persistence_granularity?: string | undefined;
  readonly ha_suspend: boolean;
  readonly smtp_alert: boolean;
  readonly snmp_name?: string | undefined;
  readonly alpha: boolean;
  readonly omega: boolean;
  readonly quorum_up?: Script | undefined;
  readonly quorum_down?: Script | undefined;
  /** At most the weight of all its servers. */
  readonly quorum: number;
  /** Below quorum. */
  readonly hysteresis: number;
  readonly sorry_server?: SorryServer | undefined;
  /** The vrrp_instance in whose MASTER state alone the service exists. */
  readonly only_when_master?: string | undefined;
  /** At least one. */
  readonly real_servers: readonly RealServer[];
}

/** One real_server. */
export interface RealServer {
  readonly address: string;
  /** 0 only where the service has no port of its own. */
  readonly port: number;
  readonly place: Place;
  readonly weight: number;
  readonly lvs_method: Forwarding;
  /** 0 is no limit. */
  readonly uthreshold: number;
  readonly lthreshold: number;
  /** Weight 0 instead of removal. */
  readonly inhibit_on_failure: boolean;
  readonly notify_up?: Script | undefined;
  readonly notify_down?: Script | undefined;
  /** Starts as down. */
  readonly alpha: boolean;
  readonly smtp_alert: boolean;
  readonly snmp_name?: string | undefined;
  /** How long its weight ramps up after a recovery; 0 is off. */
  readonly slow_start: number;
  /** All must be up. */
  readonly checks: readonly Check[];
}

/** When a check runs and what it takes to fail. */
export interface CheckTiming {
  /** Extra attempts before the check fails. */
  readonly retry: number;
  readonly delay_before_retry: number;
  /** The upper bound of the random first delay. */
  readonly warmup: number;
  readonly delay_loop: number;
  readonly alpha: boolean;
  readonly log_all_failures: boolean;
}

/** Where a check connects to, and from where. */
export interface CheckConnection {
  readonly connect_ip: string;
  /** 0 only where the real server has no port. */
  readonly connect_port: number;
  readonly bindto?: string | undefined;
  readonly bind_port?: number | undefined;
  readonly bind_if?: string | undefined;
  readonly connect_timeout: number;
  /** SO_MARK; 0 is none. */
  readonly fwmark: number;
}

/** How TLS is spoken, and what a certificate must be. */
export interface CheckTls {
  /** The certificate's chain and name count. */
  readonly tls_verify: boolean;
  /** The certificate must be good for so many days more; absent when that does not matter. */
  readonly tls_days?: number | undefined;
  /** Files in PEM. */
  readonly client_cert?: string | undefined;
  readonly client_key?: string | undefined;
}

/** A status code range, both ends included. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** One request of an HTTP_GET or SSL_GET. */
export interface Url {
  readonly path: string;
  /** MD5 of the body, 32 lower case hexadecimal digits. */
  readonly digest?: string | undefined;
  /** At least one. */
  readonly status_code: readonly StatusRange[];
  /** The Host header; the address and port when absent. */
  readonly virtualhost?: string | undefined;
  readonly regex?: string | undefined;
  /** A match is a failure. */
  readonly regex_no_match: boolean;
  readonly regex_options: readonly string[];
  readonly regex_min_offset: number;
  readonly regex_max_offset?: number | undefined;
  readonly method: string;
  /** Name and value. */
  readonly header: readonly (readonly [string, string])[];
  readonly body?: string | undefined;
  /** Ends TLS with close_notify; SSL_GET only. */
  readonly tls_compliant: boolean;
}

/** What both web checks have. */
export interface HttpSettings extends CheckTiming, CheckConnection {
  readonly http_protocol: "1.0" | "1.0C" | "1.1";
  readonly fast_recovery: boolean;
  /** At least one. */
  readonly url: readonly Url[];
}

/** A web page over HTTP. */
export interface HttpCheck extends HttpSettings {
  readonly type: "HTTP_GET";
}

/** A web page over TLS. */
export interface SslCheck extends HttpSettings, CheckTls {
  readonly type: "SSL_GET";
  readonly enable_sni: boolean;
  /** The Host header when absent. */
  readonly sni_name?: string | undefined;
  /** The protocols offered, in order; empty offers none. */
  readonly alpn: readonly string[];
}

/** A connection that opens. */
export interface TcpCheck extends CheckTiming, CheckConnection {
  readonly type: "TCP_CHECK";
}

/** An echo that comes back. */
export interface PingCheck extends CheckTiming, CheckConnection {
  readonly type: "PING_CHECK";
}

/** A datagram that is not refused, or is answered. */
export interface UdpCheck extends CheckTiming, CheckConnection {
  readonly type: "UDP_CHECK";
  /** Hexadecimal; a text of 32 bytes when absent. */
  readonly payload?: string | undefined;
  readonly require_reply: boolean;
  /** Hexadecimal, `x` for a digit that does not matter; any reply when absent. */
  readonly reply?: string | undefined;
  readonly min_reply_length: number;
  readonly max_reply_length: number;
}

/** A mail server that greets and takes a HELO. */
export interface SmtpCheck extends CheckTiming, CheckConnection {
  readonly type: "SMTP_CHECK";
  readonly helo_name: string;
}

/** A question that is answered. */
export interface DnsCheck extends CheckTiming, CheckConnection {
  readonly type: "DNS_CHECK";
  readonly record: string;
  /** "" is the root. */
  readonly name: string;
}

/** A health service that says SERVING (grpc.health.v1). */
export interface GrpcCheck extends CheckTiming, CheckConnection, CheckTls {
  readonly type: "GRPC_CHECK";
  /** "" is the server as a whole. */
  readonly service: string;
  readonly tls: boolean;
  /** The authority asked for; the address and port when absent. */
  readonly virtualhost?: string | undefined;
}

/** A program that ends well. */
export interface MiscCheck extends CheckTiming {
  readonly type: "MISC_CHECK";
  readonly misc_path: Script;
  readonly misc_timeout: number;
  /** Exit statuses 2 to 255 set the weight to status - 2. */
  readonly misc_dynamic: boolean;
}

/** A file's number, which adds to the weight. */
export interface FileCheck {
  readonly type: "FILE_CHECK";
  readonly track_file: string;
  /** The track_file's own when absent; 0 makes a number other than 0 a failure. */
  readonly weight?: number | undefined;
  readonly reverse: boolean;
}

/** A BFD session that is up. */
export interface BfdCheck {
  readonly type: "BFD_CHECK";
  readonly name: string;
  readonly alpha: boolean;
}

/** One check of a real server. */
export type Check =
  | TcpCheck
  | HttpCheck
  | SslCheck
  | SmtpCheck
  | DnsCheck
  | UdpCheck
  | PingCheck
  | GrpcCheck
  | MiscCheck
  | FileCheck
  | BfdCheck;

/** The SSL block: what SSL_GET shows to servers. File names but for the password. */
export interface Ssl {
  readonly password?: string | undefined;
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}
