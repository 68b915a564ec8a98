/**
 * DNS_CHECK (RFC 1035): one question over UDP. Any answer to it without an error counts, also one without a
 * record.
 */

import type { DnsCheck } from "../../config/lvs.ts";
import { bad, GOOD, type Reply, type Talk, utf8, type Verdict } from "./talk.ts";

/** RFC 1035 §3.2.2, RFC 3596, RFC 4034. */
const TYPES: Readonly<Record<string, number>> = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  RRSIG: 46,
  DNSKEY: 48,
};
const CLASS_IN = 1;
const HEADER_BYTES = 12;
const RECURSION_DESIRED = 0x0100;
const RESPONSE = 0x80;

/** §4.1.1 and RFC 2136: what an rcode is called. */
const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/** The 12-byte header and one question; `id` is 16 bits. */
export function encodeQuestion(
  { record, name }: Pick<DnsCheck, "record" | "name">,
  id: number,
): Uint8Array {
  const labels = name === "" ? [] : name.split(".").map(utf8);
  const length = labels.reduce((sum, label) => sum + 1 + label.length, 0);
  const bytes = new Uint8Array(HEADER_BYTES + length + 5);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id);
  view.setUint16(2, RECURSION_DESIRED);
  view.setUint16(4, 1); // one question
  let at = HEADER_BYTES;
  for (const label of labels) {
    bytes[at] = label.length;
    bytes.set(label, at + 1);
    at += 1 + label.length;
  }
  view.setUint16(at + 1, TYPES[record] ?? TYPES["SOA"]!);
  view.setUint16(at + 3, CLASS_IN);
  return bytes;
}

/** One question. */
export class DnsTalk implements Talk {
  readonly #question: Uint8Array;

  /** `id` is 16 random bits: whoever cannot see them cannot answer. */
  constructor(check: Pick<DnsCheck, "record" | "name">, id: number) {
    this.#question = encodeQuestion(check, id);
  }

  start(): Reply {
    return this.#question;
  }

  /** What is no answer to this question is passed over: it may be a late one to an earlier. */
  onBytes(bytes: Uint8Array): Reply {
    const question = this.#question;
    if (bytes.length < HEADER_BYTES || (bytes[2]! & RESPONSE) === 0) return undefined;
    if (bytes[0] !== question[0] || bytes[1] !== question[1]) return undefined;
    const rcode = bytes[3]! & 15;
    const count = bytes[4]! << 8 | bytes[5]!;
    // An error may come without the question (§4.1.1); an answer repeats it.
    if (count > 0 || rcode === 0) {
      if (!repeats(bytes, question)) return undefined;
    }
    return rcode === 0 ? GOOD : bad("status", `rcode ${rcode} (${RCODES[rcode] ?? "unknown"})`);
  }

  onClosed(): Verdict {
    return bad("closed", "the socket was closed");
  }

  onTimer(): Verdict {
    return bad("silence", "no answer in time");
  }
}

/** Whether an answer carries the question, in whatever case (RFC 4343). */
function repeats(answer: Uint8Array, question: Uint8Array): boolean {
  if (answer.length < question.length) return false;
  for (let at = HEADER_BYTES; at < question.length; at++) {
    if (lower(answer[at]!) !== lower(question[at]!)) return false;
  }
  return true;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}
