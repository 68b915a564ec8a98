/** The vrrp role as a process among others: name, processors, priority, memory; and back after a reload. */

import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";
import { expect, setDefaultTimeout, test } from "bun:test";
import { netlinkBuffers } from "../support/buffers.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { SCHED_RR, schedulingOf, statusOf, threadsOf } from "../support/scheduling.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

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

test("who does BFD is as urgent as that is to be", async () => {
  using network = new Network(["a"]);
  const asked = "global_defs {\n    bfd_rt_priority 4\n    vrrp_rt_priority 2\n}\n";
  const config = asked + instance({ priority: 200 });
  const session = "bfd_instance far {\n    neighbor_ip 10.0.0.9\n    source_ip 10.0.0.1\n}\n";
  await using daemon = new Daemon(network, "a", config + session);
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const { vrrp } = daemon.pids();
  expect(schedulingOf(vrrp)).toMatchObject({ policy: SCHED_RR, real: 4 });
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
  await poll(() => schedulingOf(vrrp).real === 2, 5000, "as urgent without BFD");
  expect(daemon.log).not.toContain("not supported yet");
});

test("netlink sockets have room for as much as is asked for, and for the usual after that", async () => {
  using network = new Network(["a"]);
  const config = "vrrp_track_process cat {\nprocess cat\nweight 1\n}\n" + instance({
    priority: 200,
    more: "virtual_routes {\n10.9.0.0/24 via 10.0.0.7 dev eth0 no_track\n}\n" +
      "track_process {\ncat\n}",
  });
  const asked = `global_defs {
    vrrp_netlink_cmd_rcv_bufs 301000
    vrrp_netlink_cmd_rcv_bufs_force
    vrrp_netlink_monitor_rcv_bufs 51000
    process_monitor_rcv_bufs 123000
    process_monitor_rcv_bufs_force on
}
`;
  const limit = Number(readFileSync("/proc/sys/net/core/rmem_max", "utf8"));
  const usual = Number(readFileSync("/proc/sys/net/core/rmem_default", "utf8"));
  const here = (): number[] => netlinkBuffers((...words) => network.run("a", ...words));
  const sizes = (): number[] => here().filter((size) => size !== usual).toSorted((a, b) => a - b);
  const outside = (): number[] =>
    netlinkBuffers((...words) => Bun.spawnSync(words).stdout.toString());
  await using daemon = new Daemon(network, "a", asked + config);
  await daemon.waitForLog("(V) Entering MASTER STATE");
  const monitor = 2 * Math.min(51_000, limit);
  // One hears of links, one of routes; ss itself has one of another size.
  await poll(() => sizes().includes(602_000), 5000, "no other buffer");
  expect(sizes().filter((size) => size === monitor)).toHaveLength(2);
  await poll(() => outside().includes(246_000), 5000, "not for processes");
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
  await poll(() => !sizes().includes(602_000), 5000, "as before");
  await poll(() => !outside().includes(246_000), 5000, "as before for processes");
  expect(sizes().filter((size) => size === 8 * 1024 * 1024)).toHaveLength(2);
  expect(daemon.log).not.toContain("not supported yet");
});
