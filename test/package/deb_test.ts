/**
 * The .deb in a Debian root where keepalived was installed and configured before: it takes keepalived's
 * place, does its work with the same configuration, is upgraded, removed and purged.
 */

import { expect, test } from "bun:test";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { artefact, DebianRoot, debOfVersion } from "./lab.ts";

const CONFIG_FILE = "etc/keepalived/keepalived.conf";
const DEFAULTS_FILE = "etc/default/keepalived";
const VIP = "10.0.0.100/24";

/** A pair's configuration; `priority` tells the two apart. */
function configOf(priority: number): string {
  return `# Ours, and to stay so.
vrrp_instance VI_1 {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority ${priority}
  advert_int 0.1
  version 3
  virtual_ipaddress {
    ${VIP}
  }
}
`;
}

/** Options that make a daemon read and write the root's own files. */
const OWN_FILES = [
  ...["-f", `/${CONFIG_FILE}`],
  ...["-p", "/run/keepalived.pid", "-r", "/run/vrrp.pid"],
];

function inRoot(root: DebianRoot, network: Network, host: string): Daemon {
  const settings = { program: "/usr/sbin/keepalived", words: OWN_FILES, before: root.enter };
  return new Daemon(network, host, "", settings);
}

function holds(network: Network, host: string): boolean {
  return network.addresses(host).includes(VIP);
}

test("keepalived is replaced, the same configuration fails over, and purge leaves only what was ours", async () => {
  using network = new Network(["a", "b"]);
  const deb = await artefact(/amd64\.deb$/);
  await using root = await DebianRoot.make(deb);
  const name = deb.slice(deb.lastIndexOf("/") + 1);
  root.write(CONFIG_FILE, configOf(150));
  root.write(DEFAULTS_FILE, 'DAEMON_ARGS="-D"\n');
  const before = await root.list();

  // keepalived itself, with this configuration.
  expect(await root.run("keepalived", "--version")).not.toContain("upkeep");
  {
    await using daemon = inRoot(root, network, "a");
    await daemon.waitForLog("Entering MASTER STATE");
    await daemon.stop();
  }

  const said = await root.run("dpkg", "-i", `/root/${name}`);
  expect(said).toContain("will remove keepalived in favour of upkeep");
  expect(said).toContain("'systemctl start keepalived' starts it");
  expect(await root.run("keepalived", "--version")).toContain("upkeep");
  expect(root.read(CONFIG_FILE)).toBe(configOf(150));
  expect(root.read(DEFAULTS_FILE)).toBe('DAEMON_ARGS="-D"\n');
  // Debian's keepalived has it as /lib/systemd/…, which is the same file there: dpkg removed ours.
  expect(root.read("usr/lib/systemd/system/keepalived.service")).toContain("upkeep");
  expect(await root.run("dpkg", "--verify", "upkeep")).toBe("");
  expect(await root.run("systemctl", "is-enabled", "keepalived")).toBe("enabled\n");
  expect(await root.run("getent", "passwd", "keepalived_script")).toContain("/usr/sbin/nologin");
  const check = await root.attempt("unshare", "--net", "keepalived", "-t");
  expect(check.text).toContain("eth0"); // not in that namespace: the file was read
  const sample = "/usr/share/doc/upkeep/examples/keepalived.conf";
  expect(await root.attempt("upkeep", "-t", "-f", sample)).toEqual({ status: 0, text: "" });

  // The same configuration, started, failed over to a second one, and back.
  {
    await using a = inRoot(root, network, "a");
    await a.waitForLog("Entering MASTER STATE");
    await using b = new Daemon(network, "b", configOf(100));
    await b.waitForLog("Entering BACKUP STATE");
    await poll(() => holds(network, "a"), 3000, "a holds the address");
    expect(root.read("run/keepalived.pid").trim()).toBe(String(a.pid));
    await a.stop();
    await b.waitForLog("Entering MASTER STATE");
    await poll(() => holds(network, "b"), 3000, "b takes the address over");
    expect(holds(network, "a")).toBe(false);
    await using again = inRoot(root, network, "a");
    await again.waitForLog("Entering MASTER STATE");
    await b.waitForLog("Entering BACKUP STATE");
    await poll(() => holds(network, "a") && !holds(network, "b"), 3000, "a has it back");
    await again.stop();
    await b.stop();
  }

  await root.run("dpkg", "-r", "upkeep");
  expect(root.has("usr/sbin/keepalived")).toBe(false);
  expect(root.has("usr/sbin/upkeep")).toBe(false);
  expect(root.read(CONFIG_FILE)).toBe(configOf(150));
  await root.run("dpkg", "-P", "upkeep");
  expect(root.read(CONFIG_FILE)).toBe(configOf(150));
  expect((await root.attempt("getent", "passwd", "keepalived_script")).status).toBe(2);
  // What is there now was there before, but for what dpkg and user management write for themselves.
  const left = (await root.list()).filter((path) => !before.includes(path));
  expect(left.filter((path) => !/^\.\/(var\/log|var\/cache|etc\/[\w.]+-)/.test(path))).toEqual([]);
  expect(await root.run("dpkg-query", "-W", "-f", "${Package}\n")).not.toMatch(/^upkeep$/m);
});

test("an upgrade keeps everything, also what was disabled", async () => {
  const deb = await artefact(/amd64\.deb$/);
  const next = await debOfVersion(deb, "9.9.9-1");
  await using root = await DebianRoot.make(deb, next);
  const file = (path: string): string => `/root/${path.slice(path.lastIndexOf("/") + 1)}`;
  // From a root without keepalived's remains.
  await root.run("dpkg", "-P", "keepalived");
  await root.run("dpkg", "-i", file(deb));
  expect(root.has(CONFIG_FILE)).toBe(false);
  root.write(CONFIG_FILE, configOf(150));
  await root.run("systemctl", "disable", "keepalived");
  await root.run("dpkg", "-i", file(next));
  expect(await root.run("dpkg-query", "-W", "-f", "${Version}", "upkeep")).toBe("9.9.9-1");
  expect(root.read(CONFIG_FILE)).toBe(configOf(150));
  // What was disabled stays so.
  expect((await root.attempt("systemctl", "is-enabled", "keepalived")).text).toBe("disabled\n");
  expect(root.has("usr/lib/systemd/system/keepalived.service")).toBe(true);
  expect(await root.run("dpkg", "--verify", "upkeep")).toBe("");
  // Removed and installed again, as after a change of mind.
  await root.run("dpkg", "-r", "upkeep");
  expect(root.has("usr/lib/systemd/system/keepalived.service")).toBe(false);
  await root.run("dpkg", "-i", file(deb));
  expect((await root.attempt("systemctl", "is-enabled", "keepalived")).text).toBe("disabled\n");
  await root.run("dpkg", "-P", "upkeep");
  expect(root.read(CONFIG_FILE)).toBe(configOf(150));
  expect(root.has("etc/systemd/system/upkeep.service")).toBe(false);
  expect(root.has("var/lib/upkeep")).toBe(false);
});

test("purging after a user of that name was there before leaves the user", async () => {
  const deb = await artefact(/amd64\.deb$/);
  await using root = await DebianRoot.make(deb);
  await root.run("useradd", "--system", "keepalived_script");
  await root.run("dpkg", "-i", `/root/${deb.slice(deb.lastIndexOf("/") + 1)}`);
  await root.run("dpkg", "-P", "upkeep");
  expect(await root.run("getent", "passwd", "keepalived_script")).toContain("keepalived_script");
});

test("with nothing configured, nothing of ours stays in /etc", async () => {
  const deb = await artefact(/amd64\.deb$/);
  await using root = await DebianRoot.make(deb);
  await root.run("dpkg", "-P", "keepalived");
  await root.run("dpkg", "-i", `/root/${deb.slice(deb.lastIndexOf("/") + 1)}`);
  expect(root.has("etc/keepalived")).toBe(true);
  await root.run("dpkg", "-P", "upkeep");
  expect(root.has("etc/keepalived")).toBe(false);
  expect(root.has("etc/systemd/system/multi-user.target.wants/keepalived.service")).toBe(false);
});
