/** Names that tell several daemons of one machine apart. */

import { expect, test } from "bun:test";
import { identSuffix, pidFileAt, type Place, placeOf } from "./place.ts";

const TABLE: readonly [Place, string, string][] = [
  [{}, "/run/vrrp.pid", ""],
  [{ use_pid_dir: true }, "/run/keepalived/vrrp.pid", ""],
  [{ instance: "blue" }, "/run/keepalived/vrrp_blue.pid", "_blue"],
  [{ namespace: "ns" }, "/run/keepalived/vrrp.pid", "_ns"],
  [{ namespace: "ns", instance: "blue" }, "/run/keepalived/vrrp_blue.pid", "_ns_blue"],
];

for (const [place, file, suffix] of TABLE) {
  test(JSON.stringify(place), () => {
    expect(pidFileAt(place, "vrrp", "/run/vrrp.pid")).toBe(file);
    expect(pidFileAt(place, "vrrp", "/tmp/my.pid")).toBe("/tmp/my.pid");
    expect(identSuffix(place)).toBe(suffix);
  });
}

test("the command line beats the configuration", () => {
  expect(placeOf({ namespace: undefined })).toEqual({});
  expect(placeOf({ namespace: "a" }, { net_namespace: "b", instance: "i" }))
    .toEqual({ namespace: "a", instance: "i" });
  expect(placeOf({ namespace: undefined }, { net_namespace: "b", use_pid_dir: true }))
    .toEqual({ namespace: "b", use_pid_dir: true });
});
