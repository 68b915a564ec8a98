/**
 * Where BFD touches the kernel: the sockets on which all sessions of a family hear, and the socket of
 * their own with which each of them speaks (RFC 5881 §4, RFC 5883 §5). A packet costs one system call
 * and no memory.
 */

import {
  EADDRINUSE,
  ENODEV,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  SO_PRIORITY,
  SO_RCVBUF,
  SOL_SOCKET,
} from "../../ffi/constants.ts";
import { SysError } from "../../ffi/libc.ts";
import { Memory } from "../../ffi/memory.ts";
import { closeDescriptor, SendBatch, setOption } from "../../ffi/socket.ts";
import { DatagramBatch, linkIndex, openUdp, socketAddress } from "../../ffi/udp.ts";
import type { BfdInstance } from "../config/bfd.ts";
import { type Address, type Family, familyOf, parseAddress } from "../lib/address.ts";
import { assert } from "../lib/assert.ts";
import { BFD_MULTIHOP_PORT, BFD_PORT, BFD_SOURCE_PORTS, CONTROL_BYTES } from "../wire/bfd.ts";

/** DSCP CS6, internetwork control (RFC 4594 §3.1), as keepalived's adverts have it. */
const TOS_INTERNETWORK_CONTROL = 0xc0;
/** The same as the kernel's own priority. */
const TC_PRIO_CONTROL = 7;
/** Datagrams in one recvmmsg, and room for the longest Control packet with authentication. */
const DATAGRAMS_PER_CALL = 32;
const SLOT_BYTES = 64;

/** An end of a session: an address and, for a link-local one, its link. */
export interface End {
  readonly address: Address;
  /** The name after `%`; empty for none. */
  readonly link: string;
}

/** The end in a text that the configuration has checked. */
export function endOf(text: string): End {
  const [bare = "", link = ""] = text.split("%");
  const address = parseAddress(bare);
  assert(address !== undefined, `"${text}" is an address`);
  return { address, link };
}

/** What sessions of one family and port share: the socket they hear on. */
export class BfdReceiver {
  readonly fd: number;
  readonly family: Family;
  readonly multihop: boolean;
  /** What was received last. */
  readonly batch = new DatagramBatch(DATAGRAMS_PER_CALL, SLOT_BYTES);

  /** Throws SysError, of which the likeliest is that another daemon has the port. */
  constructor(family: Family, multihop: boolean) {
    this.family = family;
    this.multihop = multihop;
    const port = multihop ? BFD_MULTIHOP_PORT : BFD_PORT;
    const anywhere = new Uint8Array(family === 4 ? 4 : 16);
    this.fd = openUdp(anywhere, 0, port, `listening on UDP port ${port} for BFD`);
  }

  /** Calls `onDatagram` for each datagram that is there, which the batch then shows. A SysError ends it. */
  read(onDatagram: () => void): SysError | undefined {
    for (;;) {
      const count = this.#receive();
      if (typeof count !== "number") return count;
      for (let i = 0; i < count; i++) {
        this.batch.look(i);
        onDatagram();
      }
      if (!this.batch.isFull(count)) return undefined;
    }
  }

  #receive(): number | SysError {
    try {
      return this.batch.receive(this.fd);
    } catch (error) {
      if (error instanceof SysError) return error;
      throw error;
    }
  }

  /** Closes the socket. */
  close(): void {
    closeDescriptor(this.fd);
  }
}

/** The socket with which one session speaks, and its packet. */
export class BfdSender {
  /** The source port, the same for as long as the socket lives. */
  readonly port: number;
  /** The packet that {@link BfdSender.send} sends. */
  readonly packet = new Memory(CONTROL_BYTES);
  readonly #fd: number;
  readonly #to: Memory;
  readonly #batch: SendBatch;

  /**
   * `roll` (at least 0, below 1) chooses the source port among those that are not `isTaken`. Throws
   * SysError, for instance while source_ip is no address of this host.
   */
  constructor(instance: BfdInstance, roll: number, isTaken: (port: number) => boolean) {
    const { multihop, ttl, neighbor_ip, source_ip } = instance;
    const neighbor = endOf(neighbor_ip);
    const { address, link } = neighbor;
    const doing = `opening the output socket of BFD instance ${instance.name}`;
    const scope = link === "" ? 0 : linkIndex(link);
    if (link !== "" && scope === 0) throw new SysError("if_nametoindex", ENODEV, doing);
    const own = source_ip === undefined ? new Uint8Array(address.length) : endOf(source_ip).address;
    const { fd, port } = openOnFreePort({ address: own, scope, roll, isTaken, doing });
    this.#fd = fd;
    this.port = port;
    this.#to = socketAddress(address, scope, multihop ? BFD_MULTIHOP_PORT : BFD_PORT);
    this.#batch = new SendBatch(fd, 1);
    try {
      this.#mark(familyOf(address));
      this.#setTtl(familyOf(address), ttl);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Changes the TTL or hop limit of what is sent from now on; a refusal is returned. */
  setTtl(family: Family, ttl: number): SysError | undefined {
    return attempt(() => {
      this.#setTtl(family, ttl);
      return undefined;
    });
  }

  #setTtl(family: Family, ttl: number): void {
    if (family === 4) setOption(this.#fd, IPPROTO_IP, IP_TTL, ttl);
    else setOption(this.#fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, ttl);
  }

  /** Sends the packet; a refusal is returned. */
  send(): SysError | undefined {
    return this.#batch.add(this.packet, this.#to) ?? this.#batch.flush();
  }

  /** Closes the socket. */
  close(): void {
    closeDescriptor(this.#fd);
  }

  #mark(family: Family): void {
    const [level, option] = family === 4 ? [IPPROTO_IP, IP_TOS] : [IPPROTO_IPV6, IPV6_TCLASS];
    setOption(this.#fd, level, option, TOS_INTERNETWORK_CONTROL);
    // After the above, which sets one of its own.
    setOption(this.#fd, SOL_SOCKET, SO_PRIORITY, TC_PRIO_CONTROL);
    // Nobody reads from it: the kernel need not keep much.
    setOption(this.#fd, SOL_SOCKET, SO_RCVBUF, 1);
  }
}

/** A {@link BfdReceiver}, or why there is none. */
export function openReceiver(family: Family, multihop: boolean): BfdReceiver | SysError {
  return attempt(() => new BfdReceiver(family, multihop));
}

/** A {@link BfdSender}, or why there is none. */
export function openSender(
  instance: BfdInstance,
  roll: number,
  isTaken: (port: number) => boolean,
): BfdSender | SysError {
  return attempt(() => new BfdSender(instance, roll, isTaken));
}

function attempt<Result>(act: () => Result): Result | SysError {
  try {
    return act();
  } catch (error) {
    if (error instanceof SysError) return error;
    throw error;
  }
}

interface Wanted {
  readonly address: Uint8Array;
  readonly scope: number;
  readonly roll: number;
  readonly isTaken: (port: number) => boolean;
  readonly doing: string;
}

/** RFC 5881 §4: a port from 49152 to 65535, of its own for each session. */
function openOnFreePort({ address, scope, roll, isTaken, doing }: Wanted): {
  fd: number;
  port: number;
} {
  const { first, last } = BFD_SOURCE_PORTS;
  const count = last - first + 1;
  const start = Math.floor(roll * count);
  for (let i = 0; i < count; i++) {
    const port = first + (start + i) % count;
    if (isTaken(port)) continue;
    try {
      return { fd: openUdp(address, scope, port, doing), port };
    } catch (error) {
      if (!(error instanceof SysError) || error.code !== EADDRINUSE) throw error;
    }
  }
  throw new SysError("bind", EADDRINUSE, doing);
}
