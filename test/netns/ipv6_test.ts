/** IPv6 on real links: link-local sources, neighbour advertisements, duplicate address detection. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture, nowUs } from "../support/capture.ts";
import { downUs, instance } from "../support/configs.ts";
import { Daemon, isSupported } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";

setDefaultTimeout(60_000);

const MASTER = "(V) Entering MASTER STATE";
const BACKUP = "(V) Entering BACKUP STATE";
const ADDRESSES = ["fe80::100/64", "fd00::100/64"];
const SIX = instance({ addresses: ADDRESSES });
const isBuilt = isSupported(SIX);

const linkLocal = (network: Network, host: string): string =>
  /inet6 (fe80\S+?)\//.exec(network.run(host, "ip", "-6", "address", "show", "dev", "eth0"))![1]!;

/** The link-local address, once it may be used. */
async function settled(network: Network, host: string): Promise<string> {
  for (;;) {
    const said = network.run(host, "ip", "-6", "address", "show", "dev", "eth0");
    if (!said.includes("tentative") && said.includes("inet6 fe80")) return linkLocal(network, host);
    await Bun.sleep(50);
  }
}

test.skipIf(!isBuilt)("election, crash, take-over with announcements", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  const [A, B] = [await settled(network, "a"), await settled(network, "b")];
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ priority: 150, addresses: ADDRESSES }));
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", instance({ priority: 100, addresses: ADDRESSES }));
  await b.waitForLog(BACKUP);
  const advert = await capture.waitForAdvert(({ source }) => source === A);
  expect(advert).toMatchObject({
    version: 3,
    ttl: 255,
    destination: "ff02::12",
    addresses: ["fe80::100", "fd00::100"],
  });
  const announced = await capture.waitForAnnouncements(10);
  expect(announced.map(({ address }) => address))
    .toEqual(Array<string[]>(5).fill(["fe80::100", "fd00::100"]).flat());
  expect(network.addresses("a")).toContain("fd00::100/64");
  const crashUs = nowUs();
  await a.crash();
  const first = await capture.waitForAdvert(({ source }) => source === B, 5000, crashUs);
  const last = capture.adverts.findLast(({ source }) => source === A)!;
  expect(first.atUs - last.atUs).toBeWithin(downUs({}) - 500, downUs({}) + 80_000);
  expect(capture.broken).toEqual([]);
  const stopUs = nowUs();
  expect(await b.stop()).toBe(0);
  await capture.waitForAdvert(({ priority }) => priority === 0, 5000, stopUs);
  expect(network.addresses("b")).not.toContain("fd00::100/64");
});

test.skipIf(!isBuilt)("no link-local address: FAULT, until there is one", async () => {
  using network = new Network(["a"], { ipv6: true });
  const own = await settled(network, "a");
  await using a = new Daemon(network, "a", SIX);
  await a.waitForLog(MASTER);
  network.run("a", "ip", "address", "delete", `${own}/64`, "dev", "eth0");
  await a.waitForLog("(V) interface eth0 has no IPv6 address to send from");
  await a.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "address", "add", "fe80::77/64", "dev", "eth0");
  await a.waitForLog(BACKUP);
  await using capture = await Capture.start(network);
  await a.waitForLog(MASTER);
  await capture.waitForAdvert(({ source }) => source === "fe80::77");
});

test.skipIf(!isBuilt)("a link that goes down and comes back with its address", async () => {
  using network = new Network(["a"], { ipv6: true });
  await settled(network, "a");
  await using a = new Daemon(network, "a", SIX);
  await a.waitForLog(MASTER);
  network.run("a", "ip", "link", "set", "eth0", "down");
  await a.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "link", "set", "eth0", "up");
  await a.waitForLog(BACKUP);
  await a.waitForLog(MASTER);
});

test.skipIf(!isBuilt)("the router flag is the link's forwarding setting", async () => {
  using network = new Network(["a"], { ipv6: true });
  await settled(network, "a");
  network.run("a", "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/forwarding");
  await using tap = Bun.spawn([
    ...network.enter("wire"),
    ..."tcpdump -i br0 -l -v -c 1 --immediate-mode".split(" "),
    "icmp6 and ip6[40] == 136 and ip6 dst ff02::1",
  ], { stdout: "pipe", stderr: "pipe" });
  const reader = tap.stderr.getReader();
  for (let said = ""; !said.includes("listening on");) {
    said += new TextDecoder().decode((await reader.read()).value);
  }
  await using a = new Daemon(network, "a", SIX);
  await a.waitForLog(MASTER);
  expect(await new Response(tap.stdout).text()).toContain("Flags [router, override]");
});

test.skipIf(!isBuilt)("a duplicate that detection finds is put back, and named", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  await settled(network, "a");
  await settled(network, "b");
  network.run("a", "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad");
  network.run("b", "ip", "address", "add", "fd00::100/64", "dev", "eth0", "nodad");
  const addresses = ["fe80::100/64", "fd00::100/64 -nodad"];
  await using a = new Daemon(network, "a", instance({ addresses }));
  await a.waitForLog(MASTER);
  await a.waitForLog("(V) fd00::100 on eth0 is a duplicate (dadfailed) - adding it again");
  const said = network.run("a", "ip", "-6", "address", "show", "dev", "eth0");
  expect(said).toContain("fd00::100/64");
  expect(said).not.toMatch(/fd00::100.*(dadfailed|tentative)/);
  await a.waitForLog(/\(V\) fd00::100 on eth0 is also claimed by/);
});

test.skipIf(!isBuilt)("auth_hmac over IPv6 and to unicast peers", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  const key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
  const more = (own: number, peer: number): string =>
    `auth_hmac {\nkey 1 hex:${key}\nactive_key 1\n}\nunicast_src_ip fd00::${own}\n` +
    `unicast_peer {\nfd00::${peer}\n}`;
  const settings = { addresses: ADDRESSES };
  await using a = new Daemon(
    network,
    "a",
    instance({ ...settings, priority: 200, more: more(1, 2) }),
  );
  await a.waitForLog(MASTER);
  await using b = new Daemon(network, "b", instance({ ...settings, more: more(2, 1) }));
  await b.waitForLog(BACKUP);
  await Bun.sleep(1000);
  expect(b.log).not.toContain(MASTER);
  await a.crash();
  await b.waitForLog(MASTER);
  expect(b.log).not.toMatch(/trailer|checksum/);
});
