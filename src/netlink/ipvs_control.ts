/**
 * What IPVS has beside its services (linux/ip_vs.h): the two daemons that keep a second director's
 * connections in step, the timeouts of connections, and the version.
 */

import { type Address, familyOf } from "../lib/address.ts";
import { encodeGeneric, genericAttributes } from "./generic.ts";
import { ipvsCommand } from "./ipvs.ts";
import {
  type AttributeReader,
  type AttributeWriter,
  NLA_F_NESTED,
  NLM_F_ACK,
  NLM_F_DUMP,
} from "./message.ts";

const IPVS_CMD_NEW_DAEMON = 9;
const IPVS_CMD_DEL_DAEMON = 10;
const IPVS_CMD_GET_DAEMON = 11;
const IPVS_CMD_SET_CONFIG = 12;
const IPVS_CMD_GET_CONFIG = 13;
const IPVS_CMD_GET_INFO = 15;

const IPVS_CMD_ATTR_DAEMON = 3;
const IPVS_CMD_ATTR_TIMEOUT_TCP = 4;
const IPVS_CMD_ATTR_TIMEOUT_TCP_FIN = 5;
const IPVS_CMD_ATTR_TIMEOUT_UDP = 6;
const IPVS_DAEMON_ATTR_STATE = 1;
const IPVS_DAEMON_ATTR_MCAST_IFN = 2;
const IPVS_DAEMON_ATTR_SYNC_ID = 3;
const IPVS_DAEMON_ATTR_SYNC_MAXLEN = 4;
const IPVS_DAEMON_ATTR_MCAST_GROUP = 5;
const IPVS_DAEMON_ATTR_MCAST_GROUP6 = 6;
const IPVS_DAEMON_ATTR_MCAST_PORT = 7;
const IPVS_DAEMON_ATTR_MCAST_TTL = 8;
const IPVS_INFO_ATTR_VERSION = 1;
const IPVS_INFO_ATTR_CONN_TAB_SIZE = 2;

/** IP_VS_STATE_* */
const STATES = { master: 1, backup: 2 } as const;

/** Which of the two daemons: the one that tells, or the one that listens. */
export type DaemonState = keyof typeof STATES;

/** A daemon to start. */
export interface SyncDaemon {
  readonly state: DaemonState;
  /** Name of the link that it talks through. */
  readonly link: string;
  /** Directors of one id are in step, 0 to 255. */
  readonly syncId: number;
  /** Bytes of a message; absent: what the link's MTU leaves. */
  readonly maxLength?: number;
  /** Multicast group; absent: 224.0.0.81. */
  readonly group?: Address;
  /** UDP port; absent: 8848. */
  readonly port?: number;
  /** TTL or hop limit of what is sent; absent: 1. */
  readonly ttl?: number;
}

/** Seconds for which an idle connection is remembered; 0 in a request leaves it as it is. */
export interface IpvsTimeouts {
  readonly tcp: number;
  /** After a FIN. */
  readonly tcpFin: number;
  readonly udp: number;
}

/** What the kernel says of its IPVS. */
export interface IpvsInfo {
  /** major << 16 | minor << 8 | patch. */
  readonly version: number;
  /** Buckets of the table of connections. */
  readonly tableSize: number;
}

type Seen<T> = { -readonly [K in keyof T]?: T[K] };

/**
 * Starts a daemon; EEXIST when it runs, ENODEV when there is no such link, EINVAL while a service has
 * destinations of the other family.
 */
export function encodeNewDaemon(family: number, daemon: SyncDaemon): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_NEW_DAEMON), NLM_F_ACK, (w) => {
    w.nest(IPVS_CMD_ATTR_DAEMON | NLA_F_NESTED, () => {
      writeDaemon(w, daemon);
      const { maxLength, group, port, ttl } = daemon;
      if (maxLength !== undefined) w.u16(IPVS_DAEMON_ATTR_SYNC_MAXLEN, maxLength);
      if (port !== undefined) w.u16(IPVS_DAEMON_ATTR_MCAST_PORT, port);
      if (ttl !== undefined) w.u8(IPVS_DAEMON_ATTR_MCAST_TTL, ttl);
      if (group === undefined) return;
      const isSix = familyOf(group) === 6;
      w.bytes(isSix ? IPVS_DAEMON_ATTR_MCAST_GROUP6 : IPVS_DAEMON_ATTR_MCAST_GROUP, group);
    });
  });
}

/** Stops a daemon; ESRCH when it does not run. */
export function encodeDeleteDaemon(family: number, state: DaemonState): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_DEL_DAEMON), NLM_F_ACK, (w) => {
    w.nest(
      IPVS_CMD_ATTR_DAEMON | NLA_F_NESTED,
      () => writeDaemon(w, { state, link: "", syncId: 0 }),
    );
  });
}

function writeDaemon(
  w: AttributeWriter,
  { state, link, syncId }: Pick<SyncDaemon, "state" | "link" | "syncId">,
): void {
  w.u32(IPVS_DAEMON_ATTR_STATE, STATES[state]);
  w.text(IPVS_DAEMON_ATTR_MCAST_IFN, link);
  w.u32(IPVS_DAEMON_ATTR_SYNC_ID, syncId);
}

/** Asks for the daemons that run; replies are read by {@link decodeDaemon} up to NLMSG_DONE. */
export function encodeDumpDaemons(family: number): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_GET_DAEMON), NLM_F_DUMP, () => {});
}

/** The daemon that a reply describes; undefined when malformed. */
export function decodeDaemon(payload: Uint8Array): SyncDaemon | undefined {
  const seen: Seen<SyncDaemon> = {};
  const r = genericAttributes(payload);
  while (r.next()) {
    if (r.type === IPVS_CMD_ATTR_DAEMON) r.nest((inside) => readDaemon(inside, seen));
  }
  const { state, link, syncId, ...rest } = seen;
  if (r.short || state === undefined || link === undefined || syncId === undefined) {
    return undefined;
  }
  return { state, link, syncId, ...rest };
}

function readDaemon(r: AttributeReader, seen: Seen<SyncDaemon>): void {
  while (r.next()) {
    switch (r.type) {
      case IPVS_DAEMON_ATTR_STATE: {
        const number = r.u32();
        if (number === STATES.master) seen.state = "master";
        if (number === STATES.backup) seen.state = "backup";
        break;
      }
      case IPVS_DAEMON_ATTR_MCAST_IFN:
        seen.link = r.text();
        break;
      case IPVS_DAEMON_ATTR_SYNC_ID:
        seen.syncId = r.u32();
        break;
      case IPVS_DAEMON_ATTR_SYNC_MAXLEN:
        seen.maxLength = r.u16();
        break;
      case IPVS_DAEMON_ATTR_MCAST_GROUP:
        seen.group = r.bytes(4);
        break;
      case IPVS_DAEMON_ATTR_MCAST_GROUP6:
        seen.group = r.bytes(16);
        break;
      case IPVS_DAEMON_ATTR_MCAST_PORT:
        seen.port = r.u16();
        break;
      case IPVS_DAEMON_ATTR_MCAST_TTL:
        seen.ttl = r.u8();
        break;
    }
  }
}

/** Sets the timeouts of connections. */
export function encodeSetTimeouts(family: number, timeouts: IpvsTimeouts): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_SET_CONFIG), NLM_F_ACK, (w) => {
    w.u32(IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts.tcp);
    w.u32(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts.tcpFin);
    w.u32(IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts.udp);
  });
}

/** Asks for the timeouts; the reply is read by {@link decodeTimeouts}, then an acknowledgement. */
export function encodeGetTimeouts(family: number): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_GET_CONFIG), NLM_F_ACK, () => {});
}

/** The timeouts of a reply; undefined when malformed. */
export function decodeTimeouts(payload: Uint8Array): IpvsTimeouts | undefined {
  const seen: Seen<IpvsTimeouts> = {};
  const r = genericAttributes(payload);
  while (r.next()) {
    if (r.type === IPVS_CMD_ATTR_TIMEOUT_TCP) seen.tcp = r.u32();
    if (r.type === IPVS_CMD_ATTR_TIMEOUT_TCP_FIN) seen.tcpFin = r.u32();
    if (r.type === IPVS_CMD_ATTR_TIMEOUT_UDP) seen.udp = r.u32();
  }
  // A kernel without one of the protocols does not say how long it remembers it.
  return r.short ? undefined : { tcp: 0, tcpFin: 0, udp: 0, ...seen };
}

/** Asks for version and table; the reply is read by {@link decodeInfo}, then an acknowledgement. */
export function encodeGetInfo(family: number): Uint8Array {
  return encodeGeneric(ipvsCommand(family, IPVS_CMD_GET_INFO), NLM_F_ACK, () => {});
}

/** Version and table of a reply; undefined when malformed. */
export function decodeInfo(payload: Uint8Array): IpvsInfo | undefined {
  const seen: Seen<IpvsInfo> = {};
  const r = genericAttributes(payload);
  while (r.next()) {
    if (r.type === IPVS_INFO_ATTR_VERSION) seen.version = r.u32();
    if (r.type === IPVS_INFO_ATTR_CONN_TAB_SIZE) seen.tableSize = r.u32();
  }
  const { version, tableSize } = seen;
  if (r.short || version === undefined || tableSize === undefined) return undefined;
  return { version, tableSize };
}
