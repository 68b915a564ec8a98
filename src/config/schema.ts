/**
 * Keyword tables. A block is a record of rows; a row says what a keyword may be followed by, reads
 * its value and documents itself in one line. The types of the values are inferred from the
 * rows, and the rows of a block come to life when the block is first met.
 */
import type { Files } from "./files.ts";
import { type Problem, problemAt, type ProblemExtras, type ProblemKind } from "./problem.ts";
import type { Grammar, Node, Shape } from "./tree.ts";
import type { Word } from "./words.ts";

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
  readonly problems: Problem[];
  readonly files: Files;
  readonly mode: Mode;
  /** How log lines show the place: global words are the parent's, the rest is the roles'. */
  readonly prefix: Problem["prefix"];
  /** The name of the block being read, "" in global_defs. */
  readonly who: string;
  readonly protocol: Protocol;
  /** Interfaces may appear later. */
  readonly dynamicInterfaces: boolean;
  /** Names of the blocks read so far, by keyword. */
  readonly names: ReadonlyMap<string, ReadonlySet<string>>;
  /** Keywords already reported as not supported. */
  readonly unsupported: Set<string>;
}

/** One keyword. */
export interface Row<T> {
  /** Grammar and meaning in one line, for people. */
  readonly doc: string;
  readonly shape: Shape;
  /** The value when the keyword is absent. */
  readonly initial: T;
  /** Read, but without effect so far. */
  readonly later?: boolean;
  /** The value; undefined keeps the one before. Adds to the context's problems. */
  read(node: Node, context: Context, before: T): T | undefined;
}

// A table holds rows of many types; only `Values` looks at each.
// deno-lint-ignore no-explicit-any
type Rows = Readonly<Record<string, Row<any>>>;

/** A set of keywords, usable as the grammar of a tree. */
export interface Block<R extends Rows> extends Grammar {
  /** The rows, made on the first call. */
  rows(): R;
}

/** The values a block gives, by keyword. */
export type Values<B> = B extends Block<infer R>
  ? { -readonly [K in keyof R]: R[K] extends Row<infer T> ? T : never }
  : never;

/** What a block is besides its rows. */
export interface BlockOptions {
  /** It needs exactly one name, used once. */
  readonly named?: Grammar["named"];
  /** Keywords known but without effect so far, separated by blanks: lines. */
  readonly lines?: string;
  /** And blocks. */
  readonly blocks?: string;
}

/** A block of these rows. */
export function block<R extends Rows>(make: () => R, options: BlockOptions = {}): Block<R> {
  let made: R | undefined;
  let unbuilt: Map<string, Shape> | undefined;
  const rows = (): R => made ??= make();
  const shapes = (): Map<string, Shape> => {
    if (unbuilt === undefined) {
      unbuilt = new Map();
      for (const name of options.lines?.split(/\s+/) ?? []) unbuilt.set(name, "line");
      for (const name of options.blocks?.split(/\s+/) ?? []) unbuilt.set(name, "skip");
    }
    return unbuilt;
  };
  return {
    rows,
    shapeOf: (keyword) => {
      const all = rows();
      return Object.hasOwn(all, keyword) ? all[keyword]!.shape : shapes().get(keyword);
    },
    ...(options.named === undefined ? {} : { named: options.named }),
  };
}

/** Reads the inside of a block: every row's value, defaults included. */
export function readBlock<R extends Rows>(
  { rows }: Block<R>,
  nodes: readonly Node[],
  context: Context,
): Values<Block<R>> {
  const all = rows();
  const values: Record<string, unknown> = {};
  for (const keyword in all) values[keyword] = all[keyword]!.initial;
  for (const node of nodes) {
    const keyword = node.words[0]!.text;
    const row = Object.hasOwn(all, keyword) ? all[keyword] : undefined;
    if (row === undefined || row.later === true) warnUnsupported(node, context);
    if (row === undefined) continue;
    const value: unknown = row.read(node, context, values[keyword]);
    if (value !== undefined) values[keyword] = value;
  }
  return values as Values<Block<R>>;
}

/** A block of keywords inside another, read by its own rows. */
export function section<R extends Rows>(
  doc: string,
  inside: Block<R>,
): Row<Values<Block<R>> | undefined> {
  return {
    doc,
    shape: inside,
    initial: undefined,
    read: (node, context) => readBlock(inside, node.body ?? [], context),
  };
}

/** Says once per keyword that it has no effect yet. */
export function warnUnsupported(node: Node, context: Context): void {
  const keyword = node.words[0]!.text;
  if (context.unsupported.has(keyword)) return;
  context.unsupported.add(keyword);
  const message = `${keyword} is not supported yet, ignored`;
  complain(context, node, "not_supported", message, node.words[0]);
}

/** Adds a problem at a node, or at one of its words. */
export function complain(
  context: Context,
  node: Node,
  kind: ProblemKind,
  message: string,
  word?: Word,
  extras: ProblemExtras = {},
): void {
  const { prefix } = context;
  const spot = word === undefined ? node : { ...node, column: word.column };
  const offending = word === undefined ? {} : { word: word.text };
  context.problems.push(problemAt(spot, kind, message, { prefix, ...offending, ...extras }));
}

/** The second word; when it is missing the mistake is a fatal one and the answer undefined. */
export function firstWord(node: Node, context: Context): Word | undefined {
  const word = node.words[1];
  if (word === undefined) {
    const keyword = node.words[0]!.text;
    const message = `*** Configuration line starting \`${keyword}\` is missing a parameter ` +
      `after keyword \`${keyword}\` at word position 2`;
    complain(context, node, "missing_parameter", message, node.words[0], {
      severity: "fatal",
      exit: { start: 2, test: 2 },
    });
  }
  return word;
}

/** Whether a link exists or may appear later; when not, says so and the start is refused. */
export function checkLink(node: Node, word: Word, context: Context, message: string): void {
  if (context.dynamicInterfaces || context.files.hasLink(word.text)) return;
  complain(context, node, "bad_interface", message, word, {
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

/** Reads a whole number from a word, adding to the problems when it is none or out of range. */
export function readInteger(
  node: Node,
  word: Word,
  context: Context,
  rules: NumberRules,
): number | undefined {
  const { min, max } = rules;
  const digits = /^([+-]?)([0-9]+)/.exec(word.text);
  if (digits?.[1] === "-" && min >= 0) {
    return refuseNumber(node, word, context, `negative number '${word.text}'`, rules);
  }
  const value = digits === null ? NaN : Number(digits[0]);
  const isWhole = digits !== null && digits[0].length === word.text.length;
  const inRange = value >= min && value <= max;
  if (!isWhole && !(inRange && warnOfJunk(node, word, context, rules))) {
    return refuseNumber(node, word, context, `invalid number '${word.text}'`, rules);
  }
  if (inRange) return value === 0 ? 0 : value;
  const sign = max > 2_147_483_647 ? "unsigned " : "";
  const range = Math.abs(value) > 4_294_967_295 ? `${sign}integer range` : `range [${min}, ${max}]`;
  return refuseNumber(node, word, context, `number '${word.text}' outside ${range}`, rules);
}

/** Reads decimal seconds, `min` to `max`, as integer microseconds. */
export function readSeconds(
  node: Node,
  word: Word,
  context: Context,
  rules: NumberRules,
): number | undefined {
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?/.exec(word.text)!;
  if (match[1] === "-") {
    return refuseNumber(node, word, context, `negative number '${word.text}'`, rules);
  }
  const fraction = match[3] ?? "";
  const micros = Number(match[2]) * 1e6 + Math.round(Number(`0.${fraction}0`) * 1e6);
  const isNumber = /[0-9.]/.test(match[0]);
  const isWhole = isNumber && match[0].length === word.text.length;
  const inRange = isNumber && micros >= rules.min * 1e6 && micros <= rules.max * 1e6;
  if (!isWhole && !(inRange && warnOfJunk(node, word, context, rules))) {
    return refuseNumber(node, word, context, `invalid number '${word.text}'`, rules);
  }
  if (!inRange) {
    const range = `[${rules.min.toFixed(6)}, ${rules.max.toFixed(6)}]`;
    return refuseNumber(node, word, context, `number '${word.text}' outside range ${range}`, rules);
  }
  if (fraction.length > 6) {
    const message = `number '${word.text}' has too many decimal places`;
    complain(context, node, "invalid_number", message, word);
  }
  return micros;
}

/** A start takes the number before the junk, where the keyword allows it; false when refused. */
function warnOfJunk(node: Node, word: Word, context: Context, rules: NumberRules): boolean {
  if (context.mode === "test" || rules.strict === true) return false;
  complain(context, node, "invalid_number", `WARNING - invalid number '${word.text}'`, word, {
    severity: "warning",
  });
  return true;
}

function refuseNumber(
  node: Node,
  word: Word,
  context: Context,
  message: string,
  { min, max }: NumberRules,
): undefined {
  const hint = `a number from ${min} to ${max}`;
  complain(context, node, "invalid_number", message, word, { hint });
}
