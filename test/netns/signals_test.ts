/** Signals to every process, and a parent that stands still: the adverts go on. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { childrenOf, Daemon, isAlive } from "../support/daemon.ts";
import { AddressMonitor } from "../support/monitor.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

/** HUP, USR1, USR2 and the real-time ones of glibc and musl. */
const STORM = [1, 10, 12, 36, 37, 63, 64];
const VIP = "10.0.0.100/32";

/** Sends every signal of the storm to these processes; a process that is gone is left out. */
function storm(pids: readonly number[]): void {
  for (const pid of pids.filter(isAlive)) {
    for (const signal of STORM) process.kill(pid, signal);
  }
}

test("a storm of signals to every process from its first moments kills nothing", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
  // The parent blocks signals before it spawns the role: from here on both can be hit.
  const limit = performance.now() + 5000;
  while (childrenOf(daemon.pid).length === 0 && performance.now() < limit);
  const role = childrenOf(daemon.pid)[0]!;
  // Thousands a second, now and for two seconds more. Real-time signals are queued by the kernel: more than
  // a process can take at all would only test the sender.
  while (capture.adverts.length === 0 && performance.now() < limit) {
    storm([daemon.pid, role]);
    await Bun.sleep(1);
  }
  await poll(() => network.addresses("a").includes(VIP), 5000, "the address is not held");
  await using monitor = await AddressMonitor.start(network, "a");
  const end = performance.now() + 2000;
  while (performance.now() < end) {
    storm([daemon.pid, role]);
    await Bun.sleep(1);
  }
  const sinceUs = nowUs();
  await capture.waitForAdvert(({ atUs }) => atUs > sinceUs);
  await daemon.waitForLog("Reload finished");
  expect(daemon.pids()).toEqual({ parent: daemon.pid, vrrp: role });
  expect(monitor.events).toEqual([]);
  expect(network.addresses("a")).toContain(VIP);
  expect(capture.adverts.every(({ priority }) => priority === 255)).toBe(true);
  expect(daemon.log.match(/Entering \w+ STATE/g)).toEqual(["Entering MASTER STATE"]);
  // TERM is heard at once, however much was asked for before it.
  expect(await daemon.stop(2000)).toBe(0);
  expect(capture.adverts.at(-1)!.priority).toBe(0);
});

test("a role that is started again is as safe as the first", async () => {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER", interval: 1 }));
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const { vrrp } = daemon.pids();
  process.kill(vrrp, "SIGKILL");
  const next = (): number | undefined => childrenOf(daemon.pid).find((pid) => pid !== vrrp);
  const limit = performance.now() + 5000;
  // The loop of the test stands still meanwhile: the daemon's does not need it.
  while (next() === undefined && performance.now() < limit);
  const role = next()!;
  const end = performance.now() + 200;
  while (performance.now() < end) storm([role]);
  await daemon.waitForLog("Still MASTER");
  expect(daemon.pids().vrrp).toBe(role);
  expect(await daemon.stop()).toBe(0);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} to every process ends the daemon gracefully, once`, async () => {
    using network = new Network(["a"]);
    await using capture = await Capture.start(network);
    await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
    await capture.waitForAnnouncements(5);
    const { parent, vrrp } = daemon.pids();
    for (const pid of [vrrp, parent, vrrp, parent]) process.kill(pid, signal);
    expect(await daemon.ended()).toBe(0);
    expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
    expect(capture.adverts.filter(({ priority }) => priority === 0)).toHaveLength(1);
  });
}

test("TERM right after the start, before there is a configuration, is heard", async () => {
  using network = new Network(["a"]);
  for (const delayMs of [0, 5, 10, 20]) {
    await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }));
    const limit = performance.now() + 5000;
    while (childrenOf(daemon.pid).length === 0 && performance.now() < limit);
    await Bun.sleep(delayMs);
    expect(await daemon.stop()).toBe(0);
    expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  }
});

test("the parent stands still for 5 s: no advert is late, and then it works on", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const settings = { state: "MASTER", interval: 0.01 } as const;
  await using daemon = new Daemon(network, "a", instance(settings));
  await capture.waitForAnnouncements(5);
  const sinceUs = nowUs();
  daemon.signal("SIGSTOP");
  await capture.waitForAdvert(({ atUs }) => atUs > sinceUs + 5_000_000, 10_000);
  daemon.signal("SIGCONT");
  const seen = capture.adverts.filter(({ atUs }) => atUs >= sinceUs);
  const gapsUs = seen.slice(1).map(({ atUs }, i) => atUs - seen[i]!.atUs);
  expect(Math.max(...gapsUs)).toBeLessThan(30_000);
  expect(seen.length).toBeGreaterThan(490);
  daemon.rewrite(instance({ ...settings, addresses: [VIP, "10.0.0.101/32"] }));
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished");
  await capture.waitForAdvert(({ addresses }) => addresses.includes("10.0.0.101"));
  expect(await daemon.stop()).toBe(0);
});
