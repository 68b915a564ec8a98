/**
 * The built-in checks of vrrp_script: a ping, a connection or a page, looked at without any process. Each
 * run is alone: nothing is kept open, and ending it leaves nothing behind. Loaded only when one is configured.
 */

import { lookup } from "node:dns/promises";
import { connect } from "node:net";
import { AF_INET, AF_INET6, SOCK_RAW } from "../../ffi/constants.ts";
import { sockaddrIn } from "../../ffi/layout.ts";
import { Memory } from "../../ffi/memory.ts";
import { closeDescriptor, connectSocket, openSocket, sendNow } from "../../ffi/socket.ts";
import { socketAddress } from "../../ffi/udp.ts";
import type { BuiltinCheck } from "../config/builtin_check.ts";
import { type Address, parseAddress } from "../lib/address.ts";
import {
  decodeEcho,
  decodeEchoReply6,
  encodeEcho,
  encodeEchoRequest6,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
} from "../wire/icmp.ts";
import { decodeIpv4 } from "../wire/ipv4.ts";
import type { Run } from "./script.ts";
import { Stream } from "./stream.ts";

/** A page is read so far when it is searched. */
const PAGE_BYTES = 1024 * 1024;
const PING_BYTES = 56;

type Of<K extends BuiltinCheck["kind"]> = Extract<BuiltinCheck, { readonly kind: K }>;

/** Looks once; to be ended by `kill`, of either kind. */
export function startCheck(check: BuiltinCheck): Run {
  const startedAt = performance.now();
  const abort = new AbortController();
  const looked = look(check, abort.signal).catch((error: unknown) => reasonOf(error));
  return {
    ended: looked.then((why) => ({
      status: why === undefined ? 0 : 1,
      signal: null,
      durationMs: performance.now() - startedAt,
      ...(why === undefined ? {} : { why }),
    })),
    kill: () => abort.abort(),
  };
}

/** What is wrong, in words; undefined when nothing is. Rejects with the system's error. */
function look(check: BuiltinCheck, signal: AbortSignal): Promise<string | undefined> {
  switch (check.kind) {
    case "ping":
      return ping(check, signal);
    case "tcp":
      return connectTo(check, signal);
    case "http":
      return read(check, signal);
  }
}

function connectTo({ host, port }: Of<"tcp">, signal: AbortSignal): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port, noDelay: true });
  socket.on("error", reject);
  socket.on("connect", () => resolve(undefined));
  signal.addEventListener("abort", () => resolve("stopped"));
  return promise.finally(() => socket.destroy());
}

async function read(check: Of<"http">, signal: AbortSignal): Promise<string | undefined> {
  const { url, status, contains } = check;
  const headers = { "user-agent": "upkeep", "cache-control": "no-cache" };
  // A redirection says nothing about what stands behind it.
  const response = await fetch(url, { redirect: "manual", keepalive: false, headers, signal });
  try {
    const isExpected = status === undefined ? response.ok : response.status === status;
    if (!isExpected) return `status ${response.status}, not ${status ?? "200 to 299"}`;
    if (contains === undefined) return undefined;
    const page = await beginningOf(response);
    return page.includes(contains) ? undefined : `the page does not contain ${contains}`;
  } finally {
    // Nobody waits for the rest.
    response.body?.cancel().catch(() => {});
  }
}

async function beginningOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = "";
  for (let bytes = 0; reader !== undefined && bytes < PAGE_BYTES;) {
    const { done, value } = await reader.read();
    if (done) break;
    bytes += value.length;
    text += decoder.decode(value, { stream: true });
  }
  reader?.releaseLock();
  return text;
}

let pings = process.pid;

async function ping({ host }: Of<"ping">, signal: AbortSignal): Promise<string | undefined> {
  const address = parseAddress(host) ?? parseAddress((await lookup(host)).address);
  if (address === undefined) return `${host} has no address`;
  if (signal.aborted) return "stopped";
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const identifier = pings++ & 0xffff;
  const echo = { identifier, sequence: 1, payload: new Uint8Array(PING_BYTES) };
  const isV6 = address.length === 16;
  const fd = isV6
    ? openSocket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "opening a socket for a ping")
    : openSocket(AF_INET, SOCK_RAW, IPPROTO_ICMP, "opening a socket for a ping");
  if (!connectSocket(fd, isV6 ? socketAddress(address, 0, 0) : sockaddrIn(address))) {
    closeDescriptor(fd);
    return `there is no way to ${host}`;
  }
  const stream = new Stream(fd, {
    data: (packet) => {
      if (isAnswer(packet, address, identifier)) resolve(undefined);
    },
    close: () => resolve(`${host} cannot be reached`),
  });
  signal.addEventListener("abort", () => resolve("stopped"));
  const request = Memory.of(
    isV6 ? encodeEchoRequest6(echo) : encodeEcho({ type: "request", ...echo }),
  );
  const sent = sendNow(fd, request, 0, request.bytes.length);
  if (sent < 0) resolve(`there is no way to ${host}`);
  return promise.finally(() => stream.end());
}

/** Raw sockets of IPv4 also receive the header, and every one of them receives all that comes from the host. */
function isAnswer(packet: Uint8Array, address: Address, identifier: number): boolean {
  let message = packet;
  if (address.length === 4) {
    const header = decodeIpv4(packet);
    if (typeof header === "string") return false;
    message = packet.subarray(header.headerLength, header.totalLength);
  }
  const echo = address.length === 4 ? decodeEcho(message) : decodeEchoReply6(message);
  return typeof echo !== "string" && echo.type === "reply" && echo.identifier === identifier;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection is refused",
  ECONNRESET: "the connection is reset",
  ConnectionClosed: "the connection is closed without an answer",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "there is no way to the network",
  ENOTFOUND: "the name is not known",
  EAI_AGAIN: "the name server does not answer",
  ETIMEDOUT: "the connection times out",
};

/** An error of the system or the runtime in words. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  return REASONS[String(code)] ?? (error.message === "" ? String(code) : error.message);
}
