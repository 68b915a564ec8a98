/** The rows of global_defs that concern IPVS. */
import { formatAddress, parseAddress } from "../lib/address.ts";
import { complain, type Context, firstWord, type LineRow, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";

/** `lvs_sync_daemon`: connection synchronisation between load balancers. */
export interface LvsSyncDaemon {
  readonly interface: string;
  /** The instance whose state it follows. */
  readonly instance?: string;
  /** 0 to 255. */
  readonly id?: number;
  /** 1 to 65507 bytes. */
  readonly maxlen?: number;
  readonly port?: number;
  /** 1 to 255. */
  readonly ttl?: number;
  readonly group?: string;
}

/** `lvs_timeouts`, in microseconds. */
export interface LvsTimeouts {
  readonly tcp?: number;
  readonly tcpfin?: number;
  readonly udp?: number;
}

const TIMEOUTS = ["tcp", "tcpfin", "udp"] as const;
const LONGEST_TIMEOUT = 2_678_400;

/** `lvs_timeouts`. */
export function lvsTimeouts(): LineRow<LvsTimeouts | undefined> {
  return {
    doc: "[tcp SECS] [tcpfin SECS] [udp SECS] - how long the kernel keeps idle connections; " +
      "range 0..2678400; default unchanged",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const found: { tcp?: number; tcpfin?: number; udp?: number } = {};
      if (node.words.length < 3) {
        complain(context, node, "general", "lvs_timeouts requires at least one option", 0);
        return undefined;
      }
      for (let at = 1; at < node.words.length; at += 2) {
        const name = TIMEOUTS.find((one) => one === node.words[at]);
        if (name === undefined) {
          const message = `Unknown option ${node.words[at]} specified for lvs_timeouts`;
          complain(context, node, "general", message, at, { hint: TIMEOUTS.join(", ") });
        } else if (at + 1 >= node.words.length) {
          complain(context, node, "general", `No value specified for lvs_timeout ${name}`, at);
        } else {
          const secs = readInteger(node, at + 1, context, { min: 0, max: LONGEST_TIMEOUT });
          if (secs !== undefined) found[name] = secs * 1_000_000;
          else {
            const message = `Invalid lvs_timeout ${name} (${node.words[at + 1]})`;
            complain(context, node, "general", message, at + 1);
          }
        }
      }
      return Object.keys(found).length === 0 ? undefined : found;
    },
    format: (value) => {
      if (value === undefined) return [];
      const said = TIMEOUTS.filter((name) => value[name] !== undefined);
      return [said.map((name) => `${name} ${value[name]! / 1_000_000}`).join(" ")];
    },
  };
}

/** `lvs_flush_on_stop`. */
export function lvsFlushOnStop(doc: string): LineRow<"" | "all" | "VS"> {
  return {
    doc,
    shape: "line",
    initial: "",
    read: (node, context) => {
      const kind = node.words[1];
      if (kind === undefined) return "all";
      if (kind === "VS") return "VS";
      const message = `Unknown lvs_flush_on_stop type ${kind}`;
      complain(context, node, "general", message, 1, { hint: "VS or nothing" });
      return undefined;
    },
    format: (value) => [value === "VS" ? "VS" : ""],
  };
}

const SYNC_NUMBERS = {
  id: { min: 0, max: 255 },
  maxlen: { min: 1, max: 65_507 },
  port: { min: 1, max: 65_535 },
  ttl: { min: 1, max: 255 },
} as const;
type SyncNumber = keyof typeof SYNC_NUMBERS;

/** `lvs_sync_daemon`. */
export function lvsSyncDaemon(): LineRow<LvsSyncDaemon | undefined> {
  return {
    doc:
      "IFNAME [inst NAME | NAME] [id N] [maxlen N] [port N] [ttl N] [group MCAST] - synchronise " +
      "connections with another load balancer, MASTER and BACKUP as that instance; the first one " +
      "counts; range id 0..255, maxlen 1..65507, port 1..65535, ttl 1..255; " +
      "default off, id the VRID of the instance, port 8848, group 224.0.0.81",
    shape: "line",
    initial: undefined,
    read: readSyncDaemon,
    format: (value) => {
      if (value === undefined) return [];
      const { interface: link, instance, group, ...numbers } = value;
      const options = Object.entries(numbers).map(([name, number]) => `${name} ${number}`);
      return [[
        quote(link),
        ...(instance === undefined ? [] : [`inst ${quote(instance)}`]),
        ...options,
        ...(group === undefined ? [] : [`group ${group}`]),
      ].join(" ")];
    },
  };
}

function readSyncDaemon(
  node: Statement,
  context: Context,
  before: LvsSyncDaemon | undefined,
): LvsSyncDaemon | undefined {
  const name = firstWord(node, context, "lvs_sync_daemon requires interface");
  if (name === undefined) return undefined;
  const say = (message: string, at: number): void =>
    complain(context, node, "general", message, at);
  if (before !== undefined) {
    say(`lvs_sync_daemon has already been specified as ${before.interface} - ignoring`, 1);
    return undefined;
  }
  const found: { -readonly [K in keyof LvsSyncDaemon]?: LvsSyncDaemon[K] } = {};
  for (let at = 2; at < node.words.length; at += 2) {
    const option = node.words[at]!;
    const value = node.words[at + 1];
    if (Object.hasOwn(SYNC_NUMBERS, option) || option === "inst" || option === "group") {
      if (value === undefined) {
        say(`Missing value for lvs_sync_daemon option ${option}`, at);
        break;
      }
      if (option === "inst") found.instance = value;
      else if (option === "group") readSyncGroup(node, at + 1, context, found);
      else {
        const number = readInteger(node, at + 1, context, SYNC_NUMBERS[option as SyncNumber]);
        if (number === undefined) {
          say(`Invalid lvs_sync_daemon ${option} (${value}) - ignoring`, at);
        } else found[option as SyncNumber] = number;
      }
    } else if (at === 2) {
      // The old form: IFNAME INSTANCE [ID].
      found.instance = option;
      if (value !== undefined && /^[0-9]+$/.test(value)) {
        const id = readInteger(node, 3, context, SYNC_NUMBERS.id);
        if (id !== undefined) found.id = id;
      } else at--;
    } else say(`Unknown option ${option} specified for lvs_sync_daemon`, at);
  }
  return { interface: name, ...found };
}

function readSyncGroup(
  node: Statement,
  at: number,
  context: Context,
  found: { group?: string },
): void {
  const address = parseAddress(node.words[at]!);
  const isMulticast = address !== undefined &&
    (address.length === 4 ? (address[0]! & 0xf0) === 0xe0 : address[0] === 0xff);
  if (isMulticast) found.group = formatAddress(address);
  else {
    const message = `Invalid lvs_sync_daemon group (${node.words[at]}) - ignoring`;
    complain(context, node, "general", message, at, { hint: "a multicast address" });
  }
}
