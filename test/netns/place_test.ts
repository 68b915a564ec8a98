/** A daemon in a network namespace of its own choice: every thread is there, and so are its pid files. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const MASTER = "(V) Entering MASTER STATE";

/** The namespaces of a kind that the threads of processes are in. */
function namespacesOf(pids: readonly number[], kind: string): string[] {
  const all = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((thread) =>
      readlinkSync(`/proc/${pid}/task/${thread}/ns/${kind}`)
    )
  );
  return [...new Set(all)];
}

test("net_namespace: the whole daemon and its pid files are there, and nothing stays", async () => {
  using network = new Network(["a", "b"]);
  const there = network.netns("b");
  const here = network.run("a", "readlink", "/proc/self/ns/net").trim();
  const wanted = network.run("b", "readlink", "/proc/self/ns/net").trim();
  const config = `net_namespace ${there}\ninstance blue\n${instance({ priority: 200 })}`;
  await using daemon = new Daemon(network, "a", config, { usualPidFiles: true });
  await daemon.waitForLog(`Changing syslog ident to Keepalived_${there}_blue`);
  await daemon.waitForLog(MASTER);
  const { parent, vrrp } = daemon.pids();
  expect(namespacesOf([parent, vrrp], "net")).toEqual([wanted]);
  expect(wanted).not.toBe(here);
  expect(namespacesOf([parent, vrrp], "mnt")).toHaveLength(1);
  expect(namespacesOf([parent], "mnt")).not.toEqual(namespacesOf([process.pid], "mnt"));
  await poll(() => network.addresses("b").includes("10.0.0.100/32"), 5000, "no address there");
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  // Inside they are at the usual place, outside in a folder of the namespace's name.
  const folder = `/run/keepalived/${there}`;
  for (const [name, pid] of [["keepalived_blue.pid", parent], ["vrrp_blue.pid", vrrp]] as const) {
    await poll(() => existsSync(`${folder}/${name}`), 5000, `no ${name}`);
    expect(readFileSync(`${folder}/${name}`, "utf8")).toBe(`${pid}\n`);
    expect(existsSync(`/proc/${parent}/root/run/keepalived/${name}`)).toBe(true);
  }
  daemon.rewrite(config.replace("instance blue", "instance red"));
  daemon.signal("SIGHUP");
  await daemon.waitForLog(/Cannot change net_namespace, .* at a reload/);
  await daemon.waitForLog("Reload complete");
  process.kill(vrrp, "SIGKILL");
  await daemon.waitForLog("Respawning");
  const again = daemon.pids().vrrp;
  expect(namespacesOf([again], "net")).toEqual([wanted]);
  expect(await daemon.stop()).toBe(0);
  expect(existsSync(folder)).toBe(false);
  expect(network.addresses("b")).toEqual(["10.0.0.2/24"]);
});

test("--namespace beats net_namespace; one that is not there ends the daemon with a word", async () => {
  using network = new Network(["a", "b"]);
  const config = `net_namespace nowhere\n${instance({ priority: 200 })}`;
  await using daemon = new Daemon(network, "a", config, {
    words: ["--namespace", network.netns("b")],
  });
  await daemon.waitForLog(MASTER);
  await poll(() => network.addresses("b").includes("10.0.0.100/32"), 5000, "no address there");
  expect(existsSync(daemon.pidFile)).toBe(true);
  expect(await daemon.stop()).toBe(0);
  await using lost = new Daemon(network, "a", config);
  expect(await lost.ended()).toBe(1);
  expect(lost.log).toContain("Unable to set network namespace nowhere");
  expect(lost.log).toContain("ENOENT");
});

test("scripts run in the namespace too", async () => {
  using network = new Network(["a", "b"]);
  const wanted = network.run("b", "readlink", "/proc/self/ns/net").trim();
  const probe = `vrrp_script where {
    script "/bin/sh -c '[ $(readlink /proc/self/ns/net) = ${wanted} ]'"
    interval 1
    user root
}
`;
  const config = `net_namespace ${network.netns("b")}\n${probe}${
    instance({ priority: 200, more: "track_script {\n        where\n    }" })
  }`;
  await using daemon = new Daemon(network, "a", config);
  await daemon.waitForLog(MASTER);
  expect(await daemon.stop()).toBe(0);
});
