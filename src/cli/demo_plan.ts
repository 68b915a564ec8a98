/**
 * What the demo builds, worked out from two configurations before anything is touched: which links
 * each router needs, on which wire they meet, their addresses, and the times the RFC promises.
 *
 * The embedded pair goes the same way as a user's own: both are configurations, read by the same
 * reader. The n-th link of one router shares wire n with the n-th link of the other, whatever the two
 * files call them.
 */

import type { Config } from "../config/load.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { compareAddress, parseAddress } from "../lib/address.ts";
import { activeDownIntervalUs, skewTimeUs } from "../vrrp/timers.ts";
import { virtualRouter } from "../vrrp/instance.ts";

/** The two routers, as the timeline calls them. */
export type RouterName = "A" | "B";

/** A link of a router. */
export interface LinkPlan {
  /** As the configuration calls it. */
  readonly name: string;
  /** IPv4 addresses in text, each with a prefix of 24 bits; the first is the primary one. */
  readonly addresses: readonly string[];
}

/** One router. */
export interface RouterPlan {
  readonly name: RouterName;
  /** The instance that is watched. */
  readonly instance: VrrpInstance;
  /** Link n sits on wire n. */
  readonly links: readonly LinkPlan[];
}

/** Everything the demo builds and expects. */
export interface Plan {
  /** The router that is MASTER whenever it can be. */
  readonly preferred: RouterPlan;
  /** The router that takes over. */
  readonly standby: RouterPlan;
  /** The address the client pings. */
  readonly vip: string;
  /** The client's own address and the wire it is on. */
  readonly client: { readonly address: string; readonly wire: number };
  /** The multicast group adverts travel to; undefined when they are unicast. */
  readonly group: string | undefined;
  /** How many wires there are. */
  readonly wires: number;
  /** How long the standby waits for a silent MASTER (RFC 9568 §6.1 Active_Down_Interval). */
  readonly activeDownIntervalUs: number;
  /** How long it waits for one that said goodbye (Skew_Time). */
  readonly skewTimeUs: number;
  /** Programs the two files start while the demo runs. */
  readonly scripts: readonly string[];
}

/** The address that moves in the embedded pair (RFC 5737: a network for documentation). */
const VIP = "192.0.2.10";

/** One of the embedded pair; `advertInt` in seconds, as `advert_int` takes it. */
export function embeddedConfiguration(name: RouterName, advertInt: number): string {
  return `global_defs {
    router_id demo_${name}
}

vrrp_instance demo {
    version 3
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority ${name === "A" ? 150 : 100}
    advert_int ${advertInt}
    virtual_ipaddress {
        ${VIP}/24
    }
}
`;
}

/** The plan for two configurations, or why they cannot be shown, as a sentence. */
export function planDemo(a: Config, b: Config): Plan | string {
  const first = a.vrrp_instances[0];
  if (first === undefined) return "File A has no usable vrrp_instance";
  const second = b.vrrp_instances.find((instance) =>
    instance.virtual_router_id === first.virtual_router_id && instance.family === first.family
  );
  if (second === undefined) {
    return `File B has no vrrp_instance with virtual_router_id ${first.virtual_router_id}, ` +
      `which "${first.name}" of file A has`;
  }
  const vip = addressesOf(first).find(({ address }) => !address.includes(":"));
  if (vip === undefined) {
    return `"${first.name}" of file A has no IPv4 virtual_ipaddress, and the client pings over IPv4`;
  }
  const reason = disagreement(first, second, vip.address) ?? missingInterface(a, b);
  if (reason !== undefined) return reason;

  const names = [linkNames(a, first), linkNames(b, second)] as const;
  const taken = takenAddresses([a, b]);
  const routers = ([["A", a, first, second], ["B", b, second, first]] as const).map(
    ([name, config, instance, peer], i): RouterPlan => ({
      name,
      instance,
      links: names[i]!.map((link, wire) => ({
        name: link,
        addresses: linkAddresses(config, instance, peer, link, wire, taken),
      })),
    }),
  ) as [RouterPlan, RouterPlan];
  const [preferred, standby] = isBetter(routers[1], routers[0])
    ? [routers[1], routers[0]]
    : routers;
  const waiting = virtualRouter(standby.instance, parseAddress(primary(standby))!);
  const intervalUs = preferred.instance.advert_int;
  return {
    preferred,
    standby,
    vip: vip.address,
    client: {
      address: freeAddress(networkOf(vip.address), 100, taken),
      wire: Math.max(0, names[0].indexOf(vip.dev ?? first.interface ?? "")),
    },
    group: first.unicast_peer.length === 0 ? first.mcast_group : undefined,
    wires: Math.max(names[0].length, names[1].length),
    activeDownIntervalUs: activeDownIntervalUs(waiting, intervalUs),
    skewTimeUs: skewTimeUs(waiting, intervalUs),
    scripts: [...new Set([...scriptsOf(a), ...scriptsOf(b)])],
  };
}

function addressesOf(instance: VrrpInstance): VrrpInstance["virtual_ipaddress"] {
  return [...instance.virtual_ipaddress, ...instance.virtual_ipaddress_excluded];
}

/** Why two instances would never talk to each other, or not about the same address. */
function disagreement(a: VrrpInstance, b: VrrpInstance, vip: string): string | undefined {
  if (!addressesOf(b).some(({ address }) => address === vip)) {
    return `${vip}, the first address of "${a.name}" in file A, is not in "${b.name}" of file B`;
  }
  const interval = (instance: VrrpInstance): string | undefined =>
    instance.version === 2 ? `${instance.advert_int / 1e6} s` : undefined;
  const secret = ({ authentication }: VrrpInstance): string | undefined =>
    authentication && `${authentication.auth_type} ${authentication.auth_pass}`;
  const table: readonly [string, unknown, unknown][] = [
    ["version", a.version, b.version],
    ["advert_int", interval(a), interval(b)],
    ["use of unicast_peer", a.unicast_peer.length > 0, b.unicast_peer.length > 0],
    ["multicast group", a.mcast_group, b.mcast_group],
  ];
  const row = table.find(([, of, than]) => of !== than);
  if (row !== undefined) {
    return `The two files differ in ${row[0]} (${row[1]} and ${row[2]}): these routers would ` +
      "discard each other's adverts";
  }
  if (secret(a) === secret(b)) return undefined;
  return "The two files differ in authentication: these routers would discard each other's adverts";
}

function missingInterface(...configs: Config[]): string | undefined {
  for (const [i, config] of configs.entries()) {
    const without = config.vrrp_instances.find((instance) => instance.interface === undefined);
    if (without === undefined) continue;
    return `"${without.name}" of file ${"AB"[i]} names no interface, so no link can be made for it`;
  }
  return undefined;
}

/** Every link a configuration names, that of the watched instance first. */
function linkNames(config: Config, watched: VrrpInstance): string[] {
  const instances = [watched, ...config.vrrp_instances.filter((other) => other !== watched)];
  const names = [
    ...instances.map((instance) => instance.interface),
    ...instances.flatMap((instance) => addressesOf(instance).map(({ dev }) => dev)),
    ...instances.flatMap((instance) => instance.track_interface.map(({ name }) => name)),
  ];
  return [...new Set(names.filter((name) => name !== undefined && name !== "lo"))] as string[];
}

/** Addresses in text that nobody else may get. */
function takenAddresses(configs: readonly Config[]): Set<string> {
  const instances = configs.flatMap((config) => config.vrrp_instances);
  return new Set(instances.flatMap((instance) => [
    ...addressesOf(instance).map(({ address }) => address),
    ...instance.unicast_peer.map(({ address }) => address),
    ...[instance.unicast_src_ip, instance.mcast_src_ip].filter((address) => address !== undefined),
  ]));
}

/**
 * The addresses a link needs: those its instances send from (a peer's unicast_peer tells what it
 * expects), then one in every network it holds a virtual address of.
 */
function linkAddresses(
  config: Config,
  watched: VrrpInstance,
  peer: VrrpInstance,
  link: string,
  wire: number,
  taken: Set<string>,
): string[] {
  const found: string[] = [];
  const local = config.vrrp_instances.filter((one) => one.family === 4 && one.interface === link);
  for (const instance of local) {
    const expected = instance === watched ? peer.unicast_peer[0]?.address : undefined;
    const source = instance.unicast_src_ip ?? instance.mcast_src_ip ?? expected;
    if (source !== undefined && !found.includes(source)) found.push(source);
  }
  const networks = config.vrrp_instances.flatMap((instance) =>
    addressesOf(instance)
      .filter(({ address, dev }) => (dev ?? instance.interface) === link && !address.includes(":"))
      .map(({ address }) => networkOf(address))
  );
  if (local.length > 0 && found.length + networks.length === 0) networks.push(`10.255.${wire}`);
  for (const network of networks) {
    if (found.some((address) => networkOf(address) === network)) continue;
    found.push(freeAddress(network, 1, taken));
  }
  return found;
}

/** The first three numbers of an IPv4 address in text. */
function networkOf(address: string): string {
  return address.slice(0, address.lastIndexOf("."));
}

/** The first address of a network, from host number `from` on, that is not taken; takes it. */
function freeAddress(network: string, from: number, taken: Set<string>): string {
  let host = from;
  while (taken.has(`${network}.${host}`)) host++;
  const address = `${network}.${host}`;
  taken.add(address);
  return address;
}

/** The address a router sends its adverts from, in text. */
function primary({ links }: RouterPlan): string {
  return links[0]?.addresses[0] ?? "0.0.0.0";
}

/** RFC 9568 §6.4.3: the higher priority wins, then the higher address. */
function isBetter(one: RouterPlan, other: RouterPlan): boolean {
  const difference = one.instance.priority - other.instance.priority;
  if (difference !== 0) return difference > 0;
  return compareAddress(parseAddress(primary(one))!, parseAddress(primary(other))!) > 0;
}

function scriptsOf(config: Config): string[] {
  return config.vrrp_instances.flatMap((instance) =>
    [
      instance.notify,
      instance.notify_master,
      instance.notify_backup,
      instance.notify_fault,
      instance.notify_stop,
    ].flatMap((script) => script?.argv[0] ?? [])
  );
}

/** Microseconds as people read them: `361 ms`, `60.9 ms`, `3.61 s`. */
export function formatDuration(us: number): string {
  if (us >= 1_000_000) return `${Number((us / 1_000_000).toFixed(2))} s`;
  return `${Number((us / 1000).toFixed(1))} ms`;
}
