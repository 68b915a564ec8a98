/** A sync group of two instances on two links: where one goes, the other goes. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Capture, nowUs } from "../support/capture.ts";
import { downUs, instance, type InstanceSettings } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const VIP = ["10.0.0.100/32", "10.1.0.100/32"];
const MASTER = "Entering MASTER STATE";
const BACKUP = "Entering BACKUP STATE";

/** V0 on eth0 and V1 on eth1, in the group G unless `groups` says otherwise. */
function pair(
  settings: InstanceSettings,
  groups = "vrrp_sync_group G { \n group { \n V0 V1 \n } \n }",
): string {
  const [first, second] = [0, 1].map((link) =>
    instance({
      ...settings,
      name: `V${link}`,
      interface: `eth${link}`,
      vrid: 7 + link,
      addresses: [VIP[link]!],
    })
  );
  return `${groups}\n${first}${second}`;
}

async function both(daemon: Daemon, phrase: string): Promise<void> {
  // In whatever order: a line that was found is not looked for again.
  const line = await daemon.waitForLog(new RegExp(`^\\(V[01]\\) ${phrase}`));
  const other = line.text.startsWith("(V0)") ? "V1" : "V0";
  await daemon.waitForLog(new RegExp(`^\\(${other}\\) ${phrase}`));
}

async function holds(network: Network, host: string, ...others: string[]): Promise<void> {
  const has = (one: string): boolean[] =>
    [0, 1].map((link) => network.addresses(one, `eth${link}`).includes(VIP[link]!));
  await poll(
    () => has(host).every(Boolean) && !others.some((one) => has(one).some(Boolean)),
    2000,
    `${host} does not hold both addresses alone`,
  );
}

test("one link of the MASTER goes down: the peer has both, and gives them back together", async () => {
  using network = new Network(["a", "b"], { hasSecondLink: true });
  await using a = new Daemon(network, "a", pair({ priority: 150 }));
  await both(a, MASTER);
  await using b = new Daemon(network, "b", pair({ priority: 100 }));
  await both(b, BACKUP);
  await holds(network, "a", "b");
  await using capture = await Capture.start(network, "br1");

  network.run("a", "ip", "link", "set", "eth0", "down");
  await a.waitForLog("(V0) Entering FAULT STATE");
  await a.waitForLog("VRRP_Group(G) Syncing instances to FAULT state");
  await a.waitForLog("(V1) Entering FAULT STATE");
  // On the link that works it says goodbye.
  await capture.waitForAdvert(({ source, priority }) => source === "10.1.0.1" && priority === 0);
  await both(b, MASTER);
  expect(b.log).toContain("VRRP_Group(G) Syncing instances to MASTER state");
  await holds(network, "b", "a");

  network.run("a", "ip", "link", "set", "eth0", "up");
  await a.waitForLog("(V0) Entering BACKUP STATE");
  await a.waitForLog("VRRP_Group(G) Syncing instances to BACKUP state");
  await a.waitForLog("(V1) Entering BACKUP STATE");
  await both(a, MASTER);
  await b.waitForLog("VRRP_Group(G) Syncing instances to BACKUP state");
  await holds(network, "a", "b");
  expect(await a.stop()).toBe(0);
  await both(b, MASTER);
  await holds(network, "b", "a");
});

test("one link is cut without a word: nothing happens; a crash then moves both", async () => {
  using network = new Network(["a", "b"], { hasSecondLink: true });
  await using a = new Daemon(network, "a", pair({ priority: 150 }));
  await both(a, MASTER);
  await using b = new Daemon(network, "b", pair({ priority: 100 }));
  await both(b, BACKUP);
  await using capture = await Capture.start(network, "br1");
  network.run("wire", "ip", "link", "set", "to-b", "nomaster");
  // V0 of B wants to be MASTER again and again; V1 still hears A.
  for (let i = 0; i < 3; i++) await b.waitForLog("(V0) Receive advertisement timeout");
  const { atUs } = await capture.waitForAdvert(() => true);
  const untilUs = atUs + downUs({});
  await capture.waitForAdvert((advert) => advert.atUs > untilUs);
  expect(capture.adverts.every(({ source }) => source === "10.1.0.1")).toBe(true);
  expect(b.log).not.toContain(MASTER);
  await holds(network, "a", "b");
  await a.crash();
  await b.waitForLog("(V1) Entering MASTER STATE");
  await b.waitForLog("VRRP_Group(G) Syncing instances to MASTER state");
  await b.waitForLog("(V0) Entering MASTER STATE");
});

test("a new process of a dead one goes on with the whole group", async () => {
  using network = new Network(["a", "b"], { hasSecondLink: true });
  await using a = new Daemon(network, "a", pair({ priority: 150 }));
  await both(a, MASTER);
  await using b = new Daemon(network, "b", pair({ priority: 100 }));
  await both(b, BACKUP);
  await holds(network, "a", "b");
  await using capture = await Capture.start(network, "br1");
  const { vrrp } = a.pids();
  process.kill(vrrp, "SIGKILL");
  await both(a, "Still MASTER after a restart");
  const untilUs = nowUs() + downUs({});
  await capture.waitForAdvert(({ atUs }) => atUs > untilUs);
  expect(capture.adverts.every(({ source, priority }) => source === "10.1.0.1" && priority > 0))
    .toBe(true);
  expect(b.log).not.toContain(MASTER);
  await holds(network, "a", "b");
});

test("an address that cannot be kept takes the whole group down", async () => {
  using network = new Network(["a", "b"], { hasSecondLink: true });
  await using a = new Daemon(network, "a", pair({ priority: 150 }));
  await both(a, MASTER);
  await using b = new Daemon(network, "b", pair({ priority: 149, more: "nopreempt" }));
  await both(b, BACKUP);
  await holds(network, "a", "b");
  for (let count = 0; count < 11; count++) {
    network.run("a", "ip", "address", "del", VIP[0]!, "dev", "eth0");
    await a.waitForLog(count < 10 ? "put back" : "leaving MASTER");
    if (count < 10) await holds(network, "a", "b");
  }
  const lines = a.lines.map(({ text }) => text);
  const from = lines.indexOf("(V0) Entering BACKUP STATE");
  expect(lines.slice(from).filter((line) => !line.startsWith("(V0) address")).slice(0, 7)).toEqual([
    "(V0) Entering BACKUP STATE",
    "(V0) sent 0 priority",
    "(V0) removing VIPs.",
    "VRRP_Group(G) Syncing instances to BACKUP state",
    "(V1) Entering BACKUP STATE",
    "(V1) sent 0 priority",
    "(V1) removing VIPs.",
  ]);
});

test("a reload makes a group of two MASTERs and takes it apart without moving them", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  await using captures = new AsyncDisposableStack();
  const [first, second] = await Promise.all(
    ["br0", "br1"].map((bridge) => Capture.start(network, bridge)),
  );
  captures.use(first!);
  captures.use(second!);
  await using a = new Daemon(network, "a", pair({}, ""));
  await both(a, MASTER);
  for (const groups of ["vrrp_sync_group G { \n group { \n V0 \n V1 \n } \n }", ""]) {
    a.skipLog();
    a.rewrite(pair({}, groups));
    a.signal("SIGHUP");
    await a.waitForLog("Reload complete");
    network.run("a", "ip", "link", "set", "eth0", "down");
    await a.waitForLog("(V0) Entering FAULT STATE");
    if (groups !== "") await a.waitForLog("(V1) Entering FAULT STATE");
    network.run("a", "ip", "link", "set", "eth0", "up");
    if (groups !== "") await both(a, MASTER);
    else await a.waitForLog("(V0) Entering MASTER STATE");
    await holds(network, "a");
  }
  // V1 has left once, while it was in the group.
  expect(a.log.match(/\(V1\) Entering FAULT STATE/g)).toHaveLength(1);
  expect(second!.adverts.filter(({ priority }) => priority === 0)).toHaveLength(1);
});

test("a member that cannot start keeps the other one from it; both start when it can", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  network.run("a", "ip", "link", "set", "eth1", "down");
  await using a = new Daemon(network, "a", pair({}));
  await both(a, "Entering FAULT STATE \\(init\\)");
  network.run("a", "ip", "link", "set", "eth1", "up");
  await a.waitForLog("(V1) Entering BACKUP STATE");
  await a.waitForLog("VRRP_Group(G) Syncing instances to BACKUP state");
  await a.waitForLog("(V0) Entering BACKUP STATE");
  await both(a, MASTER);
  await holds(network, "a");
});

test("a delayed start delays the group", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  const globals = "global_defs {\nvrrp_startup_delay 0.5\n}\n";
  await using a = new Daemon(network, "a", globals + pair({}));
  await a.waitForLog("Startup complete");
  const sinceUs = nowUs();
  await both(a, "Entering BACKUP STATE \\(init\\)");
  expect(nowUs() - sinceUs).toBeGreaterThan(300_000);
  await both(a, MASTER);
  await holds(network, "a");
});

test("scripts of the group are told, with priority 0", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  const folder = mkdtempSync(join(tmpdir(), "upkeep-group-"));
  try {
    const [script, notes] = [join(folder, "note.sh"), join(folder, "notes")];
    writeFileSync(script, `#!/bin/sh\necho "$* [$UPKEEP_GROUP $UPKEEP_PREVIOUS]" >>${notes}\n`);
    chmodSync(script, 0o755);
    const notify = `notify_fault "${script} own fault"\nnotify ${script}`;
    const group = `vrrp_sync_group G {\ngroup {\nV0 V1\n}\n${notify}\n}`;
    await using a = new Daemon(network, "a", pair({}, group));
    await both(a, MASTER);
    network.run("a", "ip", "link", "set", "eth1", "down");
    await both(a, "Entering FAULT STATE");
    expect(await a.stop()).toBe(0);
    const told = (): string[] => readFileSync(notes, "utf8").split("\n").slice(0, -1);
    await poll(() => told().length >= 5, 5000, "not all was told");
    expect(told()).toEqual([
      "GROUP G BACKUP 0 [G INIT]",
      "GROUP G MASTER 0 [G BACKUP]",
      "own fault [G MASTER]",
      "GROUP G FAULT 0 [G MASTER]",
      "GROUP G STOP 0 [G FAULT]",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
