/**
 * UDP_CHECK: a datagram that nobody refuses. Silence is good unless a reply is required, whose length, and
 * as far as it goes its content, must then be right.
 */

import type { UdpCheck } from "../../config/lvs.ts";
import { bad, GOOD, type Reply, type Talk, utf8, type Verdict } from "./talk.ts";

/** What is sent when the configuration names nothing: 32 bytes, as keepalived sends them. */
export const PAYLOAD: Uint8Array = utf8("keepalived check - keepalived check").subarray(0, 32);

/** max_reply_length when nothing is said: no limit, but as much as keepalived looks at. */
const DEFAULT_MOST = 255;

/** A datagram, and perhaps one back. */
export class UdpTalk implements Talk {
  readonly #check: UdpCheck;

  constructor(check: UdpCheck) {
    this.#check = check;
  }

  start(): Reply {
    const { payload } = this.#check;
    return payload === undefined ? PAYLOAD : Uint8Array.fromHex(payload);
  }

  onBytes(bytes: Uint8Array): Reply {
    const { require_reply, reply, min_reply_length, max_reply_length } = this.#check;
    if (!require_reply) return GOOD;
    const { length } = bytes;
    const isTooLong = length > max_reply_length && max_reply_length !== DEFAULT_MOST;
    if (length < min_reply_length || isTooLong) {
      const range = `${min_reply_length} to ${max_reply_length}`;
      return bad("mismatch", `a reply of ${length} bytes, not ${range}`);
    }
    const at = reply === undefined ? -1 : differenceAt(bytes, reply);
    if (at < 0) return GOOD;
    return bad("mismatch", `the reply differs from the required one at byte ${at}`);
  }

  onClosed(): Verdict {
    return this.onBytes(new Uint8Array(0)) as Verdict;
  }

  onTimer(): Verdict {
    return this.#check.require_reply ? bad("silence", "no reply in time") : GOOD;
  }
}

/** The first byte in which a reply differs from a pattern of hexadecimal digits and x, as far as both go; -1. */
function differenceAt(bytes: Uint8Array, pattern: string): number {
  const count = Math.min(bytes.length, pattern.length / 2);
  for (let at = 0; at < count; at++) {
    if (!fits(bytes[at]! >> 4, pattern[2 * at]!)) return at;
    if (!fits(bytes[at]! & 15, pattern[2 * at + 1]!)) return at;
  }
  return -1;
}

function fits(digit: number, wanted: string): boolean {
  return wanted === "x" || digit === Number.parseInt(wanted, 16);
}
