/**
 * The same configurations under Debian's keepalived and under ours, in the same kernel: after the start, after
 * a reload, after a stop IPVS must be the same. Where a check is needed, a file decides.
 */

import { expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { type Daemon, isSupported } from "../support/daemon.ts";
import { everything, reset, savedTable, startHere, tableIs } from "../support/ipvs_guest.ts";
import { IN_GUEST } from "../support/uml.ts";

const KEEPALIVED = "keepalived";
/** Files that checks look at. */
const FILES = "/run/checked";

/** A virtual_server with the lines that keepalived insists on. */
function service(
  head: string,
  lines: string,
  usual = "lvs_sched rr\nlvs_method NAT\nprotocol TCP",
): string {
  return `virtual_server ${head} {\n${usual}\n${lines}\n}\n`;
}

function real(head: string, lines = ""): string {
  return `real_server ${head} {\n${lines}\n}\n`;
}

function globals(lines: string): string {
  return `global_defs {\n${lines}\n}\n`;
}

const V = "10.9.0.1 80";
const [A, B, C] = ["10.9.1.1 80", "10.9.1.2 80", "10.9.1.3 80"];
const PAIR = real(A) + real(B);
const usual = (scheduler: string, method: string, protocol = "TCP"): string =>
  `lvs_sched ${scheduler}\nlvs_method ${method}\nprotocol ${protocol}`;

/** A failing or passing check, as the file of that name is missing or there. */
const misc = (file: string): string =>
  `MISC_CHECK {\nmisc_path "/usr/bin/test -e ${FILES}/${file}"\nmisc_timeout 1\n}`;

interface Case {
  readonly name: string;
  /** The first is started with, the others are reloaded into. */
  readonly configs: readonly string[];
  /** Then these files are made or removed, one after the other. */
  readonly files?: readonly string[];
  readonly words?: readonly string[];
}

/** A common small balancer: two servers behind an address, as a first configuration is written. */
const FIRST = `virtual_server 192.168.1.100 80 {
    delay_loop 6
    lvs_sched rr
    lvs_method NAT
    protocol TCP

    real_server 192.168.1.10 80 {
        weight 1
        TCP_CHECK {
            connect_timeout 10
        }
    }

    real_server 192.168.1.11 80 {
        weight 1
        TCP_CHECK {
            connect_timeout 10
        }
    }
}
`;

const SCHEDULERS = "rr wrr lc wlc lblc sh mh dh fo ovf lblcr sed nq".split(" ");

const CASES: readonly Case[] = [
  { name: "a first configuration", configs: [FIRST, FIRST] },
  {
    name: "every scheduler, then another for each",
    configs: [0, 1].map((step) =>
      SCHEDULERS.map((_, i) => {
        const scheduler = SCHEDULERS[(i + step) % SCHEDULERS.length]!;
        return service(`10.9.0.${i + 1} 80`, PAIR, usual(scheduler, "NAT"));
      }).join("")
    ),
  },
  {
    name: "direct routing, then tunnels",
    configs: [service(V, PAIR, usual("wlc", "DR")), service(V, PAIR, usual("wlc", "TUN"))],
  },
  {
    name: "tunnels of every type",
    configs: [
      service(
        V,
        real(A, "lvs_method TUN type ipip") + real(B, "lvs_method TUN type gue port 6080 csum") +
          real(C, "lvs_method TUN type gre csum"),
      ),
      service(
        V,
        real(A, "lvs_method TUN type gre") + real(B, "lvs_method TUN type gue port 6081 remcsum") +
          real(C, "lvs_method NAT"),
      ),
    ],
  },
  {
    name: "UDP with one packet scheduling",
    configs: [
      service("10.9.0.1 53", `ops\n${real("10.9.1.1 53")}`, usual("rr", "NAT", "UDP")),
      service("10.9.0.1 53", real("10.9.1.1 53"), usual("rr", "NAT", "UDP")),
    ],
  },
  {
    name: "SCTP",
    configs: [service("10.9.0.1 5000", real("10.9.1.1 5000"), usual("rr", "NAT", "SCTP"))],
  },
  {
    name: "persistence with and without a time, then a mask",
    configs: [
      service(V, `persistence_timeout 50\n${PAIR}`) +
      service("10.9.0.2 80", `persistence_timeout\n${PAIR}`),
      service(V, `persistence_timeout 51\npersistence_granularity 255.255.255.0\n${PAIR}`),
    ],
  },
  {
    name: "any port is persistent",
    configs: [service("10.9.0.1 0", real("10.9.1.1") + real("10.9.1.2"), usual("rr", "DR"))],
  },
  {
    name: "flags of sh and mh",
    configs: [
      service(V, `sh-port\nsh-fallback\n${PAIR}`, usual("sh", "NAT")) +
      service("10.9.0.2 80", `mh-port\n${PAIR}`, usual("mh", "NAT")),
      service(V, `sh-port\n${PAIR}`, usual("sh", "NAT")) +
      service("10.9.0.2 80", `mh-fallback\n${PAIR}`, usual("mh", "NAT")),
    ],
  },
  {
    name: "flags by number",
    configs: [service(V, `flag-1\nflag-2\nflag-3\n${PAIR}`, usual("rr", "NAT"))],
  },
  {
    name: "weights, 0 among them, that a reload changes",
    configs: [
      service(V, real(A, "weight 3") + real(B, "weight 0"), usual("wrr", "NAT")),
      service(V, real(A, "weight 0") + real(B, "weight 65535"), usual("wrr", "NAT")),
    ],
  },
  {
    // That a reload changes them is ours alone.
    name: "thresholds",
    configs: [service(V, real(A, "uthreshold 100\nlthreshold 50") + real(B, "uthreshold 7"))],
  },
  {
    name: "servers that a reload adds and removes",
    configs: [service(V, PAIR), service(V, real(B) + real(C)), service(V, real(A))],
  },
  {
    name: "services that a reload adds and removes",
    configs: [
      service(V, PAIR) + service("10.9.0.2 80", PAIR),
      service("10.9.0.2 80", PAIR) + service("10.9.0.3 80", PAIR),
    ],
  },
  {
    name: "NAT to other ports, each server its own",
    configs: [service(V, real("10.9.1.1 8080") + real("10.9.1.1 8081") + real("10.9.1.2"))],
  },
  {
    name: "direct routing keeps the port whatever is written",
    configs: [service(V, real("10.9.1.1 8080"), usual("rr", "DR"))],
  },
  {
    name: "methods mixed",
    configs: [service(V, real(A, "lvs_method DR") + real(B) + real(C, "lvs_method TUN"))],
  },
  {
    name: "IPv6",
    configs: [
      service("2001:db8::1 80", real("2001:db8:1::1 80") + real("2001:db8:1::2 8080")),
      service(
        "2001:db8::1 80",
        `persistence_timeout 100\npersistence_granularity 64\n${real("2001:db8:1::1 80")}`,
      ),
    ],
  },
  {
    name: "IPv4 in IPv6 tunnels and the other way round",
    configs: [
      service(V, real("2001:db8:1::1 80"), usual("rr", "TUN")) +
      service("2001:db8::1 80", real("10.9.1.1 80"), usual("rr", "TUN")),
    ],
  },
  {
    name: "firewall marks",
    configs: [
      service("fwmark 7", real("10.9.1.1 80") + real("10.9.1.2"), "lvs_sched rr\nlvs_method NAT"),
      service("fwmark 7", real("10.9.1.1 80"), "lvs_sched wlc\nlvs_method DR"),
    ],
  },
  {
    name: "firewall marks of IPv6",
    configs: [
      service(
        "fwmark 8",
        `ip_family inet6\n${real("2001:db8:1::1 80")}`,
        "lvs_sched rr\nlvs_method NAT",
      ),
    ],
  },
  {
    name: "a group of addresses and a range",
    configs: [
      `virtual_server_group G {\n10.9.0.1 80\n10.9.0.2 81\n10.9.0.8-11 82\n}\n` +
      service("group G", real("10.9.1.1 8080") + real("10.9.1.2 8080")),
    ],
  },
  {
    // What a group gains and loses, Debian's keepalived forgets when it stops.
    name: "a group whose servers change",
    configs: [real("10.9.1.2 8080"), real("10.9.1.3 8080", "weight 7")].map((changed) =>
      `virtual_server_group G {\n10.9.0.1 80\n10.9.0.2 81\n}\n` +
      service("group G", real("10.9.1.1 8080") + changed)
    ),
  },
  {
    name: "a group behind direct routing",
    configs: [
      `virtual_server_group G {\n10.9.0.1 80\n10.9.0.2 81\n}\n` +
      service("group G", real("10.9.1.1 80"), usual("rr", "DR")),
    ],
  },
  {
    name: "a group of marks",
    configs: [
      `virtual_server_group G {\nfwmark 5\nfwmark 6\n}\n` +
      service("group G", `persistence_timeout 50\n${PAIR}`, "lvs_sched wlc\nlvs_method DR"),
    ],
  },
  {
    name: "a group of everything",
    configs: [
      `virtual_server_group G {\n10.9.0.1 80\n10.9.0.2-4 81\nfwmark 5\n}\n` +
      service("group G", real("10.9.1.1 8080") + real(B, "lvs_method DR")),
    ],
  },
  {
    name: "a group of an IPv6 range",
    configs: [
      `virtual_server_group G {\n2001:db8::1-3 80\n}\n` +
      service("group G", real("2001:db8:1::1 80")),
    ],
  },
  {
    name: "TCP and UDP of one address and port",
    configs: [
      service("10.9.0.1 53", real("10.9.1.1 53"), usual("rr", "NAT", "TCP")) +
      service("10.9.0.1 53", real("10.9.1.2 53"), usual("wlc", "NAT", "UDP")),
    ],
  },
  {
    name: "two blocks of one service",
    configs: [service(V, real(A)) + service(V, real(B), usual("wlc", "NAT"))],
  },
  {
    name: "timeouts, that go with the keyword",
    configs: [
      globals("lvs_timeouts tcp 100 tcpfin 20 udp 50") + service(V, PAIR),
      globals("lvs_timeouts udp 51") + service(V, PAIR),
      service(V, PAIR),
    ],
  },
  {
    name: "sync daemons without an instance",
    configs: [globals("lvs_sync_daemon lo id 7") + service(V, PAIR)],
  },
  {
    name: "a sync daemon with everything",
    configs: [
      globals("lvs_sync_daemon lo id 8 maxlen 1400 port 8850 ttl 3 group 224.0.0.82") +
      service(V, PAIR),
    ],
  },
  {
    name: "a sorry server that is not needed",
    configs: [
      service(V, `sorry_server 10.9.1.9 80\n${PAIR}`),
      service(V, `sorry_server 10.9.1.9 80\nsorry_server_inhibit\n${PAIR}`),
    ],
  },
  {
    name: "-I leaves the table",
    configs: [service(V, PAIR), service(V, real(A))],
    words: ["-I"],
  },
  {
    name: "lvs_flush_on_stop",
    configs: [globals("lvs_flush_on_stop") + service(V, PAIR)],
  },
  {
    name: "lvs_flush_on_stop VS",
    configs: [globals("lvs_flush_on_stop VS") + service(V, PAIR)],
  },
  {
    name: "servers that fail and come back",
    configs: [
      service(
        V,
        `delay_loop 1\n${real(A, `weight 2\n${misc("a")}`)}${
          real(B, `weight 3\ninhibit_on_failure\n${misc("b")}`)
        }`,
        usual("wrr", "NAT"),
      ),
    ],
    files: ["a", "b", "-a", "-b", "a", "b"],
  },
  {
    name: "quorum, hysteresis and a sorry server",
    configs: [
      service(
        V,
        `delay_loop 1\nquorum 3\nhysteresis 1\nsorry_server 10.9.1.9 80\n${
          real(A, `weight 2\n${misc("a")}`)
        }${real(B, `weight 3\ninhibit_on_failure\n${misc("b")}`)}`,
      ),
    ],
    files: ["a", "b", "-a", "-b", "a", "b"],
  },
  {
    name: "alpha and a sorry server of weight 0",
    configs: [
      service(
        V,
        `delay_loop 1\nalpha\nsorry_server 10.9.1.9 80\nsorry_server_inhibit\n${
          real(A, misc("a"))
        }${real(B, misc("b"))}`,
      ),
    ],
    files: ["a", "-a", "b"],
  },
];

/** How long checks may take to notice a file, in the slowest of guests. */
const NOTICE_MS = 20_000;
/** What is logged of the first result of a check, and of each other one. */
const RESULT = "Misc check for";

/** What IPVS is at every stage of a case under keepalived. */
async function keepalivedOf(one: Case): Promise<{ stages: string[][]; files: string[][] }> {
  prepare();
  await using daemon = start(one, KEEPALIVED);
  await daemon.waitForLog("Startup complete", 20_000);
  const stages = [everything()];
  for (const config of one.configs.slice(1)) {
    reload(daemon, config);
    await daemon.waitForLog("Reload complete", 20_000);
    stages.push(everything());
  }
  const files: string[][] = [];
  await firstResults(daemon, one);
  for (const file of one.files ?? []) {
    touch(file);
    await daemon.waitForLog(RESULT, NOTICE_MS);
    // The table follows the line.
    await Bun.sleep(200);
    files.push(savedTable());
  }
  await daemon.stop(20_000);
  stages.push(everything());
  return { stages, files };
}

/** What comes next depends on what the checks have found before. */
async function firstResults(daemon: Daemon, { files }: Case): Promise<void> {
  if (files === undefined) return;
  daemon.rewindLog();
  for (const _ of ["a", "b"]) await daemon.waitForLog(RESULT, NOTICE_MS);
}

function prepare(): void {
  reset();
  rmSync(FILES, { recursive: true, force: true });
  mkdirSync(FILES);
}

function start({ configs, words = [] }: Case, program?: string): Daemon {
  const all = [...words, "-c", "/run/checkers.pid"];
  return startHere(configs[0]!, program === undefined ? { words: all } : { words: all, program });
}

function reload(daemon: Daemon, config: string): void {
  daemon.rewrite(config);
  daemon.signal("SIGHUP");
}

function touch(file: string): void {
  if (file.startsWith("-")) rmSync(`${FILES}/${file.slice(1)}`);
  else writeFileSync(`${FILES}/${file}`, "");
}

test.skipIf(!IN_GUEST)("there are at least thirty configurations", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(30);
});

for (const one of CASES) {
  // Without the check that decides, there is nothing to compare.
  const isIncomplete = IN_GUEST && one.files !== undefined && !isSupported(one.configs[0]!);
  test.skipIf(!IN_GUEST || isIncomplete)(`${one.name}: as keepalived`, async () => {
    const theirs = await keepalivedOf(one);
    prepare();
    await using daemon = start(one);
    await daemon.waitForLog("Startup complete", 20_000);
    const stages = [everything()];
    for (const config of one.configs.slice(1)) {
      reload(daemon, config);
      await daemon.waitForLog("Reload complete", 20_000);
      stages.push(everything());
    }
    await firstResults(daemon, one);
    for (const [i, file] of (one.files ?? []).entries()) {
      touch(file);
      await daemon.waitForLog(RESULT, NOTICE_MS);
      await tableIs(theirs.files[i]!, NOTICE_MS);
    }
    await daemon.stop(20_000);
    stages.push(everything());
    expect(stages).toEqual(theirs.stages);
  });
}
