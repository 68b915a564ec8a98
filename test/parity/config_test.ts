/**
 * What `keepalived -t` and `upkeep -t` make of the same file, by their exit statuses: 0 accepts, 4, 5 and 6
 * accept with complaints, 2 refuses. Debian's sample configurations and small ones made up from seeds; where
 * the two differ on purpose, {@link DIFFERENCES} says why (and docs/COMPATIBILITY.md to people).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { UPKEEP } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { prng } from "../support/prng.ts";
import { makeConfig } from "./verdicts.ts";

const SAMPLES = "/usr/share/doc/keepalived/samples";
const SEEDS = 500;
/** At once: two processors have two things to do. */
const AT_ONCE = 4;
/** A daemon that has not made up its mind by then never will. */
const LONGEST_MS = 10_000;

/** A deliberate difference: it explains a file when its expression is found in either one's messages. */
interface Difference {
  readonly said: RegExp;
  readonly why: string;
}

const DIFFERENCES: readonly Difference[] = [
  {
    said: /duplicate address \S+ - ignoring/,
    why: "2.4.3 complains of an address that comes twice, 2.2.7 does not",
  },
  {
    said: /(invalid number ''|value '')/,
    why: "an empty word is no number; 2.2.7 takes it for 0",
  },
  {
    said: /Keyword "lvs_process_name" is deprecated/,
    why: "2.4.3 has another word for it, 2.2.7 not yet",
  },
  {
    said: /Invalid IPv4 persistence_granularity specified - 0/,
    why: "0 is no netmask; 2.2.7 takes it for 0.0.0.0, for which the kernel keeps no client apart",
  },
  {
    said: /bindto address \S+ does not match address family of connect_ip/,
    why: "a check that could never be bound is said to be wrong; 2.2.7 finds out when it runs",
  },
  {
    said: /Configuration line starting `\S+` is missing a parameter after keyword `(eth\d+)`/,
    why: "a second interfaces block of a garp_group makes 2.2.7 look for a word that nobody needs",
  },
];

interface Verdict {
  readonly status: number | null;
  readonly said: string;
}

let network: Network;
let scratch: string;

beforeAll(() => {
  network = new Network(["left"]);
  scratch = mkdtempSync(join(tmpdir(), "upkeep-verdicts-"));
  for (let i = 1; i < 6; i++) {
    network.run("left", "ip", "link", "add", `eth${i}`, "type", "veth", "peer", "name", `far${i}`);
  }
});

afterAll(() => {
  network[Symbol.dispose]();
  rmSync(scratch, { recursive: true });
});

/**
 * One verdict. Apart from us (setsid), and with a file for what is said: when keepalived crashes it
 * signals its whole group, and may leave a child behind that would keep a pipe open.
 */
async function judge(program: string, file: string): Promise<Verdict> {
  const said = `${file}.${program === UPKEEP ? "ours" : "theirs"}`;
  const words = ["setsid", "--wait", program, "-t", "-f", file];
  const output = Bun.file(said);
  const child = Bun.spawn([...network.enter("left"), ...words], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: output,
    timeout: LONGEST_MS,
    killSignal: "SIGKILL",
  });
  const status = await child.exited;
  const isCrash = child.signalCode !== null || status > 128;
  return { status: isCrash ? null : status, said: await output.text() };
}

/** What is wrong with our verdict about a file; undefined when nothing is. */
async function compare(name: string, text: string): Promise<string | undefined> {
  const file = join(scratch, name);
  writeFileSync(file, text);
  const theirs = await judge("keepalived", file);
  const ours = await judge(UPKEEP, file);
  // Crashes of keepalived (an unknown name in track_file is one) are nothing to live up to.
  if (theirs.status === null || theirs.status === ours.status) return undefined;
  if (DIFFERENCES.some(({ said }) => said.test(theirs.said) || said.test(ours.said))) {
    return undefined;
  }
  // What came with a later release is no mistake.
  if (/Unknown keyword/.test(theirs.said) && !/Unknown keyword/.test(ours.said)) return undefined;
  const lines = [theirs.said, ours.said].map((said) => said.split("\n").slice(0, 8).join("\n    "));
  return `${name}: keepalived ${theirs.status}, upkeep ${ours.status}\n    ${
    lines.join("\n    --\n    ")
  }`;
}

/** Compares many files, a few at a time. */
async function compareAll(
  files: readonly (readonly [string, string])[],
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const queue = files[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const [name, text] of queue) {
      const complaint = await compare(name, text);
      if (complaint !== undefined) wrong.push(complaint);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return wrong;
}

test("Debian's sample configurations get the verdicts keepalived gives", async () => {
  expect(existsSync(SAMPLES)).toBe(true);
  const names = readdirSync(SAMPLES).filter((name) => name.startsWith("keepalived.conf"));
  expect(names.length).toBeGreaterThan(20);
  const files = names.map((name) => {
    const bytes = readFileSync(join(SAMPLES, name));
    const text = name.endsWith(".gz") ? gunzipSync(bytes).toString() : bytes.toString();
    return [name, text] as const;
  });
  expect(await compareAll(files)).toEqual([]);
});

test("so do small ones, right and wrong", async () => {
  const files = Array.from(
    { length: SEEDS },
    (_, i) => [`seed-${i}`, makeConfig(prng(i))] as const,
  );
  expect(await compareAll(files)).toEqual([]);
});
