/** Routes, rules and static items: with MASTER they come and go, by themselves they stay. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const A = "10.0.0.1";
const GATEWAY = "10.0.0.254";
/** RTNLGRP_IPV4_ROUTE in the mask that the kernel shows. */
const IPV4_ROUTE = 1 << 6;
const ROUTES = [
  `10.1.0.0/16 via ${GATEWAY} dev eth0`,
  "10.2.0.0/16 dev eth0 metric 50 table 100 src 10.0.0.100",
  "blackhole 10.3.0.0/16",
];
const RULES = ["from 10.1.0.0/16 table 100 priority 1001", "to 10.2.0.0/16 prohibit priority 1002"];
/** As ip(8) shows them. */
const SHOWN_ROUTES = [
  "10.1.0.0/16 via 10.0.0.254 dev eth0",
  "10.2.0.0/16 dev eth0 table 100 scope global src 10.0.0.100 metric 50",
  "blackhole 10.3.0.0/16",
];
const SHOWN_RULES = [
  "1001: from 10.1.0.0/16 lookup 100 proto keepalived",
  "1002: from all to 10.2.0.0/16 prohibit proto keepalived",
];

function block(name: string, lines: readonly string[]): string {
  return `${name} {\n${lines.join("\n")}\n}\n`;
}

function withRoutes(
  routes: readonly string[] = ROUTES,
  rules: readonly string[] = RULES,
  rest: Parameters<typeof instance>[0] = {},
): string {
  const more = block("virtual_routes", routes) + block("virtual_rules", rules) + (rest.more ?? "");
  return instance({ ...rest, more });
}

/** The routes that keepalived, or we, have made. */
function routes(network: Network, family = "-4", host = "a"): string[] {
  const text = network.run(host, "ip", family, "route", "show", "table", "all", "proto", "18");
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").sort();
}

/** The rules that nobody finds there from the start. */
function rules(network: Network, host = "a"): string[] {
  return network.run(host, "ip", "-d", "rule").split("\n").map((line) => line.replace("\t", " "))
    .map((line) => line.trim()).filter((line) => /^\d/.test(line) && !line.includes("kernel"));
}

async function expectAll(network: Network, host = "a"): Promise<void> {
  await poll(() => rules(network, host).length === RULES.length, 5000, "rules are missing");
  expect(rules(network, host)).toEqual(SHOWN_RULES);
  const shown = routes(network, "-4", host);
  expect(shown).toHaveLength(SHOWN_ROUTES.length);
  for (const [i, line] of shown.entries()) {
    expect(line.split(" ").filter((word) => !["scope", "global"].includes(word)))
      .toEqual(SHOWN_ROUTES[i]!.split(" ").filter((word) => !["scope", "global"].includes(word)));
  }
}

function expectNone(network: Network, host = "a"): void {
  expect(routes(network, "-4", host)).toEqual([]);
  expect(routes(network, "-6", host)).toEqual([]);
  expect(rules(network, host)).toEqual([]);
}

test("they follow MASTER from one router to the other, and go with the daemon", async () => {
  using network = new Network(["a", "b"]);
  await using a = new Daemon(network, "a", withRoutes(ROUTES, RULES, { priority: 150 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await a.waitForLog("(V) setting VIPs.");
  await a.waitForLog("(V) setting Virtual Routes");
  await a.waitForLog("(V) setting Virtual Rules");
  await expectAll(network);
  await using b = new Daemon(network, "b", withRoutes(ROUTES, RULES, { priority: 100 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  expectNone(network, "b");
  expect(await a.stop()).toBe(0);
  await a.waitForLog("(V) removing Virtual Rules");
  await a.waitForLog("(V) removing Virtual Routes");
  await a.waitForLog("(V) removing VIPs.");
  expectNone(network);
  await b.waitForLog("(V) Entering MASTER STATE");
  await expectAll(network, "b");
  expect(a.log + b.log).not.toMatch(/netlink failed|was removed/);
});

test("a reload changes what is different, one by one, while MASTER", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", withRoutes());
  await a.waitForLog("(V) Entering MASTER STATE");
  await expectAll(network);
  const monitor = Bun.spawn([...network.enter("a"), "ip", "monitor", "route", "rule"], {
    stdout: "pipe",
  });
  a.rewrite(withRoutes(
    [ROUTES[0]!, ROUTES[1]!, `10.9.0.0/16 via ${GATEWAY} dev eth0`],
    [RULES[1]!, "from 10.9.0.0/16 table 100 priority 1009"],
    { addresses: ["10.0.0.100/32", "10.0.0.101/32"] },
  ));
  a.signal("SIGHUP");
  await a.waitForLog("Reload finished");
  await poll(() => rules(network).some((line) => line.startsWith("1009")), 5000, "no new rule");
  expect(routes(network).map((line) => line.split(" ")[0])).toEqual([
    "10.1.0.0/16",
    "10.2.0.0/16",
    "10.9.0.0/16",
  ]);
  expect(rules(network).map((line) => line.split(":")[0])).toEqual(["1002", "1009"]);
  monitor.kill();
  const seen = (await new Response(monitor.stdout).text()).split("\n")
    .filter((line) => /10\.[1-9]\./.test(line));
  expect(seen.filter((line) => line.includes("10.1.0.0/16 via"))).toEqual([]);
  expect(a.log.match(/Entering \w+ STATE/g)).toEqual([
    "Entering BACKUP STATE",
    "Entering MASTER STATE",
  ]);
  // A file without any of them.
  a.rewrite(instance());
  a.signal("SIGHUP");
  await poll(() => rules(network).length === 0, 5000, "rules stay");
  expectNone(network);
});

test("a route or rule that is taken away comes back, and no advert is missed", async () => {
  using network = new Network(["a"], { ipv6: true });
  await using capture = await Capture.start(network);
  const more = [...ROUTES, "fd01::/48 via fd00::9 dev eth0", "fd02::/48 dev eth0"];
  await using a = new Daemon(network, "a", withRoutes(more));
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => rules(network).length === 2, 5000, "rules are missing");
  const sinceUs = nowUs();
  const removals: readonly (readonly [string, string])[] = [
    ["-4 route del 10.1.0.0/16", "route 10.1.0.0/16 via 10.0.0.254 dev eth0"],
    ["-4 route del 10.2.0.0/16 table 100", "route 10.2.0.0/16 dev eth0 table 100 metric 50"],
    ["-6 route del fd01::/48", "route fd01::/48 via fd00::9 dev eth0"],
    ["-6 route del fd02::/48", "route fd02::/48 dev eth0"],
    ["-4 route replace 10.1.0.0/16 via 10.0.0.253", "route 10.1.0.0/16 via 10.0.0.254 dev eth0"],
    ["-4 rule del pref 1001", "rule priority 1001 from 10.1.0.0/16 table 100"],
  ];
  const before = [...routes(network), ...routes(network, "-6"), ...rules(network)];
  for (const [command, what] of removals) {
    a.skipLog();
    network.run("a", "ip", ...command.split(" "));
    await a.waitForLog(`(V) ${what} was removed`);
    const isBack = (): boolean =>
      [...routes(network), ...routes(network, "-6"), ...rules(network)].join() === before.join();
    await poll(isBack, 5000, `not put back after ip ${command}`);
  }
  // What is not tracked, and what is another's.
  network.run("a", "ip", "route", "del", "blackhole", "10.3.0.0/16");
  network.run("a", "ip", "route", "add", "10.4.0.0/16", "dev", "eth0");
  network.run("a", "ip", "route", "del", "10.4.0.0/16");
  const untilUs = nowUs() + 300_000;
  await capture.waitForAdvert(({ atUs }) => atUs > untilUs);
  expect(routes(network)).not.toContain("blackhole 10.3.0.0/16");
  const adverts = capture.adverts.filter(({ atUs }) => atUs >= sinceUs);
  expect(adverts.every(({ source, priority }) => source === A && priority > 0)).toBe(true);
  expect(a.log).not.toContain("leaving MASTER");
});

test("an address that is taken away takes its routes with it; all come back", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", withRoutes());
  await a.waitForLog("(V) Entering MASTER STATE");
  await expectAll(network);
  network.run("a", "ip", "address", "del", "10.0.0.100/32", "dev", "eth0");
  await a.waitForLog("(V) address 10.0.0.100/32 on eth0 was removed");
  await expectAll(network);
});

test("vip_removed step_down counts for routes, too; and so does the eleventh time", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(
    network,
    "a",
    withRoutes(ROUTES, RULES, { more: "vip_removed step_down" }),
  );
  await a.waitForLog("(V) Entering MASTER STATE");
  await expectAll(network);
  network.run("a", "ip", "rule", "del", "pref", "1002");
  await a.waitForLog("(V) Entering BACKUP STATE");
  await a.waitForLog(
    /^\(V\) rule priority 1002 to 10.2.0.0\/16 prohibit was removed .* - leaving MASTER$/,
  );
  await a.waitForLog("(V) Entering MASTER STATE");
  await expectAll(network);
  a.rewrite(withRoutes());
  a.signal("SIGHUP");
  await a.waitForLog("Reload finished");
  for (let count = 0; count <= 10; count++) {
    await poll(() => routes(network).some((line) => line.startsWith("10.1.")), 5000, "no route");
    a.skipLog();
    network.run("a", "ip", "route", "del", "10.1.0.0/16");
    await a.waitForLog("(V) route 10.1.0.0/16 via 10.0.0.254 dev eth0 was removed");
  }
  await a.waitForLog("(V) Entering MASTER STATE");
  expect(a.log).toContain("again after 10 repairs in 10 s - leaving MASTER");
});

test("the link of a route: while it is down there is no MASTER, unless it does not count", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  const tracked = ["10.5.0.0/16 via 10.1.0.254 dev eth1"];
  await using a = new Daemon(network, "a", withRoutes(tracked, []));
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => routes(network).length === 1, 5000, "no route");
  network.run("a", "ip", "link", "set", "eth1", "down");
  await a.waitForLog("(V) an interface of its routes or rules is down or missing (eth1)");
  await a.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "link", "set", "eth1", "up");
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => routes(network).length === 1, 5000, "no route again");
  a.rewrite(withRoutes([`${tracked[0]} no_track`], []));
  a.signal("SIGHUP");
  await a.waitForLog("Reload finished");
  a.skipLog();
  await poll(() => routes(network).length === 1, 5000, "no route after the reload");
  network.run("a", "ip", "link", "set", "eth1", "down");
  await poll(() => routes(network).length === 0, 5000, "the route stays");
  network.run("a", "ip", "link", "set", "eth1", "up");
  await poll(() => routes(network).length === 1, 5000, "no route when the link is back");
  expect(await a.stop()).toBe(0);
  expect(a.log.match(/Entering FAULT STATE/g)).toHaveLength(1);
  expectNone(network);
});

test("what a daemon that was killed has left goes when it starts again", async () => {
  using network = new Network(["a"]);
  await using killed = new Daemon(network, "a", withRoutes());
  await killed.waitForLog("(V) Entering MASTER STATE");
  await expectAll(network);
  await killed.crash();
  await expectAll(network);
  // Another's, at the same place.
  network.run("a", "ip", "route", "append", "10.1.0.0/16", "via", "10.0.0.253");
  await using other = new Daemon(network, "a", withRoutes(ROUTES, RULES, { interval: 5 }));
  await other.waitForLog("(V) Entering BACKUP STATE");
  await poll(() => rules(network).length === 0, 5000, "rules stay");
  expectNone(network);
  expect(network.run("a", "ip", "route", "show", "10.1.0.0/16")).toContain("via 10.0.0.253");
});

test("static items are there whoever is MASTER, are put back, follow a reload, go at the end", async () => {
  using network = new Network(["a", "b"]);
  const statics = (rest: string): string =>
    block("static_ipaddress", ["192.0.2.77/32 dev eth0"]) + rest;
  const lines = block("static_routes", [`10.77.0.0/16 via ${GATEWAY} dev eth0 src 192.0.2.77`]) +
    block("static_rules", ["from 10.77.0.0/16 table 77 priority 770"]);
  await using b = new Daemon(network, "b", instance({ priority: 200 }));
  await b.waitForLog("(V) Entering MASTER STATE");
  await using a = new Daemon(network, "a", statics(lines) + instance());
  await a.waitForLog("(V) Entering BACKUP STATE");
  const isThere = (): boolean =>
    routes(network).length === 1 && rules(network).length === 1 &&
    network.addresses("a").includes("192.0.2.77/32");
  await poll(isThere, 5000, "no static items");
  const restored = [
    ["rule del pref 770", "static rule priority 770"],
    ["route del 10.77.0.0/16", "static route 10.77.0.0/16 via 10.0.0.254 dev eth0"],
  ] as const;
  for (const [command, what] of restored) {
    network.run("a", "ip", ...command.split(" "));
    await a.waitForLog(`Restoring deleted ${what}`);
    await poll(isThere, 5000, `not put back after ip ${command}`);
  }
  network.run("a", "ip", "address", "del", "192.0.2.77/32", "dev", "eth0");
  await a.waitForLog("Restoring deleted static address 192.0.2.77/32 on eth0");
  await poll(isThere, 5000, "the address, or the route that prefers it, is not put back");
  network.run("a", "ip", "link", "set", "eth0", "down");
  await a.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "link", "set", "eth0", "up");
  await poll(isThere, 5000, "not there when the link is back");
  a.rewrite(statics("") + instance());
  a.signal("SIGHUP");
  await poll(() => rules(network).length === 0, 5000, "the rule stays");
  expectNone(network);
  expect(network.addresses("a")).toContain("192.0.2.77/32");
  expect(await a.stop()).toBe(0);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  expect(b.log).not.toContain("BACKUP STATE\n(V)");
});

test("static items alone: they need no virtual router", async () => {
  using network = new Network(["a"]);
  const lines = [`10.77.0.0/16 via ${GATEWAY} dev eth0`];
  await using a = new Daemon(network, "a", block("static_routes", lines));
  await poll(() => routes(network).length === 1, 5000, "no static route");
  // Who puts it back when its keeper dies is the keeper's successor; meanwhile it stays.
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Respawning");
  expect(routes(network)).toHaveLength(1);
  a.rewrite(instance() + block("static_routes", lines));
  a.signal("SIGHUP");
  await a.waitForLog("(V) Entering MASTER STATE");
  a.rewrite("global_defs {\n}\n");
  a.signal("SIGHUP");
  await poll(() => routes(network).length === 0, 5000, "the route stays");
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
  expect(await a.stop()).toBe(0);
});

test("-V leaves what is virtual and takes what is static", async () => {
  using network = new Network(["a"]);
  const config = block("static_routes", [`10.77.0.0/16 via ${GATEWAY} dev eth0`]) + withRoutes();
  await using a = new Daemon(network, "a", config, { words: ["-V"] });
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => routes(network).length === 4, 5000, "routes are missing");
  expect(await a.stop()).toBe(0);
  await expectAll(network);
});

/** One static item of each kind. */
const STATICS = block("static_ipaddress", ["192.0.2.77/32 dev eth0"]) +
  block("static_routes", [`10.77.0.0/16 via ${GATEWAY} dev eth0`]) +
  block("static_rules", ["from 10.77.0.0/16 table 77 priority 770"]);

/** Which of them are there. */
function staticsThere(network: Network): string[] {
  return [
    ...network.addresses("a").filter((one) => one === "192.0.2.77/32"),
    ...routes(network).filter((line) => line.startsWith("10.77.0.0/16")),
    ...rules(network).filter((line) => line.startsWith("770:")),
  ];
}

test("a role that dies for good leaves nothing", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", STATICS + withRoutes(), { words: ["--dont-respawn"] });
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => rules(network).length === 3, 5000, "rules are missing");
  expect(staticsThere(network)).toHaveLength(3);
  process.kill(a.pids().vrrp, "SIGKILL");
  expect(await a.ended()).toBe(1);
  expectNone(network);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
});

test("a role that is away for longer than peers wait: what is virtual goes, what is static stays", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", STATICS + withRoutes());
  await a.waitForLog("(V) Entering MASTER STATE");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Still MASTER");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("delayed 1 seconds");
  await poll(() => !network.addresses("a").includes("10.0.0.100/32"), 900, "the address stays");
  expect(staticsThere(network)).toHaveLength(3);
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => rules(network).length === 3, 5000, "rules are missing");
  expect(await a.stop()).toBe(0);
  expectNone(network);
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
});

test("a route moves from one instance to another in one reload, whichever comes first", async () => {
  using network = new Network(["a"]);
  const one = (name: string, vrid: number, hasRoutes: boolean): string => {
    const settings = { name, vrid, addresses: [`10.0.0.${100 + vrid}/32`] };
    const lines = [ROUTES[0]!];
    return hasRoutes ? withRoutes(lines, RULES, settings) : instance(settings);
  };
  const config = (holder: 1 | 2): string => one("V1", 1, holder === 1) + one("V2", 2, holder === 2);
  await using a = new Daemon(network, "a", config(1));
  await a.waitForLog("(V1) Entering MASTER STATE");
  await a.waitForLog("(V2) Entering MASTER STATE");
  for (const holder of [2, 1, 2] as const) {
    await poll(() => rules(network).length === 2, 5000, "rules are missing");
    expect(routes(network)).toHaveLength(1);
    a.rewrite(config(holder));
    a.signal("SIGHUP");
    await a.waitForLog("Reload finished");
    await a.waitForLog("Reload complete");
  }
  // Held by V2 and wanted by a newcomer, who takes nothing from it.
  a.rewrite(config(2) + one("V3", 3, true));
  a.signal("SIGHUP");
  await a.waitForLog("(V3) Entering MASTER STATE");
  expect(routes(network)).toHaveLength(1);
  expect(rules(network)).toEqual(SHOWN_RULES);
  expect(a.log).not.toContain("was removed");
});

test("the kernel is heard about routes only when there is something to hear", async () => {
  using network = new Network(["a"]);
  /** Of the sockets in the daemon's namespace, how many are in the group of IPv4 routes. */
  const listeners = (): number =>
    network.run("a", "cat", "/proc/net/netlink").split("\n").slice(1)
      .filter((line) => (parseInt(line.trim().split(/\s+/)[3] ?? "0", 16) & IPV4_ROUTE) !== 0)
      .length;
  await using a = new Daemon(network, "a", instance());
  await a.waitForLog("(V) Entering MASTER STATE");
  expect(listeners()).toBe(0);
  a.rewrite(withRoutes());
  a.signal("SIGHUP");
  await a.waitForLog("Reload complete");
  await expectAll(network);
  expect(listeners()).toBe(1);
});

test("a MASTER whose process dies keeps its routes, and its successor looks after them", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", withRoutes(ROUTES, RULES, { interval: 1 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await expectAll(network);
  const monitor = Bun.spawn([...network.enter("a"), "ip", "monitor", "route", "rule"], {
    stdout: "pipe",
  });
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("(V) Still MASTER after a restart of the VRRP process");
  await a.waitForLog("Startup complete");
  await expectAll(network);
  monitor.kill();
  expect(await new Response(monitor.stdout).text()).not.toContain("Deleted");
  network.run("a", "ip", "rule", "del", "pref", "1001");
  await a.waitForLog("(V) rule priority 1001 from 10.1.0.0/16 table 100 was removed");
  await expectAll(network);
});
