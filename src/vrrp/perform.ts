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
import type { ReceiveBuffer } from "../lib/receive_buffer.ts";
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
import { type Evidence, KNOWN_SUSPECTS, pidOfPort } from "./repair.ts";
import type { RemovedAddress } from "./repairs.ts";

/** The loopback's index in every namespace. */
const LOOPBACK = 1;
/** Room for the notifications of thousands of links and addresses that change at once. */
const MONITOR_BYTES = 4 * 1024 * 1024;

/** A request to be made at the end of the turn. */
export interface Queued {
  readonly request: Request;
  /** The errno that means it was not needed. */
  readonly expected: number;
  /** No refusal is worth a line. */
  readonly quiet?: boolean;
  /** What is added, by what {@link Kernel.isComing} knows it. */
  readonly coming?: object;
  /** Called when the kernel will not have it. */
  readonly refused?: () => void;
}

/** What may differ when an address is added. */
export interface AddOptions {
  /** Without duplicate address detection, whatever the configuration says. */
  readonly nodad?: boolean;
  /** Called when the kernel will not have it. */
  readonly refused?: () => void;
}

/** Keeps away packets for addresses that are not to be reached. */
export interface Guard {
  /** Addresses are about to come: those that need it are guarded. */
  close(): void;
  /** Addresses have gone: the rest is not guarded any more. */
  open(): void;
}

/** Is told what becomes of our addresses while the link table is brought up to date. */
export interface AddressListener {
  /** Whether an address comes and goes by our own doing, so that nobody need look at the links again. */
  isOurs(address: Address): boolean;
  /** One of ours is there, or has changed. */
  changed(address: InterfaceAddress): void;
  /** One of ours is gone, whoever has removed it. */
  removed(address: RemovedAddress): void;
  /** A link is down or gone, by the doing of whoever has this netlink port; 0: the kernel does not tell. */
  linkDown(name: string, port: number): void;
  /** Notifications were lost; the table was read anew. */
  missed(): void;
}

/** What a configuration says of the receive buffers of netlink. */
type Buffers = { readonly [K in "netlink_cmd" | "netlink_monitor"]?: ReceiveBuffer | undefined };

/** The kernel, as the vrrp role uses it. */
export class Kernel {
  /** Hears of links and addresses; the loop watches its descriptor. */
  readonly monitor = new NetlinkMonitor(
    [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
    MONITOR_BYTES,
  );
  #buffers: Buffers = {};
  readonly #monitors = [this.monitor];
  readonly #netlink = new Netlink();
  readonly #links: LinkTable;
  readonly #log: (level: LogLevel, text: string) => void;
  readonly #requests: Queued[] = [];
  /** What is to be added by them. */
  readonly #coming = new Set<object>();
  /** Is told what the kernel refuses. */
  readonly refused = (error: unknown): void => this.#refused(error);
  /** The sockets for adverts. */
  readonly ports = new Ports(this.refused);
  /** The socket for announcements. */
  readonly announcer: Announcer;
  /** Undefined while no address needs one. */
  guard: Guard | undefined;

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

  /** A monitor of these groups, for whoever hears of other things. Throws SysError. */
  listen(groups: readonly number[]): NetlinkMonitor {
    const monitor = new NetlinkMonitor(groups, MONITOR_BYTES);
    this.#monitors.push(monitor);
    this.#resize(monitor, this.#buffers.netlink_monitor);
    return monitor;
  }

  /** How much may wait in the sockets of netlink. */
  setBuffers({ netlink_cmd, netlink_monitor }: Buffers): void {
    this.#buffers = { netlink_cmd, netlink_monitor };
    this.#resize(this.#netlink, netlink_cmd);
    for (const one of this.#monitors) this.#resize(one, netlink_monitor);
  }

  #resize(socket: Netlink | NetlinkMonitor, buffer: ReceiveBuffer | undefined): void {
    try {
      socket.resize(buffer);
    } catch (error) {
      this.#refused(error);
    }
  }

  /**
   * Brings the link table up to date with what the kernel has told. Whether anything changed besides
   * addresses that are ours.
   */
  readMonitor(listener: AddressListener): boolean {
    let changed = false;
    const complete = this.monitor.receive((message) => {
      if (this.#hear(message, listener)) changed = true;
    });
    if (complete) return changed;
    this.#log("warning", "Netlink: Receive buffer overrun on monitor socket - reading all again");
    this.#dump();
    listener.missed();
    return true;
  }

  #dump(): void {
    const links = encodeDumpLinks();
    const addresses = encodeDumpAddresses();
    this.#links.clear();
    this.#netlink.dump(links, "listing the links", (message) => this.#hear(message));
    this.#netlink.dump(addresses, "listing the addresses", (message) => this.#hear(message));
  }

  #hear(message: Message, listener?: AddressListener): boolean {
    const { type, payload } = message;
    if (type === RTM_NEWLINK || type === RTM_DELLINK) {
      const link = decodeLink(payload);
      if (link === undefined) return false;
      if (type === RTM_NEWLINK) this.#links.setLink(link);
      else this.#links.removeLink(link.index);
      if (type === RTM_DELLINK || !link.up) listener?.linkDown(link.name, message.pid);
      return true;
    }
    if (type !== RTM_NEWADDR && type !== RTM_DELADDR) return false;
    const found = decodeAddressMessage(payload);
    if (found === undefined) return false;
    const isOurs = listener?.isOurs(found.address) === true;
    if (type === RTM_NEWADDR) {
      this.#links.setAddress(found);
      if (isOurs) listener?.changed(found);
      return !isOurs;
    }
    this.#links.removeAddress(found);
    const { index, address } = found;
    if (isOurs) listener?.removed({ index, address, port: message.pid });
    return !isOurs;
  }

  /** Queues adding an address to its link. */
  queueAdd(held: Held, { nodad = false, refused }: AddOptions = {}): void {
    const link = this.#linkOf(held.device, `adding ${formatAddress(held.address)}`);
    if (link === undefined) return;
    const wanted = nodad ? { ...held, spec: { ...held.spec, dad: false } } : held;
    const bytes = encodeNewAddress(kernelAddress(wanted, link.index));
    const request = { bytes, doing: describe("adding", held) };
    this.queue({ request, expected: EEXIST, coming: held, ...(refused && { refused }) });
  }

  /** Queues any other change. */
  queue(change: Queued): void {
    if (change.coming !== undefined) this.#coming.add(change.coming);
    this.#requests.push(change);
  }

  /** Whether something is queued to be added. */
  isComing(what: object): boolean {
    return this.#coming.has(what);
  }

  /** Makes changes at once, ahead of all that is queued; the verdict on each, undefined for success. */
  perform(requests: readonly Request[]): (SysError | undefined)[] {
    try {
      return this.#netlink.perform(requests);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return requests.map(() => error);
    }
  }

  /** The link of a name, brought up to date with the kernel; undefined when there is none. */
  refresh(name: string): Link | undefined {
    try {
      const doing = `asking for the link ${name}`;
      this.#netlink.dump(encodeGetLink(name), doing, (message) => this.#hear(message));
    } catch (error) {
      const isMissing = error instanceof SysError && error.code === ENODEV;
      if (!isMissing) this.#refused(error);
      return undefined;
    }
    return this.#links.byName(name);
  }

  /** Hands every object of a dump to `each`; a refusal is logged, and there are none. */
  dump(request: Uint8Array, doing: string, each: (message: Message) => void): void {
    try {
      this.#netlink.dump(request, doing, each);
    } catch (error) {
      this.#refused(error);
    }
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
    this.#coming.clear();
    this.announcer.rehearse();
    this.flush();
  }

  /** Lets everything that is queued happen. */
  flush(): void {
    this.ports.flush();
    this.guard?.close();
    if (this.#requests.length > 0) this.#flushRequests();
    this.guard?.open();
    this.announcer.flush();
  }

  #flushRequests(): void {
    const queued = this.#requests.splice(0);
    this.#coming.clear();
    try {
      const verdicts = this.#netlink.perform(queued.map((one) => one.request));
      for (const [i, verdict] of verdicts.entries()) {
        if (verdict === undefined) continue;
        const { expected, quiet, refused } = queued[i]!;
        if (verdict.code === expected || verdict.code === ENODEV) continue;
        if (quiet !== true) this.#refused(verdict);
        refused?.();
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

/**
 * What the system knows of the process behind a netlink port. `thorough` also looks for programs that are
 * known to remove addresses, which takes some milliseconds on a busy host.
 */
export function gatherEvidence(port: number, thorough: boolean): Evidence {
  const pid = pidOfPort(port);
  const program = pid === undefined ? undefined : readProc(`${pid}/comm`);
  return { port, program, suspects: thorough ? findSuspects() : [] };
}

function findSuspects(): string[] {
  // Loaded only here: the start can do without.
  const { readdirSync } = process.getBuiltinModule("node:fs");
  const names = readdirSync("/proc").filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readProc(`${pid}/comm`) ?? []);
  return [...new Set(names)].filter((name) => KNOWN_SUSPECTS.has(name));
}

/** A line of /proc; undefined when the process has gone. */
function readProc(path: string): string | undefined {
  const { readFileSync } = process.getBuiltinModule("node:fs");
  try {
    return readFileSync(`/proc/${path}`, "utf8").trimEnd();
  } catch {
    return undefined;
  }
}

function describe(doing: string, held: Held): string {
  return `${doing} ${formatAddress(held.address)}/${held.spec.prefixLength} on ${held.device}`;
}
