/** The dump against keepalived 2.2.7's own, taken with `keepalived -n -l -d` on the same settings. */
import { expect, test } from "bun:test";
import type { Globals } from "../config/globals.ts";
import type { VirtualAddress, VrrpInstance } from "../config/vrrp.ts";
import { configWith, instanceWith, virtualAddress } from "../../test/support/instances.ts";
import { dumpConfig } from "./data.ts";

const globals: Globals = {
  ...configWith([]).globals,
  router_id: "r1",
  vrrp_garp_master_refresh: 60_000_000,
};

const plain = instanceWith({ name: "X", interface: "d0" });

function dump(instance: Partial<VrrpInstance>): string[] {
  const lines = dumpConfig({ globals, vrrp_instances: [{ ...plain, ...instance }] });
  return lines.slice(lines.indexOf("------< VRRP Topology >------"));
}

test("a plain instance, line by line", () => {
  expect(dump({ virtual_ipaddress: [virtualAddress("10.0.4.1")] }).join("\n")).toBe(`\
------< VRRP Topology >------
 VRRP Instance = X
   VRRP Version = 2
   Flags: none
   Wantstate = BACKUP
   Interface = d0
   Multicast address 224.0.0.18
   Gratuitous ARP delay = 5
   Gratuitous ARP repeat = 5
   Gratuitous ARP refresh = 0
   Gratuitous ARP refresh repeat = 1
   Gratuitous ARP lower priority delay = 5
   Gratuitous ARP lower priority repeat = 5
   Virtual Router ID = 7
   Priority = 100
   Advert interval = 1 sec
   Accept = enabled
   Preempt = enabled
   Authentication type = none
   Virtual IP (1):
     10.0.4.1 dev d0 scope global
   Using smtp notification = no`);
});

test("the global section, line by line", () => {
  expect(dumpConfig({ globals, vrrp_instances: [] }).join("\n")).toBe(`\
------< Global definitions >------
 Router ID = r1
 Dynamic interfaces = false
 VRRP IPv4 mcast group = 224.0.0.18
 VRRP IPv6 mcast group = ff02::12
 Gratuitous ARP delay = 5
 Gratuitous ARP repeat = 5
 Gratuitous ARP refresh timer = 60
 Gratuitous ARP refresh repeat = 1
 Gratuitous ARP lower priority delay = 5
 Gratuitous ARP lower priority repeat = 5
 VRRP default protocol version = 2
 VRRP check unicast_src = false
 Max auto priority = 0
 Script security disabled`);
});

test("global settings that are there only when given", () => {
  const lines = dumpConfig({
    globals: {
      ...globals,
      notification_email: ["a@b.c", "d@e.f"],
      notification_email_from: "k@x.y",
      smtp_server: { host: "192.0.2.5", port: 2525 },
      smtp_connect_timeout: 7_000_000,
      script_user: { user: "daemon", group: ":adm" },
      enable_script_security: true,
      max_auto_priority: -1,
      dynamic_interfaces: true,
      allow_if_changes: true,
    },
    vrrp_instances: [],
  });
  expect(lines.slice(2, 11)).toEqual([
    " Smtp server = 192.0.2.5",
    " Smtp server port = 2525",
    " Smtp server connection timeout = 7",
    " Email notification from = k@x.y",
    " Email notification to:",
    "   a@b.c",
    "   d@e.f",
    " Dynamic interfaces = true",
    " Allow interface changes = true",
  ]);
  expect(lines.slice(-3)).toEqual([
    " Max auto priority = Disabled",
    " Script security enabled",
    " Default script user:group daemon:adm",
  ]);
});

const addresses: readonly (readonly [expected: string, address: VirtualAddress])[] = [
  [
    "10.0.0.1/24 brd 10.0.0.255 dev d0 scope link",
    virtualAddress("10.0.0.1", { prefixLength: 24, brd: "10.0.0.255", scope: 253 }),
  ],
  [
    "10.0.0.2 brd 10.0.0.255 dev d1 scope global no_track",
    virtualAddress("10.0.0.2", { dev: "d1", brd: "10.0.0.255", no_track: true }),
  ],
  [
    "10.0.4.1 dev d0 scope global label d0:x peer 10.0.4.2/32 noprefixroute autojoin no_track",
    virtualAddress("10.0.4.1", {
      label: "d0:x",
      peer: { address: "10.0.4.2", prefixLength: 32 },
      noprefixroute: true,
      autojoin: true,
      no_track: true,
    }),
  ],
  ["10.0.0.5 dev d0 scope host", virtualAddress("10.0.0.5", { scope: 254 })],
  ["10.0.0.6 dev d0 scope site", virtualAddress("10.0.0.6", { scope: 200 })],
  ["10.0.0.7 dev d0 scope nowhere", virtualAddress("10.0.0.7", { scope: 255 })],
  ["10.0.0.8 dev d0 scope 99", virtualAddress("10.0.0.8", { scope: 99 })],
  [
    "fe80::1/64 dev d0 scope global home -nodad mngtmpaddr noprefixroute preferred_lft forever",
    virtualAddress("fe80::1", {
      prefixLength: 64,
      home: true,
      dad: true,
      mngtmpaddr: true,
      noprefixroute: true,
    }),
  ],
  [
    "2001:db8::2 dev d0 scope global preferred_lft 100",
    virtualAddress("2001:db8::2", { preferred_lft: 100 }),
  ],
  ["fe80::3 dev d0 scope global deprecated", virtualAddress("fe80::3", { preferred_lft: 0 })],
  ["::1/32 dev d0 scope global preferred_lft forever", virtualAddress("::1", { prefixLength: 32 })],
];

for (const [expected, address] of addresses) {
  test(expected, () => {
    expect(dump({ virtual_ipaddress: [address] })).toContain(`     ${expected}`);
    const excluded = dump({ virtual_ipaddress_excluded: [address] });
    expect(excluded).toContain("   Virtual IP (0):");
    expect(excluded[excluded.indexOf("   Virtual IP Excluded :") + 1]).toBe(`     ${expected}`);
  });
}

const settings: readonly (readonly [lines: string[], instance: Partial<VrrpInstance>])[] = [
  [["VRRP Version = 3", "Advert interval = 250 milli-sec"], { version: 3, advert_int: 250_000 }],
  [["Advert interval = 2000 milli-sec"], { version: 3, advert_int: 2_000_000 }],
  [["Advert interval = 10 milli-sec"], { version: 3, advert_int: 10_000 }],
  [["Using Native IPv6", "Multicast address ff02::12"], { family: 6, mcast_group: "ff02::12" }],
  [["Wantstate = MASTER", "Priority = 255"], { state: "MASTER", priority: 255 }],
  [["Accept = disabled", "Preempt = disabled"], { accept: false, nopreempt: true }],
  [["Preempt delay = 3.5 secs"], { preempt_delay: 3_500_000 }],
  [["Preempt delay = 10 secs"], { preempt_delay: 10_000_000 }],
  [["Using src_ip = 10.9.9.9 (from configuration)"], { mcast_src_ip: "10.9.9.9" }],
  [
    [
      "Flags:",
      "  Using unicast",
      "Using src_ip = 10.9.9.9 (from configuration)",
      "Check unicast src : yes",
      "Unicast Peer :",
      "  10.9.9.2 min_ttl 250 max_ttl 254",
      "  10.9.9.3 min_ttl 0 max_ttl 255",
    ],
    {
      unicast_src_ip: "10.9.9.9",
      check_unicast_src: true,
      unicast_peer: [{ address: "10.9.9.2", min_ttl: 250, max_ttl: 254 }, { address: "10.9.9.3" }],
    },
  ],
  [
    ["Tracked interfaces :", "  d1 weight 10 reverse", "  lo weight 0"],
    {
      track_interface: [{ name: "d1", weight: 10, reverse: true }, { name: "lo", reverse: false }],
    },
  ],
  [
    ["Tracked scripts :", "  chk weight 3", "  own"],
    { track_script: [{ name: "chk", weight: 3, reverse: false }, { name: "own", reverse: false }] },
  ],
  [
    ["Tracked processes :", "  tp, weight 4 reverse"],
    { track_process: [{ name: "tp", weight: 4, reverse: true }] },
  ],
  [
    [
      "Using smtp notification = yes",
      "Backup state transition script = '/b', user:group root",
      "Master state transition script = '/m' 'a' 'b c'",
      "Fault state transition script = '/f', user:group u:g",
      "Stop state transition script = '/s'",
      "Generic state transition script = '/n'",
    ],
    {
      smtp_alert: true,
      notify_backup: { argv: ["/b"], user: "root" },
      notify_master: { argv: ["/m", "a", "b c"] },
      notify_fault: { argv: ["/f"], user: "u", group: ":g" },
      notify_stop: { argv: ["/s"] },
      notify: { argv: ["/n"] },
    },
  ],
];

for (const [lines, instance] of settings) {
  test(lines.join(", "), () => {
    const shown = dump(instance).filter((line) => lines.includes(line.slice(3)));
    expect(shown).toEqual(lines.map((line) => `   ${line}`));
  });
}

test("unicast has no multicast address, version 3 no authentication", () => {
  const lines = dump({ version: 3, unicast_peer: [{ address: "10.9.9.2" }] }).join("\n");
  expect(lines).not.toContain("Multicast");
  expect(lines).not.toContain("Authentication");
});

test("the password is never shown", () => {
  for (const version of [2, 3] as const) {
    for (const auth_type of ["PASS", "AH"] as const) {
      const lines = dump({ version, authentication: { auth_type, auth_pass: "secret12" } });
      expect(lines.join("\n")).not.toContain("secret");
    }
  }
  const pass = dump({ authentication: { auth_type: "PASS", auth_pass: "secret12" } });
  const at = pass.indexOf("   Authentication type = SIMPLE_PASSWORD");
  expect(pass[at + 1]).toBe("   Password = ********");
  const ah = dump({ authentication: { auth_type: "AH", auth_pass: "secret12" } });
  expect(ah).toContain("   Authentication type = IPSEC_AH");
});

test("a running instance shows its state, each its own", () => {
  const vrrp_instances = [{ ...plain, name: "A" }, { ...plain, name: "B" }];
  const lines = dumpConfig({ globals, vrrp_instances }, new Map([["B", "MASTER"]]));
  expect(lines.filter((line) => / VRRP Instance|^ {3}State =/.test(line))).toEqual([
    " VRRP Instance = A",
    " VRRP Instance = B",
    "   State = MASTER",
  ]);
});
