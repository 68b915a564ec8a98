/**
 * What an instance must have, and what one block says about another. Most mistakes found here end a
 * start and refuse a reload: the file describes something that cannot run.
 */
import { type Problem, problemAt } from "./problem.ts";
import type { VrrpInstance } from "./vrrp.ts";

/** Adds what is wrong with the instances as a whole to `problems`. */
export function validate(instances: readonly VrrpInstance[], problems: Problem[]): void {
  for (const instance of instances) {
    requireParts(instance, problems);
    reportUnbuilt(instance, problems);
  }
  refuseDuplicates(instances, problems);
  if (problems.some((problem) => problem.kind === "bad_interface")) {
    const nowhere = { file: "", line: 0, column: 0, source: "" };
    const message = "Non-existent interface specified in configuration";
    problems.push(problemAt(nowhere, "general", message, { severity: "fatal", prefix: "none" }));
  }
}

function requireParts(instance: VrrpInstance, problems: Problem[]): void {
  const { name, virtual_ipaddress, version, no_virtual_ipaddress } = instance;
  const say = (message: string, severity: "fatal" | "warning", hint: string): void => {
    problems.push(problemOf(instance, `(${name}) ${message}`, severity, hint));
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
function refuseDuplicates(instances: readonly VrrpInstance[], problems: Problem[]): void {
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
    problems.push(problemOf(instance, message, "fatal", "give each its own virtual_router_id"));
  }
}

/**
 * Why an instance cannot run yet; undefined when it can. It is left out whole: run another way it would
 * not hear its peers, and both would be MASTER.
 */
export function unbuilt(instance: VrrpInstance): string | undefined {
  const { family, version, authentication } = instance;
  if (family === 6) return "IPv6 adverts are not supported yet";
  if (version === 2 && authentication?.auth_type === "AH") {
    return "auth_type AH is not supported yet";
  }
  return undefined;
}

function reportUnbuilt(instance: VrrpInstance, problems: Problem[]): void {
  const why = unbuilt(instance);
  if (why === undefined) return;
  const spot = { ...instance.place, column: 1, source: "" };
  const message = `(${instance.name}) ${why}, this instance is not started`;
  problems.push(problemAt(spot, "not_supported", message, { severity: "error", prefix: "none" }));
}

function problemOf(
  { place }: VrrpInstance,
  message: string,
  severity: "fatal" | "warning",
  hint: string,
): Problem {
  const spot = { ...place, column: 1, source: "" };
  return problemAt(spot, "general", message, { severity, hint, prefix: "none" });
}
