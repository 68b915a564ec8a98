/**
 * What is legal but unwise: the mistakes that users of keepalived make again and again, and that no
 * start complains about. Each has a code that scripts may rely on, a sentence and a hint.
 */
import { familyOf, parseAddress } from "../lib/address.ts";
import { rangeOf } from "./election.ts";
import { lintServices } from "./lint_services.ts";
import { lintScripts } from "./lint_scripts.ts";
import type { Loaded } from "./load.ts";
import { type Find, finder, modeText } from "./finding.ts";
import type { Problems } from "./problem.ts";
import type { VirtualAddress, VrrpInstance } from "./vrrp.ts";
import type { World } from "./world.ts";

/** Adds what is unwise in a configuration to `problems`. */
export function lint(
  { config, written }: Omit<Loaded, "problems">,
  world: World,
  problems: Problems,
): void {
  const find = finder(problems);
  const instances = config.vrrp_instances;
  for (const instance of instances) {
    lintWeights(instance, config, find);
    lintUnicast(instance, world, find);
    lintSubnets(instance, world, find);
  }
  lintUnused(config, written, find);
  lintProcesses(config, written, find);
  lintServices(config.virtual_servers ?? [], find);
  lintSharedVrids(instances, find);
  lintSharedAddresses(instances, find);
  if (world.isHere) lintScripts(written, config.globals, world, find);
  lintSecrets(world, problems, find);
}

/** Weights that cannot do what they are there for. */
function lintWeights(instance: VrrpInstance, config: Loaded["config"], find: Find): void {
  const { name, place, nopreempt } = instance;
  const { best, worst, weights, arithmetic } = rangeOf(instance, config);
  if (weights.length === 0) return;
  const near = weights[0]!.what.split(" ")[0]!;
  const list = weights.map(({ what, weight }) => `${what} (${weight})`).join(", ");
  if (best === worst) {
    find({
      place,
      near,
      code: "weight_no_effect",
      message: `(${name}) ${list}: the priority is ${best} whatever happens, ` +
        `for it is kept between 1 and 254 (${arithmetic})`,
      hint: "choose a priority that leaves room for the weights",
    });
  }
  if (nopreempt) {
    find({
      place,
      near: "nopreempt",
      code: "weight_with_nopreempt",
      message: `(${name}) with nopreempt a MASTER whose priority dropped is not replaced: ` +
        `${list} ${
          weights.length === 1 ? "decides" : "decide"
        } nothing while it still sends adverts`,
      hint: "leave the weights out, so that a failure means FAULT; or leave out nopreempt",
    });
  }
}

/** A script that nobody tracks runs for nothing. */
function lintUnused(
  { vrrp_instances, vrrp_sync_groups = [] }: Loaded["config"],
  written: Loaded["written"],
  find: Find,
): void {
  const all = [...vrrp_instances, ...vrrp_sync_groups];
  const used = new Set(all.flatMap((one) => one.track_script.map(({ name }) => name)));
  for (const { name, place } of written.vrrp_script) {
    if (used.has(name)) continue;
    find({
      place,
      code: "unused_script",
      message: `vrrp_script ${name} is tracked by nobody: its result changes nothing`,
      hint: `add it to an instance: track_script { ${name} }`,
    });
  }
}

/** comm, which the kernel cuts off. */
const LONGEST_NAME = 15;

/** A name that no process can have is never found. */
function lintProcesses(
  { track_processes = [] }: Loaded["config"],
  written: Loaded["written"],
  find: Find,
): void {
  const places = new Map(written.vrrp_track_process.map(({ name, place }) => [name, place]));
  for (const { name, process: [program = ""], full_command } of track_processes) {
    const hasPath = program.includes("/");
    if (full_command || (!hasPath && program.length <= LONGEST_NAME)) continue;
    const base = program.split("/").at(-1)!.slice(0, LONGEST_NAME);
    find({
      place: places.get(name),
      near: "process",
      code: "process_never_found",
      message: `vrrp_track_process ${name}: no process is named ${program}, for a name ` +
        (hasPath ? "has no path" : `is kept to ${LONGEST_NAME} characters`),
      hint: `write process ${base}, or add full_command to compare the command line`,
    });
  }
}

/** The sender of unicast adverts, and who hears them. */
function lintUnicast(instance: VrrpInstance, world: World, find: Find): void {
  const { name, place, unicast_peer, unicast_src_ip, interface: link } = instance;
  if (unicast_peer.length === 0) return;
  const own = link === undefined ? [] : world.addressesOf(link).map((one) => one.split("/")[0]!);
  if (unicast_src_ip === undefined) {
    find({
      place,
      near: "unicast_peer",
      code: "unicast_without_source",
      message: `(${name}) unicast without unicast_src_ip: the source is whatever address ` +
        `${link ?? "the interface"} has first, and peers accept only the one they know`,
      hint: "add a line: unicast_src_ip ADDRESS, the one that the peers list",
    });
  }
  for (const { address } of unicast_peer) {
    if (address !== unicast_src_ip && !own.includes(address)) continue;
    find({
      place,
      near: [address, "unicast_peer"],
      code: "peer_is_self",
      message: `(${name}) ${address} is an address of this router, not of a peer`,
      hint: "list the other routers only; lines for one node start with @NODE or @^NODE",
    });
  }
}

/** An address outside every subnet of its link is one that no neighbour will ask for. */
function lintSubnets(instance: VrrpInstance, world: World, find: Find): void {
  for (const key of ["virtual_ipaddress", "virtual_ipaddress_excluded"] as const) {
    for (const spec of instance[key]) {
      const link = spec.dev;
      if (link === undefined) continue;
      const subnets = world.addressesOf(link).filter((one) => isSameFamily(one, spec.address));
      if (subnets.length === 0 || subnets.some((one) => holds(one, spec))) continue;
      find({
        place: instance.place,
        near: [`${spec.address}/${spec.prefixLength}`, spec.address, key],
        code: "vip_outside_subnets",
        message: `(${instance.name}) ${spec.address} is in no subnet of ${link} ` +
          `(${subnets.join(", ")}): neighbours will not ask for it`,
        hint: "check the address and dev; if it is routed here on purpose, this is all right",
      });
    }
  }
}

function isSameFamily(subnet: string, address: string): boolean {
  return subnet.includes(":") === address.includes(":");
}

/** Whether an address lies in the subnet of another, given as ADDR/LEN. */
function holds(subnet: string, { address }: VirtualAddress): boolean {
  const [base = "", length] = subnet.split("/");
  const a = parseAddress(base);
  const b = parseAddress(address);
  if (a === undefined || b === undefined || familyOf(a) !== familyOf(b)) return false;
  let bits = Number(length ?? a.length * 8);
  for (let i = 0; i < a.length && bits > 0; i++, bits -= 8) {
    const mask = bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff;
    if ((a[i]! & mask) !== (b[i]! & mask)) return false;
  }
  return true;
}

/** What the start does not refuse, but shares a virtual MAC or confuses peers. */
function lintSharedVrids(instances: readonly VrrpInstance[], find: Find): void {
  const first = new Map<string, VrrpInstance>();
  for (const instance of instances) {
    const { name, virtual_router_id: vrid, interface: link, family, mcast_group } = instance;
    if (vrid === 0 || link === undefined) continue;
    const key = `${vrid} ${link} ${family}`;
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, instance);
      continue;
    }
    const isBothMulticast = instance.unicast_peer.length + other.unicast_peer.length === 0;
    // The start has refused these.
    if (isBothMulticast && mcast_group === other.mcast_group) continue;
    find({
      place: instance.place,
      near: "virtual_router_id",
      code: "duplicate_vrid",
      message: `(${name}) uses VRID ${vrid} on ${link} as ${other.name} does: ` +
        "on one segment a VRID is one virtual router",
      hint: "give each its own virtual_router_id",
    });
  }
}

/** One address held by two instances goes away when either of them leaves. */
function lintSharedAddresses(instances: readonly VrrpInstance[], find: Find): void {
  const holders = new Map<string, VrrpInstance>();
  for (const instance of instances) {
    const all = [...instance.virtual_ipaddress, ...instance.virtual_ipaddress_excluded];
    for (const { address, prefixLength, dev } of all) {
      const key = `${address} ${dev ?? ""}`;
      const other = holders.get(key);
      if (other === undefined) holders.set(key, instance);
      else if (other !== instance) {
        find({
          place: instance.place,
          near: [`${address}/${prefixLength}`, address, "virtual_ipaddress"],
          code: "shared_vip",
          message: `(${instance.name}) ${address} is an address of ${other.name} too: ` +
            "whoever leaves first takes it from the other",
          hint: "leave it in one of them",
        });
      }
    }
  }
}

/** A file with a secret that everybody may read. */
function lintSecrets(world: World, problems: Problems, find: Find): void {
  for (const { name, path } of problems.files) {
    const line = problems.secrets.firstLine(name);
    if (line === undefined || path === undefined) continue;
    const owned = world.inspect(path);
    if (owned === undefined || (owned.mode & 0o004) === 0) continue;
    find({
      place: { file: name, line },
      code: "secret_readable",
      message: `every user of this machine may read the secrets in ${name} ` +
        `(mode ${modeText(owned.mode)})`,
      hint: `chmod 600 ${path}`,
    });
  }
}
