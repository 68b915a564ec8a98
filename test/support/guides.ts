/**
 * Guides whose commands are run as they are written. A guide's first comment says which machines it has:
 *
 *     <!-- lab: debian router1 router2; host client -->
 *
 * `debian` are booted Debian machines with the package in /root, `debian-keepalived` the same with
 * keepalived installed, `host` a bare host, all on one link as 10.0.0.1, .2 …; `machine` alone is one
 * computer whose network nobody else sees; with `director` and `web` they are hosts of a kernel that has
 * IPVS, on two links (10.0.0.1, .2 … and 10.1.0.1, .2 …). A block is
 *
 *     ```conf NAME,NAME:PATH    a file on those machines (`sh NAME:PATH` likewise)
 *     ```console                lines `NAME# COMMAND`, each followed by lines of its output: every one
 *                               must turn up in this order, blanks as one, … for anything
 *     ```sh untested: WHY       what cannot be run here
 *
 * A command with output is repeated until it says that, for a while: elections take time.
 */

import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** Where they are. */
export const GUIDES = resolve(import.meta.dir, "../../docs/guides");

/** A guide and its lab: the names of the machines by what they are. */
export interface Guide {
  readonly name: string;
  readonly text: string;
  readonly lab: ReadonlyMap<string, string>;
}

/** All of them. Throws when one does not say what its lab is. */
export function readGuides(): Guide[] {
  return readdirSync(GUIDES).sort().map((name) => {
    const text = readFileSync(join(GUIDES, name), "utf8");
    const said = /<!-- lab: (.*) -->/.exec(text)?.[1];
    if (said === undefined) throw new Error(`${name} does not say what its lab is`);
    const pairs = said.split("; ").flatMap((part) => {
      const [role = "", ...names] = part.split(" ");
      return (names.length === 0 ? [role] : names).map((one) => [one, role] as const);
    });
    return { name, text, lab: new Map(pairs) };
  });
}

/** What a command did. */
interface Outcome {
  readonly status: number;
  readonly text: string;
}

/** A place where commands are run. */
export interface Place {
  /** Runs a line of shell and says what it did. */
  attempt(command: string): Promise<Outcome>;
  /** Writes a file. */
  write(path: string, text: string): void;
}

interface Block {
  readonly kind: string;
  readonly about: string;
  readonly text: string;
  readonly line: number;
}

/** The fenced blocks of a guide, also those inside a list. */
function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^( *)```(\w+) ?(.*)\n([^]*?)^\1```$/gm)].map((found) => ({
    kind: found[2]!,
    about: found[3]!,
    text: found[4]!,
    line: markdown.slice(0, found.index).split("\n").length,
  }));
}

interface Command {
  readonly place: string;
  readonly command: string;
  readonly output: readonly string[];
  readonly line: number;
}

function commandsOf({ text, line }: Block): Command[] {
  const commands: { place: string; command: string; output: string[]; line: number }[] = [];
  for (const [i, one] of text.trimEnd().split("\n").entries()) {
    const prompt = /^(\w+)# (.*)$/.exec(one);
    if (prompt !== null) {
      commands.push({ place: prompt[1]!, command: prompt[2]!, output: [], line: line + 1 + i });
    } else commands.at(-1)!.output.push(one);
  }
  return commands;
}

/** Whether all the lines turn up in their order. */
function says(text: string, lines: readonly string[]): boolean {
  const flat = text.split("\n").map((line) => line.replace(/\s+/g, " ").trim());
  let at = 0;
  return lines.every((line) => {
    const parts = line.replace(/\s+/g, " ").trim().split("…").map((part) => RegExp.escape(part));
    const pattern = new RegExp(parts.join(".*"));
    const found = flat.findIndex((one, i) => i >= at && pattern.test(one));
    at = found + 1;
    return found >= 0;
  });
}

async function perform(
  { command, output, line }: Command,
  place: Place,
  patienceMs: number,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { status, text } = await place.attempt(command);
    if (status === 0 && says(text, output)) return;
    if (output.length === 0 || performance.now() > deadline) {
      throw new Error(`line ${line}: ${command}\nended with ${status} and said\n${text}`);
    }
    await Bun.sleep(100);
  }
}

/** Does what a guide says, block after block; a command may take so long to say what it should. */
export async function follow(
  { text }: Guide,
  places: ReadonlyMap<string, Place>,
  patienceMs = 10_000,
): Promise<void> {
  const placeOf = (name: string): Place => {
    const found = places.get(name);
    if (found === undefined) throw new Error(`there is no ${name} in this lab`);
    return found;
  };
  let count = 0;
  for (const block of blocksOf(text)) {
    const [hosts = "", path] = block.about.split(":");
    if (block.kind === "console") {
      for (const command of commandsOf(block)) {
        await perform(command, placeOf(command.place), patienceMs);
        count++;
      }
    } else if (block.kind === "conf" || (block.kind === "sh" && hosts !== "untested")) {
      for (const host of hosts.split(",")) placeOf(host).write(path ?? "", block.text);
    } else expect(["ini", "yaml", "sh"]).toContain(block.kind);
  }
  expect(count).toBeGreaterThan(0);
}
