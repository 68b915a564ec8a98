/** Programs behind symbolic links: what they are called, and where they think they are. */

import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { completeGlobals, type Globals } from "../config/globals.ts";
import { systemFiles } from "./files.ts";
import { runScript, vetScript } from "./script.ts";
import { systemWorld } from "./world.ts";

const FOLDER = realpathSync(mkdtempSync(join(tmpdir(), `upk${process.pid}-`)));
afterAll(() => rmSync(FOLDER, { recursive: true }));
const [OUT, REAL] = [join(FOLDER, "out"), join(FOLDER, "real")];
mkdirSync(REAL);
for (const [name, first] of [["me.sh", "#!/bin/sh\n"], ["bare.sh", ""]] as const) {
  writeFileSync(join(REAL, name), `${first}echo "$0 $*" >${OUT}\n`);
  chmodSync(join(REAL, name), 0o755);
}
symlinkSync(REAL, join(FOLDER, "folder"));
symlinkSync("real/me.sh", join(FOLDER, "link.sh"));
// As busybox does: it is what it is called.
symlinkSync("/bin/sh", join(FOLDER, "called"));

const WORLD = systemWorld(
  systemFiles({ configId: undefined, allIncludeChecks: false, cwd: FOLDER }),
);
const globals = (use_symlink_paths: boolean): Globals =>
  completeGlobals({ use_symlink_paths } as Parameters<typeof completeGlobals>[0], "host");

/** What a script says it was called as; it runs as whoever runs this. */
async function said(argv: readonly string[], keepsLinks: boolean): Promise<string> {
  const user = String(process.getuid!());
  const vetted = vetScript({ argv, user }, globals(keepsLinks), WORLD);
  if ("why" in vetted) throw new Error(vetted.why);
  const end = await runScript(vetted, ["last"], {}).ended;
  expect(end.status).toBe(0);
  return readFileSync(OUT, "utf8").trim();
}

test("a script finds itself where it is, and with use_symlink_paths where it is named", async () => {
  const rows: [named: string, real: string][] = [
    ["link.sh", "real/me.sh"],
    ["folder/me.sh", "real/me.sh"],
    ["folder/bare.sh", "real/bare.sh"],
    ["real/me.sh", "real/me.sh"],
  ];
  for (const [named, real] of rows) {
    const argv = [join(FOLDER, named), "a b"];
    expect(await said(argv, false)).toBe(`${join(FOLDER, real)} a b last`);
    // A shell that reads a script without a first line is told its name.
    expect(await said(argv, true)).toBe(`${join(FOLDER, named)} a b last`);
  }
});

test("a program goes by the name it is called", async () => {
  const called = join(FOLDER, "called");
  const line = `echo "$0" >${OUT}`;
  for (const keepsLinks of [false, true]) {
    expect(await said([called, "-c", line, called], keepsLinks)).toBe(called);
    const vetted = vetScript({ argv: [called], user: "0" }, globals(keepsLinks), WORLD);
    expect(vetted).toMatchObject({ argv: [called] });
    expect("path" in vetted && vetted.path).toBe(keepsLinks ? false : realpathSync("/bin/sh"));
  }
});
