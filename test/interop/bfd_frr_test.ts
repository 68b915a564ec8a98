/** BFD with FRR's bfdd at the other end of the wire. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { detectionTimeUs, transmitIntervalUs } from "../../src/vrrp/bfd.ts";
import { Bfdd, bfdInstance, Speaker } from "../support/bfd_hosts.ts";
import { nowUs } from "../support/capture.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

/** bfdd's configuration of one peer; its intervals are in milliseconds. */
function peer(address: string, lines: readonly string[], words = ""): string {
  const body = [...lines, "no shutdown"].map((line) => `  ${line}`).join("\n");
  return `bfd\n peer ${address}${words}\n${body}\n !\n!\n`;
}

const FAST = ["detect-multiplier 5", "receive-interval 10", "transmit-interval 10"];

/** Waits until our session has found an agreement, and returns how it stands. */
async function agreed(speaker: Speaker, name = "one"): ReturnType<Speaker["look"]> {
  const limit = performance.now() + 8000;
  for (;;) {
    const look = await speaker.look(name);
    if (look.variables.name === "Up" && look.variables.poll === "none") return look;
    if (performance.now() > limit) throw new Error(`it stays at ${JSON.stringify(look)}`);
  }
}

test("intervals are negotiated, whoever is slower", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  const config = ["detect-multiplier 3", "receive-interval 40", "transmit-interval 30"];
  await using theirs = new Bfdd(network, "b", peer("10.0.0.1", config));
  ours.configure(bfdInstance({ min_tx: 50_000, min_rx: 60_000, multiplier: 4 }));
  await ours.event(true);
  const seen = await theirs.waitFor((one) =>
    one["status"] === "up" && one["remote-transmit-interval"] === 50
  );
  expect(seen).toMatchObject({
    "remote-receive-interval": 60,
    "remote-detect-multiplier": 4,
    diagnostic: "ok",
    "remote-diagnostic": "ok",
  });
  const { variables, counters } = await agreed(ours);
  expect(variables.remoteDiscriminator).toBe(seen["id"] as number);
  expect(variables.localDiscriminator).toBe(seen["remote-id"] as number);
  expect(transmitIntervalUs(variables)).toBe(50_000);
  expect(detectionTimeUs(variables)).toBe(3 * 60_000);
  expect(counters).toMatchObject({ discarded: 0, refused: 0 });
});

test("10 ms hold for ten seconds at either end", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  await using theirs = new Bfdd(network, "b", peer("10.0.0.1", FAST));
  ours.configure(bfdInstance());
  await ours.event(true);
  await theirs.waitFor((one) => one["status"] === "up");
  const before = (await agreed(ours)).counters;
  const startedUs = nowUs();
  await poll(() => nowUs() - startedUs > 10_000_000, 11_000, "ten seconds");
  const { counters } = await ours.look();
  const seconds = (nowUs() - startedUs) / 1e6;
  // Jitter makes 10 ms into 7.5 to 9 on the average.
  for (const count of [counters.sent - before.sent, counters.received - before.received]) {
    expect(count / seconds).toBeWithin(90, 140);
  }
  expect(ours.events().map(({ isUp }) => isUp)).toEqual([true]);
  const peers = await theirs.waitFor(() => true);
  expect(peers["uptime"] as number).toBeGreaterThanOrEqual(9);
});

test("a bfdd that dies is noticed in the Detection Time; a new one is greeted", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  ours.configure(bfdInstance());
  {
    await using theirs = new Bfdd(network, "b", peer("10.0.0.1", FAST));
    await ours.event(true);
    await theirs.waitFor((one) => one["status"] === "up");
    expect(detectionTimeUs((await agreed(ours)).variables)).toBe(50_000);
    const killedUs = nowUs();
    process.kill(theirs.pid, "SIGKILL");
    const down = await ours.event(false);
    // The last packet came at most 10 ms before.
    expect(down.atUs - killedUs).toBeWithin(35_000, 120_000);
  }
  const from = ours.told.length;
  await using _again = new Bfdd(network, "b", peer("10.0.0.1", FAST));
  await ours.event(true, { from });
});

test("bfdd notices when we die, and sees us come back with another discriminator", async () => {
  using network = new Network(["a", "b"]);
  await using theirs = new Bfdd(network, "b", peer("10.0.0.1", FAST));
  {
    await using ours = await Speaker.start(network, "a");
    ours.configure(bfdInstance());
    await theirs.waitFor((one) => one["status"] === "up");
    process.kill(ours.pid, "SIGKILL");
    await theirs.waitFor((one) => one["diagnostic"] === "control detection time expired");
  }
  await using again = await Speaker.start(network, "a");
  again.configure(bfdInstance());
  await theirs.waitFor((one) => one["status"] === "up");
  await again.event(true);
});

test("AdminDown, in both directions", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  await using theirs = new Bfdd(network, "b", peer("10.0.0.1", FAST));
  const mine = bfdInstance();
  ours.configure(mine);
  await ours.event(true);
  await theirs.waitFor((one) => one["status"] === "up");
  theirs.configure("peer 10.0.0.1", "shutdown");
  await ours.find((one) =>
    one.type === "log" && one.text.includes("Entering Down state (Local diagnostic - Neighbor")
  );
  expect((await ours.look()).variables.remoteName).toBe("AdminDown");
  // What its operator has ended is no event.
  expect(ours.events().map(({ isUp }) => isUp)).toEqual([true]);
  const from = ours.told.length;
  theirs.configure("peer 10.0.0.1", "no shutdown");
  await ours.event(true, { from });
  await theirs.waitFor((one) => one["status"] === "up");
  ours.remove(mine);
  await theirs.waitFor((one) =>
    one["status"] === "down" && one["remote-diagnostic"] === "administratively down"
  );
});

test("a passive end of ours, and a passive bfdd", async () => {
  for (const passive of [true, false]) {
    using network = new Network(["a", "b"]);
    await using ours = await Speaker.start(network, "a");
    const lines = passive ? FAST : [...FAST, "passive-mode"];
    await using theirs = new Bfdd(network, "b", peer("10.0.0.1", lines));
    ours.configure(bfdInstance({ passive }));
    await ours.event(true);
    await theirs.waitFor((one) => one["status"] === "up");
  }
});

test("a reload at either end changes the rates without a flap", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  await using theirs = new Bfdd(network, "b", peer("10.0.0.1", FAST));
  const mine = bfdInstance();
  ours.configure(mine);
  await ours.event(true);
  await agreed(ours);
  ours.configure({ ...mine, min_tx: 70_000, min_rx: 80_000 }, "change");
  await theirs.waitFor((one) =>
    one["remote-transmit-interval"] === 70 && one["remote-receive-interval"] === 80
  );
  expect(transmitIntervalUs((await agreed(ours)).variables)).toBe(70_000);
  theirs.configure("peer 10.0.0.1", "receive-interval 200", "transmit-interval 150");
  const limit = performance.now() + 5000;
  while (transmitIntervalUs((await ours.look()).variables) !== 200_000) {
    expect(performance.now()).toBeLessThan(limit);
  }
  expect(detectionTimeUs((await ours.look()).variables)).toBe(5 * 150_000);
  expect(ours.events().map(({ isUp }) => isUp)).toEqual([true]);
  expect((await theirs.waitFor(() => true))["status"]).toBe("up");
});

test("IPv6 with a hop limit of 255, and multihop", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  await using ours = await Speaker.start(network, "a");
  {
    await using theirs = new Bfdd(network, "b", peer("fd00::1", FAST));
    const six = { neighbor_ip: "fd00::2", source_ip: "fd00::1", ttl: 255 };
    ours.configure(bfdInstance({ name: "six", ...six }));
    await ours.event(true, { name: "six" });
    await theirs.waitFor((one) => one["status"] === "up");
  }
  const words = " multihop local-address 10.0.0.2";
  await using theirs = new Bfdd(network, "b", peer("10.0.0.1", FAST, words));
  ours.configure(bfdInstance({ name: "far", multihop: true, max_hops: 255 }));
  await ours.event(true, { name: "far" });
  await theirs.waitFor((one) => one["status"] === "up");
});
