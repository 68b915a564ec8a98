/** Parent and role die at once: what the next daemon finds, and what there is when that one has ended. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { arpSettings, linksOf, settings, vmacNames } from "../support/vmac.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const OWN = "10.0.0.1/24";
const stateFile = (daemon: Daemon): string => daemon.vrrpPidFile.replace(".pid", ".state");

/** A daemon that has become MASTER and left its state file, when all of it is dead. */
async function crash(daemon: Daemon): Promise<void> {
  await daemon.waitForLog("(V) Entering MASTER STATE");
  await poll(() => existsSync(stateFile(daemon)), 2000, "no state file");
  await daemon.crash();
}

/** The next one, in its place. */
function successor(network: Network, before: Daemon, config: string): Daemon {
  return new Daemon(network, "a", config, { words: ["-r", before.vrrpPidFile] });
}

test("settings of the link below are in the end what they were before the first start", async () => {
  using network = new Network(["a"]);
  network.run("a", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1");
  const paths = ["all", "default", "eth0"].map((name) => `net/ipv4/conf/${name}/rp_filter`);
  const all = (): object => ({
    ...settings(network, "a", ...paths),
    ...arpSettings(network, "a", "eth0"),
  });
  const before = all();
  const config = instance({ priority: 200, more: "use_vmac" });
  await using a = new Daemon(network, "a", config);
  await crash(a);
  const { ifindex } = linksOf(network, "a").get("vrrp.7")!;
  expect(all()).not.toEqual(before);
  await using next = successor(network, a, config);
  await next.waitForLog("Going on from");
  await next.waitForLog("(V) Entering MASTER STATE");
  expect(linksOf(network, "a").get("vrrp.7")!.ifindex).toBe(ifindex);
  expect(await next.stop()).toBe(0);
  expect(all()).toEqual(before);
  expect(vmacNames(network, "a")).toEqual([]);
  expect(existsSync(stateFile(a))).toBe(false);
});

test("a setting that somebody has changed since is theirs", async () => {
  using network = new Network(["a"]);
  const path = "net/ipv4/conf/eth0/arp_ignore";
  const config = instance({ priority: 200, more: "use_vmac" });
  await using a = new Daemon(network, "a", config);
  await crash(a);
  network.run("a", "sysctl", "-qw", `net.ipv4.conf.eth0.arp_ignore=2`);
  await using next = successor(network, a, config);
  await next.waitForLog("(V) Entering MASTER STATE");
  expect(await next.stop()).toBe(0);
  expect(settings(network, "a", path)).toEqual({ [path]: "2" });
});

test("what the next configuration does not name is taken away, and nothing else", async () => {
  using network = new Network(["a"]);
  const before = arpSettings(network, "a", "eth0");
  const items = (address: string): string =>
    `static_ipaddress { ${address} dev eth0 }
    static_routes { 10.8.0.0/24 dev eth0 }\n`;
  const other = instance({ name: "W", vrid: 8, priority: 200, addresses: ["10.0.0.108/32"] });
  const routes = "virtual_routes { 10.9.0.0/24 dev eth0 }";
  const old = instance({ priority: 200, addresses: ["10.0.0.100/32"], more: routes });
  const onVmac = instance({ name: "X", vrid: 9, addresses: ["10.0.0.109/32"], more: "use_vmac" });
  network.run("a", "ip", "address", "add", "10.0.0.50/32", "dev", "eth0");
  await using a = new Daemon(network, "a", items("10.0.0.60/32") + other + onVmac + old);
  await crash(a);
  await poll(() => vmacNames(network, "a").length === 1, 1000, "no VMAC");
  await using next = successor(network, a, items("10.0.0.61/32") + other);
  await next.waitForLog("what nobody wants any more is taken away");
  await next.waitForLog("(W) Entering MASTER STATE");
  const held = (): string[] => network.addresses("a").toSorted();
  const wanted = [OWN, "10.0.0.50/32", "10.0.0.61/32", "10.0.0.108/32"].toSorted();
  await poll(() => Bun.deepEquals(held(), wanted), 1000, "other addresses");
  expect(vmacNames(network, "a")).toEqual([]);
  expect(network.run("a", "ip", "route", "show", "10.9.0.0/24")).toBe("");
  expect(network.run("a", "ip", "route", "show", "10.8.0.0/24")).not.toBe("");
  await poll(
    () => Bun.deepEquals(arpSettings(network, "a", "eth0"), before),
    1000,
    "settings are left",
  );
});

test("a configuration without instances takes everything away, too", async () => {
  using network = new Network(["a"]);
  const before = arpSettings(network, "a", "eth0");
  await using a = new Daemon(network, "a", instance({ priority: 200, more: "use_vmac" }));
  await crash(a);
  await using next = successor(network, a, "global_defs { router_id R }\n");
  await next.waitForLog("what nobody wants any more is taken away");
  await poll(() => vmacNames(network, "a").length === 0, 2000, "the VMAC is left");
  const isBack = (): boolean => Bun.deepEquals(arpSettings(network, "a", "eth0"), before);
  await poll(isBack, 1000, "settings are left");
});

test("a state file of elsewhere is ignored, a broken one is told of; a proper end leaves none", async () => {
  using network = new Network(["a", "b"]);
  const config = instance({ priority: 200 });
  await using a = new Daemon(network, "a", config);
  await crash(a);
  const text = readFileSync(stateFile(a), "utf8");
  network.run("b", "ip", "address", "add", "10.0.0.100/32", "dev", "eth0");
  const words = ["-r", a.vrrpPidFile];
  await using b = new Daemon(network, "b", instance({ vrid: 8, addresses: ["10.0.0.8/32"] }), {
    words,
  });
  await b.waitForLog("Entering MASTER STATE");
  expect(network.addresses("b")).toContain("10.0.0.100/32");
  expect(await b.stop()).toBe(0);
  expect(existsSync(stateFile(a))).toBe(false);
  writeFileSync(stateFile(a), text.slice(0, 100));
  await using next = successor(network, a, config);
  await next.waitForLog(`Ignoring ${stateFile(a)}, which a predecessor has left: `);
  await next.waitForLog("(V) Entering MASTER STATE");
  // The role does it when the parent cannot.
  await poll(() => readFileSync(stateFile(a), "utf8").length > 100, 2000, "not written again");
  process.kill(next.pids().parent, "SIGKILL");
  await poll(() => !existsSync(stateFile(a)), 2000, "the state file is left");
});
