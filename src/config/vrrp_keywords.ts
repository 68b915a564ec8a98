/**
 * The keywords of vrrp_instance, and the readers only they need. An instance shows its address
 * family line by line: the first address that says one decides, later ones must agree.
 */
import { type Address, familyOf, formatAddress, parseAddress } from "../lib/address.ts";
import { formatVirtualAddress, readVirtualAddress } from "./virtual_address.ts";
import {
  alias,
  bool,
  flag,
  integer,
  later,
  list,
  oneOf,
  script,
  seconds,
  section,
  wholeSeconds,
  word,
} from "./readers.ts";
import {
  block,
  checkLink,
  complain,
  type Context,
  firstWord,
  type LineRow,
  readInteger,
  type Values,
} from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";
import type { Track, UnicastPeer, VirtualAddress } from "./vrrp.ts";

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
  preempt: alias("nopreempt", opposite("- take over from a MASTER of lower priority; default on")),
  preempt_delay: seconds("preempt_delay SECS - wait before preempting, 0 to 1000; 0", 0, {
    min: 0,
    max: 1000,
    says: (_text, who) => `(${who}) Preempt_delay not valid! must be between 0-1000`,
  }),
  accept: accept(),
  no_accept: later({
    ...alias("accept", opposite("- drop traffic to the addresses unless owner; default off")),
    format: (value: boolean | undefined) => value === false ? [""] : [],
  }),
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
    formatPeer,
  ),
  check_unicast_src: flag("check_unicast_src - accept adverts from listed peers only; global"),
  authentication: section("authentication { ... } - VRRPv2 authentication; none", authentication),
  virtual_ipaddress: list<VirtualAddress>(
    "virtual_ipaddress { ADDR[/LEN] [dev IF] [scope S] [label L] [brd B] ... per line } - " +
      "addresses to hold while MASTER, carried in adverts",
    readMemberAddress,
    formatVirtualAddress,
  ),
  virtual_ipaddress_excluded: list<VirtualAddress>(
    "virtual_ipaddress_excluded { ADDR[/LEN] ... per line } - addresses to hold, not in adverts",
    readUniqueAddress,
    formatVirtualAddress,
  ),
  no_virtual_ipaddress: flag("no_virtual_ipaddress - allow an instance without addresses; off"),
  track_script: later(list<Track>(
    "track_script { NAME [weight N [reverse|noreverse]] per line } - scripts it depends on",
    trackNamed("vrrp_script", "track_script", "track script", 253),
    formatTrack,
  )),
  track_process: later(list<Track>(
    "track_process { NAME [weight N [reverse|noreverse]] per line } - processes it depends on",
    trackNamed("vrrp_track_process", "track_process", "track process", 254),
    formatTrack,
  )),
  track_interface: later(list<Track>(
    "track_interface { IFNAME [weight N [reverse]] per line } - interfaces it depends on",
    readTrackedInterface,
    formatTrack,
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
}));

/** What the block of an instance says, before defaults from elsewhere. */
export type WrittenInstance = Values<typeof vrrpInstance>;

function accept(): LineRow<boolean | undefined> {
  return {
    ...bool(
      "- take traffic to the addresses; default on, in strict mode for the owner only",
      () => "",
    ),
    read: () => true,
    format: (value) => value === true ? [""] : [],
  };
}

/** A keyword that says no to what its alias says yes to. */
function opposite(doc: string): LineRow<boolean> {
  return { doc, shape: "line", initial: false, read: () => false };
}

function state(): LineRow<"MASTER" | "BACKUP" | undefined> {
  return word<"MASTER" | "BACKUP", undefined>(
    "state MASTER|BACKUP - wish at start; MASTER if priority is 255",
    undefined,
    (first, node, context, before) => {
      if (first === "MASTER") return "MASTER";
      if (first !== "BACKUP") {
        const message = `(${context.who}) unknown state '${first}', defaulting to BACKUP`;
        complain(context, node, "general", message, 1, { hint: "MASTER or BACKUP" });
      } else if (before === "MASTER") {
        const message = `(${context.who}) state previously set as MASTER - ignoring BACKUP`;
        complain(context, node, "general", message, 1);
        return undefined;
      }
      return "BACKUP";
    },
  );
}

function readInterface(first: string, node: Statement, context: Context): string | undefined {
  const name = first;
  if (name.length > LONGEST_LINK_NAME) {
    complain(context, node, "general", `Interface name '${name}' too long - ignoring`, 1);
    return undefined;
  }
  if (name === "lo") {
    const message = `(${context.who}) cannot use a loopback interface (lo) for vrrp - ignoring`;
    complain(context, node, "general", message, 1);
    return undefined;
  }
  const message = `WARNING - interface ${name} for vrrp_instance ${context.who} doesn't exist`;
  checkLink(node, 1, context, message);
  return name;
}

function version(): LineRow<undefined> {
  return {
    doc: "version 2|3 - protocol version; vrrp_version, 3 for IPv6",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const { who, protocol } = context;
      const value = readInteger(node, 1, context, { min: 2, max: 3 });
      if (value === undefined) {
        complain(context, node, "general", `(${who}): Version must be either 2 or 3`, 1);
      } else if (protocol.version !== 0 && protocol.version !== value) {
        const message = `(${who}) vrrp_version ${value} conflicts with configured or deduced ` +
          `version ${protocol.version}; ignoring.`;
        complain(context, node, "general", message, 1);
      } else protocol.version = value === 3 ? 3 : 2;
      return undefined;
    },
  };
}

function nativeIpv6(): LineRow<undefined> {
  return {
    doc: "native_ipv6 - IPv6 (and version 3) whatever the addresses; off",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (!agrees(context, 6)) {
        const message = `(${context.who}) Cannot specify native_ipv6 with IPv4 addresses`;
        complain(context, node, "general", message, 0);
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

function sourceAddress(doc: string): LineRow<string | undefined> {
  return word<string, undefined>(doc, undefined, (first, node, context) => {
    const what = `Configuration error: VRRP instance[${context.who}]`;
    const address = parseAddress(first);
    if (address === undefined) {
      const message = `${what} malformed src address[${first}]. Skipping...`;
      complain(context, node, "general", message, 1);
      return undefined;
    }
    if (!agrees(context, familyOf(address))) {
      const message =
        `${what} and src address[${first}] MUST be of the same family !!! Skipping...`;
      complain(context, node, "general", message, 1);
      return undefined;
    }
    return formatAddress(address);
  });
}

function readPeer(
  node: Statement,
  context: Context,
  before: readonly UnicastPeer[],
): UnicastPeer | undefined {
  const first = node.words[0]!;
  const what = `Configuration error: VRRP instance[${context.who}]`;
  const parsed: Address | undefined = parseAddress(first);
  if (parsed === undefined) {
    const message = `${what} malformed unicast peer address[${first}]. Skipping...`;
    complain(context, node, "general", message, 0);
    return undefined;
  }
  if (!agrees(context, familyOf(parsed))) {
    const message =
      `${what} and unicast peer address[${first}] MUST be of the same family !!! Skipping...`;
    complain(context, node, "general", message, 0);
    return undefined;
  }
  const address = formatAddress(parsed);
  if (before.some((peer) => peer.address === address)) return undefined;
  const limits: { min_ttl?: number; max_ttl?: number } = {};
  for (let i = 1; i < node.words.length; i += 2) {
    const option = node.words[i]!;
    if (i + 1 >= node.words.length) {
      const message = `(${context.who}) ${option} is missing a value`;
      complain(context, node, "general", message, i);
      continue;
    }
    const number = readInteger(node, i + 1, context, { min: 0, max: 255, strict: true });
    if (number === undefined) continue;
    if (option === "min_ttl" || option === "max_ttl") limits[option] = number;
    else {
      const message = `(${context.who}) unknown unicast_peer option ${option}`;
      complain(context, node, "general", message, i, { hint: "min_ttl or max_ttl" });
    }
  }
  return { address, ...limits };
}

function formatPeer({ address, min_ttl, max_ttl }: UnicastPeer): string {
  const limits = [["min_ttl", min_ttl], ["max_ttl", max_ttl]].filter(([, ttl]) =>
    ttl !== undefined
  );
  return [address, ...limits.flat()].join(" ");
}

function formatTrack({ name, weight, reverse }: Track): string {
  const end = weight === undefined ? "" : ` weight ${weight}${reverse ? " reverse" : ""}`;
  return quote(name) + end;
}

/** An address carried in adverts: it must be of the instance's family. */
function readMemberAddress(
  node: Statement,
  context: Context,
  before: readonly VirtualAddress[],
): VirtualAddress | undefined {
  const written = node.words[0]!;
  const address = parseAddress(written.split("/")[0]!);
  if (address !== undefined && !agrees(context, familyOf(address))) {
    const message =
      `(${context.who}): address family must match VRRP instance [${written}] - ignoring`;
    complain(context, node, "general", message, 0);
    return undefined;
  }
  return readUniqueAddress(node, context, before);
}

function readUniqueAddress(
  node: Statement,
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
  const message = `(${context.who}) duplicate address ${node.words[0]!} - ignoring`;
  complain(context, node, "general", message, 0);
  return undefined;
}

/** The end of a track line: [weight N [reverse|noreverse]]. A mistake leaves the weight out. */
function readWeight(
  node: Statement,
  context: Context,
  most: number,
  says: { readonly bad: string; readonly missing: string; readonly option: string },
): Omit<Track, "name"> {
  const [name, keyword, value, last] = node.words;
  const refuse = (message: string, at: number): { readonly reverse: false } => {
    complain(context, node, "general", `(${context.who}) ${message}`, at);
    return { reverse: false };
  };
  if (keyword === undefined) return { reverse: false };
  if (keyword !== "weight") {
    return refuse(`${says.option} ${keyword} - ignoring`, 1);
  }
  if (value === undefined) return refuse(`${says.missing} ${name!} - ignoring`, 1);
  const weight = readInteger(node, 2, context, { min: -254, max: 254 });
  if (weight === undefined) return refuse(says.bad, 2);
  const reverse = last === "reverse";
  if (Math.abs(weight) <= most) return { weight, reverse };
  refuse(`weight for ${name!} cannot be +/-254. Setting to +/-253`, 2);
  return { weight: Math.sign(weight) * most, reverse };
}

/** A track line whose name an earlier block defines. */
function trackNamed(
  block: string,
  keyword: string,
  what: string,
  most: number,
): (node: Statement, context: Context, before: readonly Track[]) => Track | undefined {
  return (node, context, before) => {
    const name = node.words[0]!;
    const refuse = (message: string): undefined => {
      complain(context, node, "general", `(${context.who}) ${message}`, 0);
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
  node: Statement,
  context: Context,
  before: readonly Track[],
): Track | undefined {
  const first = node.words[0]!;
  const name = first;
  checkLink(node, 0, context, `(${context.who}) tracked interface ${name} doesn't exist`);
  if (before.some((track) => track.name === name)) {
    const message = `(${context.who}) duplicate track_interface ${name} - ignoring`;
    complain(context, node, "general", message, 0);
    return undefined;
  }
  const value = node.words[2] ?? "";
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
function authPass(): LineRow<string | undefined> {
  return {
    doc: "auth_pass STRING - shared secret, 8 bytes; none",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const bytes = new TextEncoder().encode(first);
      if (bytes.length <= AUTH_PASS_BYTES) return first;
      const message = `Truncating auth_pass to ${AUTH_PASS_BYTES} characters`;
      complain(context, node, "general", message, 0);
      return cutBytes(first, AUTH_PASS_BYTES);
    },
  };
}

/** The longest start of a text that fits into so many bytes of UTF-8, no character split. */
function cutBytes(text: string, most: number): string {
  const buffer = new Uint8Array(most);
  return text.slice(0, new TextEncoder().encodeInto(text, buffer).read);
}
