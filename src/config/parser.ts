/**
 * Statements → values. What a keyword may be followed by comes from its row. A mistake costs its statement,
 * never the rest of the file: an unknown keyword that opens a block is passed over with its block. Statements
 * arrive one by one and are read at once; of what a file says only the values stay.
 */
import { problemAt, type ProblemKind } from "./problem.ts";
import { maySpill } from "./secrets.ts";
import {
  type AnyBlock,
  type BlockRow,
  complain,
  type Context,
  type ListRow,
  reportOurs,
  type Row,
  warnUnsupported,
} from "./schema.ts";
import type { Statement } from "./statement.ts";

/** An open block. */
interface Frame {
  /** The statement that opened it; undefined for the outermost level. */
  readonly header: Statement | undefined;
  readonly context: Context;
  /** Its keywords; undefined for a block of values or one that nobody reads. */
  readonly block: AnyBlock | undefined;
  /** What it has said so far. */
  readonly values: Record<string, unknown>;
  /** Its entries, when it is a block of values. */
  readonly list: unknown[] | undefined;
  readonly row: Row<unknown> | undefined;
  /** Open braces around it. */
  readonly outside: number;
}

/** Reads statements into the values of a block of keywords. */
export class Parser {
  readonly #frames: Frame[] = [];
  #top: Frame;
  /** A keyword that opens a block and has not seen its brace yet. */
  #pending: Statement | undefined;
  /** Its row. */
  #pendingRow: Row<unknown> | undefined;
  /** Open braces, expected or not. */
  #depth = 0;
  #last: Statement | undefined;
  /** The keyword just before, when nobody knows it. */
  #unknown: Statement | undefined;
  /** A secret keyword stood alone: what comes next may be its value. */
  #awaitsSecret = false;

  /** `root` are the outermost keywords, `context` what their readers know. */
  constructor(root: AnyBlock, context: Context) {
    this.#top = {
      header: undefined,
      context,
      block: root,
      values: root.start(),
      list: undefined,
      row: undefined,
      outside: 0,
    };
    this.#frames.push(this.#top);
  }

  /** Reads the next statement. */
  read(statement: Statement): void {
    this.#last = statement;
    const pending = this.#pending;
    if (pending !== undefined) {
      this.#pending = undefined;
      if (statement.brace === "{") {
        this.#depth++;
        this.#open(pending, this.#pendingRow!);
        return;
      }
      this.#complain(statement, "missing_begin", MISSING_BEGIN);
    }
    const { block, list } = this.#top;
    if (block !== undefined) this.#readKeyword(statement, block);
    else if (list !== undefined) this.#readEntry(statement, list);
    else this.#skip(statement);
  }

  /** The values of the outermost level, when all statements were read. */
  finish(): Record<string, unknown> {
    if (this.#pending !== undefined) {
      this.#complain(this.#pending, "missing_begin", MISSING_BEGIN);
    }
    if (this.#depth > 0 && this.#last !== undefined) {
      const message = `There are ${this.#depth} missing '}'s or extra '{'s`;
      const spot = { file: this.#last.file, line: 0, column: 0, source: "" };
      this.#top.context.problems.add(problemAt(spot, "missing_end", message, { prefix: "none" }));
    }
    while (this.#frames.length > 1) this.#close();
    return this.#top.values;
  }

  #readKeyword(statement: Statement, block: AnyBlock): void {
    const { brace } = statement;
    const unknown = this.#unknown;
    this.#unknown = undefined;
    if (brace === "}") {
      if (this.#depth === 0) this.#complain(statement, "unexpected_end", "Extra '}' found");
      else this.#depth--;
      if (this.#frames.length > 1) this.#close();
      else this.#complain(statement, "unknown_keyword", "Unknown keyword '}'");
      return;
    }
    if (brace === "{") {
      this.#depth++;
      const { context, values } = this.#top;
      if (unknown !== undefined) {
        this.#push(unknown, context, undefined, values, undefined, undefined);
      } else this.#complain(statement, "unexpected_begin", "Unexpected '{' - ignoring");
      return;
    }
    const row = block.find(statement.words[0]!);
    if (row === undefined) {
      this.#refuseKeyword(statement, block);
      return;
    }
    this.#awaitsSecret = false;
    if (row.secret === true) {
      // A missing number must not make the secret take its place.
      const isNumber = /^[0-9]{1,3}$/.test(statement.words[1] ?? "");
      const from = isNumber ? row.secretFrom ?? 1 : 1;
      this.#keepSecret(statement, from);
      this.#awaitsSecret = statement.words.length <= from;
    }
    if (row.shape === "line") this.#readLine(statement, row);
    else {
      this.#pending = statement.kept();
      this.#pendingRow = row;
    }
  }

  #refuseKeyword(statement: Statement, block: AnyBlock): void {
    const keyword = statement.words[0]!;
    const shown = maySpill(keyword) ? keyword : keyword.slice(0, LONGEST_SHOWN);
    const { context } = this.#top;
    if (this.#awaitsSecret) this.#keepSecret(statement, 0);
    else if (context.isLikeSecret(keyword)) {
      this.#keepSecret(statement, 1);
      this.#awaitsSecret = statement.words.length === 1;
    }
    this.#unknown = statement.kept();
    const hint = context.problems.isFull ? undefined : context.suggest(keyword, block);
    complain(context, statement, "unknown_keyword", `Unknown keyword '${shown}'`, 0, {
      prefix: context.prefix,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  #readLine(statement: Statement, row: Row<unknown> & { readonly shape: "line" }): void {
    const { context, values } = this.#top;
    this.#announce(statement, row);
    const key = row.aliasOf ?? statement.words[0]!;
    const value = row.read(statement, context, values[key] ?? row.initial);
    if (value !== undefined) values[key] = value;
  }

  /** Entries go on to the first closing brace; an opening one is an entry like any other. */
  #readEntry(statement: Statement, list: unknown[]): void {
    if (statement.brace === "{") this.#depth++;
    if (statement.brace === "}") {
      this.#depth--;
      this.#close();
      return;
    }
    const row = this.#top.row as ListRow<unknown>;
    if (row.secret === true) this.#keepSecret(statement, 0);
    row.entry(statement, this.#top.context, list);
  }

  /** Passes over everything up to the brace that ends the block. */
  #skip({ brace }: Statement): void {
    if (brace === "{") this.#depth++;
    if (brace !== "}") return;
    this.#depth--;
    if (this.#depth <= this.#top.outside) this.#close();
  }

  #open(header: Statement, row: Row<unknown>): void {
    const { context, values } = this.#top;
    this.#announce(header, row);
    const extra = row.shape === "values" ? 1 : (row as BlockRow<unknown>).headWords ?? Infinity;
    if (header.words.length > extra) {
      const surplus = header.words.slice(extra).join(" ");
      const message = `Block ${header.words[0]!} has extra parameters ${surplus} ...`;
      complain(context, header, "general", message, extra);
    }
    if (row.shape === "values") {
      const before = (values[row.aliasOf ?? header.words[0]!] ?? row.initial) as readonly unknown[];
      const counts = row.begin?.(header, context, before) ?? true;
      // What stands in the outermost blocks of values is read by the roles, not by the parent.
      const inside = this.#frames.length === 1 ? { ...context, prefix: "file" as const } : context;
      // The first block makes the list; others add to it in place, however many they are.
      const list = before.length === 0 ? [] : before as unknown[];
      if (counts) this.#push(header, inside, undefined, values, list, row);
      else this.#push(header, context, undefined, values, undefined, undefined);
      return;
    }
    const block = row as BlockRow<unknown>;
    const inside = block.open(header, context);
    if (inside === undefined) {
      this.#push(header, context, undefined, values, undefined, undefined);
      return;
    }
    const resumed = block.resume?.(values[row.aliasOf ?? header.words[0]!]);
    const start = resumed === undefined ? block.inside.start() : { ...resumed };
    this.#push(header, inside, block.inside, start, undefined, row);
  }

  /** Goes one level down; the arguments are what the level is made of. */
  #push(
    header: Statement,
    context: Context,
    block: AnyBlock | undefined,
    values: Record<string, unknown>,
    list: unknown[] | undefined,
    row: Row<unknown> | undefined,
  ): void {
    const outside = this.#depth - 1;
    this.#top = { header, context, block, values, list, row, outside };
    this.#frames.push(this.#top);
  }

  #close(): void {
    const { header, row, list, values: inner, context: inside } = this.#frames.pop()!;
    this.#top = this.#frames[this.#frames.length - 1]!;
    const { context, values } = this.#top;
    if (row === undefined || header === undefined) return;
    const key = row.aliasOf ?? header.words[0]!;
    if (list !== undefined) {
      (row as ListRow<unknown>).end?.(header, context, list);
      values[key] = list;
      return;
    }
    const block = row as BlockRow<unknown>;
    const value = block.close(inner, header, inside, values[key], context);
    if (value !== undefined) values[key] = value;
  }

  /** Hides the words of a statement from one on, what they were made from, and its line. */
  #keepSecret(statement: Statement, from: number): void {
    const { words, substituted, file, line } = statement;
    const { secrets } = this.#top.context.problems;
    for (let i = from; i < words.length; i++) secrets.keep(words[i]!);
    for (const value of substituted) secrets.keep(value);
    secrets.keepLine(file.name, line);
  }

  #announce(statement: Statement, row: Row<unknown>): void {
    if (row.ours === true && this.#top.context.keepalived) {
      reportOurs(statement, this.#top.context);
    }
    if (row.later === true) warnUnsupported(statement, this.#top.context);
  }

  #complain(at: Statement, kind: ProblemKind, message: string): void {
    const { context } = this.#top;
    complain(context, at, kind, message, 0, { prefix: context.prefix });
  }
}

const MISSING_BEGIN = "Missing '{' at beginning of configuration block";
const LONGEST_SHOWN = 1023;
