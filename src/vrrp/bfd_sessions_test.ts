/** What a bfd_instance means to its session, what a reload changes, and the log in keepalived's words. */

import { describe, expect, test } from "bun:test";
import { bfdInstance } from "../../test/support/bfd_hosts.ts";
import { initialState, type Variables } from "./bfd.ts";
import {
  actionLine,
  agreementLine,
  bfdKey,
  diffBfd,
  discardText,
  lowestTtl,
  sessionOf,
} from "./bfd_sessions.ts";

test("the machine's words for the configuration's", () => {
  const instance = bfdInstance({ min_tx: 1, min_rx: 2, idle_tx: 3, multiplier: 4, passive: true });
  expect(sessionOf(instance)).toEqual({
    minTxUs: 1,
    minRxUs: 2,
    idleTxUs: 3,
    multiplier: 4,
    passive: true,
  });
});

describe("the lowest TTL admitted", () => {
  const rows = [
    // ttl, max_hops, lowest
    [255, 0, 255],
    [255, 1, 254],
    [64, 0, 64],
    [64, 10, 54],
    [64, 64, 0],
    [255, 254, 1],
    [255, 255, 0],
    [64, 255, 0],
    [255, -1, 0],
  ] as const;
  for (const [ttl, max_hops, lowest] of rows) {
    test(`ttl ${ttl}, max_hops ${max_hops}: ${lowest}`, () => {
      expect(lowestTtl(bfdInstance({ ttl, max_hops }))).toBe(lowest);
    });
  }
});

describe("a reload", () => {
  const one = bfdInstance();
  const two = bfdInstance({ name: "two", neighbor_ip: "10.0.0.3" });
  const add = (instance: typeof one): object => ({ type: "add", key: bfdKey(instance), instance });

  test("start, stop and no change", () => {
    expect(diffBfd([], [one, two]) as object[]).toEqual([add(one), add(two)]);
    expect(diffBfd([one, two], [])).toEqual([
      { type: "remove", key: bfdKey(one) },
      { type: "remove", key: bfdKey(two) },
    ]);
    expect(diffBfd([one, two], [two, { ...one }])).toEqual([]);
  });

  test("timers, TTLs, weight and even the name change a session that goes on", () => {
    for (
      const more of [
        { min_tx: 1 },
        { min_rx: 1 },
        { idle_tx: 2_000_000 },
        { multiplier: 9 },
        { passive: true },
        { ttl: 64 },
        { max_hops: 3 },
        { weight: 10 },
        { reverse: true },
        { checker: false },
        { name: "other" },
      ]
    ) {
      const instance = bfdInstance(more);
      const change = { type: "change", key: bfdKey(one), instance } as const;
      expect(diffBfd([one], [instance])).toEqual([change]);
    }
  });

  test("other ends are another session: the old one goes first", () => {
    const { source_ip: _, ...anywhere } = one;
    for (
      const next of [{ ...one, multihop: true }, bfdInstance({ source_ip: "10.0.0.9" }), anywhere]
    ) {
      expect(diffBfd([one], [next]) as object[]).toEqual([
        { type: "remove", key: bfdKey(one) },
        add(next),
      ]);
    }
  });
});

describe("the log", () => {
  const transition = { type: "transition", diagnostic: 0, remoteDiagnostic: 0 } as const;
  const rows = [
    [{ ...transition, from: "AdminDown", to: "Down" }, "info", true, "(one) Entering Down state"],
    [{ ...transition, from: "Down", to: "Init" }, "info", true, "(one) Entering Init state"],
    [{ ...transition, from: "Init", to: "Up" }, "info", false, "(one) Entering Up state"],
    [
      { ...transition, from: "Up", to: "Down", diagnostic: 1 },
      "warning",
      false,
      "(one) Entering Down state (Local diagnostic - Control Detection Time Expired, " +
      "Remote diagnostic - No Diagnostic)",
    ],
    [
      { ...transition, from: "Up", to: "Down", diagnostic: 3, remoteDiagnostic: 30 },
      "warning",
      false,
      "(one) Entering Down state (Local diagnostic - Neighbor Signaled Session Down, " +
      "Remote diagnostic - Unknown (30))",
    ],
    [
      { ...transition, from: "Up", to: "AdminDown", diagnostic: 7 },
      "info",
      false,
      "(one) Entering AdminDown state",
    ],
    [
      { type: "expired", detectionUs: 180_000, overdueUs: 47 },
      "info",
      false,
      "(one) Expired after 180 ms (47 usec overdue)",
    ],
  ] as const;
  for (const [action, level, detail, text] of rows) {
    test(text, () => expect(actionLine("one", action)).toEqual({ level, text, detail }));
  }

  test("what is done silently", () => {
    expect(actionLine("one", { type: "send", final: false })).toBeUndefined();
    expect(actionLine("one", { type: "signal", isUp: true })).toBeUndefined();
    expect(actionLine("one", { type: "closed" })).toBeUndefined();
  });

  test("an agreement is told once, and only while Up", () => {
    const { variables } = initialState(sessionOf(bfdInstance()), 1);
    const up: Variables = {
      ...variables,
      name: "Up",
      usedMinTxUs: 10_000,
      remoteMinRxUs: 40_000,
      remoteMinTxUs: 30_000,
      remoteMultiplier: 3,
    };
    const text = "(one) Sends every 40000 us, detection time is 90000 us";
    expect(agreementLine("one", variables, up)?.text).toBe(text);
    expect(agreementLine("one", up, { ...up, remoteDiagnostic: 1 })).toBeUndefined();
    expect(agreementLine("one", up, variables)).toBeUndefined();
    expect(agreementLine("one", up, { ...up, remoteMinRxUs: 1 })?.text).toContain("every 10000 us");
  });

  test("discarded packets", () => {
    const seen = { ttl: 64, yourDiscriminator: 0xabc, least: 255 };
    expect(discardText("ttl", "10.0.0.2", seen)).toStartWith("Packet ttl(64) < 255 - discarding");
    expect(discardText("ttl", "fd00::2", seen)).toStartWith("Packet hop_limit(64) < 255 - ");
    expect(discardText("no-session", "10.0.0.2", seen)).toBe(
      "Discarding packet from 10.0.0.2 (session is not found - your discriminator field is 0x00000abc)",
    );
    for (
      const why of [
        "version",
        "length",
        "multiplier",
        "multipoint",
        "my-discriminator",
        "your-discriminator",
        "authentication",
        "poll-final",
      ] as const
    ) {
      expect(discardText(why, "10.0.0.2", seen)).toStartWith("Discarding packet from 10.0.0.2: ");
    }
  });
});
