/**
 * What an instance must have, and what one block says about another. Most mistakes found here end a
 * start and refuse a reload: the file describes something that cannot run.
 */
import type { Problems } from "./problem.ts";
import type { VrrpInstance } from "./vrrp.ts";

/** Adds what is wrong with the instances as a whole to `problems`. */
export function validate(instances: readonly VrrpInstance[], problems: Problems): void {
  for (const instance of instances) {
    requireParts(instance, problems);
  }
  refuseDuplicates(instances, problems);
  if (problems.list.some((problem) => problem.kind === "bad_interface")) {
    const message = "Non-existent interface specified in configuration";
    problems.addAt(undefined, "general", message, { severity: "fatal" });
  }
}

function requireParts(instance: VrrpInstance, problems: Problems): void {
  const { name, place, virtual_ipaddress, version, no_virtual_ipaddress } = instance;
  const say = (message: string, severity: "fatal" | "warning", hint: string): void => {
    problems.addAt(place, "general", `(${name}) ${message}`, { severity, hint });
  };
  const hasSource = (instance.mcast_src_ip ?? instance.unicast_src_ip) !== undefined;
  if (instance.interface === undefined && !hasSource) {
    say("Unknown interface!", "fatal", "add a line: interface IFNAME");
  }
  if (instance.virtual_router_id === 0) {
    say("the virtual router id must be set", "fatal", "add a line: virtual_router_id 1-255");
  }
  if (virtual_ipaddress.length > 0 || no_virtual_ipaddress === true) return;
  const hint = "add a block: virtual_ipaddress { ADDRESS/PREFIX }";
  if (version === 3) say("No VIP specified; at least one is required", "fatal", hint);
  else say("No VIP specified; at least one is sensible", "warning", hint);
}

/**
 * One VRID may serve one interface and family once by multicast, and each unicast peer once. Linear
 * in the number of instances and peers.
 */
function refuseDuplicates(instances: readonly VrrpInstance[], problems: Problems): void {
  const taken = new Map<string, VrrpInstance>();
  for (const instance of instances) {
    const { name, virtual_router_id: vrid, unicast_peer } = instance;
    if (vrid === 0) continue;
    const link = instance.interface ?? "";
    // The peers and the group tell the family.
    const base = `${vrid} ${link}`;
    const isUnicast = unicast_peer.length > 0;
    const keys = isUnicast
      ? unicast_peer.map((peer) => `${base} ${peer.address}`)
      : [`${base} ${instance.mcast_group}`];
    const other = keys.map((key) => taken.get(key)).find((found) => found !== undefined);
    for (const key of keys) if (!taken.has(key)) taken.set(key, instance);
    if (other === undefined) continue;
    const message = isUnicast
      ? `(${other.name}) duplicate VRID conflict with ${name} VRID ${vrid}`
      : `${other.name} and ${name} both use VRID ${vrid} with IPv${instance.family} on interface ${link}`;
    const hint = "give each its own virtual_router_id";
    problems.addAt(instance.place, "general", message, { severity: "fatal", hint });
  }
}
