/** Two routers and one address: who has it, and how long nobody does. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { Capture, nowUs } from "../support/capture.ts";
import { downUs, instance, type InstanceSettings, skewUs } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";

setDefaultTimeout(60_000);

const [A, B] = ["10.0.0.1", "10.0.0.2"];
const VIP = "10.0.0.100/32";
/** A kernel's time stamps are a little apart, a busy machine is late. */
const EARLY_US = 500;
const LATE_US = 40_000;

const SETTINGS: readonly Pick<InstanceSettings, "version" | "interval">[] = [
  { version: 2, interval: 1 },
  { version: 3, interval: 0.1 },
  { version: 3, interval: 0.01 },
];

for (const settings of SETTINGS) {
  const title = `v${settings.version} every ${settings.interval} s`;
  const backup = { ...settings, priority: 100 };
  const downAfterUs = downUs(backup);
  const skewAfterUs = skewUs(backup);

  test(`${title}: election, crash, return, graceful stop`, async () => {
    using network = new Network(["a", "b"]);
    await using capture = await Capture.start(network);
    const startA = (): Daemon => new Daemon(network, "a", instance({ ...settings, priority: 150 }));
    await using b = new Daemon(network, "b", instance(backup));
    await b.waitForLog("Entering BACKUP STATE");
    await using a = startA();

    // Election: A's wait is shorter, and B never speaks unless it had begun much earlier.
    await a.waitForLog("(V) Entering MASTER STATE");
    await capture.waitForAdvert(({ source }) => source === A);
    await expectHolders(network, ["a"]);
    if (/Entering MASTER/.test(b.log)) await b.waitForLog("Entering BACKUP STATE");
    b.skipLog();

    // Crash.
    const crashUs = nowUs();
    await a.crash();
    await b.waitForLog("(V) Entering MASTER STATE");
    const first = await capture.waitForAdvert(({ source }) => source === B, 5000, crashUs);
    const last = capture.adverts.findLast(({ source }) => source === A)!;
    expect(first.atUs - last.atUs).toBeWithin(downAfterUs - EARLY_US, downAfterUs + LATE_US);
    await capture.waitForAnnouncements(5, () => true, 5000, first.atUs);
    expect(network.addresses("b")).toContain(VIP);

    // Return: what the dead A has left on its link goes, then it preempts.
    await using again = startA();
    await again.waitForLog("(V) removing VIPs.");
    await again.waitForLog("(V) Entering BACKUP STATE (init)");
    await again.waitForLog("(V) Entering MASTER STATE");
    await b.waitForLog(`advert from ${A} with higher priority 150, ours 100`);
    await b.waitForLog("(V) Entering BACKUP STATE");
    await expectHolders(network, ["a"]);

    // Graceful stop.
    const stopUs = nowUs();
    expect(await again.stop()).toBe(0);
    expect(nowUs() - stopUs).toBeLessThan(500_000);
    expect([again.pidFile, again.vrrpPidFile].filter(existsSync)).toEqual([]);
    expect(network.addresses("a")).not.toContain(VIP);
    const goodbye = await capture.waitForAdvert(({ priority }) => priority === 0, 5000, stopUs);
    expect(goodbye.source).toBe(A);
    expect(goodbye.atUs - stopUs).toBeLessThan(50_000);
    const next = await capture.waitForAdvert(({ source }) => source === B, 5000, goodbye.atUs);
    expect(next.atUs - goodbye.atUs).toBeWithin(skewAfterUs - EARLY_US, skewAfterUs + LATE_US);
    await b.waitForLog("(V) Backup received priority 0 advertisement");
    await b.waitForLog("(V) Entering MASTER STATE");
    await expectHolders(network, ["b"]);
    expect(capture.adverts.filter(({ priority }) => priority === 0)).toHaveLength(1);
    expect(capture.broken).toEqual([]);
  });
}

test("equal priorities: the higher address wins, whoever was first", async () => {
  using network = new Network(["a", "b"]);
  await using a = new Daemon(network, "a", instance());
  await a.waitForLog("(V) Entering MASTER STATE");
  // B waits longer than A's adverts are apart, so it hears them and stays BACKUP …
  await using b = new Daemon(network, "b", instance());
  await b.waitForLog("Entering BACKUP STATE");
  await using capture = await Capture.start(network);
  const { atUs } = await capture.waitForAdvert(({ source }) => source === A);
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 2 * downUs({}));
  expect(capture.adverts.every(({ source }) => source === A)).toBe(true);
  // … until the wire is cut, both are MASTER, and the wire is back.
  network.run("wire", "ip", "link", "set", "br0", "type", "bridge", "mcast_snooping", "0");
  network.run("wire", "bridge", "link", "set", "dev", "to-b", "isolated", "on");
  network.run("wire", "bridge", "link", "set", "dev", "to-a", "isolated", "on");
  await b.waitForLog("(V) Entering MASTER STATE");
  network.run("wire", "bridge", "link", "set", "dev", "to-b", "isolated", "off");
  await a.waitForLog(`advert from ${B} with same priority 100 but higher IP address than ours`);
  await a.waitForLog("(V) Entering BACKUP STATE");
  await expectHolders(network, ["b"]);
});

test("nopreempt: a better router that comes back leaves the address where it is", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  await using b = new Daemon(network, "b", instance({ priority: 100 }));
  await b.waitForLog("(V) Entering MASTER STATE");
  await using a = new Daemon(network, "a", instance({ priority: 200, more: "nopreempt" }));
  const { atUs } = await a.waitForLog("(V) Entering BACKUP STATE");
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 2 * downUs({ priority: 200 }));
  expect(capture.adverts.every(({ source }) => source === B)).toBe(true);
  await b.crash();
  await a.waitForLog("(V) Entering MASTER STATE");
});

/** Waits, briefly, until these hosts and no others have the address. */
async function expectHolders(network: Network, hosts: readonly string[]): Promise<void> {
  const limit = performance.now() + 1000;
  const holders = (): string[] =>
    ["a", "b"].filter((host) => network.addresses(host).includes(VIP));
  while (holders().join() !== hosts.join() && performance.now() < limit) await Bun.sleep(5);
  expect(holders()).toEqual([...hosts]);
}
