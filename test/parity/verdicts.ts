/**
 * Small configurations made up from a seed, right and wrong ones alike, for comparing what two daemons make
 * of them. Each is a sound base with a few lines added that may be anything.
 */
import { root } from "../../src/config/root.ts";
import type { AnyBlock } from "../../src/config/schema.ts";
import type { Prng } from "../support/prng.ts";

/** What may stand after a keyword; many are wrong for most. */
const VALUES = (
  "|1|2|3|0|-1|5|100|255|256|65535|65536|4294967296|0.5|1.25|0.001|.5|5.|1e3|0x10|+4|3x|x|on|off|yes|no|true|maybe|" +
  "eth0|eth1|nope0|averyveryverylongname|10.0.0.9|10.0.0.9/24|10.0.0.9/33|fe80::9|fd00::9/64|224.0.0.9|" +
  "ff02::9|MASTER|BACKUP|master|PASS|AH|secret|muchtoolongsecret|rr|wlc|NAT|DR|TUN|TCP|UDP|tcp|all|all 60|VS|" +
  'weight 5|10 reverse|10.0.0.9 80|10.0.0.9 0|10.0.0.9 70000|a b c|"a b"|""|MTU|ADVERT|2 4 6'
).split("|");

/** Lines of blocks of values. */
const ENTRIES: Readonly<Record<string, readonly string[]>> = {
  virtual_ipaddress: [
    "10.0.0.7",
    "10.0.0.7/24 dev eth1",
    "10.0.0.7/24 brd +",
    "10.0.0.7/33",
    "10.0.0.7 dev nope0",
    "10.0.0.7 label x",
    "10.0.0.7 label averyveryverylongname",
    "fd00::7/64",
    "10.0.0.1",
    "nonsense",
    "10.0.0.7 foo",
    "10.0.0.7 scope link",
    "10.0.0.7 scope moon",
    "10.0.0.7 peer 10.0.0.8",
  ],
  virtual_ipaddress_excluded: ["10.0.0.7", "fd00::7/64", "10.0.0.7 dev", "10.0.0.1", "x"],
  virtual_routes: [
    "10.1.0.0/16 via 10.0.0.254 dev eth0",
    "10.1.0.0/16 dev eth0",
    "default via 10.0.0.254",
    "10.1.0.0/16 via x",
    "10.1.0.0/16 dev nope0",
    "10.1.0.0/16 table 300 dev eth0 metric 5",
    "10.1.0.0/16 table moon dev eth0",
    "blackhole 10.2.0.0/16 no_track",
    "10.1.0.0/16 mtu 1400 dev eth0",
    "10.1.0.0/16 foo",
  ],
  virtual_rules: [
    "from 10.0.0.0/8 table 5 priority 9",
    "from 10.0.0.0/8 table 5",
    "from x table 5",
    "to 10.0.0.0/8 blackhole priority 5",
    "iif eth0 table 5 priority 9",
    "iif nope0 table 5 priority 9",
    "from 10.0.0.0/8",
    "fwmark 1/2 table 5 priority 9",
  ],
  unicast_peer: [
    "10.0.0.3",
    "10.0.0.3 min_ttl 3",
    "fd00::3",
    "x",
    "10.0.0.3 min_ttl",
    "10.0.0.3 ttl 5",
  ],
  track_interface: ["eth1", "eth1 weight 5", "eth0", "nope0", "eth1 weight 300", "eth1 foo"],
  track_script: [
    "chk",
    "chk weight 5",
    "chk weight -5 reverse",
    "nope",
    "chk weight",
    "chk weight 254",
  ],
  track_process: ["prc", "prc weight 5", "nope", "prc weight 255"],
  // An unknown name here makes keepalived 2.2.7 crash, or run for ever.
  track_file: ["fil", "fil weight 5"],
  track_bfd: ["bfd", "bfd weight 5", "nope"],
  group: ["VI", "VI VX", "nope", '"VI"'],
  notification_email: ["a@b.example", "a@b.example c@d.example", '"A B <a@b>"'],
  interfaces: ["eth0", "eth0 eth1", "nope0"],
};

const BASES: readonly (readonly [string, string, string])[] = [
  ["global_defs", "global_defs {\n", "}\n"],
  [
    "vrrp_instance",
    "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n",
    "}\n",
  ],
  ["vrrp_sync_group", "vrrp_sync_group SG {\ngroup {\nVI\n}\n", "}\n"],
  ["vrrp_script", "vrrp_script other {\nscript /nowhere\n", "}\n"],
  ["vrrp_track_process", "vrrp_track_process other {\nprocess sh\n", "}\n"],
  ["bfd_instance", "bfd_instance other {\nneighbor_ip 10.0.0.44\n", "}\n"],
  ["garp_group", "garp_group {\ngarp_interval 1\n", "}\n"],
  [
    "virtual_server",
    "virtual_server 10.0.0.20 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n",
    "real_server 10.0.0.21 80 {\n}\n}\n",
  ],
  [
    "virtual_server/real_server",
    "virtual_server 10.0.0.20 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.0.21 80 {\n",
    "}\n}\n",
  ],
  ...["TCP_CHECK", "HTTP_GET", "SMTP_CHECK", "DNS_CHECK", "UDP_CHECK", "PING_CHECK"].map((check) =>
    [
      `virtual_server/real_server/${check}`,
      "virtual_server 10.0.0.20 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.0.21 80 {\n" +
      `${check} {\n${check === "HTTP_GET" ? "url {\npath /\nstatus_code 200\n}\n" : ""}`,
      "}\n}\n}\n",
    ] as const
  ),
];

const SCRIPT = "vrrp_script chk {\nscript /nowhere\n}\n";
const AROUND = "vrrp_track_process prc {\nprocess sh\n}\n" +
  "track_file fil {\nfile /nowhere/x\n}\nbfd_instance bfd {\nneighbor_ip 10.0.0.33\n}\n";
const INSTANCES =
  "vrrp_instance VX {\ninterface eth1\nvirtual_router_id 9\nvirtual_ipaddress {\n10.0.9.1\n}\n}\n";
const VI =
  "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n}\n";

/** Keywords that a random value must not reach: they write files, or start programs. */
const HARMFUL = new Set(
  ("config_save_dir tmp_config_directory reload_file reload_time_file state_dump_file stats_dump_file " +
    "json_dump_file notify_fifo vrrp_notify_fifo lvs_notify_fifo init_file umask include_check net_namespace " +
    "script_user user instance").split(" "),
);

function blockOf(path: string): AnyBlock {
  let block: AnyBlock = root;
  for (const name of path.split("/")) {
    const row = block.find(name);
    if (row?.shape !== "block") throw new Error(`${name} is no block`);
    block = row.inside;
  }
  return block;
}

/** One configuration. */
export function makeConfig(random: Prng): string {
  const pick = random.pick;
  const [path, before, after] = pick(BASES);
  const rows = Object.entries(blockOf(path).rows())
    .filter(([keyword, row]) => row.ours !== true && !HARMFUL.has(keyword));
  const lines = Array.from({ length: random.integer(1, 3) }, () => {
    const [keyword, row] = pick(rows);
    if (row.shape === "line") {
      const isScript = row.doc.includes("SCRIPT") || keyword.includes("script");
      return `${keyword} ${isScript ? pick(["/nowhere", '"/nowhere a"', ""]) : pick(VALUES)}\n`;
    }
    const entries = ENTRIES[keyword];
    if (row.shape !== "values" || entries === undefined) return "";
    return `${keyword} {\n${pick(entries)}\n${random.chance(0.3) ? `${pick(entries)}\n` : ""}}\n`;
  });
  const slips = ["", "", "", "", "", "foo 1\n", "}\n", "foo {\n", '"open\n', "nopreempt off\n"];
  const body = `${before}${lines.join("")}${pick(slips)}${after}`;
  // A script that is not there is a mistake already.
  const script = lines.some((line) => line.startsWith("track_script")) ? SCRIPT : "";
  const instances = path === "vrrp_instance" ? INSTANCES : `${VI}${INSTANCES}`;
  return `${path === "global_defs" ? body : ""}${script}${AROUND}${instances}${
    path === "global_defs" ? "" : body
  }`;
}
