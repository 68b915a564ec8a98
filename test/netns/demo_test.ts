/**
 * The demo as a user runs it: the story it tells, and that nothing of it stays, however it ends. Every
 * run gets a folder for temporary files of its own; its daemons are known by that folder's name in
 * their command lines.
 */

import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const EXECUTABLE = process.env["UPKEEP"] ?? resolve(import.meta.dir, "../../dist/upkeep");
const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  /** TMPDIR of the run. */
  readonly folder: string;
}

function start(words: readonly string[], before: readonly string[] = []): Run {
  const folder = mkdtempSync(join(tmpdir(), `upkeep-test-${process.pid}-`));
  folders.push(folder);
  chmodSync(folder, 0o777);
  const child = Bun.spawn([...before, EXECUTABLE, "demo", ...words], {
    env: { ...process.env, TMPDIR: folder, NO_COLOR: "1" },
    stdout: "pipe",
    stderr: "pipe",
  });
  return { child, folder };
}

/** Processes whose command line names the folder. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder);
    } catch {
      return false; // it has just ended
    }
  });
}

async function until(ready: () => boolean): Promise<void> {
  const limit = Date.now() + 5000;
  while (!ready() && Date.now() < limit) await Bun.sleep(20);
  expect(ready()).toBe(true);
}

interface Report {
  readonly events: readonly { atMs: number; router: string; event: string }[];
  readonly failovers: readonly { kind: string; tookMs: number; pingsLost: number }[];
  readonly error?: string;
}

async function reportOf({ child }: Run): Promise<Report> {
  return JSON.parse(await new Response(child.stdout).text()) as Report;
}

async function expectStory(run: Run): Promise<void> {
  const { events, failovers, error } = await reportOf(run);
  expect([await run.child.exited, error]).toEqual([0, undefined]);
  const masters = events.filter(({ event }) => event === "Entering MASTER STATE");
  expect(masters.map(({ router }) => router)).toEqual(["A", "B", "A", "B"]);
  expect(events.map(({ atMs }) => atMs)).toEqual(
    events.map(({ atMs }) => atMs).toSorted((a, b) => a - b),
  );
  expect(failovers.map(({ kind }) => kind)).toEqual(["crash", "stop"]);
  const [crash, stop] = failovers;
  // Two to three intervals and the skew; above that, a busy machine is forgiven.
  expect(crash!.tookMs).toBeWithin(250, 1500);
  expect(crash!.pingsLost).toBeGreaterThan(40);
  expect(stop!.tookMs).toBeWithin(20, crash!.tookMs);
  expect(readdirSync(run.folder)).toEqual([]);
  expect(processesOf(run.folder)).toEqual([]);
}

test("A is MASTER, crashes, comes back and is stopped; B fills in", async () => {
  await expectStory(start(["--json"]));
});

const mayUnshare = Bun.spawnSync([...NOBODY, "unshare", "-Urn", "true"]).success;
test.skipIf(!mayUnshare)("who is not root sees the same", async () => {
  await expectStory(start(["--json"], NOBODY));
});

test("people get a timeline, a summary and no escape sequences", async () => {
  const { child } = start(["--advert-int", "0.05"]);
  const text = await new Response(child.stdout).text();
  expect(text).toMatch(/^ {2}\d\.\d{3} {2}B {7}Entering MASTER STATE$/m);
  expect(text).toMatch(/^ {2}\d\.\d{3} {2}client {2}VIP answers again after .*, \d+ pings lost$/m);
  expect(text).toMatch(/^crash .* = 3 × 50 ms \+ 30.5 ms skew$/m);
  expect(text).not.toContain("\x1b");
  expect(await child.exited).toBe(0);
});

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  test(`${signal} in the middle leaves nothing behind`, async () => {
    const run = start(["--json"]);
    await until(() => processesOf(run.folder).length >= 4);
    run.child.kill(signal);
    expect((await reportOf(run)).error).toBe(`Stopped by ${signal}`);
    expect(await run.child.exited).toBe(status);
    expect(processesOf(run.folder)).toEqual([]);
    expect(readdirSync(run.folder)).toEqual([]);
  });
}

test("even a killed demo takes its routers with it", async () => {
  const run = start([]);
  await until(() => processesOf(run.folder).length >= 4);
  await Bun.sleep(100); // the client is the last to start
  run.child.kill("SIGKILL");
  await until(() => processesOf(run.folder).length === 0);
});

test("a reader that goes away ends it", async () => {
  const run = start([]);
  const reader = run.child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  expect(await run.child.exited).toBe(141);
  expect(processesOf(run.folder)).toEqual([]);
  expect(readdirSync(run.folder)).toEqual([]);
});

function writePair(a: string, b: string): [string, string] {
  const folder = mkdtempSync(join(tmpdir(), `upkeep-test-${process.pid}-`));
  folders.push(folder);
  const common = `
    version 3
    virtual_router_id 9
    advert_int 0.05
    virtual_ipaddress {
      10.9.0.1/32 dev lan
    }`;
  return [a, b].map((lines, i) => {
    const path = join(folder, `${i}.conf`);
    writeFileSync(path, `vrrp_instance x {${common}\n${lines}\n}\n`);
    return path;
  }) as [string, string];
}

test("one's own pair: unicast on one link, the address on another, no preemption", async () => {
  const pair = writePair(
    "interface wan\n priority 120\n nopreempt\n unicast_src_ip 10.8.0.1\n unicast_peer {\n 10.8.0.2\n }",
    "interface wan\n priority 80\n unicast_src_ip 10.8.0.2\n unicast_peer {\n 10.8.0.1\n }",
  );
  const run = start(["--json", "--config", ...pair]);
  const { events, failovers, error } = await reportOf(run);
  expect([await run.child.exited, error]).toEqual([0, undefined]);
  const masters = events.filter(({ event }) => event === "Entering MASTER STATE");
  expect(masters.map(({ router }) => router)).toEqual(["A", "B", "A"]);
  expect(failovers.map(({ kind }) => kind)).toEqual(["crash", "stop"]);
});

test("a pair that cannot work is refused with the reason, and status 1", async () => {
  const pair = writePair(
    "interface eth0\n priority 1",
    "interface eth0\n unicast_peer {\n 10.8.0.1\n }",
  );
  const run = start(["--config", ...pair]);
  expect(await run.child.exited).toBe(1);
  expect(await new Response(run.child.stderr).text()).toContain("differ in use of unicast_peer");
  expect(readdirSync(run.folder)).toEqual([]);
});
