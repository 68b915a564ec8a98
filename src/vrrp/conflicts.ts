/**
 * Whether somebody else answers for an address that we hold. A while after a take-over every address is asked
 * for once, by an ARP probe (RFC 5227 §2.1.1) or a neighbour solicitation; and whatever another station says
 * unasked of one of our addresses is heard, too.
 *
 * The packet socket is the one that announces; bound to ARP it also receives, but only what its filter lets
 * through: answers, and announcements. The sockets are made ready when the first question is asked.
 */

import {
  AF_INET6,
  ICMPV6_FILTER,
  IPPROTO_ICMPV6,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  SOCK_RAW,
} from "../../ffi/constants.ts";
import { type BpfInstruction, sockaddrLl } from "../../ffi/layout.ts";
import { Memory } from "../../ffi/memory.ts";
import {
  attachFilter,
  bindSocket,
  openSocket,
  ReceiveBatch,
  setOption,
  setOptionBytes,
} from "../../ffi/socket.ts";
import { type Address, compareAddress, formatAddress } from "../lib/address.ts";
import type { Loop } from "../loop.ts";
import type { Link } from "../netlink/link.ts";
import { decodeArp, encodeArpProbe } from "../wire/arp.ts";
import { ETH_P_ARP, type Mac } from "../wire/ethernet.ts";
import { ALL_NODES, decodeNeighbourAdvertisement, encodeSolicitationFrame } from "../wire/icmp.ts";
import type { Announcer } from "./announcer.ts";
import type { LinkTable } from "./links.ts";

const FRAMES_PER_CALL = 16;
const FRAME_BYTES = 256;
const NEIGHBOUR_ADVERTISEMENT = 136;

// linux/filter.h: load a half-word or word, compare with a constant or X, store, load X, return.
const LD_H = 0x28;
const LD_W = 0x20;
const JEQ_K = 0x15;
const JEQ_X = 0x1d;
const TAX = 0x07;
const RET = 0x06;

/** Lets through ARP replies, and requests that announce their sender's own address. */
const ANSWERS_AND_ANNOUNCEMENTS: readonly BpfInstruction[] = [
  [LD_H, 0, 0, 20], // operation
  [JEQ_K, 4, 0, 2], // reply
  [LD_W, 0, 0, 28], // sender address
  [TAX, 0, 0, 0],
  [LD_W, 0, 0, 38], // target address
  [JEQ_X, 0, 1, 0],
  [RET, 0, 0, FRAME_BYTES],
  [RET, 0, 0, 0],
];

/** Another station claims `address` on the link with this index. */
export type Claim = (address: Address, mac: Mac, index: number, now: number) => void;

/** Hears who else answers for our addresses. */
export class ConflictWatch {
  readonly #loop: Loop;
  readonly #links: LinkTable;
  readonly #announcer: Announcer;
  readonly #claimed: Claim;
  readonly #refused: (error: unknown) => void;
  readonly #batch = new ReceiveBatch(FRAMES_PER_CALL, FRAME_BYTES);
  #hearsArp = false;
  #hearsNd = false;

  /** `claimed` is told of every foreign answer, `refused` what the kernel refuses. */
  constructor(
    loop: Loop,
    links: LinkTable,
    announcer: Announcer,
    claimed: Claim,
    refused: (error: unknown) => void,
  ) {
    this.#loop = loop;
    this.#links = links;
    this.#announcer = announcer;
    this.#claimed = claimed;
    this.#refused = refused;
  }

  /** Asks the link who has an address. */
  probe(owner: string, link: Link, address: Address): void {
    const { address: mac, index } = link;
    if (mac.length !== 6) return;
    if (address.length === 4) {
      if (!this.#hearsArp) this.#hearArp();
      this.#announcer.send(owner, link, encodeArpProbe({ mac, address }));
      return;
    }
    // Nobody answers one who asks for his own. A VMAC has only one that is deprecated.
    const isAsked = (one: Address): boolean => compareAddress(one, address) === 0;
    const source = this.#links.primaryAddress(index, 6, isAsked, true) ??
      this.#links.linkLocal(index, isAsked);
    if (source === undefined) return;
    if (!this.#hearsNd) this.#hearNd();
    this.#announcer.send(owner, link, encodeSolicitationFrame({ mac, address, source }));
  }

  #hearArp(): void {
    this.#hearsArp = true;
    const { fd } = this.#announcer;
    try {
      attachFilter(fd, ANSWERS_AND_ANNOUNCEMENTS);
      bindSocket(fd, sockaddrLl(0, ETH_P_ARP), "listening to ARP");
      this.#loop.watch(fd, (now) => this.#readArp(fd, now));
    } catch (error) {
      this.#refused(error);
    }
  }

  #hearNd(): void {
    this.#hearsNd = true;
    try {
      const doing = "listening to neighbour advertisements";
      const fd = openSocket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, doing);
      const filter = new Memory(32); // struct icmp6_filter: a set bit blocks a type
      filter.bytes.fill(0xff);
      filter.bytes[NEIGHBOUR_ADVERTISEMENT >> 3]! &= ~(1 << (NEIGHBOUR_ADVERTISEMENT & 7));
      setOptionBytes(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, filter);
      setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
      this.#loop.watch(fd, (now) => this.#readNd(fd, now));
    } catch (error) {
      this.#refused(error);
    }
  }

  #readArp(fd: number, now: number): void {
    for (;;) {
      const count = this.#batch.receive(fd);
      for (let i = 0; i < count; i++) {
        const arp = decodeArp(this.#batch.packet(i));
        if (typeof arp === "string" || this.#links.isOurs(arp.senderMac)) continue;
        this.#claimed(arp.senderAddress, arp.senderMac, this.#batch.frameLink(i), now);
      }
      if (!this.#batch.isFull(count)) return;
    }
  }

  #readNd(fd: number, now: number): void {
    for (;;) {
      const count = this.#batch.receive(fd);
      for (let i = 0; i < count; i++) {
        const source = this.#batch.source6(i);
        const destination = this.#batch.destination6(i) ?? ALL_NODES;
        const answer = decodeNeighbourAdvertisement(this.#batch.packet(i), { source, destination });
        if (typeof answer === "string" || answer.mac.length !== 6) continue;
        if (this.#links.isOurs(answer.mac)) continue;
        this.#claimed(answer.address, answer.mac, this.#batch.link6(i), now);
      }
      if (!this.#batch.isFull(count)) return;
    }
  }
}

/** What the operator is told of a claim. */
export function claimText(name: string, address: Address, device: string, mac: Mac): string {
  const who = Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
  const cause = "another MASTER that does not hear us, or a host configured with it";
  return `(${name}) ${formatAddress(address)} on ${device} is also claimed by ${who} - ` +
    `likely cause: ${cause}`;
}
