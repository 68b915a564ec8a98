/** The short talks, sentence by sentence: TCP, SMTP, DNS, UDP, PING, gRPC, programs, files and sessions. */

import { describe, expect, test } from "bun:test";
import type { GrpcCheck, UdpCheck } from "../../config/lvs.ts";
import { judgeSession } from "./bfd.ts";
import { DnsTalk, encodeQuestion } from "./dns.ts";
import { factorOf, judgeFile } from "./file.ts";
import { GrpcTalk } from "./grpc.ts";
import { encodeFields } from "./hpack.ts";
import { judgeProgram } from "./misc.ts";
import { PingTalk } from "./ping.ts";
import { SmtpTalk } from "./smtp.ts";
import { isVerdict, latin1, type Reply, type Talk, utf8, type Verdict } from "./talk.ts";
import { TCP_TALK } from "./tcp.ts";
import { UdpTalk } from "./udp.ts";

function said(reply: Reply): string {
  if (reply === undefined) return "waits";
  if (!isVerdict(reply)) return `says ${JSON.stringify(latin1(reply))}`;
  if (reply.isGood) return reply.weight === undefined ? "good" : `good, weight ${reply.weight}`;
  return `${reply.fault}: ${reply.why}`;
}

test("a TCP check is content when it is connected", () => {
  expect(said(TCP_TALK.start())).toBe("good");
  expect(said(TCP_TALK.onTimer(false))).toBe("connect timeout: no connection in time");
});

/** What a mail server says, what is said to it, and the end. */
const MAILS: readonly (readonly [string, readonly string[], string])[] = [
  ["all is well", ["220 hi\r\n", "250 me\r\n", "221 bye\r\n"], "good"],
  [
    "lines of several",
    ["220-hi\r\n220 there\r\n", "250-a\r\n250-b\r\n250 c\r\n", "221 x\r\n"],
    "good",
  ],
  ["a bare code", ["220\n", "250\n", "221\n"], "good"],
  ["a rude farewell does not count", ["220 hi\r\n", "250 me\r\n", "500 x\r\n"], "good"],
  ["a refusal", ["554 go away\r\n"], `greeting: greeting "554 go away", not 220`],
  ["a refused HELO", ["220 hi\r\n", "501 no\r\n"], `status: reply to HELO "501 no", not 250`],
  ["rubbish", ["\x00\x01\x02rubbish\r\n"], `greeting: greeting "rubbish", not 220`],
  ["a code that is longer", ["2200 hi\r\n"], `greeting: greeting "2200 hi", not 220`],
];

describe("a mail server", () => {
  for (const [name, lines, end] of MAILS) {
    test(name, () => {
      const talk = new SmtpTalk({ helo_name: "me" });
      expect(talk.start()).toBeUndefined();
      const words: string[] = [];
      let reply: Reply;
      for (const line of lines) {
        // A byte at a time: nothing is said before the line is complete.
        for (const char of line.slice(0, -1)) {
          expect(talk.onBytes(Uint8Array.of(char.charCodeAt(0)))).toBeUndefined();
        }
        reply = talk.onBytes(utf8("\n"));
        if (reply !== undefined && !isVerdict(reply)) words.push(latin1(reply));
      }
      expect(said(reply)).toBe(end);
      if (end === "good") expect(words).toEqual(["HELO me\r\n", "QUIT\r\n"]);
    });
  }

  test("is closed, is silent, or never ends", () => {
    const closed = new SmtpTalk({ helo_name: "me" });
    expect(said(closed.onClosed())).toBe("closed: closed before the greeting");
    expect(said(closed.onTimer(false))).toBe("silence: timed out before the greeting");
    closed.onBytes(utf8("220 hi\r\n"));
    expect(said(closed.onTimer(true))).toBe("incomplete: timed out before the reply to HELO");
    closed.onBytes(utf8("250 hi\r\n"));
    expect(said(closed.onClosed())).toBe("good");
    for (const piece of ["220-more\r\n", "x".repeat(1000)]) {
      const talk = new SmtpTalk({ helo_name: "me" });
      let reply: Reply;
      for (let i = 0; i < 10_000 && reply === undefined; i++) reply = talk.onBytes(utf8(piece));
      expect(said(reply)).toBe("too much: more than 16384 bytes of replies");
    }
  });
});

describe("a name server", () => {
  const question = { record: "A", name: "foo.example" };

  test("is asked as keepalived asks", () => {
    // Seen on the wire, without the identifier.
    expect(encodeQuestion(question, 0xf792).toHex()).toBe(
      "f7920100000100000000000003666f6f076578616d706c650000010001",
    );
    expect(encodeQuestion({ record: "SOA", name: "" }, 1).toHex()).toBe(
      "0001010000010000000000000000060001",
    );
  });

  const answer = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = encodeQuestion(question, 0x1234);
    bytes[2] = 0x84;
    change(bytes);
    return bytes;
  };
  const ROWS: readonly (readonly [string, Uint8Array, string])[] = [
    ["an answer", answer(() => {}), "good"],
    ["in capitals", answer((bytes) => bytes[13]! -= 0x20), "good"],
    ["an error", answer((bytes) => bytes[3] = 3), "status: rcode 3 (NXDOMAIN)"],
    ["another error", answer((bytes) => bytes[3] = 0x8b), "status: rcode 11 (unknown)"],
    [
      "an error without the question",
      answer((bytes) => {
        bytes[3] = 1;
        bytes[5] = 0;
      }).subarray(0, 12),
      "status: rcode 1 (FORMERR)",
    ],
    ["of another identifier", answer((bytes) => bytes[1] = 0), "waits"],
    ["a question", encodeQuestion(question, 0x1234), "waits"],
    ["to another question", answer((bytes) => bytes[13] = 0x67), "waits"],
    ["too short", answer(() => {}).subarray(0, 11), "waits"],
    ["cut off", answer(() => {}).subarray(0, 20), "waits"],
  ];
  for (const [name, bytes, end] of ROWS) {
    test(name, () => {
      const talk = new DnsTalk(question, 0x1234);
      talk.start();
      expect(said(talk.onBytes(bytes))).toBe(end);
    });
  }

  test("is silent", () => {
    expect(said(new DnsTalk(question, 1).onTimer())).toBe("silence: no answer in time");
  });
});

const UDP: UdpCheck = {
  type: "UDP_CHECK",
  connect_ip: "127.0.0.1",
  connect_port: 1,
  connect_timeout: 1,
  fwmark: 0,
  retry: 0,
  delay_before_retry: 0,
  warmup: 0,
  delay_loop: 1,
  alpha: false,
  log_all_failures: false,
  require_reply: false,
  min_reply_length: 0,
  max_reply_length: 255,
};

describe("a UDP server", () => {
  const ROWS: readonly (readonly [string, Partial<UdpCheck>, string | undefined, string])[] = [
    ["silence is good", {}, undefined, "good"],
    ["any reply is good", {}, "x".repeat(300), "good"],
    ["silence is not", { require_reply: true }, undefined, "silence: no reply in time"],
    ["a reply", { require_reply: true }, "x", "good"],
    ["an empty reply", { require_reply: true }, "", "good"],
    [
      "too short",
      { require_reply: true, min_reply_length: 2 },
      "x",
      "mismatch: a reply of 1 bytes, not 2 to 255",
    ],
    [
      "too long",
      { require_reply: true, max_reply_length: 4 },
      "pings",
      "mismatch: a reply of 5 bytes, not 0 to 4",
    ],
    ["long, without a limit of its own", { require_reply: true }, "x".repeat(300), "good"],
    ["the right one", { require_reply: true, reply: "706f6e67" }, "pong", "good"],
    ["a longer one", { require_reply: true, reply: "706f6e67" }, "pongs", "good"],
    ["a shorter one", { require_reply: true, reply: "706f6e67" }, "po", "good"],
    [
      "a wrong one",
      { require_reply: true, reply: "706f6e67" },
      "pang",
      "mismatch: the reply differs from the required one at byte 1",
    ],
    ["digits that do not matter", { require_reply: true, reply: "70xx6x67" }, "ping", "good"],
    [
      "digits that do",
      { require_reply: true, reply: "7xxx6e67" },
      "king",
      "mismatch: the reply differs from the required one at byte 0",
    ],
  ];
  for (const [name, check, reply, end] of ROWS) {
    test(name, () => {
      const talk = new UdpTalk({ ...UDP, ...check });
      talk.start();
      expect(said(reply === undefined ? talk.onTimer() : talk.onBytes(utf8(reply)))).toBe(end);
    });
  }

  test("is sent what the configuration says, else keepalived's 32 bytes", () => {
    expect(said(new UdpTalk({ ...UDP, payload: "4142" }).start())).toBe(`says "AB"`);
    expect(said(new UdpTalk(UDP).start())).toBe(`says "keepalived check - keepalived ch"`);
  });
});

describe("an echo", () => {
  for (const family of [4, 6] as const) {
    test(`of IPv${family}`, () => {
      const talk = new PingTalk(family, 0x0102);
      const request = talk.start() as Uint8Array;
      expect([request[0], request[6], request[7], request.length]).toEqual([
        family === 4 ? 8 : 128,
        1,
        2,
        136,
      ]);
      const echo = request.slice();
      expect(said(talk.onBytes(echo))).toBe("waits");
      echo[0] = family === 4 ? 0 : 129;
      echo[4] = 99; // the kernel's identifier
      expect(said(talk.onBytes(echo))).toBe("good");
      expect(said(talk.onBytes(echo.subarray(0, 7)))).toBe("waits");
      expect(said(talk.onBytes(echo.subarray(0, 70)))).toStartWith("mismatch");
      expect(said(talk.onBytes(echo.with(100, 0)))).toStartWith("mismatch");
      expect(said(talk.onBytes(echo.with(7, 1)))).toBe("waits");
      expect(said(talk.onTimer())).toBe("silence: no echo in time");
    });
  }
});

const GRPC: GrpcCheck = { ...UDP, type: "GRPC_CHECK", tls_verify: false, service: "", tls: false };

describe("a gRPC server", () => {
  const frame = (type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array =>
    Uint8Array.of(0, 0, payload.length, type, flags, 0, 0, 0, stream, ...payload);
  const SETTINGS = frame(4, 0, 0, new Uint8Array(0));
  const OK = frame(1, 4, 1, encodeFields([[":status", "200"]]));
  const health = (value: number, flags = 0): Uint8Array =>
    frame(0, flags, 1, Uint8Array.of(0, 0, 0, 0, 2, 8, value));
  const trailers = (status: string, message = ""): Uint8Array =>
    frame(1, 5, 1, encodeFields([["grpc-status", status], ["grpc-message", message]]));
  const NO_DATA = frame(0, 0, 1, Uint8Array.of(0, 0, 0, 0, 0));
  const split = encodeFields([["grpc-status", "0"]]);

  const ROWS: readonly (readonly [string, readonly Uint8Array[], string])[] = [
    ["serves", [SETTINGS, OK, health(1), trailers("0")], "good"],
    ["serves, without trailers", [SETTINGS, OK, health(1, 1)], "good"],
    ["with padding", [
      SETTINGS,
      OK,
      frame(0, 8, 1, Uint8Array.of(2, 0, 0, 0, 0, 2, 8, 1, 0, 0)),
      trailers("0"),
    ], "good"],
    ["in two blocks", [
      SETTINGS,
      OK,
      health(1),
      frame(1, 1, 1, split.slice(0, 3)),
      frame(9, 4, 1, split.slice(3)),
    ], "good"],
    ["serves not", [SETTINGS, OK, health(2), trailers("0")], "status: NOT_SERVING, not SERVING"],
    ["does not know", [SETTINGS, OK, NO_DATA, trailers("0")], "status: UNKNOWN, not SERVING"],
    [
      "knows no such service",
      [SETTINGS, OK, trailers("5", "unknown service")],
      `status: grpc-status 5 "unknown service"`,
    ],
    ["an error at once", [
      SETTINGS,
      frame(
        1,
        5,
        1,
        encodeFields([
          [":status", "200"],
          ["grpc-status", "12"],
        ]),
      ),
    ], "status: grpc-status 12"],
    [
      "no gRPC",
      [SETTINGS, frame(1, 5, 1, encodeFields([[":status", "404"]]))],
      "status: HTTP status 404, not 200",
    ],
    ["no message", [SETTINGS, OK, trailers("0")], "garbage: no health in the answer"],
    [
      "resets",
      [SETTINGS, frame(3, 0, 1, Uint8Array.of(0, 0, 0, 7))],
      "closed: the request was reset with HTTP/2 error 7",
    ],
    [
      "says goodbye",
      [SETTINGS, frame(7, 0, 0, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 11))],
      "closed: goodbye with HTTP/2 error 11",
    ],
    ["says goodbye after this", [
      SETTINGS,
      frame(7, 0, 0, Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0)),
      OK,
      health(1),
      trailers("0"),
    ], "good"],
    ["pings", [SETTINGS, frame(6, 0, 0, new Uint8Array(8)), OK, health(1), trailers("0")], "good"],
    [
      "speaks HTTP/1",
      [utf8("HTTP/1.1 400 Bad Request\r\n\r\n")],
      `garbage: no HTTP/2: "HTTP/1.1`,
    ],
    ["interrupts its headers", [SETTINGS, frame(1, 0, 1, split), SETTINGS], "garbage: no HTTP/2: "],
    [
      "malformed headers",
      [SETTINGS, frame(1, 5, 1, Uint8Array.of(0xff, 0xff))],
      "garbage: malformed HTTP/2 headers",
    ],
  ];
  for (const [name, frames, end] of ROWS) {
    test(name, () => {
      for (const size of [1, 5, 1000]) {
        const all = Uint8Array.from(frames.flatMap((one) => [...one]));
        const talk = new GrpcTalk(GRPC);
        let verdict: Verdict | undefined;
        let spoken = 0;
        for (let at = 0; at < all.length && verdict === undefined; at += size) {
          const reply = talk.onBytes(all.slice(at, at + size));
          if (isVerdict(reply)) verdict = reply;
          else if (reply !== undefined) spoken += reply.length;
        }
        expect(said(verdict)).toStartWith(end);
        if (end === "good" && size < 1000) expect(spoken).toBe(name === "pings" ? 9 + 17 : 9);
      }
    });
  }

  test("never ends", () => {
    for (const piece of [SETTINGS, frame(0, 0, 1, new Uint8Array(255)), frame(9, 0, 1, split)]) {
      const talk = new GrpcTalk(GRPC);
      let reply: Reply = talk.onBytes(SETTINGS);
      for (let i = 0; i < 50_000 && !isVerdict(reply); i++) reply = talk.onBytes(piece);
      expect(said(reply)).toMatch(/^too much|^garbage/);
    }
  });

  test("is asked for its service", () => {
    const request = new GrpcTalk({ ...GRPC, service: "a.B", virtualhost: "h" }).start();
    const text = latin1(request as Uint8Array);
    expect(text).toContain("/grpc.health.v1.Health/Check");
    expect(text).toEndWith("\0\0\0\0\x05\n\x03a.B");
  });
});

test("a program's end", () => {
  const exit = (status: number, misc_dynamic: boolean): string =>
    said(judgeProgram({ misc_dynamic }, { how: "exit", status }, 10));
  expect(exit(0, false)).toBe("good");
  expect(exit(2, false)).toBe("refused: exited with status 2");
  expect(exit(0, true)).toBe("good, weight 0");
  expect(exit(1, true)).toBe("refused: exited with status 1");
  expect(exit(2, true)).toBe("good, weight -10");
  expect(exit(255, true)).toBe("good, weight 243");
  const ends = [{ how: "signal", signal: 9 }, { how: "timeout" }, { how: "refused", why: "no" }];
  expect(ends.map((end) => said(judgeProgram({ misc_dynamic: true }, end as never, 1)))).toEqual([
    "refused: due to signal 9",
    "silence: timed out",
    "connect: no",
  ]);
});

test("a file's number", () => {
  const check = { type: "FILE_CHECK", track_file: "f", reverse: false } as const;
  const file = { weight: 2, reverse: true };
  expect(factorOf(check, file)).toBe(file);
  expect(factorOf({ ...check, weight: 3 }, file)).toEqual({ weight: 3, reverse: false });
  const judged = (weight: number, reverse: boolean, value: number): string =>
    said(judgeFile({ weight, reverse }, value));
  expect(judged(3, false, 5)).toBe("good, weight 15");
  expect(judged(3, true, 5)).toBe("good, weight -15");
  expect(judged(-1, false, 0)).toBe("good, weight 0");
  expect(judged(0, false, 0)).toBe("good");
  expect(judged(0, false, -3)).toBe("refused: the file holds -3, not 0");
  expect(judged(0, true, 7)).toBe("good");
  expect(judged(0, true, 0)).toBe("refused: the file holds 0");
});

test("a BFD session", () => {
  expect([said(judgeSession(true)), said(judgeSession(false))]).toEqual([
    "good",
    "refused: the BFD session is down",
  ]);
});

test("talks that are over say what they have to say once, and keep no promise to the caller", () => {
  const talks: readonly Talk[] = [
    new DnsTalk({ record: "A", name: "x" }, 1),
    new PingTalk(4, 1),
    new GrpcTalk(GRPC),
  ];
  for (const talk of talks) expect(said(talk.onClosed())).toStartWith("closed");
});
