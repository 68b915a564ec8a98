/**
 * Reads the captured packets for tests: NAME.hex is a whole Ethernet frame, NAME.json what it says.
 */

import { readdirSync, readFileSync } from "node:fs";
import { type Address, parseAddress } from "../../../src/lib/address.ts";
import type { Endpoints } from "../../../src/wire/checksum.ts";
import type { Advert } from "../../../src/wire/vrrp.ts";

/** What a NAME.json says; addresses, MACs and authentication data are text. */
export interface Facts {
  readonly frame: { destination: string; source: string; etherType: string };
  readonly arp?: Record<string, string | number>;
  readonly ipv4?: {
    source: string;
    destination: string;
    protocol: number;
    ttl: number;
    tos: number;
    id: number;
    headerLength: number;
    totalLength: number;
  };
  /** Bytes of an authentication header between IPv4 header and advert. */
  readonly ah?: { length: number };
  readonly ipv6?: { source: string; destination: string; nextHeader: number; hopLimit: number };
  readonly neighbour?: {
    mac: string;
    address: string;
    router: boolean;
    solicited: boolean;
    override: boolean;
  };
  readonly advert?: Omit<Advert, "addresses" | "authData"> & {
    addresses: string[];
    authData: string;
  };
}

/** One captured packet. */
export interface Packet {
  readonly name: string;
  readonly facts: Facts;
  /** The whole Ethernet frame. */
  readonly frame: Uint8Array;
  /** What follows the Ethernet and IP headers (and AH). */
  readonly message: Uint8Array;
  /** Source and destination of its IP header. */
  readonly ends: Endpoints;
}

/** The bytes of hexadecimal text in which white space means nothing. */
export function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(/\s/g, ""));
}

/** The bytes of a hardware address in text. */
export function mac(text: string): Uint8Array {
  return hex(text.replaceAll(":", ""));
}

/** The address in a text known to be one. */
export function address(text: string): Address {
  return parseAddress(text)!;
}

/** The packet called `name`. */
export function readPacket(name: string): Packet {
  const read = (suffix: string): string =>
    readFileSync(new URL(`${name}.${suffix}`, import.meta.url), "utf8");
  const facts = JSON.parse(read("json")) as Facts;
  const frame = hex(read("hex"));
  const ip = facts.ipv4 ?? facts.ipv6 ?? { source: "0.0.0.0", destination: "0.0.0.0" };
  const header = facts.ipv4?.headerLength ?? (facts.ipv6 === undefined ? 0 : 40);
  return {
    name,
    facts,
    frame,
    message: frame.subarray(14 + header + (facts.ah?.length ?? 0)),
    ends: { source: address(ip.source), destination: address(ip.destination) },
  };
}

/** Every packet there is. */
export function readPackets(): Packet[] {
  const names = readdirSync(new URL(".", import.meta.url)).filter((file) => file.endsWith(".hex"));
  return names.sort().map((file) => readPacket(file.slice(0, -4)));
}

/** The advert a packet's JSON describes. */
export function advertOf(facts: Facts): Advert {
  const { addresses, authData, ...rest } = facts.advert!;
  return { ...rest, addresses: addresses.map(address), authData: hex(authData) };
}
