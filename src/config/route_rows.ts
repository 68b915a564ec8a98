/** The lines of virtual_routes and static_routes: `[TYPE] DEST [via GW] [dev IF] ...`, as ip-route(8). */
import { familyOf, formatAddress, parseAddress } from "../lib/address.ts";
import { LineReader } from "./line_reader.ts";
import { list } from "./readers.ts";
import {
  foreignProtocol,
  type Route,
  type RouteMetric,
  type RouteNexthop,
  RTPROT_KEEPALIVED,
  type Via,
} from "./route.ts";
import { formatEncap, readEncap } from "./route_encap.ts";
import { checkLink, complain, type Context, type ListRow } from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";

const UINT_MAX = 4_294_967_295;
const TYPES = new Set(
  "unicast local broadcast anycast multicast throw unreachable prohibit blackhole nat".split(" "),
);
const PREFS: Readonly<Record<string, number>> = { medium: 0, high: 1, low: 3 };

type Draft = { -readonly [K in keyof Route]?: Route[K] };
type NexthopDraft = { -readonly [K in keyof RouteNexthop]?: RouteNexthop[K] };

interface Reading extends LineReader {
  readonly route: Draft;
  readonly isStatic: boolean;
}

/** A block of routes; `isStatic` for those that are never moved. */
export function routes(doc: string, isStatic: boolean): ListRow<Route> {
  return list<Route>(doc, (node, context) => readRoute(node, context, isStatic), formatRoute);
}

function readRoute(node: Statement, context: Context, isStatic: boolean): Route | undefined {
  const route: Draft = {};
  const reading: Reading = Object.assign(new LineReader(node, context), { route, isStatic });
  for (; reading.word !== undefined && !reading.isBad; reading.at++) {
    const word = reading.word;
    const read = Object.hasOwn(OPTIONS, word) ? OPTIONS[word] : undefined;
    if (word === "nexthop") {
      readNexthops(reading);
      break;
    }
    if (read !== undefined) read(reading, word);
    else if (Object.hasOwn(METRICS, word)) readMetric(reading, word as RouteMetric);
    else if (TYPES.has(word)) {
      route.type = word;
      if (reading.value(word) !== undefined) readDestination(reading);
    } else readDestination(reading);
  }
  if (reading.isBad) return undefined;
  const { to } = route;
  if (to === undefined) return reading.drop("Route must have a destination");
  const family = route.family ?? 4;
  const links = [route.dev, ...(route.nexthops ?? []).map((hop) => hop.dev)];
  let { no_track = false } = route;
  if (!no_track && (route.protocol ?? RTPROT_KEEPALIVED) !== RTPROT_KEEPALIVED) {
    complain(context, node, "general", foreignProtocol("Route"), 0);
    route.protocol = RTPROT_KEEPALIVED;
  }
  if (!no_track && links.every((link) => link === undefined)) {
    const message =
      `Warning - cannot track route ${node.words.includes(to) ? to : shown(to)} with ` +
      "no interface specified, not tracking";
    complain(context, node, "general", message, 0);
    no_track = true;
  }
  return { ...route, family, to, no_track };
}

function shown(to: string): string {
  return to.replace(/\/(32|128)$/, "");
}

/** Whether a family agrees with what the line has shown so far; the first one settles it. */
function agrees(reading: Reading, family: 4 | 6): boolean {
  const { route } = reading;
  route.family ??= family;
  if (route.family !== family) reading.drop("Cannot mix IPv4 and IPv6 addresses for route");
  return route.family === family;
}

function readDestination(reading: Reading): void {
  const { route, word } = reading;
  if (word === "default") {
    route.to = "default";
    return;
  }
  const prefix = reading.prefix();
  if (prefix === undefined) {
    reading.drop(`unknown route keyword ${word}`);
    return;
  }
  const family = familyOf(prefix.address);
  if (agrees(reading, family)) {
    route.to = `${formatAddress(prefix.address)}/${prefix.prefixLength}`;
  }
}

/** [inet|inet6] ADDR after `via` and its likes. */
function readVia(reading: LineReader, option: string): Via | undefined {
  let word = reading.value(option);
  if (word === "inet" || word === "inet6") word = reading.value(word);
  if (word === undefined) return undefined;
  const address = parseAddress(word);
  if (address !== undefined) return { family: familyOf(address), address: formatAddress(address) };
  reading.refuse(`VRRP parsed invalid IP ${word}. skipping IP...`);
  return reading.drop(`invalid route ${option} address ${word}`, "an address");
}

/** The name of a link, which must exist. */
function readLink(reading: LineReader, option: string): string | undefined {
  const name = reading.value(option);
  if (name === undefined) return undefined;
  const message = `WARNING - interface ${name} for VROUTE nexthop doesn't exist`;
  checkLink(reading.node, reading.at, reading.context, message);
  return name;
}

/** [FROM/]TO, each a number or a name. */
function readRealms(reading: LineReader): number | undefined {
  const word = reading.value("realms");
  if (word === undefined) return undefined;
  const [first, second] = word.split("/");
  const { iproute } = reading.context;
  const to = iproute.find("rt_realms", second ?? first!);
  const from = second === undefined ? 0 : iproute.find("rt_realms", first!);
  if (to === undefined || from === undefined) {
    return reading.drop(`Invalid realms ${word} for route`, "[FROM/]TO");
  }
  return (from * 65_536) + to;
}

type OptionReader = (reading: Reading, option: string) => void;

/** An option with a name of iproute2 or its number. */
function name(
  key: "tos" | "table" | "protocol" | "scope",
  kind: "rt_dsfield" | "rt_tables" | "rt_protos" | "rt_scopes",
  says: (word: string) => string,
): OptionReader {
  return (reading, option) => {
    const word = reading.value(option);
    if (word === undefined) return;
    const number = reading.context.iproute.find(kind, word);
    if (number === undefined) reading.drop(says(word));
    else reading.route[key] = number;
  };
}

function numberOf(
  key: "metric" | "expires",
  rules: { readonly min: number; readonly max: number; readonly times?: number },
): OptionReader {
  return (reading, option) => {
    const says = (word: string): string => `Invalid ${key} ${word} specified for route`;
    const value = reading.number(option, rules, says);
    if (value !== undefined) reading.route[key] = value * (rules.times ?? 1);
  };
}

const metric = numberOf("metric", { min: 0, max: UINT_MAX });
const tos = name("tos", "rt_dsfield", (word) => `TOS value ${word} is invalid`);
const dev: OptionReader = (reading, option) => {
  const link = readLink(reading, option);
  if (link !== undefined) reading.route.dev = link;
};
const via: OptionReader = (reading, option) => {
  const gateway = readVia(reading, "via");
  if (gateway === undefined) return;
  reading.route.via = gateway;
  if (option === "gw") reading.refuse('"gw" for routes is deprecated. Please use "via"');
};

const OPTIONS: Readonly<Record<string, OptionReader>> = {
  to: () => {},
  inet: (reading) => void agrees(reading, 4),
  inet6: (reading) => void agrees(reading, 6),
  src: readSource,
  as: (reading, option) => {
    if (reading.value(option) === "to") reading.value("to");
    reading.refuse('"as to" for MPLS only - ignoring');
  },
  via,
  gw: via,
  // What some generators write.
  gateway: via,
  from: readFrom,
  tos,
  dsfield: tos,
  table: name("table", "rt_tables", (word) => `Routing table ${word} not found for route`),
  protocol: name(
    "protocol",
    "rt_protos",
    (word) => `Protocol ${word} not found or invalid for route`,
  ),
  scope: name("scope", "rt_scopes", (word) => `Scope ${word} not found or invalid for route`),
  metric,
  priority: metric,
  preference: metric,
  dev,
  oif: dev,
  onlink: ({ route }) => {
    route.onlink = true;
  },
  encap: (reading) => {
    const encap = readEncap(reading);
    if (encap !== undefined) reading.route.encap = encap;
  },
  expires: (reading, option) => {
    if (reading.route.family !== 6) reading.drop("expires is only valid for IPv6");
    else numberOf("expires", { min: 0, max: UINT_MAX, times: 1_000_000 })(reading, option);
  },
  realms: (reading) => {
    const realms = readRealms(reading);
    if (realms !== undefined) reading.route.realms = realms;
  },
  features: (reading, option) => {
    const feature = reading.value(option);
    if (feature === "ecn") reading.route.ecn = true;
    else if (feature !== undefined) reading.refuse(`feature ${feature} not supported`, "ecn");
  },
  congctl: (reading, option) => {
    let word = reading.value(option);
    if (word === "lock") {
      lock(reading, "congctl");
      word = reading.value(option);
    }
    if (word !== undefined) reading.route.congctl = word;
  },
  pref: readPref,
  "ttl-propagate": (reading, option) => {
    const word = reading.value(option);
    if (word === "enabled" || word === "disabled") reading.route.ttl_propagate = word === "enabled";
    else if (word !== undefined) {
      reading.drop(`ttl-propagate value ${word} not recognised`, "enabled or disabled");
    }
  },
  add: ({ route }) => {
    route.order = "add";
  },
  prepend: ({ route }) => {
    delete route.order;
  },
  append: ({ route }) => {
    route.order = "append";
  },
  or: (reading, option) => {
    const gateway = readVia(reading, option);
    reading.refuse('"or" for routes is deprecated. Please use "nexthop"');
    const { route } = reading;
    if (gateway !== undefined) {
      const first = { ...(route.via === undefined ? {} : { via: route.via }) };
      route.nexthops = [first, { via: gateway }];
      delete route.via;
    }
  },
  no_track: ({ route }) => {
    route.no_track = true;
  },
  track_group: (reading, option) => {
    const group = reading.value(option);
    if (group === undefined) return;
    const isKnown = reading.context.names.get("track_group")?.has(group) === true;
    if (isKnown && reading.isStatic) reading.route.track_group = group;
    else reading.refuse(`track_group ${group} not found`);
  },
  vrf: (reading, option) => {
    const link = reading.value(option);
    if (link === undefined) return;
    if (reading.context.files.hasLink(link)) reading.route.vrf = link;
    else reading.drop(`VRF ${link} not found for route`);
  },
};

function readSource(reading: Reading, option: string): void {
  const word = reading.value(option);
  if (word === undefined) return;
  const address = parseAddress(word);
  if (address === undefined) {
    reading.refuse(`VRRP parsed invalid IP ${word}. skipping IP...`);
    reading.drop(`invalid route src address ${word}`);
  } else if (agrees(reading, familyOf(address))) reading.route.src = formatAddress(address);
}

function readFrom(reading: Reading, option: string): void {
  if (reading.value(option) === undefined) return;
  const prefix = reading.prefix();
  if (prefix === undefined) reading.isBad = true;
  else if (familyOf(prefix.address) === 4) {
    reading.drop(`route from address only supported with IPv6 (${reading.word})`);
  } else if (agrees(reading, 6)) {
    reading.route.from = `${formatAddress(prefix.address)}/${prefix.prefixLength}`;
  }
}

function readPref(reading: Reading, option: string): void {
  const word = reading.value(option);
  if (word === undefined) return;
  const value = Object.hasOwn(PREFS, word) ? PREFS[word] : /^[0-9]$/.test(word) ? Number(word) : -1;
  if (reading.route.family !== 6) reading.drop("pref is only valid for IPv6");
  else if (value! < 0) reading.drop(`Invalid pref value ${word} specified for route`);
  else reading.route.pref = value!;
}

/** How a metric is read: its limit, whether it may be locked, and the raw units of a second if a time. */
const METRICS: Readonly<
  Record<RouteMetric, {
    readonly max: number;
    readonly lock: boolean;
    readonly perSecond?: number;
    readonly shown?: string;
  }>
> = {
  mtu: { max: UINT_MAX, lock: true, shown: "MTU" },
  hoplimit: { max: 255, lock: false },
  advmss: { max: UINT_MAX, lock: true },
  rtt: { max: UINT_MAX, lock: true, perSecond: 8000 },
  rttvar: { max: UINT_MAX, lock: true, perSecond: 4000 },
  reordering: { max: UINT_MAX, lock: true },
  window: { max: UINT_MAX, lock: false },
  cwnd: { max: UINT_MAX, lock: true },
  ssthresh: { max: UINT_MAX, lock: true },
  rto_min: { max: UINT_MAX, lock: true, perSecond: 1000 },
  initcwnd: { max: UINT_MAX, lock: false },
  initrwnd: { max: UINT_MAX, lock: false },
  quickack: { max: 1, lock: false, shown: "quickack value" },
  fastopen_no_cookie: { max: 1, lock: false, shown: "fastopen_no_cookie value" },
};

function lock(reading: Reading, key: RouteMetric | "congctl"): void {
  reading.route.locked = [...(reading.route.locked ?? []), key];
}

function readMetric(reading: Reading, key: RouteMetric): void {
  const { max, lock: lockable, perSecond, shown: says = key } = METRICS[key];
  let option: string = key;
  if (lockable && reading.node.words[reading.at + 1] === "lock") {
    reading.at++;
    option = "lock";
    lock(reading, key);
  }
  const value = perSecond === undefined
    ? reading.number(option, { min: 0, max }, (w) => `Invalid ${says} ${w} specified for route`)
    : readTime(reading, option, key, perSecond);
  if (value !== undefined) reading.route.metrics = { ...reading.route.metrics, [key]: value };
}

/** N in raw units, Ns or Nms. */
function readTime(
  reading: Reading,
  option: string,
  key: RouteMetric,
  perSecond: number,
): number | undefined {
  const word = reading.value(option);
  if (word === undefined) return undefined;
  const match = /^([0-9]+(?:\.[0-9]*)?)(s|ms)?$/.exec(word);
  if (match === null) {
    reading.refuse(`invalid number '${word}'`);
    return reading.drop(`Invalid ${key} ${word} for route`, "a number, with s or ms for a time");
  }
  const number = Number(match[1]);
  const scale = match[2] === "s" ? perSecond : match[2] === "ms" ? perSecond / 1000 : 1;
  return Math.round(number * scale);
}

/** Every `nexthop` to the end of the line. */
function readNexthops(reading: Reading): void {
  const hops: RouteNexthop[] = [];
  let hop: NexthopDraft | undefined;
  for (; reading.word !== undefined && !reading.isBad; reading.at++) {
    const word = reading.word;
    if (word === "nexthop") hops.push(hop = {});
    else if (hop === undefined || !readHopOption(reading, word, hop)) {
      reading.refuse(`Route has trailing nonsense after nexthops - ${word}`);
      break;
    }
  }
  reading.route.nexthops = hops;
}

/** Whether a word belongs to a next hop; it is read with its value. */
function readHopOption(reading: Reading, word: string, hop: NexthopDraft): boolean {
  switch (word) {
    case "via": {
      const gateway = readVia(reading, word);
      if (gateway !== undefined) hop.via = gateway;
      return true;
    }
    case "dev":
    case "oif": {
      const link = readLink(reading, word);
      if (link !== undefined) hop.dev = link;
      return true;
    }
    case "weight": {
      const says = (text: string): string => `Invalid weight ${text} specified for route`;
      const weight = reading.number(word, { min: 1, max: 256 }, says);
      if (weight !== undefined) hop.weight = weight;
      return true;
    }
    case "onlink":
      hop.onlink = true;
      return true;
    case "encap": {
      const encap = readEncap(reading);
      if (encap !== undefined) hop.encap = encap;
      return true;
    }
    case "realms": {
      const realms = readRealms(reading);
      if (realms !== undefined) hop.realms = realms;
      return true;
    }
  }
  return false;
}

function hopWords(hop: RouteNexthop): string[] {
  const { via: gateway, dev: link, weight, onlink, encap, realms } = hop;
  return [
    ...(gateway === undefined ? [] : ["via", gateway.address]),
    ...(link === undefined ? [] : ["dev", quote(link)]),
    ...(weight === undefined ? [] : [`weight ${weight}`]),
    ...(onlink === true ? ["onlink"] : []),
    ...(realms === undefined ? [] : [`realms ${realms >>> 16}/${realms & 0xffff}`]),
    ...(encap === undefined ? [] : [formatEncap(encap)]),
  ];
}

/** The line of a route. */
function formatRoute(route: Route): string {
  const said = (key: keyof Route, word: string = key): string[] => {
    const value = route[key];
    return value === undefined ? [] : [`${word} ${value}`];
  };
  const metrics = Object.entries(route.metrics ?? {}).map(([key, value]) =>
    `${key}${route.locked?.includes(key as RouteMetric) === true ? " lock" : ""} ${value}`
  );
  const isLocked = route.locked?.includes("congctl") === true;
  return [
    route.family === 6 && route.to === "default" ? "inet6" : "",
    route.type ?? "",
    route.to,
    ...said("from"),
    ...said("src"),
    ...said("tos"),
    ...said("table"),
    ...said("protocol"),
    ...said("scope"),
    ...said("metric"),
    route.expires === undefined ? "" : `expires ${route.expires / 1_000_000}`,
    ...metrics,
    route.congctl === undefined ? "" : `congctl ${isLocked ? "lock " : ""}${quote(route.congctl)}`,
    route.ecn === true ? "features ecn" : "",
    ...said("pref"),
    route.ttl_propagate === undefined
      ? ""
      : `ttl-propagate ${route.ttl_propagate ? "enabled" : "disabled"}`,
    route.order ?? "",
    ...said("vrf"),
    ...said("track_group"),
    ...hopWords(route),
    route.no_track ? "no_track" : "",
    ...(route.nexthops ?? []).flatMap((hop) => ["nexthop", ...hopWords(hop)]),
  ].filter((word) => word !== "").join(" ");
}
