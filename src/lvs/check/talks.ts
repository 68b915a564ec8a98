/** Which talk a check begins, at which of its steps. What all its attempts have in common is made once. */

import type { Check, CheckConnection, CheckTls } from "../../config/lvs.ts";
import { DnsTalk } from "./dns.ts";
import { GrpcTalk } from "./grpc.ts";
import { type Digester, HttpTalk, type WebRequest, webRequest } from "./http.ts";
import { PingTalk } from "./ping.ts";
import { SmtpTalk } from "./smtp.ts";
import type { Talk } from "./talk.ts";
import { TCP_TALK } from "./tcp.ts";
import { UdpTalk } from "./udp.ts";

/** A check that connects. */
export type ConnectingCheck = Extract<Check, CheckConnection>;

/** What talks are made with. */
export interface TalkTools {
  /** Begins an MD5. */
  readonly md5: () => Digester;
  /** 16 random bits. */
  readonly random16: () => number;
}

/** Whether a check connects to its server. */
export function isConnecting(check: Check): check is ConnectingCheck {
  return "connect_ip" in check;
}

/** How many steps a check has. */
export function stepsOf(check: Check): number {
  return "url" in check ? check.url.length : 1;
}

/** How a check's bytes travel. */
export type Transport = "tcp" | "tls" | "udp" | "ping";

/** How a check's bytes travel. */
export function transportOf(check: ConnectingCheck): Transport {
  switch (check.type) {
    case "TCP_CHECK":
    case "HTTP_GET":
    case "SMTP_CHECK":
      return "tcp";
    case "SSL_GET":
      return "tls";
    case "GRPC_CHECK":
      return check.tls ? "tls" : "tcp";
    case "DNS_CHECK":
    case "UDP_CHECK":
      return "udp";
    case "PING_CHECK":
      return "ping";
  }
}

/** What all attempts of a check with urls have in common, of each step; made once. */
export function requestsOf(check: ConnectingCheck): readonly WebRequest[] {
  return "url" in check ? check.url.map((url) => webRequest(check, url)) : NO_REQUESTS;
}

const NO_REQUESTS: readonly WebRequest[] = [];

/** Begins the talk of a check at one of its steps. */
export function talkOf(
  check: ConnectingCheck,
  step: number,
  requests: readonly WebRequest[],
  tools: TalkTools,
): Talk {
  switch (check.type) {
    case "TCP_CHECK":
      return TCP_TALK;
    case "HTTP_GET":
    case "SSL_GET":
      return new HttpTalk(requests[step]!, tools.md5);
    case "SMTP_CHECK":
      return new SmtpTalk(check);
    case "DNS_CHECK":
      return new DnsTalk(check, tools.random16());
    case "UDP_CHECK":
      return new UdpTalk(check);
    case "PING_CHECK":
      return new PingTalk(check.connect_ip.includes(":") ? 6 : 4, tools.random16());
    case "GRPC_CHECK":
      return new GrpcTalk(check);
  }
}

/** What a check wants of TLS, at one of its steps. */
export interface TlsWish extends CheckTls {
  /** The name to ask for; none when absent. */
  readonly serverName?: string | undefined;
  /** The name that the certificate must have, when that counts. */
  readonly verifyName: string;
  /** The protocols offered, in order. */
  readonly alpn: readonly string[];
  /** Ends with close_notify. */
  readonly isPolite: boolean;
}

/** What a check that speaks TLS wants of it at one of its steps. */
export function tlsWish(
  check: Extract<ConnectingCheck, CheckTls>,
  step: number,
): TlsWish {
  const { tls_verify, tls_days, client_cert, client_key, connect_ip } = check;
  const common = { tls_verify, tls_days, client_cert, client_key };
  if (check.type === "GRPC_CHECK") {
    const name = nameIn(check.virtualhost);
    return {
      ...common,
      serverName: name,
      verifyName: name ?? connect_ip,
      alpn: ["h2"],
      isPolite: true,
    };
  }
  const { virtualhost, tls_compliant } = check.url[step]!;
  const name = check.sni_name ?? nameIn(virtualhost);
  return {
    ...common,
    serverName: check.enable_sni ? name : undefined,
    verifyName: name ?? connect_ip,
    alpn: check.alpn,
    isPolite: tls_compliant,
  };
}

/** The name in a Host header, which may carry a port; an address is no name to ask for (RFC 6066 §3). */
function nameIn(host: string | undefined): string | undefined {
  const name = host?.replace(/:\d+$/, "");
  return name === undefined || /^[\d.]+$|[:[]/.test(name) ? undefined : name;
}
