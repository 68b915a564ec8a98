/** Parts of the daemon are killed: what the network sees of it. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { Capture, nowUs } from "../support/capture.ts";
import { downUs, instance } from "../support/configs.ts";
import { childrenOf, Daemon, isAlive } from "../support/daemon.ts";
import { AddressMonitor } from "../support/monitor.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const [A, B] = ["10.0.0.1", "10.0.0.2"];
const VIP = "10.0.0.100/32";

test("the vrrp role is killed: adverts go on, the address stays, the peer sees nothing", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ version: 2, interval: 1, priority: 200 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await using b = new Daemon(network, "b", instance({ version: 2, interval: 1, priority: 100 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  await using monitor = await AddressMonitor.start(network, "a");

  // 0 s, 1 s and 2 s until it is back: all shorter than the peer waits.
  for (const delay of [0, 1, 2]) {
    const { vrrp } = a.pids();
    const killedUs = nowUs();
    process.kill(vrrp, "SIGKILL");
    await a.waitForLog(`pid ${vrrp} exited due to signal 9`);
    await a.waitForLog(`VRRP child process(${vrrp}) died: Respawning`);
    if (delay > 0) {
      const text = `Restart of VRRP process delayed ${delay} seconds to limit respawn rate`;
      await a.waitForLog(text);
    }
    await a.waitForLog("Still MASTER after a restart of the VRRP process");
    const next = await capture.waitForAdvert(() => true, 5000, killedUs);
    expect(next).toMatchObject({ source: A, priority: 200 });
    expect(next.atUs - killedUs - delay * 1_000_000).toBeWithin(0, 100_000);
    expect(a.pids().vrrp).not.toBe(vrrp);
  }
  const { atUs } = capture.adverts.at(-1)!;
  await capture.waitForAdvert((advert) => advert.atUs > atUs);
  expect(capture.adverts.every(({ source, priority }) => source === A && priority > 0)).toBe(true);
  expect(monitor.events.filter((event) => event.startsWith("-"))).toEqual([]);
  expect(b.log).not.toContain("MASTER");
  expect(await a.stop()).toBe(0);
  await monitor.waitFor(`-${VIP}`);
});

test("a delay that is longer than peers wait: the address is withdrawn first", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ priority: 200 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await using b = new Daemon(network, "b", instance({ priority: 100 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  await using monitor = await AddressMonitor.start(network, "a");

  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Still MASTER");
  await capture.waitForAdvert(({ source }) => source === A, 5000, nowUs());
  expect(monitor.events.filter((event) => event.startsWith("-"))).toEqual([]);

  const killedUs = nowUs();
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("delayed 1 seconds");
  await monitor.waitFor(`-${VIP}`, 200);
  expect(nowUs() - killedUs).toBeLessThan(200_000);
  // The withdrawal must not speak for the router: the peer waits its full time.
  await b.waitForLog("(V) Entering MASTER STATE");
  const first = await capture.waitForAdvert(({ source }) => source === B);
  const last = capture.adverts.findLast(({ source, atUs }) => source === A && atUs < first.atUs)!;
  expect(first.atUs - last.atUs).toBeWithin(downUs({}) - 500, downUs({}) + 40_000);
  expect(network.addresses("a")).not.toContain(VIP);

  await a.waitForLog("(V) Entering BACKUP STATE (init)");
  await a.waitForLog("(V) Entering MASTER STATE");
  await b.waitForLog("(V) Entering BACKUP STATE");
  await poll(() => network.addresses("a").includes(VIP), 1000, "no address");
  expect(capture.adverts.filter(({ priority }) => priority === 0)).toEqual([]);
});

test("stopped while the role is away: it ends, and nothing stays", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", instance({ version: 2, interval: 1, state: "MASTER" }));
  await a.waitForLog("(V) Entering MASTER STATE");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Still MASTER");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("delayed 1 seconds");
  expect(await a.stop()).toBe(0);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  expect([a.pidFile, a.vrrpPidFile].filter(existsSync)).toEqual([]);
});

test("reloaded while the role is away: one role comes back, with the new configuration", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const settings = { version: 2, interval: 1, state: "MASTER" } as const;
  await using a = new Daemon(network, "a", instance(settings));
  await a.waitForLog("(V) Entering MASTER STATE");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Still MASTER");
  const killedUs = nowUs();
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("delayed 1 seconds");
  a.rewrite(instance({ ...settings, addresses: [VIP, "10.0.0.101/32"] }));
  a.signal("SIGHUP");
  await a.waitForLog("Reload finished");
  await capture.waitForAdvert(({ addresses }) => addresses.includes("10.0.0.101"));
  // Past the moment at which the role would have been started without the reload.
  await capture.waitForAdvert(({ atUs }) => atUs > killedUs + 1_500_000);
  expect(childrenOf(a.pid)).toHaveLength(1);
  await poll(() => network.addresses("a").length === 3, 1000, "not both addresses");
  expect(await a.stop()).toBe(0);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
});

test("--dont-respawn: the daemon ends with its role, and no address stays", async () => {
  using network = new Network(["a"]);
  const settings = { words: ["--dont-respawn"] };
  await using a = new Daemon(network, "a", instance({ state: "MASTER" }), settings);
  await a.waitForLog("(V) Entering MASTER STATE");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("VRRP child process died: Exiting");
  expect(await a.ended()).toBe(1);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  expect(existsSync(a.pidFile)).toBe(false);
});

test("the parent is killed: the role leaves as it should, and no process stays", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ priority: 200 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await capture.waitForAnnouncements(5);
  const { parent, vrrp } = a.pids();
  const killedUs = nowUs();
  process.kill(parent, "SIGKILL");
  const goodbye = await capture.waitForAdvert(({ priority }) => priority === 0);
  expect(goodbye.atUs - killedUs).toBeLessThan(50_000);
  await poll(() => !isAlive(vrrp) && !isAlive(parent), 2000, "the role lives");
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  expect(existsSync(a.vrrpPidFile)).toBe(false);
  expect(capture.adverts.at(-1)!.priority).toBe(0);

  // Its pid file, which nobody could remove, keeps no successor from starting.
  const words = ["-p", a.pidFile];
  await using next = new Daemon(network, "a", instance({ priority: 200 }), { words });
  await next.waitForLog("(V) Entering MASTER STATE");
});
