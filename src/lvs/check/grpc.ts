/**
 * GRPC_CHECK: the Check of grpc.health.v1.Health, one request over HTTP/2 (RFC 9113) with prior knowledge or
 * over TLS. The server is good when it says SERVING and ends well.
 */

import type { GrpcCheck } from "../../config/lvs.ts";
import { hostOf } from "./http.ts";
import { decodeFields, encodeFields } from "./hpack.ts";
import { bad, excerpt, GOOD, type Reply, type Talk, utf8, type Verdict } from "./talk.ts";

const PREFACE = utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const FRAME_HEADER = 9;
/** RFC 9113 §4.2: what nobody may exceed without having been told that he may. */
const MOST_FRAME = 16_384;
/** Of a whole answer, which takes some 200 bytes. */
const MOST_BYTES = 256 * 1024;

/** §6. */
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const CONTINUATION = 9;
const FLAG_ACK = 1;
const FLAG_END_STREAM = 1;
const FLAG_END_HEADERS = 4;
const FLAG_PADDED = 8;
const FLAG_PRIORITY = 0x20;

const SETTINGS_HEADER_TABLE_SIZE = 1;
const SETTINGS_ENABLE_PUSH = 2;
const STREAM = 1;

/** ServingStatus of health.proto. */
const HEALTH = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING = 1;

/** All that is said to a server at first: preface, settings, and the request. */
export function encodeRequest(check: GrpcCheck): Uint8Array {
  const { service, tls, virtualhost, connect_ip, connect_port } = check;
  const settings = Uint8Array.of(
    ...[0, SETTINGS_HEADER_TABLE_SIZE, 0, 0, 0, 0],
    ...[0, SETTINGS_ENABLE_PUSH, 0, 0, 0, 0],
  );
  const fields = encodeFields([
    [":method", "POST"],
    [":scheme", tls ? "https" : "http"],
    [":path", "/grpc.health.v1.Health/Check"],
    [":authority", virtualhost ?? hostOf(connect_ip, connect_port)],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
    ["user-agent", "KeepAliveClient"],
  ]);
  return joined([
    PREFACE,
    frame(SETTINGS, 0, 0, settings),
    frame(HEADERS, FLAG_END_HEADERS, STREAM, fields),
    frame(DATA, FLAG_END_STREAM, STREAM, encodeMessage(service)),
  ]);
}

/** HealthCheckRequest, field 1 being the service, behind the five bytes of a gRPC message. */
function encodeMessage(service: string): Uint8Array {
  const name = utf8(service);
  const size: number[] = [];
  let rest = name.length;
  for (; rest >= 128; rest >>= 7) size.push(128 | (rest & 127));
  const field = name.length === 0 ? [] : [0x0a, ...size, rest, ...name];
  const bytes = Uint8Array.of(0, 0, 0, 0, 0, ...field);
  new DataView(bytes.buffer).setUint32(1, field.length);
  return bytes;
}

/**
 *     +-----------------------------------------------+
 *     |                 Length (24)                   |
 *     +---------------+---------------+---------------+
 *     |   Type (8)    |   Flags (8)   |
 *     +-+-------------+---------------+-------------------------------+
 *     |R|                 Stream Identifier (31)                      |
 *     +=+=============================================================+
 *     |                   Frame Payload (0...)                      ...
 */
function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length << 8 | type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  bytes.set(payload, FRAME_HEADER);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const NOTHING = new Uint8Array(0);

/** One request and its answer. */
export class GrpcTalk implements Talk {
  readonly #check: GrpcCheck;
  #pending: Uint8Array = NOTHING;
  #total = 0;
  /** The server's SETTINGS have come. */
  #isGreeted = false;
  /** The header block that is being put together, and whether the stream ends with it. */
  #block: Uint8Array | undefined;
  #blockEnds = false;
  #message: Uint8Array = NOTHING;
  #status = "";
  #grpcStatus = "";
  #grpcMessage = "";

  constructor(check: GrpcCheck) {
    this.#check = check;
  }

  start(): Reply {
    return encodeRequest(this.#check);
  }

  onBytes(bytes: Uint8Array): Reply {
    this.#total += bytes.length;
    if (this.#total > MOST_BYTES) return bad("too much", `more than ${MOST_BYTES} bytes`);
    const all = this.#pending = joined([this.#pending, bytes]);
    const answers: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= FRAME_HEADER) {
      const view = new DataView(all.buffer, at);
      const length = view.getUint32(0) >>> 8;
      if (this.#isOutOfStep(length, all[at + 3]!)) {
        return bad("garbage", `no HTTP/2: ${excerpt(String.fromCharCode(...all.slice(0, 60)))}`);
      }
      const end = at + FRAME_HEADER + length;
      if (end > all.length) break;
      const payload = all.subarray(at + FRAME_HEADER, end);
      const reply = this.#take(all[at + 3]!, all[at + 4]!, view.getUint32(5), payload);
      if (reply !== undefined && "isGood" in reply) return reply;
      if (reply !== undefined) answers.push(reply);
      at = end;
    }
    this.#pending = all.slice(at);
    return answers.length === 0 ? undefined : joined(answers);
  }

  /** Before anything else comes SETTINGS (§3.4), and a block of headers is not interrupted (§6.10). */
  #isOutOfStep(length: number, type: number): boolean {
    if (length > MOST_FRAME) return true;
    if (this.#block !== undefined) return type !== CONTINUATION;
    return !this.#isGreeted && type !== SETTINGS;
  }

  #take(type: number, flags: number, stream: number, payload: Uint8Array): Reply {
    switch (type) {
      case SETTINGS:
        this.#isGreeted = true;
        return (flags & FLAG_ACK) === 0 ? frame(SETTINGS, FLAG_ACK, 0, NOTHING) : undefined;
      case PING:
        return (flags & FLAG_ACK) === 0 ? frame(PING, FLAG_ACK, 0, payload) : undefined;
      case GOAWAY:
        return this.#goodbye(payload);
    }
    if (stream !== STREAM) return undefined;
    switch (type) {
      case HEADERS:
        this.#blockEnds = (flags & FLAG_END_STREAM) !== 0;
        this.#block = unpadded(payload, flags, (flags & FLAG_PRIORITY) === 0 ? 0 : 5);
        return (flags & FLAG_END_HEADERS) === 0 ? undefined : this.#takeHeaders();
      case CONTINUATION:
        this.#block = joined([this.#block ?? NOTHING, payload]);
        return (flags & FLAG_END_HEADERS) === 0 ? undefined : this.#takeHeaders();
      case DATA:
        this.#message = joined([this.#message, unpadded(payload, flags, 0)]);
        return (flags & FLAG_END_STREAM) === 0 ? undefined : this.#judge();
      case RST_STREAM:
        return bad("closed", `the request was reset with HTTP/2 error ${errorCode(payload, 0)}`);
    }
    return undefined;
  }

  /** A server that only finishes what it has begun names a last stream that is not before ours (§6.8). */
  #goodbye(payload: Uint8Array): Reply {
    const last = payload.length < 8 ? 0 : new DataView(payload.slice().buffer).getUint32(0);
    if (last >= STREAM) return undefined;
    return bad("closed", `goodbye with HTTP/2 error ${errorCode(payload, 4)}`);
  }

  #takeHeaders(): Reply {
    const fields = decodeFields(this.#block ?? NOTHING);
    this.#block = undefined;
    if (fields === undefined) return bad("garbage", "malformed HTTP/2 headers");
    for (const [name, value] of fields) {
      if (name === ":status") this.#status = value;
      else if (name === "grpc-status") this.#grpcStatus = value;
      else if (name === "grpc-message") this.#grpcMessage = value;
    }
    if (this.#status !== "200") return bad("status", `HTTP status ${this.#status}, not 200`);
    return this.#blockEnds ? this.#judge() : undefined;
  }

  #judge(): Verdict {
    if (this.#grpcStatus !== "0" && this.#grpcStatus !== "") {
      const message = this.#grpcMessage === "" ? "" : ` ${excerpt(this.#grpcMessage)}`;
      return bad("status", `grpc-status ${this.#grpcStatus}${message}`);
    }
    const health = healthIn(this.#message);
    if (health === undefined) return bad("garbage", "no health in the answer");
    if (health === SERVING) return GOOD;
    return bad("status", `${HEALTH[health] ?? `health ${health}`}, not SERVING`);
  }

  onClosed(): Verdict {
    return bad("closed", "closed before the answer was complete");
  }

  onTimer(isSlow: boolean): Verdict {
    return isSlow
      ? bad("incomplete", "the answer took too long")
      : bad("silence", "no answer in time");
  }
}

function unpadded(payload: Uint8Array, flags: number, skipped: number): Uint8Array {
  const isPadded = (flags & FLAG_PADDED) !== 0;
  const padding = isPadded ? payload[0] ?? 0 : 0;
  return payload.slice((isPadded ? 1 : 0) + skipped, Math.max(0, payload.length - padding));
}

function errorCode(payload: Uint8Array, at: number): number {
  return payload.length < at + 4 ? 0 : new DataView(payload.slice().buffer).getUint32(at);
}

/** HealthCheckResponse: field 1, a varint, which is left out when it is 0. */
function healthIn(message: Uint8Array): number | undefined {
  if (message.length < 5 || message[0] !== 0) return undefined;
  const length = new DataView(message.buffer, message.byteOffset).getUint32(1);
  const body = message.subarray(5, 5 + length);
  if (body.length < length) return undefined;
  if (length === 0) return 0;
  return length >= 2 && body[0] === 8 && body[1]! < 128 ? body[1] : undefined;
}
