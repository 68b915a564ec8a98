/** Names that tell several daemons of one machine apart. */

import { expect, test } from "bun:test";
import { identSuffix, namespacePath, pidFileAt, type Place, placeOf } from "./place.ts";

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

test("IPVS may be elsewhere", () => {
  expect(placeOf({ namespace: "a" }, { net_namespace_ipvs: "b" }))
    .toEqual({ namespace: "a", ipvsNamespace: "b" });
  expect(placeOf({ namespace: "a" }, { net_namespace_ipvs: "" }))
    .toEqual({ namespace: "a", ipvsNamespace: "" });
  expect(namespacePath("b")).toBe("/run/netns/b");
  expect(namespacePath("")).toBe("/proc/1/ns/net");
});
