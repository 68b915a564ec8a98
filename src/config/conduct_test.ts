/** What global_defs makes of the conduct of roles. */

import { expect, test } from "bun:test";
import { completeGlobals } from "./globals.ts";
import { checkersConduct, type Conduct, vrrpConduct } from "./conduct.ts";

type Written = Parameters<typeof completeGlobals>[0];

const TABLE: readonly [Partial<Written>, Conduct][] = [
  [{}, {}],
  [{ process_names: true }, { name: "keepalived_vrrp" }],
  [{ process_names: true, vrrp_process_name: "vip" }, { name: "vip" }],
  [{ vrrp_priority: 5, vrrp_cpu_affinity: [0, 1], vrrp_no_swap: true }, {
    nice: 5,
    cpus: [0, 1],
    staysInMemory: true,
  }],
  // A limit alone limits nothing.
  [{ vrrp_rlimit_rttime: 7 }, {}],
  [{ vrrp_rt_priority: 9 }, { realTime: 9, runLimitUs: 1_000_000 }],
  [{ vrrp_rt_priority: 9, vrrp_rlimit_rttime: 7 }, { realTime: 9, runLimitUs: 7 }],
  [{ max_auto_priority: 3, min_auto_priority_delay: 20 }, {
    autoRealTime: 3,
    latenessUs: 20,
    runLimitUs: 1_000_000,
  }],
  [{ max_auto_priority: -1 }, {}],
];

for (const [written, conduct] of TABLE) {
  test(JSON.stringify(written), () => {
    expect(vrrpConduct(completeGlobals(written as Written, "host"))).toEqual(conduct);
  });
}

test("the checkers role has words of its own", () => {
  const of = (written: Partial<Written>): Conduct =>
    checkersConduct(completeGlobals(written as Written, "host"));
  expect(of({ vrrp_priority: -3, vrrp_process_name: "vip", bfd_priority: -4 })).toEqual({});
  expect(of({ process_names: true })).toEqual({ name: "keepalived_lvs" });
  expect(of({
    process_names: true,
    checker_process_name: "health",
    checker_priority: 4,
    checker_rt_priority: 2,
    checker_rlimit_rttime: 3000,
    checker_cpu_affinity: [1],
    checker_no_swap: true,
  })).toEqual({
    name: "health",
    nice: 4,
    realTime: 2,
    runLimitUs: 3000,
    cpus: [1],
    staysInMemory: true,
  });
});

const BFD_TABLE: readonly [Partial<Written>, Conduct][] = [
  [{ bfd_priority: 5 }, { nice: -10 }],
  [{ bfd_priority: -15, vrrp_priority: 0 }, { nice: -15 }],
  [{ bfd_priority: 0, vrrp_priority: -5 }, { nice: -5 }],
  [{ bfd_rt_priority: 7, vrrp_rt_priority: 3 }, { realTime: 7, runLimitUs: 1_000_000 }],
  [{ bfd_rt_priority: 7, bfd_rlimit_rttime: 5 }, { realTime: 7, runLimitUs: 5 }],
  [{ bfd_cpu_affinity: [1], bfd_no_swap: true }, { cpus: [1], staysInMemory: true }],
  [{ bfd_cpu_affinity: [1], vrrp_cpu_affinity: [0] }, { cpus: [0] }],
  [{ bfd_process_name: "far" }, {}],
];

for (const [written, conduct] of BFD_TABLE) {
  test(`with BFD, ${JSON.stringify(written)}`, () => {
    const globals = completeGlobals(written as Written, "host");
    expect(vrrpConduct(globals, true)).toEqual(conduct);
    const alone = Object.keys(written).every((word) => word.startsWith("bfd_"));
    if (alone) expect(vrrpConduct(globals)).toEqual({});
  });
}
