/**
 * Virtual servers beside keepalived, in a guest whose kernel has IPVS: how long until the table is complete,
 * until a reload that changes nothing is over, until one changed server is in the table, until all is
 * gone after a stop; and the memory. Fleets in growing numbers, both in turns.
 *
 * The table is looked at through its last service, which is cheap enough not to be in the figures.
 */

import { NETLINK_GENERIC } from "../ffi/constants.ts";
import { SysError } from "../ffi/libc.ts";
import { Netlink } from "../ffi/netlink.ts";
import { parseArgs } from "node:util";
import { parseAddress } from "../src/lib/address.ts";
import { decodeFamily, encodeGetFamily } from "../src/netlink/generic.ts";
import { IPVS_GENL_NAME, type ServiceKey } from "../src/netlink/ipvs.ts";
import { decodeDestination, encodeDumpDestinations } from "../src/netlink/ipvs_destination.ts";
import { fleet } from "../test/support/balancing.ts";
import type { Daemon } from "../test/support/daemon.ts";
import { reset, run as execute, startHere } from "../test/support/ipvs_guest.ts";
import { guestObstacle, IN_GUEST, runInGuest } from "../test/support/uml.ts";
import { memoryOf, PLAYERS, type Program, PROGRAMS, progress, run } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE =
  `Usage: bun bench/ipvs.ts [--runs N] [--only VIRTUAL:REAL[:tcp],...] [--reloads N] [--json]

Fleets of so many virtual servers with so many real servers each, without checks or with TCP checks, N times
(default 3). With --reloads the memory of upkeep is looked at again after so many reloads with a changed server.
`;
const SIZES = "100:4,1000:4,3000:4";
const LIMIT_MS = 60_000;
const GUEST_SECONDS = 1800;
const TCP_CHECK = "    TCP_CHECK {\n      connect_timeout 3\n    }\n";
/** What a start still has to do when its table is complete. */
const SETTLE_MS = 2_000;

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "3" },
      only: { type: "string", default: SIZES },
      reloads: { type: "string", default: "0" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (IN_GUEST) {
    const counts = { runs: Number(values.runs), reloads: Number(values.reloads) };
    return await measure(counts, values.only.split(","), values.json);
  }
  const obstacle = guestObstacle();
  if (obstacle !== undefined) throw new Error(obstacle);
  const { status, output } = await runInGuest({
    command: [process.execPath, ...process.argv.slice(1)],
    seconds: GUEST_SECONDS,
    onOutput: (text) => void process.stdout.write(text),
  });
  if (status !== 0) throw new Error(`the guest ended with ${status}: ${output.slice(-500)}`);
});

/** How often things are done. */
interface Counts {
  readonly runs: number;
  /** After the others, of upkeep alone. */
  readonly reloads: number;
}

async function measure(
  { runs, reloads }: Counts,
  sizes: readonly string[],
  json: boolean,
): Promise<void> {
  const report = await Report.begin("ipvs: virtual servers in a guest", json);
  const table = new LastService();
  using _server = Bun.listen({
    hostname: "0.0.0.0",
    port: 8080,
    socket: { data: () => {}, open: (socket) => void socket.end() },
  });
  execute("ip", "route", "add", "local", "10.128.0.0/9", "dev", "lo");
  for (const size of sizes) {
    for (let turn = 1; turn <= runs; turn++) {
      for (const player of PLAYERS) {
        progress(`${size}: turn ${turn} of ${runs}: ${player}`);
        await measureOnce(report, table, size, player, player === "upkeep" ? reloads : 0);
      }
    }
    report.print(size);
  }
  await report.end();
}

async function measureOnce(
  report: Report,
  table: LastService,
  size: string,
  player: Program,
  reloads: number,
): Promise<void> {
  const [virtual = 0, real = 0] = size.split(":").map(Number);
  const check = size.endsWith(":tcp") ? TCP_CHECK : "";
  const middle = virtual >> 1;
  const same = fleet(virtual, real, check);
  const changed = fleet(virtual, real, check, middle);
  const add = (figure: string, fromMs: number): void => {
    report.add(`${size}: ${figure}`, "ms", player, performance.now() - fromMs);
  };
  reset();
  const startedAt = performance.now();
  await using daemon = startHere(same, {
    program: PROGRAMS[player],
    words: ["-c", "/run/bench-checkers.pid"],
  });
  await table.until(virtual - 1, (ports) => ports.length === real);
  add("table complete", startedAt);
  await daemon.waitForLog("Startup complete", LIMIT_MS);
  const listed = execute("ipvsadm", "-Ln").match(/-> [\d.]+:\d/g)?.length;
  if (listed !== virtual * real) report.remark(`${player} made ${listed} servers at ${size}.`);
  await Bun.sleep(SETTLE_MS);
  addMemory(report, `${size}: memory (PSS)`, player, daemon);

  daemon.skipLog();
  const reloadedAt = performance.now();
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete", LIMIT_MS);
  add("reload without a change", reloadedAt);
  await Bun.sleep(SETTLE_MS);

  daemon.rewrite(changed);
  const changedAt = performance.now();
  daemon.signal("SIGHUP");
  await table.until(middle, (ports) => ports.includes(8081));
  add("one changed server in the table", changedAt);
  await daemon.waitForLog("Reload complete", LIMIT_MS);
  await Bun.sleep(SETTLE_MS);
  addMemory(report, `${size}: memory after two reloads (PSS)`, player, daemon);

  for (let i = 1; i <= reloads; i++) {
    progress(`${size}: ${player}: reload ${i} of ${reloads}`);
    daemon.rewrite(i % 2 === 1 ? same : changed);
    daemon.skipLog();
    daemon.signal("SIGHUP");
    await daemon.waitForLog("Reload complete", LIMIT_MS);
  }
  if (reloads > 0) {
    await Bun.sleep(SETTLE_MS);
    addMemory(report, `${size}: memory after ${reloads} reloads (PSS)`, player, daemon);
  }

  const stoppedAt = performance.now();
  await daemon.stop(LIMIT_MS);
  add("stop", stoppedAt);
}

function addMemory(report: Report, figure: string, player: Program, daemon: Daemon): void {
  const pss = memoryOf(daemon.pid).reduce((sum, one) => sum + (one.pss || 0), 0);
  report.add(figure, "MiB", player, pss / 1024);
}

/** The ports of one service's servers, asked of the kernel. */
class LastService {
  readonly #netlink = new Netlink(NETLINK_GENERIC);
  readonly #family: number;

  constructor() {
    let family = 0;
    this.#netlink.dump(encodeGetFamily(IPVS_GENL_NAME), "looking for IPVS", ({ payload }) => {
      family = decodeFamily(payload)?.id ?? 0;
    });
    this.#family = family;
  }

  /** Waits until the servers of the service with this number are as they should be. */
  async until(number: number, isSo: (ports: readonly number[]) => boolean): Promise<void> {
    const address = parseAddress(`10.1.${number >> 8}.${number & 255}`)!;
    const key: ServiceKey = { family: 4, protocol: 6, address, port: 80 };
    const limit = performance.now() + LIMIT_MS;
    while (!isSo(this.#ports(key))) {
      if (performance.now() > limit) throw new Error(`service ${number} is not as it should be`);
      await Bun.sleep(2);
    }
  }

  #ports(key: ServiceKey): number[] {
    const ports: number[] = [];
    try {
      const request = encodeDumpDestinations(this.#family, key);
      this.#netlink.dump(request, "listing servers", ({ payload }) => {
        const found = decodeDestination(payload);
        if (found !== undefined) ports.push(found.port);
      });
    } catch (error) {
      // It is not there yet.
      if (!(error instanceof SysError)) throw error;
    }
    return ports;
  }
}
