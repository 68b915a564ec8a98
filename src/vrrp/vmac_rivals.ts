/**
 * VMACs that several instances ask for. Those of one sync group share it; of others only the first may have
 * it, since an address that is on a link while another instance is MASTER there would answer for it.
 */

import type { Config } from "../config/load.ts";
import { vmacsOf } from "./vmac.ts";

/** A configuration whose instances say it when they cannot have the VMAC that they ask for. */
export function withRivals(config: Config): Config {
  const { vrrp_sync_groups = [] } = config;
  const users = new Map<string, string[]>();
  const isTogether = (one: string, other: string): boolean =>
    vrrp_sync_groups.some(({ group }) => group.includes(one) && group.includes(other));
  const vrrp_instances = config.vrrp_instances.map((instance) => {
    const { name } = instance;
    const keys = vmacsOf(instance).map(({ key }) => key);
    const rival = keys.flatMap((key) => users.get(key) ?? [])
      .find((user) => !isTogether(name, user));
    if (rival !== undefined) {
      const why = `it has the VMAC of ${rival}, and no sync group makes them move as one`;
      return { ...instance, vmac_rival: rival, configuration_fault: why };
    }
    for (const key of keys) users.set(key, [...users.get(key) ?? [], name]);
    return instance;
  });
  return { ...config, vrrp_instances };
}
