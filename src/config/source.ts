/**
 * Files → statements. A physical line loses its comment, passes its `@` condition, defines a name or
 * is expanded, repeats itself, pulls in other files, and what is left is cut at its braces. Every
 * statement remembers the file, line and column it came from. Nothing here knows any keyword
 * but `include` and `include_check`. Depth, files and lines are bounded: no text can hang us.
 */
import { expand, readDefinition, readRepetition, type Scope } from "./expand.ts";
import type { Files } from "./files.ts";
import { directoryOf, expandBraces, hasWildcard, matchPaths, resolvePath } from "./glob.ts";
import { maySpill, type Problem, problemAt, type ProblemKind, type Spot } from "./problem.ts";
import { cut, type Piece, stripComment } from "./words.ts";

/** A stretch of words or a brace, with its place. */
export interface Statement extends Piece, Spot {}

/** All statements of a configuration in order, and how many files they came from. */
export interface Source {
  readonly statements: readonly Statement[];
  readonly fileCount: number;
}

const DEEPEST_INCLUDE = 32;
const MOST_FILES = 4096;
/** In characters, each line counting 64 more: enough for 300 000 lines. */
const MOST_WORK = 32_000_000;
const DEEPEST_EXPANSION = 32;
/** A longer line is reported and dropped. */
const LONGEST_LINE = 1023;

/** Which problems of an include end the daemon. */
const READABLE = 1;
const MATCH = 2;
const WILDCARD = 4;
const BRACE = 8;
const ALL_CHECKS = READABLE | MATCH | WILDCARD | BRACE;

const CHECKS_OF: Readonly<Record<string, number>> = {
  include: 0,
  includer: READABLE,
  includem: READABLE | MATCH,
  includew: READABLE | WILDCARD,
  includeb: READABLE | BRACE,
  includea: ALL_CHECKS,
};

const CHECK_NAMES: Readonly<Record<string, number>> = {
  readable: READABLE,
  match: MATCH,
  wildcard_match: WILDCARD,
  brace_match: BRACE,
};

/** The next line of a file or of a multi-line value, without its comment. */
type Feed = () => string | undefined;

interface Reading {
  readonly files: Files;
  readonly problems: Problem[];
  readonly statements: Statement[];
  readonly scope: Scope;
  readonly configId: string;
  fileCount: number;
  work: number;
  depth: number;
  /** The place of the physical line being read. */
  spot: Spot;
  /** The directory of the file being read. */
  directory: string;
  checks: number;
}

/** Reads the file (or glob pattern) at `path` and all it includes, adding to `problems`. */
export function readSource(path: string, files: Files, problems: Problem[]): Source {
  const configId = files.configId ?? files.hostName.split(".")[0]!;
  const random = randomNumbers(files.randomSeed);
  const reading: Reading = {
    files,
    problems,
    statements: [],
    scope: {
      definitions: new Map(),
      predefined: (name, args) => predefined(reading, random, name, args),
    },
    configId,
    fileCount: 0,
    work: 0,
    depth: 0,
    spot: { file: path, line: 0, column: 0, source: "" },
    directory: files.cwd,
    checks: files.allIncludeChecks ? ALL_CHECKS : 0,
  };
  readPattern(reading, path, 0);
  return { statements: reading.statements, fileCount: reading.fileCount };
}

function complain(
  reading: Reading,
  kind: ProblemKind,
  message: string,
  extras: Parameters<typeof problemAt>[3] = {},
): void {
  const prefix = reading.spot.line === 0 ? "none" : "line";
  reading.problems.push(problemAt(reading.spot, kind, message, { prefix, ...extras }));
}

/** A line for a message; one that may hold a secret shows its first word only. */
function shown(text: string): string {
  return maySpill(text) ? `${text.trim().split(/\s/)[0]} ...` : text.trim();
}

function predefined(
  reading: Reading,
  random: (below: number) => number,
  name: string,
  args: readonly string[],
): string | undefined {
  switch (name) {
    case "_PWD":
      return reading.directory;
    case "_INSTANCE":
      return reading.configId;
    case "_HASH":
      return args.length === 0 ? "#" : undefined;
    case "_BANG":
      return args.length === 0 ? "!" : undefined;
    case "_ENV":
      return args.length === 1 ? (reading.files.environment(args[0]!) ?? "") : undefined;
    case "_RANDOM": {
      if (!args.every((arg) => /^[0-9]{1,9}$/.test(arg))) return undefined;
      const low = Number(args[0] ?? 0);
      const high = Number(args[1] ?? 32_767);
      return high < low ? undefined : `${low + random(high - low + 1)}`;
    }
  }
  return undefined;
}

/** Numbers that look random and follow from the seed alone (xorshift). */
function randomNumbers(seed: number): (below: number) => number {
  let state = (seed | 0) === 0 ? 1 : seed | 0;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Reads every file a pattern names; relative names start from the directory of the file being read. */
function readPattern(reading: Reading, pattern: string, added: number): void {
  const { files, directory } = reading;
  const checks = reading.checks | added;
  const isMain = reading.spot.line === 0;
  // The main file is the only one whose absence ends a start whatever the checks say.
  const enforced = (check: number): Parameters<typeof problemAt>[3] =>
    isMain
      ? { severity: "fatal", exit: { start: 6, test: files.allIncludeChecks ? 4 : 0 } }
      : (checks & check) !== 0
      ? { severity: "fatal", exit: { start: 6, test: 6 } }
      : {};
  const exists = (path: string): boolean => files.stat(path) !== undefined;
  const alternatives = expandBraces(pattern);
  const found = alternatives.map((one) => matchPaths(one, directory, files.list, exists));
  const isWild = hasWildcard(pattern);
  if (found.every((paths) => paths.length === 0)) {
    if (!isWild) complain(reading, "note", `Config files missing '${pattern}'.`, enforced(MATCH));
    else if (isMain || (checks & WILDCARD) !== 0) {
      complain(reading, "note", `No config files matched '${pattern}'.`, enforced(WILDCARD));
    }
    if (alternatives.length > 1 && !isMain && (checks & BRACE) !== 0) {
      complain(reading, "note", `Some config files missing: "${pattern}".`, enforced(BRACE));
    }
    return;
  }
  if (found.some((paths) => paths.length === 0)) {
    complain(reading, "note", `Some config files missing: "${pattern}".`, enforced(BRACE));
  }
  const names = found.flat();
  if (isMain && names.length > 1) {
    complain(reading, "multiple_files", `More than one configuration file matches '${pattern}'`);
  }
  for (const name of names) readFile(reading, name, enforced(READABLE));
}

function readFile(
  reading: Reading,
  name: string,
  enforced: Parameters<typeof problemAt>[3],
): void {
  const { files } = reading;
  const path = resolvePath(reading.directory, name);
  const quoted = `Configuration file '${name}'`;
  const stat = files.stat(path);
  if (stat?.kind === "directory") {
    return complain(
      reading,
      "note",
      `Configuration file '${name}/' is a directory - skipping`,
      enforced,
    );
  }
  if (stat !== undefined && (stat.kind !== "file" || stat.executable)) {
    const message = `${quoted} is not a regular non-executable file - skipping`;
    return complain(reading, "note", message, enforced);
  }
  const content = reading.depth >= DEEPEST_INCLUDE || reading.fileCount >= MOST_FILES
    ? { error: "Too many open files" }
    : files.read(path);
  if (typeof content !== "string" && !(content instanceof Uint8Array)) {
    return complain(
      reading,
      "note",
      `${quoted} open problem (${content.error}) - skipping`,
      enforced,
    );
  }
  const text = typeof content === "string" ? content : new TextDecoder().decode(content);
  const { spot, directory, checks } = reading;
  reading.fileCount++;
  reading.depth++;
  reading.directory = directoryOf(path);
  readLines(reading, name, text);
  reading.depth--;
  Object.assign(reading, { spot, directory, checks });
}

function readLines(reading: Reading, file: string, text: string): void {
  let at = 0;
  let line = 0;
  const feed: Feed = () => {
    if (at < text.length) {
      const newline = text.indexOf("\n", at);
      const end = newline < 0 ? text.length : newline;
      const source = text.slice(at, text[end - 1] === "\r" ? end - 1 : end);
      at = end + 1;
      reading.spot = { file, line: ++line, column: 1, source };
      return cleanLine(reading, source);
    }
    return undefined;
  };
  for (let clean = feed(); clean !== undefined; clean = feed()) {
    if (clean !== "") readLine(reading, clean, 0, Infinity, feed, 0);
  }
}

/** A physical line without its comment; empty when it is dropped. */
function cleanLine(reading: Reading, source: string): string {
  if (source.includes("\0")) {
    complain(reading, "general", "Line holds a NUL character - ignoring it");
    return "";
  }
  const { text, open } = stripComment(source);
  if (text.length > LONGEST_LINE) {
    complain(reading, "general", `Line is longer than ${LONGEST_LINE} characters - ignoring it`);
    return "";
  }
  if (open) complain(reading, "unmatched_quote", `Unterminated quote '${shown(text)}'`);
  return text;
}

/** Counts work, so that a small text cannot keep us busy for hours by repeating itself. */
function spend(reading: Reading, characters: number): void {
  const before = reading.work;
  reading.work += 64 + characters;
  if (before <= MOST_WORK && reading.work > MOST_WORK) {
    complain(reading, "general", "Configuration expands to too much text - ignoring the rest");
  }
}

/**
 * Reads one logical line. `shift` is where the text starts in its physical line and `exact` up to
 * where it is as written; `feed` gives the lines that a multi-line definition takes.
 */
function readLine(
  reading: Reading,
  line: string,
  shift: number,
  exact: number,
  feed: Feed,
  depth: number,
): void {
  spend(reading, line.length);
  if (reading.work > MOST_WORK) return;
  if (depth > DEEPEST_EXPANSION) {
    return complain(reading, "general", "Expansion is too deep - ignoring the line");
  }
  let text = line;
  const condition = text.includes("@") ? /^\s*@(\^?)(\S*)(?:\s+|$)/.exec(text) : null;
  if (condition !== null) {
    const negated = condition[1] === "^";
    if ((condition[2] === reading.configId) === negated) return;
    text = text.slice(condition[0].length);
    shift += condition[0].length;
    exact -= condition[0].length;
  }
  const repetition = text.includes("~") ? readRepetition(text, reading.scope) : undefined;
  if (repetition !== undefined) {
    if ("errors" in repetition) {
      for (const error of repetition.errors) complain(reading, "general", error);
      return;
    }
    const { rounds, rest, start } = repetition;
    for (const values of rounds) {
      if (reading.work > MOST_WORK) break;
      for (const [name, value] of values) reading.scope.definitions.set(name, value);
      readLine(reading, rest, shift + start, exact - start, feed, depth + 1);
    }
    return;
  }
  const definition = text.includes("$") ? readDefinition(text) : undefined;
  if (definition !== undefined) {
    define(reading, definition.name, definition.value, feed);
    return;
  }
  if (text.includes("$")) {
    const expanded = expand(text, reading.scope);
    spend(reading, expanded.cost);
    if (expanded.endless) {
      return complain(reading, "general", "Expansion never ends - ignoring the line");
    }
    const { more } = expanded;
    if (expanded.text !== text || more.length > 0) {
      const lines = more[Symbol.iterator]();
      const next: Feed = () => lines.next().value;
      readLine(reading, expanded.text, shift, Math.min(exact, expanded.exact), next, depth + 1);
      for (let one = next(); one !== undefined; one = next()) {
        readLine(reading, one, shift + Math.min(exact, expanded.exact), 0, next, depth + 1);
      }
      return;
    }
  }
  readStatements(reading, text, shift, exact);
}

/** Stores a definition; a value that ends in a backslash goes on in the following lines. */
function define(reading: Reading, name: string, value: string, feed: Feed): void {
  if (!value.endsWith("\\")) {
    reading.scope.definitions.set(name, value);
    return;
  }
  const first = value.slice(0, -1).trim();
  const lines = first === "" ? [] : [first];
  for (let line = feed(); line !== undefined; line = feed()) {
    const goesOn = line.endsWith("\\");
    const clean = (goesOn ? line.slice(0, -1) : line).trim();
    if (clean !== "") lines.push(clean);
    if (!goesOn) break;
  }
  reading.scope.definitions.set(name, lines);
}

function readStatements(reading: Reading, text: string, shift: number, exact: number): void {
  const include = !text.includes("include") ? null : /^\s*(include[rmwba]?)\s+(\S.*)$/.exec(text);
  if (include !== null) {
    readPattern(reading, include[2]!.trimEnd(), CHECKS_OF[include[1]!]!);
    return;
  }
  const { pieces, unmatched } = cut(text, shift, exact);
  const { file, line, source } = reading.spot;
  for (const { brace, words, raw } of pieces) {
    const column = words[0]!.column;
    if (words[0]!.text === "include_check") setChecks(reading, words.slice(1).map((w) => w.text));
    reading.statements.push({ brace, words, raw, file, line, column, source });
  }
  if (unmatched) complain(reading, "unmatched_quote", `Unmatched quote: '${shown(text)}'`);
}

/** `include_check [+|-]NAME ...`: a bare name replaces the set, no name at all means every check. */
function setChecks(reading: Reading, names: readonly string[]): void {
  if (names.length === 0) reading.checks = ALL_CHECKS;
  else if (!/^[+-]/.test(names[0]!)) reading.checks = 0;
  for (const name of names) {
    const check = CHECK_NAMES[name.replace(/^[+-]/, "")] ?? 0;
    if (name.startsWith("-")) reading.checks &= ~check;
    else reading.checks |= check;
  }
}
