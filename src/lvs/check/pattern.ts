/**
 * Searching a text for a pattern, in time that grows with the text alone: the servers that are checked write
 * the text, and with a matcher that goes back and tries again some texts take minutes. Here all ways to match
 * are followed at once, character by character (Thompson, 1968), and steps are counted.
 */

import { type CharSet, hasChar } from "./char_set.ts";
import { type Anchor, parsePattern, PatternError, type PatternNode } from "./pattern_parser.ts";

/** A text: bytes, or the code points of characters. */
export type PatternText = Uint8Array | Uint32Array;

/** What a search came to. */
export type Found = "match" | "no match" | "too much work";

/** One instruction: where a way to match stands. */
type Instruction =
  | { readonly op: "set"; readonly set: CharSet }
  | { readonly op: "split"; to: number; or: number }
  | { readonly op: "jump"; to: number }
  | { readonly op: "anchor"; readonly anchor: Anchor }
  | {
    readonly op: "look";
    readonly program: Program;
    readonly isBehind: boolean;
    readonly isNegative: boolean;
  }
  | { readonly op: "match" };

interface Program {
  readonly code: readonly Instruction[];
  /** Ways that stand before a character, now and after it; kept to allocate nothing. */
  readonly now: Ways;
  readonly next: Ways;
}

/** A pattern that is ready to be searched for. */
export interface Pattern {
  readonly program: Program;
  /** A match begins before the first newline ends. */
  readonly isFirstLine: boolean;
  /** The text is to be given in characters, not bytes. */
  readonly isUtf: boolean;
}

const MOST_INSTRUCTIONS = 5000;
/** How far back a look behind goes. */
const MOST_BEHIND = 255;
/** Of the order of 50 ms. */
const MOST_STEPS = 3_000_000;

/** The instructions that have been reached, each once. */
class Ways {
  readonly list: Uint32Array;
  readonly #marks: Uint32Array;
  #mark = 0;
  count = 0;

  constructor(size: number) {
    this.list = new Uint32Array(size);
    this.#marks = new Uint32Array(size);
  }

  clear(): void {
    this.count = 0;
    this.#mark++;
  }

  /** Whether the instruction is reached for the first time. */
  reach(at: number): boolean {
    if (this.#marks[at] === this.#mark) return false;
    this.#marks[at] = this.#mark;
    return true;
  }
}

/** A pattern in PCRE2's language under PCRE2's options, or why it cannot be used. */
export function compilePattern(source: string, options: readonly string[]): Pattern | string {
  const set = new Set(options);
  const isUtf = set.has("utf");
  try {
    const text = isUtf ? source : bytesAsText(source);
    const program = programOf(parsePattern(text, set));
    return { program, isFirstLine: set.has("firstline"), isUtf };
  } catch (error) {
    if (error instanceof PatternError) return error.message;
    throw error;
  }
}

/** Without utf a pattern is the bytes of its UTF-8. */
function bytesAsText(source: string): string {
  return String.fromCharCode(...new TextEncoder().encode(source));
}

function programOf(node: PatternNode): Program {
  const code: Instruction[] = [];
  emit(node, code);
  add(code, { op: "match" });
  return { code, now: new Ways(code.length), next: new Ways(code.length) };
}

function add<I extends Instruction>(code: Instruction[], instruction: I): I {
  if (code.length >= MOST_INSTRUCTIONS) throw new PatternError("it is too large");
  code.push(instruction);
  return instruction;
}

function emit(node: PatternNode, code: Instruction[]): void {
  switch (node.type) {
    case "set":
      add(code, { op: "set", set: node.set });
      return;
    case "anchor":
      add(code, { op: "anchor", anchor: node.anchor });
      return;
    case "sequence":
      for (const part of node.parts) emit(part, code);
      return;
    case "choice":
      emitChoice(node.parts, code);
      return;
    case "repeat":
      emitRepeat(node, code);
      return;
    case "look": {
      const { part, isBehind, isNegative } = node;
      add(code, { op: "look", program: programOf(part), isBehind, isNegative });
      return;
    }
  }
}

function emitChoice(parts: readonly PatternNode[], code: Instruction[]): void {
  const ends: { to: number }[] = [];
  parts.forEach((part, i) => {
    if (i === parts.length - 1) {
      emit(part, code);
      return;
    }
    const split = add(code, { op: "split", to: code.length + 1, or: 0 });
    emit(part, code);
    ends.push(add(code, { op: "jump", to: 0 }));
    split.or = code.length;
  });
  for (const end of ends) end.to = code.length;
}

function emitRepeat(
  { part, min, max }: Extract<PatternNode, { type: "repeat" }>,
  code: Instruction[],
): void {
  for (let i = 0; i < min; i++) emit(part, code);
  if (max === Infinity) {
    const split = add(code, { op: "split", to: code.length + 1, or: 0 });
    const back = code.length - 1;
    emit(part, code);
    add(code, { op: "jump", to: back });
    split.or = code.length;
    return;
  }
  const splits: { or: number }[] = [];
  for (let i = min; i < max; i++) {
    splits.push(add(code, { op: "split", to: code.length + 1, or: 0 }));
    emit(part, code);
  }
  for (const split of splits) split.or = code.length;
}

/** Whether the pattern matches somewhere; a match begins at `min` at the earliest, at `max` at the latest. */
export function searchPattern(
  { program, isFirstLine }: Pattern,
  text: PatternText,
  min: number,
  max: number,
): Found {
  const newline = isFirstLine ? text.indexOf(10, min) : -1;
  const last = newline < 0 ? max : Math.min(max, newline);
  const search = new Search(text);
  const isFound = search.run(program, min, last, -1);
  if (search.isExhausted) return "too much work";
  return isFound ? "match" : "no match";
}

/** One search, with what it may cost. */
class Search {
  readonly #text: PatternText;
  #steps = 0;

  constructor(text: PatternText) {
    this.#text = text;
  }

  get isExhausted(): boolean {
    return this.#steps > MOST_STEPS;
  }

  /** Whether there is a match that begins from `min` to `max` and, unless `end` is -1, ends at `end`. */
  run({ code, now: first, next: second }: Program, min: number, max: number, end: number): boolean {
    const text = this.#text;
    const stop = end < 0 ? text.length : end;
    let now = first;
    let next = second;
    now.clear();
    for (let at = min; at <= stop; at++) {
      if (at <= max) this.#follow(code, now, 0, at);
      else if (now.count === 0) return false;
      next.clear();
      for (let i = 0; i < now.count; i++) {
        const where = now.list[i]!;
        const instruction = code[where]!;
        if (instruction.op === "match") {
          if (end < 0 || at === end) return true;
        } else if (instruction.op === "set" && at < stop) {
          if (hasChar(instruction.set, text[at]!)) this.#follow(code, next, where + 1, at + 1);
        }
      }
      this.#steps += 1 + now.count;
      if (this.isExhausted) return false;
      [now, next] = [next, now];
    }
    return false;
  }

  /** Reaches an instruction and all that follow from it without a character. */
  #follow(code: readonly Instruction[], ways: Ways, from: number, at: number): void {
    let where = from;
    for (;;) {
      if (!ways.reach(where)) return;
      this.#steps++;
      const instruction = code[where]!;
      switch (instruction.op) {
        case "jump":
          where = instruction.to;
          continue;
        case "split":
          this.#follow(code, ways, instruction.to, at);
          where = instruction.or;
          continue;
        case "anchor":
          if (!this.#isAt(instruction.anchor, at)) return;
          where++;
          continue;
        case "look":
          if (this.isExhausted || !this.#looks(instruction, at)) return;
          where++;
          continue;
        case "set":
        case "match":
          ways.list[ways.count++] = where;
          return;
      }
    }
  }

  #looks(
    { program, isBehind, isNegative }: Extract<Instruction, { op: "look" }>,
    at: number,
  ): boolean {
    const isThere = isBehind
      ? this.run(program, Math.max(0, at - MOST_BEHIND), at, at)
      : this.run(program, at, at, -1);
    return isThere !== isNegative;
  }

  #isAt(anchor: Anchor, at: number): boolean {
    const text = this.#text;
    const { length } = text;
    switch (anchor) {
      case "start":
        return at === 0;
      case "line start":
        return at === 0 || (text[at - 1] === 10 && at < length);
      case "end":
        return at === length;
      case "end or last newline":
        return at === length || (at === length - 1 && text[at] === 10);
      case "line end":
        return at === length || text[at] === 10;
      case "boundary":
        return isWord(text[at - 1]) !== isWord(text[at]);
      case "no boundary":
        return isWord(text[at - 1]) === isWord(text[at]);
    }
  }
}

function isWord(code = 0): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || code === 0x5f ||
    (code >= 0x61 && code <= 0x7a);
}
