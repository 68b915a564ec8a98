/** Why states change, in words. */

import { expect, test } from "bun:test";
import { parseAddress } from "../lib/address.ts";
import { Causes } from "./causes.ts";
import type { Note, NoteAction } from "./state.ts";

const source = parseAddress("10.0.0.2")!;

function noted(note: Note): NoteAction {
  return { type: "note", note, priority: 200, source };
}

test("an advert names its sender, and the log says what was wrong with us", () => {
  const causes = new Causes();
  causes.begin({ type: "advert", priority: 200, source, advertisementIntervalUs: 1 }, "");
  expect(causes.current).toEqual({ reason: "an advert was received", peer: "10.0.0.2" });
  causes.note(noted("higher-priority"), "(V (1)) Master received advert with higher priority");
  expect(causes.current.peer).toBe("10.0.0.2");
  causes.note(noted("higher-priority"), "(V) Master received advert with higher priority");
  expect(causes.current.reason).toBe("Master received advert with higher priority");
});

test("a fault has its own words, a timeout no peer", () => {
  const causes = new Causes();
  causes.begin({ type: "fault" }, "interface eth1 is down");
  expect(causes.current).toEqual({ reason: "interface eth1 is down" });
  causes.begin({ type: "timer" }, "interface eth1 is down");
  causes.note(noted("timeout"), "(V) Receive advertisement timeout");
  expect(causes.current).toEqual({ reason: "Receive advertisement timeout" });
});

test("a group follows for the reason of the one that leads", () => {
  const causes = new Causes();
  causes.begin({ type: "fault" }, "script s fails");
  causes.follow("G");
  expect(causes.current).toEqual({ reason: "VRRP_Group(G): script s fails" });
  causes.begin({ type: "shutdown" }, "");
  expect(causes.current).toEqual({ reason: "stopped" });
});
