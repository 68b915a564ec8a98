/** The verb `check` as a user and a pipeline meet it. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type CheckOptions, formatReport } from "./check.ts";
import { painter } from "./colour.ts";

const MAIN = resolve(import.meta.dir, "../main.ts");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "upkeep-check-"));
  write("good.conf", instance("priority 150"));
  write("other.conf", instance("priority 100"));
  write(
    "wrong.conf",
    instance("prority 150\nauthentication {\nauth_type PASS\nauth_pass hunter2hunter2\n}"),
  );
  write("unwise.conf", instance("unicast_peer {\n192.0.2.2\n}"));
  write("nodes.conf", instance("@left priority 150\n@right priority 150\n@right advert_int 2"));
  write("ours.conf", `global_defs {\nreload_strict\n}\n${instance("priority 150")}`);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function instance(lines: string): string {
  return `vrrp_instance VI {\ninterface eth0\nvirtual_router_id 5\n${lines}\n` +
    "virtual_ipaddress {\n192.0.2.9/24\n}\n}\n";
}

function write(name: string, text: string): void {
  writeFileSync(join(folder, name), text);
  chmodSync(join(folder, name), 0o600);
}

/** Runs the verb offline in the folder. */
function upkeep(...words: string[]): { status: number; out: string; err: string } {
  const command = [process.execPath, MAIN, "check", "--offline", ...words];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: folder });
  return { status: exitCode, out: stdout.toString(), err: stderr.toString() };
}

test("exit statuses", () => {
  const table: readonly [string[], number, string][] = [
    [["good.conf"], 0, "good.conf: no problems\n"],
    [["good.conf", "--strict"], 0, "no problems"],
    [["good.conf", "other.conf", "--strict"], 0, "good.conf, other.conf: no problems\n"],
    [["good.conf", "good.conf"], 0, "good.conf, good.conf: 1 lint\n"],
    [["wrong.conf"], 2, "wrong.conf: 2 errors\n"],
    [["unwise.conf"], 0, "unwise.conf: 1 lint\n"],
    [["unwise.conf", "--strict"], 1, "unwise.conf: 1 lint\n"],
    [["unwise.conf", "--strict", "--no-lint"], 0, "no problems"],
    [["unwise.conf", "--strict", "--ignore", "x,unicast_without_source"], 0, "no problems"],
    [["nodes.conf"], 2, "nodes.conf: 1 error, 1 lint\n"],
    [["nodes.conf", "-i", "left"], 0, "no problems"],
    [["ours.conf"], 0, "no problems"],
    [["ours.conf", "--keepalived"], 2, "keepalived does not know reload_strict\n"],
    [["nosuch.conf"], 2, "fatal: nosuch.conf: Config files missing 'nosuch.conf'."],
    [["good.conf", "wrong.conf"], 2, "errors"],
  ];
  for (const [words, status, text] of table) {
    const { status: found, out, err } = upkeep(...words);
    expect([words, found, err, out]).toEqual([words, status, "", expect.stringContaining(text)]);
  }
});

test("a problem is explained with its line and what would be right", () => {
  expect(upkeep("wrong.conf").out).toBe([
    "error: wrong.conf:4:1: Unknown keyword 'prority'",
    "  4 | prority 150",
    "    | ^^^^^^^",
    "  hint: did you mean priority?",
    "error: wrong.conf:7:1: Truncating auth_pass to 8 characters",
    "  hint: only the first 8 characters count; write no more than those, on every router",
    "wrong.conf: 2 errors",
    "",
  ].join("\n"));
});

test("JSON is one object with stable codes", () => {
  const { out, status } = upkeep("--json", "wrong.conf");
  expect(status).toBe(2);
  expect(JSON.parse(out)).toEqual({
    files: [{ file: "wrong.conf" }],
    problems: [
      {
        severity: "error",
        code: "unknown_keyword",
        file: "wrong.conf",
        line: 4,
        column: 1,
        message: "Unknown keyword 'prority'",
        hint: "did you mean priority?",
        word: "prority",
      },
      {
        severity: "error",
        code: "auth_pass_too_long",
        file: "wrong.conf",
        line: 7,
        column: 1,
        message: "Truncating auth_pass to 8 characters",
        hint: "only the first 8 characters count; write no more than those, on every router",
        word: "auth_pass",
      },
    ],
    status: 2,
  });
  const printed = JSON.parse(upkeep("--json", "--print", "good.conf").out);
  expect(printed.files[0].printed).toContain("priority 150\n");
});

test("printing gives the configuration, masked unless asked for, and problems elsewhere", () => {
  const { out, err, status } = upkeep("--print", "wrong.conf");
  expect(status).toBe(2);
  expect(out).toBe([
    "vrrp_instance VI {",
    "  interface eth0",
    "  virtual_router_id 5",
    "  virtual_ipaddress {",
    "    192.0.2.9/24",
    "  }",
    "  authentication {",
    "    auth_type PASS",
    "    auth_pass ****",
    "  }",
    "}",
    "",
  ].join("\n"));
  expect(err).toContain("wrong.conf: 2 errors");
  expect(upkeep("--print", "--show-secrets", "wrong.conf").out).toContain("auth_pass hunter2h\n");
  const both = upkeep("--print", "good.conf", "other.conf").out;
  expect(both).toContain("# good.conf\nvrrp_instance VI {");
  expect(both).toContain("# other.conf\nvrrp_instance VI {");
});

test("nodes of one file are compared as a pair is", () => {
  const { out } = upkeep("nodes.conf");
  expect(out).toContain("advert_int 1 s, but 2 s in @right");
  expect(out).toContain("priority 150, and in @right too");
});

test("colour marks severity, caret and hint", () => {
  const options: CheckOptions = {
    files: ["k"],
    json: false,
    strict: false,
    print: false,
    showSecrets: false,
    keepalived: false,
    lint: true,
    offline: true,
    ignore: [],
    configId: undefined,
  };
  const problem = {
    severity: "error",
    kind: "general",
    code: "x",
    message: "m",
    file: "k",
    line: 1,
    column: 1,
    prefix: "file",
    source: "abc",
    word: "abc",
    hint: "h",
  } as const;
  const report = { problems: [problem], printed: [], status: 2 } as const;
  expect(formatReport(options, report, painter(true))).toBe(
    "\x1b[31merror\x1b[0m: k:1:1: m\n  1 | abc\n\x1b[31m    | ^^^\x1b[0m\n" +
      "\x1b[32m  hint: h\x1b[0m\nk: \x1b[31m1 error\x1b[0m\n",
  );
});
