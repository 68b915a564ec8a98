/** SIGTERM: the role hears it by itself, and the parent does its part whoever comes first. */

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { childrenOf, Daemon, isAlive } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const OWN = "10.0.0.1/24";
const VIP = "10.0.0.100/32";
const isFarewell = ({ priority }: { readonly priority: number }): boolean => priority === 0;

/** Lines of the log, so many that a pipe nobody reads is full after some reloads. */
const COMPLAINTS = Array.from({ length: 100 }, (_, i) => `no_such_keyword_${i}\n`).join("");

function isWriting(pid: number): boolean {
  return readFileSync(`/proc/${pid}/wchan`, "utf8").includes("pipe_write");
}

test("the farewell leaves while the parent stands still in the middle of something else", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  const pipe = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", pipe]);
  const unread = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const before = ["bash", "-c", 'exec 2>"$0"; exec "$@"', pipe];
    const config = COMPLAINTS + instance({ state: "MASTER" });
    await using daemon = new Daemon(network, "a", config, { before });
    await capture.waitForAnnouncements(5);
    const { parent, vrrp } = daemon.pids();
    await poll(
      () => {
        daemon.signal("SIGHUP");
        return isWriting(parent);
      },
      5000,
      "the parent is not held up",
    );
    const askedUs = nowUs();
    daemon.signal("SIGTERM");
    const { atUs } = await capture.waitForAdvert(isFarewell);
    expect(atUs - askedUs).toBeLessThan(50_000);
    await poll(() => !isAlive(vrrp), 2000, "the role lives");
    expect(network.addresses("a")).toEqual([OWN]);
    expect(isWriting(parent)).toBeTrue();
    closeSync(unread);
    expect(await daemon.ended()).toBe(0);
    expect(existsSync(daemon.pidFile)).toBeFalse();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the role's last words come after the parent's own", async () => {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
  await daemon.waitForLog("Startup complete");
  expect(await daemon.stop()).toBe(0);
  const tail = daemon.lines.slice(-4).map(({ text }) => text.replace(/ Keepalived.*/, ""));
  expect(tail).toEqual(["Stopping", "(V) sent 0 priority", "(V) removing VIPs.", "Stopped"]);
});

for (const how of ["SIGTERM", "SIGINT"] as const) {
  test(`${how} again and again, with --dont-release-vrrp: one farewell, the addresses stay`, async () => {
    using network = new Network(["a"]);
    await using capture = await Capture.start(network);
    const words = ["--dont-release-vrrp"];
    await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }), { words });
    await capture.waitForAnnouncements(5);
    while (daemon.status === null) {
      daemon.signal(how);
      await Bun.sleep(0);
    }
    expect(await daemon.ended()).toBe(0);
    expect(network.addresses("a")).toEqual([OWN, VIP]);
    expect(capture.adverts.filter(isFarewell)).toHaveLength(1);
    expect(daemon.log.match(/Stopping$/gm)).toEqual(["Stopping"]);
  });
}

test("the parent is killed: with --dont-release-vrrp the addresses stay then, too", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const words = ["--dont-release-vrrp"];
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }), { words });
  await capture.waitForAnnouncements(5);
  const { parent, vrrp } = daemon.pids();
  process.kill(parent, "SIGKILL");
  await capture.waitForAdvert(isFarewell);
  await poll(() => !isAlive(vrrp), 2000, "the role lives");
  expect(network.addresses("a")).toEqual([OWN, VIP]);
});

test("a descriptor 15 that the launcher has left open stays what it is, and TERM is heard", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const before = ["bash", "-c", 'exec 15</dev/zero; exec "$0" "$@"'];
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }), { before });
  await capture.waitForAnnouncements(5);
  expect(readlinkSync(`/proc/${daemon.pid}/fd/15`)).toBe("/dev/zero");
  expect(await daemon.stop()).toBe(0);
  expect(network.addresses("a")).toEqual([OWN]);
  expect(capture.adverts.filter(isFarewell)).toHaveLength(1);
});

test("a role that is killed and a stop, in either order: nothing stays, nothing comes back", async () => {
  using network = new Network(["a"]);
  for (const isTermFirst of [true, false, true, false]) {
    await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
    await daemon.waitForLog("(V) Entering MASTER STATE");
    const { parent, vrrp } = daemon.pids();
    if (isTermFirst) process.kill(parent, "SIGTERM");
    process.kill(vrrp, "SIGKILL");
    if (!isTermFirst) process.kill(parent, "SIGTERM");
    expect(await daemon.ended()).toBe(0);
    expect(childrenOf(parent)).toEqual([]);
    await poll(() => network.addresses("a").length === 1, 1000, "an address stays");
    expect(daemon.log).toContain("Stopping");
  }
});

test("a role that was started again hears the stop as the first did", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const { parent, vrrp } = daemon.pids();
  process.kill(vrrp, "SIGKILL");
  await daemon.waitForLog("Still MASTER");
  await capture.waitForAdvert(() => true, 5000, nowUs());
  const next = daemon.pids().vrrp;
  const line = (pid: number, fd: number): string => readlinkSync(`/proc/${pid}/fd/${fd}`);
  expect(line(next, 6)).toMatch(/^socket:/);
  expect(line(parent, 15)).toMatch(/^socket:/);
  expect(await daemon.stop()).toBe(0);
  expect(capture.adverts.filter(isFarewell)).toHaveLength(1);
  expect(network.addresses("a")).toEqual([OWN]);
});

test("a role that does not leave is killed after child_wait_time", async () => {
  using network = new Network(["a"]);
  const config = "child_wait_time 1\n" + instance({ state: "MASTER" });
  await using daemon = new Daemon(network, "a", config);
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const { vrrp } = daemon.pids();
  process.kill(vrrp, "SIGSTOP");
  const stoppedUs = nowUs();
  daemon.signal("SIGTERM");
  await daemon.waitForLog(`VRRP process ${vrrp} did not end in time, killing it`, 20_000);
  // keepalived's default is 5 s.
  expect(nowUs() - stoppedUs).toBeGreaterThan(900_000);
  expect(nowUs() - stoppedUs).toBeLessThan(4_500_000);
  await daemon.ended(20_000);
  expect(isAlive(vrrp)).toBe(false);
  expect(network.addresses("a")).toEqual([OWN]);
});
