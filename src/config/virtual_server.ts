/**
 * A virtual_server as written → one that is complete: defaults filled in, settings that exclude each
 * other corrected, servers that cannot be dropped, each with keepalived's message.
 */
import { factsOf } from "./group_facts.ts";
import type { Forwarding, SorryServer, Ssl, VirtualServer, VirtualServerGroup } from "./lvs.ts";
import { PERSISTENCE_US, type WrittenServer, type WrittenService } from "./lvs_keywords.ts";
import { serviceName } from "../lib/lvs_name.ts";
import type { Problems } from "./problem.ts";
import {
  completeServers,
  type Completing,
  nameOf,
  portOf,
  say,
  type Surroundings,
  withoutDuplicates,
} from "./real_server.ts";

const NAT: Forwarding = { method: "NAT" };

/** What the files say of the load balancer. */
interface WrittenBalancer {
  readonly virtual_server: readonly WrittenService[];
  readonly virtual_server_group: readonly VirtualServerGroup[];
  readonly SSL: Ssl | undefined;
  readonly vrrp_instance: readonly { readonly name: string }[];
}

/** The part of a configuration that is the load balancer's; what is absent is not there. */
interface Balancer {
  readonly virtual_servers?: readonly VirtualServer[];
  readonly virtual_server_groups?: readonly VirtualServerGroup[];
  readonly ssl?: Ssl;
}

/** Completes all services. Groups may be defined below those that name them. */
export function completeBalancer(
  written: WrittenBalancer,
  globals: Surroundings["globals"],
  problems: Problems,
): Balancer {
  const { virtual_server, virtual_server_group, SSL } = written;
  const around: Surroundings = {
    globals,
    groups: groupsByName(virtual_server_group),
    instances: new Set(written.vrrp_instance.map(({ name }) => name)),
  };
  const services: VirtualServer[] = [];
  for (const one of numbered(virtual_server, around.groups)) {
    const service = completeService(one, around, problems);
    if (service !== undefined) services.push(service);
  }
  return {
    ...(services.length === 0 ? {} : { virtual_servers: services }),
    ...(virtual_server_group.length === 0 ? {} : { virtual_server_groups: virtual_server_group }),
    ...(SSL === undefined ? {} : { ssl: SSL }),
  };
}

/** The services of a group are told apart by their number. */
function numbered(
  services: readonly WrittenService[],
  groups: Surroundings["groups"],
): readonly WrittenService[] {
  // Most configurations have none.
  if (groups.size === 0) return services;
  const counts = new Map<string, number>();
  return services.map((service) => {
    const { target } = service;
    if (target.type !== "group" || !groups.has(target.group)) return service;
    const number = counts.get(target.group) ?? 0;
    counts.set(target.group, number + 1);
    return number === 0 ? service : { ...service, target: { ...target, number } };
  });
}

/** Of two groups with one name the first counts. */
function groupsByName(
  groups: readonly VirtualServerGroup[],
): ReadonlyMap<string, VirtualServerGroup> {
  const byName = new Map<string, VirtualServerGroup>();
  for (const group of groups) if (!byName.has(group.name)) byName.set(group.name, group);
  return byName;
}

/** Completes a service; undefined when it cannot be, which the problems explain. */
function completeService(
  service: WrittenService,
  around: Surroundings,
  problems: Problems,
): VirtualServer | undefined {
  const { target, values } = service;
  const group = target.type === "group" ? around.groups.get(target.group) : undefined;
  if (target.type === "group" && group === undefined) {
    return drop(
      service,
      problems,
      `Virtual server group ${target.group} specified but not configured - ignoring virtual ` +
        `server ${serviceName(target, "none")}`,
    );
  }
  if (group !== undefined && !isOfFamily(service, group, problems)) return undefined;
  const written = (values.protocol ?? "none").toLowerCase() as Completing["protocol"];
  if (values.real_server.length === 0) {
    const message = `Virtual server ${serviceName(target, written)} has no real servers - ignoring`;
    say(service, problems, message);
    return undefined;
  }
  const facts = factsOf(group);
  const hasMarks = target.type === "fwmark" || facts.hasMarks;
  const onlyMarks = target.type === "fwmark" || facts.onlyMarks;
  const protocol = onlyMarks ? "none" : written === "none" ? "udp" : written;
  const lvs_method = values.lvs_method ?? NAT;
  const completing = {
    service,
    around,
    group,
    hasMarks,
    onlyMarks,
    protocol,
    lvs_method,
    problems,
  } as const;
  return complete(completing);
}

function complete(completing: Completing): VirtualServer {
  const { service, around, lvs_method } = completing;
  const { target, place, family, values } = service;
  const { smtp_alert_checker, smtp_alert } = around.globals;
  // In keepalived's order, for the sake of its messages.
  const ha_suspend = haSuspend(completing);
  const protocol = protocolOf(completing);
  const persistence_timeout = persistence(completing);
  const ops = oncePerPacket(completing);
  if (values.lvs_sched === undefined) {
    const name = nameOf(completing);
    say(
      service,
      completing.problems,
      `Virtual server ${name}: no scheduler set, setting default 'wlc'`,
    );
  }
  if (lacksMethod(service)) {
    const name = nameOf(completing);
    const message = `Virtual server ${name}: no forwarding method set, setting default NAT`;
    say(service, completing.problems, message);
  }
  const servers = withoutDuplicates(completing);
  const { quorum, hysteresis } = quorumOf(completing, servers);
  const real_servers = completeServers(completing, servers);
  const sorry_server = sorryOf(completing);
  requireInstance(completing);
  return {
    target,
    place,
    ip_family: family === 0 ? undefined : family,
    protocol,
    lvs_sched: values.lvs_sched ?? "wlc",
    ops,
    "flag-1": values["flag-1"],
    "flag-2": values["flag-2"],
    "flag-3": values["flag-3"],
    lvs_method,
    persistence_engine: values.persistence_engine,
    persistence_timeout,
    persistence_granularity: values.persistence_granularity,
    ha_suspend,
    smtp_alert: values.smtp_alert ?? smtp_alert_checker ?? smtp_alert ?? false,
    snmp_name: values.snmp_name,
    alpha: values.alpha,
    omega: values.omega,
    quorum_up: values.quorum_up,
    quorum_down: values.quorum_down,
    quorum,
    hysteresis,
    sorry_server,
    only_when_master: values.only_when_master,
    real_servers,
  };
}

/** keepalived drops these without counting a mistake. */
function drop(service: WrittenService, problems: Problems, message: string): undefined {
  say(service, problems, message, "note", { severity: "error" });
}

/** Whether the addresses of a group are of one family, and that of the service. */
function isOfFamily(
  service: WrittenService,
  group: VirtualServerGroup,
  problems: Problems,
): boolean {
  const { name } = group;
  const { family, isMixed } = factsOf(group);
  const shown = serviceName(service.target, "none");
  if (isMixed && hasUntunnelled(service)) {
    const what = `virtual server group with IPv4 & IPv6 doesn't match virtual server ${shown}`;
    drop(service, problems, `${name}: ${what} - ignoring`);
    return false;
  }
  if (isMixed || family === 0 || service.family === 0 || family === service.family) return true;
  drop(
    service,
    problems,
    `${name}: address family doesn't match virtual server ${shown} - ignoring`,
  );
  return false;
}

/** Whether a real server is reached without a tunnel and so must be of the service's family. */
function hasUntunnelled({ values }: WrittenService): boolean {
  const { lvs_method, real_server } = values;
  return real_server.some((server) => (server.values.lvs_method ?? lvs_method)?.method !== "TUN");
}

/** Whether a server, the sorry one included, is left without a forwarding method. */
function lacksMethod({ values }: WrittenService): boolean {
  const { lvs_method, real_server, sorry_server, sorry_server_lvs_method } = values;
  if (lvs_method !== undefined) return false;
  return (sorry_server !== undefined && sorry_server_lvs_method === undefined) ||
    real_server.some((server) => server.values.lvs_method === undefined);
}

function haSuspend(completing: Completing): boolean {
  const { service, hasMarks, problems } = completing;
  if (!service.values.ha_suspend || !hasMarks) return service.values.ha_suspend;
  const name = nameOf(completing);
  const message =
    `Virtual server ${name}: cannot use ha_suspend with fwmarks - clearing ha_suspend`;
  say(service, problems, message);
  return false;
}

function protocolOf(completing: Completing): VirtualServer["protocol"] {
  const { service, onlyMarks, problems } = completing;
  const { target, values } = service;
  if (onlyMarks) {
    if (values.protocol !== undefined) {
      const what = "protocol specified for fwmark - protocol will be ignored";
      say(service, problems, `Warning: Virtual server ${serviceName(target, "none")}: ${what}`);
    }
    return undefined;
  }
  if (values.protocol !== undefined) return values.protocol;
  const name = serviceName(target, "none");
  say(service, problems, `Virtual server ${name}: no protocol set - defaulting to UDP`);
  return "UDP";
}

/** A service for any port must be persistent, as the kernel demands. */
function persistence(completing: Completing): number | undefined {
  const { service, group, problems } = completing;
  const { target, values } = service;
  const { persistence_timeout, persistence_granularity } = values;
  if (persistence_timeout !== undefined) return persistence_timeout;
  const isAnyPort = target.type === "address" ? target.port === 0 : factsOf(group).ports.has(0);
  if (isAnyPort) {
    const name = nameOf(completing);
    const what = "zero port only valid for persistent services - setting";
    say(service, problems, `Virtual server ${name}: ${what}`);
    return PERSISTENCE_US;
  }
  return persistence_granularity === undefined ? undefined : PERSISTENCE_US;
}

function oncePerPacket(completing: Completing): boolean {
  const { service, protocol, onlyMarks, problems } = completing;
  if (!service.values.ops || onlyMarks || protocol === "udp") return service.values.ops;
  const name = nameOf(completing);
  const what = "one packet scheduling requires UDP - resetting";
  say(service, problems, `Virtual server ${name}: ${what}`);
  return false;
}

/** Quorum is at most the weight of all servers, hysteresis less than quorum. */
function quorumOf(
  completing: Completing,
  servers: readonly WrittenServer[],
): { quorum: number; hysteresis: number } {
  const { service, problems } = completing;
  const { values } = service;
  let { quorum, hysteresis } = values;
  let total = 0;
  for (const server of servers) total += server.values.weight ?? values.weight;
  if (quorum > total) {
    const message =
      `Warning - quorum ${quorum} for ${nameOf(completing)} exceeds total weight of ` +
      `real servers ${total}, reducing quorum to ${total}`;
    say(service, problems, message);
    quorum = total;
  }
  if (hysteresis > 0 && hysteresis >= quorum) {
    const most = Math.max(0, quorum - 1);
    const message = `Virtual server ${nameOf(completing)}: hysteresis ${hysteresis} >= quorum ` +
      `${quorum}; setting hysteresis to ${most}`;
    say(service, problems, message);
    hysteresis = most;
  }
  return { quorum, hysteresis };
}

function sorryOf(completing: Completing): SorryServer | undefined {
  const { service, lvs_method: inherited, group, hasMarks, problems } = completing;
  const { target, values } = service;
  const { sorry_server } = values;
  if (sorry_server === undefined) return undefined;
  const lvs_method = values.sorry_server_lvs_method ?? inherited;
  const { address } = sorry_server;
  let port = sorry_server.port === 0 ? portOf(service) : sorry_server.port;
  if (lvs_method.method !== "NAT" && port !== portOf(service)) {
    const name = nameOf(completing);
    const what = `${name}, sorry server has port specified`;
    if (target.type === "address") {
      const message = `WARNING - virtual server ${name} and sorry server ports don't match`;
      say(service, problems, `${message} - resetting`);
      port = target.port;
    } else if (target.type === "fwmark") {
      say(service, problems, `WARNING - virtual server ${what} - clearing`);
      port = 0;
    } else {
      if (hasMarks) {
        say(service, problems, `WARNING - fwmark virtual server ${what} - port will be ignored`);
      }
      const { ports } = factsOf(group);
      if (ports.size > 1 || (ports.size === 1 && !ports.has(port))) {
        say(service, problems, `WARNING - virtual server ${what} - port will be ignored`);
      }
    }
  }
  return { address, port, inhibit: values.sorry_server_inhibit, lvs_method };
}

/** A service bound to an instance that is not there would never be. */
function requireInstance(completing: Completing): void {
  const { service, around, problems } = completing;
  const { only_when_master: instance } = service.values;
  if (instance === undefined || around.instances.has(instance)) return;
  const message = `Virtual server ${nameOf(completing)}: only_when_master names no vrrp_instance ` +
    `${instance} - it will never be active`;
  say(service, problems, message, "general", { hint: "the name of a vrrp_instance block" });
}
