/** The reference: rows taken apart, help for keywords, and documents that are up to date. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { entriesOf, keywordHelp, readDoc, referenceText, withGeneratedParts } from "./reference.ts";
import { root } from "./root.ts";

test("a row's documentation is taken apart", () => {
  const table: readonly [string, ReturnType<typeof readDoc>][] = [
    ["- a flag", { grammar: "", purpose: "a flag" }],
    ["N - a; b; range 1..2; default 3, off", {
      grammar: "N",
      purpose: "a; b",
      range: "1..2",
      default: "3, off",
    }],
    ["A - b - c; must be set", { grammar: "A", purpose: "b - c", must: "be set" }],
    ["[A | B - C] - d", { grammar: "[A | B", purpose: "C] - d" }],
    ["X - a; default of b; range 5", { grammar: "X", purpose: "a", default: "of b", range: "5" }],
  ];
  for (const [text, doc] of table) expect([text, readDoc(text)]).toEqual([text, doc]);
});

test("every row says something that can be taken apart", () => {
  const odd = entriesOf(root).filter(({ doc }) =>
    doc.purpose === "" || /(range|default) [0-9]/.test(doc.purpose)
  );
  expect(odd.map(({ keyword }) => keyword)).toEqual([]);
});

function help(name: string): string {
  const found = keywordHelp(name, root);
  return "text" in found ? found.text : `near ${found.near}`;
}

test("help says grammar, purpose, place, range, default, other spellings and status", () => {
  expect(help("priority")).toBe(`priority N
  Priority in elections, 255 for the owner of the addresses

  Where    vrrp_instance
  Range    1..255
  Default  100, 255 with state MASTER
  Status   in effect
`);
  expect(help("vrrp_instance")).toMatch(/\n {2}Inside {3}.*virtual_router_id/);
  expect(help("reload_strict")).toContain("keepalived does not have it");
  expect(help("auth_pass")).toContain("never shown");
  expect(help("nopreempt")).toContain("Also     preempt\n");
  expect(help("preempt")).toContain("Sets     nopreempt\n");
  expect(help("snmp_socket")).toContain("without effect so far");
});

test("a keyword of several blocks is told for each, or for the one that is named", () => {
  const all = help("weight");
  expect(all.match(/^weight /gm)!.length).toBeGreaterThan(2);
  const one = help("real_server/weight");
  expect(one.match(/^weight /gm)).toHaveLength(1);
  expect(one).toContain("virtual_server > real_server");
  expect(help("connect_timeout")).toMatch(/Where.*TCP_CHECK, .*SMTP_CHECK/);
});

test("words of lines, and of the syntax", () => {
  expect(help("min_ttl")).toStartWith("min_ttl stands in lines of\n\nunicast_peer {");
  expect(help("includem")).toStartWith("includem PATTERN\n");
  expect(help("~SEQ")).toContain("repeats the line");
  expect(help("_PWD")).toContain("directory");
  expect(help("prority")).toBe("near priority");
  expect(help("qqqqqqqqq")).toBe("near undefined");
  expect(help("nowhere/priority")).toBe("near priority");
});

test("the documents are up to date; if not, run: npm run docs", () => {
  const read = (name: string): string =>
    readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");
  expect(referenceText(root) === read("keywords.md")).toBe(true);
  const compatibility = read("COMPATIBILITY.md");
  expect(withGeneratedParts(compatibility, root) === compatibility).toBe(true);
});
