/** Patterns: PCRE2's language row by row, ECMAScript as a second opinion, and texts that are meant to hurt. */

import { describe, expect, test } from "bun:test";
import { prng } from "../../../test/support/prng.ts";
import { compilePattern, type Found, type Pattern, searchPattern } from "./pattern.ts";

function compiled(source: string, options: readonly string[] = []): Pattern {
  const pattern = compilePattern(source, options);
  if (typeof pattern === "string") throw new Error(`${source}: ${pattern}`);
  return pattern;
}

function search(source: string, text: string, options: readonly string[] = []): Found {
  const pattern = compiled(source, options);
  const bytes = new TextEncoder().encode(text);
  const all = pattern.isUtf ? Uint32Array.from(text, (char) => char.codePointAt(0)!) : bytes;
  return searchPattern(pattern, all, 0, all.length);
}

/** What matches and what does not, under options. The expectations are those of pcre2test. */
const ROWS: readonly (readonly [string, string, readonly string[], readonly string[]])[] = [
  ["hello", "", ["hello", "say hello!"], ["hell", "HELLO", ""]],
  ["hello", "caseless", ["HeLLo"], ["hell"]],
  ["(?i)he(?-i)llo", "", ["HEllo", "hello"], ["heLLO"]],
  ["(?i:he)llo", "", ["HEllo"], ["HELLO"]],
  ["a(?i)b|c", "", ["aB", "C"], ["AB"]],
  ["^ok$", "", ["ok", "ok\n"], ["ok\n\n", " ok", "a\nok\n"]],
  ["^ok$", "multiline", ["a\nok\nb", "ok"], ["a ok"]],
  ["^ok$", "dollar_endonly", ["ok"], ["ok\n"]],
  ["\\Aok\\Z", "multiline", ["ok", "ok\n"], ["a\nok"]],
  ["ok\\z", "", ["ok"], ["ok\n"]],
  ["a.c", "", ["abc", "a\rc"], ["a\nc", "ac"]],
  ["a.c", "dotall", ["a\nc"], []],
  ["a\\Nc", "dotall", ["abc"], ["a\nc"]],
  ["a{2}", "", ["aa"], ["a"]],
  ["^a{2,3}$", "", ["aa", "aaa"], ["a", "aaaa"]],
  ["^a{2,}$", "", ["aa", "aaaaa"], ["a"]],
  ["a{,3}", "", ["a{,3}"], ["aaa"]],
  ["a{b", "", ["a{b"], ["ab"]],
  ["^(a|bc)*?d+$", "", ["d", "abcad", "bcdd"], ["abd"]],
  ["^(?:a|b)++c", "", ["abc"], ["c"]],
  ["^$", "", ["", "\n"], ["a"]],
  ["[a-c]x[^a-c]", "", ["bxd"], ["dxd", "bxb"]],
  ["[]a]", "", ["]", "a"], ["b"]],
  ["[^]a]", "", ["b"], ["]", "a"]],
  ["[]a]", "allow_empty_class", [], ["]", "a", "a]"]],
  ["[a\\]b-]", "", ["]", "-", "b"], ["c"]],
  ["[\\d-x]", "", ["5", "-", "x"], ["y"]],
  ["[[:digit:][:upper:]_]+x", "", ["1A_x"], ["ax"]],
  ["[[:^digit:]]", "", ["a"], ["1"]],
  ["\\d\\D\\w\\W\\s\\S", "", ["1a_- x"], ["1a_-xx"]],
  ["\\bcat\\b", "", ["a cat.", "cat"], ["concat", "cats"]],
  ["\\Bcat", "", ["concat"], ["cat"]],
  ["\\x41\\x{42}\\060\\t", "", ["AB0\t"], ["AB0t"]],
  ["\\Q.*\\E+", "", [".**"], ["ab"]],
  ["a\\Rb", "", ["a\nb", "a\r\nb", "a\rb"], ["a\n\nb"]],
  ["a\\hb", "", ["a b", "a\tb"], ["a\nb"]],
  ["a b # no\n c", "extended", ["abc"], ["a b c"]],
  ["a\\ b", "extended", ["a b"], ["ab"]],
  ["a(?#inside)b", "", ["ab"], ["a"]],
  ["foo(?=bar)", "", ["foobar"], ["foobaz"]],
  ["foo(?!bar)", "", ["foobaz"], ["foobar"]],
  ["(?<=foo)bar", "", ["foobar"], ["fobar"]],
  ["(?<!foo)bar", "", ["fobar", "bar"], ["foobar"]],
  ["^(?!.*error).*$", "dotall", ["fine"], ["an error\n"]],
  ["(?<year>\\d{4})-(?P<m>\\d\\d)-(?'d'\\d\\d)", "", ["2026-11-20"], ["2026-1-20"]],
  ["caf.$", "", ["cafe"], ["caf\u00e9"]],
  ["caf.$", "utf", ["cafe", "caf\u00e9"], ["caf"]],
  ["^\\w+$", "utf ucp", ["stra\u00dfe"], ["a b"]],
  ["^\\w+$", "utf", ["strasse"], ["stra\u00dfe"]],
  ["\u00c4", "utf caseless", ["\u00e4"], ["a"]],
  ["\\p{Lu}\\P{Lu}", "utf", ["\u00c4b"], ["ab", "AB"]],
  ["\u20ac", "", ["5 \u20ac"], ["5"]],
  ["ok", "firstline", ["x ok\n"], ["x\nok"]],
  ["a||b", "", ["", "x"], []],
];

describe("a pattern", () => {
  for (const [source, options, good, poor] of ROWS) {
    test(`${JSON.stringify(source)} ${options}`, () => {
      const names = options.split(" ").filter((name) => name !== "");
      for (const text of good) expect([text, search(source, text, names)]).toEqual([text, "match"]);
      for (const text of poor) {
        expect([text, search(source, text, names)]).toEqual([text, "no match"]);
      }
    });
  }
});

test("a pattern that cannot be used says why", () => {
  const says: readonly (readonly [string, string])[] = [
    ["(a)\\1", "\\1 is not supported"],
    ["(?R)", "(?R is not supported"],
    ["(a", "missing closing parenthesis"],
    ["a)", "unmatched closing parenthesis"],
    ["[a", "missing ] of a class"],
    ["*a", "nothing for * to repeat"],
    ["a\\", "a backslash at the end"],
    ["[b-a]", "a range of a class is out of order"],
    ["a{3,2}", "{3,2} is out of order"],
    ["[[:nix:]]", "there is no class [:nix:]"],
    ["\\p{Nix}", "there is no property Nix"],
    ["(*COMMIT)a", "verbs, (*...), are not supported"],
    ["((((a{99}){99}){99}){99}){99}", "it is too large"],
    ["(".repeat(500), "groups too deep in each other"],
  ];
  for (const [source, why] of says) expect(compilePattern(source, [])).toBe(why);
});

test("a match begins where it may", () => {
  const pattern = compiled("b+");
  const text = new TextEncoder().encode("abbbc");
  const table = [[0, 5, "match"], [2, 5, "match"], [4, 5, "no match"], [0, 0, "no match"]] as const;
  for (const [min, max, found] of table) {
    expect([min, max, searchPattern(pattern, text, min, max)]).toEqual([min, max, found]);
  }
  // It may look at what is before.
  expect(searchPattern(compiled("(?<=ab)b"), text, 2, 5)).toBe("match");
});

test("ECMAScript is of the same opinion about random patterns", () => {
  const random = prng(7);
  const pick = (from: string): string => from[random.integer(0, from.length - 1)]!;
  const piece = (depth: number): string => {
    switch (random.integer(0, depth > 3 ? 2 : 7)) {
      case 0:
      case 1:
        return pick("abc.");
      case 2:
        return pick("^$") + pick("ab");
      case 3:
        return `(?:${piece(depth + 1)}|${piece(depth + 1)})`;
      case 4:
        return `(?:${piece(depth + 1)})${pick("*+?")}`;
      case 5:
        return `[${pick("^a")}bc]`;
      case 6:
        return `(?${pick("=!")}${piece(depth + 1)})${piece(depth + 1)}`;
    }
    return piece(depth + 1) + piece(depth + 1);
  };
  for (let round = 0; round < 3000; round++) {
    const source = piece(0) + piece(0);
    const text = Array.from({ length: random.integer(0, 6) }, () => pick("abc\n")).join("");
    const options = random.chance(0.5) ? ["dollar_endonly"] : ["multiline"];
    const expected = new RegExp(source, options[0] === "multiline" ? "m" : "").test(text);
    const found = search(source, text, options);
    // After a last newline a line begins for ECMAScript, and none for PCRE2.
    if (text.endsWith("\n") && options[0] === "multiline") continue;
    expect([source, text, options[0], found]).toEqual([
      source,
      text,
      options[0],
      expected ? "match" : "no match",
    ]);
  }
});

test("no text takes long", () => {
  const size = 256 * 1024;
  const started = performance.now();
  for (const source of ["(a+)+$", "(.*)(.*)(.*)(.*)x", "(a|a)*b", "(?=(.*x))y", "(?<=a{200})b"]) {
    const text = `${"a".repeat(size)}!`;
    expect(["no match", "too much work"]).toContain(search(source, text));
  }
  // Hours, or for ever, for a matcher that goes back.
  expect(performance.now() - started).toBeLessThan(10_000);
});
