/**
 * Netlink messages and their attributes (linux/netlink.h): a 16-byte header, a fixed part that
 * belongs to the message's type, then attributes, each length, type, value, padded to 4 bytes.
 * Numbers are in host order, little-endian on every target. Reading never throws: an
 * AttributeReader remembers that something did not fit (`short`) and hands out zeros from then on,
 * so a decoder asks once, at its end.
 *
 * ```
 *  0        2        4        6        8
 * +--------+--------+--------+--------+
 * | length          | type   | flags  |   length counts the header
 * +--------+--------+--------+--------+
 * | sequence        | port id         |
 * +--------+--------+--------+--------+
 * | payload, padded to 4 ...          |
 * ```
 */

import { assert } from "../lib/assert.ts";

/** Flags of every request (linux/netlink.h). */
export const NLM_F_REQUEST = 0x01;
/** Asks for an NLMSG_ERROR reply on success too. */
export const NLM_F_ACK = 0x04;
/** The dump was taken while its table changed: ask again. */
export const NLM_F_DUMP_INTR = 0x10;
/** Asks for every object (NLM_F_ROOT | NLM_F_MATCH). */
export const NLM_F_DUMP = 0x300;
/** On a request that makes an object: change the one that is there. */
export const NLM_F_REPLACE = 0x100;
/** On a request that makes an object: EEXIST when there is one. */
export const NLM_F_EXCL = 0x200;
/** On a request that makes an object: make it when there is none. */
export const NLM_F_CREATE = 0x400;
/** On a request that makes an object: after the equal ones that are there. */
export const NLM_F_APPEND = 0x800;
/** On an acknowledgement: the request is quoted by its header alone. */
const NLM_F_CAPPED = 0x100;
/** On an acknowledgement: attributes follow the quoted request. */
export const NLM_F_ACK_TLVS = 0x200;

/**
 * Message types below every family's own (linux/netlink.h). An acknowledgement: an error number (0:
 * success) and the request it answers.
 */
export const NLMSG_ERROR = 2;
/** The end of a dump. */
export const NLMSG_DONE = 3;

const NLA_TYPE_MASK = 0x3fff;
/** On an attribute's type: its value is attributes. Old families do without, new ones insist. */
export const NLA_F_NESTED = 0x8000;

const NLMSGERR_ATTR_MSG = 1;

/** Bytes of a message's header, NLMSG_HDRLEN. */
const NLMSG_HDRLEN = 16;
const NLA_HDRLEN = 4;

/**
 * `asm-generic/errno.h`: reported for an acknowledgement that is too short to hold its error
 * number.
 */
const EBADMSG = 74;

/** One message as received; `payload` is a view of the datagram it came in. */
export interface Message {
  /** NLMSG_* or the family's own (RTM_*). */
  readonly type: number;
  /** NLM_F_*. */
  readonly flags: number;
  /**
   * Sequence number of the request it answers, or (in a notification) comes from; 0: the kernel's
   * own idea.
   */
  readonly seq: number;
  /** Port id of the socket that asked; 0: nobody did. */
  readonly pid: number;
  /** What follows the header, without padding. */
  readonly payload: Uint8Array;
}

/** What the kernel says about a request, or at the end of a dump. */
export interface Ack {
  /** Positive error number; 0 is success. */
  readonly errno: number;
  /**
   * The kernel's own words (NETLINK_EXT_ACK), when it gave any. With errno 0 they are a warning.
   */
  readonly text?: string;
}

/** The 16-bit number at `offset`, which the caller knows to be inside. */
export function get16(bytes: Uint8Array, offset: number): number {
  return bytes[offset]! | (bytes[offset + 1]! << 8);
}

/** The unsigned 32-bit number at `offset`, which the caller knows to be inside. */
export function get32(bytes: Uint8Array, offset: number): number {
  return (get16(bytes, offset) | (get16(bytes, offset + 2) << 16)) >>> 0;
}

function getBe16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! << 8) | bytes[offset + 1]!;
}

/** Writes a 16-bit number at `offset`. */
export function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

/** Writes a 32-bit number at `offset`. */
export function put32(bytes: Uint8Array, offset: number, value: number): void {
  put16(bytes, offset, value);
  put16(bytes, offset + 2, value >>> 16);
}

/** A length rounded up to the 4 bytes that messages and attributes are padded to. */
export function align(length: number): number {
  return (length + 3) & ~3;
}

/** A request ready to send, except for its sequence number and port id (patchSequence). */
export function encodeMessage(
  message: { readonly type: number; readonly flags: number; readonly payload: Uint8Array },
): Uint8Array {
  const out = new Uint8Array(NLMSG_HDRLEN + message.payload.length);
  put32(out, 0, out.length);
  put16(out, 4, message.type);
  put16(out, 6, message.flags);
  out.set(message.payload, NLMSG_HDRLEN);
  return out;
}

/** Writes the sequence number and port id of the request that starts at `bytes[0]`. */
export function patchSequence(bytes: Uint8Array, seq: number, pid: number): void {
  put32(bytes, 8, seq);
  put32(bytes, 12, pid);
}

/** Takes back NLM_F_ACK of the request that starts at `bytes[0]`: only a refusal is answered. */
export function clearAckFlag(bytes: Uint8Array): void {
  put16(bytes, 6, get16(bytes, 6) & ~NLM_F_ACK);
}

/** The messages of one received datagram, in order. */
export class Messages implements Iterable<Message> {
  /** Whether the datagram ended inside a message, or held a length that cannot be. */
  readonly truncated: boolean;
  readonly #all: Message[] = [];

  /** Reads each whole message and stops at the first that is not. */
  constructor(bytes: Uint8Array) {
    let offset = 0;
    let length = 0;
    for (; offset < bytes.length; offset += align(length)) {
      const left = bytes.length - offset;
      length = left < NLMSG_HDRLEN ? 0 : get32(bytes, offset);
      if (length < NLMSG_HDRLEN || length > left) break;
      this.#all.push({
        type: get16(bytes, offset + 4),
        flags: get16(bytes, offset + 6),
        seq: get32(bytes, offset + 8),
        pid: get32(bytes, offset + 12),
        payload: bytes.subarray(offset + NLMSG_HDRLEN, offset + length),
      });
    }
    this.truncated = offset < bytes.length;
  }

  /** Walks the messages. */
  [Symbol.iterator](): Iterator<Message> {
    return this.#all[Symbol.iterator]();
  }
}

/** The messages of one received datagram: `for (const message of messages(bytes))`. */
export function messages(bytes: Uint8Array): Messages {
  return new Messages(bytes);
}

/**
 * What an NLMSG_ERROR or NLMSG_DONE message says. An NLMSG_ERROR too short for its error number
 * counts as EBADMSG; a malformed text is left out.
 *
 * ```
 * NLMSG_ERROR: | -errno | header of the request | its payload unless capped | attributes |
 * NLMSG_DONE:  | -errno | attributes |
 * ```
 */
export function decodeAck(message: Pick<Message, "type" | "flags" | "payload">): Ack {
  const { type, flags, payload } = message;
  if (payload.length < 4) return { errno: type === NLMSG_DONE ? 0 : EBADMSG };
  const errno = -get32(payload, 0) | 0;
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno };
  const text = readText(payload.subarray(ackAttributes(type, flags, payload)));
  return text === undefined ? { errno } : { errno, text };
}

/** Offset of the attributes of an acknowledgement. */
function ackAttributes(type: number, flags: number, payload: Uint8Array): number {
  if (type === NLMSG_DONE) return 4;
  if ((flags & NLM_F_CAPPED) !== 0 || payload.length < 4 + NLMSG_HDRLEN) return 4 + NLMSG_HDRLEN;
  return 4 + align(Math.min(get32(payload, 4), payload.length));
}

function readText(attributes: Uint8Array): string | undefined {
  let text: string | undefined;
  const r = new AttributeReader(attributes);
  while (r.next()) {
    if (r.type === NLMSGERR_ATTR_MSG) text = r.text();
  }
  return r.short ? undefined : text;
}

/**
 * Walks attributes: `while (r.next()) switch (r.type) …`, then `if (r.short) …` once at the end.
 * Values are of exactly the size asked for; anything else sets `short`, and `next` is false from
 * then on.
 */
export class AttributeReader {
  /** Type of the current attribute, NLA_F_* bits removed. */
  type = 0;
  /** Whether an attribute did not fit into the bytes, or a value was not of the size asked for. */
  short = false;
  readonly #bytes: Uint8Array;
  #value: Uint8Array = new Uint8Array(0);
  #offset = 0;

  /** Attributes from the first byte on; stands before the first. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Moves to the next attribute; false at the end or when `short`. */
  next(): boolean {
    const left = this.#bytes.length - this.#offset;
    if (this.short || left <= 0) return false;
    const length = left < NLA_HDRLEN ? 0 : get16(this.#bytes, this.#offset);
    if (length < NLA_HDRLEN || length > left) {
      this.short = true;
      return false;
    }
    this.type = get16(this.#bytes, this.#offset + 2) & NLA_TYPE_MASK;
    this.#value = this.#bytes.subarray(this.#offset + NLA_HDRLEN, this.#offset + length);
    this.#offset += align(length);
    return true;
  }

  /** An unsigned 8-bit value. */
  u8(): number {
    return this.#sized(1) ? this.#value[0]! : 0;
  }

  /** An unsigned 16-bit value. */
  u16(): number {
    return this.#sized(2) ? get16(this.#value, 0) : 0;
  }

  /** An unsigned 32-bit value. */
  u32(): number {
    return this.#sized(4) ? get32(this.#value, 0) : 0;
  }

  /** A signed 32-bit value. */
  s32(): number {
    return this.u32() | 0;
  }

  /** An unsigned 64-bit value. */
  u64(): bigint {
    if (!this.#sized(8)) return 0n;
    return BigInt(get32(this.#value, 0)) | (BigInt(get32(this.#value, 4)) << 32n);
  }

  /** An unsigned 16-bit value in network order. */
  be16(): number {
    return this.#sized(2) ? getBe16(this.#value, 0) : 0;
  }

  /** An unsigned 32-bit value in network order. */
  be32(): number {
    return this.#sized(4) ? ((getBe16(this.#value, 0) << 16) | getBe16(this.#value, 2)) >>> 0 : 0;
  }

  /** An unsigned 64-bit value in network order. */
  be64(): bigint {
    return this.#sized(8) ? BigInt(`0x${this.#value.toHex()}`) : 0n;
  }

  /** Text up to its first NUL. */
  text(): string {
    const end = this.#value.indexOf(0);
    const value = end < 0 ? this.#value : this.#value.subarray(0, end);
    // Names are ASCII nearly always; loading a decoder for them would delay the first advert.
    if (value.every((byte) => byte < 0x80)) return String.fromCharCode(...value);
    return new TextDecoder().decode(value);
  }

  /** A copy of the value, which must be `length` bytes when that is given (else: zeros). */
  bytes(length = this.#value.length): Uint8Array {
    return this.#sized(length) ? this.#value.slice() : new Uint8Array(length);
  }

  /** Reads the attributes inside this one; what is short in there is short out here. */
  nest(read: (inside: AttributeReader) => void): void {
    const inside = new AttributeReader(this.#value);
    read(inside);
    this.short ||= inside.short;
  }

  #sized(length: number): boolean {
    this.short ||= this.#value.length !== length;
    return !this.short;
  }
}

const NO_ROOM = new Uint8Array(0);
/** All zero: what the last writer has left for the next, since thousands follow each other. */
let spare: Uint8Array<ArrayBuffer> | undefined;

function takeSpare(): Uint8Array<ArrayBuffer> {
  const taken = spare ?? new Uint8Array(256);
  spare = undefined;
  return taken;
}

/** Builds a payload: the fixed part by `raw`, then attributes, each padded to 4 bytes. */
export class AttributeWriter {
  #bytes = takeSpare();
  #length = 0;

  /** Appends bytes as they are, padded to 4. */
  raw(bytes: Uint8Array): void {
    const start = this.#grow(bytes.length);
    this.#bytes.set(bytes, start);
  }

  /** Makes room for so many bytes, padded to 4, all zero; where they begin. */
  #grow(length: number): number {
    const start = this.#length;
    const end = start + align(length);
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(2 * end);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#length = end;
    return start;
  }

  /** The head of an attribute and room for its value; where the value begins. */
  #begin(type: number, length: number): number {
    const start = this.#grow(NLA_HDRLEN + length);
    put16(this.#bytes, start, attributeLength(NLA_HDRLEN + length));
    put16(this.#bytes, start + 2, type);
    return start + NLA_HDRLEN;
  }

  /** An attribute of bytes. */
  bytes(type: number, value: Uint8Array): void {
    const at = this.#begin(type, value.length);
    this.#bytes.set(value, at);
  }

  /** An attribute of one byte. */
  u8(type: number, value: number): void {
    const at = this.#begin(type, 1);
    this.#bytes[at] = value;
  }

  /** An attribute of 16 bits. */
  u16(type: number, value: number): void {
    const at = this.#begin(type, 2);
    put16(this.#bytes, at, value);
  }

  /** An attribute of 32 bits, signed or unsigned. */
  u32(type: number, value: number): void {
    const at = this.#begin(type, 4);
    put32(this.#bytes, at, value);
  }

  /** An attribute of 64 bits, unsigned. */
  u64(type: number, value: bigint): void {
    this.bytes(type, be64(value).reverse());
  }

  /** An attribute of 16 bits in network order. */
  be16(type: number, value: number): void {
    const at = this.#begin(type, 2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  /** An attribute of 32 bits in network order, signed or unsigned. */
  be32(type: number, value: number): void {
    this.bytes(type, be32(value));
  }

  /** An attribute of 64 bits in network order, unsigned. */
  be64(type: number, value: bigint): void {
    this.bytes(type, be64(value));
  }

  /** An attribute of text with its closing NUL. */
  text(type: number, value: string): void {
    this.bytes(type, new TextEncoder().encode(`${value}\0`));
  }

  /** An attribute made of what `write` appends. */
  nest(type: number, write: () => void): void {
    const start = this.#length;
    this.bytes(type, new Uint8Array(0));
    write();
    put16(this.#bytes, start, attributeLength(this.#length - start));
  }

  /** A copy of what was written; the writer is empty again. */
  finish(): Uint8Array {
    const copy = this.#bytes.slice(0, this.#length);
    spare = this.#bytes.fill(0, 0, this.#length);
    this.#bytes = NO_ROOM;
    this.#length = 0;
    return copy;
  }
}

/** Four bytes in network order. */
export function be32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function be64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes.set(be32(Number(value >> 32n & 0xffffffffn)), 0);
  bytes.set(be32(Number(value & 0xffffffffn)), 4);
  return bytes;
}

function attributeLength(length: number): number {
  assert(length <= 0xffff, `an attribute of ${length} bytes does not fit its 16-bit length`);
  return length;
}
