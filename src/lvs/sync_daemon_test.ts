/** Which daemons run for which state. */

import { expect, test } from "bun:test";
import { isSameDaemon, wantedDaemons } from "./sync_daemon.ts";

const eth0 = { interface: "eth0", id: 7 };

test("without an instance both run, with one the one that suits it", () => {
  const states = (state: string | undefined, instance?: string): string[] =>
    wantedDaemons(instance === undefined ? eth0 : { ...eth0, instance }, state)
      .map((daemon) => daemon.state);
  expect(states(undefined)).toEqual(["master", "backup"]);
  expect(states("MASTER", "V")).toEqual(["master"]);
  expect(states("BACKUP", "V")).toEqual(["backup"]);
  expect(states("FAULT", "V")).toEqual(["backup"]);
  expect(states("INIT", "V")).toEqual([]);
  expect(states(undefined, "V")).toEqual([]);
  expect(wantedDaemons(undefined, "MASTER")).toEqual([]);
});

test("every setting reaches the daemon, and what is not set does not count", () => {
  const [daemon] = wantedDaemons(
    { ...eth0, maxlen: 1400, port: 8849, ttl: 3, group: "224.0.0.82" },
    undefined,
  );
  expect(daemon).toEqual({
    state: "master",
    link: "eth0",
    syncId: 7,
    maxLength: 1400,
    port: 8849,
    ttl: 3,
    group: Uint8Array.of(224, 0, 0, 82),
  });
  const [plain] = wantedDaemons(eth0, undefined);
  expect(isSameDaemon(daemon!, plain!)).toBeTrue();
  expect(isSameDaemon(plain!, daemon!)).toBeFalse();
  expect(isSameDaemon({ ...daemon!, group: Uint8Array.of(224, 0, 0, 81) }, daemon!)).toBeFalse();
  expect(isSameDaemon({ ...daemon!, state: "backup" }, daemon!)).toBeFalse();
});
