/**
 * Addresses with all their words: what the kernel has of them while keepalived of Debian is MASTER, it has
 * while upkeep is, after a reload too, and when either has stopped it has none.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const OLD = `
    10.0.0.100
    10.0.0.101/24 label eth0:vip
    10.0.0.102/24 brd +
    10.3.0.103/24 brd 10.3.0.9 scope link
    10.4.0.104/24 broadcast - scope host
    10.0.0.105 peer 10.7.0.1
    10.5.0.106/24 broadcast 10.5.0.255
    10.6.0.107/24 scope site label eth0:s
    10.1.0.100/24 dev eth1 brd + label eth1:x
    10.0.0.108/24 home
    10.0.0.109/25 noprefixroute
    10.0.0.110 scope 77
    10.0.0.111/32 no_track`;
const OLD_EXCLUDED = `
    fd00::100
    fd00::101/64
    fd00::102/64 preferred_lft 0
    fd00::103/128 preferred_lft forever
    fd00::104/64 -nodad
    fd00::105/64 mngtmpaddr noprefixroute
    fd00::106/64 home
    fd01::107/64 dev eth1 preferred_lft 3600`;
/** Another label, other links; two go, one comes. Broadcast address and lifetime alone make no difference to 2.2.7. */
const NEW = OLD.replace("eth0:vip", "eth0:new")
  .replace("10.0.0.108/24 home", "10.0.0.112/24").replace("10.0.0.110 scope 77", "")
  .replace("dev eth1 brd + label eth1:x", "dev eth0");
const NEW_EXCLUDED = OLD_EXCLUDED.replace("fd01::107/64 dev eth1", "fd01::107/64 dev eth0");

function configuration(addresses: string, excluded: string): string {
  return `global_defs {
  vrrp_version 3
}
vrrp_instance V {
  interface eth0
  virtual_router_id 7
  priority 200
  advert_int 0.1
  virtual_ipaddress {${addresses}
  }
  virtual_ipaddress_excluded {${excluded}
  }
}
`;
}

/** What `ip -d -j address` says of all links, without what passes with time. */
function shown(network: Network): Record<string, unknown>[] {
  type Shown = { ifname: string; addr_info: Record<string, unknown>[] };
  const links = JSON.parse(network.run("a", "ip", "-d", "-j", "address")) as Shown[];
  return links.flatMap(({ ifname, addr_info }) =>
    addr_info.map((one) => {
      const preferred = Number(one["preferred_life_time"]);
      const isLimited = preferred > 0 && preferred < 2 ** 32 - 1;
      return { ifname, ...one, preferred_life_time: isLimited ? "limited" : preferred };
    })
  );
}

const keyOf = (one: Record<string, unknown>): string => `${one["ifname"]} ${one["local"]}`;

async function play(program: string): Promise<readonly Record<string, unknown>[][]> {
  using network = new Network(["a"], { ipv6: true, hasSecondLink: true });
  await settled(network);
  const before = shown(network);
  const has = (count: number): Promise<void> =>
    poll(() => shown(network).length === before.length + count, 5000, `not ${count} addresses`);
  await using daemon = new Daemon(network, "a", configuration(OLD, OLD_EXCLUDED), { program });
  await daemon.waitForLog("Entering MASTER STATE", 8000);
  await has(21);
  await settled(network);
  const first = shown(network);
  daemon.rewrite(configuration(NEW, NEW_EXCLUDED));
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload complete");
  await has(20);
  await settled(network);
  const second = shown(network);
  expect(await daemon.stop()).toBe(0);
  // keepalived 2.2.7 leaves the one with a peer behind.
  const left = shown(network).filter((one) => program === UPKEEP || one["local"] !== "10.0.0.105");
  expect(left).toEqual(before);
  return [first, second].map((all) =>
    all.filter((one) => !before.some((other) => keyOf(other) === keyOf(one)))
      .toSorted((one, other) => keyOf(one) < keyOf(other) ? -1 : 1)
  );
}

/** No address is tentative any more. */
function settled(network: Network): Promise<void> {
  const isSettled = (): boolean => !shown(network).some((one) => one["tentative"] === true);
  return poll(isSettled, 5000, "an address stays tentative");
}

test("one configuration, the same addresses, before and after a reload", async () => {
  const [theirs, ours] = await Promise.all([play("keepalived"), play(UPKEEP)]);
  for (const [i, wanted] of theirs.entries()) {
    for (const [j, one] of wanted.entries()) expect(ours[i]![j]).toEqual(one);
    expect(ours[i]).toHaveLength(wanted.length);
  }
});
