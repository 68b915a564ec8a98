/**
 * From the sockets to the machine: packets are received many at a time, read, matched with the instance they
 * are for, judged, and only what counts goes on. What does not is counted, and explained in the log
 * every now and then.
 */

import { ReceiveBatch } from "../../ffi/socket.ts";
import { realtimeUs } from "../../ffi/timer.ts";
import { type Address, formatAddress, parseAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Loop } from "../loop.ts";
import { type Advert, checksumStyle, messageLength } from "../wire/vrrp.ts";
import { equalAuth, passData } from "../wire/vrrp_auth.ts";
import { decodeTrailer } from "../wire/vrrp_trailer.ts";
import {
  type AuthRejection,
  counterOf,
  explainRejection,
  hasTrailer,
  judge,
  type Received,
  type Rejection,
  type Secrets,
} from "./judge.ts";
import { addressListLines } from "./log.ts";
import { type Envelope, judgeAh, judgeTrailer, openIpv4, readAdvert } from "./packets.ts";
import type { Packet, Port } from "./ports.ts";
import { forgetPackets, type RunningInstance } from "./running.ts";
import { stampAgeUs } from "./stamps.ts";

/** Packets in one recvmmsg; the largest advert (255 IPv4 addresses, options) is about 1.1 KiB. */
const PACKETS_PER_CALL = 32;
const PACKET_BYTES = 2048;
/** 255 IPv6 addresses take 4 KiB. */
const PACKET_BYTES_6 = 8192;
/** The same complaint about the same instance is logged once in this time. */
const COMPLAINT_US = 10_000_000;

/** A running instance with its socket and its current advert. */
export type Running = RunningInstance<Port, readonly Packet[]>;

/** Who is told what the peers have sent. */
export interface Listener {
  /** An advert that counts; it arrived at `now`. */
  hear(running: Running, advert: Advert, source: Address, now: number): void;
  /** One that does not, and why. */
  refuse(running: Running, packet: Received, rejection: Rejection, now: number): void;
  log(level: LogLevel, text: string, detail?: boolean): void;
}

/** The receiving side of one process. */
export class Reception implements Secrets {
  readonly #loop: Loop;
  readonly #listener: Listener;
  readonly #byPort = new Map<Port, Map<number, Running[]>>();
  /** Made when the first packet comes: before that, they would delay the first advert. */
  #batch4: ReceiveBatch | undefined;
  #batch6: ReceiveBatch | undefined;
  /** Whose packet is being judged, and the packet. */
  #running: Running | undefined;
  #envelope: Envelope | undefined;
  #wallUs = 0;
  /** When each VRID that nobody here has was last mentioned, by link; undefined: they are not. */
  #strangers: Map<string, number> | undefined;

  constructor(loop: Loop, listener: Listener) {
    this.#loop = loop;
    this.#listener = listener;
  }

  /** log_unknown_vrids: whether adverts for nobody here are mentioned in the log. */
  set mentionsUnknown(yes: boolean) {
    this.#strangers = yes ? this.#strangers ?? new Map<string, number>() : undefined;
  }

  /** Packets that come in through its port are for `running`, too. */
  join(running: Running): void {
    const port = running.port!;
    let users = this.#byPort.get(port);
    if (users === undefined) {
      users = new Map();
      this.#byPort.set(port, users);
      this.#loop.watch(port.fd, (now) => this.#readPort(port, now));
    }
    const vrid = running.instance.virtual_router_id;
    const list = users.get(vrid);
    if (list === undefined) users.set(vrid, [running]);
    else list.push(running);
  }

  /** The end of {@link Reception.join}; whether nobody listens at the port any more. */
  leave(running: Running, port: Port): boolean {
    const users = this.#byPort.get(port);
    for (const [vrid, list] of users ?? []) {
      const rest = list.filter((one) => one !== running);
      if (rest.length > 0) users!.set(vrid, rest);
      else users!.delete(vrid);
    }
    if (users === undefined || users.size > 0) return false;
    this.#byPort.delete(port);
    this.#loop.unwatch(port.fd);
    return true;
  }

  /** Those who share a port. */
  usersOf(port: Port): readonly Running[] {
    return [...this.#byPort.get(port)?.values() ?? []].flat();
  }

  #readPort(port: Port, now: number): void {
    const users = this.#byPort.get(port);
    const isV4 = port.family === 4;
    const batch = isV4
      ? this.#batch4 ??= new ReceiveBatch(PACKETS_PER_CALL, PACKET_BYTES)
      : this.#batch6 ??= new ReceiveBatch(PACKETS_PER_CALL, PACKET_BYTES_6);
    for (;;) {
      const count = batch.receive(port.fd);
      for (let i = 0; i < count; i++) {
        // An advert counts from its arrival, not from when we came to read it.
        const arrivedAt = Math.min(now, Math.max(this.#loop.previous, batch.arrivedAt(i) ?? now));
        const envelope = isV4 ? openIpv4(batch.packet(i)) : openIpv6(batch, i, port);
        if (envelope !== undefined) this.#open(port, users, envelope, arrivedAt);
      }
      if (!batch.isFull(count)) return;
    }
  }

  #open(
    port: Port,
    users: Map<number, Running[]> | undefined,
    envelope: Envelope,
    now: number,
  ): void {
    const vrid = envelope.message[1] ?? 0;
    const list = users?.get(vrid);
    if (list === undefined) {
      if (this.#strangers !== undefined) this.#mention(port, vrid, envelope, now);
      return;
    }
    const running = list.length === 1 ? list[0] : addresseeOf(list, envelope);
    if (running === undefined || running.state.name === "INIT") return;
    this.#judge(running, envelope, now);
  }

  #judge(running: Running, envelope: Envelope, now: number): void {
    const { instance } = running;
    const packet = readAdvert(envelope, running.oldGroup);
    this.#running = running;
    this.#envelope = envelope;
    if (running.auth !== undefined) this.#wallUs = realtimeUs();
    const rejection = judge(instance, packet, this);
    const { advert } = packet;
    if (rejection !== undefined) {
      this.#reject(running, packet, rejection, now);
    } else if (typeof advert !== "string") {
      if (!running.knowsStyle) this.#learnStyle(running, envelope);
      if (running.auth !== undefined) this.#watchClock(running, packet, now);
      this.#accept(running, advert, packet.source, now);
    }
  }

  #accept(running: Running, advert: Advert, source: Address, now: number): void {
    const { counters, instance } = running;
    counters.advert_rcvd++;
    if (advert.priority === 0) counters.pri_zero_rcvd++;
    if (instance.skip_check_adv_addr !== true || !equalAuth(source, running.checkedSource)) {
      const lines = addressListLines(instance, running.advertised, advert.addresses);
      for (const text of lines) {
        counters.addr_list_err++;
        this.#complain(running, text, text, now);
      }
      if (instance.skip_check_adv_addr === true) running.checkedSource = source.slice();
    }
    this.#listener.hear(running, advert, source, now);
  }

  #reject(running: Running, packet: Received, rejection: Rejection, now: number): void {
    const counter = counterOf(rejection);
    this.#listener.refuse(running, packet, rejection, now);
    if (counter === undefined) return;
    running.counters[counter]++;
    // In a flood words would cost more than all the rest.
    if (!mayComplain(complaintsOf(running), rejection, now)) return;
    this.#listener.log("warning", explainRejection(running.instance, rejection, packet));
  }

  #complain(running: Running, what: string, text: string, now: number): void {
    if (mayComplain(complaintsOf(running), what, now)) this.#listener.log("warning", text);
  }

  /** log_unknown_vrids. */
  #mention(port: Port, vrid: number, { source }: Envelope, now: number): void {
    const where = port.link?.name ?? "unicast";
    const known = this.#strangers!;
    const key = `${where} ${port.family} ${vrid}`;
    if (!mayComplain(known, key, now)) return;
    const peer = formatAddress(source);
    this.#listener.log(
      "info",
      `Unknown VRID(${vrid}) received on interface(${where}) from ${peer}`,
    );
  }

  /** The first peer shows how checksums of version 3 are made here; see ChecksumStyle. */
  #learnStyle(running: Running, envelope: Envelope): void {
    running.knowsStyle = true;
    const { instance } = running;
    const group = parseAddress(instance.mcast_group)!;
    const message = envelope.message.subarray(0, messageLength(envelope.message, envelope));
    const style = checksumStyle(message, envelope, group);
    const name = `(${instance.name})`;
    if (style === "group" && running.oldGroup !== undefined) {
      running.style = "group";
      forgetPackets(running);
      this.#listener.log("info", `${name} Setting unicast VRRPv3 checksum to old version`);
    } else if (style === "message" && running.style === "pseudo") {
      const peer = formatAddress(envelope.source);
      const advice = "if it drops ours, set v3_checksum_as_v2";
      const text = `${name} ${peer} makes its checksums without pseudo-header - ${advice}`;
      this.#listener.log("info", text);
    }
  }

  /** A clock that drifts is mentioned before its adverts become stale. */
  #watchClock(running: Running, packet: Received, now: number): void {
    const { auth_hmac, name } = running.instance;
    if (auth_hmac?.anti_replay !== "time" || !hasTrailer(running.instance, packet)) return;
    const trailer = decodeTrailer(this.#envelope!.message);
    const us = trailer === undefined ? 0 : stampAgeUs(trailer.stamp, this.#wallUs);
    if (Math.abs(us) * 2 <= auth_hmac.time_window) return;
    const peer = formatAddress(packet.source);
    const window = `time_window is ${auth_hmac.time_window / 1_000_000} s`;
    const text = `(${name}) the clock of ${peer} differs from ours by ${
      us / 1_000_000
    } s, ${window}`;
    this.#complain(running, "clock", text, now);
  }

  // --- Secrets, of the packet that is being judged ---

  /** See {@link Secrets}. */
  hasSecret(data: Uint8Array, authPass: string): boolean {
    return equalAuth(data, passData(authPass));
  }

  /** See {@link Secrets}. */
  judgeAh(): "auth-data" | "auth-replay" | undefined {
    const { auth } = this.#running!;
    const envelope = this.#envelope!;
    return auth === undefined || !envelope.isAh ? "auth-data" : judgeAh(auth, envelope);
  }

  /** See {@link Secrets}. */
  judgeTrailer(packet: Received): AuthRejection | undefined {
    const { auth, instance } = this.#running!;
    if (auth === undefined) return "auth-ext-unknown-key";
    const sender = formatAddress(packet.source);
    return judgeTrailer(instance, auth, this.#envelope!, sender, this.#wallUs);
  }
}

function complaintsOf(running: Running): Map<string, number> {
  return running.complainedAt ??= new Map<string, number>();
}

/** Whether it is time to say something again; if so, that is noted. */
function mayComplain(saidAt: Map<string, number>, what: string, now: number): boolean {
  if (now - (saidAt.get(what) ?? -COMPLAINT_US) < COMPLAINT_US) return false;
  saidAt.set(what, now);
  return true;
}

function openIpv6(batch: ReceiveBatch, index: number, port: Port): Envelope | undefined {
  const message = batch.packet(index);
  const destination = batch.destination6(index) ?? port.group ?? port.source;
  if (destination === undefined) return undefined;
  const ttl = batch.hopLimit(index) ?? 0;
  return {
    packet: message,
    message,
    source: batch.source6(index),
    destination,
    ttl,
    isAh: false,
  };
}

/** Several unicast instances of one VRID share a port: they differ in their own addresses and their peers. */
function addresseeOf(
  list: readonly Running[],
  { source, destination }: Envelope,
): Running | undefined {
  const mine = list.filter(({ router }) => equalAuth(router.address, destination));
  const candidates = mine.length > 0 ? mine : list;
  const peer = formatAddress(source);
  return candidates.find(({ instance }) =>
    instance.unicast_peer.some((one) => one.address === peer)
  ) ??
    candidates[0];
}
