/** The manual page and the completions say what the command line understands. */

import { expect, test } from "bun:test";
import { optionGroups } from "../src/cli/options.ts";
import { outlineVerbs } from "../src/cli/verbs.ts";
import { bashCompletion, fishCompletion, zshCompletion } from "./completions.ts";
import { entriesOf } from "../src/config/reference.ts";
import { root } from "../src/config/root.ts";
import { configurationPage, manPage } from "./man_page.ts";

const options = optionGroups.flatMap((group) => group.options);
const verbs = outlineVerbs();

test("every option is in the manual page and in every completion", () => {
  const page = manPage().replaceAll("\\-", "-");
  const bash = bashCompletion();
  const zsh = zshCompletion();
  const fish = fishCompletion("keepalived");
  for (const { long, short, usage, value, purpose } of options) {
    expect(page).toContain(`.B ${usage.trim()}\n`);
    const inBash = value === "required" ? `--${long}=` : `--${long}`;
    expect(bash.split(/[\s"]/)).toContain(inBash);
    const suffix = { none: "", required: "=", optional: "=-" }[value];
    expect(zsh).toContain(`--${long}${suffix}[`);
    const row = fish.split("\n").find((line) => line.includes(` -l ${long} `));
    expect(row).toContain(purpose.replaceAll("'", "\\'"));
    if (short === undefined) continue;
    expect(bash.split(/[\s"]/)).toContain(`-${short}`);
    expect(row).toContain(`-s ${short}`);
  }
});

test("every verb is in the manual page and completed as upkeep, not as keepalived", () => {
  expect(verbs.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["demo", "version", "help"]),
  );
  for (const { name, options: own } of verbs) {
    expect(manPage()).toMatch(new RegExp(`^\\.BI? "?${name}\\b`, "m"));
    expect(fishCompletion("upkeep")).toContain(` -a ${name} `);
    expect(fishCompletion("keepalived")).not.toContain(` -a ${name} `);
    for (const { flags } of own) {
      const long = /--([\w-]+)/.exec(flags)?.[1];
      const row = new RegExp(`seen_subcommand_from ${name}' (-s . )?-l ${long} `);
      expect(fishCompletion("upkeep")).toMatch(row);
      expect(zshCompletion()).toContain(`--${long}`);
    }
  }
});

test("what takes a file completes files, what takes a number or a word does not", () => {
  const fish = fishCompletion("keepalived").split("\n");
  const row = (long: string): string => fish.find((line) => line.includes(` -l ${long} `)) ?? "";
  expect(row("pid")).toContain("-r -F");
  expect(row("umask")).toContain(" -x ");
  expect(row("dont-fork")).not.toMatch(/ -[xrF] /);
});

test("no line of a page is a command by accident", () => {
  const known = /^\.(TH|SH|SS|TP|PP|B|I|BI|BR|RI|RS|RE|br)\b/;
  for (const page of [manPage(), configurationPage()]) {
    const strays = page.split("\n").filter((line) => /^[.']/.test(line) && !known.test(line));
    expect(strays).toEqual([]);
  }
});

test("every keyword of the tables is in keepalived.conf(5)", () => {
  const page = configurationPage().replaceAll("\\-", "-");
  const entries = entriesOf(root);
  expect(entries.length).toBeGreaterThan(500);
  const missing = entries.filter(({ keyword, row }) =>
    row.bare !== true && !page.includes(`.B "${keyword}`)
  );
  expect(missing.map(({ keyword }) => keyword)).toEqual([]);
});
