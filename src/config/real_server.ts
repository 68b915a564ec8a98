/**
 * The real servers of a service as written → complete ones, and what completing a service and its
 * servers have in common.
 */
import { type CheckDefaults, completeChecks } from "./check.ts";
import type { Globals } from "./globals.ts";
import type { Forwarding, RealServer, VirtualServerGroup } from "./lvs.ts";
import type { WrittenServer, WrittenService } from "./lvs_keywords.ts";
import { serverName, serviceName } from "../lib/lvs_name.ts";
import type { ProblemExtras, ProblemKind, Problems } from "./problem.ts";

const DELAY_LOOP_US = 60_000_000;
const CONNECT_TIMEOUT_US = 5_000_000;

/** What services refer to, by name. */
export interface Surroundings {
  readonly globals: Pick<
    Globals,
    "smtp_alert" | "smtp_alert_checker" | "checker_log_all_failures"
  >;
  readonly groups: ReadonlyMap<string, VirtualServerGroup>;
  /** The names of all instances. */
  readonly instances: ReadonlySet<string>;
}

/** A service on its way to completion. */
export interface Completing {
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

/** Says something about a service as a whole; the log line carries no place. */
export function say(
  { place }: WrittenService,
  problems: Problems,
  message: string,
  kind: ProblemKind = "general",
  extras: ProblemExtras = {},
): void {
  problems.addAt(place, kind, message, extras);
}

/** A service as messages name it. */
export function nameOf({ service, protocol }: Completing): string {
  return serviceName(service.target, protocol);
}

/** The servers without those that have the address and port of an earlier one. */
export function withoutDuplicates(completing: Completing): readonly WrittenServer[] {
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
export function portOf({ target }: WrittenService): number {
  return target.type === "address" ? target.port : 0;
}

function serverNameOf({ service, protocol }: Completing, { address, port }: WrittenServer): string {
  return serverName(address, protocol, port === 0 ? portOf(service) : port);
}

/** The defaults of a service's servers, as far as they are the same for all. */
export function completeServers(
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
    // One for each member of a large group and each server is more than anybody reads.
    if (problems.isFull) break;
  }
  return port;
}
