/** Words on the command line, right and wrong, as a user meets them. */

import { expect, test } from "bun:test";
import { resolve } from "node:path";

const MAIN = resolve(import.meta.dir, "../main.ts");

function upkeep(...words: string[]): { status: number; out: string; err: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, MAIN, ...words]);
  return { status: exitCode, out: stdout.toString(), err: stderr.toString() };
}

test("help and version go to standard output, without colour when it is no terminal", () => {
  const help = upkeep();
  expect(help.status).toBe(0);
  expect(help.out).toContain("demo");
  expect(help.out).toContain("Examples:");
  expect(help.out).not.toContain("demo-ping");
  expect(help.out).not.toContain("\x1b");
  expect(upkeep("help").out).toBe(help.out);
  expect(upkeep("help", "demo").out).toBe(upkeep("demo", "--help").out);
  expect(upkeep("demo", "--help").out).toContain("--advert-int <SECONDS>");
  expect(upkeep("version")).toMatchObject({ status: 0, out: expect.stringMatching(/^upkeep \d/) });
});

test("help for keywords", () => {
  const { out, status } = upkeep("help", "keyword", "advert_int");
  expect([status, out.split("\n")[0]]).toEqual([0, "advert_int SECS"]);
  expect(upkeep("help", "keyword", "real_server", "weight").out).toContain("real_server");
  expect(upkeep("help", "keyword", "--help")).toMatchObject({ status: 0, err: "" });
  expect(upkeep("help", "keyword").status).toBe(2);
  expect(upkeep("help", "keyword", "advert_itn")).toEqual({
    status: 2,
    out: "",
    err:
      "upkeep: unknown keyword 'advert_itn'\n(Did you mean advert_int?)\nSee upkeep help keyword\n",
  });
});

test("a mistake is answered with status 2 and the word that is wrong", () => {
  const table: readonly [string[], string][] = [
    [["dmo"], "unknown command 'dmo'\n(Did you mean demo?)"],
    [["demo", "--jsn"], "unknown option '--jsn'\n(Did you mean --json?)"],
    [["demo", "x"], "too many arguments"],
    [["demo", "--config", "a"], "--config takes two files, not 1"],
    [["demo", "--config", "a", "b", "c"], "--config takes two files, not 3"],
    [["demo", "--advert-int", "1", "--config", "a", "b"], "cannot be used with"],
    ...["0", "0.001", "0.015", "40.96", "-1", "1s", "", "NaN"].map(
      (value): [string[], string] => [["demo", `--advert-int=${value}`], "0.01 to 40.95"],
    ),
  ];
  for (const [words, text] of table) {
    const { status, out, err } = upkeep(...words);
    expect([words, status, out]).toEqual([words, 2, ""]);
    expect(err).toContain(`upkeep: `);
    expect(err).toContain(text);
  }
});
