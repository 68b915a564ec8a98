/**
 * Routes, rules and static items of one configuration: what the kernel's tables hold while keepalived of
 * Debian is MASTER, they hold while upkeep is, and when either has stopped they are as they were before.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const CONFIG = `global_defs {
  vrrp_version 3
}
static_ipaddress {
  192.0.2.77/32 dev eth0
}
static_routes {
  10.77.0.0/16 via 10.0.0.254 dev eth0
  10.78.0.0/16 via 10.0.0.254 dev eth0 no_track protocol 77
}
static_rules {
  from 10.77.0.0/16 table 77 priority 770
  from fd77::/48 table 77
}
vrrp_instance V {
  interface eth0
  virtual_router_id 7
  priority 200
  advert_int 0.1
  virtual_ipaddress {
    10.0.0.100/24
  }
  virtual_routes {
    default via 10.0.0.254 dev eth0 metric 5
    10.1.0.0/16 via 10.0.0.254 dev eth0
    10.2.0.0/16 dev eth0
    10.3.0.0/16 via 10.0.0.254 dev eth0 metric 50 table 100 src 10.0.0.100
    blackhole 10.4.0.0/16
    unreachable 10.5.0.0/16 table 1000
    10.6.0.0/16 via 10.0.0.254 dev eth0 mtu 1400 advmss lock 1300 rtt 300ms
    10.7.0.0/16 via 10.0.0.254 dev eth0 no_track
    10.8.0.0/16 dev eth0 nexthop via 10.0.0.253 dev eth0 weight 2 nexthop via 10.0.0.252 dev eth0 weight 5
    10.9.0.0/16 via 10.99.0.1 dev eth0 onlink
    10.10.0.0/16 via 10.0.0.254 dev eth0 scope site tos 16
    throw 10.12.0.0/16 table 100
    10.13.0.0/16 via 10.0.0.254
    10.15.0.0/16 dev eth0 realms 3/4 congctl reno features ecn
    10.16.0.0/16 via 10.0.0.254 dev eth0 append
    10.17.0.0/16 via 10.0.0.254 dev eth0 add
    10.18.0.0/16 via 10.0.0.254 dev eth0
    multicast 239.1.0.0/16 dev eth0
    prohibit 10.19.0.0/16 metric 7
    fd01::/48 via fe80::9 dev eth0
    fd02::/48 dev eth0 metric 55
    unreachable fd03::/48
    fd04::/48 via fd00::9 dev eth0 pref high hoplimit 9
    fd05::/48 dev eth0 nexthop via fe80::9 dev eth0 weight 3 nexthop via fe80::8 dev eth0
    fd06::/48 from fd00::/64 via fe80::9 dev eth0 table 1000
    fd07::/48 via fe80::9 dev eth0
  }
  virtual_rules {
    from 10.1.0.0/16 table 100
    to 10.2.0.0/16 table 1000 priority 1001
    from 10.3.0.0/16 to 10.4.0.0/16 iif eth0 tos 16 fwmark 7/0xff table 100 priority 1002
    not from 10.5.0.0/16 blackhole priority 1003
    from 10.6.0.0/16 prohibit priority 1004 no_track
    from 10.7.0.0/16 unreachable priority 1005
    from 10.8.0.0/16 goto 2000 priority 1006
    from 10.9.0.0/16 table 100 realms 3/4 suppress_prefixlength 0 suppress_ifgroup 5 priority 1007
    from 10.10.0.0/16 uidrange 5-9 ipproto tcp sport 5-9 dport 80-81 table 100 priority 1008
    from 10.11.0.0/16 protocol 99 table 100 priority 1009
    from 10.12.0.0/16 l3mdev priority 1010
    from 10.13.0.0/16 tunnel-id 5 nop priority 1011
    from 10.14.0.0/16 table 100
    from fd01::/48 table 100 priority 1000
    to fd02::/48 oif eth0 table 100
  }
}
`;

interface Tables {
  readonly routes: readonly unknown[];
  readonly rules: readonly unknown[];
  readonly addresses: readonly string[];
}

/** Another's routes, at places that ours want, too. */
const STRANGERS = ["10.16.0.0/16", "10.17.0.0/16", "10.18.0.0/16"];

function tables(network: Network): Tables {
  const read = (...words: readonly string[]): unknown[] =>
    ["-4", "-6"].flatMap((family) =>
      JSON.parse(network.run("a", "ip", family, "-d", "-j", ...words)) as unknown[]
    );
  return {
    routes: read("route", "show", "table", "all").filter((one) =>
      (one as { protocol?: string }).protocol !== "kernel"
    ),
    rules: read("rule"),
    addresses: network.addresses("a"),
  };
}

test("one configuration, the same tables", async () => {
  using network = new Network(["a"], { ipv6: true });
  for (const to of STRANGERS) {
    network.run("a", "ip", "route", "add", to, "via", "10.0.0.253");
  }
  network.run("a", "ip", "-6", "route", "add", "fd07::/48", "via", "fe80::8", "dev", "eth0");
  const before = tables(network);
  const held: Record<string, Tables> = {};
  for (const program of ["keepalived", UPKEEP]) {
    await using daemon = new Daemon(network, "a", CONFIG, { program });
    await daemon.waitForLog("(V) Entering MASTER STATE");
    const count = (): number => tables(network).rules.length - before.rules.length;
    await poll(() => count() === 17, 5000, `${program}: rules are missing`);
    held[program] = tables(network);
    expect(await daemon.stop()).toBe(0);
    expect({ program, ...tables(network) }).toEqual({ program, ...before });
  }
  const { keepalived, [UPKEEP]: upkeep } = held;
  expect(upkeep!.routes).toEqual(keepalived!.routes as unknown[]);
  expect(upkeep!.rules).toEqual(keepalived!.rules as unknown[]);
  expect(upkeep!.addresses).toEqual(keepalived!.addresses as string[]);
  expect(keepalived!.routes.length - before.routes.length).toBeGreaterThan(24);
});
