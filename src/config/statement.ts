/**
 * A statement: a stretch of words between braces or line ends, or one brace. It keeps its words as
 * texts and, instead of columns, where it was cut from: places are worked out only for the few
 * statements that somebody complains about.
 */
import { cut } from "./words.ts";

/** A file that is being read, and the line that included it. */
export interface SourceFile {
  /** As the operator wrote it. */
  readonly name: string;
  /** The absolute path. */
  readonly path?: string;
  readonly text: string;
  readonly includedBy?: { readonly file: SourceFile; readonly line: number };
}

/** What a statement may change of how the lines to come are read. */
export interface Control {
  /** Which mistakes of includes are fatal, as `include_check NAMES` says. */
  setIncludeChecks(names: readonly string[]): void;
  /** What `${_RANDOM}` follows from. */
  setRandomSeed(seed: number): void;
}

/** What takes each statement. */
export type Emit = (statement: Statement, control: Control) => void;

/** A text that a physical line became by expansion, and how its offsets relate to the line. */
export interface Stretch {
  readonly text: string;
  /** Where the text starts in the physical line. */
  readonly shift: number;
  /** Up to this offset the text is as written. */
  readonly exact: number;
  /** What names in it were replaced by. */
  readonly values: readonly string[];
}

/** One statement. The fields are only declared, so that each is written once. */
export class Statement {
  /** At least one; a brace counts as its only word. */
  declare readonly words: readonly string[];
  declare readonly brace: "" | "{" | "}";
  declare readonly file: SourceFile;
  /** From 1. */
  declare readonly line: number;
  declare private readonly stretch: Stretch | undefined;
  /** Which piece of its line it is. */
  declare protected readonly piece: number;

  /** `stretch` is undefined for a line that stands in the file as it was cut. */
  constructor(
    words: readonly string[],
    brace: "" | "{" | "}",
    file: SourceFile,
    line: number,
    stretch: Stretch | undefined,
    piece: number,
  ) {
    this.words = words;
    this.brace = brace;
    this.file = file;
    this.line = line;
    this.stretch = stretch;
    this.piece = piece;
  }

  /** What to keep when the statement is needed after the next one has come. */
  kept(): Statement {
    return this;
  }

  /** The physical line, without its end. */
  get source(): string {
    return lineOf(this.file, this.line);
  }

  /** What names in its line were replaced by. */
  get substituted(): readonly string[] {
    return this.stretch?.values ?? [];
  }

  /** The statement as written: quotes, escapes and blanks kept. */
  get raw(): string {
    return this.#cut().raw;
  }

  /** The column (from 1) in which a word starts. */
  columnOf(word: number): number {
    return this.#cut().words[word]?.column ?? 1;
  }

  #cut(): ReturnType<typeof cut>["pieces"][number] {
    const { text, shift, exact } = this.stretch ??
      { text: this.source, shift: 0, exact: Infinity };
    return cut(text, shift, exact).pieces[this.piece]!;
  }
}

interface Movable {
  words: readonly string[];
  brace: "" | "{" | "}";
  line: number;
  piece: number;
}

/**
 * A statement that moves on to the next one of its file when it has been read: there are hundreds of
 * thousands, and hardly any is kept.
 */
export class MovingStatement extends Statement {
  /** Before the first line of a file. */
  constructor(file: SourceFile) {
    super([], "", file, 0, undefined, 0);
  }

  /** Goes to a piece of a line. */
  moveTo(words: readonly string[], brace: "" | "{" | "}", line: number, piece: number): this {
    const place = this as unknown as Movable;
    place.words = words;
    place.brace = brace;
    place.line = line;
    place.piece = piece;
    return this;
  }

  override kept(): Statement {
    return new Statement(this.words, this.brace, this.file, this.line, undefined, this.piece);
  }
}

/** Where a line starts in its file: those asked for one after the other are found by going on. */
const lastFound = new WeakMap<SourceFile, { line: number; from: number }>();

function lineOf(file: SourceFile, line: number): string {
  const { text } = file;
  const last = lastFound.get(file);
  let at = last !== undefined && last.line <= line ? last.line : 1;
  let from = last !== undefined && last.line <= line ? last.from : 0;
  for (; at < line; at++) from = text.indexOf("\n", from) + 1;
  lastFound.set(file, { line, from });
  return lineAt(text, from);
}

/** The line that starts at an offset, without its end. */
export function lineAt(text: string, from: number): string {
  const newline = text.indexOf("\n", from);
  const end = newline < 0 ? text.length : newline;
  return text.slice(from, text[end - 1] === "\r" && end > from ? end - 1 : end);
}
