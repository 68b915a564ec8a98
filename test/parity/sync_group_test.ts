/**
 * keepalived of Debian and upkeep on two wires, each with a sync group of two instances: an election, a
 * link that goes down and comes back, a stop. Played by keepalived alone for reference, with upkeep as
 * A, and as B; then the logs are the same line for line but for {@link DIFFERENCES}, and so are the
 * adverts on both wires and the lines of the notification FIFO.
 *
 * Within a group the second member has the lower priority, so that it is known whose timer ends first.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Fifo } from "../support/fifo.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";
import { advertsOf, collapse, Tap, type WireAdvert } from "./wire.ts";

setDefaultTimeout(120_000);

type Side = "A" | "B";
type Player = "keepalived" | "upkeep";
type Cast = Readonly<Record<Side, Player>>;

const SIDES: readonly Side[] = ["A", "B"];
const LINKS = [0, 1] as const;
const REFERENCE: Cast = { A: "keepalived", B: "keepalived" };
const MIXED: readonly Cast[] = [
  { A: "upkeep", B: "keepalived" },
  { A: "keepalived", B: "upkeep" },
];
const INTERVAL_S = 0.3;
const PRIORITY: Readonly<Record<Side, readonly number[]>> = { A: [200, 180], B: [100, 80] };
const STEP_MS = 12_000;
const EARLY_US = 1_000;
const LATE_US = 60_000;

/** Lines that only one of the two has. */
const DIFFERENCES: readonly { readonly player: Player; readonly lines: RegExp; why: string }[] = [
  {
    player: "keepalived",
    lines:
      /^\(V0\) removing VIPs\.\n\(V1\) removing VIPs\.\n(?=\(V0\) Entering BACKUP STATE \(init\)$)/gm,
    why: "upkeep says so only when a predecessor has left some",
  },
  {
    player: "upkeep",
    lines: /^\(V\d\) interface \S+ is down\n/gm,
    why: "keepalived says why it enters FAULT in a line without an instance",
  },
  {
    player: "upkeep",
    lines: /(?<=^\(V1\) Entering FAULT STATE\n)\(V1\) sent 0 priority\n/gm,
    why: "keepalived sends it too, and does not tell",
  },
];

/** As often as the other side's adverts fall into the time, and in their order. */
const DISCARDED = /received lower priority \(\d+\) advert from \S+ - discarding$/;

interface Story {
  readonly cast: Cast;
  readonly logs: Readonly<Record<Side, readonly string[]>>;
  /** Lines of the notification FIFO. */
  readonly told: Readonly<Record<Side, readonly string[]>>;
  /** By link. */
  readonly adverts: readonly (readonly WireAdvert[])[];
}

test("an election, a link that fails and comes back, a stop", async () => {
  const reference = await play(REFERENCE);
  const used = new Set<string>();
  for (const cast of MIXED) {
    const story = await play(cast);
    for (const side of SIDES) {
      const of = `${side} of ${JSON.stringify(cast)}`;
      expect({ of, log: adapt(story, side, used) }).toEqual({
        of,
        log: adapt(reference, side, used),
      });
      expect({ of, told: story.told[side] }).toEqual({ of, told: reference.told[side] });
      for (const link of LINKS) {
        const texts = (one: Story): string[] =>
          collapse(advertsFrom(one, side, link).map(({ text }) => text));
        expect({ of, link, adverts: texts(story) }).toEqual({
          of,
          link,
          adverts: texts(reference),
        });
      }
    }
  }
  expect(DIFFERENCES.filter(({ why }) => !used.has(why))).toEqual([]);
});

/** The lines of the group and its members, as if there were no differences. */
function adapt({ logs, cast }: Story, side: Side, used: Set<string>): string[] {
  let text = logs[side].filter((line) => /^(\(V\d\)|VRRP_Group\()/.test(line))
    .filter((line) => !DISCARDED.test(line))
    .map((line) => `${line}\n`).join("");
  for (const { player, lines, why } of DIFFERENCES) {
    if (player !== cast[side]) continue;
    const adapted = text.replace(lines, "");
    if (adapted !== text) used.add(why);
    text = adapted;
  }
  return text.split("\n");
}

function advertsFrom({ adverts }: Story, side: Side, link: number): WireAdvert[] {
  return adverts[link]!.filter(({ source }) => source === addressOf(side, link));
}

function addressOf(side: Side, link: number): string {
  return `10.${link}.0.${SIDES.indexOf(side) + 1}`;
}

/** Plays the story; throws with the logs when a step does not happen. */
async function play(cast: Cast): Promise<Story> {
  using network = new Network(SIDES, { hasSecondLink: true });
  for (const [i, side] of SIDES.entries()) {
    for (const link of LINKS) {
      const mac = `02:00:00:00:0${link}:0${i + 1}`;
      network.run(side, "ip", "link", "set", `eth${link}`, "address", mac);
    }
  }
  await using taps = new AsyncDisposableStack();
  const [first, second] = await Promise.all(
    LINKS.map((link) => Tap.start(network, `br${link}`)),
  );
  taps.use(first!);
  taps.use(second!);
  await using fifos = { A: new Fifo(), B: new Fifo(), [Symbol.asyncDispose]: closeFifos };
  const start = (side: Side): Daemon => {
    const program = cast[side] === "upkeep" ? UPKEEP : "keepalived";
    return new Daemon(network, side, configuration(side, fifos[side].path), { program });
  };
  await using a = start("A");
  await says(a, "Syncing instances to MASTER state", "(V0) Entering MASTER STATE");
  await using b = start("B");
  await says(b, "(V1) Entering BACKUP STATE");
  await holds(network, "A");
  await Bun.sleep(2 * INTERVAL_S * 1000);

  network.run("A", "ip", "link", "set", "eth0", "down");
  await says(a, "Syncing instances to FAULT state", "(V1) Entering FAULT STATE");
  await says(b, "Syncing instances to MASTER state", "Entering MASTER STATE");
  await holds(network, "B");
  network.run("A", "ip", "link", "set", "eth0", "up");
  await says(a, "Syncing instances to BACKUP state", "(V1) Entering BACKUP STATE");
  await says(a, "Syncing instances to MASTER state", "Entering MASTER STATE");
  await says(b, "Syncing instances to BACKUP state", "Entering BACKUP STATE");
  await holds(network, "A");

  expect(await a.stop(STEP_MS)).toBe(0);
  await says(b, "Syncing instances to MASTER state", "Entering MASTER STATE");
  await holds(network, "B");
  const frames = await Promise.all([first!.finish(), second!.finish()]);
  const logs = { A: textsOf(a), B: textsOf(b) };
  await Promise.all([fifos.A.has('GROUP "G" STOP 0'), fifos.B.has('GROUP "G" MASTER 0', 2)]);
  const told = { A: fifos.A.lines, B: fifos.B.lines };
  const story = { cast, logs, told, adverts: frames.map(advertsOf) };
  expectTakeOver(story);
  return story;
}

/** The link that fails says nothing any more: the peer waits for its silence, whatever the other link says. */
function expectTakeOver(story: Story): void {
  const taken = advertsFrom(story, "B", 0)[0]!;
  const last = story.adverts[0]!.findLast(({ source, atUs }) =>
    source === addressOf("A", 0) && atUs < taken.atUs
  )!;
  const downUs = (3 + (256 - PRIORITY.B[0]!) / 256) * INTERVAL_S * 1_000_000;
  expect(taken.atUs - last.atUs, JSON.stringify(story.cast))
    .toBeWithin(downUs - EARLY_US, downUs + LATE_US);
}

/** Closes those of a pair. */
async function closeFifos(this: Readonly<Record<Side, Fifo>>): Promise<void> {
  await Promise.all([this.A.close(), this.B.close()]);
}

function configuration(side: Side, fifo: string): string {
  const instances = LINKS.map((link) =>
    `vrrp_instance V${link} {
  interface eth${link}
  virtual_router_id ${51 + link}
  priority ${PRIORITY[side][link]}
  advert_int ${INTERVAL_S}
  virtual_ipaddress {
    10.${link}.0.100
  }
}
`
  );
  return `global_defs {
  vrrp_version 3
  vrrp_notify_fifo ${fifo}
}
vrrp_sync_group G {
  group {
    V0
    V1
  }
}
${instances.join("")}`;
}

async function says(daemon: Daemon, ...phrases: readonly string[]): Promise<void> {
  for (const phrase of phrases) await daemon.waitForLog(phrase, STEP_MS);
}

function textsOf({ lines }: Daemon): string[] {
  return lines.map(({ text }) => text);
}

function holds(network: Network, side: Side): Promise<void> {
  const held = (one: Side): number =>
    LINKS.filter((link) =>
      network.addresses(one, `eth${link}`).some((it) => it.endsWith(".100/32"))
    )
      .length;
  const other = side === "A" ? "B" : "A";
  return poll(() => held(side) === 2 && held(other) === 0, 3000, `${side} has not both alone`);
}
