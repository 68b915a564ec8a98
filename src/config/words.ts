/**
 * One line of text → words and braces. Two passes, as the format demands: comments go first, then
 * (after variables were expanded) the rest is cut into words.
 */

/** A word and the column (from 1) it starts in, an opening quote not counted. */
export interface Word {
  readonly text: string;
  readonly column: number;
}

/** A stretch of words between braces, or one brace (which counts as its only word). */
export interface Piece {
  readonly brace: "" | "{" | "}";
  /** At least one. */
  readonly words: readonly Word[];
  /** The stretch as written. */
  readonly raw: string;
}

const BLANK = " ".charCodeAt(0);
const QUOTE = '"'.charCodeAt(0);
const HASH = "#".charCodeAt(0);
const BANG = "!".charCodeAt(0);
const BACKSLASH = "\\".charCodeAt(0);
const BEGIN = "{".charCodeAt(0);
const END = "}".charCodeAt(0);

/** Whether a character code is a blank: space, tab, LF, VT, FF, CR. */
export function isBlank(code: number): boolean {
  return code === BLANK || (code >= 9 && code <= 13);
}

/**
 * The text up to its comment, blanks at its end removed, and whether a quote was left open. `\#`
 * and `\!` start no comment; they keep their backslash here and lose it in `cut`.
 */
export function stripComment(text: string): { text: string; open: boolean } {
  let open = false;
  let end = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) open = !open;
    else if (code === BACKSLASH) i++;
    else if (!open && (code === HASH || code === BANG)) {
      end = i;
      break;
    }
  }
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  return { text: end === text.length ? text : text.slice(0, end), open };
}

/**
 * Cuts a text into pieces. `#` or `!` still starts a comment at the start of a word (a variable may
 * have brought it), inside a word it is literal. `unmatched` tells of a quote that never ends: its
 * word is left out. Columns count from `shift`; beyond the offset `exact` they stand still, because
 * that is where a variable stood.
 */
export function cut(
  text: string,
  shift: number,
  exact: number,
): { pieces: readonly Piece[]; unmatched: boolean } {
  const pieces: Piece[] = [];
  let words: Word[] = [];
  let start = 0;
  let unmatched = false;
  const column = (offset: number): number => Math.min(offset, exact) + shift + 1;
  const flush = (end: number): void => {
    if (words.length > 0) pieces.push({ brace: "", words, raw: text.slice(start, end) });
    words = [];
  };
  let i = 0;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (isBlank(code)) {
      i++;
      continue;
    }
    if (code === BEGIN || code === END) {
      flush(i);
      const brace = code === BEGIN ? "{" : "}";
      pieces.push({ brace, words: [{ text: brace, column: column(i) }], raw: brace });
      i++;
      continue;
    }
    if (code === HASH || code === BANG) break;
    if (words.length === 0) start = i;
    if (code === QUOTE) {
      const end = text.indexOf('"', i + 1);
      unmatched = end < 0;
      if (unmatched) break;
      words.push({ text: text.slice(i + 1, end), column: column(i + 1) });
      i = end + 1;
    } else {
      const end = wordEnd(text, i);
      words.push({ text: plain(text.slice(i, end)), column: column(i) });
      i = end;
    }
  }
  flush(unmatched ? text.length : i);
  return { pieces, unmatched };
}

function wordEnd(text: string, start: number): number {
  let i = start;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (isBlank(code) || code === QUOTE || code === BEGIN || code === END) break;
    i++;
  }
  return i;
}

/** `\#` and `\!` become the bare character; any other backslash stays. */
function plain(word: string): string {
  return word.includes("\\") ? word.replace(/\\([#!])/g, "$1") : word;
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  E: "\x1b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/**
 * Words by shell-like rules: both kinds of quotes, adjacent pieces joined, backslash escapes except
 * between single quotes. `open` is a quote that never ends, else empty. With `limit`, stops after that
 * many words; `end` is the offset reached.
 */
export function shellWords(
  text: string,
  limit = Infinity,
): { words: readonly string[]; end: number; open: string } {
  const words: string[] = [];
  let i = 0;
  while (words.length < limit) {
    while (i < text.length && isBlank(text.charCodeAt(i))) i++;
    if (i >= text.length) break;
    let word = "";
    let quote = "";
    for (; i < text.length; i++) {
      const c = text[i]!;
      if (quote === "" && isBlank(text.charCodeAt(i))) break;
      if (c === quote) quote = "";
      else if (quote === "" && (c === '"' || c === "'")) quote = c;
      else if (c === "\\" && quote !== "'" && i + 1 < text.length) {
        const escape = readEscape(text, i + 1);
        word += escape.text;
        i = escape.last;
      } else word += c;
    }
    if (quote !== "") return { words, end: i, open: quote };
    words.push(word);
  }
  return { words, end: i, open: "" };
}

/** The character an escape stands for; `at` is just after the backslash, `last` its final offset. */
function readEscape(text: string, at: number): { text: string; last: number } {
  const c = text[at]!;
  const digits = (set: string, from: number, most: number): string => {
    let end = from;
    while (end < from + most && end < text.length && set.includes(text[end]!)) end++;
    return text.slice(from, end);
  };
  const octal = digits("01234567", at, 3);
  if (octal !== "") {
    return { text: String.fromCharCode(parseInt(octal, 8) & 255), last: at + octal.length - 1 };
  }
  if (c === "x") {
    const hex = digits("0123456789abcdefABCDEF", at + 1, 2);
    if (hex !== "") return { text: String.fromCharCode(parseInt(hex, 16)), last: at + hex.length };
  }
  if (c === "c" && at + 1 < text.length) {
    return { text: String.fromCharCode(text.charCodeAt(at + 1) & 31), last: at + 1 };
  }
  return { text: NAMED_ESCAPES[c] ?? c, last: at };
}

/** A word so that `cut` gives it back: in quotes when it holds anything but plain characters. */
export function quote(word: string): string {
  return /^[^\s"#!\\${}@~]+$/.test(word) ? word : `"${word}"`;
}

/** A word so that `shellWords` gives it back, and nothing before it takes offence. */
export function quoteShell(word: string): string {
  if (/^[A-Za-z0-9_/.:,=+%^-]+$/.test(word)) return word;
  const hexadecimal = (c: string): string => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
  // deno-lint-ignore no-control-regex
  return `"${word.replace(/["\\$#!{}\x00-\x1f\x7f]/g, hexadecimal)}"`;
}
