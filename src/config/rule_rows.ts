/** The lines of virtual_rules and static_rules: selectors and one action, as ip-rule(8). */
import { familyOf, formatAddress } from "../lib/address.ts";
import { parseCNumber } from "./iproute_names.ts";
import { LineReader } from "./line_reader.ts";
import { list } from "./readers.ts";
import {
  foreignProtocol,
  type Range,
  RTPROT_KEEPALIVED,
  type Rule,
  type RuleAction,
} from "./route.ts";
import { checkLink, complain, type Context, type ListRow, refuseNumber } from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";

const UINT_MAX = 4_294_967_295;
const INT_MAX = 2_147_483_647;
/** Rules without a priority count down from here. */
const FIRST_PRIORITY = 16_384;
/** Numbers of protocols that people name (IANA). */
const IP_PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  "ipv6-icmp": 58,
  ospf: 89,
  vrrp: 112,
  sctp: 132,
  udplite: 136,
};

type Draft = { -readonly [K in keyof Rule]?: Rule[K] };

interface Reading extends LineReader {
  readonly rule: Draft;
  readonly isStatic: boolean;
}

/** A block of rules; `isStatic` for those that are never moved. */
export function rules(doc: string, isStatic: boolean): ListRow<Rule> {
  return list<Rule>(
    doc,
    (node, context) => readRule(node, context, isStatic),
    formatRule,
  );
}

function readRule(
  node: Statement,
  context: Context,
  isStatic: boolean,
): Rule | undefined {
  const rule: Draft = {};
  const reading: Reading = Object.assign(new LineReader(node, context), { rule, isStatic });
  for (; reading.word !== undefined && !reading.isBad; reading.at++) {
    const word = reading.word;
    const read = Object.hasOwn(OPTIONS, word) ? OPTIONS[word] : undefined;
    if (read !== undefined) read(reading, word);
    else reading.drop(`Unknown rule option ${word}`);
  }
  if (reading.isBad) return undefined;
  const { action, family = 4 } = rule;
  const say = (message: string): undefined =>
    complain(context, node, "general", message, 0) as undefined;
  if (action === undefined) return say("No action specified for rule - ignoring");
  if (action.type === "goto" && rule.priority === undefined) {
    return say(`Invalid rule - goto target ${action.target} specified without preference`);
  }
  if (action.type === "goto" && rule.priority! >= action.target) {
    return say(`Invalid rule - preference ${rule.priority} >= goto target ${action.target}`);
  }
  const { realms, suppress_prefixlength, suppress_ifgroup } = rule;
  const isForTable = realms ?? suppress_prefixlength ?? suppress_ifgroup;
  if (isForTable !== undefined && action.type !== "table") {
    return say("realms and suppressor options can only be specified for table action");
  }
  if (rule.no_track !== true && (rule.protocol ?? RTPROT_KEEPALIVED) !== RTPROT_KEEPALIVED) {
    say(foreignProtocol("Rule"));
    rule.protocol = RTPROT_KEEPALIVED;
  }
  const priority = rule.priority ?? nextPriority(context, family);
  if (rule.priority === undefined) {
    say(
      `Rule has no preference specified - setting to ${priority}. This is probably not what you want.`,
    );
  }
  return { not: false, no_track: false, ...rule, action, family, priority };
}

/** How many rules of each family have been given a priority, by what one configuration's readers share. */
const GIVEN = new WeakMap<object, { 4: number; 6: number }>();

/** Each is one below the last of its family, whatever block it stands in. */
function nextPriority({ names }: Context, family: 4 | 6): number {
  let given = GIVEN.get(names);
  if (given === undefined) GIVEN.set(names, given = { 4: 0, 6: 0 });
  return FIRST_PRIORITY - given[family]++;
}

function agrees(reading: Reading, family: 4 | 6): boolean {
  reading.rule.family ??= family;
  if (reading.rule.family !== family) {
    reading.drop("rule specification has mixed IPv4 and IPv6");
  }
  return reading.rule.family === family;
}

type OptionReader = (reading: Reading, option: string) => void;

const selector = (key: "from" | "to"): OptionReader => (reading, option) => {
  const word = reading.value(option);
  if (word === undefined) return;
  const prefix = reading.prefix();
  if (prefix === undefined) reading.drop(`Invalid rule ${key} address ${word}`);
  else if (agrees(reading, familyOf(prefix.address))) {
    reading.rule[key] = `${formatAddress(prefix.address)}/${prefix.prefixLength}`;
  }
};

function act(reading: Reading, action: RuleAction): void {
  if (reading.rule.action === undefined) reading.rule.action = action;
  else {
    reading.drop(
      "Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable/l3mdev for rule",
    );
  }
}

const plain =
  (type: "nop" | "blackhole" | "unreachable" | "prohibit" | "l3mdev"): OptionReader => (reading) =>
    act(reading, { type });

const table: OptionReader = (reading, option) => {
  const word = reading.value(option);
  if (word === undefined) return;
  const number = reading.context.iproute.find("rt_tables", word);
  if (number === undefined) reading.drop(`Routing table ${word} not found for rule`);
  else if (number === 0) reading.drop(`Table ${number} is not valid`);
  else act(reading, { type: "table", table: number });
};

/** A number in C notation. */
function cNumber(
  reading: Reading,
  option: string,
  max: number,
  message: string,
): number | undefined {
  const word = reading.value(option);
  if (word === undefined) return undefined;
  const number = parseCNumber(word);
  if (number !== undefined && number <= max) return number;
  refuseNumber(
    reading.node,
    reading.at,
    reading.context,
    number === undefined
      ? `invalid number '${word}'`
      : `number '${word}' outside range [0, ${max}]`,
    { min: 0, max },
  );
  return reading.drop(message);
}

const priority: OptionReader = (reading, option) => {
  const message = `Invalid rule preference ${option} specified`;
  const number = cNumber(reading, option, UINT_MAX, message);
  if (number !== undefined) reading.rule.priority = number;
};

const tos: OptionReader = (reading, option) => {
  const word = reading.value(option);
  if (word === undefined) return;
  const number = reading.context.iproute.find("rt_dsfield", word);
  if (number === undefined) reading.drop(`TOS value ${word} is invalid`);
  else reading.rule.tos = number;
};

const suppressPrefix: OptionReader = (reading, option) => {
  const message = `Invalid suppress_prefixlength ${option} specified`;
  const number = cNumber(reading, option, INT_MAX, message);
  if (number !== undefined) reading.rule.suppress_prefixlength = number;
};

const suppressGroup: OptionReader = (reading, option) => {
  const word = reading.value(option);
  if (word === undefined) return;
  const number = reading.context.iproute.find("group", word);
  if (number === undefined) reading.drop(`suppress_group ${word} is invalid`);
  else reading.rule.suppress_ifgroup = number;
};

const link = (key: "iif" | "oif"): OptionReader => (reading, option) => {
  const name = reading.value(option);
  if (name === undefined) return;
  const message = `WARNING - interface ${name} for rule doesn't exist`;
  checkLink(reading.node, reading.at, reading.context, message);
  reading.rule[key] = name;
};

/** N-M; for ports a single number, too. */
function range(reading: Reading, option: string, max: number): Range | undefined {
  const word = reading.value(option);
  if (word === undefined) return undefined;
  const match = /^([0-9]+)-([0-9]+)$/.exec(word) ?? [];
  const start = Number(match[1]);
  const end = Number(match[2]);
  if (start <= end && end <= max) return { start, end };
  const message = option === "uidrange"
    ? `Invalid uidrange ${word} specified`
    : `invalid ${option} range ${word}`;
  return reading.drop(message, `a range such as 1000-2000, at most ${max}`);
}

const ports = (key: "sport" | "dport"): OptionReader => (reading, option) => {
  const word = reading.node.words[reading.at + 1] ?? "";
  if (/^[0-9]+$/.test(word) && Number(word) <= 65_535) {
    // A single port is a range of one.
    reading.at++;
    reading.rule[key] = { start: Number(word), end: Number(word) };
    return;
  }
  const found = range(reading, option, 65_535);
  if (found !== undefined) reading.rule[key] = found;
};

const OPTIONS: Readonly<Record<string, OptionReader>> = {
  from: selector("from"),
  to: selector("to"),
  inet: (reading) => void agrees(reading, 4),
  inet6: (reading) => void agrees(reading, 6),
  table,
  lookup: table,
  not: ({ rule }) => {
    rule.not = true;
  },
  preference: priority,
  order: priority,
  priority,
  tos,
  dsfield: tos,
  fwmark: (reading, option) => {
    const word = reading.value(option);
    if (word === undefined) return;
    const [mark, mask, ...more] = word.split("/").map(parseCNumber);
    const hasMask = word.includes("/");
    const isMark = mark !== undefined && mark <= UINT_MAX && more.length === 0 &&
      (!hasMask || (mask !== undefined && mask <= UINT_MAX));
    if (!isMark) {
      reading.drop(`Invalid rule fwmark ${word} specified`, "MARK[/MASK]");
      return;
    }
    reading.rule.fwmark = mark;
    if (hasMask) reading.rule.fwmask = mask!;
  },
  realms: (reading, option) => {
    const word = reading.value(option);
    if (word === undefined) return;
    const parts = word.split("/").map((part) => reading.context.iproute.find("rt_realms", part));
    const [first, second] = parts;
    if (parts.length > 2 || parts.includes(undefined)) {
      reading.drop(`invalid realms ${word} for rule`, "[FROM/]TO");
    } else reading.rule.realms = second === undefined ? first! : first! * 65_536 + second;
  },
  suppress_prefixlength: suppressPrefix,
  sup_pl: suppressPrefix,
  suppress_ifgroup: suppressGroup,
  sup_group: suppressGroup,
  dev: link("iif"),
  iif: link("iif"),
  oif: link("oif"),
  "tunnel-id": (reading, option) => {
    const word = reading.value(option);
    if (word === undefined) return;
    if (/^[0-9]{1,20}$/.test(word) && BigInt(word) < 1n << 64n) {
      reading.rule.tunnel_id = String(BigInt(word));
    } else {
      refuseNumber(reading.node, reading.at, reading.context, `invalid number '${word}'`, {
        min: 0,
        max: Number.MAX_SAFE_INTEGER,
      });
      reading.drop(`Invalid tunnel-id ${option} specified`);
    }
  },
  uidrange: (reading, option) => {
    const found = range(reading, option, UINT_MAX);
    if (found !== undefined) reading.rule.uidrange = found;
  },
  l3mdev: plain("l3mdev"),
  protocol: (reading, option) => {
    const says = (word: string): string => `Invalid protocol ${word}`;
    const number = reading.number(option, { min: 0, max: 255 }, says);
    reading.isBad = false;
    if (number !== undefined) reading.rule.protocol = number;
  },
  ipproto: (reading, option) => {
    const word = reading.value(option);
    if (word === undefined) return;
    const number = Object.hasOwn(IP_PROTOCOLS, word) ? IP_PROTOCOLS[word] : parseCNumber(word);
    if (number !== undefined && number <= 255) reading.rule.ipproto = number;
    else reading.refuse(`Invalid ipproto ${word}`);
  },
  sport: ports("sport"),
  dport: ports("dport"),
  no_track: ({ rule }) => {
    rule.no_track = true;
  },
  track_group: (reading, option) => {
    const group = reading.value(option);
    if (group === undefined) return;
    const isKnown = reading.context.names.get("track_group")?.has(group) === true;
    if (isKnown && reading.isStatic) reading.rule.track_group = group;
    else reading.refuse(`track_group ${group} not found`);
  },
  type: () => {},
  goto: (reading, option) => {
    const says = (word: string): string => `Invalid goto target ${word}`;
    const target = reading.number(option, { min: 1, max: UINT_MAX }, says);
    if (target !== undefined) act(reading, { type: "goto", target });
  },
  nop: plain("nop"),
  blackhole: plain("blackhole"),
  unreachable: plain("unreachable"),
  prohibit: plain("prohibit"),
};

/** The line of a rule. */
function formatRule(rule: Rule): string {
  const { action, fwmark, fwmask, realms } = rule;
  const span = (word: string, found: Range | undefined): string[] =>
    found === undefined ? [] : [`${word} ${found.start}-${found.end}`];
  const said = (word: string, value: number | string | undefined): string[] =>
    value === undefined ? [] : [`${word} ${value}`];
  return [
    ...(rule.not ? ["not"] : []),
    rule.family === 6 ? "inet6" : "inet",
    ...said("from", rule.from),
    ...said("to", rule.to),
    ...(rule.iif === undefined ? [] : [`iif ${quote(rule.iif)}`]),
    ...(rule.oif === undefined ? [] : [`oif ${quote(rule.oif)}`]),
    ...said("tos", rule.tos),
    ...(fwmark === undefined
      ? []
      : [`fwmark ${fwmark}${fwmask === undefined ? "" : `/${fwmask}`}`]),
    ...(realms === undefined ? [] : [`realms ${Math.floor(realms / 65_536)}/${realms % 65_536}`]),
    ...said("suppress_prefixlength", rule.suppress_prefixlength),
    ...said("suppress_ifgroup", rule.suppress_ifgroup),
    ...said("tunnel-id", rule.tunnel_id),
    ...span("uidrange", rule.uidrange),
    ...said("protocol", rule.protocol),
    ...said("ipproto", rule.ipproto),
    ...span("sport", rule.sport),
    ...span("dport", rule.dport),
    `priority ${rule.priority}`,
    ...said("track_group", rule.track_group),
    ...(rule.no_track ? ["no_track"] : []),
    formatAction(action),
  ].join(" ");
}

function formatAction(action: RuleAction): string {
  switch (action.type) {
    case "table":
      return `table ${action.table}`;
    case "goto":
      return `goto ${action.target}`;
    case "nop":
    case "blackhole":
    case "unreachable":
    case "prohibit":
    case "l3mdev":
      return action.type;
  }
}
