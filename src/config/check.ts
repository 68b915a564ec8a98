/**
 * The checks of a real server as written → complete ones: what a check leaves open comes from its real
 * server, then the service, then the kind of check.
 */
import type {
  bfdCheck,
  dnsCheck,
  fileCheck,
  grpcCheck,
  httpGet,
  miscCheck,
  smtpCheck,
  sslGet,
  tcpCheck,
  udpCheck,
  WrittenUrl,
} from "./checker_keywords.ts";
import type { WrittenServer } from "./lvs_keywords.ts";
import type {
  BfdCheck,
  Check,
  CheckConnection,
  CheckTiming,
  CheckTls,
  DnsCheck,
  FileCheck,
  GrpcCheck,
  HttpCheck,
  HttpSettings,
  MiscCheck,
  SmtpCheck,
  SslCheck,
  StatusRange,
  UdpCheck,
  Url,
} from "./lvs.ts";
import type { Values } from "./schema.ts";

const SECOND_US = 1_000_000;
const HTTP_DELAY_US = 3_000_000;
const DNS_RETRY = 3;
const HELO_NAME = "smtpchecker.keepalived.org";
const GOOD_STATUS: readonly StatusRange[] = [{ from: 200, to: 299 }];

/** What the checks of a real server fall back to. */
export interface CheckDefaults {
  readonly address: string;
  readonly port: number;
  /** undefined leaves it to the kind of check. */
  readonly retry: number | undefined;
  readonly delay_before_retry: number | undefined;
  /** undefined is the check's delay_loop. */
  readonly warmup: number | undefined;
  readonly connect_timeout: number;
  readonly delay_loop: number;
  readonly alpha: boolean;
  readonly log_all_failures: boolean;
  readonly virtualhost: string | undefined;
}

const NONE: readonly Check[] = [];

/** The checks of a real server, complete, by kind. */
export function completeChecks(
  { checks, values }: WrittenServer,
  defaults: CheckDefaults,
): readonly Check[] {
  // What most of thousands of servers have: nothing, or a single TCP_CHECK.
  if (checks === 0) return NONE;
  const { TCP_CHECK: tcp } = values;
  if (checks === 1 && tcp.length === 1) return [connecting("TCP_CHECK", tcp[0]!, defaults)];
  return [
    ...tcp.map((one) => connecting("TCP_CHECK", one, defaults)),
    ...values.HTTP_GET.map((one) => http(one, defaults)),
    ...values.SSL_GET.map((one) => ssl(one, defaults)),
    ...values.SMTP_CHECK.flatMap((one) => smtp(one, defaults)),
    ...values.DNS_CHECK.map((one) => dns(one, defaults)),
    ...values.UDP_CHECK.map((one) => udp(one, defaults)),
    ...values.PING_CHECK.map((one) => connecting("PING_CHECK", one, defaults)),
    ...values.GRPC_CHECK.map((one) => grpc(one, defaults)),
    ...values.MISC_CHECK.map((one) => misc(one, defaults)),
    ...values.FILE_CHECK.map(file),
    ...values.BFD_CHECK.map((one) => bfd(one, defaults)),
  ];
}

type WrittenConnection = Values<typeof tcpCheck>;
type WrittenTiming = Pick<
  WrittenConnection,
  "retry" | "delay_before_retry" | "warmup" | "delay_loop" | "alpha" | "log_all_failures"
>;

/** A check that only connects. Thousands of them are made: one object each, made at once. */
function connecting<T extends "TCP_CHECK" | "PING_CHECK">(
  type: T,
  one: WrittenConnection,
  defaults: CheckDefaults,
): { readonly type: T } & CheckTiming & CheckConnection {
  const delay_loop = one.delay_loop ?? defaults.delay_loop;
  return {
    type,
    connect_ip: one.connect_ip ?? defaults.address,
    connect_port: one.connect_port ?? defaults.port,
    bindto: one.bindto,
    bind_port: one.bind_port,
    bind_if: one.bind_if,
    connect_timeout: one.connect_timeout ?? defaults.connect_timeout,
    fwmark: one.fwmark,
    retry: one.retry ?? defaults.retry ?? 1,
    delay_before_retry: one.delay_before_retry ?? defaults.delay_before_retry ?? SECOND_US,
    warmup: one.warmup ?? defaults.warmup ?? delay_loop,
    delay_loop,
    alpha: one.alpha ?? defaults.alpha,
    log_all_failures: one.log_all_failures ?? defaults.log_all_failures,
  };
}

/** `retry` and `delay` are what the kind of check falls back to last; without `delay`, its delay_loop. */
function timingOf(
  one: WrittenTiming,
  defaults: CheckDefaults,
  retry = 1,
  delay: number | undefined = SECOND_US,
): CheckTiming {
  const delay_loop = one.delay_loop ?? defaults.delay_loop;
  return {
    retry: one.retry ?? defaults.retry ?? retry,
    delay_before_retry: one.delay_before_retry ?? defaults.delay_before_retry ?? delay,
    warmup: one.warmup ?? defaults.warmup ?? delay_loop,
    delay_loop,
    alpha: one.alpha ?? defaults.alpha,
    log_all_failures: one.log_all_failures ?? defaults.log_all_failures,
  };
}

function connectionOf(one: WrittenConnection, defaults: CheckDefaults): CheckConnection {
  const { bindto, bind_port, bind_if, fwmark } = one;
  return {
    connect_ip: one.connect_ip ?? defaults.address,
    connect_port: one.connect_port ?? defaults.port,
    bindto,
    bind_port,
    bind_if,
    connect_timeout: one.connect_timeout ?? defaults.connect_timeout,
    fwmark,
  };
}

function tlsOf(one: Values<typeof grpcCheck> | Values<typeof sslGet>): CheckTls {
  const { tls_verify = false, tls_days, client_cert, client_key } = one;
  return { tls_verify, tls_days, client_cert, client_key };
}

function urlOf(url: WrittenUrl, host: string | undefined, tls_compliant: boolean): Url {
  const { status_code, regex_min_offset: min = 0, regex_max_offset: max } = url;
  const { path, digest, regex, regex_no_match, regex_options, method, header, body } = url;
  return {
    path: path!,
    digest,
    status_code: status_code.length === 0 ? GOOD_STATUS : status_code,
    virtualhost: url.virtualhost ?? host,
    regex,
    regex_no_match,
    regex_options,
    regex_min_offset: min,
    // A last offset below the first one counts for nothing.
    regex_max_offset: max === undefined || max < min ? undefined : max,
    method: method ?? "GET",
    header,
    body,
    tls_compliant,
  };
}

function webOf(
  one: Values<typeof httpGet> | Values<typeof sslGet>,
  defaults: CheckDefaults,
): Omit<HttpSettings, "url"> {
  return {
    ...connectionOf(one, defaults),
    ...timingOf(one, defaults, 1, HTTP_DELAY_US),
    http_protocol: one.http_protocol,
    fast_recovery: one.fast_recovery ?? false,
  };
}

function http(one: Values<typeof httpGet>, defaults: CheckDefaults): HttpCheck {
  const host = one.virtualhost ?? defaults.virtualhost;
  const url = one.url.map((url) => urlOf(url, host, false));
  return { type: "HTTP_GET", ...webOf(one, defaults), url };
}

function ssl(one: Values<typeof sslGet>, defaults: CheckDefaults): SslCheck {
  const host = one.virtualhost ?? defaults.virtualhost;
  const { sni_name, tls_compliant = false } = one;
  return {
    type: "SSL_GET",
    ...webOf(one, defaults),
    ...tlsOf(one),
    // Naming a name asks for it.
    enable_sni: (one.enable_sni ?? false) || sni_name !== undefined,
    sni_name: sni_name === "" ? undefined : sni_name,
    alpn: one.alpn,
    url: one.url.map((url) => urlOf(url, host, url.tls_compliant ?? tls_compliant)),
  };
}

/** A check of its own for each host, whose defaults are those of the check around it. */
function smtp(one: Values<typeof smtpCheck>, defaults: CheckDefaults): readonly SmtpCheck[] {
  const outer: SmtpCheck = {
    type: "SMTP_CHECK",
    ...connectionOf(one, defaults),
    ...timingOf(one, defaults),
    helo_name: one.helo_name ?? HELO_NAME,
  };
  const { address, port } = defaults;
  return [
    outer,
    ...one.host.map((host): SmtpCheck => ({
      ...outer,
      ...connectionOf(host, { ...defaults, ...outer, address, port }),
      ...timingOf(host, { ...defaults, ...outer }),
    })),
  ];
}

function dns(one: Values<typeof dnsCheck>, defaults: CheckDefaults): DnsCheck {
  const timing = timingOf(one, defaults, DNS_RETRY, one.delay_loop ?? defaults.delay_loop);
  const { type: record, name } = one;
  return { type: "DNS_CHECK", ...connectionOf(one, defaults), ...timing, record, name };
}

function udp(one: Values<typeof udpCheck>, defaults: CheckDefaults): UdpCheck {
  const { payload, require_reply, min_reply_length, max_reply_length } = one;
  return {
    type: "UDP_CHECK",
    ...connectionOf(one, defaults),
    ...timingOf(one, defaults),
    payload,
    require_reply: require_reply !== undefined,
    reply: require_reply === "" ? undefined : require_reply,
    min_reply_length,
    max_reply_length,
  };
}

function grpc(one: Values<typeof grpcCheck>, defaults: CheckDefaults): GrpcCheck {
  return {
    type: "GRPC_CHECK",
    ...connectionOf(one, defaults),
    ...timingOf(one, defaults),
    ...tlsOf(one),
    service: one.service ?? "",
    tls: one.tls ?? false,
    virtualhost: one.virtualhost ?? defaults.virtualhost,
  };
}

function misc(one: Values<typeof miscCheck>, defaults: CheckDefaults): MiscCheck {
  const { argv } = one.misc_path!;
  const { user, group } = one.user ?? one.misc_path!;
  return {
    type: "MISC_CHECK",
    ...timingOf(one, defaults, 0),
    misc_path: {
      argv,
      ...(user === undefined ? {} : { user }),
      ...(group === undefined ? {} : { group }),
    },
    misc_timeout: one.misc_timeout === 0 ? defaults.delay_loop : one.misc_timeout,
    misc_dynamic: one.misc_dynamic,
  };
}

function file({ track_file, weight }: Values<typeof fileCheck>): FileCheck {
  const reverse = weight?.reverse ?? false;
  return { type: "FILE_CHECK", track_file: track_file!, weight: weight?.weight, reverse };
}

function bfd({ name, alpha }: Values<typeof bfdCheck>, defaults: CheckDefaults): BfdCheck {
  return { type: "BFD_CHECK", name: name!, alpha: alpha ?? defaults.alpha };
}
