/** What global_defs makes of the role's conduct. */

import { expect, test } from "bun:test";
import { completeGlobals } from "../config/globals.ts";
import { type Conduct, conductOf } from "./conduct.ts";

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
    expect(conductOf(completeGlobals(written as Written, "host"))).toEqual(conduct);
  });
}
