/**
 * What crosses a test's wire: adverts and announcements (gratuitous ARP, unsolicited neighbour
 * advertisements), caught by tcpdump on the bridge with the kernel's own time stamps and read by our
 * decoders, which the goldens have tested.
 *
 * pcap: a 24-byte header, then for each frame 16 bytes (seconds, fraction, captured length, length)
 * and the frame; in the byte order of this machine, which is little-endian.
 */

import { formatAddress } from "../../src/lib/address.ts";
import { ARPOP_REQUEST, decodeArp } from "../../src/wire/arp.ts";
import { decodeEthernet, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../../src/wire/ethernet.ts";
import { decodeNeighbourAdvertisement } from "../../src/wire/icmp.ts";
import { decodeIpv4 } from "../../src/wire/ipv4.ts";
import { type Advert, decodeAdvert, IPPROTO_VRRP } from "../../src/wire/vrrp.ts";
import { type Network, WIRE } from "./namespaces.ts";
import { until, Waiting } from "./waiting.ts";

/** An advert on the wire. */
export interface SeenAdvert extends Omit<Advert, "addresses"> {
  /** When the kernel saw it: microseconds of wall clock, to be compared with {@link nowUs}. */
  readonly atUs: number;
  readonly source: string;
  readonly destination: string;
  /** TTL, or hop limit. */
  readonly ttl: number;
  /** As `02:00:00:00:00:01`. */
  readonly sourceMac: string;
  readonly addresses: readonly string[];
}

/** An announcement: "this address is here now". */
export interface SeenAnnouncement {
  readonly atUs: number;
  readonly address: string;
  readonly mac: string;
}

const FILTER = "ip proto 112 or ip6 proto 112 or arp or (icmp6 and ip6[40] == 136)";

/** The wall clock as kernel time stamps have it, in microseconds. */
export function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/** A running capture; ends with `await using`. */
export class Capture {
  /** Adverts in the order of arrival. */
  readonly adverts: SeenAdvert[] = [];
  /** Announcements in the order of arrival. */
  readonly announcements: SeenAnnouncement[] = [];
  /** Packets of protocol 112 that are no sound adverts, with the reason. */
  readonly broken: string[] = [];
  readonly #waiting = new Waiting();
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  #bytes = new Uint8Array(0);
  #atHeader = true;
  #said = "";

  private constructor(network: Network, bridge: string) {
    const words = [
      "tcpdump",
      "-i",
      bridge,
      "-U",
      "-w",
      "-",
      "--immediate-mode",
      "-s",
      "256",
      "-B",
      "4096",
      "-Z",
      "root",
    ];
    this.#child = Bun.spawn([...network.enter(WIRE), ...words, FILTER], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
  }

  /** Captures on the network's wire (or another bridge); everything from now on will be seen. */
  static async start(network: Network, bridge = "br0"): Promise<Capture> {
    const capture = new Capture(network, bridge);
    void capture.#read();
    void capture.#listen();
    const isReady = (): true | undefined => capture.#said.includes("listening on") || undefined;
    await until(capture.#waiting, isReady, 5000, () => `no tcpdump: ${capture.#said}`);
    return capture;
  }

  /**
   * The first advert from `sinceUs` on (default: from the start of the capture) for which `wanted` is
   * true; waits for it. Throws when `ms` have passed without one.
   */
  waitForAdvert(
    wanted: (advert: SeenAdvert) => boolean,
    ms = 5000,
    sinceUs = 0,
  ): Promise<SeenAdvert> {
    return until(
      this.#waiting,
      () => this.adverts.find((advert) => advert.atUs >= sinceUs && wanted(advert)),
      ms,
      () => `no such advert in ${ms} ms; the last ones:\n${this.describe(10)}\n${this.#said}`,
    );
  }

  /** Waits until `count` announcements from `sinceUs` on are `wanted`, and returns them. */
  waitForAnnouncements(
    count: number,
    wanted: (announcement: SeenAnnouncement) => boolean = () => true,
    ms = 5000,
    sinceUs = 0,
  ): Promise<SeenAnnouncement[]> {
    const find = (): SeenAnnouncement[] =>
      this.announcements.filter((one) => one.atUs >= sinceUs && wanted(one));
    return until(
      this.#waiting,
      () => find().length >= count ? find() : undefined,
      ms,
      () => `${find().length} of ${count} announcements in ${ms} ms`,
    );
  }

  /** The last `count` adverts as text, for messages. */
  describe(count: number): string {
    return this.adverts.slice(-count).map(({ atUs, source, vrid, priority }) =>
      `${(atUs / 1e6).toFixed(6)} ${source} vrid ${vrid} priority ${priority}`
    ).join("\n");
  }

  /** Ends the capture. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  /** To the end: a closed pipe would end tcpdump. */
  async #listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.#child.stderr) {
      this.#said += decoder.decode(bytes);
      this.#waiting.look();
    }
  }

  async #read(): Promise<void> {
    for await (const bytes of this.#child.stdout) {
      const all = new Uint8Array(this.#bytes.length + bytes.length);
      all.set(this.#bytes);
      all.set(bytes, this.#bytes.length);
      this.#bytes = all.subarray(this.#take(all));
      this.#waiting.look();
    }
  }

  /** Takes what is complete; returns how many bytes that was. */
  #take(bytes: Uint8Array): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    if (this.#atHeader) {
      if (bytes.length < 24) return 0;
      at = 24;
      this.#atHeader = false;
    }
    while (bytes.length - at >= 16) {
      const length = view.getUint32(at + 8, true);
      if (bytes.length - at - 16 < length) break;
      const atUs = view.getUint32(at, true) * 1_000_000 + view.getUint32(at + 4, true);
      this.#see(bytes.subarray(at + 16, at + 16 + length), atUs);
      at += 16 + length;
    }
    return at;
  }

  #see(bytes: Uint8Array, atUs: number): void {
    const frame = decodeEthernet(bytes);
    if (frame === "length") return;
    const { etherType, payload } = frame;
    const sourceMac = formatMac(frame.source);
    if (etherType === ETH_P_ARP) {
      const arp = decodeArp(bytes);
      if (typeof arp === "string" || arp.operation !== ARPOP_REQUEST) return;
      const address = formatAddress(arp.senderAddress);
      if (address !== formatAddress(arp.targetAddress)) return;
      this.announcements.push({ atUs, address, mac: formatMac(arp.senderMac) });
    } else if (etherType === ETH_P_IP) {
      const header = decodeIpv4(payload);
      if (typeof header === "string") return;
      const message = payload.subarray(header.headerLength, header.totalLength);
      this.#seeAdvert(message, header, { atUs, ttl: header.ttl, sourceMac });
    } else if (etherType === ETH_P_IPV6) {
      const ends = { source: payload.subarray(8, 24), destination: payload.subarray(24, 40) };
      const message = payload.subarray(40, 40 + (payload[4]! << 8) + payload[5]!);
      if (payload[6] === IPPROTO_VRRP) {
        this.#seeAdvert(message, ends, { atUs, ttl: payload[7]!, sourceMac });
        return;
      }
      const neighbour = decodeNeighbourAdvertisement(message, ends);
      if (typeof neighbour === "string" || neighbour.solicited) return;
      const address = formatAddress(neighbour.address);
      this.announcements.push({ atUs, address, mac: formatMac(neighbour.mac) });
    }
  }

  #seeAdvert(
    message: Uint8Array,
    ends: { readonly source: Uint8Array; readonly destination: Uint8Array },
    frame: Pick<SeenAdvert, "atUs" | "ttl" | "sourceMac">,
  ): void {
    const [source, destination] = [formatAddress(ends.source), formatAddress(ends.destination)];
    const advert = decodeAdvert(message, ends);
    if (typeof advert === "string") {
      this.broken.push(`${advert} in an advert from ${source}`);
      return;
    }
    const addresses = advert.addresses.map(formatAddress);
    this.adverts.push({ ...advert, ...frame, source, destination, addresses });
  }
}

function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}
