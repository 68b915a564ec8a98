/**
 * Configurations that people have published, mistakes and all, get the diagnostics they deserve. They lie beside
 * the repository; where they do not, there is nothing to read.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { lint } from "../../src/config/lint.ts";
import { load } from "../../src/config/load.ts";
import { memoryWorld } from "../../src/config/world.ts";

const FOLDER = new URL("../../../shared/configs/", import.meta.url).pathname;

/** Line and code of each mistake, by file; what is not built yet is no mistake. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "seed-email-and-ids.conf": [],
  "seed-failover-lab.conf": [
    "23 error general: Truncating auth_pass to 8 characters",
    "8 lint unused_script: vrrp_script chequea_http_port/80 is tracked by nobody: its result changes nothing",
  ],
  "seed-ha-nginx.conf": [
    "15 lint weight_with_nopreempt: (VI_NGINX) with nopreempt a MASTER whose priority dropped is not replaced: track_script chk_nginx (-50) decides nothing while it still sends adverts",
  ],
  "seed-haproxy.conf": [
    "2 error unknown_keyword: Unknown keyword 'script_security'",
    "16 error general: (nombre) Warning - nopreempt will not work with initial state MASTER - clearing",
    "16 error general: (nombre) Ignoring track_interface enp2s0 since own interface",
  ],
  "seed-lvs-nat.conf": [],
  "seed-minimal-backup.conf": [],
  "seed-minimal-master.conf": [],
  "seed-nopreempt.conf": [],
  "seed-sync-group.conf": [
    "34 error general: Truncating auth_pass to 8 characters",
    "57 error general: Truncating auth_pass to 8 characters",
    "24 error general: (ws-bi-vrrp) Ignoring track_interface eth2 since own interface",
    "47 error general: (ws-lb-vrrp) Ignoring track_interface eth1 since own interface",
  ],
  "seed-track-interface.conf": [],
  "seed-track-process.conf": [],
  "seed-track-script.conf": [],
  "seed-unicast-excluded.conf": [
    "13 error invalid_number: invalid number '1,'",
    "13 error general: (cluster): VRID '1,' not valid - must be between 1 & 255",
    "16 error invalid_number: invalid number 'peer's'",
    "16 error general: (cluster) IP is missing a value",
    "21 error general: Unknown configuration entry 'the' for ip address - ignoring",
    "21 error general: Unknown configuration entry 'VIP' for ip address - ignoring",
    "21 error general: Unknown configuration entry 'we're' for ip address - ignoring",
    "21 error general: Unknown configuration entry 'sharing' for ip address - ignoring",
    "21 error general: Unknown configuration entry '(details)' for ip address - ignoring",
    "11 fatal general: (cluster) the virtual router id must be set",
    "11 warning general: (cluster) No VIP specified; at least one is sensible",
    "19 lint weight_with_nopreempt: (cluster) with nopreempt a MASTER whose priority dropped is not replaced: track_script check_things (2) decides nothing while it still sends adverts",
  ],
};

function diagnose(name: string): readonly string[] {
  const world = memoryWorld({ "/k": readFileSync(FOLDER + name, "utf8") }, { isHere: false });
  const { problems } = load("/k", world, "test", {
    inspect: (what, found) => lint(what, world, found),
  });
  return problems.filter(({ kind }) => kind !== "not_supported")
    .map(({ severity, line, code, kind, message }) => `${line} ${severity} ${code ?? kind}: ${message}`);
}

test.skipIf(!existsSync(FOLDER))("published configurations get the diagnostics they deserve", () => {
  const found = readdirSync(FOLDER).filter((name) => name.endsWith(".conf")).sort()
    .map((name) => [name, diagnose(name)] as const);
  expect(Object.fromEntries(found)).toEqual(EXPECTED);
});
