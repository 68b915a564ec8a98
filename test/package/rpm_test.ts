/**
 * The .rpm with `rpm --root`, in a root where a keepalived package was installed and its configuration
 * changed: what rpm does with the configuration of a package that is replaced is the danger.
 */

import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { Container } from "./booted.ts";
import { artefact, attempt, DebianRoot, type Outcome, run, scratch } from "./lab.ts";

const CONFIG = "# ours\n";
const CONFIG_FILE = "etc/keepalived/keepalived.conf";

/** As the distributions that use rpm make theirs, as far as configuration and unit go. */
const KEEPALIVED_SPEC = `Name: keepalived
Version: 2.2.8
Release: 1
Summary: stands for keepalived
License: GPL
%description
For a test.
%prep
%install
mkdir -p %{buildroot}/etc/keepalived %{buildroot}/etc/sysconfig %{buildroot}/usr/sbin %{buildroot}/usr/lib/systemd/system
echo '# sample' >%{buildroot}/etc/keepalived/keepalived.conf
echo 'KEEPALIVED_OPTIONS="-D"' >%{buildroot}/etc/sysconfig/keepalived
echo keepalived >%{buildroot}/usr/sbin/keepalived
echo '[Unit]' >%{buildroot}/usr/lib/systemd/system/keepalived.service
%files
%config(noreplace) /etc/keepalived/keepalived.conf
%config(noreplace) /etc/sysconfig/keepalived
/usr/sbin/keepalived
/usr/lib/systemd/system/keepalived.service
`;

/** Debian's keepalived and unit from a root, as the distributions that use rpm would pack them. */
function realSpec(root: string): string {
  const [program, unit] = ["usr/sbin/keepalived", "usr/lib/systemd/system/keepalived.service"];
  return `Name: keepalived
Version: 2.2.7
Release: 1
Summary: keepalived itself
License: GPL
AutoReqProv: no
%global __os_install_post %{nil}
%global debug_package %{nil}
%description
For a test.
%prep
%install
install -D ${root}/${program} %{buildroot}/${program}
install -D -m 644 ${root}/${unit} %{buildroot}/${unit}
%files
/${program}
/${unit}
%post
if [ $1 -eq 1 ]; then systemctl --no-reload preset keepalived.service || :; fi
%preun
if [ $1 -eq 0 ]; then systemctl --no-reload disable --now keepalived.service || :; fi
`;
}

/** Provides what our package needs and no Debian root says in rpm's words. */
const GLIBC_SPEC = `Name: glibc
Version: 2.36
Release: 1
Summary: stands for the C library
License: LGPL
Provides: libc.so.6(GLIBC_2.17)(64bit) /bin/sh
%description
For a test.
%files
`;

async function build(name: string, spec: string): Promise<string> {
  const top = scratch("rpmbuild");
  const file = join(top, `${name}.spec`);
  writeFileSync(file, spec);
  await run([
    "rpmbuild",
    "-bb",
    "--quiet",
    "--define",
    `_topdir ${top}`,
    "--target",
    "x86_64",
    file,
  ]);
  const output = await run(["find", join(top, "RPMS"), "-name", "*.rpm"]);
  return output.trim();
}

/** rpm with its database in the root; scripts run inside it and see no process but their own. */
function rpm(root: DebianRoot, ...words: readonly string[]): Promise<Outcome> {
  const space = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
  return attempt([...space, "rpm", "--root", root.path, "--dbpath", "/var/lib/rpm", ...words]);
}

async function rootWithRpm(): Promise<DebianRoot> {
  const root = await DebianRoot.make();
  await root.run("dpkg", "-P", "keepalived");
  mkdirSync(join(root.path, "var/lib/rpm"), { recursive: true });
  await done(rpm(root, "--initdb"));
  await done(rpm(root, "-i", await build("glibc", GLIBC_SPEC)));
  return root;
}

async function done(outcome: Promise<Outcome>): Promise<string> {
  const { status, text } = await outcome;
  if (status !== 0) throw new Error(`rpm ended with ${status}\n${text}`);
  return text;
}

test("the rpm takes keepalived's place and its configuration stays where it is", async () => {
  await using root = await rootWithRpm();
  await done(rpm(root, "-i", await build("keepalived", KEEPALIVED_SPEC)));
  root.write(CONFIG_FILE, CONFIG);
  const upkeep = await artefact(/x86_64\.rpm$/);
  await done(rpm(root, "-U", upkeep));
  expect(await done(rpm(root, "-qa", "--qf", "%{NAME}\\n"))).toBe("glibc\nupkeep\n");
  expect(await root.run("keepalived", "--version")).toContain("upkeep");
  expect(root.read(CONFIG_FILE)).toBe(CONFIG);
  expect(root.has("etc/keepalived/.keepalived.conf.upkeep")).toBe(false);
  expect(root.read("usr/lib/systemd/system/keepalived.service")).toContain("upkeep");
  expect(await root.run("getent", "passwd", "keepalived_script")).toContain("/usr/sbin/nologin");
  expect((await rpm(root, "-V", "upkeep")).text).toBe("");

  // Again, as an upgrade would.
  await done(rpm(root, "-U", "--force", upkeep));
  expect(root.read(CONFIG_FILE)).toBe(CONFIG);
  expect(root.has("usr/sbin/upkeep")).toBe(true);

  await done(rpm(root, "-e", "upkeep"));
  expect(root.has("usr/sbin/upkeep")).toBe(false);
  expect(root.has("usr/sbin/keepalived")).toBe(false);
  expect(root.has("usr/lib/systemd/system/keepalived.service")).toBe(false);
  expect(root.has("var/lib/upkeep")).toBe(false);
  expect(root.read(CONFIG_FILE)).toBe(CONFIG);
  expect((await root.attempt("getent", "passwd", "keepalived_script")).status).toBe(2);
});

test("where nothing was before, nothing is left", async () => {
  await using root = await rootWithRpm();
  const before = await root.list();
  await done(rpm(root, "-i", await artefact(/x86_64\.rpm$/)));
  expect((await root.attempt("upkeep", "version")).status).toBe(0);
  await done(rpm(root, "-e", "upkeep"));
  const left = (await root.list()).filter((path) => !before.includes(path));
  expect(
    left.filter((path) =>
      !/^\.\/(var\/lib\/rpm|var\/log|etc\/[\w.]+-|usr\/share\/licenses$)/.test(path)
    ),
  ).toEqual(
    [],
  );
});

const VIP = "10.0.0.100/24";
const PAIR = `vrrp_instance VI_1 {
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

test("under systemd what ran runs on, what did not stays so, and removal stops it", async () => {
  using network = new Network(["a"]);
  await using root = await DebianRoot.make(await artefact(/x86_64\.rpm$/));
  const former = await build("keepalived", realSpec(root.path));
  await root.run("dpkg", "-P", "keepalived");
  mkdirSync(join(root.path, "var/lib/rpm"), { recursive: true });
  await done(rpm(root, "--initdb"));
  await done(rpm(root, "-i", await build("glibc", GLIBC_SPEC)));
  await run(["cp", former, join(root.path, "root/keepalived.rpm")]);
  await root.run("sh", "-c", "mv /root/upkeep*.rpm /root/upkeep.rpm; rm /usr/sbin/policy-rc.d");
  root.write(CONFIG_FILE, PAIR);
  await using a = new Container(network, "a", root.path);
  await a.booted();
  const inside = (...words: readonly string[]): Promise<string> =>
    a.run("rpm", "--dbpath", "/var/lib/rpm", ...words);
  const state = async (): Promise<string> => {
    const words = ["is-active", "is-enabled"];
    const said = words.map((word) => a.attempt("systemctl", word, "keepalived"));
    return (await Promise.all(said)).map(({ text }) => text.trim()).join(" ");
  };
  const mainPid = (): Promise<string> => a.run("systemctl", "show", "-P", "MainPID", "keepalived");
  const isMaster = (): boolean => network.addresses("a").includes(VIP);

  // Who had it disabled and stopped has it so afterwards, whatever the distribution's preset is.
  await inside("-i", "/root/keepalived.rpm");
  await a.run("systemctl", "disable", "keepalived");
  await inside("-U", "/root/upkeep.rpm");
  expect(await state()).toBe("inactive disabled");
  await inside("-e", "upkeep");

  await inside("-i", "/root/keepalived.rpm");
  await a.run("systemctl", "start", "keepalived");
  expect(await state()).toBe("active enabled");
  await poll(isMaster, 5000, "keepalived holds the address");
  await inside("-U", "/root/upkeep.rpm");
  expect(await state()).toBe("active enabled");
  expect(await a.run("keepalived", "--version")).toContain("upkeep");
  expect(await a.run("systemctl", "status", "keepalived")).toContain("(upkeep)");
  await poll(isMaster, 5000, "upkeep holds the address");
  expect(root.read(CONFIG_FILE)).toBe(PAIR);

  // An upgrade restarts what runs, does not start what was stopped and asks no preset.
  const pid = await mainPid();
  await inside("-U", "--force", "/root/upkeep.rpm");
  expect(await state()).toBe("active enabled");
  expect(await mainPid()).not.toBe(pid);
  await a.run("systemctl", "disable", "--now", "keepalived");
  await inside("-U", "--force", "/root/upkeep.rpm");
  expect(await state()).toBe("inactive disabled");

  await a.run("systemctl", "enable", "--now", "keepalived");
  await poll(isMaster, 5000, "the service holds the address before it is removed");
  await inside("-e", "upkeep");
  await poll(() => !isMaster(), 3000, "nothing is left of it");
  expect(root.has("etc/systemd/system/multi-user.target.wants/keepalived.service")).toBe(false);
  expect(root.has("etc/systemd/system/upkeep.service")).toBe(false);
  expect(root.has("run/upkeep-install")).toBe(false);
  expect(root.read(CONFIG_FILE)).toBe(PAIR);
});

test("without the C library it is not installed", async () => {
  await using root = await rootWithRpm();
  await done(rpm(root, "-e", "glibc"));
  const { status, text } = await rpm(root, "-i", await artefact(/x86_64\.rpm$/));
  expect(status).not.toBe(0);
  expect(text).toContain("libc.so.6(GLIBC_2.17)(64bit) is needed by upkeep");
});
