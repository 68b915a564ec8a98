/** Stamps of authenticated adverts: growth, replays, clocks that differ, jump and are put right. */

import { describe, expect, test } from "bun:test";
import { prng } from "../../test/support/prng.ts";
import type { AuthHmac } from "../config/vrrp.ts";
import {
  acceptStamp,
  isStale,
  nextStamp,
  stampAgeUs,
  stampAt,
  type StampMemory,
  stampMemory,
} from "./stamps.ts";

const SECOND_US = 1_000_000;
const HOUR_US = 3600 * SECOND_US;
const NOW_US = 1_795_000_000 * SECOND_US;
const TIME: AuthHmac = {
  keys: [{ id: 1, key: "ab".repeat(32) }],
  active_key: 1,
  time_window: 5 * SECOND_US,
  anti_replay: "time",
  mode: "enforce",
};
const MONOTONIC: AuthHmac = { ...TIME, anti_replay: "monotonic" };

const fresh = (peers = 0): StampMemory => stampMemory(peers, undefined);

describe("sending", () => {
  test("a moment is seconds and 2^-16 parts of one, with a counter of 0", () => {
    const table = [
      [0, 0n],
      [1_500_000, 0x0000_0001_8000_0000n],
      [999_999, 0x0000_0000_ffff_0000n],
      [2 ** 32 * SECOND_US + 250_000, 0x4000_0000n],
    ] as const;
    for (const [us, stamp] of table) expect(stampAt(us)).toBe(stamp);
  });

  test("stamps are the clock's, and grow when it does not", () => {
    const memory = fresh();
    const first = stampAt(NOW_US);
    expect(nextStamp(memory, TIME, NOW_US)).toBe(first);
    expect(nextStamp(memory, TIME, NOW_US)).toBe(first + 1n);
    expect(nextStamp(memory, TIME, NOW_US - 2 * SECOND_US)).toBe(first + 2n);
    expect(nextStamp(memory, TIME, NOW_US + SECOND_US)).toBe(first + (1n << 32n));
  });

  test("they carry from part to part and over the end", () => {
    const memory = fresh();
    memory.sent = 0x0000_0005_ffff_ffffn;
    expect(nextStamp(memory, MONOTONIC, 0)).toBe(0x0000_0006_0000_0000n);
    memory.sent = 0xffff_ffff_ffff_ffffn;
    expect(nextStamp(memory, TIME, 2 ** 32 * SECOND_US - 1)).toBe(0n);
  });

  test("after a jump that was put right, time mode begins anew, monotonic mode does not", () => {
    for (const [hmac, next] of [[TIME, 0n], [MONOTONIC, (3600n << 32n) + 1n]] as const) {
      const memory = fresh();
      nextStamp(memory, hmac, NOW_US + HOUR_US);
      expect(nextStamp(memory, hmac, NOW_US)).toBe(stampAt(NOW_US) + next);
    }
  });
});

describe("hearing", () => {
  test("stale is further from our clock than the window, either way, in time mode", () => {
    for (const [seconds, stale] of [[0, false], [5, false], [6, true], [-5, false], [-6, true]]) {
      const us = Number(seconds) * SECOND_US;
      const stamp = stampAt(NOW_US - us);
      expect(isStale(TIME, stamp, NOW_US)).toBe(Boolean(stale));
      expect(isStale(MONOTONIC, stamp, NOW_US)).toBe(false);
      expect(stampAgeUs(stamp, NOW_US)).toBe(us);
    }
    // The seconds wrap in 2106, and nothing happens.
    const wrapUs = 2 ** 32 * SECOND_US;
    expect(stampAgeUs(stampAt(wrapUs - SECOND_US), wrapUs + SECOND_US)).toBe(2 * SECOND_US);
    const memory = fresh();
    expect(acceptStamp(memory, MONOTONIC, "a", stampAt(wrapUs - 1), wrapUs)).toBe(true);
    expect(acceptStamp(memory, MONOTONIC, "a", stampAt(wrapUs), wrapUs)).toBe(true);
    expect(acceptStamp(memory, MONOTONIC, "a", stampAt(wrapUs - 1), wrapUs)).toBe(false);
  });

  test("a stamp counts once for each sender, and none before it any more", () => {
    const memory = fresh();
    const accept = (sender: string, us: number): boolean =>
      acceptStamp(memory, TIME, sender, stampAt(us), NOW_US);
    expect(accept("a", NOW_US)).toBe(true);
    expect(accept("b", NOW_US)).toBe(true);
    expect(accept("a", NOW_US)).toBe(false);
    expect(accept("a", NOW_US - 100)).toBe(false);
    expect(accept("a", NOW_US + 100)).toBe(true);
    expect(accept("b", NOW_US + 50)).toBe(true);
  });

  test("what is remembered is void outside the window, but for monotonic mode", () => {
    for (const [hmac, accepted] of [[TIME, true], [MONOTONIC, false]] as const) {
      const memory = fresh();
      const jumped = NOW_US + HOUR_US;
      acceptStamp(memory, hmac, "a", stampAt(jumped), jumped);
      expect(acceptStamp(memory, hmac, "a", stampAt(NOW_US), NOW_US)).toBe(accepted);
    }
  });

  test("four strangers are remembered besides peers, the one unheard of longest is forgotten", () => {
    const memory = fresh(1);
    const accept = (sender: string, stamp = 9n): boolean =>
      acceptStamp(memory, MONOTONIC, sender, stamp, NOW_US);
    expect(["a", "b", "c", "d", "e"].map((sender) => accept(sender))).not.toContain(false);
    expect([accept("a", 10n), accept("f")]).toEqual([true, true]);
    expect([...memory.heard.keys()]).toEqual(["c", "d", "e", "a", "f"]);
    expect(stampMemory(3, memory)).toBe(memory);
    expect(memory.limit).toBe(7);
  });
});

test("over random clocks: what is sent is accepted once, in order, by those whose clock agrees", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = prng(seed);
    const hmac = random.pick([TIME, MONOTONIC]);
    const [sender, receiver] = [fresh(), fresh()];
    const offsetUs = random.integer(-4 * SECOND_US, 4 * SECOND_US);
    let us = NOW_US;
    for (let i = 0; i < 50; i++) {
      us += random.pick([0, 1, 20, SECOND_US, 10 * SECOND_US]);
      const stamp = nextStamp(sender, hmac, us);
      const there = us + offsetUs;
      expect([seed, i, isStale(hmac, stamp, there)]).toEqual([seed, i, false]);
      expect([seed, i, acceptStamp(receiver, hmac, "s", stamp, there)]).toEqual([seed, i, true]);
      expect([seed, i, acceptStamp(receiver, hmac, "s", stamp, there)]).toEqual([seed, i, false]);
    }
  }
});
