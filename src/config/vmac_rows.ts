/** `use_vmac` and `use_ipvlan`: instances that speak from an interface of their own. */
import { formatAddress, parseAddress } from "../lib/address.ts";
import { complain, type Context, type LineRow, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";
import type { UseIpvlan, UseVmac } from "./vrrp.ts";
import { quote } from "./words.ts";

const LONGEST_LINK_NAME = 15;

type Draft<T> = { -readonly [K in keyof T]: T[K] };

function isLinkName(name: string): boolean {
  return name.length <= LONGEST_LINK_NAME && !/[/\s]/.test(name) && name !== "." && name !== "..";
}

/** `use_vmac [[name] IFNAME] [MAC] [netlink_notify_msg] [group ID|NAME]`. */
export function useVmac(): LineRow<UseVmac | undefined> {
  return {
    doc:
      "[[name] IFNAME] [MAC] [netlink_notify_msg] [group ID|NAME] - speak from a macvlan of its " +
      "own with the virtual MAC address; range MAC of 6 bytes, or 5 that the VRID follows, unicast, not " +
      "of RFC 9568; default off, name vrrp.VRID, MAC 00:00:5e:00:01|02:VRID",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const found: Draft<UseVmac> = {};
      for (let at = 1; at < node.words.length; at++) at = readVmacWord(node, at, context, found);
      return found;
    },
    format: (value) => {
      if (value === undefined) return [];
      const { name, mac, netlink_notify_msg, group } = value;
      return [[
        ...(name === undefined ? [] : ["name", quote(name)]),
        ...(mac === undefined ? [] : [mac]),
        ...(netlink_notify_msg === true ? ["netlink_notify_msg"] : []),
        ...(group === undefined ? [] : ["group", String(group)]),
      ].join(" ")];
    },
  };
}

/** Reads the word at `at` and what belongs to it; the last one read. */
function readVmacWord(
  node: Statement,
  at: number,
  context: Context,
  found: Draft<UseVmac>,
): number {
  const word = node.words[at]!;
  const next = node.words[at + 1];
  const say = (message: string, where: number): void =>
    complain(context, node, "general", message, where);
  if (word === "netlink_notify_msg") {
    found.netlink_notify_msg = true;
    return at;
  }
  if (word === "group" && next !== undefined) {
    readGroup(node, at + 1, context, found);
    return at + 1;
  }
  if (/^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2})+$/.test(word)) {
    const mac = parseMac(word);
    if (mac === undefined) say(`VMAC invalid MAC address ${word} - ignored`, at);
    else if (/^00:00:5e:00:0[12]/.test(mac)) {
      say(`VMAC MAC address not allowed to be RFC5798 address (${word}) - ignoring`, at);
    } else found.mac = mac;
    return at;
  }
  const where = word === "name" && next !== undefined ? at + 1 : at;
  const name = node.words[where]!;
  if (found.name !== undefined) say("VMAC interface name already specified", where);
  else if (!isLinkName(name)) {
    say(`VMAC interface name '${name}' too long or invalid characters - ignoring`, where);
  } else found.name = name;
  return where;
}

/** A group of links, by number or by the name that iproute2 has for it. */
function readGroup(
  node: Statement,
  at: number,
  context: Context,
  found: { group?: number },
): void {
  const word = node.words[at]!;
  const number = context.iproute.find("group", word);
  if (number !== undefined) found.group = number;
  else complain(context, node, "general", `(${context.who}) unknown link group ${word}`, at);
}

/** Five bytes or six, the first one of a unicast address, as two digits each. */
function parseMac(text: string): string | undefined {
  const bytes = text.split(":").map((byte) => parseInt(byte, 16));
  const isUnicast = (bytes[0]! & 1) === 0 && bytes.some((byte) => byte !== 0);
  if ((bytes.length !== 5 && bytes.length !== 6) || !isUnicast) return undefined;
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

const IPVLAN_MODES = ["bridge", "private", "vepa"] as const;

/** `use_ipvlan [[name] IFNAME] [ADDR[/LEN]] [bridge|private|vepa] [group ID|NAME]`. */
export function useIpvlan(): LineRow<UseIpvlan | undefined> {
  return {
    doc:
      "[[name] IFNAME] [ADDR[/LEN]] [bridge|private|vepa] [group ID|NAME] - speak from an ipvlan " +
      "of its own, from that address; default off, name vrrp.VRID, bridge",
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      if (before !== undefined) {
        complain(context, node, "general", `(${context.who}) use_ipvlan already specified`, 0);
        return undefined;
      }
      const found: Draft<UseIpvlan> = {};
      for (let at = 1; at < node.words.length; at++) at = readIpvlanWord(node, at, context, found);
      return found;
    },
    format: (value) => {
      if (value === undefined) return [];
      const { name, address, prefixLength, mode, group } = value;
      return [[
        ...(name === undefined ? [] : ["name", quote(name)]),
        ...(address === undefined ? [] : [`${address}/${prefixLength}`]),
        ...(mode === undefined ? [] : [mode]),
        ...(group === undefined ? [] : ["group", String(group)]),
      ].join(" ")];
    },
  };
}

function readIpvlanWord(
  node: Statement,
  at: number,
  context: Context,
  found: Draft<UseIpvlan>,
): number {
  const word = node.words[at]!;
  const next = node.words[at + 1];
  const mode = IPVLAN_MODES.find((one) => one === word);
  if (mode !== undefined) {
    found.mode = mode;
    return at;
  }
  if (word === "group" && next !== undefined) {
    readGroup(node, at + 1, context, found);
    return at + 1;
  }
  const slash = word.indexOf("/");
  const address = parseAddress(slash < 0 ? word : word.slice(0, slash));
  if (address !== undefined) {
    found.address = formatAddress(address);
    const full = address.length * 8;
    const length = slash < 0
      ? full
      : readInteger(node, at, context, { min: 0, max: full }, slash + 1);
    found.prefixLength = length ?? full;
    return at;
  }
  const where = word === "name" && next !== undefined ? at + 1 : at;
  const name = node.words[where]!;
  const say = (message: string): void =>
    complain(context, node, "general", `(${context.who}) ${message}`, where);
  if (found.name !== undefined) say(`IPVLAN interface already specified - ignoring '${name}'`);
  else if (!isLinkName(name)) say(`IPVLAN interface name '${name}' too long or invalid - ignoring`);
  else found.name = name;
  return where;
}
