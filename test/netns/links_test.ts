/** Links and the addresses on them fail and come back under a MASTER. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const [A, B] = ["10.0.0.1", "10.0.0.2"];
const VIP = "10.0.0.100/32";

interface Failure {
  readonly name: string;
  readonly fail: (network: Network) => void;
  readonly repair: (network: Network) => void;
}

const FAILURES: readonly Failure[] = [
  {
    name: "the interface is switched off",
    fail: (network) => network.run("a", "ip", "link", "set", "eth0", "down"),
    repair: (network) => network.run("a", "ip", "link", "set", "eth0", "up"),
  },
  {
    name: "the cable is pulled",
    fail: (network) => network.run("wire", "ip", "link", "set", "to-a", "down"),
    repair: (network) => network.run("wire", "ip", "link", "set", "to-a", "up"),
  },
  {
    name: "the interface loses its address",
    fail: (network) => network.run("a", "ip", "address", "del", `${A}/24`, "dev", "eth0"),
    repair: (network) => network.run("a", "ip", "address", "add", `${A}/24`, "dev", "eth0"),
  },
];

for (const { name, fail, repair } of FAILURES) {
  test(`${name}: FAULT, the peer takes over; and back`, async () => {
    using network = new Network(["a", "b"]);
    await using capture = await Capture.start(network);
    await using a = new Daemon(network, "a", instance({ priority: 150 }));
    await a.waitForLog("(V) Entering MASTER STATE");
    await using b = new Daemon(network, "b", instance({ priority: 100 }));
    await b.waitForLog("(V) Entering BACKUP STATE");

    fail(network);
    await a.waitForLog("(V) Entering FAULT STATE");
    await b.waitForLog("(V) Entering MASTER STATE");
    await capture.waitForAdvert(({ source }) => source === B);
    await poll(() => !network.addresses("a").includes(VIP), 1000, "the address stays");
    expect(network.addresses("b")).toContain(VIP);

    const sinceUs = nowUs();
    repair(network);
    await a.waitForLog("(V) Entering BACKUP STATE");
    await a.waitForLog("(V) Entering MASTER STATE");
    await capture.waitForAdvert(({ source }) => source === A, 5000, sinceUs);
    await b.waitForLog("(V) Entering BACKUP STATE");
    await capture.waitForAnnouncements(5, () => true, 5000, sinceUs);
    expect(network.addresses("a")).toContain(VIP);
    expect(network.addresses("b")).not.toContain(VIP);
    expect(await a.stop()).toBe(0);
  });
}

test("a link that is off at the start: FAULT at once, and up when it comes", async () => {
  using network = new Network(["a"]);
  network.run("a", "ip", "link", "set", "eth0", "down");
  await using capture = await Capture.start(network);
  await using daemon = new Daemon(network, "a", instance());
  await daemon.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "link", "set", "eth0", "up");
  await daemon.waitForLog("(V) Entering BACKUP STATE");
  await daemon.waitForLog("(V) Entering MASTER STATE");
  await capture.waitForAdvert(() => true);
});

test("one VRID on a link and on a macvlan over it: refused, unless links may change", () => {
  using network = new Network(["a"]);
  network.run("a", "ip", "link", "add", "mv0", "link", "eth0", "type", "macvlan");
  const two = instance() + instance({ name: "W", interface: "mv0", addresses: ["10.0.0.101"] });
  const changing = `global_defs {\ndynamic_interfaces allow_if_changes\n}\n${two}`;
  for (const program of [UPKEEP, "keepalived"]) {
    expect(checked(network, program, two)).toEqual({
      status: 5,
      text: "V and W both use VRID 7 with IPv4 on interface eth0\n",
    });
    expect(checked(network, program, changing).status).toBe(0);
  }
});

/** What a program says of a configuration in a host's namespace. */
function checked(
  network: Network,
  program: string,
  config: string,
): { readonly status: number; readonly text: string } {
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  try {
    const file = join(folder, "keepalived.conf");
    writeFileSync(file, config);
    const words = ["ip", "netns", "exec", network.netns("a"), program, "-t", "-f", file];
    const { exitCode: status, stderr } = Bun.spawnSync(words);
    const said = stderr.toString().split("\n").filter((line) => line.includes("both use"));
    return { status, text: said.join("\n") + "\n" };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("dynamic_interfaces: a link that is made later, deleted and made again", async () => {
  using network = new Network(["a"]);
  const dynamic = "global_defs {\n dynamic_interfaces\n}\n";
  await using capture = await Capture.start(network);
  const make = (): void => {
    network.run("a", "ip", "link", "add", "late", "type", "veth", "peer", "name", "far");
    network.run("a", "ip", "address", "add", "10.0.9.1/24", "dev", "late");
    network.run("a", "ip", "link", "set", "far", "up");
    network.run("a", "ip", "link", "set", "late", "up");
  };
  const late = instance({ name: "L", interface: "late", vrid: 9, addresses: ["10.0.9.100/32"] });
  await using daemon = new Daemon(network, "a", dynamic + instance({ state: "MASTER" }) + late);
  await daemon.waitForLog("(L) Entering FAULT STATE");
  await capture.waitForAdvert(({ vrid }) => vrid === 7);
  for (let round = 0; round < 2; round++) {
    make();
    await daemon.waitForLog("(L) Entering MASTER STATE");
    const held = (): boolean => network.addresses("a", "late").includes("10.0.9.100/32");
    await poll(held, 1000, "no address");
    network.run("a", "ip", "link", "del", "late");
    await daemon.waitForLog("(L) Entering FAULT STATE");
  }
  const sinceUs = nowUs();
  await capture.waitForAdvert(({ vrid }) => vrid === 7, 1000, sinceUs);
  expect(daemon.log).not.toContain("(V) Entering FAULT STATE");
  expect(await daemon.stop()).toBe(0);
});

test("unplugged and back at a stroke, many times: it settles where it should", async () => {
  using network = new Network(["a", "b"]);
  await using a = new Daemon(network, "a", instance({ priority: 150 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await using b = new Daemon(network, "b", instance({ priority: 100 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  const flap = "for i in 1 2 3 4 5 6 7 8; do ip link set eth0 down; ip link set eth0 up; done";
  network.run("a", "sh", "-c", flap);
  const settled = (): boolean =>
    network.addresses("a").includes(VIP) && !network.addresses("b").includes(VIP);
  await poll(settled, 3000, "not settled");
  await using capture = await Capture.start(network);
  const { atUs } = await capture.waitForAdvert(() => true);
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 400_000);
  expect(capture.adverts.every(({ source }) => source === A)).toBe(true);
});

test("dont_track_primary: its own link may be off", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const more = "dont_track_primary";
  const config = instance({ name: "A", priority: 150, more }) +
    instance({
      name: "B",
      vrid: 8,
      priority: 150,
      addresses: ["10.0.0.101"],
      more: `use_vmac\n${more}`,
    });
  await using daemon = new Daemon(network, "a", config);
  await daemon.waitForLog("(B) Entering MASTER STATE");
  network.run("a", "ip", "link", "set", "eth0", "down");
  await daemon.waitForLog("while sending an advert over eth0");
  network.run("a", "ip", "link", "set", "eth0", "up");
  const sinceUs = nowUs();
  for (const one of [7, 8]) await capture.waitForAdvert(({ vrid }) => vrid === one, 5000, sinceUs);
  expect(daemon.log).not.toContain("FAULT");
  expect(network.addresses("a")).toContain(VIP);
  expect(network.addresses("a", "vrrp.8")).toEqual(["10.0.0.101/32"]);
  expect(await daemon.stop()).toBe(0);
});

test("a link that gets another name, and its own one again", async () => {
  using network = new Network(["a"]);
  const dynamic = "global_defs {\n dynamic_interfaces\n}\n";
  await using daemon = new Daemon(network, "a", dynamic + instance({ priority: 200 }));
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const rename = (from: string, to: string): void => {
    const script = `ip link set ${from} down; ip link set ${from} name ${to}; ip link set ${to} up`;
    network.run("a", "sh", "-ec", script);
  };
  rename("eth0", "other");
  await daemon.waitForLog("(V) Entering FAULT STATE");
  await poll(() => !network.addresses("a", "other").includes(VIP), 5000, "the address stays");
  rename("other", "eth0");
  await daemon.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a").includes(VIP), 5000, "no address");
});

test("the link of an address elsewhere counts, unless it is not tracked", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  const vips = ["10.0.0.100/32", "10.1.0.100/32 dev eth1"];
  const tracking = instance({ priority: 200, addresses: vips });
  await using daemon = new Daemon(network, "a", tracking);
  await daemon.waitForLog("(V) Entering MASTER STATE");
  network.run("a", "ip", "link", "set", "eth1", "down");
  await daemon.waitForLog(/\(V\).*interface eth1 is down/);
  await daemon.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "link", "set", "eth1", "up");
  await daemon.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a", "eth1").includes("10.1.0.100/32"), 5000, "no address");
  daemon.rewrite(instance({ priority: 200, addresses: [vips[0]!, `${vips[1]!} no_track`] }));
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
  const before = daemon.lines.length;
  network.run("a", "ip", "link", "set", "eth1", "down");
  await using capture = await Capture.start(network);
  const { atUs } = await capture.waitForAdvert(() => true);
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 300_000);
  expect(daemon.lines.slice(before).map(({ text }) => text).join()).not.toContain("FAULT");
});

test("interface_up_down_delays: a flap is none, an outage is one, and coming back takes its time", async () => {
  using network = new Network(["a"]);
  const delays = "interface_up_down_delays {\n    eth0 0.8 0.6\n}\n";
  const config = delays + instance({ priority: 200, interval: 1 });
  await using daemon = new Daemon(network, "a", config);
  await daemon.waitForLog("(V) Entering MASTER STATE", 10_000);
  const set = (state: string): void => void network.run("a", "ip", "link", "set", "eth0", state);
  set("down");
  set("up");
  await using capture = await Capture.start(network);
  const { atUs } = await capture.waitForAdvert(() => true);
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 900_000);
  expect(daemon.log).not.toContain("FAULT");
  const downUs = nowUs();
  set("down");
  const fault = await daemon.waitForLog("(V) Entering FAULT STATE");
  expect(fault.atUs - downUs).toBeGreaterThan(750_000);
  const upUs = nowUs();
  set("up");
  const backup = await daemon.waitForLog("(V) Entering BACKUP STATE");
  expect(backup.atUs - upUs).toBeGreaterThan(550_000);
  await daemon.waitForLog("(V) Entering MASTER STATE", 10_000);
});

test("linkbeat: a link that is asked is believed when it is asked", async () => {
  using network = new Network(["a"]);
  const polled = "linkbeat_interfaces {\n    eth0 ETHTOOL\n}\n";
  await using daemon = new Daemon(network, "a", polled + instance({ priority: 200 }));
  await daemon.waitForLog("(V) Entering MASTER STATE");
  network.run("wire", "ip", "link", "set", "to-a", "down");
  await daemon.waitForLog("(V) Entering FAULT STATE");
  network.run("wire", "ip", "link", "set", "to-a", "up");
  await daemon.waitForLog("(V) Entering MASTER STATE");
  // Any way that works will do.
  daemon.rewrite(`linkbeat_use_polling\n${instance({ priority: 200 })}`);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
  network.run("wire", "ip", "link", "set", "to-a", "down");
  await daemon.waitForLog("(V) Entering FAULT STATE");
  network.run("wire", "ip", "link", "set", "to-a", "up");
  await daemon.waitForLog("(V) Entering MASTER STATE");
  expect(daemon.log).not.toContain("not supported yet");
});

test("track_group: the instances of a static address whose link is down are in FAULT, others are not", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  const statics = "track_group far {\n    group {\n        V\n    }\n}\n" +
    "static_ipaddress {\n    10.1.0.50/32 dev eth1 track_group far\n}\n";
  const other = instance({ name: "W", vrid: 8, priority: 200, addresses: ["10.0.0.101/32"] });
  await using daemon = new Daemon(network, "a", statics + instance({ priority: 200 }) + other);
  await daemon.waitForLog("(V) Entering MASTER STATE");
  network.run("a", "ip", "address", "del", "10.1.0.50/32", "dev", "eth1");
  await poll(() => network.addresses("a", "eth1").includes("10.1.0.50/32"), 5000, "not restored");
  expect(daemon.log).not.toContain("FAULT");
  network.run("a", "ip", "link", "set", "eth1", "down");
  await daemon.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "link", "set", "eth1", "up");
  await daemon.waitForLog("(V) Entering MASTER STATE");
  expect(daemon.log).not.toContain("(W) Entering FAULT STATE");
});
