/** Texts that hold what outlives a daemon, or hold something else. */

import { expect, test } from "bun:test";
import { prng } from "../../test/support/prng.ts";
import { formatKept, type Kept, parseKept } from "./kept.ts";
import type { StandingOrder } from "./orders.ts";

const [WEB, MARK] = ["[192.0.2.1]:tcp:80", "FWM 7"];
const [A, B] = ["[198.51.100.1]:tcp:80", "[198.51.100.2]:tcp:80"];
const AWAY = { type: "maintenance" } as const;

const order = (service: string, server: string, order: StandingOrder["order"]): StandingOrder => ({
  service,
  server,
  order,
});

const SOME: readonly StandingOrder[] = [
  order(WEB!, A!, { type: "drain" }),
  order(WEB!, B!, { type: "weight", weight: 12 }),
  order(MARK!, A!, AWAY),
];

const ALL: Kept = {
  orders: SOME,
  remains: {
    whereabouts: "here",
    services: ["192.0.2.1:tcp:80", "FWM 7 IPv6"],
    timeouts: { tcp: 900, tcpFin: 120, udp: 300 },
  },
};

test("a text gives back what was put into it, and nothing needs none", () => {
  const bare = { orders: [], remains: { whereabouts: "here", services: [] } };
  for (const kept of [ALL, { orders: SOME }, bare]) {
    expect(parseKept(formatKept(kept)!)).toEqual({ kept, faults: [] });
  }
  expect(formatKept({ orders: [] })).toBeUndefined();
  expect(JSON.parse(formatKept(ALL)!).real_servers[1]).toEqual({
    virtual_server: WEB!,
    real_server: B!,
    order: "weight",
    weight: 12,
  });
});

test("what is wrong in a text is said, and the rest counts", () => {
  const entry = (rest: object): object => ({ virtual_server: WEB!, real_server: A!, ...rest });
  const file = (...real_servers: unknown[]): string => JSON.stringify({ version: 1, real_servers });
  const rows: [text: string, orders: number, faults: number][] = [
    ["", 0, 1],
    ["null", 0, 1],
    ["[]", 0, 1],
    [`{"version":2,"real_servers":[]}`, 0, 1],
    [`{"version":1}`, 0, 1],
    [file(null, 1, "x", [], {}), 0, 5],
    [file(entry({ order: "drain" }), entry({ order: "dance" })), 1, 1],
    [file(entry({ order: "weight" }), entry({ order: "weight", weight: -1 })), 0, 2],
    [file(entry({ order: "weight", weight: "3" }), entry({ order: "weight", weight: 3 })), 1, 1],
    [file(entry({ order: "drain" }), entry({ order: "maintenance" })), 1, 0],
  ];
  for (const [text, orders, faults] of rows) {
    const { kept, faults: said } = parseKept(text);
    expect([text, kept.orders.length, said.length]).toEqual([text, orders, faults]);
  }
  expect(parseKept(file(1)).faults).toEqual(["has no order in entry 1 of real_servers"]);
  expect(parseKept(file(entry({ order: "drain" }), entry({ order: "maintenance" }))).kept.orders)
    .toEqual([order(WEB!, A!, AWAY)]);
});

test("remains that are none do not count, and orders beside them do", () => {
  const whole = JSON.parse(formatKept(ALL)!);
  const { services, whereabouts, timeouts } = whole.remains;
  const rows: unknown[] = [
    null,
    7,
    {},
    { services },
    { whereabouts, services: [7] },
    { whereabouts: 7, services },
    { whereabouts, services, timeouts: { ...timeouts, udp: -1 } },
    { whereabouts, services, timeouts: { tcp: 1, udp: 2 } },
    { whereabouts, services, timeouts: "soon" },
  ];
  for (const remains of rows) {
    expect(parseKept(JSON.stringify({ ...whole, remains }))).toEqual({
      kept: { orders: SOME },
      faults: ["has remains that are none"],
    });
  }
});

test("no text at all makes reading fail, and what is read is always an order", () => {
  const whole = formatKept(ALL)!;
  const seed = 7;
  const random = prng(seed);
  for (let i = 0; i < 2000; i++) {
    const at = random.integer(0, whole.length - 1);
    const text = i % 2 === 0
      ? whole.slice(0, at)
      : whole.slice(0, at) + String.fromCharCode(random.integer(0, 127)) + whole.slice(at + 1);
    for (const one of parseKept(text).kept.orders) {
      expect(["drain", "maintenance", "weight"]).toContain(one.order.type);
      expect([seed, typeof one.service, typeof one.server]).toEqual([seed, "string", "string"]);
    }
  }
});
