/**
 * What is tracked decides who is MASTER: scripts, links and files on real hosts, with a peer that takes over
 * and gives back.
 */

import { expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instance } from "../support/configs.ts";
import { Daemon, isAlive } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

/** A folder with a script that fails while there is a file `bad`. */
class Switch {
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly script = join(this.folder, "check.sh");
  readonly #bad = join(this.folder, "bad");

  constructor(body = "") {
    writeFileSync(this.script, `#!/bin/sh\n${body}\ntest ! -e ${this.#bad}\n`);
    chmodSync(this.script, 0o755);
  }

  set isGood(yes: boolean) {
    if (yes) rmSync(this.#bad, { force: true });
    else writeFileSync(this.#bad, "");
  }

  /** A vrrp_script `check` of it. */
  block(...lines: readonly string[]): string {
    const all = [`script ${this.script}`, "interval 0.1", "timeout 1", "user root", ...lines];
    return `vrrp_script check {\n${all.join("\n")}\n}\n`;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const HELD = "10.0.0.100/32";
const TRACK = "track_script {\ncheck\n}";

function holds(network: Network, host: string): Promise<void> {
  return poll(() => network.addresses(host).includes(HELD), 5000, `${host} does not hold ${HELD}`);
}

test("a script that fails makes the peer take over, and recovers", async () => {
  using network = new Network(["left", "right"]);
  using check = new Switch();
  const config = check.block("weight -50", "fall 2") + instance({ priority: 120, more: TRACK });
  await using left = new Daemon(network, "left", config);
  await holds(network, "left");
  await using right = new Daemon(network, "right", instance({ priority: 100 }));
  await right.waitForLog("Entering BACKUP STATE");
  check.isGood = false;
  await left.waitForLog("VRRP_Script(check) failed (exited with status 1)");
  await left.waitForLog("(V) Changing effective priority from 120 to 70");
  await left.waitForLog("(V) Priority is 120 - 50 (script check) = 70");
  await right.waitForLog("Entering MASTER STATE");
  await holds(network, "right");
  check.isGood = true;
  await left.waitForLog("VRRP_Script(check) succeeded");
  await left.waitForLog("(V) Changing effective priority from 70 to 120");
  await left.waitForLog("Entering MASTER STATE");
  await holds(network, "left");
  expect(network.addresses("right")).not.toContain(HELD);
});

test("a weight that is too small is named when the script fails", async () => {
  using network = new Network(["left", "right"]);
  using check = new Switch();
  await using right = new Daemon(network, "right", instance({ priority: 100 }));
  await right.waitForLog("Entering MASTER STATE");
  const config = check.block("weight -5") + instance({ priority: 120, more: TRACK });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("Entering MASTER STATE");
  check.isGood = false;
  const { text } = await left.waitForLog("No failover will happen");
  expect(text).toContain("10.0.0.2 has 100");
  expect(text).toContain("the weight is too small by 16");
  expect(network.addresses("left")).toContain(HELD);
});

test("without a weight it is FAULT, with a farewell, until the script succeeds", async () => {
  using network = new Network(["left"]);
  using check = new Switch("sleep 0.5");
  const config = check.block("interval 1") +
    instance({ priority: 255, state: "MASTER", more: TRACK });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("Startup complete");
  // Silent until the script has returned, whatever its state is to be.
  const before = left.log;
  await left.waitForLog("VRRP_Script(check) succeeded");
  expect(before).not.toContain("Entering");
  await holds(network, "left");
  check.isGood = false;
  await left.waitForLog("(V) script check fails");
  await left.waitForLog("(V) Entering FAULT STATE");
  await left.waitForLog("sent 0 priority");
  await poll(() => !network.addresses("left").includes(HELD), 3000, "still held");
  check.isGood = true;
  await left.waitForLog("(V) Entering BACKUP STATE");
  await holds(network, "left");
});

test("a first failure is definitive: FAULT from the start", async () => {
  using network = new Network(["left"]);
  using check = new Switch();
  check.isGood = false;
  const config = check.block("fall 5") + instance({ priority: 100, more: TRACK });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("(V) Entering FAULT STATE");
  check.isGood = true;
  await left.waitForLog("(V) Entering BACKUP STATE");
});

test("a link with a weight and one without", async () => {
  using network = new Network(["left"], { hasSecondLink: true });
  const weighted = instance({ priority: 100, more: "track_interface {\neth1 weight -30\n}" });
  const fatal = instance({
    name: "W",
    vrid: 8,
    addresses: ["10.0.0.101/32"],
    more: "track_interface {\neth1\n}",
  });
  await using left = new Daemon(network, "left", weighted + fatal);
  await left.waitForLog("(V) Entering MASTER STATE");
  await poll(() => left.log.includes("(W) Entering MASTER STATE"), 3000, "W is no MASTER");
  network.run("left", "ip", "link", "set", "eth1", "down");
  await left.waitForLog("(V) Changing effective priority from 100 to 70");
  await left.waitForLog("(W) interface eth1 is down");
  await left.waitForLog("(W) Entering FAULT STATE");
  network.run("left", "ip", "link", "set", "eth1", "up");
  await left.waitForLog("(V) Changing effective priority from 70 to 100");
  await left.waitForLog("(W) Entering BACKUP STATE");
});

test("all members of a group are in FAULT while its script fails", async () => {
  using network = new Network(["left"]);
  using check = new Switch();
  const members = instance({ name: "A" }) +
    instance({ name: "B", vrid: 8, addresses: ["10.0.0.101/32"] });
  const group = `vrrp_sync_group G {\ngroup {\nA\nB\n}\n${TRACK}\n}\n`;
  await using left = new Daemon(network, "left", check.block() + group + members);
  await left.waitForLog("Entering MASTER STATE");
  await poll(() => network.addresses("left").length === 3, 3000, "not both held");
  check.isGood = false;
  await left.waitForLog("VRRP_Script(check) failed");
  await poll(
    () => /\(A\) Entering FAULT/.test(left.log) && /\(B\) Entering FAULT/.test(left.log),
    3000,
    "not both in FAULT",
  );
  await poll(() => network.addresses("left").length === 1, 3000, "still held");
  left.skipLog();
  check.isGood = true;
  await left.waitForLog("Syncing instances to MASTER state");
  await poll(() => network.addresses("left").length === 3, 3000, "not both held again");
});

test("the number in a file moves the priority, and the FIFO is told", async () => {
  using network = new Network(["left"]);
  using check = new Switch();
  const file = join(check.folder, "load");
  const fifo = join(check.folder, "fifo");
  const seen = join(check.folder, "seen");
  const reader = join(check.folder, "reader.sh");
  writeFileSync(reader, `#!/bin/sh\nexec cat "$1" >>${seen}\n`);
  chmodSync(reader, 0o755);
  const config = `global_defs {
vrrp_notify_fifo ${fifo}
vrrp_notify_fifo_script ${reader} root
}
track_file load {
file ${file}
weight 2
}
` + instance({ priority: 100, more: "notify_priority_changes\ntrack_file {\nload\n}" });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("Entering MASTER STATE");
  writeFileSync(file, "-15\n");
  await left.waitForLog("(V) Changing effective priority from 100 to 70");
  await left.waitForLog("(V) Priority is 100 - 30 (file load) = 70");
  writeFileSync(file, "-127\n");
  await left.waitForLog("(V) file load holds -127");
  await left.waitForLog("(V) Entering FAULT STATE");
  rmSync(file);
  await left.waitForLog("(V) Entering BACKUP STATE");
  const lines = (): string => existsSync(seen) ? readFileSync(seen, "utf8") : "";
  await poll(() => lines().split("BACKUP 100").length === 3, 3000, "not told");
  expect(lines()).toContain('INSTANCE "V" MASTER_PRIORITY 70\n');
});

test("what a file holds at the start decides from the start", async () => {
  using network = new Network(["left"]);
  using check = new Switch();
  const [bad, load] = [join(check.folder, "maintenance"), join(check.folder, "load")];
  writeFileSync(bad, "1\n");
  const file = (name: string, path: string, weight: number, rest = ""): string =>
    `track_file ${name} {\nfile ${path}\nweight ${weight}\n${rest}\n}\n`;
  const config = file("bad", bad, 0) + file("load", load, 2, "init_file 7") +
    instance({ priority: 255, state: "MASTER", more: "track_file {\nbad\n}" }) +
    instance({
      name: "W",
      vrid: 8,
      addresses: ["10.0.0.101/32"],
      more: "track_file {\nload\n}",
    });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("(V) Entering FAULT STATE (init)");
  await left.waitForLog("(W) Entering MASTER STATE");
  expect(left.log).not.toMatch(/\(V\) Entering (BACKUP|MASTER)/);
  // Before it took part.
  expect(left.log).toMatch(/from 100 to 114\n(.*\n)*.*\(W\) Entering BACKUP STATE/);
  expect(readFileSync(load, "utf8")).toBe("7\n");
  expect(network.addresses("left")).not.toContain(HELD);
  writeFileSync(bad, "0\n");
  await left.waitForLog("(V) Entering BACKUP STATE");
  await holds(network, "left");
});

test("a role that is started again knows what is tracked, and a reload changes it", async () => {
  using network = new Network(["left"]);
  using check = new Switch();
  check.isGood = false;
  const block = check.block("weight -50");
  await using left = new Daemon(network, "left", block + instance({ priority: 120, more: TRACK }));
  await left.waitForLog("Entering MASTER STATE");
  expect(left.log).toContain("(V) Changing effective priority from 120 to 70");
  left.skipLog();
  process.kill(left.pids().vrrp, "SIGKILL");
  await left.waitForLog("(V) Changing effective priority from 120 to 70");
  await left.waitForLog("Still MASTER after a restart");
  left.skipLog();
  left.rewrite(check.block("weight -60") + instance({ priority: 120, more: TRACK }));
  left.signal("SIGHUP");
  await left.waitForLog("(V) Changing effective priority from 70 to 60");
  left.rewrite(instance({ priority: 120 }));
  left.signal("SIGHUP");
  await left.waitForLog("(V) Changing effective priority from 60 to 120");
});

test("a script that hangs delays nothing and is gone after the stop", async () => {
  using network = new Network(["left"]);
  using check = new Switch();
  const pidFile = join(check.folder, "pid");
  writeFileSync(check.script, `#!/bin/sh\necho $$ >${pidFile}\nexec sleep 60\n`);
  const config = check.block("timeout 30", "weight 10") + instance({ priority: 100, more: TRACK });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("Entering MASTER STATE");
  await poll(() => existsSync(pidFile) && readFileSync(pidFile, "utf8") !== "", 3000, "no run");
  const pid = Number(readFileSync(pidFile, "utf8"));
  expect(await left.stop()).toBe(0);
  await poll(() => !isAlive(pid), 3000, "the script runs on");
});

test("a script that may not run is named with the cure, and does not hold up the start", async () => {
  using network = new Network(["left"]);
  using check = new Switch();
  chmodSync(check.script, 0o644);
  await using left = new Daemon(network, "left", check.block() + instance({ more: TRACK }));
  const { text } = await left.waitForLog("Disabling track script check");
  expect(text).toContain(`chmod +x ${check.script}`);
  await left.waitForLog("Entering MASTER STATE");
});

test("a BFD session decides, from the first moment on", async () => {
  using network = new Network(["left", "right"]);
  const session = (peer: number): string => `bfd_instance one {\nneighbor_ip 10.0.0.${peer}\n}\n`;
  const fatal = instance({ more: "track_bfd {\none\n}" });
  const weighted = instance({
    name: "W",
    vrid: 8,
    addresses: ["10.0.0.101/32"],
    more: "track_bfd {\none weight -20\n}",
  });
  await using left = new Daemon(network, "left", session(2) + fatal + weighted);
  await left.waitForLog("(V) BFD session one is Down");
  await left.waitForLog("(W) Changing effective priority from 100 to 80");
  await using right = new Daemon(network, "right", session(1));
  await left.waitForLog("(V) Entering BACKUP STATE");
  await left.waitForLog("(W) Changing effective priority from 80 to 100");
  await left.waitForLog("(V) Entering MASTER STATE");
  await right.crash();
  await left.waitForLog("(V) BFD session one is Down");
  await left.waitForLog("(V) Entering FAULT STATE");
  await left.waitForLog("(W) Changing effective priority from 100 to 80");
});

test("a new role takes a BFD session for Up until its neighbour would have answered", async () => {
  using network = new Network(["left", "right"]);
  const session = (peer: number): string =>
    `bfd_instance one {\nneighbor_ip 10.0.0.${peer}\nidle_tx 200\n}\n`;
  const own = instance({ priority: 150, more: "track_bfd {\none\n}" });
  await using left = new Daemon(network, "left", session(2) + own);
  await using right = new Daemon(network, "right", session(1));
  await left.waitForLog("(V) Entering MASTER STATE");
  left.skipLog();
  const before = left.lines.length;
  process.kill(left.pids().vrrp, "SIGKILL");
  await left.waitForLog("Still MASTER after a restart");
  await left.waitForLog("Entering Up state", 8000);
  const since = (): string => left.lines.slice(before).map(({ text }) => text).join("\n");
  expect(since()).not.toContain("FAULT");
  left.skipLog();
  // It dies once more, and this time there is nobody to answer.
  right.signal("SIGSTOP");
  const role = left.pids().vrrp;
  await right.crash();
  process.kill(role, "SIGKILL");
  await left.waitForLog("(V) BFD session one is Down", 8000);
  await left.waitForLog("(V) Entering FAULT STATE");
});
