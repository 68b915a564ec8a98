/** Lines to words, by both sets of rules. */
import { expect, test } from "bun:test";
import { cut, shellWords, stripComment } from "./words.ts";

/** The pieces of a text as one line: words joined by "|", pieces by blanks. */
function cutting(text: string): string {
  const { pieces, unmatched } = cut(stripComment(text).text, 0, Infinity);
  const shown = pieces.map((piece) => piece.words.map((word) => word.text).join("|"));
  return shown.join(" ") + (unmatched ? " unmatched" : "");
}

test("a line is cut into words and braces", () => {
  const table: readonly (readonly [string, string])[] = [
    ["", ""],
    [" \t\r\v\f ", ""],
    ["a b\tc", "a|b|c"],
    ["a { b 1", "a { b|1"],
    ["c }", "c }"],
    ["a{b}c", "a { b } c"],
    ['say "a b" c', "say|a b|c"],
    ['say ""', "say|"],
    ['say "{#!}"', "say|{#!}"],
    ['a"b c"d', "a|b c|d"],
    ['x "a b \\" c', "x|a b \\|c"],
    ['x "open', "x unmatched"],
    ["a4#x", "a4"],
    ["a !b", "a"],
    ["a\\#b \\!c", "a#b|!c"],
    ["a\\b", "a\\b"],
    ["'a b'", "'a|b'"],
  ];
  for (const [text, expected] of table) expect([text, cutting(text)]).toEqual([text, expected]);
});

test("columns count from 1 and stand still behind a variable", () => {
  const columns = (exact: number): number[] =>
    cut('a "b" {c', 10, exact).pieces.flatMap((piece) => piece.words.map((word) => word.column));
  expect(columns(Infinity)).toEqual([11, 14, 17, 18]);
  expect(columns(2)).toEqual([11, 13, 13, 13]);
});

test("a piece keeps its raw text, even behind an open quote", () => {
  expect(cut("a  'b c' } d", 0, Infinity).pieces.map((piece) => piece.raw.trim()))
    .toEqual(["a  'b c'", "}", "d"]);
  expect(cut('a "b c', 0, Infinity).pieces[0]?.raw).toBe('a "b c');
});

test("comments end at quotes and tell of open ones", () => {
  expect(stripComment('a "# no" # yes')).toEqual({ text: 'a "# no"', open: false });
  expect(stripComment('a "# no')).toEqual({ text: 'a "# no', open: true });
  expect(stripComment("! all")).toEqual({ text: "", open: false });
});

test("shell words join pieces, know both quotes and every escape", () => {
  const table: readonly (readonly [string, readonly string[]])[] = [
    ["", []],
    ["a  b", ["a", "b"]],
    [`a"b 'c'"'d "e"'`, [`ab 'c'd "e"`]],
    ["''", [""]],
    [String.raw`\a\b\E\f\n\r\t\v\q`, ["\x07\b\x1b\f\n\r\t\vq"]],
    [String.raw`\101\7\x41\x4\xg\cA\377`, ["A\x07A\x04xg\x01\xff"]],
    [String.raw`'\n'`, ["\\n"]],
    [String.raw`"a\"b" a\ b`, ['a"b', "a b"]],
    ["end\\", ["end\\"]],
  ];
  for (const [text, expected] of table) {
    expect([text, shellWords(text).words]).toEqual([text, expected]);
    expect(shellWords(text).open).toBe("");
  }
  expect(shellWords(`a 'b`).open).toBe("'");
  expect(shellWords(`a "b'`).open).toBe('"');
  expect(shellWords("a b c", 2)).toEqual({ words: ["a", "b"], end: 3, open: "" });
});
