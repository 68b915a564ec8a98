/** Web checks: the request, what responses come to however they are cut up, and servers that mean harm. */

import { describe, expect, test } from "bun:test";
import type { HttpCheck, Url } from "../../config/lvs.ts";
import { type HttpTalk, HttpTalk as Web, webRequest } from "./http.ts";
import { isVerdict, type Reply, utf8, type Verdict } from "./talk.ts";

const URL_OF_NOTHING: Url = {
  path: "/a",
  status_code: [{ from: 200, to: 299 }],
  regex_no_match: false,
  regex_options: [],
  regex_min_offset: 0,
  method: "GET",
  header: [],
  tls_compliant: false,
};
const SETTINGS: HttpCheck = {
  type: "HTTP_GET",
  connect_ip: "127.0.0.1",
  connect_port: 7010,
  connect_timeout: 5_000_000,
  fwmark: 0,
  retry: 1,
  delay_before_retry: 3_000_000,
  warmup: 0,
  delay_loop: 6_000_000,
  alpha: false,
  log_all_failures: false,
  http_protocol: "1.0",
  fast_recovery: false,
  url: [],
};

function talk(url: Partial<Url> = {}, settings: Partial<HttpCheck> = {}): HttpTalk {
  const request = webRequest({ ...SETTINGS, ...settings }, { ...URL_OF_NOTHING, ...url });
  return new Web(request, () => new Bun.CryptoHasher("md5"));
}

function requestOf(url: Partial<Url> = {}, settings: Partial<HttpCheck> = {}): string {
  return new TextDecoder().decode(talk(url, settings).start() as Uint8Array);
}

test("requests are keepalived's, as they were seen on the wire", () => {
  expect(requestOf()).toBe(
    "GET /a HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 127.0.0.1:7010\r\n\r\n",
  );
  expect(requestOf({ path: "/one", virtualhost: "foo.example" }, { http_protocol: "1.1" })).toBe(
    "GET /one HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n" +
      "Host: foo.example\r\n\r\n",
  );
  expect(requestOf({ path: "/r" }, { http_protocol: "1.0C", connect_ip: "fd00::1" })).toBe(
    "GET /r HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\n" +
      "Host: [fd00::1]:7010\r\n\r\n",
  );
});

test("beyond keepalived: method, headers and body", () => {
  const header = [["X-Key", "a b"], ["user-agent", "me"]] as const;
  expect(requestOf({ method: "POST", header, body: "\u20ac{}" })).toBe(
    "POST /a HTTP/1.0\r\nHost: 127.0.0.1:7010\r\nX-Key: a b\r\nuser-agent: me\r\n" +
      "Content-Length: 5\r\n\r\n\u20ac{}",
  );
});

/** A verdict in a word or two. */
function said(verdict: Reply): string {
  if (verdict === undefined) return "waits";
  if (!isVerdict(verdict)) return "speaks";
  if (!verdict.isGood) return `${verdict.fault}: ${verdict.why}`;
  return `good ${verdict.proof}${verdict.note === undefined ? "" : ` (${verdict.note})`}`;
}

/** The end of a talk whose answer comes in pieces of so many bytes, and is then closed or left open. */
function end(
  one: HttpTalk,
  answer: Uint8Array,
  size: number,
  then: "close" | "stall",
): Verdict {
  one.start();
  for (let at = 0; at < answer.length; at += size) {
    const reply = one.onBytes(answer.subarray(at, at + size));
    if (isVerdict(reply)) return reply;
    expect(reply).toBeUndefined();
  }
  return then === "close" ? one.onClosed() : one.onTimer(answer.length > 0);
}

const MD5_OF_HELLO = "5d41402abc4b2a76b9719d911017c592";
const OK = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const DIGEST = { digest: MD5_OF_HELLO };

/** What a server answers, what it does then, and what becomes of it. */
const ANSWERS: readonly (readonly [string, Partial<Url>, string, "close" | "stall", string])[] = [
  ["until the close", {}, `${OK}\r\nhello`, "close", "good status"],
  [
    "until the close, which does not come",
    {},
    `${OK}\r\nhello`,
    "stall",
    "incomplete: the response took too long, 5 bytes of body",
  ],
  ["its length", {}, `${OK}Content-Length: 5\r\n\r\nhello`, "stall", "good status"],
  ["no body at all", {}, `${OK}content-length:0\r\n\r\n`, "stall", "good status"],
  ["204 has no body", {}, "HTTP/1.1 204 No Content\r\n\r\n", "stall", "good status"],
  [
    "HEAD has no body",
    { method: "HEAD" },
    `${OK}Content-Length: 5\r\n\r\n`,
    "stall",
    "good status",
  ],
  ["lines with LF alone", {}, "HTTP/1.0 200\nContent-Length: 1\n\nx", "stall", "good status"],
  ["an empty line first", {}, `\r\n${OK}Content-Length: 1\r\n\r\nx`, "stall", "good status"],
  [
    "an interim response",
    {},
    `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
    "stall",
    "good status",
  ],
  ["another status", {}, "HTTP/1.1 500 No\r\n\r\n", "stall", "status: status 500, not 200-299"],
  [
    "a status of several",
    { status_code: [{ from: 200, to: 200 }, { from: 401, to: 403 }] },
    "HTTP/1.1 404 No\r\n\r\n",
    "stall",
    "status: status 404, not 200 401-403",
  ],
  [
    "the other status",
    { status_code: [{ from: 404, to: 404 }] },
    "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n",
    "stall",
    "good status",
  ],
  ["nothing", {}, "", "close", "closed: closed without a response"],
  ["silence", {}, "", "stall", "silence: no response in time"],
  ["rubbish", {}, "rubbish\r\n\r\n", "close", "status: no HTTP response"],
  ["TLS", {}, "\x15\x03\x01\x00\x02\x02\x46", "stall", "status: no HTTP response"],
  ["a status that is none", {}, "HTTP/1.1 abc\r\n\r\n", "close", "status: no HTTP response"],
  [
    "too little",
    {},
    `${OK}Content-Length: 500\r\n\r\nhello`,
    "close",
    "good status (content_length (500) does not match received bytes (5))",
  ],
  [
    "two lengths",
    {},
    `${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
    "close",
    "garbage: a malformed Content-Length",
  ],
  [
    "a length that is none",
    {},
    `${OK}Content-Length: -5\r\n\r\nhello`,
    "close",
    "garbage: a malformed Content-Length",
  ],

  ["a digest", DIGEST, `${OK}\r\nhello`, "close", "good digest"],
  ["a digest by length", DIGEST, `${OK}Content-Length: 5\r\n\r\nhelloooo`, "stall", "good digest"],
  [
    "another digest",
    DIGEST,
    `${OK}\r\nhallo`,
    "close",
    `digest: digest 598d4c200461b81522a3328565c25f7c, not ${MD5_OF_HELLO}`,
  ],
  [
    "the digest of a part",
    DIGEST,
    `${OK}Content-Length: 9\r\n\r\nhello`,
    "close",
    "good digest (content_length (9) does not match received bytes (5))",
  ],

  ["chunks", DIGEST, `${CHUNKED}2;ext=1\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n`, "stall", "good digest"],
  [
    "chunks and a trailer",
    DIGEST,
    `${CHUNKED}5\r\nhello\r\n0\r\nX: y\r\nZ: 1\r\n\r\n`,
    "stall",
    "good digest",
  ],
  [
    "chunks that end too soon",
    DIGEST,
    `${CHUNKED}5\r\nhel`,
    "close",
    "garbage: closed within a chunk",
  ],
  ["a chunk of nonsense", {}, `${CHUNKED}zz\r\n`, "close", "garbage: a malformed chunk"],
  ["a chunk of a negative size", {}, `${CHUNKED}-5\r\n`, "close", "garbage: a malformed chunk"],
  [
    "a chunk of a great size",
    {},
    `${CHUNKED}${"f".repeat(16)}\r\n`,
    "close",
    "garbage: a malformed chunk",
  ],
  [
    "a chunk that is longer than it says",
    {},
    `${CHUNKED}2\r\nhello\r\n`,
    "close",
    "garbage: a malformed chunk",
  ],
  [
    "a coding we do not know",
    {},
    `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    "close",
    "garbage: a transfer coding other than chunked",
  ],

  ["a regex", { regex: "^h.*o$" }, `${OK}\r\nhello`, "close", "good regex"],
  ["no match", { regex: "bye" }, `${OK}\r\nhello`, "close", "regex: no match for the regex"],
  [
    "a match that must not be",
    { regex: "ell", regex_no_match: true },
    `${OK}\r\nhello`,
    "close",
    "regex: the regex matches the body",
  ],
  [
    "no match, as wanted",
    { regex: "bye", regex_no_match: true },
    `${OK}\r\nhello`,
    "close",
    "good regex",
  ],
  [
    "caseless",
    { regex: "HELLO", regex_options: ["caseless"] },
    `${OK}\r\nhello`,
    "close",
    "good regex",
  ],
  [
    "from an offset",
    { regex: "l", regex_min_offset: 4 },
    `${OK}\r\nhello`,
    "close",
    "regex: no match for the regex",
  ],
  [
    "up to an offset",
    { regex: "o", regex_max_offset: 3 },
    `${OK}\r\nhello`,
    "close",
    "regex: no match for the regex",
  ],
  [
    "a regex we cannot use",
    { regex: "(a)\\1" },
    `${OK}\r\nhello`,
    "close",
    "regex: the regex cannot be used: \\1 is not supported",
  ],
  ["both digest and regex", { ...DIGEST, regex: "hell" }, `${OK}\r\nhello`, "close", "good digest"],
  [
    "digest without regex",
    { ...DIGEST, regex: "heaven" },
    `${OK}\r\nhello`,
    "close",
    "regex: no match for the regex",
  ],
];

describe("a response", () => {
  for (const [name, url, answer, then, expected] of ANSWERS) {
    test(name, () => {
      const bytes = Uint8Array.from(answer, (char) => char.charCodeAt(0));
      for (const size of [1, 2, 3, 7, 1000]) {
        expect(said(end(talk(url), bytes, size, then))).toBe(expected);
      }
    });
  }
});

describe("a hostile server", () => {
  const flood = (one: HttpTalk, head: string, piece: Uint8Array): { end: string; sent: number } => {
    one.start();
    let reply = one.onBytes(utf8(head));
    let sent = 0;
    while (reply === undefined && sent < 2 ** 31) {
      reply = one.onBytes(piece);
      sent += piece.length;
    }
    return { end: said(reply), sent };
  };
  const block = new Uint8Array(64 * 1024).fill(0x61);

  test("sends headers for ever", () => {
    const { end, sent } = flood(talk(), OK, utf8("X-More: of the same\r\n"));
    expect(end).toBe("garbage: the head is longer than 64 KiB");
    expect(sent).toBeLessThan(66_000);
  });

  test("sends one header for ever", () => {
    expect(flood(talk(), `${OK}X: `, block).sent).toBeLessThan(150_000);
  });

  test("sends a body for ever: its status stands when nothing else was asked", () => {
    const { end, sent } = flood(talk(), `${OK}\r\n`, block);
    expect(end).toBe("good status");
    expect(sent).toBeLessThan(400_000);
  });

  test("sends a body for ever, of which a digest is wanted", () => {
    const { end, sent } = flood(talk(DIGEST), `${CHUNKED}ffffffffff\r\n`, block);
    expect(end).toBe("too much: a body of more than 67108864 bytes");
    expect(sent).toBeLessThan(68_000_000);
  });

  test("sends a body for ever, in which something is searched for", () => {
    const { end, sent } = flood(talk({ regex: "(a+)+$" }), `${OK}\r\n`, block);
    expect(["good regex", "regex: the regex took too long on this body"]).toContain(end);
    expect(sent).toBeLessThan(400_000);
  });

  test("sends chunk extensions, trailers or interim responses for ever", () => {
    for (const head of [`${CHUNKED}5;`, `${CHUNKED}0\r\nX: `]) {
      const { end, sent } = flood(talk(), head, block);
      expect(end).toBe("garbage: a malformed chunk");
      expect(sent).toBeLessThan(70_000);
    }
    const interim = utf8("HTTP/1.1 103 Early Hints\r\n\r\n");
    expect(flood(talk(), "", interim).end).toBe("status: status 103, not 200-299");
  });
});
