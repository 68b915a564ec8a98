/**
 * Configurations made up by walking the keyword tables. What may follow a keyword is found by trial:
 * a text is a sample of a row when adding the statement changes what the file says. A row whose
 * grammar the pool below cannot meet gets samples of its own in SAMPLES.
 */
import { memoryFiles } from "../../src/config/files.ts";
import { load, type Loaded } from "../../src/config/load.ts";
import { root } from "../../src/config/root.ts";
import type { AnyBlock, Row } from "../../src/config/schema.ts";
import type { Prng } from "./prng.ts";

/** Texts that many rows take; `%` becomes a number that differs from use to use. */
const POOL = [
  '"a#b!c{d}e" "$f" "@g" "~SEQ(x, 1, 2)"',
  "\"/bin/echo a 'b c' \\x24HOME\" nobody nogroup",
  '"back\\slash"',
  "include weight 2",
  ..."1 2 3 5 10 25 52 100 254 0 -5 0.5 1.25 60 1000 70000 true false on off no all".split(" "),
  ..."name% a eth0 eth1 192.0.2.% 192.0.2.%/24 2001:db8::% 224.0.0.% ff02::%".split(" "),
  ..."/bin/true 0x10 10.0.0.0/8 MASTER BACKUP user@host.example 1-2 fwmark 3:4".split(" "),
  '"two words"',
  "\"/bin/echo a 'b c' \\x24HOME\" nobody nogroup",
  "/bin/true nobody",
  "mail.example 2525",
  "http://host.example/%",
  "192.0.2.% 80",
  "2001:db8::% 443",
  "fwmark %",
  "group name1",
  "name1",
  "0123456789abcdef0123456789ABCDEF",
  "icase multiline",
  "1 2",
  "1 2 3",
  "name1 weight 5",
  "eth1 weight -10 reverse",
  "",
];

/** Samples of rows that the pool does not fit, by the path of keywords. */
const SAMPLES: Readonly<Record<string, readonly string[]>> = {
  "vrrp_instance virtual_ipaddress": [
    "192.0.2.%/24 dev eth1 brd + scope link label eth0:1 noprefixroute",
    "2001:db8::%/64 preferred_lft 0 home -nodad mngtmpaddr autojoin",
    "192.0.2.% peer 198.51.100.%/32 no_track",
    "2001:db8::%/128 preferred_lft forever",
  ],
  "vrrp_script check": [
    "ping host%",
    "tcp 2001:db8::% 443",
    'http https://host%.example/ status 204 contains "two words"',
  ],
  "vrrp_instance unicast_peer": ["192.0.2.% min_ttl 3 max_ttl 255"],
};

/** Lines without which a block or a line says nothing, where a single line of the pool will not do. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  "virtual_server hashed": ["lvs_sched sh"],
  "virtual_server sorry_server_inhibit": ["sorry_server 192.0.2.9 80"],
  "virtual_server sorry_server_lvs_method": ["sorry_server 192.0.2.9 80"],
  "virtual_server real_server HTTP_GET": ["url {", "path /", "}"],
  "virtual_server real_server SSL_GET": ["url {", "path /", "}"],
};

/** Everything a generated file may refer to exists. */
export function worldOf(text: string): ReturnType<typeof memoryFiles> {
  return memoryFiles({ "/k.conf": text }, { hasLink: () => true });
}

/** What a text says. */
export function loadText(text: string): Loaded {
  return load("/k.conf", worldOf(text));
}

/** A row, how to reach it, and what it takes. */
export interface Generated {
  /** The keywords from the outermost to its own, joined by blanks. */
  readonly path: string;
  readonly keyword: string;
  readonly row: Row<unknown>;
  /** What may follow the keyword; for a list, its entries. Empty when nothing fits. */
  readonly samples: readonly string[];
  /** A configuration with this row alone, followed by a sample. */
  readonly text: (sample: string) => string;
  /** The line without which its block says nothing, if there is one. */
  readonly must: readonly string[];
  /** The rows of its block. */
  readonly inside: readonly Generated[];
}

/** The lines of blocks that are open around a statement. */
type Around = readonly string[];

function wrap(around: Around, lines: readonly string[]): string {
  return [...around, ...lines, ...around.map(() => "}")].join("\n");
}

/** Blocks that define `name1` for those that follow. */
const preamble: string[] = [];

/** Samples of one row. */
const ENOUGH = 8;

/** What a block that others refer to is called. */
const NAME = "name%";

let unique = 1;

/** A sample with its number filled in. */
export function fill(sample: string): string {
  return sample.replaceAll("%", () => `${(unique = unique % 250 + 1)}`);
}

/** What the words of a row's documentation suggest. */
function fromDoc(doc: string): readonly string[] {
  const grammar = doc.split(" - ")[0]!;
  const literals = grammar.split(/[\s|[\](){},]+/).filter((word) => /^[\w.+-]+$/.test(word));
  return [...new Set(literals)].flatMap((word) => [word, `${word} 5`, `1 ${word}`]);
}

/** Every row of every table with its samples; made once, it takes a second. */
export function walkTables(): readonly Generated[] {
  return tables ??= walk(root, [], "");
}

let tables: readonly Generated[] | undefined;

function walk(block: AnyBlock, around: Around, above: string): readonly Generated[] {
  const said = (lines: readonly string[]): string =>
    JSON.stringify(loadText([...preamble, wrap(around, lines)].join("\n")).written);
  // Outside every block the preamble grows from row to row.
  let empty = said([]);
  return Object.entries(block.rows()).map(([keyword, any]) => {
    const row = any as Row<unknown>;
    if (above === "") empty = said([]);
    const path = above === "" ? keyword : `${above} ${keyword}`;
    const needs = row.shape === "line" ? NEEDS[path] ?? [] : [];
    const nothing = needs.length === 0 ? empty : said(needs);
    const statement = (text: string): readonly string[] => {
      if (row.shape === "line") return [...needs, lineOf(keyword, row, text)];
      return row.shape === "values" ? [`${keyword} {`, text, "}"] : [`${keyword} ${text} {`, "}"];
    };
    const candidates = [...(SAMPLES[path] ?? []), ...fromDoc(row.doc), ...POOL];
    const before = [...preamble];
    const text = (sample: string): string =>
      [...before, wrap(around, statement(fill(sample)))].join("\n");
    const fits = (sample: string): boolean => said(statement(fill(sample))) !== nothing;
    if (row.shape !== "block") {
      const samples: string[] = [];
      for (const one of candidates) if (samples.length < ENOUGH && fits(one)) samples.push(one);
      return { path, keyword, row, samples, text, must: [], inside: [] };
    }
    const matters = (lines: readonly string[]): boolean => said(lines) !== empty;
    const { head, must } = headOf(keyword, row.inside, candidates, matters, NEEDS[path]);
    const opening = [`${keyword} ${fill(head[0]!)} {`, ...must].join("\n");
    const inside = walk(row.inside, [...around, opening], path).map((one) =>
      one.samples.length === 0 && must[0]?.startsWith(`${one.keyword} `) === true
        ? { ...one, samples: [must[0].slice(one.keyword.length + 1)] }
        : one
    );
    if (above === "" && head.includes(NAME)) preamble.push(`${keyword} name1 {`, ...must, "}");
    return { path, keyword, row, samples: head, text, must, inside };
  });
}

function lineOf(keyword: string, row: Row<unknown>, text: string): string {
  return row.bare === true ? text : `${keyword} ${text}`;
}

/** What may follow the keyword of a block, and the line without which it says nothing. */
function headOf(
  keyword: string,
  inside: AnyBlock,
  candidates: readonly string[],
  matters: (lines: readonly string[]) => boolean,
  needs: readonly string[] = [],
): { readonly head: readonly string[]; readonly must: readonly string[] } {
  const heads = [NAME, ...candidates.filter((text) => !/["%]/.test(text) || text.includes(" %"))];
  const fit = (must: readonly string[]): readonly string[] => {
    const found: string[] = [];
    for (const text of heads) {
      const lines = [`${keyword} ${fill(text)} {`, ...must, "}"];
      if (found.length < ENOUGH && matters(lines)) found.push(text);
    }
    return found;
  };
  const head = fit(needs);
  if (head.length > 0) return { head, must: needs };
  for (const [inner, row] of Object.entries(inside.rows())) {
    if ((row as Row<unknown>).shape !== "line") continue;
    for (const text of POOL) {
      const must = [`${inner} ${fill(text)}`];
      if (matters([`${keyword} probe {`, ...must, "}"])) return { head: fit(must), must };
    }
  }
  return { head: [""], must: [] };
}

/** A block called name1 that says one thing of each kind. */
function definition(keyword: string, inside: readonly Generated[]): readonly string[] {
  const lines = inside.filter(({ row, samples }) => row.shape === "line" && samples.length > 0)
    .map((one) => `  ${one.keyword} ${fill(one.samples[0]!)}`);
  return [`${keyword} name1 {`, ...lines, "}"];
}

/** A configuration of random statements, most of them right. */
export function randomConfig(random: Prng): string {
  const lines: string[] = [];
  const all = walkTables();
  for (const { row, samples, keyword, inside } of all) {
    if (row.shape === "block" && samples.includes(NAME)) lines.push(...definition(keyword, inside));
  }
  for (let i = random.integer(1, 6); i > 0; i--) {
    lines.push(...statementOf(random.pick(all), random, 0));
  }
  return `${lines.join("\n")}\n`;
}

function body({ inside, must }: Generated, random: Prng, depth: number): readonly string[] {
  if (inside.length === 0) return [];
  const count = random.integer(0, depth === 1 ? 12 : 5);
  const first = random.chance(0.9) ? must : [];
  const rest = Array.from(
    { length: count },
    () => statementOf(random.pick(inside), random, depth),
  );
  return [...first, ...rest.flat()];
}

function statementOf(one: Generated, random: Prng, depth: number): readonly string[] {
  const indent = "  ".repeat(depth);
  const sample = (): string => {
    const samples = one.samples.length === 0 || random.chance(0.05) ? POOL : one.samples;
    return fill(random.pick(samples));
  };
  switch (one.row.shape) {
    case "line":
      return [indent + lineOf(one.keyword, one.row, sample())];
    case "values": {
      const entries = Array.from({ length: random.integer(0, 4) }, () => `${indent}  ${sample()}`);
      return [`${indent}${one.keyword} {`, ...entries, `${indent}}`];
    }
    case "block":
      return [
        `${indent}${one.keyword} ${sample()} {`,
        ...body(one, random, depth + 1),
        `${indent}}`,
      ];
  }
}
