/** Instances on macvlans of their own: what the wire, the links and the kernel's settings show of them. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture, nowUs } from "../support/capture.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { AddressMonitor } from "../support/monitor.ts";
import { Network } from "../support/namespaces.ts";
import { answersPing, arpSettings, linksOf, settings, vmacNames } from "../support/vmac.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const [A, B] = ["10.0.0.1", "10.0.0.2"];
const VIP = "10.0.0.100/32";
const MAC = "00:00:5e:00:01:07";
const MAC6 = "00:00:5e:00:02:07";
const vmac = (more = "", rest: Parameters<typeof instance>[0] = {}): string =>
  instance({ ...rest, more: `use_vmac\n${more}` });

/** The hardware address that a host has in mind for an address. */
function neighbour(network: Network, host: string, address: string): string | undefined {
  const shown = network.run(host, "ip", "neighbour", "show", address);
  return /lladdr (\S+)/.exec(shown)?.[1];
}

async function reload(daemon: Daemon, config: string): Promise<void> {
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished");
}

/** The longest time between two adverts of a virtual router, in microseconds. */
function longestGapUs(capture: Capture, sinceUs: number, vrid = 7): number {
  const moments = capture.adverts.filter((one) => one.vrid === vrid && one.atUs >= sinceUs)
    .map(({ atUs }) => atUs);
  return Math.max(...moments.slice(1).map((atUs, i) => atUs - moments[i]!));
}

test("MASTER and BACKUP share a MAC address: neighbours see no difference after a take-over", async () => {
  using network = new Network(["a", "b", "c"]);
  const before = arpSettings(network, "a", "eth0");
  await using capture = await Capture.start(network);
  await using b = new Daemon(network, "b", vmac("", { priority: 100 }));
  await using a = new Daemon(network, "a", vmac("", { priority: 200 }));
  await a.waitForLog("(V): Success creating VMAC interface vrrp.7");
  await a.waitForLog("(V) Entering MASTER STATE");
  await b.waitForLog("(V) Entering BACKUP STATE");
  await capture.waitForAnnouncements(5, ({ mac }) => mac === MAC);
  const advert = await capture.waitForAdvert(({ source }) => source === A);
  expect(advert.sourceMac).toBe(MAC);
  for (const host of ["a", "b"]) {
    const link = linksOf(network, host).get("vrrp.7")!;
    expect(link).toMatchObject({ address: MAC, link: "eth0", operstate: "UP", group: "default" });
    expect(link.linkinfo).toMatchObject({ info_kind: "macvlan", info_data: { mode: "private" } });
  }
  expect(network.addresses("a", "vrrp.7")).toEqual([VIP]);
  expect(network.addresses("a")).toEqual([`${A}/24`]);
  expect(network.addresses("b", "vrrp.7")).toEqual([]);
  expect(answersPing(network, "c", "10.0.0.100")).toBe(true);
  expect(neighbour(network, "c", "10.0.0.100")).toBe(MAC);
  // Its own address is answered for with its own.
  expect(answersPing(network, "c", A)).toBe(true);
  expect(neighbour(network, "c", A)).toBe(linksOf(network, "a").get("eth0")!.address);
  expect(arpSettings(network, "a", "eth0")).toEqual({
    ...before,
    "net/ipv4/conf/eth0/arp_ignore": "1",
    "net/ipv4/conf/eth0/arp_filter": "1",
    "net/ipv4/conf/eth0/arp_announce": "2",
  });

  expect(await a.stop()).toBe(0);
  await b.waitForLog("(V) Entering MASTER STATE");
  await capture.waitForAdvert(({ source, sourceMac }) => source === B && sourceMac === MAC);
  expect(a.log).toContain("(V) Success removing VMAC interface vrrp.7");
  expect(vmacNames(network, "a")).toEqual([]);
  expect(arpSettings(network, "a", "eth0")).toEqual(before);
  await poll(() => network.addresses("b", "vrrp.7").includes(VIP), 1000, "no address");
  expect(answersPing(network, "c", "10.0.0.100")).toBe(true);
  expect(neighbour(network, "c", "10.0.0.100")).toBe(MAC);
});

test("IPv6: adverts leave from the link below's own link-local address", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  await using capture = await Capture.start(network);
  const config = vmac("", { addresses: ["fe80::7", "fd00::100/64"], priority: 200 });
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE");
  await capture.waitForAnnouncements(2, ({ mac }) => mac === MAC6);
  const advert = await capture.waitForAdvert(({ sourceMac }) => sourceMac === MAC6);
  const shown = network.run("a", "ip", "-6", "-o", "address", "show", "dev", "eth0");
  const own = / (fe80::\S+)\/64/.exec(shown)![1]!;
  expect(advert).toMatchObject({ source: own, destination: "ff02::12", ttl: 255 });
  const link = linksOf(network, "a").get("vrrp.7")!;
  expect(link).toMatchObject({ address: MAC6, inet6_addr_gen_mode: "none" });
  const addresses = network.run("a", "ip", "-6", "-o", "address", "show", "dev", "vrrp.7");
  const words = [...addresses.matchAll(/inet6 (\S+)/g)].map(([, word]) => word!);
  expect(words.toSorted()).toEqual([`${own}/64`, "fe80::7/128", "fd00::100/64"].toSorted());
  expect(addresses).toMatch(new RegExp(`${own}/64 scope link nodad deprecated`));
  const conf = "net/ipv6/conf/vrrp.7";
  expect(settings(network, "a", `${conf}/accept_ra`, `${conf}/autoconf`)).toEqual({
    [`${conf}/accept_ra`]: "0",
    [`${conf}/autoconf`]: "0",
  });
  expect(answersPing(network, "b", "fd00::100")).toBe(true);
  expect(neighbour(network, "b", "fd00::100")).toBe(MAC6);
  await using b = new Daemon(network, "b", config.replace("priority 200", "priority 100"));
  await b.waitForLog("(V) Entering BACKUP STATE");
  expect(await a.stop()).toBe(0);
  await b.waitForLog("(V) Entering MASTER STATE");
  expect(b.log.match(/Entering \w+ STATE/g)).toHaveLength(2);
});

test("vmac_xmit_base, and unicast with use_vmac: adverts from below, addresses above", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const base = linksOf(network, "a").get("eth0")!.address;
  const peer = `unicast_peer { ${B} }`;
  for (const more of ["vmac_xmit_base", peer]) {
    const sinceUs = nowUs();
    await using a = new Daemon(network, "a", vmac(more, { state: "MASTER" }));
    const advert = await capture.waitForAdvert(() => true, 5000, sinceUs);
    expect(advert).toMatchObject({
      sourceMac: base,
      destination: more === peer ? B : "224.0.0.18",
    });
    const ofVip = await capture.waitForAnnouncements(
      5,
      ({ address }) => address === "10.0.0.100",
      5000,
      sinceUs,
    );
    expect(new Set(ofVip.map(({ mac }) => mac))).toEqual(new Set([MAC]));
    expect(network.addresses("a", "vrrp.7")).toEqual([VIP]);
    const corrected = "unicast with use_vmac requires vmac_xmit_base - setting";
    if (more === peer) await a.waitForLog(corrected);
    else expect(a.log).not.toContain(corrected);
    expect(await a.stop()).toBe(0);
  }
});

test("switches find a MASTER that has outbid another, whose kernel answers its announcement", async () => {
  using network = new Network(["a", "b"]);
  const port = (): string | undefined => {
    const shown = network.run("wire", "bridge", "fdb", "show", "br", "br0");
    return new RegExp(`^${MAC} dev to-(\\w)`, "m").exec(shown)?.[1];
  };
  const config = (priority: number): string => vmac("vmac_xmit_base", { priority });
  await using b = new Daemon(network, "b", config(100));
  await b.waitForLog("(V) Entering MASTER STATE");
  await poll(() => port() === "b", 1000, "b was not announced");
  const { vrrp } = b.pids();
  process.kill(vrrp, "SIGSTOP");
  await using a = new Daemon(network, "a", config(200));
  await a.waitForLog("(V) Entering MASTER STATE");
  // b has not heard of it yet, but its kernel has: adverts leave from below, and tell no switch.
  await poll(() => port() === "b", 150, "b did not answer");
  await poll(() => port() === "a", 500, "the switch takes b for a");
  process.kill(vrrp, "SIGCONT");
  await b.waitForLog("(V) Entering BACKUP STATE");
});

test("addresses with VMACs of their own, named in turn; those of the other family stay below", async () => {
  using network = new Network(["a"], { ipv6: true, hasSecondLink: true });
  const config = [
    instance({
      name: "A",
      state: "MASTER",
      addresses: ["10.0.0.100/32", "10.1.0.100/32 dev eth1"],
      more: `use_vmac 02:00:00:00:00:01
      use_vmac_addr
      virtual_ipaddress_excluded { fd00::100/64
        fd01::100/64 dev eth1 }`,
    }),
    instance({
      name: "B",
      vrid: 8,
      state: "MASTER",
      addresses: ["10.0.0.108/32 use_vmac", "10.0.0.109/32"],
      more: "virtual_ipaddress_excluded { fd00::108/64 use_vmac }",
    }),
    instance({
      name: "C",
      vrid: 9,
      state: "MASTER",
      addresses: ["10.0.0.110/32"],
      more: "use_vmac name mine group 12\n virtual_ipaddress_excluded { fd00::110/64 }",
    }),
  ].join("");
  const globals = "global_defs { vmac_prefix own\n vmac_addr_prefix va }\n";
  await using a = new Daemon(network, "a", globals + config);
  await a.waitForLog("Startup complete");
  await poll(() => network.addresses("a", "mine").length > 0, 2000, "no address");
  const macs = (): Record<string, string> =>
    Object.fromEntries(
      vmacNames(network, "a").map((name) => {
        const { link, address } = linksOf(network, "a").get(name)!;
        return [name, `${link} ${address}`];
      }),
    );
  expect(macs()).toEqual({
    "own.7": "eth0 02:00:00:00:00:01",
    "va.7": "eth1 02:00:00:00:00:01",
    "va6.7": "eth0 00:00:5e:00:02:07",
    "va1.7": "eth1 00:00:5e:00:02:07",
    "va.8": "eth0 00:00:5e:00:01:08",
    "va6.8": "eth0 00:00:5e:00:02:08",
    mine: "eth0 00:00:5e:00:01:09",
  });
  const held = (name: string): string[] => network.addresses("a", name);
  expect(held("own.7")).toEqual(["10.0.0.100/32"]);
  expect(held("va.7")).toEqual(["10.1.0.100/32"]);
  expect(held("va6.7")).toEqual(["fd00::100/64"]);
  expect(held("va1.7")).toEqual(["fd01::100/64"]);
  expect(held("va.8")).toEqual(["10.0.0.108/32"]);
  expect(held("va6.8")).toEqual(["fd00::108/64"]);
  expect(held("mine")).toEqual(["10.0.0.110/32"]);
  expect(held("eth0").toSorted()).toEqual(
    ["10.0.0.1/24", "10.0.0.109/32", "fd00::1/64", "fd00::110/64"].toSorted(),
  );
  expect(linksOf(network, "a").get("mine")!.group).toBe("12");
  expect(await a.stop()).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
});

test("what is there already is taken over, made anew or gone around", async () => {
  using network = new Network(["a"]);
  const add = (name: string, ...words: string[]): string =>
    network.run("a", "ip", "link", "add", name, "link", "eth0", ...words);
  const config = [
    instance({ name: "A", vrid: 7, state: "MASTER", more: "use_vmac" }),
    instance({ name: "B", vrid: 8, state: "MASTER", addresses: [B], more: "use_vmac" }),
    instance({ name: "C", vrid: 9, state: "MASTER", addresses: [B], more: "use_vmac here" }),
    instance({ name: "D", vrid: 10, state: "MASTER", addresses: [B], more: "use_vmac there" }),
  ].join("").replaceAll(B, "10.0.0.77/32");
  add("other", "address", MAC, "type", "macvlan", "mode", "private");
  network.run("a", "ip", "address", "add", "10.7.7.7/24", "dev", "other");
  add("vrrp.8", "type", "macvlan", "mode", "bridge");
  add("here", "type", "macvlan", "mode", "private");
  network.run("a", "ip", "link", "add", "there", "type", "veth", "peer", "name", "far");
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("Startup complete");
  expect(a.log).toContain("(A) Found matching interface other");
  expect(a.log).toContain("(B): Success creating VMAC interface vrrp1.8");
  expect(a.log).toContain(
    "(C) VMAC here already exists but is incompatible. It will be deleted/updated",
  );
  expect(a.log).toContain(
    "(D) interface there already exists and is not a private macvlan; ignoring vmac if_name",
  );
  expect(vmacNames(network, "a")).toEqual(["other", "vrrp.8", "vrrp1.8", "here", "vrrp.10"]);
  await poll(
    () => network.addresses("a", "other")[0] === VIP,
    1000,
    "what was left is still there",
  );
  expect(linksOf(network, "a").get("here")!.address).toBe("00:00:5e:00:01:09");
  expect(await a.stop()).toBe(0);
  expect(vmacNames(network, "a")).toEqual(["vrrp.8"]);
});

test("the vrrp role is killed: the same link goes on, and in the end the settings are as before", async () => {
  using network = new Network(["a"]);
  network.run("a", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1");
  const paths = ["all", "default", "eth0"].map((name) => `net/ipv4/conf/${name}/rp_filter`);
  const before = { ...settings(network, "a", ...paths), ...arpSettings(network, "a", "eth0") };
  await using capture = await Capture.start(network);
  const config = vmac("no_accept", { version: 2, interval: 1, state: "MASTER", priority: 200 });
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE");
  expect(settings(network, "a", ...paths)).toEqual({
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "1",
    "net/ipv4/conf/eth0/rp_filter": "1",
  });
  expect(arpSettings(network, "a", "vrrp.7")).toEqual({
    "net/ipv4/conf/vrrp.7/arp_ignore": "1",
    "net/ipv4/conf/vrrp.7/arp_filter": "0",
    "net/ipv4/conf/vrrp.7/arp_announce": "0",
    "net/ipv4/conf/vrrp.7/rp_filter": "0",
    "net/ipv4/conf/vrrp.7/accept_local": "1",
    "net/ipv4/conf/vrrp.7/promote_secondaries": "1",
  });
  await using monitor = await AddressMonitor.start(network, "a");
  const { ifindex } = linksOf(network, "a").get("vrrp.7")!;
  const killedUs = nowUs();
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Still MASTER after a restart of the VRRP process");
  const next = await capture.waitForAdvert(() => true, 5000, killedUs);
  expect(next).toMatchObject({ sourceMac: MAC, priority: 200 });
  expect(next.atUs - killedUs).toBeLessThan(150_000);
  expect(linksOf(network, "a").get("vrrp.7")!.ifindex).toBe(ifindex);
  expect(monitor.events.filter((event) => event.startsWith("-"))).toEqual([]);
  expect(network.addresses("a", "vrrp.7")).toEqual([VIP]);
  expect(await a.stop()).toBe(0);
  const after = { ...settings(network, "a", ...paths), ...arpSettings(network, "a", "eth0") };
  expect(after).toEqual(before);
  expect(vmacNames(network, "a")).toEqual([]);
  expect(network.run("a", "nft", "list", "tables")).toBe("");
});

test("IPv6, the vrrp role is killed: adverts go on from the VMAC's own address, not a virtual one", async () => {
  using network = new Network(["a"], { ipv6: true });
  await using capture = await Capture.start(network);
  const config = vmac("no_accept", { addresses: ["fe80::7", "fd00::100/64"], priority: 200 });
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE");
  const { source } = await capture.waitForAdvert(({ sourceMac }) => sourceMac === MAC6);
  expect(source).not.toBe("fe80::7");
  const has = (): boolean => network.addresses("a", "vrrp.7").includes("fd00::100/64");
  await poll(has, 1000, "no address");
  const killedUs = nowUs();
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Still MASTER after a restart of the VRRP process");
  const next = await capture.waitForAdvert(() => true, 5000, killedUs);
  expect(next).toMatchObject({ source, sourceMac: MAC6 });
  expect(a.log).not.toContain("failed with");
});

test("a crash of everything leaves a VMAC: the next start takes it over, without its address", async () => {
  using network = new Network(["a", "b"]);
  const config = vmac("", { priority: 150 });
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a", "vrrp.7").length > 0, 1000, "no address");
  await a.crash();
  expect(network.addresses("a", "vrrp.7")).toEqual([VIP]);
  await using b = new Daemon(network, "b", vmac("", { state: "MASTER" }));
  await b.waitForLog("(V) Entering MASTER STATE");
  await using again = new Daemon(network, "a", config);
  await again.waitForLog("(V) Found matching interface vrrp.7");
  await again.waitForLog("(V) Entering BACKUP STATE");
  await poll(() => network.addresses("a", "vrrp.7").length === 0, 1000, "an address is left");
  expect(await again.stop()).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
});

test("over IPv6, too: the address it speaks from is there at once", async () => {
  using network = new Network(["a"], { ipv6: true });
  const config = vmac("", { priority: 150, addresses: ["fe80::7", "fd00::100/64"] });
  for (let crash = 0; crash < 2; crash++) {
    await using a = new Daemon(network, "a", config);
    await a.waitForLog("(V) Entering BACKUP STATE (init)");
    await a.waitForLog("(V) Entering MASTER STATE");
    expect(a.log).not.toContain("FAULT");
    expect(a.log.includes("Found matching interface vrrp.7")).toBe(crash > 0);
    await poll(() => network.addresses("a", "vrrp.7").length > 0, 1000, "no address");
    await a.crash();
  }
});

test("a role that comes back too late for its peers withdraws VMAC and settings first", async () => {
  using network = new Network(["a"]);
  const before = arpSettings(network, "a", "eth0");
  await using a = new Daemon(network, "a", vmac("", { priority: 200 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("Still MASTER");
  process.kill(a.pids().vrrp, "SIGKILL");
  await a.waitForLog("delayed 1 seconds");
  await poll(() => vmacNames(network, "a").length === 0, 900, "the VMAC is left");
  await poll(
    () => Bun.deepEquals(arpSettings(network, "a", "eth0"), before),
    900,
    "settings are left",
  );
  await poll(() => network.run("a", "nft", "list", "tables") === "", 900, "a table is left");
  await a.waitForLog("(V) Entering MASTER STATE");
  expect(await a.stop()).toBe(0);
  expect(arpSettings(network, "a", "eth0")).toEqual(before);
});

test("a BACKUP's role dies and the daemon is stopped before the next one is there: nothing stays", async () => {
  using network = new Network(["a", "b"]);
  const before = arpSettings(network, "a", "eth0");
  await using b = new Daemon(network, "b", vmac("", { state: "MASTER" }));
  await b.waitForLog("(V) Entering MASTER STATE");
  await using a = new Daemon(network, "a", vmac("", { priority: 100 }));
  for (const delay of ["", "delayed 1 seconds"]) {
    await a.waitForLog("(V) Entering BACKUP STATE");
    const { vrrp } = a.pids();
    // What it has made is told to the parent in the same turn as this.
    await a.waitForLog("Startup complete");
    process.kill(vrrp, "SIGKILL");
    await a.waitForLog(`VRRP child process(${vrrp}) died: Respawning`);
    if (delay !== "") await a.waitForLog(delay);
  }
  expect(await a.stop()).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
  expect(arpSettings(network, "a", "eth0")).toEqual(before);
  expect(network.run("a", "nft", "list", "tables")).toBe("");
});

test("a reload puts an instance on a VMAC and takes it off: it stays MASTER, adverts flow", async () => {
  using network = new Network(["a"]);
  const before = arpSettings(network, "a", "eth0");
  await using capture = await Capture.start(network);
  const plain = instance({ state: "MASTER" });
  await using a = new Daemon(network, "a", plain);
  const first = await capture.waitForAdvert(() => true);
  for (
    const [config, mac, device] of [
      [vmac("", { state: "MASTER" }), MAC, "vrrp.7"],
      [instance({ state: "MASTER", more: "use_vmac mine" }), MAC, "mine"],
      [
        instance({ state: "MASTER", more: "use_vmac mine 02:00:00:00:00" }),
        "02:00:00:00:00:07",
        "mine",
      ],
      [plain, linksOf(network, "a").get("eth0")!.address, "eth0"],
    ] as const
  ) {
    const sinceUs = nowUs();
    await reload(a, config);
    await capture.waitForAdvert(({ sourceMac }) => sourceMac === mac, 5000, sinceUs);
    await capture.waitForAnnouncements(5, (one) => one.mac === mac, 5000, sinceUs);
    await poll(
      () => Bun.deepEquals(vmacNames(network, "a"), device === "eth0" ? [] : [device]),
      1000,
      "other VMACs",
    );
    await poll(() => network.addresses("a", device).includes(VIP), 1000, "no address");
  }
  expect(longestGapUs(capture, first.atUs)).toBeLessThan(280_000);
  expect(a.log.match(/Entering \w+ STATE/g)).toEqual(["Entering MASTER STATE"]);
  expect(capture.adverts.every(({ priority }) => priority === 255)).toBe(true);
  await poll(
    () => Bun.deepEquals(arpSettings(network, "a", "eth0"), before),
    1000,
    "settings are left",
  );
});

test("an address moves between two instances by one reload", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  const both = (ofA: string[], ofB: string[], more: string): string =>
    instance({ name: "A", vrid: 7, state: "MASTER", addresses: ofA, more }) +
    instance({ name: "B", vrid: 8, state: "MASTER", addresses: ofB, more });
  for (const more of ["", "use_vmac"]) {
    const [first, second, moving] = ["10.0.0.101/32", "10.0.0.102/32", "10.0.0.103/32"];
    const sinceUs = nowUs();
    await using a = new Daemon(network, "a", both([first, moving], [second], more));
    await a.waitForLog("Startup complete");
    for (const to of [8, 7, 8]) {
      const reloadedUs = nowUs();
      const config = to === 8
        ? both([first], [second, moving], more)
        : both([first, moving], [second], more);
      await reload(a, config);
      const mac = more === ""
        ? linksOf(network, "a").get("eth0")!.address
        : `00:00:5e:00:01:0${to}`;
      await capture.waitForAnnouncements(
        5,
        (one) => one.address === "10.0.0.103" && one.mac === mac,
        5000,
        reloadedUs,
      );
      const device = (vrid: number): string => more === "" ? "eth0" : `vrrp.${vrid}`;
      expect(network.addresses("a", device(to))).toContain(moving);
      if (more !== "") expect(network.addresses("a", device(15 - to))).not.toContain(moving);
      await capture.waitForAdvert(
        ({ vrid, addresses }) => vrid === to && addresses.includes("10.0.0.103"),
        5000,
        reloadedUs,
      );
    }
    for (const vrid of [7, 8]) {
      expect(longestGapUs(capture, sinceUs, vrid)).toBeLessThan(280_000);
    }
    expect(await a.stop()).toBe(0);
    expect(capture.adverts.filter(({ atUs, priority }) => atUs >= sinceUs && priority === 0))
      .toHaveLength(2);
  }
});

test("the link below goes down, shrinks and vanishes: all is put right", async () => {
  using network = new Network(["a"], { hasSecondLink: true });
  const config = instance({
    interface: "eth1",
    priority: 200,
    addresses: ["10.1.0.100/32"],
    more: "use_vmac",
  });
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE");
  network.run("a", "ip", "link", "set", "eth1", "mtu", "1400");
  network.run("a", "ip", "link", "set", "eth1", "mtu", "1450");
  const hasMtu = (): boolean => linksOf(network, "a").get("vrrp.7")!.mtu === 1450;
  await poll(hasMtu, 1000, "no MTU of 1450");
  network.run("a", "ip", "link", "set", "eth1", "down");
  await a.waitForLog("(V) interface eth1 is down");
  await a.waitForLog("(V) Entering FAULT STATE");
  network.run("a", "ip", "link", "set", "eth1", "up");
  await a.waitForLog("(V) Entering BACKUP STATE");
  await a.waitForLog("(V) Entering MASTER STATE");
  network.run("a", "ip", "link", "delete", "eth1");
  await a.waitForLog("(V) Entering FAULT STATE");
  expect(vmacNames(network, "a")).toEqual([]);
  network.run("a", "ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1p");
  network.run("a", "ip", "address", "add", "10.1.0.1/24", "dev", "eth1");
  network.run("a", "ip", "link", "set", "eth1p", "up");
  network.run("a", "ip", "link", "set", "eth1", "up");
  await a.waitForLog("(V): Success re-creating VMAC interface vrrp.7");
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a", "vrrp.7").length > 0, 1000, "no address");
  const paths = ["arp_ignore", "arp_filter"].map((key) => `net/ipv4/conf/eth1/${key}`);
  expect(Object.values(settings(network, "a", ...paths))).toEqual(["1", "1"]);
  expect(await a.stop()).toBe(0);
  expect(Object.values(settings(network, "a", ...paths))).toEqual(["0", "0"]);
});

test("a VMAC is removed or renamed by somebody: it is back at once, its instance stays MASTER", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  const routes = "virtual_routes { 10.9.0.0/24 dev vrrp.7 }";
  const config = `global_defs { dynamic_interfaces }
    ${vmac(`no_accept\n${routes}`, { priority: 200, interval: 0.3 })}`;
  await using b = new Daemon(network, "b", vmac("", { priority: 100, interval: 0.3 }));
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE");
  await b.waitForLog("(V) Entering BACKUP STATE");
  await poll(() => network.addresses("a", "vrrp.7").length > 0, 1000, "no address");
  const first = await capture.waitForAdvert(({ source }) => source === A);
  for (const words of [["delete", "vrrp.7"], ["set", "vrrp.7", "name", "other"]]) {
    const { ifindex } = linksOf(network, "a").get("vrrp.7")!;
    const sinceUs = nowUs();
    network.run("a", "ip", "link", ...words);
    await a.waitForLog("(V): Success re-creating VMAC interface vrrp.7");
    await a.waitForLog("VMAC interface vrrp.7 was removed");
    await poll(() => network.addresses("a", "vrrp.7").includes(VIP), 1000, "no address");
    expect(linksOf(network, "a").get("vrrp.7")!.ifindex).not.toBe(ifindex);
    expect(vmacNames(network, "a")).toEqual(["vrrp.7"]);
    await capture.waitForAnnouncements(5, ({ mac }) => mac === MAC, 5000, sinceUs);
    await capture.waitForAdvert(({ sourceMac }) => sourceMac === MAC, 5000, sinceUs);
    const hasRoute = (): boolean =>
      network.run("a", "ip", "route", "show", "10.9.0.0/24").includes("dev vrrp.7");
    await poll(hasRoute, 1000, "no route");
    const tables = network.run("a", "nft", "list", "ruleset");
    expect(tables).toContain("vrrp.7");
  }
  expect(longestGapUs(capture, first.atUs)).toBeLessThan(1_000_000);
  expect(capture.adverts.every(({ source }) => source === A || source === B)).toBe(true);
  for (const daemon of [a, b]) expect(daemon.log).not.toContain("FAULT");
  expect(b.log.match(/Entering \w+ STATE/g)).toHaveLength(1);
  expect(await a.stop()).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
});

test("IPv6, single addresses and a BACKUP: any VMAC that is removed is back with what it held", async () => {
  using network = new Network(["a", "b"], { ipv6: true, hasSecondLink: true });
  const config = (priority: number): string =>
    vmac("use_vmac_addr", {
      name: "V4",
      priority,
      addresses: [VIP, "10.1.0.100/32 dev eth1"],
    }) + vmac("", { name: "V6", priority, addresses: ["fe80::7", "fd00::100/64"] });
  await using a = new Daemon(network, "a", config(200));
  await a.waitForLog("(V4) Entering MASTER STATE");
  await using b = new Daemon(network, "b", config(100));
  await b.waitForLog("Startup complete");
  const held = (host: string): string[][] =>
    vmacNames(network, host).map((
      name,
    ) => [name, ...network.addresses(host, name), linksOf(network, host).get(name)!.operstate])
      .toSorted();
  const isAll = (): boolean => held("a").filter((row) => row.length > 2).length === 3;
  await poll(isAll, 5000, "not all is there");
  for (const [host, daemon] of [["a", a], ["b", b]] as const) {
    const before = held(host);
    expect(before).toHaveLength(3);
    daemon.skipLog();
    for (const [name = ""] of before) {
      network.run(host, "ip", "link", "delete", name);
      await daemon.waitForLog(`Success re-creating VMAC interface ${name}`);
      await poll(() => Bun.deepEquals(held(host), before), 2000, `${name} is not as it was`);
    }
    expect(daemon.log).not.toContain("FAULT");
  }
  expect(b.log).not.toContain("Entering MASTER STATE");
});

test("a VMAC that is removed again and again: the peer gets its turn, and later it is tried again", async () => {
  using network = new Network(["a", "b"]);
  await using b = new Daemon(network, "b", vmac("", { priority: 100 }));
  await using a = new Daemon(network, "a", vmac("", { priority: 200 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  for (let i = 0; i <= 10; i++) {
    const isThere = (): boolean =>
      linksOf(network, "a").get("vrrp.7")?.flags.includes("UP") === true;
    await poll(isThere, 1000, "no VMAC");
    network.run("a", "ip", "link", "delete", "vrrp.7");
    if (i < 10) await a.waitForLog("(V): Success re-creating VMAC interface vrrp.7");
  }
  await a.waitForLog("and again after 10 repairs in 10 s - leaving MASTER");
  await a.waitForLog("(V) Entering FAULT STATE");
  await b.waitForLog("(V) Entering MASTER STATE");
  expect(a.log.match(/Entering FAULT STATE/g)).toHaveLength(1);
  await a.waitForLog("(V): Success re-creating VMAC interface vrrp.7", 15_000);
  await a.waitForLog("(V) Entering MASTER STATE");
});

test("vip_removed step_down: a VMAC that is removed is a fault, as with keepalived", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", vmac("vip_removed step_down", { priority: 200 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  network.run("a", "ip", "link", "delete", "vrrp.7");
  await a.waitForLog("(V) Entering FAULT STATE");
  await a.waitForLog("(V): Success re-creating VMAC interface vrrp.7");
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a", "vrrp.7").includes(VIP), 1000, "no address");
});

test("two instances want one VMAC: the second waits, and has it when a reload takes the first away", async () => {
  using network = new Network(["a"]);
  const [first, second] = [["A", "10.0.0.100/32"], ["B", "10.0.0.101/32"]].map((
    [name, address],
    i,
  ) =>
    instance({
      name: name!,
      vrid: 7 + i,
      addresses: [address!],
      more: "use_vmac 02:00:00:00:00:01",
    })
  );
  await using a = new Daemon(network, "a", first! + second!);
  await a.waitForLog("(A) uses same VMAC as VRRP instance B, disabling B");
  await a.waitForLog("(B) it has the VMAC of A, and no sync group makes them move as one");
  await a.waitForLog("(A) Entering MASTER STATE");
  expect(vmacNames(network, "a")).toEqual(["vrrp.7"]);
  await reload(a, second!);
  await a.waitForLog("(B) Entering MASTER STATE");
  const held = (): string[] =>
    vmacNames(network, "a").flatMap((one) => network.addresses("a", one));
  await poll(() => Bun.deepEquals(held(), ["10.0.0.101/32"]), 1000, "other addresses");
  expect(vmacNames(network, "a")).toHaveLength(1);
});

test("over a macvlan, as in containers: made beside it, taken over after a crash, removed", async () => {
  using network = new Network(["a"]);
  const words = ["link", "eth0", "type", "macvlan", "mode", "bridge"];
  network.run("a", "ip", "link", "add", "mv0", ...words);
  network.run("a", "ip", "address", "add", "10.0.7.1/24", "dev", "mv0");
  network.run("a", "ip", "link", "set", "mv0", "up");
  await using capture = await Capture.start(network);
  const config = vmac("", { interface: "mv0", priority: 150, addresses: ["10.0.7.100"] });
  await using a = new Daemon(network, "a", config);
  await a.waitForLog("(V) Entering MASTER STATE");
  const advert = await capture.waitForAdvert(() => true);
  expect(advert).toMatchObject({ source: "10.0.7.1", sourceMac: MAC });
  await a.crash();
  await using next = new Daemon(network, "a", config);
  await next.waitForLog("(V) Found matching interface vrrp.7");
  await next.waitForLog("(V) Entering MASTER STATE");
  expect(await next.stop()).toBe(0);
  expect(vmacNames(network, "a")).toEqual(["mv0"]);
});

test("--dont-release-vrrp: VMAC, address and tables stay, for the next start to take over", async () => {
  using network = new Network(["a"]);
  const before = arpSettings(network, "a", "eth0");
  const config = vmac("no_accept", { priority: 150 });
  await using a = new Daemon(network, "a", config, { words: ["-V"] });
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a", "vrrp.7").length > 0, 1000, "no address");
  const { ifindex } = linksOf(network, "a").get("vrrp.7")!;
  expect(await a.stop()).toBe(0);
  expect(network.addresses("a", "vrrp.7")).toEqual([VIP]);
  expect(network.run("a", "nft", "list", "tables")).toContain("table ip keepalived");
  await using next = new Daemon(network, "a", config, { words: ["-r", a.vrrpPidFile] });
  await next.waitForLog("(V) Entering MASTER STATE");
  expect(linksOf(network, "a").get("vrrp.7")!.ifindex).toBe(ifindex);
  expect(await next.stop()).toBe(0);
  expect(vmacNames(network, "a")).toEqual([]);
  expect(network.run("a", "nft", "list", "tables")).toBe("");
  expect(arpSettings(network, "a", "eth0")).toEqual(before);
});

test("a sync group of two VMACs, one over IPv6, moves as one", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  const group = "vrrp_sync_group G { group { V4\n V6 } }\n";
  const pair = (priority: number): string =>
    group + vmac("", { name: "V4", priority }) +
    vmac("", { name: "V6", priority, addresses: ["fe80::7", "fd00::100/64"] });
  await using a = new Daemon(network, "a", pair(200));
  await a.waitForLog("VRRP_Group(G) Syncing instances to MASTER state");
  await using b = new Daemon(network, "b", pair(100));
  await b.waitForLog("(V6) Entering BACKUP STATE");
  expect(vmacNames(network, "a")).toEqual(["vrrp.7", "vrrp6.7"]);
  network.run("a", "ip", "link", "set", "vrrp6.7", "down");
  await a.waitForLog("(V6) interface vrrp6.7 is down");
  await b.waitForLog("VRRP_Group(G) Syncing instances to MASTER state");
  await poll(() => network.addresses("b", "vrrp6.7").length > 0, 1000, "no address");
  expect(network.addresses("a", "vrrp.7")).toEqual([]);
  network.run("a", "ip", "link", "set", "vrrp6.7", "up");
  await a.waitForLog("VRRP_Group(G) Syncing instances to MASTER state");
  await poll(() => network.addresses("a", "vrrp6.7").length > 0, 1000, "no address");
  expect(network.addresses("a", "vrrp.7")).toEqual([VIP]);
});
