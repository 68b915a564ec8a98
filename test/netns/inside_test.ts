/** What /proc says of the processes: threads alike, signals blocked, descriptors counted. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

/** HUP INT USR1 USR2 TERM, and the real-time signals of the interface. */
const HEARD = [1, 2, 10, 12, 15, 36, 37, 63, 64];

/** The fields of /proc/…/status. */
function status(path: string): ReadonlyMap<string, string> {
  const lines = readFileSync(`${path}/status`, "utf8").trim().split("\n");
  return new Map(
    lines.map((line) => [line.split(":")[0]!, line.slice(line.indexOf(":") + 1).trim()]),
  );
}

/** The signals of a mask in hexadecimal, as status shows it. */
function signals(mask: string | undefined): number[] {
  const bits = BigInt(`0x${mask}`);
  return Array.from({ length: 64 }, (_, i) => i + 1).filter((n) => bits >> BigInt(n - 1) & 1n);
}

/** Where a process's descriptors lead, the standard ones left out. */
function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => Number(fd) > 2).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // closed since
    }
  });
}

test("every thread has the namespaces and rights of its process", async () => {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const { parent, vrrp } = daemon.pids();
  const namespace = network.run("a", "readlink", "/proc/self/ns/net").trim();
  for (const pid of [parent, vrrp]) {
    const all = readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`);
    const main = status(`/proc/${pid}`);
    for (const path of all) {
      expect(readlinkSync(`${path}/ns/net`)).toBe(namespace);
      for (const field of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "Uid", "Gid"]) {
        expect([path, field, status(path).get(field)]).toEqual([path, field, main.get(field)]);
      }
    }
  }
});

test("the role blocks and ignores the signals of the interface; the parent blocks none", async () => {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const { parent, vrrp } = daemon.pids();
  const role = status(`/proc/${vrrp}`);
  expect(signals(role.get("SigBlk"))).toEqual(expect.arrayContaining(HEARD));
  expect(signals(role.get("SigIgn"))).toEqual(expect.arrayContaining(HEARD));
  const main = status(`/proc/${parent}`);
  expect(signals(main.get("SigBlk"))).toEqual([]);
  expect(signals(main.get("SigCgt"))).toEqual(expect.arrayContaining(HEARD));
});

test("a mask that we were started with does not make us deaf", async () => {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }), {
    before: ["env", "--block-signal=HUP,TERM,USR1"],
  });
  await daemon.waitForLog("(V) Entering MASTER STATE");
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished");
  expect(await daemon.stop()).toBe(0);
});

test("the role has the descriptors it needs and no others", async () => {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
  await daemon.waitForLog("(V) Entering MASTER STATE");
  await poll(() => existsSync(daemon.vrrpPidFile), 5000, "no pid file of the role");
  const { vrrp } = daemon.pids();
  const links = descriptors(vrrp).map((link) => link.replace(/socket:\[\d+\]| \(deleted\)$/, ""));
  expect(links.sort()).toEqual([
    ...Array(6).fill(""), // channel, stop line, monitor, commands, adverts, announcements
    "/memfd:upkeep-ledger",
    daemon.vrrpPidFile,
    // Our loop and Bun's, which wakes it.
    "anon_inode:[eventfd]",
    "anon_inode:[eventpoll]",
    "anon_inode:[eventpoll]",
    "anon_inode:[timerfd]",
  ]);
});

test("reloads, signals and instances that come and go leave no descriptors behind", async () => {
  using network = new Network(["a"]);
  network.run("a", "ip", "link", "add", "two", "type", "veth", "peer", "name", "far");
  network.run("a", "ip", "address", "add", "10.0.8.1/24", "dev", "two");
  network.run("a", "sh", "-c", "ip link set far up; ip link set two up");
  await using capture = await Capture.start(network);
  const one = instance({ state: "MASTER" });
  const other = instance({
    name: "W",
    state: "MASTER",
    interface: "two",
    vrid: 8,
    addresses: ["10.0.8.100/32"],
  });
  await using daemon = new Daemon(network, "a", one);
  await poll(() => existsSync(daemon.vrrpPidFile), 5000, "no pid file of the role");
  const { parent, vrrp } = daemon.pids();
  const round = async (): Promise<void> => {
    for (const config of [one + other, one]) {
      daemon.rewrite(config);
      daemon.signal("SIGHUP");
      await daemon.waitForLog("Reload finished");
      const isThere = config !== one;
      const done = (): boolean =>
        network.addresses("a", "two").includes("10.0.8.100/32") === isThere;
      await poll(done, 5000, "no reload");
    }
    for (const signal of [36, 37, 63, 64]) {
      daemon.signal(signal);
      await daemon.waitForLog("Signal for");
    }
  };
  const count = (): number[] => [parent, vrrp].map((pid) => descriptors(pid).length);
  await round();
  const before = count();
  for (let i = 0; i < 15; i++) await round();
  expect(count()).toEqual(before);
  await capture.waitForAdvert(({ priority }) => priority === 255, 5000, nowUs());
});
