/**
 * Services of every kind as the commands of `test/golden/netlink/ipvs.json` ask for, and services in
 * the words of `ipvsadm -Sn`.
 */

import { type Address, formatAddress, parseAddress } from "../../src/lib/address.ts";
import {
  IP_VS_SVC_F_ONEPACKET,
  IP_VS_SVC_F_PERSISTENT,
  IP_VS_SVC_F_SCHED1,
  IP_VS_SVC_F_SCHED2,
  IP_VS_SVC_F_SCHED3,
  type Service,
  type ServiceKey,
} from "../../src/netlink/ipvs.ts";
import type { SyncDaemon } from "../../src/netlink/ipvs_control.ts";
import type { Destination } from "../../src/netlink/ipvs_destination.ts";

const [TCP, UDP, SCTP] = [6, 17, 132];
const ip = (text: string): Address => parseAddress(text)!;

function at(address: string, port: number, protocol = TCP): ServiceKey {
  const bytes = ip(address);
  return { family: bytes.length === 4 ? 4 : 6, protocol: protocol!, address: bytes, port };
}

function service(key: ServiceKey, scheduler: string, rest: Partial<Service> = {}): Service {
  const netmask = key.family === 4 ? 0xffffffff : 128;
  return { ...key, scheduler, flags: 0, timeout: 0, netmask, ...rest } as Service;
}

/** Persistent for so many seconds. */
const stays = (timeout: number): Partial<Service> => ({ flags: IP_VS_SVC_F_PERSISTENT, timeout });

/** The services, in the order of the golden's commands. */
export const SOME_SERVICES: readonly Service[] = [
  service(at("192.0.2.1", 80), "rr"),
  service(at("192.0.2.1", 443), "wlc", {
    flags: IP_VS_SVC_F_PERSISTENT | IP_VS_SVC_F_SCHED1 | IP_VS_SVC_F_SCHED3,
    timeout: 300,
    netmask: 0xffffff00,
  }),
  service(at("192.0.2.1", 53, UDP), "sh", {
    flags: IP_VS_SVC_F_ONEPACKET | IP_VS_SVC_F_SCHED1 | IP_VS_SVC_F_SCHED2,
  }),
  service(at("192.0.2.1", 5000, SCTP), "mh", { flags: IP_VS_SVC_F_SCHED1 | IP_VS_SVC_F_SCHED2 }),
  service(at("192.0.2.1", 5060, UDP), "rr", {
    flags: IP_VS_SVC_F_PERSISTENT | IP_VS_SVC_F_ONEPACKET,
    timeout: 60,
    persistenceEngine: "sip",
  }),
  service({ family: 4, fwmark: 7 }, "wrr", stays(360)),
  service({ family: 6, fwmark: 7 }, "sed"),
  service(at("2001:db8::1", 80), "lblcr", { ...stays(50), netmask: 64 }),
  service(at("2001:db8::1", 0, UDP), "nq", stays(360)),
];

function destination(
  address: string,
  port: number,
  forwarding: Destination["forwarding"],
  rest: Partial<Destination> = {},
): Destination {
  const thresholds = { upperThreshold: 0, lowerThreshold: 0 };
  return { address: ip(address), port, forwarding, weight: 1, ...thresholds, ...rest };
}

/** The destinations in the order of the golden's commands, each with the index of its service. */
export const SOME_DESTINATIONS: readonly (readonly [number, Destination])[] = [
  [
    0,
    destination("192.0.2.10", 8080, "masquerade", {
      weight: 3,
      upperThreshold: 100,
      lowerThreshold: 50,
    }),
  ],
  [0, destination("192.0.2.11", 80, "route", { weight: 0 })],
  [0, destination("192.0.2.12", 80, "tunnel", { weight: 65535 })],
  [
    0,
    destination("192.0.2.13", 80, "tunnel", {
      tunnel: { type: "gue", port: 6080, checksum: "csum" },
    }),
  ],
  [
    0,
    destination("192.0.2.14", 80, "tunnel", {
      tunnel: { type: "gue", port: 6081, checksum: "remcsum" },
    }),
  ],
  [
    0,
    destination("192.0.2.15", 80, "tunnel", {
      tunnel: { type: "gre", port: 0, checksum: "nocsum" },
    }),
  ],
  [1, destination("2001:db8::10", 443, "tunnel")],
  [5, destination("192.0.2.20", 0, "route")],
  [6, destination("2001:db8::20", 0, "masquerade")],
  [7, destination("2001:db8::10", 8080, "masquerade", { weight: 5 })],
];

/** The daemons, in the order of the golden's commands. */
export const SOME_DAEMONS: readonly SyncDaemon[] = [
  { state: "master", link: "x0", syncId: 17 },
  {
    state: "backup",
    link: "x0",
    syncId: 18,
    maxLength: 1400,
    group: ip("ff02::99"),
    port: 8849,
    ttl: 3,
  },
];

/** A service and its destinations as `ipvsadm -Sn` writes them. */
export function asIpvsadmSaves(it: Service, destinations: readonly Destination[]): string[] {
  const name = nameOf(it);
  const add = [`-A ${name} -s ${it.scheduler}`];
  if ((it.flags & IP_VS_SVC_F_PERSISTENT) !== 0) {
    add.push(`-p ${it.timeout}`);
    if (it.family === 6 && it.netmask !== 128) add.push(`-M ${it.netmask}`);
    if (it.family === 4 && it.netmask !== 0xffffffff) add.push(`-M ${dotted(it.netmask)}`);
  }
  if (it.persistenceEngine !== undefined) add.push(`--pe ${it.persistenceEngine}`);
  if ((it.flags & IP_VS_SVC_F_ONEPACKET) !== 0) add.push("-o");
  const words = schedulerFlags(it);
  if (words.length > 0) add.push(`-b ${words.join(",")}`);
  return [add.join(" "), ...destinations.map((one) => `-a ${name} ${destinationWords(one)}`)];
}

function nameOf(it: Service): string {
  if (it.fwmark !== undefined) return `-f ${it.fwmark}${it.family === 6 ? " -6" : ""}`;
  const flag = { [TCP!]: "-t", [UDP!]: "-u", [SCTP!]: "--sctp-service" }[it.protocol];
  return `${flag} ${end(it.address, it.port)}`;
}

function schedulerFlags({ scheduler, flags }: Service): string[] {
  const own = ["sh", "mh"].includes(scheduler);
  const [one, two] = own ? [`${scheduler}-fallback`, `${scheduler}-port`] : ["flag-1", "flag-2"];
  const all: [number, string][] = [
    [IP_VS_SVC_F_SCHED1, one!],
    [IP_VS_SVC_F_SCHED2, two!],
    [IP_VS_SVC_F_SCHED3, "flag-3"],
  ];
  return all.filter(([bit]) => (flags & bit) !== 0).map(([, word]) => word);
}

function destinationWords({ address, port, forwarding, weight, tunnel }: Destination): string {
  const flag =
    { masquerade: "-m", local: "-l", tunnel: "-i", route: "-g", bypass: "-b" }[forwarding];
  const words = [`-r ${end(address, port)} ${flag} -w ${weight}`];
  if (forwarding === "tunnel" && tunnel !== undefined) {
    words.push(`--tun-type ${tunnel.type}`);
    if (tunnel.type === "gue") words.push(`--tun-port ${tunnel.port}`);
    if (tunnel.type !== "ipip") words.push(`--tun-${tunnel.checksum}`);
  }
  return words.join(" ");
}

function end(address: Address, port: number): string {
  const text = formatAddress(address);
  return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`;
}

function dotted(mask: number): string {
  return [24, 16, 8, 0].map((shift) => (mask >>> shift) & 255).join(".");
}
