/**
 * Files → statements. A physical line loses its comment, passes its `@` condition, defines a name or
 * is expanded, repeats itself, pulls in other files, and what is left is cut at its braces. Every
 * statement remembers where it came from. Nothing here knows any keyword but `include` and
 * `include_check`. Depth, files and work are bounded: no text can hang us.
 *
 * Statements are handed on as they are met, so that nothing of a large file is kept but what the
 * readers make of it; and most lines hold nothing but words and braces: those are cut on the spot.
 */
import { expand, readDefinition, readRepetition, type Scope } from "./expand.ts";
import type { Files } from "./files.ts";
import { directoryOf, expandBraces, hasWildcard, matchPaths, resolvePath } from "./glob.ts";
import { problemAt, type ProblemKind, type Problems, type Spot } from "./problem.ts";
import { endOfStretch, PlainLines, SPECIAL } from "./plain_lines.ts";
import { maySpill } from "./secrets.ts";
import {
  type Control,
  type Emit,
  lineAt,
  type SourceFile,
  Statement,
  type Stretch,
} from "./statement.ts";
import { cut, stripComment } from "./words.ts";

const DEEPEST_INCLUDE = 32;
const MOST_FILES = 4096;
/** In characters, each line counting 64 more: enough for a million lines and a half. */
const MOST_WORK = 128_000_000;
/** A line that comes from a definition or a repetition counts so many times. */
const EXPANDED = 4;
const DEEPEST_EXPANSION = 32;
/** More names in conditions are not remembered. */
const MOST_NODES = 64;
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
  readonly problems: Problems;
  readonly emit: Emit;
  readonly control: Control;
  readonly scope: Scope;
  readonly configId: string;
  fileCount: number;
  work: number;
  depth: number;
  /** The physical line being read: its file, number (0 before the first) and offset. */
  file: SourceFile;
  line: number;
  from: number;
  /** The directory of the file being read. */
  directory: string;
  checks: number;
}

/**
 * Reads the file (or glob pattern) at `path` and all it includes, adding to `problems` and handing each
 * statement to `emit`; the number of files read. A statement may move on to the next one when `emit`
 * returns: what is to stay is its `kept()`.
 */
export function readSource(
  path: string,
  files: Files,
  problems: Problems,
  emit: Emit,
): number {
  const configId = files.configId ?? files.hostName.split(".")[0]!;
  const random = new RandomNumbers(files);
  const reading: Reading = {
    files,
    problems,
    emit,
    control: {
      setIncludeChecks: (names) => setChecks(reading, names),
      setRandomSeed: (seed) => random.follow(seed),
    },
    scope: {
      definitions: new Map(),
      predefined: (name, args) => predefined(reading, random, name, args),
    },
    configId,
    fileCount: 0,
    work: 0,
    depth: 0,
    file: { name: path, text: "" },
    line: 0,
    from: 0,
    directory: files.cwd,
    checks: files.allIncludeChecks ? ALL_CHECKS : 0,
  };
  readPattern(reading, path, 0);
  return reading.fileCount;
}

function spotOf({ file, line, from }: Reading): Spot {
  if (line === 0) return { file, line, column: 0, source: "" };
  return { file, line, column: 1, source: lineAt(file.text, from) };
}

function complain(
  reading: Reading,
  kind: ProblemKind,
  message: string,
  extras: Parameters<typeof problemAt>[3] = {},
): void {
  const prefix = reading.line === 0 ? "none" : "line";
  reading.problems.add(problemAt(spotOf(reading), kind, message, { prefix, ...extras }));
}

/** A line for a message; one that may hold a secret shows its first word only. */
function shown(text: string): string {
  return maySpill(text) ? `${text.trim().split(/\s/)[0]} ...` : text.trim();
}

function predefined(
  reading: Reading,
  random: RandomNumbers,
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
      return high < low ? undefined : `${low + random.below(high - low + 1)}`;
    }
  }
  return undefined;
}

/** Numbers that look random and follow from a seed alone (xorshift), which is asked for when they are. */
class RandomNumbers {
  readonly #files: Files;
  #state = 0;

  constructor(files: Files) {
    this.#files = files;
  }

  /** They follow from this seed from now on. */
  follow(seed: number): void {
    this.#state = seed | 0 || 1;
  }

  /** The next number, from 0 to less than `limit`. */
  below(limit: number): number {
    if (this.#state === 0) this.follow(this.#files.randomSeed);
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }
}

/** What looking for the files of a pattern costs, in characters of text. */
const PATTERN_COST = 2000;

/** Reads every file a pattern names; relative names start from the directory of the file being read. */
function readPattern(reading: Reading, pattern: string, added: number): void {
  const { files, directory } = reading;
  spend(reading, PATTERN_COST);
  const checks = reading.checks | added;
  const isMain = reading.line === 0;
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
  const { file, line, from, directory, checks } = reading;
  if (reading.depth > 0) spend(reading, text.length);
  reading.fileCount++;
  reading.depth++;
  reading.directory = directoryOf(path);
  const included = line === 0 ? {} : { includedBy: { file, line } };
  readLines(reading, { name, path, text, ...included });
  reading.depth--;
  Object.assign(reading, { file, line, from, directory, checks });
}

function readLines(reading: Reading, file: SourceFile): void {
  reading.problems.knowFile(file);
  reading.file = file;
  reading.line = 0;
  reading.from = 0;
  const { text } = file;
  let at = 0;
  const feed: Feed = () => {
    if (at >= text.length) return undefined;
    const newline = text.indexOf("\n", at);
    reading.from = at;
    reading.line++;
    at = newline < 0 ? text.length : newline + 1;
    return cleanLine(reading, lineAt(text, reading.from));
  };
  const plain = new PlainLines(file, reading.emit, reading.control);
  while (at < text.length && reading.work <= MOST_WORK) {
    const end = endOfStretch(text, at);
    const stretch = text.slice(at, end);
    const before = reading.line;
    const last = SPECIAL.test(stretch) ? -1 : plain.read(stretch, before);
    if (last < 0) {
      while (at < end && reading.work <= MOST_WORK) {
        const clean = feed();
        if (clean !== undefined && clean !== "") readLine(reading, clean, AS_WRITTEN, feed, 0);
      }
      continue;
    }
    reading.line = last;
    spend(reading, end - at + 64 * (last - before - 1));
    at = end;
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
function spend(reading: Reading, characters: number, weight = 1): void {
  const before = reading.work;
  reading.work += weight * (64 + characters);
  if (before <= MOST_WORK && reading.work > MOST_WORK) {
    complain(reading, "general", "Configuration expands to too much text - ignoring the rest");
  }
}

/** How a text relates to its physical line. */
type Origin = Omit<Stretch, "text">;

const AS_WRITTEN: Origin = { shift: 0, exact: Infinity, values: [] };

/** The origin of what is left of a text when its start is taken away. */
function after({ shift, exact, values }: Origin, start: number): Origin {
  return { shift: shift + start, exact: exact - start, values };
}

/** Reads one logical line; `feed` gives the lines that a multi-line definition takes. */
function readLine(
  reading: Reading,
  line: string,
  from: Origin,
  feed: Feed,
  depth: number,
): void {
  spend(reading, line.length, depth > 0 ? EXPANDED : 1);
  if (reading.work > MOST_WORK) return;
  if (depth > DEEPEST_EXPANSION) {
    return complain(reading, "general", "Expansion is too deep - ignoring the line");
  }
  let text = line;
  let origin = from;
  const condition = text.includes("@") ? /^\s*@(\^?)(\S*)(?:\s+|$)/.exec(text) : null;
  if (condition !== null) {
    const negated = condition[1] === "^";
    if (reading.problems.nodes.size < MOST_NODES) reading.problems.nodes.add(condition[2]!);
    if ((condition[2] === reading.configId) === negated) return;
    text = text.slice(condition[0].length);
    origin = after(origin, condition[0].length);
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
      readLine(reading, rest, after(origin, start), feed, depth + 1);
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
    spend(reading, expanded.cost, EXPANDED);
    if (expanded.endless) {
      return complain(reading, "general", "Expansion never ends - ignoring the line");
    }
    const { more } = expanded;
    if (expanded.text !== text || more.length > 0) {
      const lines = more[Symbol.iterator]();
      const next: Feed = () => lines.next().value;
      const exact = Math.min(origin.exact, expanded.exact);
      const values = [...origin.values, ...expanded.values];
      readLine(reading, expanded.text, { shift: origin.shift, exact, values }, next, depth + 1);
      for (let one = next(); one !== undefined; one = next()) {
        const added = { shift: origin.shift + exact, exact: 0, values: [] };
        readLine(reading, one, added, next, depth + 1);
      }
      return;
    }
  }
  readStatements(reading, text, origin);
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

function readStatements(reading: Reading, text: string, origin: Origin): void {
  const include = !text.includes("include") ? null : /^\s*(include[rmwba]?)\s+(\S.*)$/.exec(text);
  if (include !== null) {
    readPattern(reading, include[2]!.trimEnd(), CHECKS_OF[include[1]!]!);
    return;
  }
  const { pieces, unmatched } = cut(text, origin.shift, origin.exact);
  const stretch = { text, ...origin };
  const { file, line } = reading;
  for (const [i, piece] of pieces.entries()) {
    const words = piece.words.map((word) => word.text);
    reading.emit(
      new Statement(words, piece.brace, file, line, stretch, i),
      reading.control,
    );
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
