/**
 * How long the take-over of 200 addresses by one instance takes: from the new MASTER's first advert to the
 * last gratuitous ARP of its first burst, five for each address, on the wire by the kernel's stamps.
 */

import { parseArgs } from "node:util";
import { Capture, type SeenAnnouncement } from "../test/support/capture.ts";
import { instance } from "../test/support/configs.ts";
import { Daemon } from "../test/support/daemon.ts";
import { Network } from "../test/support/namespaces.ts";
import { PLAYERS, type Program, PROGRAMS, progress, run, wallUs } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE = `Usage: bun bench/takeover_200.ts [--runs N] [--json]

The take-over of 200 addresses, upkeep and keepalived in turns.

  --runs N          turns (default 10: about 3 minutes)
  --json            one JSON object instead of text
`;

const ADDRESSES = 200;
/** As many as adverts carry; the others are excluded from them, as is usual. */
const ADVERTISED = 20;
const REPEATS = 5;
const INTERVAL = 0.1;
const B = "10.0.0.2";
/** What a BACKUP does to be ready is done by then. */
const SETTLE_MS = 4_000;
const PATIENCE_MS = 20_000;

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "10" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const report = await Report.begin(`takeover_200: ${ADDRESSES} addresses at once`, values.json);
  for (let turn = 1; turn <= Number(values.runs); turn++) {
    for (const player of PLAYERS) {
      progress(`turn ${turn}: ${player}`);
      await takeOver(player, report);
    }
  }
  report.print();
  await report.end();
});

async function takeOver(player: Program, report: Report): Promise<void> {
  using network = new Network(["a", "b"]);
  const program = PROGRAMS[player];
  await using a = new Daemon(network, "a", configuration(255), { program });
  await a.waitForLog("(V) Entering MASTER STATE", PATIENCE_MS);
  await using b = new Daemon(network, "b", configuration(100), { program });
  await b.waitForLog("(V) Entering BACKUP STATE", PATIENCE_MS);
  await Bun.sleep(SETTLE_MS);
  await using capture = await Capture.start(network);
  await capture.waitForAdvert(() => true);
  const sinceUs = wallUs();
  await a.crash();
  const first = await capture.waitForAdvert(({ source }) => source === B, PATIENCE_MS, sinceUs);
  const burst = await capture.waitForAnnouncements(
    REPEATS * ADDRESSES,
    () => true,
    PATIENCE_MS,
    sinceUs,
  );
  const afterMs = (atUs: number): number => (atUs - first.atUs) / 1000;
  report.add("every address announced once", "ms", player, afterMs(allOnce(burst)));
  const lastUs = burst[REPEATS * ADDRESSES - 1]!.atUs;
  report.add("last GARP of the first burst", "ms", player, afterMs(lastUs));
  await capture.waitForAdvert(({ source, atUs }) => source === B && atUs > lastUs);
  const gaps = gapsMs(capture.adverts.filter(({ source }) => source === B).map(({ atUs }) => atUs));
  report.add("longest time between adverts meanwhile", "ms", player, Math.max(...gaps));
}

/** When the last of all addresses was announced for the first time. */
function allOnce(burst: readonly SeenAnnouncement[]): number {
  const seen = new Set<string>();
  for (const { address, atUs } of burst) {
    seen.add(address);
    if (seen.size === ADDRESSES) return atUs;
  }
  throw new Error(`${seen.size} of ${ADDRESSES} addresses were announced`);
}

function gapsMs(atUs: readonly number[]): number[] {
  return atUs.slice(1).map((at, i) => (at - atUs[i]!) / 1000);
}

function configuration(priority: number): string {
  const addresses = Array.from({ length: ADDRESSES }, (_, i) => `10.0.1.${i + 1}/32`);
  const excluded = addresses.slice(ADVERTISED).join("\n        ");
  return instance({
    priority,
    state: priority === 255 ? "MASTER" : "BACKUP",
    interval: INTERVAL,
    addresses: addresses.slice(0, ADVERTISED),
    more: `virtual_ipaddress_excluded {\n        ${excluded}\n    }`,
  });
}
