/**
 * getopt_long in the manner of the C library, as a function over a table.
 *
 * POSIX 1003.1 chapter 12 (Utility Syntax Guidelines) and the long options of GNU getopt: clusters
 * (`-nld`), values attached (`-p/x`, `--pid=/x`) or in the next word, optional values only attached,
 * long names by unique prefix, surplus words allowed between options, `--` ending them. Mistakes
 * are texts in GNU's wording, and reading goes on after each.
 */

/** One row of an option table. */
export interface OptionSpec {
  /** Without the dashes. */
  readonly long: string;
  /** One character, if it has one. */
  readonly short?: string;
  readonly value: "none" | "required" | "optional";
  /** Nothing after this option is read (`--version`). */
  readonly last?: boolean;
}

/** One option as given. */
export interface Setting<Spec extends OptionSpec> {
  readonly option: Spec;
  /** Absent for a flag and for an optional value not given; empty only after a short option. */
  readonly value?: string;
}

/** A command line, read. */
export interface Parsed<Spec extends OptionSpec> {
  /** In the order given. */
  readonly settings: readonly Setting<Spec>[];
  /** The words that belong to no option. */
  readonly surplus: readonly string[];
  /** One line per mistake, each opening with argv[0]. */
  readonly errors: readonly string[];
}

/** A setting, or what is wrong. */
type Outcome<Spec extends OptionSpec> = Setting<Spec> | string;

/** Reads `argv`, whose first word is the name of the program, by `table`. Never throws. */
export function parseOptions<Spec extends OptionSpec>(
  table: readonly Spec[],
  argv: readonly string[],
): Parsed<Spec> {
  const settings: Setting<Spec>[] = [];
  const surplus: string[] = [];
  const errors: string[] = [];
  const [argv0 = "", ...rest] = argv;
  while (settings.at(-1)?.option.last !== true) {
    const word = rest.shift();
    if (word === undefined) break;
    if (word === "--") {
      surplus.push(...rest);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      surplus.push(word);
      continue;
    }
    const outcomes = word.startsWith("--")
      ? [readLong(table, word.slice(2), rest)]
      : readCluster(table, word.slice(1), rest);
    for (const outcome of outcomes) {
      if (typeof outcome === "string") errors.push(`${argv0}: ${outcome}`);
      else settings.push(outcome);
    }
  }
  return { settings, surplus, errors };
}

/** `text` is NAME or NAME=VALUE; a required value may be the first word of `rest`, then taken. */
function readLong<Spec extends OptionSpec>(
  table: readonly Spec[],
  text: string,
  rest: string[],
): Outcome<Spec> {
  const equals = text.indexOf("=");
  const name = equals < 0 ? text : text.slice(0, equals);
  const attached = equals < 0 ? undefined : text.slice(equals + 1);
  const exact = table.find(({ long }) => long === name);
  const candidates = exact ? [exact] : table.filter(({ long }) => long.startsWith(name));
  const [option] = candidates;
  if (option === undefined) return `unrecognized option '--${text}'`;
  if (candidates.length > 1) {
    const names = candidates.map(({ long }) => ` '--${long}'`).join("");
    return `option '--${text}' is ambiguous; possibilities:${names}`;
  }
  if (option.value === "none") {
    return attached === undefined
      ? { option }
      : `option '--${option.long}' doesn't allow an argument`;
  }
  const value = attached ?? (option.value === "required" ? rest.shift() : undefined);
  if (value) return { option, value };
  // keepalived takes `--pid=` and `--pid ""` for a missing value, though `-p ""` for an empty one.
  return option.value === "optional"
    ? { option }
    : `option '--${option.long}' requires an argument`;
}

/** `letters` are flags, the last of which may take a value: what follows it, or the next word. */
function readCluster<Spec extends OptionSpec>(
  table: readonly Spec[],
  letters: string,
  rest: string[],
): Outcome<Spec>[] {
  const outcomes: Outcome<Spec>[] = [];
  const characters = [...letters];
  for (const [index, letter] of characters.entries()) {
    const option = table.find(({ short }) => short === letter);
    if (option === undefined) {
      outcomes.push(`invalid option -- '${letter}'`);
      continue;
    }
    if (option.value === "none") {
      outcomes.push({ option });
      if (option.last) break;
      continue;
    }
    const attached = characters.slice(index + 1).join("");
    const value = attached || (option.value === "required" ? rest.shift() : undefined);
    if (value !== undefined) outcomes.push({ option, value });
    else if (option.value === "optional") outcomes.push({ option });
    else outcomes.push(`option requires an argument -- '${letter}'`);
    break;
  }
  return outcomes;
}
