/** BFD with keepalived's own at the other end of the wire. */

import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { detectionTimeUs, transmitIntervalUs } from "../../src/vrrp/bfd.ts";
import { bfdInstance, Speaker } from "../support/bfd_hosts.ts";
import { nowUs } from "../support/capture.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-bfd`));
let count = 0;

afterAll(() => rmSync(folder, { recursive: true }));

/** keepalived on a host with one bfd_instance. */
function keepalived(network: Network, host: string, lines: string): Daemon {
  // A file of its own: keepalived does not start beside the one that a crash has left.
  const words = ["-b", join(folder, `${count++}.pid`)];
  const config = `bfd_instance one {\n${lines}\n}\n`;
  return new Daemon(network, host, config, { program: "keepalived", words });
}

const V4 = "neighbor_ip 10.0.0.1\nsource_ip 10.0.0.2";
const UP = "(one) Entering Up state";

test("Up at both ends, intervals negotiated, either end's death noticed in time", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  {
    const lines = `${V4}\nmin_tx 30\nmin_rx 40\nmultiplier 3`;
    await using theirs = keepalived(network, "b", lines);
    ours.configure(bfdInstance({ min_tx: 50_000, min_rx: 60_000, multiplier: 4 }));
    await Promise.all([ours.event(true), theirs.waitForLog(UP, 10_000)]);
    // Its own words for: sends every 60 ms, gives us up after 4 × 50 ms.
    await theirs.waitForLog("Detection time is 200000 us");
    const { variables, counters } = await ours.look();
    expect(transmitIntervalUs(variables)).toBe(50_000);
    expect(detectionTimeUs(variables)).toBe(180_000);
    expect(counters).toMatchObject({ discarded: 0, refused: 0 });
    const killedUs = nowUs();
    await theirs.crash();
    const down = await ours.event(false);
    expect(down.atUs - killedUs).toBeWithin(100_000, 350_000);
  }
  const from = ours.told.length;
  await using again = keepalived(network, "b", V4);
  await Promise.all([ours.event(true, { from }), again.waitForLog(UP, 10_000)]);
  process.kill(ours.pid, "SIGKILL");
  await again.waitForLog("(one) Expired after");
});

test("the default of 10 ms holds", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  await using theirs = keepalived(network, "b", V4);
  ours.configure(bfdInstance());
  await Promise.all([ours.event(true), theirs.waitForLog(UP, 10_000)]);
  await theirs.waitForLog("Detection time is 50000 us");
  const { counters: before } = await ours.look();
  await Bun.sleep(5000);
  const { counters } = await ours.look();
  expect(counters.sent - before.sent).toBeWithin(450, 750);
  expect(counters.received - before.received).toBeWithin(450, 750);
  expect(ours.events().map(({ isUp }) => isUp)).toEqual([true]);
  expect(theirs.log).not.toContain("Entering Down state");
});

test("our AdminDown takes its session down, and ours comes back", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  await using theirs = keepalived(network, "b", V4);
  const mine = bfdInstance();
  ours.configure(mine);
  await Promise.all([ours.event(true), theirs.waitForLog(UP, 10_000)]);
  ours.remove(mine);
  await theirs.waitForLog(
    "Entering Down state (Local diagnostic - Neighbor Signaled Session Down, " +
      "Remote diagnostic - Administratively Down)",
  );
  const from = ours.told.length;
  ours.configure(mine);
  await Promise.all([ours.event(true, { from }), theirs.waitForLog(UP, 10_000)]);
});

test("IPv6 with keepalived's default hop limit of 64", async () => {
  using network = new Network(["a", "b"], { ipv6: true });
  await using ours = await Speaker.start(network, "a");
  await using theirs = keepalived(network, "b", "neighbor_ip fd00::1\nsource_ip fd00::2");
  ours.configure(bfdInstance({ neighbor_ip: "fd00::2", source_ip: "fd00::1", ttl: 64 }));
  await Promise.all([ours.event(true), theirs.waitForLog(UP, 10_000)]);
});

test("one passive end, whichever it is", async () => {
  for (const passive of [true, false]) {
    using network = new Network(["a", "b"]);
    await using ours = await Speaker.start(network, "a");
    await using theirs = keepalived(network, "b", passive ? V4 : `${V4}\npassive`);
    ours.configure(bfdInstance({ passive }));
    await Promise.all([ours.event(true), theirs.waitForLog(UP, 10_000)]);
  }
});

test("a TTL that is too low is discarded at both ends, in the same words", async () => {
  using network = new Network(["a", "b"]);
  await using ours = await Speaker.start(network, "a");
  await using theirs = keepalived(network, "b", `${V4}\nttl 250`);
  ours.configure(bfdInstance({ ttl: 249, max_hops: 255 }));
  await theirs.waitForLog("Packet ttl(249) < 250 - discarding", 10_000);
  ours.configure(bfdInstance({ ttl: 251 }), "change");
  await ours.find((one) =>
    one.type === "log" && one.text.startsWith("Packet ttl(250) < 251 - disc")
  );
});
