/** Options that decide who takes part and who is believed: sources, peers, owners, groups, checksums, delays. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
const MASTER = "(V) Entering MASTER STATE";
const BACKUP = "(V) Entering BACKUP STATE";
const peers = (...addresses: string[]): string => `unicast_peer {\n${addresses.join("\n")}\n}`;

async function reload(daemon: Daemon, config: string): Promise<void> {
  daemon.skipLog();
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
}

test("unicast_fault_no_peer: without peers no MASTER, and no multicast; with one by a reload", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const config = (peer: string): string =>
    instance({ priority: 200, more: `unicast_fault_no_peer\n${peer}` });
  await using a = new Daemon(network, "a", config(""));
  await a.waitForLog("(V) no unicast peer is left");
  await a.waitForLog("(V) Entering FAULT STATE");
  await reload(a, config(peers(B)));
  await a.waitForLog(MASTER);
  expect(await capture.waitForAdvert(() => true)).toMatchObject({ destination: B });
  // It speaks to nobody now, and is another instance for it.
  await reload(a, config(""));
  expect(a.log).toContain("(V) sent 0 priority\n");
  await poll(() => network.addresses("a").length === 1, 1000, "the address is left");
  expect(capture.adverts.every(({ destination }) => destination === B)).toBe(true);
});

test("peers come, are exchanged and go by reloads: the MASTER stays, and each hears it in time", async () => {
  using network = new Network(["a", "b", "c"]);
  await using capture = await Capture.start(network);
  const config = (...others: string[]): string =>
    instance({ priority: 200, interval: 0.3, more: peers(...others) });
  await using a = new Daemon(network, "a", config(B));
  await a.waitForLog(MASTER);
  await using b = new Daemon(
    network,
    "b",
    instance({ priority: 100, interval: 0.3, more: peers(A) }),
  );
  await b.waitForLog(BACKUP);
  for (const others of [[B, C], [C], [B]]) {
    const sinceUs = nowUs();
    await reload(a, config(...others));
    for (const destination of others) {
      await capture.waitForAdvert((one) => one.destination === destination, 5000, sinceUs);
    }
    const { atUs } = await capture.waitForAdvert(() => true, 5000, nowUs());
    await capture.waitForAdvert((one) => one.atUs > atUs + 100_000);
    const heard = capture.adverts.filter((one) => one.atUs > atUs && one.source === A);
    expect([...new Set(heard.map(({ destination }) => destination))].toSorted()).toEqual(others);
  }
  const moments = capture.adverts.filter(({ source }) => source === A).map(({ atUs }) => atUs);
  const gapsUs = moments.slice(1).map((atUs, i) => atUs - moments[i]!);
  expect(Math.max(...gapsUs)).toBeLessThan(700_000);
  expect(capture.adverts.every(({ priority }) => priority > 0)).toBe(true);
  expect(a.log.match(/Entering \w+ STATE/g)).toHaveLength(2);
});

test("check_unicast_src: who is no peer is not believed, and named", async () => {
  using network = new Network(["a", "b", "c"]);
  const config = (more: string): string =>
    instance({ priority: 100, more: `${more}\n${peers(B)}` });
  await using a = new Daemon(network, "a", config("check_unicast_src"));
  await a.waitForLog(MASTER);
  const stranger = instance({ priority: 200, state: "MASTER", more: peers(A) });
  await using c = new Daemon(network, "c", stranger);
  await c.waitForLog(MASTER);
  await a.waitForLog(
    `(V) unicast source address ${C} not a unicast peer`,
  );
  expect(network.addresses("a")).toContain("10.0.0.100/32");
  // Without it whoever knows the address is heard.
  await reload(a, config(""));
  await a.waitForLog(BACKUP);
});

test("track_src_ip: a source that is nowhere is a fault; without it adverts come from there", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const config = (more: string): string =>
    instance({ priority: 200, more: `mcast_src_ip 10.0.0.77\n${more}` });
  await using a = new Daemon(network, "a", config("track_src_ip"));
  await a.waitForLog("(V) no interface has the source address 10.0.0.77");
  await a.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "address", "add", "10.0.0.77/24", "dev", "eth0");
  await a.waitForLog(MASTER);
  network.run("a", "ip", "address", "delete", "10.0.0.77/24", "dev", "eth0");
  await a.waitForLog("(V) Entering FAULT STATE");
  const sinceUs = nowUs();
  await reload(a, config(""));
  await a.waitForLog(MASTER);
  const advert = await capture.waitForAdvert(() => true, 5000, sinceUs);
  expect(advert).toMatchObject({ source: "10.0.0.77", destination: "224.0.0.18" });
});

test("two owners: the lower address gives way; owner_ignore_adverts does not hear of it", async () => {
  using network = new Network(["a", "b"]);
  const owner = (more = ""): string => instance({ priority: 255, state: "MASTER", more });
  await using a = new Daemon(network, "a", owner());
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", owner());
  await b.waitForLog(MASTER);
  await a.waitForLog(/same priority 255 but higher IP address/);
  await a.waitForLog(BACKUP);
  await poll(() => network.addresses("a").length === 1, 1000, "A holds the address, too");
  expect(network.addresses("b")).toContain("10.0.0.100/32");
  expect(await b.stop()).toBe(0);
  await a.waitForLog(MASTER);
  await reload(a, owner("owner_ignore_adverts"));
  await using again = new Daemon(network, "b", owner());
  await again.waitForLog(MASTER);
  await using capture = await Capture.start(network);
  await capture.waitForAdvert(({ source }) => source === A);
  const { atUs } = await capture.waitForAdvert(({ source }) => source === B);
  await capture.waitForAdvert(({ source }) => source === A, 5000, atUs + 100_000);
});

test("an owner that goes on beside another one: that one lowers itself to 254, and is back when it is gone", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const owner = (more = ""): string => instance({ priority: 255, state: "MASTER", more });
  // A, with the lower address, does not hear anybody.
  await using a = new Daemon(network, "a", owner("owner_ignore_adverts"));
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", owner());
  await b.waitForLog(MASTER);
  await b.waitForLog(`(V) Another address owner, ${A}, goes on advertising priority 255`);
  await b.waitForLog(BACKUP);
  await a.crash();
  await b.waitForLog("(V) The other address owner is gone - restoring priority 255");
  await b.waitForLog(MASTER);
  const last = await capture.waitForAdvert(({ source }) => source === B, 5000, nowUs());
  expect(last.priority).toBe(255);
});

test("v3_checksum_as_v2: understood by who does not have it, with a word, and the other way round", async () => {
  using network = new Network(["a", "b"]);
  const config = (priority: number, isNew: boolean): string =>
    instance({ priority, more: isNew ? "v3_checksum_as_v2" : "" });
  await using a = new Daemon(network, "a", config(200, true));
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", config(100, false));
  await b.waitForLog(`(V) ${A} makes its checksums without pseudo-header - if it drops ours, set`);
  await a.crash();
  await b.waitForLog(MASTER);
  await using again = new Daemon(network, "a", config(50, true));
  await again.waitForLog(BACKUP);
  await using capture = await Capture.start(network);
  const { atUs } = await capture.waitForAdvert(({ source }) => source === B);
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 600_000);
  expect(capture.adverts.every(({ source }) => source === B)).toBe(true);
  expect(`${b.log}${again.log}`).not.toMatch(/Invalid VRRPv3 checksum/);
});

test("groups of one's own: vrrp_mcast_group4 and mcast_group; another group is another wire", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const globals = "global_defs { vrrp_mcast_group4 224.0.0.99 }\n";
  await using a = new Daemon(network, "a", globals + instance({ priority: 200 }));
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", globals + instance({ priority: 100 }));
  await b.waitForLog(BACKUP);
  const { atUs } = await capture.waitForAdvert(() => true);
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 600_000);
  expect(capture.adverts.every(({ destination }) => destination === "224.0.0.99")).toBe(true);
  expect(capture.adverts.every(({ source }) => source === A)).toBe(true);
  expect(b.log).not.toContain(MASTER);
  await using other = new Daemon(
    network,
    "b",
    instance({ priority: 50, addresses: ["10.0.0.101/32"] }),
  );
  await other.waitForLog(MASTER);
});

test("vrrp_delay_after_boot: nothing before the machine has been up for as long", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  // A clock of the daemons' own: their machine has been up for a hundred seconds.
  const wasUp = Math.floor(Number(readFileSync("/proc/uptime", "utf8").split(" ")[0])) - 100;
  const before = ["unshare", "--time", "--monotonic", `-${wasUp}`, "--boottime", `-${wasUp}`];
  const upFor = (): number => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) - wasUp;
  const bootedUs = nowUs() - upFor() * 1_000_000;
  const after = Math.ceil(upFor()) + 1;
  const globals = (seconds: number): string => `global_defs { vrrp_delay_after_boot ${seconds} }\n`;
  const config = instance({ priority: 255, state: "MASTER" });
  await using a = new Daemon(network, "a", globals(after) + config, { before });
  await a.waitForLog(/Delaying startup for [0-2](\.\d+)? seconds/);
  await a.waitForLog(MASTER);
  const { atUs } = await capture.waitForAdvert(() => true);
  expect(atUs - bootedUs).toBeWithin(after * 1_000_000 - 20_000, (after + 1) * 1_000_000);
  expect(await a.stop()).toBe(0);
  // It has been up for that long.
  await using late = new Daemon(network, "a", globals(1) + config, { before });
  const { atUs: lateUs } = await late.waitForLog(MASTER);
  expect(lateUs - late.startedUs).toBeLessThan(1_000_000);
  expect(late.log).not.toContain("Delaying startup");
});

test("garp_group and gna_interval: links of a group share their pace, IPv6 has its own", async () => {
  using network = new Network(["a"], { ipv6: true, hasSecondLink: true });
  await using first = await Capture.start(network);
  await using second = await Capture.start(network, "br1");
  const globals =
    `garp_group { garp_interval 0.05\n gna_interval 0.02\n interfaces { eth0\n eth1\n } }
`;
  const more = `garp_master_repeat 3\n garp_master_delay 0
    virtual_ipaddress_excluded { fd00::100/64\n fd01::100/64 dev eth1\n }`;
  const addresses = ["10.0.0.100/32", "10.1.0.100/32 dev eth1"];
  await using a = new Daemon(
    network,
    "a",
    globals + instance({ state: "MASTER", priority: 255, addresses, more }),
  );
  await a.waitForLog(MASTER);
  for (const capture of [first, second]) await capture.waitForAnnouncements(6);
  const all = [...first.announcements, ...second.announcements];
  for (const [isV6, intervalUs] of [[false, 50_000], [true, 20_000]] as const) {
    const moments = all.filter(({ address }) => address.includes(":") === isV6)
      .map(({ atUs }) => atUs).toSorted((one, other) => one - other);
    expect(moments).toHaveLength(6);
    // The first may have been late itself.
    expect(moments[5]! - moments[0]!).toBeWithin(3 * intervalUs, 5 * intervalUs + 400_000);
  }
});

test("garp_master_refresh and a lower MASTER: announcements again, and at once", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const more = `garp_master_delay 0\n garp_master_repeat 2\n garp_master_refresh 1
    garp_master_refresh_repeat 3\n garp_lower_prio_repeat 4\n garp_lower_prio_delay 0`;
  await using a = new Daemon(network, "a", instance({ state: "MASTER", priority: 255, more }));
  await a.waitForLog(MASTER);
  const [begin] = await capture.waitForAnnouncements(2);
  const refreshed = await capture.waitForAnnouncements(
    3,
    ({ atUs }) => atUs > begin!.atUs + 500_000,
  );
  expect(refreshed[0]!.atUs - begin!.atUs).toBeWithin(900_000, 1_900_000);
  // One that does not hear A, and is heard.
  const deaf = instance({ state: "MASTER", priority: 255, more: "owner_ignore_adverts" })
    .replace("priority 255", "priority 254").replace("state MASTER", "state BACKUP");
  network.run("b", "nft", "add", "table", "ip", "deaf");
  const chain = "{ type filter hook input priority -300; policy accept; }";
  network.run("b", "nft", "add", "chain", "ip", "deaf", "in", chain);
  network.run("b", "nft", "add", "rule", "ip", "deaf", "in", "ip", "protocol", "112", "drop");
  await using b = new Daemon(network, "b", deaf);
  await b.waitForLog(MASTER);
  const heard = await capture.waitForAdvert(({ source }) => source === B);
  const mac = refreshed[0]!.mac;
  const answer = await capture.waitForAnnouncements(
    4,
    (one) => one.mac === mac && one.atUs >= heard.atUs && one.atUs < heard.atUs + 50_000,
  );
  // There is more: what defends the address against the other station.
  expect(answer.length).toBeGreaterThan(3);
  await a.waitForLog("Received advert from 10.0.0.2 with lower priority 254, ours 255");
});
