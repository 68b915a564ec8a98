/**
 * The lines of the log about attempts and what follows from them, and the mail about it, in keepalived's words,
 * which people and programs look for. What is ours is the line that says why.
 */

import type { Check, CheckConnection } from "../config/lvs.ts";
import { errnoText } from "../lib/errno_text.ts";
import { hostOf } from "./check/http.ts";
import type { Health, HealthNews } from "./check/health.ts";
import type { Fault, Verdict } from "./check/talk.ts";

/** What a line is about. */
export interface Occasion {
  readonly check: Check;
  readonly realServer: string;
  /** Those it is checked for. */
  readonly virtualServers: readonly string[];
  /** Before the attempt. */
  readonly before: Health;
  readonly news: HealthNews;
  readonly verdict: Verdict;
}

type Failure = Extract<Verdict, { isGood: false }>;

/** The lines about an attempt, in order. */
export function linesAbout(occasion: Occasion): string[] {
  const { verdict } = occasion;
  return verdict.isGood ? successLines(occasion) : failureLines(occasion, verdict);
}

function successLines(occasion: Occasion): string[] {
  const { check, realServer: rs, virtualServers, before, news, verdict } = occasion;
  const lines: string[] = [];
  if (verdict.isGood && verdict.note !== undefined && "url" in check) {
    const { path } = check.url[before.step]!;
    for (const vs of virtualServers) {
      lines.push(`http_check for RS ${rs} VS ${vs} url ${path}: ${verdict.note}`);
    }
  }
  if (!before.isUp && "url" in check && verdict.isGood) {
    const { path } = check.url[before.step]!;
    lines.push(`${PROOFS[verdict.proof ?? "status"]} success to ${rs} url(${path})`);
  }
  // What is told of rather than asked for goes without saying while it is well.
  const isEvent = check.type === "FILE_CHECK" || check.type === "BFD_CHECK";
  if (news === "up" && !(isEvent && before.isUp)) lines.push(...upLines(check, rs, virtualServers));
  return lines;
}

const PROOFS = { status: "HTTP status code", digest: "MD5 digest", regex: "Regex match" } as const;

function upLines(check: Check, rs: string, virtualServers: readonly string[]): string[] {
  switch (check.type) {
    case "TCP_CHECK":
      return [`TCP connection to ${rs} success.`];
    case "HTTP_GET":
    case "SSL_GET":
      return [`Remote Web server ${rs} succeed on service.`];
    case "SMTP_CHECK":
      return [`Remote SMTP server ${rs} succeed on service.`];
    case "DNS_CHECK":
      return [`DNS_CHECK (${rs}) success.`];
    case "UDP_CHECK":
      return [`UDP connection to ${rs} success.`];
    case "PING_CHECK":
      return [`ICMP connection to ${rs} success.`];
    case "GRPC_CHECK":
      return [`GRPC connection to ${rs} success.`];
    case "MISC_CHECK":
      return virtualServers.map((vs) =>
        `Misc check for [${rs} VS ${vs}] by [${check.misc_path.argv[0]}] succeeded.`
      );
    case "FILE_CHECK":
      return [`(${rs}): tracked file ${check.track_file} leaving FAULT state`];
    case "BFD_CHECK":
      return [`BFD_CHECK (${rs}): session ${check.name} is up`];
  }
}

function failureLines(occasion: Occasion, failure: Failure): string[] {
  const { check, realServer: rs, before, news } = occasion;
  switch (check.type) {
    case "FILE_CHECK":
      return news === "down" ? [`(${rs}): tracked file ${check.track_file} now FAULT state`] : [];
    case "BFD_CHECK":
      return news === "down" ? [`BFD_CHECK (${rs}): session ${check.name} is down`] : [];
    case "MISC_CHECK":
      return miscLines(occasion, failure);
  }
  const isTold = check.log_all_failures && before.isUp;
  if (news !== "down") return isTold ? [detail(check, rs, failure)] : [];
  const spent = before.isKnown ? check.retry : 0;
  const after = spent === 0 ? "" : ` after ${spent} retries`;
  const why = `${check.type} on service ${rs}: ${failure.why}`;
  switch (check.type) {
    // Of these one line is all there is.
    case "SMTP_CHECK":
      return [detail(check, rs, failure), why];
    case "DNS_CHECK":
      return [`${detail(check, rs, failure)}${after}`, why];
  }
  return [
    ...(isTold ? [detail(check, rs, failure)] : []),
    `${NAMES[check.type]} on service ${rs} failed${after}.`,
    why,
  ];
}

const NAMES = {
  TCP_CHECK: "TCP_CHECK",
  HTTP_GET: "HTTP_CHECK",
  SSL_GET: "HTTP_CHECK",
  UDP_CHECK: "UDP_CHECK",
  PING_CHECK: "ICMP CHECK",
  GRPC_CHECK: "GRPC_CHECK",
} as const;

type Connecting = Extract<Check, CheckConnection>;

/** What happened in one attempt. */
function detail(check: Connecting, rs: string, failure: Failure): string {
  const { fault, why } = failure;
  switch (check.type) {
    case "TCP_CHECK":
      return `TCP connection to ${rs} ${fault === "connect timeout" ? "timeout" : "failed"}.`;
    case "HTTP_GET":
    case "SSL_GET":
      return `${webFault(fault)} ${rs}.`;
    case "SMTP_CHECK":
      return `SMTP_CHECK ${mailFaultOf(check, fault)}`;
    case "DNS_CHECK":
      return `DNS_CHECK (${rs}) ${dnsFault(failure)}`;
    case "UDP_CHECK":
      return fault === "mismatch"
        ? `UDP check to ${rs} reply data mismatch.`
        : `UDP connection to ${rs} failed.`;
    case "PING_CHECK":
      if (fault === "connect") return "send ICMP packet fail";
      return `ICMP connection to address ${rs} ${fault === "silence" ? "timeout" : "failed"}.`;
    case "GRPC_CHECK":
      return `GRPC connection to ${rs} failed: ${why}`;
  }
}

/** `[address]:port`. */
function socketName({ connect_ip, connect_port }: CheckConnection): string {
  return connect_ip.includes(":")
    ? hostOf(connect_ip, connect_port)
    : `[${connect_ip}]:${connect_port}`;
}

function webFault(fault: Fault): string {
  switch (fault) {
    case "connect timeout":
      return "Timeout connecting server";
    case "handshake":
    case "certificate":
      return "SSL handshake/communication error connecting to server";
    case "silence":
      return "Timeout WEB read server";
    case "incomplete":
      return "Timeout HTTP read server";
    case "closed":
      return "Read, no data received from  server";
    case "status":
    case "garbage":
      return "HTTP status code error to server";
    case "digest":
    case "too much":
      return "MD5 digest error to server";
    case "regex":
      return "Regex match failed server";
    case "connect":
    case "greeting":
    case "mismatch":
    case "refused":
      return "Connection failed server";
  }
}

function mailFaultOf(check: CheckConnection, fault: Fault): string {
  return `${mailFault(fault)} server ${socketName(check)}`;
}

function mailFault(fault: Fault): string {
  switch (fault) {
    case "connect":
    case "connect timeout":
      return "Could not connect to";
    case "silence":
    case "incomplete":
      return "Read timeout from";
    case "greeting":
      return "Bad greeting banner from";
    case "closed":
      return "Connection closed by";
  }
  return "Bad HELO response from";
}

function dnsFault({ fault, why, errno }: Failure): string {
  if (errno !== undefined) return `failed to read socket; errno ${errno} (${errnoText(errno)})`;
  if (fault === "silence") return "read timeout from socket";
  const rcode = /^rcode (\d+)/.exec(why)?.[1];
  return `read error occurred. (${rcode === undefined ? why : `rcode = ${rcode}`})`;
}

/** What a mail says of a check that has changed its mind; undefined for one that nobody is mailed about. */
export function mailAbout(check: Check, verdict: Verdict): string | undefined {
  const { isGood } = verdict;
  const change = `${isGood ? "succeed" : "failed"} on service`;
  switch (check.type) {
    case "TCP_CHECK":
      return `TCP CHECK ${change}`;
    case "UDP_CHECK":
      return `UDP CHECK ${change}`;
    case "PING_CHECK":
      return `ICMP CHECK ${change}`;
    case "GRPC_CHECK":
      return `GRPC CHECK ${change}`;
    case "DNS_CHECK":
      return `DNS_CHECK: ${change}`;
    case "MISC_CHECK":
      return `MISC CHECK ${isGood ? "succeeded" : "failed"} on service`;
    case "HTTP_GET":
    case "SSL_GET":
      return `CHECK ${change}${isGood ? "" : " : HTTP request failed"}`;
    case "SMTP_CHECK":
      return `CHECK ${change}${isGood ? "" : ` : ${mailFaultOf(check, verdict.fault)}`}`;
    case "FILE_CHECK":
    case "BFD_CHECK":
      return undefined;
  }
}

/** Of a program every failure while up is told when asked for, with what will be done about it. */
function miscLines(
  { check, realServer, virtualServers, before, news }: Occasion,
  failure: Failure,
): string[] {
  if (check.type !== "MISC_CHECK") return [];
  const { retry, misc_path, log_all_failures } = check;
  const isRetry = news === "retry";
  if (news !== "down" && !(isRetry && log_all_failures)) return [];
  const { fault, why } = failure;
  const [what, cause] = fault === "silence" ? ["timed out", ""] : ["failed", ` (${why})`];
  const plan = !isRetry
    ? retry === 0 ? " with retry disabled" : ` after ${retry} retries`
    : before.failures === 0
    ? `, will do ${retry} retries`
    : ` on retry ${before.failures}/${retry}`;
  return virtualServers.map((vs) =>
    `Misc check for [${realServer} VS ${vs}] by [${misc_path.argv[0]}] ${what}${plan}${cause}.`
  );
}
