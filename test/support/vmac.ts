/** What tests of VMACs ask a host about: its links, settings and firewall. */

import type { Network } from "./namespaces.ts";

/** A link as `ip -d -j link` tells of it. */
export interface ShownLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly operstate: string;
  readonly group: string;
  /** The link below. */
  readonly link?: string;
  readonly master?: string;
  readonly inet6_addr_gen_mode?: string;
  readonly linkinfo?: {
    readonly info_kind: string;
    readonly info_data?: { readonly mode?: string; readonly flags?: readonly string[] };
  };
}

/** A host's links by name. */
export function linksOf(network: Network, host: string): Map<string, ShownLink> {
  const all = JSON.parse(network.run(host, "ip", "-d", "-j", "link", "show")) as ShownLink[];
  return new Map(all.map((link) => [link.ifname, link]));
}

/** The names of a host's macvlans and ipvlans, in their order. */
export function vmacNames(network: Network, host: string): string[] {
  return [...linksOf(network, host).values()]
    .filter(({ linkinfo }) => ["macvlan", "ipvlan"].includes(linkinfo?.info_kind ?? ""))
    .map(({ ifname }) => ifname);
}

/** Settings of the kernel on a host, by path below /proc/sys. */
export function settings(
  network: Network,
  host: string,
  ...paths: readonly string[]
): Record<string, string> {
  const files = paths.map((path) => `/proc/sys/${path}`);
  const values = network.run(host, "cat", ...files).trimEnd().split("\n");
  return Object.fromEntries(paths.map((path, i) => [path, values[i]!]));
}

/** The settings of IPv4 that VMACs are about, of some links. */
export function arpSettings(
  network: Network,
  host: string,
  ...names: readonly string[]
): Record<string, string> {
  const keys = [
    "arp_ignore",
    "arp_filter",
    "arp_announce",
    "rp_filter",
    "accept_local",
    "promote_secondaries",
  ];
  const paths = names.flatMap((name) => keys.map((key) => `net/ipv4/conf/${name}/${key}`));
  return settings(network, host, ...paths);
}

/** What `nft list ruleset` says on a host, without what it counts. */
export function ruleset(network: Network, host: string): string {
  return network.run(host, "nft", "list", "ruleset").replace(/packets \d+ bytes \d+/g, "packets");
}

/** Whether a host hears an answer to one of some pings. */
export function answersPing(network: Network, from: string, address: string, tries = 1): boolean {
  const words = ["ping", "-n", "-c", String(tries), "-i", "0.2", "-W", "0.5", address];
  return Bun.spawnSync([...network.enter(from), ...words]).success;
}
