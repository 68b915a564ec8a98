/** What global_defs says, with the defaults filled in that others rely on. */
import type { Problems } from "./problem.ts";
import type { Said } from "./readers.ts";
import type { WrittenInstance } from "./vrrp_keywords.ts";
import { GLOBAL_DEFAULTS } from "./global_defaults.ts";
import type { WrittenGlobals } from "./global_keywords.ts";

/** What completion changes in what is written. */
type Completed =
  | "router_id"
  | "dynamic_interfaces"
  | "vrrp_version"
  | "vrrp_garp_lower_prio_delay"
  | "vrrp_garp_lower_prio_repeat";

/** What has a default that others rely on. */
type Defaulted = keyof typeof GLOBAL_DEFAULTS;

/** The settings of global_defs. Durations are integer microseconds. Plain JSON. */
export interface Globals
  extends
    Omit<WrittenGlobals, Completed | Defaulted | "include_check">,
    Required<Pick<WrittenGlobals, Exclude<Defaulted, Completed>>> {
  /** The host name unless set. */
  readonly router_id: string;
  /** Interfaces may appear later. */
  readonly dynamic_interfaces: boolean;
  /** `dynamic_interfaces allow_if_changes`. */
  readonly allow_if_changes: boolean;
  readonly vrrp_version: 2 | 3;
  readonly vrrp_garp_lower_prio_delay: number;
  /** 0 sends none. */
  readonly vrrp_garp_lower_prio_repeat: number;
}

/** Fills in the defaults. */
export function completeGlobals(
  { include_check: _, ...written }: WrittenGlobals,
  hostName: string,
): Globals {
  const said = { ...GLOBAL_DEFAULTS, ...written };
  // Only what nobody has set otherwise.
  const isMinimal = written.vrrp_min_garp === true;
  const delay = said.vrrp_garp_master_delay;
  const repeat = said.vrrp_garp_master_repeat;
  const isDelay = delay === GLOBAL_DEFAULTS.vrrp_garp_master_delay;
  const isRepeat = repeat === GLOBAL_DEFAULTS.vrrp_garp_master_repeat;
  const vrrp_garp_master_delay = isMinimal && isDelay ? 0 : delay;
  const vrrp_garp_master_repeat = isMinimal && isRepeat ? 1 : repeat;
  return {
    ...said,
    vrrp_garp_master_delay,
    vrrp_garp_master_repeat,
    router_id: written.router_id ?? hostName,
    dynamic_interfaces: (written.dynamic_interfaces ?? "") !== "",
    allow_if_changes: written.dynamic_interfaces === "allow_if_changes",
    vrrp_version: said.vrrp_version === 3 ? 3 : 2,
    vrrp_garp_lower_prio_delay: written.vrrp_garp_lower_prio_delay ?? vrrp_garp_master_delay,
    vrrp_garp_lower_prio_repeat: written.vrrp_garp_lower_prio_repeat ?? vrrp_garp_master_repeat,
  };
}

/** `lvs_sync_daemon_interface` of an instance is an `lvs_sync_daemon`, unless there is one. */
export function withSyncDaemon(
  globals: Globals,
  instances: readonly Said<Pick<WrittenInstance, "lvs_sync_daemon_interface">>[],
  problems: Problems,
): Globals {
  let { lvs_sync_daemon: daemon } = globals;
  for (const { name, place, values } of instances) {
    const link = values.lvs_sync_daemon_interface;
    if (link === undefined) continue;
    if (daemon !== undefined) {
      const already = `has already been specified as ${daemon.interface} - ignoring`;
      problems.addAt(place, "general", `(${name}) lvs_sync_daemon_interface ${already}`);
    }
    daemon ??= { interface: link, instance: name };
  }
  return daemon === globals.lvs_sync_daemon ? globals : { ...globals, lvs_sync_daemon: daemon! };
}
