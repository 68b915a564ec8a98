/**
 * The checks over real sockets, on loopback: servers that are well, that die and return, and that mean harm.
 * All servers of a test are checked side by side.
 */

import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import dgram from "node:dgram";
import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import type { Check, GrpcCheck, HttpCheck, SslCheck, UdpCheck, Url } from "../../src/config/lvs.ts";
import { certificate } from "../support/certificate.ts";
import type { PlannedCheck } from "../../src/lvs/probes.ts";
import { inChild, WaitingChild } from "../support/child.ts";
import { Network } from "../support/namespaces.ts";
import { connection, Prober, TIMING, urlOf } from "../support/prober.ts";

setDefaultTimeout(60_000);

const open = new Set<{ close(): unknown }>();
const sockets = new Set<net.Socket>();
afterEach(() => {
  for (const one of sockets) one.destroy();
  for (const server of open) server.close();
  sockets.clear();
  open.clear();
});

function keep(socket: net.Socket): void {
  sockets.add(socket);
  socket.on("error", () => {});
  socket.on("close", () => sockets.delete(socket));
}

/** Listens with a server; its port. */
async function listen(server: net.Server, port = 0): Promise<number> {
  open.add(server);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return (server.address() as net.AddressInfo).port;
}

/** A TCP server that does something with each connection; its port. */
function serve(take: (socket: net.Socket) => void, port = 0): Promise<number> {
  return listen(
    net.createServer((socket) => {
      keep(socket);
      take(socket);
    }),
    port,
  );
}

/** A TCP server that answers the first bytes with a text, and closes. */
function answer(text: string | (() => string)): Promise<number> {
  return serve((socket) => {
    socket.once("data", () => socket.end(typeof text === "string" ? text : text()));
  });
}

/** A TLS server with a certificate; its port. */
function serveTls(
  options: tls.TlsOptions,
  take: (socket: tls.TLSSocket) => void,
): Promise<number> {
  const server = tls.createServer(options, (socket) => {
    keep(socket);
    take(socket);
  });
  server.on("tlsClientError", () => {});
  return listen(server);
}

/** A UDP server that answers each datagram, or does not; its port. */
async function serveUdp(reply: (bytes: Buffer) => Uint8Array | undefined): Promise<number> {
  const socket = dgram.createSocket("udp4");
  open.add(socket);
  socket.on("message", (bytes, from) => {
    const text = reply(bytes);
    if (text !== undefined) socket.send(text, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return socket.address().port;
}

/** A port on which nobody listens. */
async function deafPort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  open.delete(server);
  return port;
}

const OK = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const tcpCheck = (port: number): Check => ({ type: "TCP_CHECK", ...TIMING, ...connection(port) });
const web = (port: number, url: Partial<Url> = {}, rest: Partial<HttpCheck> = {}): HttpCheck => ({
  type: "HTTP_GET",
  ...TIMING,
  ...connection(port),
  http_protocol: "1.0",
  fast_recovery: false,
  url: [urlOf(url)],
  ...rest,
});
const ssl = (port: number, rest: Partial<SslCheck> = {}): SslCheck => ({
  ...web(port),
  type: "SSL_GET",
  tls_verify: false,
  enable_sni: false,
  alpn: [],
  ...rest,
});
const smtp = (port: number): Check => ({
  type: "SMTP_CHECK",
  ...TIMING,
  ...connection(port),
  helo_name: "me",
});
const dns = (port: number): Check => ({
  type: "DNS_CHECK",
  ...TIMING,
  ...connection(port),
  record: "A",
  name: "foo.example",
});
const udp = (port: number, rest: Partial<UdpCheck> = {}): UdpCheck => ({
  type: "UDP_CHECK",
  ...TIMING,
  ...connection(port),
  require_reply: true,
  min_reply_length: 0,
  max_reply_length: 255,
  ...rest,
});
const grpc = (port: number, rest: Partial<GrpcCheck> = {}): GrpcCheck => ({
  type: "GRPC_CHECK",
  ...TIMING,
  ...connection(port),
  tls_verify: false,
  service: "",
  tls: false,
  ...rest,
});

/** Waits until there is a result for each server, and says it in words. */
async function outcomes(
  prober: Prober,
  checks: Readonly<Record<string, Check>>,
): Promise<Record<string, string>> {
  prober.apply(checks);
  const names = Object.keys(checks);
  await prober.until(() => names.every((name) => prober.last(name) !== undefined));
  return Object.fromEntries(names.map((name) => {
    const { isUp, why } = prober.last(name)!;
    return [name, isUp ? "up" : why];
  }));
}

test("each kind of check finds a server that is well", async () => {
  using prober = new Prober();
  const mail = await serve((socket) => {
    socket.write("220 hi\r\n");
    socket.on(
      "data",
      (bytes) => socket.write(/^HELO me/.test(`${bytes}`) ? "250 me\r\n" : "221\r\n"),
    );
  });
  const name = await serveUdp((bytes) => {
    const reply = Buffer.from(bytes);
    reply[2] = 0x84;
    return reply;
  });
  const health = await listen(grpcServer(() => 1));
  const all = await outcomes(prober, {
    tcp: tcpCheck(await serve(() => {})),
    http: web(await answer(OK)),
    smtp: smtp(mail),
    dns: dns(name),
    udp: udp(await serveUdp(() => Buffer.from("pong")), { reply: "706f6e67" }),
    ping: { type: "PING_CHECK", ...TIMING, ...connection(0) },
    "ping 6": { type: "PING_CHECK", ...TIMING, ...connection(0, { connect_ip: "::1" }) },
    grpc: grpc(health),
  });
  expect(Object.values(all)).toEqual(Object.keys(all).map(() => "up"));
  expect(prober.lines).toContain("TCP connection to tcp success.");
  expect(prober.lines).toContain("Remote Web server http succeed on service.");
  expect(prober.lines).toContain("ICMP connection to ping success.");
  for (const { latencyUs } of prober.results) expect(latencyUs).toBeGreaterThan(0);
});

/** A gRPC health service; its health, or an error's number below zero. */
function grpcServer(health: (path: string) => number): net.Server {
  const server = http2.createServer();
  server.on("session", (session) => session.on("error", () => {}));
  server.on("connection", keep);
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    const value = health(String(headers[":path"]));
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, {
      waitForTrailers: true,
    });
    stream.on("wantTrailers", () => {
      stream.sendTrailers({ "grpc-status": `${value < 0 ? -value : 0}`, "grpc-message": "a word" });
    });
    stream.end(value < 0 ? undefined : Buffer.from([0, 0, 0, 0, 2, 8, value]));
  });
  return server as unknown as net.Server;
}

test("a server dies and returns", async () => {
  using prober = new Prober();
  let port = await serve(() => {});
  const [server] = open as unknown as Set<net.Server>;
  prober.apply({ tcp: { ...tcpCheck(port), retry: 2 } as Check });
  await prober.until(() => prober.last("tcp")?.isUp === true);
  server!.close();
  open.delete(server!);
  await prober.until(() => prober.last("tcp")?.isUp === false);
  const status = prober.probes.statusOf({ service: "vs", server: "tcp", index: 0 })!;
  expect(status.why).toBe("Connection refused");
  expect(prober.lines.slice(-5)).toEqual([
    "TCP connection to tcp failed.",
    "TCP connection to tcp failed.",
    "TCP connection to tcp failed.",
    "TCP_CHECK on service tcp failed after 2 retries.",
    "TCP_CHECK on service tcp: Connection refused",
  ]);
  port = await serve(() => {}, port);
  await prober.until(() => prober.last("tcp")?.isUp === true);
  expect(prober.last("tcp")!.changedAt).toBeGreaterThan(status.changedAt);
});

test("what is wrong with a server is said", async () => {
  using prober = new Prober();
  const deaf = await deafPort();
  const stuck = await serve(() => {});
  const all = await outcomes(prober, {
    "tcp refused": tcpCheck(deaf),
    "tcp without a way": {
      ...tcpCheck(1),
      connect_ip: "127.0.0.1",
      bindto: "192.0.2.1",
    } as Check,
    "http refused": web(deaf),
    "http 500": web(await answer("HTTP/1.0 500 No\r\n\r\n")),
    "http closed": web(await answer("")),
    "http reset": web(await serve((socket) => socket.once("data", () => socket.resetAndDestroy()))),
    "http silent": web(stuck),
    "http digest": web(await answer(OK), { digest: "0".repeat(32) }),
    "http regex": web(await answer(OK), { regex: "^bye$" }),
    "smtp silent": smtp(stuck),
    "smtp 554": smtp(await serve((socket) => socket.write("554 go away\r\n"))),
    "dns refused": dns(deaf),
    "dns silent": dns(await serveUdp(() => undefined)),
    "dns nxdomain": dns(
      await serveUdp((bytes) => {
        const reply = Buffer.from(bytes);
        reply[2] = 0x80;
        reply[3] = 3;
        return reply;
      }),
    ),
    "udp refused": udp(deaf, { require_reply: false }),
    "udp silent": udp(await serveUdp(() => undefined)),
    "udp wrong": udp(await serveUdp(() => Buffer.from("gong")), { reply: "706f6e67" }),
    "grpc not serving": grpc(await listen(grpcServer(() => 2))),
    "grpc unknown": grpc(await listen(grpcServer(() => -5)), { service: "x" }),
    "grpc http1": grpc(await answer("HTTP/1.1 400 Bad Request\r\n\r\n")),
    "link gone": { ...tcpCheck(deaf), bind_if: "nosuchlink0" } as Check,
  });
  expect(all).toEqual({
    "tcp refused": "Connection refused",
    "tcp without a way": "bind: Cannot assign requested address",
    "http refused": "Connection refused",
    "http 500": "status 500, not 200-299",
    "http closed": "closed without a response",
    "http reset": "Connection reset by peer",
    "http silent": "no response in time",
    "http digest": `digest 5d41402abc4b2a76b9719d911017c592, not ${"0".repeat(32)}`,
    "http regex": "no match for the regex",
    "smtp silent": "timed out before the greeting",
    "smtp 554": `greeting "554 go away", not 220`,
    "dns refused": "Connection refused",
    "dns silent": "no answer in time",
    "dns nxdomain": "rcode 3 (NXDOMAIN)",
    "udp refused": "Connection refused",
    "udp silent": "no reply in time",
    "udp wrong": "the reply differs from the required one at byte 0",
    "grpc not serving": "NOT_SERVING, not SERVING",
    "grpc unknown": `grpc-status 5 "a word"`,
    "grpc http1": `no HTTP/2: "HTTP/1.1 400 Bad Request"`,
    "link gone": "setsockopt(SO_BINDTODEVICE): No such device",
  });
});

/** Writes for as long as the other end takes it. */
function flood(socket: net.Socket, piece: string): void {
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece)) { /* until it is full */ }
  };
  socket.on("drain", more);
  more();
}

test("servers that mean harm cost a bounded time and a bounded memory", async () => {
  using prober = new Prober();
  const body = "a".repeat(64 * 1024);
  const drip = (piece: string): Promise<number> =>
    serve((socket) => {
      const timer = setInterval(() => socket.write(piece), 50);
      socket.on("close", () => clearInterval(timer));
    });
  const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const begin = (head: string, piece: string): Promise<number> =>
    serve((socket) => {
      socket.once("data", () => {
        socket.write(head);
        flood(socket, piece);
      });
    });
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  const all = await outcomes(prober, {
    "endless headers": web(await begin("HTTP/1.1 200 OK\r\n", "X: y\r\n")),
    "endless header": web(await begin("HTTP/1.1 200 OK\r\nX: ", body)),
    "endless body": web(await begin("HTTP/1.1 200 OK\r\n\r\n", body)),
    "endless body with a digest": web(await begin("HTTP/1.1 200 OK\r\n\r\n", body), {
      digest: "0".repeat(32),
    }),
    "a body that hurts": web(await begin("HTTP/1.1 200 OK\r\n\r\n", body), { regex: "(a+)+!$" }),
    "bad chunks": web(await answer(`${CHUNKED}xyz\r\nhello\r\n`)),
    "a chunk that never ends": web(await answer(`${CHUNKED}7fffffff\r\nhello`)),
    "slow bytes": web(await drip("x")),
    "slow headers": web(await drip("X: y\r\n")),
    "slow status": web(await drip("HTTP/1.1 200 OK\r\n")),
    "endless mail": smtp(await serve((socket) => flood(socket, "220-hello\r\n"))),
    "slow mail": smtp(await drip("2")),
    "endless grpc": grpc(await serve((socket) => flood(socket, "\0\0\0\x04\0\0\0\0\0"))),
    "rubbish": grpc(await serve((socket) => flood(socket, body))),
  });
  expect(all).toEqual({
    "endless headers": "the head is longer than 64 KiB",
    "endless header": "the head is longer than 64 KiB",
    "endless body": expect.stringMatching(/^up$|took too long/) as never,
    "endless body with a digest": expect.stringMatching(
      /^a body of more than|took too long/,
    ) as never,
    "a body that hurts": expect.stringMatching(/^no match for the regex|took too long/) as never,
    "bad chunks": "a malformed chunk",
    "a chunk that never ends": "closed within a chunk",
    "slow bytes": expect.stringMatching(/^no HTTP response|in time$|took too long/) as never,
    "slow headers": expect.stringMatching(/^no HTTP response|in time$|took too long/) as never,
    "slow status": expect.stringMatching(/took too long|in time$/) as never,
    "endless mail": "more than 16384 bytes of replies",
    "slow mail": "timed out before the greeting",
    "endless grpc": "more than 262144 bytes",
    "rubbish": expect.stringMatching(/^no HTTP\/2/) as never,
  });
  for (const { server, latencyUs } of prober.results) {
    // Four times connect_timeout in all, and what a busy machine adds.
    expect([server, latencyUs < 12_000_000]).toEqual([server, true]);
  }
  for (const socket of sockets) socket.destroy();
  Bun.gc(true);
  // The senders' buffers are in here, too.
  expect(process.memoryUsage().rss - before).toBeLessThan(400 * 2 ** 20);
});

test("several urls are walked in order, a failed one first, and all must pass on the way up", async () => {
  using prober = new Prober();
  const asked: string[] = [];
  let isBad = false;
  const port = await serve((socket) => {
    socket.once("data", (bytes) => {
      const path = `${bytes}`.split(" ")[1]!;
      asked.push(path);
      socket.end(isBad && path === "/two" ? "HTTP/1.0 500 No\r\n\r\n" : OK);
    });
  });
  const url = ["/one", "/two", "/three"].map((path) => urlOf({ path }));
  prober.apply({ web: web(port, {}, { url, retry: 1 }) });
  await prober.until(() => asked.length >= 5);
  expect(asked.slice(0, 5)).toEqual(["/one", "/two", "/three", "/one", "/two"]);
  isBad = true;
  await prober.until(() => prober.last("web")?.isUp === false);
  expect(asked.slice(-2)).toEqual(["/two", "/two"]);
  const down = asked.length;
  await prober.until(() => asked.length >= down + 2);
  expect(asked.slice(down, down + 2)).toEqual(["/two", "/two"]);
  isBad = false;
  const from = asked.length;
  await prober.until(() => prober.last("web")?.isUp === true);
  expect(asked.slice(from).join()).toMatch(/(^|,)\/two,\/three,\/one$/);
  expect(prober.lines.slice(-4)).toEqual([
    "HTTP status code success to web url(/two)",
    "HTTP status code success to web url(/three)",
    "HTTP status code success to web url(/one)",
    "Remote Web server web succeed on service.",
  ]);
});

test("TLS: certificates, names, days, client certificates, protocols, and rubbish", async () => {
  using prober = new Prober();
  using own = certificate("backend.example", 30);
  using other = certificate("client", 30);
  const page = (socket: tls.TLSSocket): void => {
    socket.once("data", () => socket.end(OK));
  };
  const plain = await serveTls(own, page);
  const asked: (string | false | null)[] = [];
  const named = await serveTls({ ...own, ALPNProtocols: ["http/1.1"] }, (socket) => {
    asked.push(socket.servername ?? false, socket.alpnProtocol);
    page(socket);
  });
  const mutual = await serveTls(
    { ...own, requestCert: true, rejectUnauthorized: true, ca: other.cert },
    page,
  );
  const ca = { ca: own.certFile };
  const host = { url: [urlOf({ virtualhost: "backend.example:8443" })] };
  const checks: Record<string, SslCheck> = {
    "any certificate": ssl(plain),
    "not trusted": ssl(plain, { tls_verify: true }),
    trusted: ssl(plain, { tls_verify: true, enable_sni: true, ...host }),
    "trusted without asking for a name": ssl(plain, { tls_verify: true, ...host }),
    "another name": ssl(plain, { tls_verify: true, sni_name: "other.example", enable_sni: true }),
    "an address": ssl(plain, { tls_verify: true }),
    "days enough": ssl(plain, { tls_days: 20 }),
    "days too few": ssl(plain, { tls_days: 40 }),
    "name and protocol": ssl(named, {
      sni_name: "n.example",
      enable_sni: true,
      alpn: ["http/1.1"],
    }),
    "no client certificate": ssl(mutual),
    "client certificate": ssl(mutual, { client_cert: other.certFile, client_key: other.keyFile }),
    "no such file": ssl(plain, { client_cert: "/nonexistent/c", client_key: "/nonexistent/k" }),
    rubbish: ssl(await serve((socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"))),
    refused: ssl(await deafPort()),
    silent: ssl(await serve(() => {})),
    "close in the middle": ssl(await serve((socket) => socket.once("data", () => socket.end()))),
    polite: ssl(plain, { url: [urlOf({ tls_compliant: true })] }),
    "endless rubbish": ssl(
      await serve((socket) => flood(socket, "\x16\x03\x01\x40\x00".repeat(999))),
    ),
  };
  const trusting = new Set([
    "trusted",
    "trusted without asking for a name",
    "another name",
    "an address",
  ]);
  prober.apply(checks, (server) => ({ ssl: trusting.has(server) ? ca : undefined }));
  const names = Object.keys(checks);
  await prober.until(() => names.every((name) => prober.last(name) !== undefined));
  const all = Object.fromEntries(
    names.map((name) => [name, prober.last(name)!.isUp ? "up" : prober.last(name)!.why]),
  );
  expect(all).toEqual({
    "any certificate": "up",
    "not trusted": expect.stringContaining("self") as never,
    trusted: "up",
    "trusted without asking for a name": "up",
    "another name": expect.stringContaining("other.example") as never,
    "an address": expect.stringContaining("127.0.0.1") as never,
    "days enough": "up",
    "days too few": expect.stringMatching(/^the certificate expires in \d\d days/) as never,
    "name and protocol": "up",
    "no client certificate": expect.stringMatching(/./) as never,
    "client certificate": "up",
    "no such file": expect.stringContaining("/nonexistent/c") as never,
    rubbish: "TLS: WRONG_VERSION_NUMBER",
    refused: "Connection refused",
    silent: "no TLS handshake in time",
    "close in the middle": expect.stringContaining("disconnected") as never,
    polite: "up",
    "endless rubbish": expect.stringMatching(/TLS|handshake/) as never,
  });
  expect(asked.slice(0, 2)).toEqual(["n.example", "http/1.1"]);
});

test("a check that several services have in common is run once, and all are told", async () => {
  using prober = new Prober();
  let connections = 0;
  const port = await serve(() => connections++);
  const planned = (
    virtualServer: string,
    realServer: string,
    isSuspended = false,
  ): PlannedCheck => ({
    service: virtualServer,
    server: realServer,
    virtualServer,
    realServer,
    index: 0,
    check: { ...TIMING, type: "TCP_CHECK", ...connection(port), delay_loop: 60_000_000 },
    serverWeight: 1,
    isUp: true,
    isSuspended,
  });
  const told = (): string[] => prober.results.map((one) => `${one.service} ${one.server}`);
  prober.probes.apply([planned("one", "rs"), planned("two", "rs"), planned("one", "other")]);
  await prober.until(() => prober.results.length === 3);
  expect(told().sort()).toEqual(["one other", "one rs", "two rs"]);
  expect(connections).toBe(2);
  expect(prober.lines.filter((line) => line.startsWith("Activating"))).toEqual([
    "Activating healthchecker for service rs for VS one",
    "Activating healthchecker for service rs for VS two",
    "Activating healthchecker for service other for VS one",
  ]);
  // Who comes later is told what is known.
  prober.probes.apply([planned("one", "rs"), planned("two", "rs"), planned("three", "rs")]);
  expect(told().slice(3)).toEqual(["three rs"]);
  // And so is who was not to be told for a while.
  prober.probes.apply([planned("one", "rs"), planned("two", "rs", true)]);
  prober.probes.apply([planned("one", "rs"), planned("two", "rs")]);
  expect(told().slice(4)).toEqual(["two rs"]);
  expect(connections).toBe(2);
});

test("a check that is suspended holds still, keeps what it knows, and goes on at once", async () => {
  using prober = new Prober();
  let connections = 0;
  const port = await serve(() => connections++);
  const other = await serve(() => {});
  const checks = { rs: tcpCheck(port), other: tcpCheck(other) };
  prober.apply(checks);
  await prober.until(() => prober.last("rs") !== undefined);
  prober.apply(checks, { isSuspended: true });
  const before = connections;
  const status = (): unknown => prober.probes.statusOf({ service: "vs", server: "rs", index: 0 });
  const known = status();
  const later = performance.now() + 200;
  await prober.until(() => performance.now() > later);
  expect(connections).toBe(before);
  expect(status()).toEqual(known);
  prober.apply(checks);
  await prober.until(() => connections > before);
});

test("a check that has changed begins with what is known, and one failure is enough for it", async () => {
  using prober = new Prober();
  const port = await serve(() => {});
  prober.apply({ rs: { ...tcpCheck(port), alpha: true } as Check });
  await prober.until(() => prober.last("rs")?.isUp === true);
  const deaf = await deafPort();
  prober.apply({ rs: { ...tcpCheck(deaf), alpha: true, retry: 9 } as Check });
  const known = prober.probes.statusOf({ service: "vs", server: "rs", index: 0 })!;
  expect([known.isUp, known.isKnown]).toEqual([true, false]);
  await prober.until(() => prober.last("rs")?.isUp === false);
  expect(prober.lines).toContain("TCP_CHECK on service rs failed.");
});

test("programs, files and BFD sessions are heard of", async () => {
  using prober = new Prober();
  const misc: Check = {
    type: "MISC_CHECK",
    ...TIMING,
    misc_path: { argv: ["/bin/check", "me"] },
    misc_timeout: 1_000_000,
    misc_dynamic: true,
  };
  const file: Check = { type: "FILE_CHECK", track_file: "f", weight: 2, reverse: false };
  const checks: Record<string, Check> = {
    misc,
    file,
    "no weight": { ...file, weight: 0 },
    bfd: { type: "BFD_CHECK", name: "b", alpha: true },
  };
  prober.apply(checks, { serverWeight: 10 });
  prober.probes.hearFile("f", 3);
  prober.probes.hearSession("b", true);
  const of = (name: string): unknown[] => [prober.last(name)?.isUp, prober.last(name)?.weight];
  expect([of("file"), of("no weight"), of("bfd")]).toEqual([
    [true, 6],
    [false, undefined],
    [true, undefined],
  ]);
  expect(prober.lines.slice(-2)).toEqual([
    "(no weight): tracked file f now FAULT state",
    "BFD_CHECK (bfd): session b is up",
  ]);
  prober.probes.hearFile("f", 0);
  expect([of("file"), of("no weight")]).toEqual([[true, 0], [true, undefined]]);
  await prober.until(() => prober.programs.length === 1);
  prober.probes.hearProgram(prober.programs[0]!.id, { how: "exit", status: 22 });
  expect(of("misc")).toEqual([true, 10]);
  await prober.until(() => prober.programs.length === 2);
  prober.probes.hearProgram(prober.programs[1]!.id, { how: "signal", signal: 9 });
  expect(of("misc")).toEqual([false, 10]);
  expect(prober.lines.slice(-2)).toEqual([
    "Misc check for [misc VS vs] by [/bin/check] succeeded.",
    "Misc check for [misc VS vs] by [/bin/check] failed with retry disabled (due to signal 9).",
  ]);
  // One that is under way when nobody wants to know any more is ended; what it says then counts for nothing.
  await prober.until(() => prober.programs.length === 3);
  const before = prober.results.length;
  prober.probes.apply([]);
  expect(prober.stopped).toEqual([prober.programs[2]!.id]);
  prober.probes.hearProgram(prober.programs[2]!.id, { how: "exit", status: 0 });
  expect(prober.results.length).toBe(before);
});

test("in a loop that sleeps, the runtime gets its turns for TLS, and only then", async () => {
  using prober = new Prober();
  using own = certificate("backend.example", 30);
  const code = `
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0,
      tls: { cert: ${JSON.stringify(own.cert)}, key: ${JSON.stringify(own.key)} },
      socket: { data(socket) { socket.end(${JSON.stringify(OK)}); } } });
    process.stdout.write(server.port + "\\n");`;
  await using child = await WaitingChild.start(code);
  const port = Number(child.said);
  const names = Array.from({ length: 20 }, (_, i) => `rs${i}`);
  prober.apply(Object.fromEntries(names.map((name, i) => [
    name,
    { ...ssl(port), connect_timeout: 5_000_000 + i },
  ])));
  const { loop } = prober;
  let turns = 0;
  loop.atTurnEnd(() => {
    turns++;
    const isDone = names.every((name) =>
      prober.probes.statusOf({ service: "vs", server: name, index: 0 })!.attempts > 5
    );
    if (isDone) loop.stop();
  });
  const limit = { dueAt: Infinity, heapIndex: -1, fire: () => loop.stop() };
  loop.schedule(limit, loop.now + 20_000_000);
  await loop.runWithGuest();
  expect(prober.results.map(({ isUp, why }) => [isUp, why])).toEqual(names.map(() => [true, ""]));
  // 120 fetches of some ten events each; a loop that spins has made millions.
  expect(turns).toBeLessThan(20_000);
});

test("where from: address, port, link and mark of a check's packets", () => {
  using network = new Network(["a", "b"], { ipv6: true });
  network.run("a", "ip", "address", "add", "10.0.0.77/24", "dev", "eth0");
  // Marked packets alone find a way to 192.0.2.1, which is an address of b.
  network.run("b", "ip", "address", "add", "192.0.2.1/32", "dev", "lo");
  network.run("a", "ip", "rule", "add", "fwmark", "7", "table", "99");
  network.run("a", "ip", "route", "add", "192.0.2.1/32", "via", "10.0.0.2", "table", "99");
  const shown = network.run("b", "ip", "-6", "address", "show", "dev", "eth0", "scope", "link");
  const linkLocal = /inet6 (fe80:[0-9a-f:]+)/.exec(shown)![1]!;
  const server = Bun.spawn([
    ...network.enter("b"),
    ...[process.execPath, "-e", "Bun.listen({ hostname: '::', port: 80, socket: { data() {} } })"],
  ], { stdin: "ignore" });
  const targets = {
    plain: { connect_ip: "10.0.0.2" },
    "another address": { connect_ip: "10.0.0.2", bindto: "10.0.0.77" },
    "another port": { connect_ip: "10.0.0.2", bind_port: 4711 },
    both: { connect_ip: "fd00::2", bindto: "fd00::1", bind_port: 4712 },
    "by a link": { connect_ip: linkLocal, bind_if: "eth0" },
    "no link, no way": { connect_ip: linkLocal },
    "no mark, no way": { connect_ip: "192.0.2.1" },
    "by a mark": { connect_ip: "192.0.2.1", fwmark: 7 },
    echo: { connect_ip: "10.0.0.2", bindto: "10.0.0.77" },
  };
  const code = `
    import { connection, Prober, TIMING } from "./test/support/prober.ts";
    const targets = ${JSON.stringify(targets)};
    const prober = new Prober();
    const names = Object.keys(targets);
    prober.apply(Object.fromEntries(names.map((name) => [name, {
      ...TIMING,
      type: name === "echo" ? "PING_CHECK" : "TCP_CHECK",
      alpha: true,
      ...connection(80, { connect_timeout: 2_000_000, ...targets[name] }),
    }])));
    const isDone = () => names.every((name) => prober.last(name)?.isUp || name.includes("no way"));
    await prober.until(isDone, 20_000);
    const state = await Bun.$\`ss -tan\`.text();
    console.log(JSON.stringify([
      Object.fromEntries(names.map((name) => [name, prober.last(name)?.isUp])),
      [...state.matchAll(/(\\S+):(\\d+) +\\S+:80 /g)].map(([, from, port]) => from + " " + port),
    ]));
    process.exit();`;
  try {
    const [up, from] = JSON.parse(inChild(code, network.enter("a"))) as [unknown, string[]];
    expect(up).toEqual({
      plain: true,
      "another address": true,
      "another port": true,
      both: true,
      "by a link": true,
      "no link, no way": false,
      "no mark, no way": false,
      "by a mark": true,
      echo: true,
    });
    expect(from.some((one) => one.startsWith("10.0.0.77 "))).toBeTrue();
    expect(from.some((one) => one.endsWith(" 4711"))).toBeTrue();
    expect(from).toContain("[fd00::1] 4712");
  } finally {
    server.kill();
  }
});
