/**
 * The keywords of vrrp_instance, and the readers only they need. An instance shows its address
 * family line by line: the first address that says one decides, later ones must agree.
 */
import { type Address, familyOf, formatAddress, parseAddress } from "../lib/address.ts";
import { readVirtualAddress } from "./virtual_address.ts";
import {
  bool,
  flag,
  integer,
  later,
  list,
  oneOf,
  script,
  seconds,
  wholeSeconds,
  word,
} from "./readers.ts";
import {
  block,
  checkLink,
  complain,
  type Context,
  firstWord,
  readInteger,
  type Row,
  section,
  type Values,
} from "./schema.ts";
import type { Node } from "./tree.ts";
import type { Track, UnicastPeer, VirtualAddress } from "./vrrp.ts";
import type { Word } from "./words.ts";

const UINT_MAX = 4_294_967_295;
const INT_MAX = 2_147_483_647;
const LONGEST_LINK_NAME = 15;
const AUTH_PASS_BYTES = 8;

const invalid = (keyword: string) => (text: string, who: string): string =>
  `(${who}): ${keyword} '${text}' invalid - ignoring`;
const raised = (keyword: string) => (_text: string, who: string): string =>
  `(${who}): ${keyword} must be greater than 0, setting to 1`;

/** The keywords of authentication. */
const authentication = block(() => ({
  auth_type: oneOf(
    "auth_type PASS|AH - scheme of VRRPv2 authentication; none",
    ["PASS", "AH"],
    (text, who) => `(${who}) unknown authentication type '${text}'`,
  ),
  auth_pass: authPass(),
}));

/** The keywords of vrrp_instance. */
export const vrrpInstance = block(() => ({
  state: state(),
  interface: word<string, undefined>(
    "interface IFNAME - link for adverts and default for addresses; must be set",
    undefined,
    readInterface,
  ),
  virtual_router_id: integer("virtual_router_id N - VRID, 1 to 255; must be set", undefined, {
    min: 1,
    max: 255,
    strict: true,
    says: (text, who) => `(${who}): VRID '${text}' not valid - must be between 1 & 255`,
  }),
  priority: integer(
    "priority N - election priority, 1 to 255 (owner); 100, or 255 with state MASTER",
    undefined,
    {
      min: 1,
      max: 255,
      strict: true,
      otherwise: 100,
      says: (_text, who) =>
        `(${who}) Priority not valid! must be between 1 & 255. Using default 100`,
    },
  ),
  advert_int: seconds("advert_int SECS - advert interval, 0.01 to 255 (v3 40.95); 1", 1_000_000, {
    min: 0.01,
    max: 255,
    says: (text, who) => `(${who}) Advert interval (${text}) not valid! Must be > 0 - ignoring`,
  }),
  version: version(),
  native_ipv6: nativeIpv6(),
  nopreempt: flag("nopreempt - leave a MASTER of lower priority alone; off"),
  preempt: flag("preempt - take over from a MASTER of lower priority, whatever nopreempt says; on"),
  preempt_delay: seconds("preempt_delay SECS - wait before preempting, 0 to 1000; 0", 0, {
    min: 0,
    max: 1000,
    says: (_text, who) => `(${who}) Preempt_delay not valid! must be between 0-1000`,
  }),
  accept: flag("accept - take traffic to the addresses; on"),
  no_accept: later(flag("no_accept - drop traffic to the addresses unless owner; off")),
  garp_master_delay: wholeSeconds(
    "garp_master_delay SECS - wait before the second burst, 0 to 4294; global",
    undefined,
    invalid("garp_master_delay"),
  ),
  garp_master_repeat: integer(
    "garp_master_repeat N - frames per burst, 1 or more; global",
    undefined,
    {
      min: 0,
      max: UINT_MAX,
      says: invalid("garp_master_repeat"),
      raised: raised("garp_master_repeat"),
    },
  ),
  garp_master_refresh: integer(
    "garp_master_refresh SECS - period of refreshing bursts, 0 off; global",
    undefined,
    {
      min: 0,
      max: UINT_MAX,
      times: 1_000_000,
      says: (text, who) => `(${who}): Invalid garp_master_refresh '${text}' - ignoring`,
    },
  ),
  garp_master_refresh_repeat: integer(
    "garp_master_refresh_repeat N - frames per refreshing burst, 1 or more; global",
    undefined,
    {
      min: 0,
      max: UINT_MAX,
      says: invalid("garp_master_refresh_repeat"),
      raised: raised("garp_master_refresh_repeat"),
    },
  ),
  garp_lower_prio_delay: wholeSeconds(
    "garp_lower_prio_delay SECS - second burst after a lower advert, 0 to 4294; global",
    undefined,
    invalid("garp_lower_prio_delay"),
  ),
  garp_lower_prio_repeat: integer(
    "garp_lower_prio_repeat N - frames after a lower advert, 0 none; global",
    undefined,
    { min: 0, max: INT_MAX, says: invalid("garp_lower_prio_repeat") },
  ),
  mcast_src_ip: sourceAddress("mcast_src_ip IPADDR - source of adverts; the interface's first"),
  unicast_src_ip: sourceAddress("unicast_src_ip IPADDR - source of unicast adverts; likewise"),
  unicast_peer: list<UnicastPeer>(
    "unicast_peer { ADDR [min_ttl N] [max_ttl N] per line } - send to these instead of multicast",
    readPeer,
  ),
  check_unicast_src: flag("check_unicast_src - accept adverts from listed peers only; global"),
  authentication: section("authentication { ... } - VRRPv2 authentication; none", authentication),
  virtual_ipaddress: list<VirtualAddress>(
    "virtual_ipaddress { ADDR[/LEN] [dev IF] [scope S] [label L] [brd B] ... per line } - " +
      "addresses to hold while MASTER, carried in adverts",
    readMemberAddress,
  ),
  virtual_ipaddress_excluded: list<VirtualAddress>(
    "virtual_ipaddress_excluded { ADDR[/LEN] ... per line } - addresses to hold, not in adverts",
    readUniqueAddress,
  ),
  no_virtual_ipaddress: flag("no_virtual_ipaddress - allow an instance without addresses; off"),
  track_script: later(list<Track>(
    "track_script { NAME [weight N [reverse|noreverse]] per line } - scripts it depends on",
    trackNamed("vrrp_script", "track_script", "track script", 253),
  )),
  track_process: later(list<Track>(
    "track_process { NAME [weight N [reverse|noreverse]] per line } - processes it depends on",
    trackNamed("vrrp_track_process", "track_process", "track process", 254),
  )),
  track_interface: later(list<Track>(
    "track_interface { IFNAME [weight N [reverse]] per line } - interfaces it depends on",
    readTrackedInterface,
  )),
  notify: later(script("notify SCRIPT [USER [GROUP]] - run on every change of state")),
  notify_master: later(script("notify_master SCRIPT [USER [GROUP]] - run on entry to MASTER")),
  notify_backup: later(script("notify_backup SCRIPT [USER [GROUP]] - run on entry to BACKUP")),
  notify_fault: later(script("notify_fault SCRIPT [USER [GROUP]] - run on entry to FAULT")),
  notify_stop: later(script("notify_stop SCRIPT [USER [GROUP]] - run at stop")),
  smtp_alert: later(
    bool(
      "smtp_alert [BOOL] - mail on changes of state; global",
      (text) => `Invalid vrrp_instance smtp_alert parameter ${text}`,
    ),
  ),
}), {
  named: {
    missing: "vrrp_instance must have a name",
    duplicate: (name) => `vrrp instance ${name} already defined`,
  },
  lines: "use_vmac use_vmac_addr vmac_xmit_base use_ipvlan unicast_fault_no_peer " +
    "old_unicast_checksum vrf dont_track_primary mcast_dst_ip track_src_ip unicast_ttl " +
    "promote_secondaries linkbeat_use_polling v3_checksum_as_v2 skip_check_adv_addr strict_mode " +
    "debug notify_deleted notify_master_rx_lower_pri notify_priority_changes " +
    "lvs_sync_daemon_interface down_timer_adverts timer_expired_backup thread_timer_expired " +
    "garp_extra_if vmac_garp_intvl lower_prio_no_advert higher_prio_send_advert " +
    "owner_ignore_adverts kernel_rx_buf_size",
  blocks: "track_file track_bfd virtual_routes virtual_rules auth_hmac",
});

/** What the block of an instance says, before defaults from elsewhere. */
export type WrittenInstance = Values<typeof vrrpInstance>;

function state(): Row<"MASTER" | "BACKUP" | undefined> {
  return word<"MASTER" | "BACKUP", undefined>(
    "state MASTER|BACKUP - wish at start; MASTER if priority is 255",
    undefined,
    (first, node, context, before) => {
      if (first.text === "MASTER") return "MASTER";
      if (first.text !== "BACKUP") {
        const message = `(${context.who}) unknown state '${first.text}', defaulting to BACKUP`;
        complain(context, node, "general", message, first, { hint: "MASTER or BACKUP" });
      } else if (before === "MASTER") {
        const message = `(${context.who}) state previously set as MASTER - ignoring BACKUP`;
        complain(context, node, "general", message, first);
        return undefined;
      }
      return "BACKUP";
    },
  );
}

function readInterface(first: Word, node: Node, context: Context): string | undefined {
  const name = first.text;
  if (name.length > LONGEST_LINK_NAME) {
    complain(context, node, "general", `Interface name '${name}' too long - ignoring`, first);
    return undefined;
  }
  if (name === "lo") {
    const message = `(${context.who}) cannot use a loopback interface (lo) for vrrp - ignoring`;
    complain(context, node, "general", message, first);
    return undefined;
  }
  const message = `WARNING - interface ${name} for vrrp_instance ${context.who} doesn't exist`;
  checkLink(node, first, context, message);
  return name;
}

function version(): Row<undefined> {
  return {
    doc: "version 2|3 - protocol version; vrrp_version, 3 for IPv6",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const { who, protocol } = context;
      const value = readInteger(node, first, context, { min: 2, max: 3 });
      if (value === undefined) {
        complain(context, node, "general", `(${who}): Version must be either 2 or 3`, first);
      } else if (protocol.version !== 0 && protocol.version !== value) {
        const message = `(${who}) vrrp_version ${value} conflicts with configured or deduced ` +
          `version ${protocol.version}; ignoring.`;
        complain(context, node, "general", message, first);
      } else protocol.version = value === 3 ? 3 : 2;
      return undefined;
    },
  };
}

function nativeIpv6(): Row<undefined> {
  return {
    doc: "native_ipv6 - IPv6 (and version 3) whatever the addresses; off",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (!agrees(context, 6)) {
        const message = `(${context.who}) Cannot specify native_ipv6 with IPv4 addresses`;
        complain(context, node, "general", message, node.words[0]);
      }
      return undefined;
    },
  };
}

/** Whether a family agrees with what the block showed so far; the first one settles it. */
function agrees(context: Context, family: 4 | 6): boolean {
  const { protocol } = context;
  if (protocol.family === 0) {
    protocol.family = family;
    if (family === 6) protocol.version = 3;
  }
  return protocol.family === family;
}

function sourceAddress(doc: string): Row<string | undefined> {
  return word<string, undefined>(doc, undefined, (first, node, context) => {
    const what = `Configuration error: VRRP instance[${context.who}]`;
    const address = parseAddress(first.text);
    if (address === undefined) {
      const message = `${what} malformed src address[${first.text}]. Skipping...`;
      complain(context, node, "general", message, first);
      return undefined;
    }
    if (!agrees(context, familyOf(address))) {
      const message =
        `${what} and src address[${first.text}] MUST be of the same family !!! Skipping...`;
      complain(context, node, "general", message, first);
      return undefined;
    }
    return formatAddress(address);
  });
}

function readPeer(
  node: Node,
  context: Context,
  before: readonly UnicastPeer[],
): UnicastPeer | undefined {
  const first = node.words[0]!;
  const what = `Configuration error: VRRP instance[${context.who}]`;
  const parsed: Address | undefined = parseAddress(first.text);
  if (parsed === undefined) {
    const message = `${what} malformed unicast peer address[${first.text}]. Skipping...`;
    complain(context, node, "general", message, first);
    return undefined;
  }
  if (!agrees(context, familyOf(parsed))) {
    const message =
      `${what} and unicast peer address[${first.text}] MUST be of the same family !!! Skipping...`;
    complain(context, node, "general", message, first);
    return undefined;
  }
  const address = formatAddress(parsed);
  if (before.some((peer) => peer.address === address)) return undefined;
  const limits: { min_ttl?: number; max_ttl?: number } = {};
  for (let i = 1; i < node.words.length; i += 2) {
    const option = node.words[i]!;
    const value = node.words[i + 1];
    if (value === undefined) {
      const message = `(${context.who}) ${option.text} is missing a value`;
      complain(context, node, "general", message, option);
      continue;
    }
    const number = readInteger(node, value, context, { min: 0, max: 255, strict: true });
    if (number === undefined) continue;
    if (option.text === "min_ttl" || option.text === "max_ttl") limits[option.text] = number;
    else {
      const message = `(${context.who}) unknown unicast_peer option ${option.text}`;
      complain(context, node, "general", message, option, { hint: "min_ttl or max_ttl" });
    }
  }
  return { address, ...limits };
}

/** An address carried in adverts: it must be of the instance's family. */
function readMemberAddress(
  node: Node,
  context: Context,
  before: readonly VirtualAddress[],
): VirtualAddress | undefined {
  const written = node.words[0]!.text;
  const address = parseAddress(written.split("/")[0]!);
  if (address !== undefined && !agrees(context, familyOf(address))) {
    const message =
      `(${context.who}): address family must match VRRP instance [${written}] - ignoring`;
    complain(context, node, "general", message, node.words[0]);
    return undefined;
  }
  return readUniqueAddress(node, context, before);
}

function readUniqueAddress(
  node: Node,
  context: Context,
  before: readonly VirtualAddress[],
): VirtualAddress | undefined {
  const found = readVirtualAddress(node, context);
  const isKnown = found !== undefined &&
    before.some((other) =>
      other.address === found.address && other.prefixLength === found.prefixLength &&
      other.dev === found.dev
    );
  if (!isKnown) return found;
  const message = `(${context.who}) duplicate address ${node.words[0]!.text} - ignoring`;
  complain(context, node, "general", message, node.words[0]);
  return undefined;
}

/** The end of a track line: [weight N [reverse|noreverse]]. A mistake leaves the weight out. */
function readWeight(
  node: Node,
  context: Context,
  most: number,
  says: { readonly bad: string; readonly missing: string; readonly option: string },
): Omit<Track, "name"> {
  const [name, keyword, value, last] = node.words;
  const refuse = (message: string, at: Word): { readonly reverse: false } => {
    complain(context, node, "general", `(${context.who}) ${message}`, at);
    return { reverse: false };
  };
  if (keyword === undefined) return { reverse: false };
  if (keyword.text !== "weight") {
    return refuse(`${says.option} ${keyword.text} - ignoring`, keyword);
  }
  if (value === undefined) return refuse(`${says.missing} ${name!.text} - ignoring`, keyword);
  const weight = readInteger(node, value, context, { min: -254, max: 254 });
  if (weight === undefined) return refuse(says.bad, value);
  const reverse = last?.text === "reverse";
  if (Math.abs(weight) <= most) return { weight, reverse };
  refuse(`weight for ${name!.text} cannot be +/-254. Setting to +/-253`, value);
  return { weight: Math.sign(weight) * most, reverse };
}

/** A track line whose name an earlier block defines. */
function trackNamed(
  block: string,
  keyword: string,
  what: string,
  most: number,
): (node: Node, context: Context, before: readonly Track[]) => Track | undefined {
  return (node, context, before) => {
    const name = node.words[0]!.text;
    const refuse = (message: string): undefined => {
      complain(context, node, "general", `(${context.who}) ${message}`, node.words[0]);
    };
    if (context.names.get(block)?.has(name) !== true) {
      return refuse(`${what} ${name} not found, ignoring...`);
    }
    if (before.some((track) => track.name === name)) {
      return refuse(`duplicate ${keyword} ${name} - ignoring`);
    }
    return {
      name,
      ...readWeight(node, context, most, {
        bad: `${what} ${name}: weight must be between [-${most}..${most}] inclusive, ignoring...`,
        missing: `weight without value specified for ${what}`,
        option: `unknown ${keyword} ${name} option`,
      }),
    };
  };
}

function readTrackedInterface(
  node: Node,
  context: Context,
  before: readonly Track[],
): Track | undefined {
  const first = node.words[0]!;
  const name = first.text;
  checkLink(node, first, context, `(${context.who}) tracked interface ${name} doesn't exist`);
  if (before.some((track) => track.name === name)) {
    const message = `(${context.who}) duplicate track_interface ${name} - ignoring`;
    complain(context, node, "general", message, first);
    return undefined;
  }
  const value = node.words[2]?.text ?? "";
  return {
    name,
    ...readWeight(node, context, 253, {
      bad: `weight ${value} for ${name} must be between [-253..253] inclusive. Ignoring...`,
      missing: "weight without value specified for track_interface",
      option: `unknown track_interface ${name} option`,
    }),
  };
}

/** At most 8 bytes; the secret itself never shows up in a message. */
function authPass(): Row<string | undefined> {
  return {
    doc: "auth_pass STRING - shared secret, 8 bytes; none",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const bytes = new TextEncoder().encode(first.text);
      if (bytes.length <= AUTH_PASS_BYTES) return first.text;
      const message = `Truncating auth_pass to ${AUTH_PASS_BYTES} characters`;
      complain(context, node, "general", message, node.words[0]);
      return cutBytes(first.text, AUTH_PASS_BYTES);
    },
  };
}

/** The longest start of a text that fits into so many bytes of UTF-8, no character split. */
function cutBytes(text: string, most: number): string {
  const buffer = new Uint8Array(most);
  return text.slice(0, new TextEncoder().encodeInto(text, buffer).read);
}
