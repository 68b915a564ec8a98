/**
 * keepalived of Debian and upkeep, each as the router that tracks processes, beside the same peer: by name, by
 * command line, with a quorum, with a weight and without. Log, FIFO, calls of the notify script and adverts are
 * the same but for {@link OURS} and {@link THEIRS}.
 *
 * keepalived hears of processes in the first network namespace alone, so the router lives there, on a link of
 * its own that leads to the test's wire and is gone with it. Where this is another one, there is nothing to
 * compare.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Fifo } from "../support/fifo.ts";
import { Network, WIRE } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { advertsOf, collapse, Tap } from "./wire.ts";

setDefaultTimeout(120_000);

/** include/linux/proc_ns.h: PROC_PID_INIT_INO. */
const FIRST_PIDS = "pid:[4026531836]";
/** kthreadd (2) is where the machine has started. */
const IS_FIRST = readlinkSync("/proc/self/ns/pid") === FIRST_PIDS &&
  readlinkSync("/proc/self/ns/net") === readlinkSync("/proc/2/ns/net");

const STEP_MS = 12_000;
/** With a number: one that was removed takes a moment to go. */
const linkOf = (number: number): string => `upk${process.pid}p${number}`.slice(0, 15);
const HERE = { enter: (): string[] => [] };
/** Not what the test's hosts have: the machine's own may be anything but this. */
const OWN = "198.18.47.1";
const PEER = "198.18.47.2";
const MAC = "02:00:00:00:00:01";
const HELD = "198.18.47.100";

/** How a priority or a fault comes about, which keepalived does not say. */
const OURS = /^\(V\) (Priority is|No failover will happen|process \w+ (runs|does not run)$)/;
/** Addresses are removed although there are none. */
const THEIRS = /^\(V\) removing VIPs\.$/;
/** As often as the peer's adverts fall into the time. */
const DISCARDED = /received lower priority \(\d+\) advert from \S+ - discarding$/;

const TRACKED = ["web", "two", "exact", "partial", "initial", "most"];

interface Story {
  /** Of the instance. */
  readonly log: readonly string[];
  /** Of each tracked process; upkeep's come from another process than the instance's. */
  readonly quorums: Readonly<Record<string, readonly string[]>>;
  readonly told: readonly string[];
  readonly calls: readonly string[];
  readonly adverts: readonly string[];
}

test.skipIf(!IS_FIRST)(
  "processes that end and begin, by name, command line and number",
  async () => {
    const reference = await play("keepalived", linkOf(1));
    const ours = await play(UPKEEP, linkOf(2));
    expect(ours).toEqual(reference);
  },
);

/** Programs whose names nothing else on the machine has. */
class Programs {
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly #running = new Map<string, Bun.Subprocess>();

  name(of: string): string {
    return `${of}${process.pid}`.slice(0, 15);
  }

  path(of: string): string {
    return join(this.folder, this.name(of));
  }

  /** `id` tells it from others of the same program. */
  start(of: string, id: string, ...words: readonly string[]): void {
    if (!existsSync(this.path(of))) copyFileSync("/bin/sleep", this.path(of));
    const stdio = ["ignore", "ignore", "ignore"] as const;
    this.#running.set(id, Bun.spawn([this.path(of), ...words], { stdio: [...stdio] }));
  }

  async stop(id: string): Promise<void> {
    const child = this.#running.get(id);
    child?.kill("SIGKILL");
    await child?.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#running.keys()) await this.stop(id);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function play(program: string, link: string): Promise<Story> {
  using network = new Network(["B"]);
  plugIn(network, link);
  await using programs = new Programs();
  await using fifo = closing(new Fifo());
  await using tap = await Tap.start(network);
  const recorder = join(programs.folder, "record.sh");
  const calls = join(programs.folder, "calls");
  writeFileSync(recorder, `#!/bin/sh\necho "$*" >>${calls}\n`);
  chmodSync(recorder, 0o755);

  programs.start("web", "web", "1000");
  programs.start("two", "one", "1001");
  programs.start("two", "other", "1002");
  const config = configuration(programs, link, fifo.of.path, recorder);
  await using a = new Daemon(HERE, "", config, { program });
  const lines = (): string[] =>
    existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : [];
  let states = 0;
  const says = async (...phrases: readonly string[]): Promise<void> => {
    for (const phrase of phrases) {
      await a.waitForLog(phrase, STEP_MS);
      // keepalived lets scripts overtake each other.
      if (!phrase.startsWith("Entering")) continue;
      states++;
      await poll(() => lines().length >= states, STEP_MS, `no call for ${phrase}`);
    }
  };
  await says("Entering BACKUP STATE", "Entering MASTER STATE");
  await using b = new Daemon(network, "B", peer(), { program: "keepalived" });
  await b.waitForLog("Entering BACKUP STATE", STEP_MS);

  // By name, with a weight: the peer takes over and gives back.
  await programs.stop("web");
  await says("Quorum lost for tracked process web", "from 130 to 80", "Entering BACKUP STATE");
  programs.start("web", "web", "1000");
  await says("Quorum gained for tracked process web", "from 80 to 130", "Entering MASTER STATE");

  // Without a weight, one of two: FAULT.
  await programs.stop("other");
  await says("Entering FAULT STATE", "sent 0 priority");
  programs.start("two", "other", "1002");
  await says("Entering BACKUP STATE", "Entering MASTER STATE");

  // By command line: another parameter is another process, a longer one too where it must be the same.
  programs.start("line", "another", "999");
  programs.start("line", "longer", "10031");
  await says("from 130 to 134");
  programs.start("line", "more", "1003", "1");
  await says("from 134 to 136");
  programs.start("line", "exact", "1003");
  await says("from 136 to 137");
  await programs.stop("exact");
  await says("from 137 to 136");
  // One with more parameters begins with these, too.
  await programs.stop("longer");
  await programs.stop("more");
  await says("to 130");
  await programs.stop("another");

  // Too many, and one that has become another program.
  programs.start("most", "first", "1000");
  await says("from 130 to 140");
  programs.start("most", "second", "1000");
  await says("from 140 to 130");
  await programs.stop("first");
  await says("from 130 to 140");
  await programs.stop("second");
  await says("from 140 to 130");

  expect(await a.stop(STEP_MS)).toBe(0);
  await b.waitForLog("Entering MASTER STATE", STEP_MS);
  await poll(() => lines().at(-1)!.includes("STOP"), 5000, "the script was not called");
  await fifo.of.has('INSTANCE "V" STOP 130');
  const adverts = advertsOf(await tap.finish()).filter(({ source }) => source === OWN);
  const texts = a.lines.map(({ text }) => text.replaceAll(link, "LINK"));
  return {
    log: texts.filter((text) =>
      text.startsWith("(V)") && ![OURS, THEIRS, DISCARDED].some((one) => one.test(text))
    ),
    quorums: Object.fromEntries(
      TRACKED.map((name) => [name, texts.filter((text) => text.endsWith(`process ${name}`))]),
    ),
    told: fifo.of.lines,
    calls: lines(),
    adverts: collapse(adverts.map(({ text }) => text)),
  };
}

/** Joins this namespace to the wire by a link with an address in a network that nobody uses (RFC 2544). */
function plugIn(network: Network, link: string): void {
  const words = `link add to-here type veth peer name ${link} netns ${process.pid}`.split(" ");
  network.run(WIRE, "ip", ...words);
  network.run(WIRE, "ip", "link", "set", "to-here", "master", "br0", "up");
  network.run("B", "ip", "address", "add", `${PEER}/24`, "dev", "eth0");
  network.run("B", "ip", "address", "delete", "10.0.0.1/24", "dev", "eth0");
  const lines = [`address add ${OWN}/24 dev ${link}`, `link set ${link} address ${MAC} up`];
  for (const line of lines) {
    const done = Bun.spawnSync(["ip", ...line.split(" ")]);
    if (!done.success) throw new Error(`ip ${line}: ${done.stderr}`);
  }
}

function configuration(programs: Programs, link: string, fifo: string, recorder: string): string {
  const track = (name: string, ...lines: readonly string[]): string =>
    `vrrp_track_process ${name} {\n${lines.join("\n")}\n}\n`;
  const line = `process ${programs.path("line")} 1003`;
  return `global_defs {
  vrrp_version 3
  vrrp_notify_fifo ${fifo}
  script_user root
}
${track("web", `process ${programs.name("web")}`, "weight 50")}
${track("two", `process ${programs.name("two")}`, "quorum 2", "weight 0")}
${track("exact", line, "weight 1")}
${track("partial", line, "param_match partial", "weight 2")}
${track("initial", line, "param_match initial", "weight 4")}
${track("most", `process ${programs.name("most")}`, "quorum 1", "quorum_max 1", "weight -10")}
vrrp_instance V {
  interface ${link}
  virtual_router_id 51
  priority 90
  advert_int 0.3
  notify_priority_changes
  notify ${recorder}
  garp_master_delay 100
  virtual_ipaddress {
    ${HELD}
  }
  track_process {
    ${TRACKED.join("\n    ")}
  }
}
`;
}

function peer(): string {
  return `vrrp_instance V {
  interface eth0
  virtual_router_id 51
  priority 100
  version 3
  advert_int 0.3
  virtual_ipaddress {
    ${HELD}
  }
}
`;
}

function closing(fifo: Fifo): AsyncDisposable & { readonly of: Fifo } {
  return { of: fifo, [Symbol.asyncDispose]: () => fifo.close() };
}
