/**
 * The verb `check`: everything that is wrong or unwise in one or more configurations, for people or as
 * JSON. Several files are also compared with each other: they are to guard the same addresses. So are
 * the nodes that one file speaks of in its conditions (`@NODE`).
 */

import { writeSync } from "node:fs";
import { explained } from "../config/codes.ts";
import { finder } from "../config/finding.ts";
import { lint } from "../config/lint.ts";
import { load, type Loaded } from "../config/load.ts";
import { comparePair, type Side } from "../config/pair.ts";
import { printConfig } from "../config/print.ts";
import { explainProblem, type Problem, type Problems, type Severity } from "../config/problem.ts";
import { root } from "../config/root.ts";
import type { Written } from "../config/schema.ts";
import { systemFiles } from "../parent/files.ts";
import { isColourful, type Paint, painter } from "./colour.ts";
import { systemWorld } from "../parent/world.ts";

/** What the command line asks of a check. */
export interface CheckOptions {
  /** At least one. */
  readonly files: readonly string[];
  readonly json: boolean;
  /** Warnings and lints make the exit status 1. */
  readonly strict: boolean;
  /** The canonical configuration goes to standard output, problems to standard error. */
  readonly print: boolean;
  readonly showSecrets: boolean;
  /** Words that keepalived does not know are errors. */
  readonly keepalived: boolean;
  readonly lint: boolean;
  /** The configuration is for another machine. */
  readonly offline: boolean;
  /** Codes of warnings and lints to leave out. */
  readonly ignore: readonly string[];
  readonly configId: string | undefined;
}

/** What was found. */
export interface Report {
  readonly problems: readonly ReturnType<typeof explained>[];
  /** The canonical text of each file. */
  readonly printed: readonly string[];
  /** 0 clean, 1 warnings or lints when strict, 2 errors. */
  readonly status: 0 | 1 | 2;
}

/** More nodes than these are not compared. */
const MOST_NODES = 16;
const SEVERITIES = ["fatal", "error", "warning", "lint"] as const;

/** A file that was read, and what a comparison needs of it. */
interface Read {
  readonly name: string;
  readonly loaded: Loaded;
  readonly found: Problems | undefined;
}

/** Checks, prints and gives the exit status. */
export function runCheck(options: CheckOptions): number {
  const report = check(options);
  if (options.json) say(1, `${JSON.stringify(toJson(options, report), null, 2)}\n`);
  else if (options.print) {
    say(1, printedTexts(options, report).join("\n"));
    say(2, formatReport(options, report, painter(isColourful(process.stderr))));
  } else say(1, formatReport(options, report, painter(isColourful(process.stdout))));
  return report.status;
}

/** Writes all of it, also to a pipe that takes it slowly. */
function say(fd: 1 | 2, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EAGAIN") return; // nobody reads any more
      Bun.sleepSync(1);
    }
  }
}

/** Finds everything; the world is this machine unless the options say otherwise. */
export function check(options: CheckOptions): Report {
  const all: Problem[] = [];
  const reads = options.files.map((file) => {
    const read = readFile(file, options.configId, options);
    all.push(...read.loaded.problems);
    if (options.configId === undefined) all.push(...checkNodes(file, read, options));
    return read;
  });
  for (const [i, left] of reads.entries()) {
    for (const right of reads.slice(i + 1)) all.push(...compare(left, right));
  }
  const isShown = ({ severity, code }: Report["problems"][number]): boolean =>
    severity === "fatal" || severity === "error" || !options.ignore.includes(code);
  const problems = unique(all).map(explained).filter(isShown);
  const printed = reads.map(({ loaded }) =>
    printConfig(loaded.written as Written, root, { showSecrets: options.showSecrets })
  );
  return { problems, printed, status: statusOf(problems, options.strict) };
}

function statusOf(problems: readonly Problem[], isStrict: boolean): Report["status"] {
  const isBad = problems.some(({ severity }) => severity === "fatal" || severity === "error");
  return isBad ? 2 : isStrict && problems.length > 0 ? 1 : 0;
}

function readFile(name: string, configId: string | undefined, options: CheckOptions): Read {
  const files = systemFiles({
    configId,
    allIncludeChecks: false,
    cwd: process.cwd(),
    isOnce: true,
  });
  const world = systemWorld(files, options.offline);
  let found: Problems | undefined;
  const loaded = load(name, world, "test", {
    keepalived: options.keepalived,
    inspect: (what, problems) => {
      found = problems;
      if (options.lint) lint(what, world, problems);
    },
  });
  return { name, loaded, found };
}

/** Reads a file as each node that its conditions name, and compares them. */
function checkNodes(file: string, { found }: Read, options: CheckOptions): readonly Problem[] {
  const nodes = [...found?.nodes ?? []].filter((node) => node !== "").slice(0, MOST_NODES);
  const reads = nodes.map((node) => ({ ...readFile(file, node, options), name: `@${node}` }));
  const problems = reads.flatMap(({ loaded }) => loaded.problems);
  for (const [i, left] of reads.entries()) {
    for (const right of reads.slice(i + 1)) {
      // A node need not have every instance.
      problems.push(...compare(left, right).filter(({ code }) => code !== "pair_missing"));
    }
  }
  return problems;
}

function compare(left: Read, right: Read): readonly Problem[] {
  const problems = left.found?.sibling();
  if (problems === undefined) return [];
  const side = ({ name, loaded }: Read): Side => ({ name, config: loaded.config });
  comparePair(side(left), side(right), finder(problems));
  return problems.finish();
}

/** Nodes of one file share most of their problems. */
function unique(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

function printedTexts({ files }: CheckOptions, { printed }: Report): readonly string[] {
  return files.length === 1 ? printed : printed.map((text, i) => `# ${files[i]}\n${text}`);
}

/** The report for people: each problem explained, then a line that counts them. */
export function formatReport(options: CheckOptions, report: Report, paint: Paint): string {
  const { problems } = report;
  const explained = problems.map((problem) => paintProblem(problem, paint)).join("\n");
  const counts = SEVERITIES.flatMap((severity) => {
    const count = problems.filter((problem) => problem.severity === severity).length;
    return count === 0 ? [] : [`${count} ${PLURAL[severity](count)}`];
  });
  const verdict = counts.length === 0
    ? paint("no problems", "green")
    : paint(counts.join(", "), report.status === 2 ? "red" : "yellow");
  const summary = `${options.files.join(", ")}: ${verdict}\n`;
  return explained === "" ? summary : `${explained}\n${summary}`;
}

const s = (word: string) => (count: number): string => count === 1 ? word : `${word}s`;
const PLURAL: Readonly<Record<Severity, (count: number) => string>> = {
  fatal: () => "fatal",
  error: s("error"),
  warning: s("warning"),
  lint: s("lint"),
};
const COLOUR = { fatal: "red", error: "red", warning: "yellow", lint: "blue" } as const;

function paintProblem(problem: Problem, paint: Paint): string {
  const { severity } = problem;
  const [first, ...rest] = explainProblem(problem).split("\n");
  const head = paint(severity, COLOUR[severity]) + first!.slice(severity.length);
  const tail = rest.map((line) =>
    /^ +\| \s*\^+$/.test(line) || line.startsWith("  hint: ")
      ? paint(line, line.endsWith("^") ? COLOUR[severity] : "green")
      : line
  );
  return [head, ...tail].join("\n");
}

function toJson({ files, print }: CheckOptions, { problems, printed, status }: Report): unknown {
  return {
    files: files.map((file, i) => ({ file, ...(print ? { printed: printed[i] } : {}) })),
    problems: problems.map(({ code, severity, file, line, column, message, ...rest }) => ({
      severity,
      code,
      file,
      line,
      column,
      message,
      ...(rest.hint === undefined ? {} : { hint: rest.hint }),
      ...(rest.word === undefined ? {} : { word: rest.word }),
      ...(rest.includedBy === undefined ? {} : { includedBy: rest.includedBy }),
    })),
    status,
  };
}
