/** How problems are printed and what exit statuses they give. */
import { expect, test } from "bun:test";
import {
  configTestStatus,
  explainProblem,
  formatProblem,
  isFatal,
  type Problem,
  problemAt,
  type ProblemKind,
  refusalOf,
  reportProblem,
  startStatus,
} from "./problem.ts";

const spot = {
  file: { name: "k.conf", text: "" },
  line: 3,
  column: 5,
  source: "\tpriority 300 # high",
};

function of(...kinds: readonly ProblemKind[]): readonly Problem[] {
  return kinds.map((kind) => problemAt(spot, kind, "x"));
}

test("a log line starts as keepalived's does", () => {
  expect(formatProblem(problemAt(spot, "general", "x"))).toBe("(k.conf: Line 3) x");
  expect(formatProblem(problemAt(spot, "general", "x", { prefix: "line" }))).toBe("(Line 3) x");
  expect(formatProblem(problemAt(spot, "general", "x", { prefix: "none" }))).toBe("x");
});

test("an explanation points at the word", () => {
  const problem = problemAt({ ...spot, column: 11 }, "invalid_number", "number '300' is too much", {
    word: "300",
    hint: "a number from 1 to 255",
  });
  expect(explainProblem(problem)).toBe([
    "error: k.conf:3:11: number '300' is too much",
    "  3 | \tpriority 300 # high",
    "    | \t         ^^^",
    "  hint: a number from 1 to 255",
  ].join("\n"));
});

test("a configuration test shows the log line first, and the rest indented under it", () => {
  const file = { name: "part.conf", text: "", includedBy: { file: spot.file, line: 2 } };
  const problem = problemAt(
    { ...spot, file, column: 11 },
    "invalid_number",
    "number '300' is bad",
    {
      word: "300",
      hint: "a number from 1 to 255",
    },
  );
  expect(reportProblem(problem).split("\n")).toEqual([
    "(part.conf: Line 3) number '300' is bad",
    "  3 | \tpriority 300 # high",
    "    | \t         ^^^",
    "  included by k.conf:2",
    "  hint: a number from 1 to 255",
  ]);
});

test("a line that may hold a secret is not shown", () => {
  const problem = problemAt({ ...spot, source: "  auth_pass hunter2" }, "general", "x");
  expect(JSON.stringify(problem)).not.toContain("hunter2");
});

test("the status of a configuration test follows the heaviest kind", () => {
  expect(configTestStatus([])).toBe(0);
  expect(configTestStatus(of("note", "not_supported"))).toBe(0);
  expect(configTestStatus(of("file_not_found"))).toBe(4);
  expect(configTestStatus(of("bad_interface", "fatal"))).toBe(4);
  expect(configTestStatus(of("fatal", "unknown_keyword"))).toBe(5);
  expect(configTestStatus(of("warning"))).toBe(5);
  expect(configTestStatus(of("deprecated", "security", "general"))).toBe(6);
  expect(configTestStatus(of("security", "bad_interface"))).toBe(5);
  const missing = problemAt(spot, "missing_parameter", "x", {
    severity: "fatal",
    exit: { start: 2, test: 2 },
  });
  expect(configTestStatus([...of("security"), missing])).toBe(2);
});

test("a reload is refused for what is fatal, and for any error when it is strict", () => {
  const fatal = problemAt(spot, "note", "f", { severity: "fatal" });
  const table: readonly [readonly Problem[], string | undefined, string | undefined][] = [
    [[], undefined, undefined],
    [of("warning", "note", "not_supported"), undefined, undefined],
    [of("warning", "general"), undefined, "x"],
    [[...of("general"), fatal], "f", "f"],
  ];
  for (const [problems, tolerant, strict] of table) {
    expect(refusalOf(problems, false)?.message).toBe(tolerant);
    expect(refusalOf(problems, true)?.message).toBe(strict);
  }
});

test("a start ends with the status of its first fatal mistake", () => {
  const fatal = problemAt(spot, "general", "x", { severity: "fatal" });
  const include = problemAt(spot, "note", "x", { severity: "fatal", exit: { start: 6, test: 6 } });
  expect(startStatus(of("security", "general"))).toBe(0);
  expect(isFatal(of("security", "general"))).toBe(false);
  expect(startStatus([...of("general"), fatal, include])).toBe(2);
  expect(startStatus([include, fatal])).toBe(6);
  expect(isFatal([include])).toBe(true);
});
