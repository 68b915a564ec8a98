/**
 * Kernel structures as offsets into {@link Memory}: sockaddr, msghdr, mmsghdr, ip_mreqn, epoll_event,
 * itimerspec, flock. All targets are 64-bit and little-endian; the one structure whose layout
 * differs between them is epoll_event, packed on x86-64 only.
 */

import { AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX } from "./constants.ts";
import { Memory } from "./memory.ts";

/** struct epoll_event: 12 bytes on x86-64 (packed), 16 elsewhere; `events` at 0. */
export const EPOLL_EVENT = process.arch === "x64" ? { size: 12, data: 4 } : { size: 16, data: 8 };

/** struct msghdr (64-bit). */
export const MSGHDR = {
  size: 56,
  name: 0,
  nameLength: 8,
  iov: 16,
  iovLength: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
} as const;

/** struct mmsghdr: a msghdr and the number of bytes moved. */
export const MMSGHDR = { size: 64, length: 56 } as const;

/** struct cmsghdr (64-bit): the data follow at 16. */
export const CMSGHDR = { size: 16, level: 8, type: 12 } as const;

/** struct iovec. */
export const IOVEC = { size: 16, base: 0, length: 8 } as const;

/** struct sockaddr_in (netinet/in.h): address 4 bytes in network order, port in host order. */
export function sockaddrIn(address: Uint8Array, port = 0): Memory {
  const memory = new Memory(16);
  memory.view.setUint16(0, AF_INET, true);
  memory.view.setUint16(2, port, false);
  memory.bytes.set(address, 4);
  return memory;
}

/** struct sockaddr_in6: `scope` is the link's index for addresses that are only valid on one. */
export const SOCKADDR_IN6 = { size: 28, address: 8, scope: 24 } as const;

/** struct sockaddr_in6 (netinet/in.h): address 16 bytes in network order, port in host order. */
export function sockaddrIn6(address: Uint8Array, scope = 0, port = 0): Memory {
  const memory = new Memory(SOCKADDR_IN6.size);
  memory.view.setUint16(0, AF_INET6, true);
  memory.view.setUint16(2, port, false);
  memory.bytes.set(address, SOCKADDR_IN6.address);
  memory.view.setUint32(SOCKADDR_IN6.scope, scope, true);
  return memory;
}

/** struct sockaddr_ll: where the link's index is. */
export const SOCKADDR_LL = { index: 4 } as const;

/** struct sockaddr_ll (linux/if_packet.h) for frames that carry their own Ethernet header. */
export function sockaddrLl(index: number, protocol: number): Memory {
  const memory = new Memory(20);
  memory.view.setUint16(0, AF_PACKET, true);
  memory.view.setUint16(2, protocol, false);
  memory.view.setInt32(4, index, true);
  memory.view.setUint8(11, 6);
  return memory;
}

/** struct sockaddr_nl (linux/netlink.h); groups above 32 are joined by setsockopt. */
export function sockaddrNl(pid = 0, groups = 0): Memory {
  const memory = new Memory(12);
  memory.view.setUint16(0, AF_NETLINK, true);
  memory.view.setUint32(4, pid, true);
  memory.view.setUint32(8, groups, true);
  return memory;
}

/** struct sockaddr_un for a path of at most 107 bytes, or an abstract name that begins with "@". */
export function sockaddrUn(path: string): Memory {
  const isAbstract = path.startsWith("@");
  const text = new TextEncoder().encode(path);
  const memory = new Memory(2 + text.length + (isAbstract ? 0 : 1));
  memory.view.setUint16(0, AF_UNIX, true);
  memory.bytes.set(text, 2);
  if (isAbstract) memory.bytes[2] = 0;
  return memory;
}

/** struct ip_mreqn: group and link index. */
export function ipMreqn(group: Uint8Array, index: number): Memory {
  const memory = new Memory(12);
  memory.bytes.set(group, 0);
  memory.view.setInt32(8, index, true);
  return memory;
}

/** struct ipv6_mreq: group and link index. */
export function ipv6Mreq(group: Uint8Array, index: number): Memory {
  const memory = new Memory(20);
  memory.bytes.set(group, 0);
  memory.view.setInt32(16, index, true);
  return memory;
}

/** One instruction of classic BPF (linux/filter.h): code, jump if true, jump if false, constant. */
export type BpfInstruction = readonly [code: number, jt: number, jf: number, k: number];

/** An array of struct sock_filter. */
export function bpfProgram(instructions: readonly BpfInstruction[]): Memory {
  const memory = new Memory(8 * instructions.length);
  for (const [i, [code, jt, jf, k]] of instructions.entries()) {
    memory.view.setUint16(8 * i, code, true);
    memory.view.setUint8(8 * i + 2, jt);
    memory.view.setUint8(8 * i + 3, jf);
    memory.view.setUint32(8 * i + 4, k, true);
  }
  return memory;
}

/** struct flock: a write lock over the whole file. */
export function wholeFileLock(type: number): Memory {
  const memory = new Memory(32);
  memory.view.setInt16(0, type, true);
  return memory;
}
