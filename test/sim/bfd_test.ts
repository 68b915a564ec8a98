/**
 * Two BFD sessions against each other over a wire that loses, doubles, delays and reorders; every packet
 * goes through the codec. What must hold is said by RFC 5880, not by the machine: both are Up soon
 * after the wire works both ways, neither stays Up longer than its Detection Time when it does not,
 * and both speak and wait as negotiated.
 */

import { describe, expect, test } from "bun:test";
import {
  type Action,
  controlPacket,
  deadline,
  detectionTimeUs,
  type Event,
  initialState,
  type Session,
  type State,
  step,
  transmitIntervalUs,
} from "../../src/vrrp/bfd.ts";
import { blankControl, CONTROL_BYTES, decodeControl, encodeControl } from "../../src/wire/bfd.ts";
import { Network } from "../support/network.ts";
import { type Prng, prng } from "../support/prng.ts";

const MS = 1000;
const SECOND = 1000 * MS;

/** One end, and what it has done. */
interface Party {
  session: Session;
  state: State;
  readonly signals: { at: number; isUp: boolean }[];
  /** When it last sent a packet that was no answer, and whether its state has changed since. */
  sentAt: number;
  hasNews: boolean;
}

/** Two parties and the wire between them, on a clock of their own. */
class Pair {
  readonly random: Prng;
  readonly network: Network<Uint8Array>;
  readonly parties: readonly [Party, Party];
  now = 0;
  #discriminators = 1;

  constructor(seed: number, sessions: readonly [Session, Session]) {
    this.random = prng(seed);
    this.network = new Network(this.random, 2);
    const party = (session: Session): Party => ({
      session,
      state: initialState(session, this.#discriminators++),
      signals: [],
      sentAt: -Infinity,
      hasNews: false,
    });
    this.parties = [party(sessions[0]), party(sessions[1])];
  }

  /** Something happens to one end now. */
  tell(who: 0 | 1, event: Event): void {
    const party = this.parties[who];
    const { state, actions } = step(party.session, party.state, event, this.now);
    party.state = state;
    for (const action of actions) this.#act(who, action);
  }

  enable(): void {
    for (const who of [0, 1] as const) this.tell(who, { type: "enable", roll: this.#roll() });
  }

  /** One end forgets everything, as after a crash. */
  restart(who: 0 | 1): void {
    const party = this.parties[who];
    party.state = initialState(party.session, this.#discriminators++ + 100);
    party.sentAt = -Infinity;
    this.tell(who, { type: "enable", roll: this.#roll() });
  }

  /** Lets time pass until `until`, or until `isSo`. */
  pass(durationUs: number, isSo: () => boolean = () => false): void {
    const until = this.now + durationUs;
    for (let turns = 0; !isSo(); turns++) {
      if (turns > 1e6) throw new Error("they never come to rest");
      const dues = this.parties.map(({ session, state }) => deadline(session, state));
      const next = Math.min(this.network.earliestAt, ...dues);
      this.now = Math.max(this.now, Math.min(next, until));
      if (next > until) return;
      for (const { to, message } of this.network.receive(this.now)) {
        const packet = blankControl();
        expect(decodeControl(message, packet)).toBeUndefined();
        const who = to as 0 | 1;
        const { localDiscriminator } = this.parties[who].state.variables;
        // §6.8.6: a packet for another session, the one before a restart, is discarded.
        const isOurs = packet.yourDiscriminator === 0 ||
          packet.yourDiscriminator === localDiscriminator;
        if (isOurs) this.tell(who, { type: "packet", packet, roll: this.#roll() });
      }
      for (const who of [0, 1] as const) {
        const { session, state } = this.parties[who];
        if (deadline(session, state) > this.now) continue;
        this.tell(who, { type: "timer", roll: this.#roll() });
      }
    }
  }

  names(): string {
    return this.parties.map(({ state }) => state.variables.name).join(" ");
  }

  #roll(): number {
    return this.random.fraction();
  }

  #act(who: 0 | 1, action: Action): void {
    const party = this.parties[who];
    const { variables } = party.state;
    if (action.type === "signal") party.signals.push({ at: this.now, isUp: action.isUp });
    if (action.type === "transition") party.hasNews = true;
    if (action.type !== "send") return;
    const bytes = new Uint8Array(CONTROL_BYTES);
    encodeControl(controlPacket(party.session, variables, action.final), bytes);
    this.network.send(who, bytes, this.now);
    if (action.final) return;
    // §6.8.7: never closer than 75 % of the interval unless there is news.
    if (!party.hasNews) {
      const leastUs = Math.floor(transmitIntervalUs(variables) * 0.75);
      expect(this.now - party.sentAt).toBeGreaterThanOrEqual(leastUs);
    }
    party.sentAt = this.now;
    party.hasNews = false;
    if (variables.name !== "Up") expect(variables.desiredMinTxUs).toBeGreaterThanOrEqual(SECOND);
  }
}

function randomSession(random: Prng): Session {
  const some = (): number => random.pick([1, 3.312, 10, 50, 300, 2000]) * MS;
  return {
    minTxUs: some(),
    minRxUs: some(),
    idleTxUs: random.pick([1, 1, 1.5]) * SECOND,
    multiplier: random.integer(1, 6),
    passive: false,
  };
}

/** Nothing is late: a handshake whose packets overtake each other begins anew, which is no mistake. */
const FINE = { loss: 0, duplication: 0, maxDelayUs: 0 };

/** Long enough for a handshake and a Poll of any two of these sessions, lossless. */
const HANDSHAKE_US = 15 * SECOND;

/** What two sessions must have agreed on, by §6.8.2 and §6.8.4. */
function expectAgreement({ parties }: Pair): void {
  for (const who of [0, 1] as const) {
    const { session: own, state } = parties[who];
    const { session: peer } = parties[1 - who]!;
    expect(state.variables.name).toBe("Up");
    expect(state.variables.poll).toBe("none");
    expect(transmitIntervalUs(state.variables)).toBe(Math.max(own.minTxUs, peer.minRxUs));
    const expected = peer.multiplier * Math.max(own.minRxUs, peer.minTxUs);
    expect(detectionTimeUs(state.variables)).toBe(expected);
  }
}

function pairOf(seed: number, passive: number): Pair {
  const random = prng(seed);
  const one = { ...randomSession(random), passive: passive === 0 };
  const other = { ...randomSession(random), passive: passive === 1 };
  const pair = new Pair(seed, [one, other]);
  pair.network.weather = FINE;
  return pair;
}

const SEEDS = Array.from({ length: 60 }, (_, i) => i + 1);

describe.each(SEEDS)("seed %d", (seed) => {
  // Every third pair has a passive party.
  const passive = seed % 3;

  test("they come Up, agree, and stay", () => {
    const pair = pairOf(seed, passive);
    pair.enable();
    pair.pass(HANDSHAKE_US);
    expectAgreement(pair);
    for (const { signals } of pair.parties) expect(signals.map((one) => one.isUp)).toEqual([true]);
  });

  test("a reload changes the rates without a loss", () => {
    const pair = pairOf(seed, passive);
    pair.enable();
    pair.pass(HANDSHAKE_US);
    for (let i = 0; i < 4; i++) {
      const party = pair.parties[pair.random.integer(0, 1)]!;
      party.session = { ...randomSession(pair.random), passive: party.session.passive };
      // At times the next reload comes before the Poll of this one is over.
      pair.pass(pair.random.pick([MS, HANDSHAKE_US]));
    }
    pair.pass(HANDSHAKE_US);
    expectAgreement(pair);
    for (const { signals } of pair.parties) expect(signals.map((one) => one.isUp)).toEqual([true]);
  });

  test("a cut is noticed within the Detection Time, and so is its mending", () => {
    const pair = pairOf(seed, passive);
    pair.enable();
    pair.pass(HANDSHAKE_US);
    const cutAt = pair.now;
    const [hearing, deaf] = pair.random.shuffle([0, 1]) as [0 | 1, 0 | 1];
    const isBoth = pair.random.chance(0.5);
    const limitUs = (who: 0 | 1): number => detectionTimeUs(pair.parties[who].state.variables);
    const [hearingUs, deafUs] = [limitUs(hearing), limitUs(deaf)];
    pair.network.cut(hearing, deaf);
    if (isBoth) pair.network.cut(deaf, hearing);
    pair.pass(60 * SECOND);
    expect(pair.names()).not.toContain("Up");
    const downAfter = (who: 0 | 1): number => pair.parties[who].signals.at(-1)!.at - cutAt;
    expect(pair.parties[deaf].signals.at(-1)!.isUp).toBe(false);
    expect(downAfter(deaf)).toBeLessThanOrEqual(deafUs + 200);
    // The deaf one tells the other at once, unless it is passive: then its silence does.
    const isPassive = pair.parties[deaf].session.passive;
    const silenceUs = isBoth ? hearingUs : isPassive ? deafUs + hearingUs : deafUs;
    expect(downAfter(hearing)).toBeLessThanOrEqual(silenceUs + 400);
    pair.network.mend();
    pair.pass(HANDSHAKE_US);
    expectAgreement(pair);
  });

  test("bad weather, restarts and reloads leave nothing behind", () => {
    const pair = pairOf(seed, passive);
    pair.enable();
    for (let i = 0; i < 12; i++) {
      pair.network.weather = {
        loss: pair.random.pick([0, 0.05, 0.3, 0.9]),
        duplication: 0.1,
        maxDelayUs: pair.random.pick([0, MS, 30 * MS, 2 * SECOND]),
      };
      const who = pair.random.pick([0, 1] as const);
      const party = pair.parties[who];
      const what = pair.random.integer(0, 3);
      if (what === 0) pair.restart(who);
      if (what === 1) {
        party.session = { ...randomSession(pair.random), passive: party.session.passive };
      }
      if (what === 2) pair.network.cut(who, 1 - who);
      if (what === 3) pair.network.mend();
      pair.pass(pair.random.integer(1, 4000) * MS);
    }
    pair.network.mend();
    pair.network.weather = FINE;
    pair.pass(60 * SECOND);
    expectAgreement(pair);
    for (const { signals } of pair.parties) {
      // Who tracks a session hears of each change once.
      for (const [i, { isUp }] of signals.entries()) {
        if (i > 0 && !isUp) expect(signals[i - 1]!.isUp).toBe(true);
      }
      expect(signals.at(-1)!.isUp).toBe(true);
    }
  });

  test("an end that is ended takes the other down at once and silently", () => {
    const pair = pairOf(seed, passive);
    pair.enable();
    pair.pass(HANDSHAKE_US);
    pair.tell(0, { type: "disable", roll: 0 });
    pair.pass(300);
    expect(pair.names()).toBe("AdminDown Down");
    pair.pass(60 * SECOND);
    expect(deadline(pair.parties[0].session, pair.parties[0].state)).toBe(Infinity);
    expect(pair.parties[1].signals.map(({ isUp }) => isUp)).toEqual([true]);
    expect(pair.parties[1].state.variables.remoteDiscriminator).toBe(0);
    pair.restart(0);
    pair.pass(HANDSHAKE_US);
    expectAgreement(pair);
  });
});

test("two passive parties wait for each other for ever", () => {
  const pair = pairOf(1, 2);
  for (const party of pair.parties) party.session = { ...party.session, passive: true };
  pair.enable();
  pair.pass(100 * SECOND);
  expect(pair.names()).toBe("Down Down");
});
