/**
 * PING_CHECK: an echo request and its reply, over the kernel's ping sockets, which fill in the identifier and
 * hand over the replies to it alone (RFC 792, RFC 4443 §4).
 */

import { bad, GOOD, type Reply, type Talk, utf8, type Verdict } from "./talk.ts";

const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;
const HEADER_BYTES = 8;
const PAYLOAD_BYTES = 128;
const TEXT = utf8("keepalived check - ");

/** One echo. */
export class PingTalk implements Talk {
  readonly #family: 4 | 6;
  readonly #request: Uint8Array;

  /** `sequence` is 16 bits. */
  constructor(family: 4 | 6, sequence: number) {
    this.#family = family;
    const request = new Uint8Array(HEADER_BYTES + PAYLOAD_BYTES);
    request[0] = ECHO[family].request;
    // The kernel writes the checksum (2) and the identifier (4).
    request[6] = sequence >> 8;
    request[7] = sequence & 255;
    for (let i = 0; i < PAYLOAD_BYTES; i++) request[HEADER_BYTES + i] = TEXT[i % TEXT.length]!;
    this.#request = request;
  }

  start(): Reply {
    return this.#request;
  }

  onBytes(bytes: Uint8Array): Reply {
    const request = this.#request;
    if (bytes.length < HEADER_BYTES || bytes[0] !== ECHO[this.#family].reply) return undefined;
    if (bytes[6] !== request[6] || bytes[7] !== request[7]) return undefined;
    if (bytes.length !== request.length) return bad("mismatch", "the echo is of another length");
    for (let i = HEADER_BYTES; i < bytes.length; i++) {
      if (bytes[i] !== request[i]) return bad("mismatch", "the echo differs from what was sent");
    }
    return GOOD;
  }

  onClosed(): Verdict {
    return bad("closed", "the socket was closed");
  }

  onTimer(): Verdict {
    return bad("silence", "no echo in time");
  }
}
