/**
 * A virtual_server as written → one that is complete: defaults filled in, settings that exclude each
 * other corrected, servers that cannot be dropped, each with keepalived's message.
 */
import { type CheckDefaults, completeChecks } from "./check.ts";
import type { Globals } from "./globals.ts";
import type {
  Forwarding,
  RealServer,
  SorryServer,
  Ssl,
  VirtualServer,
  VirtualServerGroup,
} from "./lvs.ts";
import { PERSISTENCE_US, type WrittenServer, type WrittenService } from "./lvs_keywords.ts";
import { serverName, serviceName } from "./lvs_reading.ts";
import type { ProblemExtras, ProblemKind, Problems } from "./problem.ts";

const DELAY_LOOP_US = 60_000_000;
const CONNECT_TIMEOUT_US = 5_000_000;
const NAT: Forwarding = { method: "NAT" };

/** What services refer to, by name. */
interface Surroundings {
  readonly globals: Pick<
    Globals,
    "smtp_alert" | "smtp_alert_checker" | "checker_log_all_failures"
  >;
  readonly groups: ReadonlyMap<string, VirtualServerGroup>;
  /** The names of all instances. */
  readonly instances: ReadonlySet<string>;
}

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
  for (const one of virtual_server) {
    const service = completeService(one, around, problems);
    if (service !== undefined) services.push(service);
  }
  return {
    ...(services.length === 0 ? {} : { virtual_servers: services }),
    ...(virtual_server_group.length === 0 ? {} : { virtual_server_groups: virtual_server_group }),
    ...(SSL === undefined ? {} : { ssl: SSL }),
  };
}

/** Of two groups with one name the first counts. */
function groupsByName(
  groups: readonly VirtualServerGroup[],
): ReadonlyMap<string, VirtualServerGroup> {
  const byName = new Map<string, VirtualServerGroup>();
  for (const group of groups) if (!byName.has(group.name)) byName.set(group.name, group);
  return byName;
}

/** A service on its way to completion. */
interface Completing {
  readonly service: WrittenService;
  readonly around: Surroundings;
  /** The group it stands for. */
  readonly group: VirtualServerGroup | undefined;
  /** Whether firewall marks are among its targets, or all of them. */
  readonly hasMarks: boolean;
  readonly onlyMarks: boolean;
  /** As names show it; the default is already in. */
  readonly protocol: "none" | "tcp" | "udp" | "sctp";
  readonly lvs_method: Forwarding;
  readonly problems: Problems;
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
  const entries = group?.entries ?? [];
  const hasMarks = target.type === "fwmark" || entries.some(({ type }) => type === "fwmark");
  const onlyMarks = hasMarks && !entries.some(({ type }) => type !== "fwmark");
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
  const name = nameOf(completing);
  if (values.lvs_sched === undefined) {
    say(
      service,
      completing.problems,
      `Virtual server ${name}: no scheduler set, setting default 'wlc'`,
    );
  }
  if (values.lvs_method === undefined) {
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

/** Says something about a service as a whole; the log line carries no place. */
function say(
  { place }: WrittenService,
  problems: Problems,
  message: string,
  kind: ProblemKind = "general",
  extras: ProblemExtras = {},
): void {
  problems.addAt(place, kind, message, extras);
}

/** keepalived drops these without counting a mistake. */
function drop(service: WrittenService, problems: Problems, message: string): undefined {
  say(service, problems, message, "note", { severity: "error" });
}

function nameOf({ service, protocol }: Completing): string {
  return serviceName(service.target, protocol);
}

/** Whether the addresses of a group are of one family, and that of the service. */
function isOfFamily(
  service: WrittenService,
  { name, entries }: VirtualServerGroup,
  problems: Problems,
): boolean {
  let family: 0 | 4 | 6 = 0;
  let isMixed = false;
  for (const entry of entries) {
    const text = entry.type === "address"
      ? entry.address
      : entry.type === "range"
      ? entry.first
      : "";
    const own = entry.type === "fwmark" ? entry.family : text.includes(":") ? 6 : 4;
    if (own === undefined) continue;
    if (family === 0) family = own;
    else if (family !== own) isMixed = true;
  }
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
  const isAnyPort = target.type === "address"
    ? target.port === 0
    : group?.entries.some((entry) => entry.type !== "fwmark" && entry.port === 0) === true;
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

/** The servers without those that have the address and port of an earlier one. */
function withoutDuplicates(completing: Completing): readonly WrittenServer[] {
  const { service, problems } = completing;
  const { real_server: servers } = service.values;
  const isKnown = duplicateFinder(servers, portOf(service));
  if (isKnown === undefined) return servers;
  return servers.filter((server) => {
    if (!isKnown(server)) return true;
    const shown = serverNameOf(completing, server);
    const message = `VS ${nameOf(completing)}: real server ${shown} is duplicated ` +
      "- removing second rs";
    problems.addAt(server.place, "general", message);
    return false;
  });
}

/** Tells a server's duplicates from the first; undefined when there are none, as nearly always. */
function duplicateFinder(
  servers: readonly WrittenServer[],
  port: number,
): ((server: WrittenServer) => boolean) | undefined {
  const { length } = servers;
  if (length < 2 || (length <= FEW && !hasTwins(servers, port))) return undefined;
  const firsts = new Map<string, WrittenServer>();
  const key = (server: WrittenServer): string =>
    `${server.address} ${server.port === 0 ? port : server.port}`;
  for (const server of servers) {
    const text = key(server);
    if (!firsts.has(text)) firsts.set(text, server);
  }
  return firsts.size === length ? undefined : (server) => firsts.get(key(server)) !== server;
}

/** Below this many, comparing each with each is quicker than making keys. */
const FEW = 16;

function hasTwins(servers: readonly WrittenServer[], port: number): boolean {
  for (let i = 1; i < servers.length; i++) {
    const one = servers[i]!;
    const own = one.port === 0 ? port : one.port;
    for (let j = 0; j < i; j++) {
      const other = servers[j]!;
      const same = own === (other.port === 0 ? port : other.port);
      if (same && one.address === other.address) return true;
    }
  }
  return false;
}

/** The port of a service that has one of its own. */
function portOf({ target }: WrittenService): number {
  return target.type === "address" ? target.port : 0;
}

function serverNameOf({ service, protocol }: Completing, { address, port }: WrittenServer): string {
  return serverName(address, protocol, port === 0 ? portOf(service) : port);
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

/** The defaults of a service's servers, as far as they are the same for all. */
function completeServers(
  completing: Completing,
  servers: readonly WrittenServer[],
): readonly RealServer[] {
  const { service, around, lvs_method } = completing;
  const { values } = service;
  const { smtp_alert_checker, smtp_alert, checker_log_all_failures } = around.globals;
  const alert = smtp_alert_checker ?? smtp_alert ?? true;
  const slowStart = values.slow_start ?? 0;
  return servers.map((server): RealServer => {
    const { address, place, values: own } = server;
    const port = serverPort(completing, server);
    const alpha = own.alpha ?? values.alpha;
    const defaults: CheckDefaults = {
      address,
      port,
      retry: own.retry ?? values.retry,
      delay_before_retry: own.delay_before_retry ?? values.delay_before_retry,
      warmup: own.warmup ?? values.warmup,
      connect_timeout: own.connect_timeout ?? values.connect_timeout ?? CONNECT_TIMEOUT_US,
      delay_loop: own.delay_loop ?? values.delay_loop ?? DELAY_LOOP_US,
      alpha,
      log_all_failures: checker_log_all_failures ?? false,
      virtualhost: own.virtualhost ?? values.virtualhost,
    };
    return {
      address,
      port,
      place,
      weight: own.weight ?? values.weight,
      lvs_method: own.lvs_method ?? lvs_method,
      uthreshold: own.uthreshold,
      lthreshold: own.lthreshold,
      inhibit_on_failure: own.inhibit_on_failure ?? values.inhibit_on_failure,
      notify_up: own.notify_up,
      notify_down: own.notify_down,
      alpha,
      smtp_alert: own.smtp_alert ?? alert,
      snmp_name: own.snmp_name,
      slow_start: own.slow_start ?? slowStart,
      checks: completeChecks(server, defaults),
    };
  });
}

/** NAT alone can change the port on the way. */
function serverPort(completing: Completing, server: WrittenServer): number {
  const { service, lvs_method, group, hasMarks, problems } = completing;
  const { target } = service;
  const port = server.port === 0 ? portOf(service) : server.port;
  if ((server.values.lvs_method ?? lvs_method).method === "NAT" || port === portOf(service)) {
    return port;
  }
  const tell = (message: string): void => problems.addAt(server.place, "general", message);
  const name = nameOf(completing);
  const shown = serverNameOf(completing, server);
  if (target.type === "address") {
    tell(`WARNING - virtual server ${name} and real server ${shown} ports don't match - resetting`);
    return target.port;
  }
  const what = `WARNING - fwmark virtual server ${name}, real server ${shown} has port specified`;
  if (target.type === "fwmark") {
    tell(`${what} - clearing`);
    return 0;
  }
  if (hasMarks) tell(`${what} - port will be ignored`);
  for (const entry of group?.entries ?? []) {
    if (entry.type === "fwmark" || entry.port === port) continue;
    const first = entry.type === "address" ? entry.address : entry.first;
    const member = `[${first},${entry.port}]`;
    tell(`virtual server ${name}:${member} and real server ${shown} ports don't match`);
  }
  return port;
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
      const differs = group?.entries.some((entry) =>
        entry.type !== "fwmark" && entry.port !== port
      );
      if (differs === true) {
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
