/**
 * Telling a link where an address is now: gratuitous ARP and unsolicited neighbour advertisements, through
 * one packet socket for every link. What may leave at once leaves at the end of the turn, round by round, so
 * that every address is announced once before any is announced again; the rest keeps its pace.
 */

import { sockaddrLl } from "../../ffi/layout.ts";
import { type Block, Piece } from "../../ffi/memory.ts";
import { SendBatch } from "../../ffi/socket.ts";
import { readSysctl } from "../../ffi/sysctl.ts";
import type { VrrpGlobals } from "../config/vrrp.ts";
import type { Address } from "../lib/address.ts";
import type { Alarm, Loop } from "../loop.ts";
import { encodeGratuitousArp } from "../wire/arp.ts";
import { ETH_P_ARP, ETH_P_IPV6 } from "../wire/ethernet.ts";
import { encodeNeighbourFrame } from "../wire/icmp.ts";
import type { Link } from "../netlink/link.ts";
import { PacedQueue, paceOf } from "./pacing.ts";

const FRAMES_PER_CALL = 256;

/** A whole frame and the link it leaves through. */
export interface Frame {
  readonly bytes: Block;
  readonly to: Block;
}

interface Queued {
  readonly owner: string;
  readonly frame: Frame;
  readonly repeat: number;
}

/** A paced queue with its deadline in the loop. */
interface PacedAlarm extends Alarm {
  readonly queue: PacedQueue<Frame>;
}

/** The packet socket of one process. */
export class Announcer {
  /** A packet socket. */
  readonly fd: number;
  readonly #refused: (error: unknown) => void;
  readonly #now: Queued[] = [];
  readonly #paced = new Map<string, PacedAlarm>();
  /** Whether each link forwards IPv6, as far as it was asked in this turn. */
  readonly #forwarding = new Map<string, boolean>();
  #globals: VrrpGlobals = {};
  #batch: SendBatch | undefined;
  #loop: Pick<Loop, "schedule" | "now"> | undefined;

  /** `refused` is told what the kernel refuses. */
  constructor(fd: number, refused: (error: unknown) => void) {
    this.fd = fd;
    this.#refused = refused;
  }

  /** Sets the pace, and the loop that keeps it. What waits already keeps its own. */
  setPace(globals: VrrpGlobals, loop: Pick<Loop, "schedule" | "now">): void {
    this.#globals = globals;
    this.#loop = loop;
  }

  /** Queues `repeat` announcements of an address over a link; `owner` can take them back. */
  announce(owner: string, link: Link, address: Address, repeat: number): void {
    if (link.address.length !== 6) return;
    const mac = link.address;
    const isV4 = address.length === 4;
    const bytes = isV4
      ? encodeGratuitousArp({ mac, address })
      : encodeNeighbourFrame({ mac, address, router: this.#forwards(link.name) });
    const { key, intervalUs } = paceOf(this.#globals, link.name, isV4);
    const frame = frameOf(link, bytes);
    if (intervalUs > 0 && this.#loop !== undefined) {
      this.#pace(key, intervalUs).queue.push(owner, frame, repeat);
    } else {
      this.#now.push({ owner, frame, repeat });
    }
  }

  /** Queues a frame that is sent once, whatever the pace. */
  send(owner: string, link: Link, bytes: Uint8Array): void {
    this.#now.push({ owner, frame: frameOf(link, bytes), repeat: 1 });
  }

  /** Takes back what `owner` has queued to announce. */
  drop(owner: string): void {
    for (let i = this.#now.length - 1; i >= 0; i--) {
      if (this.#now[i]!.owner === owner) this.#now.splice(i, 1);
    }
    for (const { queue } of this.#paced.values()) queue.drop(owner);
  }

  /** Forgets what is queued, and lets the code of a flush run. */
  rehearse(): void {
    this.#now.length = 0;
    this.#flushFrames();
  }

  /** Lets leave what may. */
  flush(): void {
    this.#forwarding.clear();
    for (const alarm of this.#paced.values()) this.#keepPace(alarm);
    if (this.#now.length > 0) this.#flushFrames();
  }

  #pace(key: string, intervalUs: number): PacedAlarm {
    const name = `${key} ${intervalUs}`;
    let alarm = this.#paced.get(name);
    if (alarm === undefined) {
      // The frames leave in the flush of the same turn.
      const queue = new PacedQueue<Frame>(intervalUs);
      alarm = { queue, dueAt: Infinity, heapIndex: -1, fire: () => {} };
      this.#paced.set(name, alarm);
    }
    return alarm;
  }

  #keepPace(alarm: PacedAlarm): void {
    const loop = this.#loop!;
    for (const frame of alarm.queue.take(loop.now)) {
      this.#now.push({ owner: "", frame, repeat: 1 });
    }
    loop.schedule(alarm, alarm.queue.dueAt);
  }

  #flushFrames(): void {
    const queued = this.#now.splice(0);
    try {
      const batch = this.#batch ??= new SendBatch(this.fd, FRAMES_PER_CALL);
      const rounds = Math.max(0, ...queued.map((one) => one.repeat));
      for (let round = 0; round < rounds; round++) {
        for (const { frame, repeat } of queued) {
          if (round >= repeat) continue;
          const error = batch.add(frame.bytes, frame.to);
          if (error !== undefined) this.#refused(error);
        }
      }
      const error = batch.flush();
      if (error !== undefined) this.#refused(error);
    } catch (error) {
      this.#refused(error);
    }
  }

  /** The router flag of a neighbour advertisement (RFC 4861 §4.4): whether the link forwards IPv6. */
  #forwards(device: string): boolean {
    let yes = this.#forwarding.get(device);
    if (yes === undefined) {
      yes = readSysctl(`net/ipv6/conf/${device}/forwarding`) === "1";
      this.#forwarding.set(device, yes);
    }
    return yes;
  }
}

function frameOf(link: Link, bytes: Uint8Array): Frame {
  const etherType = ((bytes[12] ?? 0) << 8) | (bytes[13] ?? 0);
  const protocol = etherType === ETH_P_IPV6 ? ETH_P_IPV6 : ETH_P_ARP;
  return { bytes: Piece.of(bytes), to: Piece.of(sockaddrLl(link.index, protocol).bytes) };
}
