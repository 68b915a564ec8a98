/**
 * IPVS as a function over messages: it reads the requests that a kernel would get, keeps the table they make,
 * refuses what a kernel refuses, and counts what it was sent.
 */

import { SysError } from "../../ffi/libc.ts";
import type { Request } from "../../ffi/netlink.ts";
import type { Conversation } from "../../src/lvs/perform.ts";
import { destinationId, type Entry, serviceId } from "../../src/lvs/table.ts";
import { familyOfNumber } from "../../src/netlink/family.ts";
import { genericAttributes } from "../../src/netlink/generic.ts";
import {
  decodeService,
  encodeNewService,
  type Service,
  type ServiceKey,
} from "../../src/netlink/ipvs.ts";
import {
  decodeDaemon,
  decodeTimeouts,
  encodeNewDaemon,
  encodeSetTimeouts,
  type IpvsTimeouts,
  type SyncDaemon,
} from "../../src/netlink/ipvs_control.ts";
import {
  decodeDestination,
  type Destination,
  encodeNewDestination,
} from "../../src/netlink/ipvs_destination.ts";
import { AttributeWriter, get16, type Message } from "../../src/netlink/message.ts";

const FAMILY = 0x21;
const CONTROLLER = 0x10;
const HEADER_BYTES = 16;
const [EEXIST, ENOENT, ESRCH, EBADMSG] = [17, 2, 3, 74];

/** A kernel's load balancer. */
export class FakeIpvs implements Conversation {
  /** What it has. */
  readonly table = new Map<string, Entry>();
  readonly daemons = new Map<string, SyncDaemon>();
  timeouts: IpvsTimeouts = { tcp: 900, tcpFin: 120, udp: 300 };
  /** Changes it was asked for, by name. */
  readonly asked: string[] = [];
  /** How many system calls that took, were there `chunk` requests to a datagram. */
  sends = 0;
  dumps = 0;
  /** Is asked before each change: an errno refuses it, undefined does not. */
  refuse: (asked: string) => number | undefined = () => undefined;
  /** Fails the next conversation, as when answers are lost. */
  failNext: number | undefined;
  readonly #chunk: number;

  constructor(chunk = 300) {
    this.#chunk = chunk;
  }

  perform(requests: readonly Request[]): (SysError | undefined)[] {
    this.sends += Math.ceil(requests.length / this.#chunk);
    const verdicts = requests.map(({ bytes, doing }) => {
      const code = this.#change(bytes);
      return code === 0 ? undefined : new SysError("netlink", code, doing);
    });
    const lost = this.failNext;
    this.failNext = undefined;
    if (lost !== undefined) throw new SysError("recv", lost, requests[0]!.doing);
    return verdicts;
  }

  dump(request: Uint8Array, doing: string, each: (message: Message) => void): void {
    this.dumps++;
    const tell = (bytes: Uint8Array): void => {
      const payload = bytes.subarray(HEADER_BYTES);
      each({ type: FAMILY, flags: 0, seq: 0, pid: 0, payload });
    };
    if (get16(request, 4) === CONTROLLER) return each(familyReply());
    const payload = request.subarray(HEADER_BYTES);
    switch (payload[0]) {
      case 4:
        for (const { service } of this.table.values()) tell(encodeNewService(FAMILY, service));
        return;
      case 8: {
        const entry = this.table.get(serviceId(readKey(payload)!));
        if (entry === undefined) throw new SysError("netlink", ESRCH!, doing);
        for (const one of entry.destinations.values()) {
          tell(encodeNewDestination(FAMILY, entry.service, one));
        }
        return;
      }
      case 11:
        for (const daemon of this.daemons.values()) tell(encodeNewDaemon(FAMILY, daemon));
        return;
      case 13:
        return tell(encodeSetTimeouts(FAMILY, this.timeouts));
      default:
        throw new Error(`a dump of command ${payload[0]}`);
    }
  }

  /** Makes what others have made. */
  add(service: Service, ...destinations: readonly Destination[]): void {
    const known = new Map(destinations.map((one) => [destinationId(one), one]));
    this.table.set(serviceId(service), { service, destinations: known });
  }

  /** 0, or why not. */
  #change(bytes: Uint8Array): number {
    const payload = bytes.subarray(HEADER_BYTES);
    switch (payload[0]) {
      case 9:
      case 10:
        return this.#changeDaemon(payload);
      case 12:
        this.timeouts = decodeTimeouts(payload)!;
        return 0;
      case 17:
        this.table.clear();
        this.asked.push("flush");
        return 0;
      default:
        return this.#changeTable(payload);
    }
  }

  #changeDaemon(payload: Uint8Array): number {
    const daemon = decodeDaemon(payload)!;
    this.asked.push(`${payload[0] === 9 ? "start" : "stop"} ${daemon.state}`);
    if (payload[0] === 10) return this.daemons.delete(daemon.state) ? 0 : ESRCH!;
    if (this.daemons.has(daemon.state)) return EEXIST!;
    this.daemons.set(daemon.state, daemon);
    return 0;
  }

  #changeTable(payload: Uint8Array): number {
    const key = readKey(payload);
    if (key === undefined) return EBADMSG!;
    const id = serviceId(key);
    const entry = this.table.get(id);
    const destination = decodeDestination(payload);
    const whom = destination === undefined ? "" : ` ${destinationId(destination)}`;
    const asked = `${COMMANDS[payload[0]!]} ${id}${whom}`;
    this.asked.push(asked);
    const refused = this.refuse(asked);
    if (refused !== undefined) return refused;
    switch (payload[0]) {
      case 1:
        if (entry !== undefined) return EEXIST!;
        this.table.set(id, { service: serviceOf(payload), destinations: new Map() });
        return 0;
      case 2:
        if (entry === undefined) return ESRCH!;
        this.table.set(id, { ...entry, service: serviceOf(payload) });
        return 0;
      case 3:
        return this.table.delete(id) ? 0 : ESRCH!;
      default:
        return entry === undefined ? ESRCH! : change(payload[0]!, entry, destination!);
    }
  }
}

function change(command: number, entry: Entry, destination: Destination): number {
  const id = destinationId(destination);
  const known = entry.destinations as Map<string, Destination>;
  if (command === 5 && known.has(id)) return EEXIST!;
  if (command !== 5 && !known.has(id)) return ENOENT!;
  if (command === 7) known.delete(id);
  else known.set(id, destination);
  return 0;
}

/** IPVS_CMD_* */
const COMMANDS: Readonly<Record<number, string>> = {
  1: "new",
  2: "set",
  3: "delete",
  5: "new",
  6: "set",
  7: "delete",
};

function familyReply(): Message {
  const w = new AttributeWriter();
  w.raw(Uint8Array.of(1, 2, 0, 0));
  w.u16(1, FAMILY);
  w.text(2, "IPVS");
  return { type: CONTROLLER, flags: 0, seq: 0, pid: 0, payload: w.finish() };
}

function serviceOf(payload: Uint8Array): Service {
  const { stats: _, ...service } = decodeService(payload)!;
  return service;
}

/** The service that a request names (IPVS_SVC_ATTR_AF to _FWMARK). */
function readKey(payload: Uint8Array): ServiceKey | undefined {
  let [family, protocol, port, fwmark]: [4 | 6 | undefined, number, number, number] = [
    undefined,
    0,
    0,
    0,
  ];
  let address = new Uint8Array();
  const r = genericAttributes(payload);
  while (r.next()) {
    if (r.type !== 1) continue;
    r.nest((inside) => {
      while (inside.next()) {
        if (inside.type === 1) family = familyOfNumber(inside.u16());
        if (inside.type === 2) protocol = inside.u16();
        if (inside.type === 3) address = new Uint8Array(inside.bytes(16));
        if (inside.type === 4) port = inside.be16();
        if (inside.type === 5) fwmark = inside.u32();
      }
    });
  }
  if (r.short || family === undefined) return undefined;
  if (fwmark !== 0) return { family, fwmark };
  return { family, protocol, address: address.slice(0, family === 4 ? 4 : 16), port };
}
