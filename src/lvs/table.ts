/** IPVS's table as a value: services by key, each with its destinations by key. */

import { formatAddress } from "../lib/address.ts";
import type { Service, ServiceKey } from "../netlink/ipvs.ts";
import type { Destination, DestinationKey } from "../netlink/ipvs_destination.ts";

/** A service with its destinations by {@link destinationId}. */
export interface Entry {
  readonly service: Service;
  readonly destinations: ReadonlyMap<string, Destination>;
}

/** Services by {@link serviceId}. */
export type Table = ReadonlyMap<string, Entry>;

const PROTOCOLS: ReadonlyMap<number, string> = new Map([[6, "tcp"], [17, "udp"], [132, "sctp"]]);

/** What tells a service from others, for people too: `192.0.2.1:tcp:80`, `FWM 7`, `FWM 7 IPv6`. */
export function serviceId(key: ServiceKey): string {
  if (key.fwmark !== undefined) return `FWM ${key.fwmark}${key.family === 6 ? " IPv6" : ""}`;
  const protocol = PROTOCOLS.get(key.protocol) ?? `${key.protocol}`;
  return `${hostText(key)}:${protocol}:${key.port}`;
}

/** What tells a destination from the others of its service: `192.0.2.10:80`. */
export function destinationId(key: DestinationKey): string {
  return `${hostText(key)}:${key.port}`;
}

function hostText({ address }: { readonly address: Uint8Array }): string {
  const text = formatAddress(address);
  return address.length === 4 ? text : `[${text}]`;
}
