/**
 * keepalived of Debian and upkeep on one wire. Each scenario is played three times: by keepalived alone
 * for reference, with upkeep as A, with upkeep as B. Then
 *
 * - keepalived has logged the same lines beside upkeep as beside its like,
 * - upkeep has logged what keepalived logs in its place, but for {@link DIFFERENCES},
 * - the adverts are the same byte for byte, but for the IP header's identification and checksum,
 * - take-overs have come at the moment that RFC 9568 §6.1 says,
 * - nobody has complained, where the scenario does not want it.
 *
 * Several scenarios are played at a time, in networks of their own: nearly all of it is waiting.
 */

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  addressOf,
  type Cast,
  isBuilt,
  makeNetworks,
  play,
  type Player,
  removeNetworks,
  type Side,
  type Story,
  type Variant,
} from "./pair.ts";
import { type Scenario, SCENARIOS, type Wait } from "./scenarios.ts";
import { collapse, type WireAdvert, type WireArp } from "./wire.ts";

const PLAYED_AT_ONCE = 9;
/** All tests begin at once and wait for a network. */
const TIMEOUT_MS = 340_000;
const EVERY_VARIANT: readonly Variant[] = ["v2", "v2 PASS", "v2 AH", "v3", "v3 IPv6"];
const REFERENCE: Cast = { A: "keepalived", B: "keepalived" };
const MIXED: readonly Cast[] = [
  { A: "upkeep", B: "keepalived" },
  { A: "keepalived", B: "upkeep" },
];

/** Lines of an instance that one of the two does not have, or has in other words. */
interface Difference {
  /** Whose log has them; absent when either may. */
  readonly player?: Player;
  /** Matched in the whole log, lines of the instance only; `^` and `$` are ends of lines. */
  readonly lines: RegExp;
  /** What stands in their place when logs are compared; nothing when absent. */
  readonly instead?: string;
  /** The scenario that it is confined to. */
  readonly scenario?: string;
  readonly why: string;
}

/** Where upkeep's log is not keepalived 2.2.7's, on purpose. A row that nothing needs is an error. */
const DIFFERENCES: readonly Difference[] = [
  {
    lines: /^removing VIPs\.\n(?=Entering BACKUP STATE \(init\)$)/gm,
    why: "upkeep says so only when a predecessor has left some",
  },
  {
    player: "keepalived",
    lines: /^removing VIPs\.\nReceive advertisement timeout\n(?=Entering MASTER STATE$)/gm,
    scenario: "an owner is MASTER at once",
    why: "the same, and 2.2.7 lets a timer of no length run out",
  },
  {
    player: "keepalived",
    lines: /^setting VIPs\.\n(?!Sending)/gm,
    why: "a reload touches only the addresses that have changed",
  },
  {
    player: "upkeep",
    lines: /^Changing effective priority from \d+ to \d+\n/gm,
    why: "2.2.7 does not tell what a reload changes",
  },
  {
    player: "upkeep",
    lines: /^interface \S+ is down\n/gm,
    why: "keepalived says why it enters FAULT in a line without an instance",
  },
  {
    player: "upkeep",
    lines: / \(from (10\.0\.0\.|fe80::|fd00::)[12]\)$/gm,
    why: "upkeep names the peer of which it complains",
  },
  {
    player: "keepalived",
    lines: /^IPSEC-AH : Syncing seq_num - Increment seq\n/gm,
    why: "upkeep's sequence numbers go on from what it hears without a word",
  },
  {
    player: "upkeep",
    lines: /^(\S+ on eth0 is also claimed by|Split brain:) .*\n/gm,
    why: "upkeep finds out, and says, that two routers are MASTER",
  },
];

const COMPLAINT = /invalid|mismatch|received an|expect|wrong|checksum|discard|not present/i;
/** How a BACKUP that is about to preempt speaks of the MASTER. */
const ELECTION = /received lower priority \(\d+\) advert from \S+ - discarding$/;

beforeAll(() => makeNetworks(PLAYED_AT_ONCE));
afterAll(removeNetworks);

const used = new Set<Difference>();
let unplayed = 0;

for (const scenario of SCENARIOS) {
  for (const variant of scenario.variants ?? EVERY_VARIANT) {
    const isPlayed = isBuilt(variant);
    if (isPlayed) unplayed++;
    test.concurrent.skipIf(!isPlayed)(`${variant}: ${scenario.name}`, async () => {
      unplayed--;
      const { alone } = scenario;
      if (alone !== undefined) {
        expectSound(scenario, await play(scenario, variant, alone.cast));
        return;
      }
      const [reference, ...stories] = await Promise.all(
        [REFERENCE, ...MIXED].map((cast) => play(scenario, variant, cast)),
      );
      for (const story of [reference!, ...stories]) expectSound(scenario, story);
      for (const story of stories) expectEqual(scenario, variant, story, reference!);
    }, TIMEOUT_MS);
  }
}

test("every difference is one", () => {
  if (unplayed > 0) return; // Only some scenarios were asked for.
  expect(DIFFERENCES.filter((one) => !used.has(one)).map(({ why }) => why)).toEqual([]);
});

/** What must be true of every story, whoever plays. */
function expectSound(scenario: Scenario, story: Story): void {
  const { complaints = {}, waits } = scenario;
  const cast = JSON.stringify(story.cast);
  for (const side of ["A", "B"] as const) {
    const said = story.logs[side].filter((line) => COMPLAINT.test(line) && !ELECTION.test(line))
      .filter((line) => !line.startsWith("Command line"));
    const wanted = complaints[side];
    const unwanted = said.filter((line) => wanted === undefined || !wanted.test(line));
    expect({ cast, side, unwanted }).toEqual({ cast, side, unwanted: [] });
    if (wanted !== undefined) expect(said.join("\n"), `${cast} ${side}`).toMatch(wanted);
  }
  expect(story.adverts.length, `${cast} adverts`).toBeGreaterThan(0);
  if (waits !== undefined) expectWaits(story, waits);
}

/** A mixed story beside the reference. */
function expectEqual(
  scenario: Scenario,
  variant: Variant,
  story: Story,
  reference: Story,
): void {
  const name = (side: Side): string => `${side} ${story.cast[side]}, ${JSON.stringify(story.cast)}`;
  const order = scenario.isCrossing ? distinct : collapse;
  for (const side of ["A", "B"] as const) {
    const player = story.cast[side];
    const [ours, theirs] = [story, reference].map((one) => {
      const lines = instanceLines(one, side);
      return player === "keepalived" ? lines : adapt(scenario, lines, one.cast[side]);
    });
    expect({ of: name(side), log: order(ours!) }).toEqual({ of: name(side), log: order(theirs!) });
    const from = addressOf(side, scenario, variant);
    expect({ of: name(side), adverts: textsOf(story.adverts, from) })
      .toEqual({ of: name(side), adverts: textsOf(reference.adverts, from) });
  }
  if (!scenario.isCrossing) {
    expect(collapse(story.adverts.map(({ text }) => text)))
      .toEqual(collapse(reference.adverts.map(({ text }) => text)));
  }
  if (scenario.comparesAnnouncements) {
    expectAnnouncements(story.announcements, reference.announcements);
  }
}

function instanceLines(story: Story, side: Side): string[] {
  const name = "(VI_1) ";
  return story.logs[side].filter((line) => line.startsWith(name))
    .map((line) => line.slice(name.length));
}

/** The lines of a player as if there were no differences. */
function adapt(scenario: Scenario, lines: readonly string[], player: Player): string[] {
  let text = lines.map((line) => `${line}\n`).join("");
  for (const difference of DIFFERENCES) {
    if ((difference.player ?? player) !== player) continue;
    if ((difference.scenario ?? scenario.name) !== scenario.name) continue;
    const adapted = text.replace(difference.lines, difference.instead ?? "");
    if (adapted !== text) used.add(difference);
    text = adapted;
  }
  return text.split("\n");
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}

function textsOf(adverts: readonly WireAdvert[], source: string): string[] {
  return collapse(adverts.filter((one) => one.source === source).map(({ text }) => text));
}

const EARLY_US = 1_000;
const LATE_US = 50_000;

/** The moments at which the wire changes hands. */
function expectWaits(story: Story, waits: readonly Wait[]): void {
  const { adverts } = story;
  const changes = adverts.slice(1).map((advert, i) => ({ advert, before: adverts[i]! }))
    .filter(({ advert, before }) => advert.source !== before.source);
  const startedAt = adverts[0]?.atUs ?? 0;
  const told = `${JSON.stringify(story.cast)}: ${
    adverts.map(({ source, priority, atUs }) =>
      `${source.at(-1)}:${priority} at ${(atUs - startedAt) / 1000} ms`
    ).join(", ")
  }`;
  expect(changes.length, told).toBe(waits.length);
  for (const [i, { advert, before }] of changes.entries()) {
    const wantedUs = waitUs(waits[i]!, advert, before);
    if (wantedUs === undefined) continue;
    const lateUs = advert.atUs - before.atUs - wantedUs;
    expect(lateUs, `${waits[i]} late in µs, ${told}`).toBeWithin(-EARLY_US, LATE_US);
  }
}

/** RFC 9568 §6.1, RFC 3768 §6.1: in version 3 the interval is the one of the MASTER that is gone. */
function waitUs(wait: Wait, advert: WireAdvert, before: WireAdvert): number | undefined {
  const { version, priority } = advert;
  const skewUs = ((256 - priority) * (version === 2 ? 1_000_000 : before.intervalUs)) / 256;
  switch (wait) {
    case "down":
      return 3 * before.intervalUs + skewUs;
    case "skew":
      return skewUs;
    case "at once":
      return 0;
    case "any":
      return undefined;
  }
}

/** The same frames in the same order, and as long between the bursts. */
function expectAnnouncements(ours: readonly WireArp[], theirs: readonly WireArp[]): void {
  expect(ours.map(({ text }) => text)).toEqual(theirs.map(({ text }) => text));
  for (const announcements of [ours, theirs]) {
    const sinceUs = announcements.map(({ atUs }) => atUs - announcements[0]!.atUs);
    for (const [i, us] of sinceUs.entries()) {
      const burstUs = i < sinceUs.length / 2 ? 0 : 5_000_000;
      expect(us - burstUs, `announcement ${i}, in µs`).toBeWithin(-LATE_US, 2 * LATE_US);
    }
  }
}
