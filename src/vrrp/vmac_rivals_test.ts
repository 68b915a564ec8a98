/** Who gets a VMAC that several instances ask for. */

import { expect, test } from "bun:test";
import {
  configWith,
  groupWith,
  instanceWith,
  virtualAddress,
} from "../../test/support/instances.ts";
import type { Config } from "../config/load.ts";
import type { VrrpSyncGroup } from "../config/sync_group.ts";
import type { VrrpInstance } from "../config/vrrp.ts";
import { diff } from "./diff.ts";
import { withRivals } from "./vmac_rivals.ts";

const mac = "02:00:00:00:00:01";
const named = (name: string, vrid: number, rest: Partial<VrrpInstance> = {}): VrrpInstance =>
  instanceWith({ name, virtual_router_id: vrid, use_vmac: { mac }, ...rest });
const [A, B, C] = [named("A", 7), named("B", 8), named("C", 9, { use_vmac: {} })];
const mark = (instances: readonly VrrpInstance[], groups: readonly VrrpSyncGroup[] = []): Config =>
  withRivals({ ...configWith(instances), vrrp_sync_groups: groups });
const rivals = (...of: Parameters<typeof mark>): (string | undefined)[] =>
  mark(...of).vrrp_instances.map(({ vmac_rival }) => vmac_rival);

test("the first has it; others may not take part, and say why", () => {
  const marked = mark([A, B, C]).vrrp_instances;
  expect(rivals([A, B, C])).toEqual([undefined, "A", undefined]);
  expect(marked[1]!.configuration_fault).toContain("it has the VMAC of A");
  expect([marked[0], marked[2]]).toEqual([A, C]);
  expect(rivals([B, A, C])).toEqual([undefined, "B", undefined]);
});

test("on another link, or in one sync group, both have it", () => {
  expect(rivals([A, { ...B, interface: "eth1" }])).toEqual([undefined, undefined]);
  const group = groupWith("G", ["A", "B"]);
  expect(rivals([A, B], [group])).toEqual([undefined, undefined]);
  expect(rivals([A, B], [groupWith("G", ["A", "C"])])).toEqual([undefined, "A"]);
});

test("one that may not take part keeps nobody else from a VMAC", () => {
  const both = named("D", 10, {
    use_vmac_addr: true,
    use_vmac: { mac },
    virtual_ipaddress: [virtualAddress("10.0.1.1", { dev: "eth1" })],
  });
  const onEth1 = named("E", 11, { interface: "eth1" });
  expect(rivals([A, both, onEth1])).toEqual([undefined, "A", undefined]);
});

test("a reload that takes the first away gives the second what it asks for", () => {
  const change = diff(mark([A, B]), mark([B]));
  expect(change).toMatchObject([{ type: "remove", name: "A" }, { type: "change", instance: B }]);
  expect(diff(mark([A, B]), mark([A, B]))).toEqual([]);
});
