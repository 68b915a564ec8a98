/** The role's heart over a kernel that counts and refuses: what is asked of it, how often, and what is told. */

import { expect, test } from "bun:test";
import { balancingOf, fleet, realServer, virtualServer } from "../../test/support/balancing.ts";
import { FakeIpvs } from "../../test/support/fake_ipvs.ts";
import { asIpvsadmSaves } from "../../test/support/ipvs.ts";
import { formatAddress } from "../lib/address.ts";
import type { Alarm } from "../loop.ts";
import type { IpvsTimeouts } from "../netlink/ipvs_control.ts";
import type { FromCheckers } from "../parent/checkers_channel.ts";
import { Balancer, type BalancerParts } from "./balancer.ts";
import { type Balancing, diffLvs, type LvsChange } from "./changes.ts";
import { KnownPools } from "./known.ts";
import { assignMarks } from "./marks.ts";
import { Mirror } from "./mirror_perform.ts";
import type { Order } from "./orders.ts";
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
  readonly mirror: Mirror;
  readonly balancer: Balancer;
  #config: Balancing | undefined;

  /** `marked`: a kernel that marks packets of IPv4, and is told what. */
  constructor(
    kernel = new FakeIpvs(),
    keep?: (before: IpvsTimeouts) => void,
    marked?: string[],
  ) {
    this.kernel = kernel;
    const mirror = new Mirror(new Ipvs(kernel), (_, text) => this.refusals.push(text), keep);
    this.mirror = mirror;
    const loop = {
      schedule: (alarm: Alarm, at: number): void => void this.alarms.set(alarm, at),
    };
    const openMarking = (): ReturnType<NonNullable<BalancerParts["openMarking"]>> => ({
      configure: (settings) => void marked!.push(settings?.table ?? "nothing"),
      canMark: (families) => !families.includes(6),
      mark: (ranges) => {
        const shown = ranges.map(({ first, port, mark }) =>
          `${formatAddress(first)} ${port} ${mark}`
        );
        marked!.push(`${shown} (${kernel.asked.length} asked)`);
      },
      stop: () => {},
    });
    const say = (message: FromCheckers): void => void this.said.push(message);
    this.balancer = new Balancer({ loop, mirror, openMarking, say });
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
    const config = balancingOf(text);
    const next = { ...config, marks: assignMarks(config, this.#config?.marks) };
    this.balancer.configure(diffLvs(this.#config, next));
    this.#config = next;
    this.balancer.flush();
    return this.kernel.asked.splice(0);
  }

  /** Gives orders for servers by their addresses; what the kernel was asked for. */
  obey(orders: Readonly<Record<string, Order>>, now = 0): string[] {
    this.balancer.obey(
      Object.entries(orders).map(([address, order]) => ({
        service: VS,
        server: `[${address}]:tcp:80`,
        order,
      })),
      now,
    );
    this.balancer.flush();
    return this.kernel.asked.splice(0);
  }

  /** The weights in the kernel, by address. */
  weights(): Record<string, number> {
    const { destinations } = this.kernel.table.get("192.0.2.1:tcp:80")!;
    return Object.fromEntries(
      [...destinations].map(([id, { weight }]) => [id.slice(0, id.indexOf(":")), weight]),
    );
  }

  /** Lets the time pass until nothing is to come; what `look` says after each step. */
  pass<T>(look: () => T): T[] {
    const seen: T[] = [];
    for (;;) {
      const due = [...this.alarms].filter(([, at]) => at !== Infinity);
      if (due.length === 0) return seen;
      const [[alarm, at]] = due as [[Alarm, number]];
      this.alarms.delete(alarm);
      alarm.fire(at);
      this.balancer.flush();
      seen.push(look());
    }
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
    {
      type: "quorum",
      isUp: true,
      service: VS,
      key: VS,
      mail: "Starting with quorum up 1+0=1 <= 2",
    },
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

test("a check is told of when it changes its mind, also when its server does not", () => {
  const bench = new Bench().load(PAIR);
  const hear = (check: number, isUp: boolean, mail?: string): readonly FromCheckers[] => {
    bench.said.length = 0;
    const finding = { server: A, check, isUp, ...(mail === undefined ? {} : { mail }) };
    bench.balancer.hear(VS, finding, 0);
    bench.balancer.flush();
    return bench.said.filter(({ type }) => type === "real-server" || type === "check");
  };
  const of = { service: VS, server: "[198.51.100.1]:tcp:80" } as const;
  const gone = { type: "real-server", ...of, isUp: false } as const;
  const check = { type: "check", ...of, isUp: false } as const;
  expect(hear(0, false, "one")).toEqual([gone, { ...check, isChange: true, mail: "one" }]);
  expect(hear(1, false, "two")).toEqual([{ ...check, isChange: false, mail: "two" }]);
  expect(hear(0, true, "three")).toEqual([{ ...check, isChange: false, mail: "three" }]);
  expect(hear(1, true)).toEqual([{ ...gone, isUp: true }]);
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

test("answers that were lost about one service leave the others alone", () => {
  const bench = new Bench().load(PAIR + virtualServer(realServer(A), "192.0.2.2 80"));
  bench.kernel.failNext = ENOBUFS;
  expect(bench.hear(A, false)).toEqual(["delete 192.0.2.1:tcp:80 198.51.100.1:80"]);
  expect(bench.saved().length).toBe(4);
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
  const weight = (): number => bench.weights()["198.51.100.1"]!;
  const weights = [weight(), ...bench.pass(weight)];
  expect(weights[0]).toBe(1);
  expect(weights.at(-1)).toBe(100);
  expect(weights.length).toBe(21);
  expect(weights.toSorted((a, b) => a - b)).toEqual(weights);
});

test("a server that fails while it starts slowly begins anew", () => {
  const bench = new Bench().load(
    virtualServer(realServer(A, `weight 100\nslow_start 10\n${CHECKED}`)),
  );
  const weight = (): number | undefined => bench.weights()["198.51.100.1"];
  const step = (): number => {
    const [[alarm, at]] = [...bench.alarms].filter(([, at]) => at !== Infinity) as [
      [Alarm, number],
    ];
    bench.alarms.delete(alarm);
    alarm.fire(at);
    bench.balancer.flush();
    return at;
  };
  bench.hear(A, false);
  bench.hear(A, true);
  let now = 0;
  for (let i = 0; i < 10; i++) now = step();
  expect(weight()).toBe(50);
  bench.hear(A, false);
  bench.balancer.hear(VS, { server: A, check: 0, isUp: true }, now);
  bench.balancer.flush();
  expect(weight()).toBe(1);
  step();
  expect(weight()).toBe(5);
  expect(bench.pass(weight).at(-1)).toBe(100);
});

const HEAVY = virtualServer(
  realServer(A, `weight 100\nslow_start 10\n${CHECKED}`) + realServer(B, CHECKED),
);
const [HOST_A, HOST_B] = ["198.51.100.1", "198.51.100.2"];

test("an order is one message, and is lifted like that", () => {
  const bench = new Bench().load(PAIR);
  const about = `192.0.2.1:tcp:80 ${HOST_A}:80`;
  expect(bench.obey({ [HOST_A!]: { type: "drain" } })).toEqual([`set ${about}`]);
  expect(bench.weights()).toEqual({ [HOST_A!]: 0, [HOST_B!]: 1 });
  expect(bench.obey({ [HOST_A!]: { type: "drain" } })).toEqual([]);
  expect(bench.obey({ [HOST_A!]: { type: "maintenance" } })).toEqual([`delete ${about}`]);
  expect(bench.obey({ [HOST_A!]: { type: "weight", weight: 8 } })).toEqual([`new ${about}`]);
  expect(bench.weights()[HOST_A!]).toBe(8);
  // What checks say of it waits until it is enabled.
  expect(bench.hear(A, true, 3)).toEqual([]);
  expect(bench.obey({})).toEqual([`set ${about}`]);
  expect(bench.weights()[HOST_A!]).toBe(3);
  expect(bench.obey({ "198.51.100.77": { type: "drain" } })).toEqual([]);
});

test("orders hold for what a reload brings, too, and for a service that comes later", () => {
  const bench = new Bench();
  bench.obey({ [HOST_A!]: { type: "drain" }, [HOST_B!]: { type: "maintenance" } });
  bench.read(virtualServer(realServer(A)));
  expect(bench.weights()).toEqual({ [HOST_A!]: 0 });
  expect(bench.read(virtualServer(realServer(A) + realServer(B)))).toEqual([]);
  bench.read("");
  bench.read(virtualServer(realServer(B) + realServer(A)));
  expect(bench.weights()).toEqual({ [HOST_A!]: 0 });
});

test("a server that is enabled starts slowly, one whose weight is ordered otherwise does not", () => {
  const bench = new Bench().load(HEAVY);
  const weight = (): number => bench.weights()[HOST_A!]!;
  for (const type of ["drain", "maintenance"] as const) {
    bench.obey({ [HOST_A!]: { type } });
    bench.obey({});
    expect(weight()).toBe(1);
    expect(bench.pass(weight).at(-1)).toBe(100);
  }
  bench.obey({ [HOST_A!]: { type: "weight", weight: 60 } });
  expect(weight()).toBe(60);
  bench.obey({});
  expect(weight()).toBe(100);
  // One that fails its checks is not back when its order is lifted, but when it recovers.
  bench.obey({ [HOST_A!]: { type: "maintenance" } });
  bench.hear(A, false);
  bench.obey({});
  expect(bench.weights()).toEqual({ [HOST_B!]: 1 });
  bench.hear(A, true);
  expect(weight()).toBe(1);
});

test("who takes over from a role that has died does not touch the table, and tells nothing twice", () => {
  const text = virtualServer(
    `quorum 3\nhysteresis 2\nsorry_server 198.51.100.9 80\n${
      realServer(A, `weight 3\n${CHECKED}`) +
      realServer(B, `weight 3\ninhibit_on_failure\n${CHECKED}${CHECKED}`)
    }`,
  );
  const config = balancingOf(text);
  const known = new KnownPools();
  const take = (bench: Bench, changes: readonly LvsChange[]): void => {
    bench.balancer.configure(changes);
    bench.balancer.flush();
    for (const one of bench.said) {
      if (one.type === "health" || one.type === "quorum") known.hear(one);
    }
  };
  const first = new Bench();
  known.follow(diffLvs(undefined, config));
  take(first, diffLvs(undefined, config));
  first.hear(A, true, 7);
  first.hear(B, false);
  take(first, []);
  const saved = first.saved();
  expect(saved).toContain(`-a -t 192.0.2.1:80 -r ${HOST_B}:80 -m -w 0`);
  first.kernel.asked.length = 0;

  const second = new Bench(first.kernel);
  take(second, known.brief(diffLvs(undefined, config)));
  expect(second.kernel.asked).toEqual([]);
  expect(second.saved()).toEqual(saved);
  expect(second.said).toEqual([]);
  // And it goes on from there.
  second.hear(A, false);
  take(second, []);
  const third = new Bench(first.kernel);
  third.kernel.asked.length = 0;
  take(third, known.brief(diffLvs(undefined, config)));
  expect([third.kernel.asked, third.said]).toEqual([[], []]);
  expect(third.saved()).toContain("-a -t 192.0.2.1:80 -r 198.51.100.9:80 -m -w 1");
  third.hear(B, true);
  expect(third.saved().length).toBe(3);
});

test("what a reload changes of a server's health is known to who takes over", () => {
  const bench = new Bench().load(PAIR);
  bench.hear(A, false);
  bench.said.length = 0;
  bench.read(virtualServer(realServer(A, CHECKED.replace("{", "{\nconnect_port 81"))));
  expect(bench.said.filter((one) => one.type === "health")).toEqual([
    { type: "health", key: VS, server: A, health: { failing: [], weight: 1 } },
    { type: "health", key: VS, server: B },
  ]);
});

test("services that a predecessor has left go unless they are wanted; of others nothing is known", () => {
  const kernel = new Bench().load(
    PAIR + virtualServer(realServer(A), "192.0.2.2 80") +
      virtualServer(realServer(A), "192.0.2.3 80"),
  ).kernel;
  const bench = new Bench(kernel);
  bench.balancer.adopt(["192.0.2.1:tcp:80", "192.0.2.2:tcp:80", "FWM 9"]);
  expect(bench.read(PAIR)).toEqual(["delete 192.0.2.2:tcp:80"]);
  expect([...kernel.table.keys()]).toEqual(["192.0.2.1:tcp:80", "192.0.2.3:tcp:80"]);
});

test("what the timeouts were before is kept over the death of a role", () => {
  const text = `global_defs {\nlvs_timeouts tcp 100\n}\n${PAIR}`;
  const kept: IpvsTimeouts[] = [];
  const first = new Bench(new FakeIpvs(), (before) => kept.push(before));
  first.read(text);
  expect(kept).toEqual([{ tcp: 900, tcpFin: 120, udp: 300 }]);
  expect(first.kernel.timeouts.tcp).toBe(100);
  const second = new Bench(first.kernel, (before) => kept.push(before));
  second.mirror.inheritTimeouts(kept[0]!);
  second.read(text.replace("tcp 100", "tcp 50"));
  second.balancer.shutdown(true);
  expect(second.kernel.timeouts).toEqual({ tcp: 900, tcpFin: 120, udp: 300 });
  expect(kept.length).toBe(1);
});

test("a group is a service by its mark, where packets can be marked; what is marked comes after it", () => {
  const marked: string[] = [];
  const bench = new Bench(new FakeIpvs(), undefined, marked);
  const marking = "global_defs {\nnftables_ipvs\n}\n";
  const group = (name: string, members: string, server = A): string =>
    `virtual_server_group ${name} {\n${members}\n}\n` +
    virtualServer(realServer(server), `group ${name}`);
  const four = group("G", "192.0.2.1 80\n192.0.2.2 81");
  const six = group("H", "2001:db8::1 80", "2001:db8::99 80");
  expect(bench.read(marking + four + six)).toEqual([
    "new FWM 1000",
    "new FWM 1000 198.51.100.1:80",
    "new [2001:db8::1]:tcp:80",
    "new [2001:db8::1]:tcp:80 [2001:db8::99]:80",
  ]);
  const both = "192.0.2.1 80 1000,192.0.2.2 81 1000";
  expect(marked.splice(0)).toEqual(["keepalived_ipvs", `${both} (4 asked)`]);
  expect(bench.read(marking + four + six)).toEqual([]);
  // Only what is marked is different: the service is the same.
  const more = group("G", "192.0.2.1 80\n192.0.2.2 81\n192.0.2.3 82");
  expect(bench.read(marking + more + six)).toEqual([]);
  expect(marked.splice(0)).toEqual([`${both},192.0.2.3 82 1000 (0 asked)`]);
  expect(bench.read(four + six)).toEqual([
    "delete FWM 1000",
    "new 192.0.2.1:tcp:80",
    "new 192.0.2.1:tcp:80 198.51.100.1:80",
    "new 192.0.2.2:tcp:81",
    "new 192.0.2.2:tcp:81 198.51.100.1:80",
  ]);
  expect(marked.splice(0)).toEqual(["nothing", " (5 asked)"]);
});

test("at the end nothing is marked any more, unless the services stay", () => {
  for (const keeps of [false, true]) {
    const marked: string[] = [];
    const bench = new Bench(new FakeIpvs(), undefined, marked);
    const group = "virtual_server_group G {\n192.0.2.1 80\n}\n";
    bench.read(
      `global_defs {\nnftables_ipvs\n}\n${group}${virtualServer(realServer(A), "group G")}`,
    );
    marked.length = 0;
    bench.balancer.shutdown(keeps);
    expect(marked).toEqual(keeps ? [] : [" (1 asked)"]);
  }
});
