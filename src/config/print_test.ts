/** Printing: what is printed reads as the same configuration, and secrets stay where they are. */
import { expect, test } from "bun:test";
import { prng } from "../../test/support/prng.ts";
import {
  type Generated,
  loadText,
  randomConfig,
  walkTables,
} from "../../test/support/statements.ts";
import { printConfig } from "./print.ts";
import { root } from "./root.ts";
import type { Written } from "./schema.ts";

const ROUNDS = 120;
/** Walking the tables takes seconds, in milliseconds. */
const LIMIT = 60_000;

/** Rows whose entries name a block of another keyword. */
const REFERS_TO: Readonly<Record<string, string>> = {
  "vrrp_instance track_script": "vrrp_script",
  "vrrp_instance track_process": "vrrp_track_process",
};

/**
 * A copy without the places, which another text has elsewhere, and without what a real server found
 * when it was read: where it matters it is the server's own by the end of the block.
 */
function placeless(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(placeless);
  if (typeof value !== "object" || value === null) return value;
  // What a sparse block does not state shows through it.
  const all = { ...Object.getPrototypeOf(value), ...value };
  const entries = Object.entries(all).filter(([key]) => key !== "place" && key !== "inherited");
  return Object.fromEntries(entries.map(([key, inner]) => [key, placeless(inner)]));
}

function written(text: string): Written {
  return loadText(text).written as Written;
}

function print(text: string, showSecrets = true): string {
  return printConfig(written(text), root, { showSecrets });
}

/** Expects a text to say the same after it was printed, and printing it again to change nothing. */
function expectSame(text: string, name: string): void {
  const printed = print(text);
  const [again, first] = [placeless(written(printed)), placeless(written(text))];
  const isSame = Bun.deepEquals(again, first) && print(printed) === printed;
  // Most are; the explanation costs more than the question.
  if (isSame) return;
  const about = `${name}\n${text}\nprinted:\n${printed}`;
  expect([about, again]).toEqual([about, first]);
  expect([about, print(printed)]).toEqual([about, printed]);
}

test("what is printed says the same, for whole files", () => {
  for (let seed = 1; seed <= ROUNDS; seed++) expectSame(randomConfig(prng(seed)), `seed ${seed}`);
}, LIMIT);

test("what is printed says the same, for each row alone", () => {
  const walk = (rows: readonly Generated[]): void => {
    for (const { path, samples, text, inside } of rows) {
      for (const sample of samples) expectSame(text(sample), path);
      walk(inside);
    }
  };
  walk(walkTables());
}, LIMIT);

test("every row has a way back, and the generator something to say with it", () => {
  const lost: string[] = [];
  const walk = (rows: readonly Generated[]): void => {
    for (const { path, row, samples, inside } of rows) {
      walk(inside);
      // It only complains, or changes how the rest is read.
      const isAct = row.shape === "line" && row.initial === undefined && row.format === undefined;
      if (isAct && samples.length === 0) continue;
      if (row.format === undefined && row.aliasOf === undefined) lost.push(`${path}: no format`);
      if (row.aliasOf !== undefined) continue;
      // Names to refer to need the block that defines them.
      const refersTo = REFERS_TO[path];
      if (refersTo !== undefined && root.find(refersTo) === undefined) continue;
      if (samples.length === 0) lost.push(`${path}: give it a row in SAMPLES`);
    }
  };
  walk(walkTables());
  expect(lost).toEqual([]);
}, LIMIT);

test("the text is canonical: defaults, comments, includes and definitions are gone", () => {
  const text = [
    "$P = 3 # no definition, blanks",
    "$PRIORITY=150",
    "vrrp_instance VI { # a comment",
    "interface eth0",
    "  priority $PRIORITY # the better one",
    "advert_int 1",
    "preempt",
    "no_accept",
    "virtual_ipaddress { 192.0.2.1/24 dev eth0 }",
    "unicast_peer { }",
    "}",
  ].join("\n");
  expect(print(text)).toBe(
    [
      "vrrp_instance VI {",
      "  interface eth0",
      "  priority 150",
      "  unicast_peer {",
      "  }",
      "  virtual_ipaddress {",
      "    192.0.2.1/24 dev eth0",
      "  }",
      "  no_accept",
      "}",
      "",
    ].join("\n"),
  );
});

test("a secret is printed only on demand", () => {
  const text = "vrrp_instance VI {\nauthentication {\nauth_type PASS\nauth_pass hunter2\n}\n}";
  expect(print(text, false)).not.toContain("hunter2");
  expect(print(text, false)).toContain("auth_pass ****");
  expect(print(text, true)).toContain("auth_pass hunter2");
});
