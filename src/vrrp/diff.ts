/**
 * Start, reload and stop as one idea: what must change for one configuration to become another.
 * A start is `diff(undefined, next)`, a stop `diff(previous, undefined)`, a preview the same list,
 * printed.
 */

import type { Config } from "../config/load.ts";
import type { VrrpSyncGroup } from "../config/sync_group.ts";
import type { VrrpGlobals, VrrpInstance } from "../config/vrrp.ts";
import { receiveBuffer } from "../lib/receive_buffer.ts";
import { linkWords } from "./link_words.ts";
import type { StaticItems } from "./routes.ts";
import { type Tracking, trackingOf } from "./trackers.ts";

/** One step from the previous configuration to the next. Plain JSON: it travels to the role. */
export type Change =
  /** What holds for the role as a whole; comes first. */
  | { readonly type: "globals"; readonly globals: VrrpGlobals }
  /** All sync groups, whenever one of them is different. */
  | { readonly type: "groups"; readonly groups: readonly VrrpSyncGroup[] }
  /** All addresses, routes and rules that follow nobody, whenever one of them is different. */
  | { readonly type: "static"; readonly items: StaticItems }
  /** What all instances track, whenever something of it is different. */
  | { readonly type: "tracking"; readonly tracking: Tracking }
  | InstanceChange;

/** What happens to one instance. */
export type InstanceChange =
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
 * What makes an instance the same across a reload: interface or VRF, family, virtual_router_id and whether its
 * adverts go to a group, and which, or to peers. All else can change while it keeps its state.
 */
export function instanceKey(instance: VrrpInstance): string {
  const where = instance.unicast_peer.length === 0 ? instance.mcast_group : "unicast";
  const link = instance.interface ?? instance.vrf ?? "";
  return `${link}/${instance.family}/${instance.virtual_router_id}/${where}`;
}

const NOTHING_TRACKED: Tracking = { of: {}, says: [] };

/**
 * The steps from `previous` to `next`: the groups before their members, removals before what may use what
 * they free.
 */
export function diff(previous: Config | undefined, next: Config | undefined): Change[] {
  const before = byKey(previous);
  const after = byKey(next);
  const changes: Change[] = [];
  const globals = globalsOf(next);
  if (next !== undefined && !isDeepEqual(globalsOf(previous), globals)) {
    changes.push({ type: "globals", globals });
  }
  const items = staticsOf(next);
  if (JSON.stringify(staticsOf(previous)) !== JSON.stringify(items)) {
    changes.push({ type: "static", items });
  }
  const groups = next?.vrrp_sync_groups ?? [];
  if (!isSameText(previous?.vrrp_sync_groups ?? [], groups)) {
    changes.push({ type: "groups", groups });
  }
  const tracking = trackingOf(next);
  const tracked = trackingOf(previous);
  if (next !== undefined && tracking !== tracked) {
    const now = tracking ?? NOTHING_TRACKED;
    const isNews = JSON.stringify(now) !== JSON.stringify(tracked ?? NOTHING_TRACKED);
    if (isNews) changes.push({ type: "tracking", tracking: now });
  }
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
    else if ("instance" in change) after.set(change.key, change.instance);
  }
  return after;
}

/** The instances of a configuration by their key; those that have it in common, with peers of their own, by name too. */
export function byKey(config: Config | undefined): Map<string, VrrpInstance> {
  const byOwn = Map.groupBy(config?.vrrp_instances ?? [], instanceKey);
  return new Map(
    [...byOwn].flatMap(([key, all]) =>
      all.length === 1 ? [[key, all[0]!]] : all.map((one) => [`${key}/${one.name}`, one])
    ),
  );
}

const GLOBALS = [
  "vrrp_startup_delay",
  "vrrp_delay_after_boot",
  "log_unknown_vrids",
  "vrrp_garp_interval",
  "vrrp_gna_interval",
  "nftables_counters",
  "disable_local_igmp",
] as const;
/** The same of those that count whatever they say. */
const NAMED_GLOBALS = ["nftables", "nftables_priority", "vmac_prefix", "vmac_addr_prefix"] as const;

/** What the role as a whole has to know of a configuration; nothing for most. */
function globalsOf(config: Config | undefined): VrrpGlobals {
  if (config === undefined) return {};
  const { globals, garp_groups = [] } = config;
  const { vrrp_rx_bufs_policy: buffers, vrrp_rx_bufs_multiplier } = globals;
  const set = GLOBALS.map((key) => [key, globals[key]] as const);
  const named = NAMED_GLOBALS.map((key) => [key, globals[key]] as const);
  const policy = buffers?.bytes ?? (buffers?.mtu === true ? "MTU" : "ADVERT");
  return {
    ...Object.fromEntries(set.filter(([, value]) => value !== undefined && Boolean(value))),
    ...Object.fromEntries(named.filter(([, value]) => value !== undefined)),
    ...(buffers === undefined ? {} : { vrrp_rx_bufs_policy: policy, vrrp_rx_bufs_multiplier }),
    ...buffersOf(globals),
    ...(garp_groups.length === 0 ? {} : { garp_groups }),
    ...linkWords(config),
  };
}

function buffersOf(globals: Config["globals"]): VrrpGlobals {
  const { vrrp_netlink_cmd_rcv_bufs: cmd, vrrp_netlink_monitor_rcv_bufs: monitor } = globals;
  // Nobody needs them usually.
  if (cmd === undefined && monitor === undefined) return {};
  const netlink_cmd = receiveBuffer(cmd, globals.vrrp_netlink_cmd_rcv_bufs_force);
  const netlink_monitor = receiveBuffer(monitor, globals.vrrp_netlink_monitor_rcv_bufs_force);
  return {
    ...(netlink_cmd === undefined ? {} : { netlink_cmd }),
    ...(netlink_monitor === undefined ? {} : { netlink_monitor }),
  };
}

/** What a role that has died may have left in the kernel; `keepStatics` without what follows nobody. */
export function leftovers(config: Config | undefined, keepStatics: boolean): Change[] {
  return diff(undefined, config).filter(({ type }) => !keepStatics || type !== "static");
}

/** Whether a configuration has virtual routers or what goes with them. */
export function hasVrrpWork(config: Config | undefined): boolean {
  return (config?.vrrp_instances.length ?? 0) > 0 || hasStatics(config);
}

/** Whether anything is configured that follows nobody. */
export function hasStatics(config: Config | undefined): boolean {
  return Object.values(staticsOf(config)).some((list) => list.length > 0);
}

function staticsOf(config: Config | undefined): StaticItems {
  const { static_ipaddress, static_routes, static_rules } = config ?? {};
  return {
    addresses: static_ipaddress ?? [],
    routes: static_routes ?? [],
    rules: static_rules ?? [],
  };
}

function isDeepEqual(a: VrrpGlobals, b: VrrpGlobals): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Whether two descriptions mean the same; where in the file they stand does not matter. */
function isSame(a: VrrpInstance, b: VrrpInstance): boolean {
  return isSameText([a], [b]);
}

function isSameText(
  a: readonly (VrrpInstance | VrrpSyncGroup)[],
  b: readonly (VrrpInstance | VrrpSyncGroup)[],
): boolean {
  const place = { file: "", line: 0 };
  const text = (one: VrrpInstance | VrrpSyncGroup): string => JSON.stringify({ ...one, place });
  return a.map(text).join() === b.map(text).join();
}
