/** The rows of global_defs that no common reader makes. */
import { familyOf, formatAddress, parseAddress } from "../lib/address.ts";
import type { ScriptUser } from "./global_role_rows.ts";
import { integer, type Says, seconds, text, word, words } from "./readers.ts";
import { complain, type Context, firstWord, type LineRow, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";

/** `vrrp_rx_bufs_policy`: what the receive buffers of adverts are sized by. */
export interface ReceiveBuffers {
  readonly mtu?: true;
  readonly advert?: true;
  readonly bytes?: number;
}

const UINT_MAX = 4_294_967_295;
const INT_MAX = 2_147_483_647;
const INT_MIN = -2_147_483_648;
/** A process name has room for 15 characters. */
const LONGEST_PROCESS_NAME = 15;
const LONGEST_LINK_NAME = 15;

/** Phrases for a refused word, of the keyword named. */
export const invalid = (keyword: string): Says => (text) =>
  `${keyword} '${text}' invalid - ignoring`;
/** See `invalid`. */
export const raised = (keyword: string): Says => () =>
  `${keyword} must be greater than 0, setting to 1`;
/** See `invalid`. */
export const isInvalid = (keyword: string): Says => (text) => `${keyword} '${text}' is invalid`;
/** See `invalid`. */
export const notBool = (keyword: string): Says => (text) =>
  `Invalid value '${text}' for global ${keyword} specified`;
/** See `invalid`. */
export const notABool = (keyword: string): Says => () => `Invalid value for ${keyword} specified`;

/** What a former spelling is answered with. */
export function deprecated(word: string, instead: string): string {
  return `Keyword "${word}" is deprecated - please use "${instead}"`;
}

/** A number of frames, at least 1. */
export function frames(keyword: string, doc: string, initial: number): LineRow<number> {
  return integer(doc, initial, {
    min: 0,
    max: UINT_MAX,
    says: invalid(keyword),
    raised: raised(keyword),
  });
}

/** A gap between announcements. */
export function interval(keyword: string, doc: string): LineRow<number | undefined> {
  return seconds(doc, undefined, { min: 0.000001, max: 4294.967295, says: isInvalid(keyword) });
}

/** A wait before instances take part. */
export function delay(keyword: string, doc: string): LineRow<number> {
  return seconds(doc, 0, { min: 0.001, max: 4294.967295, says: isInvalid(keyword) });
}

/** The priority of a chain. */
export function priority(doc: string, says: Says): LineRow<number> {
  return integer(doc, -1, { min: INT_MIN, max: INT_MAX, says });
}

/** The limit of a script. */
export function scriptTimeout(keyword: string): LineRow<number> {
  const name = `${keyword}_timeout`;
  return integer(`SECS - limit for ${keyword}; range 1..1000; default 10`, 10_000_000, {
    min: 1,
    max: 1000,
    times: 1_000_000,
    missing: `${name} requires value`,
    says: (text) => `${name} '${text}' must be in [1, 1000] - ignoring`,
  });
}

/** A word of which the first one counts. */
export function firstOnly(doc: string, missing: string): LineRow<string | undefined> {
  const row = text(doc, missing);
  return { ...row, read: (node, context, before) => before ?? row.read(node, context, before) };
}

/** What generated names start with; the first one counts. */
export function prefix(doc: string): LineRow<string | undefined> {
  return word<string, undefined>(
    doc,
    undefined,
    (first, _node, _context, before) => before ?? first,
  );
}

/** A directory. */
export function directory(doc: string): LineRow<string | undefined> {
  return word<string, undefined>(doc, undefined, (first) => first);
}

/** Exactly one word that is not empty. */
export function onePath(doc: string, says: string): LineRow<string | undefined> {
  return {
    ...text(doc, says),
    read: (node, context) => {
      const path = node.words[1] ?? "";
      if (node.words.length === 2 && path !== "") return path;
      complain(context, node, "general", says, 0, { hint: "one path" });
      return undefined;
    },
  };
}

/** A path, or what goes without one. */
export function optionalPath(doc: string, otherwise: string): LineRow<string | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node) => node.words[1] ?? otherwise,
    format: (value) => value === undefined ? [] : [value === otherwise ? "" : quote(value)],
  };
}

/** The name of a firewall table; the first one counts. */
export function tableName(doc: string, otherwise: string): LineRow<string | undefined> {
  const row = optionalPath(doc, otherwise);
  return { ...row, read: (node, context, before) => before ?? row.read(node, context, before) };
}

/** The name of a process, cut where the kernel cuts it. */
export function roleName(doc: string): LineRow<string | undefined> {
  return word<string, undefined>(doc, undefined, (first, node, context) => {
    if (first.length <= LONGEST_PROCESS_NAME) return first;
    const keyword = node.words[0]!;
    const message = `${keyword} longer than ${LONGEST_PROCESS_NAME} characters - truncating`;
    complain(context, node, "general", message, 1);
    return first.slice(0, LONGEST_PROCESS_NAME);
  });
}

/** `default_interface`. */
export function defaultInterface(): LineRow<string | undefined> {
  const row = text(
    "IFNAME - interface of static addresses and routes that name none; default eth0",
    "default_interface requires interface name",
  );
  return {
    ...row,
    read: (node, context, before) => {
      const name = row.read(node, context, before);
      if (name === undefined || name.length <= LONGEST_LINK_NAME) return name;
      complain(context, node, "general", `Interface name '${name}' too long - ignoring`, 1);
      return undefined;
    },
  };
}

/** `script_user`. */
export function scriptUser(): LineRow<ScriptUser | undefined> {
  return words<ScriptUser>(
    "USER [[:]GROUP] - who runs scripts; default keepalived_script if there is such a user",
    "No script username specified",
    ([user, group]) => ({ user: user!, ...(group === undefined ? {} : { group }) }),
    ({ user, group }) => [user, ...(group === undefined ? [] : [group])].map(quote).join(" "),
  );
}

/** A multicast address of one family. */
export function group(doc: string, initial: string, family: 4 | 6): LineRow<string> {
  return word<string, string>(doc, initial, (first, node, context) => {
    const keyword = `vrrp_mcast_group${family}`;
    const address = parseAddress(first);
    const isMulticast = address !== undefined &&
      (family === 4 ? (address[0]! & 0xf0) === 0xe0 : address[0] === 0xff);
    const refuse = (message: string): undefined => {
      complain(context, node, "general", message, 1);
    };
    if (address === undefined) return refuse(`Can't parse ${keyword} [${first}]. Skipping`);
    if (familyOf(address) !== family) {
      return refuse(`${keyword} [${first}] is not IPv${family}. Skipping`);
    }
    if (!isMulticast) return refuse(`${keyword} [${first}] is not multicast. Skipping`);
    if (family === 6 && (address[1]! & 15) !== 2) {
      refuse(`${keyword} [${first}] should be link-local multicast.`);
    }
    return formatAddress(address);
  });
}

/** `smtp_server`. */
export function smtpServer(): LineRow<
  { readonly host: string; readonly port: number } | undefined
> {
  return {
    doc: "HOST|IP [PORT] - relay for alert mails, by name or address; default none, port 25",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const host = firstWord(node, context);
      if (host === undefined) return undefined;
      if (node.words.length < 3) return { host, port: 25 };
      const port = readInteger(node, 2, context, { min: 1, max: 65_535 });
      return port === undefined ? undefined : { host, port };
    },
    format: (value) => value === undefined ? [] : [`${quote(value.host)} ${value.port}`],
  };
}

/** `max_auto_priority`. */
export function maxAutoPriority(): LineRow<number> {
  return {
    doc:
      "[N] - ceiling to which late processes raise their priority, 99 without N, -1 for never; " +
      "range -1..99; default 0, off",
    shape: "line",
    initial: 0,
    read: (node, context) => {
      const first = node.words[1];
      if (first === undefined) return 99;
      const value = readInteger(node, 1, context, { min: -1, max: 99 });
      if (value === undefined) {
        const message = `max_auto_priority '${first}' must be in [0, 99] ` +
          `(or -1 to disable) - ignoring`;
        complain(context, node, "general", message, 1);
      }
      return value;
    },
    format: (value) => [`${value}`],
  };
}

/** `dynamic_interfaces`. */
export function dynamicInterfaces(): LineRow<"" | "on" | "allow_if_changes"> {
  return {
    doc: "[allow_if_changes] - interfaces may appear later, and be made anew; default off",
    shape: "line",
    initial: "",
    read: (node, context) => {
      const option = node.words[1];
      if (option === undefined) return "on";
      if (option === "allow_if_changes") return "allow_if_changes";
      const message = `Unknown dynamic_interfaces option '${option}'`;
      complain(context, node, "general", message, 1, { hint: "allow_if_changes or nothing" });
      return undefined;
    },
    format: (value) => [value === "on" ? "" : value],
  };
}

/** `all` sends over interfaces that are no VMACs too. */
export function garpExtraIf(
  doc: string,
  least = 1,
): LineRow<{ readonly all: boolean; readonly interval: number } | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node: Statement, context: Context) => {
      const { who } = context;
      const keyword = who === "" ? node.words[0]! : `(${who}): ${node.words[0]!}`;
      const all = node.words[1] === "all";
      const at = all ? 2 : 1;
      if (at >= node.words.length) {
        complain(context, node, "general", `${keyword} specified without time - ignoring`, 0);
        return undefined;
      }
      const secs = readInteger(node, at, context, { min: least, max: 86_400 });
      if (secs !== undefined) return { all, interval: secs * 1_000_000 };
      complain(context, node, "general", `${keyword} '${node.words[at]}' invalid - ignoring`, at);
      return undefined;
    },
    format: (value: { readonly all: boolean; readonly interval: number } | undefined) =>
      value === undefined ? [] : [`${value.all ? "all " : ""}${value.interval / 1_000_000}`],
  };
}

/** Chain names; with none of them INPUT and OUTPUT. The rules are nftables' in any case. */
export function chains(): LineRow<readonly string[] | undefined> {
  return {
    doc: "[INCHAIN [OUTCHAIN]] - firewall rules by iptables, done with nftables instead; " +
      "range 28 characters each; default off",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const message =
        "iptables not supported, using nftables instead. Please replace 'vrrp_iptables and " +
        "'vrrp_ipsets' with 'nftables' config option";
      complain(context, node, "general", message, 0);
      return node.words.slice(1, 3);
    },
    format: (value) => value === undefined ? [] : [value.map(quote).join(" ")],
  };
}

/** A directory with names of routing tables; it counts for the lines after it. */
export function iprouteDirectory(
  which: "usrDir" | "etcDir",
  doc: string,
): LineRow<string | undefined> {
  const row = onePath(doc, "iproute directory invalid");
  return {
    ...row,
    read: (node, context, before) => {
      const path = row.read(node, context, before);
      if (path !== undefined) context.iproute[which] = path;
      return path;
    },
  };
}

/** `vrrp_ipsets`. */
export function ipsets(): LineRow<readonly string[] | undefined> {
  return {
    doc: "[SET4 [SET6 [SET_IF6 [IGMP [MLD [ND]]]]]] - names of ipsets for iptables; " +
      "range 30 characters each; default automatic",
    shape: "line",
    initial: undefined,
    read: (node) => node.words.slice(1, 7),
    format: (value) => value === undefined ? [] : [value.map(quote).join(" ")],
  };
}

/** `vrrp_rx_bufs_policy`. */
export function receiveBuffers(): LineRow<ReceiveBuffers | undefined> {
  return {
    doc:
      "MTU|ADVERT|BYTES ... - receive buffer of advert sockets by the link's MTU, by the size of " +
      "an advert, or in bytes; range 0..4294967295; default the kernel's",
    shape: "line",
    initial: undefined,
    read: (node: Statement, context: Context, before: ReceiveBuffers | undefined) => {
      if (firstWord(node, context, "vrrp_rx_bufs_policy missing") === undefined) return undefined;
      const found: { mtu?: true; advert?: true; bytes?: number } = { ...before };
      for (let at = 1; at < node.words.length; at++) {
        const policy = node.words[at]!.toUpperCase();
        if (policy === "MTU") found.mtu = true;
        else if (policy === "ADVERT") found.advert = true;
        else {
          const bytes = readInteger(node, at, context, { min: 0, max: UINT_MAX });
          if (bytes !== undefined) found.bytes = bytes;
          else {
            const message = `Invalid vrrp_rx_bufs_policy ${node.words[at]}`;
            complain(context, node, "general", message, at, { hint: "MTU, ADVERT or bytes" });
          }
        }
      }
      return Object.keys(found).length === 0 ? undefined : found;
    },
    format: (value: ReceiveBuffers | undefined) => {
      if (value === undefined) return [];
      const words = [value.mtu && "MTU", value.advert && "ADVERT", value.bytes];
      const said = words.filter((word) => word !== undefined).join(" ");
      return said === "" ? [] : [said];
    },
  };
}

const CHECKS = ["readable", "match", "wildcard_match", "brace_match"];

/** `include_check`: sets the checks of the includes to come. */
export function readIncludeCheck(node: Statement, context: Context): void {
  for (const [at, word] of node.words.entries()) {
    const name = word.replace(/^[+-]/, "");
    if (at === 0 || CHECKS.includes(name)) continue;
    const message = `Unknown include_check type '${name}' - ignoring`;
    complain(context, node, "general", message, at, { hint: CHECKS.join(", ") });
  }
  context.control.setIncludeChecks(node.words.slice(1));
}

/** The permission bits by their names in sys/stat.h, without the S_. */
const BITS: Readonly<Record<string, number>> = {
  IRUSR: 0o400,
  IWUSR: 0o200,
  IXUSR: 0o100,
  IRWXU: 0o700,
  IRGRP: 0o040,
  IWGRP: 0o020,
  IXGRP: 0o010,
  IRWXG: 0o070,
  IROTH: 0o004,
  IWOTH: 0o002,
  IXOTH: 0o001,
  IRWXO: 0o007,
};

/** A number in C notation or names of bits. */
export function umask(): LineRow<number | undefined> {
  return {
    doc:
      "NUMBER | BIT[|BIT...] - permissions that files and scripts are denied, unless -u is given; " +
      "range 0..0777; default 0177",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const refuse = (message: string): undefined => {
        complain(context, node, "general", message, 1, {
          hint: "such as 0177 or IXUSR|IRWXG|IRWXO",
        });
      };
      if (/^[0-9]/.test(first)) {
        const isOctal = /^0[0-7]*$/.test(first);
        const isOther = /^(0[xX][0-9a-fA-F]+|[1-9][0-9]*)$/.test(first);
        const value = isOctal ? parseInt(first, 8) : isOther ? Number(first) : NaN;
        return value <= 0o777 ? value : refuse(`invalid umask value ${first}`);
      }
      let mask = 0;
      for (const name of node.words.slice(1).join("").split("|")) {
        const bit = Object.hasOwn(BITS, name) ? BITS[name] : undefined;
        if (bit === undefined) return refuse(`Unknown umask bit ${name}`);
        mask |= bit;
      }
      return mask;
    },
    format: (value) => value === undefined ? [] : [`0${value.toString(8)}`],
  };
}

/** `random_seed`: the numbers of the lines to come follow from it. */
export function randomSeed(): LineRow<number | undefined> {
  const row = integer(
    "N - makes ${_RANDOM} give the same numbers again; range 0..4294967295; default the time",
    undefined,
    { min: 0, max: UINT_MAX, says: (text) => `random_seed ${text} invalid` },
  );
  return {
    ...row,
    read: (node, context, before) => {
      const seed = row.read(node, context, before);
      if (seed !== undefined) context.control.setRandomSeed(seed);
      return seed;
    },
  };
}
