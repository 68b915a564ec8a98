/**
 * What the stations of our links are told about our addresses, and what they say of them: announcements,
 * the question after a take-over whether anybody else still answers, and the word given back to those who
 * do.
 */

import type { VrrpGlobals } from "../config/vrrp.ts";
import { type Address, compareAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Alarm, Loop } from "../loop.ts";
import type { FromRole } from "../parent/channel.ts";
import { encodeUnsolicitedReply } from "../wire/arp.ts";
import type { Mac } from "../wire/ethernet.ts";
import type { Held } from "./addresses.ts";
import { claimText, ConflictWatch } from "./conflicts.ts";
import type { LinkTable } from "./links.ts";
import { announcementLines } from "./log.ts";
import type { Kernel } from "./perform.ts";
import type { Running } from "./reception.ts";

/** After a take-over, the time a predecessor has to take its addresses away. */
const PROBE_US = 1_000_000;
/** A predecessor has heard of us by then, and has answered what it takes for a question by now. */
const TEACH_US = 200_000;
/** The same claim is told, and answered, once in this time (RFC 5227 §2.4: DEFEND_INTERVAL). */
const DEFEND_US = 10_000_000;
/** More addresses than this are not asked for: the links have other things to carry. */
const MOST_PROBES = 256;

/** What a MASTER does for its neighbours by the clock; its own deadline in the loop. */
class Duties implements Alarm {
  dueAt = Infinity;
  heapIndex = -1;
  readonly running: Running;
  /** When the addresses are asked for; Infinity when that is done. */
  probeAt: number;
  /** When switches are told once more where the VMACs are; Infinity when that is done. */
  teachAt: number;
  /** The next announcement over other links, see garp_extra_if; Infinity for none. */
  extraAt: number;
  /** When each claim was last told; undefined while there was none. */
  toldAt: Map<string, number> | undefined;
  readonly #attend: (duties: Duties, now: number) => void;

  constructor(running: Running, now: number, attend: (duties: Duties, now: number) => void) {
    const extraUs = running.instance.garp_extra_if ?? 0;
    this.running = running;
    this.probeAt = now + PROBE_US;
    this.teachAt = Infinity;
    this.extraAt = extraUs > 0 ? now + extraUs : Infinity;
    this.#attend = attend;
  }

  fire(now: number): void {
    this.#attend(this, now);
  }
}

/** Our side of the neighbourhood. */
export class Neighbourhood {
  readonly #loop: Loop;
  readonly #kernel: Kernel;
  readonly #links: LinkTable;
  readonly #tell: (message: FromRole) => void;
  readonly #masters = new Map<Running, Duties>();
  /** Made when the first question is asked. */
  #conflicts: ConflictWatch | undefined;
  /** Whether lines for -D are wanted. */
  wantsDetail = false;

  constructor(
    loop: Loop,
    kernel: Kernel,
    links: LinkTable,
    tell: (message: FromRole) => void,
  ) {
    this.#loop = loop;
    this.#kernel = kernel;
    this.#links = links;
    this.#tell = tell;
  }

  /** The pace of announcements. */
  configure(globals: VrrpGlobals): void {
    this.#kernel.announcer.setPace(globals, this.#loop);
  }

  /** Announces an address `repeat` times. */
  announce({ key, instance }: Running, held: Held, repeat: number): void {
    this.#kernel.queueAnnounce(key, held.device, held.address, repeat);
    if (!this.wantsDetail) return;
    for (const text of announcementLines(instance.name, held, repeat)) this.#log("info", text);
  }

  /**
   * Unicast peers may still be looking for our hardware address, and hold back their adverts until their
   * next try: one announcement of our own address answers them.
   */
  greetPeers({ instance, router, key }: Running): void {
    if (instance.unicast_peer.length === 0 || instance.interface === undefined) return;
    this.#kernel.queueAnnounce(key, instance.interface, router.address, 1);
  }

  /** An instance has become MASTER at `now`. */
  enter(running: Running, now: number): void {
    const duties = new Duties(running, now, this.#attend);
    if (this.#vmacAddresses(running).length > 0) duties.teachAt = now + TEACH_US;
    this.#masters.set(running, duties);
    this.#schedule(duties);
  }

  /** It is MASTER no more. */
  leave(running: Running): void {
    const duties = this.#masters.get(running);
    if (duties === undefined) return;
    this.#loop.schedule(duties, Infinity);
    this.#masters.delete(running);
    this.#kernel.announcer.drop(running.key);
  }

  readonly #attend = (duties: Duties, now: number): void => {
    const { running, running: { instance, held } } = duties;
    const home = running.vmac ?? instance.interface;
    if (duties.probeAt <= now) {
      duties.probeAt = Infinity;
      for (const one of held.slice(0, MOST_PROBES)) this.#probe(running, one);
    }
    if (duties.teachAt <= now) {
      duties.teachAt = Infinity;
      this.#teach(running);
    }
    if (duties.extraAt <= now) {
      const isWanted = (one: Held): boolean =>
        instance.garp_extra_if_all === true || one.device !== home;
      for (const one of held.filter(isWanted)) this.announce(running, one, 1);
      duties.extraAt = now + (instance.garp_extra_if ?? 0);
    }
    this.#schedule(duties);
  };

  #schedule(duties: Duties): void {
    const { probeAt, teachAt, extraAt } = duties;
    this.#loop.schedule(duties, Math.min(probeAt, teachAt, extraAt));
  }

  /** One IPv4 address of each VMAC: they share its MAC address. */
  #vmacAddresses({ held }: Running): Held[] {
    const found = new Map<string, Held>();
    for (const one of held) {
      if (one.address.length !== 4 || found.has(one.device)) continue;
      if (this.#links.byName(one.device)?.kind === "macvlan") found.set(one.device, one);
    }
    return [...found.values()];
  }

  /**
   * A MASTER that we have outbid still has the address when our announcement comes, and its kernel answers, with
   * the MAC address we share: switches then take that for being there. This is what they hear last.
   */
  #teach(running: Running): void {
    for (const { device, address } of this.#vmacAddresses(running)) {
      const link = this.#links.byName(device);
      if (link === undefined || !link.up) continue;
      const bytes = encodeUnsolicitedReply({ mac: link.address, address });
      this.#kernel.announcer.send(running.key, link, bytes);
    }
  }

  #probe(running: Running, { device, address }: Held): void {
    const link = this.#links.byName(device);
    if (link === undefined || !link.up) return;
    this.#conflicts ??= new ConflictWatch(
      this.#loop,
      this.#links,
      this.#kernel.announcer,
      (claimed, mac, index, now) => this.#defend(claimed, mac, index, now),
      this.#kernel.refused,
    );
    this.#conflicts.probe(running.key, link, address);
  }

  /** Somebody else claims an address: if it is ours, that is told, and answered. */
  #defend(address: Address, mac: Mac, index: number, now: number): void {
    for (const [running, duties] of this.#masters) {
      // Until then it may be a predecessor's last word.
      if (duties.probeAt !== Infinity) continue;
      const held = running.held.find((one) =>
        compareAddress(one.address, address) === 0 &&
        this.#links.byName(one.device)?.index === index
      );
      if (held === undefined) continue;
      running.counters.address_conflict++;
      const key = `${held.spec.address} ${mac.join()}`;
      const toldAt = duties.toldAt ??= new Map<string, number>();
      if (now - (toldAt.get(key) ?? -DEFEND_US) < DEFEND_US) return;
      toldAt.set(key, now);
      const { name } = running.instance;
      this.#log("warning", claimText(name, address, held.device, mac));
      this.#tell({ type: "conflict", instance: name, address: held.spec.address });
      this.announce(running, held, 1);
      return;
    }
  }

  #log(level: LogLevel, text: string): void {
    this.#tell({ type: "log", level, text });
  }
}
