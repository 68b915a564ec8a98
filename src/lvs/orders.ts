/**
 * What an operator wants of real servers, whatever their checks say. An order stands until another one replaces
 * it or it is lifted, over reloads and restarts; it names its server, and the service of that, as log lines
 * do. Checks go on meanwhile, so that it is known how a server is when its order is lifted. Pure.
 */

import type { VirtualServer } from "../config/lvs.ts";
import { serverName, serviceName } from "../lib/lvs_name.ts";

/** What is wanted of a server. */
export type Order =
  /** No new connections; those that it has go on. */
  | { readonly type: "drain" }
  /** Out of the table as if it were down, though nothing has failed. */
  | { readonly type: "maintenance" }
  /** This weight, whatever the configuration and checks say; 0 to {@link MOST_WEIGHT}. */
  | { readonly type: "weight"; readonly weight: number };

/** A server of a service. */
export interface ServerName {
  /** `[192.0.2.1]:tcp:80`, `FWM 7`, `[GROUP]:0`. */
  readonly service: string;
  /** `[198.51.100.1]:tcp:80`. */
  readonly server: string;
}

/** An order that has been given. Plain JSON. */
export interface StandingOrder extends ServerName {
  readonly order: Order;
}

/** What an operator asks for. */
export interface OrderRequest {
  /** Absent: every service that has the server. */
  readonly service?: string;
  readonly server: string;
  /** To enable a server is to lift its order. */
  readonly wanted: Order | { readonly type: "enable" };
}

/** What becomes of a request. */
export type Ruling =
  | {
    readonly isGranted: true;
    /** Everything that stands from now on. */
    readonly orders: readonly StandingOrder[];
    /** Whom it is about: at least one. */
    readonly servers: readonly ServerName[];
  }
  | {
    readonly isGranted: false;
    /** What is wrong with it. */
    readonly why: string;
    /** The names that would do; empty when no name is wrong. */
    readonly known: readonly string[];
  };

/** The names of the real servers of each service. */
export type ServerNames = ReadonlyMap<string, ReadonlySet<string>>;

/** The orders of one service by the names of its servers. */
export type ServerOrders = ReadonlyMap<string, Order>;

/** The kernel's weights have a sign, and are refused when it is one. */
export const MOST_WEIGHT = 2_147_483_647;

/** The servers that a configuration names. */
export function namesOf(servers: readonly VirtualServer[]): ServerNames {
  const names = new Map<string, Set<string>>();
  for (const { target, protocol, real_servers } of servers) {
    const kind = protocol?.toLowerCase() ?? "none";
    const service = serviceName(target, kind);
    const known = names.get(service) ?? new Set();
    for (const { address, port } of real_servers) known.add(serverName(address, kind, port));
    names.set(service, known);
  }
  return names;
}

/** Decides on a request, as the servers are named and with the orders that stand. */
export function rule(
  names: ServerNames,
  orders: readonly StandingOrder[],
  { service, server, wanted }: OrderRequest,
): Ruling {
  if (wanted.type === "weight" && !isWeight(wanted.weight)) {
    const why = `weight ${wanted.weight} is no whole number from 0 to ${MOST_WEIGHT}`;
    return { isGranted: false, why, known: [] };
  }
  if (service !== undefined && !names.has(service)) {
    return { isGranted: false, why: `no virtual server ${service}`, known: [...names.keys()] };
  }
  const among = service === undefined ? names : new Map([[service, names.get(service)!]]);
  const servers = [...among].flatMap(([one, known]) =>
    known.has(server) ? [{ service: one, server }] : []
  );
  if (servers.length === 0) {
    const where = service === undefined ? "" : ` in virtual server ${service}`;
    const known = new Set([...among.values()].flatMap((some) => [...some]));
    return { isGranted: false, why: `no real server ${server}${where}`, known: [...known] };
  }
  const isMeant = (one: ServerName): boolean =>
    one.server === server && (service === undefined || one.service === service);
  const others = orders.filter((one) => !isMeant(one));
  const given = wanted.type === "enable" ? [] : servers.map((one) => ({ ...one, order: wanted }));
  return { isGranted: true, orders: [...others, ...given], servers };
}

/** Parts orders of servers that are still named from those of servers that are not any more. */
export function sortOut(
  names: ServerNames,
  orders: readonly StandingOrder[],
): { readonly kept: readonly StandingOrder[]; readonly dropped: readonly StandingOrder[] } {
  const isNamed = ({ service, server }: ServerName): boolean =>
    names.get(service)?.has(server) === true;
  return { kept: orders.filter(isNamed), dropped: orders.filter((one) => !isNamed(one)) };
}

/** The orders of each service. */
export function byService(orders: readonly StandingOrder[]): Map<string, ServerOrders> {
  const all = new Map<string, Map<string, Order>>();
  for (const { service, server, order } of orders) {
    const some = all.get(service) ?? new Map<string, Order>();
    all.set(service, some.set(server, order));
  }
  return all;
}

/** An order in words that follow "ordered to". */
export function wordsOf(order: Order): string {
  switch (order.type) {
    case "drain":
      return "drain";
    case "maintenance":
      return "be in maintenance";
    case "weight":
      return `have weight ${order.weight}`;
  }
}

/** An order as it is written down. */
export interface WrittenOrder {
  readonly virtual_server: string;
  readonly real_server: string;
  readonly order: Order["type"];
  readonly weight?: number;
}

/** Puts an order into the form in which it is written down. */
export function writeOrder({ service, server, order }: StandingOrder): WrittenOrder {
  const { type, ...rest } = order;
  return { virtual_server: service, real_server: server, order: type, ...rest };
}

/** Reads what {@link writeOrder} has made; undefined for anything else. */
export function readOrder(
  { virtual_server: service, real_server: server, order: type, weight }: Readonly<
    Record<string, unknown>
  >,
): StandingOrder | undefined {
  if (typeof service !== "string" || typeof server !== "string") return undefined;
  if (type === "drain" || type === "maintenance") return { service, server, order: { type } };
  if (type !== "weight" || !isWeight(weight)) return undefined;
  return { service, server, order: { type, weight } };
}

function isWeight(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MOST_WEIGHT;
}
