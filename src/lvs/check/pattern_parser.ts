/**
 * A pattern in PCRE2's language → a tree. Only whether there is a match is ever asked, so that lazy, greedy and
 * possessive, groups that capture and groups that do not are all the same. What needs a memory of what was
 * matched (back references, recursion, conditions) is refused.
 */

import {
  charRange,
  type CharSet,
  charSet,
  complementOf,
  escapedSet,
  foldCase,
  POSIX_CLASSES,
  propertySet,
  unionOf,
} from "./char_set.ts";

/** A place between characters. */
export type Anchor =
  | "start"
  | "line start"
  | "end"
  | "end or last newline"
  | "line end"
  | "boundary"
  | "no boundary";

/** A piece of a pattern. */
export type PatternNode =
  | { readonly type: "set"; readonly set: CharSet }
  | { readonly type: "anchor"; readonly anchor: Anchor }
  | { readonly type: "sequence"; readonly parts: readonly PatternNode[] }
  | { readonly type: "choice"; readonly parts: readonly PatternNode[] }
  | {
    readonly type: "repeat";
    readonly part: PatternNode;
    readonly min: number;
    readonly max: number;
  }
  | {
    readonly type: "look";
    readonly part: PatternNode;
    readonly isBehind: boolean;
    readonly isNegative: boolean;
  };

/** Why a pattern cannot be used. */
export class PatternError extends Error {}

/** What letters like (?i) switch. */
interface Modes {
  readonly caseless: boolean;
  readonly multiline: boolean;
  readonly dotall: boolean;
  readonly extended: boolean;
}

/** The tree of a pattern under options by PCRE2's names. Throws {@link PatternError}. */
export function parsePattern(source: string, options: ReadonlySet<string>): PatternNode {
  return new PatternParser(source, options).parse();
}

const FLAGS: Readonly<Record<string, keyof Modes | undefined>> = {
  i: "caseless",
  m: "multiline",
  s: "dotall",
  x: "extended",
};
/** Letters without consequence for whether there is a match. */
const IDLE_FLAGS = "nUJ";
const CONTROLS: Readonly<Record<string, number>> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 };
const ANY = charSet(() => true, () => true);
const NO_NEWLINE = charSet((code) => code !== 10, () => true);
const MOST_DEPTH = 200;

class PatternParser {
  /** Code points, or bytes. */
  readonly #source: readonly string[];
  readonly #options: ReadonlySet<string>;
  #at = 0;
  #depth = 0;
  #modes: Modes;

  constructor(source: string, options: ReadonlySet<string>) {
    this.#source = [...source];
    this.#options = options;
    this.#modes = {
      caseless: options.has("caseless"),
      multiline: options.has("multiline"),
      dotall: options.has("dotall"),
      extended: options.has("extended"),
    };
  }

  parse(): PatternNode {
    const node = this.#choice();
    if (this.#at < this.#source.length) throw new PatternError("unmatched closing parenthesis");
    return node;
  }

  get #next(): string {
    return this.#source[this.#at] ?? "";
  }

  /** Whether the pattern goes on with `text`, which is then behind us. */
  #takes(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#source[this.#at + i] !== text[i]) return false;
    this.#at += text.length;
    return true;
  }

  /** The text up to `end`, which is then behind us. */
  #until(end: string, what: string): string {
    let text = "";
    while (this.#at < this.#source.length) {
      if (this.#takes(end)) return text;
      text += this.#source[this.#at++];
    }
    throw new PatternError(`${what} without its end`);
  }

  #choice(): PatternNode {
    if (++this.#depth > MOST_DEPTH) throw new PatternError("groups too deep in each other");
    const before = this.#modes;
    const parts = [this.#sequence()];
    while (this.#takes("|")) parts.push(this.#sequence());
    this.#modes = before;
    this.#depth--;
    return parts.length === 1 ? parts[0]! : { type: "choice", parts };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#source.length && this.#next !== "|" && this.#next !== ")") {
      const part = this.#atom();
      if (part !== undefined) parts.push(this.#repeated(part));
    }
    return { type: "sequence", parts };
  }

  #repeated(atom: PatternNode): PatternNode {
    let part = atom;
    for (;;) {
      this.#skipBlanks();
      const range = this.#quantifier();
      if (range === undefined) return part;
      // Lazy or possessive: whether there is a match does not depend on it.
      if (!this.#takes("?")) this.#takes("+");
      part = { type: "repeat", part, ...range };
    }
  }

  #quantifier(): { min: number; max: number } | undefined {
    if (this.#takes("*")) return { min: 0, max: Infinity };
    if (this.#takes("+")) return { min: 1, max: Infinity };
    if (this.#takes("?")) return { min: 0, max: 1 };
    const rest = this.#source.slice(this.#at, this.#at + 16).join("");
    const found = /^\{(\d{1,5})(,(\d{0,5}))?\}/.exec(rest);
    if (found === null) return undefined;
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === "" ? Infinity : Number(found[3]);
    if (max < min) throw new PatternError(`${found[0]} is out of order`);
    return { min, max };
  }

  #skipBlanks(): void {
    if (!this.#modes.extended) return;
    for (;;) {
      if (/^\s$/.test(this.#next)) this.#at++;
      else if (this.#next === "#") {
        while (this.#at < this.#source.length && this.#source[this.#at] !== "\n") this.#at++;
      } else return;
    }
  }

  /** undefined for what stands for nothing, as a comment. */
  #atom(): PatternNode | undefined {
    this.#skipBlanks();
    const char = this.#next;
    if (char === "" || char === "|" || char === ")") return undefined;
    this.#at++;
    switch (char) {
      case ".":
        return { type: "set", set: this.#modes.dotall ? ANY : NO_NEWLINE };
      case "^":
        return anchor(this.#modes.multiline ? "line start" : "start");
      case "$":
        if (this.#modes.multiline) return anchor("line end");
        return anchor(this.#options.has("dollar_endonly") ? "end" : "end or last newline");
      case "(":
        return this.#group();
      case "[":
        return this.#class();
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw new PatternError(`nothing for ${char} to repeat`);
    }
    return this.#literal(char.codePointAt(0)!);
  }

  #literal(code: number): PatternNode {
    return { type: "set", set: this.#folded(charRange(code, code)) };
  }

  #folded(set: CharSet): CharSet {
    return this.#modes.caseless ? foldCase(set, this.#options.has("utf")) : set;
  }

  #group(): PatternNode | undefined {
    if (this.#takes("*")) throw new PatternError("verbs, (*...), are not supported");
    if (!this.#takes("?")) return this.#inside();
    if (this.#takes("#")) {
      this.#until(")", "comment");
      return undefined;
    }
    for (const [opener, isBehind, isNegative] of LOOKS) {
      if (this.#takes(opener)) return { type: "look", part: this.#inside(), isBehind, isNegative };
    }
    if ([":", "|", ">"].some((opener) => this.#takes(opener))) return this.#inside();
    for (const [opener, end] of [["P<", ">"], ["<", ">"], ["'", "'"]] as const) {
      if (!this.#takes(opener)) continue;
      this.#until(end, "name of a group");
      return this.#inside();
    }
    return this.#switches();
  }

  #inside(): PatternNode {
    const node = this.#choice();
    if (!this.#takes(")")) throw new PatternError("missing closing parenthesis");
    return node;
  }

  /** `(?i)` for the rest of the group, `(?i:...)` for one of its own. */
  #switches(): PatternNode | undefined {
    const before = this.#modes;
    let value = true;
    let modes = before;
    for (;;) {
      const letter = this.#next;
      this.#at++;
      const mode = FLAGS[letter];
      if (letter === ")") {
        this.#modes = modes;
        return undefined;
      }
      if (letter === ":") {
        this.#modes = modes;
        const node = this.#inside();
        this.#modes = before;
        return node;
      }
      if (letter === "-") value = false;
      else if (mode !== undefined) modes = { ...modes, [mode]: value };
      else if (letter === "" || !IDLE_FLAGS.includes(letter)) {
        throw new PatternError(`(?${letter} is not supported`);
      }
    }
  }

  #escape(): PatternNode {
    const letter = this.#next;
    if (letter === "") throw new PatternError("a backslash at the end");
    const place = ANCHORS[letter];
    if (place !== undefined) {
      this.#at++;
      return anchor(place);
    }
    if (this.#takes("Q")) return this.#quoted();
    if (this.#takes("E") || this.#takes("K")) return { type: "sequence", parts: [] };
    if (this.#takes("R")) return NEWLINE;
    if (/^[1-9]$/.test(letter) || "gkX".includes(letter)) {
      throw new PatternError(`\\${letter} is not supported`);
    }
    return { type: "set", set: this.#folded(this.#escapedSet()) };
  }

  #quoted(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#source.length && !this.#takes("\\E")) {
      parts.push(this.#literal(this.#source[this.#at++]!.codePointAt(0)!));
    }
    return { type: "sequence", parts };
  }

  /** What stands after a backslash, in a class or outside. */
  #escapedSet(): CharSet {
    const letter = this.#source[this.#at++] ?? "";
    if (letter === "N") return NO_NEWLINE;
    if (letter === "C") return ANY;
    if (letter === "p" || letter === "P") return this.#property(letter === "P");
    const set = escapedSet(letter, this.#options.has("ucp"));
    if (set !== undefined) return set;
    const code = CONTROLS[letter] ?? this.#coded(letter);
    return charRange(code, code);
  }

  #property(isComplement: boolean): CharSet {
    const name = this.#takes("{") ? this.#until("}", "property") : this.#source[this.#at++] ?? "";
    const negative = name.startsWith("^") !== isComplement;
    try {
      const set = propertySet(`\\p{${name.replace(/^\^/, "")}}`);
      return negative ? complementOf(set) : set;
    } catch {
      throw new PatternError(`there is no property ${name}`);
    }
  }

  /** A character by its number or as itself. */
  #coded(letter: string): number {
    const number = (digits: RegExp, most: number, base: number): number => {
      let text = "";
      while (text.length < most && digits.test(this.#next)) text += this.#source[this.#at++];
      return text === "" ? 0 : Number.parseInt(text, base);
    };
    switch (letter) {
      case "x":
        if (this.#takes("{")) return inRange(Number.parseInt(this.#until("}", "\\x{"), 16));
        return number(/^[0-9a-fA-F]$/, 2, 16);
      case "o":
        if (!this.#takes("{")) throw new PatternError("\\o without {");
        return inRange(Number.parseInt(this.#until("}", "\\o{"), 8));
      case "0":
        return number(/^[0-7]$/, 2, 8);
      case "c":
        return (this.#source[this.#at++] ?? "@").toUpperCase().charCodeAt(0) ^ 64;
      case "u":
        if (this.#options.has("alt_bsux")) return number(/^[0-9a-fA-F]$/, 4, 16);
    }
    if (/^[A-Za-z]$/.test(letter)) throw new PatternError(`\\${letter} means nothing`);
    return letter.codePointAt(0)!;
  }

  #class(): PatternNode {
    const isComplement = this.#takes("^");
    const sets: CharSet[] = [];
    // The first bracket is a character, unless a class may be empty.
    let isFirst = !this.#options.has("allow_empty_class");
    while (isFirst || this.#next !== "]") {
      if (this.#at >= this.#source.length) throw new PatternError("missing ] of a class");
      isFirst = false;
      sets.push(this.#member());
    }
    this.#at++;
    const set = this.#folded(unionOf(sets));
    return { type: "set", set: isComplement ? complementOf(set) : set };
  }

  #member(): CharSet {
    if (this.#takes("[:")) {
      const name = this.#until(":]", "[: of a class");
      const set = POSIX_CLASSES[name.replace(/^\^/, "")];
      if (set === undefined) throw new PatternError(`there is no class [:${name}:]`);
      return name.startsWith("^") ? complementOf(set) : set;
    }
    const first = this.#end();
    if (typeof first !== "number") return first;
    const isRange = this.#next === "-" && (this.#source[this.#at + 1] ?? "]") !== "]";
    if (!isRange) return charRange(first, first);
    this.#at++;
    const last = this.#end();
    if (typeof last !== "number") return unionOf([charRange(first, first), DASH, last]);
    if (last < first) throw new PatternError("a range of a class is out of order");
    return charRange(first, last);
  }

  /** One end of a range: a character, or a set that cannot be one. */
  #end(): number | CharSet {
    const char = this.#source[this.#at++] ?? "";
    if (char !== "\\") return char.codePointAt(0)!;
    if (this.#takes("b")) return 8;
    const set = this.#escapedSet();
    const only = set.low.indexOf(1);
    return set.low.lastIndexOf(1) === only && only >= 0 && !set.high(0x100) ? only : set;
  }
}

const DASH = charRange(45, 45);

const LOOKS: readonly (readonly [opener: string, isBehind: boolean, isNegative: boolean])[] = [
  ["=", false, false],
  ["!", false, true],
  ["<=", true, false],
  ["<!", true, true],
];

const ANCHORS: Readonly<Record<string, Anchor | undefined>> = {
  A: "start",
  G: "start",
  Z: "end or last newline",
  z: "end",
  b: "boundary",
  B: "no boundary",
};

/** \R: any newline, a pair counting as one. */
const NEWLINE: PatternNode = {
  type: "choice",
  parts: [
    {
      type: "sequence",
      parts: [13, 10].map((code) => ({ type: "set", set: charRange(code, code) })),
    },
    { type: "set", set: escapedSet("v", false)! },
  ],
};

function anchor(place: Anchor): PatternNode {
  return { type: "anchor", anchor: place };
}

function inRange(code: number): number {
  if (code >= 0 && code <= 0x10ffff) return code;
  throw new PatternError("no such character");
}
