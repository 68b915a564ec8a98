/**
 * What outlives a daemon, as text: operators' orders, and what it has done to the kernel, in case it cannot take
 * that back itself. Pure.
 */

import type { IpvsTimeouts } from "../netlink/ipvs_control.ts";
import { readOrder, type StandingOrder, writeOrder } from "./orders.ts";

/** What a daemon leaves in the kernel when all of it dies at once, or when it is told to leave it. */
export interface Remains {
  /** Where that is: another boot, or another network namespace, has another kernel's table. */
  readonly whereabouts: string;
  /** The ids of services, see table.ts. */
  readonly services: readonly string[];
  /** What the timeouts were before they were set. */
  readonly timeouts?: IpvsTimeouts;
}

/** All that is kept. */
export interface Kept {
  readonly orders: readonly StandingOrder[];
  readonly remains?: Remains;
}

/** What a text says, and what is wrong with it, in words that follow the name of a file. */
export interface Parsed {
  readonly kept: Kept;
  readonly faults: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

const VERSION = 1;

/** As text that {@link parseKept} reads; undefined when there is nothing to keep. */
export function formatKept({ orders, remains }: Kept): string | undefined {
  if (orders.length === 0 && remains === undefined) return undefined;
  const real_servers = orders.map(writeOrder);
  return `${JSON.stringify({ version: VERSION, real_servers, remains }, undefined, 1)}\n`;
}

/** Reads a text; what cannot be used is left out and said. Of two orders about one server the later counts. */
export function parseKept(text: string): Parsed {
  const none = (fault: string): Parsed => ({ kept: { orders: [] }, faults: [fault] });
  let whole: unknown;
  try {
    whole = JSON.parse(text);
  } catch (error) {
    return none(`is no JSON: ${(error as Error).message}`);
  }
  const { version, real_servers: entries, remains: left } = fieldsOf(whole);
  if (version !== VERSION) return none(`is of version ${JSON.stringify(version)}, not ${VERSION}`);
  if (!Array.isArray(entries)) return none("has no list real_servers");
  const orders = new Map<string, StandingOrder>();
  const faults: string[] = [];
  for (const [i, entry] of entries.entries()) {
    const order = readOrder(fieldsOf(entry));
    if (order === undefined) faults.push(`has no order in entry ${i + 1} of real_servers`);
    else orders.set(`${order.service} ${order.server}`, order);
  }
  const kept: Kept = { orders: [...orders.values()] };
  if (left === undefined) return { kept, faults };
  const remains = readRemains(fieldsOf(left));
  if (remains !== undefined) return { kept: { ...kept, remains }, faults };
  return { kept, faults: [...faults, "has remains that are none"] };
}

function readRemains({ whereabouts, services, timeouts }: Fields): Remains | undefined {
  const isList = Array.isArray(services) && services.every((one) => typeof one === "string");
  if (typeof whereabouts !== "string" || !isList) return undefined;
  if (timeouts === undefined) return { whereabouts, services };
  const { tcp, tcpFin, udp } = fieldsOf(timeouts);
  if (!isSeconds(tcp) || !isSeconds(tcpFin) || !isSeconds(udp)) return undefined;
  return { whereabouts, services, timeouts: { tcp, tcpFin, udp } };
}

function isSeconds(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? value as Fields : {};
}
