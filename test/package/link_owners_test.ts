/**
 * Those who manage links beside us, in a booted root: what is ours stays with the drop-ins of the package,
 * and goes without them.
 */

import { expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { Container } from "./booted.ts";
import { artefact, DebianRoot } from "./lab.ts";

const VIP = "10.0.0.100/24";
const NM_DROP_IN = "/usr/lib/NetworkManager/conf.d/50-upkeep.conf";
const NETWORKD_DROP_IN = "/usr/lib/systemd/networkd.conf.d/50-upkeep.conf";

function instance(number: number, lines: string): string {
  return `vrrp_instance VI_${number} {
  state BACKUP
  interface eth0
  virtual_router_id 5${number}
  priority 150
  advert_int 0.1
  version 3
  ${lines}
}
`;
}

const CONFIG = instance(1, `virtual_ipaddress {\n${VIP}\n}`) +
  instance(2, "use_vmac\nvirtual_ipaddress {\n10.0.0.102/32\n}");

const CONNECTION = `[connection]
id=wired
type=ethernet
interface-name=eth0
[ipv4]
method=manual
address1=10.0.0.1/24
[ipv6]
method=disabled
`;

/** A root with upkeep in keepalived's place, and more packages of Debian's. */
async function makeRoot(...packages: readonly string[]): Promise<DebianRoot> {
  const deb = await artefact(/amd64\.deb$/);
  const root = await DebianRoot.make(deb);
  root.write("etc/keepalived/keepalived.conf", CONFIG);
  if (packages.length > 0) {
    await root.run("apt-get", "-q", "update");
    await root.run("apt-get", "-qy", "install", "--no-install-recommends", ...packages);
  }
  await root.run("dpkg", "-i", `/root/${deb.slice(deb.lastIndexOf("/") + 1)}`);
  await root.run("rm", "/usr/sbin/policy-rc.d");
  return root;
}

/** How often the log says something. */
async function count(a: Container, phrase: string): Promise<number> {
  const log = await a.run("journalctl", "-u", "keepalived", "--no-pager", "-o", "cat");
  return log.split(phrase).length - 1;
}

/** Waits until something is said that takes a command to find out. */
async function until(isSo: () => Promise<boolean>, complaint: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!await isSo()) {
    if (performance.now() > deadline) throw new Error(complaint);
    await Bun.sleep(50);
  }
}

test("NetworkManager lets virtual addresses and MAC addresses be", async () => {
  using network = new Network(["a"]);
  await using root = await makeRoot("network-manager");
  const file = "etc/NetworkManager/system-connections/wired.nmconnection";
  root.write(file, CONNECTION);
  chmodSync(join(root.path, file), 0o600);
  await using a = new Container(network, "a", root.path);
  await a.booted();
  const isMaster = (): boolean => network.addresses("a").includes(VIP);
  const devices = (): Promise<string> =>
    a.run("nmcli", "-t", "-f", "DEVICE,STATE,CONNECTION", "device");
  const isConnected = async (): Promise<boolean> =>
    /^eth0:connected.*:wired$/m.test(await devices());
  await until(async () => /^eth0:connected/m.test(await devices()), "no NetworkManager");
  // It has found the link as it was; from now on it is one of its own.
  await a.run("nmcli", "connection", "up", "wired");
  await until(isConnected, "the connection is not up");
  await poll(isMaster, 10_000, "nobody is MASTER");
  const isAbove = (): boolean => network.addresses("a", "vrrp.52").includes("10.0.0.102/32");
  await poll(isAbove, 10_000, "nobody is MASTER on the virtual MAC address");
  expect(await a.run("NetworkManager", "--print-config")).toContain("lib: 50-upkeep.conf");
  expect(await devices()).toMatch(/^vrrp\.52:unmanaged:/m);

  const faults = (): Promise<number> => count(a, "Entering FAULT STATE");
  const before = await faults();
  for (
    const words of [
      ["systemctl", "restart", "NetworkManager"],
      ["nmcli", "device", "reapply", "eth0"],
    ]
  ) {
    await a.run(...words);
    await until(isConnected, `not connected after ${words.join(" ")}`);
  }
  expect(await faults()).toBe(before);
  expect(isMaster()).toBe(true);
  expect(isAbove()).toBe(true);

  // An activation is another matter: it begins with a link without addresses.
  await a.run("nmcli", "connection", "up", "wired");
  await until(async () => await faults() > before, "the activation took nothing away");
  await poll(isMaster, 10_000, "the address does not come back");

  await a.run("rm", NM_DROP_IN);
  await a.run("systemctl", "restart", "NetworkManager");
  await until(isConnected, "not connected without the drop-in");
  expect(await devices()).toMatch(/^vrrp\.52:(?!unmanaged)/m);
});

test("systemd-networkd lets rules be; addresses are back at once", async () => {
  using network = new Network(["a"]);
  await using root = await makeRoot("dbus");
  const link = "[Match]\nName=eth0\n[Network]\nAddress=10.0.0.1/24\n";
  root.write("etc/systemd/network/10-eth0.network", link);
  await using a = new Container(network, "a", root.path);
  await a.booted();
  // Its address is networkd's from now on.
  await a.run("ip", "address", "flush", "dev", "eth0");
  await a.run("systemctl", "start", "systemd-networkd");
  const isMaster = (): boolean => network.addresses("a").includes(VIP);
  await poll(isMaster, 15_000, "nobody is MASTER");
  const hasRule = async (): Promise<boolean> => (await a.run("ip", "rule")).includes("10.3.3.3");
  const reconfigure = async (): Promise<void> => {
    const lost = await count(a, "(VI_1) Entering FAULT STATE");
    await a.run("networkctl", "reconfigure", "eth0");
    const isLost = async (): Promise<boolean> =>
      await count(a, "(VI_1) Entering FAULT STATE") > lost;
    await until(isLost, "networkd has not taken its address away");
    await poll(isMaster, 10_000, "the address does not come back");
  };

  await a.run("ip", "rule", "add", "from", "10.3.3.3", "table", "77");
  await reconfigure();
  expect(await hasRule()).toBe(true);
  await a.run("systemctl", "restart", "systemd-networkd");
  await reconfigure();
  expect(await hasRule()).toBe(true);

  await a.run("rm", NETWORKD_DROP_IN);
  await a.run("systemctl", "restart", "systemd-networkd");
  await reconfigure();
  expect(await hasRule()).toBe(false);
});
