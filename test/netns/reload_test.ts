/** HUP: what the file says differently happens, and nothing else does. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture, nowUs, type SeenAdvert } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { AddressMonitor } from "../support/monitor.ts";
import { Network } from "../support/namespaces.ts";

setDefaultTimeout(60_000);

const [A, B] = ["10.0.0.1", "10.0.0.2"];

/** An owner of 10.0.0.100 and 101. */
const owner = instance({ state: "MASTER", addresses: ["10.0.0.100/32", "10.0.0.101/32"] });

async function reload(daemon: Daemon, config: string): Promise<void> {
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished");
}

/** Waits until `count` more adverts of one virtual router have been seen, and returns all of its. */
async function moreAdverts(capture: Capture, count: number, vrid = 7): Promise<SeenAdvert[]> {
  const mine = (): SeenAdvert[] => capture.adverts.filter((advert) => advert.vrid === vrid);
  const wanted = mine().length + count;
  await capture.waitForAdvert(() => mine().length >= wanted);
  return mine();
}

/** Adverts left every 0.1 s, none was missed and none moved; a busy machine may be late for one. */
function expectSteady(adverts: readonly SeenAdvert[]): void {
  const offGridUs = adverts.map(({ atUs }, i) => atUs - adverts[0]!.atUs - i * 100_000);
  const latestUs = Math.max(...offGridUs) - Math.min(...offGridUs);
  expect(latestUs).toBeLessThan(50_000);
}

test("a priority lowered below the peer's hands over, raised again takes back", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ priority: 150 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await using b = new Daemon(network, "b", instance({ priority: 100 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  await reload(a, instance({ priority: 50 }));
  await a.waitForLog("(V) Changing effective priority from 150 to 50");
  await capture.waitForAdvert(({ source, priority }) => source === A && priority === 50);
  await b.waitForLog("(V) Entering MASTER STATE");
  await a.waitForLog(`advert from ${B} with higher priority 100, ours 50`);
  await a.waitForLog("(V) Entering BACKUP STATE");
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  await reload(a, instance({ priority: 200 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await capture.waitForAdvert(({ source, priority }) => source === A && priority === 200);
  await b.waitForLog("(V) Entering BACKUP STATE");
  expect(capture.adverts.filter(({ priority }) => priority === 0)).toEqual([]);
});

test("addresses come and go one by one while MASTER, on time", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using daemon = new Daemon(network, "a", owner);
  await capture.waitForAnnouncements(10);
  await using monitor = await AddressMonitor.start(network, "a");
  const sinceUs = nowUs();
  await reload(
    daemon,
    instance({ state: "MASTER", addresses: ["10.0.0.101/32", "10.0.0.102/24"] }),
  );
  await monitor.waitFor("+10.0.0.102/24");
  await monitor.waitFor("-10.0.0.100/32");
  await capture.waitForAnnouncements(5, ({ address }) => address === "10.0.0.102");
  const adverts = await moreAdverts(capture, 5);
  expectSteady(adverts);
  expect(adverts.at(-1)!.addresses).toEqual(["10.0.0.101", "10.0.0.102"]);
  expect(monitor.events.toSorted()).toEqual(["+10.0.0.102/24", "-10.0.0.100/32"]);
  const announced = capture.announcements.filter(({ atUs }) => atUs > sinceUs);
  expect(new Set(announced.map(({ address }) => address))).toEqual(new Set(["10.0.0.102"]));
  expect(network.addresses("a").toSorted()).toEqual([
    "10.0.0.1/24",
    "10.0.0.101/32",
    "10.0.0.102/24",
  ]);
  expect(daemon.log.match(/Entering \w+ STATE/g)).toEqual(["Entering MASTER STATE"]);
});

test("the same file again changes nothing", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using daemon = new Daemon(network, "a", owner);
  await capture.waitForAnnouncements(10);
  await using monitor = await AddressMonitor.start(network, "a");
  for (let i = 0; i < 5; i++) await reload(daemon, owner);
  const adverts = await moreAdverts(capture, 5);
  expectSteady(adverts);
  expect(monitor.events).toEqual([]);
  expect(capture.announcements).toHaveLength(10);
});

const FATAL = [
  {
    name: "an unknown interface",
    config: instance({ state: "MASTER", interface: "nope" }),
    says: "nope",
  },
  { name: "no file", config: undefined, says: "Config files missing" },
] as const;

for (const { name, config, says } of FATAL) {
  test(`${name}: the reload is refused with the reason, and nothing changes`, async () => {
    using network = new Network(["a"]);
    await using capture = await Capture.start(network);
    await using daemon = new Daemon(network, "a", owner);
    await capture.waitForAnnouncements(10);
    await using monitor = await AddressMonitor.start(network, "a");
    if (config === undefined) network.run("a", "rm", daemon.configFile);
    else daemon.rewrite(config);
    daemon.skipLog();
    daemon.signal("SIGHUP");
    await daemon.waitForLog(says);
    await daemon.waitForLog("Reload refused");
    expectSteady(await moreAdverts(capture, 5));
    expect(monitor.events).toEqual([]);
    expect(daemon.log.match(/Entering \w+ STATE/g)).toEqual(["Entering MASTER STATE"]);
    // The next good file is taken.
    await reload(daemon, instance({ state: "MASTER" }));
    await monitor.waitFor("-10.0.0.101/32");
    expect(await daemon.stop()).toBe(0);
  });
}

test("reload_strict refuses a file with an error; the first start does not", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const strict = "global_defs {\n reload_strict\n}\n";
  const mistake = "bogus 1\n";
  await using daemon = new Daemon(network, "a", strict + owner + mistake);
  await capture.waitForAnnouncements(10);
  await using monitor = await AddressMonitor.start(network, "a");
  const fewer = instance({ state: "MASTER" });
  for (const refused of [strict + fewer + mistake, `golbal_defs {\n}\n${fewer}`]) {
    daemon.rewrite(refused);
    daemon.skipLog();
    daemon.signal("SIGHUP");
    await daemon.waitForLog("Reload refused (reload_strict)");
  }
  expect(monitor.events).toEqual([]);
  await reload(daemon, `global_defs {\n reload_strict no\n}\n${fewer}${mistake}`);
  await monitor.waitFor("-10.0.0.101/32");
  // What is off now stays off.
  await reload(daemon, owner + mistake);
  await monitor.waitFor("+10.0.0.101/32");
});

test("an instance is added and removed beside another that does not notice", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using daemon = new Daemon(network, "a", owner);
  await capture.waitForAnnouncements(10);
  await using monitor = await AddressMonitor.start(network, "a");
  const second = instance({ name: "W", vrid: 8, state: "MASTER", addresses: ["10.0.0.200/32"] });
  daemon.skipLog();
  await reload(daemon, owner + second);
  await capture.waitForAdvert(({ vrid }) => vrid === 8);
  await capture.waitForAnnouncements(5, ({ address }) => address === "10.0.0.200");
  await monitor.waitFor("+10.0.0.200/32");
  await moreAdverts(capture, 5, 8);
  await reload(daemon, owner);
  await capture.waitForAdvert(({ vrid, priority }) => vrid === 8 && priority === 0);
  await monitor.waitFor("-10.0.0.200/32");
  const seen = capture.adverts.filter(({ vrid }) => vrid === 8).length;
  expectSteady(await moreAdverts(capture, 5));
  expect(capture.adverts.filter(({ vrid }) => vrid === 8)).toHaveLength(seen);
  expect(monitor.events).toEqual(["+10.0.0.200/32", "-10.0.0.200/32"]);
  expect(daemon.log).not.toContain("(V) Entering BACKUP STATE");
  expect(network.addresses("a").toSorted()).toEqual([
    "10.0.0.1/24",
    "10.0.0.100/32",
    "10.0.0.101/32",
  ]);
});

test("all instances may go and come back", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using daemon = new Daemon(network, "a", owner);
  await capture.waitForAnnouncements(10);
  await reload(daemon, "global_defs {\n router_id r\n}\n");
  await capture.waitForAdvert(({ priority }) => priority === 0);
  const sinceUs = nowUs();
  await reload(daemon, owner);
  await capture.waitForAdvert(({ priority }) => priority === 255, 5000, sinceUs);
  await capture.waitForAnnouncements(10, () => true, 5000, sinceUs);
  expect(network.addresses("a").toSorted()).toEqual([
    "10.0.0.1/24",
    "10.0.0.100/32",
    "10.0.0.101/32",
  ]);
  expect(await daemon.stop()).toBe(0);
});

test("an address moves from one instance to another in one reload, whichever comes first", async () => {
  using network = new Network(["a"]);
  const both = (...addresses: readonly string[]): string =>
    addresses.map((address, i) =>
      instance({ name: `V${i}`, vrid: 7 + i, addresses: address.split(" ") })
    ).join("");
  const [first, second, moving] = ["10.0.0.101/32", "10.0.0.102/32", "10.0.0.100/32"];
  const here = both(`${first} ${moving}`, second!);
  const there = both(first!, `${second} ${moving}`);
  await using daemon = new Daemon(network, "a", here);
  await daemon.waitForLog("(V0) Entering MASTER STATE");
  await daemon.waitForLog("(V1) Entering MASTER STATE");
  await using capture = await Capture.start(network);
  await using monitor = await AddressMonitor.start(network, "a");
  const carried = (vrid: number): string =>
    capture.adverts.findLast((advert) => advert.vrid === vrid)?.addresses.join(" ") ?? "";
  for (const [config, owner] of [[there, 8], [here, 7], [there, 8], [here, 7]] as const) {
    const sinceUs = nowUs();
    await reload(daemon, config);
    await capture.waitForAnnouncements(5, ({ address }) => address === "10.0.0.100", 5000, sinceUs);
    await capture.waitForAdvert(
      ({ vrid, addresses }) => vrid === owner && addresses.includes("10.0.0.100"),
      5000,
      sinceUs,
    );
    await moreAdverts(capture, 2, 15 - owner);
    expect(carried(15 - owner)).not.toContain("10.0.0.100");
    expect(network.addresses("a").toSorted()).toEqual(["10.0.0.1/24", moving!, first!, second!]);
  }
  // It never left its link, and adverts flowed all the time.
  expect(monitor.events.filter((event) => event.startsWith("-"))).toEqual([]);
  for (const vrid of [7, 8]) expectSteady(await moreAdverts(capture, 2, vrid));
  expect(daemon.log).not.toContain("was removed");
  expect(await daemon.stop()).toBe(0);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
});
