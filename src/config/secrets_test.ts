/** Secrets stay out of every message and line, however they came into the file. */
import { expect, test } from "bun:test";
import { memoryFiles } from "./files.ts";
import { load } from "./load.ts";
import { explainProblem, formatProblem } from "./problem.ts";
import { MASK, Secrets } from "./secrets.ts";

/** Everything that is said about an instance with these lines, in every form. */
function said(
  lines: string,
  around: readonly [string, string] = ["authentication {", "}"],
): string {
  const text = [
    "vrrp_instance VI {",
    "interface eth9",
    "virtual_router_id 300",
    ...around[0] === "" ? [] : [around[0]],
    lines,
    ...around[1] === "" ? [] : [around[1]],
    "virtual_ipaddress { 192.0.2.1/24 }",
    "}",
  ].join("\n");
  const files = memoryFiles({ "/k.conf": text, "/part.conf": "auth_pass hunter2 {\n" });
  const { problems } = load("/k.conf", files);
  return [
    ...problems.map(formatProblem),
    ...problems.map(explainProblem),
    JSON.stringify(problems),
  ].join("\n");
}

test("a secret never shows, wherever it stands", () => {
  const table: readonly string[] = [
    "auth_pass hunter2hunter2",
    "auth_pass\nhunter2",
    "auth_pass\n\n# a comment\n  hunter2 hunter2",
    "auth_pass {\nhunter2\n}",
    'auth_pass "hunter2',
    'auth_pass "hunter2 hunter2" }',
    "auth_pas hunter2",
    "auth_pss hunter2",
    "Auth_pass hunter2",
    "auth-pas hunter2 hunter2",
    "$X=hunter2\nauth_pass $X }\n$X",
    "$X=hunter2\n  hunter2 is wrong\nauth_pass $X",
    '$X="hunter2\nauth_pass $X',
    "$A=hunt\n$B=er2\nbogus ${A}${B}\nauth_pass ${A}${B}",
    "$X=\\\n auth_type PASS\\\n auth_pass hunter2\\\n bogus hunter2\n$X",
    "$X=\\\n auth_pass\\\n hunter2\n$X",
    "$X=hunter2\n$Y=${X}\nauth_pass $Y\n$Y",
    "@router auth_pass hunter2 }",
    "include /part.conf",
    "auth_pass hunter2\nauth_type hunter2",
    "bogus x-hunter2-y\nauth_pass hunter2",
    "~SEQ(X, 1, 3) auth_pass hunter2 $X",
    "~LST(X, hunter2) auth_pass $X }",
  ];
  for (const lines of table) {
    expect([lines, said(lines)]).toEqual([lines, expect.not.stringMatching(/hunter2|er2\b/)]);
    expect([lines, said(lines, ["", ""])]).toEqual([lines, expect.not.stringContaining("hunter2")]);
  }
});

test("a key of auth_hmac never shows, its number does", () => {
  const table: readonly string[] = [
    "key 51 hunter2",
    "key hunter2",
    "key hunter2 51",
    "key 300 hunter2",
    "key 51 hunter2\nkey 51 hunter2",
    "key 51\nhunter2",
    "ky 51 hunter2 }\nhunter2",
    "$X=hunter2\nkey 51 $X }\n  bogus hunter2\n$X",
  ];
  for (const lines of table) {
    const text = said(lines, ["auth_hmac {", "}"]);
    expect([lines, text]).toEqual([lines, expect.not.stringContaining("hunter2")]);
  }
  const twice = said("key 51 hunter2\nkey 51 hunter2", ["auth_hmac {", "}"]);
  expect(twice).toContain("key 51 already defined");
});

test("what is no secret stays readable", () => {
  const text = said("auth_pass 30");
  expect(text).toContain("VRID '300' not valid");
  expect(text).toContain("virtual_router_id 300");
  expect(said("$X=hunter2\nauth_type PAS")).toContain("auth_type PAS");
});

test("hiding", () => {
  const secrets = new Secrets();
  const table: readonly [string, string][] = [
    ["", ""],
    ["hunter2", MASK],
    ["xhunter2y hunter2", `x${MASK}y ${MASK}`],
    ["hunter22 longer", `${MASK} longer`],
    ["a1b2 b2", `a1b2 ${MASK}`],
    ["'b2'-b2_", `'${MASK}'-b2_`],
    ["two words, two  words", `${MASK}, two  words`],
    [`${"x".repeat(64)}yyy z`, `${MASK} z`],
    ["x".repeat(63), "x".repeat(63)],
  ];
  expect(secrets.hide("hunter2")).toBe("hunter2");
  for (const one of ["hunter2", '"hunter22"', "b2", " two words ", `${"x".repeat(64)}yy`, ""]) {
    secrets.keep(one);
  }
  for (const [text, hidden] of table) expect([text, secrets.hide(text)]).toEqual([text, hidden]);
});
