/**
 * What many instances cost: CPU time, memory and the evenness of their adverts, idle and beside two busy
 * loops, with 1, 100, 500 and 1000 of them over four links (VRRPv3, an advert per second, an address
 * each); and whether a BACKUP at `advert_int 0.02` takes over beside busy loops although it should not.
 */

import { parseArgs } from "node:util";
import { instance } from "../test/support/configs.ts";
import { Daemon } from "../test/support/daemon.ts";
import { Network } from "../test/support/namespaces.ts";
import { addLinks, allUp, type Heard, listen, manyInstances, packetsSent, pssOf } from "./many.ts";
import {
  cpuTimes,
  cpuUsedUs,
  PLAYERS,
  type Program,
  PROGRAMS,
  progress,
  run,
  strangersOf,
} from "./observe.ts";
import { percentile, Report } from "./report.ts";

const USAGE = `Usage: bun bench/vrrp_scale.ts [--runs N] [--instances N]... [--seconds S] [--json]

CPU, memory and evenness of adverts of many instances, upkeep and keepalived in turns.

  --runs N          turns per number of instances (default 1)
  --instances N     only this many, at most 1020 (default 1, 100, 500 and 1000: about 17 minutes)
  --seconds S       of each measurement (default $RUN_SECONDS, else 30)
  --json            one JSON object instead of text
`;

const INTERVAL_US = 1_000_000;
/** When a start is over for both, what they do behind it included. */
const SETTLE_MS = 45_000;
const HOGS = 2;
/** The instances that are to stay what they are while others want the processor. */
const FAST = 0.02;

/** What is measured of whom. */
interface Turn {
  readonly player: Program;
  readonly count: number;
  readonly ms: number;
  readonly report: Report;
}

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "1" },
      instances: { type: "string", multiple: true, default: ["1", "100", "500", "1000"] },
      seconds: { type: "string", default: process.env["RUN_SECONDS"] ?? "30" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const report = await Report.begin("vrrp_scale: what many instances cost", values.json);
  const ms = Number(values.seconds) * 1000;
  const alone = new Map<Program, number>();
  for (const count of values.instances.map(Number)) {
    for (let turn = 1; turn <= Number(values.runs); turn++) {
      for (const player of PLAYERS) {
        const pssKib = await measure({ player, count, ms, report });
        if (count === 1) alone.set(player, pssKib);
        const base = alone.get(player);
        if (count === 1 || base === undefined) continue;
        const growth = (pssKib - base) / (count - 1);
        report.add(`${nameOf(count)}: PSS growth per instance`, "KiB", player, growth);
      }
    }
    report.print(`${nameOf(count)}, each with an advert per second`);
  }
  for (let turn = 1; turn <= Number(values.runs); turn++) {
    for (const player of PLAYERS) await countTakeOvers(player, ms, report);
  }
  report.print(`advert_int ${FAST} beside ${HOGS} busy loops`);
  await report.end();
});

function nameOf(count: number): string {
  return `${count} instance${count === 1 ? "" : "s"}`;
}

/** One daemon from start to end, nobody listening while memory and CPU time are taken; its PSS in KiB. */
async function measure(turn: Turn): Promise<number> {
  const { player, count, ms, report } = turn;
  const label = nameOf(count);
  using network = new Network(["a"]);
  addLinks(network);
  const config = manyInstances(count);
  await using daemon = new Daemon(network, "a", config, { program: PROGRAMS[player] });
  progress(`${label}, ${player}: start`);
  await allUp(network, count);
  progress(`${label}, ${player}: settle`);
  await Bun.sleep(SETTLE_MS);
  const pssKib = pssOf(daemon.pid);
  report.add(`${label}: PSS`, "MiB", player, pssKib / 1024);
  const strangers = strangersOf(daemon.pid);
  if (strangers > 0) {
    report.remark(`${player}: PSS is too small, ${strangers} others ran the same file`);
  }
  progress(`${label}, ${player}: CPU`);
  const before = { times: cpuTimes(daemon.pid), sent: packetsSent(network) };
  await Bun.sleep(ms);
  const usedUs = cpuUsedUs(cpuTimes(daemon.pid), before.times);
  const sent = packetsSent(network) - before.sent;
  report.add(`${label}: CPU time in ${ms / 1000} s`, "ms", player, usedUs / 1000);
  report.add(`${label}: CPU time per advert`, "µs", player, usedUs / sent);
  progress(`${label}, ${player}: evenness`);
  addHeard(turn, "idle", await listen(network, ms, INTERVAL_US));
  using _hogs = new BusyLoops(HOGS);
  progress(`${label}, ${player}: beside busy loops`);
  addHeard(turn, `${HOGS} busy loops`, await listen(network, ms, INTERVAL_US));
  return pssKib;
}

function addHeard({ player, count, report }: Turn, when: string, heard: Heard): void {
  const { deviationsMs, missed, dropped } = heard;
  if (dropped > 0) report.remark(`tcpdump missed ${dropped} packets: the deviations are wrong.`);
  const label = `${nameOf(count)}, ${when}`;
  for (const [name, share] of [["p50", 0.5], ["p99", 0.99], ["max", 1]] as const) {
    const figure = `${label}: |interval − 1 s|, ${name}`;
    report.add(figure, "ms", player, percentile(deviationsMs, share));
  }
  report.add(`${label}: adverts missed`, "adverts", player, missed);
}

/** A MASTER and a BACKUP that have nothing to decide, and too little processor. */
async function countTakeOvers(player: Program, ms: number, report: Report): Promise<void> {
  using network = new Network(["a", "b"]);
  const settings = (priority: number): string =>
    instance({ interval: FAST, priority, state: priority === 200 ? "MASTER" : "BACKUP" });
  const program = PROGRAMS[player];
  await using a = new Daemon(network, "a", settings(200), { program });
  await a.waitForLog("(V) Entering MASTER STATE", 10_000);
  await using b = new Daemon(network, "b", settings(100), { program });
  await b.waitForLog("(V) Entering BACKUP STATE", 10_000);
  await Bun.sleep(SETTLE_MS);
  b.skipLog();
  const before = b.lines.length;
  using _hogs = new BusyLoops(HOGS);
  progress(`advert_int ${FAST}, ${player}: beside busy loops`);
  await Bun.sleep(ms);
  const found = b.lines.slice(before).filter(({ text }) => text.includes("Entering MASTER STATE"));
  report.add(`undue take-overs in ${ms / 1000} s`, "take-overs", player, found.length);
}

/** Processes that want all the processor there is, each on its own as a service would be. */
class BusyLoops {
  readonly #children: Bun.Subprocess[];

  constructor(count: number) {
    this.#children = Array.from(
      { length: count },
      () => Bun.spawn(["setsid", "bash", "-c", "while :; do :; done"]),
    );
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }
}
