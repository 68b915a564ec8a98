/**
 * Golden configurations: each NN.conf gives the Config in NN.ok and the problems in NN.problems
 * (absent when there are none). UPDATE_GOLDEN=1 writes them; review the difference.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import type { Files } from "../../src/config/files.ts";
import { load } from "../../src/config/load.ts";
import {
  configTestStatus,
  explainProblem,
  formatProblem,
  startStatus,
} from "../../src/config/problem.ts";

const FOLDER = new URL("config/", import.meta.url).pathname;

/** The golden folder as if it were /golden, on a host called left.example with two links. */
const files: Files = {
  read: (path) =>
    existsSync(real(path)) ? readFileSync(real(path)) : { error: "No such file or directory" },
  list: (path) => existsSync(real(path)) ? readdirSync(real(path)) : undefined,
  stat: (path) => {
    const stat = statSync(real(path), { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    return { kind: stat.isDirectory() ? "directory" : "file", executable: stat.isDirectory() };
  },
  environment: (name) => name === "COLOUR" ? "blue" : undefined,
  hasLink: (name) => name === "eth0" || name === "eth1",
  linkBelow: (name) => name,
  cpuCount: 2,
  hostName: "left.example",
  configId: undefined,
  cwd: "/golden",
  allIncludeChecks: false,
  randomSeed: 1,
};

function real(path: string): string {
  // The rest of this machine has no say.
  return path.startsWith("/golden") ? path.replace(/^\/golden/, FOLDER) : `${FOLDER}none${path}`;
}

/** Log lines, explanations and exit statuses of a configuration, as the golden files hold them. */
function report(name: string): string {
  const start = load(name, files);
  const tested = load(name, files, "test");
  if (tested.problems.length === 0) return "";
  const lines = tested.problems.map((problem) =>
    `${formatProblem(problem)}\n    ${problem.kind} ${explainProblem(problem).replaceAll("\n", "\n    ")}`
  );
  const status = `start ${startStatus(start.problems)}, test ${configTestStatus(tested.problems)}`;
  return `${status}\n${lines.join("\n")}\n`;
}

function check(path: string, content: string): void {
  if (process.env["UPDATE_GOLDEN"] === "1") {
    if (content !== "") writeFileSync(path, content);
    else if (existsSync(path)) unlinkSync(path);
  }
  expect(existsSync(path) ? readFileSync(path, "utf8") : "").toBe(content);
}

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".conf")).sort();

for (const name of names) {
  const base = FOLDER + name.slice(0, -".conf".length);
  test(`config ${name}`, () => {
    const { config } = load(name, files);
    check(`${base}.ok`, `${JSON.stringify(config, null, 2)}\n`);
    check(`${base}.problems`, report(name));
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
  });
}

test("no secret shows up in any message", () => {
  for (const name of names) expect(report(name)).not.toContain("opens");
});
