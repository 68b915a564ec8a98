/** Somebody else takes away what a MASTER holds: it comes back, and the MASTER stays. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Capture, nowUs } from "../support/capture.ts";
import { instance, skewUs } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { AddressMonitor } from "../support/monitor.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

const [A, B] = ["10.0.0.1", "10.0.0.2"];
const VIP = "10.0.0.100/32";
const VIP6 = "fd00::100/128";
/** Three of them lost are a take-over. */
const INTERVAL_US = 100_000;
const LATE_US = 40_000;
/** From the start of ip(8), which takes some milliseconds itself, until the address is announced again. */
const REPAIR_US = 60_000;
const WITH_IPV6 = `virtual_ipaddress_excluded {\n${VIP6}\n}`;

function remove(network: Network, address = VIP): void {
  network.run("a", "ip", "address", "del", address, "dev", "eth0");
}

test("an address that is deleted comes back at once, and no advert is missed", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ priority: 150, more: WITH_IPV6 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await using b = new Daemon(network, "b", instance({ priority: 100, more: WITH_IPV6 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  const { atUs: sinceUs } = await capture.waitForAdvert(({ source }) => source === A);
  await using monitor = await AddressMonitor.start(network, "a");

  // The kernel does not tell who asks for the removal of an IPv6 address.
  const culprits = {
    [VIP]: "(ip \\(process \\d+\\)|process \\d+, which has ended)",
    [VIP6]: "a process the kernel does not name",
  };
  for (const [address, culprit] of Object.entries(culprits)) {
    const removedUs = nowUs();
    remove(network, address);
    await a.waitForLog(
      new RegExp(`^\\(V\\) address ${address} on eth0 was removed by ${culprit} - `),
    );
    await monitor.waitFor(`+${address}`);
    expect(monitor.events.splice(0)).toEqual([`-${address}`, `+${address}`]);
    if (address !== VIP) continue;
    const [again] = await capture.waitForAnnouncements(1, () => true, 5000, removedUs);
    expect(again!.atUs - removedUs).toBeLessThan(REPAIR_US);
  }
  expect(network.addresses("a")).toContain(VIP);
  expect(network.addresses("a")).toContain(VIP6);

  const untilUs = nowUs() + 5 * INTERVAL_US;
  await capture.waitForAdvert(({ atUs }) => atUs > untilUs);
  const adverts = capture.adverts.filter(({ atUs }) => atUs >= sinceUs);
  expect(adverts.every(({ source, priority }) => source === A && priority === 150)).toBe(true);
  for (const [i, { atUs }] of adverts.slice(1).entries()) {
    expect(atUs - adverts[i]!.atUs).toBeLessThan(INTERVAL_US + LATE_US);
  }
  expect(b.log).not.toContain("MASTER STATE");
});

test("the eleventh time in ten seconds it is left to the peer, by its name", async () => {
  using network = new Network(["a", "b"]);
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ priority: 150 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await using b = new Daemon(network, "b", instance({ priority: 100 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  // A program that is still there when it is looked for.
  await using vandal = new Vandal(network);
  for (let count = 1; count <= 10; count++) {
    vandal.remove();
    const often = count === 1 ? "" : ` \\(${count} times in 10 s\\)`;
    const line = `^\\(V\\) address ${VIP} on eth0 was removed by ip \\(process ${vandal.pid}\\)`;
    await a.waitForLog(new RegExp(`${line} - put back${often}$`));
  }
  expect(a.log).not.toContain("(V) Entering BACKUP STATE\n");
  const sinceUs = nowUs();
  vandal.remove();
  await a.waitForLog("(V) Entering BACKUP STATE");
  await a.waitForLog(
    `(V) address ${VIP} on eth0 was removed by ip (process ${vandal.pid}), ` +
      "and again after 10 repairs in 10 s - leaving MASTER",
  );
  const goodbye = await capture.waitForAdvert(({ priority }) => priority === 0, 5000, sinceUs);
  expect(goodbye.source).toBe(A);
  // A candidate again after its skew, which is shorter than B's.
  const next = await capture.waitForAdvert(() => true, 5000, goodbye.atUs + 1);
  const skew = skewUs({ priority: 150 });
  expect(next.source).toBe(A);
  expect(next.atUs - goodbye.atUs).toBeWithin(skew - 1000, skew + LATE_US);
  await a.waitForLog("(V) Entering MASTER STATE");

  // The fight goes on: no more repairs before the old ones are forgotten.
  vandal.remove();
  await a.waitForLog("again after 10 repairs in 10 s - leaving MASTER");
  await a.crash();
  await b.waitForLog("(V) Entering MASTER STATE");
  await capture.waitForAdvert(({ source }) => source === B);
});

test("no_track: what is deleted stays deleted", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(
    network,
    "a",
    instance({ addresses: [`${VIP} no_track`, "10.0.0.101/32"] }),
  );
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a").includes(VIP), 1000, "no address");
  remove(network);
  remove(network, "10.0.0.101/32");
  await a.waitForLog("(V) address 10.0.0.101/32 on eth0 was removed");
  await poll(() => network.addresses("a").includes("10.0.0.101/32"), 1000, "not put back");
  expect(network.addresses("a")).not.toContain(VIP);
  expect(a.log).not.toContain(`${VIP} on eth0 was removed`);
});

test("vip_removed step_down: left at once, as keepalived does, and back after the skew", async () => {
  using network = new Network(["a"]);
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ more: "vip_removed step_down" }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a").includes(VIP), 1000, "no address");
  const sinceUs = nowUs();
  remove(network);
  await a.waitForLog("(V) Entering BACKUP STATE");
  await a.waitForLog("(V) sent 0 priority");
  await a.waitForLog(
    new RegExp(`^\\(V\\) address ${VIP} on eth0 was removed by .* - leaving MASTER$`),
  );
  const goodbye = await capture.waitForAdvert(({ priority }) => priority === 0, 5000, sinceUs);
  const next = await capture.waitForAdvert(() => true, 5000, goodbye.atUs + 1);
  const skew = skewUs({});
  expect(next.atUs - goodbye.atUs).toBeWithin(skew - 1000, skew + LATE_US);
  await poll(() => network.addresses("a").includes(VIP), 1000, "not there again");
  expect(a.log).not.toContain("put back");
});

test("a link that goes down takes IPv6 addresses with it: that is no removal", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  await using a = new Daemon(network, "a", instance({ priority: 150, more: WITH_IPV6 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await using b = new Daemon(network, "b", instance({ priority: 100, more: WITH_IPV6 }));
  await b.waitForLog("(V) Entering BACKUP STATE");
  await poll(() => network.addresses("a").includes(VIP6), 1000, "no address");
  network.run("a", "ip", "link", "set", "eth0", "down");
  await a.waitForLog("(V) Entering FAULT STATE");
  await b.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("b").includes(VIP6), 1000, "no address on B");
  network.run("a", "ip", "link", "set", "eth0", "up");
  // What comes and goes by an election is no removal either.
  await a.waitForLog("(V) Entering MASTER STATE");
  await b.waitForLog("(V) Entering BACKUP STATE");
  await poll(() => network.addresses("a").includes(VIP6), 1000, "not there again");
  expect(await a.stop()).toBe(0);
  expect(a.log + b.log).not.toContain("was removed");
  expect(network.addresses("a")).toEqual(["10.0.0.1/24"]);
});

test("an address that the kernel will not take back is left to the peer", async () => {
  using network = new Network(["a"], { ipv6: true });
  await using capture = await Capture.start(network);
  await using a = new Daemon(network, "a", instance({ more: WITH_IPV6 }));
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a").includes(VIP6), 1000, "no address");
  network.run("a", "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
  await a.waitForLog("(V) Entering BACKUP STATE");
  await a.waitForLog(`(V) address ${VIP6} on eth0 was removed`);
  expect(a.lines.at(-1)!.text).toContain("and cannot be put back - leaving MASTER");
  await capture.waitForAdvert(({ priority }) => priority === 0);
});

test("notifications that were lost are made up for", async () => {
  using network = new Network(["a"]);
  await using a = new Daemon(network, "a", instance());
  await a.waitForLog("(V) Entering MASTER STATE");
  await poll(() => network.addresses("a").includes(VIP), 1000, "no address");
  const { vrrp } = a.pids();
  process.kill(vrrp, "SIGSTOP");
  try {
    const floods = Array.from({ length: 15_000 }, (_, i) => {
      const address = `172.16.${i >> 8}.${i & 255}/32 dev lo`;
      return `address add ${address}\naddress del ${address}\n`;
    });
    const flood = ["ip", "-batch", "-"];
    const done = Bun.spawnSync([...network.enter("a"), ...flood], {
      stdin: new TextEncoder().encode(floods.join("")),
    });
    expect(done.exitCode).toBe(0);
    remove(network);
  } finally {
    process.kill(vrrp, "SIGCONT");
  }
  await a.waitForLog("Receive buffer overrun on monitor socket");
  await a.waitForLog(`(V) address ${VIP} on eth0 was removed by a process`);
  await poll(() => network.addresses("a").includes(VIP), 1000, "not put back");
  expect(a.log).not.toContain("(V) Entering BACKUP STATE\n");
});

/** A process that removes the address of A when told, and stays. */
class Vandal {
  readonly #child: Bun.Subprocess<"pipe", "ignore", "inherit">;

  constructor(network: Network) {
    this.#child = Bun.spawn([...network.enter("a"), "ip", "-force", "-batch", "-"], {
      stdin: "pipe",
      stdout: "ignore",
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  remove(): void {
    this.#child.stdin.write(`address del ${VIP} dev eth0\n`);
    this.#child.stdin.flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}
