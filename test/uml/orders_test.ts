/** Real servers under orders, and what is left of them, and of their health, when processes die. */

import { expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Order } from "../../src/lvs/orders.ts";
import { answering, Backends, Call, on } from "../support/backends.ts";
import { Checkers } from "../support/checkers.ts";
import type { Daemon } from "../support/daemon.ts";
import {
  answers,
  balancing,
  CHECKERS_PID_FILE,
  lab,
  ONE,
  real,
  reload,
  service,
  TWO,
  VIP,
} from "../support/director.ts";
import { reset, run, savedTable, startHere, tableIs } from "../support/ipvs_guest.ts";
import type { Network } from "../support/namespaces.ts";
import { IN_GUEST } from "../support/uml.ts";
import { poll } from "../support/waiting.ts";

const VS = `[${VIP}]:tcp:80`;
const STATE_FILE = CHECKERS_PID_FILE.replace(".pid", ".state");
const CHECKED = "TCP_CHECK {\nconnect_timeout 1\nretry 0\n}";
const CHECKED_PAIR = real(ONE, 80, CHECKED) + real(TWO, 80, CHECKED);
const HEAD = `-A -t ${VIP}:80 -s rr`;

const nameOf = (address: string): string => `[${address}]:tcp:80`;
const dest = (address: string, weight = 1, port = 80): string =>
  `-a -t ${VIP}:80 -r ${address}:${port} -m -w ${weight}`;

/** The orders that a state file holds. */
function ordersIn(path: string): unknown[] {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).real_servers : [];
}

test.skipIf(!IN_GUEST)(
  "a drained server keeps its connections while new ones go elsewhere; orders come and go",
  async () => {
    using network = lab();
    using backends = new Backends(network);
    await backends.tcp("one", ONE, 80);
    await backends.tcp("two", TWO, 80);
    const director = network.enter("director");
    const config = service(`delay_loop 1\n${CHECKED_PAIR}`);
    await using checkers = await on(network, "director", async () => {
      const started = new Checkers("/run/orders.pid");
      await started.configure(config);
      return started;
    });
    const give = (wanted: Order | { type: "enable" }): ReturnType<typeof checkers.side.order> =>
      checkers.side.order({ service: VS, server: nameOf(ONE), wanted });
    using first = await Call.make(network, "client", VIP, 80);
    using second = await Call.make(network, "client", VIP, 80);
    expect([await first.greeting(), await second.greeting()].sort()).toEqual(["one", "two"]);

    expect(await give({ type: "drain" })).toEqual({
      isGranted: true,
      servers: [{ service: VS, server: nameOf(ONE) }],
      isDone: true,
    });
    // What is answered is done.
    expect(savedTable(director)).toEqual([HEAD, dest(ONE, 0), dest(TWO)].sort());
    expect(await answers(network, 3)).toEqual(["two", "two", "two"]);
    await first.echo("drained or not");
    await second.echo("drained or not");
    expect(readFileSync("/run/orders.state", "utf8")).toContain(`"order": "drain"`);

    await give({ type: "enable" });
    expect(ordersIn("/run/orders.state")).toEqual([]);
    expect((await answers(network, 2)).sort()).toEqual(["one", "two"]);

    await give({ type: "maintenance" });
    expect(savedTable(director)).toEqual([HEAD, dest(TWO)].sort());
    await give({ type: "weight", weight: 7 });
    expect(savedTable(director)).toEqual([HEAD, dest(ONE, 7), dest(TWO)].sort());
    const told = checkers.news.filter((one) => one.type === "real-server");
    expect(told.map(({ isUp, isOrdered }) => [isUp, isOrdered])).toEqual([[false, true], [
      true,
      true,
    ]]);
    expect(await checkers.side.order({ server: "one", wanted: { type: "drain" } })).toEqual({
      isGranted: false,
      why: "no real server one",
      known: [nameOf(ONE), nameOf(TWO)],
    });
    expect(checkers.side.orders.length).toBe(1);
    await on(network, "director", () => checkers.configure(config.replace("80 {", "81 {")));
    expect(checkers.side.orders).toEqual([]);
    expect(ordersIn("/run/orders.state")).toEqual([]);
  },
);

/** Kills the role outright; resolves when the next one has begun, and has checked what `checked` is about. */
async function killRole(daemon: Daemon): Promise<void> {
  await poll(() => existsSync(CHECKERS_PID_FILE), 5000, "no pid file");
  process.kill(Number(readFileSync(CHECKERS_PID_FILE, "utf8")), "SIGKILL");
  await daemon.waitForLog("died: Respawning", 10_000);
  await daemon.waitForLog("Startup complete", 20_000);
}

test.skipIf(!IN_GUEST)(
  "maintenance survives a reload, the death of the role and a restart; a reload without the server ends it",
  async () => {
    using network = lab();
    using backends = new Backends(network);
    await backends.tcp("one", ONE, 80);
    await backends.tcp("two", TWO, 80);
    const director = network.enter("director");
    const entry = { virtual_server: VS, real_server: nameOf(ONE), order: "maintenance" };
    const text = JSON.stringify({ version: 1, real_servers: [entry] });
    writeFileSync(STATE_FILE, text, { mode: 0o600 });
    const config = service(`delay_loop 1\n${CHECKED_PAIR}`);
    const away = [HEAD, dest(TWO)];
    {
      await using daemon = await balancing(network, config);
      daemon.rewindLog();
      await daemon.waitForLog(`Service ${nameOf(ONE)} of VS ${VS} is ordered to be in maintenance`);
      // It is checked all the same.
      await daemon.waitForLog(`TCP connection to ${nameOf(ONE)} success`, 10_000);
      await tableIs(away, 1, director);
      await reload(daemon, config.replace("lvs_sched rr", "lvs_sched wlc"));
      await tableIs([HEAD.replace("rr", "wlc"), dest(TWO)], 1, director);
      await reload(daemon, config);
      await tableIs(away, 1, director);
      await killRole(daemon);
      await tableIs(away, 1, director);
      expect(await answers(network, 2)).toEqual(["two", "two"]);
      await daemon.stop(10_000);
    }
    await using daemon = await balancing(network, config);
    await tableIs(away, 1, director);
    // A configuration that is refused changes nothing.
    daemon.rewrite("global_defs {\nreload_strict\n}\nnonsense\n");
    daemon.signal("SIGHUP");
    await daemon.waitForLog("Reload refused", 10_000);
    expect(ordersIn(STATE_FILE)).toEqual([entry]);
    await reload(daemon, service(real(TWO, 80, CHECKED)));
    await poll(() => ordersIn(STATE_FILE).length === 0, 5000, "an order");
    daemon.rewindLog();
    await daemon.waitForLog("is no longer configured: the order is dropped");
    await reload(daemon, config);
    await tableIs([HEAD, dest(ONE), dest(TWO)], 5000, director);
    await daemon.stop(10_000);
  },
);

/** Looks at the table all the time. */
class Watcher implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", Bun.BunFile, "inherit">;
  readonly #file = "/run/orders.seen";

  constructor(network: Network) {
    const loop = 'while :; do ipvsadm -Sn | sort | tr "\\n" ";"; echo; done';
    this.#child = Bun.spawn([...network.enter("director"), "sh", "-c", loop], {
      stdin: "ignore",
      stdout: Bun.file(this.#file),
    });
  }

  /** How often it has looked. */
  get looks(): number {
    return this.#whole.length;
  }

  /** All that it has seen, each once. */
  get seen(): string[][] {
    return [...new Set(this.#whole)].map((line) =>
      line.split(";").map((one) => one.trim()).filter((one) => one !== "")
    );
  }

  get #whole(): string[] {
    return readFileSync(this.#file, "utf8").split("\n").slice(0, -1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    rmSync(this.#file, { force: true });
  }
}

test.skipIf(!IN_GUEST)(
  "a server that is down stays down over the death of the role, and so does a quorum that is lost",
  async () => {
    using network = lab();
    using backends = new Backends(network);
    const stopTwo = await backends.tcp("two", TWO, 80);
    await backends.tcp("two", TWO, 90, "sorry");
    const director = network.enter("director");
    const config = service(`delay_loop 1\nsorry_server ${TWO} 90\n${CHECKED_PAIR}`);
    await using daemon = await balancing(network, config);
    const failed = (address: string): string => `TCP_CHECK on service ${nameOf(address)} failed`;
    const survives = async (table: readonly string[], address: string): Promise<void> => {
      await tableIs(table, 15_000, director);
      await using watcher = new Watcher(network);
      await poll(() => watcher.looks > 3, 10_000, "no look");
      await killRole(daemon);
      // It has found out by itself what it was told.
      await daemon.waitForLog(failed(address), 15_000);
      const before = watcher.looks;
      await poll(() => watcher.looks > before + 3, 10_000, "no look");
      expect(watcher.seen).toEqual([[...table].sort()]);
    };
    await survives([HEAD, dest(TWO)], ONE);
    stopTwo();
    await survives([HEAD, dest(TWO, 1, 90)], TWO);
    expect(await answering(network, "client", VIP, 80)).toBe("sorry");
    const stopOne = await backends.tcp("one", ONE, 80);
    await tableIs([HEAD, dest(ONE)], 15_000, director);
    stopOne();
  },
);

test.skipIf(!IN_GUEST)(
  "a stop while the role is away leaves neither its services nor its timeouts",
  async () => {
    reset();
    const timeouts = (): string => run("ipvsadm", "-L", "--timeout").trim();
    const before = timeouts();
    const config = `global_defs {\nlvs_timeouts tcp 77\n}\n${service(real(ONE, 80))}`;
    await using daemon = startHere(config, { words: ["-c", CHECKERS_PID_FILE] });
    await daemon.waitForLog("Startup complete", 20_000);
    await tableIs([HEAD, dest(ONE)]);
    await killRole(daemon);
    expect(timeouts()).toContain("77 ");
    await poll(() => existsSync(CHECKERS_PID_FILE), 5000, "no pid file");
    process.kill(Number(readFileSync(CHECKERS_PID_FILE, "utf8")), "SIGKILL");
    // The second time it is away for a second.
    await daemon.waitForLog("delayed 1 seconds", 10_000);
    expect(savedTable().length).toBe(2);
    expect(await daemon.stop(10_000)).toBe(0);
    expect(savedTable()).toEqual([]);
    expect(timeouts()).toBe(before);
  },
);

test.skipIf(!IN_GUEST)(
  "what a daemon has left that died whole, or was stopped with -I, goes when nobody names it any more",
  async () => {
    reset();
    const [old, next, foreign] = ["10.9.0.1", "10.9.0.2", "10.9.0.3"];
    const vs = (address: string): string => service(real(ONE, 80), `${address} 80`);
    const lines = (address: string): string[] => [
      `-A -t ${address}:80 -s rr`,
      `-a -t ${address}:80 -r ${ONE}:80 -m -w 1`,
    ];
    const timeouts = (): string => run("ipvsadm", "-L", "--timeout").trim();
    const usual = timeouts();
    run("ipvsadm", "-A", "-t", `${foreign}:80`, "-s", "wlc");
    const strange = [`-A -t ${foreign}:80 -s wlc`];
    const words = ["-c", CHECKERS_PID_FILE];
    const globals = "global_defs {\nlvs_timeouts tcp 77\n}\n";
    const remembers = (address: string): Promise<void> =>
      poll(
        () =>
          existsSync(STATE_FILE) && readFileSync(STATE_FILE, "utf8").includes(`${address}:tcp:80`),
        10_000,
        "nothing remembered",
      );
    {
      await using daemon = startHere(globals + vs(old), { words });
      await daemon.waitForLog("Startup complete", 20_000);
      await remembers(old);
      await daemon.crash();
    }
    expect(savedTable()).toEqual([...lines(old), ...strange].sort());
    {
      await using daemon = startHere(globals + vs(next), { words: [...words, "-I"] });
      await daemon.waitForLog("Startup complete", 20_000);
      await tableIs([...lines(next), ...strange], 1);
      expect(await daemon.stop(10_000)).toBe(0);
      // Not what the crash had left, but what was there before.
      expect(timeouts()).toBe(usual);
      expect(savedTable()).toEqual([...lines(next), ...strange].sort());
    }
    await using daemon = startHere(vs(old), { words });
    await daemon.waitForLog("Startup complete", 20_000);
    await tableIs([...lines(old), ...strange], 1);
    await remembers(old);
    expect(await daemon.stop(10_000)).toBe(0);
    expect(savedTable()).toEqual(strange);
    expect(existsSync(STATE_FILE)).toBeFalse();
    reset();
  },
);
