/** Processes that are tracked, on real hosts: killed, renamed, and started again while the role is away. */

import { expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

const HELD = "10.0.0.100/32";

/** A program whose name nothing else on the machine has. */
class Program {
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly name = `w${process.pid}`;
  readonly path = join(this.folder, this.name);
  #running: Bun.Subprocess[] = [];

  constructor() {
    copyFileSync("/bin/sleep", this.path);
  }

  start(seconds = "1000"): Bun.Subprocess {
    const child = Bun.spawn([this.path, seconds], { stdio: ["ignore", "ignore", "ignore"] });
    this.#running.push(child);
    return child;
  }

  /** Ends all of them, and waits until they are gone. */
  async stop(): Promise<void> {
    for (const child of this.#running) child.kill("SIGKILL");
    await Promise.all(this.#running.splice(0).map((child) => child.exited));
  }

  block(...lines: readonly string[]): string {
    return `vrrp_track_process web {\nprocess ${this.name}\n${lines.join("\n")}\n}\n`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const TRACK = "track_process {\nweb\n}";

test("a process that is killed makes the peer take over, and gives back when it is started", async () => {
  using network = new Network(["left", "right"]);
  await using program = new Program();
  program.start();
  const config = program.block("weight 50") + instance({ priority: 80, more: TRACK });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("Entering MASTER STATE");
  expect(left.log).toContain("(V) Priority is 80 + 50 (process web) = 130");
  expect(left.log).not.toContain("Quorum");
  expect(left.log).not.toContain("not available");
  await using right = new Daemon(network, "right", instance({ priority: 100 }));
  await right.waitForLog("Entering BACKUP STATE");
  await program.stop();
  await left.waitForLog("Quorum lost for tracked process web");
  await right.waitForLog("Entering MASTER STATE");
  program.start();
  await left.waitForLog("Quorum gained for tracked process web");
  await left.waitForLog("(V) Changing effective priority from 80 to 130");
  await left.waitForLog("Entering MASTER STATE");
});

test("without a weight it is FAULT, from the first moment on", async () => {
  using network = new Network(["left"]);
  await using program = new Program();
  await using left = new Daemon(network, "left", program.block() + instance({ more: TRACK }));
  await left.waitForLog("(V) process web does not run");
  await left.waitForLog("(V) Entering FAULT STATE (init)");
  expect(left.log).not.toContain("BACKUP");
  program.start();
  await left.waitForLog("(V) Entering BACKUP STATE");
  await left.waitForLog("(V) Entering MASTER STATE");
  await program.stop();
  await left.waitForLog("(V) Entering FAULT STATE");
  await poll(() => !network.addresses("left").includes(HELD), 3000, "still held");
});

test("one that runs at the start holds nothing up, and a new role knows of it", async () => {
  using network = new Network(["left"]);
  await using program = new Program();
  program.start();
  const more = TRACK + "\nnotify_priority_changes";
  const own = instance({ priority: 255, state: "MASTER", more });
  await using left = new Daemon(network, "left", program.block() + own);
  await left.waitForLog("(V) Entering MASTER STATE");
  expect(left.log).not.toContain("FAULT");
  left.skipLog();
  process.kill(left.pids().vrrp, "SIGKILL");
  await left.waitForLog("Still MASTER after a restart");
});

test("command lines, a quorum and delays", async () => {
  using network = new Network(["left"]);
  await using program = new Program();
  const lines = `vrrp_track_process other {
process ${program.path} 1001
weight 10
terminate_delay 0.4
}
` + program.block("quorum 2", "weight 20");
  const more = "track_process {\nweb\nother\n}";
  program.start("1001");
  await using left = new Daemon(network, "left", lines + instance({ priority: 100, more }));
  await left.waitForLog("(V) Changing effective priority from 100 to 110");
  await left.waitForLog("Entering MASTER STATE");
  program.start("1002");
  await left.waitForLog("(V) Changing effective priority from 110 to 130");
  const killedAt = performance.now();
  await program.stop();
  await left.waitForLog("(V) Changing effective priority from 130 to 110");
  await left.waitForLog("(V) Changing effective priority from 110 to 100");
  expect(performance.now() - killedAt).toBeGreaterThan(390);
});

test("events that were lost are made up for", async () => {
  using network = new Network(["left"]);
  await using program = new Program();
  program.start();
  const config = program.block("weight 50") + instance({ priority: 80, more: TRACK });
  await using left = new Daemon(network, "left", config);
  await left.waitForLog("Entering MASTER STATE");
  left.signal("SIGSTOP");
  await program.stop();
  // More than the buffer holds.
  const loop = "my $i = 0; while ($i++ < 15000) { my $p = fork; exit if !$p; waitpid $p, 0 }";
  expect(await Bun.spawn(["perl", "-e", loop]).exited).toBe(0);
  left.signal("SIGCONT");
  await left.waitForLog("Process events were lost", 20_000);
  await left.waitForLog("(V) Changing effective priority from 130 to 80");
  program.start();
  await left.waitForLog("(V) Changing effective priority from 80 to 130");
}, 60_000);
