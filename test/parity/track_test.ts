/**
 * keepalived of Debian and upkeep on one wire, each with scripts and a link that it tracks: checks that fail
 * and recover, with a weight and without, as MASTER and as BACKUP. Played by keepalived alone for
 * reference, with upkeep as A, and as B; then log and FIFO have the same lines in the same order but for
 * {@link DIFFERENCES}, and so have the adverts on the wire, the calls of notify scripts, and the mails.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Fifo } from "../support/fifo.ts";
import { Network } from "../support/namespaces.ts";
import { Outside } from "../support/outside.ts";
import { poll } from "../support/waiting.ts";
import { advertsOf, collapse, Tap } from "./wire.ts";

setDefaultTimeout(180_000);

type Side = "A" | "B";
type Player = "keepalived" | "upkeep";
type Cast = Readonly<Record<Side, Player>>;

const SIDES: readonly Side[] = ["A", "B"];
const REFERENCE: Cast = { A: "keepalived", B: "keepalived" };
const MIXED: readonly Cast[] = [
  { A: "upkeep", B: "keepalived" },
  { A: "keepalived", B: "upkeep" },
];
const STEP_MS = 12_000;

/** Lines that only one of the two has, where not only on one side. */
const DIFFERENCES: readonly {
  readonly player: Player;
  readonly side?: Side;
  readonly lines: RegExp;
  readonly why: string;
}[] = [
  {
    player: "keepalived",
    lines: /^\(V\) removing VIPs\.\n(?=\(V\) (Entering BACKUP|Changing))/g,
    why: "upkeep says so only when a predecessor has left some",
  },
  {
    player: "upkeep",
    lines: /^\(V\) Priority is .*\n/gm,
    why: "upkeep says how a priority comes about",
  },
  {
    player: "upkeep",
    lines: /^\(V\) script zero fails\n/gm,
    why: "upkeep says what keeps it in FAULT",
  },
  {
    player: "upkeep",
    side: "A",
    lines: /(?<=^\(V\) Entering BACKUP STATE) \(init\)/g,
    why: "keepalived does not call it its start when it has waited for a script",
  },
];

/** As often as the other side's adverts fall into the time, and in their order. */
const DISCARDED = /received lower priority \(\d+\) advert from \S+ - discarding$/;

interface Story {
  readonly cast: Cast;
  readonly logs: Readonly<Record<Side, readonly string[]>>;
  /** Lines of the notification FIFO. */
  readonly told: Readonly<Record<Side, readonly string[]>>;
  /** What each has advertised, repetitions collapsed. */
  readonly adverts: Readonly<Record<Side, readonly string[]>>;
  /** What each has called notify scripts with: those of a state, and those of all. */
  readonly calls: Readonly<Record<Side, readonly (readonly string[])[]>>;
  /** Subjects of mails; keepalived ends before it has sent the last one. */
  readonly mails: Readonly<Record<Side, readonly string[]>>;
}

test("checks that fail and recover, on a MASTER and on a BACKUP", async () => {
  const reference = await play(REFERENCE);
  const used = new Set<string>();
  for (const cast of MIXED) {
    const story = await play(cast);
    for (const side of SIDES) {
      const of = `${side} of ${JSON.stringify(cast)}`;
      expect({ of, log: adapt(story, side, used) })
        .toEqual({ of, log: adapt(reference, side, used) });
      expect({ of, scripts: scriptsOf(story, side) })
        .toEqual({ of, scripts: scriptsOf(reference, side) });
      expect({ of, told: story.told[side] }).toEqual({ of, told: reference.told[side] });
      expect({ of, calls: story.calls[side] }).toEqual({ of, calls: reference.calls[side] });
      expect({ of, mails: story.mails[side] }).toEqual({ of, mails: reference.mails[side] });
      expect({ of, adverts: story.adverts[side] }).toEqual({
        of,
        adverts: reference.adverts[side],
      });
    }
  }
  expect(DIFFERENCES.filter(({ why }) => !used.has(why))).toEqual([]);
});

/** The lines of the instance, as if there were no differences. */
function adapt({ logs, cast }: Story, side: Side, used: Set<string>): string[] {
  // keepalived often says goodbye twice when it enters FAULT.
  let text = logs[side].filter((line) => line.startsWith("(V)") && !DISCARDED.test(line))
    .filter((line, i, all) => !line.includes("priority 0 advertisement") || line !== all[i - 1])
    .map((line) => `${line}\n`).join("");
  for (const { player, side: where = side, lines, why } of DIFFERENCES) {
    if (player !== cast[side] || where !== side) continue;
    const adapted = text.replace(lines, "");
    if (adapted !== text) used.add(why);
    text = adapted;
  }
  return text.split("\n");
}

/** The lines of each script; scripts run side by side, so their order among each other is chance. */
function scriptsOf({ logs }: Story, side: Side): Record<string, string[]> {
  const lines: Record<string, string[]> = {};
  for (const line of logs[side]) {
    const name = /^VRRP_Script\((\w+)\)|^Script `(\w+)`/.exec(line);
    if (name !== null) (lines[name[1] ?? name[2]!] ??= []).push(line);
  }
  return lines;
}

/** Plays the story; throws with the log when a step does not happen. */
async function play(cast: Cast): Promise<Story> {
  using network = new Network([...SIDES, "C"], { hasSecondLink: true });
  for (const [i, side] of SIDES.entries()) {
    network.run(side, "ip", "link", "set", "eth0", "address", `02:00:00:00:00:0${i + 1}`);
  }
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  await using outside = await Outside.start(network, "C");
  const recorder = join(folder, "record.sh");
  writeFileSync(recorder, `#!/bin/sh\nnotes=$1\nshift\necho "$*" >>${folder}/calls-$notes\n`);
  chmodSync(recorder, 0o755);
  await using tap = await Tap.start(network, "br0");
  await using fifos = { A: new Fifo(), B: new Fifo(), [Symbol.asyncDispose]: closeFifos };
  const fail = (what: string): void => writeFileSync(join(folder, what), "");
  const mend = (what: string): void => rmSync(join(folder, what));
  const start = (side: Side): Daemon => {
    const program = cast[side] === "upkeep" ? UPKEEP : "keepalived";
    return new Daemon(network, side, configuration(side, fifos[side].path, folder), { program });
  };
  try {
    await using a = start("A");
    await says(a, "VRRP_Script(zero) succeeded", "Entering MASTER STATE");
    await using b = start("B");
    await says(b, "Entering BACKUP STATE", "from 95 to 100");
    await holds(network, "A");

    // A weight: the priority falls below that of the peer, and comes back.
    fail("light-A");
    await says(a, "VRRP_Script(light) failed (exited with status 1)", "from 110 to 90");
    await says(b, "Entering MASTER STATE");
    await says(a, "Entering BACKUP STATE");
    mend("light-A");
    await says(a, "VRRP_Script(light) succeeded", "from 90 to 110", "Entering MASTER STATE");
    await says(b, "Entering BACKUP STATE");

    // No weight: FAULT at once.
    fail("zero-A");
    await says(a, "Entering FAULT STATE", "sent 0 priority");
    await says(b, "Entering MASTER STATE");
    mend("zero-A");
    await says(a, "Entering BACKUP STATE", "Entering MASTER STATE");
    await says(b, "Entering BACKUP STATE");

    // A BACKUP's priority changes, too; and a link has a weight.
    fail("light-B");
    await says(b, "from 100 to 95");
    mend("light-B");
    await says(b, "from 95 to 100");
    network.run("A", "ip", "link", "set", "eth1", "down");
    await says(a, "from 110 to 95");
    await says(b, "Entering MASTER STATE");
    await says(a, "Entering BACKUP STATE");
    network.run("A", "ip", "link", "set", "eth1", "up");
    await says(a, "from 95 to 110", "Entering MASTER STATE");
    await says(b, "Entering BACKUP STATE");
    await holds(network, "A");

    const mails = (side: Side): string[] =>
      outside.subjects.filter((one) => one.startsWith(`[${side}]`) && !one.endsWith("Stopping"));
    await poll(() => mails("A").length >= 9, 10_000, `mails are missing: ${mails("A")}`);
    expect(await a.stop(STEP_MS)).toBe(0);
    await says(b, "Entering MASTER STATE");
    await holds(network, "B");
    const frames = await tap.finish();
    await poll(() => callsOf(folder, "A").at(-1)!.at(-1)!.includes("STOP"), 5000, "no call");
    await poll(() => mails("B").length >= 8, 10_000, `mails are missing: ${mails("B")}`);
    await Promise.all([
      fifos.A.has('INSTANCE "V" STOP 110'),
      fifos.B.has('INSTANCE "V" MASTER 100', 4),
    ]);
    const texts = (daemon: Daemon): string[] => daemon.lines.map(({ text }) => text);
    const all = advertsOf(frames);
    const from = (side: Side): string[] =>
      collapse(all.filter(({ source }) => source === ADDRESS[side]).map(({ text }) => text));
    return {
      cast,
      logs: { A: texts(a), B: texts(b) },
      told: { A: fifos.A.lines, B: fifos.B.lines },
      adverts: { A: from("A"), B: from("B") },
      calls: { A: callsOf(folder, "A"), B: callsOf(folder, "B") },
      mails: { A: mails("A"), B: mails("B") },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const ADDRESS: Readonly<Record<Side, string>> = { A: "10.0.0.1", B: "10.0.0.2" };

/** Calls of the generic script, and of the others; keepalived runs both at the same time. */
function callsOf(folder: string, side: Side): string[][] {
  const lines = readFileSync(join(folder, `calls-${side}`), "utf8").trim().split("\n");
  const isGeneric = (line: string): boolean => line.startsWith("INSTANCE");
  return [lines.filter((line) => !isGeneric(line)), lines.filter(isGeneric)];
}

/** Closes those of a pair. */
async function closeFifos(this: Readonly<Record<Side, Fifo>>): Promise<void> {
  await Promise.all([this.A.close(), this.B.close()]);
}

/** The light script has weight −20 on A, +5 on B. */
function configuration(side: Side, fifo: string, folder: string): string {
  const script = (name: string, weight: number): string =>
    `vrrp_script ${name} {
  script "/usr/bin/test ! -e ${folder}/${name}-${side}"
  interval 1
  weight ${weight}
}
`;
  const isA = side === "A";
  const record = `${folder}/record.sh ${side}`;
  return `global_defs {
  vrrp_version 3
  vrrp_notify_fifo ${fifo}
  script_user root
  router_id ${side}
  notification_email {
    ops@example.net
  }
  notification_email_from ${side}@example.net
  smtp_server 10.0.0.3 2525
  smtp_alert
}
${script("light", isA ? -20 : 5)}${isA ? script("zero", 0) : ""}
vrrp_instance V {
  interface eth0
  virtual_router_id 51
  priority ${isA ? 110 : 95}
  advert_int 0.3
  notify_priority_changes
  notify "${record}"
  notify_master "${record} master"
  notify_backup "${record} 'back up'"
  notify_fault "${record} fault"
  notify_stop "${record} stop"
  garp_master_delay 100
  virtual_ipaddress {
    10.0.0.100
  }
  track_script {
    light
    ${isA ? "zero" : ""}
  }
  ${isA ? "track_interface {\n    eth1 weight -15\n  }" : ""}
}
`;
}

async function says(daemon: Daemon, ...phrases: readonly string[]): Promise<void> {
  for (const phrase of phrases) await daemon.waitForLog(phrase, STEP_MS);
}

function holds(network: Network, side: Side): Promise<void> {
  const isHeld = (one: Side): boolean => network.addresses(one).includes("10.0.0.100/32");
  const other = side === "A" ? "B" : "A";
  return poll(() => isHeld(side) && !isHeld(other), 3000, `${side} does not hold it alone`);
}
