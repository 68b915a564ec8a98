/**
 * What an operator wants of real servers, whatever their checks say. An order stands until another one replaces
 * it or it is lifted, over reloads and restarts; it is given by the names in log lines, and kept by the key of the
 * service, which does not change with its neighbours. Checks go on meanwhile, so that it is known how a
 * server is when its order is lifted. Pure.
 */

import { serverName } from "../lib/lvs_name.ts";
import type { Balanced } from "./changes.ts";

/** What is wanted of a server. */
export type Order =
  /** No new connections; those that it has go on. */
  | { readonly type: "drain" }
  /** Out of the table as if it were down, though nothing has failed. */
  | { readonly type: "maintenance" }
  /** This weight, whatever the configuration and checks say; 0 to {@link MOST_WEIGHT}. */
  | { readonly type: "weight"; readonly weight: number };

/** A server of a service, by their names. */
export interface ServerName {
  /** `[192.0.2.1]:tcp:80`, `FWM 7`, `[GROUP]:0`. */
  readonly service: string;
  /** `[198.51.100.1]:tcp:80`. */
  readonly server: string;
}

/** An order that has been given. Plain JSON. */
export interface StandingOrder {
  /** The key of the virtual server, and the name of the real server. */
  readonly service: string;
  readonly server: string;
  readonly order: Order;
}

/** What an operator asks for. */
export interface OrderRequest {
  /** A name, or a key; absent: every service that has the server. */
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

/** The names of services and their real servers, by the keys of services. */
export type ServerNames = ReadonlyMap<
  string,
  { readonly name: string; readonly servers: ReadonlySet<string> }
>;

/** The orders of one service by the names of its servers. */
export type ServerOrders = ReadonlyMap<string, Order>;

/** The kernel's weights have a sign, and are refused when it is one. */
export const MOST_WEIGHT = 2_147_483_647;

/** The names of these services and their servers. */
export function namesOf(services: ReadonlyMap<string, Balanced>): ServerNames {
  return new Map([...services].map(([key, { name, server: { protocol, real_servers } }]) => {
    const kind = protocol?.toLowerCase() ?? "none";
    const servers = real_servers.map(({ address, port }) => serverName(address, kind, port));
    return [key, { name, servers: new Set(servers) }];
  }));
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
  // Several blocks of one address have one name.
  const among = [...names].filter(([key, { name }]) =>
    service === undefined || name === service || key === service
  );
  if (among.length === 0) {
    const known = new Set([...names.values()].map(({ name }) => name));
    return { isGranted: false, why: `no virtual server ${service}`, known: [...known] };
  }
  const meant = among.filter(([, { servers }]) => servers.has(server));
  if (meant.length === 0) {
    const where = service === undefined ? "" : ` in virtual server ${service}`;
    const known = new Set(among.flatMap(([, { servers }]) => [...servers]));
    return { isGranted: false, why: `no real server ${server}${where}`, known: [...known] };
  }
  const keys = new Set(meant.map(([key]) => key));
  const others = orders.filter((one) => one.server !== server || !keys.has(one.service));
  const given = wanted.type === "enable"
    ? []
    : [...keys].map((key) => ({ service: key, server, order: wanted }));
  const servers = meant.map(([, { name }]) => ({ service: name, server }));
  return { isGranted: true, orders: [...others, ...given], servers };
}

/** Parts orders of servers that are still named from those of servers that are not any more. */
export function sortOut(
  names: ServerNames,
  orders: readonly StandingOrder[],
): { readonly kept: readonly StandingOrder[]; readonly dropped: readonly StandingOrder[] } {
  const isNamed = ({ service, server }: StandingOrder): boolean =>
    names.get(service)?.servers.has(server) === true;
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
