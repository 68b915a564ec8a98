/** What global_defs says, with the defaults filled in that others rely on. */
import type { WrittenGlobals } from "./global_keywords.ts";

/** What completion changes in what is written. */
type Completed =
  | "router_id"
  | "dynamic_interfaces"
  | "vrrp_version"
  | "vrrp_garp_lower_prio_delay"
  | "vrrp_garp_lower_prio_repeat";

/** The settings of global_defs. Durations are integer microseconds. Plain JSON. */
export interface Globals extends Omit<WrittenGlobals, Completed | "include_check"> {
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

/** The defaults of vrrp_garp_master_delay and vrrp_garp_master_repeat, which vrrp_min_garp changes. */
const DELAY_US = 5_000_000;
const REPEAT = 5;

/** Fills in the defaults. */
export function completeGlobals(
  { include_check: _, ...written }: WrittenGlobals,
  hostName: string,
): Globals {
  // Only what nobody has set otherwise.
  const minimal = written.vrrp_min_garp === true;
  const delay = minimal && written.vrrp_garp_master_delay === DELAY_US
    ? 0
    : written.vrrp_garp_master_delay;
  const repeat = minimal && written.vrrp_garp_master_repeat === REPEAT
    ? 1
    : written.vrrp_garp_master_repeat;
  return {
    ...written,
    vrrp_garp_master_delay: delay,
    vrrp_garp_master_repeat: repeat,
    router_id: written.router_id ?? hostName,
    dynamic_interfaces: written.dynamic_interfaces !== "",
    allow_if_changes: written.dynamic_interfaces === "allow_if_changes",
    vrrp_version: written.vrrp_version === 3 ? 3 : 2,
    vrrp_garp_lower_prio_delay: written.vrrp_garp_lower_prio_delay ?? delay,
    vrrp_garp_lower_prio_repeat: written.vrrp_garp_lower_prio_repeat ?? repeat,
  };
}
