/** What a virtual server and the health of its real servers want of IPVS: services and destinations. */

import type { Forwarding, GroupEntry, RealServer, VirtualServer } from "../config/lvs.ts";
import { type Address, type Family, familyOf, parseAddress } from "../lib/address.ts";
import { assert } from "../lib/assert.ts";
import {
  IP_VS_SVC_F_ONEPACKET,
  IP_VS_SVC_F_PERSISTENT,
  IP_VS_SVC_F_SCHED1,
  IP_VS_SVC_F_SCHED2,
  IP_VS_SVC_F_SCHED3,
  type Service,
  type ServiceKey,
} from "../netlink/ipvs.ts";
import type { Destination } from "../netlink/ipvs_destination.ts";
import type { Balanced } from "./changes.ts";
import { familiesOf } from "./marks.ts";
import { isServing, isSorry, type Pool, type ServerState, weightOf } from "./quorum.ts";
import { type Entry, serviceId } from "./table.ts";

const PROTOCOL_NUMBERS = { TCP: 6, UDP: 17, SCTP: 132 } as const;
const FORWARDING = { NAT: "masquerade", DR: "route", TUN: "tunnel" } as const;
const WHOLE_MASK = 0xffffffff;
const WHOLE_PREFIX = 128;
const SECOND_US = 1_000_000;
const SORRY_WEIGHT = 1;

/** The services that a virtual server stands for: one, or one for each family or member of its group. */
export function servicesOf({ server, entries, mark }: Balanced): Service[] {
  const { target } = server;
  if (mark !== undefined) {
    return familiesOf(entries).map((family) =>
      withSettings(server, markService(server, mark, family))
    );
  }
  if (target.type === "group") return entries.flatMap((entry) => servicesOfEntry(server, entry));
  if (target.type === "fwmark") return [withSettings(server, markService(server, target.fwmark))];
  return [withSettings(server, addressKey(server, addressOf(target.address), target.port))];
}

/** The ids of the services that a virtual server may stand for: perhaps the kernel cannot mark packets. */
export function idsOf(balanced: Balanced): string[] {
  const services = servicesOf(balanced);
  if (balanced.mark !== undefined) services.push(...servicesOf({ ...balanced, mark: undefined }));
  return services.map(serviceId);
}

function servicesOfEntry(server: VirtualServer, entry: GroupEntry): Service[] {
  switch (entry.type) {
    case "fwmark":
      return [withSettings(server, markService(server, entry.fwmark, entry.family))];
    case "address":
      return [withSettings(server, addressKey(server, addressOf(entry.address), entry.port))];
    case "range":
      return addressesBetween(addressOf(entry.first), addressOf(entry.last))
        .map((address) => withSettings(server, addressKey(server, address, entry.port)));
  }
}

/** All addresses of a range, both ends included; its ends differ in their last bytes alone. */
export function addressesBetween(first: Address, last: Address): Address[] {
  const found: Address[] = [];
  for (let address = first;;) {
    found.push(address);
    if (address.every((byte, i) => byte === last[i])) return found;
    address = address.slice();
    let at = address.length - 1;
    while (address[at] === 0xff) address[at--] = 0;
    assert(at >= 0, "a range whose end comes before its beginning");
    address[at]!++;
  }
}

function addressOf(text: string): Address {
  const address = parseAddress(text);
  assert(address !== undefined, `${text} is no address`);
  return address;
}

function addressKey(server: VirtualServer, address: Address, port: number): ServiceKey {
  const protocol = PROTOCOL_NUMBERS[server.protocol ?? "UDP"];
  return { family: familyOf(address), protocol, address, port };
}

function markService({ ip_family }: VirtualServer, fwmark: number, family = ip_family): ServiceKey {
  return { family: family ?? 4, fwmark };
}

function withSettings(server: VirtualServer, key: ServiceKey): Service {
  const { persistence_timeout: timeoutUs, persistence_engine: persistenceEngine } = server;
  const flags = (timeoutUs === undefined ? 0 : IP_VS_SVC_F_PERSISTENT) |
    (server.ops ? IP_VS_SVC_F_ONEPACKET : 0) |
    (server["flag-1"] ? IP_VS_SVC_F_SCHED1 : 0) |
    (server["flag-2"] ? IP_VS_SVC_F_SCHED2 : 0) |
    (server["flag-3"] ? IP_VS_SVC_F_SCHED3 : 0);
  return {
    ...key,
    scheduler: server.lvs_sched,
    flags,
    timeout: timeoutUs === undefined ? 0 : timeoutUs / SECOND_US,
    netmask: netmaskOf(key.family, timeoutUs === undefined ? undefined : server),
    ...(persistenceEngine === undefined ? {} : { persistenceEngine }),
  };
}

function netmaskOf(family: Family, server: VirtualServer | undefined): number {
  const granularity = server?.persistence_granularity;
  if (family === 6) return granularity === undefined ? WHOLE_PREFIX : Number(granularity);
  if (granularity === undefined) return WHOLE_MASK;
  return addressOf(granularity).reduce((mask, byte) => mask * 256 + byte, 0);
}

/** A virtual server as it is: what a service's destinations follow from. */
export interface Owner {
  readonly balanced: Balanced;
  readonly pool: Pool;
}

/**
 * What the table is to hold for a service, as the health of its owners' servers is. Thousands are kept, and
 * destinations seldom looked at: they are worked out anew each time.
 */
export class WantedEntry implements Entry {
  readonly service: Service;
  readonly #owners: readonly Owner[];

  /** Of two owners' destinations at one place the first one's counts. */
  constructor(service: Service, owners: readonly Owner[]) {
    this.service = service;
    this.#owners = owners;
  }

  get destinations(): ReadonlyMap<string, Destination> {
    const found = new Map<string, Destination>();
    for (const owner of this.#owners.toReversed()) addDestinations(this.service, owner, found);
    return found;
  }
}

function addDestinations(
  service: Service,
  { balanced: { server }, pool }: Owner,
  destinations: Map<string, Destination>,
): void {
  const add = (name: string, one: Destination): void => {
    // As destinationId would have it, without taking the address apart again.
    const host = name.includes(":") ? `[${name}]` : name;
    destinations.set(`${host}:${one.port}`, one);
  };
  const keepsOut = isSorry(server, pool);
  for (const [i, real] of server.real_servers.entries()) {
    const state = pool.servers[i];
    assert(state !== undefined, `a pool without ${real.address}`);
    const isIn = isServing(state) && !keepsOut;
    if (!isIn && !staysIdle(real, state)) continue;
    add(real.address, {
      ...place(service, real, real.lvs_method),
      weight: isIn ? weightOf(state) : 0,
      upperThreshold: real.uthreshold,
      lowerThreshold: real.lthreshold,
    });
  }
  const { sorry_server: sorry } = server;
  if (sorry !== undefined && (keepsOut || sorry.inhibit)) {
    const bare = { weight: keepsOut ? SORRY_WEIGHT : 0, upperThreshold: 0, lowerThreshold: 0 };
    add(sorry.address, { ...place(service, sorry, sorry.lvs_method), ...bare });
  }
}

/** Whether a server that gets no new connections is in the table all the same. */
function staysIdle({ inhibit_on_failure }: RealServer, state: ServerState): boolean {
  switch (state.order?.type) {
    case "maintenance":
      return false;
    case "drain":
      // Whoever stands in for its pool, those that it serves are to come to their end.
      return inhibit_on_failure || isServing(state);
    case "weight":
    case undefined:
      return inhibit_on_failure;
  }
}

/** Only NAT can change the port on the way. */
function place(
  service: Service,
  { address, port }: { readonly address: string; readonly port: number },
  { method, type = "ipip", port: tunnelPort = 0, checksum = "nocsum" }: Forwarding,
): Pick<Destination, "address" | "port" | "forwarding" | "tunnel"> {
  return {
    address: addressOf(address),
    port: method === "NAT" ? port : service.fwmark === undefined ? service.port : 0,
    forwarding: FORWARDING[method],
    ...(method === "TUN" ? { tunnel: { type, port: tunnelPort, checksum } } : {}),
  };
}
