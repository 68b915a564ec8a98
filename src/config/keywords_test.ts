/**
 * Every word that keepalived's parser accepts is in the tables, in the block where keepalived has it. The list
 * lies beside the repository; where it does not, there is nothing to compare with.
 */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { memoryFiles } from "./files.ts";
import { GLOBAL_DEFAULTS } from "./global_defaults.ts";
import { globalDefs } from "./global_keywords.ts";
import { load } from "./load.ts";
import { root } from "./root.ts";
import type { AnyBlock, Row } from "./schema.ts";

const LIST = new URL("../../../shared/reference/keywords.tsv", import.meta.url).pathname;

interface Listed {
  readonly block: string;
  readonly keyword: string;
  readonly aliasOf: string;
  readonly kind: string;
}

function listed(): readonly Listed[] {
  return readFileSync(LIST, "utf8").split("\n")
    .filter((line) => line !== "" && !line.startsWith("#") && !line.startsWith("block\t"))
    .map((line) => line.split("\t"))
    .map((cells) => ({
      block: cells[0]!,
      keyword: cells[1]!,
      aliasOf: cells[2]!,
      kind: cells[9]!,
    }));
}

/** The row of a keyword, by its block as the list names it; undefined when the tables lack either. */
function rowOf({ block, keyword }: Listed): Row<unknown> | undefined {
  let inside: AnyBlock | undefined = root;
  for (const name of block === "(root)" ? [] : block.split("/")) {
    const row: Row<unknown> | undefined = inside?.find(name);
    inside = row?.shape === "block" ? row.inside : undefined;
  }
  return inside?.find(keyword);
}

/** Keywords of the list that the tables lack on purpose, each with the reason. */
const LEFT_OUT: Readonly<Record<string, string>> = {};

test.skipIf(!existsSync(LIST))("every keyword is in the tables, in its block", () => {
  const missing = listed().filter(({ kind }) => kind === "kw" || kind === "kwq")
    .filter((one) => rowOf(one) === undefined)
    .map(({ block, keyword }) => `${block} ${keyword}`)
    .filter((one) => !Object.hasOwn(LEFT_OUT, one));
  expect(missing).toEqual([]);
});

test.skipIf(!existsSync(LIST))("other spellings set the keyword they stand for", () => {
  const wrong = listed().filter(({ kind }) => kind === "kw" || kind === "kwq").flatMap((one) => {
    const of = /alias of (\w+)/.exec(one.aliasOf)?.[1];
    const row = rowOf(one);
    return of === undefined || row === undefined || row.aliasOf === of
      ? []
      : [`${one.keyword} is ${row.aliasOf ?? "on its own"}, not ${of}`];
  });
  expect(wrong).toEqual([]);
});

test("the defaults of global_defs are those of its rows", () => {
  for (const [keyword, value] of Object.entries(GLOBAL_DEFAULTS)) {
    expect([keyword, globalDefs.find(keyword)?.initial]).toEqual([keyword, value]);
  }
});

test("every row says what it is for, in the same form", () => {
  const visit = (block: AnyBlock, name: string): string[] =>
    Object.entries(block.rows()).flatMap(([keyword, row]) => [
      ...(/^[^ ].*? - [^ ]|^- [^ ]/.test(row.doc) ? [] : [`${name} ${keyword}: ${row.doc}`]),
      ...(row.doc.startsWith(`${keyword} `) ? [`${name} ${keyword} repeats itself`] : []),
      ...(row.shape === "block" ? visit(row.inside, keyword) : []),
    ]);
  expect(visit(root, "")).toEqual([]);
});

/** A sample of each word that value lines take, in a block that holds such lines. */
const VALUES: Readonly<Record<string, (word: string) => string>> = {
  "vrrp_instance/unicast_peer": (word) => instance(`unicast_peer {\n10.0.0.2 ${word} 3\n}`),
  static_ipaddress: () => "static_ipaddress {\n10.0.0.9 dev eth0\n}\n",
  virtual_server_group: (word) =>
    `virtual_server_group g {\n${
      GROUP[word]
    }\n}\nvirtual_server group g {\nlb_algo rr\nlb_kind NAT\n` +
    "protocol TCP\nreal_server 10.0.0.3 80 {\n}\n}\n",
  "track_* entry": (word) => instance(`track_interface {\neth1 ${word} 3\n}`),
  "address-spec": (word) => address(word),
  "route-spec": (word) =>
    `static_routes {\n${ROUTES[word] ?? `10.1.0.0/16 dev eth0 ${word} 1`}\n}\n`,
  "rule-spec": (word) => `static_rules {\n${RULES[word] ?? `${word} 1 table 5 priority 9`}\n}\n`,
};

function instance(lines: string): string {
  return `vrrp_instance i {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n${lines}\n}\n`;
}

const ADDRESS: Readonly<Record<string, string>> = {
  "<address>": "10.0.0.9",
  dev: "10.0.0.9 dev eth1",
  scope: "10.0.0.9 scope link",
  broadcast: "10.0.0.9/24 broadcast +",
  brd: "10.0.0.9/24 brd 10.0.0.255",
  label: "10.0.0.9 label eth0:1",
  peer: "10.0.0.9 peer 10.0.0.8",
  "preferred_lft": "10.0.0.9 preferred_lft 5",
};

function address(word: string): string {
  if (word === "track_group") {
    return `${
      instance("")
    }track_group g {\ngroup {\ni\n}\n}\nstatic_ipaddress {\n10.0.0.9 dev eth0 ${word} g\n}\n`;
  }
  return instance(`virtual_ipaddress_excluded {\n${ADDRESS[word] ?? `10.0.0.9 ${word}`}\n}`);
}

const GROUP: Readonly<Record<string, string>> = {
  "<address>": "10.0.0.9 80",
  "<range>": "10.0.0.9-12 80",
  fwmark: "fwmark 5",
};

const ROUTES: Readonly<Record<string, string>> = {
  "<destination>": "10.1.0.0/16 dev eth0",
  to: "to 10.1.0.0/16 dev eth0",
  inet: "inet 10.1.0.0/16 dev eth0",
  inet6: "inet6 fd00::/16 dev eth0",
  src: "10.1.0.0/16 src 10.0.0.1 dev eth0",
  via: "10.1.0.0/16 via 10.0.0.1 dev eth0",
  from: "fd00::/16 from fd01::/16 dev eth0",
  dev: "10.1.0.0/16 dev eth0",
  oif: "10.1.0.0/16 oif eth0",
  onlink: "10.1.0.0/16 via 10.0.0.1 dev eth0 onlink",
  encap: "10.1.0.0/16 encap ip id 4 dev eth0",
  expires: "fd00::/16 expires 5 dev eth0",
  features: "10.1.0.0/16 features ecn dev eth0",
  congctl: "10.1.0.0/16 congctl cubic dev eth0",
  pref: "fd00::/16 pref low dev eth0",
  "ttl-propagate": "10.1.0.0/16 ttl-propagate enabled dev eth0",
  add: "add 10.1.0.0/16 dev eth0",
  prepend: "prepend 10.1.0.0/16 dev eth0",
  append: "append 10.1.0.0/16 dev eth0",
  nexthop: "10.1.0.0/16 nexthop via 10.0.0.1 dev eth0",
  no_track: "10.1.0.0/16 dev eth0 no_track",
  track_group: "10.1.0.0/16 dev eth0",
  vrf: "10.1.0.0/16 dev eth0 vrf eth1",
  as: "10.1.0.0/16 dev eth0",
  gw: "10.1.0.0/16 dev eth0",
  or: "10.1.0.0/16 dev eth0",
};

const RULES: Readonly<Record<string, string>> = {
  from: "from 10.0.0.0/8 table 5 priority 9",
  to: "to 10.0.0.0/8 table 5 priority 9",
  inet: "inet table 5 priority 9",
  inet6: "inet6 table 5 priority 9",
  table: "table 5 priority 9",
  lookup: "lookup 5 priority 9",
  not: "not from 10.0.0.0/8 table 5 priority 9",
  preference: "table 5 preference 9",
  order: "table 5 order 9",
  priority: "table 5 priority 9",
  dev: "dev eth0 table 5 priority 9",
  iif: "iif eth0 table 5 priority 9",
  oif: "oif eth0 table 5 priority 9",
  uidrange: "uidrange 1-2 table 5 priority 9",
  l3mdev: "l3mdev priority 9",
  sport: "sport 1-2 table 5 priority 9",
  dport: "dport 1-2 table 5 priority 9",
  no_track: "table 5 priority 9 no_track",
  track_group: "table 5 priority 9",
  type: "type nop priority 9",
  goto: "goto 50 priority 9",
  nop: "nop priority 9",
  blackhole: "blackhole priority 9",
  unreachable: "unreachable priority 9",
  prohibit: "prohibit priority 9",
};

test.skipIf(!existsSync(LIST))("every word of value lines is read", () => {
  const words = listed().filter(({ kind }) => kind === "value");
  const refused = words.flatMap(({ block, keyword }) => {
    const sample = VALUES[block];
    if (sample === undefined) return [`no sample for ${block} ${keyword}`];
    const text = sample(keyword);
    const files = memoryFiles({ "/k": text }, { links: ["eth0", "eth1"] });
    return load("/k", files).problems.filter(({ kind }) => kind !== "not_supported")
      .filter(({ message }) => !/resetting protocol$|protocol will be ignored/.test(message))
      .map((problem) => `${block} ${keyword}: ${problem.message}`);
  });
  expect(refused).toEqual([]);
});
