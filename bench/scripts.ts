/**
 * What 200 tracked scripts cost whoever runs them (keepalived: its vrrp process; upkeep: its parent), and
 * what they do to the adverts. The scripts are /bin/true, once a second each; their own time is not counted.
 */

import { parseArgs } from "node:util";
import { Capture } from "../test/support/capture.ts";
import { instance } from "../test/support/configs.ts";
import { childrenOf, Daemon } from "../test/support/daemon.ts";
import { Network } from "../test/support/namespaces.ts";
import {
  cpuUsedUs,
  ownCpuTimes,
  PLAYERS,
  type Program,
  PROGRAMS,
  progress,
  run,
} from "./observe.ts";
import { percentile, Report } from "./report.ts";

const USAGE = `Usage: bun bench/scripts.ts [--runs N] [--seconds S] [--scripts K] [--json]

CPU time of running K vrrp_scripts every second, and how even the adverts are meanwhile.

  --runs N          turns (default 3: about two minutes)
  --seconds S       length of each measurement (default 15)
  --scripts K       how many (default 200)
  --json            one JSON object instead of text
`;

const INTERVAL_US = 100_000;
const SETTLE_MS = 3000;

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "3" },
      seconds: { type: "string", default: "15" },
      scripts: { type: "string", default: "200" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const report = await Report.begin(`scripts: ${values.scripts} a second`, values.json);
  for (let turn = 0; turn < Number(values.runs); turn++) {
    for (const player of PLAYERS) {
      for (const count of [0, Number(values.scripts)]) {
        progress(`${turn + 1} of ${values.runs}: ${player}, ${count} scripts`);
        await measure(player, count, Number(values.seconds), report);
      }
    }
  }
  report.print();
  await report.end();
});

async function measure(
  player: Program,
  count: number,
  seconds: number,
  report: Report,
): Promise<void> {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", configuration(count), {
    program: PROGRAMS[player],
  });
  await daemon.waitForLog("Entering MASTER STATE", 10_000);
  await Bun.sleep(SETTLE_MS);
  await using capture = await Capture.start(network);
  // keepalived forks from its vrrp process, upkeep spawns from its parent.
  const runner = player === "upkeep" ? daemon.pid : childrenOf(daemon.pid)[0]!;
  const before = ownCpuTimes(runner);
  const startedAt = performance.now();
  await Bun.sleep(seconds * 1000);
  const used = cpuUsedUs(ownCpuTimes(runner), before);
  const perSecond = used / (performance.now() - startedAt);
  const label = `${count} scripts`;
  report.add(`${label}: CPU of whoever runs them`, "ms/s", player, perSecond);
  const stamps = capture.adverts.map(({ atUs }) => atUs);
  const late = stamps.slice(1).map((at, i) => Math.abs(at - stamps[i]! - INTERVAL_US) / 1000);
  for (const [name, part] of [["p50", 0.5], ["p99", 0.99], ["max", 1]] as const) {
    report.add(
      `${label}: advert interval, deviation, ${name}`,
      "ms",
      player,
      percentile(late, part),
    );
  }
}

/** A MASTER every 100 ms that tracks so many scripts, none of which changes anything. */
function configuration(count: number): string {
  const names = Array.from({ length: count }, (_, i) => `s${i}`);
  const scripts = names.map((name) =>
    `vrrp_script ${name} {\nscript "/bin/true"\ninterval 1\nweight -1\nuser root\n}\n`
  );
  const more = count === 0 ? "" : `track_script {\n${names.join("\n")}\n}`;
  return scripts.join("") + instance({ priority: 200, interval: INTERVAL_US / 1e6, more });
}
