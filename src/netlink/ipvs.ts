/**
 * IPVS, the kernel's load balancer, over generic netlink (linux/ip_vs.h): its services. A service is
 * known by family, protocol, address and port, or by a firewall mark; behind it are destinations
 * (`ipvs_destination.ts`). Every request names the family's number,
 * which {@link encodeGetFamily} asks for under IPVS_GENL_NAME.
 *
 * Addresses are 16 bytes in both families, ports in network order; an IPv4 netmask is four bytes in
 * network order, an IPv6 one a prefix length.
 *
 * ```
 * | command, version 1 | IPVS_CMD_ATTR_SERVICE { key, scheduler, flags, ... }
 * ```
 */

import { type Address, type Family } from "../lib/address.ts";
import { addressLength, familyNumber, familyOfNumber } from "./family.ts";
import { encodeGeneric, genericAttributes } from "./generic.ts";
import { type Stats, StatsReader } from "./ipvs_stats.ts";
import {
  type AttributeReader,
  type AttributeWriter,
  get32,
  NLA_F_NESTED,
  NLM_F_ACK,
  NLM_F_DUMP,
  put32,
} from "./message.ts";

/** Name and version of the family. */
export const IPVS_GENL_NAME = "IPVS";
/** The version its messages carry. */
export const IPVS_GENL_VERSION = 1;

const IPVS_CMD_NEW_SERVICE = 1;
const IPVS_CMD_SET_SERVICE = 2;
const IPVS_CMD_DEL_SERVICE = 3;
const IPVS_CMD_GET_SERVICE = 4;
const IPVS_CMD_ZERO = 16;
const IPVS_CMD_FLUSH = 17;

/** Of every request about a service or its destinations: which service. */
export const IPVS_CMD_ATTR_SERVICE = 1;

const IPVS_SVC_ATTR_AF = 1;
const IPVS_SVC_ATTR_PROTOCOL = 2;
const IPVS_SVC_ATTR_ADDR = 3;
const IPVS_SVC_ATTR_PORT = 4;
const IPVS_SVC_ATTR_FWMARK = 5;
const IPVS_SVC_ATTR_SCHED_NAME = 6;
const IPVS_SVC_ATTR_FLAGS = 7;
const IPVS_SVC_ATTR_TIMEOUT = 8;
const IPVS_SVC_ATTR_NETMASK = 9;
const IPVS_SVC_ATTR_STATS = 10;
const IPVS_SVC_ATTR_PE_NAME = 11;
const IPVS_SVC_ATTR_STATS64 = 12;

/** Flags of a service: one client's connections go to one destination. */
export const IP_VS_SVC_F_PERSISTENT = 0x1;
/** Set by the kernel when the service is in its table. */
export const IP_VS_SVC_F_HASHED = 0x2;
/** Each datagram is scheduled by itself (UDP). */
export const IP_VS_SVC_F_ONEPACKET = 0x4;
/** For the scheduler to interpret: sh-fallback, mh-fallback. */
export const IP_VS_SVC_F_SCHED1 = 0x8;
/** For the scheduler to interpret: sh-port, mh-port. */
export const IP_VS_SVC_F_SCHED2 = 0x10;
/** For the scheduler to interpret. */
export const IP_VS_SVC_F_SCHED3 = 0x20;

/** Bytes of an address of either family, a `union nf_inet_addr`. */
export const IP_VS_ADDRESS_LENGTH = 16;
const FLAGS_LENGTH = 8;
const EVERY_BIT = 0xffffffff;

/** What tells one service from another. */
export type ServiceKey =
  | {
    readonly family: Family;
    /** IPPROTO_TCP 6, IPPROTO_UDP 17 or IPPROTO_SCTP 132. */
    readonly protocol: number;
    readonly address: Address;
    /** 0: every port, of a persistent service. */
    readonly port: number;
    readonly fwmark?: never;
  }
  | {
    readonly family: Family;
    /** Packets with this mark, not 0. */
    readonly fwmark: number;
    readonly address?: never;
  };

/** How a service works. */
export interface ServiceSettings {
  /** Name of the scheduler, at most 15 bytes. */
  readonly scheduler: string;
  /** IP_VS_SVC_F_*. */
  readonly flags: number;
  /** Seconds for which a client stays with its destination, when persistent; else 0. */
  readonly timeout: number;
  /** Clients that are one when persistent: a mask of 32 bits (IPv4), a prefix length (IPv6). */
  readonly netmask: number;
  /** Name of the persistence engine. */
  readonly persistenceEngine?: string;
}

/** A service to make. */
export type Service = ServiceKey & ServiceSettings;

/** A service as the kernel describes it. */
export type ListedService = Service & { readonly stats: Stats };

type Seen<T> = { -readonly [K in keyof T]?: T[K] };

/** Makes a service; EEXIST when it is there, ENOENT when there is no such scheduler or engine. */
export function encodeNewService(family: number, service: Service): Uint8Array {
  return requestService(family, IPVS_CMD_NEW_SERVICE, (w) => {
    writeServiceKey(w, service);
    writeSettings(w, service);
  });
}

/** Changes the settings of a service; ESRCH when it is not there. */
export function encodeSetService(family: number, service: Service): Uint8Array {
  return requestService(family, IPVS_CMD_SET_SERVICE, (w) => {
    writeServiceKey(w, service);
    writeSettings(w, service);
  });
}

/** Removes a service with its destinations; ESRCH when it is not there. */
export function encodeDeleteService(family: number, key: ServiceKey): Uint8Array {
  return requestService(family, IPVS_CMD_DEL_SERVICE, (w) => writeServiceKey(w, key));
}

/** Asks for every service; replies are read by {@link decodeService} up to NLMSG_DONE. */
export function encodeDumpServices(family: number): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_GET_SERVICE), NLM_F_DUMP, () => {});
}

/** Asks for one service; the reply is read by {@link decodeService}; ESRCH when it is not there. */
export function encodeGetService(family: number, key: ServiceKey): Uint8Array {
  return requestService(family, IPVS_CMD_GET_SERVICE, (w) => writeServiceKey(w, key));
}

/** Sets the statistics of a service and its destinations, or of all services, to zero. */
export function encodeZero(family: number, key?: ServiceKey): Uint8Array {
  const to = ipvsCommand(family, IPVS_CMD_ZERO);
  if (key === undefined) return encodeGeneric(to, NLM_F_ACK, () => {});
  return requestService(family, IPVS_CMD_ZERO, (w) => writeServiceKey(w, key));
}

/** Removes every service. */
export function encodeFlush(family: number): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_FLUSH), NLM_F_ACK, () => {});
}

/** Which command of the family a request is. */
export function ipvsCommand(family: number, number: number): Parameters<typeof encodeGeneric>[0] {
  return { family, version: IPVS_GENL_VERSION, command: number };
}

function requestService(
  family: number,
  number: number,
  write: (w: AttributeWriter) => void,
): Uint8Array {
  return encodeGeneric(ipvsCommand(family, number), NLM_F_ACK, (w) => {
    w.nest(IPVS_CMD_ATTR_SERVICE | NLA_F_NESTED, () => write(w));
  });
}

/** Appends the attributes that tell a service from the others. */
export function writeServiceKey(w: AttributeWriter, key: ServiceKey): void {
  w.u16(IPVS_SVC_ATTR_AF, familyNumber(key.family));
  if (key.fwmark !== undefined) {
    w.u32(IPVS_SVC_ATTR_FWMARK, key.fwmark);
    return;
  }
  w.u16(IPVS_SVC_ATTR_PROTOCOL, key.protocol);
  w.bytes(IPVS_SVC_ATTR_ADDR, wide(key.address));
  w.be16(IPVS_SVC_ATTR_PORT, key.port);
}

function writeSettings(w: AttributeWriter, service: Service): void {
  const { persistenceEngine, flags, netmask } = service;
  w.text(IPVS_SVC_ATTR_SCHED_NAME, service.scheduler);
  if (persistenceEngine !== undefined) w.text(IPVS_SVC_ATTR_PE_NAME, persistenceEngine);
  // struct ip_vs_flags: the flags, and which of them count.
  const both = new Uint8Array(FLAGS_LENGTH);
  put32(both, 0, flags);
  put32(both, 4, EVERY_BIT);
  w.bytes(IPVS_SVC_ATTR_FLAGS, both);
  w.u32(IPVS_SVC_ATTR_TIMEOUT, service.timeout);
  if (service.family === 4) w.be32(IPVS_SVC_ATTR_NETMASK, netmask);
  else w.u32(IPVS_SVC_ATTR_NETMASK, netmask);
}

/** An address as a `union nf_inet_addr`. */
export function wide(address: Address): Uint8Array {
  const bytes = new Uint8Array(IP_VS_ADDRESS_LENGTH);
  bytes.set(address);
  return bytes;
}

/** The service that a reply describes; undefined when malformed or not about one. */
export function decodeService(payload: Uint8Array): ListedService | undefined {
  let service: ListedService | undefined;
  const r = genericAttributes(payload);
  while (r.next()) {
    if (r.type === IPVS_CMD_ATTR_SERVICE) r.nest((inside) => service = readService(inside));
  }
  return r.short ? undefined : service;
}

/** A service's key as it is read: every part, whatever it will turn out to be. */
interface KeyParts {
  family: Family | undefined;
  protocol: number;
  address: Uint8Array | undefined;
  port: number;
  fwmark: number;
}

function readService(r: AttributeReader): ListedService | undefined {
  const settings: Seen<ServiceSettings> = {};
  const key: KeyParts = { family: undefined, protocol: 0, address: undefined, port: 0, fwmark: 0 };
  const stats = new StatsReader();
  let mask = new Uint8Array(4);
  while (r.next()) {
    readKey(r, key);
    readSettings(r, settings);
    if (r.type === IPVS_SVC_ATTR_NETMASK) mask = new Uint8Array(r.bytes(4));
    if (r.type === IPVS_SVC_ATTR_STATS) stats.read(r, false);
    if (r.type === IPVS_SVC_ATTR_STATS64) stats.read(r, true);
  }
  const { family, protocol, address, port, fwmark } = key;
  const { scheduler, flags = 0, timeout = 0, ...engine } = settings;
  if (r.short || family === undefined || scheduler === undefined) return undefined;
  const netmask = get32(family === 4 ? mask.reverse() : mask, 0);
  const rest = { scheduler, flags, timeout, netmask, ...engine, stats: stats.finish() };
  if (fwmark !== 0) return { family, fwmark, ...rest };
  if (address === undefined) return undefined;
  return { family, protocol, address: address.slice(0, addressLength(family)), port, ...rest };
}

function readKey(r: AttributeReader, key: KeyParts): void {
  switch (r.type) {
    case IPVS_SVC_ATTR_AF:
      key.family = familyOfNumber(r.u16());
      return;
    case IPVS_SVC_ATTR_PROTOCOL:
      key.protocol = r.u16();
      return;
    case IPVS_SVC_ATTR_ADDR:
      key.address = r.bytes(IP_VS_ADDRESS_LENGTH);
      return;
    case IPVS_SVC_ATTR_PORT:
      key.port = r.be16();
      return;
    case IPVS_SVC_ATTR_FWMARK:
      key.fwmark = r.u32();
      return;
  }
}

function readSettings(r: AttributeReader, settings: Seen<ServiceSettings>): void {
  switch (r.type) {
    case IPVS_SVC_ATTR_SCHED_NAME:
      settings.scheduler = r.text();
      return;
    case IPVS_SVC_ATTR_PE_NAME:
      settings.persistenceEngine = r.text();
      return;
    case IPVS_SVC_ATTR_FLAGS:
      settings.flags = get32(r.bytes(FLAGS_LENGTH), 0);
      return;
    case IPVS_SVC_ATTR_TIMEOUT:
      settings.timeout = r.u32();
      return;
  }
}
