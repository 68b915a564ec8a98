/**
 * Whether a MASTER's memory grows: one instance each at an advert every 20 ms, over minutes.
 */

import { parseArgs } from "node:util";
import { instance } from "../test/support/configs.ts";
import { Daemon } from "../test/support/daemon.ts";
import { Network } from "../test/support/namespaces.ts";
import { packetsSent } from "./many.ts";
import { memoryOf, PLAYERS, PROGRAMS, run, wallUs } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE = `Usage: bun bench/steady.ts [--minutes M] [--json]

Memory of both as MASTER at advert_int 0.02, every minute.

  --minutes M       how long (default 10)
  --json            one JSON object instead of text
`;

const SETTLE_MS = 10_000;

run(async () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "10" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const title = "steady: RSS (sum of processes) as MASTER at advert_int 0.02";
  const report = await Report.begin(title, values.json);
  await measureGrowth(Number(values.minutes), values.json, report);
  await report.end();
});

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
