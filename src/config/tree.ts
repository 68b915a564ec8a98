/**
 * Statements → blocks. The shape of a keyword (a line, a block of values, a block of keywords) comes
 * from its row, so an unknown keyword that opens a block sets off keepalived's own chain of messages.
 * A mistake costs its statement, never the rest of the file.
 */
import { type Problem, problemAt, type ProblemKind } from "./problem.ts";
import type { Statement } from "./source.ts";

/** What a keyword may be followed by. */
export type Shape =
  /** Words on its line. */
  | "line"
  /** A block with one entry per line. */
  | "values"
  /** A block whose inside nobody reads. */
  | "skip"
  | Grammar;

/** The keywords a block may hold. */
export interface Grammar {
  shapeOf(keyword: string): Shape | undefined;
  /** The words before the block must be exactly one name, and no name may come twice. */
  readonly named?: { readonly missing: string; readonly duplicate: (name: string) => string };
}

/** A keyword with its words, and with what its braces hold when it is a block. */
export interface Node extends Statement {
  readonly body?: readonly Node[];
}

interface Growing {
  readonly statements: readonly Statement[];
  readonly problems: Problem[];
  readonly names: Map<Grammar, Set<string>>;
  at: number;
  /** Open braces, expected or not. */
  depth: number;
}

/** The nodes of the outermost level, adding to `problems`. */
export function growTree(
  statements: readonly Statement[],
  root: Grammar,
  problems: Problem[],
): readonly Node[] {
  const growing: Growing = { statements, problems, names: new Map(), at: 0, depth: 0 };
  const nodes = growLevel(growing, root, "line", true);
  const last = statements[statements.length - 1];
  if (growing.depth > 0 && last !== undefined) {
    const message = `There are ${growing.depth} missing '}'s or extra '{'s`;
    problems.push(
      problemAt({ ...last, line: 0, column: 0, source: "" }, "missing_end", message, {
        prefix: "none",
      }),
    );
  }
  return nodes;
}

function growLevel(
  growing: Growing,
  grammar: Grammar,
  prefix: Problem["prefix"],
  isRoot: boolean,
): readonly Node[] {
  const nodes: Node[] = [];
  const complain = (at: Statement, kind: ProblemKind, message: string): void => {
    const word = at.words[0]!.text;
    growing.problems.push(problemAt(at, kind, message, { prefix, word }));
  };
  while (growing.at < growing.statements.length) {
    const statement = growing.statements[growing.at++]!;
    const keyword = statement.words[0]!.text;
    if (statement.brace === "}") {
      if (growing.depth === 0) complain(statement, "unexpected_end", "Extra '}' found");
      else growing.depth--;
      if (!isRoot) return nodes;
      complain(statement, "unknown_keyword", "Unknown keyword '}'");
      continue;
    }
    if (statement.brace === "{") {
      growing.depth++;
      complain(statement, "unexpected_begin", "Unexpected '{' - ignoring");
      continue;
    }
    const shape = grammar.shapeOf(keyword);
    if (shape === undefined) {
      complain(statement, "unknown_keyword", `Unknown keyword '${keyword}'`);
    } else if (shape === "line") {
      nodes.push(statement);
    } else {
      const next = growing.statements[growing.at];
      if (next?.brace !== "{") {
        const message = "Missing '{' at beginning of configuration block";
        complain(next ?? statement, "missing_begin", message);
        continue;
      }
      growing.at++;
      growing.depth++;
      const refused = typeof shape === "object" ? refusal(growing, shape, statement) : undefined;
      if (refused !== undefined) {
        growing.problems.push(problemAt(statement, "general", refused));
        skipBlock(growing);
      } else nodes.push({ ...statement, body: growBody(growing, shape, keyword) });
    }
  }
  return nodes;
}

function growBody(growing: Growing, shape: Shape, keyword: string): readonly Node[] {
  if (typeof shape === "object") {
    return growLevel(growing, shape, keyword === "global_defs" ? "line" : "file", false);
  }
  if (shape === "values") return growValues(growing);
  skipBlock(growing);
  return [];
}

/** The entries up to the first closing brace; an opening one is an entry like any other. */
function growValues(growing: Growing): readonly Node[] {
  const entries: Node[] = [];
  while (growing.at < growing.statements.length) {
    const statement = growing.statements[growing.at++]!;
    if (statement.brace === "{") growing.depth++;
    if (statement.brace === "}") {
      growing.depth--;
      break;
    }
    entries.push(statement);
  }
  return entries;
}

/** Passes over everything up to the brace that ends the block. */
function skipBlock(growing: Growing): void {
  const outside = growing.depth - 1;
  while (growing.at < growing.statements.length && growing.depth > outside) {
    const { brace } = growing.statements[growing.at++]!;
    if (brace === "{") growing.depth++;
    if (brace === "}") growing.depth--;
  }
}

/** Why a block cannot be created, or undefined. */
function refusal(growing: Growing, grammar: Grammar, at: Statement): string | undefined {
  if (grammar.named === undefined) return undefined;
  const name = at.words[1]?.text;
  if (name === undefined || at.words.length !== 2) return grammar.named.missing;
  let names = growing.names.get(grammar);
  if (names === undefined) growing.names.set(grammar, names = new Set());
  if (names.has(name)) return grammar.named.duplicate(name);
  names.add(name);
  return undefined;
}
