/**
 * The rows of vrrp_instance that no common reader makes. An instance shows its address family line by
 * line: the first address that says one decides, later ones must agree.
 */
import {
  type Address,
  canonicalAddress,
  familyOf,
  formatAddress,
  parseAddress,
} from "../lib/address.ts";
import { hasKey, word } from "./readers.ts";
import {
  checkLink,
  complain,
  type Context,
  firstWord,
  type LineRow,
  readInteger,
} from "./schema.ts";
import type { Statement } from "./statement.ts";
import { readVirtualAddress } from "./virtual_address.ts";
import type { UnicastPeer, VirtualAddress } from "./vrrp.ts";
import { quote } from "./words.ts";

const LONGEST_LINK_NAME = 15;
const AUTH_PASS_BYTES = 8;

/** `state`: BACKUP after MASTER is ignored. */
export function state(): LineRow<"MASTER" | "BACKUP" | undefined> {
  return word<"MASTER" | "BACKUP", undefined>(
    "MASTER|BACKUP - wish at start; default MASTER if the priority is 255",
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

/** `interface`: no loopback, and it must exist. */
export function readInterface(
  first: string,
  node: Statement,
  context: Context,
): string | undefined {
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

/** `version`, which must agree with what the block has shown so far. */
export function version(): LineRow<2 | 3 | undefined> {
  return {
    doc: "2|3 - protocol version; default vrrp_version, 3 for IPv6",
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
      } else return protocol.version = value === 3 ? 3 : 2;
      return undefined;
    },
    format: (value) => value === undefined ? [] : [`${value}`],
  };
}

/** A yes or no that means yes either way, as keepalived has it. */
export function alwaysYes(row: LineRow<boolean | undefined>): LineRow<boolean | undefined> {
  return {
    ...row,
    read: (node, context, before) =>
      row.read(node, context, before) === undefined ? undefined : true,
    format: (value) => value === undefined ? [] : [""],
  };
}

/** `native_ipv6`. */
export function nativeIpv6(): LineRow<boolean> {
  return {
    doc: "- IPv6 (and version 3) whatever the addresses; default off",
    shape: "line",
    initial: false,
    read: (node, context) => {
      if (!agrees(context, 6)) {
        const message = `(${context.who}) Cannot specify native_ipv6 with IPv4 addresses`;
        complain(context, node, "general", message, 0);
        return undefined;
      }
      return true;
    },
    format: (value) => value ? [""] : [],
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

/** An address adverts come from, of the instance's family. */
export function sourceAddress(doc: string): LineRow<string | undefined> {
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

/** A line of unicast_peer. */
export function readPeer(
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
  if (hasKey(before, addressOf, address)) return undefined;
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

/** The line of a peer. */
export function formatPeer({ address, min_ttl, max_ttl }: UnicastPeer): string {
  const limits = [["min_ttl", min_ttl], ["max_ttl", max_ttl]].filter(([, ttl]) =>
    ttl !== undefined
  );
  return [address, ...limits.flat()].join(" ");
}

/** An address carried in adverts: it must be of the instance's family. */
export function readMemberAddress(
  node: Statement,
  context: Context,
  before: readonly VirtualAddress[],
): VirtualAddress | undefined {
  const written = node.words[0]!;
  const family = written.includes(":") ? 6 : 4;
  const isOther = context.protocol.family !== 0 && context.protocol.family !== family;
  if (isOther && canonicalAddress(written.split("/")[0]!) !== undefined) {
    const message =
      `(${context.who}): address family must match VRRP instance [${written}] - ignoring`;
    complain(context, node, "general", message, 0, {
      code: "mixed_families",
      hint: "virtual_ipaddress_excluded takes both; or give it an instance of its own",
    });
    return undefined;
  }
  const found = readUniqueAddress(node, context, before);
  // Only an address that stays settles the family.
  if (found !== undefined) agrees(context, family);
  return found;
}

/** An address of any family; a second one like it is dropped. */
export function readUniqueAddress(
  node: Statement,
  context: Context,
  before: readonly VirtualAddress[],
): VirtualAddress | undefined {
  const found = readVirtualAddress(node, context);
  if (found === undefined || before.length === 0) return found;
  if (!hasKey(before, spotOf, spotOf(found))) return found;
  const message = `(${context.who}) duplicate address ${node.words[0]!} - ignoring`;
  complain(context, node, "general", message, 0);
  return undefined;
}

const spotOf = ({ address, prefixLength, dev }: VirtualAddress): string =>
  `${address}/${prefixLength} ${dev ?? ""}`;
const addressOf = ({ address }: UnicastPeer): string => address;

/** At most 8 bytes; the secret itself never shows up in a message. */
export function authPass(): LineRow<string | undefined> {
  return {
    doc: "STRING - shared secret; range 8 bytes; default none",
    secret: true,
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
    format: (value) => value === undefined ? [] : [quote(value)],
  };
}

/** The longest start of a text that fits into so many bytes of UTF-8, no character split. */
function cutBytes(text: string, most: number): string {
  const buffer = new Uint8Array(most);
  return text.slice(0, new TextEncoder().encodeInto(text, buffer).read);
}

/** `mcast_dst_ip`. */
export function multicastGroup(doc: string): LineRow<string | undefined> {
  return word<string, undefined>(doc, undefined, (first, node, context) => {
    const address = parseAddress(first);
    const say = (message: string): undefined => {
      complain(context, node, "general", `(${context.who}) ${message} Skipping...`, 1);
    };
    if (address === undefined) return say(`malformed mcast dest address ${first}.`);
    const { family } = context.protocol;
    if (family !== 0 && family !== familyOf(address)) {
      return say(`mcast dest address ${first} MUST match VRRP instance family.`);
    }
    const isMulticast = address.length === 4 ? (address[0]! & 0xf0) === 0xe0 : address[0] === 0xff;
    if (!isMulticast) return say(`mcast_dst_ip ${first} not multicast.`);
    if (address.length === 16 && (address[1]! & 15) !== 2) {
      return say(`mcast_dst_ip ${first} not link-local multicast.`);
    }
    agrees(context, familyOf(address));
    return formatAddress(address);
  });
}

/** `vrf`, which goes without an interface only. */
export function vrf(): LineRow<string | undefined> {
  return word<string, undefined>(
    "IFNAME - VRF of unicast peers when there is no interface; default none",
    undefined,
    (name, node, context) => {
      checkLink(node, 1, context, `(${context.who}) VRF interface ${name} doesn't exist`);
      return name;
    },
  );
}

/** `old_unicast_checksum`, which makes an instance a unicast one. */
export function oldUnicastChecksum(): LineRow<"always" | "never" | undefined> {
  return {
    doc:
      "[never] - version 3 checksums to peers as before keepalived 1.3.7, without a word always; " +
      "default as the first peer does",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const mode = node.words[1];
      if (mode === undefined) return "always";
      if (mode === "never") return "never";
      const message = `(${context.who}) Unknown old_unicast_chksum mode ${mode} - ignoring`;
      complain(context, node, "general", message, 1, { hint: "never or nothing" });
      return undefined;
    },
    format: (value) => value === undefined ? [] : [value === "never" ? "never" : ""],
  };
}

/** `timer_expired_backup`: the priority of who may have taken over meanwhile. */
export function timerExpiredBackup(doc: string): LineRow<number | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const first = node.words[1];
      if (first === undefined) return LOWEST_OWNER - 1;
      const value = readInteger(node, 1, context, { min: 1, max: LOWEST_OWNER - 1 });
      if (value === undefined) {
        const message = `(${context.who}) ${node
          .words[0]!} '${first}' not valid - must be between 1 & 254`;
        complain(context, node, "general", message, 1);
      }
      return value;
    },
    format: (value) => value === undefined ? [] : [`${value}`],
  };
}

const LOWEST_OWNER = 255;
