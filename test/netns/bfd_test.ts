/** BFD between two of our own speakers: both families, multihop, TTLs, loss, reload, farewell, refusals. */

import { expect, setDefaultTimeout, test } from "bun:test";
import type { BfdInstance } from "../../src/config/bfd.ts";
import { detectionTimeUs, transmitIntervalUs } from "../../src/vrrp/bfd.ts";
import { bfdInstance, Speaker } from "../support/bfd_hosts.ts";
import { nowUs } from "../support/capture.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

/** The same session seen from the other end. */
function mirrored(instance: BfdInstance, more: Partial<BfdInstance> = {}): BfdInstance {
  const { neighbor_ip, source_ip, ...rest } = instance;
  return { ...rest, neighbor_ip: source_ip!, source_ip: neighbor_ip, ...more };
}

/** Two hosts with a speaker each. */
class Pair implements AsyncDisposable {
  readonly network: Network;
  readonly a: Speaker;
  readonly b: Speaker;

  private constructor(network: Network, a: Speaker, b: Speaker) {
    this.network = network;
    this.a = a;
    this.b = b;
  }

  static async start(): Promise<Pair> {
    const network = new Network(["a", "b"], { ipv6: true });
    const starting = ["a", "b"].map((host) => Speaker.start(network, host));
    const [a, b] = await Promise.all(starting);
    return new Pair(network, a!, b!);
  }

  /** A session between them; each waits for its Up. */
  async session(mine: BfdInstance, yours = mirrored(mine)): Promise<void> {
    this.a.configure(mine);
    this.b.configure(yours);
    await Promise.all([
      this.a.event(true, { name: mine.name }),
      this.b.event(true, { name: yours.name }),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.a[Symbol.asyncDispose]();
    await this.b[Symbol.asyncDispose]();
    this.network[Symbol.dispose]();
  }
}

/** Waits until a session's variables are `wanted`. */
async function settled(
  speaker: Speaker,
  wanted: (look: Awaited<ReturnType<Speaker["look"]>>) => boolean,
  name = "one",
): Promise<void> {
  const limit = performance.now() + 5000;
  for (;;) {
    const look = await speaker.look(name);
    if (wanted(look)) return;
    if (performance.now() > limit) throw new Error(`it stays at ${JSON.stringify(look)}`);
  }
}

/** What tcpdump sees of BFD on a host, as lines, once `count` packets have passed. */
async function wire(
  network: Network,
  host: string,
  filter: string,
  count: number,
): Promise<string> {
  const words = ["tcpdump", "--immediate-mode", "-i", "eth0", "-n", "-v", "-c", `${count}`, filter];
  const child = Bun.spawn([...network.enter(host), ...words], { stdout: "pipe", stderr: "ignore" });
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const text = await new Response(child.stdout).text();
  clearTimeout(timer);
  return text;
}

const OVER_V6 = { neighbor_ip: "fd00::2", source_ip: "fd00::1" } as const;

test("sessions of both families and both kinds, each on its port and from a port of its own", async () => {
  await using pair = await Pair.start();
  const { network, a } = pair;
  await pair.session(bfdInstance());
  await pair.session(bfdInstance({ name: "six", ...OVER_V6, ttl: 64 }));
  await pair.session(bfdInstance({ name: "far", multihop: true, max_hops: 255 }));
  const four = await wire(network, "b", "src 10.0.0.1 and udp dst port 3784", 1);
  expect(four).toMatch(/tos 0xc0, ttl 255/);
  const six = await wire(network, "b", "src fd00::1 and udp dst port 3784", 1);
  expect(six).toMatch(/class 0xc0, .*hlim 64/);
  const far = await wire(network, "b", "src 10.0.0.1 and udp dst port 4784", 1);
  const ports = [four, six, far].map((text) => Number(/\.(\d+) > \S+\.[34]784:/.exec(text)?.[1]));
  expect(new Set(ports).size).toBe(3);
  for (const port of ports) expect(port).toBeWithin(49152, 65536);
  for (const name of ["one", "six", "far"]) {
    const { variables, counters } = await a.look(name);
    expect(variables.name).toBe("Up");
    expect(counters).toMatchObject({ refused: 0, discarded: 0 });
  }
});

test("a lost peer is noticed in its Detection Time, its return in the idle interval", async () => {
  await using pair = await Pair.start();
  const { network, a, b } = pair;
  const mine = bfdInstance({ min_tx: 20_000, min_rx: 30_000, multiplier: 3 });
  await pair.session(mine, mirrored(mine, { min_tx: 50_000, multiplier: 4 }));
  await settled(a, ({ variables }) => variables.poll === "none");
  const { variables } = await a.look();
  expect(transmitIntervalUs(variables)).toBe(30_000);
  expect(detectionTimeUs(variables)).toBe(200_000);
  const cutUs = nowUs();
  network.run("a", "ip", "link", "set", "eth0", "down");
  const [downA, downB] = await Promise.all([a.event(false), b.event(false)]);
  // The last packet came at most one interval of 50 ms before the cut.
  expect(downA.atUs - cutUs).toBeWithin(140_000, 400_000);
  expect(downB.atUs - cutUs).toBeWithin(50_000, 300_000);
  const [fromA, fromB] = [a.told.length, b.told.length];
  network.run("a", "ip", "link", "set", "eth0", "up");
  await Promise.all([a.event(true, { from: fromA }), b.event(true, { from: fromB })]);
  expect(a.log).toContain(
    "(one) Entering Down state (Local diagnostic - Control Detection Time Expired, " +
      "Remote diagnostic - No Diagnostic)",
  );
});

test("one direction is enough to lose: the deaf end tells the other", async () => {
  await using pair = await Pair.start();
  const { network, a, b } = pair;
  await pair.session(bfdInstance());
  // What a sends goes to a hardware address that nobody has.
  const nobody = ["10.0.0.2", "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent"];
  network.run("a", "ip", "neighbour", "replace", ...nobody);
  await Promise.all([a.event(false), b.event(false)]);
  expect(b.log.join()).toContain("Local diagnostic - Control Detection Time Expired");
  expect(a.log.join()).toContain(
    "(Local diagnostic - Neighbor Signaled Session Down, " +
      "Remote diagnostic - Control Detection Time Expired)",
  );
});

test("a reload changes rates, TTL and name while the session stays Up", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const mine = bfdInstance();
  await pair.session(mine);
  a.configure({ ...mine, name: "new", min_tx: 300_000, min_rx: 200_000, multiplier: 2 }, "change");
  await a.event(true, { name: "new" });
  const isAgreed = ({ variables }: Awaited<ReturnType<Speaker["look"]>>): boolean =>
    variables.poll === "none" && transmitIntervalUs(variables) === 300_000;
  await settled(a, isAgreed, "new");
  const { variables } = await b.look();
  expect(transmitIntervalUs(variables)).toBe(200_000);
  expect(detectionTimeUs(variables)).toBe(600_000);
  expect(b.events().map(({ isUp }) => isUp)).toEqual([true]);
});

test("the TTL must be what the neighbour sends it with, less max_hops", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const mine = bfdInstance();
  a.configure(mine);
  b.configure(mirrored(mine, { ttl: 254, max_hops: 1 }));
  await a.find((one) => one.type === "log" && one.text.startsWith("Packet ttl(254) < 255"));
  // b admits what a sends, and hears of no answer.
  await settled(b, ({ variables }) => variables.name === "Init");
  expect((await a.look()).variables).toMatchObject({ name: "Down", remoteDiscriminator: 0 });
  expect((await a.look()).counters.discarded).toBeGreaterThan(0);
  a.configure({ ...mine, max_hops: 1 }, "change");
  await Promise.all([a.event(true), b.event(true)]);
});

test("a removed session says AdminDown, which its peer tells nobody; it can come back at once", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const mine = bfdInstance();
  await pair.session(mine);
  a.remove(mine);
  await settled(b, ({ variables }) => variables.name === "Down");
  expect((await b.look()).variables.remoteName).toBe("AdminDown");
  expect(b.events().map(({ isUp }) => isUp)).toEqual([true]);
  const from = a.told.length;
  a.configure(mine);
  await a.event(true, { from });
  await settled(b, ({ variables }) => variables.name === "Up");
  expect(b.events().map(({ isUp }) => isUp)).toEqual([true, true]);
});

test("a speaker that is stopped says AdminDown, one that dies does not", async () => {
  await using pair = await Pair.start();
  const { network, a, b } = pair;
  await pair.session(bfdInstance());
  await b.shutdown();
  await settled(a, ({ variables }) => variables.remoteName === "AdminDown");
  expect(a.events().map(({ isUp }) => isUp)).toEqual([true]);
  await using again = await Speaker.start(network, "b");
  again.configure(mirrored(bfdInstance()));
  await again.event(true);
  await settled(a, ({ variables }) => variables.poll === "none" && variables.name === "Up");
  const killedUs = nowUs();
  process.kill(again.pid, "SIGKILL");
  const down = await a.event(false);
  expect(down.atUs - killedUs).toBeWithin(35_000, 150_000);
});

test("two sessions with one neighbour are told apart by our own addresses", async () => {
  await using pair = await Pair.start();
  const { network, a, b } = pair;
  network.run("a", "ip", "address", "add", "10.0.0.11/24", "dev", "eth0");
  const second = bfdInstance({ name: "two", source_ip: "10.0.0.11", min_tx: 40_000 });
  // The first one is there alone: what is meant for the second must not bring it Up.
  a.configure(bfdInstance());
  b.configure(mirrored(second));
  await settled(b, ({ counters }) => counters.sent > 0, "two");
  await a.find((one) => one.type === "log" && one.text.includes("session is not found"));
  expect((await a.look()).variables).toMatchObject({ name: "Down", remoteDiscriminator: 0 });
  a.configure(second);
  b.configure(mirrored(bfdInstance()));
  for (const name of ["one", "two"]) await a.event(true, { name });
  await settled(b, ({ variables }) => variables.remoteMinTxUs === 10_000, "one");
  await settled(b, ({ variables }) => variables.remoteMinTxUs === 40_000, "two");
});

test("a passive end waits to be spoken to", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const mine = bfdInstance({ passive: true });
  a.configure(mine);
  await settled(a, ({ variables }) => variables.name === "Down");
  expect((await a.look()).counters.sent).toBe(0);
  b.configure(mirrored(mine, { passive: false }));
  await Promise.all([a.event(true), b.event(true)]);
});

test("what cannot be opened says why, and disturbs nobody else", async () => {
  await using pair = await Pair.start();
  const { a } = pair;
  const mine = bfdInstance();
  a.configure({ ...mine, name: "nowhere", source_ip: "10.9.9.9" });
  await a.find((one) =>
    one.type === "log" && one.level === "error" &&
    one.text === "(nowhere) Unable to open its sockets, next try in 60 s: bind failed with " +
        "EADDRNOTAVAIL while opening the output socket of BFD instance nowhere"
  );
  expect((await a.look("nowhere")).variables.name).toBe("AdminDown");
  await pair.session(mine);
  a.remove({ ...mine, source_ip: "10.9.9.9" });
  await settled(a, ({ variables }) => variables.name === "Up");
});

test("a port that another daemon has is named", async () => {
  await using pair = await Pair.start();
  const { network, a } = pair;
  await using other = await Speaker.start(network, "a");
  other.configure(bfdInstance());
  await settled(other, ({ counters }) => counters.sent > 0);
  a.configure(bfdInstance());
  await a.find((one) =>
    one.type === "log" &&
    one.text.endsWith("bind failed with EADDRINUSE while listening on UDP port 3784 for BFD")
  );
});

test("rubbish and strangers are counted out, and said once", async () => {
  await using pair = await Pair.start();
  const { network, a } = pair;
  await pair.session(bfdInstance());
  const shoot = (hex: string): void => {
    const bytes = hex.replaceAll(/../g, "\\x$&");
    network.run(
      "b",
      "bash",
      "-c",
      `for i in 1 2 3; do printf '${bytes}' >/dev/udp/10.0.0.1/3784; done`,
    );
  };
  shoot("00");
  shoot("2040031800000007deadbeef000f4240000f424000000000");
  shoot("20400018000000070000000000000001000000010000000a");
  const isSaid = (text: string) => (one: { type: string; text?: string }): boolean =>
    one.type === "log" && one.text === text;
  await a.find(isSaid("Discarding packet from 10.0.0.2: not of version 1"));
  await a.find(isSaid(
    "Discarding packet from 10.0.0.2 (session is not found - your discriminator field is 0xdeadbeef)",
  ));
  await a.find(
    isSaid("Discarding packet from 10.0.0.2: Packet 'detection multiplier' field is zero"),
  );
  expect(a.log.filter((text) => text.startsWith("Discarding")).length).toBe(3);
  expect(a.events().map(({ isUp }) => isUp)).toEqual([true]);
});

test("after standing still what has arrived meanwhile counts", async () => {
  await using pair = await Pair.start();
  const { a, b } = pair;
  const mine = bfdInstance({ multiplier: 100 });
  // a gives its peer up after 50 ms, the peer waits for a second.
  await pair.session(mine, mirrored(mine, { multiplier: 5 }));
  a.command({ type: "stall", ms: 300 });
  await settled(a, ({ variables }) => variables.name === "Up");
  expect(a.events().map(({ isUp }) => isUp)).toEqual([true]);
  expect(b.events().map(({ isUp }) => isUp)).toEqual([true]);
});

test("a link-local neighbour is reached over the link it names", async () => {
  await using pair = await Pair.start();
  const { network } = pair;
  const addresses = (host: string): string =>
    network.run(host, "ip", "-6", "address", "show", "dev", "eth0");
  const isReady = (): boolean => ["a", "b"].every((host) => !addresses(host).includes("tentative"));
  await poll(isReady, 5000, "duplicate address detection does not end");
  const [one, other] = ["a", "b"].map((host) =>
    `${/inet6 (fe80\S+)\//.exec(addresses(host))![1]!}%eth0`
  ) as [string, string];
  await pair.session(bfdInstance({ neighbor_ip: other, source_ip: one }));
});
