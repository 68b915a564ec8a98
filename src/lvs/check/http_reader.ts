/**
 * An HTTP/1 response, byte by byte as it arrives (RFC 9112): the status, then the body freed of its framing.
 * Nothing is kept of the body here, and what is kept of the head is bounded.
 */

import { latin1 } from "./talk.ts";

/** What a response has come to. */
export type Progress =
  /** The head is not complete. */
  | "head"
  /** The status is known, and more may come. */
  | "body"
  /** The response is complete. */
  | "end"
  | HttpError;

/** Why a response cannot be read. */
export type HttpError =
  | "no HTTP response"
  | "the head is longer than 64 KiB"
  | "a malformed Content-Length"
  | "a malformed chunk"
  | "a transfer coding other than chunked";

const MOST_HEAD = 64 * 1024;
/** A chunk's size in hexadecimal, its extensions, and the end of the line. */
const MOST_CHUNK_LINE = 4096;
/** Interim responses before the real one (RFC 9110 §15.2). */
const MOST_INTERIM = 16;
const LF = 10;
const CR = 13;

type Framing = "close" | "length" | "chunked";
type ChunkStep = "size" | "data" | "data end" | "trailer";

/** Reads one response. */
export class HttpReader {
  readonly #onBody: (bytes: Uint8Array) => void;
  readonly #hasNoBody: boolean;
  #head: number[] = [];
  /** Bytes of the line that the head, a chunk's size or a trailer is at. */
  #line = 0;
  #interims = 0;
  #framing: Framing = "close";
  #left = 0;
  #chunk: ChunkStep = "size";
  #sizeLine = "";
  #progress: Progress = "head";

  /** The status code; 0 until the head is complete. */
  status = 0;
  /** What Content-Length says, where it counts. */
  contentLength: number | undefined;
  /** Bytes of the body so far. */
  received = 0;

  /** `isHead` tells that the request was a HEAD, whose response has no body. */
  constructor(isHead: boolean, onBody: (bytes: Uint8Array) => void) {
    this.#hasNoBody = isHead;
    this.#onBody = onBody;
  }

  /** Takes more bytes. */
  push(bytes: Uint8Array): Progress {
    let at = 0;
    while (at < bytes.length) {
      if (this.#progress === "head") at = this.#readHead(bytes, at);
      else if (this.#progress === "body") at = this.#readBody(bytes, at);
      else break;
    }
    return this.#progress;
  }

  /** The connection was closed: whether the response was complete. */
  get isWhole(): boolean {
    return this.#progress === "end" || (this.#progress === "body" && this.#framing === "close");
  }

  #readHead(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at]!;
      this.#head.push(byte);
      if (byte === LF) {
        // Anything before the first line that is not empty is passed over (RFC 9112 §2.2).
        if (this.#line === 0 && this.#head.length <= 2) this.#head = [];
        else if (this.#line === 0) {
          this.#takeHead();
          return at + 1;
        }
        this.#line = 0;
      } else if (byte !== CR) this.#line++;
      if (this.#head.length === 5 && latin1(Uint8Array.from(this.#head)) !== "HTTP/") {
        this.#progress = "no HTTP response";
        return bytes.length;
      }
      if (this.#head.length > MOST_HEAD) {
        this.#progress = "the head is longer than 64 KiB";
        return bytes.length;
      }
    }
    return bytes.length;
  }

  #takeHead(): void {
    const [first = "", ...lines] = latin1(Uint8Array.from(this.#head)).split(/\r?\n/);
    this.#head = [];
    this.#line = 0;
    const found = /^HTTP\/\d\.\d (\d{3})(?: |$)/.exec(first);
    if (found === null) {
      this.#progress = "no HTTP response";
      return;
    }
    const status = Number(found[1]);
    if (status >= 100 && status < 200 && status !== 101 && ++this.#interims <= MOST_INTERIM) return;
    this.status = status;
    this.#progress = this.#frame(lines);
  }

  /** RFC 9112 §6.3: where the body ends. */
  #frame(lines: readonly string[]): Progress {
    const values = (name: string): string[] =>
      lines.filter((line) => line.toLowerCase().startsWith(`${name}:`))
        .flatMap((line) => line.slice(name.length + 1).split(","))
        .map((value) => value.trim().toLowerCase());
    const isBare = this.#hasNoBody || this.status === 204 || this.status === 304;
    if (isBare) return "end";
    const codings = values("transfer-encoding");
    if (codings.length > 0) {
      if (codings.length > 1 || codings[0] !== "chunked") {
        return "a transfer coding other than chunked";
      }
      this.#framing = "chunked";
      return "body";
    }
    const lengths = new Set(values("content-length"));
    if (lengths.size === 0) return "body";
    const [length = ""] = lengths;
    if (lengths.size > 1 || !/^\d{1,15}$/.test(length)) return "a malformed Content-Length";
    this.#framing = "length";
    this.#left = this.contentLength = Number(length);
    return this.#left === 0 ? "end" : "body";
  }

  #readBody(bytes: Uint8Array, at: number): number {
    switch (this.#framing) {
      case "close":
        this.#give(bytes.subarray(at));
        return bytes.length;
      case "length": {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        this.#give(bytes.subarray(at, end));
        if (this.#left === 0) this.#progress = "end";
        return end;
      }
      case "chunked":
        return this.#readChunked(bytes, at);
    }
  }

  #give(bytes: Uint8Array): void {
    this.received += bytes.length;
    this.#onBody(bytes);
  }

  /** RFC 9112 §7.1. */
  #readChunked(bytes: Uint8Array, at: number): number {
    const byte = bytes[at]!;
    switch (this.#chunk) {
      case "size":
        if (byte === LF) this.#takeSize();
        else if (this.#sizeLine.length >= MOST_CHUNK_LINE) this.#progress = "a malformed chunk";
        else this.#sizeLine += String.fromCharCode(byte);
        return at + 1;
      case "data": {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        this.#give(bytes.subarray(at, end));
        if (this.#left === 0) this.#chunk = "data end";
        return end;
      }
      case "data end":
        if (byte === LF) this.#chunk = "size";
        else if (byte !== CR) this.#progress = "a malformed chunk";
        return at + 1;
      case "trailer":
        if (byte === LF) {
          if (this.#line === 0) this.#progress = "end";
          this.#line = 0;
        } else if (byte !== CR && ++this.#line > MOST_CHUNK_LINE) {
          this.#progress = "a malformed chunk";
        }
        return at + 1;
    }
  }

  #takeSize(): void {
    const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[^\r]*)?\r?$/.exec(this.#sizeLine)?.[1];
    this.#sizeLine = "";
    if (size === undefined) {
      this.#progress = "a malformed chunk";
      return;
    }
    this.#left = Number.parseInt(size, 16);
    this.#chunk = this.#left === 0 ? "trailer" : "data";
    this.#line = 0;
  }
}
