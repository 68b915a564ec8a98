/**
 * What two routers go through, independent of which daemon plays which. A is 10.0.0.1, B 10.0.0.2;
 * a scenario is played by keepalived twice for reference, then with upkeep in place of either.
 *
 * Every step waits for a log line or an address, never for a fixed time, except where silence is what
 * is looked for.
 */

import type { Cast, Pair, Plot, Side, Variant } from "./pair.ts";

/**
 * How long after the last advert of one router the first of the other leaves: Active_Down_Interval,
 * Skew_Time, an answer without delay, or a time that something else decides.
 */
export type Wait = "down" | "skew" | "at once" | "any";

/** A plot with what has to come of it. */
export interface Scenario extends Plot {
  readonly name: string;
  /** All when absent. */
  readonly variants?: readonly Variant[];
  /** One for each time the adverts on the wire come from the other router than before. */
  readonly waits?: readonly Wait[];
  /** What each side is to complain of; a complaint else is a failure. */
  readonly complaints?: Readonly<Partial<Record<Side, RegExp>>>;
  /** Both speak all the time: what each says is compared, not whose turn it is when. */
  readonly isCrossing?: true;
  /** Gratuitous ARPs are compared one by one, and the time between bursts. */
  readonly comparesAnnouncements?: true;
  /** The only cast, without reference, and why keepalived 2.2.7 is none. */
  readonly alone?: { readonly cast: Cast; readonly why: string };
}

const MASTER = "Entering MASTER STATE";
const VERSION = /(invalid|wrong) version/;
const BACKUP = "Entering BACKUP STATE";

async function electA(pair: Pair): Promise<void> {
  await pair.start("A");
  await pair.start("B");
  await pair.says("A", MASTER);
}

/** Both become MASTER, A behind a cut wire; their adverts alternate. */
async function split(pair: Pair): Promise<void> {
  await pair.cut("A");
  await pair.start("A");
  await pair.says("A", MASTER);
  await pair.startBetween("B", "A");
  await pair.says("B", MASTER);
}

/** Joins the wire so that the next advert is the speaker's. */
async function joinBefore(pair: Pair, speaker: Side): Promise<void> {
  await pair.waitForPhase(speaker, 0.7);
  await pair.join("A");
}

/** Every story, in the order of RFC 9568 §6.4, then what people configure wrong. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: "a cold start of both elects the higher priority",
    advert_int: { "v3": 0.5, "v3 IPv6": 0.5 },
    A: { priority: 200 },
    B: { priority: 100 },
    play: async (pair) => {
      await Promise.all([pair.start("A"), pair.start("B")]);
      await pair.says("A", MASTER);
      await pair.silence();
      await pair.holds("A");
    },
    waits: [],
  },
  {
    name: "an owner is MASTER at once",
    variants: ["v2", "v3"],
    A: { priority: 255, lines: ["state MASTER"] },
    B: { priority: 254 },
    play: async (pair) => {
      await electA(pair);
      await pair.silence();
      await pair.holds("A");
    },
    waits: [],
  },
  {
    name: "a crash, a take-over, a return that preempts",
    A: { priority: 200 },
    B: { priority: 100 },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.crash("A");
      await pair.says("B", MASTER);
      await pair.start("A");
      await pair.says("A", MASTER);
      await pair.says("B", BACKUP);
      await pair.holds("A");
    },
    waits: ["down", "any"],
  },
  {
    name: "a graceful stop, a take-over after the skew",
    A: { priority: 200 },
    B: { priority: 100 },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.stop("A");
      await pair.says("B", MASTER);
      await pair.holds("B");
    },
    waits: ["skew"],
  },
  {
    name: "unicast peers: a crash, a return, a graceful stop",
    variants: ["v2", "v2 PASS", "v2 AH", "v3", "v3 IPv6"],
    A: { priority: 200, lines: ["unicast_peer {", "  $B", "}"] },
    B: { priority: 100, lines: ["unicast_peer {", "  $A", "}"] },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.crash("A");
      await pair.says("B", MASTER);
      await pair.start("A");
      await pair.says("A", MASTER);
      await pair.says("B", BACKUP);
      await pair.stop("A");
      await pair.says("B", MASTER);
      await pair.holds("B");
    },
    waits: ["down", "any", "skew"],
  },
  {
    name: "unicast peers with addresses of their own",
    variants: ["v3 IPv6"],
    sources: { A: "fd00::1", B: "fd00::2" },
    A: { priority: 200, lines: ["unicast_src_ip $A", "unicast_peer {", "  $B", "}"] },
    B: { priority: 100, lines: ["unicast_src_ip $B", "unicast_peer {", "  $A", "}"] },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.crash("A");
      await pair.says("B", MASTER);
    },
    waits: ["down"],
  },
  {
    name: "nopreempt leaves a lower MASTER alone until it stops",
    A: { priority: 200, lines: ["nopreempt"] },
    B: { priority: 100 },
    play: async (pair) => {
      await pair.start("B");
      await pair.says("B", MASTER);
      await pair.start("A");
      await pair.silence(4.5);
      await pair.holds("B");
      await pair.stop("B");
      await pair.says("A", MASTER);
      await pair.holds("A");
    },
    waits: ["skew"],
  },
  {
    name: "preempt_delay tolerates a lower MASTER for a while",
    variants: ["v2", "v2 AH", "v3", "v3 IPv6"],
    A: { priority: 200, lines: ["preempt_delay 1"] },
    B: { priority: 100 },
    play: async (pair) => {
      await pair.start("B");
      await pair.says("B", MASTER);
      await pair.start("A");
      await pair.says("A", MASTER);
      await pair.says("B", BACKUP);
    },
    waits: ["any"],
  },
  {
    name: "two MASTERs of equal priority, the lower address speaks first",
    advert_int: { "v3": 0.4, "v3 IPv6": 0.4 },
    A: { priority: 100 },
    B: { priority: 100 },
    play: async (pair) => {
      await split(pair);
      await joinBefore(pair, "A");
      await pair.says("A", BACKUP);
      await pair.silence(2.3);
      await pair.holds("B");
    },
    waits: ["any", "at once"],
  },
  {
    name: "two MASTERs of equal priority, the higher address speaks first",
    // Of two AH routers, 2.2.7 hears only the one whose sequence numbers are greater.
    variants: ["v2", "v2 PASS", "v3", "v3 IPv6"],
    advert_int: { "v3": 0.4, "v3 IPv6": 0.4 },
    A: { priority: 100 },
    B: { priority: 100 },
    play: async (pair) => {
      await split(pair);
      await joinBefore(pair, "B");
      await pair.says("A", BACKUP);
      await pair.silence(2.3);
      await pair.holds("B");
    },
    waits: [],
  },
  {
    name: "two MASTERs, the lower priority speaks first",
    advert_int: { "v3": 0.4, "v3 IPv6": 0.4 },
    A: { priority: 100 },
    B: { priority: 200 },
    play: async (pair) => {
      await split(pair);
      await joinBefore(pair, "A");
      await pair.says("A", BACKUP);
      await pair.silence(2.3);
      await pair.holds("B");
    },
    waits: ["any", "at once"],
  },
  {
    name: "two MASTERs, the higher priority speaks first",
    advert_int: { "v3": 0.4, "v3 IPv6": 0.4 },
    A: { priority: 200 },
    B: { priority: 100 },
    play: async (pair) => {
      await split(pair);
      await joinBefore(pair, "A");
      await pair.says("B", BACKUP);
      await pair.silence(2.3);
      await pair.holds("A");
    },
    waits: ["any"],
  },
  {
    name: "a MASTER hears another one stop",
    advert_int: { "v3": 0.4, "v3 IPv6": 0.4 },
    A: { priority: 100 },
    B: { priority: 200 },
    play: async (pair) => {
      await split(pair);
      await pair.waitForPhase("B", 0.1);
      await pair.join("A");
      await pair.stop("A");
      await pair.silence(2.3);
      await pair.holds("B");
    },
    waits: ["any", "at once"],
  },
  {
    name: "a reload lowers A, another lowers B",
    variants: ["v2", "v3"],
    A: { priority: 200 },
    B: { priority: 100 },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.reload("A", { priority: 50 });
      await pair.says("B", MASTER);
      await pair.says("A", BACKUP);
      await pair.holds("B");
      await pair.reload("B", { priority: 40 });
      await pair.says("A", MASTER);
      await pair.says("B", BACKUP);
      await pair.holds("A");
    },
    waits: ["any", "any"],
  },
  {
    name: "a reload raises a BACKUP above the MASTER",
    variants: ["v3"],
    // B's skew is half an interval, so that it speaks between two adverts of A.
    A: { priority: 120 },
    B: { priority: 100 },
    play: async (pair) => {
      await electA(pair);
      await pair.reload("B", { priority: 130 });
      await pair.says("B", MASTER);
      await pair.says("A", BACKUP);
      await pair.holds("B");
    },
    waits: ["any"],
  },
  {
    name: "reloads exchange a unicast peer and add one: both stay what they are",
    variants: ["v2", "v3", "v3 IPv6"],
    A: { priority: 200, lines: ["unicast_peer {", "  $B", "}"] },
    B: { priority: 100, lines: ["unicast_peer {", "  $A", "}"] },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.reload("A", { priority: 200, lines: ["unicast_peer {", "  $B", "  $C", "}"] });
      await pair.reload("B", { priority: 100, lines: ["unicast_peer {", "  $C", "  $A", "}"] });
      await pair.silence(4.5);
      await pair.holds("A");
      await pair.crash("A");
      await pair.says("B", MASTER);
    },
    waits: ["down"],
  },
  {
    name: "the interface of the MASTER goes down and comes back",
    variants: ["v2", "v3"],
    A: { priority: 200 },
    B: { priority: 100 },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.linkDown("A");
      await pair.says("A", "Entering FAULT STATE");
      await pair.says("B", MASTER);
      await pair.linkUp("A");
      await pair.says("A", BACKUP);
      await pair.says("A", MASTER);
      await pair.says("B", BACKUP);
      await pair.holds("A");
    },
    waits: ["any", "any"],
  },
  {
    name: "a BACKUP adopts the MASTER's interval",
    variants: ["v3"],
    A: { priority: 200, advert_int: 0.3 },
    B: { priority: 100, advert_int: 0.1 },
    play: async (pair) => {
      await pair.start("A");
      await pair.says("A", MASTER);
      await pair.start("B");
      await pair.silence(12);
      await pair.holds("A");
      await pair.crash("A");
      await pair.says("B", MASTER);
    },
    waits: ["down"],
  },
  {
    name: "a reload lengthens the MASTER's interval",
    variants: ["v3"],
    A: { priority: 200 },
    B: { priority: 100 },
    play: async (pair) => {
      await electA(pair);
      await pair.reload("A", { priority: 200, advert_int: 0.3 });
      await pair.says("B", "advertisement interval updated");
      await pair.silence(9);
      await pair.holds("A");
      await pair.crash("A");
      await pair.says("B", MASTER);
    },
    waits: ["down"],
  },
  {
    name: "twenty addresses",
    A: { priority: 200, addresses: 20 },
    B: { priority: 100, addresses: 20 },
    play: async (pair) => {
      await electA(pair);
      await pair.holds("A");
      await pair.stop("A");
      await pair.says("B", MASTER);
      await pair.holds("B");
    },
    waits: ["skew"],
  },
  {
    name: "different passwords: both are MASTER",
    variants: ["v2 PASS"],
    A: { priority: 200, auth_pass: "secret" },
    B: { priority: 100, auth_pass: "secreT" },
    play: async (pair) => {
      await electA(pair);
      await pair.says("B", MASTER);
      await pair.silence(2.5);
    },
    complaints: { A: /received an invalid passwd/, B: /received an invalid passwd/ },
    isCrossing: true,
  },
  {
    name: "a password on one side only: both are MASTER",
    variants: ["v2"],
    A: { priority: 200, auth_pass: "secret" },
    B: { priority: 100 },
    play: async (pair) => {
      await electA(pair);
      await pair.says("B", MASTER);
      await pair.silence(2.5);
    },
    complaints: { A: /received a 0 auth, expecting 1/, B: /received a 1 auth, expecting 0/ },
    isCrossing: true,
  },
  {
    name: "different intervals in version 2: both are MASTER",
    variants: ["v2"],
    A: { priority: 200, advert_int: 2 },
    B: { priority: 100, advert_int: 1 },
    play: async (pair) => {
      await electA(pair);
      await pair.says("B", MASTER);
      await pair.silence(3.5);
    },
    complaints: { A: /advertisement interval mismatch/, B: /advertisement interval mismatch/ },
    isCrossing: true,
  },
  {
    name: "different versions: both are MASTER",
    variants: ["v3"],
    A: { priority: 200 },
    B: { priority: 100, version: 2, advert_int: 1 },
    play: async (pair) => {
      await electA(pair);
      await pair.says("B", MASTER);
      await pair.silence(10);
    },
    complaints: { A: VERSION, B: VERSION },
    isCrossing: true,
  },
  {
    name: "another number of addresses is obeyed, and logged",
    variants: ["v2", "v3"],
    A: { priority: 200, addresses: 1 },
    B: { priority: 100, addresses: 2 },
    play: async (pair) => {
      await electA(pair);
      await pair.silence();
      await pair.holds("A");
    },
    waits: [],
    complaints: { B: /received an unexpected ip number count 1, expected 2!/ },
    alone: {
      cast: { A: "keepalived", B: "upkeep" },
      why: "2.2.7 discards such adverts, 2.4.3 does not",
    },
  },
  {
    name: "other addresses are obeyed, and logged",
    variants: ["v3"],
    A: { priority: 200, addresses: 2 },
    B: { priority: 100, addresses: 2, firstAddress: 101 },
    play: async (pair) => {
      await electA(pair);
      await pair.silence();
      await pair.holds("A");
    },
    waits: [],
    complaints: {
      B: /ip address associated with VRID 51 not present in MASTER advert: 10.0.0.102/,
    },
    alone: {
      cast: { A: "keepalived", B: "upkeep" },
      why: "2.2.7 discards such adverts, 2.4.3 does not",
    },
  },
  {
    name: "another virtual_router_id is none of our business",
    variants: ["v3"],
    A: { priority: 200 },
    B: { priority: 100, virtual_router_id: 52, firstAddress: 110 },
    play: async (pair) => {
      await electA(pair);
      await pair.says("B", MASTER);
      await pair.silence();
    },
    isCrossing: true,
  },
  {
    name: "announcements: five for each address, five more after five seconds",
    variants: ["v3", "v3 IPv6"],
    A: { priority: 200, addresses: 3 },
    B: { priority: 100, addresses: 3 },
    play: async (pair) => {
      await electA(pair);
      await pair.silence(54);
      await pair.holds("A");
    },
    waits: [],
    comparesAnnouncements: true,
  },
];
