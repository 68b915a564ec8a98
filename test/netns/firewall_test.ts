/** Addresses that accept nothing, and what VMACs keep to themselves: tables of nftables at work. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network, WIRE } from "../support/namespaces.ts";
import { answersPing, ruleset, settings } from "../support/vmac.ts";
import { poll, until, Waiting } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const VIP = "10.0.0.100";

async function reload(daemon: Daemon, config: string): Promise<void> {
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished");
}

/** The members of a set, as nft writes them; undefined without such a set. */
function members(network: Network, host: string, set: string): string | undefined {
  const text = ruleset(network, host).replace(/\s+/g, " ");
  const found = new RegExp(`set ${set} \\{ type [^{}]*?(?:elements = \\{ ([^}]*?) \\} )?\\}`)
    .exec(text);
  return found === null ? undefined : found[1] ?? "";
}

test("no_accept: addresses are asked for and announced, and reach nobody; an owner's do", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  const one = (priority: number, more: string): string =>
    instance({ name: "V4", priority, more }) +
    instance({ name: "V6", priority, addresses: ["fe80::7", "fd00::100/64"], more });
  const both = async (): Promise<void> => {
    await a.waitForLog("(V4) Entering MASTER STATE");
    await a.waitForLog("(V6) Entering MASTER STATE");
  };
  const answers = (): boolean[] =>
    [VIP, "fd00::100", "fe80::7%eth0"].map((address) => answersPing(network, "b", address));
  await using a = new Daemon(network, "a", one(200, "no_accept"));
  await both();
  expect(a.log).toContain("(V4) setting firewall drop rule");
  await poll(() => network.addresses("a").length === 4, 1000, "no addresses");
  expect(answers()).toEqual([false, false, false]);
  // They can be found none the less.
  expect(network.run("b", "ip", "neighbour", "show", VIP)).toContain("lladdr");
  expect(network.run("b", "ip", "neighbour", "show", "fd00::100")).toContain("lladdr");
  expect(answersPing(network, "a", VIP)).toBe(false);
  expect(answersPing(network, "b", "10.0.0.1")).toBe(true);
  expect(members(network, "a", "vips")).toBe(VIP);

  await reload(a, one(200, ""));
  await poll(() => ruleset(network, "a") === "", 1000, "tables are left");
  expect(answers()).toEqual([true, true, true]);
  await reload(a, one(200, "no_accept"));
  await poll(() => members(network, "a", "vips") === VIP, 1000, "the address is not guarded");
  expect(answers()).toEqual([false, false, false]);
  expect(a.log.match(/Entering MASTER/g)).toHaveLength(2);
  await reload(a, one(255, "no_accept"));
  await poll(() => ruleset(network, "a") === "", 1000, "tables are left");
  expect(answers()).toEqual([true, true, true]);
  expect(await a.stop()).toBe(0);
});

test("only a MASTER's addresses are guarded, and for as long as they are there", async () => {
  using network = new Network(["a", "b"]);
  const options = "global_defs { nftables mine\n nftables_priority 0\n nftables_counters }\n";
  const config = (priority: number): string => options + instance({ priority, more: "no_accept" });
  await using a = new Daemon(network, "a", config(100));
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => members(network, "a", "vips") === VIP, 1000, "the address is not guarded");
  const text = ruleset(network, "a");
  expect(text).toContain("table ip mine");
  expect(text).toContain("type filter hook input priority filter; policy accept;");
  expect(text).toContain("ip daddr @vips counter packets drop");
  await using b = new Daemon(network, "b", config(200));
  await b.waitForLog("(V) Entering MASTER STATE");
  await a.waitForLog("(V) removing firewall drop rule");
  await poll(() => members(network, "a", "vips") === "", 1000, "the address is still guarded");
  await poll(() => members(network, "b", "vips") === VIP, 1000, "the address is not guarded");
  expect(answersPing(network, "a", VIP)).toBe(false);
  expect(await b.stop()).toBe(0);
  expect(ruleset(network, "b")).toBe("");
});

test("a table that a crash has left is replaced, and so is one of another name by a reload", async () => {
  using network = new Network(["a"]);
  const config = instance({ state: "MASTER", priority: 200, more: "no_accept\n use_vmac" });
  await using a = new Daemon(network, "a", config);
  await poll(() => members(network, "a", "vips") === VIP, 3000, "the address is not guarded");
  const before = ruleset(network, "a");
  await a.crash();
  expect(ruleset(network, "a")).toBe(before);
  await using again = new Daemon(network, "a", config);
  await again.waitForLog("Table ip keepalived is there already, of a predecessor - replacing it");
  await again.waitForLog("(V) Entering MASTER STATE");
  await poll(() => ruleset(network, "a") === before, 1000, "another table");
  await reload(again, `global_defs { nftables other }\n${config}`);
  const other = before.replaceAll("keepalived", "other");
  await poll(() => ruleset(network, "a") === other, 1000, "another table");
  expect(await again.stop()).toBe(0);
  expect(ruleset(network, "a")).toBe("");
});

test("all rules are flushed by somebody: ours come back", async () => {
  using network = new Network(["a"]);
  const config = instance({ state: "MASTER", priority: 200, more: "no_accept\n use_vmac" });
  await using a = new Daemon(network, "a", config);
  await poll(() => members(network, "a", "vips") === VIP, 3000, "the address is not guarded");
  const before = ruleset(network, "a");
  network.run("a", "nft", "flush", "ruleset");
  await a.waitForLog("Table ip keepalived was removed by somebody else - making it again", 8000);
  await poll(() => ruleset(network, "a") === before, 1000, "another table");
  expect(await a.stop()).toBe(0);
  expect(ruleset(network, "a")).toBe("");
});

test("disable_local_igmp and promote_secondaries: settings for as long as the daemon runs", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  const paths = [
    "net/ipv4/igmp_link_local_mcast_reports",
    "net/ipv4/conf/eth1/promote_secondaries",
  ];
  const values = (): string => Object.values(settings(network, "a", ...paths)).join();
  expect(values()).toBe("1,0");
  const plain = instance({ state: "MASTER" });
  const config = "global_defs { disable_local_igmp }\n" +
    instance({
      state: "MASTER",
      addresses: ["10.0.0.100", "10.1.0.100 dev eth1"],
      more: "use_vmac\n promote_secondaries",
    });
  await using a = new Daemon(network, "a", config);
  await poll(() => values() === "0,1", 3000, "no settings");
  await reload(a, plain);
  await poll(() => values() === "1,0", 1000, "settings stay");
  await reload(a, config);
  await poll(() => values() === "0,1", 1000, "no settings");
  expect(ruleset(network, "a")).toBe("");
  expect(await a.stop()).toBe(0);
  expect(values()).toBe("1,0");
});

test("a setting that somebody else has changed meanwhile stays as they have it", async () => {
  using network = new Network(["a"]);
  const paths = ["arp_ignore", "arp_filter"].map((key) => `net/ipv4/conf/eth0/${key}`);
  const values = (): string => Object.values(settings(network, "a", ...paths)).join();
  const config = instance({ state: "MASTER", more: "use_vmac" });
  await using a = new Daemon(network, "a", config);
  await poll(() => values() === "1,1", 3000, "no settings");
  network.run("a", "sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=2");
  expect(await a.stop()).toBe(0);
  expect(values()).toBe("2,0");
});

test("memberships of VMACs are reported by the link below alone", async () => {
  using network = new Network(["a"], { ipv6: true });
  const seen: string[] = [];
  const waiting = new Waiting();
  // IGMP, and MLD, which travels behind a hop-by-hop header; and router solicitations.
  const filter = "ip proto 2 or ip6 proto 0 or (icmp6 and ip6[40] == 133)";
  const words = ["tcpdump", "-i", "br0", "-nn", "-e", "-l", "--immediate-mode", filter];
  const child = Bun.spawn([...network.enter(WIRE), ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    for await (const bytes of stream) {
      seen.push(new TextDecoder().decode(bytes));
      waiting.look();
    }
  };
  void read(child.stdout);
  void read(child.stderr);
  const saw = (text: string): Promise<true> =>
    until(
      waiting,
      () => seen.join("").includes(text) || undefined,
      8000,
      () => `no ${text}: ${seen.join("")}`,
    );
  try {
    await saw("listening on");
    seen.length = 0;
    const config = "global_defs { nftables_counters }\n" +
      instance({ name: "V4", state: "MASTER", more: "use_vmac" }) +
      instance({ name: "V6", state: "MASTER", addresses: ["fe80::7"], more: "use_vmac" });
    await using a = new Daemon(network, "a", config);
    await a.waitForLog("(V6) Entering MASTER STATE");
    await saw("224.0.0.22");
    await saw("ff02::16");
    // Each is repeated at least once.
    const redirected = (family: string): boolean => {
      const shown = network.run("a", "nft", "list", "table", family, "keepalived");
      return Number(/dup .* counter packets (\d+)/.exec(shown)?.[1]) >= 2;
    };
    await poll(() => redirected("ip") && redirected("ip6"), 10_000, "no reports of VMACs");
    expect(await a.stop()).toBe(0);
    expect(seen.join("")).not.toContain("00:00:5e");
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
});
