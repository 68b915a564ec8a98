/**
 * What must be done to IPVS's table for it to become another: as little as there is, new things before old
 * ones go, so that no packet meets an empty pool. Objects that are already right are not touched, and so
 * are their connections.
 */

import type { Service, ServiceKey } from "../netlink/ipvs.ts";
import { IP_VS_SVC_F_HASHED } from "../netlink/ipvs.ts";
import type { Destination } from "../netlink/ipvs_destination.ts";
import type { Entry, Table } from "./table.ts";

/** One request to the kernel. */
export type Command =
  | { readonly type: "new-service"; readonly service: Service }
  | { readonly type: "set-service"; readonly service: Service }
  /** Its destinations go with it. */
  | { readonly type: "delete-service"; readonly service: ServiceKey }
  | {
    readonly type: "new-destination" | "set-destination" | "delete-destination";
    readonly service: ServiceKey;
    readonly destination: Destination;
  };

/**
 * The commands that turn what is at `ids` into what is wanted there; an id that is not in `wanted` is
 * removed. They are worked out as they are taken.
 */
export function* diff(
  actual: Table,
  wanted: Table,
  ids: Iterable<string> = new Set([...actual.keys(), ...wanted.keys()]),
): Iterable<Command> {
  for (const id of ids) {
    const is = actual.get(id);
    const shall = wanted.get(id);
    if (shall !== undefined) yield* diffEntry(is, shall);
    else if (is !== undefined) yield { type: "delete-service", service: is.service };
  }
}

const NOTHING: ReadonlyMap<string, Destination> = new Map();

function* diffEntry(is: Entry | undefined, { service, destinations }: Entry): Iterable<Command> {
  if (is === undefined) yield { type: "new-service", service };
  else if (!isSameService(is.service, service)) yield { type: "set-service", service };
  const before = is?.destinations ?? NOTHING;
  for (const [id, destination] of destinations) {
    const known = before.get(id);
    if (known === undefined) yield { type: "new-destination", service, destination };
    else if (!isSameDestination(known, destination)) {
      yield { type: "set-destination", service, destination };
    }
  }
  for (const [id, destination] of before) {
    if (!destinations.has(id)) yield { type: "delete-destination", service, destination };
  }
}

/** The flags that are the kernel's own do not count. */
function isSameService(a: Service, b: Service): boolean {
  return a.scheduler === b.scheduler && a.timeout === b.timeout && a.netmask === b.netmask &&
    ((a.flags ^ b.flags) & ~IP_VS_SVC_F_HASHED) === 0 &&
    a.persistenceEngine === b.persistenceEngine;
}

function isSameDestination(a: Destination, b: Destination): boolean {
  return a.weight === b.weight && a.forwarding === b.forwarding &&
    a.upperThreshold === b.upperThreshold && a.lowerThreshold === b.lowerThreshold &&
    (a.forwarding !== "tunnel" || isSameTunnel(a, b));
}

function isSameTunnel({ tunnel: a }: Destination, { tunnel: b }: Destination): boolean {
  return (a?.type ?? "ipip") === (b?.type ?? "ipip") && (a?.port ?? 0) === (b?.port ?? 0) &&
    (a?.checksum ?? "nocsum") === (b?.checksum ?? "nocsum");
}
