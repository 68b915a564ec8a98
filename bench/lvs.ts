/**
 * What virtual servers cost before the kernel comes into it: CPU time to read a file and to find out what is
 * different, the first time and after one server has changed, each run in a process of its own; and what is
 * asked of the kernel for it, counted with one that only keeps a table. No guest is needed.
 */

import { parseArgs } from "node:util";
import { memoryFiles } from "../src/config/files.ts";
import { load } from "../src/config/load.ts";
import { Balancer } from "../src/lvs/balancer.ts";
import { type Balancing, diffLvs } from "../src/lvs/changes.ts";
import { Mirror } from "../src/lvs/mirror_perform.ts";
import { Ipvs } from "../src/lvs/perform.ts";
import { fleet } from "../test/support/balancing.ts";
import { FakeIpvs } from "../test/support/fake_ipvs.ts";
import { progress, run } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE = `Usage: bun bench/lvs.ts [--runs N] [--only VIRTUAL:REAL,...] [--json]

CPU time to read fleets of so many virtual servers with so many real servers each (with TCP checks) and to
find out what is different, N times (default 7); and the messages and calls that it takes.
`;
const SIZES = "1000:4,3000:4,5000:4";
const TCP_CHECK = "    TCP_CHECK {\n      connect_timeout 3\n    }\n";
/** In the environment of a process that is one run: the size it is about. */
const SIZE_VARIABLE = "UPKEEP_BENCH_SIZE";
/** The runtime as packaging/entry.ts sets it for the parent. */
const PARENT = {
  BUN_JSC_useDFGJIT: "0",
  BUN_JSC_useConcurrentGC: "0",
  BUN_JSC_useWarmUpMarkedBlocks: "0",
};

/** Of one run, in milliseconds. */
interface Costs {
  readonly readMs: number;
  readonly diffMs: number;
  readonly againMs: number;
}

run(async () => {
  const size = process.env[SIZE_VARIABLE];
  if (size !== undefined) return void process.stdout.write(JSON.stringify(costsOf(size)));
  const { values } = parseArgs({
    options: {
      runs: { type: "string", default: "7" },
      only: { type: "string", default: SIZES },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  const report = await Report.begin("lvs: reading and comparing", values.json);
  for (const one of values.only.split(",")) {
    for (let turn = 1; turn <= Number(values.runs); turn++) {
      progress(`${one}: turn ${turn} of ${values.runs}`);
      const { readMs, diffMs, againMs } = inProcessOfItsOwn(one);
      report.add(`${one}: CPU to read and compare, at the start`, "ms", "upkeep", readMs + diffMs);
      report.add(`${one}: CPU to compare with one changed server`, "ms", "upkeep", againMs);
    }
    count(report, one);
    report.print(one);
  }
  await report.end();
});

function inProcessOfItsOwn(size: string): Costs {
  const { stdout, success } = Bun.spawnSync([process.execPath, import.meta.path], {
    env: { ...process.env, ...PARENT, [SIZE_VARIABLE]: size },
    stderr: "inherit",
  });
  if (!success) throw new Error(`a run with ${size} failed`);
  return JSON.parse(stdout.toString()) as Costs;
}

function costsOf(size: string): Costs {
  const { text, changed } = textsOf(size);
  let first!: Balancing;
  const readMs = cpuMs(() => first = read(text));
  const diffMs = cpuMs(() => diffLvs(undefined, first));
  const next = read(changed);
  const againMs = cpuMs(() => diffLvs(first, next));
  return { readMs, diffMs, againMs };
}

function textsOf(size: string): { readonly text: string; readonly changed: string } {
  const [virtual = 0, real = 0] = size.split(":").map(Number);
  return {
    text: fleet(virtual, real, TCP_CHECK),
    changed: fleet(virtual, real, TCP_CHECK, virtual >> 1),
  };
}

function read(text: string): Balancing {
  return load("/k.conf", memoryFiles({ "/k.conf": text }, { links: ["eth0"] }), "run").config;
}

function cpuMs(act: () => void): number {
  const before = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Messages to the kernel, and the calls they leave with. */
function count(report: Report, size: string): void {
  const { text, changed } = textsOf(size);
  const kernel = new FakeIpvs();
  const balancer = new Balancer({
    loop: { schedule: () => {} },
    mirror: new Mirror(new Ipvs(kernel), () => {}),
    say: () => {},
  });
  let before: Balancing | undefined;
  for (const [when, config] of [["start", text], ["one changed server", changed]] as const) {
    const next = read(config);
    balancer.configure(diffLvs(before, next));
    balancer.flush();
    before = next;
    report.add(`${size}: messages, ${when}`, "messages", "upkeep", kernel.asked.length);
    report.add(`${size}: calls, ${when}`, "calls", "upkeep", kernel.sends);
    kernel.asked.length = kernel.sends = 0;
  }
}
