/**
 * Connections that are made without waiting, over streams and datagrams. Refusals are numbers here, not
 * exceptions: of a server that is watched they are news, not trouble.
 */

import {
  AF_INET,
  AF_INET6,
  EAGAIN,
  EINTR,
  IPPROTO_IP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_BINDTODEVICE,
  SO_MARK,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "./constants.ts";
import { errno, libc } from "./libc.ts";
import { SOCKADDR_IN6 } from "./layout.ts";
import { cString, Memory } from "./memory.ts";

/** Take a port when the connection is made, not when the address is bound (linux/in.h). */
const IP_BIND_ADDRESS_NO_PORT = 24;

/** Where a connection goes, from where, and how. */
export interface Route {
  /** SOCK_STREAM or SOCK_DGRAM. */
  readonly type: number;
  /** IPPROTO_…, 0 for the usual one of the type. */
  readonly protocol: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** The index of the link that link-local addresses are on; 0 is none. */
  readonly scope: number;
  /** Where from; of the family of `address`. */
  readonly source?: { readonly address: Uint8Array; readonly port: number } | undefined;
  /** The link that packets leave through. */
  readonly device?: string | undefined;
  /** The firewall's mark, 0 for none. */
  readonly mark: number;
}

/** The call that was refused, and the errno. */
export interface Refused {
  readonly call: string;
  readonly errno: number;
}

const SOCKADDR_IN_SIZE = 16;
/** The address of the call that is being made: there are thousands of routes, and one call at a time. */
const name = new Memory(SOCKADDR_IN6.size);

/** Lays an address out; how long it is. */
function layOut(address: Uint8Array, scope: number, port: number): number {
  const { view, bytes } = name;
  view.setUint16(2, port, false);
  if (address.length === 4) {
    view.setUint16(0, AF_INET, true);
    bytes.set(address, 4);
    return SOCKADDR_IN_SIZE;
  }
  view.setUint16(0, AF_INET6, true);
  view.setUint32(4, 0, true);
  bytes.set(address, SOCKADDR_IN6.address);
  view.setUint32(SOCKADDR_IN6.scope, scope, true);
  return SOCKADDR_IN6.size;
}

/** Makes connections of one route again and again. */
export class Connector {
  readonly #route: Route;
  /** What refused the last {@link Connector.open}. */
  refused: Refused = { call: "", errno: 0 };

  constructor(route: Route) {
    this.#route = route;
  }

  /** A socket, non-blocking and close-on-exec; -1 when there is none to be had, {@link refused} says why. */
  open(): number {
    const { type, protocol, mark, source, device, address, scope } = this.#route;
    const family = address.length === 4 ? AF_INET : AF_INET6;
    const fd = libc.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) return this.#refuse("socket", -1);
    if (device !== undefined) {
      const { pointer, bytes } = cString(device);
      if (libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, pointer, bytes.length) < 0) {
        return this.#refuse("setsockopt(SO_BINDTODEVICE)", fd);
      }
    }
    if (mark !== 0 && setNumber(fd, SOL_SOCKET, SO_MARK, mark) < 0) {
      return this.#refuse("setsockopt(SO_MARK)", fd);
    }
    if (source !== undefined) {
      // Either option is a courtesy: without it there are fewer ports to be had.
      if (source.port === 0) setNumber(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
      else setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1);
      const size = layOut(source.address, scope, source.port);
      if (libc.bind(fd, name.pointer, size) < 0) return this.#refuse("bind", fd);
    }
    return fd;
  }

  /** Begins to connect: 0 when it is done, EINPROGRESS, or the errno of the refusal. */
  connect(fd: number): number {
    const { address, scope, port } = this.#route;
    const size = layOut(address, scope, port);
    return libc.connect(fd, name.pointer, size) === 0 ? 0 : errno();
  }

  #refuse(call: string, fd: number): number {
    this.refused = { call, errno: errno() };
    if (fd >= 0) libc.close(fd);
    return -1;
  }
}

const number = new Memory(4);

function setNumber(fd: number, level: number, option: number, value: number): number {
  number.view.setUint32(0, value, true);
  return libc.setsockopt(fd, level, option, number.pointer, 4);
}

/** The other end has closed. */
export const ENDED = -1;

/** What {@link receiveSome} returns of a broken connection: BROKEN - errno. */
export const BROKEN = -2;

/**
 * Receives what is there: how many bytes (0: none now), {@link ENDED}, or {@link BROKEN} minus the errno. A
 * datagram without bytes looks like an end.
 */
export function receiveSome(fd: number, into: Memory): number {
  const count = libc.recv(fd, into.pointer, into.bytes.length, MSG_DONTWAIT);
  if (count > 0) return count;
  if (count === 0) return ENDED;
  const code = errno();
  return code === EAGAIN || code === EINTR ? 0 : BROKEN - code;
}

/** Sends without waiting: how many bytes were taken (0: no room now), or {@link BROKEN} minus the errno. */
export function sendSome(fd: number, from: Memory, offset: number, length: number): number {
  const count = libc.send(fd, from.at(offset), length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count >= 0) return count;
  const code = errno();
  return code === EAGAIN || code === EINTR ? 0 : BROKEN - code;
}
