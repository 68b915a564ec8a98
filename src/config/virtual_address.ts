/**
 * The one-line grammar of addresses: ADDR[/PREFIX] and its options, as virtual_ipaddress and its
 * relatives hold them.
 */
import { type Address, familyOf, formatAddress, parseAddress } from "../lib/address.ts";
import { checkLink, complain, type Context, readInteger } from "./schema.ts";
import type { Node } from "./tree.ts";
import type { VirtualAddress } from "./vrrp.ts";
import type { Word } from "./words.ts";

const SCOPES: Readonly<Record<string, number>> = {
  global: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
};

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
  readonly node: Node;
  readonly context: Context;
  readonly address: Address;
  /** The address as written, for messages. */
  readonly shown: string;
  readonly prefixLength: number;
  found: { -readonly [K in keyof VirtualAddress]: VirtualAddress[K] };
}

/** Reads one line; undefined when the address is dropped, with a message. */
export function readVirtualAddress(node: Node, context: Context): VirtualAddress | undefined {
  const first = node.words[0]!;
  const parsed = readPrefix(node, first, context);
  if (parsed === undefined) return undefined;
  const reading: Reading = {
    node,
    context,
    address: parsed.address,
    shown: first.text,
    prefixLength: parsed.prefixLength,
    found: {
      address: formatAddress(parsed.address),
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
    const flag = Object.hasOwn(FLAGS, word.text) ? FLAGS[word.text] : undefined;
    if (flag !== undefined) {
      Object.assign(reading.found, { [flag]: true });
      continue;
    }
    const option = readOption(reading, word, node.words[i + 1]);
    if (option === "drop") return undefined;
    if (option === "value") i++;
  }
  const isHost6 = familyOf(parsed.address) === 6 && parsed.prefixLength === 128;
  if (isHost6 && !node.words.some((word) => word.text === "preferred_lft")) {
    reading.found.preferred_lft = 0;
  }
  return reading.found;
}

/** ADDR[/PREFIX]; a bad prefix is reported and replaced by the full length. */
function readPrefix(
  node: Node,
  word: Word,
  context: Context,
): { address: Address; prefixLength: number } | undefined {
  const slash = word.text.indexOf("/");
  const address = parseAddress(slash < 0 ? word.text : word.text.slice(0, slash));
  if (address === undefined) {
    const message = `VRRP parsed invalid IP ${word.text}. skipping IP...`;
    complain(context, node, "general", message, word, { hint: "an IPv4 or IPv6 address" });
    return undefined;
  }
  const full = address.length * 8;
  if (slash < 0) return { address, prefixLength: full };
  const prefix = { text: word.text.slice(slash + 1), column: word.column + slash + 1 };
  const prefixLength = readInteger(node, prefix, context, { min: 0, max: full });
  if (prefixLength === undefined) {
    const message =
      `Invalid address prefix len ${prefix.text} for address ${word.text} - using ${full}`;
    complain(context, node, "general", message, prefix);
  }
  return { address, prefixLength: prefixLength ?? full };
}

/** What became of an option: it took its value, stood alone, or spoilt the address. */
type Outcome = "value" | "alone" | "drop";

function readOption(reading: Reading, word: Word, value: Word | undefined): Outcome {
  const { context, node, shown } = reading;
  switch (word.text) {
    case "dev":
    case "scope":
    case "label":
    case "brd":
    case "broadcast":
    case "peer":
    case "preferred_lft":
      if (value !== undefined) return READ_OPTION[word.text](reading, value);
      complain(context, node, "general", `No ${word.text} parameter specified for ${shown}`, word);
      return "alone";
  }
  const message = `Unknown configuration entry '${word.text}' for ip address - ignoring`;
  complain(context, node, "general", message, word);
  return "alone";
}

type OptionReader = (reading: Reading, value: Word) => Outcome;

const READ_OPTION: Readonly<
  Record<"dev" | "scope" | "label" | "brd" | "broadcast" | "peer" | "preferred_lft", OptionReader>
> = {
  dev: ({ context, node, shown, found }, value) => {
    if (found.dev !== undefined) {
      const message = `Cannot specify ipaddress device more than once for ${shown}`;
      complain(context, node, "general", message, value);
      return "value";
    }
    found.dev = value.text;
    const message = `WARNING - interface ${value.text} for ip address ${shown} doesn't exist`;
    checkLink(node, value, context, message);
    return "value";
  },
  scope: ({ context, node, shown, found, address }, value) => {
    if (address.length === 16) {
      const message = `Cannot specify scope for IPv6 addresses (${shown}) - ignoring scope`;
      complain(context, node, "general", message, value);
      return "value";
    }
    const number = /^[0-9]{1,3}$/.test(value.text) ? Number(value.text) : 256;
    const scope = Object.hasOwn(SCOPES, value.text) ? SCOPES[value.text]! : number;
    if (scope <= 255) found.scope = scope;
    else {
      const message = `Invalid scope '${value.text}' specified for ${shown} - ignoring`;
      const hint = "global, site, link, host, nowhere or a number from 0 to 255";
      complain(context, node, "general", message, value, { hint });
    }
    return "value";
  },
  label: ({ context, node, shown, found, address }, value) => {
    if (address.length === 16) {
      const message = `Cannot specify label for IPv6 addresses (${shown}) - ignoring label`;
      complain(context, node, "general", message, value);
    } else if (value.text.length > LONGEST_NAME) {
      const message = `Address label ${value.text} is longer than maximum length ` +
        `${LONGEST_NAME} - removing address`;
      complain(context, node, "general", message, value);
      return "drop";
    } else found.label = value.text;
    return "value";
  },
  brd: readBroadcast,
  broadcast: readBroadcast,
  peer: ({ context, node, found, address }, value) => {
    const peer = readPrefix(node, value, context);
    if (peer?.address.length !== address.length) {
      const message = peer === undefined
        ? `Invalid peer address ${value.text}`
        : `Peer address ${value.text} does not match address family`;
      complain(context, node, "general", message, value);
      return "drop";
    }
    found.peer = { address: formatAddress(peer.address), prefixLength: peer.prefixLength };
    return "value";
  },
  preferred_lft: ({ context, node, found }, value) => {
    if (value.text === "forever") return "value";
    const rules = { min: 0, max: 4_294_967_295 };
    const seconds = readInteger(node, value, context, rules);
    if (seconds !== undefined) found.preferred_lft = seconds;
    else complain(context, node, "general", `preferred_lft ${value.text} is invalid`, value);
    return "value";
  },
};

/** An IPv4 address, `+` for all host bits set or `-` for none. */
function readBroadcast(reading: Reading, value: Word): Outcome {
  const { context, node, shown, found, address, prefixLength } = reading;
  if (address.length === 16) {
    const message = `VRRP is trying to assign a broadcast ${value.text} to the IPv6 address ` +
      `${shown} - skipping VIP...`;
    complain(context, node, "general", message, value);
    return "drop";
  }
  if (value.text === "+" || value.text === "-") {
    if (prefixLength > 30) {
      const message = `Address prefix length ${prefixLength} too long for broadcast`;
      complain(context, node, "general", message, value);
      return "value";
    }
    const hostBits = (i: number): number => 0xff >> Math.min(8, Math.max(0, prefixLength - 8 * i));
    const isOnes = value.text === "+";
    found.brd = formatAddress(
      address.map((byte, i) => isOnes ? byte | hostBits(i) : byte & ~hostBits(i)),
    );
    return "value";
  }
  const broadcast = parseAddress(value.text);
  if (broadcast?.length !== 4) {
    const message = `VRRP is trying to assign invalid broadcast ${value.text}. skipping VIP...`;
    complain(context, node, "general", message, value);
    return "drop";
  }
  found.brd = formatAddress(broadcast);
  return "value";
}
