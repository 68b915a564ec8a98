/**
 * Between the checks and the pools: which checks the virtual servers ask for, and what their results together
 * make of a server's weight. Pure.
 */

import type { Check, RealServer, Ssl, VirtualServer } from "../config/lvs.ts";
import type { Balanced, CheckGlobals } from "./changes.ts";
import { nameOf } from "./news.ts";
import type { CheckResult, PlannedCheck } from "./probes.ts";
import { type Finding, type Pool, serverKey } from "./quorum.ts";

/** Virtual servers by key. */
export type Services = ReadonlyMap<string, { readonly balanced: Balanced; readonly pool: Pool }>;

/** A check as it stands in the configuration. Thousands are kept, so that all it says is looked up there. */
class ServerCheck implements PlannedCheck {
  readonly service: string;
  readonly index: number;
  readonly isUp: boolean;
  readonly isSuspended: boolean;
  readonly #balanced: Balanced;
  readonly #real: RealServer;
  readonly #globals: CheckGlobals;

  /** One of a real server's checks, by its `index`; `service` is the key of its virtual server. */
  constructor(
    service: string,
    balanced: Balanced,
    real: RealServer,
    index: number,
    globals: CheckGlobals,
    { isUp, isSuspended }: Pick<PlannedCheck, "isUp" | "isSuspended">,
  ) {
    this.service = service;
    this.index = index;
    this.isUp = isUp;
    this.isSuspended = isSuspended;
    this.#balanced = balanced;
    this.#real = real;
    this.#globals = globals;
  }

  get server(): string {
    return serverKey(this.#real);
  }

  get virtualServer(): string {
    return this.#balanced.name;
  }

  get realServer(): string {
    return nameOf(this.#balanced, this.#real);
  }

  get check(): Check {
    return this.#real.checks[this.index]!;
  }

  get serverWeight(): number {
    return this.#real.weight;
  }

  get ssl(): Ssl | undefined {
    return this.#globals.ssl;
  }

  get file(): PlannedCheck["file"] {
    const { check } = this;
    return check.type === "FILE_CHECK" ? this.#globals.files?.[check.track_file] : undefined;
  }
}

/** The checks of all virtual servers; `isHere` tells whether this host has an address. */
export function plannedChecks(
  services: Services,
  globals: CheckGlobals,
  isHere: (address: string) => boolean,
): PlannedCheck[] {
  const planned: PlannedCheck[] = [];
  for (const [service, { balanced, pool }] of services) {
    const isSuspended = balanced.server.ha_suspend && !isReachable(balanced, isHere);
    for (const [i, real] of balanced.server.real_servers.entries()) {
      const { failing } = pool.servers[i]!;
      for (let index = 0; index < real.checks.length; index++) {
        const state = { isUp: !failing.includes(index), isSuspended };
        planned.push(new ServerCheck(service, balanced, real, index, globals, state));
      }
    }
  }
  return planned;
}

/** Whether one of a service's addresses is on this host; of a range its first. */
function isReachable({ server, entries }: Balanced, isHere: (address: string) => boolean): boolean {
  const { target } = server;
  if (target.type === "address") return isHere(target.address);
  return entries.some((entry) =>
    entry.type === "address" ? isHere(entry.address) : entry.type === "range" && isHere(entry.first)
  );
}

/** Whether a service's checks depend on the addresses of this host. */
export function dependsOnAddresses({ ha_suspend, target }: VirtualServer): boolean {
  return ha_suspend && target.type !== "fwmark";
}

/** What the checks of each server add to its weight: several may, and all of them count. */
export class WeightSums {
  readonly #added = new Map<string, Map<number, number>>();

  /** What a pool is to hear of a result, if its server is still there. */
  findingOf(services: Services, result: CheckResult): Finding | undefined {
    const real = serverOf(services, result);
    if (real === undefined) return undefined;
    const { service, server, index, isUp, weight, mail } = result;
    const id = `${service} ${server}`;
    const added = this.#added.get(id) ?? new Map<number, number>();
    if (weight !== undefined) {
      added.set(index, weight);
      this.#added.set(id, added);
    }
    const finding = { server, check: index, isUp, ...(mail === undefined ? {} : { mail }) };
    if (added.size === 0) return finding;
    let sum = real.weight;
    for (const one of added.values()) sum += one;
    return { ...finding, weight: Math.min(MOST_WEIGHT, Math.max(0, sum)) };
  }

  /** Forgets what is said by checks that are not `planned` any more. */
  retain(planned: readonly PlannedCheck[]): void {
    if (this.#added.size === 0) return;
    const subjects = new Set(planned.map((one) => `${one.service} ${one.server} ${one.index}`));
    for (const [id, added] of this.#added) {
      for (const index of added.keys()) if (!subjects.has(`${id} ${index}`)) added.delete(index);
      if (added.size === 0) this.#added.delete(id);
    }
  }
}

/** What the configuration may say at most. */
const MOST_WEIGHT = 2_147_483_647;

function serverOf(
  services: Services,
  { service, server }: Pick<CheckResult, "service" | "server">,
): RealServer | undefined {
  const servers = services.get(service)?.balanced.server.real_servers;
  return servers?.find((one) => serverKey(one) === server);
}
