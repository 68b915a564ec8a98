/** What virtual servers ask to be checked, and what results make of weights. */

import { expect, test } from "bun:test";
import type { Check, RealServer, TcpCheck, VirtualServer } from "../config/lvs.ts";
import type { Balanced } from "./changes.ts";
import { dependsOnAddresses, plannedChecks, type Services, WeightSums } from "./checking.ts";
import type { CheckResult, PlannedCheck } from "./probes.ts";
import type { Pool } from "./quorum.ts";

const TCP = { type: "TCP_CHECK" } as TcpCheck;
const SSL = { type: "SSL_GET" } as unknown as Check;
const FILE: Check = { type: "FILE_CHECK", track_file: "f", reverse: false };

/** All that a check says, but for what is the same for all. */
function told(planned: PlannedCheck): Omit<PlannedCheck, "ssl"> {
  const { service, server, index, virtualServer, realServer } = planned;
  const { check, serverWeight, isUp, isSuspended, file } = planned;
  return {
    service,
    server,
    index,
    virtualServer,
    realServer,
    check,
    serverWeight,
    isUp,
    isSuspended,
    ...(file === undefined ? {} : { file }),
  };
}

function balanced(server: Partial<VirtualServer>, rest: Partial<Balanced> = {}): Balanced {
  return {
    name: "[10.0.0.1]:tcp:80",
    server: {
      target: { type: "address", address: "10.0.0.1", port: 80 },
      protocol: "TCP",
      ha_suspend: false,
      real_servers: [],
      ...server,
    } as unknown as VirtualServer,
    entries: [],
    ...rest,
  };
}

function real(address: string, checks: readonly Check[], weight = 1): RealServer {
  return { address, port: 80, weight, checks } as unknown as RealServer;
}

function services(all: Readonly<Record<string, Balanced>>): Services {
  return new Map(
    Object.entries(all).map(([key, one]) => [key, { balanced: one, pool: poolOf(one) }]),
  );
}

/** The second check of the first server fails. */
function poolOf({ server: { real_servers } }: Balanced): Pool {
  const servers = real_servers.map((_, i) => ({ failing: i === 0 ? [1] : [], weight: 1 }));
  return { hasQuorum: true, servers };
}
const anywhere = (): boolean => true;

test("every check of every server is planned, with the names of log lines", () => {
  const real_servers = [
    real("10.0.0.2", [TCP, SSL]),
    real("10.0.0.3", []),
    real("10.0.0.4", [FILE], 7),
  ];
  const globals = { ssl: { ca: "/ca" }, files: { f: { weight: 2, reverse: true } } };
  const planned = plannedChecks(services({ k: balanced({ real_servers }) }), globals, anywhere);
  const common = { service: "k", virtualServer: "[10.0.0.1]:tcp:80", isSuspended: false };
  const first = {
    ...common,
    server: "10.0.0.2 80",
    realServer: "[10.0.0.2]:tcp:80",
    serverWeight: 1,
  };
  expect(planned.map(told)).toEqual([
    { ...first, index: 0, check: TCP, isUp: true },
    { ...first, index: 1, check: SSL, isUp: false },
    {
      ...common,
      server: "10.0.0.4 80",
      realServer: "[10.0.0.4]:tcp:80",
      serverWeight: 7,
      index: 0,
      check: FILE,
      isUp: true,
      file: { weight: 2, reverse: true },
    },
  ]);
  expect(planned[1]!.ssl).toEqual({ ca: "/ca" });
});

test("with ha_suspend a service is checked only where one of its addresses is", () => {
  const real_servers = [real("10.0.0.2", [TCP])];
  const isSuspended = (one: Balanced, here: readonly string[]): boolean =>
    plannedChecks(services({ k: one }), {}, (address) => here.includes(address))[0]!.isSuspended;
  const own = balanced({ ha_suspend: true, real_servers });
  expect([isSuspended(own, []), isSuspended(own, ["10.0.0.1"])]).toEqual([true, false]);
  expect(isSuspended(balanced({ real_servers }), [])).toBeFalse();
  const group = balanced(
    { ha_suspend: true, real_servers, target: { type: "group", group: "g" } },
    {
      entries: [
        { type: "address", address: "10.1.0.1", port: 80 },
        { type: "range", first: "10.2.0.1", last: "10.2.0.9", port: 80 },
        { type: "fwmark", fwmark: 3 },
      ],
    },
  );
  expect([[], ["10.1.0.1"], ["10.2.0.1"], ["10.0.0.1"]].map((here) => isSuspended(group, here)))
    .toEqual([true, false, false, true]);
  expect([own, balanced({}), group].map(({ server }) => dependsOnAddresses(server))).toEqual([
    true,
    false,
    true,
  ]);
});

test("what several checks add to a weight is added up, and never falls below 0", () => {
  const all = services({
    k: balanced({ real_servers: [real("10.0.0.2", [FILE, FILE, TCP], 10)] }),
  });
  const sums = new WeightSums();
  const result = (index: number, weight?: number): CheckResult => ({
    service: "k",
    server: "10.0.0.2 80",
    index,
    isUp: true,
    why: "",
    latencyUs: 0,
    changedAt: 0,
    ...(weight === undefined ? {} : { weight }),
  });
  const weightAfter = (index: number, weight?: number): number | undefined =>
    sums.findingOf(all, result(index, weight))?.weight;
  expect(weightAfter(2)).toBeUndefined();
  expect(weightAfter(0, 5)).toBe(15);
  expect(weightAfter(1, 3)).toBe(18);
  expect(weightAfter(2)).toBe(18);
  expect(weightAfter(0, -100)).toBe(0);
  expect(weightAfter(0, 2 ** 40)).toBe(2_147_483_647);
  sums.retain(plannedChecks(all, {}, anywhere).filter(({ index }) => index !== 0));
  expect(weightAfter(1, 4)).toBe(14);
  expect(sums.findingOf(services({}), result(1, 1))).toBeUndefined();
});
