/**
 * What a router costs while nothing happens: memory, CPU time per advert and how even its adverts are,
 * with 1, 100 and 1000 instances over four links (VRRPv3, an advert per second, an address each). With
 * --minutes instead: whether a MASTER's memory grows, at an advert every 20 ms.
 */

import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { instance } from "../test/support/configs.ts";
import { Daemon } from "../test/support/daemon.ts";
import { Network, WIRE } from "../test/support/namespaces.ts";
import {
  cpuTimes,
  cpuUsedUs,
  memoryOf,
  PLAYERS,
  type Program,
  PROGRAMS,
  progress,
  run,
  strangersOf,
  wallUs,
} from "./observe.ts";
import { percentile, Report } from "./report.ts";

const USAGE = `Usage: bun bench/steady.ts [--runs N] [--instances N]... [--window S] [--json]
       bun bench/steady.ts --minutes M [--json]

Memory, CPU per advert and evenness of adverts, upkeep and keepalived in turns.

  --runs N          turns per number of instances (default 1)
  --instances N     only this many, at most 1000 (default 1, 100 and 1000: about 6 minutes)
  --window S        seconds of each measurement (default 20)
  --minutes M       instead: memory of both as MASTER at advert_int 0.02, every minute
  --json            one JSON object instead of text
`;

const LINKS = 4;
const INTERVAL_US = 1_000_000;
const SETTLE_MS = 10_000;

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "1" },
      instances: { type: "string", multiple: true, default: ["1", "100", "1000"] },
      window: { type: "string", default: "20" },
      minutes: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  if (values.minutes !== undefined) {
    const title = "steady: RSS (sum of processes) as MASTER at advert_int 0.02";
    const report = await Report.begin(title, values.json);
    await measureGrowth(Number(values.minutes), values.json, report);
    await report.end();
    return;
  }
  const report = await Report.begin("steady: a router while nothing happens", values.json);
  const windowMs = Number(values.window) * 1000;
  for (const count of values.instances.map(Number)) {
    for (let turn = 1; turn <= Number(values.runs); turn++) {
      for (const player of PLAYERS) await measure(player, count, windowMs, report);
    }
    report.print(`${plural(count, "instance")}, each with an advert per second`);
  }
  await report.end();
});

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** One daemon from start to end; memory and CPU time before anybody listens on the wire. */
async function measure(
  player: Program,
  count: number,
  windowMs: number,
  report: Report,
): Promise<void> {
  const label = plural(count, "instance");
  const add = (figure: string, unit: string, value: number): void =>
    report.add(`${label}: ${figure}`, unit, player, value);
  using network = new Network(["a"]);
  addLinks(network);
  await using daemon = new Daemon(network, "a", configuration(count), {
    program: PROGRAMS[player],
  });
  progress(`${label}, ${player}: start`);
  await allUp(network, count);
  progress(`${label}, ${player}: settle`);
  await Bun.sleep(SETTLE_MS);
  addMemory(daemon.pid, player, label, report);
  progress(`${label}, ${player}: CPU`);
  const before = { times: cpuTimes(daemon.pid), sent: packetsSent(network) };
  await Bun.sleep(windowMs);
  const after = { times: cpuTimes(daemon.pid), sent: packetsSent(network) };
  const sent = after.sent - before.sent;
  add(`packets sent in ${windowMs / 1000} s`, "packets", sent);
  add("CPU per advert", "µs", cpuUsedUs(after.times, before.times) / sent);
  progress(`${label}, ${player}: evenness`);
  const deviationsMs = await deviations(network, windowMs, report);
  for (const [name, share] of [["p50", 0.5], ["p99", 0.99], ["max", 1]] as const) {
    add(`advert interval, deviation from 1 s, ${name}`, "ms", percentile(deviationsMs, share));
  }
}

/** eth1 to eth3 beside eth0, each with a wire of its own and nobody at its other end. */
function addLinks(network: Network): void {
  network.run(WIRE, ..."ip link set to-a nomaster".split(" "));
  for (let i = 1; i < LINKS; i++) {
    network.run(
      WIRE,
      ..."ip link add".split(" "),
      `to-a${i}`,
      ..."type veth peer name".split(" "),
      `eth${i}`,
      "netns",
      network.netns("a"),
    );
    network.run(WIRE, ..."ip link set".split(" "), `to-a${i}`, "up");
    network.run("a", ..."ip address add".split(" "), `10.${i}.0.1/24`, "dev", `eth${i}`);
    network.run("a", ..."ip link set".split(" "), `eth${i}`, "up");
  }
}

/** Instance k is on link k mod 4; VRIDs count up on each link. */
function configuration(count: number): string {
  return Array.from({ length: count }, (_, k) => {
    const [link, vrid] = [k % LINKS, Math.floor(k / LINKS) + 1];
    return instance({
      name: `V${k}`,
      state: "MASTER",
      interface: `eth${link}`,
      vrid,
      priority: 100,
      interval: INTERVAL_US / 1e6,
      addresses: [`10.${200 + link}.0.${vrid}/32`],
    });
  }).join("");
}

/** Waits until every instance is MASTER. */
async function allUp(network: Network, count: number): Promise<void> {
  const script = "ip -4 -o address show | grep -c '/32 ' || true";
  const limit = performance.now() + 60_000;
  for (;;) {
    const up = Number(network.run("a", "sh", "-c", script));
    if (up === count) return;
    if (performance.now() > limit) throw new Error(`${up} of ${count} addresses after a minute`);
    await Bun.sleep(100);
  }
}

function addMemory(pid: number, player: Program, label: string, report: Report): void {
  const all = memoryOf(pid);
  for (const kind of ["pss", "rss"] as const) {
    const name = `${label}: ${kind.toUpperCase()}`;
    const sum = all.reduce((total, one) => total + one[kind], 0);
    report.add(`${name}, sum of ${all.length}`, "MiB", player, sum / 1024);
    for (const [i, one] of all.entries()) {
      report.add(`${name}, ${i === 0 ? "parent" : "vrrp"}`, "MiB", player, one[kind] / 1024);
    }
  }
  const strangers = strangersOf(pid);
  if (strangers > 0) {
    report.remark(
      `${player}: ${strangers} processes beside ours ran the same file; PSS is too small by that.`,
    );
  }
}

/** What host a has sent on all its links so far: nothing but adverts when it has settled. */
function packetsSent(network: Network): number {
  const lines = network.run("a", "cat", "/proc/net/dev").matchAll(/eth\d:\s*([\d ]+)/g);
  return [...lines].reduce((sum, [, words]) => sum + Number(words!.split(/ +/)[9]), 0);
}

/** How far the intervals between each instance's adverts are from what they should be, in ms. */
async function deviations(network: Network, windowMs: number, report: Report): Promise<number[]> {
  const { adverts, dropped } = await listen(network, windowMs);
  if (dropped > 0) report.remark(`tcpdump missed ${dropped} packets: the deviations are wrong.`);
  const lastUs = new Map<string, number>();
  const found: number[] = [];
  for (const { key, atUs } of adverts) {
    const before = lastUs.get(key);
    if (before !== undefined) found.push(Math.abs(atUs - before - INTERVAL_US) / 1000);
    lastUs.set(key, atUs);
  }
  return found;
}

/** When an instance has spoken. */
interface Spoken {
  /** Its link and VRID. */
  readonly key: string;
  readonly atUs: number;
}

/**
 * Adverts on all wires. They come in bursts of as many as there are instances, so tcpdump gets a large
 * ring of small slots, writes to a file and is read when it has ended.
 */
async function listen(
  network: Network,
  windowMs: number,
): Promise<{ adverts: Spoken[]; dropped: number }> {
  const file = join(tmpdir(), `upk${process.pid}-steady.pcap`);
  const words = "tcpdump -i any -y LINUX_SLL2 -s 128 -B 16384 -Z root -w".split(" ");
  const child = Bun.spawn([...network.enter(WIRE), ...words, file, "inbound and ip proto 112"], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  await Bun.sleep(windowMs + 500);
  child.kill("SIGTERM");
  const said = await child.stderr.text();
  const dropped = /(\d+) packets dropped by kernel/.exec(said)?.[1];
  if (dropped === undefined) throw new Error(`no tcpdump: ${said}`);
  return { adverts: spokenIn(readFileSync(file)), dropped: Number(dropped) };
}

/**
 * pcap: a header of 24 bytes, then seconds, microseconds, length, length, packet; little-endian. A
 * packet is a header of 20 bytes (sll2(7): the link's index at 4), IPv4, and VRRP with the VRID at 1.
 */
function spokenIn(pcap: Uint8Array): Spoken[] {
  const view = new DataView(pcap.buffer, pcap.byteOffset, pcap.length);
  const spoken: Spoken[] = [];
  for (let at = 24; at + 16 <= pcap.length; at += 16 + view.getUint32(at + 8, true)) {
    const atUs = view.getUint32(at, true) * 1e6 + view.getUint32(at + 4, true);
    const ip = at + 16 + 20;
    const vrid = view.getUint8(ip + (view.getUint8(ip) & 15) * 4 + 1);
    spoken.push({ key: `${view.getUint32(at + 20, false)} ${vrid}`, atUs });
  }
  return spoken;
}

/** A sample of all processes' resident memory. */
interface Sample {
  readonly minute: number;
  readonly mib: number;
}

/** Both at the same time, each in a network of its own: memory does not mind company. */
async function measureGrowth(minutes: number, json: boolean, report: Report): Promise<void> {
  using networks = new DisposableStack();
  await using daemons = new AsyncDisposableStack();
  const config = instance({ state: "MASTER", priority: 255, interval: 0.02 });
  const players = PLAYERS.map((player) => {
    const network = networks.use(new Network(["a"]));
    const daemon = daemons.use(new Daemon(network, "a", config, { program: PROGRAMS[player] }));
    return { player, network, daemon, samples: [] as Sample[] };
  });
  await Bun.sleep(SETTLE_MS);
  const startUs = wallUs();
  const sentBefore = players.map(({ network }) => packetsSent(network));
  if (!json) {
    process.stdout.write(`\n  minute${PLAYERS.map((player) => player.padStart(15)).join("")}\n`);
  }
  for (let tick = 0; tick <= minutes * 6; tick++) {
    await Bun.sleep(tick * 10_000 - (wallUs() - startUs) / 1000);
    for (const { daemon, samples } of players) {
      const kib = memoryOf(daemon.pid).reduce((sum, { rss }) => sum + rss, 0);
      samples.push({ minute: tick / 6, mib: kib / 1024 });
    }
    if (json || (tick % 6 !== 0 && tick < minutes * 6)) continue;
    const row = players.map(({ samples }) => `${samples.at(-1)!.mib.toFixed(2)} MiB`.padStart(15));
    process.stdout.write(`  ${(tick / 6).toFixed(0).padStart(6)}${row.join("")}\n`);
  }
  for (const [i, { player, network, samples }] of players.entries()) {
    const sent = packetsSent(network) - sentBefore[i]!;
    report.add("adverts sent meanwhile", "packets", player, sent);
    report.add("RSS at the start", "MiB", player, samples[0]!.mib);
    report.add("RSS at the end", "MiB", player, samples.at(-1)!.mib);
    report.add("slope of all samples (one every 10 s)", "KiB/min", player, slope(samples) * 1024);
  }
  report.print();
}

/** Least squares, in MiB per minute. */
function slope(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number): number =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [minute, mib] = [mean((one) => one.minute), mean((one) => one.mib)];
  const spread = mean((one) => (one.minute - minute) ** 2);
  return spread === 0 ? 0 : mean((one) => (one.minute - minute) * (one.mib - mib)) / spread;
}
