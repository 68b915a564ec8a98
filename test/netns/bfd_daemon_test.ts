/** bfd_instance in whole daemons, beside an instance: from the file to the wire, reload, stop, -B, a crash of the role. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { instance } from "../support/configs.ts";
import { Daemon, type DaemonSettings } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";

setDefaultTimeout(60_000);

const HOSTS = ["a", "b"] as const;

function bfd(host: "a" | "b", lines = ""): string {
  const [own, peer] = host === "a" ? [1, 2] : [2, 1];
  return `bfd_instance one {\nneighbor_ip 10.0.0.${peer}\nsource_ip 10.0.0.${own}\n${lines}\n}\n`;
}

function start(network: Network, host: "a" | "b", settings: DaemonSettings = {}): Daemon {
  return new Daemon(network, host, bfd(host) + instance(), settings);
}

const UP = "(one) Entering Up state";
const DOWN = "(one) Entering Down state (Local diagnostic - ";

test("up, changed by a reload, ended by one, begun again, and stopped", async () => {
  using network = new Network(HOSTS);
  await using a = start(network, "a");
  await using b = start(network, "b");
  await Promise.all([a, b].map((daemon) => daemon.waitForLog(UP)));
  await b.waitForLog("(one) Sends every 10000 us, detection time is 50000 us");
  a.rewrite(bfd("a", "min_tx 20\nmin_rx 30\nmultiplier 3") + instance());
  a.signal("SIGHUP");
  await b.waitForLog("(one) Sends every 30000 us, detection time is 60000 us");
  a.rewrite(instance());
  a.signal("SIGHUP");
  const ended = "Neighbor Signaled Session Down, Remote diagnostic - Administratively Down)";
  await b.waitForLog(DOWN + ended);
  a.rewrite(bfd("a") + instance());
  a.signal("SIGHUP");
  await Promise.all([a, b].map((daemon) => daemon.waitForLog(UP)));
  expect(await a.stop()).toBe(0);
  expect(a.log).toContain("(one) Entering AdminDown state");
  await b.waitForLog(DOWN + ended);
});

test("a session alone keeps the role; when the role dies its peer notices, and it comes back", async () => {
  using network = new Network(HOSTS);
  await using a = new Daemon(network, "a", bfd("a"));
  await using b = new Daemon(network, "b", bfd("b"));
  await Promise.all([a, b].map((daemon) => daemon.waitForLog(UP)));
  process.kill(a.pids().vrrp, "SIGKILL");
  // By silence, or because the next role is there before that and begins anew.
  await b.waitForLog(DOWN);
  await Promise.all([a, b].map((daemon) => daemon.waitForLog(UP)));
});

test("-B: no session", async () => {
  using network = new Network(HOSTS);
  await using a = start(network, "a", { words: ["-B"] });
  await using b = start(network, "b", {});
  await a.waitForLog("Startup complete");
  await b.waitForLog("(one) Entering Down state");
  const none = network.run("a", "ss", "-Hlun", "sport = :3784");
  expect(none).toBe("");
  expect(network.run("b", "ss", "-Hlun", "sport = :3784")).toContain("3784");
});
