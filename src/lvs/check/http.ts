/**
 * HTTP_GET and SSL_GET: one request, and a response whose status, digest and content must be the wanted ones.
 * The body is read to its end, as a server expects that, but not for ever: what is kept of it is bounded, and
 * where its content does not matter, so is what is read.
 */

import type { HttpSettings, StatusRange, Url } from "../../config/lvs.ts";
import { HttpReader, type Progress } from "./http_reader.ts";
import { compilePattern, type Pattern, type PatternText, searchPattern } from "./pattern.ts";
import { bad, type Reply, type Talk, utf8, type Verdict } from "./talk.ts";

/** A sum over bytes as they come, as the runtime's library has it. */
export interface Digester {
  update(bytes: Uint8Array): unknown;
  digest(encoding: "hex"): string;
}

/** What is read of a body whose content matters. */
const MOST_BODY = 64 * 1024 * 1024;
/** What is read of a body whose content does not. */
const ENOUGH_BODY = 256 * 1024;
/** What of a body is searched. */
const MOST_TEXT = 256 * 1024;
const AGENT = "KeepAliveClient";

/** What the requests for one url have in common; made once. */
export interface WebRequest {
  readonly url: Url;
  readonly bytes: Uint8Array;
  /** What is searched for; a text tells why it cannot be. */
  readonly pattern: Pattern | string | undefined;
}

/** An address and a port as a Host header has them. */
export function hostOf(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

/** The request for a url, ready to be sent. */
export function webRequest(settings: HttpSettings, url: Url): WebRequest {
  const { http_protocol, connect_ip, connect_port } = settings;
  const { method, path, header, body, regex, regex_options } = url;
  const hasAgent = header.some(([name]) => name.toLowerCase() === "user-agent");
  const payload = body === undefined ? new Uint8Array(0) : utf8(body);
  const lines = [
    `${method} ${path} HTTP/${http_protocol.slice(0, 3)}`,
    ...(hasAgent ? [] : [`User-Agent: ${AGENT}`]),
    ...(http_protocol === "1.0" ? [] : ["Connection: close"]),
    `Host: ${url.virtualhost ?? hostOf(connect_ip, connect_port)}`,
    ...header.map(([name, value]) => `${name}: ${value}`),
    ...(body === undefined ? [] : [`Content-Length: ${payload.length}`]),
  ];
  const head = utf8(`${lines.join("\r\n")}\r\n\r\n`);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  const pattern = regex === undefined ? undefined : compilePattern(regex, regex_options);
  return { url, bytes, pattern };
}

/** One request and its response. */
export class HttpTalk implements Talk {
  readonly #request: WebRequest;
  readonly #reader: HttpReader;
  readonly #digester: Digester | undefined;
  readonly #text: Uint8Array[] = [];
  #textLength = 0;

  /** `md5` makes a digester; it is asked for one when the url has a digest. */
  constructor(request: WebRequest, md5: () => Digester) {
    this.#request = request;
    const { method, digest } = request.url;
    this.#digester = digest === undefined ? undefined : md5();
    this.#reader = new HttpReader(method === "HEAD", (bytes) => this.#take(bytes));
  }

  start(): Reply {
    return this.#request.bytes;
  }

  #take(bytes: Uint8Array): void {
    this.#digester?.update(bytes);
    if (this.#request.pattern === undefined) return;
    const piece = bytes.slice(0, MOST_TEXT - this.#textLength);
    if (piece.length === 0) return;
    this.#text.push(piece);
    this.#textLength += piece.length;
  }

  onBytes(bytes: Uint8Array): Reply {
    const progress = this.#reader.push(bytes);
    const fault = this.#faultOf(progress);
    if (fault !== undefined) return fault;
    if (progress === "head") return undefined;
    if (progress === "end") return this.#judgeBody();
    const { received } = this.#reader;
    const { url, pattern } = this.#request;
    if (url.digest === undefined && pattern === undefined) {
      return received > ENOUGH_BODY ? PROVEN.status : undefined;
    }
    if (url.digest === undefined && received >= MOST_TEXT) return this.#judgeBody();
    if (received <= MOST_BODY) return undefined;
    return bad("too much", `a body of more than ${MOST_BODY} bytes`);
  }

  /** What is wrong with a response that has come so far. */
  #faultOf(progress: Progress): Verdict | undefined {
    if (progress === "head") return undefined;
    if (progress !== "body" && progress !== "end") {
      return bad(progress === "no HTTP response" ? "status" : "garbage", progress);
    }
    const { status_code } = this.#request.url;
    const { status } = this.#reader;
    if (status_code.some(({ from, to }) => status >= from && status <= to)) return undefined;
    return bad("status", `status ${status}, not ${formatRanges(status_code)}`);
  }

  onClosed(): Verdict {
    const { status, isWhole, received, contentLength } = this.#reader;
    if (status === 0) return bad("closed", "closed without a response");
    if (isWhole) return this.#judgeBody();
    const { url, pattern } = this.#request;
    if (contentLength === undefined) return bad("garbage", "closed within a chunk");
    const note = `content_length (${contentLength}) does not match received bytes (${received})`;
    if (url.digest === undefined && pattern === undefined) return { ...PROVEN.status, note };
    const verdict = this.#judgeBody();
    return verdict.isGood ? { ...verdict, note } : bad(verdict.fault, `${verdict.why}; ${note}`);
  }

  onTimer(isSlow: boolean): Verdict {
    if (!isSlow) return bad("silence", "no response in time");
    return bad("incomplete", `the response took too long, ${this.#reader.received} bytes of body`);
  }

  #judgeBody(): Verdict {
    const { url, pattern } = this.#request;
    if (url.digest !== undefined) {
      const digest = this.#digester!.digest("hex");
      if (digest !== url.digest) return bad("digest", `digest ${digest}, not ${url.digest}`);
    }
    if (pattern !== undefined) {
      const verdict = judgeText(url, pattern, joined(this.#text, this.#textLength));
      if (!verdict.isGood || url.digest === undefined) return verdict;
    }
    return url.digest === undefined ? PROVEN.status : PROVEN.digest;
  }
}

const PROVEN = {
  status: { isGood: true, proof: "status" },
  digest: { isGood: true, proof: "digest" },
  regex: { isGood: true, proof: "regex" },
} as const;

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Whether a body has, or does not have, what a url's regex says. */
function judgeText(url: Url, pattern: Pattern | string, bytes: Uint8Array): Verdict {
  if (typeof pattern === "string") return bad("regex", `the regex cannot be used: ${pattern}`);
  const text: PatternText = pattern.isUtf ? codePoints(bytes) : bytes;
  const { regex_min_offset: min, regex_max_offset: max = Infinity, regex_no_match } = url;
  const found = searchPattern(pattern, text, min, Math.min(max, text.length));
  if (found === "too much work") return bad("regex", "the regex took too long on this body");
  if ((found === "match") !== regex_no_match) return PROVEN.regex;
  return bad("regex", regex_no_match ? "the regex matches the body" : "no match for the regex");
}

function codePoints(bytes: Uint8Array): Uint32Array {
  return Uint32Array.from(new TextDecoder().decode(bytes), (char) => char.codePointAt(0)!);
}

function formatRanges(ranges: readonly StatusRange[]): string {
  return ranges.map(({ from, to }) => from === to ? `${from}` : `${from}-${to}`).join(" ");
}
