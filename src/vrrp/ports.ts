/**
 * The sockets adverts travel through, each shared by every instance that speaks the same way over the same
 * link.
 *
 * Over IPv4 a raw socket delivers whole packets and sends packets whose headers we write. Over IPv6 headers
 * are the kernel's: the source is what the socket is bound to, and destination and hop limit of what comes
 * in are told beside it (RFC 3542 §4).
 */

import {
  AF_INET,
  AF_INET6,
  IP_ADD_MEMBERSHIP,
  IP_HDRINCL,
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_JOIN_GROUP,
  IPV6_MULTICAST_ALL,
  IPV6_MULTICAST_HOPS,
  IPV6_MULTICAST_IF,
  IPV6_MULTICAST_LOOP,
  IPV6_RECVHOPLIMIT,
  IPV6_RECVPKTINFO,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  SO_PRIORITY,
  SO_TIMESTAMPNS,
  SOCK_RAW,
  SOL_SOCKET,
} from "../../ffi/constants.ts";
import { ipMreqn, ipv6Mreq, sockaddrIn6 } from "../../ffi/layout.ts";
import { SysError } from "../../ffi/libc.ts";
import {
  bindSocket,
  bindToDevice,
  closeDescriptor,
  openSocket,
  type Outgoing,
  SendBatch,
  setOption,
  setOptionBytes,
  setReceiveBuffer,
} from "../../ffi/socket.ts";
import { type Address, compareAddress, type Family } from "../lib/address.ts";
import type { Link } from "../netlink/link.ts";
import { isLinkLocal } from "./links.ts";

/** Internetwork control: what keepalived marks its adverts with, in the kernel's priority. */
const TC_PRIO_CONTROL = 7;
/** The same in the IP header: class selector 6. */
export const TOS_INTERNETWORK_CONTROL = 0xc0;
/** RFC 9568 §5.1.1.3, §5.1.2.3: adverts never leave the link. */
export const TTL = 255;
/** As many as there are VRIDs. */
const ADVERTS_PER_CALL = 255;

/** What makes a port: sockets that agree in all of it are one. */
export interface PortKind {
  readonly family: Family;
  /** IP protocol: VRRP, or AH around it. */
  readonly protocol: number;
  /** Undefined for unicast without an interface. */
  readonly link: Link | undefined;
  /** The multicast group to join; undefined for unicast. */
  readonly group: Address | undefined;
  /** IPv6 only: what it sends from. */
  readonly source: Address | undefined;
  /** IPv6 unicast only: the hop limit of what it sends; undefined is the kernel's default. */
  readonly hops: number | undefined;
}

/** A socket for adverts. */
export interface Port extends PortKind {
  readonly fd: number;
  readonly batch: SendBatch;
  /** What its receive buffer was last set to; 0 is the system's default. */
  receiveBytes: number;
  /** Why the kernel refused its last packets: errno, 0 for none. The same reason is told once. */
  refusal: number;
}

/** An advert ready to leave: a whole packet over IPv4, a message over IPv6, and where it goes. */
export type Packet = Outgoing;

/** The open ports. */
export class Ports {
  readonly #open = new Set<Port>();
  readonly #dirty: Port[] = [];
  readonly #refused: (error: unknown) => void;

  /** `refused` is told what the kernel refuses. */
  constructor(refused: (error: unknown) => void) {
    this.#refused = refused;
  }

  /** The port of a kind, opened when there is none yet; undefined when it cannot be, which is told. */
  portFor(kind: PortKind): Port | undefined {
    for (const port of this.#open) if (isSameKind(port, kind)) return port;
    let fd = -1;
    try {
      const where = kind.link === undefined ? "unicast adverts" : kind.link.name;
      const family = kind.family === 4 ? AF_INET : AF_INET6;
      fd = openSocket(family, SOCK_RAW, kind.protocol, `opening a VRRP socket for ${where}`);
      if (kind.link !== undefined) bindToDevice(fd, kind.link.name);
      setOption(fd, SOL_SOCKET, SO_PRIORITY, TC_PRIO_CONTROL);
      setOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
      if (kind.family === 4) prepare4(fd, kind);
      else prepare6(fd, kind);
      const port = {
        ...kind,
        fd,
        batch: new SendBatch(fd, ADVERTS_PER_CALL),
        receiveBytes: 0,
        refusal: 0,
      };
      this.#open.add(port);
      return port;
    } catch (error) {
      if (fd >= 0) closeDescriptor(fd);
      this.#refused(error);
      return undefined;
    }
  }

  /** Makes room for `bytes` of packets that wait to be received; 0 leaves it to the system. */
  setReceiveBuffer(port: Port, bytes: number): void {
    if (bytes === port.receiveBytes || bytes === 0) return;
    port.receiveBytes = bytes;
    setReceiveBuffer(port.fd, { bytes, isForced: true });
  }

  /** Closes a port; adverts still queued on it are lost. */
  close(port: Port): void {
    if (this.#open.delete(port)) closeDescriptor(port.fd);
  }

  /** Queues an advert; its packets must stay as they are until the flush. */
  queue(port: Port, packets: readonly Packet[]): void {
    if (port.batch.isEmpty) this.#dirty.push(port);
    const error = port.batch.addAll(packets);
    if (error !== undefined) this.#complain(error, port);
  }

  /** Lets the queued adverts leave. */
  flush(): void {
    for (const port of this.#dirty) {
      if (this.#open.has(port) || port.fd < 0) this.#complain(port.batch.flush(), port);
    }
    this.#dirty.length = 0;
  }

  #complain(error: SysError | undefined, port: Port): void {
    const before = port.refusal;
    port.refusal = error?.code ?? 0;
    if (error === undefined || error.code === before) return;
    const { call, code } = error;
    const where = port.link?.name ?? "the unicast socket";
    this.#refused(new SysError(call, code, `sending an advert over ${where}`));
  }
}

/** A port like `port` whose packets the kernel refuses. */
export function deafPort(port: Port): Port {
  return { ...port, fd: -1, batch: new SendBatch(-1, 1) };
}

function prepare4(fd: number, { group, link }: PortKind): void {
  setOption(fd, IPPROTO_IP, IP_HDRINCL, 1);
  setOption(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
  if (group === undefined) return;
  const membership = ipMreqn(group, link?.index ?? 0);
  setOption(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
  setOption(fd, IPPROTO_IP, IP_MULTICAST_TTL, TTL);
  setOptionBytes(fd, IPPROTO_IP, IP_MULTICAST_IF, membership);
  setOptionBytes(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership);
}

function prepare6(fd: number, { group, link, source, hops }: PortKind): void {
  const index = link?.index ?? 0;
  setOption(fd, IPPROTO_IPV6, IPV6_TCLASS, TOS_INTERNETWORK_CONTROL);
  setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  setOption(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
  try {
    setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
  } catch {
    // Since Linux 4.20; before that, groups joined by others are told apart by their destination.
  }
  if (group === undefined) {
    if (hops !== undefined) setOption(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops);
  } else {
    setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
    setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, TTL);
    setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
    setOptionBytes(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, ipv6Mreq(group, index));
  }
  if (source === undefined) return;
  const scope = isLinkLocal(source) ? index : 0;
  bindSocket(fd, sockaddrIn6(source, scope), "binding a VRRP socket to its source address");
}

/** Whether two kinds are one. */
export function isSameKind(a: PortKind, b: PortKind): boolean {
  return a.link?.index === b.link?.index && a.family === b.family && a.protocol === b.protocol &&
    a.hops === b.hops && isSame(a.group, b.group) && isSame(a.source, b.source);
}

function isSame(a: Address | undefined, b: Address | undefined): boolean {
  return a === undefined || b === undefined ? a === b : compareAddress(a, b) === 0;
}
