/**
 * Variables and repetition: `$NAME=text` definitions, `$NAME` and `${NAME}` uses, the predefined
 * names, and the headers of `~SEQ(...)` and `~LST(...)`. Expansion is textual, at use time, and
 * repeated on its own result, so every loop here is bounded.
 */

import { maySpill } from "./secrets.ts";

/** What a name stands for: one text, or several lines. */
export type Definition = string | readonly string[];

/** The names known at some line. */
export interface Scope {
  readonly definitions: Map<string, Definition>;
  /** A predefined name with its arguments, or undefined when there is none of that name. */
  predefined(name: string, args: readonly string[]): string | undefined;
}

/** A line after expansion. */
export interface Expanded {
  readonly text: string;
  /** Up to this offset the text is as written. */
  readonly exact: number;
  /** Lines that a multi-line name at the end adds after this one. */
  readonly more: readonly string[];
  /** Characters moved on the way. */
  readonly cost: number;
  /** What names were replaced by, those of one line each. */
  readonly values: readonly string[];
  /** The expansion never ends, or ends in a text that is far too long. */
  readonly endless: boolean;
}

const MOST_SUBSTITUTIONS = 1000;
const LONGEST_TEXT = 65_536;

/** Replaces every known name in a text; unknown ones stay as they are. */
export function expand(text: string, scope: Scope): Expanded {
  let result = text;
  let exact = Infinity;
  let more: readonly string[] = [];
  let count = 0;
  let cost = 0;
  const values: string[] = [];
  let at = result.indexOf("$");
  while (at >= 0) {
    const use = readUse(result, at);
    const value = use === undefined ? undefined : lookUp(use, scope);
    const atEnd = use !== undefined && use.end === result.length;
    // A multi-line name is expanded only where it ends the line.
    if (use === undefined || value === undefined || (typeof value !== "string" && !atEnd)) {
      at = result.indexOf("$", at + 1);
      continue;
    }
    exact = Math.min(exact, at);
    if (++count > MOST_SUBSTITUTIONS || result.length > LONGEST_TEXT) {
      return { text, exact, more: [], cost, values, endless: true };
    }
    cost += result.length;
    if (typeof value === "string") {
      values.push(value);
      result = result.slice(0, at) + value + result.slice(use.end);
    } else {
      result = result.slice(0, at) + (value[0] ?? "");
      more = [...value.slice(1), ...more];
    }
    at = result.indexOf("$", at);
  }
  return { text: result, exact, more, cost, values, endless: false };
}

interface Use {
  readonly name: string;
  readonly args: readonly string[];
  readonly end: number;
}

const USE =
  /\$(?:\{([A-Za-z_][A-Za-z0-9_]*)((?:[ \t]+[^{}"$]*)?)\}|([A-Za-z_][A-Za-z0-9_]*)(?=[\s,)]|$))/y;

function readUse(text: string, at: number): Use | undefined {
  USE.lastIndex = at;
  const match = USE.exec(text);
  if (match === null) return undefined;
  const args = (match[2] ?? "").trim();
  return {
    name: match[1] ?? match[3]!,
    args: args === "" ? [] : args.split(/\s+/),
    end: at + match[0].length,
  };
}

function lookUp({ name, args }: Use, scope: Scope): Definition | undefined {
  if (args.length > 0) return scope.predefined(name, args);
  return scope.definitions.get(name) ?? scope.predefined(name, args);
}

/** A `$NAME=text` line: the name and its text as written; undefined when the line is none. */
export function readDefinition(text: string): { name: string; value: string } | undefined {
  const match = /^\s*\$([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(text);
  return match === null ? undefined : { name: match[1]!, value: match[2]!.trim() };
}

/** A repetition: each round sets names to values and reads the rest of the line. */
export interface Repetition {
  readonly rounds: Iterable<readonly (readonly [string, string])[]>;
  readonly rest: string;
  /** Offset of the rest. */
  readonly start: number;
}

/**
 * The repetition a line starts with; undefined when it starts with none, messages when it is wrong.
 * Names in the parentheses are expanded first.
 */
export function readRepetition(
  text: string,
  scope: Scope,
): Repetition | { readonly errors: readonly string[] } | undefined {
  const match = /^\s*~(SEQx|SEQ|LST)\(([^)]*)\)/.exec(text);
  if (match === null) return undefined;
  const kind = match[1]!;
  const inside = expand(match[2]!, scope).text;
  const rounds = kind === "LST" ? listRounds(inside) : sequenceRounds(inside, kind === "SEQx");
  if (typeof rounds === "string") {
    const short = kind === "LST" ? "LST" : "SEQ";
    const shown = maySpill(text) ? `${match[0].trim()} ...` : text.trim();
    const why = rounds === "" ? [] : [`${rounds} '${shown}'`];
    return { errors: [...why, `Invalid ~${short} specification '${shown}'`] };
  }
  return { rounds, rest: text.slice(match[0].length), start: match[0].length };
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The rounds of `VAR, [START, [STEP,]] END`, or what is wrong with it. */
function sequenceRounds(
  inside: string,
  hexadecimal: boolean,
): Iterable<readonly (readonly [string, string])[]> | string {
  const [name, ...texts] = inside.split(",").map((part) => part.trim());
  const numbers = texts.map(cNumber);
  if (!NAME.test(name ?? "") || numbers.length < 1 || numbers.length > 3) return "";
  if (!numbers.every((number) => Number.isSafeInteger(number))) return "";
  const end = numbers[numbers.length - 1]!;
  const start = numbers.length > 1 ? numbers[0]! : end < 0 ? -1 : 1;
  const step = numbers.length === 3 ? numbers[1]! : end < start ? -1 : 1;
  if (step === 0 || (end - start) * step < 0) return "Invalid ~SEQ values";
  return countRounds(name!, start, step, end, hexadecimal ? 16 : 10);
}

function* countRounds(
  name: string,
  start: number,
  step: number,
  end: number,
  base: number,
): Iterable<readonly (readonly [string, string])[]> {
  for (let value = start; step > 0 ? value <= end : value >= end; value += step) {
    yield [[name, value.toString(base)]];
  }
}

/** A number in C notation, or NaN. */
function cNumber(text: string): number {
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)$/.exec(text);
  if (match === null) return NaN;
  const digits = match[2]!;
  const octal = digits.length > 1 && /^0[0-7]+$/.test(digits);
  const value = octal ? parseInt(digits, 8) : /^0[0-9]/.test(digits) ? NaN : Number(digits);
  return match[1] === "-" ? -value : value;
}

/** The rounds of `VAR, a, b` or `{A,B}, {1,2}, {3,4}`, or what is wrong with it. */
function listRounds(inside: string): Iterable<readonly (readonly [string, string])[]> | string {
  const groups: string[][] = [];
  for (const part of inside.matchAll(/\s*(?:\{([^{}]*)\}|([^,{}]*))\s*(?:,|$)/g)) {
    if (part[0] === "" && groups.length > 0) break;
    const grouped = part[1];
    groups.push(
      grouped === undefined ? [part[2]!.trim()] : grouped.split(",").map((v) => v.trim()),
    );
  }
  const [names, ...values] = groups;
  if (names === undefined || values.length === 0 || !names.every((n) => NAME.test(n))) return "";
  if (values.some((group) => group.length > names.length)) {
    return "~LST specification has too many values";
  }
  return values.map((group) => names.map((name, i) => [name, group[i] ?? ""] as const));
}
