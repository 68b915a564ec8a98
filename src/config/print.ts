/**
 * Values → text: the way back from what a configuration says to a file that says it, one statement a
 * line, two blanks a level, in the order of the tables. What equals its default is left out. The
 * text holds no include, condition or definition any more, so it says the same on every machine.
 */
import type { AnyBlock, BlockRow, LineRow, ListRow, Row, Written } from "./schema.ts";
import { MASK } from "./secrets.ts";

/** How to print. */
export interface PrintOptions {
  /** Secrets as they are, so that the text can be used as a configuration. */
  readonly showSecrets?: boolean;
}

/**
 * The canonical text of what a block says, `root` being its keywords: reading it gives the same values
 * again, unless a secret is masked. Empty when everything has its default.
 */
export function printConfig(values: Written, root: AnyBlock, options: PrintOptions = {}): string {
  const lines: string[] = [];
  printBlock(values, root, "", lines, options.showSecrets === true);
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

function printBlock(
  values: Written,
  block: AnyBlock,
  indent: string,
  lines: string[],
  showSecrets: boolean,
): void {
  const rows = block.rows() as Readonly<Record<string, Row<unknown>>>;
  const empty = block.initial();
  for (const keyword of Object.keys(rows)) {
    const row = rows[keyword]!;
    const key = row.aliasOf ?? keyword;
    const value = values[key];
    if (value === undefined) continue;
    const initial = empty[key];
    // An empty list that was written is another array than the one nobody wrote.
    const isInitial = row.shape === "values" ? value === initial : isSame(value, initial);
    if (!isInitial) printRow(keyword, row, value, indent, lines, showSecrets);
  }
}

function printRow(
  keyword: string,
  row: Row<unknown>,
  value: unknown,
  indent: string,
  lines: string[],
  showSecrets: boolean,
): void {
  const show = (text: string): string => row.secret === true && !showSecrets ? MASK : text;
  if (row.shape === "line") {
    for (const text of (row as LineRow<unknown>).format?.(value) ?? []) {
      lines.push(indent + (row.bare === true ? shield(text) : join(keyword, show(text))));
    }
    return;
  }
  const inner = `${indent}  `;
  if (row.shape === "values") {
    const { format } = row as ListRow<unknown>;
    if (format === undefined) return;
    lines.push(`${indent}${keyword} {`);
    for (const entry of value as readonly unknown[]) {
      lines.push(`${inner}${shield(show(format(entry)))}`);
    }
    lines.push(`${indent}}`);
    return;
  }
  const { format, inside } = row as BlockRow<unknown>;
  for (const { words, values } of format?.(value) ?? []) {
    lines.push(`${indent}${join(keyword, words)} {`);
    printBlock(values, inside, inner, lines, showSecrets);
    lines.push(`${indent}}`);
  }
}

function join(keyword: string, text: string): string {
  return text === "" ? keyword : `${keyword} ${text}`;
}

/** An entry of several words must not look like an include. */
function shield(entry: string): string {
  const name = /^include[rmwba]?(?=\s)/.exec(entry)?.[0];
  return name === undefined ? entry : `"${name}"${entry.slice(name.length)}`;
}

/** Whether two values of plain JSON are equal. */
function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = a as Written;
  const right = b as Written;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && isSame(left[key], right[key]));
}
