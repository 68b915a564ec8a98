/**
 * What an instance stands on: its link, the address it speaks with and the socket for its adverts. Whenever
 * one of them may have changed, {@link Footing.assess} makes them current and says what is missing.
 */

import type { VrrpGlobals, VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, formatAddress, parseAddress } from "../lib/address.ts";
import type { Link } from "../netlink/link.ts";
import { deviceOf, type FaultReason, sourceOf, trackedLinks, virtualRouter } from "./instance.ts";
import { isLinkLocal, type LinkTable } from "./links.ts";
import { protocolOf } from "./packets.ts";
import type { Kernel } from "./perform.ts";
import { isSameKind, type PortKind } from "./ports.ts";
import type { Reception, Running } from "./reception.ts";
import { forgetPackets, receiveBytes } from "./running.ts";

/** The footing of all instances of a process. */
export class Footing {
  readonly #kernel: Kernel;
  readonly #links: LinkTable;
  readonly #reception: Reception;
  readonly #all: () => Iterable<Running>;
  #globals: VrrpGlobals = {};
  /** The virtual addresses of all instances, as text; undefined when out of date. */
  #virtual: Set<string> | undefined;

  /** `all` are the instances there are. */
  constructor(
    kernel: Kernel,
    links: LinkTable,
    reception: Reception,
    all: () => Iterable<Running>,
  ) {
    this.#kernel = kernel;
    this.#links = links;
    this.#reception = reception;
    this.#all = all;
  }

  /** What holds for the receive buffers of all ports. */
  setGlobals(globals: VrrpGlobals): void {
    this.#globals = globals;
    const ports = new Set([...this.#all()].map(({ port }) => port));
    for (const port of ports) this.sizeBuffer(port);
  }

  /** The addresses of instances are to be looked at anew. */
  instancesChanged(): void {
    this.#virtual = undefined;
  }

  /** What keeps an instance from taking part, after making its port and router current. */
  assess(running: Running): FaultReason | undefined {
    const { instance } = running;
    const isUnicast = instance.unicast_peer.length > 0;
    if (instance.configuration_fault !== undefined) return "configuration";
    if (!isUnicast && instance.unicast_fault_no_peer === true) return "no-peer";
    const device = deviceOf(instance);
    const link = device === undefined ? undefined : this.#links.byName(device);
    const vmac = running.vmac === undefined ? undefined : this.#links.byName(running.vmac);
    const isOnVmac = running.vmac !== undefined && instance.vmac_xmit_base !== true;
    const speaker = isOnVmac ? vmac : link;
    const own = this.#sourceAddress(instance, link, speaker);
    if (own !== undefined) {
      if (compareAddress(own, running.router.address) !== 0) forgetPackets(running);
      running.router = virtualRouter(instance, own, running.standing?.priority);
    }
    const isLost = link === undefined && (device !== undefined || !isUnicast);
    const isHomeless = isOnVmac && vmac === undefined;
    const kind = isLost || isHomeless ? undefined : portKind(instance, speaker, own);
    if (running.port !== undefined && (kind === undefined || !isSameKind(running.port, kind))) {
      this.leave(running);
    }
    if (isLost) return "no-link";
    const isTracked = instance.dont_track_primary !== true;
    if (isTracked && link !== undefined && !this.#links.works(link.name)) return "link-down";
    if (running.vmac !== undefined && vmac === undefined) return "no-vmac";
    // Whether it can carry packets is the link below's to say, and that may have said it just now.
    if (isTracked && vmac?.up === false) return "vmac-down";
    if (this.#hasBrokenRoute(instance)) return "route-link";
    if (own === undefined) return sourceOf(instance) === undefined ? "no-address" : "no-source";
    if (running.port === undefined) this.#joinPort(running, kind!);
    return running.port === undefined ? "no-address" : undefined;
  }

  #hasBrokenRoute(instance: VrrpInstance): boolean {
    if (instance.virtual_routes === undefined && instance.virtual_rules === undefined) return false;
    return trackedLinks(instance).some((name) => !this.#links.works(name));
  }

  /** Where an instance's adverts come from; undefined while there is no such address. */
  #sourceAddress(
    instance: VrrpInstance,
    link: Link | undefined,
    speaker: Link | undefined,
  ): Address | undefined {
    const { family, unicast_peer } = instance;
    const wanted = sourceOf(instance);
    const isUnicast = unicast_peer.length > 0;
    if (wanted !== undefined) {
      const address = parseAddress(wanted)!;
      // Multicast adverts are heard, and answered to the group, wherever they come from.
      const mayBeForeign = family === 4 && !isUnicast && instance.track_src_ip !== true;
      return mayBeForeign || this.#links.isUsable(address) ? address : undefined;
    }
    if (link === undefined) return undefined;
    const isVirtual = (one: Address): boolean => this.isVirtual(one);
    // A VMAC has one for this alone.
    if (speaker !== link && family === 6) {
      return speaker && this.#links.linkLocal(speaker.index, isVirtual);
    }
    // RFC 9568 §5.1.2.1: link-local; towards peers, what reaches them.
    const peer = parseAddress(unicast_peer[0]?.address ?? "");
    const linkLocal = peer === undefined || isLinkLocal(peer);
    return this.#links.primaryAddress(link.index, family, isVirtual, linkLocal);
  }

  /** Whether an address is one that our instances move: it is no link's own. */
  isVirtual(address: Address): boolean {
    this.#virtual ??= new Set(
      [...this.#all()].flatMap((one) => one.held.map((held) => held.spec.address)),
    );
    return this.#virtual.has(formatAddress(address));
  }

  #joinPort(running: Running, kind: PortKind): void {
    const port = this.#kernel.ports.portFor(kind);
    if (port === undefined) return;
    running.port = port;
    this.#reception.join(running);
    if (receiveBytes(running.instance, this.#globals, 1) > 0) this.sizeBuffer(port);
  }

  /** Gives up the port of an instance. */
  leave(running: Running): void {
    const { port } = running;
    running.port = undefined;
    forgetPackets(running);
    if (port !== undefined && this.#reception.leave(running, port)) this.#kernel.ports.close(port);
  }

  /** The receive buffer of a port has room for what its users want. */
  sizeBuffer(port: Running["port"]): void {
    if (port === undefined) return;
    const users = this.#reception.usersOf(port);
    const sizes = users.map(({ instance }) =>
      receiveBytes(instance, this.#globals, port.link?.mtu ?? 0)
    );
    this.#kernel.ports.setReceiveBuffer(port, sizes.reduce((sum, one) => sum + one, 0));
  }
}

/** The port an instance's adverts need. */
function portKind(
  instance: VrrpInstance,
  link: Link | undefined,
  source: Address | undefined,
): PortKind {
  const { family, unicast_peer, unicast_ttl, mcast_group } = instance;
  const isUnicast = unicast_peer.length > 0;
  return {
    family,
    protocol: protocolOf(instance),
    link,
    group: isUnicast ? undefined : parseAddress(mcast_group),
    source: family === 6 ? source : undefined,
    hops: family === 6 && isUnicast ? unicast_ttl : undefined,
  };
}
