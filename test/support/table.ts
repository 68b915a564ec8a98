/**
 * Text tables as test data: a header line, then one row per line, cells between bars. Lines without
 * a bar are headings for the reader and mean nothing.
 */

/** One row: trimmed cells by column name, and the row as written for messages. */
export type Row<Column extends string> = Readonly<Record<Column | "text", string>>;

/** Rows of `text`, whose header must be exactly `columns`; throws naming the line that is askew. */
export function parseTable<Column extends string>(
  columns: readonly Column[],
  text: string,
): Row<Column>[] {
  const lines = text.split("\n").filter((line) => line.includes("|"));
  const [header, ...rest] = lines.map((line) => line.split("|").map((cell) => cell.trim()));
  if (header?.join() !== columns.join()) {
    throw new Error(
      `The header is "${header?.join(" | ")}", it should be "${columns.join(" | ")}"`,
    );
  }
  return rest.map((cells, i) => {
    const line = lines[i + 1]!.trim();
    if (cells.length !== columns.length) {
      throw new Error(`"${line}" has ${cells.length} cells, it should have ${columns.length}`);
    }
    const named = columns.map((column, at) => [column, cells[at]!] as const);
    return Object.fromEntries([...named, ["text", line.replace(/\s+/g, " ")]]) as Row<Column>;
  });
}
