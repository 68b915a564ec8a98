/**
 * Where the vrrp role touches the kernel: advert sockets, virtual addresses by rtnetlink, gratuitous ARP
 * and neighbour advertisements. During a turn everything is queued; `flush` then lets all adverts
 * leave first, one sendmmsg a socket, then all address changes, then all announcements.
 *
 * The only place of the role where a SysError is caught.
 */

import {
  AF_INET,
  EADDRNOTAVAIL,
  EEXIST,
  ENODEV,
  IP_ADD_MEMBERSHIP,
  IP_HDRINCL,
  IP_MULTICAST_ALL,
  IP_MULTICAST_IF,
  IP_MULTICAST_LOOP,
  IP_MULTICAST_TTL,
  IPPROTO_IP,
  IPPROTO_VRRP,
  SO_PRIORITY,
  SO_TIMESTAMPNS,
  SOCK_RAW,
  SOL_SOCKET,
} from "../../ffi/constants.ts";
import { ipMreqn, sockaddrIn, sockaddrLl } from "../../ffi/layout.ts";
import { SysError } from "../../ffi/libc.ts";
import { Memory } from "../../ffi/memory.ts";
import { Netlink, NetlinkMonitor, type Request } from "../../ffi/netlink.ts";
import {
  bindToDevice,
  closeDescriptor,
  openSocket,
  SendBatch,
  setOption,
  setOptionBytes,
} from "../../ffi/socket.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import {
  decodeAddressMessage,
  encodeDeleteAddress,
  encodeDumpAddresses,
  encodeNewAddress,
  RTM_DELADDR,
  RTM_NEWADDR,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
} from "../netlink/address.ts";
import {
  decodeLink,
  encodeDumpLinks,
  encodeGetLink,
  type Link,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTNLGRP_LINK,
} from "../netlink/link.ts";
import type { Message } from "../netlink/message.ts";
import { encodeGratuitousArp } from "../wire/arp.ts";
import { encodeNeighbourFrame } from "../wire/icmp.ts";
import { decodeIpv4, encodeIpv4Header } from "../wire/ipv4.ts";
import { decodeAdvert, encodeAdvert } from "../wire/vrrp.ts";
import { equalAuth, passData } from "../wire/vrrp_auth.ts";
import { advertDestinations, advertisedAddresses, type Held, kernelAddress } from "./addresses.ts";
import type { Received } from "./instance.ts";
import type { LinkTable } from "./links.ts";

/** Internetwork control: what keepalived marks its adverts with, in the kernel's priority. */
const TC_PRIO_CONTROL = 7;
const ADVERTS_PER_CALL = 64;
const FRAMES_PER_CALL = 256;
/** The loopback's index in every namespace. */
const LOOPBACK = 1;
/** Room for the notifications of thousands of links and addresses that change at once. */
const MONITOR_BYTES = 4 * 1024 * 1024;

/** A socket for the adverts of one link, shared by every instance on it that speaks the same way. */
export interface Port {
  readonly fd: number;
  readonly link: Link;
  /** The multicast group it has joined; undefined for unicast. */
  readonly group: Address | undefined;
  readonly batch: SendBatch;
}

/** An advert ready to leave: a whole IP packet, and where it goes. */
export interface Packet {
  readonly bytes: Memory;
  readonly to: Memory;
}

/** The kernel, as the vrrp role uses it. */
export class Kernel {
  /** Hears of links and addresses; the loop watches its descriptor. */
  readonly monitor = new NetlinkMonitor(
    [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
    MONITOR_BYTES,
  );
  readonly #netlink = new Netlink();
  readonly #links: LinkTable;
  readonly #log: (level: LogLevel, text: string) => void;
  readonly #ports = new Set<Port>();
  readonly #dirty: Port[] = [];
  readonly #requests: { request: Request; expected: number }[] = [];
  readonly #frames: { owner: string; frame: Memory; to: Memory; repeat: number }[] = [];
  readonly #announcer: number;
  #frameBatch: SendBatch | undefined;

  /** Fills `links` and keeps it current; `announcer` is a packet socket. Throws SysError when the kernel gives no netlink socket. */
  constructor(
    links: LinkTable,
    announcer: number,
    log: (level: LogLevel, text: string) => void,
  ) {
    this.#links = links;
    this.#announcer = announcer;
    this.#log = log;
    this.#dump();
  }

  /**
   * Brings the link table up to date with what the kernel has told. Whether anything changed besides
   * addresses that `isOurs` claims, which come and go by our own doing.
   */
  readMonitor(isOurs: (address: Address) => boolean): boolean {
    let changed = false;
    const complete = this.monitor.receive((message) => {
      if (this.#hear(message, isOurs)) changed = true;
    });
    if (complete) return changed;
    this.#log("warning", "Netlink: Receive buffer overrun on monitor socket - reading all again");
    this.#dump();
    return true;
  }

  #dump(): void {
    const links = encodeDumpLinks();
    const addresses = encodeDumpAddresses();
    this.#links.clear();
    this.#netlink.dump(links, "listing the links", (message) => this.#hear(message));
    this.#netlink.dump(addresses, "listing the addresses", (message) => this.#hear(message));
  }

  #hear(message: Message, isOurs: (address: Address) => boolean = () => false): boolean {
    const { type, payload } = message;
    if (type === RTM_NEWLINK || type === RTM_DELLINK) {
      const link = decodeLink(payload);
      if (link === undefined) return false;
      if (type === RTM_NEWLINK) this.#links.setLink(link);
      else this.#links.removeLink(link.index);
      return true;
    }
    if (type !== RTM_NEWADDR && type !== RTM_DELADDR) return false;
    const address = decodeAddressMessage(payload);
    if (address === undefined) return false;
    if (type === RTM_NEWADDR) this.#links.setAddress(address);
    else this.#links.removeAddress(address);
    return !isOurs(address.address);
  }

  /**
   * The socket for adverts over a link to a group, opened when there is none yet; undefined when it
   * cannot be, which the log explains. It receives the group's packets with their IP headers and
   * sends packets whose headers we write.
   */
  portFor(link: Link, group: Address | undefined): Port | undefined {
    for (const port of this.#ports) {
      if (port.link.index === link.index && isSameGroup(port.group, group)) return port;
    }
    let fd = -1;
    try {
      fd = openSocket(AF_INET, SOCK_RAW, IPPROTO_VRRP, `opening a VRRP socket for ${link.name}`);
      bindToDevice(fd, link.name);
      setOption(fd, IPPROTO_IP, IP_HDRINCL, 1);
      setOption(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
      setOption(fd, SOL_SOCKET, SO_PRIORITY, TC_PRIO_CONTROL);
      setOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
      if (group !== undefined) joinGroup(fd, group, link);
      const port = { fd, link, group, batch: new SendBatch(fd, ADVERTS_PER_CALL) };
      this.#ports.add(port);
      return port;
    } catch (error) {
      if (fd >= 0) closeDescriptor(fd);
      this.#refused(error);
      return undefined;
    }
  }

  /** Closes a socket; adverts still queued on it are lost. */
  closePort(port: Port): void {
    if (this.#ports.delete(port)) closeDescriptor(port.fd);
  }

  /** Queues an advert; its packets must stay as they are until the flush. */
  queueAdvert(port: Port, packets: readonly Packet[]): void {
    if (port.batch.isEmpty) this.#dirty.push(port);
    for (const { bytes, to } of packets) {
      this.#complain(port.batch.add(bytes, bytes.bytes.length, to), port);
    }
  }

  /** Queues adding an address to its link. */
  queueAdd(held: Held): void {
    const link = this.#linkOf(held.device, `adding ${formatAddress(held.address)}`);
    if (link === undefined) return;
    const bytes = encodeNewAddress(kernelAddress(held, link.index));
    this.#requests.push({ request: { bytes, doing: describe("adding", held) }, expected: EEXIST });
  }

  /** Queues removing an address; one that is not there is no error. */
  queueRemove(held: Held): void {
    const link = this.#links.byName(held.device);
    if (link === undefined) return;
    const { address, spec } = held;
    const { prefixLength } = spec;
    const peer = kernelAddress(held, link.index).peer;
    const where = { index: link.index, address, prefixLength };
    const bytes = encodeDeleteAddress(peer === undefined ? where : { ...where, peer });
    this.#requests.push({
      request: { bytes, doing: describe("removing", held) },
      expected: EADDRNOTAVAIL,
    });
  }

  /** Queues `repeat` announcements of an address over a link; `owner` can take them back. */
  queueAnnounce(owner: string, device: string, address: Address, repeat: number): void {
    const link = this.#linkOf(device, `announcing ${formatAddress(address)}`);
    if (link === undefined || link.address.length !== 6) return;
    const mac = link.address;
    const isV4 = address.length === 4;
    const frame = isV4
      ? encodeGratuitousArp({ mac, address })
      : encodeNeighbourFrame({ mac, address, router: false });
    const to = sockaddrLl(link.index, isV4 ? 0x0806 : 0x86dd);
    this.#frames.push({ owner, frame: Memory.of(frame), to, repeat });
  }

  /** Takes back what `owner` has queued to announce. */
  dropAnnouncements(owner: string): void {
    for (let i = this.#frames.length - 1; i >= 0; i--) {
      if (this.#frames[i]!.owner === owner) this.#frames.splice(i, 1);
    }
  }

  /** A port like `port` whose packets the kernel refuses. */
  deafPort(port: Port): Port {
    return { ...port, fd: -1, batch: new SendBatch(-1, 1) };
  }

  /**
   * Forgets what is queued and flushes a request that changes nothing instead, so that no part of a flush
   * is run for the first time when it matters.
   */
  rehearse(): void {
    const request = { bytes: encodeGetLink(LOOPBACK), doing: "asking for the loopback link" };
    this.#requests.splice(0, Infinity, { request, expected: 0 });
    this.#frames.length = 0;
    this.#flushFrames();
    this.flush();
  }

  /** Lets the queued adverts leave. */
  flushAdverts(): void {
    for (const port of this.#dirty) {
      if (this.#ports.has(port) || port.fd < 0) this.#complain(port.batch.flush(), port);
    }
    this.#dirty.length = 0;
  }

  /** Lets everything that is queued happen. */
  flush(): void {
    this.flushAdverts();
    if (this.#requests.length > 0) this.#flushRequests();
    if (this.#frames.length > 0) this.#flushFrames();
  }

  #flushRequests(): void {
    const queued = this.#requests.splice(0);
    try {
      const verdicts = this.#netlink.perform(queued.map((one) => one.request));
      for (const [i, verdict] of verdicts.entries()) {
        const isExpected = verdict?.code === queued[i]!.expected || verdict?.code === ENODEV;
        if (verdict !== undefined && !isExpected) this.#refused(verdict);
      }
    } catch (error) {
      this.#refused(error);
    }
  }

  #flushFrames(): void {
    const queued = this.#frames.splice(0);
    try {
      this.#frameBatch ??= new SendBatch(this.#announcer, FRAMES_PER_CALL);
      // In rounds: every address is announced once before any is announced again.
      const rounds = Math.max(0, ...queued.map((one) => one.repeat));
      for (let round = 0; round < rounds; round++) {
        for (const { frame, to, repeat } of queued) {
          if (round >= repeat) continue;
          const error = this.#frameBatch.add(frame, frame.bytes.length, to);
          if (error !== undefined) this.#refused(error);
        }
      }
      const error = this.#frameBatch.flush();
      if (error !== undefined) this.#refused(error);
    } catch (error) {
      this.#refused(error);
    }
  }

  #linkOf(device: string, doing: string): Link | undefined {
    const link = this.#links.byName(device);
    if (link === undefined) this.#log("error", `No interface ${device} while ${doing}`);
    return link;
  }

  #complain(error: SysError | undefined, port: Port): void {
    if (error !== undefined) this.#log("error", `${error.message} over ${port.link.name}`);
  }

  #refused(error: unknown): void {
    if (!(error instanceof SysError)) throw error;
    this.#log("error", error.message);
  }
}

function joinGroup(fd: number, group: Address, link: Link): void {
  const membership = ipMreqn(group, link.index);
  setOption(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0);
  setOption(fd, IPPROTO_IP, IP_MULTICAST_TTL, TTL);
  setOptionBytes(fd, IPPROTO_IP, IP_MULTICAST_IF, membership);
  setOptionBytes(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership);
}

function isSameGroup(a: Address | undefined, b: Address | undefined): boolean {
  return a === undefined || b === undefined ? a === b : compareAddress(a, b) === 0;
}

function describe(doing: string, held: Held): string {
  return `${doing} ${formatAddress(held.address)}/${held.spec.prefixLength} on ${held.device}`;
}

const TOS_INTERNETWORK_CONTROL = 0xc0;
const TTL = 255;
const AUTH_PASS = 1;

/**
 * An instance's advert as whole IPv4 packets, one for its group or for each of its peers. They are made
 * once and sent as they are until something in them changes; the kernel fills in the identification.
 */
export function advertPackets(
  instance: VrrpInstance,
  priority: number,
  source: Address,
): readonly Packet[] {
  const { version, authentication } = instance;
  const hasPass = version === 2 && authentication?.auth_type === "PASS";
  const advert = {
    version,
    vrid: instance.virtual_router_id,
    priority,
    advertisementIntervalUs: instance.advert_int,
    addresses: advertisedAddresses(instance),
    authType: hasPass ? AUTH_PASS : 0,
    authData: passData(hasPass ? authentication.auth_pass : ""),
  };
  return advertDestinations(instance).map((destination) => {
    const ends = { source, destination };
    const message = encodeAdvert(advert, ends);
    const header = encodeIpv4Header({
      ...ends,
      protocol: IPPROTO_VRRP,
      payloadLength: message.length,
      ttl: TTL,
      tos: TOS_INTERNETWORK_CONTROL,
    });
    const bytes = new Memory(header.length + message.length);
    bytes.bytes.set(header);
    bytes.bytes.set(message, header.length);
    return { bytes, to: sockaddrIn(destination) };
  });
}

/** An IPv4 packet of protocol 112 as a socket delivers it; undefined when it is no such thing. */
export function readPacket(bytes: Uint8Array): Received | undefined {
  const header = decodeIpv4(bytes);
  if (typeof header === "string") return undefined;
  const message = bytes.subarray(header.headerLength, header.totalLength);
  return {
    vrid: message[1] ?? 0,
    source: header.source,
    destination: header.destination,
    ttl: header.ttl,
    length: message.length,
    versionType: message[0] ?? 0,
    authType: message[4] ?? 0,
    interval: message[5] ?? 0,
    advert: decodeAdvert(message, header),
  };
}

/** Whether authentication data are what auth_pass makes of them; takes the same time for any data. */
export function hasSecret(data: Uint8Array, authPass: string): boolean {
  return equalAuth(data, passData(authPass));
}
