/** What an instance's options make of the protocol, on real links: trailers, hops, sources, pace, delays. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const [A, B] = ["10.0.0.1", "10.0.0.2"];
const MASTER = "(V) Entering MASTER STATE";
const BACKUP = "(V) Entering BACKUP STATE";
const KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/** An auth_hmac block. */
function hmac(key: string, mode = "enforce"): string {
  const lines = [`key 1 hex:${key}`, "active_key 1", "time_window 5", `mode ${mode}`];
  return `auth_hmac {\n        ${lines.join("\n        ")}\n    }`;
}

test("auth_hmac: keys agree; a stranger without is not believed, and named", async () => {
  using network = new Network(["a", "b", "c"]);
  await using a = new Daemon(network, "a", instance({ priority: 200, more: hmac(KEY) }));
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", instance({ priority: 100, more: hmac(KEY) }));
  await b.waitForLog(BACKUP);
  await using capture = await Capture.start(network);
  const { atUs } = await capture.waitForAdvert(({ source }) => source === A);
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 1_000_000);
  expect(capture.adverts.every(({ source }) => source === A)).toBe(true);
  await a.crash();
  await b.waitForLog(MASTER);
  // It has the better priority, and no key.
  await using c = new Daemon(network, "c", instance({ priority: 250 }));
  await c.waitForLog(MASTER);
  await b.waitForLog("(V) advert without authentication trailer (from 10.0.0.3)");
  await b.waitForLog(/Split brain: 10\.0\.0\.3 is MASTER too.*authenticate in different ways/);
  await c.waitForLog(/Split brain: 10\.0\.0\.2 is MASTER too/);
  await using bad = new Daemon(
    network,
    "a",
    instance({ priority: 200, more: hmac(KEY.replace("00", "ff")) }),
  );
  await bad.waitForLog("(V) invalid HMAC in authentication trailer");
  expect(b.log).not.toContain(`${MASTER}\n${BACKUP}`);
});

test("auth_hmac is rolled out: receive-only, permissive, enforce, and nobody is misunderstood", async () => {
  using network = new Network(["a", "b"]);
  const config = (priority: number, mode: string): string =>
    instance({ priority, more: mode === "" ? "" : hmac(KEY, mode) });
  await using a = new Daemon(network, "a", config(200, ""));
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", config(100, ""));
  await b.waitForLog(BACKUP);
  await using capture = await Capture.start(network);
  for (const mode of ["receive-only", "permissive", "enforce"]) {
    for (const [daemon, priority] of [[b, 100], [a, 200]] as const) {
      daemon.skipLog();
      daemon.rewrite(config(priority, mode));
      daemon.signal("SIGHUP");
      await daemon.waitForLog("Reload complete");
      const sinceUs = nowUs();
      await capture.waitForAdvert(({ atUs }) => atUs > sinceUs + 500_000);
    }
  }
  expect(capture.adverts.every(({ source }) => source === A)).toBe(true);
  expect(b.log.match(/Entering MASTER STATE/g)).toBeNull();
  expect(`${a.log}${b.log}`).not.toMatch(/trailer|invalid|too long/);
});

test("hops: unicast_ttl on its way, min_ttl at its end", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const peer = (address: string, more = ""): string => `unicast_peer {\n${address} ${more}\n}`;
  await using a = new Daemon(
    network,
    "a",
    instance({ priority: 200, more: `unicast_ttl 10\n${peer(B)}` }),
  );
  await a.waitForLog(MASTER);
  expect(await capture.waitForAdvert(({ source }) => source === A)).toMatchObject({
    ttl: 10,
    destination: B,
  });
  await using b = new Daemon(network, "b", instance({ more: peer(A, "min_ttl 9 max_ttl 11") }));
  await b.waitForLog(BACKUP);
  const { atUs } = await capture.waitForAdvert(() => true, 5000, nowUs());
  await capture.waitForAdvert((advert) => advert.atUs > atUs + 700_000);
  expect(b.log).not.toContain(MASTER);
  b.rewrite(instance({ more: peer(A, "min_ttl 11") }));
  b.signal("SIGHUP");
  await b.waitForLog("(V) TTL/HL 10 is not in the range set for this unicast peer (from 10.0.0.1)");
  await b.waitForLog(MASTER);
});

test("a source address that comes and goes: FAULT without it", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const more = "unicast_src_ip 10.0.0.77\nunicast_peer {\n10.0.0.9\n}";
  await using a = new Daemon(network, "a", instance({ more }));
  await a.waitForLog("(V) no interface has the source address 10.0.0.77");
  await a.waitForLog("(V) Entering FAULT STATE (init)");
  network.run("a", "ip", "address", "add", "10.0.0.77/24", "dev", "eth0");
  await a.waitForLog(BACKUP);
  await a.waitForLog(MASTER);
  network.run("a", "ip", "address", "delete", "10.0.0.77/24", "dev", "eth0");
  await a.waitForLog("(V) Entering FAULT STATE");
  expect(network.addresses("a")).not.toContain("10.0.0.100/32");
  expect(capture.broken).toEqual([]);
});

test("vrrp_garp_interval: announcements keep their distance, adverts their time", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const globals = "global_defs {\n vrrp_garp_interval 0.05\n}\n";
  const addresses = ["10.0.0.100", "10.0.0.101", "10.0.0.102"];
  const more = "garp_master_repeat 3\ngarp_master_delay 0";
  await using a = new Daemon(
    network,
    "a",
    globals + instance({ state: "MASTER", priority: 255, addresses, more }),
  );
  await a.waitForLog(MASTER);
  const announced = await capture.waitForAnnouncements(9);
  expect(announced.map(({ address }) => address)).toEqual([
    ...addresses,
    ...addresses,
    ...addresses,
  ]);
  for (const [i, { atUs }] of announced.slice(1).entries()) {
    expect(atUs - announced[i]!.atUs).toBeWithin(30_000, 100_000);
  }
  // The first may have been late itself.
  expect(announced[8]!.atUs - announced[0]!.atUs).toBeWithin(380_000, 550_000);
  const adverts = capture.adverts.filter(({ atUs }) => atUs <= announced[8]!.atUs);
  expect(adverts.length).toBeGreaterThan(2);
  for (const [i, { atUs }] of adverts.slice(1).entries()) {
    expect(atUs - adverts[i]!.atUs).toBeWithin(80_000, 150_000);
  }
});

test("vrrp_startup_delay: silent and deaf until then; log_unknown_vrids names strangers", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const globals = "global_defs {\n vrrp_startup_delay 1.5\n log_unknown_vrids\n}\n";
  await using a = new Daemon(
    network,
    "a",
    globals + instance({ state: "MASTER", priority: 255 }),
  );
  await a.waitForLog("Delaying startup for 1.5 seconds");
  await a.waitForLog(MASTER);
  const first = await capture.waitForAdvert(({ source }) => source === A);
  expect(first.atUs - a.startedUs).toBeWithin(1_500_000, 2_200_000);
  await using b = new Daemon(
    network,
    "b",
    instance({ vrid: 9, priority: 255, state: "MASTER", addresses: ["10.0.0.109/32"] }),
  );
  await b.waitForLog(MASTER);
  await a.waitForLog("Unknown VRID(9) received on interface(eth0) from 10.0.0.2");
});

test("an address that somebody else has, too: named, counted, announced over", async () => {
  using network = new Network(["a", "b"]);
  network.run("b", "ip", "address", "add", "10.0.0.100/32", "dev", "eth0");
  const mac = /link\/ether (\S+)/.exec(network.run("b", "ip", "link", "show", "eth0"))![1]!;
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ priority: 255, state: "MASTER" }));
  await a.waitForLog(MASTER);
  const { atUs } = await a.waitForLog(`(V) 10.0.0.100 on eth0 is also claimed by ${mac}`);
  const [again] = await capture.waitForAnnouncements(1, () => true, 5000, atUs - 200_000);
  expect(again!.mac).not.toBe(mac);
});

test("a stall longer than the peers' patience: a worse one that took over is put right at once", async () => {
  using network = new Network(["a", "b"]);
  await using a = new Daemon(network, "a", instance({ priority: 200 }));
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", instance({ priority: 100 }));
  await b.waitForLog(BACKUP);
  const { vrrp } = a.pids();
  process.kill(vrrp, "SIGSTOP");
  await b.waitForLog(MASTER);
  await using capture = await Capture.start(network);
  await capture.waitForAdvert(({ source }) => source === B);
  const awakeUs = nowUs();
  process.kill(vrrp, "SIGCONT");
  const answer = await capture.waitForAdvert(({ source }) => source === A, 5000, awakeUs);
  expect(answer.atUs - awakeUs).toBeLessThan(50_000);
  await capture.waitForAnnouncements(5, () => true, 5000, awakeUs);
  await a.waitForLog(/Did not run in time: no advert was sent for 0\.\d+ s - still MASTER/);
  await b.waitForLog(BACKUP);
  a.skipLog();
  // Alone, it is the same.
  await b.stop();
  process.kill(vrrp, "SIGSTOP");
  await Bun.sleep(600);
  const againUs = nowUs();
  process.kill(vrrp, "SIGCONT");
  await capture.waitForAnnouncements(5, () => true, 5000, againUs);
  await a.waitForLog(/Did not run in time: no advert was sent for (0\.[6-9]|1\.)/);
});

test("old unicast checksums: the first peer shows them, and is answered in kind", async () => {
  using network = new Network(["a", "b"]);
  const peer = (address: string): string => `unicast_peer {\n${address}\n}`;
  await using a = new Daemon(
    network,
    "a",
    instance({ priority: 200, more: `old_unicast_checksum\n${peer(B)}` }),
  );
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", instance({ more: peer(A) }));
  await b.waitForLog("(V) Setting unicast VRRPv3 checksum to old version");
  await using capture = await Capture.start(network);
  await a.crash();
  await b.waitForLog(MASTER);
  const isOld = (): boolean => capture.broken.includes(`checksum in an advert from ${B}`);
  await poll(isOld, 5000, "B does not make its checksums as its peer did");
  await using never = new Daemon(
    network,
    "a",
    instance({ priority: 200, more: `old_unicast_checksum never\n${peer(B)}` }),
  );
  await never.waitForLog(`(V) Invalid VRRPv3 checksum (from ${B})`);
});

test("garp_extra_if: announcements over the other links of its addresses, again and again", async () => {
  using network = new Network(["a"]);
  network.run("a", "ip", "link", "add", "dum0", "type", "veth", "peer", "name", "dum1");
  for (const link of ["dum0", "dum1"]) network.run("a", "ip", "link", "set", link, "up");
  // Five at once, then one each second.
  const words = "tcpdump -i dum0 -c 7 -n -tt -l --immediate-mode".split(" ");
  await using tap = Bun.spawn([
    ...network.enter("a"),
    ...words,
    "arp[6:2] = 1 and arp[14:4] = 0x0a010064",
  ], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const reader = tap.stderr.getReader();
  for (let said = ""; !said.includes("listening on");) {
    said += new TextDecoder().decode((await reader.read()).value);
  }
  const more = "garp_extra_if 1\ngarp_master_delay 0";
  const addresses = ["10.0.0.100/32", "10.1.0.100/32 dev dum0"];
  await using a = new Daemon(
    network,
    "a",
    instance({ priority: 255, state: "MASTER", addresses, more }),
  );
  await a.waitForLog(MASTER);
  const lines = (await new Response(tap.stdout).text()).trim().split("\n");
  const times = lines.map((line) => Number(line.split(" ")[0]));
  expect(times).toHaveLength(7);
  expect(times[4]! - times[0]!).toBeLessThan(0.2);
  expect(times[5]! - times[0]!).toBeWithin(0.95, 1.3);
  expect(times[6]! - times[5]!).toBeWithin(0.95, 1.3);
});

test.each([
  ["", "fd00::100", "eth0"],
  ["", "fe80::7", "eth0"],
  ["use_vmac", "fd00::100", "vrrp.7"],
  ["use_vmac", "fe80::7", "vrrp.7"],
])(
  "over IPv6, %s, %s that somebody else has, too: named, and announced over",
  async (more, address, link) => {
    using network = new Network(["a", "b"], { ipv6: true });
    await using capture = await Capture.start(network);
    network.run("b", "ip", "address", "add", `${address}/64`, "dev", "eth0", "nodad");
    const mac = /link\/ether (\S+)/.exec(network.run("b", "ip", "link", "show", "eth0"))![1]!;
    const config = instance({
      priority: 255,
      state: "MASTER",
      addresses: ["fe80::7", "fd00::100/64"],
      more,
    });
    await using a = new Daemon(network, "a", config);
    await a.waitForLog(MASTER);
    const { atUs } = await a.waitForLog(`(V) ${address} on ${link} is also claimed by ${mac}`);
    const [again] = await capture.waitForAnnouncements(
      1,
      (one) => one.address === address && one.mac !== mac,
      5000,
      atUs - 200_000,
    );
    expect(again!.address).toBe(address);
  },
);
