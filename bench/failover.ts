/**
 * How exactly a BACKUP takes over. Host a is MASTER, host b BACKUP (priority 100); a is crashed (every
 * process of it killed at once) or stopped (SIGTERM) at a random moment of the advert interval.
 * Measured on the wire by the kernel's stamps, and held against the moment that RFC 3768 §6.1 and
 * RFC 9568 §6.1 name: 3 × interval + skew after the last advert, skew after one of priority 0.
 */

import { parseArgs } from "node:util";
import { Capture } from "../test/support/capture.ts";
import { downUs, instance, type InstanceSettings, skewUs } from "../test/support/configs.ts";
import { Daemon } from "../test/support/daemon.ts";
import { Network } from "../test/support/namespaces.ts";
import { PLAYERS, type Program, PROGRAMS, progress, run, wallUs } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE = `Usage: bun bench/failover.ts [--runs N] [--only SETTING]... [--mixed] [--json]

Crash and graceful stop of a MASTER, both hosts upkeep and both hosts keepalived in turns.

  --runs N          turns per setting (default 8: about 3 minutes)
  --only SETTING    only this one of v2:1 v3:0.1 v3:0.02 v3:0.01, or another of that form
  --mixed           also upkeep as MASTER with keepalived as BACKUP, and the other way round
  --json            one JSON object instead of text
`;

const [A, B] = ["10.0.0.1", "10.0.0.2"];
const VIP = "10.0.0.100/32";
const TAKES_OVER_MS = 15_000;

interface Setting {
  readonly version: 2 | 3;
  /** Seconds. */
  readonly interval: number;
}

/** Who plays MASTER and BACKUP. */
interface Cast {
  readonly name: string;
  readonly master: Program;
  readonly backup: Program;
}

/** Host a is MASTER of a running pair. */
interface Scene {
  readonly setting: Setting;
  readonly cast: Cast;
  readonly capture: Capture;
  readonly master: Daemon;
  /** When the pair was started. */
  readonly sinceUs: number;
  readonly report: Report;
}

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "8" },
      only: { type: "string", multiple: true, default: ["v2:1", "v3:0.1", "v3:0.02", "v3:0.01"] },
      mixed: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const casts: Cast[] = PLAYERS.map((name) => ({ name, master: name, backup: name }));
  if (values.mixed) {
    casts.push({ name: "upkeep → keepalived", master: "upkeep", backup: "keepalived" });
    casts.push({ name: "keepalived → upkeep", master: "keepalived", backup: "upkeep" });
  }
  const report = await Report.begin("failover: MASTER gone → BACKUP speaks", values.json);
  using network = new Network(["a", "b"]);
  for (const setting of values.only.map(parseSetting)) {
    await measure(network, setting, casts, Number(values.runs), report);
  }
  await report.end();
});

function parseSetting(text: string): Setting {
  const found = /^v([23]):(\d*\.?\d+)$/.exec(text);
  if (found === null) throw new Error(`"${text}" should be like v3:0.01`);
  return { version: found[1] === "2" ? 2 : 3, interval: Number(found[2]) };
}

async function measure(
  network: Network,
  setting: Setting,
  casts: readonly Cast[],
  runs: number,
  report: Report,
): Promise<void> {
  const title = titleOf(setting);
  await using capture = await Capture.start(network);
  for (let turn = 1; turn <= runs; turn++) {
    for (const act of [crash, stop]) {
      for (const cast of casts) {
        progress(`${title}, turn ${turn} of ${runs}: ${cast.name}, ${act.name}`);
        await play(network, capture, setting, cast, report, act);
      }
    }
  }
  const [downMs, skewMs] = [downUs(settingsOf(setting)), skewUs(settingsOf(setting))]
    .map((us) => (us / 1000).toFixed(2));
  report.print(
    `${title}: the RFC's moments are ${downMs} ms after the last advert, ` +
      `${skewMs} ms after one of priority 0`,
  );
}

function titleOf({ version, interval }: Setting): string {
  return `v${version} every ${interval} s`;
}

/** The BACKUP's settings, which its timers follow from. */
function settingsOf(setting: Setting): InstanceSettings {
  return { ...setting, state: "BACKUP", priority: 100 };
}

/** Starts a pair, plays one act with it at a random moment and removes it. */
async function play(
  network: Network,
  capture: Capture,
  setting: Setting,
  cast: Cast,
  report: Report,
  act: (scene: Scene) => Promise<void>,
): Promise<void> {
  const sinceUs = wallUs();
  try {
    const owner = instance({ ...setting, state: "MASTER", priority: 255 });
    await using master = new Daemon(network, "a", owner, { program: PROGRAMS[cast.master] });
    await capture.waitForAdvert(({ source }) => source === A, 10_000, sinceUs);
    const second = instance(settingsOf(setting));
    await using backup = new Daemon(network, "b", second, { program: PROGRAMS[cast.backup] });
    await backup.waitForLog("Entering BACKUP STATE", 10_000);
    // It has to hear an advert, its timers follow from that; two, when that takes no time.
    const atLeastUs = wallUs() + Math.min(setting.interval, 0.2) * 1e6;
    await capture.waitForAdvert(({ source }) => source === A, 10_000, atLeastUs);
    await Bun.sleep(Math.random() * setting.interval * 1000);
    await act({ setting, cast, capture, master, sinceUs, report });
  } finally {
    for (const host of ["a", "b"]) {
      network.run(host, "sh", "-c", `ip address del ${VIP} dev eth0 2>/dev/null || true`);
    }
  }
}

/** Every process of the MASTER is killed at once. */
async function crash({ setting, cast, capture, master, sinceUs, report }: Scene): Promise<void> {
  const killedUs = wallUs();
  await master.crash();
  const first = await firstOfBackup(capture, killedUs);
  if (isPremature(capture, sinceUs, killedUs)) return tellPremature(report, setting, cast);
  const ofMaster = capture.adverts.filter(({ source, atUs }) => source === A && atUs >= sinceUs);
  if (ofMaster.some(({ priority }) => priority === 0)) {
    report.remark(
      `${titleOf(setting)}, ${cast.name}: a crash that managed to say goodbye, left out.`,
    );
    return;
  }
  const lateUs = first.atUs - ofMaster.at(-1)!.atUs - downUs(settingsOf(setting));
  const figure = `${titleOf(setting)}, crash: BACKUP's first advert after the RFC's moment`;
  report.add(figure, "ms", cast.name, lateUs / 1000);
}

/** The MASTER gets SIGTERM. */
async function stop({ setting, cast, capture, master, sinceUs, report }: Scene): Promise<void> {
  const askedUs = wallUs();
  master.signal("SIGTERM");
  // To the millisecond: a finer look would take a CPU from those who are measured.
  while (master.status === null && wallUs() - askedUs < 10e6) await Bun.sleep(1);
  const goneUs = wallUs();
  const isGoodbye = (advert: { source: string; priority: number }): boolean =>
    advert.source === A && advert.priority === 0;
  const goodbye = await capture.waitForAdvert(isGoodbye, 5000, askedUs);
  const first = await firstOfBackup(capture, goodbye.atUs);
  if (isPremature(capture, sinceUs, goodbye.atUs)) return tellPremature(report, setting, cast);
  const add = (figure: string, us: number): void =>
    report.add(`${titleOf(setting)}, stop: ${figure}`, "ms", cast.name, us / 1000);
  add("SIGTERM → advert of priority 0", goodbye.atUs - askedUs);
  const lateUs = first.atUs - goodbye.atUs - skewUs(settingsOf(setting));
  add("BACKUP's first advert after the RFC's moment", lateUs);
  add("SIGTERM → main process gone", goneUs - askedUs);
}

function firstOfBackup(capture: Capture, sinceUs: number): Promise<{ readonly atUs: number }> {
  return capture.waitForAdvert(({ source }) => source === B, TAKES_OVER_MS, sinceUs);
}

/** Whether the BACKUP spoke while the MASTER was there. */
function isPremature(capture: Capture, sinceUs: number, untilUs: number): boolean {
  return capture.adverts.some(({ source, atUs }) =>
    source === B && atUs >= sinceUs && atUs < untilUs
  );
}

function tellPremature(report: Report, setting: Setting, { name }: Cast): void {
  report.remark(`${titleOf(setting)}, ${name}: a BACKUP took over from a live MASTER, left out.`);
}
