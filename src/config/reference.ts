/**
 * The keyword tables as text for people: help for one keyword, the reference of all of them, and which
 * of them have no effect yet. Whatever is said here stands in the rows; only what has no row, the
 * syntax around keywords, is said by a list of its own.
 */
import type { AnyBlock, Row } from "./schema.ts";
import { nearest } from "./suggest.ts";

/** What the one-line documentation of a row says. */
export interface Doc {
  /** What may follow the keyword; empty for nothing. */
  readonly grammar: string;
  readonly purpose: string;
  readonly range?: string;
  readonly default?: string;
  /** Such as `be set`. */
  readonly must?: string;
}

/** A keyword in its block. */
export interface Entry {
  /** The blocks around it, outermost first. */
  readonly blocks: readonly string[];
  readonly keyword: string;
  readonly row: Row<unknown>;
  readonly doc: Doc;
  /** It, or a block around it, has no effect so far. */
  readonly later: boolean;
}

/** Words that mean something before any keyword is looked up: grammar and meaning. */
export const SYNTAX: readonly (readonly [string, string])[] = [
  ["# TEXT, ! TEXT", "a comment, outside quotes; \\# and \\! are the characters themselves"],
  ['"TEXT"', "one word, on one line; without escapes"],
  [
    "'TEXT'",
    "one word in values that are read like a shell's: scripts, misc_path, regular expressions; " +
    "there backslash escapes mean something too",
  ],
  ["{, }", "begin and end of a block; on the line of the keyword or on the next one"],
  ["include PATTERN", "reads the files of a glob pattern here; what is wrong with it is only said"],
  ["includer PATTERN", "the same; a file that cannot be read refuses the start"],
  ["includem PATTERN", "the same; a name that does not exist refuses the start too"],
  ["includew PATTERN", "the same; a pattern that nothing matches refuses the start too"],
  ["includeb PATTERN", "the same; an alternative in braces that nothing matches refuses the start"],
  ["includea PATTERN", "all of these checks"],
  [
    "@NODE LINE",
    "the line counts on this node only: the host name to its first dot, or what -i says",
  ],
  ["@^NODE LINE", "the line counts on every other node"],
  ["$NAME=TEXT", "defines a name; a text that ends in a backslash goes on in the following lines"],
  [
    "$NAME, ${NAME}",
    "the text of a name; the first form only before a blank, a comma, ) or the end",
  ],
  ["${_PWD}", "the directory of the file that is read"],
  ["${_INSTANCE}", "the name of this node"],
  ["${_RANDOM [MIN [MAX]]}", "a random number, 0 to 32767 by default"],
  ["${_ENV NAME}", "a variable of the environment"],
  ["${_HASH}, ${_BANG}", "# and !"],
  [
    "~SEQ(VAR, [START, [STEP,]] END) LINE",
    "repeats the line while VAR counts; ~SEQx in hexadecimal",
  ],
  ["~LST(VAR, A, B, ...) LINE", "repeats the line with each value; also ~LST({V,W}, {A,B}, ...)"],
];

/** Takes the documentation of a row apart. */
export function readDoc(text: string): Doc {
  const dash = text.startsWith("- ") ? 0 : text.indexOf(" - ") + 1;
  const grammar = text.slice(0, dash).trim();
  const rest = text.slice(dash + 2);
  const parts = rest.split(/; (?=(?:range|default|must) )/);
  const found: { range?: string; default?: string; must?: string } = {};
  for (const part of parts.slice(1)) {
    const [name, ...words] = part.split(" ");
    const key = name as keyof typeof found;
    found[key] = found[key] === undefined ? words.join(" ") : `${found[key]}; ${words.join(" ")}`;
  }
  return { grammar, purpose: parts[0]!, ...found };
}

/** Every keyword of a block and of those inside it, in the order of the tables. */
export function entriesOf(
  block: AnyBlock,
  blocks: readonly string[] = [],
  isLater = false,
): readonly Entry[] {
  return Object.entries(block.rows() as Readonly<Record<string, Row<unknown>>>).flatMap(
    ([keyword, row]) => {
      const later = isLater || row.later === true;
      const entry = { blocks, keyword, row, doc: readDoc(row.doc), later };
      // A former spelling of a block has the same inside.
      if (row.shape !== "block" || row.aliasOf !== undefined) return [entry];
      return [entry, ...entriesOf(row.inside, [...blocks, keyword], later)];
    },
  );
}

/** Keyword and grammar, as a line starts. */
export function usageOf({ keyword, row, doc }: Entry): string {
  const lead = row.bare === true && keyword.startsWith("<") ? "" : keyword;
  return [lead, doc.grammar].filter((part) => part !== "").join(" ");
}

/**
 * Help for a keyword, by its name alone or with its blocks (`vrrp_instance/priority`); when there is no
 * such keyword, undefined and perhaps one that may have been meant.
 */
export function keywordHelp(
  name: string,
  root: AnyBlock,
): { readonly text: string } | { readonly near?: string } {
  const path = name.split(/[/ ]+/).filter((part) => part !== "");
  const keyword = path.at(-1) ?? "";
  const all = entriesOf(root);
  const isMeant = ({ blocks, keyword: own }: Entry): boolean =>
    own === keyword && path.slice(0, -1).every((block) => blocks.includes(block));
  const meant = all.filter(isMeant);
  const direct = meant.filter(({ blocks }) => path.length > 1 && blocks.at(-1) === path.at(-2));
  const found = direct.length > 0 ? direct : meant;
  const inLines = found.length > 0
    ? []
    : all.filter(({ doc: { grammar } }) =>
      path.length === 1 && grammar.split(/[^\w-]+/).includes(keyword)
    );
  const syntax = SYNTAX.filter(([grammar]) =>
    grammar.split(/[ ,(]+/).includes(name) || grammar.includes(`{${name}`)
  );
  const texts = [
    ...syntax.map(([grammar, purpose]) => `${grammar}\n  ${purpose}\n`),
    ...grouped(found).map((group) => describe(group, all)),
    ...grouped(inLines).map((group) => `${keyword} stands in lines of\n\n${describe(group, all)}`),
  ];
  if (texts.length > 0) return { text: texts.join("\n") };
  const near = nearest(keyword, [...new Set(all.map((one) => one.keyword))]);
  return near === undefined ? {} : { near };
}

/** Keywords that are the same in several blocks are told once. */
function grouped(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const key = `${entry.keyword} ${entry.row.doc}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [entry]);
    else group.push(entry);
  }
  return [...groups.values()];
}

function describe(group: readonly Entry[], all: readonly Entry[]): string {
  const entry = group[0]!;
  const { row, doc, keyword } = entry;
  const inside = row.shape === "block" ? Object.keys(row.inside.rows()).join(" ") : "";
  const places = group.map(({ blocks }) => placeOf(blocks)).join(", ");
  const others = all.filter(({ row: { aliasOf }, blocks }) =>
    aliasOf === keyword && blocks.join("/") === entry.blocks.join("/")
  ).map((other) => other.keyword);
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Where", places],
    ["Range", doc.range],
    ["Default", doc.default],
    ["Must", doc.must],
    ["Sets", row.aliasOf],
    ["Also", others.length === 0 ? undefined : others.join(", ")],
    ["Inside", inside === "" ? undefined : inside],
    ["Status", statusOf(entry)],
  ];
  const lines = facts.filter(([, text]) => text !== undefined)
    .map(([name, text]) => `  ${name.padEnd(8)} ${text}`);
  return [usageOf(entry), `  ${sentence(doc.purpose)}`, "", ...lines, ""].join("\n");
}

function placeOf(blocks: readonly string[]): string {
  return blocks.length === 0 ? "the outermost level" : blocks.join(" > ");
}

function statusOf({ row, later }: Entry): string {
  const parts = [
    later ? "read, without effect so far" : "in effect",
    ...row.ours === true ? ["keepalived does not have it"] : [],
    ...row.deprecated === true ? ["deprecated"] : [],
    ...row.secret === true ? ["never shown"] : [],
  ];
  return parts.join("; ");
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Every keyword, by block, as Markdown. */
export function referenceText(root: AnyBlock): string {
  const lines = [
    "# Keywords of keepalived.conf",
    "",
    "Generated from the keyword tables by `npm run docs`. The same is printed by",
    "`upkeep help keyword NAME`. **Not yet** marks what is read but has no effect so far, **ours** what",
    "keepalived does not have.",
    "",
    "BOOL is `true`, `on`, `yes` or nothing, or `false`, `off`, `no`. SECS are decimal seconds with up to",
    "six decimals where the range has them. SCRIPT is one word: in quotes with arguments.",
    "",
    "## Syntax",
    "",
    "A statement is one line; blocks are in braces. A mistake costs its statement only, unless keepalived",
    "would not start with it either.",
    "",
    ...SYNTAX.map(([grammar, purpose]) => `- \`${grammar}\`: ${purpose}`),
    "",
  ];
  let blocks: string | undefined;
  for (const entry of byBlock(entriesOf(root))) {
    const place = entry.blocks.join(" > ");
    if (place !== blocks) {
      const title = place === "" ? "Outermost level" : `\`${place}\``;
      lines.push(...(blocks === undefined ? [] : [""]), `## ${title}`, "");
      blocks = place;
    }
    lines.push(bulletOf(entry));
  }
  return `${lines.join("\n")}\n`;
}

/** A block's own keywords together, then the blocks inside it. */
export function byBlock(entries: readonly Entry[]): readonly Entry[] {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    const key = entry.blocks.join(" > ");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [entry]);
    else group.push(entry);
  }
  return [...groups.values()].flat();
}

function bulletOf(entry: Entry): string {
  const { row, doc } = entry;
  const facts = [
    sentence(doc.purpose),
    ...(doc.range === undefined ? [] : [`Range: ${doc.range}`]),
    ...(doc.default === undefined ? [] : [`Default: ${doc.default}`]),
    ...(doc.must === undefined ? [] : [`It must ${doc.must}`]),
    ...(row.aliasOf === undefined ? [] : [`Sets \`${row.aliasOf}\``]),
    ...(row.deprecated === true ? ["Deprecated"] : []),
  ];
  const marks = [
    ...(row.ours === true ? [" **Ours.**"] : []),
    ...(entry.later ? [" **Not yet.**"] : []),
  ];
  return `- \`${usageOf(entry)}\`: ${facts.map((fact) => `${fact}.`).join(" ")}${marks.join("")}`;
}

const WIDTH = 100;

/** The keywords for which `isMeant`, as a Markdown list with a line per block; a block stands for all in it. */
function listByBlock(root: AnyBlock, isMeant: (row: Row<unknown>) => boolean): string {
  const groups = new Map<string, string[]>();
  const visit = (block: AnyBlock, blocks: readonly string[]): void => {
    for (const [keyword, any] of Object.entries(block.rows())) {
      const row = any as Row<unknown>;
      if (isMeant(row)) {
        const place = blocks.length === 0 ? "outermost level" : `\`${blocks.join(" > ")}\``;
        const name = row.shape === "block" ? `\`${keyword} { }\`` : `\`${keyword}\``;
        groups.set(place, [...groups.get(place) ?? [], name]);
      } else if (row.shape === "block") visit(row.inside, [...blocks, keyword]);
    }
  };
  visit(root, []);
  if (groups.size === 0) return "None.\n";
  return [...groups].map(([place, names]) => wrap(`- ${place}: ${names.join(", ")}`)).join("\n") +
    "\n";
}

/** Breaks a list item into lines as the formatter does. */
function wrap(text: string): string {
  const lines: string[] = [];
  let line = "";
  // A blank inside code is no place for a break.
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g) ?? []) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (longer.length <= WIDTH || line === "") line = longer;
    else {
      lines.push(line);
      line = `  ${word}`;
    }
  }
  return [...lines, line].join("\n");
}

/** The generated parts of a document by the name in their markers. */
const PARTS: Readonly<Record<string, (root: AnyBlock) => string>> = {
  "not yet": (root) => listByBlock(root, ({ later }) => later === true),
  ours: (root) => listByBlock(root, ({ ours }) => ours === true),
};

/** A document with the parts between `<!-- generated: NAME -->` and `<!-- end -->` made anew. */
export function withGeneratedParts(text: string, root: AnyBlock): string {
  return text.replace(
    /(<!-- generated: ([\w ]+) -->\n)[^]*?(<!-- end -->)/g,
    (_all, start: string, name: string, end: string) =>
      `${start}\n${PARTS[name]?.(root) ?? ""}\n${end}`,
  );
}
