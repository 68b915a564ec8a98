/**
 * Lines of words and braces, nearly all lines of nearly all files, cut without looking at each
 * character: native calls do for a stretch of lines what a loop would take ten times as long for.
 */
import { type Control, type Emit, MovingStatement, type SourceFile } from "./statement.ts";

/** So much is read in one go, when it holds nothing but words and braces. */
const STRETCH = 2048;

/** The end of the whole lines that start at an offset and fit into a stretch; at least one line. */
export function endOfStretch(text: string, from: number): number {
  if (text.length - from <= STRETCH) return text.length;
  const last = text.lastIndexOf("\n", from + STRETCH);
  const newline = last < from ? text.indexOf("\n", from + STRETCH) : last;
  return newline < 0 ? text.length : newline + 1;
}

/** Lines that hold any of this go the whole way. */
export const SPECIAL = /["#!\\$@~\0]|include/;
/** And so do longer ones. */
const LONGEST = 1000;
/** Words and braces; between them are the blanks of `isBlank`. */
const TOKENS = /[^\t-\r {}]+|[{}]/g;
const OPENING: readonly string[] = ["{"];
const CLOSING: readonly string[] = ["}"];
const NOTHING: readonly (readonly string[])[] = [];
/** So many different lines are remembered. */
const MOST_KNOWN = 2048;

/**
 * Reads lines of words and braces: nearly all lines of nearly all files. Large files repeat themselves:
 * what a line was cut into is remembered, and only what has not been met before is cut.
 */
export class PlainLines {
  readonly #emit: Emit;
  readonly #control: Control;
  readonly #statement: MovingStatement;
  readonly #known = new Map<string, readonly (readonly string[])[]>();

  /** Reads lines of `file` for `emit`, which is handed `control` with each statement. */
  constructor(file: SourceFile, emit: Emit, control: Control) {
    this.#emit = emit;
    this.#control = control;
    this.#statement = new MovingStatement(file);
  }

  /**
   * Reads a stretch of whole lines after the line `before`; the number of its last line. -1 when a line is
   * too long; then nothing was read.
   */
  read(stretch: string, before: number): number {
    const emit = this.#emit;
    const control = this.#control;
    const statement = this.#statement;
    const known = this.#known;
    const lines = stretch.split("\n");
    // After a last line end there is no line.
    const count = stretch.endsWith("\n") ? lines.length - 1 : lines.length;
    for (const line of lines) if (line.length > LONGEST) return -1;
    for (let i = 0; i < count; i++) {
      const line = lines[i]!;
      let pieces = known.get(line);
      if (pieces === undefined) {
        pieces = cutPlain(line);
        if (known.size < MOST_KNOWN) known.set(line, pieces);
      }
      for (let piece = 0; piece < pieces.length; piece++) {
        const words = pieces[piece]!;
        const brace = words === OPENING ? "{" : words === CLOSING ? "}" : "";
        emit(statement.moveTo(words, brace, before + i + 1, piece), control);
      }
    }
    return before + count;
  }
}

/** The words of a line between its braces, and these. */
function cutPlain(line: string): readonly (readonly string[])[] {
  const tokens = line.match(TOKENS);
  if (tokens === null) return NOTHING;
  if (!tokens.includes("{") && !tokens.includes("}")) return [tokens];
  const pieces: (readonly string[])[] = [];
  let words: string[] | undefined;
  for (const token of tokens) {
    if (token !== "{" && token !== "}") {
      if (words === undefined) words = [token];
      else words.push(token);
      continue;
    }
    if (words !== undefined) pieces.push(words);
    words = undefined;
    pieces.push(token === "{" ? OPENING : CLOSING);
  }
  if (words !== undefined) pieces.push(words);
  return pieces;
}
