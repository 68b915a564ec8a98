/**
 * The readers that keyword tables are made of. Each gives a row: a value with its default, and the
 * messages of its mistakes in keepalived's own words.
 */
import {
  complain,
  type Context,
  firstWord,
  type NumberRules,
  readInteger,
  readSeconds,
  type Row,
} from "./schema.ts";
import type { Node } from "./tree.ts";
import type { Script } from "./vrrp.ts";
import { shellWords, type Word } from "./words.ts";

/** A message about a refused word: `who` is the block's name. */
type Says = (word: string, who: string) => string;

/** The rules of a whole number. */
export interface IntegerRules extends NumberRules {
  /** The second message when the number is refused. */
  readonly says?: Says;
  /** The value of a refused number; without it the former value stays. */
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
): Row<number | D> {
  return {
    doc,
    shape: "line",
    initial,
    read: (node, context) => {
      const word = firstWord(node, context);
      if (word === undefined) return undefined;
      const value = readInteger(node, word, context, rules);
      if (value === undefined) {
        if (rules.says !== undefined) {
          complain(context, node, "general", rules.says(word.text, context.who), word);
        }
        return rules.otherwise;
      }
      if (value === 0 && rules.raised !== undefined) {
        complain(context, node, "general", rules.raised(word.text, context.who), word);
        return 1;
      }
      return value * (rules.times ?? 1);
    },
  };
}

/** Whole seconds, at most 4294, as microseconds. */
export function wholeSeconds<D extends number | undefined>(
  doc: string,
  initial: D,
  says: Says,
): Row<number | D> {
  return integer(doc, initial, { min: 0, max: 4294, times: 1_000_000, says });
}

/** Seconds with up to six decimals, as microseconds. */
export function seconds<D extends number | undefined>(
  doc: string,
  initial: D,
  rules: NumberRules & { readonly says: Says },
): Row<number | D> {
  return {
    doc,
    shape: "line",
    initial,
    read: (node, context) => {
      const word = firstWord(node, context);
      if (word === undefined) return undefined;
      const value = readSeconds(node, word, context, rules);
      if (value === undefined) {
        complain(context, node, "general", rules.says(word.text, context.who), word);
      }
      return value;
    },
  };
}

/** One word, checked by `accept`, which gives the value or complains. */
export function word<T, D extends T | undefined>(
  doc: string,
  initial: D,
  accept: (word: Word, node: Node, context: Context, before: T | D) => T | undefined,
): Row<T | D> {
  return {
    doc,
    shape: "line",
    initial,
    read: (node, context, before) => {
      const first = firstWord(node, context);
      return first === undefined ? undefined : accept(first, node, context, before);
    },
  };
}

/** The rest of the line as words; none at all is survived with a message. */
export function words<T>(
  doc: string,
  missing: string,
  accept: (words: readonly Word[]) => T,
): Row<T | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      if (node.words.length > 1) return accept(node.words.slice(1));
      complain(context, node, "general", missing, node.words[0]);
      return undefined;
    },
  };
}

/** One of several words; another one says so and gives `otherwise`. */
export function oneOf<const T extends string>(
  doc: string,
  choices: readonly T[],
  says: Says,
  otherwise?: T,
): Row<T | undefined> {
  return word<T, undefined>(doc, undefined, (first, node, context) => {
    const choice = choices.find((one) => one === first.text);
    if (choice !== undefined) return choice;
    const hint = `one of ${choices.join(", ")}`;
    complain(context, node, "general", says(first.text, context.who), first, { hint });
    return otherwise;
  });
}

/** A keyword without a value: present or not. Words after it mean nothing. */
export function flag(doc: string): Row<boolean> {
  return { doc, shape: "line", initial: false, read: () => true };
}

/** The same row, but without effect so far. */
export function later<T>(row: Row<T>): Row<T> {
  return { ...row, later: true };
}

/** yes, true, on or nothing; no, false, off. */
export function bool(doc: string, says: Says): Row<boolean | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const value = node.words[1];
      if (value === undefined || ["true", "on", "yes"].includes(value.text)) return true;
      if (["false", "off", "no"].includes(value.text)) return false;
      const hint = "one of true, on, yes, false, off, no";
      complain(context, node, "general", says(value.text, context.who), value, { hint });
      return undefined;
    },
  };
}

/** A block with one entry per line; each gives a value or complains. */
export function list<T>(
  doc: string,
  entry: (node: Node, context: Context, before: readonly T[]) => T | undefined,
): Row<readonly T[]> {
  return {
    doc,
    shape: "values",
    initial: [],
    read: (node, context, before) => {
      const all = [...before];
      for (const line of node.body ?? []) {
        const value = entry(line, context, all);
        if (value !== undefined) all.push(value);
      }
      return all;
    },
  };
}

/** A block of names, several on a line if need be. */
export function nameList(doc: string): Row<readonly string[]> {
  return {
    doc,
    shape: "values",
    initial: [],
    read: (node, _context, before) => [
      ...before,
      ...(node.body ?? []).flatMap((line) => line.words.map((one) => one.text)),
    ],
  };
}

/**
 * SCRIPT [USER [GROUP]], where the script is one word by shell-like rules (several in it are its
 * arguments). The first one of a keyword wins.
 */
export function script(doc: string): Row<Script | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      const outer = shellWords(node.raw, 2);
      const argv = shellWords(outer.words[1] ?? "");
      const bad = outer.open !== "" ? { text: node.raw.trim(), open: outer.open } : {
        text: outer.words[1] ?? "",
        open: argv.open,
      };
      if (bad.open !== "") {
        const message = `String '${bad.text}': missing terminating ${bad.open}`;
        complain(context, node, "unmatched_quote", message, node.words[1]);
        return undefined;
      }
      const first = firstWord(node, context);
      if (first === undefined || argv.words.length === 0) return undefined;
      if (before !== undefined) {
        const message = `(${context.who}) ${node.words[0]!.text} script already specified - ` +
          `ignoring ${argv.words[0]}`;
        complain(context, node, "general", message, first);
        return undefined;
      }
      const [user, group] = shellWords(node.raw.slice(outer.end)).words;
      return {
        argv: argv.words,
        ...(user === undefined ? {} : { user }),
        ...(group === undefined ? {} : { group }),
      };
    },
  };
}
