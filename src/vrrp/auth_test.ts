/** Sequence numbers of authenticated adverts: growth, replays, clocks that differ, jump and are put right. */

import { describe, expect, test } from "bun:test";
import { instanceWith } from "../../test/support/instances.ts";
import { prng } from "../../test/support/prng.ts";
import type { AuthHmac } from "../config/vrrp.ts";
import {
  acceptAhSequence,
  acceptTrailer,
  type AuthState,
  authState,
  clockSequence,
  isAh,
  isStale,
  nextAhSequence,
  nextTrailer,
  sendsTrailer,
  skewUs,
} from "./auth.ts";

const SECOND_US = 1_000_000;
const NOW_US = 1_795_000_000 * SECOND_US;
const TIME: AuthHmac = {
  keys: [{ id: 7, key: "ab".repeat(32) }, { id: 9, key: "cd".repeat(64) }],
  active_key: 7,
  time_window: 5 * SECOND_US,
  anti_replay: "time",
  mode: "enforce",
};
const MONOTONIC: AuthHmac = { ...TIME, anti_replay: "monotonic" };
const AH = instanceWith({ authentication: { auth_type: "AH", auth_pass: "123456789" } });

const fresh = (hmac = TIME): AuthState => authState(instanceWith({ auth_hmac: hmac }))!;

describe("who remembers what", () => {
  test("only AH and trailers need a memory", () => {
    expect(authState(instanceWith())).toBeUndefined();
    const pass = instanceWith({ authentication: { auth_type: "PASS", auth_pass: "x" } });
    expect(authState(pass)).toBeUndefined();
    expect(authState({ ...AH, version: 3 })).toBeUndefined();
    expect(authState({ ...AH, family: 6 })).toBeUndefined();
    expect(isAh(AH)).toBe(true);
    expect(isAh({ ...AH, auth_hmac: TIME })).toBe(false);
    expect(sendsTrailer(AH)).toBe(false);
    expect(sendsTrailer(instanceWith({ auth_hmac: TIME }))).toBe(true);
    const silent = instanceWith({ auth_hmac: { ...TIME, mode: "receive-only" } });
    expect(sendsTrailer(silent)).toBe(false);
    expect(authState(silent)?.keys.size).toBe(2);
  });

  test("keys are bytes, a password its first eight", () => {
    expect(authState(AH)?.keys.get(0)).toEqual(new TextEncoder().encode("12345678"));
    expect(fresh().keys.get(9)).toEqual(new Uint8Array(64).fill(0xcd));
  });

  test("numbers outlive a reload, keys do not", () => {
    const before = fresh();
    nextTrailer(before, TIME, NOW_US);
    acceptTrailer(before, TIME, "peer", clockSequence(NOW_US), NOW_US);
    const after = authState(
      instanceWith({ auth_hmac: { ...TIME, keys: TIME.keys.slice(1), active_key: 9 } }),
      before,
    )!;
    expect([...after.keys.keys()]).toEqual([9]);
    expect(after.last).toEqual(before.last);
    expect(acceptTrailer(after, TIME, "peer", clockSequence(NOW_US), NOW_US)).toBe(false);
  });
});

describe("AH", () => {
  test("numbers begin at the clock, and grow whatever it does", () => {
    const state = authState(AH)!;
    expect(nextAhSequence(state, NOW_US)).toBe(1_795_000_000);
    expect(nextAhSequence(state, NOW_US)).toBe(1_795_000_001);
    expect(nextAhSequence(state, NOW_US - 1e12)).toBe(1_795_000_002);
    expect(nextAhSequence(state, NOW_US + 9 * SECOND_US)).toBe(1_795_000_009);
  });

  test("whoever sends goes on from the greatest number heard", () => {
    const state = authState(AH)!;
    expect(acceptAhSequence(state, 3_000_000_000)).toBe(true);
    expect(nextAhSequence(state, NOW_US)).toBe(3_000_000_001);
  });

  test("a number counts once, and what we send ourselves does not stop a peer behind us", () => {
    const state = authState(AH)!;
    nextAhSequence(state, NOW_US);
    expect([5, 6, 6, 5, 1, 7].map((one) => acceptAhSequence(state, one)))
      .toEqual([true, true, false, false, false, true]);
  });

  test("the last number is the last", () => {
    const state = authState(AH)!;
    acceptAhSequence(state, 0xffff_ffff);
    expect(nextAhSequence(state, NOW_US)).toBe(0xffff_ffff);
  });
});

describe("trailers", () => {
  test("a moment is seconds and 2^-16 parts of one, with a counter of 0", () => {
    const table = [
      [0, 0, 0],
      [1_500_000, 1, 0x8000_0000],
      [999_999, 0, 0xffff_0000],
      [2 ** 32 * SECOND_US + 250_000, 0, 0x4000_0000],
    ] as const;
    for (const [us, seconds, rest] of table) expect(clockSequence(us)).toEqual({ seconds, rest });
  });

  test("numbers are the clock's, and grow when it does not", () => {
    const state = fresh();
    const { seconds, rest } = clockSequence(NOW_US);
    expect(nextTrailer(state, TIME, NOW_US)).toEqual({ keyId: 7, seconds, rest });
    expect(nextTrailer(state, TIME, NOW_US)).toEqual({ keyId: 7, seconds, rest: rest + 1 });
    expect(nextTrailer(state, TIME, NOW_US - 2 * SECOND_US).rest).toBe(rest + 2);
    expect(nextTrailer(state, TIME, NOW_US + SECOND_US)).toEqual({
      keyId: 7,
      seconds: seconds + 1,
      rest,
    });
    state.last = { seconds: 5, rest: 0xffff_ffff };
    expect(nextTrailer(state, MONOTONIC, 0)).toEqual({ keyId: 7, seconds: 6, rest: 0 });
    state.last = { seconds: 0xffff_ffff, rest: 0xffff_ffff };
    expect(nextTrailer(state, MONOTONIC, 0)).toEqual({ keyId: 7, seconds: 0, rest: 0 });
  });

  test("after a jump that was put right, time mode begins anew, monotonic mode does not", () => {
    const jumped = NOW_US + 3600 * SECOND_US;
    const time = fresh();
    nextTrailer(time, TIME, jumped);
    expect(nextTrailer(time, TIME, NOW_US).seconds).toBe(1_795_000_000);
    const monotonic = fresh(MONOTONIC);
    nextTrailer(monotonic, MONOTONIC, jumped);
    expect(nextTrailer(monotonic, MONOTONIC, NOW_US)).toMatchObject({
      seconds: 1_795_003_600,
      rest: 1,
    });
  });

  test("stale is further from our clock than the window, either way, in time mode", () => {
    const from = (seconds: number): { seconds: number; rest: number } =>
      clockSequence(NOW_US - seconds * SECOND_US);
    for (const [seconds, stale] of [[0, false], [5, false], [6, true], [-5, false], [-6, true]]) {
      expect(isStale(TIME, from(Number(seconds)), NOW_US)).toBe(Boolean(stale));
      expect(isStale(MONOTONIC, from(Number(seconds)), NOW_US)).toBe(false);
      expect(skewUs(from(Number(seconds)), NOW_US)).toBe(Number(seconds) * SECOND_US);
    }
    // The seconds wrap in 2106, and nothing happens.
    const wrapUs = 2 ** 32 * SECOND_US;
    expect(isStale(TIME, clockSequence(wrapUs - SECOND_US), wrapUs + SECOND_US)).toBe(false);
  });

  test("a number counts once for each sender", () => {
    const state = fresh();
    const accept = (sender: string, us: number): boolean =>
      acceptTrailer(state, TIME, sender, clockSequence(us), NOW_US);
    expect(accept("a", NOW_US)).toBe(true);
    expect(accept("b", NOW_US)).toBe(true);
    expect(accept("a", NOW_US)).toBe(false);
    expect(accept("a", NOW_US - 100)).toBe(false);
    expect(accept("a", NOW_US + 100)).toBe(true);
    expect(accept("b", NOW_US + 50)).toBe(true);
  });

  test("what is remembered expires with the window, but for monotonic mode", () => {
    for (const [hmac, accepted] of [[TIME, true], [MONOTONIC, false]] as const) {
      const state = fresh(hmac);
      const jumped = NOW_US + 3600 * SECOND_US;
      acceptTrailer(state, hmac, "a", clockSequence(jumped), jumped);
      expect(acceptTrailer(state, hmac, "a", clockSequence(NOW_US), NOW_US)).toBe(accepted);
    }
  });

  test("four strangers are remembered besides peers, the one unheard of longest is forgotten", () => {
    const state = fresh(MONOTONIC);
    const accept = (sender: string): boolean =>
      acceptTrailer(state, MONOTONIC, sender, { seconds: 9, rest: 9 }, NOW_US);
    expect(["a", "b", "c", "d"].map(accept)).toEqual([true, true, true, true]);
    expect(acceptTrailer(state, MONOTONIC, "a", { seconds: 9, rest: 10 }, NOW_US)).toBe(true);
    expect(accept("e")).toBe(true);
    expect([...state.marks.keys()]).toEqual(["c", "d", "a", "e"]);
    const peers = ["1", "2", "3"].map((address) => ({ address }));
    const unicast = authState(instanceWith({ auth_hmac: TIME, unicast_peer: peers }))!;
    expect(unicast.most).toBe(7);
  });

  test("over random clocks: what is sent is accepted once, in order, by those whose clock agrees", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = prng(seed);
      const hmac = random.pick([TIME, MONOTONIC]);
      const [sender, receiver] = [fresh(hmac), fresh(hmac)];
      const offsetUs = random.integer(-4 * SECOND_US, 4 * SECOND_US);
      let us = NOW_US;
      for (let i = 0; i < 50; i++) {
        us += random.pick([0, 1, 20, SECOND_US, 10 * SECOND_US]);
        const trailer = nextTrailer(sender, hmac, us);
        const there = us + offsetUs;
        expect([seed, i, isStale(hmac, trailer, there)]).toEqual([seed, i, false]);
        expect([seed, i, acceptTrailer(receiver, hmac, "s", trailer, there)])
          .toEqual([seed, i, true]);
        expect([seed, i, acceptTrailer(receiver, hmac, "s", trailer, there)])
          .toEqual([seed, i, false]);
      }
    }
  });
});
