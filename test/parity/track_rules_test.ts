/**
 * keepalived of Debian and upkeep with the same configuration and the same results of scripts, one rule a case: what
 * is written to the FIFO is the same line by line, and so is what the log says of each script; the notify
 * scripts are called as often with the same words, whose order is chance with keepalived, which waits for none.
 */

import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instance, type InstanceSettings } from "../support/configs.ts";
import { Daemon, UPKEEP } from "../support/daemon.ts";
import { Fifo } from "../support/fifo.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(120_000);

const STEP_MS = 12_000;

/** What happens, and the line of the log that says that it has. */
interface Step {
  /** A flag's name is raised, with `-` lowered; `ip` words are run; a digit waits for so many runs. */
  readonly act: string;
  readonly says: readonly string[];
}

interface Case {
  readonly name: string;
  /** Exit statuses of the script `seq`, one a run, the last for ever. */
  readonly results?: string;
  /** Flags that are up from the start. */
  readonly flags?: readonly string[];
  readonly config: (folder: string) => string;
  readonly steps: readonly Step[];
}

interface Outcome {
  readonly told: readonly string[];
  readonly calls: readonly string[];
  readonly scripts: Readonly<Record<string, readonly string[]>>;
}

const seq = (...lines: readonly string[]) => (folder: string): string =>
  `vrrp_script seq {\nscript ${folder}/seq.sh\ninterval 1\n${lines.join("\n")}\n}\n`;

/** Succeeds while the flag of its name is up. */
const flag = (folder: string, name: string, ...lines: readonly string[]): string =>
  `vrrp_script ${name} {\nscript "/usr/bin/test -e ${folder}/${name}"\ninterval 1\n` +
  `${lines.join("\n")}\n}\n`;

const notifies = (folder: string): string =>
  ["", "_master", "_backup", "_fault", "_stop"].map((kind) =>
    `notify${kind} "${folder}/note.sh notify${kind}"`
  ).join("\n");

const v = (folder: string, more: string, rest: InstanceSettings = {}): string =>
  instance({ priority: 100, interval: 0.8, more: `${more}\n${notifies(folder)}`, ...rest });

/** So much lower that its deadline comes after V's, also on a busy machine: keepalived mixes up two at once. */
const w = (folder: string, more: string): string =>
  v(folder, more, { name: "W", vrid: 8, priority: 10, addresses: ["10.0.0.101/32"] });

const group = (folder: string, more: string): string =>
  `vrrp_sync_group G {\ngroup {\nV\nW\n}\n${more}\ntrack_script {\ng\n}\n${notifies(folder)}\n}\n`;

const TRACK = "track_script {\nseq\n}";

/** A script by its results alone. */
const course = (name: string, results: string, ...lines: readonly string[]): Case => ({
  name,
  results,
  config: (folder) => seq(...lines)(folder) + v(folder, TRACK),
  steps: [{ act: `${results.length + 1}`, says: ["Entering MASTER STATE"] }],
});

const CASES: readonly Case[] = [
  course("rise and fall", "0110111001001", "rise 2", "fall 3", "weight 10"),
  course("the first result is definitive", "1100", "rise 2", "fall 3", "weight -10"),
  course("a weight that is reversed", "00110", "weight 10 reverse"),
  course("the other way round without a weight", "00111110", "weight 0 reverse"),
  {
    name: "who tracks it has a weight of its own",
    results: "00110",
    config: (folder) => seq("weight 10")(folder) + v(folder, "track_script {\nseq weight -30\n}"),
    steps: [{ act: "6", says: ["Entering MASTER STATE"] }],
  },
  {
    name: "a script that hangs",
    config: (folder) =>
      `vrrp_script h {\nscript "/bin/sleep 30"\ninterval 1\ntimeout 1\nweight 10\n}\n` +
      v(folder, "track_script {\nh\n}"),
    steps: [{ act: "", says: ["Entering MASTER STATE", "VRRP_Script(h) timed_out"] }],
  },
  {
    name: "a script that a signal ends",
    config: (folder) =>
      `vrrp_script k {\nscript "/bin/sh ${folder}/kill.sh"\ninterval 1\nweight 10\n}\n` +
      v(folder, "track_script {\nk\n}"),
    steps: [{ act: "", says: ["VRRP_Script(k) failed (due to signal 9)", "Entering MASTER"] }],
  },
  {
    name: "an owner knows no weights",
    results: "0110",
    config: (folder) =>
      seq("weight -10")(folder) + flag(folder, "z") +
      v(folder, "track_script {\nseq\nz\n}", { priority: 255, state: "MASTER" }),
    steps: [
      { act: "", says: ["VRRP_Script(z) failed"] },
      { act: "z", says: ["VRRP_Script(z) succeeded", "Entering MASTER STATE"] },
      { act: "-z", says: ["Entering FAULT STATE"] },
      { act: "z", says: ["Entering BACKUP STATE", "Entering MASTER STATE"] },
    ],
  },
  {
    name: "links with weights, and its own",
    config: (folder) =>
      v(folder, "track_interface {\neth1 weight 20\n}") +
      w(folder, "track_interface {\neth1 weight -20 reverse\n}"),
    steps: [
      { act: "", says: ["(W) Entering MASTER STATE"] },
      { act: "ip link set eth1 down", says: ["(W) Changing effective priority from 10 to 30"] },
      { act: "ip link set eth1 up", says: ["(W) Changing effective priority from 30 to 10"] },
      { act: "ip link set eth0 down", says: ["(W) Entering FAULT STATE"] },
      { act: "ip link set eth0 up", says: ["(V) Entering MASTER", "(W) Entering MASTER"] },
    ],
  },
  {
    name: "a file from the start on, and a change while something else is a fault",
    flags: ["number"],
    config: (folder) =>
      `vrrp_track_file n {\nfile ${folder}/number\nweight 2\n}\n` + flag(folder, "f", "weight 5") +
      v(folder, "track_file {\nn\n}\ntrack_script {\nf\n}\ntrack_interface {\neth1\n}"),
    steps: [
      { act: "", says: ["Entering MASTER STATE"] },
      { act: "ip link set eth1 down", says: ["Entering FAULT STATE"] },
      { act: "f", says: ["Changing effective priority from 114 to 119"] },
      { act: "ip link set eth1 up", says: ["Entering BACKUP STATE", "Entering MASTER STATE"] },
    ],
  },
  {
    name: "a group whose script succeeds first",
    flags: ["g"],
    config: (folder) => flag(folder, "g") + group(folder, "") + v(folder, "") + w(folder, ""),
    steps: [
      { act: "", says: ["(V) Entering MASTER STATE"] },
      { act: "-g", says: ["(W) Entering FAULT STATE"] },
      { act: "g", says: ["(V) Entering BACKUP STATE", "(V) Entering MASTER STATE"] },
    ],
  },
  {
    name: "a group whose script fails first",
    config: (folder) => flag(folder, "g") + group(folder, "") + v(folder, "") + w(folder, ""),
    steps: [
      { act: "", says: ["VRRP_Script(g) failed", "Syncing instances to FAULT state"] },
      { act: "g", says: ["(V) Entering BACKUP STATE", "(V) Entering MASTER STATE"] },
    ],
  },
  {
    name: "a group with weights",
    flags: ["g"],
    config: (folder) =>
      flag(folder, "g", "weight 20") + group(folder, "sync_group_tracking_weight") +
      v(folder, "") + w(folder, ""),
    steps: [
      { act: "", says: ["(V) Entering MASTER STATE"] },
      { act: "-g", says: ["(W) Changing effective priority from 30 to 10"] },
      { act: "g", says: ["(W) Changing effective priority from 10 to 30"] },
    ],
  },
  {
    name: "an instance that a reload removes",
    config: (folder) => v(folder, "") + w(folder, ""),
    steps: [
      { act: "", says: ["(W) Entering MASTER STATE"] },
      { act: "reload", says: [] },
    ],
  },
];

/** More at once, and links are not up when the daemons start. */
const AT_ONCE = 4;
let playing = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (playing === AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  else playing++;
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) playing--;
    else next();
  }
}

for (const one of CASES) {
  test.concurrent(one.name, () =>
    inTurn(async () => {
      const [theirs, ours] = await Promise.all([play(one, "keepalived"), play(one, UPKEEP)]);
      expect(ours).toEqual(theirs);
    }));
}

async function play({ config, steps, results = "0", flags = [] }: Case, program: string): Promise<
  Outcome
> {
  using network = new Network(["A"], { hasSecondLink: true });
  const isUp = (): boolean => network.run("A", "ip", "-o", "link").split(" state UP ").length === 3;
  await poll(isUp, STEP_MS, "links do not come up");
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  const fifo = new Fifo();
  await using _end = {
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await fifo.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const path = (name: string): string => join(folder, name);
  writeScripts(folder, results);
  for (const name of flags) writeFileSync(path(name), "7\n");
  const globals = `global_defs {
script_user root
vrrp_notify_priority_changes
vrrp_notify_fifo ${fifo.path}
}
`;
  await using daemon = new Daemon(network, "A", globals + config(folder), { program });
  const act = async (what: string): Promise<void> => {
    if (what.startsWith("ip ")) network.run("A", ...what.split(" "));
    else if (what.startsWith("-")) rmSync(path(what.slice(1)));
    else if (what === "reload") {
      daemon.rewrite(globals + v(folder, ""));
      daemon.signal("SIGHUP");
      await fifo.has('INSTANCE "W" FAULT 10');
    } else if (/^\d/.test(what)) {
      const runs = (): number =>
        existsSync(path("n")) ? Number(readFileSync(path("n"), "utf8")) : 0;
      await poll(() => runs() >= Number(what), 30_000, `not ${what} runs`);
    } else if (what !== "") writeFileSync(path(what), "");
  };
  for (const { act: what, says } of steps) {
    // What was waited for may have been said by then; what follows from an act has not.
    const isPast = what === "" || /^\d/.test(what);
    if (!isPast) daemon.skipLog();
    const from = isPast ? 0 : fifo.lines.length;
    await act(what);
    for (const phrase of says) {
      if (isPast) daemon.rewindLog();
      await daemon.waitForLog(phrase, STEP_MS);
      // Between the log and the FIFO the next act would change what the FIFO is told.
      const [, name, state] = /^\((\w)\) Entering (\w+)/.exec(phrase) ?? [];
      const start = `INSTANCE "${name}" ${state} `;
      const isTold = (): boolean => fifo.lines.slice(from).some((line) => line.startsWith(start));
      if (state !== undefined) await poll(isTold, STEP_MS, `the FIFO is not told ${start}`);
    }
  }
  expect(await daemon.stop(STEP_MS)).toBe(0);
  const calls = (): string[] =>
    existsSync(path("calls")) ? readFileSync(path("calls"), "utf8").trim().split("\n") : [];
  // One for the state and one for all, of every line but those about priorities.
  const count = (): number => 2 * fifo.lines.filter((line) => !line.includes("_PRIORITY")).length;
  const isOver = (): boolean => fifo.lines.some((line) => line.startsWith('INSTANCE "V" STOP'));
  await poll(isOver, STEP_MS, "not told of the end");
  await poll(() => calls().length >= count() - 1, 5000, `calls are missing: ${calls()}`);
  return { told: fifo.lines, calls: calls().sort(), scripts: scriptsOf(daemon) };
}

function writeScripts(folder: string, results: string): void {
  const last = results.at(-1)!;
  const scripts = {
    "note.sh": `echo "$*" >>${folder}/calls`,
    "kill.sh": "kill -9 $$",
    "seq.sh": `n=$(cat ${folder}/n 2>/dev/null || echo 0)
echo $((n + 1)) >${folder}/n.new
mv ${folder}/n.new ${folder}/n
r=$(echo ${results} | cut -c$((n + 1)))
exit \${r:-${last}}`,
  };
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
}

/** The lines of each script; those of different ones come in any order. */
function scriptsOf({ lines }: Daemon): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { text } of lines) {
    const name = /^(?:VRRP_Script\(|Script `|Track script )(\w+)/.exec(text)?.[1];
    if (name !== undefined) (found[name] ??= []).push(text);
  }
  return found;
}
