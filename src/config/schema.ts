/**
 * Keyword tables. A block is a record of rows; a row says what a keyword may be followed by, reads
 * its value, writes it again and documents itself in one line. The types of the values are inferred from
 * the rows, and the rows of a block come to life when the block is first met.
 */
import type { Files } from "./files.ts";
import type { IprouteNames } from "./iproute_names.ts";
import type { LvsReading } from "./lvs_reading.ts";
import {
  type Problem,
  problemAt,
  type ProblemExtras,
  type ProblemKind,
  type Problems,
} from "./problem.ts";
import type { Control, Statement } from "./statement.ts";

/** Whether a start (tolerant of junk after some numbers) or a configuration test is reading. */
export type Mode = "run" | "test";

/** What a block has shown so far of the protocol it will speak. */
export interface Protocol {
  /** 0 until the first address or `native_ipv6`. */
  family: 0 | 4 | 6;
  /** 0 until `version` or an IPv6 address. */
  version: 0 | 2 | 3;
}

/** What readers know besides the words before them. */
export interface Context {
  readonly problems: Problems;
  readonly files: Files;
  readonly mode: Mode;
  /** Whether what only upkeep knows is to be reported. */
  readonly keepalived: boolean;
  /** How log lines show the place: global words are the parent's, the rest is the roles'. */
  readonly prefix: Problem["prefix"];
  /** The name of the block being read, "" in global_defs. */
  readonly who: string;
  readonly protocol: Protocol;
  /** What the virtual_server being read has shown so far. */
  readonly lvs: LvsReading;
  /** Names of the blocks read so far, by keyword. */
  readonly names: Map<string, Set<string>>;
  /** Keywords already reported as not supported. */
  readonly unsupported: Set<string>;
  /** Names of routing tables and the like. */
  readonly iproute: IprouteNames;
  /** Changes how the lines to come are read. */
  readonly control: Control;
  /** Whether an unknown keyword may be a misspelt one whose value is secret. */
  readonly isLikeSecret: (keyword: string) => boolean;
  /** What an unknown keyword of a block may have been meant to be. */
  readonly suggest: (keyword: string, block: AnyBlock) => string | undefined;
}

/** What every keyword has, whatever follows it. */
interface RowBase<T> {
  /**
   * For people: `GRAMMAR - purpose[; range R][; default D]`, the keyword itself left out of the grammar.
   */
  readonly doc: string;
  /** The value when the keyword is absent. */
  readonly initial: T;
  /** Read, but without effect so far. */
  readonly later?: boolean;
  /** Another spelling of this keyword, whose value it sets. */
  readonly aliasOf?: string;
  /** keepalived accepts it with a complaint. */
  readonly deprecated?: boolean;
  /** keepalived does not know it. */
  readonly ours?: boolean;
  /** Its value must not be shown. */
  readonly secret?: boolean;
  /** Its lines are written without the keyword: they begin with their values. */
  readonly bare?: boolean;
  /** The first word that is, when what comes before it are numbers; 1 unless told otherwise. */
  readonly secretFrom?: number;
}

/** A keyword with words on its line. */
export interface LineRow<T> extends RowBase<T> {
  readonly shape: "line";
  /** The value; undefined keeps the one before. Adds to the context's problems. */
  read(node: Statement, context: Context, before: T): T | undefined;
  /** What to write after the keyword, a text a line, so that reading it gives the value again. */
  format?(value: T): readonly string[];
}

/** A keyword with a block that holds one entry a line. */
export interface ListRow<E> extends RowBase<readonly E[]> {
  readonly shape: "values";
  /** Whether the block counts; when not, it is skipped, which the problems explain. */
  begin?(node: Statement, context: Context, before: readonly E[]): boolean;
  /** Called when the block ends. */
  end?(node: Statement, context: Context, list: readonly E[]): void;
  /** Reads a line and adds what it says to `list`. */
  entry(node: Statement, context: Context, list: E[]): void;
  /** The line of an entry. */
  format?(entry: E): string;
}

/** Values by keyword, types forgotten. */
export type Written = Readonly<Record<string, unknown>>;

/** A keyword with a block of keywords. */
export interface BlockRow<T> extends RowBase<T> {
  readonly shape: "block";
  readonly inside: AnyBlock;
  /** How many words may stand before the brace, the keyword counted; any number without it. */
  readonly headWords?: number;
  /** What the inside starts from; without it, from its initial values. */
  resume?(before: T): Written;
  /** The context its inside is read in; undefined skips the block, which the problems explain. */
  open(node: Statement, context: Context): Context | undefined;
  /** The value, from what the inside said; undefined keeps the one before. */
  close(
    values: Written,
    node: Statement,
    inside: Context,
    before: T,
    context: Context,
  ): T | undefined;
  /** The blocks to write: the words after the keyword, and the values inside. */
  format?(value: T): readonly { readonly words: string; readonly values: Written }[];
}

/** One keyword. */
export type Row<T> =
  | LineRow<T>
  | BlockRow<T>
  | (T extends readonly (infer E)[] ? ListRow<E> : never)
  | (unknown extends T ? ListRow<unknown> : never);

// A table holds rows of many types; only `Values` looks at each.
// deno-lint-ignore no-explicit-any
type AnyRow = LineRow<any> | ListRow<any> | BlockRow<any>;

/** A table of keywords. */
export type Rows = Readonly<Record<string, AnyRow>>;

/** A block of keywords whose types are forgotten. */
export interface AnyBlock {
  /** The rows, made on the first call. */
  rows(): Rows;
  find(keyword: string): Row<unknown> | undefined;
  /** The values of an empty block. */
  initial(): Written;
  /** The same, for a block to begin with. */
  start(): Record<string, unknown>;
}

/** A block of keywords. */
export interface Block<R extends Rows> extends AnyBlock {
  rows(): R;
}

type ValueOf<Row> = Row extends LineRow<infer T> ? T
  : Row extends ListRow<infer E> ? readonly E[]
  : Row extends BlockRow<infer T> ? T
  : never;

/** The values a block gives, by keyword; other spellings give none of their own. */
export type Values<B> = B extends Block<infer R> ? {
    readonly [K in keyof R as R[K] extends { readonly aliasOf: string } ? never : K]: ValueOf<R[K]>;
  }
  : never;

/**
 * A block of these rows, which come to life when the block is first met. Files have thousands of some: of a
 * `sparse` one only what it states are its own values, and the initial ones show through.
 */
export function block<R extends Rows>(make: () => R, kind: "whole" | "sparse" = "whole"): Block<R> {
  let made: R | undefined;
  let byKeyword: Map<string, Row<unknown>> | undefined;
  let empty: Written | undefined;
  const rows = (): R => made ??= make();
  const initial = (): Written => {
    if (empty !== undefined) return empty;
    const values: Record<string, unknown> = {};
    for (const [keyword, row] of Object.entries(rows())) {
      if (row.aliasOf === undefined) values[keyword] = row.initial;
    }
    return empty = values;
  };
  return {
    rows,
    initial,
    start: kind === "sparse" ? () => Object.create(initial()) : () => ({ ...initial() }),
    find: (keyword) => {
      byKeyword ??= new Map(Object.entries(rows()) as [string, Row<unknown>][]);
      return byKeyword.get(keyword);
    },
  };
}

/** Says that only upkeep knows a keyword. */
export function reportOurs(node: Statement, context: Context): void {
  const message = `keepalived does not know ${node.words[0]!}`;
  complain(context, node, "note", message, 0, { severity: "error", code: "not_in_keepalived" });
}

/**
 * A block so large that each row comes to life by itself, when its keyword is first met. An empty one says
 * nothing: keywords that are absent have no value, and their defaults are the completion's affair.
 */
export function lazyBlock<R extends Rows>(
  makers: { readonly [K in keyof R]: () => R[K] },
): Block<R> {
  const made = new Map<string, Row<unknown>>();
  const find = (keyword: string): Row<unknown> | undefined => {
    const known = made.get(keyword);
    if (known !== undefined || !Object.hasOwn(makers, keyword)) return known;
    const row = makers[keyword]!() as Row<unknown>;
    made.set(keyword, row);
    return row;
  };
  return {
    rows: () =>
      Object.fromEntries(Object.keys(makers).map((keyword) => [keyword, find(keyword)])) as R,
    find,
    initial: () => NOTHING,
    start: () => ({}),
  };
}

const NOTHING: Written = {};

/** Says once per keyword that it has no effect yet. */
export function warnUnsupported(node: Statement, context: Context): void {
  const keyword = node.words[0]!;
  if (context.unsupported.has(keyword)) return;
  context.unsupported.add(keyword);
  complain(context, node, "not_supported", `${keyword} is not supported yet, ignored`, 0);
}

/** Where exactly a mistake is, beside what problemAt takes. */
interface Extras extends ProblemExtras {
  /** How far into the word the mistake starts, in characters. */
  readonly offset?: number;
}

/** Adds a problem at a statement, or at one of its words. */
export function complain(
  context: Context,
  node: Statement,
  kind: ProblemKind,
  message: string,
  at?: number,
  { offset = 0, ...extras }: Extras = {},
): void {
  if (context.problems.isFull && extras.severity !== "fatal") {
    // Millions of mistakes cost no more than counting them.
    context.problems.count(kind, extras.severity);
    return;
  }
  const { file, line, source } = node;
  const column = node.columnOf(at ?? 0) + offset;
  const word = at === undefined ? undefined : node.words[at]?.slice(offset);
  const offending = word === undefined ? {} : { word };
  const spot = { file, line, column, source };
  const { prefix, problems } = context;
  problems.add(problemAt(spot, kind, message, { prefix, ...offending, ...extras }));
}

/**
 * The second word. When there is none the answer is undefined, and the mistake a fatal one unless
 * keepalived has a milder message for it, `missing`.
 */
export function firstWord(node: Statement, context: Context, missing?: string): string | undefined {
  const word = node.words[1];
  if (word === undefined && missing !== undefined) complain(context, node, "general", missing, 0);
  else if (word === undefined) {
    const keyword = node.words[0]!;
    const message = `*** Configuration line starting \`${keyword}\` is missing a parameter ` +
      `after keyword \`${keyword}\` at word position 2`;
    complain(context, node, "missing_parameter", message, 0, {
      severity: "fatal",
      exit: { start: 2, test: 2 },
    });
  }
  return word;
}

/**
 * Whether a link exists or may appear later; when not, says so, and unless interfaces turn out to be
 * dynamic the start is refused. `at` is the word that names it.
 */
export function checkLink(node: Statement, at: number, context: Context, message: string): void {
  if (context.files.hasLink(node.words[at]!)) return;
  complain(context, node, "bad_interface", message, at, {
    hint: "create the interface first, or allow for it with dynamic_interfaces",
  });
}

/** A number's range and strictness. */
export interface NumberRules {
  readonly min: number;
  readonly max: number;
  /** A start refuses junk after the number, as a configuration test always does. */
  readonly strict?: boolean;
}

/** A number to be read: a word of a statement, or the end of it from an offset on. */
interface Numeral {
  readonly node: Statement;
  readonly at: number;
  readonly offset: number;
  readonly text: string;
  readonly context: Context;
  readonly rules: NumberRules;
}

/**
 * Reads a whole number from the word at `at` (from `offset` on), adding to the problems when it is none
 * or out of range.
 */
export function readInteger(
  node: Statement,
  at: number,
  context: Context,
  rules: NumberRules,
  offset = 0,
): number | undefined {
  const word = node.words[at]!;
  const text = offset === 0 ? word : word.slice(offset);
  const plain = plainNumber(text);
  if (plain >= rules.min && plain <= rules.max) return plain;
  const numeral = { node, at, offset, text, context, rules };
  const { min, max } = rules;
  const digits = /^([+-]?)([0-9]+)/.exec(text);
  if (digits?.[1] === "-" && min >= 0) return refuse(numeral, `negative number '${text}'`);
  const value = digits === null ? NaN : Number(digits[0]);
  const isWhole = digits !== null && digits[0].length === text.length;
  const inRange = value >= min && value <= max;
  if (!isWhole && !(inRange && warnOfJunk(numeral))) {
    return refuse(numeral, `invalid number '${text}'`);
  }
  if (inRange) return value === 0 ? 0 : value;
  const sign = max > 2_147_483_647 ? "unsigned " : "";
  const widest = min < 0 ? 2_147_483_647 : 4_294_967_295;
  const range = Math.abs(value) > widest ? `${sign}integer range` : `range [${min}, ${max}]`;
  return refuse(numeral, `number '${text}' outside ${range}`);
}

/** The value of up to nine digits; NaN for any other text. */
function plainNumber(text: string): number {
  const { length } = text;
  if (length === 0 || length > 9) return NaN;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** What an unsigned long of microseconds holds; it has more digits than our numbers. */
export const UNLIMITED_S = 18_446_744_073_709.551614;

/** Reads decimal seconds, `min` to `max`, as integer microseconds. */
export function readSeconds(
  node: Statement,
  at: number,
  context: Context,
  rules: NumberRules,
): number | undefined {
  const text = node.words[at]!;
  const plain = plainNumber(text);
  if (plain >= rules.min && plain <= rules.max) return plain * 1e6;
  const numeral = { node, at, offset: 0, text, context, rules };
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?/.exec(text)!;
  if (match[1] === "-") return refuse(numeral, `negative number '${text}'`);
  const fraction = match[3] ?? "";
  const micros = Number(match[2]) * 1e6 + Math.round(Number(`0.${fraction}0`) * 1e6);
  const isNumber = /[0-9.]/.test(match[0]);
  const isWhole = isNumber && match[0].length === text.length;
  const inRange = isNumber && micros >= rules.min * 1e6 && micros <= rules.max * 1e6;
  if (!isWhole && !(inRange && warnOfJunk(numeral))) {
    return refuse(numeral, `invalid number '${text}'`);
  }
  if (!inRange) {
    const most = rules.max === UNLIMITED_S ? "18446744073709.551614" : rules.max.toFixed(6);
    const range = `[${rules.min.toFixed(6)}, ${most}]`;
    return refuse(numeral, `number '${text}' outside range ${range}`);
  }
  if (fraction.length > 6) {
    const message = `number '${text}' has too many decimal places`;
    complain(context, node, "invalid_number", message, at);
  }
  return micros;
}

/** A start takes the number before the junk, where the keyword allows it; false when refused. */
function warnOfJunk({ node, at, offset, text, context, rules }: Numeral): boolean {
  if (context.mode === "test" || rules.strict === true) return false;
  complain(context, node, "invalid_number", `WARNING - invalid number '${text}'`, at, {
    severity: "warning",
    offset,
  });
  return true;
}

function refuse({ node, at, offset, context, rules }: Numeral, message: string): undefined {
  return refuseNumber(node, at, context, message, rules, offset);
}

/** Says why a word is no number in the given range; the answer is always undefined. */
export function refuseNumber(
  node: Statement,
  at: number,
  context: Context,
  message: string,
  { min, max }: NumberRules,
  offset = 0,
): undefined {
  const hint = `a number from ${min} to ${max}`;
  complain(context, node, "invalid_number", message, at, { hint, offset });
}
