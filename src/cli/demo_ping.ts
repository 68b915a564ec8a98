/**
 * The demo's client, a process of its own in the client's namespace: it pings the virtual address in
 * the tight loop and listens to the adverts, and tells every answer (RFC 792) and every advert as one
 * JSON line on standard output. It draws no conclusions.
 *
 * Standard input names the process groups of the routers, one JSON array per line, the last one
 * counting. Its end means that the demo is gone; had it ended well it would have killed this process
 * first. So the routers are killed, as nobody else would ever do it.
 */

import { readSync, writeSync } from "node:fs";
import {
  AF_INET,
  IP_ADD_MEMBERSHIP,
  IPPROTO_ICMP,
  IPPROTO_IP,
  IPPROTO_VRRP,
  SIGKILL,
  SOCK_RAW,
} from "../../ffi/constants.ts";
import { ipMreqn, sockaddrIn } from "../../ffi/layout.ts";
import { Memory } from "../../ffi/memory.ts";
import { sendSignal } from "../../ffi/process.ts";
import {
  connectSocket,
  openSocket,
  receiveNow,
  sendNow,
  setOptionBytes,
} from "../../ffi/socket.ts";
import { formatAddress, parseAddress } from "../lib/address.ts";
import { type Alarm, Loop } from "../loop.ts";
import { decodeEcho, encodeEcho } from "../wire/icmp.ts";
import { decodeIpv4, type Ipv4Header } from "../wire/ipv4.ts";
import { decodeAdvert } from "../wire/vrrp.ts";
import type { Sighting } from "./demo_timeline.ts";

/** What the client is to do; travels as JSON in its one argument. */
export interface ClientTask {
  /** The IPv4 address to ping, in text. */
  readonly vip: string;
  readonly everyUs: number;
  /** Where adverts are heard; absent: nowhere. */
  readonly adverts?: {
    /** The multicast group, in text. */
    readonly group: string;
    /** Index of the link in the client's namespace. */
    readonly index: number;
    readonly vrid: number;
  };
}

const PACKET_BYTES = 2048;

/** Runs the client until standard input ends; `argument` is a {@link ClientTask} as JSON. */
export function runClient(argument: string | undefined): number {
  const task = JSON.parse(argument ?? "null") as ClientTask | null;
  const vip = parseAddress(task?.vip ?? "");
  if (task === null || vip === undefined) return 2;
  const loop = new Loop();
  ping(loop, vip, task.everyUs);
  if (task.adverts !== undefined) listen(loop, task.adverts);
  guard(loop);
  loop.run();
  return 0;
}

function tell(sighting: Sighting): void {
  writeSync(1, `${JSON.stringify(sighting)}\n`);
}

/** Sends an echo request every `everyUs`, tells of each answer. */
function ping(loop: Loop, vip: Uint8Array, everyUs: number): void {
  const fd = openSocket(AF_INET, SOCK_RAW, IPPROTO_ICMP, "opening the client's socket");
  connectSocket(fd, sockaddrIn(vip));
  const identifier = process.pid & 0xffff;
  let sequence = 0;
  const alarm: Alarm = {
    dueAt: Infinity,
    heapIndex: -1,
    fire(now): void {
      sequence++;
      const echo = { identifier, sequence: sequence & 0xffff, payload: new Uint8Array(8) };
      const message = Memory.of(encodeEcho({ type: "request", ...echo }));
      sendNow(fd, message, 0, message.bytes.length);
      loop.schedule(alarm, now + everyUs);
    },
  };
  loop.schedule(alarm, loop.now);
  hear(loop, fd, (_header, message, at) => {
    const echo = decodeEcho(message);
    if (typeof echo === "string" || echo.type !== "reply" || echo.identifier !== identifier) {
      return;
    }
    // The field has 16 bits; the answer belongs to the latest request with these.
    const age = (sequence - echo.sequence) & 0xffff;
    tell({ type: "answer", at, sequence: sequence - age });
  });
}

/** Tells of every advert of one virtual router. */
function listen(loop: Loop, { group, index, vrid }: NonNullable<ClientTask["adverts"]>): void {
  const fd = openSocket(AF_INET, SOCK_RAW, IPPROTO_VRRP, "opening a socket for adverts");
  const member = ipMreqn(parseAddress(group) ?? new Uint8Array(4), index);
  setOptionBytes(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, member);
  hear(loop, fd, (header, message, at) => {
    const advert = decodeAdvert(message, header);
    if (typeof advert === "string" || advert.vrid !== vrid) return;
    tell({ type: "advert", at, source: formatAddress(header.source) });
  });
}

/** Calls `each` with the header and the payload of every IPv4 packet that a raw socket receives. */
function hear(
  loop: Loop,
  fd: number,
  each: (header: Ipv4Header, message: Uint8Array, at: number) => void,
): void {
  const packet = new Memory(PACKET_BYTES);
  loop.watch(fd, (at) => {
    for (;;) {
      const count = receiveNow(fd, packet);
      if (count <= 0) return;
      const bytes = packet.bytes.subarray(0, count);
      const header = decodeIpv4(bytes);
      if (typeof header === "string") continue;
      each(header, bytes.subarray(header.headerLength, header.totalLength), at);
    }
  });
}

/** Outlives the demo just long enough to end its routers. */
function guard(loop: Loop): void {
  const chunk = new Uint8Array(4096);
  const decoder = new TextDecoder();
  let rest = "";
  let groups: readonly number[] = [];
  loop.watch(0, () => {
    const count = readSync(0, chunk);
    rest += decoder.decode(chunk.subarray(0, count), { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    const last = lines.pop();
    if (last !== undefined) groups = JSON.parse(last) as number[];
    if (count > 0) return;
    for (const group of groups) sendSignal(-group, SIGKILL);
    loop.stop();
  });
}
