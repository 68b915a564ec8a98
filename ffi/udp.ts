/**
 * UDP as BFD needs it: a socket that tells of every datagram its TTL, both addresses and the moment of its
 * arrival, and a batch that reads them without making an object.
 */

import {
  AF_INET,
  AF_INET6,
  EAGAIN,
  EINTR,
  IP_PKTINFO,
  IP_RECVTTL,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_TIMESTAMPNS,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "./constants.ts";
import { CMSGHDR, MMSGHDR, MSGHDR, SOCKADDR_IN6, sockaddrIn, sockaddrIn6 } from "./layout.ts";
import { errno, libc, SysError } from "./libc.ts";
import { cString, Memory } from "./memory.ts";
import {
  bindSocket,
  closeDescriptor,
  MessageVector,
  openSocket,
  setOption,
  writeAddress,
} from "./socket.ts";
import { monotonicUs, readTimespec, realtimeUs } from "./timer.ts";

/**
 * A UDP socket bound to an address and port (0: the kernel chooses) that tells of each datagram what
 * {@link DatagramBatch} reads. Throws SysError; `doing` says what it is for.
 */
export function openUdp(address: Uint8Array, scope: number, port: number, doing: string): number {
  const isV4 = address.length === 4;
  const fd = openSocket(isV4 ? AF_INET : AF_INET6, SOCK_DGRAM, IPPROTO_UDP, doing);
  try {
    if (isV4) {
      setOption(fd, IPPROTO_IP, IP_RECVTTL, 1);
      setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
    } else {
      setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      setOption(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
      setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    }
    setOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    bindSocket(fd, socketAddress(address, scope, port), doing);
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
  return fd;
}

/** The sockaddr of either family; `scope` is the index of the link of a link-local address. */
export function socketAddress(address: Uint8Array, scope: number, port: number): Memory {
  return address.length === 4 ? sockaddrIn(address, port) : sockaddrIn6(address, scope, port);
}

/** The index of a link by its name, 0 when there is none. */
export function linkIndex(name: string): number {
  return libc.if_nametoindex(cString(name).pointer);
}

/** Room for a time stamp (32), a TTL (24) and a destination (32, IPv6 40). */
const CONTROL_BYTES = 96;
/** What CMSG_ALIGN rounds to. */
const ALIGNMENT = 8;

/**
 * Datagrams received in one recvmmsg. {@link DatagramBatch.look} reads what came with one of them into the
 * fields, which hold until the next look; {@link DatagramBatch.bytes} of its slot until the next receive.
 */
export class DatagramBatch {
  readonly #slots: number;
  readonly #payloads: readonly Uint8Array[];
  readonly #control: Memory;
  readonly #names: Memory;
  readonly #vector: MessageVector;
  /** Keeps the payloads' memory from being collected. */
  readonly #arena: Memory;
  readonly #source4 = new Uint8Array(4);
  readonly #source6 = new Uint8Array(16);
  readonly #destination4 = new Uint8Array(4);
  readonly #destination6 = new Uint8Array(16);
  #offsetUs = 0;

  /** The whole slot of the datagram; its first {@link DatagramBatch.length} bytes were received. */
  bytes: Uint8Array;
  /** How much of the slot the datagram fills. */
  length = 0;
  /** The datagram was longer than its slot. */
  isTruncated = false;
  /** Its TTL or hop limit; -1 when the kernel did not say. */
  ttl = -1;
  /** Who sent it: 4 or 16 bytes. */
  source: Uint8Array;
  /** To which of our addresses it came: 4 or 16 bytes, zeros when the kernel did not say. */
  destination: Uint8Array;
  /** When it arrived, on the monotonic clock; -1 when the kernel did not say. */
  arrivedAt = -1;

  /** `slots` datagrams at most in one call, of `slotBytes` at most each. */
  constructor(slots: number, slotBytes: number) {
    this.#slots = slots;
    this.#arena = new Memory(slots * slotBytes);
    this.#control = new Memory(slots * CONTROL_BYTES);
    this.#names = new Memory(slots * SOCKADDR_IN6.size);
    this.#vector = new MessageVector(slots);
    this.#payloads = Array.from(
      { length: slots },
      (_, i) => this.#arena.bytes.subarray(i * slotBytes, (i + 1) * slotBytes),
    );
    this.bytes = this.#arena.bytes;
    this.source = this.#source4;
    this.destination = this.#destination4;
    const { view } = this.#vector.headers;
    for (let i = 0; i < slots; i++) {
      const header = i * MMSGHDR.size;
      this.#vector.setBuffer(i, this.#arena.at(i * slotBytes), slotBytes);
      writeAddress(view, header + MSGHDR.name, this.#names.at(i * SOCKADDR_IN6.size));
      writeAddress(view, header + MSGHDR.control, this.#control.at(i * CONTROL_BYTES));
    }
  }

  /** Receives what is there: the number of datagrams, 0 for none. A broken socket throws SysError. */
  receive(fd: number): number {
    const { view } = this.#vector.headers;
    for (let i = 0; i < this.#slots; i++) {
      const header = i * MMSGHDR.size;
      view.setUint32(header + MSGHDR.nameLength, SOCKADDR_IN6.size, true);
      view.setUint32(header + MSGHDR.controlLength, CONTROL_BYTES, true);
    }
    const { pointer } = this.#vector.headers;
    const count = libc.recvmmsg(fd, pointer, this.#slots, MSG_DONTWAIT, null);
    if (count > 0) this.#offsetUs = monotonicUs() - realtimeUs();
    if (count >= 0) return count;
    const code = errno();
    if (code === EAGAIN || code === EINTR) return 0;
    throw new SysError("recvmmsg", code, "receiving datagrams");
  }

  /** Whether more may wait after a call that returned `count`. */
  isFull(count: number): boolean {
    return count === this.#slots;
  }

  /** Reads what came with the `index`-th datagram of the last call into the fields. */
  look(index: number): void {
    const { view } = this.#vector.headers;
    const header = index * MMSGHDR.size;
    this.bytes = this.#payloads[index]!;
    this.length = Math.min(view.getUint32(header + MMSGHDR.length, true), this.bytes.length);
    this.isTruncated = (view.getInt32(header + MSGHDR.flags, true) & MSG_TRUNC) !== 0;
    this.#readName(index * SOCKADDR_IN6.size);
    this.ttl = -1;
    this.arrivedAt = -1;
    this.destination.fill(0);
    const start = index * CONTROL_BYTES;
    this.#readControl(start, start + view.getUint32(header + MSGHDR.controlLength, true));
  }

  #readName(at: number): void {
    const { view, bytes } = this.#names;
    const isV4 = view.getUint16(at, true) === AF_INET;
    this.source = isV4 ? this.#source4 : this.#source6;
    this.destination = isV4 ? this.#destination4 : this.#destination6;
    copy(bytes, at + (isV4 ? 4 : SOCKADDR_IN6.address), this.source);
  }

  #readControl(start: number, end: number): void {
    const { view, bytes } = this.#control;
    let at = start;
    while (end - at >= CMSGHDR.size) {
      const length = view.getUint32(at, true);
      if (length < CMSGHDR.size) return;
      const level = view.getInt32(at + CMSGHDR.level, true);
      const type = view.getInt32(at + CMSGHDR.type, true);
      const data = at + CMSGHDR.size;
      if (level === SOL_SOCKET && type === SO_TIMESTAMPNS) {
        this.arrivedAt = readTimespec(view, data) + this.#offsetUs;
      } else if (
        (level === IPPROTO_IP && type === IP_TTL) ||
        (level === IPPROTO_IPV6 && type === IPV6_HOPLIMIT)
      ) {
        this.ttl = view.getInt32(data, true);
      } else if (level === IPPROTO_IP && type === IP_PKTINFO) {
        // struct in_pktinfo: link, the address for answers, the address in the header.
        copy(bytes, data + 8, this.#destination4);
      } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) {
        copy(bytes, data, this.#destination6);
      }
      at += Math.ceil(length / ALIGNMENT) * ALIGNMENT;
    }
  }
}

function copy(from: Uint8Array, at: number, to: Uint8Array): void {
  for (let i = 0; i < to.length; i++) to[i] = from[at + i]!;
}
