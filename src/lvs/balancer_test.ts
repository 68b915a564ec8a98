/** The role's heart over a kernel that counts and refuses: what is asked of it, how often, and what is told. */

import { expect, test } from "bun:test";
import { balancingOf, fleet, realServer, virtualServer } from "../../test/support/balancing.ts";
import { FakeIpvs } from "../../test/support/fake_ipvs.ts";
import { asIpvsadmSaves } from "../../test/support/ipvs.ts";
import type { Alarm } from "../loop.ts";
import type { FromCheckers } from "../parent/checkers_channel.ts";
import { Balancer } from "./balancer.ts";
import { type Balancing, diffLvs } from "./changes.ts";
import { Mirror } from "./mirror_perform.ts";
import { Ipvs } from "./perform.ts";

const ENOBUFS = 105;
const EPERM = 1;
const ENOENT = 2;
const VS = "[192.0.2.1]:tcp:80";
const CHECKED = "TCP_CHECK {\n}";
const A = "198.51.100.1 80";
const B = "198.51.100.2 80";

/** A role's balancer, its kernel, and what it has said. */
class Bench {
  readonly kernel: FakeIpvs;
  readonly said: FromCheckers[] = [];
  readonly refusals: string[] = [];
  readonly alarms = new Map<Alarm, number>();
  readonly balancer: Balancer;
  #config: Balancing | undefined;

  constructor(kernel = new FakeIpvs()) {
    this.kernel = kernel;
    const mirror = new Mirror(new Ipvs(kernel), (_, text) => this.refusals.push(text));
    const loop = {
      schedule: (alarm: Alarm, at: number): void => void this.alarms.set(alarm, at),
    };
    this.balancer = new Balancer({ loop, mirror, say: (message) => this.said.push(message) });
  }

  /** Loads, performs, and forgets what was asked of the kernel for it. */
  load(text: string): this {
    this.read(text);
    this.kernel.asked.length = 0;
    this.kernel.sends = 0;
    this.said.length = 0;
    return this;
  }

  /** Loads and performs; what the kernel was asked for. */
  read(text: string): string[] {
    const next = balancingOf(text);
    this.balancer.configure(diffLvs(this.#config, next));
    this.#config = next;
    this.balancer.flush();
    return this.kernel.asked.splice(0);
  }

  hear(server: string, isUp: boolean, weight?: number): string[] {
    const finding = { server, check: 0, isUp, ...(weight === undefined ? {} : { weight }) };
    this.balancer.hear(VS, finding, 0);
    this.balancer.flush();
    return this.kernel.asked.splice(0);
  }

  saved(): string[] {
    return [...this.kernel.table.values()].flatMap(({ service, destinations }) =>
      asIpvsadmSaves(service, [...destinations.values()])
    );
  }
}

const PAIR = virtualServer(
  realServer(A, CHECKED) + realServer(B, `inhibit_on_failure\n${CHECKED}`),
);

test("a start asks for each object once; the same again asks for nothing", () => {
  const bench = new Bench();
  expect(bench.read(PAIR)).toEqual([
    "new 192.0.2.1:tcp:80",
    "new 192.0.2.1:tcp:80 198.51.100.1:80",
    "new 192.0.2.1:tcp:80 198.51.100.2:80",
  ]);
  expect(bench.read(PAIR)).toEqual([]);
  expect(bench.kernel.sends).toBe(1);
});

test("one change is one message", () => {
  const bench = new Bench().load(PAIR);
  expect(bench.hear(A, false)).toEqual(["delete 192.0.2.1:tcp:80 198.51.100.1:80"]);
  expect(bench.hear(A, true)).toEqual(["new 192.0.2.1:tcp:80 198.51.100.1:80"]);
  expect(bench.hear(B, false)).toEqual(["set 192.0.2.1:tcp:80 198.51.100.2:80"]);
  expect(bench.hear(B, true, 9)).toEqual(["set 192.0.2.1:tcp:80 198.51.100.2:80"]);
  expect(bench.hear(B, true, 9)).toEqual([]);
  expect(bench.kernel.sends).toBe(4);
  expect(bench.read(PAIR.replace("lb_algo rr", "lb_algo wlc"))).toEqual(["set 192.0.2.1:tcp:80"]);
});

test("a thousand services of four servers leave in few calls; one that changed in one", () => {
  const bench = new Bench();
  const asked = bench.read(fleet(1000, 4));
  expect(asked.length).toBe(5000);
  expect(bench.kernel.sends).toBeLessThanOrEqual(100);
  bench.kernel.sends = 0;
  expect(bench.read(fleet(1000, 4, "", 500))).toEqual([
    "new 10.1.1.244:tcp:80 10.128.1.244:8081",
    "delete 10.1.1.244:tcp:80 10.128.1.244:8080",
  ]);
  expect(bench.kernel.sends).toBe(1);
});

test("what is told comes after what was done, in order", () => {
  const bench = new Bench();
  bench.balancer.configure(diffLvs(undefined, balancingOf(PAIR)));
  expect(bench.said).toEqual([]);
  bench.balancer.flush();
  expect(bench.said).toEqual([
    { type: "log", level: "notice", text: `Gained quorum 1+0=1 <= 2 for VS ${VS}` },
    { type: "quorum", isUp: true, service: VS },
  ]);
  bench.said.length = 0;
  bench.hear(A, false);
  expect(bench.said[1]).toEqual({
    type: "real-server",
    server: "[198.51.100.1]:tcp:80",
    isUp: false,
    service: VS,
  });
});

test("a table that is already right is not touched, and what is wrong in it alone is", () => {
  const first = new Bench().load(PAIR);
  const again = new Bench(first.kernel);
  expect(again.read(PAIR)).toEqual([]);
  const service = first.kernel.table.get("192.0.2.1:tcp:80")!;
  const destinations = service.destinations as Map<string, unknown>;
  destinations.delete("198.51.100.1:80");
  const third = new Bench(first.kernel);
  expect(third.read(PAIR)).toEqual(["new 192.0.2.1:tcp:80 198.51.100.1:80"]);
});

test("services of others are left alone, at the end too; lvs_flush removes them at the start", () => {
  const foreign = new Bench().load(virtualServer(realServer(), "192.0.2.77 80")).kernel;
  const bench = new Bench(foreign);
  bench.read(PAIR);
  expect(foreign.table.size).toBe(2);
  bench.balancer.shutdown(false);
  expect([...foreign.table.keys()]).toEqual(["192.0.2.77:tcp:80"]);
  foreign.asked.length = 0;
  const flushing = new Bench(foreign);
  expect(flushing.read(`global_defs {\nlvs_flush\n}\n${PAIR}`)[0]).toBe("flush");
  expect([...foreign.table.keys()]).toEqual(["192.0.2.1:tcp:80"]);
});

test("the end: services go one by one, all at once, or stay", () => {
  const rows: [globals: string, keeps: boolean, asked: string[]][] = [
    ["", false, ["delete 192.0.2.1:tcp:80"]],
    ["", true, []],
    ["lvs_flush_on_stop", false, ["flush"]],
    ["lvs_flush_on_stop VS", false, ["delete 192.0.2.1:tcp:80"]],
    ["lvs_flush_on_stop", true, []],
  ];
  for (const [globals, keeps, asked] of rows) {
    const bench = new Bench().load(`global_defs {\n${globals}\n}\n${PAIR}`);
    bench.balancer.shutdown(keeps);
    expect([globals, keeps, ...bench.kernel.asked]).toEqual([globals, keeps, ...asked]);
  }
});

test("somebody empties the table behind our back: the next change puts everything right", () => {
  const bench = new Bench().load(PAIR);
  bench.kernel.table.clear();
  bench.hear(B, false);
  expect(bench.saved()).toEqual([
    "-A -t 192.0.2.1:80 -s rr",
    "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 1",
    "-a -t 192.0.2.1:80 -r 198.51.100.2:80 -m -w 0",
  ]);
  expect(bench.refusals).toEqual([]);
});

test("answers that were lost: the table is read back and compared", () => {
  const bench = new Bench();
  bench.kernel.failNext = ENOBUFS;
  bench.read(PAIR);
  expect(bench.saved().length).toBe(3);
  expect(bench.refusals).toEqual([]);
  expect(bench.kernel.asked).toEqual([]);
});

test("a refusal names service, destination and reason, once, and spares the rest", () => {
  const bench = new Bench();
  bench.kernel.refuse = (asked) => asked.endsWith("198.51.100.1:80") ? EPERM : undefined;
  bench.read(PAIR);
  expect(bench.refusals).toEqual([
    "IPVS cmd IP_VS_SO_SET_ADDDEST(1159) error: Permission denied (you must be root)(1) " +
    "(192.0.2.1:tcp:80 -> 198.51.100.1:80)",
  ]);
  expect(bench.saved().length).toBe(2);
});

test("without its service a server is not complained of", () => {
  const bench = new Bench();
  bench.kernel.refuse = (asked) => /^new [^ ]+$/.test(asked) ? ENOENT : undefined;
  bench.read(PAIR);
  expect(bench.refusals).toEqual([
    "IPVS cmd IP_VS_SO_SET_ADD(1154) error: Scheduler or persistence engine not found(2) " +
    "(192.0.2.1:tcp:80)",
  ]);
});

test("a service of two blocks has the servers of both, and keeps what is left of them", () => {
  const other = virtualServer(
    realServer(B),
    "192.0.2.1 80",
    "lb_algo wlc\nlb_kind NAT\nprotocol TCP",
  );
  const one = virtualServer(realServer(A));
  const bench = new Bench();
  bench.read(one + other);
  expect(bench.saved()).toEqual([
    "-A -t 192.0.2.1:80 -s rr",
    "-a -t 192.0.2.1:80 -r 198.51.100.2:80 -m -w 1",
    "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -m -w 1",
  ]);
  expect(bench.read(one)).toEqual(["delete 192.0.2.1:tcp:80 198.51.100.2:80"]);
});

test("only_when_master: the service comes and goes with the instance", () => {
  const instance = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\n}\n";
  const bench = new Bench();
  expect(bench.read(instance + virtualServer(`only_when_master V\n${realServer(A)}`))).toEqual([]);
  const turn = (state: string): string[] => {
    bench.balancer.hearInstance("V", state);
    bench.balancer.flush();
    return bench.kernel.asked.splice(0);
  };
  expect(turn("BACKUP")).toEqual([]);
  expect(turn("MASTER").length).toBe(2);
  expect(turn("FAULT")).toEqual(["delete 192.0.2.1:tcp:80"]);
});

test("the sync daemon follows its instance, or both run; they end with us", () => {
  const instance = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 51\n}\n";
  const globals = (line: string): string => `global_defs {\n${line}\n}\n${instance}${PAIR}`;
  const both = new Bench();
  both.read(globals("lvs_sync_daemon eth0 id 3"));
  expect([...both.kernel.daemons.keys()]).toEqual(["master", "backup"]);
  expect(both.read(globals("lvs_sync_daemon eth0 id 3"))).toEqual([]);
  expect(both.read(globals("lvs_sync_daemon eth0 id 4"))).toEqual([
    "stop master",
    "stop backup",
    "start master",
    "start backup",
  ]);
  const one = new Bench();
  one.read(globals("lvs_sync_daemon eth0 inst V"));
  expect(one.kernel.daemons.size).toBe(0);
  one.balancer.hearInstance("V", "BACKUP");
  expect(one.kernel.daemons.get("backup")).toMatchObject({ syncId: 51, link: "eth0" });
  one.balancer.hearInstance("V", "MASTER");
  expect([...one.kernel.daemons.keys()]).toEqual(["master"]);
  one.balancer.shutdown(false);
  expect(one.kernel.daemons.size).toBe(0);
});

test("timeouts are set, and put back when nobody wants them any more", () => {
  const bench = new Bench();
  bench.read(`global_defs {\nlvs_timeouts tcp 100 udp 50\n}\n${PAIR}`);
  expect(bench.kernel.timeouts).toEqual({ tcp: 100, tcpFin: 120, udp: 50 });
  bench.read(`global_defs {\nlvs_timeouts udp 51\n}\n${PAIR}`);
  expect(bench.kernel.timeouts).toEqual({ tcp: 900, tcpFin: 120, udp: 51 });
  bench.read(PAIR);
  expect(bench.kernel.timeouts).toEqual({ tcp: 900, tcpFin: 120, udp: 300 });
});

test("a server that comes back slowly is given its weight step by step", () => {
  const bench = new Bench().load(
    virtualServer(realServer(A, `weight 100\nslow_start 10\n${CHECKED}`)),
  );
  bench.hear(A, false);
  bench.hear(A, true);
  const weights: number[] = [];
  const look = (): void => {
    const entry = bench.kernel.table.get("192.0.2.1:tcp:80")!;
    weights.push([...entry.destinations.values()][0]!.weight);
  };
  look();
  while (bench.alarms.size > 0) {
    const [[alarm, at]] = [...bench.alarms] as [[Alarm, number]];
    bench.alarms.delete(alarm);
    alarm.fire(at);
    bench.balancer.flush();
    look();
  }
  expect(weights[0]).toBe(1);
  expect(weights.at(-1)).toBe(100);
  expect(weights.length).toBe(21);
  expect(weights.toSorted((a, b) => a - b)).toEqual(weights);
});
