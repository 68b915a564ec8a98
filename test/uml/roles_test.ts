/** The checkers role beside the others: when it runs, what it hears of VRRP, whom it tells, how it ends. */

import { expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Backends } from "../support/backends.ts";
import { netlinkBuffers } from "../support/buffers.ts";
import { childrenOf, Daemon } from "../support/daemon.ts";
import { reset, run, savedTable, startHere, tableIs } from "../support/ipvs_guest.ts";
import { Network } from "../support/namespaces.ts";
import { SCHED_RR, schedulingOf, statusOf } from "../support/scheduling.ts";
import { IN_GUEST } from "../support/uml.ts";
import { poll } from "../support/waiting.ts";

const PID_FILE = "/run/roles-checkers.pid";
const FIFO = "/run/roles.fifo";

function start(config: string, words: readonly string[] = [], program?: string): Daemon {
  reset();
  const all = ["-c", PID_FILE, ...words];
  return startHere(config, program === undefined ? { words: all } : { words: all, program });
}

async function started(config: string, ...words: readonly string[]): Promise<Daemon> {
  const daemon = start(config, words);
  await daemon.waitForLog("Initializing ipvs", 20_000);
  await daemon.waitForLog("Startup complete", 20_000);
  return daemon;
}

async function reload(daemon: Daemon, config: string): Promise<void> {
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished", 20_000);
}

function service(lines = "", address = "10.9.0.1"): string {
  return `virtual_server ${address} 80 {\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\n${lines}
    real_server 10.9.1.1 80 {\n}\n}\n`;
}

const saved = (address: string): string[] => [
  `-A -t ${address}:80 -s rr`,
  `-a -t ${address}:80 -r 10.9.1.1:80 -m -w 1`,
];

const INSTANCE = `vrrp_instance V {
  interface dum0
  virtual_router_id 51
  priority 100
  version 3
  advert_int 0.1
  virtual_ipaddress {\n10.8.0.1/32\n}
}
`;

function withLink(): Disposable {
  run(
    "sh",
    "-c",
    "ip link add dum0 type dummy && ip link set dum0 up && ip address add 10.8.0.9/24 dev dum0",
  );
  return { [Symbol.dispose]: () => void run("ip", "link", "delete", "dum0") };
}

const daemons = (): string[] =>
  run("ipvsadm", "-L", "--daemon").split("\n").filter((line) => line !== "");

test.skipIf(!IN_GUEST)("the sync daemon and only_when_master follow the instance", async () => {
  using _link = withLink();
  const config = `global_defs {\nlvs_sync_daemon dum0 inst V\n}\n${INSTANCE}${
    service("only_when_master V")
  }${service("", "10.9.0.2")}`;
  await using daemon = await started(config);
  await tableIs([...saved("10.9.0.1"), ...saved("10.9.0.2")], 10_000);
  await poll(
    () => daemons().some((line) => line.startsWith("master sync daemon (mcast=dum0, syncid=51")),
    5000,
    "no master",
  );
  run("ip", "link", "set", "dum0", "down");
  await tableIs(saved("10.9.0.2"), 10_000);
  await poll(() => daemons()[0]?.startsWith("backup") === true, 5000, "no backup");
  expect(daemons().length).toBe(1);
  run("ip", "link", "set", "dum0", "up");
  await tableIs([...saved("10.9.0.1"), ...saved("10.9.0.2")], 10_000);
  // A role that is started again hears what the instance is.
  process.kill(Number(readFileSync(PID_FILE, "utf8")), "SIGKILL");
  await daemon.waitForLog("Healthcheck child process", 10_000);
  await daemon.waitForLog("Startup complete", 20_000);
  await tableIs([...saved("10.9.0.1"), ...saved("10.9.0.2")], 10_000);
  expect(daemons()[0]).toStartWith("master");
  expect(await daemon.stop(10_000)).toBe(0);
  expect([...savedTable(), ...daemons()]).toEqual([]);
});

test.skipIf(!IN_GUEST)("lvs_sync_daemon_interface of an instance is a sync daemon", async () => {
  using _link = withLink();
  const own = INSTANCE.replace("virtual_router_id", "lvs_sync_daemon_interface dum0\n$&");
  await using daemon = await started(own);
  const isMaster = (): boolean =>
    daemons()[0]?.startsWith("master sync daemon (mcast=dum0, syncid=51") === true;
  await poll(isMaster, 10_000, "no master");
  await reload(daemon, INSTANCE);
  await poll(() => daemons().length === 0, 10_000, "a daemon");
  expect(await daemon.stop(10_000)).toBe(0);
});

test.skipIf(!IN_GUEST)(
  "IPVS of another network namespace, checks in the daemon's own",
  async () => {
    reset();
    using network = new Network(["admin", "director", "server"]);
    using backends = new Backends(network);
    await backends.tcp("server", "10.0.0.3", 80);
    // Nothing could be checked from there.
    network.run("director", "ip", "link", "set", "eth0", "down");
    const there = network.enter("director");
    const checked = (address: string): string =>
      `virtual_server ${address} 80 {\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\nalpha\n` +
      "delay_loop 1\nreal_server 10.0.0.3 80 {\nTCP_CHECK {\nconnect_timeout 2\n}\n}\n}\n";
    const rows = (address: string): string[] => [
      `-A -t ${address}:80 -s rr`,
      `-a -t ${address}:80 -r 10.0.0.3:80 -m -w 1`,
    ];
    const elsewhere = (name: string): string => `net_namespace_ipvs ${name}\n`;
    const settings = { words: ["-c", PID_FILE] };
    const config = elsewhere(network.netns("director")) + checked("10.9.0.1");
    {
      await using daemon = new Daemon(network, "admin", config, settings);
      await tableIs(rows("10.9.0.1"), 20_000, there);
      expect(savedTable(network.enter("admin"))).toEqual([]);
      daemon.rewrite(elsewhere("nobody") + checked("10.9.0.2"));
      daemon.signal("SIGHUP");
      await daemon.waitForLog(/Cannot change .*net_namespace_ipvs/, 20_000);
      await tableIs(rows("10.9.0.2"), 20_000, there);
      // So is a role that comes later.
      process.kill(Number(readFileSync(PID_FILE, "utf8")), "SIGKILL");
      await daemon.waitForLog("died: Respawning", 10_000);
      await daemon.waitForLog("Startup complete", 20_000);
      await tableIs(rows("10.9.0.2"), 20_000, there);
      expect(await daemon.stop(10_000)).toBe(0);
      expect(savedTable(there)).toEqual([]);
    }
    {
      await using daemon = new Daemon(
        network,
        "admin",
        elsewhere("") + checked("10.9.0.3"),
        settings,
      );
      await tableIs(rows("10.9.0.3"), 20_000);
      expect(await daemon.stop(10_000)).toBe(0);
      expect(savedTable()).toEqual([]);
    }
    await using daemon = new Daemon(network, "admin", elsewhere("nobody") + service(), settings);
    expect(await daemon.ended(20_000)).toBe(1);
    expect(daemon.log).toContain("Unable to set network namespace of IPVS");
  },
);

test.skipIf(!IN_GUEST)("the checkers role behaves as a process as it is asked to", async () => {
  const asked = (lines: string): string => `global_defs {\n${lines}\n}\n${service("ha_suspend")}`;
  await using daemon = await started(asked(`process_names
    checker_priority 5
    checker_cpu_affinity 0
    checker_no_swap
    lvs_netlink_cmd_rcv_bufs 61000
    lvs_netlink_cmd_rcv_bufs_force
    lvs_netlink_monitor_rcv_bufs 71000
    lvs_netlink_monitor_rcv_bufs_force`));
  expect(netlinkBuffers(run)).toContain(122_000);
  expect(netlinkBuffers(run)).toContain(142_000);
  const pid = Number(readFileSync(PID_FILE, "utf8"));
  expect(statusOf(pid, "Name")).toBe("keepalived_lvs");
  expect(schedulingOf(pid)).toMatchObject({ policy: 0, nice: 5 });
  expect(statusOf(pid, "Cpus_allowed_list")).toBe("0");
  expect(statusOf(pid, "VmLck")).not.toBe("0 kB");
  await reload(
    daemon,
    asked("checker_process_name health\nchecker_rt_priority 3\nchecker_rlimit_rttime 700000"),
  );
  await poll(() => statusOf(pid, "VmLck") === "0 kB", 10_000, "memory stays locked");
  expect(statusOf(pid, "Name")).toBe("health");
  expect(schedulingOf(pid)).toMatchObject({ policy: SCHED_RR, real: 3 });
  expect(readFileSync(`/proc/${pid}/limits`, "utf8")).toMatch(/Max realtime timeout +700000 /);
  await reload(daemon, service());
  await poll(() => schedulingOf(pid).policy === 0, 10_000, "still real time");
  expect(schedulingOf(pid).nice).toBe(0);
  expect(daemon.log).not.toMatch(/not supported yet|sched_|mlockall|setrlimit/);
  expect(await daemon.stop(10_000)).toBe(0);
});

test.skipIf(!IN_GUEST)(
  "without virtual servers there is no checkers role; it comes and goes with them",
  async () => {
    using _link = withLink();
    await using daemon = start(INSTANCE);
    await daemon.waitForLog("Startup complete", 20_000);
    expect(childrenOf(daemon.pid).length).toBe(1);
    expect(daemon.log).not.toContain("Healthcheck");
    await reload(daemon, INSTANCE + service());
    await daemon.waitForLog("Starting Healthcheck child process", 10_000);
    await tableIs(saved("10.9.0.1"));
    expect(childrenOf(daemon.pid).length).toBe(2);
    await poll(() => existsSync(PID_FILE), 5000, "no pid file");
    await reload(daemon, INSTANCE);
    await tableIs([]);
    await poll(() => childrenOf(daemon.pid).length === 1, 10_000, "two roles");
    expect(existsSync(PID_FILE)).toBeFalse();
    await reload(daemon, INSTANCE + service());
    await tableIs(saved("10.9.0.1"));
  },
);

test.skipIf(!IN_GUEST)("-P leaves the checkers out, -C the instances", async () => {
  using _link = withLink();
  await using only = start(INSTANCE + service(), ["-P"]);
  await only.waitForLog("Startup complete", 20_000);
  await only.waitForLog("MASTER STATE", 10_000);
  expect(savedTable()).toEqual([]);
  await only.stop(10_000);
  await using other = await started(INSTANCE + service(), "-C");
  await tableIs(saved("10.9.0.1"));
  expect(other.log).not.toContain("BACKUP STATE");
});

test.skipIf(!IN_GUEST)("a role that dies forgets what a reload has removed meanwhile", async () => {
  await using daemon = await started(service() + service("", "10.9.0.2"));
  const kill = (): boolean => process.kill(Number(readFileSync(PID_FILE, "utf8")), "SIGKILL");
  kill();
  await daemon.waitForLog("died: Respawning", 10_000);
  await daemon.waitForLog("Startup complete", 20_000);
  await poll(() => existsSync(PID_FILE), 5000, "no pid file");
  kill();
  // The second time it is away for a second.
  await daemon.waitForLog("delayed 1 seconds", 10_000);
  await reload(daemon, service());
  await daemon.waitForLog("Startup complete", 20_000);
  await tableIs(saved("10.9.0.1"));
});

/** Two services of one group. */
const GROUP = "virtual_server_group G {\n10.9.0.7 80\n10.9.0.8 80\n}\n" +
  ["TCP", "UDP"].map((protocol) =>
    service("").replace("10.9.0.1 80", "group G").replace("TCP", protocol)
  ).join("");

/** What a FIFO and scripts are told from start to end. */
async function told(program: string | undefined): Promise<{ fifo: string; scripts: string[] }> {
  rmSync(FIFO, { force: true });
  const [log, script] = ["/run/roles.told", "/run/roles.sh"];
  rmSync(log, { force: true });
  writeFileSync(script, `#!/bin/sh\necho "$@" >>${log}\n`);
  chmodSync(script, 0o755);
  run("mkfifo", FIFO);
  // It keeps the FIFO open itself: keepalived closes its end for a moment at a reload.
  const reader = Bun.spawn(["sh", "-c", `exec cat <>${FIFO}`], { stdout: "pipe" });
  const text = new Response(reader.stdout).text();
  const config = `global_defs {\nlvs_notify_fifo ${FIFO}\nscript_user root\n}\n${
    service(`omega\nquorum_up "${script} up"\nquorum_down "${script} down"`)
  }${service("", "10.9.0.2")}${GROUP}`;
  await using daemon = start(config, [], program);
  await daemon.waitForLog("Startup complete", 20_000);
  await poll(() => existsSync(log), 5000, "no script");
  daemon.rewrite(config.replace("10.9.0.2", "10.9.0.3"));
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete", 20_000);
  await daemon.stop(10_000);
  reader.kill("SIGTERM");
  return { fifo: await text, scripts: readFileSync(log, "utf8").trim().split("\n") };
}

test.skipIf(!IN_GUEST)(
  "FIFO and scripts are told what keepalived tells them, line by line",
  async () => {
    const theirs = await told("keepalived");
    const ours = await told(undefined);
    // Its string's end is written since keepalived 2.3, which Debian has not.
    expect({ ...ours, fifo: ours.fifo.replaceAll("\0", "") }).toEqual(theirs);
    expect(ours.fifo).toContain("VS [10.9.0.1]:tcp:80 UP\n\0");
    expect(ours.fifo).toContain("VS [G]:1 UP\n\0");
    expect(ours.scripts).toEqual(["up", "down"]);
  },
);

test.skipIf(!IN_GUEST)("without IPVS in the kernel the whole daemon ends with 1", async () => {
  reset();
  const modules = run("lsmod").split("\n").map((line) => line.split(" ")[0]!);
  const schedulers = modules.filter((name) => name.startsWith("ip_vs_"));
  run("rmmod", ...schedulers, "ip_vs");
  const setting = "/proc/sys/kernel/modprobe";
  const before = readFileSync(setting, "utf8");
  writeFileSync(setting, "/bin/false");
  try {
    await using daemon = startHere(service(), { words: ["-c", PID_FILE] });
    expect(await daemon.ended(20_000)).toBe(1);
    expect(daemon.log).toContain("IPVS: Can't initialize ipvs");
    expect(daemon.log).toContain("exited with permanent error 1. Terminating");
  } finally {
    writeFileSync(setting, before);
  }
  await using daemon = await started(service());
  await tableIs(saved("10.9.0.1"));
  expect(daemon.log).not.toContain("Can't");
});
