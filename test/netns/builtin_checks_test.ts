/** Built-in checks of real hosts: pings, ports and pages that go away and come back decide the priority. */

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";

const TRACK = "track_script {\ncheck\n}";

function block(...lines: readonly string[]): string {
  return `vrrp_script check {\n${["interval 0.1", "timeout 0.5", ...lines].join("\n")}\n}\n`;
}

test("pings of both families, and an address nobody has", async () => {
  using network = new Network(["left", "right"], { ipv6: true });
  const script = (name: string, host: string, weight: number): string =>
    `vrrp_script ${name} {\ncheck ping ${host}\ninterval 0.2\ntimeout 0.15\nweight ${weight}\n}\n`;
  const config = script("four", "10.0.0.2", 1) + script("six", "fd00::2", 2) +
    script("self", "127.0.0.1", 4) + script("nobody", "10.0.0.77", 8) +
    script("far", "192.0.2.1", 16) +
    instance({ priority: 100, more: "track_script {\nfour\nsix\nself\nnobody\nfar\n}" });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("VRRP_Script(nobody) timed_out");
  expect(left.log).toContain("Script `far` now returning there is no way to 192.0.2.1");
  expect(left.log).toContain("VRRP_Script(far) failed (there is no way to 192.0.2.1)");
  await left.waitForLog("Entering MASTER STATE");
  expect(left.log).toMatch(/Changing effective priority from \d+ to 107\n/);
  network.run("right", "ip", "link", "set", "eth0", "down");
  await left.waitForLog("VRRP_Script(");
  await left.waitForLog("to 104");
  network.run("right", "ip", "link", "set", "eth0", "up");
  await left.waitForLog("VRRP_Script(four) succeeded");
  const before = readdirSync(`/proc/${left.pid}/fd`).length;
  left.skipLog();
  // Announced again after five seconds.
  await left.waitForLog("Sending gratuitous ARP", 10_000);
  expect(readdirSync(`/proc/${left.pid}/fd`).length).toBeLessThan(before + 6);
});

test("a page: the peer takes over while it is missing, and the reason is logged", async () => {
  using network = new Network(["left", "right"]);
  const page = block('check http http://10.0.0.2:8080/health contains "all well"', "weight 50");
  const serve = (text: string): Bun.Subprocess =>
    Bun.spawn([
      ...network.enter("right"),
      process.execPath,
      "-e",
      `Bun.serve({ port: 8080, hostname: "10.0.0.2", fetch: () => new Response("${text}") })`,
    ]);
  await using left = new Daemon(network, "left", page + instance({ priority: 80, more: TRACK }));
  await left.waitForLog("Script `check` now returning the connection is refused");
  await left.waitForLog("VRRP_Script(check) failed (the connection is refused)");
  const bad = serve("ill");
  await left.waitForLog("Script `check` now returning the page does not contain all well");
  bad.kill();
  await bad.exited;
  const good = serve("all well here");
  await left.waitForLog("VRRP_Script(check) succeeded");
  await left.waitForLog("(V) Priority is 80 + 50 (script check) = 130");
  good.kill();
  await good.exited;
});

test("a port without a weight: FAULT while nobody listens, without any process", async () => {
  using network = new Network(["left", "right"]);
  const listen = (): Bun.Subprocess =>
    Bun.spawn([
      ...network.enter("left"),
      process.execPath,
      "-e",
      `Bun.listen({ port: 99, hostname: "127.0.0.1", socket: { data() {} } })`,
    ]);
  const config = block("check tcp 127.0.0.1 99", "fall 2") + instance({ more: TRACK });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("(V) Entering FAULT STATE");
  const server = listen();
  await left.waitForLog("(V) Entering BACKUP STATE");
  await left.waitForLog("(V) Entering MASTER STATE");
  server.kill();
  await server.exited;
  await left.waitForLog("(V) script check fails");
  await left.waitForLog("(V) Entering FAULT STATE");
  expect(left.pids().vrrp).toBeGreaterThan(0);
});
