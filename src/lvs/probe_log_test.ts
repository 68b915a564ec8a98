/** Lines of the log, as they were seen of keepalived 2.2.7; those that say why are ours. */

import { describe, expect, test } from "bun:test";
import type { Check, CheckConnection, CheckTiming } from "../config/lvs.ts";
import { type Health, type HealthNews } from "./check/health.ts";
import { bad, type Fault, GOOD, type Verdict } from "./check/talk.ts";
import { linesAbout, mailAbout } from "./probe_log.ts";

const RS = "[127.0.0.1]:tcp:7001";
const COMMON: CheckTiming & CheckConnection = {
  connect_ip: "127.0.0.1",
  connect_port: 8001,
  connect_timeout: 1,
  fwmark: 0,
  retry: 2,
  delay_before_retry: 0,
  warmup: 0,
  delay_loop: 1,
  alpha: false,
  log_all_failures: false,
};
const CHECKS: Readonly<Record<string, Check>> = {
  tcp: { ...COMMON, type: "TCP_CHECK" },
  http: { ...COMMON, type: "HTTP_GET", url: [{ path: "/a" }] } as unknown as Check,
  ssl: { ...COMMON, type: "SSL_GET", url: [{ path: "/a" }] } as unknown as Check,
  smtp: { ...COMMON, type: "SMTP_CHECK", helo_name: "me" },
  dns: { ...COMMON, type: "DNS_CHECK", record: "A", name: "" },
  udp: { ...COMMON, type: "UDP_CHECK" } as Check,
  ping: { ...COMMON, type: "PING_CHECK" },
  grpc: { ...COMMON, type: "GRPC_CHECK" } as Check,
  misc: {
    ...COMMON,
    type: "MISC_CHECK",
    misc_path: { argv: ["/run/s/misc.sh", "x"] },
    misc_timeout: 1,
    misc_dynamic: false,
  },
  file: { type: "FILE_CHECK", track_file: "tf", reverse: false },
};

const UP: Health = { isUp: true, isKnown: true, step: 0, passed: 0, failures: 0 };
const GUESS: Health = { ...UP, isKnown: false };
const DOWN: Health = { ...UP, isUp: false };

function lines(
  name: string,
  before: Health,
  news: HealthNews,
  verdict: Verdict,
  rest: Partial<CheckTiming> = {},
): string[] {
  const check = { ...CHECKS[name]!, ...rest } as Check;
  return linesAbout({
    check,
    realServer: RS,
    virtualServers: ["[10.1.1.1]:tcp:80"],
    before,
    news,
    verdict,
  });
}

/** With checker_log_all_failures, at the last of two extra attempts: what the line about the attempt says. */
const FAILURES: readonly (readonly [string, Fault, string, string])[] = [
  ["tcp", "connect", "Connection refused", `TCP connection to ${RS} failed.`],
  ["tcp", "connect timeout", "x", `TCP connection to ${RS} timeout.`],
  ["http", "connect", "x", `Connection failed server ${RS}.`],
  ["http", "connect timeout", "x", `Timeout connecting server ${RS}.`],
  ["ssl", "handshake", "x", `SSL handshake/communication error connecting to server ${RS}.`],
  ["http", "status", "x", `HTTP status code error to server ${RS}.`],
  ["http", "digest", "x", `MD5 digest error to server ${RS}.`],
  ["http", "regex", "x", `Regex match failed server ${RS}.`],
  ["http", "closed", "x", `Read, no data received from  server ${RS}.`],
  ["http", "silence", "x", `Timeout WEB read server ${RS}.`],
  ["http", "incomplete", "x", `Timeout HTTP read server ${RS}.`],
  ["smtp", "connect", "x", "SMTP_CHECK Could not connect to server [127.0.0.1]:8001"],
  ["smtp", "silence", "x", "SMTP_CHECK Read timeout from server [127.0.0.1]:8001"],
  ["smtp", "status", "x", "SMTP_CHECK Bad HELO response from server [127.0.0.1]:8001"],
  ["dns", "silence", "x", `DNS_CHECK (${RS}) read timeout from socket`],
  ["dns", "status", "rcode 3 (NXDOMAIN)", `DNS_CHECK (${RS}) read error occurred. (rcode = 3)`],
  ["udp", "silence", "x", `UDP connection to ${RS} failed.`],
  ["udp", "mismatch", "x", `UDP check to ${RS} reply data mismatch.`],
  ["ping", "silence", "x", `ICMP connection to address ${RS} timeout.`],
  ["ping", "connect", "x", "send ICMP packet fail"],
];

describe("a failed attempt", () => {
  for (const [name, fault, why, line] of FAILURES) {
    test(line, () => {
      const all = { log_all_failures: true };
      expect(lines(name, UP, "retry", bad(fault, why), all)).toEqual([line]);
      expect(lines(name, UP, "retry", bad(fault, why))).toEqual([]);
      // Of a server that is down nobody wants to hear it again.
      expect(lines(name, DOWN, "still down", bad(fault, why), all)).toEqual([]);
      const end = lines(name, { ...UP, failures: 2 }, "down", bad(fault, why), all);
      expect(end[0]).toBe(name === "dns" ? `${line} after 2 retries` : line);
      expect(end.at(-1)).toEndWith(` on service ${RS}: ${why}`);
    });
  }
});

test("a check goes down", () => {
  const said = (name: string): string =>
    lines(name, { ...UP, failures: 2 }, "down", bad("closed", "x"))[0]!;
  expect(["tcp", "http", "ssl", "udp", "ping", "grpc"].map(said)).toEqual([
    `TCP_CHECK on service ${RS} failed after 2 retries.`,
    `HTTP_CHECK on service ${RS} failed after 2 retries.`,
    `HTTP_CHECK on service ${RS} failed after 2 retries.`,
    `UDP_CHECK on service ${RS} failed after 2 retries.`,
    `ICMP CHECK on service ${RS} failed after 2 retries.`,
    `GRPC_CHECK on service ${RS} failed after 2 retries.`,
  ]);
  expect(lines("tcp", GUESS, "down", bad("connect", "x"))[0]).toBe(
    `TCP_CHECK on service ${RS} failed.`,
  );
  expect(lines("tcp", UP, "down", bad("connect", "x"), { retry: 0 })[0]).toBe(
    `TCP_CHECK on service ${RS} failed.`,
  );
});

test("the kernel's word about a name server", () => {
  const verdict: Verdict = {
    isGood: false,
    fault: "connect",
    why: "Connection refused",
    errno: 111,
  };
  expect(lines("dns", GUESS, "down", verdict)[0]).toBe(
    `DNS_CHECK (${RS}) failed to read socket; errno 111 (Connection refused)`,
  );
});

test("a check comes up", () => {
  const said = (name: string): string[] => lines(name, DOWN, "up", GOOD);
  expect(["tcp", "smtp", "udp", "ping", "misc", "file"].flatMap(said)).toEqual([
    `TCP connection to ${RS} success.`,
    `Remote SMTP server ${RS} succeed on service.`,
    `UDP connection to ${RS} success.`,
    `ICMP connection to ${RS} success.`,
    `Misc check for [${RS} VS [10.1.1.1]:tcp:80] by [/run/s/misc.sh] succeeded.`,
    `(${RS}): tracked file tf leaving FAULT state`,
  ]);
  for (const [proof, line] of PROOFS) {
    expect(lines("http", DOWN, "up", { isGood: true, proof })).toEqual([
      `${line} success to ${RS} url(/a)`,
      `Remote Web server ${RS} succeed on service.`,
    ]);
  }
  expect(lines("http", GUESS, "up", GOOD)).toEqual([`Remote Web server ${RS} succeed on service.`]);
  expect(lines("file", GUESS, "up", GOOD)).toEqual([]);
});

const PROOFS = [["status", "HTTP status code"], ["digest", "MD5 digest"], [
  "regex",
  "Regex match",
]] as const;

test("a body that is shorter than it says", () => {
  const note = "content_length (500) does not match received bytes (5)";
  expect(lines("http", UP, "fine", { isGood: true, note })).toEqual([
    `http_check for RS ${RS} VS [10.1.1.1]:tcp:80 url /a: ${note}`,
  ]);
});

test("a program fails", () => {
  const name = `Misc check for [${RS} VS [10.1.1.1]:tcp:80] by [/run/s/misc.sh]`;
  const exit = bad("refused", "exited with status 1");
  const late = bad("silence", "timed out");
  const all = { log_all_failures: true };
  expect([
    ...lines("misc", UP, "retry", exit, all),
    ...lines("misc", { ...UP, failures: 1 }, "retry", exit, all),
    ...lines("misc", { ...UP, failures: 2 }, "down", exit),
    ...lines("misc", { ...UP, failures: 1 }, "retry", late, all),
    ...lines("misc", GUESS, "down", late),
    ...lines("misc", UP, "down", late, { retry: 0 }),
    ...lines("misc", DOWN, "still down", exit, all),
    ...lines("misc", UP, "retry", exit),
  ]).toEqual([
    `${name} failed, will do 2 retries (exited with status 1).`,
    `${name} failed on retry 1/2 (exited with status 1).`,
    `${name} failed after 2 retries (exited with status 1).`,
    `${name} timed out on retry 1/2.`,
    `${name} timed out after 2 retries.`,
    `${name} timed out with retry disabled.`,
  ]);
});

test("a file's number fails a check", () => {
  expect(lines("file", UP, "down", bad("refused", "x"))).toEqual([
    `(${RS}): tracked file tf now FAULT state`,
  ]);
});

test("mails say which kind of check it was", () => {
  const table = {
    tcp: ["TCP CHECK succeed on service", "TCP CHECK failed on service"],
    http: ["CHECK succeed on service", "CHECK failed on service : HTTP request failed"],
    ssl: ["CHECK succeed on service", "CHECK failed on service : HTTP request failed"],
    smtp: [
      "CHECK succeed on service",
      "CHECK failed on service : Could not connect to server [127.0.0.1]:8001",
    ],
    dns: ["DNS_CHECK: succeed on service", "DNS_CHECK: failed on service"],
    udp: ["UDP CHECK succeed on service", "UDP CHECK failed on service"],
    ping: ["ICMP CHECK succeed on service", "ICMP CHECK failed on service"],
    grpc: ["GRPC CHECK succeed on service", "GRPC CHECK failed on service"],
    misc: ["MISC CHECK succeeded on service", "MISC CHECK failed on service"],
    file: [undefined, undefined],
  };
  for (const [name, mails] of Object.entries(table)) {
    const verdicts = [GOOD, bad("connect", "the connection is refused")];
    expect([name, verdicts.map((one) => mailAbout(CHECKS[name]!, one))]).toEqual([name, mails]);
  }
  expect(mailAbout(CHECKS["smtp"]!, bad("mismatch", "550 no"))).toBe(
    "CHECK failed on service : Bad HELO response from server [127.0.0.1]:8001",
  );
});
