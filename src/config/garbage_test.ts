/**
 * Garbage, small and large: reading never throws, never hangs, and takes a time that grows as the text
 * does. Times are compared with each other only; the machine may be as slow as it likes.
 */
import { expect, test } from "bun:test";
import { type Prng, prng } from "../../test/support/prng.ts";
import { loadText, randomConfig } from "../../test/support/statements.ts";
import { memoryFiles } from "./files.ts";
import { load, type Loaded } from "./load.ts";
import { explainProblem } from "./problem.ts";
import { printConfig } from "./print.ts";
import { root } from "./root.ts";
import type { Written } from "./schema.ts";

/** Milliseconds: for the whole test, never compared with what is measured. */
const LIMIT = 120_000;
/** In characters. */
const SMALL = 60_000;
const GROWTH = 8;
/** Linear is GROWTH, a quadratic step GROWTH²; the rest is for noise and for the caches. */
const MOST_GROWTH = 30;
/** Below this a time is noise, in milliseconds. */
const NOISE_MS = 3;
/** Problems in all: ordinary ones, fatal ones, and the one that counts the rest. */
const MOST_PROBLEMS = 2001;

/** So many characters of a text or of texts that a number makes. */
function fill(size: number, line: string | ((i: number) => string), head = ""): string {
  const parts = [head];
  let length = head.length;
  for (let i = 0; length < size; i++) {
    const part = typeof line === "string" ? line : line(i);
    parts.push(part);
    length += part.length;
  }
  return parts.join("");
}

const ip = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
const VS = "virtual_server 192.0.2.1 80 {\n";
const RS = `${VS}real_server 192.0.2.2 80 {\n`;

/** Texts of some size, each of one kind of nonsense, or of sense without measure. */
const KINDS: Readonly<Record<string, (size: number) => string>> = {
  "one endless line": (size) => fill(size, "x"),
  "one line of words": (size) => fill(size, "x y "),
  "short unknown words": (size) => fill(size, "a\n"),
  "misspelt keywords": (size) => fill(size, (i) => `vrrp_instanc${i} 1 2\n`),
  "opening braces": (size) => fill(size, "{\n"),
  "opening braces on a line": (size) => fill(size, "{"),
  "closing braces": (size) => fill(size, "}\n"),
  "blocks without end": (size) => fill(size, (i) => `vrrp_instance a${i} {\nauthentication {\n`),
  "deep blocks": (size) => fill(size, "url {\n", `${RS}HTTP_GET {\n`),
  "quotes": (size) => fill(size, '"\n'),
  "NUL": (size) => fill(size, "a\0b\n"),
  "names that grow": (size) => fill(size, "$A=${A}${A}\n${A} x\n"),
  "definitions": (size) => fill(size, (i) => `$A${i}=x\n`),
  "repetitions": (size) => fill(size, "~SEQ(A, 1, 9) ~SEQ(B, 1, 9) a ${A}${B}\n"),
  "includes of nothing": (size) => fill(size, "include /nowhere*\n"),
  "missing words": (size) => fill(size, "priority\n", "vrrp_instance a {\n"),
  "wrong numbers": (size) => fill(size, (i) => `priority ${i}x\n`, "vrrp_instance a {\n"),
  "secrets": (size) => fill(size, (i) => `auth_pas p${i}\n`),
  "addresses": (size) =>
    fill(size, (i) => `${ip(i)}\n`, "vrrp_instance a {\nvirtual_ipaddress {\n"),
  "blocks of one address": (size) =>
    fill(size, (i) => `virtual_ipaddress {\n${ip(i)}\n}\n`, "vrrp_instance a {\n"),
  "peers": (size) => fill(size, (i) => `${ip(i)}\n`, "vrrp_instance a {\nunicast_peer {\n"),
  "tracked links": (size) =>
    fill(size, (i) => `eth${i} weight 1\n`, "vrrp_instance a {\ntrack_interface {\n"),
  "rules": (size) => fill(size, (i) => `from ${ip(i)} table 5\n`, "static_rules {\n"),
  "routes": (size) => fill(size, (i) => `${ip(i)} dev eth0\n`, "static_routes {\n"),
  "instances": (size) => fill(size, (i) => `vrrp_instance a${i} {\n}\n`),
  "groups of instances": (size) =>
    fill(size, (i) => `vrrp_instance a${i} {\n}\nvrrp_sync_group g${i} {\ngroup {\na${i}\n}\n}\n`),
  "real servers": (size) => fill(size, (i) => `real_server ${ip(i)} 80 {\n}\n`, VS),
  "the same real server": (size) => fill(size, "real_server 192.0.2.2 80 {\n}\n", VS),
  "checks": (size) => fill(size, "TCP_CHECK {\n}\n", RS),
  "urls": (size) => fill(size, (i) => `url {\npath /${i}\n}\n`, `${RS}HTTP_GET {\n`),
  "headers": (size) => fill(size, (i) => `header X-${i} v\n`, `${RS}HTTP_GET {\nurl {\n`),
  "services of a large group": (size) =>
    fill(
      size,
      (i) => `virtual_server group g {\nreal_server ${ip(i)} 81 {\n}\nlb_kind DR\n}\n`,
      [
        fill(size / 2, (i) => `${ip(i)} 80\n`, "virtual_server_group g {\n"),
        "}\n",
      ].join(""),
    ),
  "delays": (size) => fill(size, (i) => `eth${i} 1 2\n`, "interface_up_down_delays {\n"),
};

function expectSane({ problems }: Loaded): void {
  expect(problems.length).toBeLessThanOrEqual(MOST_PROBLEMS);
  for (const problem of problems.slice(0, 20)) {
    expect(explainProblem(problem).length).toBeLessThan(80_000);
  }
}

/** The shorter of two times, in milliseconds: a pause of the machine seldom comes twice. */
function timeOf(text: string): number {
  const once = (): number => {
    const from = Bun.nanoseconds();
    expectSane(loadText(text));
    return (Bun.nanoseconds() - from) / 1e6;
  };
  return Math.min(once(), once());
}

test("the time grows as the text does, whatever the text is", () => {
  for (const [kind, make] of Object.entries(KINDS)) {
    // A machine that is busy elsewhere spoils a measurement, hardly three.
    let growth = Infinity;
    for (let i = 0; i < 3 && growth >= MOST_GROWTH; i++) {
      const small = Math.max(NOISE_MS, timeOf(make(SMALL)));
      growth = Math.min(growth, timeOf(make(SMALL * GROWTH)) / small);
    }
    expect([kind, growth, growth < MOST_GROWTH]).toEqual([kind, growth, true]);
  }
}, LIMIT);

test("a file that includes itself ends, however large it is", () => {
  const text = fill(1_000_000, "include /k.conf\n");
  const { problems } = load("/k.conf", memoryFiles({ "/k.conf": text }));
  expectSane({ problems } as Loaded);
  expect(problems.map(({ message }) => message).join("\n")).toMatch(/too much text|Too many open/);
}, LIMIT);

test("random bytes end with a clear error", () => {
  const random = prng(1);
  const bytes = Uint8Array.from({ length: 1_000_000 }, () => random.integer(0, 255));
  const loaded = load("/k.conf", memoryFiles({ "/k.conf": bytes }));
  expectSane(loaded);
  expect(loaded.problems.at(-1)?.message).toMatch(/^\d+ more mistakes are not shown$/);
}, LIMIT);

/** A good text with some bytes, words or lines changed, taken away, doubled or moved. */
function spoil(text: string, random: Prng): string {
  const lines = text.split("\n");
  for (let i = random.integer(1, 12); i > 0; i--) {
    const at = random.integer(0, lines.length - 1);
    const words = lines[at]!.split(" ");
    const spoiled: Readonly<Record<string, () => void>> = {
      drop: () => void lines.splice(at, 1, ""),
      double: () => void lines.splice(at, 0, lines[at]!),
      move: () => void lines.push(lines.splice(at, 1, "")[0]!),
      word: () => void (words[random.integer(0, words.length - 1)] = random.pick(ODD)),
      less: () => void words.pop(),
      more: () => void words.push(random.pick(ODD), random.pick(ODD)),
      byte: () => {
        const k = random.integer(0, lines[at]!.length);
        const c = String.fromCharCode(random.integer(0, 300));
        lines[at] = lines[at]!.slice(0, k) + c + lines[at]!.slice(k + 1);
        words.splice(0, Infinity, ...lines[at]!.split(" "));
      },
    };
    spoiled[random.pick(Object.keys(spoiled))]!();
    if (words.join(" ") !== lines[at]) lines[at] = words.join(" ");
  }
  return lines.join("\n");
}

const ODD = [
  ..."{ } \" ' \\ # ! $ ${ ~SEQ( @ - -1 0 1e9 99999999999999999999 NaN :: 1.2.3 1.2.3.4/ /33".split(
    " ",
  ),
  ..."__proto__ constructor toString hasOwnProperty \0 \t \u{1f600} é include /k.conf".split(" "),
  "",
  "x".repeat(2000),
];

test("spoiled configurations never throw, and print as something that reads the same", () => {
  for (let seed = 1; seed <= 80; seed++) {
    const random = prng(seed);
    const text = spoil(randomConfig(random), random);
    const loaded = loadText(text);
    expectSane(loaded);
    const printed = printConfig(loaded.written as Written, root, { showSecrets: true });
    expect([seed, printConfig(loadText(printed).written as Written, root, { showSecrets: true })])
      .toEqual([seed, printed]);
  }
}, LIMIT);
