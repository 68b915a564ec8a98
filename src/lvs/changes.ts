/**
 * Start and reload as one idea: what must change for one configuration's virtual servers to become
 * another's. A start is `diffLvs(undefined, next)`.
 */

import type { LvsSyncDaemon, LvsTimeouts } from "../config/global_lvs_rows.ts";
import type { Config } from "../config/load.ts";
import type { GroupEntry, Ssl, VirtualServer } from "../config/lvs.ts";
import type { TrackFile } from "../config/track.ts";
import type { MarkingSettings } from "./marking.ts";
import { markKey, type Marks } from "./marks.ts";
import { serviceName } from "../lib/lvs_name.ts";
import { type ReceiveBuffer, receiveBuffer } from "../lib/receive_buffer.ts";

/** A virtual server with all that it refers to. Plain JSON. */
export interface Balanced {
  /** As messages name it. */
  readonly name: string;
  readonly server: VirtualServer;
  /** What its group stands for; empty without one. */
  readonly entries: readonly GroupEntry[];
  /** What goes to the group is marked with this, and one service for each family stands for all of it. */
  readonly mark?: number | undefined;
}

/** What holds for IPVS as a whole. */
export interface BalancerGlobals extends CheckGlobals {
  /** Remove every service of the kernel at start. */
  readonly flush: boolean;
  /** At stop: all services of the kernel, those of the configuration, or one by one. */
  readonly flushOnStop: "all" | "VS" | "";
  readonly timeouts?: LvsTimeouts;
  /** With the id it has by its instance when it has none of its own. */
  readonly syncDaemon?: LvsSyncDaemon & { readonly id: number };
  /** The tables that mark what goes to groups. */
  readonly marking?: MarkingSettings;
  /** Servers that are in the pool from the start are announced. */
  readonly initNotifies: boolean;
}

/** What checks refer to by name, and what they hear the kernel with. */
export interface CheckGlobals {
  /** What may wait of netlink's: in the socket for requests, and in the one that hears of changes. */
  readonly netlinkCmd?: ReceiveBuffer;
  readonly netlinkMonitor?: ReceiveBuffer;
  /** What SSL_GET shows to servers. */
  readonly ssl?: Ssl | undefined;
  /** The factors of files that checks look at, by the names of their track_file. */
  readonly files?: Readonly<Record<string, Pick<TrackFile, "weight" | "reverse">>>;
}

/** What checks have found out about a real server. Plain JSON. */
export interface ServerHealth {
  /** The checks that fail, by their index; it is up when there are none. */
  readonly failing: readonly number[];
  /** As configured, or as a check last said; 0 gets no new connections. */
  readonly weight: number;
}

/** What is known of a pool by a role that has died; servers that are not named are as they start. Plain JSON. */
export interface KnownPool {
  readonly hasQuorum: boolean;
  readonly servers: Readonly<Record<string, ServerHealth>>;
}

/** One step from the previous configuration to the next. Plain JSON: it travels to the role. */
export type LvsChange =
  /** Comes first. */
  | { readonly type: "globals"; readonly globals: BalancerGlobals }
  | { readonly type: "remove"; readonly key: string }
  | {
    readonly type: "add";
    readonly key: string;
    readonly balanced: Balanced;
    /** What is known of it by a role that has died. */
    readonly known?: KnownPool;
  }
  | { readonly type: "change"; readonly key: string; readonly balanced: Balanced };

/** What of a configuration concerns the load balancer. */
export type Balancing =
  & Pick<
    Config,
    | "globals"
    | "virtual_servers"
    | "virtual_server_groups"
    | "vrrp_instances"
    | "ssl"
    | "track_files"
  >
  & { readonly marks?: Marks | undefined };

/** The steps from `previous` to `next`: removals before what may take their place. */
export function diffLvs(previous: Balancing | undefined, next: Balancing): LvsChange[] {
  if (previous === next) return [];
  const before = byKey(previous);
  const after = byKey(next);
  const changes: LvsChange[] = [];
  const globals = globalsOf(next);
  if (previous === undefined || !isAlike(globalsOf(previous), globals)) {
    changes.push({ type: "globals", globals });
  }
  for (const key of before.keys()) if (!after.has(key)) changes.push({ type: "remove", key });
  for (const [key, balanced] of after) {
    const known = before.get(key);
    if (known === undefined) changes.push({ type: "add", key, balanced });
    else if (!isAlike(known, balanced)) changes.push({ type: "change", key, balanced });
  }
  return changes;
}

/** Whether a configuration has work for the load balancer. */
export function hasLvsWork(config: Balancing | undefined): boolean {
  const globals = config?.globals;
  return config?.virtual_servers !== undefined || globals?.lvs_sync_daemon !== undefined;
}

/** Whether there is something to be done in the kernel: a role may run with nothing to balance. */
export function concernsKernel(changes: readonly LvsChange[]): boolean {
  return changes.some((change) => {
    if (change.type !== "globals") return true;
    const { flush, timeouts, syncDaemon } = change.globals;
    return flush || timeouts !== undefined || syncDaemon !== undefined;
  });
}

/** Services by name; keepalived takes two of one name, so the second one's key is numbered. */
export function byKey(config: Balancing | undefined): Map<string, Balanced> {
  const found = new Map<string, Balanced>();
  const groups = new Map<string, readonly GroupEntry[]>();
  for (const { name, entries } of config?.virtual_server_groups ?? []) {
    if (!groups.has(name)) groups.set(name, entries);
  }
  for (const server of config?.virtual_servers ?? []) {
    const { target, protocol } = server;
    const kind = protocol?.toLowerCase() ?? "none";
    const name = serviceName(target, kind);
    // The number of a group's service changes with what comes before it.
    const own = target.type === "group" ? `[${target.group}]:${kind}` : name;
    const family = target.type === "fwmark" && server.ip_family === 6 ? `${own} 6` : own;
    let key = family;
    for (let n = 2; found.has(key); n++) key = `${family} #${n}`;
    const entries = target.type === "group" ? groups.get(target.group) ?? [] : [];
    const mark = config?.marks?.[markKey(server) ?? ""];
    found.set(key, { name, server, entries, ...(mark === undefined ? {} : { mark }) });
  }
  return found;
}

function globalsOf({ globals, vrrp_instances, ssl, ...config }: Balancing): BalancerGlobals {
  const { lvs_flush, lvs_flush_on_stop, lvs_timeouts, lvs_sync_daemon: daemon } = globals;
  const instance = vrrp_instances.find(({ name }) => name === daemon?.instance);
  const id = daemon?.id ?? instance?.virtual_router_id ?? 0;
  return {
    flush: lvs_flush ?? false,
    flushOnStop: lvs_flush_on_stop ?? "",
    ...(lvs_timeouts === undefined ? {} : { timeouts: lvs_timeouts }),
    ...(daemon === undefined ? {} : { syncDaemon: { ...daemon, id } }),
    initNotifies: globals.rs_init_notifies ?? false,
    ...markingOf(globals),
    ...(ssl === undefined ? {} : { ssl }),
    ...filesOf(config),
    ...buffersOf(globals),
  };
}

function markingOf(globals: Config["globals"]): Pick<BalancerGlobals, "marking"> {
  const { nftables_ipvs: table, nftables_ipvs_priority: priority = -1 } = globals;
  if (table === undefined) return {};
  return { marking: { table, priority, counters: globals.nftables_counters === true } };
}

function buffersOf(globals: Config["globals"]): CheckGlobals {
  const { lvs_netlink_cmd_rcv_bufs: cmd, lvs_netlink_monitor_rcv_bufs: monitor } = globals;
  const netlinkCmd = receiveBuffer(cmd, globals.lvs_netlink_cmd_rcv_bufs_force);
  const netlinkMonitor = receiveBuffer(monitor, globals.lvs_netlink_monitor_rcv_bufs_force);
  return {
    ...(netlinkCmd === undefined ? {} : { netlinkCmd }),
    ...(netlinkMonitor === undefined ? {} : { netlinkMonitor }),
  };
}

/** The names of the files that checks look at. */
export function checkedFiles(
  { virtual_servers = [] }: Pick<Config, "virtual_servers">,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { real_servers } of virtual_servers) {
    for (const { checks } of real_servers) {
      for (const check of checks) if (check.type === "FILE_CHECK") names.add(check.track_file);
    }
  }
  return names;
}

function filesOf(
  config: Pick<Balancing, "virtual_servers" | "track_files">,
): Pick<CheckGlobals, "files"> {
  const names = checkedFiles(config);
  if (names.size === 0) return {};
  const files = (config.track_files ?? []).filter(({ name }) => names.has(name));
  return {
    files: Object.fromEntries(
      files.map(({ name, weight, reverse }) => [name, { weight, reverse }]),
    ),
  };
}

/**
 * Whether two plain values mean the same; where in the file they stand does not matter. What an object has of
 * its prototype (likeness.ts) counts. Called for hundreds of thousands of objects: it leaves no garbage.
 */
export function isAlike(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!isAlike(a[i], b[i])) return false;
    return true;
  }
  return hasAlike(a as Plain, a as Plain, b as Plain) &&
    hasNoMore(b as Plain, b as Plain, a as Plain);
}

type Plain = Readonly<Record<string, unknown>>;

/** Whether what `left` has by the keys of `part`, itself or a prototype of it, `right` has too. */
function hasAlike(part: Plain, left: Plain, right: Plain): boolean {
  // A loop over `in` would make an object for each of ours.
  const keys = Object.keys(part);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (key !== "place" && !isAlike(left[key], right[key])) return false;
  }
  const model = modelOf(part);
  return model === undefined || hasAlike(model, left, right);
}

/** Whether whatever `right` has by the keys of `part`, itself or a prototype of it, is there in `left`. */
function hasNoMore(part: Plain, right: Plain, left: Plain): boolean {
  const keys = Object.keys(part);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    if (right[key] !== undefined && !(key in left)) return false;
  }
  const model = modelOf(part);
  return model === undefined || hasNoMore(model, right, left);
}

function modelOf(value: Plain): Plain | undefined {
  const prototype: Plain | null = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? undefined : prototype;
}
