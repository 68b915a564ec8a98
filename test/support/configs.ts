/** Configurations for daemons under test: what a test does not name is usual. */

/** An instance as keepalived's words; numbers as the file has them. */
export interface InstanceSettings {
  readonly name?: string;
  readonly state?: "MASTER" | "BACKUP";
  readonly interface?: string;
  readonly vrid?: number;
  readonly priority?: number;
  readonly version?: 2 | 3;
  /** Seconds. */
  readonly interval?: number;
  /** As in virtual_ipaddress. */
  readonly addresses?: readonly string[];
  /** More lines. */
  readonly more?: string;
}

/** A vrrp_instance: V, VRID 7 over eth0, version 3 every 0.1 s, 10.0.0.100/32. */
export function instance(settings: InstanceSettings = {}): string {
  const {
    name = "V",
    state = "BACKUP",
    vrid = 7,
    version = 3,
    interval = 0.1,
    addresses = ["10.0.0.100/32"],
    more = "",
  } = settings;
  return `vrrp_instance ${name} {
    state ${state}
    interface ${settings.interface ?? "eth0"}
    virtual_router_id ${vrid}
    ${settings.priority === undefined ? "" : `priority ${settings.priority}`}
    version ${version}
    advert_int ${interval}
    virtual_ipaddress {
        ${addresses.join("\n        ")}
    }
    ${more}
}
`;
}

/** Skew_Time in microseconds (RFC 9568 §6.1; RFC 3768 §6.1 for version 2). */
export function skewUs({ version = 3, interval = 0.1, priority = 100 }: InstanceSettings): number {
  return ((256 - priority) / 256) * (version === 2 ? 1 : interval) * 1_000_000;
}

/** Active_Down_Interval in microseconds. */
export function downUs(settings: InstanceSettings): number {
  return 3 * (settings.interval ?? 0.1) * 1_000_000 + skewUs(settings);
}
