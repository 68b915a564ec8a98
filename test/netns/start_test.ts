/** How a router begins: what it waits for, what it says, what it puts on its link. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture } from "../support/capture.ts";
import { downUs, instance, type InstanceSettings } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";

setDefaultTimeout(60_000);

test("an owner is MASTER at once: advert, address, 5 gratuitous ARPs and 5 more", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const settings: InstanceSettings = { state: "MASTER", more: "garp_master_delay 1", version: 2 };
  await using daemon = new Daemon(network, "a", instance({ ...settings, interval: 1 }));
  const advert = await capture.waitForAdvert(() => true);
  expect(advert).toMatchObject({
    version: 2,
    vrid: 7,
    priority: 255,
    source: "10.0.0.1",
    destination: "224.0.0.18",
    ttl: 255,
    addresses: ["10.0.0.100"],
    authType: 0,
    advertisementIntervalUs: 1_000_000,
  });
  // The other side of a start is measured by a bench; this only says that nothing was waited for.
  expect(advert.atUs - daemon.startedUs).toBeLessThan(500_000);

  const announcements = await capture.waitForAnnouncements(10);
  const link = network.run("a", "ip", "link", "show", "eth0");
  const { mac } = announcements[0]!;
  expect(link).toContain(mac);
  expect(announcements.every((one) => one.address === "10.0.0.100" && one.mac === mac)).toBe(true);
  const afterUs = announcements.map(({ atUs }) => atUs - advert.atUs);
  expect(afterUs[0]).toBeWithin(0, 20_000);
  expect(afterUs[4]).toBeWithin(0, 20_000);
  expect(afterUs[5]).toBeWithin(990_000, 1_050_000);
  expect(afterUs[9]).toBeWithin(990_000, 1_050_000);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24", "10.0.0.100/32"]);

  const second = await capture.waitForAdvert(({ atUs }) => atUs > advert.atUs);
  expect(second.atUs - advert.atUs).toBeWithin(985_000, 1_010_000);
  expect(announcements).toHaveLength(10);
  expect(capture.broken).toEqual([]);
});

const WAITING: readonly InstanceSettings[] = [
  { version: 2, interval: 1, priority: 100 },
  { version: 3, interval: 0.1, priority: 100 },
  { version: 3, interval: 0.1, priority: 255 },
  { version: 3, interval: 0.1, priority: 200, state: "MASTER" },
  { version: 3, interval: 0.01, priority: 1 },
];

for (const settings of WAITING) {
  const expectedUs = downUs(settings);
  const { version, interval, priority, state = "BACKUP" } = settings;
  const title = `v${version} every ${interval} s, state ${state}, priority ${priority}`;
  test(`${title}: BACKUP, and MASTER after ${expectedUs / 1000} ms`, async () => {
    using network = new Network(["a"]);
    await using capture = await Capture.start(network);
    await using daemon = new Daemon(network, "a", instance(settings));
    const backup = await daemon.waitForLog("(V) Entering BACKUP STATE (init)");
    expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
    await daemon.waitForLog("(V) Entering MASTER STATE");
    const advert = await capture.waitForAdvert(() => true);
    expect(advert).toMatchObject({ version, priority });
    // From the log line, which we may read late, to the wire.
    expect(advert.atUs - backup.atUs).toBeWithin(expectedUs - 150_000, expectedUs + 50_000);
    await capture.waitForAnnouncements(5);
    expect(network.addresses("a")).toEqual(["10.0.0.1/24", "10.0.0.100/32"]);
  });
}

test("addresses left over from a crash go before BACKUP is announced", async () => {
  using network = new Network(["a"]);
  network.run("a", "ip", "address", "add", "10.0.0.100/32", "dev", "eth0");
  await using daemon = new Daemon(network, "a", instance({ version: 2, interval: 1 }));
  await daemon.waitForLog("(V) removing VIPs.");
  await daemon.waitForLog("(V) Entering BACKUP STATE (init)");
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
});

test("every role by --all, without anything to balance: IPVS is left alone, so that none is needed", async () => {
  using network = new Network(["a"]);
  const words = ["--all", "-c", `/run/upk${process.pid}-checkers.pid`];
  await using daemon = new Daemon(network, "a", instance({ priority: 255 }), { words });
  await daemon.waitForLog("Starting Healthcheck child process");
  await daemon.waitForLog("Entering MASTER STATE");
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished");
  expect(daemon.log).not.toMatch(/ipvs/i);
  expect(await daemon.stop()).toBe(0);
});

const REFUSED = [
  {
    name: "an unknown interface",
    config: instance({ interface: "nope" }),
    status: 2,
    says: "nope",
  },
  { name: "no file", config: undefined, status: 6, says: "Config files missing '/nowhere/" },
] as const;

for (const { name, config, status, says } of REFUSED) {
  test(`${name} ends the start with status ${status} and a message`, async () => {
    using network = new Network(["a"]);
    const words = config === undefined ? ["-f", "/nowhere/keepalived.conf"] : [];
    await using daemon = new Daemon(network, "a", config ?? "", { words });
    expect(await daemon.ended()).toBe(status);
    expect(daemon.log).toContain(says);
    expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  });
}
