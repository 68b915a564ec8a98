/**
 * How long a configuration test takes, from before the fork to after the wait, and what memory it
 * takes: instances and services in growing numbers, upkeep and keepalived in turns on the same file.
 *
 * A shell in the namespace takes both moments, so that nothing of the bench is in the figure. Memory is
 * the kernel's own account: the peak of resident memory when the process has ended, and the largest
 * proportional share seen while it ran.
 */

import { mkdtempSync, readlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Network } from "../test/support/namespaces.ts";
import { memoryOf, PLAYERS, type Program, PROGRAMS, progress, run } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE = `Usage: bun bench/config.ts [--runs N] [--only SIZE,SIZE...] [--json]

Wall time of a configuration test, N times each (default 15), and its memory at the
largest number of services. A SIZE is v:INSTANCES or l:SERVICES:SERVERS:none|tcp.
`;

const SIZES = ["v:1", "v:1000", "l:100:4:tcp", "l:1000:4:tcp", "l:5000:4:tcp"];
const LINKS = 4;
/** What runs the bench. */
const OWN = readlinkSync("/proc/self/exe");
/** Prints the moments before and after, and the status. */
const TIMED = 'o=$1; shift; t0=$EPOCHREALTIME; "$@" >"$o" 2>&1; rc=$?; ' +
  'printf "%s %s %s" "$t0" "$EPOCHREALTIME" "$rc"';

run(async () => {
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "15" },
      only: { type: "string", default: SIZES.join(",") },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  await measure(Number(values.runs), values.only.split(","), values.json);
});

async function measure(runs: number, sizes: readonly string[], json: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  const report = await Report.begin("config: wall time of a configuration test (-t)", json);
  using network = new Network(["a"]);
  for (let i = 1; i < LINKS; i++) {
    network.run("a", "ip", "link", "add", `eth${i}`, "type", "veth", "peer", `far${i}`);
  }
  for (const size of sizes) {
    const file = join(folder, "bench.conf");
    const text = textOf(size);
    writeFileSync(file, text);
    const statuses = new Map<Program, Set<number>>();
    // The first turn of each only brings files into memory.
    for (let turn = 0; turn <= runs; turn++) {
      for (const player of PLAYERS) {
        progress(`${size}: turn ${turn} of ${runs}: ${player}`);
        const { tookUs, status } = await testOnce(network, player, file, folder);
        statuses.getOrInsertComputed(player, () => new Set()).add(status);
        if (turn > 0) {
          report.add(
            `${size}, ${(text.length / 1024).toFixed(0)} KiB`,
            "ms",
            player,
            tookUs / 1000,
          );
        }
      }
    }
    for (const [player, all] of statuses) {
      if (all.size !== 1 || !all.has(0)) {
        report.remark(`${player} ended with status ${[...all].join(" and ")} at ${size}.`);
      }
    }
    report.print();
    if (size === sizes.findLast((one) => one.startsWith("l:"))) {
      for (const player of PLAYERS) await measureMemory(report, player, size, file);
      report.print();
    }
  }
  await report.end();
}

async function testOnce(
  network: Network,
  player: Program,
  file: string,
  folder: string,
): Promise<{ tookUs: number; status: number }> {
  const words = [PROGRAMS[player], "-t", "-f", file];
  const child = Bun.spawn(
    [...network.enter("a"), "bash", "-c", TIMED, "-", join(folder, "out"), ...words],
    { stdout: "pipe" },
  );
  const [from, to, status] = (await new Response(child.stdout).text()).split(" ").map(Number);
  if (from === undefined || to === undefined || status === undefined) {
    throw new Error(`${player}: the shell gave no moments`);
  }
  return { tookUs: (to - from) * 1e6, status };
}

/** Looks at the process as often as can be while it runs. */
async function measureMemory(
  report: Report,
  player: Program,
  size: string,
  file: string,
): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    const child = Bun.spawn([PROGRAMS[player], "-t", "-f", file], { stderr: "ignore" });
    let pss = 0;
    while (child.exitCode === null) {
      // Until it has become the program it is a copy of the bench.
      if (executableOf(child.pid) === OWN) continue;
      const now = memoryOf(child.pid).reduce((sum, one) => sum + (one.pss || 0), 0);
      pss = Math.max(pss, now);
      await Bun.sleep(1);
    }
    report.add(`${size}: largest PSS seen`, "MiB", player, pss / 1024);
    const peak = child.resourceUsage()?.maxRSS ?? 0;
    report.add(`${size}: peak of resident memory`, "MiB", player, peak / 1024 / 1024);
  }
}

function executableOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return "";
  }
}

/** The configuration of a size. */
function textOf(size: string): string {
  const [kind, count = "", servers = "", check = ""] = size.split(":");
  if (kind === "v") return instances(Number(count));
  if (kind === "l") return services(Number(count), Number(servers), check === "tcp");
  throw new Error(`${size} is neither v:INSTANCES nor l:SERVICES:SERVERS:CHECK`);
}

function instances(count: number): string {
  const lines = ["global_defs {", "  router_id lab", "  vrrp_version 3", "}"];
  for (let i = 0; i < count; i++) {
    const [link, vrid] = [i % LINKS, Math.floor(i / LINKS) + 1];
    lines.push(
      `vrrp_instance VI_${i + 1} {`,
      "  state MASTER",
      `  interface eth${link}`,
      `  virtual_router_id ${vrid}`,
      "  priority 100",
      "  advert_int 1",
      "  virtual_ipaddress {",
      `    10.${200 + link}.0.${vrid}/32`,
      "  }",
      "}",
    );
  }
  return `${lines.join("\n")}\n`;
}

function services(count: number, servers: number, isTcp: boolean): string {
  const check = isTcp ? ["    TCP_CHECK {", "      connect_timeout 3", "    }"] : [];
  const lines = ["global_defs {", "  router_id lab", "}"];
  for (let i = 0; i < count; i++) {
    const tail = `${i >> 8}.${i & 255}`;
    lines.push(
      `virtual_server 10.64.${tail} 80 {`,
      "  delay_loop 60",
      "  lb_algo rr",
      "  lb_kind NAT",
      "  protocol TCP",
    );
    for (let server = 1; server <= servers; server++) {
      lines.push(`  real_server 127.${server}.${tail} 8080 {`, "    weight 1", ...check, "  }");
    }
    lines.push("}");
  }
  return `${lines.join("\n")}\n`;
}
