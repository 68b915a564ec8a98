/**
 * Where the vrrp role touches the kernel: virtual addresses by rtnetlink, and through ports.ts and
 * announcer.ts adverts, gratuitous ARP and neighbour advertisements. During a turn everything is queued;
 * `flush` then lets all adverts leave first, one sendmmsg a socket, then all address changes, then all
 * announcements.
 *
 * The only place of the role where a SysError ends up.
 */

import { EADDRNOTAVAIL, EEXIST, ENODEV } from "../../ffi/constants.ts";
import { SysError } from "../../ffi/libc.ts";
import { Netlink, NetlinkMonitor, type Request } from "../../ffi/netlink.ts";
import { type Address, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import {
  decodeAddressMessage,
  encodeDeleteAddress,
  encodeDumpAddresses,
  encodeNewAddress,
  type InterfaceAddress,
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
import { type Held, kernelAddress } from "./addresses.ts";
import { Announcer } from "./announcer.ts";
import type { LinkTable } from "./links.ts";
import { Ports } from "./ports.ts";

/** The loopback's index in every namespace. */
const LOOPBACK = 1;
/** Room for the notifications of thousands of links and addresses that change at once. */
const MONITOR_BYTES = 4 * 1024 * 1024;

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
  readonly #requests: { request: Request; expected: number }[] = [];
  /** Is told what the kernel refuses. */
  readonly refused = (error: unknown): void => this.#refused(error);
  /** The sockets for adverts. */
  readonly ports = new Ports(this.refused);
  /** The socket for announcements. */
  readonly announcer: Announcer;

  /** Fills `links` and keeps it current; `announcer` is a packet socket. Throws SysError when the kernel gives no netlink socket. */
  constructor(
    links: LinkTable,
    announcer: number,
    log: (level: LogLevel, text: string) => void,
  ) {
    this.#links = links;
    this.announcer = new Announcer(announcer, this.refused);
    this.#log = log;
    this.#dump();
  }

  /**
   * Brings the link table up to date with what the kernel has told. Whether anything changed besides
   * addresses that `isOurs` claims, which come and go by our own doing; it is told what became of them.
   */
  readMonitor(isOurs: (address: InterfaceAddress, isNew: boolean) => boolean): boolean {
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

  #hear(
    message: Message,
    isOurs: (address: InterfaceAddress, isNew: boolean) => boolean = () => false,
  ): boolean {
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
    return !isOurs(address, type === RTM_NEWADDR);
  }

  /** Queues adding an address to its link; `nodad` leaves out duplicate address detection whatever it says. */
  queueAdd(held: Held, nodad = false): void {
    const link = this.#linkOf(held.device, `adding ${formatAddress(held.address)}`);
    if (link === undefined) return;
    const wanted = nodad ? { ...held, spec: { ...held.spec, dad: false } } : held;
    const bytes = encodeNewAddress(kernelAddress(wanted, link.index));
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
    if (link !== undefined) this.announcer.announce(owner, link, address, repeat);
  }

  /**
   * Forgets what is queued and flushes a request that changes nothing instead, so that no part of a flush
   * is run for the first time when it matters.
   */
  rehearse(): void {
    const request = { bytes: encodeGetLink(LOOPBACK), doing: "asking for the loopback link" };
    this.#requests.splice(0, Infinity, { request, expected: 0 });
    this.announcer.rehearse();
    this.flush();
  }

  /** Lets everything that is queued happen. */
  flush(): void {
    this.ports.flush();
    if (this.#requests.length > 0) this.#flushRequests();
    this.announcer.flush();
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

  #linkOf(device: string, doing: string): Link | undefined {
    const link = this.#links.byName(device);
    if (link === undefined) this.#log("error", `No interface ${device} while ${doing}`);
    return link;
  }

  #refused(error: unknown): void {
    if (!(error instanceof SysError)) throw error;
    this.#log("error", error.message);
  }
}

function describe(doing: string, held: Held): string {
  return `${doing} ${formatAddress(held.address)}/${held.spec.prefixLength} on ${held.device}`;
}
