/**
 * What is wrong with a configuration, as values. Reading never stops at the first mistake and never
 * throws: each mistake becomes a Problem with its place, and whoever asked decides what to print
 * and whether to go on.
 */
import { maySpill, Secrets } from "./secrets.ts";
import type { SourceFile } from "./statement.ts";
import { stripComment } from "./words.ts";

/**
 * The classes of mistakes, in ascending order of weight: a configuration test keeps the last of this
 * order, and its exit status depends on that one alone. The first two are ours and never count:
 * `note` is a message keepalived logs without a class, `not_supported` a keyword upkeep reads
 * but does not act on.
 */
const PROBLEM_KINDS = [
  "note",
  "not_supported",
  "file_not_found",
  "bad_interface",
  "fatal",
  "multiple_files",
  "unknown_keyword",
  "unexpected_begin",
  "missing_begin",
  "unexpected_end",
  "missing_end",
  "unmatched_quote",
  "missing_parameter",
  "invalid_number",
  "general",
  "warning",
  "deprecated",
  "security",
] as const;

/** The class of a mistake. */
export type ProblemKind = (typeof PROBLEM_KINDS)[number];

/** Where a file was included. */
export interface Inclusion {
  readonly file: string;
  readonly line: number;
}

/**
 * `fatal` ends a start and refuses a reload; an `error` dropped its statement, no more; a `lint` is
 * legal but unwise, and only looked for on demand.
 */
export type Severity = "fatal" | "error" | "warning" | "lint";

/** One mistake. Plain JSON. */
export interface Problem {
  readonly severity: Severity;
  readonly kind: ProblemKind;
  /** What scripts may rely on; the kind where there is none. */
  readonly code?: string;
  /** keepalived's own phrase where it has one. */
  readonly message: string;
  /** As the operator wrote it. */
  readonly file: string;
  /** From 1; 0 when the mistake belongs to no line. */
  readonly line: number;
  /** From 1; 0 when unknown. */
  readonly column: number;
  /** What the log line starts with: `(FILE: Line N)`, `(Line N)` or nothing. */
  readonly prefix: "file" | "line" | "none";
  /** The offending word. */
  readonly word?: string;
  /** What would be right. */
  readonly hint?: string;
  /** How the file came to be read, innermost first; absent for the main file. */
  readonly includedBy?: readonly Inclusion[];
  /** The line as written, unless it may hold a secret. */
  readonly source?: string;
  /** How this mistake alone ends a start and a configuration test, where the kind does not say. */
  readonly exit?: { readonly start: number; readonly test: number };
}

/** A place that a problem can point at. */
export interface Spot {
  readonly file: SourceFile;
  readonly line: number;
  readonly column: number;
  /** The physical line, without its end. */
  readonly source: string;
}

/** A line of a file, as the operator names it. Plain JSON. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** Says something about a block as a whole; the log line carries no place. */
export type Say = (message: string) => void;

/** Where a mistake of a whole block is to be shown. */
export interface Near {
  /**
   * The first line of the block that starts with this word, rather than the block's first line; of
   * several words the first one that is there.
   */
  readonly near?: string | readonly string[];
}

/** The parts of a Problem that only some mistakes need. */
export type ProblemExtras = Partial<
  Pick<Problem, "severity" | "code" | "prefix" | "word" | "hint" | "exit">
>;

/** A Problem at a spot. Severity follows the kind and the prefix is `file` unless told otherwise. */
export function problemAt(
  spot: Spot,
  kind: ProblemKind,
  message: string,
  extras: ProblemExtras = {},
): Problem {
  return {
    severity: severityOf(kind),
    kind,
    message,
    file: spot.file.name,
    ...(spot.file.includedBy === undefined ? {} : { includedBy: inclusionsOf(spot.file) }),
    line: spot.line,
    column: spot.column,
    prefix: "file",
    ...(spot.source === "" || maySpill(spot.source) ? {} : { source: shorten(spot.source) }),
    ...extras,
  };
}

/** A line that nobody would read to its end. */
function shorten(source: string): string {
  return source.length <= LONGEST_SOURCE ? source : `${source.slice(0, LONGEST_START)} ...`;
}

function inclusionsOf(file: SourceFile): readonly Inclusion[] {
  const chain: Inclusion[] = [];
  for (let by = file.includedBy; by !== undefined; by = by.file.includedBy) {
    chain.push({ file: by.file.name, line: by.line });
  }
  return chain;
}

/** Longer lines are dropped by the reader; the start tells which one it is. */
const LONGEST_SOURCE = 1023;
const LONGEST_START = 100;

/** More would help nobody. */
const MOST_PROBLEMS = 1000;
/** Fatal ones have room of their own. */
const MOST_FATAL = 2 * MOST_PROBLEMS;

/** The mistakes found so far. Garbage may hold millions: those that decide nothing are counted only. */
export class Problems {
  readonly list: Problem[] = [];
  /** What no problem may show. */
  readonly secrets: Secrets;
  /** The names that conditions (`@NAME`) speak of. */
  readonly nodes = new Set<string>();
  readonly #files = new Map<string, SourceFile>();
  readonly #lines = new Map<SourceFile, readonly string[]>();
  #dropped = 0;
  /** The heaviest among the dropped ones. */
  #heaviest: Pick<Problem, "kind" | "severity"> | undefined;

  /** Whether further mistakes are counted only, unless they are fatal. */
  get isFull(): boolean {
    return this.list.length >= MOST_PROBLEMS;
  }

  constructor(secrets = new Secrets()) {
    this.secrets = secrets;
  }

  /** Keeps a mistake while there is room. */
  add(problem: Problem): void {
    const most = problem.severity === "fatal" ? MOST_FATAL : MOST_PROBLEMS;
    if (this.list.length < most) this.list.push(problem);
    else this.count(problem.kind, problem.severity);
  }

  /** Counts a mistake that nobody will see. */
  count(kind: ProblemKind, severity: Problem["severity"] = severityOf(kind)): void {
    this.#dropped++;
    const weight = PROBLEM_KINDS.indexOf(kind);
    if (this.#heaviest === undefined || weight > PROBLEM_KINDS.indexOf(this.#heaviest.kind)) {
      this.#heaviest = { kind, severity };
    }
  }

  /** Makes the lines of a file known to mistakes that are found when it has long been read. */
  knowFile(file: SourceFile): void {
    const known = this.#files.get(file.name);
    // Of two files of one name no line is shown rather than a wrong one.
    const isOther = known !== undefined && known.text !== file.text;
    this.#files.set(file.name, isOther ? { ...file, text: "" } : file);
  }

  /** Keeps a mistake of what stands at a place as a whole, or of no place; its log line names none. */
  addAt(
    place: Place | undefined,
    kind: ProblemKind,
    message: string,
    { near, ...extras }: ProblemExtras & Near = {},
  ): void {
    const { file: name, line: first } = place ?? { file: "", line: 0 };
    const file = this.#files.get(name) ?? { name, text: "" };
    const words = near === undefined || typeof near === "string" ? [near ?? ""] : near;
    const line = near === undefined ? first : this.#lineNear(file, first, words);
    const source = line === 0 ? "" : this.#linesOf(file)[line - 1]?.trimEnd() ?? "";
    const column = line === 0 ? 0 : source.length - source.trimStart().length + 1;
    this.add(
      problemAt({ file, line, column, source }, kind, message, { prefix: "none", ...extras }),
    );
  }

  /** The files read, in the order in which they were met. */
  get files(): Iterable<SourceFile> {
    return this.#files.values();
  }

  /** A collection of its own that knows the same files and secrets. */
  sibling(): Problems {
    const other = new Problems(this.secrets);
    for (const file of this.#files.values()) other.knowFile(file);
    return other;
  }

  /** The line of a block, which starts at `first`, that starts with one of some words; else `first`. */
  #lineNear(file: SourceFile, first: number, words: readonly string[]): number {
    const lines = this.#linesOf(file);
    const found = new Map<string, number>();
    let depth = 0;
    for (let line = first; line > 0 && line <= lines.length; line++) {
      const { text } = stripComment(lines[line - 1]!);
      const word = text.trimStart().split(/[\s{]/, 1)[0]!;
      if (line > first && !found.has(word)) found.set(word, line);
      for (const c of text) depth += c === "{" ? 1 : c === "}" ? -1 : 0;
      if (depth <= 0 && text.includes("}")) break;
    }
    return words.map((word) => found.get(word)).find((line) => line !== undefined) ?? first;
  }

  #linesOf(file: SourceFile): readonly string[] {
    let lines = this.#lines.get(file);
    if (lines === undefined) this.#lines.set(file, lines = file.text.split("\n"));
    return lines;
  }

  /** Takes back every mistake of a kind: it has turned out to be none. */
  forgive(kind: ProblemKind): void {
    const others = this.list.filter((problem) => problem.kind !== kind);
    this.list.splice(0, Infinity, ...others);
  }

  /** All of them, without secrets. Says how many were dropped, if any, in one of the same weight. */
  finish(): readonly Problem[] {
    if (this.#heaviest !== undefined) {
      const { kind, severity } = this.#heaviest;
      const message = `${this.#dropped} more mistakes are not shown`;
      const nowhere = { file: "", line: 0, column: 0, prefix: "none" } as const;
      this.list.push({ severity, kind, message, ...nowhere });
      this.#heaviest = undefined;
    }
    return this.list.map((problem) => withoutSecrets(problem, this.secrets));
  }
}

function withoutSecrets(problem: Problem, secrets: Secrets): Problem {
  const { source, word, hint, ...rest } = problem;
  const isShown = source !== undefined && !secrets.spills(source, problem.file, problem.line);
  return {
    ...rest,
    message: secrets.hide(problem.message),
    ...(word === undefined ? {} : { word: secrets.hide(word) }),
    ...(hint === undefined ? {} : { hint: secrets.hide(hint) }),
    ...(isShown ? { source } : {}),
  };
}

function severityOf(kind: ProblemKind): "error" | "warning" {
  switch (kind) {
    case "note":
    case "not_supported":
    case "warning":
    case "deprecated":
    case "security":
      return "warning";
    case "file_not_found":
    case "bad_interface":
    case "fatal":
    case "multiple_files":
    case "unknown_keyword":
    case "unexpected_begin":
    case "missing_begin":
    case "unexpected_end":
    case "missing_end":
    case "unmatched_quote":
    case "missing_parameter":
    case "invalid_number":
    case "general":
      return "error";
  }
}

/** The log line of a problem, in keepalived's form. */
export function formatProblem(problem: Problem): string {
  switch (problem.prefix) {
    case "file":
      return `(${problem.file}: Line ${problem.line}) ${problem.message}`;
    case "line":
      return `(Line ${problem.line}) ${problem.message}`;
    case "none":
      return problem.message;
  }
}

/**
 * A problem for people: severity, file:line:column, the message, the source line with a caret under
 * the offending word, and what would be right. Several lines without a final line end.
 */
export function explainProblem(problem: Problem): string {
  const { severity, file, line, column, message } = problem;
  const place = [file, line, column].filter((part) => part !== 0 && part !== "").join(":");
  const head = [severity, place, message].filter((part) => part !== "").join(": ");
  return [head, ...detailsOf(problem)].join("\n");
}

/**
 * A problem for a configuration test: the log line as keepalived has it, for programs that look for it,
 * and under it, indented, what `explainProblem` adds.
 */
export function reportProblem(problem: Problem): string {
  return [formatProblem(problem), ...detailsOf(problem)].join("\n");
}

/** The source line with its caret, where it was included, and what would be right. */
function detailsOf(problem: Problem): readonly string[] {
  const lines: string[] = [];
  if (problem.source !== undefined) {
    const number = `${problem.line}`;
    const gutter = " ".repeat(number.length);
    // A tab stays a tab, so that the caret stands under its word at any tab width.
    const before = problem.source.slice(0, Math.max(0, problem.column - 1));
    const indent = before.replace(/[^\t]/g, " ");
    const end = problem.column - 1 + (problem.word?.length ?? 0);
    const width = Math.min(end, problem.source.length) - before.length;
    lines.push(`  ${number} | ${problem.source.trimEnd()}`);
    if (problem.column > 0) {
      lines.push(`  ${gutter} | ${indent}${"^".repeat(Math.max(1, width))}`);
    }
  }
  for (const by of problem.includedBy ?? []) lines.push(`  included by ${by.file}:${by.line}`);
  if (problem.hint !== undefined) lines.push(`  hint: ${problem.hint}`);
  return lines;
}

/** Whether a start ends and a reload is refused. */
export function isFatal(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === "fatal");
}

/** The mistake that refuses a reload: a fatal one, with `reload_strict` any error too. */
export function refusalOf(problems: readonly Problem[], isStrict: boolean): Problem | undefined {
  return problems.find(({ severity }) => severity === "fatal") ??
    (isStrict ? problems.find(({ severity }) => severity === "error") : undefined);
}

/** The exit status of a start that these problems refuse: 2 or 6; 0 when none is fatal. */
export function startStatus(problems: readonly Problem[]): number {
  const fatal = problems.find((problem) => problem.severity === "fatal");
  return fatal === undefined ? 0 : (fatal.exit?.start ?? 2);
}

/** The exit status of a configuration test: 0, 2, 4, 5 or 6. */
export function configTestStatus(problems: readonly Problem[]): number {
  let worst = 0;
  for (const { exit, kind } of problems) {
    if (exit === undefined) worst = Math.max(worst, PROBLEM_KINDS.indexOf(kind));
    else if (exit.test !== 0) return exit.test;
  }
  if (worst <= PROBLEM_KINDS.indexOf("not_supported")) return 0;
  if (worst <= PROBLEM_KINDS.indexOf("fatal")) return 4;
  // Without its interfaces keepalived ends before it looks at scripts.
  const isEarly = problems.some(({ kind }) => kind === "bad_interface");
  return worst === PROBLEM_KINDS.indexOf("security") && !isEarly ? 6 : 5;
}
