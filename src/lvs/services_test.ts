/** What configurations want of IPVS, in the words of `ipvsadm -Sn`. */

import { expect, test } from "bun:test";
import {
  balancedOf,
  onlyBalanced,
  realServer,
  virtualServer,
} from "../../test/support/balancing.ts";
import { asIpvsadmSaves } from "../../test/support/ipvs.ts";
import { formatAddress, parseAddress } from "../lib/address.ts";
import type { Order } from "./orders.ts";
import { hear, start } from "./quorum.ts";
import { addressesBetween, servicesOf, WantedEntry } from "./services.ts";

/** The table of a configuration at its start, after these servers have failed. */
function saved(text: string, ...failed: string[]): string[] {
  return [...balancedOf(text).values()].flatMap((balanced) => {
    let { pool } = start(balanced);
    for (const server of failed) {
      ({ pool } = hear(balanced, pool, { server, check: 0, isUp: false }));
    }
    return servicesOf(balanced).flatMap((service) => {
      const { destinations } = new WantedEntry(service, [{ balanced, pool }]);
      return asIpvsadmSaves(service, [...destinations.values()]);
    });
  });
}

const A = "198.51.100.1 80";
const B = "198.51.100.2 80";

const ROWS: readonly [what: string, text: string, saves: string[]][] = [
  ["NAT to another port", virtualServer(realServer("198.51.100.1 8080", "weight 3")), [
    "-A -t 192.0.2.1:80 -s rr",
    "-a -t 192.0.2.1:80 -r 198.51.100.1:8080 -m -w 3",
  ]],
  [
    "flags, persistence and a mask",
    virtualServer(
      `persistence_timeout 50\npersistence_granularity 255.255.255.0\n${realServer()}`,
      "192.0.2.1 80",
      "lb_algo sh\nsh-port\nsh-fallback\nlb_kind DR\nprotocol UDP\nops",
    ),
    [
      "-A -u 192.0.2.1:80 -s sh -p 50 -M 255.255.255.0 -o -b sh-fallback,sh-port",
      "-a -u 192.0.2.1:80 -r 198.51.100.1:80 -g -w 1",
    ],
  ],
  [
    "flags by number, an engine, SCTP",
    virtualServer(
      `persistence_engine sip\nflag-1\nflag-3\n${realServer()}`,
      "192.0.2.1 80",
      "lb_algo wlc\nlb_kind NAT\nprotocol SCTP",
    ),
    [
      "-A --sctp-service 192.0.2.1:80 -s wlc --pe sip -b flag-1,flag-3",
      "-a --sctp-service 192.0.2.1:80 -r 198.51.100.1:80 -m -w 1",
    ],
  ],
  [
    "tunnels of every kind",
    virtualServer(
      realServer(A, "lvs_method TUN") + realServer(B, "lvs_method TUN type gue port 6080 csum") +
        realServer("198.51.100.3 80", "lvs_method TUN type gre"),
    ),
    [
      "-A -t 192.0.2.1:80 -s rr",
      "-a -t 192.0.2.1:80 -r 198.51.100.1:80 -i -w 1 --tun-type ipip",
      "-a -t 192.0.2.1:80 -r 198.51.100.2:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
      "-a -t 192.0.2.1:80 -r 198.51.100.3:80 -i -w 1 --tun-type gre --tun-nocsum",
    ],
  ],
  [
    "IPv6, persistent for a prefix",
    virtualServer(
      `persistence_timeout\npersistence_granularity 64\n${realServer("2001:db8::1:1 80")}`,
      "2001:db8::1 80",
    ),
    [
      "-A -t [2001:db8::1]:80 -s rr -p 360 -M 64",
      "-a -t [2001:db8::1]:80 -r [2001:db8::1:1]:80 -m -w 1",
    ],
  ],
  [
    "firewall marks of either family; without NAT a mark has no port",
    virtualServer(realServer("198.51.100.1 80"), "fwmark 7", "lb_algo rr\nlb_kind DR") +
    virtualServer(realServer("2001:db8::1 80"), "fwmark 7", "lb_algo rr\nlb_kind NAT"),
    [
      "-A -f 7 -s rr",
      "-a -f 7 -r 198.51.100.1:0 -g -w 1",
      "-A -f 7 -6 -s rr",
      "-a -f 7 -6 -r [2001:db8::1]:80 -m -w 1",
    ],
  ],
  [
    "a group: each member is a service; only NAT keeps a port of its own",
    "virtual_server_group G {\n192.0.2.1 80\n192.0.2.2-3 81\nfwmark 5\n}\n" +
    virtualServer(
      realServer("198.51.100.1 8080") + realServer("198.51.100.2 80", "lvs_method DR"),
      "group G",
    ),
    ["-t 192.0.2.1:80", "-t 192.0.2.2:81", "-t 192.0.2.3:81", "-f 5"].flatMap((name) => [
      `-A ${name} -s rr`,
      `-a ${name} -r 198.51.100.1:8080 -m -w 1`,
      `-a ${name} -r 198.51.100.2:${name === "-f 5" ? 0 : name.slice(-2)} -g -w 1`,
    ]),
  ],
];

for (const [what, text, saves] of ROWS) {
  test(what, () => expect(saved(text)).toEqual(saves));
}

const CHECKED = "TCP_CHECK {\n}";
const LINE = "-A -t 192.0.2.1:80 -s rr";
const dest = (address: string, weight: number): string =>
  `-a -t 192.0.2.1:80 -r ${address}:80 -m -w ${weight}`;

test("a failed server is gone, or has weight 0; a sorry server takes the place of all", () => {
  const pair = realServer(A, CHECKED) + realServer(B, `inhibit_on_failure\n${CHECKED}`);
  const sorry = "sorry_server 198.51.100.9 80\n";
  const inhibited = `${sorry}sorry_server_inhibit\n`;
  const quorum = "quorum 2\n";
  const rows: [lines: string, failed: string[], saves: string[]][] = [
    ["", [A], [LINE, dest("198.51.100.2", 1)]],
    ["", [B], [LINE, dest("198.51.100.1", 1), dest("198.51.100.2", 0)]],
    ["", [A, B], [LINE, dest("198.51.100.2", 0)]],
    [quorum, [A], [LINE, dest("198.51.100.2", 1)]],
    [quorum + sorry, [A], [LINE, dest("198.51.100.2", 0), dest("198.51.100.9", 1)]],
    [quorum + sorry, [B], [LINE, dest("198.51.100.2", 0), dest("198.51.100.9", 1)]],
    [inhibited, [], [
      LINE,
      dest("198.51.100.1", 1),
      dest("198.51.100.2", 1),
      dest("198.51.100.9", 0),
    ]],
    [inhibited, [A, B], [LINE, dest("198.51.100.2", 0), dest("198.51.100.9", 1)]],
  ];
  for (const [lines, failed, saves] of rows) {
    expect([lines, ...saved(virtualServer(lines + pair), ...failed)]).toEqual([lines, ...saves]);
  }
});

test("drained servers stay in the table whoever stands in, those in maintenance never", () => {
  const table = (text: string, orders: Readonly<Record<string, Order>>): string[] => {
    const balanced = onlyBalanced(text);
    const named = Object.entries(orders).map(([key, order]) =>
      [`[${key.split(" ")[0]}]:tcp:80`, order] as const
    );
    const { pool } = start(balanced, { orders: new Map(named) });
    return servicesOf(balanced).flatMap((service) =>
      asIpvsadmSaves(service, [
        ...new WantedEntry(service, [{ balanced, pool }]).destinations.values(),
      ])
    );
  };
  const [drain, away] = [{ type: "drain" }, { type: "maintenance" }] as const;
  const heavy = { type: "weight", weight: 40 } as const;
  const pair = realServer(A, CHECKED) + realServer(B, `inhibit_on_failure\n${CHECKED}`);
  const plain = virtualServer(pair);
  const sorry = virtualServer(`sorry_server 198.51.100.9 80\n${pair}`);
  const [a, b] = ["198.51.100.1", "198.51.100.2"];
  expect(table(plain, { [A]: drain })).toEqual([LINE, dest(a!, 0), dest(b!, 1)]);
  expect(table(plain, { [A]: away })).toEqual([LINE, dest(b!, 1)]);
  expect(table(plain, { [B]: away })).toEqual([LINE, dest(a!, 1)]);
  expect(table(plain, { [A]: heavy, [B]: drain })).toEqual([LINE, dest(a!, 40), dest(b!, 0)]);
  expect(table(sorry, { [A]: drain, [B]: drain })).toEqual([
    LINE,
    dest(a!, 0),
    dest(b!, 0),
    dest("198.51.100.9", 1),
  ]);
  expect(table(sorry, { [A]: drain, [B]: away })).toEqual([
    LINE,
    dest(a!, 0),
    dest("198.51.100.9", 1),
  ]);
  expect(table(sorry, { [A]: away, [B]: away })).toEqual([LINE, dest("198.51.100.9", 1)]);
  // One that is down is what it is without an order.
  const alpha = virtualServer(
    realServer(A, CHECKED.replace("{", "{\nalpha")) +
      realServer(B, `inhibit_on_failure\n${CHECKED.replace("{", "{\nalpha")}`),
  );
  expect(table(alpha, { [A]: drain, [B]: drain })).toEqual([LINE, dest(b!, 0)]);
});

test("thresholds reach the kernel", () => {
  const balanced = onlyBalanced(virtualServer(realServer(A, "uthreshold 100\nlthreshold 10")));
  const [service] = servicesOf(balanced);
  const { destinations } = new WantedEntry(service!, [{ balanced, pool: start(balanced).pool }]);
  expect([...destinations.values()]).toMatchObject([{ upperThreshold: 100, lowerThreshold: 10 }]);
});

test("ranges, also across a byte", () => {
  const between = (first: string, last: string): string[] =>
    addressesBetween(parseAddress(first)!, parseAddress(last)!).map(formatAddress);
  expect(between("192.0.2.254", "192.0.3.1")).toEqual([
    "192.0.2.254",
    "192.0.2.255",
    "192.0.3.0",
    "192.0.3.1",
  ]);
  expect(between("2001:db8::fffe", "2001:db8::1:0")).toEqual([
    "2001:db8::fffe",
    "2001:db8::ffff",
    "2001:db8::1:0",
  ]);
  expect(between("192.0.2.1", "192.0.2.1")).toEqual(["192.0.2.1"]);
});
