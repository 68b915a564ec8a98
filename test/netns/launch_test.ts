/** The command line: the daemon that leaves its terminal, its second copy, the configuration test. */

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { instance } from "../support/configs.ts";
import { childrenOf, isAlive, killTree, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
const CONFIG = join(folder, "keepalived.conf");
const PID = join(folder, "keepalived.pid");
const VRRP_PID = join(folder, "vrrp.pid");
const FILES = ["-f", CONFIG, "-p", PID, "-r", VRRP_PID];

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function linkTo(name: string): string {
  const path = join(folder, name);
  if (!existsSync(path)) symlinkSync(resolve(UPKEEP), path);
  return path;
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly error: string;
}

/** Runs a command of a host to its end. */
function call(network: Network, ...words: readonly string[]): Ended {
  const done = Bun.spawnSync([...network.enter("a"), ...words], { stdin: "ignore", timeout: 5000 });
  const { exitCode, stdout, stderr } = done;
  return { status: exitCode, output: stdout.toString(), error: stderr.toString() };
}

function stat(pid: number): { session: number; group: number; terminal: number } {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  return { group: fields[2]!, session: fields[3]!, terminal: fields[4]! };
}

function comm(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
}

for (const name of ["keepalived", "upkeep"]) {
  test(`as ${name}, without -n: in the background, away from everything`, async () => {
    using network = new Network(["a"]);
    const program = linkTo(name);
    writeFileSync(CONFIG, instance({ state: "MASTER" }));
    expect(call(network, program, "-l", "-G", "-D", ...FILES)).toEqual({
      status: 0,
      output: "",
      error: "",
    });
    // Whoever called may read the pid at once.
    const pid = Number(readFileSync(PID, "utf8"));
    try {
      const [role] = childrenOf(pid);
      const named = (): boolean =>
        existsSync(VRRP_PID) && readFileSync(VRRP_PID, "utf8") === `${role}\n`;
      await poll(named, 5000, "no pid file of the role");
      for (const one of [pid, role!]) {
        expect(comm(one)).toBe(name);
        expect(stat(one)).toEqual({ session: pid, group: pid, terminal: 0 });
        const links = [0, 1, 2].map((fd) => readlinkSync(`/proc/${one}/fd/${fd}`));
        expect(links).toEqual(Array(3).fill("/dev/null"));
        expect(readlinkSync(`/proc/${one}/cwd`)).toBe("/");
        const cmdline = readFileSync(`/proc/${one}/cmdline`, "utf8").split("\0");
        expect(cmdline).toEqual([program, "-l", "-G", "-D", ...FILES, ""]);
      }
      const held = (): boolean => network.addresses("a").includes("10.0.0.100/32");
      await poll(held, 5000, "no address");

      // A second one with the same pid file says so, and touches nothing.
      const second = call(network, program, "-n", "-l", "-G", ...FILES);
      expect(second.error).toContain("already running");
      expect(second.status).not.toBe(0);
      expect(Number(readFileSync(PID, "utf8"))).toBe(pid);
      expect(held()).toBe(true);

      process.kill(pid, "SIGTERM");
      await poll(() => !isAlive(pid) && !isAlive(role!), 5000, "it does not stop");
      expect([PID, VRRP_PID].filter(existsSync)).toEqual([]);
      expect(held()).toBe(false);
    } finally {
      await killTree(pid);
    }
  });
}

const REFUSED = [
  { name: "an unknown interface", config: instance({ interface: "nope" }), status: 2 },
  { name: "no file", config: undefined, status: 6 },
] as const;

for (const { name, config, status } of REFUSED) {
  test(`${name} ends the launcher with status ${status}`, () => {
    using network = new Network(["a"]);
    rmSync(CONFIG, { force: true });
    if (config !== undefined) writeFileSync(CONFIG, config);
    expect(call(network, linkTo("keepalived"), "-G", ...FILES).status).toBe(status);
    expect([PID, VRRP_PID].filter(existsSync)).toEqual([]);
  });
}

test("it must not matter where the launcher was called, nor what it had open", async () => {
  using network = new Network(["a"]);
  writeFileSync(CONFIG, instance({ state: "MASTER" }));
  const script = `cd ${folder} && exec 9<keepalived.conf && exec ${linkTo("keepalived")} -G ` +
    "-f keepalived.conf -p $PWD/keepalived.pid -r $PWD/vrrp.pid";
  // A pipe that somebody reads to its end must not be held open by the daemon.
  expect(call(network, "sh", "-c", `${script} | cat`).status).toBe(0);
  const pid = Number(readFileSync(PID, "utf8"));
  try {
    // Relative paths stay what they were, also for a reload.
    writeFileSync(CONFIG, instance({ state: "MASTER", addresses: ["10.0.0.101/32"] }));
    process.kill(pid, "SIGHUP");
    const held = (): boolean => network.addresses("a").includes("10.0.0.101/32");
    await poll(held, 5000, "no reload");
  } finally {
    process.kill(pid, "SIGTERM");
    await poll(() => !isAlive(pid), 5000, "it does not stop");
    await killTree(pid);
  }
});

const TESTED = [
  { name: "a sound file", config: instance(), status: 0, says: "" },
  {
    name: "an unknown word",
    config: instance({ more: "no_such_word" }),
    status: 5,
    says: "no_such_word",
  },
  {
    name: "an unknown interface",
    config: instance({ interface: "nope" }),
    status: 5,
    says: "nope",
  },
  { name: "no file", config: undefined, status: 0, says: "keepalived.conf" },
] as const;

for (const { name, config, status, says } of TESTED) {
  test(`-t with ${name}: status ${status}`, () => {
    using network = new Network(["a"]);
    if (config === undefined) rmSync(CONFIG);
    else writeFileSync(CONFIG, config);
    const done = call(network, linkTo("keepalived"), "-t", ...FILES);
    expect(done.error).toContain(says);
    expect(done.error === "").toBe(says === "");
    expect(done.status).toBe(status);
    expect([PID, VRRP_PID].filter(existsSync)).toEqual([]);
  });
}

test("answers that need no network: version, help, signal numbers, mistakes", () => {
  using network = new Network(["a"]);
  const program = linkTo("keepalived");
  expect(call(network, program, "-v")).toMatchObject({ status: 0 });
  expect(call(network, program, "-v").error).toContain("Keepalived v");
  expect(call(network, program, "--help").status).toBe(0);
  expect(call(network, program, "--signum=JSON")).toMatchObject({ status: 0, output: "36\n" });
  expect(call(network, program, "--no-such-option").status).toBe(1);
});
