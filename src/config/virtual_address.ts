/**
 * The one-line grammar of addresses: ADDR[/PREFIX] and its options, as virtual_ipaddress and its
 * relatives hold them.
 */
import { canonicalAddress, formatAddress, parseAddress } from "../lib/address.ts";
import { checkLink, complain, type Context, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";
import type { VirtualAddress } from "./vrrp.ts";
import { quote } from "./words.ts";

const FLAGS: Readonly<Record<string, keyof VirtualAddress>> = {
  home: "home",
  "-nodad": "dad",
  mngtmpaddr: "mngtmpaddr",
  noprefixroute: "noprefixroute",
  autojoin: "autojoin",
  no_track: "no_track",
};

const LONGEST_NAME = 15;

interface Reading {
  readonly node: Statement;
  readonly context: Context;
  readonly family: 4 | 6;
  /** The address as written, for messages. */
  readonly shown: string;
  readonly prefixLength: number;
  readonly isStatic: boolean;
  found: { -readonly [K in keyof VirtualAddress]: VirtualAddress[K] };
}

/** Reads a line of static_ipaddress: of these, tracking is by group. */
export function readStaticAddress(node: Statement, context: Context): VirtualAddress | undefined {
  return readVirtualAddress(node, context, true);
}

/** Reads one line; undefined when the address is dropped, with a message. */
export function readVirtualAddress(
  node: Statement,
  context: Context,
  isStatic = false,
): VirtualAddress | undefined {
  const first = node.words[0]!;
  const parsed = readPrefix(node, 0, context);
  if (parsed === undefined) return undefined;
  const reading: Reading = {
    node,
    context,
    family: parsed.family,
    shown: first,
    isStatic,
    prefixLength: parsed.prefixLength,
    found: {
      address: parsed.address,
      prefixLength: parsed.prefixLength,
      scope: 0,
      home: false,
      dad: false,
      mngtmpaddr: false,
      noprefixroute: false,
      autojoin: false,
      no_track: false,
    },
  };
  for (let i = 1; i < node.words.length; i++) {
    const word = node.words[i]!;
    const flag = Object.hasOwn(FLAGS, word) ? FLAGS[word] : undefined;
    if (flag !== undefined) {
      Object.assign(reading.found, { [flag]: true });
      continue;
    }
    if (word === "use_vmac" && !isStatic) {
      reading.found.use_vmac = true;
      continue;
    }
    const option = readOption(reading, i);
    if (option === "drop") return undefined;
    if (option === "value") i++;
  }
  const isHost6 = parsed.family === 6 && parsed.prefixLength === 128;
  if (isHost6 && !node.words.includes("preferred_lft")) {
    reading.found.preferred_lft = 0;
  }
  return reading.found;
}

/** A word of the form ADDR[/PREFIX], the address in canonical text. */
interface Prefix {
  readonly address: string;
  readonly family: 4 | 6;
  readonly prefixLength: number;
}

/** Reads ADDR[/PREFIX]; a bad prefix is reported and replaced by the full length. */
function readPrefix(node: Statement, at: number, context: Context): Prefix | undefined {
  const word = node.words[at]!;
  const slash = word.indexOf("/");
  const address = canonicalAddress(slash < 0 ? word : word.slice(0, slash));
  if (address === undefined) {
    const message = `VRRP parsed invalid IP ${word}. skipping IP...`;
    complain(context, node, "general", message, at, { hint: "an IPv4 or IPv6 address" });
    return undefined;
  }
  const family = word.includes(":") ? 6 : 4;
  const full = family === 6 ? 128 : 32;
  if (slash < 0) return { address, family, prefixLength: full };
  const prefixLength = readInteger(node, at, context, { min: 0, max: full }, slash + 1);
  if (prefixLength === undefined) {
    const message = `Invalid address prefix len ${
      word.slice(slash + 1)
    } for address ${word} - using ${full}`;
    complain(context, node, "general", message, at, { offset: slash + 1 });
  }
  return { address, family, prefixLength: prefixLength ?? full };
}

/** What became of an option: it took its value, stood alone, or spoilt the address. */
type Outcome = "value" | "alone" | "drop";

function readOption(reading: Reading, at: number): Outcome {
  const { context, node, shown, isStatic } = reading;
  const word = node.words[at]!;
  if (word === "track_group" && isStatic && at + 1 < node.words.length) {
    const group = node.words[at + 1]!;
    if (context.names.get("track_group")?.has(group) === true) reading.found.track_group = group;
    else complain(context, node, "general", `track_group ${group} not found`, at + 1);
    return "value";
  }
  switch (word) {
    case "dev":
    case "scope":
    case "label":
    case "brd":
    case "broadcast":
    case "peer":
    case "preferred_lft":
      if (at + 1 < node.words.length) return READ_OPTION[word](reading, at + 1);
      complain(context, node, "general", `No ${word} parameter specified for ${shown}`, at);
      return "alone";
  }
  const message = `Unknown configuration entry '${word}' for ip address - ignoring`;
  complain(context, node, "general", message, at);
  return "alone";
}

type OptionReader = (reading: Reading, at: number) => Outcome;

const READ_OPTION: Readonly<
  Record<"dev" | "scope" | "label" | "brd" | "broadcast" | "peer" | "preferred_lft", OptionReader>
> = {
  dev: ({ context, node, shown, found }, at) => {
    const value = node.words[at]!;
    if (found.dev !== undefined) {
      const message = `Cannot specify ipaddress device more than once for ${shown}`;
      complain(context, node, "general", message, at);
      return "value";
    }
    found.dev = value;
    const message = `WARNING - interface ${value} for ip address ${shown} doesn't exist`;
    checkLink(node, at, context, message);
    return "value";
  },
  scope: ({ context, node, shown, found, family }, at) => {
    const value = node.words[at]!;
    if (family === 6) {
      const message = `Cannot specify scope for IPv6 addresses (${shown}) - ignoring scope`;
      complain(context, node, "general", message, at);
      return "value";
    }
    const scope = context.iproute.find("rt_scopes", value);
    if (scope !== undefined) found.scope = scope;
    else {
      const message = `Invalid scope '${value}' specified for ${shown} - ignoring`;
      const hint = "global, site, link, host, nowhere or a number from 0 to 255";
      complain(context, node, "general", message, at, { hint });
    }
    return "value";
  },
  label: ({ context, node, shown, found, family }, at) => {
    const value = node.words[at]!;
    if (family === 6) {
      const message = `Cannot specify label for IPv6 addresses (${shown}) - ignoring label`;
      complain(context, node, "general", message, at);
    } else if (value.length > LONGEST_NAME) {
      const message = `Address label ${value} is longer than maximum length ` +
        `${LONGEST_NAME} - removing address`;
      complain(context, node, "general", message, at);
      return "drop";
    } else found.label = value;
    return "value";
  },
  brd: readBroadcast,
  broadcast: readBroadcast,
  peer: ({ context, node, found, family }, at) => {
    const value = node.words[at]!;
    const peer = readPrefix(node, at, context);
    if (peer?.family !== family) {
      const message = peer === undefined
        ? `Invalid peer address ${value}`
        : `Peer address ${value} does not match address family`;
      complain(context, node, "general", message, at);
      return "drop";
    }
    found.peer = { address: peer.address, prefixLength: peer.prefixLength };
    return "value";
  },
  preferred_lft: ({ context, node, found }, at) => {
    const value = node.words[at]!;
    if (value === "forever") return "value";
    const rules = { min: 0, max: 4_294_967_295 };
    const seconds = readInteger(node, at, context, rules);
    if (seconds !== undefined) found.preferred_lft = seconds;
    else complain(context, node, "general", `preferred_lft ${value} is invalid`, at);
    return "value";
  },
};

/** An IPv4 address, `+` for all host bits set or `-` for none. */
function readBroadcast(reading: Reading, at: number): Outcome {
  const { context, node, shown, found, family, prefixLength } = reading;
  const value = node.words[at]!;
  if (family === 6) {
    const message = `VRRP is trying to assign a broadcast ${value} to the IPv6 address ` +
      `${shown} - skipping VIP...`;
    complain(context, node, "general", message, at);
    return "drop";
  }
  if (value === "+" || value === "-") {
    if (prefixLength > 30) {
      const message = `Address prefix length ${prefixLength} too long for broadcast`;
      complain(context, node, "general", message, at);
      return "value";
    }
    const hostBits = (i: number): number => 0xff >> Math.min(8, Math.max(0, prefixLength - 8 * i));
    const isOnes = value === "+";
    found.brd = formatAddress(
      parseAddress(found.address)!.map((byte, i) =>
        isOnes ? byte | hostBits(i) : byte & ~hostBits(i)
      ),
    );
    return "value";
  }
  const broadcast = parseAddress(value);
  if (broadcast?.length !== 4) {
    const message = `VRRP is trying to assign invalid broadcast ${value}. skipping VIP...`;
    complain(context, node, "general", message, at);
    return "drop";
  }
  found.brd = formatAddress(broadcast);
  return "value";
}

/** An address as its line says it. */
export function formatVirtualAddress(spec: VirtualAddress): string {
  const { address, prefixLength, dev, scope, brd, label, peer, preferred_lft } = spec;
  const isV6 = address.includes(":");
  const words = [`${address}/${prefixLength}`];
  if (brd !== undefined) words.push(`brd ${brd}`);
  if (dev !== undefined) words.push(`dev ${quote(dev)}`);
  if (scope !== 0) words.push(`scope ${scope}`);
  if (label !== undefined) words.push(`label ${quote(label)}`);
  if (peer !== undefined) words.push(`peer ${peer.address}/${peer.prefixLength}`);
  if (spec.track_group !== undefined) words.push(`track_group ${quote(spec.track_group)}`);
  if (spec.use_vmac === true) words.push("use_vmac");
  for (const [word, flag] of Object.entries(FLAGS)) if (spec[flag] === true) words.push(word);
  const isDefault = preferred_lft === (isV6 && prefixLength === 128 ? 0 : undefined);
  if (!isDefault) words.push(`preferred_lft ${preferred_lft ?? "forever"}`);
  return words.join(" ");
}
