/**
 * How long after the death of a tracked process its MASTER says farewell (weight 0: FAULT, an advert of
 * priority 0), by the kernel's stamp of that advert. Both programs run in the first network namespace, on a
 * link of their own: keepalived hears of processes nowhere else.
 */

import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { instance } from "../test/support/configs.ts";
import { Daemon } from "../test/support/daemon.ts";
import { poll } from "../test/support/waiting.ts";
import { PLAYERS, type Program, PROGRAMS, progress, run, wallUs } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE = `Usage: bun bench/track_process.ts [--runs N] [--json]

A tracked process is killed under a MASTER; time until its advert of priority 0 is on the link.

  --runs N          turns (default 20: about a minute)
  --json            one JSON object instead of text
`;

const LINK = `upk${process.pid}`.slice(0, 13);
/** No host of its own. */
const HERE = { enter: (): string[] => [] };

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "20" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const report = await Report.begin("track_process: death → farewell", values.json);
  using _link = makeLink();
  using folder = makeFolder();
  for (const player of PLAYERS) await measure(player, Number(values.runs), folder.path, report);
  report.print();
  await report.end();
});

async function measure(
  player: Program,
  runs: number,
  folder: string,
  report: Report,
): Promise<void> {
  const program = join(folder, `w${process.pid}`);
  copyFileSync("/bin/sleep", program);
  const config = `vrrp_track_process web {\nprocess w${process.pid}\n}\n` +
    instance({
      interface: LINK,
      priority: 200,
      interval: 0.2,
      addresses: ["10.214.0.100/32"],
      more: "track_process {\nweb\n}",
    });
  let worker = Bun.spawn([program, "1000"]);
  await using daemon = new Daemon(HERE, "", config, { program: PROGRAMS[player] });
  await daemon.waitForLog("Entering MASTER STATE", 10_000);
  await using tap = new Farewells();
  await tap.ready;
  // Past the moment in which the start is wound up.
  await Bun.sleep(2000);
  for (let turn = 0; turn < runs; turn++) {
    progress(`${player}: ${turn + 1} of ${runs}`);
    await Bun.sleep(300 + Math.random() * 400);
    const seen = tap.stampsUs.length;
    const killedUs = wallUs();
    worker.kill("SIGKILL");
    await daemon.waitForLog("Entering FAULT STATE");
    await poll(() => tap.stampsUs.length > seen, 5000, "no farewell");
    report.add(
      "death → advert of priority 0",
      "ms",
      player,
      (tap.stampsUs[seen]! - killedUs) / 1e3,
    );
    worker = Bun.spawn([program, "1000"]);
    await daemon.waitForLog("Entering MASTER STATE", 10_000);
  }
  worker.kill("SIGKILL");
}

/** The adverts of priority 0 on the link, as tcpdump tells of them. */
class Farewells {
  /** Wall clock. */
  readonly stampsUs: number[] = [];
  /** Resolves when it listens. */
  readonly ready: Promise<void>;
  readonly #child = Bun.spawn(
    [..."tcpdump -tt -n -l --immediate-mode -i".split(" "), LINK, "ip proto 112 and ip[22] = 0"],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ready = promise;
    void this.#listen(resolve).then(() => reject(new Error("no tcpdump")));
    void this.#read();
  }

  /** Reads what tcpdump says to its end: a closed pipe would end it. */
  async #listen(ready: () => void): Promise<void> {
    for await (const bytes of this.#child.stderr) {
      if (new TextDecoder().decode(bytes).includes("listening on")) ready();
    }
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const bytes of this.#child.stdout) {
      const lines = (rest + new TextDecoder().decode(bytes)).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const stamp = /^(\d+)\.(\d{6}) /.exec(line);
        if (stamp !== null) this.stampsUs.push(Number(stamp[1]) * 1e6 + Number(stamp[2]));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}

function makeLink(): Disposable {
  ip("link", "add", LINK, "type", "veth", "peer", "name", `${LINK}p`);
  ip("address", "add", "10.214.0.1/24", "dev", LINK);
  for (const link of [LINK, `${LINK}p`]) ip("link", "set", link, "up");
  return { [Symbol.dispose]: () => ip("link", "delete", LINK) };
}

function ip(...words: string[]): void {
  const done = Bun.spawnSync(["ip", ...words]);
  if (!done.success) throw new Error(`ip ${words.join(" ")}: ${done.stderr.toString().trim()}`);
}

function makeFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
