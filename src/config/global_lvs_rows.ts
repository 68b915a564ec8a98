/** The rows of global_defs that concern IPVS. */
import { formatAddress, parseAddress } from "../lib/address.ts";
import { LineReader } from "./line_reader.ts";
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
      for (let at = 1; at < node.words.length; at++) {
        const name = TIMEOUTS.find((one) => one === node.words[at]);
        if (name === undefined) {
          const message = `Unknown option ${node.words[at]} specified for lvs_timeouts`;
          complain(context, node, "general", message, at, { hint: TIMEOUTS.join(", ") });
        } else if (at + 1 >= node.words.length) {
          const message = `No value specified for lvs_timeout ${name} - ignoring`;
          complain(context, node, "general", message, at);
        } else {
          const secs = readInteger(node, ++at, context, { min: 0, max: LONGEST_TIMEOUT });
          if (secs !== undefined) found[name] = secs * 1_000_000;
          else {
            const message = `Invalid lvs_timeout ${name} (${node.words[at]}) - ignoring`;
            complain(context, node, "general", message, at);
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

type Found<T> = { -readonly [K in keyof T]?: T[K] };

function readSyncDaemon(
  node: Statement,
  context: Context,
  before: LvsSyncDaemon | undefined,
): LvsSyncDaemon | undefined {
  const name = firstWord(node, context, "lvs_sync_daemon requires interface");
  if (name === undefined) return undefined;
  const line = new LineReader(node, context);
  line.at = 1;
  if (before !== undefined) {
    return line.refuse(
      `lvs_sync_daemon has already been specified as ${before.interface} - ignoring`,
    );
  }
  const found: Found<LvsSyncDaemon> = {};
  line.at++;
  if (line.word !== undefined && !isSyncOption(line.word)) readOldForm(line, found);
  for (; line.word !== undefined && !line.isBad; line.at++) readSyncOption(line, found);
  return line.isBad ? undefined : { interface: name, ...found };
}

function isSyncOption(word: string): word is SyncNumber | "inst" | "group" {
  return word === "inst" || word === "group" || Object.hasOwn(SYNC_NUMBERS, word);
}

/** IFNAME INSTANCE [ID]. */
function readOldForm(line: LineReader, found: Found<LvsSyncDaemon>): void {
  found.instance = line.word!;
  line.at++;
  if (line.word === undefined || isSyncOption(line.word)) return;
  readSyncNumber(line, "id", found);
  if (found.id !== undefined) {
    line.refuse('Please use keyword "id" before lvs_sync_daemon SYNCID', `id ${found.id}`);
  }
  line.at++;
}

function readSyncOption(line: LineReader, found: Found<LvsSyncDaemon>): void {
  const option = line.word!;
  if (!isSyncOption(option)) {
    return line.refuse(`Unknown option ${option} specified for lvs_sync_daemon`);
  }
  if (option === "inst") {
    const instance = line.value(option);
    if (found.instance === undefined) {
      if (instance !== undefined) found.instance = instance;
      return;
    }
    const known = found.instance;
    return line.refuse(
      `lvs_sync_daemon vrrp instance has already been specified as ${known} - ignoring`,
    );
  }
  if (line.at + 1 >= line.node.words.length) {
    const instead = option === "id" ? ", defaulting to vrid" : " - ignoring";
    return line.refuse(`No value specified for lvs_sync_daemon ${option}${instead}`);
  }
  line.at++;
  if (option === "group") readSyncGroup(line, found);
  else readSyncNumber(line, option, found);
}

function readSyncNumber(line: LineReader, option: SyncNumber, found: Found<LvsSyncDaemon>): void {
  const number = readInteger(line.node, line.at, line.context, SYNC_NUMBERS[option]);
  if (number !== undefined) found[option] = number;
  else if (option === "id") line.refuse(`Invalid syncid (${line.word}) - defaulting to vrid`);
  else line.refuse(`Invalid lvs_sync_daemon ${option} (${line.word}) - ignoring`);
}

function readSyncGroup(line: LineReader, found: Found<LvsSyncDaemon>): void {
  const address = parseAddress(line.word!);
  if (address === undefined) {
    return line.refuse(
      `Invalid lvs_sync_daemon group (${line.word}) - ignoring`,
      "a multicast address",
    );
  }
  const isMulticast = address.length === 4 ? (address[0]! & 0xf0) === 0xe0 : address[0] === 0xff;
  if (isMulticast) found.group = formatAddress(address);
  else {
    line.refuse(
      `lvs_sync_daemon group address ${line.word} is not multicast - ignoring`,
      "a multicast address",
    );
  }
}
