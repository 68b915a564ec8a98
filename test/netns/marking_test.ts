/** The tables that mark what goes to groups of virtual servers, as nft shows them: what keepalived 2.2.7 makes. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { inNetworkNamespace } from "../../ffi/process.ts";
import type { Alarm } from "../../src/loop.ts";
import { Marking } from "../../src/lvs/marking_perform.ts";
import { type MarkedRange, rangesOf } from "../../src/lvs/marks.ts";
import { openNftables } from "../../src/nftables.ts";
import { Network } from "../support/namespaces.ts";
import { ruleset } from "../support/vmac.ts";

setDefaultTimeout(60_000);

const SETTINGS = { table: "keepalived_ipvs", priority: -1, counters: false };

const RANGES: readonly MarkedRange[] = [
  ...rangesOf({ protocol: "TCP" }, [
    { type: "address", address: "10.0.0.100", port: 80 },
    { type: "range", first: "10.0.0.101", last: "10.0.0.103", port: 80 },
    { type: "address", address: "fd00::100", port: 80 },
    { type: "range", first: "fd00::110", last: "fd00::113", port: 81 },
  ], 1000),
  ...rangesOf({ protocol: "UDP" }, [{ type: "address", address: "10.0.0.100", port: 80 }], 1001),
  ...rangesOf({ protocol: "TCP" }, [{ type: "address", address: "10.0.0.150", port: 80 }], 1002),
];

const V4 = `table ip keepalived_ipvs {
	map tcp_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.100 . 80 : 0x000003e8,
			     10.0.0.101-10.0.0.103 . 80 : 0x000003e8,
			     10.0.0.150 . 80 : 0x000003ea }
	}

	map udp_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.100 . 80 : 0x000003e9 }
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		meta mark set ip daddr . tcp dport map @tcp_map return
		meta mark set ip daddr . udp dport map @udp_map return
	}
}
`;
const V6 = `table ip6 keepalived_ipvs {
	map tcp_map {
		type ipv6_addr . inet_service : mark
		flags interval
		elements = { fd00::100 . 80 : 0x000003e8,
			     fd00::110/126 . 81 : 0x000003e8 }
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		meta mark set ip6 daddr . tcp dport map @tcp_map return
	}
}
`;

/** A host's tables, kept by us. */
class Bench {
  readonly log: string[] = [];
  readonly marking: Marking;
  alarm: Alarm | undefined;

  constructor(network: Network) {
    const path = `/run/netns/${network.netns("a")}`;
    const schedule = (alarm: Alarm, at: number): void => {
      this.alarm = at === Infinity ? undefined : alarm;
    };
    this.marking = new Marking(
      { now: 0, schedule },
      (_, text) => this.log.push(text),
      () => inNetworkNamespace(path, openNftables),
    );
  }
}

test("tables for both families, other ranges, other names, and none", () => {
  using network = new Network(["a"]);
  const { marking, log } = new Bench(network);
  marking.configure(SETTINGS);
  expect(marking.canMark([4, 6])).toBe(true);
  expect(ruleset(network, "a")).toBe("");
  marking.mark(RANGES);
  expect(ruleset(network, "a")).toBe(V4 + V6);
  marking.mark(RANGES.filter(({ first }) => first.length === 4));
  expect(ruleset(network, "a")).toBe(V4);
  marking.configure({ table: "other", priority: -7, counters: true });
  expect(ruleset(network, "a")).toBe("");
  marking.mark(rangesOf({ protocol: "SCTP" }, [
    { type: "address", address: "10.0.5.1", port: 0 },
    { type: "address", address: "10.0.5.1", port: 80 },
  ], 5000));
  const shown = ruleset(network, "a");
  expect(shown).toContain("table ip other {");
  expect(shown).toContain("priority filter - 7");
  expect(shown).toContain("elements = { 10.0.5.1 . 80 : 0x00001388 }");
  expect(shown).toContain("elements = { 10.0.5.1 . 0-65535 : 0x00001388 }");
  const rules = [...shown.matchAll(/sctp dport map @(\w+) counter/g)];
  expect(rules.map(([, map]) => map)).toEqual(["sctp_map", "sctp_any_port_map"]);
  marking.stop();
  expect(ruleset(network, "a")).toBe("");
  expect(log).toEqual([]);
});

test("what somebody has flushed, or a predecessor has left, is made anew", () => {
  using network = new Network(["a"]);
  network.run("a", "nft", "add table ip keepalived_ipvs; add chain ip keepalived_ipvs old");
  const bench = new Bench(network);
  const { marking, log } = bench;
  marking.configure(SETTINGS);
  marking.mark(RANGES);
  expect(ruleset(network, "a")).toBe(V4 + V6);
  bench.alarm!.fire(0);
  expect(log).toEqual([]);
  network.run("a", "nft", "delete table ip keepalived_ipvs");
  bench.alarm!.fire(0);
  expect(log).toEqual([
    "Table ip keepalived_ipvs was removed by somebody else - making it again",
  ]);
  expect(ruleset(network, "a")).toContain(V4);
  marking.stop();
  expect(bench.alarm).toBeUndefined();
  expect(ruleset(network, "a")).toBe("");
});
