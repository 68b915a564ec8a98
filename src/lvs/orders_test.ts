/** Orders: who is meant, and what stands afterwards. */

import { expect, test } from "bun:test";
import { balancedOf, realServer, virtualServer } from "../../test/support/balancing.ts";
import {
  byService,
  namesOf,
  type OrderRequest,
  rule,
  sortOut,
  type StandingOrder,
} from "./orders.ts";

const [WEB, MAIL, MARK] = ["[192.0.2.1]:tcp:80", "[192.0.2.1]:tcp:25", "FWM 7"];
const [A, B] = ["[198.51.100.1]:tcp:80", "[198.51.100.2]:tcp:80"];
const FULL = { type: "enable" } as const;
const DRAIN = { type: "drain" } as const;
const AWAY = { type: "maintenance" } as const;

const NAMES = namesOf(
  balancedOf(
    virtualServer(realServer("198.51.100.1 80") + realServer("198.51.100.2 80")) +
      virtualServer(realServer("198.51.100.1 80"), "192.0.2.1 25") +
      virtualServer(realServer("198.51.100.3 0"), "fwmark 7", "lb_algo rr\nlb_kind DR"),
  ),
);

const order = (service: string, server: string, order: StandingOrder["order"]): StandingOrder => ({
  service,
  server,
  order,
});

test("servers are named as the log names them", () => {
  expect([...NAMES.values()].map(({ name, servers }) => [name, ...servers])).toEqual([
    [WEB!, A!, B!],
    [MAIL!, A!],
    [MARK!, "[198.51.100.3]:none:0"],
  ]);
});

test("an order stands until another one takes its place or it is lifted", () => {
  const given = (requests: readonly OrderRequest[]): readonly StandingOrder[] => {
    let orders: readonly StandingOrder[] = [];
    for (const request of requests) {
      const ruling = rule(NAMES, orders, request);
      if (!ruling.isGranted) throw new Error(ruling.why);
      orders = ruling.orders;
    }
    return orders;
  };
  const drainA: OrderRequest = { service: WEB!, server: A!, wanted: DRAIN };
  expect(given([drainA])).toEqual([order(WEB!, A!, DRAIN)]);
  expect(given([drainA, drainA])).toEqual([order(WEB!, A!, DRAIN)]);
  expect(given([drainA, { ...drainA, wanted: AWAY }])).toEqual([order(WEB!, A!, AWAY)]);
  expect(given([drainA, { service: WEB!, server: A!, wanted: FULL }])).toEqual([]);
  // Of one that has none this changes nothing either.
  expect(given([{ ...drainA, wanted: FULL }])).toEqual([]);
  // Without a service all that have the server are meant.
  expect(given([{ server: A!, wanted: AWAY }])).toEqual([
    order(WEB!, A!, AWAY),
    order(MAIL!, A!, AWAY),
  ]);
  expect(
    given([
      { server: A!, wanted: AWAY },
      { service: WEB!, server: B!, wanted: { type: "weight", weight: 0 } },
      { service: MAIL!, server: A!, wanted: FULL },
    ]),
  ).toEqual([order(WEB!, A!, AWAY), order(WEB!, B!, { type: "weight", weight: 0 })]);
});

test("who asks for what there is not is told what there is", () => {
  const refusal = (request: OrderRequest): unknown => {
    const ruling = rule(NAMES, [], request);
    return ruling.isGranted ? ruling : [ruling.why, ...ruling.known];
  };
  expect(refusal({ service: "[192.0.2.9]:tcp:80", server: A!, wanted: DRAIN })).toEqual([
    "no virtual server [192.0.2.9]:tcp:80",
    WEB!,
    MAIL!,
    MARK!,
  ]);
  expect(refusal({ service: MAIL!, server: B!, wanted: DRAIN })).toEqual([
    `no real server ${B} in virtual server ${MAIL}`,
    A!,
  ]);
  expect(refusal({ server: "198.51.100.1", wanted: FULL })).toEqual([
    "no real server 198.51.100.1",
    A!,
    B!,
    "[198.51.100.3]:none:0",
  ]);
  for (const weight of [-1, 1.5, NaN, 2 ** 31, "7" as unknown as number]) {
    expect(refusal({ server: A!, wanted: { type: "weight", weight } })).toEqual([
      `weight ${weight} is no whole number from 0 to 2147483647`,
    ]);
  }
});

test("orders of what is configured no more are told from the others", () => {
  const [kept, gone, lost] = [
    order(WEB!, A!, DRAIN),
    order(MAIL!, B!, DRAIN),
    order("FWM 8", A!, AWAY),
  ];
  expect(sortOut(NAMES, [gone!, kept!, lost!])).toEqual({ kept: [kept!], dropped: [gone!, lost!] });
});

test("the orders of a service are found by its servers", () => {
  const all = byService([order(WEB!, A!, DRAIN), order(MARK!, A!, AWAY), order(WEB!, B!, AWAY)]);
  expect([...all.keys()]).toEqual([WEB!, MARK!]);
  expect([...all.get(WEB!)!]).toEqual([[A!, DRAIN], [B!, AWAY]]);
});

test("an order stays with its service when another one comes before that in its group", () => {
  const group = "virtual_server_group G {\n192.0.2.1 80\n}\n";
  const tcp = virtualServer(realServer("198.51.100.1 80"), "group G");
  const udp = tcp.replace("protocol TCP", "protocol UDP");
  const [one, both] = [group + tcp, group + udp + tcp].map((text) => namesOf(balancedOf(text)));
  const given = rule(one!, [], { service: "[G]:0", server: A!, wanted: DRAIN });
  if (!given.isGranted) throw new Error(given.why);
  expect(given.servers).toEqual([{ service: "[G]:0", server: A! }]);
  const { kept } = sortOut(both!, given.orders);
  expect(kept.length).toBe(1);
  const lifted = rule(both!, kept, { service: "[G]:1", server: A!, wanted: FULL });
  expect(lifted).toMatchObject({ isGranted: true, orders: [] });
});

test("blocks of one address share a name, and an order", () => {
  const block = virtualServer(realServer("198.51.100.1 80"));
  const names = namesOf(balancedOf(block + block));
  const given = rule(names, [], { service: WEB!, server: A!, wanted: AWAY });
  expect(given).toMatchObject({ isGranted: true, servers: [{ service: WEB! }, { service: WEB! }] });
  const orders = given.isGranted ? given.orders : [];
  expect(orders.map(({ service }) => service)).toEqual([WEB!, `${WEB} #2`]);
  // One of them alone has a key.
  const second = rule(names, orders, { service: `${WEB} #2`, server: A!, wanted: FULL });
  expect(second).toMatchObject({ orders: [orders[0]!] });
});
