/**
 * The frames on a test's wire as they are, byte for byte: what the parity of two daemons is judged by.
 * Our own decoders have no say here, the few fields needed are read where RFC 9568 §5.2 puts them.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Network, WIRE } from "../support/namespaces.ts";

/** A frame and when the kernel saw it, in microseconds of wall clock. */
export interface Frame {
  readonly atUs: number;
  readonly bytes: Uint8Array;
}

/** What the tests need to know of an advert. */
export interface WireAdvert {
  readonly atUs: number;
  readonly source: string;
  readonly priority: number;
  readonly version: number;
  readonly intervalUs: number;
  /**
   * The frame in hex without the IP header's identification and checksum, or IPv6's flow label, and without
   * an authentication header's sequence number and data.
   */
  readonly text: string;
}

/** A gratuitous ARP or an unsolicited neighbour advertisement. */
export interface WireArp {
  readonly atUs: number;
  readonly sender: string;
  readonly text: string;
}

const FILTER = "ip proto 112 or ip proto 51 or arp or ip6 proto 112 or (icmp6 and ip6[40] == 136)";

/** A running tcpdump on a bridge; ends with `await using`. */
export class Tap {
  readonly #folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly #file = join(this.#folder, "pcap");
  readonly #child: Bun.Subprocess<"ignore", "ignore", "pipe">;

  private constructor(network: Network, bridge: string) {
    const words = [
      "tcpdump",
      "-i",
      bridge,
      "-U",
      "-w",
      this.#file,
      "--immediate-mode",
      "-B",
      "4096",
    ];
    this.#child = Bun.spawn([...network.enter(WIRE), ...words, "-Z", "root", FILTER], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
  }

  /** Everything that crosses the network's wire (or another bridge) from now on is caught. */
  static async start(network: Network, bridge = "br0"): Promise<Tap> {
    const tap = new Tap(network, bridge);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    void tap.#listen(resolve).then((said) => reject(new Error(`tcpdump did not start: ${said}`)));
    await promise;
    return tap;
  }

  /** Reads what tcpdump says to its end: a closed pipe would end it. */
  async #listen(ready: () => void): Promise<string> {
    const decoder = new TextDecoder();
    let said = "";
    for await (const bytes of this.#child.stderr) {
      said += decoder.decode(bytes);
      if (said.includes("listening on")) ready();
    }
    return said;
  }

  /** Ends the capture: every frame so far, earliest first. */
  async finish(): Promise<Frame[]> {
    this.#child.kill("SIGINT");
    await this.#child.exited;
    return framesOf(readFileSync(this.#file));
  }

  /** Ends the capture and removes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** pcap: a header of 24 bytes, then seconds, microseconds, length, length, frame; little-endian. */
function framesOf(file: Uint8Array): Frame[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const frames: Frame[] = [];
  for (let at = 24; at + 16 <= file.length;) {
    const length = view.getUint32(at + 8, true);
    const atUs = view.getUint32(at, true) * 1_000_000 + view.getUint32(at + 4, true);
    frames.push({ atUs, bytes: file.subarray(at + 16, at + 16 + length) });
    at += 16 + length;
  }
  return frames;
}

const ETHERNET = 14;

const IPPROTO_VRRP = 112;
const IPPROTO_AH = 51;

/** The adverts among the frames. */
export function advertsOf(frames: readonly Frame[]): WireAdvert[] {
  const isAdvert = ({ bytes }: Frame): boolean =>
    etherType(bytes) === 0x0800 || (etherType(bytes) === 0x86dd && bytes[20] === IPPROTO_VRRP);
  return frames.filter(isAdvert).map(({ atUs, bytes }) => {
    const isV6 = etherType(bytes) === 0x86dd;
    const ip = bytes.subarray(ETHERNET);
    const header = isV6 ? 40 : (ip[0]! & 15) * 4;
    const ah = !isV6 && ip[9] === IPPROTO_AH ? 24 : 0;
    const message = ip.subarray(header + ah);
    const version = message[0]! >> 4;
    const masked = bytes.slice();
    if (isV6) {
      masked[ETHERNET + 1]! &= 0xf0;
      masked.fill(0, ETHERNET + 2, ETHERNET + 4);
    } else {
      masked.fill(0, ETHERNET + 4, ETHERNET + 6);
      masked.fill(0, ETHERNET + 10, ETHERNET + 12);
      if (ah > 0) masked.fill(0, ETHERNET + header + 8, ETHERNET + header + 24);
    }
    return {
      atUs,
      source: isV6 ? text6(ip.subarray(8, 24)) : ip.subarray(12, 16).join("."),
      priority: message[2]!,
      version,
      intervalUs: version === 2
        ? message[5]! * 1_000_000
        : (((message[4]! & 15) << 8) | message[5]!) * 10_000,
      text: masked.toHex(),
    };
  });
}

/** fe80::1 and the like: what is not zero in front, and at the end. */
function text6(address: Uint8Array): string {
  const words = address.toHex().match(/.{4}/g)!.map((word) => word.replace(/^0+(?=.)/, ""));
  return words.join(":").replace(/(:0)+:/, "::");
}

/** Unsolicited neighbour advertisements to all nodes, without the flow label. */
export function neighbourAdvertsOf(frames: readonly Frame[]): WireArp[] {
  const isNa = ({ bytes }: Frame): boolean =>
    etherType(bytes) === 0x86dd && bytes[20] === 58 && bytes[54] === 136 &&
    (bytes[58]! & 0x40) === 0;
  return frames.filter(isNa).map(({ atUs, bytes }) => {
    return { atUs, sender: text6(bytes.subarray(62, 78)), text: bytes.toHex() };
  });
}

/** The gratuitous ARPs: sender and target address are the same. */
export function announcementsOf(frames: readonly Frame[]): WireArp[] {
  return frames.filter(({ bytes }) => etherType(bytes) === 0x0806)
    .map(({ atUs, bytes }) => ({
      atUs,
      sender: bytes.subarray(28, 32).join("."),
      target: bytes.subarray(38, 42).join("."),
      text: bytes.toHex(),
    }))
    .filter(({ sender, target }) => sender === target);
}

/** The values without those that equal the one before. */
export function collapse(values: readonly string[]): string[] {
  return values.filter((value, i) => value !== values[i - 1]);
}

function etherType(bytes: Uint8Array): number {
  return (bytes[12]! << 8) | bytes[13]!;
}
