/** Reads a line of options word by word: NAME VALUE NAME VALUE ..., as routes and rules have them. */
import { type Address, parseAddress } from "../lib/address.ts";
import { complain, type Context, type NumberRules, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";

/** An address with a prefix length. */
export interface ParsedPrefix {
  readonly address: Address;
  readonly prefixLength: number;
}

/** A line being read. */
export class LineReader {
  readonly node: Statement;
  readonly context: Context;
  /** The word to be read next. */
  at = 0;
  /** The line is to be dropped. */
  isBad = false;

  /** Starts at the first word. */
  constructor(node: Statement, context: Context) {
    this.node = node;
    this.context = context;
  }

  /** The word at the reading position; undefined at the end. */
  get word(): string | undefined {
    return this.node.words[this.at];
  }

  /** Goes on to the value of the option just read; a missing one is a fatal mistake, and undefined. */
  value(option: string): string | undefined {
    const value = this.node.words[++this.at];
    if (value !== undefined) return value;
    const start = this.node.words[0]!;
    const message = `*** Configuration line starting \`${start}\` is missing a parameter after ` +
      `keyword \`${option}\` at word position ${this.at + 1}`;
    complain(this.context, this.node, "missing_parameter", message, this.at - 1, {
      severity: "fatal",
      exit: { start: 2, test: 2 },
    });
    this.isBad = true;
    return undefined;
  }

  /** Says what is wrong with the word at the reading position; the answer is undefined. */
  refuse(message: string, hint?: string): undefined {
    const at = Math.min(this.at, this.node.words.length - 1);
    const extras = hint === undefined ? {} : { hint };
    complain(this.context, this.node, "general", message, at, extras);
  }

  /** The same, and drops the line. */
  drop(message: string, hint?: string): undefined {
    this.isBad = true;
    this.refuse(message, hint);
  }

  /** The number that follows an option; `says` when it is none. */
  number(option: string, rules: NumberRules, says: (word: string) => string): number | undefined {
    const word = this.value(option);
    if (word === undefined) return undefined;
    const number = readInteger(this.node, this.at, this.context, { ...rules, strict: true });
    if (number === undefined) this.drop(says(word));
    return number;
  }

  /** ADDR[/PREFIX] at the reading position; a bad prefix is replaced by the full length. */
  prefix(): ParsedPrefix | undefined {
    const word = this.word!;
    const slash = word.indexOf("/");
    const address = parseAddress(slash < 0 ? word : word.slice(0, slash));
    if (address === undefined) {
      return this.refuse(`VRRP parsed invalid IP ${word}. skipping IP...`, "an address");
    }
    const full = address.length * 8;
    if (slash < 0) return { address, prefixLength: full };
    const rules = { min: 0, max: full };
    const length = readInteger(this.node, this.at, this.context, rules, slash + 1);
    if (length === undefined) {
      const written = word.slice(slash + 1);
      this.refuse(`Invalid address prefix len ${written} for address ${word} - using ${full}`);
    }
    return { address, prefixLength: length ?? full };
  }
}
