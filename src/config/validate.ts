/**
 * What an instance must have, and what one block says about another. Most mistakes found here end a
 * start and refuse a reload: the file describes something that cannot run.
 */
import type { Files } from "./files.ts";
import type { Globals } from "./globals.ts";
import type { Problems } from "./problem.ts";
import type { VrrpInstance } from "./vrrp.ts";

const OWN_VRID = "give each its own virtual_router_id";

/** What is looked at of a configuration. */
interface Validated {
  readonly vrrp_instances: readonly VrrpInstance[];
  readonly globals: Pick<Globals, "allow_if_changes">;
}

/** Adds what is wrong with the instances as a whole to `problems`. */
export function validate(config: Validated, files: Files, problems: Problems): void {
  for (const instance of config.vrrp_instances) {
    requireParts(instance, problems);
  }
  refuseDuplicates(config, files, problems);
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
function refuseDuplicates(
  { vrrp_instances: instances, globals }: Validated,
  files: Files,
  problems: Problems,
): void {
  const taken = new Map<string, VrrpInstance>();
  /** Those that agree in all but the interface. */
  const alike = new Map<string, VrrpInstance[]>();
  for (const instance of instances) {
    const { name, virtual_router_id: vrid, unicast_peer, mcast_group } = instance;
    if (vrid === 0) continue;
    const link = instance.interface ?? instance.vrf ?? "";
    // The peers and the group tell the family.
    const base = `${vrid} ${link}`;
    const isUnicast = unicast_peer.length > 0;
    const keys = isUnicast
      ? unicast_peer.map((peer) => `${base} ${peer.address}`)
      : [`${base} ${mcast_group}`];
    const other = keys.map((key) => taken.get(key)).find((found) => found !== undefined);
    for (const key of keys) if (!taken.has(key)) taken.set(key, instance);
    if (other === undefined) {
      if (!isUnicast) push(alike, `${vrid} ${mcast_group}`, instance);
      continue;
    }
    const message = isUnicast
      ? `(${other.name}) duplicate VRID conflict with ${name} VRID ${vrid}`
      : bothUse(other, instance, link);
    problems.addAt(instance.place, "general", message, { severity: "fatal", hint: OWN_VRID });
  }
  // Asking the kernel costs more than reading an instance: once for each link.
  const wires = new Map<string, string>();
  const wireOf = (link: string): string => {
    const wire = wires.get(link) ?? files.linkBelow(link);
    wires.set(link, wire);
    return wire;
  };
  for (const list of alike.values()) {
    if (list.length > 1) refuseOneWire(list, globals.allow_if_changes, wireOf, problems);
  }
}

/** What a macvlan carries comes in through the link below, too; that may change while links may. */
function refuseOneWire(
  instances: readonly VrrpInstance[],
  mayChange: boolean,
  wireOf: (link: string) => string,
  problems: Problems,
): void {
  const taken = new Map<string, VrrpInstance>();
  for (const instance of instances) {
    const { name, virtual_router_id: vrid, family, place } = instance;
    const wire = wireOf(instance.interface ?? "");
    const other = taken.get(wire);
    if (other === undefined) taken.set(wire, instance);
    else if (mayChange) {
      const text = `warning, VRID ${vrid} for IPv${family} is currently duplicated on ${name}`;
      problems.addAt(place, "general", `(${other.name}) ${text}`, {
        severity: "warning",
        exit: { start: 0, test: 0 },
      });
    } else {
      const message = bothUse(other, instance, wire);
      problems.addAt(place, "general", message, { severity: "fatal", hint: OWN_VRID });
    }
  }
}

function bothUse(one: VrrpInstance, other: VrrpInstance, link: string): string {
  const { virtual_router_id: vrid, family } = one;
  return `${one.name} and ${other.name} both use VRID ${vrid} with IPv${family} on interface ${link}`;
}

function push<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
