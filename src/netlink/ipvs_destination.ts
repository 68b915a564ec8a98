/**
 * The destinations of IPVS services (linux/ip_vs.h): servers, each known by its address and port. A
 * request names the service and then the destination.
 *
 * ```
 * | command, version 1 | IPVS_CMD_ATTR_SERVICE { key }
 *                      | IPVS_CMD_ATTR_DEST    { key, forwarding, weight, ... }
 * ```
 */

import { type Address, type Family, familyOf } from "../lib/address.ts";
import { addressLength, familyNumber, familyOfNumber } from "./family.ts";
import { encodeGeneric, genericAttributes } from "./generic.ts";
import {
  IP_VS_ADDRESS_LENGTH,
  IPVS_CMD_ATTR_SERVICE,
  ipvsCommand,
  type ServiceKey,
  wide,
  writeServiceKey,
} from "./ipvs.ts";
import { type Stats, StatsReader } from "./ipvs_stats.ts";
import {
  type AttributeReader,
  type AttributeWriter,
  NLA_F_NESTED,
  NLM_F_ACK,
  NLM_F_DUMP,
} from "./message.ts";

const IPVS_CMD_NEW_DEST = 5;
const IPVS_CMD_SET_DEST = 6;
const IPVS_CMD_DEL_DEST = 7;
const IPVS_CMD_GET_DEST = 8;

const IPVS_CMD_ATTR_DEST = 2;

const IPVS_DEST_ATTR_ADDR = 1;
const IPVS_DEST_ATTR_PORT = 2;
const IPVS_DEST_ATTR_FWD_METHOD = 3;
const IPVS_DEST_ATTR_WEIGHT = 4;
const IPVS_DEST_ATTR_U_THRESH = 5;
const IPVS_DEST_ATTR_L_THRESH = 6;
const IPVS_DEST_ATTR_ACTIVE_CONNS = 7;
const IPVS_DEST_ATTR_INACT_CONNS = 8;
const IPVS_DEST_ATTR_PERSIST_CONNS = 9;
const IPVS_DEST_ATTR_STATS = 10;
const IPVS_DEST_ATTR_ADDR_FAMILY = 11;
const IPVS_DEST_ATTR_STATS64 = 12;
const IPVS_DEST_ATTR_TUN_TYPE = 13;
const IPVS_DEST_ATTR_TUN_PORT = 14;
const IPVS_DEST_ATTR_TUN_FLAGS = 15;

/** How packets reach a destination (IP_VS_CONN_F_*). */
const FORWARDING = { masquerade: 0, local: 1, tunnel: 2, route: 3, bypass: 4 } as const;
/** What is around a packet in a tunnel (IP_VS_CONN_F_TUNNEL_TYPE_*). */
const TUNNELS = { ipip: 0, gue: 1, gre: 2 } as const;
/** Checksums of a tunnel's packets (IP_VS_TUNNEL_ENCAP_FLAG_*). */
const CHECKSUMS = { nocsum: 0, csum: 1, remcsum: 2 } as const;

/** What tells one destination of a service from another. */
export interface DestinationKey {
  /** Of the service's family; in a tunnel of either. */
  readonly address: Address;
  readonly port: number;
}

/** A destination to add to a service. */
export interface Destination extends DestinationKey {
  readonly forwarding: keyof typeof FORWARDING;
  /** 0: gets no new connections. */
  readonly weight: number;
  /** Connections from which on it gets no more; 0: none. */
  readonly upperThreshold: number;
  /** Connections below which it gets some again; 0: three quarters of the upper one. */
  readonly lowerThreshold: number;
  /** Of forwarding "tunnel"; absent: IP in IP. */
  readonly tunnel?: Tunnel;
}

/** What is around a packet on its way to a destination. */
export interface Tunnel {
  readonly type: keyof typeof TUNNELS;
  /** Of the outer UDP header (gue). */
  readonly port: number;
  /** Of the outer header (gue, gre). */
  readonly checksum: keyof typeof CHECKSUMS;
}

/** A destination as the kernel describes it. */
export interface ListedDestination extends Destination {
  readonly tunnel: Tunnel;
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly persistentConnections: number;
  readonly stats: Stats;
}

/** Adds a destination to a service; EEXIST when it has it, ESRCH when there is no such service. */
export function encodeNewDestination(
  family: number,
  key: ServiceKey,
  destination: Destination,
): Uint8Array {
  return requestDestination(family, IPVS_CMD_NEW_DEST, key, destination, destination);
}

/** Changes a destination; ENOENT when the service has none such, ESRCH when it is not there. */
export function encodeSetDestination(
  family: number,
  key: ServiceKey,
  destination: Destination,
): Uint8Array {
  return requestDestination(family, IPVS_CMD_SET_DEST, key, destination, destination);
}

/** Removes a destination; ENOENT when the service has none such, ESRCH when it is not there. */
export function encodeDeleteDestination(
  family: number,
  key: ServiceKey,
  destination: DestinationKey,
): Uint8Array {
  return requestDestination(family, IPVS_CMD_DEL_DEST, key, destination);
}

/** Asks for the destinations of a service; replies are read by {@link decodeDestination}. */
export function encodeDumpDestinations(family: number, key: ServiceKey): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_GET_DEST), NLM_F_DUMP, (w) => {
    w.nest(IPVS_CMD_ATTR_SERVICE | NLA_F_NESTED, () => writeServiceKey(w, key));
  });
}

function requestDestination(
  family: number,
  number: number,
  service: ServiceKey,
  key: DestinationKey,
  settings?: Destination,
): Uint8Array {
  return encodeGeneric(ipvsCommand(family, number), NLM_F_ACK, (w) => {
    w.nest(IPVS_CMD_ATTR_SERVICE | NLA_F_NESTED, () => writeServiceKey(w, service));
    w.nest(IPVS_CMD_ATTR_DEST | NLA_F_NESTED, () => {
      w.u16(IPVS_DEST_ATTR_ADDR_FAMILY, familyNumber(familyOf(key.address)));
      w.bytes(IPVS_DEST_ATTR_ADDR, wide(key.address));
      w.be16(IPVS_DEST_ATTR_PORT, key.port);
      if (settings !== undefined) writeDestination(w, settings);
    });
  });
}

function writeDestination(w: AttributeWriter, it: Destination): void {
  const { type, port, checksum }: Tunnel = it.tunnel ?? IPIP;
  w.u32(IPVS_DEST_ATTR_FWD_METHOD, FORWARDING[it.forwarding]);
  w.u32(IPVS_DEST_ATTR_WEIGHT, it.weight);
  w.u8(IPVS_DEST_ATTR_TUN_TYPE, TUNNELS[type]);
  w.be16(IPVS_DEST_ATTR_TUN_PORT, port);
  w.u16(IPVS_DEST_ATTR_TUN_FLAGS, CHECKSUMS[checksum]);
  w.u32(IPVS_DEST_ATTR_U_THRESH, it.upperThreshold);
  w.u32(IPVS_DEST_ATTR_L_THRESH, it.lowerThreshold);
}

const IPIP: Tunnel = { type: "ipip", port: 0, checksum: "nocsum" };

/** The destination that a reply describes; undefined when malformed or not about one. */
export function decodeDestination(payload: Uint8Array): ListedDestination | undefined {
  let destination: ListedDestination | undefined;
  const r = genericAttributes(payload);
  while (r.next()) {
    if (r.type === IPVS_CMD_ATTR_DEST) r.nest((inside) => destination = readDestination(inside));
  }
  return r.short ? undefined : destination;
}

/** A destination's key as it is read. */
interface KeyParts {
  family: Family | undefined;
  address: Uint8Array | undefined;
  port: number;
}

function readDestination(r: AttributeReader): ListedDestination | undefined {
  const key: KeyParts = { family: undefined, address: undefined, port: 0 };
  const numbers: Numbers = { forwarding: 0, tunnelType: 0, tunnelPort: 0, checksum: 0 };
  const counts: Counts = {
    weight: 0,
    upperThreshold: 0,
    lowerThreshold: 0,
    activeConnections: 0,
    inactiveConnections: 0,
    persistentConnections: 0,
  };
  const stats = new StatsReader();
  while (r.next()) {
    readDestinationKey(r, key);
    readNumbers(r, numbers);
    const count = COUNTS.get(r.type);
    if (count !== undefined) counts[count] = r.u32();
    if (r.type === IPVS_DEST_ATTR_STATS) stats.read(r, false);
    if (r.type === IPVS_DEST_ATTR_STATS64) stats.read(r, true);
  }
  const { family, address, port } = key;
  const forwarding = nameOf(FORWARDING, numbers.forwarding);
  const type = nameOf(TUNNELS, numbers.tunnelType);
  const checksum = nameOf(CHECKSUMS, numbers.checksum);
  if (r.short || family === undefined || address === undefined) return undefined;
  if (forwarding === undefined || type === undefined || checksum === undefined) return undefined;
  return {
    address: address.slice(0, addressLength(family)),
    port,
    forwarding,
    ...counts,
    tunnel: { type, port: numbers.tunnelPort, checksum },
    stats: stats.finish(),
  };
}

/** What has names, as it is read. */
type Numbers = Record<"forwarding" | "tunnelType" | "tunnelPort" | "checksum", number>;

/** What is counted, and what bounds it. */
type Counts = Record<
  | "weight"
  | "upperThreshold"
  | "lowerThreshold"
  | "activeConnections"
  | "inactiveConnections"
  | "persistentConnections",
  number
>;

const COUNTS: ReadonlyMap<number, keyof Counts> = new Map([
  [IPVS_DEST_ATTR_WEIGHT, "weight"],
  [IPVS_DEST_ATTR_U_THRESH, "upperThreshold"],
  [IPVS_DEST_ATTR_L_THRESH, "lowerThreshold"],
  [IPVS_DEST_ATTR_ACTIVE_CONNS, "activeConnections"],
  [IPVS_DEST_ATTR_INACT_CONNS, "inactiveConnections"],
  [IPVS_DEST_ATTR_PERSIST_CONNS, "persistentConnections"],
]);

function readDestinationKey(r: AttributeReader, key: KeyParts): void {
  switch (r.type) {
    case IPVS_DEST_ATTR_ADDR_FAMILY:
      key.family = familyOfNumber(r.u16());
      return;
    case IPVS_DEST_ATTR_ADDR:
      key.address = r.bytes(IP_VS_ADDRESS_LENGTH);
      return;
    case IPVS_DEST_ATTR_PORT:
      key.port = r.be16();
      return;
  }
}

function readNumbers(r: AttributeReader, numbers: Numbers): void {
  switch (r.type) {
    case IPVS_DEST_ATTR_FWD_METHOD:
      numbers.forwarding = r.u32();
      return;
    case IPVS_DEST_ATTR_TUN_TYPE:
      numbers.tunnelType = r.u8();
      return;
    case IPVS_DEST_ATTR_TUN_PORT:
      numbers.tunnelPort = r.be16();
      return;
    case IPVS_DEST_ATTR_TUN_FLAGS:
      numbers.checksum = r.u16();
      return;
  }
}

/** The name of a number; undefined for one that has none. */
function nameOf<Name extends string>(
  names: Readonly<Record<Name, number>>,
  number: number,
): Name | undefined {
  return (Object.keys(names) as Name[]).find((name) => names[name] === number);
}
