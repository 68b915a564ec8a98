/**
 * Start, reload and stop as one idea: what must change for one configuration to become another.
 * A start is `diff(undefined, next)`, a stop `diff(previous, undefined)`, a preview the same list,
 * printed.
 */

import type { Config } from "../config/load.ts";
import type { VrrpInstance } from "../config/vrrp.ts";

/** One step from the previous configuration to the next. Plain JSON: it travels to the role. */
export type Change =
  | {
    readonly type: "add";
    readonly key: string;
    readonly instance: VrrpInstance;
    /** Its place in the ledger, see ledger.ts; -1 for none. */
    readonly slot: number;
    /** When a predecessor of the role last advertised it as MASTER, while that still holds. */
    readonly adoptedAt?: number;
  }
  | { readonly type: "change"; readonly key: string; readonly instance: VrrpInstance }
  | { readonly type: "remove"; readonly key: string; readonly name: string };

/**
 * What makes an instance the same across a reload: interface, family, virtual_router_id and where its
 * adverts go. All else can change while it keeps its state.
 */
export function instanceKey(instance: VrrpInstance): string {
  const peers = instance.unicast_peer.map((peer) => peer.address).sort().join(",");
  const where = peers === "" ? instance.mcast_group : peers;
  return `${instance.interface ?? ""}/${instance.family}/${instance.virtual_router_id}/${where}`;
}

/** The steps from `previous` to `next`: removals first, so that what they free can be used again. */
export function diff(previous: Config | undefined, next: Config | undefined): Change[] {
  const before = byKey(previous);
  const after = byKey(next);
  const changes: Change[] = [];
  for (const [key, instance] of before) {
    if (!after.has(key)) changes.push({ type: "remove", key, name: instance.name });
  }
  for (const [key, instance] of after) {
    const known = before.get(key);
    if (known === undefined) changes.push({ type: "add", key, instance, slot: -1 });
    else if (!isSame(known, instance)) changes.push({ type: "change", key, instance });
  }
  return changes;
}

/** The instances after `changes` were applied to `before`. */
export function apply(
  changes: readonly Change[],
  before: ReadonlyMap<string, VrrpInstance>,
): Map<string, VrrpInstance> {
  const after = new Map(before);
  for (const change of changes) {
    if (change.type === "remove") after.delete(change.key);
    else after.set(change.key, change.instance);
  }
  return after;
}

/** The instances of a configuration by their key. */
export function byKey(config: Config | undefined): Map<string, VrrpInstance> {
  return new Map((config?.vrrp_instances ?? []).map((one) => [instanceKey(one), one]));
}

/** Whether two descriptions mean the same; where in the file they stand does not matter. */
function isSame(a: VrrpInstance, b: VrrpInstance): boolean {
  const place = { file: "", line: 0 };
  return JSON.stringify({ ...a, place }) === JSON.stringify({ ...b, place });
}
