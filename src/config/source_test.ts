/** Files to statements: places, includes, conditions, and texts that try to hang us. */
import { expect, test } from "bun:test";
import { type Files, memoryFiles } from "./files.ts";
import { type Problem, Problems } from "./problem.ts";
import { readSource } from "./source.ts";
import type { Statement } from "./statement.ts";

function readAll(
  path: string,
  files: Files,
): { statements: Statement[]; problems: Problem[] } {
  const problems = new Problems();
  const statements: Statement[] = [];
  readSource(path, files, problems, (statement, control) => {
    statements.push(statement.kept());
    if (statement.words[0] === "include_check") control.setIncludeChecks(statement.words.slice(1));
  });
  return { statements, problems: problems.list };
}

/** Statements as text, one per line, and the messages. */
function read(
  texts: string | Record<string, string | Uint8Array>,
  rest: Partial<Files> = {},
): { statements: string[]; messages: string[]; problems: Problem[] } {
  const all = typeof texts === "string" ? { "/etc/k.conf": texts } : texts;
  const { statements, problems } = readAll("/etc/k.conf", memoryFiles(all, rest));
  return {
    statements: statements.map((one) => one.words.join(" ")),
    messages: problems.map((problem) => problem.message),
    problems,
  };
}

test("statements know their line and column", () => {
  const files = memoryFiles({ "/k": "\n  $A=x\r\n\t@router a b {\r\n y $A z\n" });
  const { statements } = readAll("/k", files);
  expect(statements.map((one) => [
    one.line,
    one.columnOf(0),
    one.source,
    ...one.words.map((_, i) => one.columnOf(i)),
  ])).toEqual([
    [3, 10, "\t@router a b {", 10, 12],
    [3, 14, "\t@router a b {", 14],
    [4, 2, " y $A z", 2, 4, 4],
  ]);
});

test("bytes that are no text, NUL and overlong lines cost their line only", () => {
  const bytes = new Uint8Array([0x61, 0xff, 0x0a, 0x62, 0x00, 0x0a, 0x63]);
  expect(read({ "/etc/k.conf": bytes })).toMatchObject({
    statements: ["a\ufffd", "c"],
    messages: ["Line holds a NUL character - ignoring it"],
  });
  expect(read(`${"x".repeat(1024)}\n${"y".repeat(1023)}\n#${"z".repeat(2000)}`)).toMatchObject({
    statements: ["y".repeat(1023)],
    messages: ["Line is longer than 1023 characters - ignoring it"],
  });
});

test("includes nest, start from their own folder, and end", () => {
  const texts = {
    "/etc/k.conf": "include d/one.conf\nlast ${_PWD}",
    "/etc/d/one.conf": "include two.conf\none ${_PWD}",
    "/etc/d/two.conf": "include two.conf\ntwo",
  };
  const { statements, messages } = read(texts);
  expect(statements.slice(-2)).toEqual(["one /etc/d", "last /etc"]);
  expect(messages).toEqual([
    "Configuration file 'two.conf' open problem (Too many open files) - skipping",
  ]);
  // Every level includes twice: without a limit on files this would never end.
  const bomb = { "/etc/k.conf": "include k.conf\ninclude k.conf\nx" };
  expect(read(bomb).statements.length).toBeLessThanOrEqual(4096);
});

test("what the main file lacks ends a start, whatever the checks", () => {
  const missing = read({ "/etc/other": "" }).problems;
  expect(missing).toMatchObject([{
    message: "Config files missing '/etc/k.conf'.",
    severity: "fatal",
    prefix: "none",
    exit: { start: 6, test: 0 },
  }]);
  expect(read({}, { allIncludeChecks: true }).problems[0]?.exit?.test).toBe(4);
  expect(read({ "/etc/k.conf/x": "" }).messages)
    .toEqual(["Configuration file '/etc/k.conf/' is a directory - skipping"]);
});

test("each include word enforces its own checks", () => {
  const texts = (line: string): Record<string, string> => ({
    "/etc/k.conf": line,
    "/etc/a.conf": "",
    "/etc/d/x": "",
  });
  const fatal = (line: string): boolean =>
    read(texts(line)).problems.some((problem) => problem.severity === "fatal");
  const table: readonly (readonly [string, string])[] = [
    ["none.conf", "am"],
    ["none*.conf", "aw"],
    ["{a,z}.conf", "ab"],
    ["d", "abmrw"],
    ["a.conf", ""],
  ];
  for (const [pattern, enforcing] of table) {
    const found = [..."abmrw"].filter((letter) => fatal(`include${letter} ${pattern}`)).join("");
    expect([pattern, found]).toEqual([pattern, enforcing]);
    expect(fatal(`include ${pattern}`)).toBe(false);
  }
  expect(fatal("include_check -match +wildcard_match\ninclude none.conf")).toBe(false);
  const inner = { "/etc/k.conf": "include a\ninclude none.conf", "/etc/a": "include_check" };
  expect(read(inner).problems.map((problem) => problem.severity)).toEqual(["warning"]);
  expect(fatal("include_check\ninclude none.conf")).toBe(true);
  expect(fatal("include_check match\ninclude_check readable\ninclude none.conf")).toBe(false);
});

test("texts that repeat themselves stay bounded", () => {
  const endless = "Expansion never ends - ignoring the line";
  expect(read("$A=${A}x\n$A\nb").messages).toEqual([endless]);
  expect(read("$A=$B\n$B=$A\n$A\nb").messages).toEqual([endless]);
  const doubling = Array.from({ length: 40 }, (_, i) => `$D${i + 1}= \\\n$D${i} \\\n$D${i}`);
  expect(read(`$D0=x\n${doubling.join("\n")}\n$D40\nb`).messages.length).toBeGreaterThan(0);
  const counting = "~SEQ(A,1,99999) ~SEQ(B,1,99999) ~SEQ(C,1,99999) x";
  expect(read(counting).messages).toContain(
    "Configuration expands to too much text - ignoring the rest",
  );
});

test("multi-line names nest in their written order", () => {
  const text = "$A= \\\nx $B \\\n$C \\\na3\n$B= \\\nb1 \\\nb2\n$C= \\\nc1 \\\nc2\ny $A\n$A no\nend";
  expect(read(text).statements).toEqual(["y x b1", "b2", "c1", "c2", "a3", "$A no", "end"]);
});

test("conditions compare with the host name's first part or the given id", () => {
  const text = "@router a\n@^router b\n@router\n@\n@other c\n@^other d\n@router @router e";
  expect(read(text).statements).toEqual(["a", "d", "@router e"]);
  expect(read(text, { configId: "other" }).statements).toEqual(["b", "c"]);
});

test("random numbers follow from the seed and stay in range", () => {
  const text = "~SEQ(N, 1, 50) ${_RANDOM 3 5}\n${_RANDOM}\n${_RANDOM x}";
  const { statements } = read(text, { randomSeed: 5 });
  expect(read(text, { randomSeed: 5 }).statements).toEqual(statements);
  expect(new Set(statements.slice(0, 50))).toEqual(new Set(["3", "4", "5"]));
  expect(statements.slice(51).join(" ")).toBe("$ { _RANDOM x }");
});

test("lines of words and braces give the same as lines that go the whole way", () => {
  const shown = (text: string): readonly string[] =>
    readAll("/etc/k.conf", memoryFiles({ "/etc/k.conf": text })).statements.map((one) =>
      `${one.line} ${one.brace} ${one.words.join("|")} ${one.columnOf(0)} ${one.columnOf(1)} ` +
      one.raw.trim()
    );
  const tokens = ["a", "weight 1", "{", "}", " ", "\t", "\n", "\n", "\r\n", "x{y", "}z", "\u00a0é"];
  for (let seed = 1; seed <= 400; seed++) {
    let state = seed * 7919;
    const next = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
      return (state >> 8) % below;
    };
    // Some stretches of lines are larger than what is read in one go.
    const count = seed % 40 === 0 ? 3000 : 60;
    const text = Array.from({ length: next(count) }, () => tokens[next(tokens.length)]!).join("");
    // An empty comment at the end of every line changes nothing but the way.
    const commented = text.replace(/\r?(\n|$)/g, "#$1");
    expect([seed, ...shown(text)]).toEqual([seed, ...shown(commented)]);
  }
});

test("long lines go the whole way, and are refused as ever", () => {
  const long = "x".repeat(1023);
  expect(read(`a\n${long}\nb`).statements).toEqual(["a", long, "b"]);
  expect(read(`a\n${long}x\nb`)).toMatchObject({
    statements: ["a", "b"],
    messages: ["Line is longer than 1023 characters - ignoring it"],
  });
});
