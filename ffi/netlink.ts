/**
 * rtnetlink conversations: requests with acknowledgements, dumps, and a monitor that only listens.
 *
 * The kernel answers within the send call, so a reply is waiting before we ask for it and nothing here
 * ever blocks the loop. Requests go out many to a datagram; each gets its own verdict.
 */

import {
  type Ack,
  clearAckFlag,
  decodeAck,
  type Message,
  messages,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  patchSequence,
} from "../src/netlink/message.ts";
import {
  AF_NETLINK,
  EAGAIN,
  EINTR,
  ENOBUFS,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_CAP_ACK,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from "./constants.ts";
import { isSameBuffer, type ReceiveBuffer } from "../src/lib/receive_buffer.ts";
import { readText } from "./file.ts";
import { sockaddrNl } from "./layout.ts";
import { check, errno, libc, SysError } from "./libc.ts";
import { Memory } from "./memory.ts";
import { bindSocket, closeDescriptor, openSocket, setOption, setReceiveBuffer } from "./socket.ts";

/** One request with words for the error message ("adding 10.0.0.1/24 to eth0"). */
export interface Request {
  /** As the encoders of `src/netlink` make it; its sequence number is written here. */
  readonly bytes: Uint8Array;
  readonly doing: string;
}

/** Requests in one datagram: if all are refused, the refusals must fit the receive buffer. */
const CHUNK = 100;
/** A datagram of this size fits any socket; a larger one may need more room. */
const SEND_BYTES = 64 * 1024;
const RECEIVE_BYTES = 64 * 1024;
/** What a waiting refusal takes of the receive buffer. */
const REFUSAL_BYTES = 2048;
const DEFAULT_BUFFER = "/proc/sys/net/core/rmem_default";
const MSG_DONTWAIT = 0x40;
const NOTHING = new Uint8Array(0);

/** A socket for requests to one part of the kernel. */
export class Netlink {
  /** The descriptor. */
  readonly fd: number;
  readonly #receive = new Memory(RECEIVE_BYTES);
  #sequence = 1;
  #buffer: ReceiveBuffer | undefined;

  readonly #chunk: number;

  /**
   * `protocol` is NETLINK_*: whom to talk to; `chunk` how many requests go out at a time. Throws SysError
   * when the kernel gives no socket.
   */
  constructor(protocol: number = NETLINK_ROUTE, chunk = CHUNK) {
    this.#chunk = chunk;
    this.fd = openSocket(AF_NETLINK, SOCK_RAW, protocol, "opening a netlink socket");
    if (chunk > CHUNK) {
      setOption(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, chunk * REFUSAL_BYTES);
    }
    bindSocket(this.fd, sockaddrNl(), "binding a netlink socket");
    setOption(this.fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    setOption(this.fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    try {
      setOption(this.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    } catch {
      // Linux before 4.20: a dump then has more than was asked for.
    }
  }

  /**
   * Sends requests and returns the kernel's verdicts in the same order: undefined for success, else
   * the SysError with the kernel's own text. The kernel answers in order, and refusals without being
   * asked, so only the last of a datagram asks for an answer. Throws SysError when the socket itself
   * fails.
   */
  perform(requests: readonly Request[]): (SysError | undefined)[] {
    const verdicts: (SysError | undefined)[] = [];
    for (let start = 0; start < requests.length; start += this.#chunk) {
      verdicts.push(...this.#performChunk(requests.slice(start, start + this.#chunk)));
    }
    return verdicts;
  }

  #performChunk(requests: readonly Request[]): (SysError | undefined)[] {
    const first = this.#sequence;
    this.#sequence += requests.length;
    const last = requests.length - 1;
    const { doing } = requests[last]!;
    this.#send(requests.map(({ bytes }) => bytes), first, doing, true);
    const acks: (Ack | undefined)[] = new Array(requests.length);
    while (acks[last] === undefined) {
      const bytes = this.#tryRead(doing);
      // What the kernel broke off, it does not answer (netlink_rcv_skb).
      if (bytes === undefined) acks[last] = { errno: EINTR };
      for (const message of messages(bytes ?? NOTHING)) {
        const index = message.seq - first;
        if (message.type !== NLMSG_ERROR || index < 0 || index > last) continue;
        acks[index] ??= decodeAck(message);
      }
    }
    return acks.map((ack, i) =>
      ack === undefined || ack.errno === 0
        ? undefined
        : new SysError("netlink", ack.errno, requests[i]!.doing, ack.text)
    );
  }

  /**
   * Sends a batch, which the kernel does whole or not at all, in one datagram: a request that begins
   * it, changes of which the last asks for an acknowledgement, one that ends it. Returns the first
   * refusal. Throws SysError when the socket itself fails.
   */
  transact(batch: readonly Request[]): SysError | undefined {
    const first = this.#sequence;
    const last = first + batch.length - 2;
    this.#sequence += batch.length;
    const { doing } = batch[0]!;
    this.#send(batch.map(({ bytes }) => bytes), first, doing);
    let refusal: SysError | undefined;
    for (;;) {
      for (const message of messages(this.#read(doing))) {
        const request = batch[message.seq - first];
        if (message.type !== NLMSG_ERROR || request === undefined) continue;
        const { errno, text } = decodeAck(message);
        if (errno !== 0) refusal ??= new SysError("netlink", errno, request.doing, text);
        // What is wrong with the batch itself is said of what begins it, and nothing else is.
        if (message.seq === last || message.seq === first) return refusal;
      }
    }
  }

  /**
   * Sends a dump request and hands every object to `each`; payloads are valid only within the call.
   * Throws SysError when the kernel refuses. A table that changed meanwhile is dumped once more.
   */
  dump(request: Uint8Array, doing: string, each: (message: Message) => void): void {
    const collected: Message[] = [];
    let attempts = 5;
    for (;;) {
      collected.length = 0;
      if (this.#dumpOnce(request, doing, collected) || --attempts === 0) break;
    }
    for (const message of collected) each(message);
  }

  /** Whether the dump was consistent. */
  #dumpOnce(request: Uint8Array, doing: string, into: Message[]): boolean {
    const sequence = this.#sequence++;
    this.#send([request], sequence, doing);
    let consistent = true;
    for (;;) {
      for (const message of messages(this.#read(doing).slice())) {
        if (message.seq !== sequence) continue;
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) consistent = false;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const ack = decodeAck(message);
          if (ack.errno !== 0) throw new SysError("netlink", ack.errno, doing, ack.text);
          return consistent;
        }
        into.push(message);
      }
    }
  }

  /** How much may wait from now on; undefined is what all sockets have. Throws SysError. */
  resize(buffer: ReceiveBuffer | undefined): void {
    if (isSameBuffer(buffer, this.#buffer)) return;
    this.#buffer = buffer;
    // The kernel doubles what it is told, but not its default.
    const usual = (): number => Number(readText(DEFAULT_BUFFER)) / 2;
    setReceiveBuffer(this.fd, buffer ?? { bytes: usual(), isForced: true });
  }

  #send(parts: readonly Uint8Array[], sequence: number, doing: string, isQuiet = false): void {
    const total = parts.reduce((sum, part) => sum + ((part.length + 3) & ~3), 0);
    if (total > SEND_BYTES) setOption(this.fd, SOL_SOCKET, SO_SNDBUFFORCE, 2 * total);
    const memory = new Memory(total);
    let offset = 0;
    for (const [i, part] of parts.entries()) {
      memory.bytes.set(part, offset);
      patchSequence(memory.bytes.subarray(offset), sequence + i, 0);
      if (isQuiet && i < parts.length - 1) clearAckFlag(memory.bytes.subarray(offset));
      offset += (part.length + 3) & ~3;
    }
    check(libc.send(this.fd, memory.pointer, total, 0), "send", doing);
  }

  #read(doing: string): Uint8Array {
    const bytes = this.#tryRead(doing);
    if (bytes === undefined) throw new SysError("recv", EAGAIN, doing);
    return bytes;
  }

  /** What has come; undefined when nothing waits. */
  #tryRead(doing: string): Uint8Array | undefined {
    for (;;) {
      const count = libc.recv(this.fd, this.#receive.pointer, RECEIVE_BYTES, 0);
      if (count >= 0) return this.#receive.bytes.subarray(0, count);
      const code = errno();
      if (code === EAGAIN) return undefined;
      if (code !== EINTR) throw new SysError("recv", code, doing);
    }
  }
}

/** A socket that hears the notifications of some multicast groups. */
export class NetlinkMonitor {
  /** The descriptor to watch. */
  readonly fd: number;
  readonly #receive = new Memory(RECEIVE_BYTES);
  readonly #usual: ReceiveBuffer;
  #buffer: ReceiveBuffer;

  /**
   * `groups` are the numbers of `protocol`, RTNLGRP_* of rtnetlink; `bufferBytes` is how much may wait.
   * Throws SysError.
   */
  constructor(groups: readonly number[], bufferBytes: number, protocol: number = NETLINK_ROUTE) {
    this.fd = openSocket(AF_NETLINK, SOCK_RAW, protocol, "opening a netlink monitor");
    this.#usual = { bytes: bufferBytes, isForced: true };
    this.#buffer = this.#usual;
    setReceiveBuffer(this.fd, this.#usual);
    bindSocket(this.fd, sockaddrNl(), "binding a netlink monitor");
    for (const group of groups) {
      setOption(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
    }
  }

  /**
   * Hands all that waits to `each`. Returns false when the kernel had to drop notifications: what we
   * know is then stale, and only a dump puts it right.
   */
  receive(each: (message: Message) => void): boolean {
    let complete = true;
    for (;;) {
      const count = libc.recv(this.fd, this.#receive.pointer, RECEIVE_BYTES, MSG_DONTWAIT);
      if (count >= 0) {
        for (const message of messages(this.#receive.bytes.subarray(0, count))) each(message);
        continue;
      }
      const code = errno();
      if (code === EINTR) continue;
      if (code !== ENOBUFS) return complete;
      complete = false;
    }
  }

  /** How much may wait from now on; undefined is what it began with. Throws SysError. */
  resize(buffer: ReceiveBuffer = this.#usual): void {
    if (isSameBuffer(buffer, this.#buffer)) return;
    this.#buffer = buffer;
    setReceiveBuffer(this.fd, buffer);
  }

  /** Sends a request whose answer comes as a notification. Throws SysError. */
  send(request: Uint8Array, doing: string): void {
    check(libc.send(this.fd, Memory.of(request).pointer, request.length, 0), "send", doing);
  }

  /** Stops listening. */
  close(): void {
    closeDescriptor(this.fd);
  }
}
