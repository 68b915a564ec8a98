/**
 * The readers that keyword tables are made of. Each gives a row: a value with its default, the messages
 * of its mistakes in keepalived's own words, and the way back from the value to the text.
 */
import type { Place } from "./problem.ts";
import {
  type Block,
  type BlockRow,
  complain,
  type Context,
  firstWord,
  type LineRow,
  type ListRow,
  type NumberRules,
  type Protocol,
  readInteger,
  readSeconds,
  type Rows,
  type Values,
  type Written,
} from "./schema.ts";
import type { Statement } from "./statement.ts";
import type { Script } from "./vrrp.ts";
import { quote, quoteShell, shellWords } from "./words.ts";

/** A message about a refused word: `who` is the block's name. */
export type Says = (word: string, who: string) => string;

/** The rules of a whole number. */
export interface IntegerRules extends NumberRules {
  /** The second message when the number is refused. */
  readonly says?: Says;
  /** The message when there is no number; without it that is a fatal mistake. */
  readonly missing?: string;
  /** The value of a refused number, as it is kept; without it the former value stays. */
  readonly otherwise?: number;
  /** The message when 0 is raised to 1. */
  readonly raised?: Says;
  /** Turns what is written into our unit. */
  readonly times?: number;
}

/** A whole number. */
export function integer<D extends number | undefined>(
  doc: string,
  initial: D,
  rules: IntegerRules,
): LineRow<number | D> {
  const { times = 1, says, raised, otherwise, missing } = rules;
  return {
    doc,
    shape: "line",
    initial,
    read: (node, context) => {
      const word = firstWord(node, context, missing);
      if (word === undefined) return undefined;
      const value = readInteger(node, 1, context, rules);
      if (value === undefined) {
        if (says !== undefined) complain(context, node, "general", says(word, context.who), 1);
        return otherwise;
      }
      if (value === 0 && raised !== undefined) {
        complain(context, node, "general", raised(word, context.who), 1);
        return times;
      }
      return value * times;
    },
    format: (value) => value === undefined ? [] : [`${value / times}`],
  };
}

/** Whole seconds, at most 4294, as microseconds. */
export function wholeSeconds<D extends number | undefined>(
  doc: string,
  initial: D,
  says: Says,
): LineRow<number | D> {
  return integer(doc, initial, { min: 0, max: 4294, times: 1_000_000, says });
}

/** Seconds with up to six decimals, as microseconds. */
export function seconds<D extends number | undefined>(
  doc: string,
  initial: D,
  rules: NumberRules & { readonly says: Says; readonly missing?: string },
): LineRow<number | D> {
  return {
    doc,
    shape: "line",
    initial,
    read: (node, context) => {
      const word = firstWord(node, context, rules.missing);
      if (word === undefined) return undefined;
      const value = readSeconds(node, 1, context, rules);
      if (value === undefined) {
        complain(context, node, "general", rules.says(word, context.who), 1);
      }
      return value;
    },
    format: (value) => value === undefined ? [] : [formatSeconds(value)],
  };
}

/** Microseconds as decimal seconds, no digit more than needed. */
export function formatSeconds(us: number): string {
  return (us / 1e6).toFixed(6).replace(/\.?0+$/, "");
}

/**
 * One word, checked by `accept`, which gives the value or complains (about word 1). `format` is the way
 * back where the value is not the word itself.
 */
export function word<T, D extends T | undefined>(
  doc: string,
  initial: D,
  accept: (word: string, node: Statement, context: Context, before: T | D) => T | undefined,
  format: (value: T) => string = (value) => quote(String(value)),
): LineRow<T | D> {
  return {
    doc,
    shape: "line",
    initial,
    read: (node, context, before) => {
      const first = firstWord(node, context);
      return first === undefined ? undefined : accept(first, node, context, before);
    },
    format: (value) => value === undefined ? [] : [format(value as T)],
  };
}

/** The rest of the line as words; none at all is survived with a message. */
export function words<T>(
  doc: string,
  missing: string,
  accept: (words: readonly string[]) => T,
  format: (value: T) => string,
): LineRow<T | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (node.words.length > 1) return accept(node.words.slice(1));
      complain(context, node, "general", missing, 0);
      return undefined;
    },
    format: (value) => value === undefined ? [] : [format(value)],
  };
}

/** Any text; none at all is survived with a message. */
export function text(doc: string, missing: string): LineRow<string | undefined> {
  return words(doc, missing, ([first]) => first!, quote);
}

/** One of several words; another one says so and gives `otherwise`. */
export function oneOf<const T extends string>(
  doc: string,
  choices: readonly T[],
  says: Says,
  otherwise?: T,
): LineRow<T | undefined> {
  return word<T, undefined>(doc, undefined, (first, node, context) => {
    const choice = choices.find((one) => one === first);
    if (choice !== undefined) return choice;
    const hint = `one of ${choices.join(", ")}`;
    complain(context, node, "general", says(first, context.who), 1, { hint });
    return otherwise;
  });
}

/** A keyword without a value: present or not. Words after it mean nothing. */
export function flag(doc: string): LineRow<boolean> {
  return {
    doc,
    shape: "line",
    initial: false,
    read: () => true,
    format: (value) => value ? [""] : [],
  };
}

/** A keyword that is read for what it does to the context, or for the complaint it deserves. */
export function act(
  doc: string,
  run: (node: Statement, context: Context) => void,
): LineRow<undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      run(node, context);
      return undefined;
    },
  };
}

/** The same row, but without effect so far. */
export function later<R extends object>(row: R): R {
  return { ...row, later: true };
}

/**
 * Another spelling of a keyword, whose value is written under that keyword: `row` says how this one is
 * read. With `deprecated` it complains.
 */
export function alias<T, const K extends string>(
  aliasOf: K,
  { format: _, ...row }: LineRow<T>,
  deprecated?: Says,
): LineRow<T> & { readonly aliasOf: K } {
  if (deprecated === undefined) return { ...row, aliasOf };
  return {
    ...row,
    aliasOf,
    deprecated: true,
    read: (node, context, before) => {
      complain(context, node, "deprecated", deprecated(node.words[1] ?? "", context.who), 0);
      return row.read(node, context, before);
    },
  };
}

const TRUE = ["true", "on", "yes"];
const FALSE = ["false", "off", "no"];

/** yes, true, on or nothing; no, false, off. */
export function bool<D extends boolean | undefined = undefined>(
  doc: string,
  says: Says,
  initial?: D,
): LineRow<boolean | D> {
  return {
    doc,
    shape: "line",
    initial: initial as D,
    read: (node, context) => {
      const value = node.words[1];
      if (value === undefined || TRUE.includes(value)) return true;
      if (FALSE.includes(value)) return false;
      const hint = `one of ${[...TRUE, ...FALSE].join(", ")}`;
      complain(context, node, "general", says(value, context.who), 1, { hint });
      return undefined;
    },
    format: (value) => value === undefined ? [] : [value ? "true" : "false"],
  };
}

/**
 * A block with one entry per line; `entry` gives a value or complains. It sees the entries so far, which
 * may be many: looking through all of them makes a long list slow.
 */
export function list<E>(
  doc: string,
  entry: (node: Statement, context: Context, before: readonly E[]) => E | undefined,
  format: (entry: E) => string,
): ListRow<E> {
  return {
    doc,
    shape: "values",
    initial: [],
    entry: (node, context, all) => {
      const value = entry(node, context, all);
      if (value !== undefined) all.push(value);
    },
    format,
  };
}

/** A block of names, several on a line if need be. */
export function nameList(doc: string): ListRow<string> {
  return {
    doc,
    shape: "values",
    initial: [],
    entry: (node, _context, all) => {
      all.push(...node.words);
    },
    format: quote,
  };
}

/** A block of keywords inside another, read by its own rows; a second one replaces the first. */
export function section<R extends Rows>(
  doc: string,
  inside: Block<R>,
): BlockRow<Values<Block<R>> | undefined> {
  return {
    doc,
    shape: "block",
    initial: undefined,
    inside,
    headWords: 1,
    open: (_node, context) => context,
    close: (values) => values as Values<Block<R>>,
    format: (value) => value === undefined ? [] : [{ words: "", values: value as Written }],
  };
}

/** A block with a name, as written. */
export interface Said<V> {
  readonly name: string;
  /** Where it starts. */
  readonly place: Place;
  readonly protocol: Protocol;
  readonly values: V;
}

/** How a named block treats its name and what it says. */
export interface Naming<V> {
  /** The complaint about a block without exactly one name; without it only a missing name is refused, fatally. */
  readonly missing?: string;
  /** The complaint about a name used before; without it the first block of a name counts. */
  readonly duplicate?: (name: string) => string;
  /** What is wrong with the block as a whole: it is left out. */
  readonly flaw?: (
    values: V,
    name: string,
    node: Statement,
    context: Context,
  ) => string | undefined;
}

/**
 * A block that may come several times, each time with a name. The names are kept for those who refer to
 * them under `keyword`.
 */
export function named<R extends Rows>(
  doc: string,
  keyword: string,
  inside: Block<R>,
  says: Naming<Values<Block<R>>>,
): BlockRow<readonly Said<Values<Block<R>>>[]> {
  return {
    doc,
    shape: "block",
    initial: [],
    inside,
    open: (node, context) => openNamed(node, context, keyword, says),
    close: (values, node, inner, before) => {
      const { who: name, protocol } = inner;
      const read = values as Values<Block<R>>;
      const flaw = says.flaw?.(read, name, node, inner);
      if (flaw !== undefined) complain(inner, node, "general", flaw, 0);
      const isKnown = inner.names.get(keyword)?.has(name) === true;
      if (flaw !== undefined || isKnown) return undefined;
      remember(inner, keyword, name);
      return append(before, { name, place: placeOf(node), protocol, values: read });
    },
    format: (all) =>
      all.map(({ name, values }) => ({ words: quote(name), values: values as Written })),
  };
}

function openNamed(
  node: Statement,
  context: Context,
  keyword: string,
  says: Pick<Naming<never>, "missing" | "duplicate">,
): Context | undefined {
  const inner = insideOf(context, node.words[1] ?? "");
  if (says.missing !== undefined && node.words.length !== 2) {
    complain(inner, node, "general", says.missing);
    return undefined;
  }
  const name = firstWord(node, inner);
  if (name === undefined) return undefined;
  if (says.duplicate !== undefined && context.names.get(keyword)?.has(name) === true) {
    complain(inner, node, "general", says.duplicate(name));
    return undefined;
  }
  return inner;
}

/** The context of a block called `who`: messages from it name their file, as a role's do. */
export function insideOf(context: Context, who: string): Context {
  return { ...context, prefix: "file", who, protocol: { family: 0, version: 0 } };
}

/** Keeps a name for those who refer to it. */
export function remember({ names }: Context, keyword: string, name: string): void {
  const known = names.get(keyword);
  if (known === undefined) names.set(keyword, new Set([name]));
  else known.add(name);
}

/**
 * Adds to the value of a block that may come several times: what `close` returns. The list belongs to the
 * level that is being read; its first entry makes it, others join.
 */
export function append<T>(before: readonly T[], value: T): readonly T[] | undefined {
  if (before.length === 0) return [value];
  (before as T[]).push(value);
  return undefined;
}

/** Looking through fewer entries is cheaper than keeping a set. */
const FEW = 16;

/** The keys of long lists, as far as they were read. */
const KEYS = new WeakMap<readonly unknown[], { readonly keys: Set<string>; count: number }>();

/**
 * Whether a list that only grows has an entry with a key already. However long the list is, the question
 * costs the same.
 */
export function hasKey<E>(list: readonly E[], keyOf: (entry: E) => string, key: string): boolean {
  if (list.length <= FEW) return list.some((entry) => keyOf(entry) === key);
  let known = KEYS.get(list);
  if (known === undefined) KEYS.set(list, known = { keys: new Set(), count: 0 });
  for (; known.count < list.length; known.count++) known.keys.add(keyOf(list[known.count]!));
  return known.keys.has(key);
}

/** Where a statement stands. */
export function placeOf({ file, line }: Statement): Place {
  return { file: file.name, line };
}

/**
 * SCRIPT [USER [GROUP]], where the script is one word by shell-like rules (several in it are its
 * arguments). The first one of a keyword wins.
 */
export function script(doc: string): LineRow<Script | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      const found = readScript(node, context);
      if (found === undefined || before === undefined) return found;
      const message = `(${context.who}) ${node.words[0]!} script already specified - ` +
        `ignoring ${found.argv[0]}`;
      complain(context, node, "general", message, 1);
      return undefined;
    },
    format: (value) => value === undefined ? [] : [formatScript(value)],
  };
}

/** Reads what follows a script keyword; undefined, with a message, when it is none. */
export function readScript(node: Statement, context: Context): Script | undefined {
  const { raw } = node;
  const outer = shellWords(raw, 2);
  const argv = shellWords(outer.words[1] ?? "");
  const bad = outer.open !== ""
    ? { text: raw.trim(), open: outer.open }
    : { text: outer.words[1] ?? "", open: argv.open };
  if (bad.open !== "") {
    const message = `String '${bad.text}': missing terminating ${bad.open}`;
    complain(context, node, "unmatched_quote", message, 1);
    return undefined;
  }
  if (firstWord(node, context) === undefined || argv.words.length === 0) return undefined;
  context.lvs.hasScripts = true;
  const [user, group] = shellWords(raw.slice(outer.end)).words;
  return {
    argv: argv.words,
    ...(user === undefined ? {} : { user }),
    ...(group === undefined ? {} : { group }),
  };
}

/** A script as it is written after its keyword. */
export function formatScript({ argv, user, group }: Script): string {
  const names = [user, group].filter((name) => name !== undefined).map(quoteShell);
  return [quoteShell(argv.map(quoteShell).join(" ")), ...names].join(" ");
}
