/** The service: its unit and sandbox as systemd judges them, and run by a systemd that is booted. */

import { expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { Container } from "./booted.ts";
import { artefact, DebianRoot, debOfVersion, run, scratch, unpacked } from "./lab.ts";

const VIP = "10.0.0.100/24";
const CONFIG = `vrrp_instance VI_1 {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 150
  advert_int 0.1
  version 3
  virtual_ipaddress {
    ${VIP}
  }
}
`;
const DROP_IN = "/etc/systemd/system/keepalived.service.d";

/** A folder with our unit, and with the sandbox for it when that is asked for. */
async function units(hardened: boolean): Promise<string> {
  const folder = scratch("units");
  const tree = await unpacked();
  cpSync(join(tree, "usr/lib/systemd/system"), folder, { recursive: true });
  if (hardened) {
    mkdirSync(join(folder, "keepalived.service.d"));
    const name = "upkeep-hardened.conf";
    cpSync(join(tree, "usr/share/upkeep", name), join(folder, "keepalived.service.d", name));
  }
  return folder;
}

for (const hardened of [false, true]) {
  test(`the unit ${hardened ? "with its sandbox " : ""}is without fault`, async () => {
    const folder = await units(hardened);
    const env = { SYSTEMD_UNIT_PATH: `${folder}:/lib/systemd/system:/usr/lib/systemd/system` };
    const unit = join(folder, "keepalived.service");
    // Whether this machine has /usr/sbin/keepalived is not the unit's fault.
    const said = await run(["systemd-analyze", "verify", "--man=no", unit], { env });
    expect(said.split("\n").filter((line) => line !== "" && !/not executable/.test(line))).toEqual(
      [],
    );
  });
}

test("the unit alone restricts nothing, the sandbox says of each line what it forbids", async () => {
  const tree = await unpacked();
  const unit = readFileSync(join(tree, "usr/lib/systemd/system/keepalived.service"), "utf8");
  const service = unit.slice(unit.indexOf("[Service]"), unit.indexOf("[Install]"));
  const settings = [...service.matchAll(/^(\w+)=/gm)].map(([, name]) => name!);
  expect(new Set(settings)).toEqual(
    new Set(["Type", "EnvironmentFile", "ExecStart", "ExecReload", "KillMode"]),
  );
  const sandbox = readFileSync(join(tree, "usr/share/upkeep/upkeep-hardened.conf"), "utf8");
  const blocks = sandbox.split("[Service]\n")[1]!.split(/\n(?=#)/);
  expect(blocks.length).toBeGreaterThan(15);
  expect(blocks.filter((block) => !/^#/.test(block))).toEqual([]);
  expect(sandbox).not.toMatch(/^MemoryDenyWriteExecute/m);
});

test("with the sandbox the exposure is at most 2.5, and code may still be compiled", async () => {
  const folder = await units(true);
  const words = ["systemd-analyze", "security", "--offline=yes", "--threshold=25"];
  const said = await run([...words, join(folder, "keepalived.service")], {
    env: { SYSTEMD_UNIT_PATH: `${folder}:` },
  });
  const level = Number(/exposure level for keepalived\.service: ([\d.]+)/.exec(said)?.[1]);
  expect(level).toBeGreaterThan(0);
  expect(level).toBeLessThanOrEqual(2.5);
  expect(said).toMatch(/✗ MemoryDenyWriteExecute/);
});

test("systemd starts, reloads, hardens, upgrades and removes the service", async () => {
  using network = new Network(["a", "b"]);
  const deb = await artefact(/amd64\.deb$/);
  const next = await debOfVersion(deb, "9.9.8-1");
  await using root = await DebianRoot.make(deb, next);
  const file = (path: string): string => `/root/${path.slice(path.lastIndexOf("/") + 1)}`;
  root.write("etc/keepalived/keepalived.conf", CONFIG);
  root.write("etc/default/keepalived", 'DAEMON_ARGS="-D --config-id=fromdefault"\n');
  await root.run("mkdir", "-p", "/etc/sysconfig");
  root.write("etc/sysconfig/keepalived", 'KEEPALIVED_OPTIONS="--all"\n');
  await root.run("rm", "/usr/sbin/policy-rc.d");
  await using a = new Container(network, "a", root.path);
  await a.booted();
  const isActive = async (): Promise<string> =>
    (await a.attempt("systemctl", "is-active", "keepalived")).text.trim();
  const mainPid = (): Promise<string> => a.run("systemctl", "show", "-P", "MainPID", "keepalived");
  const isMaster = (): boolean => network.addresses("a").includes(VIP);

  // keepalived runs, is replaced, and nothing is started in its place.
  expect(await isActive()).toBe("active");
  await a.run("dpkg", "-i", file(deb));
  expect(await isActive()).toBe("inactive");
  await poll(() => !isMaster(), 3000, "keepalived has left");

  await a.run("systemctl", "start", "keepalived");
  expect(await isActive()).toBe("active");
  await poll(isMaster, 5000, "the service holds the address");
  const command = await a.run(
    "sh",
    "-c",
    `tr '\\0' ' ' </proc/${(await mainPid()).trim()}/cmdline`,
  );
  expect(command).toBe("/usr/sbin/keepalived --dont-fork -D --config-id=fromdefault --all ");
  expect(await a.run("systemctl", "is-active", "upkeep")).toBe("active\n");

  await using b = new Daemon(network, "b", CONFIG.replace("priority 150", "priority 100"));
  await b.waitForLog("Entering BACKUP STATE");

  // Reload keeps the process.
  const pid = await mainPid();
  root.write("etc/keepalived/keepalived.conf", CONFIG.replace("100/24", "101/24"));
  await a.run("systemctl", "reload", "keepalived");
  await poll(() => network.addresses("a").includes("10.0.0.101/24"), 3000, "the new address");
  expect(await mainPid()).toBe(pid);
  root.write("etc/keepalived/keepalived.conf", CONFIG);
  await a.run("systemctl", "reload", "keepalived");
  await poll(isMaster, 3000, "the old address again");

  // In the sandbox it does the same work.
  await a.run("mkdir", "-p", DROP_IN);
  await a.run("ln", "-s", "/usr/share/upkeep/upkeep-hardened.conf", DROP_IN);
  await a.run("systemctl", "daemon-reload");
  await a.run("systemctl", "restart", "keepalived");
  await poll(isMaster, 5000, "the hardened service holds the address");
  await a.run("systemctl", "reload", "keepalived");
  const log = await a.run("journalctl", "-u", "keepalived", "--no-pager", "-o", "cat");
  expect(log).not.toMatch(/EPERM|EACCES|Operation not permitted/);

  // An upgrade restarts what runs and leaves alone what does not.
  const old = await mainPid();
  await a.run("dpkg", "-i", file(next));
  expect(await isActive()).toBe("active");
  expect(await mainPid()).not.toBe(old);
  await poll(isMaster, 5000, "the upgraded service holds the address");
  await a.run("systemctl", "stop", "keepalived");
  await b.waitForLog("Entering MASTER STATE");
  expect(isMaster()).toBe(false);
  await a.run("dpkg", "-i", "--force-downgrade", file(deb));
  expect(await isActive()).toBe("inactive");

  // Removal stops what runs.
  await a.run("systemctl", "start", "keepalived");
  await poll(isMaster, 5000, "the service holds the address before it is removed");
  await a.run("dpkg", "-P", "upkeep");
  await poll(() => !isMaster(), 3000, "nothing is left of it");
  expect(root.has("etc/systemd/system/upkeep.service")).toBe(false);
  expect(root.has("etc/systemd/system/multi-user.target.wants/keepalived.service")).toBe(false);
  expect(root.read("etc/keepalived/keepalived.conf")).toBe(CONFIG);
});
