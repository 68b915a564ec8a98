/**
 * The executable for arm64 under qemu's user mode: the code and its bytecode run there, and what we say of
 * that machine's C library and kernel holds.
 */

import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MACHINES } from "../../packaging/machines.ts";
import { runtimeFor } from "../../packaging/runtime.ts";
import { artefact, attempt, type Outcome, run, scratch } from "./lab.ts";

const PROJECT = join(import.meta.dir, "../..");

/** Runs an arm64 program; its C library is the one for cross builds. */
function emulate(words: readonly string[]): Promise<Outcome> {
  return attempt(["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", ...words]);
}

test("the executable is for arm64 and says its version", async () => {
  const upkeep = await artefact(/^upkeep-arm64$/);
  expect(await run(["readelf", "-h", upkeep])).toMatch(/Machine:\s+AArch64/);
  const { status, text } = await emulate([upkeep, "--version"]);
  expect(text).toStartWith("Keepalived v");
  expect(status).toBe(0);
});

test("it says so when there is no /proc", async () => {
  const upkeep = await artefact(/^upkeep-arm64$/);
  const script =
    'umount -l /proc && exec qemu-aarch64-static -L /usr/aarch64-linux-gnu "$0" version';
  expect(await attempt(["unshare", "--mount", "sh", "-c", script, upkeep]))
    .toEqual({ status: 1, text: "upkeep: /proc is not mounted\n" });
});

test("it checks configurations as the other one does", async () => {
  const upkeep = await artefact(/^upkeep-arm64$/);
  const native = await artefact(/^upkeep-amd64$/);
  const folder = scratch("conf");
  mkdirSync(folder, { recursive: true });
  const sample = join(PROJECT, "packaging/files/keepalived.conf.sample");
  expect(await emulate([upkeep, "-t", "-f", sample])).toEqual({ status: 0, text: "" });
  const wrong = join(folder, "wrong.conf");
  writeFileSync(wrong, "vrrp_instance A {\n  interface lo\n  priorty 100\n}\n");
  const here = await attempt([native, "-t", "-f", wrong]);
  expect(here.text).toContain("Unknown keyword 'priorty'");
  expect(await emulate([upkeep, "-t", "-f", wrong])).toEqual(here);
});

test("memory, errno, clocks, epoll and process calls work through its C library", async () => {
  const machine = MACHINES.find(({ name }) => name === "arm64")!;
  const { path } = await runtimeFor(machine, PROJECT);
  // What qemu passes on faithfully; packet sockets and netlink need a real kernel of that machine.
  const files = ["libc", "memory", "timer"].map((name) => `./ffi/${name}_test.ts`);
  const said = await emulate([path, "-e", "console.log(process.arch)"]);
  expect(said).toEqual({ status: 0, text: "arm64\n" });
  const { status, text } = await emulate([path, "test", "--timeout=60000", ...files]);
  expect(text).toMatch(/\n\s*[1-9]\d* pass\n\s*0 fail/);
  expect(status).toBe(0);
});
