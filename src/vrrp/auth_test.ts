/** Who authenticates adverts by what, keys, and AH's sequence numbers. */

import { describe, expect, test } from "bun:test";
import { instanceWith } from "../../test/support/instances.ts";
import type { AuthHmac } from "../config/vrrp.ts";
import { acceptAhSequence, authState, isAh, nextAhSequence, sendsTrailer } from "./auth.ts";

const SECOND_US = 1_000_000;
const NOW_US = 1_795_000_000 * SECOND_US;
const TIME: AuthHmac = {
  keys: [{ id: 7, key: "ab".repeat(32) }, { id: 9, key: "cd".repeat(64) }],
  active_key: 7,
  time_window: 5 * SECOND_US,
  anti_replay: "time",
  mode: "enforce",
};
const AH = instanceWith({ authentication: { auth_type: "AH", auth_pass: "123456789" } });

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
    expect(authState(instanceWith({ auth_hmac: TIME }))!.keys.get(9)).toEqual(
      new Uint8Array(64).fill(0xcd),
    );
  });

  test("numbers outlive a reload, keys do not", () => {
    const before = authState(instanceWith({ auth_hmac: TIME }))!;
    const fewer = { ...TIME, keys: TIME.keys.slice(1), active_key: 9 };
    const after = authState(instanceWith({ auth_hmac: fewer }), before)!;
    expect([...after.keys.keys()]).toEqual([9]);
    expect([after.stamps, after.ah]).toEqual([before.stamps, before.ah]);
    expect(after.stamps.heard).toBe(before.stamps.heard);
  });
});

describe("AH", () => {
  test("numbers begin at the clock, and grow whatever it does", () => {
    const state = authState(AH)!;
    const first = 4 * (1_795_000_000 - 1_577_836_800);
    expect(nextAhSequence(state, NOW_US)).toBe(first);
    expect(nextAhSequence(state, NOW_US)).toBe(first + 1);
    expect(nextAhSequence(state, NOW_US - 1e12)).toBe(first + 2);
    expect(nextAhSequence(state, NOW_US + 9 * SECOND_US)).toBe(first + 36);
  });

  test("a router that was started again is no echo of itself, however much it has answered before", () => {
    const peer = authState(AH)!;
    const before = authState(AH)!;
    for (let second = 0; second < 60; second++) {
      // One advert a second, and an answer to somebody now and then.
      for (const part of second % 2 === 0 ? [0] : [0, 0.1, 0.2]) {
        const sequence = nextAhSequence(before, NOW_US + (second + part) * SECOND_US);
        expect(acceptAhSequence(peer, sequence)).toBe(true);
      }
    }
    const again = nextAhSequence(authState(AH)!, NOW_US + 60 * SECOND_US);
    expect(acceptAhSequence(peer, again)).toBe(true);
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
