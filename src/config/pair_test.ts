/** Pairs: what two configurations must agree on, found from either side. */
import { expect, test } from "bun:test";
import { memoryFiles } from "./files.ts";
import type { Finding } from "./finding.ts";
import { load } from "./load.ts";
import { comparePair, type Side } from "./pair.ts";

const BASE = {
  interface: "eth0",
  virtual_router_id: "51",
  priority: "100",
  virtual_ipaddress: "{\n192.0.2.9/24\n}",
};
type Said = Readonly<Record<string, string>>;

function side(name: string, said: Said): Side {
  const lines = Object.entries({ ...BASE, ...said }).map(([keyword, text]) => `${keyword} ${text}`);
  const body = lines.join("\n");
  const scripts = "vrrp_script a {\nscript /a\nweight -20\n}\nvrrp_script b {\nscript /b\n}\n";
  const text = `${scripts}vrrp_instance ${said["NAME"] ?? "VI"} {\n${body}\n}\n`;
  return { name, config: load("/k", memoryFiles({ "/k": text })).config };
}

function compare(left: Said, right: Said): readonly Finding[] {
  const found: Finding[] = [];
  comparePair(
    side("left", { priority: "150", ...left }),
    side("right", right),
    (one) => found.push(one),
  );
  return found;
}

const PASS = (word: string): Said => ({
  authentication: `{\nauth_type PASS\nauth_pass ${word}\n}`,
});
const unicast = (source: string, peer: string): Said => ({
  unicast_src_ip: source,
  unicast_peer: `{\n${peer}\n}`,
});
const track = (entry: string): Said => ({ track_script: `{\n${entry}\n}` });

test("a good pair is left in peace", () => {
  const table: readonly [Said, Said][] = [
    [{}, {}],
    [PASS("one"), PASS("one")],
    [unicast("192.0.2.1", "192.0.2.2"), unicast("192.0.2.2", "192.0.2.1")],
    [track("a weight -60"), track("a weight -60")],
    [track("b"), track("b")],
    [{ state: "MASTER" }, { state: "BACKUP" }],
    [{ priority: "255" }, {}],
  ];
  for (const [a, b] of table) expect([a, b, compare(a, b)]).toEqual([a, b, []]);
});

test("each disagreement has its code", () => {
  const table: readonly [Said, Said, string][] = [
    [{}, { virtual_router_id: "52" }, "error pair_vrid"],
    [{}, { virtual_router_id: "52", NAME: "X" }, "warning pair_missing, warning pair_missing"],
    [{}, { version: "3" }, "error pair_version"],
    [{}, PASS("one"), "error pair_auth"],
    [PASS("one"), PASS("two"), "error pair_auth"],
    [{}, { advert_int: "2" }, "error pair_advert_int"],
    [{ version: "3" }, { version: "3", advert_int: "2" }, "lint pair_advert_int"],
    [{}, { virtual_ipaddress: "{\n192.0.2.9/24\n192.0.2.8/24\n}" }, "error pair_addresses"],
    [{ virtual_ipaddress_excluded: "{\n192.0.2.7\n}" }, {}, "warning pair_addresses"],
    [{}, { virtual_ipaddress: "{\n2001:db8::9/64\n}" }, "error pair_family"],
    [{}, unicast("192.0.2.2", "192.0.2.1"), "error pair_transport"],
    [unicast("192.0.2.1", "192.0.2.3"), unicast("192.0.2.2", "192.0.2.1"), "error pair_peers"],
    [{ priority: "100" }, {}, "lint pair_priorities"],
    [{ priority: "80" }, track("b weight -20"), "lint pair_weights"],
    [{ priority: "255" }, { priority: "255" }, "error pair_owners"],
    [{ state: "MASTER" }, { state: "MASTER", priority: "90" }, "lint pair_states"],
    [track("a"), track("a"), "lint pair_weights"],
    [track("a weight -50"), {}, "lint pair_weights"],
    [track("a weight -51"), {}, ""],
    [{ priority: "100", ...track("a weight 20") }, { priority: "110" }, ""],
    [{ priority: "100", ...track("a weight 20") }, {}, "lint pair_weights"],
  ];
  for (const [a, b, codes] of table) {
    const found = compare(a, b).map(({ severity, code }) => `${severity} ${code}`).join(", ");
    expect([a, b, found]).toEqual([a, b, codes]);
  }
});

test("weights that cannot hand over show the arithmetic", () => {
  const [finding] = compare(track("a\nb weight -5"), {});
  expect(finding?.message).toBe(
    "(VI) when everything tracked fails the priority is 150 - 20 - 5 = 125, still above the 100 of " +
      "right: no failure hands over",
  );
  expect(finding?.hint).toBe("the weights must take off at least 26 more");
});

test("no finding shows a password", () => {
  expect(JSON.stringify(compare(PASS("hunter2"), PASS("hunter3")))).not.toContain("hunter");
});
