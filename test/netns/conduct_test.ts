/** The vrrp role as a process among others: name, processors, priority, memory; and back after a reload. */

import { availableParallelism } from "node:os";
import { readdirSync, readFileSync } from "node:fs";
import { expect, setDefaultTimeout, test } from "bun:test";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const SCHED_RR = 2;

/** How the kernel sees a thread: proc(5), /proc/PID/stat from the third field on. */
function schedulingOf(pid: number, thread = pid): { nice: number; real: number; policy: number } {
  const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
  const words = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  return { nice: words[16]!, real: words[37]!, policy: words[38]! };
}

function statusOf(pid: number, field: string, thread = pid): string | undefined {
  const text = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
  return new RegExp(`^${field}:\\s*(.*)$`, "m").exec(text)?.[1];
}

function threadsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

test("names, processors, real time and memory are as asked for, of every thread, and go with a reload", async () => {
  using network = new Network(["a"]);
  const last = availableParallelism() - 1;
  const asked = `global_defs {
    process_names
    process_name router
    vrrp_rt_priority 7
    vrrp_rlimit_rttime 2000000
    vrrp_cpu_affinity ${last}
    vrrp_no_swap
}
`;
  const config = instance({ priority: 200 });
  await using daemon = new Daemon(network, "a", asked + config);
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const { parent, vrrp } = daemon.pids();
  expect(statusOf(parent, "Name")).toBe("router");
  expect(statusOf(vrrp, "Name")).toBe("keepalived_vrrp");
  expect(schedulingOf(vrrp)).toMatchObject({ policy: SCHED_RR, real: 7 });
  for (const thread of threadsOf(vrrp)) {
    expect(statusOf(vrrp, "Cpus_allowed_list", thread)).toBe(`${last}`);
  }
  expect(statusOf(vrrp, "VmLck")).not.toBe("0 kB");
  // Locked as it is touched: nothing near the address space.
  const resident = Number.parseInt(statusOf(vrrp, "VmRSS")!);
  expect(resident).toBeLessThan(200_000);
  const limits = readFileSync(`/proc/${vrrp}/limits`, "utf8");
  expect(limits).toMatch(/Max realtime timeout +2000000 /);
  daemon.rewrite(`global_defs {\n    vrrp_priority 3\n    vrrp_process_name vip\n}\n${config}`);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
  // What changes last.
  await poll(() => statusOf(vrrp, "VmLck") === "0 kB", 5000, "memory stays locked");
  expect(statusOf(vrrp, "Name")).toBe("vip");
  expect(statusOf(parent, "Name")).toBe("upkeep");
  expect(schedulingOf(vrrp)).toEqual({ policy: 0, real: 0, nice: 3 });
  expect(statusOf(vrrp, "Cpus_allowed_list")).toBe(statusOf(process.pid, "Cpus_allowed_list"));
  expect(readFileSync(`/proc/${vrrp}/limits`, "utf8")).toMatch(/realtime timeout +unlimited/);
  expect(daemon.log).not.toMatch(/not supported yet|sched_|mlockall|setrlimit/);
});

test("a role that is woken late raises itself, to the ceiling and no further", async () => {
  using network = new Network(["a"]);
  const asked = "global_defs {\n    max_auto_priority 2\n    min_auto_priority_delay 1\n}\n";
  await using daemon = new Daemon(network, "a", asked + instance({ priority: 200 }));
  await daemon.waitForLog(/Woken \d+ ms late: raising the real-time priority to 1/);
  await daemon.waitForLog(/Woken \d+ ms late: raising the real-time priority to 2/);
  expect(schedulingOf(daemon.pids().vrrp)).toMatchObject({ policy: SCHED_RR, real: 2 });
  // Many wake-ups later it is where it was.
  await daemon.waitForLog("Sending/queueing gratuitous ARPs on eth0", 20_000);
  expect(daemon.log).not.toContain("priority to 3");
});
