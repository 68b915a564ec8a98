/**
 * VMACs and the firewall, by keepalived of Debian and by upkeep: one configuration makes the same links,
 * addresses, settings and tables; and on one wire, each as MASTER and as BACKUP, the two say the same with
 * the same MAC address.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture } from "../support/capture.ts";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { answersPing, linksOf, ruleset } from "../support/vmac.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(180_000);

const OPTIONS: readonly string[] = [
  "",
  `nftables mine
  nftables_priority -20
  nftables_counters
  nftables_ifindex
  vmac_prefix own
  vmac_addr_prefix addr`,
];

const CONFIG = `
vrrp_instance A {
  interface eth0
  virtual_router_id 51
  priority 200
  advert_int 0.2
  use_vmac
  no_accept
  virtual_ipaddress {
    10.0.0.100
    10.0.0.101 dev eth0
    10.1.0.101 dev eth1
  }
}
vrrp_instance B {
  interface eth0
  virtual_router_id 51
  priority 200
  advert_int 0.2
  use_vmac
  no_accept
  virtual_ipaddress {
    fe80::51
    fd00::100/64
  }
}
vrrp_instance C {
  interface eth0
  virtual_router_id 52
  priority 200
  advert_int 0.2
  use_vmac mine 02:00:00:00:00
  vmac_xmit_base
  use_vmac_addr
  virtual_ipaddress {
    10.0.0.110
    10.1.0.111 dev eth1
  }
}
vrrp_instance D {
  interface eth0
  virtual_router_id 53
  priority 200
  advert_int 0.2
  no_accept
  virtual_ipaddress {
    10.0.0.120
    10.0.0.121 use_vmac
    10.1.0.122 dev eth1 use_vmac
  }
}
vrrp_instance E {
  interface eth0
  virtual_router_id 54
  priority 200
  advert_int 0.2
  promote_secondaries
  virtual_ipaddress {
    10.0.0.130
  }
}
`;

/** Settings that are ours alone, and why. */
const OWN_SETTINGS: readonly RegExp[] = [
  // What a host answers must not teach its neighbours the MAC address of the link below for a VIP.
  /^ipv4\/conf\/eth\d\/arp_announce=/,
  // A router advertisement would give a VMAC's address to every router that has it.
  /^ipv6\/conf\/.*\/(accept_ra|autoconf)=/,
  // Every link is to keep the filter it had by the setting for all; keepalived forgets links that only
  // VMACs of single addresses are on.
  /^ipv4\/conf\/eth1\/rp_filter=/,
];

interface Shown {
  readonly links: unknown;
  readonly addresses: readonly string[];
  readonly settings: readonly string[];
  readonly tables: string;
}

/** Everything that a daemon may have made, in a form without numbers that differ from run to run. */
function show(network: Network): Shown {
  const links = [...linksOf(network, "a").values()].map((link) => {
    const { ifname, address, flags, mtu, operstate, group, linkinfo, inet6_addr_gen_mode } = link;
    const { info_kind = "", info_data } = linkinfo ?? {};
    return [
      ifname,
      address,
      flags.toSorted().join(),
      mtu,
      operstate,
      group,
      link.link,
      info_kind,
      info_data?.mode,
      inet6_addr_gen_mode,
    ].join(" ");
  });
  const addresses = network.run("a", "ip", "-o", "address", "show").split("\n")
    .map((line) => line.replace(/^\d+: /, "").replace(/\s+/g, " ")).toSorted();
  const folder = "cd /proc/sys/net && grep -r . ipv4/conf ipv6/conf 2>/dev/null || true";
  const settings = network.run("a", "sh", "-c", folder).trimEnd().split("\n")
    .map((line) => line.replace(":", "=")).toSorted()
    .filter((line) => !OWN_SETTINGS.some((own) => own.test(line)));
  return { links: links.toSorted(), addresses, settings, tables: ruleset(network, "a") };
}

function makeHost(): Network {
  const network = new Network(["a"], { ipv6: true, hasSecondLink: true });
  for (const number of [0, 1]) {
    const link = `eth${number}`;
    // What is made of a MAC address is to be the same for both.
    const words = ["ip", "link", "set", link, "address", `02:00:00:00:00:0${number + 1}`];
    network.run("a", "ip", "link", "set", link, "down");
    network.run("a", ...words);
    network.run("a", "ip", "link", "set", link, "up");
    network.run("a", "ip", "address", "replace", `fd0${number}::1/64`, "dev", link, "nodad");
  }
  network.run("a", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2");
  network.run("a", "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0");
  return network;
}

/** A host's own link-local addresses can be used. */
async function hasSettled(network: Network, host = "a"): Promise<void> {
  const tentative = (): boolean =>
    network.run(host, "ip", "-6", "-o", "address", "show", "tentative") !== "";
  await poll(() => !tentative(), 5000, "addresses stay tentative");
}

test.each(OPTIONS)(
  "one configuration, the same links, settings and tables: %s",
  async (options) => {
    const config = `global_defs {\n vrrp_version 3\n ${options}\n}\n${CONFIG}`;
    const shown: Record<string, { readonly before: Shown; readonly during: Shown }> = {};
    for (const program of ["keepalived", UPKEEP]) {
      using network = makeHost();
      await hasSettled(network);
      const before = show(network);
      await using daemon = new Daemon(network, "a", config, { program });
      for (const name of ["A", "B", "C", "D", "E"]) {
        await poll(() => daemon.log.includes(`(${name}) Entering MASTER STATE`), 9000, name);
      }
      const isDone = (): boolean =>
        network.addresses("a").includes("10.0.0.130/32") && ruleset(network, "a").includes("::100");
      await poll(isDone, 2000, "not all is there");
      shown[program] = { before, during: show(network) };
      expect(await daemon.stop()).toBe(0);
      const after = show(network);
      expect({ program, ...after, settings: 0 }).toEqual({ program, ...before, settings: 0 });
      // keepalived leaves what ARP answers on the links below as it was needed.
      if (program === UPKEEP) expect(after.settings).toEqual(before.settings);
    }
    const { keepalived, [UPKEEP]: upkeep } = shown;
    expect(upkeep!.during.links).toEqual(keepalived!.during.links as never);
    expect(upkeep!.during.addresses).toEqual(keepalived!.during.addresses as never);
    expect(upkeep!.during.tables).toBe(keepalived!.during.tables);
    expect(upkeep!.during.settings).toEqual(keepalived!.during.settings as never);
  },
);

type Side = "a" | "b";
const SIDES: readonly Side[] = ["a", "b"];
const MAC = "00:00:5e:00:01:07";
const MAC6 = "00:00:5e:00:02:07";

/** What the two have said, and what a third host has seen of them. */
interface Story {
  readonly logs: Readonly<Record<Side, readonly string[]>>;
  /** Runs of adverts: who, with which MAC address and priority. */
  readonly adverts: readonly string[];
  readonly announcers: readonly string[];
  readonly pings: readonly boolean[];
}

const TOLD = /Entering \w+ STATE|VMAC|firewall|(?:setting|removing) VIPs|sent 0 priority/;

function routerOf(priority: number, isV6: boolean, more: string): string {
  return `global_defs {\n vrrp_version 3\n}
vrrp_instance V {
  interface eth0
  virtual_router_id 7
  priority ${priority}
  advert_int 0.2
  ${more}
  virtual_ipaddress {
    ${isV6 ? "fe80::7\n fd00::100/64" : "10.0.0.100"}
  }
}
`;
}

async function play(
  cast: Readonly<Record<Side, string>>,
  isV6: boolean,
  more: string,
): Promise<Story> {
  using network = new Network(["a", "b", "c"], { ipv6: isV6 });
  for (const host of isV6 ? ["a", "b", "c"] : []) await hasSettled(network, host);
  await using capture = await Capture.start(network);
  const vip = isV6 ? "fd00::100" : "10.0.0.100";
  const pings: boolean[] = [];
  const start = (side: Side, priority: number): Daemon =>
    new Daemon(network, side, routerOf(priority, isV6, more), { program: cast[side] });
  const link = more.includes("use_vmac") ? "vrrp.7" : "eth0";
  // Whoever is outbid may answer the new MASTER's announcement, and switches then need to hear of it again.
  const isAccepting = !more.includes("no_accept");
  const answers = async (): Promise<boolean> => {
    if (!isAccepting) return answersPing(network, "c", vip, 3);
    await poll(() => answersPing(network, "c", vip), 9000, "no answer");
    return true;
  };
  const isThere = (side: Side): Promise<void> =>
    poll(
      () => network.addresses(side, link).some((one) => one.startsWith(vip)),
      2000,
      "no address",
    );
  await using a = start("a", 200);
  await a.waitForLog("(V) Entering MASTER STATE", 12_000);
  await using b = start("b", 100);
  await b.waitForLog("(V) Entering BACKUP STATE", 12_000);
  await isThere("a");
  pings.push(await answers());
  expect(await a.stop()).toBe(0);
  await b.waitForLog("(V) Entering MASTER STATE", 12_000);
  await isThere("b");
  pings.push(await answers());
  await using again = start("a", 200);
  await again.waitForLog("(V) Entering MASTER STATE", 12_000);
  await b.waitForLog("(V) Entering BACKUP STATE", 12_000);
  await isThere("a");
  pings.push(await answers());
  expect(await b.stop()).toBe(0);
  expect(await again.stop()).toBe(0);
  const own = new Map(SIDES.map((side) => [linksOf(network, side).get("eth0")!.address, side]));
  const nameOf = (mac: string): string => own.get(mac) ?? mac;
  const runs = capture.adverts.map(({ sourceMac, priority }) => `${nameOf(sourceMac)} ${priority}`);
  expect(capture.broken).toEqual([]);
  return {
    logs: {
      a: [...toldOf(a), ...toldOf(again)],
      b: toldOf(b),
    },
    adverts: runs.filter((one, i) => one !== runs[i - 1]),
    announcers: [...new Set(capture.announcements.map(({ mac }) => nameOf(mac)))],
    pings,
  };
}

function toldOf(daemon: Daemon): string[] {
  const lines = daemon.lines.map(({ text }) => text).filter((text) =>
    TOLD.test(text) && !text.startsWith("use_vmac or no_accept")
  );
  // keepalived takes away at its start what it cannot know to be there; upkeep only what is.
  const start = lines.findIndex((text) => text.includes("Entering"));
  return lines.filter((text, i) => i >= start || !text.includes(" removing "));
}

test.each([
  ["use_vmac", false],
  ["use_vmac", true],
  ["use_vmac\n vmac_xmit_base", false],
  ["no_accept", false],
  ["use_vmac\n no_accept", true],
])("two routers, %s, IPv6 %p", async (more, isV6) => {
  const reference = await play({ a: "keepalived", b: "keepalived" }, isV6, more);
  for (const cast of [{ a: UPKEEP, b: "keepalived" }, { a: "keepalived", b: UPKEEP }]) {
    const story = await play(cast, isV6, more);
    expect({ cast, story }).toEqual({ cast, story: reference });
  }
  const accepts = !more.includes("no_accept");
  expect(reference.pings).toEqual([accepts, accepts, accepts]);
  if (more.startsWith("use_vmac")) expect(reference.announcers).toEqual([isV6 ? MAC6 : MAC]);
});

test("another vmac_prefix by a reload names what is made from then on", async () => {
  const config = (prefix: string, ...vrids: number[]): string =>
    `global_defs { vmac_prefix ${prefix} }\n` + vrids.map((vrid) =>
      `vrrp_instance V${vrid} {
  interface eth0
  virtual_router_id ${vrid}
  priority 200
  use_vmac
  virtual_ipaddress {
    10.0.0.${vrid + 100}
  }
}
`
    ).join("");
  for (const program of ["keepalived", UPKEEP]) {
    using network = new Network(["a"]);
    await using daemon = new Daemon(network, "a", config("old", 7), { program });
    await daemon.waitForLog("(V7) Entering MASTER STATE", 12_000);
    const { ifindex } = linksOf(network, "a").get("old.7")!;
    daemon.rewrite(config("new", 7, 8));
    daemon.signal("SIGHUP");
    await daemon.waitForLog("(V8) Entering MASTER STATE", 12_000);
    const links = linksOf(network, "a");
    expect([program, links.get("old.7")?.ifindex, links.has("new.8"), links.has("new.7")])
      .toEqual([program, ifindex, true, false]);
    expect(network.addresses("a", "old.7")).toEqual(["10.0.0.107/32"]);
    expect(daemon.log.match(/\(V7\) Entering \w+ STATE/g)).toHaveLength(2);
    expect(await daemon.stop()).toBe(0);
    expect([...linksOf(network, "a").keys()].filter((name) => name.includes("."))).toEqual([]);
  }
});
