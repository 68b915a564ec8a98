/**
 * Sockets: opening them, their options, and batches. A batch is an arena laid out once, so that
 * sending or receiving many packets in one system call allocates nothing.
 */

import {
  AF_UNIX,
  EAGAIN,
  EINTR,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_PKTINFO,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  MSG_TRUNC,
  SO_ATTACH_FILTER,
  SO_BINDTODEVICE,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_TIMESTAMPNS,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./constants.ts";
import {
  type BpfInstruction,
  bpfProgram,
  CMSGHDR,
  IOVEC,
  MMSGHDR,
  MSGHDR,
  SOCKADDR_IN6,
  SOCKADDR_LL,
} from "./layout.ts";
import type { ReceiveBuffer } from "../src/lib/receive_buffer.ts";
import { check, errno, libc, SysError } from "./libc.ts";
import { type Block, cString, Memory } from "./memory.ts";
import type { Pointer } from "./native.ts";
import { monotonicUs, readTimespec, realtimeUs } from "./timer.ts";

/** A non-blocking, close-on-exec socket. Throws SysError; `doing` says what it was for. */
export function openSocket(family: number, type: number, protocol: number, doing: string): number {
  const flags = type | SOCK_CLOEXEC | SOCK_NONBLOCK;
  return check(libc.socket(family, flags, protocol), "socket", doing);
}

/** Two connected stream sockets: non-blocking and close-on-exec, as spawned children get copies. */
export function socketPair(): [number, number] {
  const pair = new Memory(8);
  const type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
  check(libc.socketpair(AF_UNIX, type, 0, pair.pointer), "socketpair", "making a channel");
  return [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
}

/** Sets an integer option. Throws SysError. */
export function setOption(fd: number, level: number, name: number, value: number): void {
  const memory = new Memory(4);
  memory.view.setInt32(0, value, true);
  setOptionBytes(fd, level, name, memory);
}

/** Sets an option whose value is a structure. Throws SysError. */
export function setOptionBytes(fd: number, level: number, name: number, value: Memory): void {
  const size = value.bytes.length;
  const result = libc.setsockopt(fd, level, name, value.pointer, size);
  check(result, "setsockopt", `setting option ${name} of level ${level}`);
}

const LARGEST = 0x7fff_ffff;

/** Makes room for what waits to be received; who may not force the kernel gets what it allows. Throws SysError. */
export function setReceiveBuffer(fd: number, { bytes, isForced }: ReceiveBuffer): void {
  const size = Math.min(bytes, LARGEST);
  try {
    setOption(fd, SOL_SOCKET, isForced ? SO_RCVBUFFORCE : SO_RCVBUF, size);
  } catch (error) {
    // Without CAP_NET_ADMIN.
    if (!isForced) throw error;
    setOption(fd, SOL_SOCKET, SO_RCVBUF, size);
  }
}

/** Confines a socket to one link. Throws SysError when there is no such link. */
export function bindToDevice(fd: number, name: string): void {
  setOptionBytes(fd, SOL_SOCKET, SO_BINDTODEVICE, cString(name));
}

/** Lets only what a program accepts be received. Throws SysError. */
export function attachFilter(fd: number, instructions: readonly BpfInstruction[]): void {
  const program = bpfProgram(instructions);
  const fprog = new Memory(16); // struct sock_fprog: count, pointer
  fprog.view.setUint16(0, instructions.length, true);
  writeAddress(fprog.view, 8, program.pointer);
  setOptionBytes(fd, SOL_SOCKET, SO_ATTACH_FILTER, fprog);
}

/** Binds a socket to an address. Throws SysError. */
export function bindSocket(fd: number, address: Memory, doing: string): void {
  check(libc.bind(fd, address.pointer, address.bytes.length), "bind", doing);
}

/** Connects a socket; false when nobody listens there. */
export function connectSocket(fd: number, address: Memory): boolean {
  return libc.connect(fd, address.pointer, address.bytes.length) === 0;
}

/** Closes a descriptor. */
export function closeDescriptor(fd: number): void {
  libc.close(fd);
}

/**
 * Sends bytes on a connected socket without waiting: the number taken, 0 when there is no room
 * now, or -1 when the other end is gone.
 */
export function sendNow(fd: number, memory: Memory, offset: number, length: number): number {
  const sent = libc.send(fd, memory.at(offset), length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  const code = errno();
  return code === EAGAIN || code === EINTR ? 0 : -1;
}

/**
 * Reads what is there: the number of bytes, 0 when nothing is there now, or -1 at the end of the
 * stream or when the connection broke.
 */
export function receiveNow(fd: number, into: Memory): number {
  const count = libc.recv(fd, into.pointer, into.bytes.length, MSG_DONTWAIT);
  if (count > 0) return count;
  if (count === 0) return -1;
  const code = errno();
  return code === EAGAIN || code === EINTR ? 0 : -1;
}

const probe = new Memory(1);

/**
 * Whether the other end of a connection over which nothing is ever sent is closed. (Not by errno: in the
 * parent the handler of a signal may come between a call and its errno.)
 */
export function hasEnded(fd: number): boolean {
  return libc.recv(fd, probe.pointer, 1, MSG_DONTWAIT) === 0;
}

/** A vector of mmsghdr, each with one iovec. */
export class MessageVector {
  /** The mmsghdrs. */
  readonly headers: Memory;
  /** Their iovecs. */
  readonly vectors: Memory;

  /** `capacity` messages, without buffers yet. */
  constructor(capacity: number) {
    this.headers = new Memory(capacity * MMSGHDR.size);
    this.vectors = new Memory(capacity * IOVEC.size);
    for (let i = 0; i < capacity; i++) {
      const header = i * MMSGHDR.size;
      writeAddress(this.headers.view, header + MSGHDR.iov, this.vectors.at(i * IOVEC.size));
      this.headers.view.setUint32(header + MSGHDR.iovLength, 1, true);
    }
  }

  /** Where the bytes of message `index` lie. */
  setBuffer(index: number, pointer: Pointer, length: number): void {
    writeAddress(this.vectors.view, index * IOVEC.size + IOVEC.base, pointer);
    this.vectors.view.setUint32(index * IOVEC.size + IOVEC.length, length, true);
  }
}

/** Stores a pointer without making a bigint. */
export function writeAddress(view: DataView, offset: number, pointer: Pointer): void {
  view.setUint32(offset, pointer % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(pointer / 2 ** 32), true);
}

const FIRST_CAPACITY = 8;

/** A packet and where it goes. */
export interface Outgoing {
  readonly bytes: Block;
  readonly to: Block;
}

/**
 * Packets waiting to leave through one socket in one sendmmsg. They are sent from where they lie, and what
 * is sent again in the same order costs next to nothing: its place in the vector is written already. That
 * holds for what leaves in several flushes, too: each goes on where the one before has ended, and the round
 * begins anew with the packet it began with.
 */
export class SendBatch {
  readonly #fd: number;
  readonly #most: number;
  /** Grows with what is sent in a round, which at the start is one packet. */
  #capacity = FIRST_CAPACITY;
  #vector = new MessageVector(FIRST_CAPACITY);
  /** What the vector points to, which knows only addresses: it must not be collected. */
  readonly #packets: Block[] = [];
  readonly #destinations: Block[] = [];
  /** Which list of a single packet is in which place: then nobody need look into the list. */
  readonly #lists: (readonly Outgoing[] | undefined)[] = [];
  /** The places from here to before there wait. */
  #start = 0;
  #end = 0;

  /** `most` packets at most between two flushes; a full batch flushes itself. */
  constructor(fd: number, most: number) {
    this.#fd = fd;
    this.#most = most;
  }

  /** Adds a list of packets, which itself must never change; the first refusal is returned. */
  addAll(list: readonly Outgoing[]): SysError | undefined {
    if (this.isEmpty && this.#lists[this.#end] !== list && this.#lists[0] === list) {
      this.#start = this.#end = 0;
    }
    if (this.#end < this.#most && this.#lists[this.#end] === list) {
      this.#end++;
      return undefined;
    }
    let refused: SysError | undefined;
    for (const { bytes, to } of list) {
      const error = this.add(bytes, to);
      refused ??= error;
    }
    if (list.length === 1) this.#lists[this.#end - 1] = list;
    return refused;
  }

  /** Adds `packet`, to be sent to `to`; neither may change until the flush. */
  add(packet: Block, to: Block): SysError | undefined {
    let error: SysError | undefined;
    if (this.#end === this.#most) {
      error = this.flush();
      this.#start = this.#end = 0;
    } else if (this.isEmpty && this.#packets[this.#end] !== packet && this.#packets[0] === packet) {
      this.#start = this.#end = 0;
    }
    const index = this.#end++;
    if (this.#packets[index] === packet && this.#destinations[index] === to) return error;
    this.#packets[index] = packet;
    this.#destinations[index] = to;
    this.#lists[index] = undefined;
    if (index === this.#capacity) this.#grow();
    else this.#write(index);
    return error;
  }

  #write(index: number): void {
    const header = index * MMSGHDR.size;
    const { headers: { view } } = this.#vector;
    const to = this.#destinations[index]!;
    writeAddress(view, header + MSGHDR.name, to.pointer);
    view.setUint32(header + MSGHDR.nameLength, to.length, true);
    const packet = this.#packets[index]!;
    this.#vector.setBuffer(index, packet.pointer, packet.length);
  }

  #grow(): void {
    this.#capacity = Math.min(this.#most, 2 * this.#capacity);
    this.#vector = new MessageVector(this.#capacity);
    for (let index = 0; index < this.#packets.length; index++) this.#write(index);
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#start === this.#end;
  }

  /**
   * Sends all that waits. A packet the kernel refuses is skipped, the others still leave; the first
   * refusal is returned, not thrown.
   */
  flush(): SysError | undefined {
    let refused: SysError | undefined;
    const first = this.#start;
    while (this.#start < this.#end) {
      const headers = this.#vector.headers.at(this.#start * MMSGHDR.size);
      const sent = libc.sendmmsg(this.#fd, headers, this.#end - this.#start, MSG_DONTWAIT);
      if (sent > 0) {
        this.#start += sent;
        continue;
      }
      const code = errno();
      if (code === EINTR) continue;
      const [which, count] = [this.#start - first + 1, this.#end - first];
      refused ??= new SysError("sendmmsg", code, `sending packet ${which} of ${count}`);
      this.#start++;
    }
    return refused;
  }
}

/** Room for a time stamp, a destination and a hop limit beside each packet. */
const CONTROL_BYTES = 128;

/** Packets received in one recvmmsg, each in a slot of its own until the next call. */
export class ReceiveBatch {
  readonly #slots: number;
  readonly #slotBytes: number;
  readonly #arena: Memory;
  readonly #control: Memory;
  readonly #names: Memory;
  readonly #vector: MessageVector;
  /** Slots the last call has filled. */
  #used = 0;
  /** From the calendar's clock to the monotonic one, as of the last call. */
  #offsetUs = 0;

  /** `slots` packets at most in one call, of `slotBytes` at most each. */
  constructor(slots: number, slotBytes: number) {
    this.#slots = slots;
    this.#slotBytes = slotBytes;
    this.#arena = new Memory(slots * slotBytes);
    this.#control = new Memory(slots * CONTROL_BYTES);
    this.#names = new Memory(slots * SOCKADDR_IN6.size);
    this.#vector = new MessageVector(slots);
    const { view } = this.#vector.headers;
    for (let i = 0; i < slots; i++) {
      this.#vector.setBuffer(i, this.#arena.at(i * slotBytes), slotBytes);
      const header = i * MMSGHDR.size;
      writeAddress(view, header + MSGHDR.name, this.#names.at(i * SOCKADDR_IN6.size));
      writeAddress(view, header + MSGHDR.control, this.#control.at(i * CONTROL_BYTES));
    }
    this.#used = slots;
  }

  /** Receives what is there: the number of packets, 0 for none. A broken socket throws SysError. */
  receive(fd: number): number {
    this.#makeReady();
    const headers = this.#vector.headers.pointer;
    const count = libc.recvmmsg(fd, headers, this.#slots, MSG_DONTWAIT, null);
    if (count > 0) this.#offsetUs = monotonicUs() - realtimeUs();
    if (count >= 0) {
      this.#used = count;
      return count;
    }
    const code = errno();
    if (code === EAGAIN || code === EINTR) return 0;
    throw new SysError("recvmmsg", code, "receiving packets");
  }

  /** The kernel has written over the room it was given with what it took of it. */
  #makeReady(): void {
    const { view } = this.#vector.headers;
    for (let i = 0; i < this.#used; i++) {
      view.setUint32(i * MMSGHDR.size + MSGHDR.controlLength, CONTROL_BYTES, true);
      view.setUint32(i * MMSGHDR.size + MSGHDR.nameLength, SOCKADDR_IN6.size, true);
    }
    this.#used = 0;
  }

  /** Whether more packets may wait after a call that returned `count`. */
  isFull(count: number): boolean {
    return count === this.#slots;
  }

  /** The `index`-th packet of the last call: a view that the next call overwrites. */
  packet(index: number): Uint8Array {
    const { view } = this.#vector.headers;
    const length = view.getUint32(index * MMSGHDR.size + MMSGHDR.length, true);
    const start = index * this.#slotBytes;
    return this.#arena.bytes.subarray(start, start + Math.min(length, this.#slotBytes));
  }

  /**
   * When the `index`-th packet arrived at this host, on the monotonic clock; undefined when the kernel
   * did not stamp it.
   */
  arrivedAt(index: number): number | undefined {
    const at = this.#findControl(index, SOL_SOCKET, SO_TIMESTAMPNS);
    return at < 0 ? undefined : readTimespec(this.#control.view, at) + this.#offsetUs;
  }

  /** Who sent the `index`-th packet over IPv6: a view of 16 bytes. */
  source6(index: number): Uint8Array {
    const at = index * SOCKADDR_IN6.size + SOCKADDR_IN6.address;
    return this.#names.bytes.subarray(at, at + 16);
  }

  /** Through which link the `index`-th frame came in, by its index; packet sockets only. */
  frameLink(index: number): number {
    return this.#names.view.getInt32(index * SOCKADDR_IN6.size + SOCKADDR_LL.index, true);
  }

  /** Through which link the `index`-th packet came in over IPv6 (IPV6_RECVPKTINFO); 0 when not told. */
  link6(index: number): number {
    const at = this.#findControl(index, IPPROTO_IPV6, IPV6_PKTINFO);
    return at < 0 ? 0 : this.#control.view.getInt32(at + 16, true);
  }

  /** Where the `index`-th packet went over IPv6 (IPV6_RECVPKTINFO): a view of 16 bytes. */
  destination6(index: number): Uint8Array | undefined {
    const at = this.#findControl(index, IPPROTO_IPV6, IPV6_PKTINFO);
    return at < 0 ? undefined : this.#control.bytes.subarray(at, at + 16);
  }

  /** The hop limit of the `index`-th packet (IPV6_RECVHOPLIMIT). */
  hopLimit(index: number): number | undefined {
    const at = this.#findControl(index, IPPROTO_IPV6, IPV6_HOPLIMIT);
    return at < 0 ? undefined : this.#control.view.getInt32(at, true);
  }

  /** Where the data of a control message begin, -1 when there is none. */
  #findControl(index: number, level: number, type: number): number {
    const { view } = this.#control;
    const headers = this.#vector.headers.view;
    let at = index * CONTROL_BYTES;
    const end = at + headers.getUint32(index * MMSGHDR.size + MSGHDR.controlLength, true);
    while (at + CMSGHDR.size <= end) {
      const isIt = view.getInt32(at + CMSGHDR.level, true) === level &&
        view.getInt32(at + CMSGHDR.type, true) === type;
      if (isIt) return at + CMSGHDR.size;
      const length = view.getUint32(at, true);
      if (length < CMSGHDR.size) return -1;
      at += (length + 7) & ~7;
    }
    return -1;
  }

  /** Whether the `index`-th packet was longer than its slot. */
  isTruncated(index: number): boolean {
    const { view } = this.#vector.headers;
    return (view.getInt32(index * MMSGHDR.size + MSGHDR.flags, true) & MSG_TRUNC) !== 0;
  }
}
