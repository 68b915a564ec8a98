/** Real traffic through virtual servers: who answers, and which connections live through what. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { answeringUdp, Backends, Call } from "../support/backends.ts";
import { isSupported } from "../support/daemon.ts";
import {
  answers,
  balancing,
  CHECKERS_PID_FILE,
  lab,
  ONE,
  PAIR,
  real,
  reload,
  service,
  TWO,
  VIP,
  VIP6,
} from "../support/director.ts";
import { savedTable, tableIs } from "../support/ipvs_guest.ts";
import { IN_GUEST } from "../support/uml.ts";

test.skipIf(!IN_GUEST)("NAT, also to other ports: servers take turns", async () => {
  using network = lab();
  using backends = new Backends(network);
  await backends.tcp("one", ONE, 80);
  await backends.tcp("two", TWO, 8080);
  await using _daemon = await balancing(network, service(real(ONE, 80) + real(TWO, 8080)));
  expect((await answers(network, 4)).sort()).toEqual(["one", "one", "two", "two"]);
});

test.skipIf(!IN_GUEST)("direct routing: the servers answer the client themselves", async () => {
  using network = lab(true);
  using backends = new Backends(network);
  await backends.tcp("one", VIP, 80);
  await backends.tcp("two", VIP, 80);
  const config = service(PAIR, undefined, "lvs_sched rr\nlvs_method DR\nprotocol TCP");
  await using _daemon = await balancing(network, config);
  expect((await answers(network, 4)).sort()).toEqual(["one", "one", "two", "two"]);
});

test.skipIf(!IN_GUEST)("IPv6 and UDP", async () => {
  using network = lab();
  using backends = new Backends(network);
  await backends.tcp("one", "fd00::3", 80);
  await backends.tcp("two", "fd00::4", 80);
  await backends.udp("one", ONE, 53);
  await using _daemon = await balancing(
    network,
    service(real("fd00::3", 80) + real("fd00::4", 80), `${VIP6} 80`) +
      service(real(ONE, 53), `${VIP} 53`, "lvs_sched rr\nlvs_method NAT\nprotocol UDP\nops"),
  );
  expect((await answers(network, 4, VIP6)).sort()).toEqual(["one", "one", "two", "two"]);
  expect(await answeringUdp(network, "client", VIP, 53)).toBe("one");
});

test.skipIf(!IN_GUEST)("persistence: a client stays with its server", async () => {
  using network = lab();
  using backends = new Backends(network);
  await backends.tcp("one", ONE, 80);
  await backends.tcp("two", TWO, 80);
  await using _daemon = await balancing(network, service(`persistence_timeout 60\n${PAIR}`));
  const all = await answers(network, 5);
  expect(new Set(all).size).toBe(1);
});

test.skipIf(!IN_GUEST)("a group: every address and port of it, and marked packets", async () => {
  using network = lab();
  using backends = new Backends(network);
  for (const port of [80, 8080]) await backends.tcp("one", ONE, port, `one ${port}`);
  const rule = ["-A", "PREROUTING", "-p", "tcp", "--dport", "443", "-j", "MARK", "--set-mark", "5"];
  network.run("director", "iptables-legacy", "-t", "mangle", ...rule);
  const group = `virtual_server_group G {\n${VIP} 80\n${VIP} 81\nfwmark 5\n}\n`;
  await using _daemon = await balancing(network, group + service(real(ONE, 8080), "group G"));
  for (const port of [80, 81, 443]) {
    expect([port, ...await answers(network, 1, VIP, port)]).toEqual([port, "one 8080"]);
  }
});

test.skipIf(!IN_GUEST)(
  "a group as one service, or, where no packet can be marked, as ever",
  async () => {
    using network = lab();
    using backends = new Backends(network);
    for (const port of [7777, 8080]) await backends.tcp("one", ONE!, port, `one ${port}`);
    const director = network.enter("director");
    const canMark =
      Bun.spawnSync([...director, "nft", "add table ip t; delete table ip t"]).success;
    const group = (name: string, ...members: string[]): string =>
      `virtual_server_group ${name} {\n${members.join("\n")}\n}\n`;
    const balanced = (port: number, name: string, more = ""): string =>
      service(real(ONE!, port) + more, `group ${name}`);
    const settings = "global_defs {\nnftables_ipvs\n}\n";
    const before = settings + group("G", `${VIP} 80`, `${VIP} 81`) + balanced(8080, "G") +
      group("ANY", "10.0.0.1") + balanced(80, "ANY", "persistence_timeout 60\n");
    // Another one comes first, but marks stay where they are.
    const after = settings + group("NEW", "10.9.9.9 80") + balanced(80, "NEW") +
      before.slice(settings.length).replace(`${VIP} 81`, "$&\n10.0.0.90-110 82");
    const rows = (key: string, port: number, more = ""): string[] => [
      `-A ${key} -s rr${more}`,
      `-a ${key} -r 10.0.0.3:${port} -m -w 1`,
    ];
    const one = (addresses: readonly string[], mark: number, port: number, more = ""): string[] =>
      (canMark ? [`-f ${mark}`] : addresses.map((address) => `-t ${address}`))
        .flatMap((key) => rows(key, port, more));
    const range = Array.from({ length: 21 }, (_, i) => `10.0.0.${90 + i}:82`);
    const any = one(["10.0.0.1:0"], 1001, 80, " -p 60");
    await using daemon = await balancing(network, before);
    const text = "each address of a group gets a service of its own";
    expect(daemon.log.includes(text)).toBe(!canMark);
    await tableIs([...one([`${VIP}:80`, `${VIP}:81`], 1000, 8080), ...any], 10_000, director);
    for (const port of [80, 81]) {
      expect([port, ...await answers(network, 1, VIP, port)]).toEqual([port, "one 8080"]);
    }
    expect(await answers(network, 1, "10.0.0.1", 7777)).toEqual(["one 7777"]);
    using call = await Call.make(network, "client", VIP, 80);
    await call.greeting();
    await reload(daemon, after);
    await call.echo("after a reload");
    await tableIs(
      [
        ...one(["10.9.9.9:80"], 1002, 80),
        ...one([`${VIP}:80`, `${VIP}:81`, ...range], 1000, 8080),
        ...any,
      ],
      10_000,
      director,
    );
    expect(await answers(network, 1, VIP, 82)).toEqual(["one 8080"]);
    process.kill(Number(readFileSync("/run/uml-checkers.pid", "utf8")), "SIGKILL");
    await daemon.waitForLog("died: Respawning", 10_000);
    await daemon.waitForLog("Startup complete", 20_000);
    await call.echo("after a crash of the role");
    if (canMark) {
      network.run("director", "nft", "flush ruleset");
      await daemon.waitForLog("Table ip keepalived_ipvs was removed by somebody else", 20_000);
      expect(await answers(network, 1, VIP, 82)).toEqual(["one 8080"]);
    }
    expect(await daemon.stop(10_000)).toBe(0);
    expect(savedTable(director)).toEqual([]);
    if (canMark) expect(network.run("director", "nft", "list ruleset")).toBe("");
  },
);

test.skipIf(!IN_GUEST)("no connection ends for a reload, a crash, or a stop with -I", async () => {
  using network = lab();
  using backends = new Backends(network);
  await backends.tcp("one", ONE, 80);
  await backends.tcp("two", TWO, 80);
  const config = service(PAIR);
  const director = network.enter("director");
  await using daemon = await balancing(network, config, "-I");
  using first = await Call.make(network, "client", VIP, 80);
  using second = await Call.make(network, "client", VIP, 80);
  const both = [await first.greeting(), await second.greeting()];
  expect(both.sort()).toEqual(["one", "two"]);
  const alive = async (word: string): Promise<void> => {
    await first.echo(word);
    await second.echo(word);
  };
  const counts = (): string =>
    network.run("director", "ipvsadm", "-Ln").split("\n")
      .filter((line) => line.includes("->") && line.includes("10.0.0."))
      .map((line) => line.trim().split(/\s+/)[4]).join(" ");
  expect(counts()).toBe("1 1");

  await reload(
    daemon,
    config.replace("lvs_sched rr", "lvs_sched wlc") + service(PAIR, `${VIP} 81`),
  );
  await alive("after a reload");
  const role = Number(readFileSync(CHECKERS_PID_FILE, "utf8"));
  process.kill(role, "SIGKILL");
  await daemon.waitForLog("died: Respawning", 10_000);
  await daemon.waitForLog("Startup complete", 20_000);
  await alive("after a crash of the role");
  expect(counts().startsWith("1 1")).toBeTrue();

  await daemon.stop(10_000);
  await alive("after a stop");
  await using again = await balancing(network, config);
  await alive("after another start");
  // What the second configuration does not name was the first one's, whose end it did not see.
  await again.crash();
  await alive("after a crash of everything");
  await using third = await balancing(network, config, "-I");
  await alive("after one more start");
  expect(counts().startsWith("1 1")).toBeTrue();
  await third.stop(10_000);
  expect(savedTable(director).length).toBeGreaterThan(0);
});

const CHECKED = "TCP_CHECK {\nconnect_timeout 1\nretry 0\n}";

test.skipIf(!IN_GUEST || !isSupported(service(real(ONE, 80, CHECKED))))(
  "a server dies and comes back, a sorry server stands in for all",
  async () => {
    using network = lab();
    using backends = new Backends(network);
    let stopOne = await backends.tcp("one", ONE, 80);
    const stopTwo = await backends.tcp("two", TWO, 80);
    await backends.tcp("two", TWO, 90, "sorry");
    const lines = `delay_loop 1\nsorry_server ${TWO} 90\n`;
    const pair = real(ONE, 80, CHECKED) + real(TWO, 80, CHECKED);
    const director = network.enter("director");
    await using _daemon = await balancing(network, service(lines + pair));
    const head = `-A -t ${VIP}:80 -s rr`;
    const dest = (address: string, port = 80): string =>
      `-a -t ${VIP}:80 -r ${address}:${port} -m -w 1`;
    stopOne();
    await tableIs([head, dest(TWO)], 15_000, director);
    expect(await answers(network, 2)).toEqual(["two", "two"]);
    stopTwo();
    await tableIs([head, dest(TWO, 90)], 15_000, director);
    expect(await answers(network, 1)).toEqual(["sorry"]);
    stopOne = await backends.tcp("one", ONE, 80);
    await tableIs([head, dest(ONE)], 15_000, director);
    expect(await answers(network, 1)).toEqual(["one"]);
    stopOne();
  },
);
