/** Instances on links that many kernels are built without: ipvlans, and macvlans in a VRF. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { IN_GUEST } from "../support/uml.ts";
import { answersPing, linksOf, vmacNames } from "../support/vmac.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const VIP = "10.0.0.100/32";

const inGuest = test.skipIf(!IN_GUEST);

inGuest("an ipvlan: the MAC address of the link below, a source address of its own", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const config = (number: number, priority: number): string =>
    instance({ priority, more: `use_ipvlan 10.0.0.2${number}/24 private` });
  await using a = new Daemon(network, "a", config(1, 200));
  await a.waitForLog("(V): Success creating VMAC interface vrrp.7", 20_000);
  await a.waitForLog("(V) Entering MASTER STATE", 20_000);
  const base = linksOf(network, "a").get("eth0")!.address;
  const advert = await capture.waitForAdvert(() => true, 20_000);
  expect(advert).toMatchObject({ source: "10.0.0.21", sourceMac: base });
  await poll(() => network.addresses("a", "vrrp.7").length === 2, 5000, "no address");
  expect(network.addresses("a", "vrrp.7").toSorted()).toEqual([VIP, "10.0.0.21/24"].toSorted());
  const { linkinfo } = linksOf(network, "a").get("vrrp.7")!;
  expect(linkinfo).toMatchObject({ info_kind: "ipvlan", info_data: { mode: "l2" } });
  await using b = new Daemon(network, "b", config(2, 100));
  await b.waitForLog("(V) Entering BACKUP STATE", 20_000);
  const { ifindex } = linksOf(network, "a").get("vrrp.7")!;
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("(V) Found matching interface vrrp.7", 20_000);
  expect(linksOf(network, "a").get("vrrp.7")!.ifindex).toBe(ifindex);
  expect(await a.stop(20_000)).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
  await b.waitForLog("(V) Entering MASTER STATE", 20_000);
  await poll(() => network.addresses("b", "vrrp.7").includes(VIP), 5000, "no address");
});

inGuest("over IPv6 it speaks from a link-local address that only it has", async () => {
  using network = new Network(["a"], { ipv6: true });
  await using capture = await Capture.start(network);
  const config = (vrid: number): string =>
    instance({
      name: `V${vrid}`,
      vrid,
      state: "MASTER",
      addresses: [`fe80::${vrid}`],
      more: `use_ipvlan own${vrid}`,
    });
  await using a = new Daemon(network, "a", config(7) + config(8));
  await a.waitForLog("(V8) Entering MASTER STATE", 20_000);
  const seven = await capture.waitForAdvert(({ vrid }) => vrid === 7, 20_000);
  const eight = await capture.waitForAdvert(({ vrid }) => vrid === 8, 20_000);
  expect(seven.source).toMatch(/5e:7\w\w:/);
  expect(eight.source).toMatch(/5e:8\w\w:/);
  expect(seven.sourceMac).toBe(eight.sourceMac);
  expect(vmacNames(network, "a")).toEqual(["own7", "own8"]);
  expect(await a.stop(20_000)).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
});

inGuest(
  "a VMAC over a link that belongs to a VRF belongs to it, too, as keepalived's",
  async () => {
    for (const program of ["keepalived", UPKEEP]) {
      using network = new Network(["a", "b"]);
      const shell = (text: string): string => network.run("a", "sh", "-ec", text);
      shell("ip link add red type vrf table 100; ip link set red up; ip link set eth0 master red");
      const config = instance({ priority: 200, more: "use_vmac" });
      await using a = new Daemon(network, "a", config, { program });
      await a.waitForLog("(V) Entering MASTER STATE", 20_000);
      await poll(() => network.addresses("a", "vrrp.7").includes(VIP), 5000, "no address");
      expect(linksOf(network, "a").get("vrrp.7")).toMatchObject({ master: "red" });
      expect(shell("ip route show table 100 type local")).toContain("10.0.0.100 dev vrrp.7");
      expect(answersPing(network, "b", "10.0.0.100", 3)).toBe(true);
      expect(await a.stop(20_000)).toBe(0);
      expect(vmacNames(network, "a")).toEqual([]);
    }
  },
);

inGuest("a VMAC follows the link below into another VRF, and out of it", async () => {
  using network = new Network(["a", "b"]);
  const shell = (text: string): string => network.run("a", "sh", "-ec", text);
  shell("ip link add red type vrf table 100; ip link set red up");
  const config = instance({ priority: 200, more: "use_vmac" });
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE", 20_000);
  const masterIs = async (name: string | undefined): Promise<void> => {
    const isSo = (): boolean => linksOf(network, "a").get("vrrp.7")?.master === name;
    await poll(isSo, 20_000, `the VMAC does not go to ${name}`);
    await poll(() => network.addresses("a", "vrrp.7").includes(VIP), 20_000, "no address");
    expect(answersPing(network, "b", "10.0.0.100", 3)).toBe(true);
  };
  await masterIs(undefined);
  shell("ip link set eth0 master red");
  await masterIs("red");
  shell("ip link set eth0 nomaster");
  await masterIs(undefined);
  expect(a.log).not.toContain("FAULT");
  expect(await a.stop(20_000)).toBe(0);
});

inGuest("the same router twice, in two VRFs, by unicast without an interface", async () => {
  using network = new Network(["a", "b"], { hasSecondLink: true });
  // The same addresses in both worlds.
  const readdress = (host: string, address: string): string =>
    network.run(host, "sh", "-ec", `ip addr flush dev eth1; ip addr add ${address}/24 dev eth1`);
  const vrfs = "ip link add red type vrf table 100; ip link add blue type vrf table 101; " +
    "for i in red blue; do ip link set $i up; done; " +
    "ip link set eth0 master red; ip link set eth1 master blue";
  readdress("a", "10.0.0.1");
  readdress("b", "10.0.0.2");
  for (const host of ["a", "b"]) network.run(host, "sh", "-ec", vrfs);
  const config = (own: number, other: number, priorities: readonly number[]): string =>
    ["red", "blue"].map((vrf, i) =>
      instance({
        name: vrf,
        priority: priorities[i]!,
        addresses: [`10.0.0.100/32 dev eth${i}`],
        more: `vrf ${vrf}\nunicast_src_ip 10.0.0.${own}\nunicast_peer {\n10.0.0.${other}\n}`,
      }).replace("interface eth0", "")
    ).join("");
  await using a = new Daemon(network, "a", config(1, 2, [200, 100]));
  await a.waitForLog("(red) Entering MASTER STATE", 20_000);
  await using b = new Daemon(network, "b", config(2, 1, [100, 200]));
  await b.waitForLog("(blue) Entering MASTER STATE", 20_000);
  await a.waitForLog("(blue) Entering BACKUP STATE", 20_000);
  await poll(() => network.addresses("a", "eth0").includes(VIP), 5000, "no address in red");
  await poll(() => network.addresses("b", "eth1").includes(VIP), 5000, "no address in blue");
  expect(b.log).not.toContain("(red) Entering MASTER STATE");
  network.run("a", "ip", "link", "set", "red", "down");
  await a.waitForLog("interface red is down", 20_000);
  await b.waitForLog("(red) Entering MASTER STATE", 20_000);
  network.run("a", "ip", "link", "set", "red", "up");
  await b.waitForLog("(red) Entering BACKUP STATE", 20_000);
  expect(await a.stop(20_000)).toBe(0);
  await b.waitForLog("(red) Entering MASTER STATE", 20_000);
  expect(await b.stop(20_000)).toBe(0);
});

inGuest("a kernel without tables of IPv4 is told of once; all else is as ever", async () => {
  using network = new Network(["a", "b"]);
  const config = (more: string): string => instance({ priority: 200, more: `use_vmac\n${more}` });
  await using a = new Daemon(network, "a", config("no_accept"));
  await a.waitForLog("Without the table ip keepalived addresses accept everything", 20_000);
  await a.waitForLog("(V) Entering MASTER STATE", 20_000);
  await poll(() => network.addresses("a", "vrrp.7").includes(VIP), 5000, "no address");
  expect(answersPing(network, "b", "10.0.0.100", 3)).toBe(true);
  network.run("a", "ip", "link", "set", "eth0", "mtu", "1400");
  await poll(() => linksOf(network, "a").get("vrrp.7")!.mtu === 1400, 5000, "another MTU");
  expect(a.log.match(/Without the table/g)).toHaveLength(1);
  expect(a.log.match(/EOPNOTSUPP/g)).toHaveLength(1);
  expect(await a.stop(20_000)).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
});
