/**
 * How long a router takes from exec to its first advert, and what that costs: VRRPv2, priority 255,
 * state MASTER, an advert per second, alone on the wire. Three take turns: a skeleton of two
 * processes that only sends (the floor below which no program of our kind can get), upkeep, keepalived.
 *
 * The moment of exec is taken by a shell that becomes the program: it lays the wall clock into the
 * program's environment as its last act, where it is read later. What we need to start that shell is
 * in nobody's figure.
 */

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { parseAddress } from "../src/lib/address.ts";
import { encodeAdvert } from "../src/wire/vrrp.ts";
import { Capture } from "../test/support/capture.ts";
import { instance } from "../test/support/configs.ts";
import { Daemon } from "../test/support/daemon.ts";
import { Network } from "../test/support/namespaces.ts";
import { cpuTimes, cpuUsedUs, PROGRAMS, progress, run, wallUs } from "./observe.ts";
import { Report, summarize } from "./report.ts";

const USAGE = `Usage: bun bench/startup.ts [--runs N] [--json]

Time from exec to the first advert, and CPU time till 0.3 s after it: a two-process
skeleton (floor), upkeep and keepalived in turns, N times each (default 20).
`;

const AFTER_MS = 300;
const VIP = "10.0.0.100/32";
const STAMP = "UPKEEP_BENCH_EXEC";
/** Nothing is read or written between the stamp and exec; output goes to a file, nobody wakes for it. */
const BECOME = `${STAMP}=$EPOCHREALTIME exec "$@" >"$0" 2>&1`;

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
  await measure(Number(values.runs), values.json);
});

async function measure(runs: number, json: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  const programs = { floor: buildSkeleton(folder), ...PROGRAMS };
  const title = "startup: exec → first advert (v2, priority 255, state MASTER, advert_int 1)";
  const report = await Report.begin(title, json, [["upkeep", "floor"]]);
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  // The first turn of each only brings files into memory.
  for (let turn = 0; turn <= runs; turn++) {
    for (const [player, program] of Object.entries(programs)) {
      progress(`turn ${turn} of ${runs}: ${player}`);
      const { tookUs, usedUs } = await startOnce(network, capture, program, folder);
      if (turn === 0) continue;
      report.add("exec → first advert", "ms", player, tookUs / 1000);
      report.add(`CPU till ${AFTER_MS} ms after it`, "ms", player, usedUs / 1000);
    }
  }
  report.print();
  const shellMs = summarize(await Promise.all([1, 2, 3].map(() => shellUs(network)))).median / 1000;
  report.remark(
    `The CPU of each includes ${shellMs.toFixed(1)} ms of the shell that takes the moment of exec.`,
  );
  await report.end();
}

interface Start {
  readonly tookUs: number;
  readonly usedUs: number;
}

async function startOnce(
  network: Network,
  capture: Capture,
  program: string,
  folder: string,
): Promise<Start> {
  const config = instance({ version: 2, interval: 1, priority: 255, state: "MASTER" });
  const sinceUs = wallUs();
  try {
    await using daemon = new Daemon(network, "a", config, {
      program,
      before: ["bash", "-c", BECOME, join(folder, "log")],
    });
    const { atUs } = await capture.waitForAdvert(
      ({ priority }) => priority === 255,
      10_000,
      sinceUs,
    );
    await Bun.sleep(AFTER_MS - (wallUs() - atUs) / 1000);
    return { tookUs: atUs - execUs(daemon.pid), usedUs: cpuUsedUs(cpuTimes(daemon.pid)) };
  } finally {
    // A killed router leaves its address; the next one would spend time on removing it.
    network.run("a", "sh", "-c", `ip address del ${VIP} dev eth0 2>/dev/null || true`);
  }
}

/** The moment of exec, as the shell has left it. */
function execUs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/environ`, "utf8");
  const stamp = text.split("\0").find((line) => line.startsWith(`${STAMP}=`));
  if (stamp === undefined) throw new Error("the moment of exec is missing");
  return Math.round(Number(stamp.slice(STAMP.length + 1)) * 1e6);
}

/** What nsenter and the shell use themselves: the same words, with sleep as the program. */
async function shellUs(network: Network): Promise<number> {
  const words = ["bash", "-c", BECOME, "/dev/null", "sleep", "1"];
  const child = Bun.spawn([...network.enter("a"), ...words]);
  await Bun.sleep(200);
  const usedUs = cpuUsedUs(cpuTimes(child.pid));
  child.kill("SIGKILL");
  await child.exited;
  return usedUs;
}

/**
 * The least that a daemon of two processes on this runtime can be: the parent starts itself again, the
 * child opens libc and sends one advert. Built as dist/upkeep is.
 */
function skeleton(): string {
  const source = parseAddress("10.0.0.1")!;
  const group = parseAddress("224.0.0.18")!;
  const advert = encodeAdvert({
    version: 2,
    vrid: 7,
    priority: 255,
    authType: 0,
    authData: new Uint8Array(8),
    advertisementIntervalUs: 1_000_000,
    addresses: [parseAddress("10.0.0.100")!],
  }, { source, destination: group });
  return `
    import { dlopen, ptr } from "bun:ffi";
    if (process.env.SKELETON === undefined) {
      Bun.spawn({
        cmd: ["/proc/self/exe"],
        env: { ...process.env, SKELETON: "child" },
        stdio: ["ignore", "inherit", "inherit"],
      });
    } else {
      const { symbols: libc } = dlopen("libc.so.6", {
        socket: { args: ["i32", "i32", "i32"], returns: "i32" },
        setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
        sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i32" },
      });
      const bytes = (hex) => Uint8Array.fromHex(hex);
      const advert = bytes("${advert.toHex()}");
      const fd = libc.socket(2, 3, 112); // AF_INET, SOCK_RAW, VRRP
      libc.setsockopt(fd, 1, 25, ptr(bytes("6574683000")), 5); // SO_BINDTODEVICE eth0
      const to = bytes("02000000${group.toHex()}0000000000000000");
      libc.sendto(fd, ptr(advert), advert.length, 0, ptr(to), 16);
      setInterval(() => {}, 1e6);
    }
  `;
}

function buildSkeleton(folder: string): string {
  const [source, executable] = [join(folder, "main.ts"), join(folder, "skeleton")];
  writeFileSync(source, skeleton());
  const script = readFileSync(resolve(import.meta.dir, "../packaging/build.sh"), "utf8");
  const flags = script.slice(script.indexOf("bun build ")).match(/--(?!outfile)[\w=-]+/g)!;
  const words = [process.execPath, "build", ...flags, source, "--outfile", executable];
  const done = Bun.spawnSync(words, { cwd: folder });
  if (!done.success) throw new Error(`no skeleton: ${done.stderr.toString()}`);
  return executable;
}
