/**
 * The keywords of the load balancer: virtual_server_group, virtual_server, real_server and SSL. A
 * block that cannot be (no address, another family) is dropped whole.
 */
import { serviceName } from "../lib/lvs_name.ts";
import {
  connectTimeout,
  INT_MAX,
  ours,
  pause,
  period,
  UINT_MAX,
  virtualhost,
} from "./check_rows.ts";
import { checkBlocks } from "./checker_keywords.ts";
import { snmpName } from "./checker_rows.ts";
import { FORWARDING, forwarding, FORWARDING_RANGE } from "./forwarding.ts";
import { formatGroupEntry, formatPort, readGroupEntry } from "./group_entry.ts";
import {
  type Forwarding,
  type GroupEntry,
  SCHEDULERS,
  type ServiceTarget,
  type VirtualServerGroup,
} from "./lvs.ts";
import { beginService, familyOfText } from "./lvs_reading.ts";
import { complainOf, readAddress, readPort } from "./lvs_words.ts";
import {
  alias,
  append,
  bool,
  flag,
  insideOf,
  integer,
  later,
  placeOf,
  script,
  seconds,
  text,
  word,
} from "./readers.ts";
import type { Place } from "./problem.ts";
import {
  block,
  type BlockRow,
  complain,
  type Context,
  firstWord,
  type LineRow,
  readInteger,
  type Values,
  type Written,
} from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";

const LONGEST_ENGINE = 15;
const LONGEST_PERSISTENCE_S = 2_678_400;
/** What a service persists without being told how long. */
export const PERSISTENCE_US = 360_000_000;

/** The keywords of real_server. */
const realServer = block(() => ({
  weight: integer(`N - share of the load; range 0..${INT_MAX}; default service weight`, undefined, {
    min: 0,
    max: INT_MAX,
    says: (text) => `Real server weight ${text} is outside range 0-${INT_MAX}`,
  }),
  lvs_method: forwarding(
    `${FORWARDING} - how packets reach it; ${FORWARDING_RANGE}; default service value`,
    "real",
    (value) => value,
  ),
  uthreshold: threshold("upper", "uthreshold"),
  lthreshold: threshold("lower", "lthreshold"),
  inhibit_on_failure: bool(
    "[BOOL] - weight 0 on failure instead of removal; default service value",
    (text) => `Invalid inhibit_on_failure parameter ${text}`,
  ),
  notify_up: script(
    "SCRIPT [USER [[:]GROUP]] - run when it comes up; range first wins; default none",
  ),
  notify_down: script(
    "SCRIPT [USER [[:]GROUP]] - run when it goes down; range first wins; default none",
  ),
  alpha: bool(
    "[BOOL] - down until its checks succeed; default service value",
    (text) => `Invalid alpha parameter ${text}`,
  ),
  ...scheduleRows("real server", "service value", "delay_before_retry", "delay_loop"),
  smtp_alert: bool(
    "[BOOL] - mail when it changes; default on, unless smtp_alert_checker or smtp_alert say else",
    (text) => `Invalid real_server smtp_alert parameter ${text}`,
  ),
  virtualhost: virtualhost("service value", "real server virtualhost missing"),
  snmp_name: later(snmpName("real server")),
  slow_start: slowStart("service value"),
  ...checkBlocks(),
}), "sparse");

/** A real_server as written. */
export interface WrittenServer {
  readonly address: string;
  /** 0 is the service's. */
  readonly port: number;
  readonly place: Place;
  /** The forwarding method of the service when the block began. */
  readonly inherited: Forwarding | undefined;
  /** How many checks it has, of all kinds. */
  readonly checks: number;
  readonly values: Values<typeof realServer>;
}

/** The defaults of checks that services and servers hold, by keyword. */
interface ScheduleRows {
  readonly retry: LineRow<number | undefined>;
  readonly delay_before_retry: LineRow<number | undefined>;
  readonly warmup: LineRow<number | undefined>;
  readonly connect_timeout: LineRow<number | undefined>;
  readonly delay_loop: LineRow<number | undefined>;
}

/** `delay` and `loop` are what the messages call these two. */
function scheduleRows(who: string, above: string, delay: string, loop: string): ScheduleRows {
  const isServer = above === "service value";
  const fallback = (own: string): string => isServer ? above : own;
  return {
    retry: integer(
      `N - default of retry in its checks; range 1..${UINT_MAX}; default ${
        fallback("per checker type")
      }`,
      undefined,
      { min: 1, max: UINT_MAX, says: (text) => `retry value invalid - ${text}` },
    ),
    delay_before_retry: pause(
      `default pause before a retry of its checks; default ${fallback("per checker type")}`,
      (text) => `${who} ${delay} '${text}' invalid - ignoring`,
    ),
    warmup: pause(
      `default bound of the random first delay of its checks; default ${fallback("delay_loop")}`,
      (text) => `${who} warmup '${text}' invalid - ignoring`,
    ),
    connect_timeout: connectTimeout(
      fallback("5"),
      (text) => `${who} connect_timeout ${text} invalid - ignoring`,
    ),
    delay_loop: period(
      "default time between two checks",
      fallback("60"),
      (text) => `${who} ${loop} '${text}' invalid - ignoring`,
    ),
  };
}

function threshold(end: string, keyword: string): LineRow<number> {
  return integer(`N - ${end} limit of connections; range 0..${UINT_MAX}; default 0, none`, 0, {
    min: 0,
    max: UINT_MAX,
    says: (text) => `Invalid real_server ${keyword} '${text}' - ignoring`,
  });
}

function slowStart(fallback: string): LineRow<number | undefined> {
  const doc = "SECS - time in which the weight of a recovered server grows to its full value; " +
    `range 0..86400; default ${fallback}`;
  const says = (text: string): string => `slow_start '${text}' invalid - ignoring`;
  return ours(seconds(doc, undefined, { min: 0, max: 86_400, says }));
}

/** The real servers of a service. */
function realServers(): BlockRow<readonly WrittenServer[]> {
  return {
    doc: "IPADDR [PORT] { ... } - one server; range duplicates removed; default PORT service port",
    shape: "block",
    initial: [],
    inside: realServer,
    open: (node, context) => {
      const word = firstWord(node, context);
      if (word === undefined) return undefined;
      const address = readAddress(word);
      const port = address === undefined ? undefined : readPort(node, 2, context);
      if (address === undefined || port === undefined) {
        const message = `Invalid real server ip address${spot(node)} - skipping`;
        complain(context, node, "general", message, 1, { hint: ADDRESS_HINT });
        return undefined;
      }
      context.lvs.address = address;
      context.lvs.port = port;
      context.lvs.checks = 0;
      return context;
    },
    close: (said, node, { lvs }, before, context) => {
      const { address, port, checks, lvs_method: inherited } = lvs;
      const values = said as Values<typeof realServer>;
      const isTunnel = (values.lvs_method ?? inherited)?.method === "TUN";
      if (!isTunnel && !settleFamily(context, familyOfText(address))) {
        const message = "Address family of virtual server and real server " +
          `${address} don't match - skipping real server.`;
        return complainOf(node, context, message);
      }
      return append(before, { address, port, place: placeOf(node), inherited, checks, values });
    },
    format: (all) =>
      all.map(({ address, port, values }) => ({
        words: `${address}${formatPort(port)}`,
        values: values as Written,
      })),
  };
}

const ADDRESS_HINT = "ADDRESS [PORT], both numeric, PORT from 1 to 65535";

/** The address and port of a line, as messages show them. */
function spot({ words }: Statement): string {
  return words[2] === undefined ? ` ${words[1]!}` : `/port ${words[1]}/${words[2]}`;
}

/** Whether a family is the service's; the first one becomes it. */
function settleFamily({ lvs }: Context, family: 4 | 6): boolean {
  if (lvs.family === 0) lvs.family = family;
  return lvs.family === family;
}

/** The keywords of virtual_server. */
const virtualServer = block(() => ({
  ip_family: ipFamily(),
  ...scheduleRows("virtual server", "", "delay before retry", "delay loop"),
  inhibit_on_failure: flag(
    "- weight 0 on failure instead of removal; range its argument is ignored here; default off",
  ),
  lvs_sched: scheduler("same as lb_algo"),
  lb_algo: alias("lvs_sched", scheduler("same as lvs_sched")),
  hashed: {
    ...flag("- without effect; range error unless the scheduler is sh or mh; default off"),
    read: (node: Statement, context: Context): boolean | undefined =>
      isScheduler(node, context, "sh", "mh"),
  },
  ops: flag("- schedule each packet by itself; range UDP or fwmark only; default off"),
  "flag-1": flag("- flag 1 of the scheduler; default off"),
  "flag-2": flag("- flag 2 of the scheduler; default off"),
  "flag-3": flag("- flag 3 of the scheduler; default off"),
  "sh-port": alias("flag-2", schedulerFlag("- sh hashes the port too", "sh")),
  "sh-fallback": alias(
    "flag-1",
    schedulerFlag("- sh tries another server than one of weight 0", "sh"),
  ),
  "mh-port": alias("flag-2", schedulerFlag("- mh hashes the port too", "mh")),
  "mh-fallback": alias(
    "flag-1",
    schedulerFlag("- mh tries another server than one of weight 0", "mh"),
  ),
  lvs_method: method("lb_kind"),
  lb_kind: alias("lvs_method", method("lvs_method")),
  persistence_engine: persistenceEngine(),
  persistence_timeout: persistenceTimeout(),
  persistence_granularity: persistenceGranularity(),
  protocol: protocol(),
  ha_suspend: flag(
    "- check only while its address is on this host; range not with fwmark; default off",
  ),
  smtp_alert: bool(
    "[BOOL] - mail when quorum changes; default off, or smtp_alert_checker, or smtp_alert",
    (text) => `Invalid virtual_server smtp_alert parameter ${text}`,
  ),
  virtualhost: virtualhost("none", "virtual server virtualhost missing"),
  snmp_name: later(snmpName("virtual server")),
  alpha: flag(
    "- servers are down until their checks succeed; range its argument is ignored here; default off",
  ),
  omega: flag("- run the scripts for going down at stop; default off"),
  quorum_up: script(
    "SCRIPT [USER [[:]GROUP]] - run when quorum is gained; range first wins; default none",
  ),
  quorum_down: script(
    "SCRIPT [USER [[:]GROUP]] - run when quorum is lost; range first wins; default none",
  ),
  quorum: integer(
    `N - weight of live servers that is enough; range 1..${UINT_MAX}, reduced to total weight; default 1`,
    1,
    {
      min: 1,
      max: UINT_MAX,
      otherwise: 1,
      says: (text) => `Quorum ${text} must be in [1, ${UINT_MAX}]. Setting to 1.`,
    },
  ),
  hysteresis: integer(
    "N - weight above or below quorum at which it changes; range 0..quorum-1; default 0",
    0,
    {
      min: 0,
      max: UINT_MAX,
      says: (text) => `Hysteresis ${text} must be in [0, ${UINT_MAX}] - ignoring`,
    },
  ),
  weight: integer(`N - default weight of its servers; range 1..${INT_MAX}; default 1`, 1, {
    min: 1,
    max: INT_MAX,
    says: (text) => `Virtual server weight ${text} is outside range 1-${INT_MAX}`,
  }),
  sorry_server: sorryServer(),
  sorry_server_inhibit: {
    ...flag("- weight 0 instead of removal for it; range after sorry_server; default off"),
    read: (node: Statement, context: Context): boolean | undefined =>
      hasSorry(node, context, "Ignoring sorry_server inhibit used before or without sorry_server"),
  },
  sorry_server_lvs_method: sorryMethod(),
  slow_start: slowStart("0, off"),
  only_when_master: ours(text(
    "INSTANCE - exist only while this vrrp_instance is MASTER; default always",
    "only_when_master instance missing",
  )),
  real_server: realServers(),
}));

function ipFamily(): LineRow<4 | 6 | undefined> {
  return {
    doc: "inet|inet6 - family of a fwmark service; range conflict reported; default from addresses",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const name = firstWord(node, context);
      if (name === undefined) return undefined;
      const family = name === "inet" ? 4 : name === "inet6" ? 6 : undefined;
      if (family === undefined) {
        const message = `unknown address family ${name}`;
        complain(context, node, "general", message, 1, { hint: "inet or inet6" });
        return undefined;
      }
      if (settleFamily(context, family)) return family;
      const message = `Virtual server specified family ${name} conflicts with server family`;
      complain(context, node, "general", message, 1);
      return undefined;
    },
    format: (value) => value === undefined ? [] : [value === 4 ? "inet" : "inet6"],
  };
}

function scheduler(remark: string): LineRow<typeof SCHEDULERS[number] | undefined> {
  return word<typeof SCHEDULERS[number], undefined>(
    `${SCHEDULERS.join("|")} - scheduler (${remark}); default wlc, with a complaint`,
    undefined,
    (name, node, context) => {
      const found = SCHEDULERS.find((one) => one === name);
      if (found !== undefined) {
        context.lvs.lvs_sched = found;
        return found;
      }
      const message = `Invalid lvs_scheduler '${name}' - ignoring`;
      complain(context, node, "general", message, 1, { hint: `one of ${SCHEDULERS.join(", ")}` });
      return undefined;
    },
  );
}

/** A flag of a scheduler that must have been named above. */
function schedulerFlag(doc: string, name: "sh" | "mh"): LineRow<boolean> {
  return {
    ...flag(`${doc}; range the scheduler must already be ${name}; default off`),
    read: (node, context) => isScheduler(node, context, name),
  };
}

/** true when the service has one of these schedulers; else undefined, with a message. */
function isScheduler(node: Statement, context: Context, ...names: string[]): true | undefined {
  if (names.includes(context.lvs.lvs_sched)) return true;
  const message = `${node.words[0]!} only applies to ${names[0]!} scheduler - ignoring`;
  complain(context, node, "general", message, 0, { hint: `write lvs_sched ${names[0]!} above it` });
  return undefined;
}

function method(other: string): LineRow<Forwarding | undefined> {
  const doc = `${FORWARDING} - how packets reach real servers (same as ${other}); ` +
    `${FORWARDING_RANGE}; default NAT, with a complaint`;
  return forwarding(doc, "virtual", (value, _node, { lvs }) => {
    lvs.lvs_method = value;
    lvs.methods++;
    return value;
  });
}

function persistenceEngine(): LineRow<string | undefined> {
  return word<string, undefined>(
    "NAME - what tells clients apart, the kernel knows sip; range 15 characters, truncated; " +
      "default none",
    undefined,
    (name, node, context) => {
      if (name.length <= LONGEST_ENGINE) return name;
      const message = `persistence_name too long, truncating - ${name}`;
      complain(context, node, "general", message, 1);
      return name.slice(0, LONGEST_ENGINE);
    },
  );
}

function persistenceTimeout(): LineRow<number | undefined> {
  return {
    doc: "[SECS] - keep a client at its server for so long; " +
      `range 1..${LONGEST_PERSISTENCE_S}; default off, 360 without a number`,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (node.words.length < 2) return PERSISTENCE_US;
      const value = readInteger(node, 1, context, { min: 1, max: LONGEST_PERSISTENCE_S });
      if (value !== undefined) return value * 1_000_000;
      complain(context, node, "general", "persistence_timeout invalid", 1);
      return undefined;
    },
    format: (value) => value === undefined ? [] : [`${value / 1_000_000}`],
  };
}

/** A netmask for IPv4, where a plain number is taken as a prefix length, and a prefix length for IPv6. */
function persistenceGranularity(): LineRow<string | undefined> {
  return word<string, undefined>(
    "NETMASK|PREFIX - clients of one such network count as one; range IPv6 1..128, " +
      "persistence_timeout 360 if unset; default 255.255.255.255 or 128",
    undefined,
    (value, node, context) => {
      const { lvs } = context;
      // What is refused does not settle the family of a service that has shown none.
      const family = lvs.family === 0 ? (value.includes(".") ? 4 : 6) : lvs.family;
      const isV6 = family === 6;
      const refuse = (): undefined => {
        const message = `Invalid IPv${family} persistence_granularity specified - ${value}`;
        const hint = isV6 ? "a prefix length from 1 to 128" : "a netmask, as 255.255.255.0";
        complain(context, node, "general", message, 1, { hint });
      };
      if (isV6) {
        const prefix = readInteger(node, 1, context, { min: 1, max: 128 });
        if (prefix === undefined) return refuse();
        lvs.family = family;
        return `${prefix}`;
      }
      const prefix = /^[0-9]{1,2}$/.test(value) ? Number(value) : 0;
      const isPrefix = prefix >= 1 && prefix <= 32;
      const mask = value.includes(".") ? readAddress(value) : undefined;
      if (!isPrefix && mask === undefined) return refuse();
      lvs.family = family;
      return isPrefix ? netmask(prefix) : mask;
    },
  );
}

function netmask(prefix: number): string {
  const bits = (0xffffffff << (32 - prefix)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join(".");
}

function protocol(): LineRow<"TCP" | "UDP" | "SCTP" | undefined> {
  return word<"TCP" | "UDP" | "SCTP", undefined>(
    "TCP|UDP|SCTP - transport, any case; range ignored for fwmark; default UDP, with a complaint",
    undefined,
    (name, node, context) => {
      switch (name.toUpperCase()) {
        case "TCP":
          context.lvs.protocol = "tcp";
          return "TCP";
        case "UDP":
          context.lvs.protocol = "udp";
          return "UDP";
        case "SCTP":
          context.lvs.protocol = "sctp";
          return "SCTP";
      }
      const message = `Unknown protocol ${name} - ignoring`;
      complain(context, node, "general", message, 1, { hint: "TCP, UDP or SCTP" });
      return undefined;
    },
  );
}

/** A sorry_server as written; port 0 is the service's. */
export interface WrittenSorry {
  readonly address: string;
  readonly port: number;
}

function sorryServer(): LineRow<WrittenSorry | undefined> {
  return {
    doc: "IPADDR [PORT] - server for when quorum is lost; default none, PORT the service's",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const word = firstWord(node, context);
      if (word === undefined) return undefined;
      const address = readAddress(word);
      const port = address === undefined ? undefined : readPort(node, 2, context);
      if (address === undefined || port === undefined) {
        const message = `Invalid sorry server IP address ${word} - skipping`;
        complain(context, node, "general", message, 1, { hint: ADDRESS_HINT });
        return undefined;
      }
      context.lvs.hasSorry = true;
      return { address, port };
    },
    format: (value) => value === undefined ? [] : [`${value.address}${formatPort(value.port)}`],
  };
}

function hasSorry(node: Statement, context: Context, message: string): true | undefined {
  return context.lvs.hasSorry ? true : complainOf(node, context, message);
}

function sorryMethod(): LineRow<Forwarding | undefined> {
  const row = forwarding(
    `${FORWARDING} - how packets reach it; range after sorry_server; default service value`,
    "sorry",
    (value) => value,
  );
  const message = "sorry_server forwarding used without sorry_server";
  return {
    ...row,
    read: (node, context, before) =>
      hasSorry(node, context, message) === true ? row.read(node, context, before) : undefined,
  };
}

/** A virtual_server as written. */
export interface WrittenService {
  readonly target: ServiceTarget;
  /** 0 when nothing tells. */
  readonly family: 0 | 4 | 6;
  readonly place: Place;
  /** Whether it, its servers or their checks name a script. */
  readonly hasScripts: boolean;
  readonly values: Values<typeof virtualServer>;
}

/** The row of virtual_server. */
export function virtualServers(): BlockRow<readonly WrittenService[]> {
  return {
    doc:
      "IPADDR[/..] [PORT] | fwmark N | group NAME { ... } - one service, or one for each member " +
      "of a group; range fwmark 0..4294967295, PORT 0..65535, 0 or absent is any and forces " +
      "persistence; default PORT 0",
    shape: "block",
    initial: [],
    inside: virtualServer,
    open: (node, context) => {
      const target = readTarget(node, { ...context, prefix: "file" });
      if (target === undefined) return undefined;
      beginService(context.lvs, target);
      return insideOf(context, serviceName(target, "none"));
    },
    close: (said, node, { lvs }, before, context) => {
      const { target, family, hasScripts } = lvs;
      // However it was told, the family of a service without an address is as good as written.
      const told = target.type === "address" || family === 0
        ? said
        : { ...said, ip_family: family };
      const values = keepMethods(told as Values<typeof virtualServer>, lvs.methods);
      const service = { target, family, place: placeOf(node), hasScripts, values };
      return append(before, withoutStrangeSorry(service, node, context));
    },
    format: (all) =>
      all.map(({ target, values }) => ({ words: formatTarget(target), values: values as Written })),
  };
}

function readTarget(node: Statement, context: Context): ServiceTarget | undefined {
  const word = firstWord(node, context);
  if (word === undefined) return undefined;
  const [, , second] = node.words;
  if ((word === "fwmark" || word === "group") && second === undefined) {
    const message = `*** Configuration line starting \`virtual_server\` is missing a parameter ` +
      `after keyword \`${word}\` at word position 3`;
    complain(context, node, "missing_parameter", message, 1, {
      severity: "fatal",
      exit: { start: 2, test: 2 },
    });
    return undefined;
  }
  if (word === "group") return { type: "group", group: second! };
  if (word === "fwmark") {
    const fwmark = readInteger(node, 2, context, { min: 0, max: UINT_MAX });
    if (fwmark !== undefined) return { type: "fwmark", fwmark };
    const message = `virtual server fwmark '${second}' must be in [0, ${UINT_MAX}] - ignoring`;
    complain(context, node, "general", message, 2);
    return undefined;
  }
  const address = readAddress(word);
  const port = address === undefined ? undefined : readPort(node, 2, context);
  if (address !== undefined && port !== undefined) return { type: "address", address, port };
  const message = `Invalid virtual server IP address${spot(node)} - skipping`;
  const hint = `${ADDRESS_HINT}; or fwmark N; or group NAME`;
  complain(context, node, "general", message, 1, { hint });
  return undefined;
}

/**
 * When the forwarding method changed between two servers, the earlier ones keep what they found: it becomes
 * their own.
 */
function keepMethods(
  values: Values<typeof virtualServer>,
  methods: number,
): Values<typeof virtualServer> {
  if (methods < 2) return values;
  const real_server = values.real_server.map((server) => {
    const { inherited, values: own } = server;
    return inherited === undefined || own.lvs_method !== undefined
      ? server
      : { ...server, values: { ...own, lvs_method: inherited } };
  });
  return { ...values, real_server };
}

/** A sorry server must be of the service's family, unless it is reached through a tunnel. */
function withoutStrangeSorry(
  service: WrittenService,
  node: Statement,
  context: Context,
): WrittenService {
  const { sorry_server, lvs_method, sorry_server_lvs_method } = service.values;
  if (sorry_server === undefined || service.family === 0) return service;
  if (familyOfText(sorry_server.address) === service.family) return service;
  if ((sorry_server_lvs_method ?? lvs_method)?.method === "TUN") return service;
  complainOf(
    node,
    { ...context, prefix: "file" },
    `Address family of virtual server and sorry server ${sorry_server.address} don't match ` +
      "- skipping sorry server.",
  );
  // What is said of it goes with it.
  const gone = {
    sorry_server: undefined,
    sorry_server_inhibit: false,
    sorry_server_lvs_method: undefined,
  };
  return { ...service, values: { ...service.values, ...gone } };
}

function formatTarget(target: ServiceTarget): string {
  switch (target.type) {
    case "address":
      return `${target.address}${formatPort(target.port)}`;
    case "fwmark":
      return `fwmark ${target.fwmark}`;
    case "group":
      return `group ${quote(target.group)}`;
  }
}

/** A line of a group: whatever it begins with, it is one entry more. */
function groupEntry(doc: string): LineRow<readonly GroupEntry[]> {
  return {
    doc,
    shape: "line",
    initial: [],
    bare: true,
    read: (node, context, before) => {
      const entry = readGroupEntry(node, context);
      return entry === undefined ? undefined : append(before, entry);
    },
    format: (all) => all.map(formatGroupEntry),
  };
}

const groupRows = block(() => ({
  "<address>": groupEntry("ADDR [PORT] - one address; range 1..65535; default PORT 0"),
  "<range>": alias(
    "<address>",
    groupEntry(
      "A.B.C.D-E | A.B.C.D-W.X.Y.Z | ADDR/PREFIX (and IPv6 forms) [PORT] - many addresses; range " +
        "end not below start, host bits of ADDR/PREFIX zero, a short end replaces the last octet " +
        "(IPv6: the last 16 bits, in hexadecimal); default PORT 0",
    ),
  ),
  fwmark: alias(
    "<address>",
    groupEntry("N [inet|inet6] - a firewall mark; range 0..4294967295; default family of servers"),
  ),
}));

/** The lines of a virtual_server_group, none of which begins with a keyword but fwmark's. */
const groupLines = {
  ...groupRows,
  find: (word: string): ReturnType<typeof groupRows.find> =>
    groupRows.find(word === "fwmark" ? word : "<range>"),
};

/** A virtual_server_group as written: nothing is missing from it. */
export type WrittenGroup = VirtualServerGroup;

/** The row of virtual_server_group. */
export function virtualServerGroups(): BlockRow<readonly WrittenGroup[]> {
  return {
    doc: "NAME { entries } - named set of addresses, ranges and fwmarks; range empty group removed",
    shape: "block",
    initial: [],
    inside: groupLines,
    open: (node, context) => {
      const name = firstWord(node, { ...context, prefix: "file" });
      return name === undefined ? undefined : insideOf(context, name);
    },
    close: (values, node, inside, before) => {
      const entries = values["<address>"] as readonly GroupEntry[];
      const { who: name } = inside;
      if (entries.length > 0) return append(before, { name, place: placeOf(node), entries });
      return complainOf(node, inside, `virtual server group ${name} has no entries - removing`);
    },
    format: (all) =>
      all.map(({ name, entries }) => ({ words: quote(name), values: { "<address>": entries } })),
  };
}

/** The keywords of SSL. */
const ssl = block(() => ({
  password: {
    ...text("STRING - pass phrase of the key; default none", "SSL password missing"),
    secret: true,
  },
  ca: text("PATH - file of trusted authorities, PEM; default none", "SSL cafile missing"),
  certificate: text(
    "PATH - certificate chain to show to servers, PEM; default none",
    "SSL certfile missing",
  ),
  key: text("PATH - its private key, PEM; default none", "SSL keyfile missing"),
}));

/** The row of SSL. */
export function sslBlock(): BlockRow<Values<typeof ssl> | undefined> {
  return {
    doc: "{ ... } - what SSL_GET shows to servers; range a second block replaces the first; " +
      "default none",
    shape: "block",
    initial: undefined,
    inside: ssl,
    open: (_node, context) => ({ ...context, prefix: "file" }),
    close: (values, node, inside, before) => {
      if (before !== undefined) {
        complainOf(node, inside, "SSL context already specified - replacing");
      }
      return values as Values<typeof ssl>;
    },
    format: (value) => value === undefined ? [] : [{ words: "", values: value as Written }],
  };
}
