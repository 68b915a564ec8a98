/** Plans from pairs of configurations: what is built for those that work, and why others cannot. */

import { expect, test } from "bun:test";
import { memoryFiles } from "../config/files.ts";
import { type Config, load } from "../config/load.ts";
import { embeddedConfiguration, formatDuration, type Plan, planDemo } from "./demo_plan.ts";

function configOf(text: string): Config {
  const { config, problems } = load(
    "/x.conf",
    memoryFiles({ "/x.conf": text }, { hasLink: () => true }),
  );
  expect(problems.filter(({ kind }) => kind !== "not_supported")).toEqual([]);
  return config;
}

/** A vrrp_instance with the given lines after, or instead of, the usual ones. */
function instance(lines: string, name = "one"): string {
  const own = new Set(lines.trim().split("\n").map((line) => line.trim().split(" ")[0]));
  const usual = [
    "version 2",
    "interface eth0",
    "virtual_router_id 7",
    "priority 100",
    "advert_int 1",
    "virtual_ipaddress {\n 10.0.0.9\n }",
  ].filter((line) => !own.has(line.split(" ")[0]));
  return `vrrp_instance ${name} {\n ${usual.join("\n ")}\n ${lines}\n}\n`;
}

function planOf(a: string, b: string): Plan {
  const plan = planDemo(configOf(a), configOf(b));
  if (typeof plan === "string") throw new Error(plan);
  return plan;
}

test("the embedded pair meets on one wire, A first, with the times of RFC 9568", () => {
  const plan = planOf(embeddedConfiguration("A", 0.1), embeddedConfiguration("B", 0.1));
  const links = ({ links }: Plan["preferred"]): unknown => links;
  expect([plan.preferred.name, links(plan.preferred)]).toEqual([
    "A",
    [{ name: "eth0", addresses: ["192.0.2.1"] }],
  ]);
  expect([plan.standby.name, links(plan.standby)]).toEqual([
    "B",
    [{ name: "eth0", addresses: ["192.0.2.2"] }],
  ]);
  expect(plan.vip).toBe("192.0.2.10");
  expect(plan.client).toEqual({ address: "192.0.2.100", wire: 0 });
  expect(plan.group).toBe("224.0.0.18");
  expect(plan.wires).toBe(1);
  expect(plan.skewTimeUs).toBe(60_937); // 156/256 of the interval
  expect(plan.activeDownIntervalUs).toBe(360_937);
});

test("the better router is preferred, whichever file it is", () => {
  const plan = planOf(instance("priority 90"), instance("priority 91"));
  expect([plan.preferred.name, plan.standby.name]).toEqual(["B", "A"]);
  expect(plan.skewTimeUs).toBe(648_437); // version 2: (256 - 90) / 256 s
});

test("equal priorities are decided by the address", () => {
  expect(planOf(instance(""), instance("")).preferred.name).toBe("B");
  const plan = planOf(instance("mcast_src_ip 10.0.0.3"), instance("mcast_src_ip 10.0.0.2"));
  expect(plan.preferred.name).toBe("A");
});

test("no address is given twice, and none that a file uses", () => {
  const vips = "virtual_ipaddress {\n 10.0.0.1\n 10.0.0.3\n 10.0.0.100\n }";
  const plan = planOf(instance(vips), instance(vips));
  const given = [plan.preferred, plan.standby].map(({ links }) => links[0]!.addresses[0]!).sort();
  expect(given).toEqual(["10.0.0.2", "10.0.0.4"]);
  expect(plan.client.address).toBe("10.0.0.101");
});

test("unicast peers get the addresses the files name, and one in the VIP's network", () => {
  const a = instance("unicast_src_ip 10.1.0.1\n unicast_peer {\n 10.1.0.2\n }");
  const b = instance("priority 50\n unicast_peer {\n 10.1.0.1\n }");
  const plan = planOf(a, b);
  expect(plan.group).toBeUndefined();
  expect(plan.preferred.links).toEqual([{ name: "eth0", addresses: ["10.1.0.1", "10.0.0.1"] }]);
  expect(plan.standby.links).toEqual([{ name: "eth0", addresses: ["10.1.0.2", "10.0.0.2"] }]);
});

test("the n-th links of both files share wire n, whatever their names", () => {
  const a = instance("virtual_ipaddress {\n 10.0.0.9 dev lan\n }\n track_interface {\n dmz\n }");
  const b = instance("interface ens3\n virtual_ipaddress {\n 10.0.0.9 dev ens4\n }");
  const plan = planOf(a + instance("interface wan\n virtual_router_id 8", "two"), b);
  const names = ({ links }: Plan["preferred"]): string[] => links.map(({ name }) => name);
  const routers = [plan.preferred, plan.standby].sort((x, y) => x.name < y.name ? -1 : 1);
  expect(routers.map(names)).toEqual([["eth0", "wan", "lan", "dmz"], ["ens3", "ens4"]]);
  expect(plan.wires).toBe(4);
  expect(plan.client.wire).toBe(2);
  // An instance needs an address to send from, even where its own VIPs are elsewhere.
  expect(routers[0]!.links[0]!.addresses).toEqual(["10.255.0.1"]);
  expect(routers[0]!.links[3]!.addresses).toEqual([]);
});

test("programs that the files start are named", () => {
  const plan = planOf(instance('notify /bin/one\n notify_stop "/bin/two stop"'), instance(""));
  expect(plan.scripts).toEqual(["/bin/one", "/bin/two"]);
});

test("what cannot work is said, with the word that is wrong", () => {
  const six = "version 3\n virtual_ipaddress {\n fe80::9\n }";
  const peer = "unicast_peer {\n 10.0.0.77\n }";
  const secret = "authentication {\n auth_type PASS\n auth_pass xyz\n }";
  const table: readonly [string, string, string][] = [
    ["", instance(""), "File A has no usable vrrp_instance"],
    [instance(""), instance("virtual_router_id 8"), "virtual_router_id 7"],
    [instance(six), instance(six), "no IPv4 virtual_ipaddress"],
    [instance(""), instance("virtual_ipaddress {\n 10.0.0.8\n }"), "10.0.0.9, the first address"],
    [instance(""), instance("version 3"), "differ in version (2 and 3)"],
    [instance(""), instance("advert_int 2"), "differ in advert_int (1 s and 2 s)"],
    [instance(""), instance(peer), "differ in use of unicast_peer (false and true)"],
    [instance(""), instance(secret), "differ in authentication"],
  ];
  for (const [a, b, words] of table) {
    const plan = planDemo(configOf(a), configOf(b));
    expect(typeof plan === "string" ? plan : "a plan").toContain(words);
  }
  // Version 3 carries the interval in the advert: here a difference is fine.
  const three = planOf(instance("version 3"), instance("version 3\n advert_int 2\n priority 50"));
  expect(three.activeDownIntervalUs).toBe(3_804_687);
});

test("durations read well", () => {
  const texts = [360_937, 60_000, 1_234_567, 3_000_000, 49].map(formatDuration);
  expect(texts).toEqual(["360.9 ms", "60 ms", "1.23 s", "3 s", "0 ms"]);
});
