/**
 * What the parent and the vrrp role say to each other: one typed union per direction, and the framing and
 * queueing that the other roles' channels share (their words: checkers_channel.ts).
 *
 * A frame is a 32-bit length (little-endian) and that many bytes of JSON in UTF-8. Both ends are
 * processes of the same executable, so what arrives is what was sent; a frame that cannot be is our
 * own mistake and ends the role.
 */

import { Memory } from "../../ffi/memory.ts";
import { receiveNow, sendNow } from "../../ffi/socket.ts";
import { assert } from "../lib/assert.ts";
import type { BfdInstance } from "../config/bfd.ts";
import type { Conduct } from "../config/conduct.ts";
import type { Change } from "../vrrp/diff.ts";
import type { State } from "../vrrp/state.ts";
import type { PriorityNews } from "../vrrp/tracked.ts";
import type { SavedSettings } from "../vrrp/sysctl_perform.ts";
import type { TrackResult } from "../vrrp/tracking.ts";
import type { FromCheckers } from "./checkers_channel.ts";
import type { FromAnyRole } from "./common_channel.ts";

/** From the parent to the vrrp role. */
export type ToRole =
  /** What is to be different: everything at the start, the difference after a reload. */
  | {
    readonly type: "configure";
    readonly changes: readonly Change[];
    /** Whether lines for -D are wanted. */
    readonly detail: boolean;
    /** Whether addresses stay on the links when the daemon is stopped. */
    readonly keepAddresses: boolean;
  }
  /** How the role is to behave as a process. */
  | { readonly type: "conduct"; readonly conduct: Conduct }
  /**
   * The BFD sessions are to be these; one that is the same as before goes on as it is. `wasUp` are the names
   * of those that were Up in a role that has died.
   */
  | {
    readonly type: "bfd";
    readonly instances: readonly BfdInstance[];
    readonly wasUp?: readonly string[];
  }
  /** What a predecessor has changed in the kernel's settings; comes before everything else. */
  | { readonly type: "settings"; readonly saved: SavedSettings }
  /** What became of tracked objects; what is not named is as it was. */
  | { readonly type: "tracked"; readonly results: readonly TrackResult[] }
  /** The start is over: give back what only it has needed, and be ready for the next election. */
  | { readonly type: "settle" }
  /** Claim and write the role's pid file. */
  | { readonly type: "pid-file"; readonly path: string }
  /** Take off the links what a predecessor has left there that nobody wants any more; comes before all else. */
  | { readonly type: "clean"; readonly changes: readonly Change[] }
  /** Take everything of these instances off the links and end; nothing is advertised. */
  | { readonly type: "withdraw"; readonly changes: readonly Change[] }
  /** Leave: priority 0 adverts, addresses removed unless they are to be kept. */
  | { readonly type: "shutdown"; readonly keepAddresses: boolean };

/** From the vrrp role to the parent. */
export type FromRole =
  | FromAnyRole
  /** An instance has changed its state. */
  | {
    readonly type: "state";
    readonly instance: string;
    readonly from: State["name"];
    readonly to: State["name"];
    /** Effective priority, 1 to 255. */
    readonly priority: number;
    /** Why, in words, and the other router that has to do with it. */
    readonly reason?: string;
    readonly peer?: string;
  }
  | PriorityNews
  /** A BFD session went Up, or went Down although nobody had ended it. */
  | { readonly type: "bfd"; readonly instance: string; readonly isUp: boolean }
  /** Another router advertises itself as MASTER and does not give way to us, nor we to it. */
  | {
    readonly type: "rival";
    readonly instance: string;
    readonly peer: string;
    /** Why, as far as it can be told. */
    readonly cause: string;
  }
  /** Another station answers for an address we hold. */
  | { readonly type: "conflict"; readonly instance: string; readonly address: string }
  /** A MASTER has heard an advert of a lower priority. */
  | {
    readonly type: "lower-priority";
    readonly instance: string;
    /** Ours, 1 to 255. */
    readonly priority: number;
    readonly peer: string;
    readonly peerPriority: number;
  }
  /** What is changed in the kernel's settings: kept for the next role, should this one die. */
  | { readonly type: "settings"; readonly saved: SavedSettings }
  /** A sync group has changed its state; its members' messages come before and after as it has. */
  | {
    readonly type: "group";
    readonly group: string;
    readonly from: State["name"];
    readonly to: State["name"];
    /** See "state". */
    readonly reason?: string;
    readonly peer?: string;
  };

/** Where a role finds its channel and the ledger; descriptors 0 to 2 are the usual ones. */
export const CHANNEL_FD = 3;
/** The ledger's descriptor in the role. */
export const LEDGER_FD = 4;
/** The packet socket's descriptor in the role. */
export const ANNOUNCE_FD = 5;
/** The stop line's descriptor in the role. */
export const STOP_FD = 6;
/** The place in the ledger that is not 0 while the role has links, tables or settings of its own. */
export const PREMISES_SLOT = 0;
/** Names the role in its environment; deleted by the role at once. */
export const ROLE_VARIABLE = "UPKEEP_ROLE";
/** In the environment of the daemon that has left its terminal: where it was called; deleted at once. */
export const DETACHED_VARIABLE = "UPKEEP_DETACHED";

/** In the environment of a daemon that was moved: the network namespace it is in; deleted at once. */
export const NAMESPACE_VARIABLE = "UPKEEP_NAMESPACE";

const HEADER_BYTES = 4;
/** No message of ours comes near this; a longer one means that the stream is out of step. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;

const encoder = new TextEncoder();

/** One message as bytes ready to send. */
export function encodeFrame(message: object): Uint8Array {
  const body = encoder.encode(JSON.stringify(message));
  const { length } = body;
  const frame = new Uint8Array(HEADER_BYTES + length);
  // By hand: a view would cost as much memory as a short frame.
  for (let i = 0; i < HEADER_BYTES; i++) frame[i] = length >>> 8 * i;
  frame.set(body, HEADER_BYTES);
  return frame;
}

/** Collects received bytes and hands out whole messages. */
export class FrameReader<Received extends object> {
  #pending = new Uint8Array(0);
  /** How much of it is waiting for more. */
  #length = 0;

  /** The messages that `bytes` completes, in order; `bytes` is not kept. */
  push(bytes: Uint8Array): Received[] {
    const all = this.#length === 0 ? bytes : this.#append(bytes);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const out: Received[] = [];
    let offset = 0;
    while (all.length - offset >= HEADER_BYTES) {
      const length = view.getUint32(offset, true);
      assert(length <= MAX_FRAME_BYTES, `a frame of ${length} bytes on the channel`);
      const end = offset + HEADER_BYTES + length;
      if (end > all.length) break;
      const body = all.subarray(offset + HEADER_BYTES, end);
      out.push(JSON.parse(new TextDecoder().decode(body)) as Received);
      offset = end;
    }
    this.#keep(all.subarray(offset));
    return out;
  }

  /** Everything that waits, with more; what grows doubles, so that a long frame is not copied often. */
  #append(bytes: Uint8Array): Uint8Array {
    const length = this.#length + bytes.length;
    if (length > this.#pending.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#pending.length));
      larger.set(this.#pending.subarray(0, this.#length));
      this.#pending = larger;
    }
    this.#pending.set(bytes, this.#length);
    this.#length = length;
    return this.#pending.subarray(0, length);
  }

  #keep(rest: Uint8Array): void {
    this.#length = rest.length;
    if (rest.length === 0) this.#pending = new Uint8Array(0);
    else if (rest.buffer !== this.#pending.buffer || rest.byteOffset > 0) {
      this.#pending = rest.slice();
    }
  }
}

/** Bytes that may wait before log lines are dropped; twice as many, and states are kept back too. */
const LOG_LIMIT = 256 * 1024;
/** Bytes that wait together, and are sent at once. */
const PIECE_BYTES = 64 * 1024;

/** Whole frames that wait in one piece of memory: thousands of small ones would take several times their bytes. */
class Piece {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #from = 0;
  #to = 0;

  /** Room for so many bytes. */
  constructor(size: number) {
    this.#bytes = new Uint8Array(new ArrayBuffer(size));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** What still waits. */
  get waiting(): Uint8Array {
    return this.#bytes.subarray(this.#from, this.#to);
  }

  get isEmpty(): boolean {
    return this.#from === this.#to;
  }

  /** Adds the frame of a message if there is room for certain; its length, or 0. */
  add(json: string): number {
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (this.#bytes.length - this.#to < HEADER_BYTES + 3 * json.length) return 0;
    const { written } = encoder.encodeInto(json, this.#bytes.subarray(this.#to + HEADER_BYTES));
    this.#view.setUint32(this.#to, written, true);
    this.#to += HEADER_BYTES + written;
    return HEADER_BYTES + written;
  }

  /** So many bytes have left; an empty piece is filled anew. */
  leave(count: number): void {
    this.#from += count;
    if (this.isEmpty) this.#from = this.#to = 0;
  }
}

/** What a role says. */
type Said = FromRole | FromCheckers;

/** What a message is the latest of; undefined for one that must not be left out. */
function subjectOf(message: Said): string | undefined {
  if (message.type === "state") return `instance ${message.instance}`;
  if (message.type === "group") return `group ${message.group}`;
  if (message.type === "bfd") return `bfd ${message.instance}`;
  if (message.type === "health") return `health ${message.server} ${message.key}`;
  if (message.type === "check") return `check ${message.server} ${message.service}`;
  if (message.type === "real-server") return `RS ${message.server} ${message.service}`;
  return message.type === "quorum" ? `VS ${message.key}` : undefined;
}

/**
 * A role's end, sending. It never blocks: what the parent does not read waits in a bounded queue, log
 * lines are dropped (and counted) first, and of each instance, group, BFD session and server only the latest
 * state is kept. A parent that stands still for a minute delays nothing.
 */
export class Outbox<Sent extends Said = FromRole> {
  readonly #send: (bytes: Uint8Array) => number;
  /** At least one; the last one is being filled. */
  readonly #pieces = [new Piece(PIECE_BYTES)];
  readonly #latest = new Map<string, Said>();
  readonly #logLimit: number;
  #waiting = 0;
  #dropped = 0;

  /**
   * `send` takes as many bytes as fit and returns how many, or -1 when the parent is gone; `logLimit` is in
   * bytes.
   */
  constructor(send: (bytes: Uint8Array) => number, logLimit = LOG_LIMIT) {
    this.#send = send;
    this.#logLimit = logLimit;
  }

  /** Whether something waits that {@link Outbox.flush} should try again. */
  get isWaiting(): boolean {
    return this.#waiting > 0 || this.#dropped > 0 || this.#latest.size > 0;
  }

  /** Queues a message. */
  push(message: Sent): void {
    if (message.type === "log" && this.#waiting > this.#logLimit) {
      this.#dropped++;
      return;
    }
    // While one is kept back, none overtakes it.
    const isLate = this.#waiting > 2 * this.#logLimit || this.#latest.size > 0;
    const subject = isLate ? subjectOf(message) : undefined;
    if (subject === undefined) this.#queue(message);
    else this.#keepBack(subject, message);
  }

  #keepBack(subject: string, message: Said): void {
    const before = this.#latest.get(subject);
    const isChange = before !== undefined && "from" in before && "from" in message;
    this.#latest.set(subject, isChange ? { ...message, from: before.from } : message);
  }

  /** Sends what the other end takes now. */
  flush(): void {
    this.#sendPieces();
    if (this.#waiting > this.#logLimit) return;
    for (const message of this.#latest.values()) this.#queue(message);
    this.#latest.clear();
    if (this.#dropped > 0) this.#queue({ type: "dropped", lines: this.#dropped });
    this.#dropped = 0;
    this.#sendPieces();
  }

  #queue(message: Said): void {
    const json = JSON.stringify(message);
    let added = this.#pieces.at(-1)!.add(json);
    if (added === 0) {
      const piece = new Piece(Math.max(PIECE_BYTES, HEADER_BYTES + 3 * json.length));
      added = piece.add(json);
      this.#pieces.push(piece);
    }
    this.#waiting += added;
  }

  #sendPieces(): void {
    for (let piece = this.#pieces[0]!;; piece = this.#pieces[0]!) {
      const sent = piece.isEmpty ? 0 : this.#send(piece.waiting);
      // A parent that is gone reads nothing any more.
      if (sent < 0) {
        this.#pieces.length = 1;
        this.#waiting = 0;
        return piece.leave(piece.waiting.length);
      }
      piece.leave(sent);
      this.#waiting -= sent;
      if (!piece.isEmpty || this.#pieces.length === 1) return;
      this.#pieces.shift();
    }
  }
}

/** The role's end of the channel, in a loop that never waits for it. */
export class RoleChannel<Received extends object = ToRole, Sent extends Said = FromRole> {
  /** The descriptor to watch. */
  readonly fd: number;
  /** What the parent is to hear; {@link RoleChannel.flush} sends it. */
  readonly outbox: Outbox<Sent>;
  readonly #frames = new FrameReader<Received>();
  readonly #bytes = new Memory(64 * 1024);

  /** `fd` is a connected stream socket; `logLimit` is the outbox's. */
  constructor(fd: number, logLimit = LOG_LIMIT) {
    this.fd = fd;
    const send = (bytes: Uint8Array): number => sendNow(fd, Memory.of(bytes), 0, bytes.length);
    this.outbox = new Outbox<Sent>(send, logLimit);
  }

  /** Hands what the parent has said to `obey`; false when the parent is gone. */
  receive(obey: (message: Received) => void): boolean {
    for (;;) {
      const count = receiveNow(this.fd, this.#bytes);
      if (count <= 0) return count === 0;
      for (const message of this.#frames.push(this.#bytes.bytes.subarray(0, count))) obey(message);
    }
  }

  /** Sends what the parent takes now; false when something still waits. */
  flush(): boolean {
    this.outbox.flush();
    return !this.outbox.isWaiting;
  }
}
