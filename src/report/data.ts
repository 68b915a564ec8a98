/**
 * The text of a configuration as keepalived dumps it (`--dump-conf`, and the data file).
 *
 * Operators and exporters read it by its words: a section opens with `------< NAME >------`, an
 * instance with one blank and its keys with three. Durations are printed in keepalived's units.
 */
import type { Globals } from "../config/globals.ts";
import type { Config } from "../config/load.ts";
import type { Script, Track, VirtualAddress, VrrpInstance } from "../config/vrrp.ts";

/** rtnetlink.h: RT_SCOPE_*. */
const scopes: ReadonlyMap<number, string> = new Map([
  [0, "global"],
  [200, "site"],
  [253, "link"],
  [254, "host"],
  [255, "nowhere"],
]);

/**
 * The lines of the dump, secrets masked. `states` gives the state of each running instance by name;
 * an instance without one, as at start, has no such line.
 */
export function dumpConfig(
  { globals, vrrp_instances }: Config,
  states: ReadonlyMap<string, string> = new Map(),
): string[] {
  return [
    "------< Global definitions >------",
    ...globalLines(globals).map((line) => ` ${line}`),
    ...(vrrp_instances.length === 0 ? [] : ["------< VRRP Topology >------"]),
    ...vrrp_instances.flatMap((instance) => [
      ` VRRP Instance = ${instance.name}`,
      ...instanceLines(instance, states.get(instance.name)).map((line) => `   ${line}`),
    ]),
  ];
}

function globalLines(globals: Globals): string[] {
  const { smtp_server, notification_email, notification_email_from, script_user } = globals;
  return [
    `Router ID = ${globals.router_id}`,
    ...given(smtp_server, ({ host, port }) => [
      `Smtp server = ${host}`,
      `Smtp server port = ${port}`,
      `Smtp server connection timeout = ${seconds(globals.smtp_connect_timeout)}`,
    ]),
    ...given(notification_email_from, (from) => [`Email notification from = ${from}`]),
    ...list("Email notification to:", notification_email),
    `Dynamic interfaces = ${globals.dynamic_interfaces}`,
    ...(globals.dynamic_interfaces
      ? [`Allow interface changes = ${globals.allow_if_changes}`]
      : []),
    `VRRP IPv4 mcast group = ${globals.vrrp_mcast_group4}`,
    `VRRP IPv6 mcast group = ${globals.vrrp_mcast_group6}`,
    `Gratuitous ARP delay = ${seconds(globals.vrrp_garp_master_delay)}`,
    `Gratuitous ARP repeat = ${globals.vrrp_garp_master_repeat}`,
    `Gratuitous ARP refresh timer = ${seconds(globals.vrrp_garp_master_refresh)}`,
    `Gratuitous ARP refresh repeat = ${globals.vrrp_garp_master_refresh_repeat}`,
    `Gratuitous ARP lower priority delay = ${seconds(globals.vrrp_garp_lower_prio_delay)}`,
    `Gratuitous ARP lower priority repeat = ${globals.vrrp_garp_lower_prio_repeat}`,
    `VRRP default protocol version = ${globals.vrrp_version}`,
    `VRRP check unicast_src = ${globals.vrrp_check_unicast_src === true}`,
    `Max auto priority = ${globals.max_auto_priority < 0 ? "Disabled" : globals.max_auto_priority}`,
    `Script security ${enabled(globals.enable_script_security === true)}`,
    ...given(script_user, (by) => [`Default script user:group ${identity(by)}`]),
  ];
}

function instanceLines(instance: VrrpInstance, state: string | undefined): string[] {
  const unicast = instance.unicast_peer.length > 0;
  const source = unicast ? instance.unicast_src_ip : instance.mcast_src_ip;
  return [
    `VRRP Version = ${instance.version}`,
    ...given(state, (name) => [`State = ${name}`]),
    ...(instance.family === 6 ? ["Using Native IPv6"] : []),
    ...(unicast ? ["Flags:", "  Using unicast"] : ["Flags: none"]),
    `Wantstate = ${instance.state}`,
    ...given(instance.interface, (name) => [`Interface = ${name}`]),
    ...given(instance.vrf, (name) => [`VRF = ${name}`]),
    ...given(source, (address) => [`Using src_ip = ${address} (from configuration)`]),
    ...(unicast ? [] : [`Multicast address ${instance.mcast_group}`]),
    `Gratuitous ARP delay = ${seconds(instance.garp_master_delay)}`,
    `Gratuitous ARP repeat = ${instance.garp_master_repeat}`,
    `Gratuitous ARP refresh = ${seconds(instance.garp_master_refresh)}`,
    `Gratuitous ARP refresh repeat = ${instance.garp_master_refresh_repeat}`,
    `Gratuitous ARP lower priority delay = ${seconds(instance.garp_lower_prio_delay)}`,
    `Gratuitous ARP lower priority repeat = ${instance.garp_lower_prio_repeat}`,
    `Virtual Router ID = ${instance.virtual_router_id}`,
    `Priority = ${instance.priority}`,
    instance.version === 2
      ? `Advert interval = ${seconds(instance.advert_int)} sec`
      : `Advert interval = ${instance.advert_int / 1000} milli-sec`,
    `Accept = ${enabled(instance.accept)}`,
    `Preempt = ${enabled(!instance.nopreempt)}`,
    ...(instance.preempt_delay === 0
      ? []
      : [`Preempt delay = ${seconds(instance.preempt_delay)} secs`]),
    ...authenticationLines(instance),
    `Virtual IP (${instance.virtual_ipaddress.length}):`,
    ...instance.virtual_ipaddress.map((address) => `  ${addressText(address, instance)}`),
    ...list(
      "Virtual IP Excluded :",
      instance.virtual_ipaddress_excluded.map((address) => addressText(address, instance)),
    ),
    ...(unicast ? [`Check unicast src : ${yes(instance.check_unicast_src)}`] : []),
    ...list(
      "Unicast Peer :",
      instance.unicast_peer.map(({ address, min_ttl = 0, max_ttl = 255 }) =>
        `${address} min_ttl ${min_ttl} max_ttl ${max_ttl}`
      ),
    ),
    ...list(
      "Tracked interfaces :",
      instance.track_interface.map((track) => trackText({ weight: 0, ...track }, " ")),
    ),
    ...list("Tracked scripts :", instance.track_script.map((track) => trackText(track, " "))),
    ...list("Tracked processes :", instance.track_process.map((track) => trackText(track, ", "))),
    `Using smtp notification = ${yes(instance.smtp_alert)}`,
    ...scriptLine("Backup", instance.notify_backup),
    ...scriptLine("Master", instance.notify_master),
    ...scriptLine("Fault", instance.notify_fault),
    ...scriptLine("Stop", instance.notify_stop),
    ...scriptLine("Generic", instance.notify),
  ];
}

/** Only version 2 knows authentication; AH has a key and no password in keepalived's dump. */
function authenticationLines({ version, authentication }: VrrpInstance): string[] {
  if (version !== 2) return [];
  switch (authentication?.auth_type) {
    case undefined:
      return ["Authentication type = none"];
    case "PASS":
      return ["Authentication type = SIMPLE_PASSWORD", "Password = ********"];
    case "AH":
      return ["Authentication type = IPSEC_AH"];
  }
}

function addressText(virtual: VirtualAddress, { interface: link }: VrrpInstance): string {
  const { address, prefixLength, brd, dev = link, scope, label, peer } = virtual;
  const isIpv6 = address.includes(":");
  return [
    prefixLength === (isIpv6 ? 128 : 32) ? address : `${address}/${prefixLength}`,
    ...given(brd, (text) => [`brd ${text}`]),
    ...given(dev, (name) => [`dev ${name}`]),
    `scope ${scopes.get(scope) ?? scope}`,
    ...given(label, (name) => [`label ${name}`]),
    ...given(peer, (other) => [`peer ${other.address}/${other.prefixLength}`]),
    ...(virtual.home ? ["home"] : []),
    ...(virtual.dad ? ["-nodad"] : []),
    ...(virtual.mngtmpaddr ? ["mngtmpaddr"] : []),
    ...(virtual.noprefixroute ? ["noprefixroute"] : []),
    ...(virtual.autojoin ? ["autojoin"] : []),
    ...(virtual.no_track ? ["no_track"] : []),
    ...(isIpv6 ? [lifetimeText(virtual.preferred_lft)] : []),
  ].join(" ");
}

/** Linux calls an address deprecated once its preferred lifetime is over. */
function lifetimeText(preferred: number | undefined): string {
  return preferred === 0 ? "deprecated" : `preferred_lft ${preferred ?? "forever"}`;
}

/** Without a weight of its own, a script or process is tracked with that of its definition. */
function trackText({ name, weight, reverse }: Track, separator: string): string {
  const text = weight === undefined ? name : `${name}${separator}weight ${weight}`;
  return reverse ? `${text} reverse` : text;
}

function scriptLine(when: string, script: Script | undefined): string[] {
  return given(script, ({ argv, user, group }) => {
    const words = argv.map((word) => `'${word}'`).join(" ");
    const by = user === undefined ? "" : `, user:group ${identity({ user, group })}`;
    return [`${when} state transition script = ${words}${by}`];
  });
}

function identity({ user, group }: { user: string; group?: string | undefined }): string {
  return group === undefined ? user : `${user}:${group.replace(/^:/, "")}`;
}

/** The lines that `lines` makes of a value, none without one. */
function given<Value>(value: Value | undefined, lines: (value: Value) => string[]): string[] {
  return value === undefined ? [] : lines(value);
}

/** A title with its indented entries, nothing at all without entries. */
function list(title: string, entries: readonly string[]): string[] {
  return entries.length === 0 ? [] : [title, ...entries.map((entry) => `  ${entry}`)];
}

function seconds(durationUs: number): number {
  return durationUs / 1_000_000;
}

function enabled(flag: boolean): string {
  return flag ? "enabled" : "disabled";
}

function yes(flag: boolean): string {
  return flag ? "yes" : "no";
}
