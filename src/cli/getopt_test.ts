/** Each rule of getopt_long, one row each; the answers are the C library's. */
import { expect, test } from "bun:test";
import { type OptionSpec, parseOptions } from "./getopt.ts";

const table: readonly OptionSpec[] = [
  { long: "dont-fork", short: "n", value: "none" },
  { long: "dont-respawn", short: "R", value: "none" },
  { long: "vrrp", short: "P", value: "none" },
  { long: "vrrp_pid", short: "r", value: "required" },
  { long: "use-file", short: "f", value: "required" },
  { long: "config-test", short: "t", value: "optional" },
  { long: "all", value: "none" },
  { long: "perf", value: "optional" },
  { long: "version", short: "v", value: "none", last: true },
  { long: "mu", short: "µ", value: "none" },
  { long: "goat", short: "🐐", value: "required" },
];

/** Settings as `long` or `long=value`, surplus in brackets, errors without argv[0]. */
function read(words: readonly string[]): string {
  const { settings, surplus, errors } = parseOptions(table, ["upkeep", ...words]);
  return [
    ...settings.map(({ option, value }) =>
      value === undefined ? option.long : `${option.long}=${value}`
    ),
    ...surplus.map((word) => `[${word}]`),
    ...errors.map((error) => error.replace(/^upkeep: /, "! ")),
  ].join(" ");
}

const rows: readonly (readonly [why: string, words: readonly string[], expected: string])[] = [
  ["nothing", [], ""],
  ["short", ["-n"], "dont-fork"],
  ["repeated", ["-n", "-nn"], "dont-fork dont-fork dont-fork"],
  ["cluster", ["-nRP"], "dont-fork dont-respawn vrrp"],
  ["cluster ending in an attached value", ["-nf/x"], "dont-fork use-file=/x"],
  ["cluster ending in a value of its own word", ["-nf", "/x"], "dont-fork use-file=/x"],
  ["a value swallows what looks like flags", ["-fn"], "use-file=n"],
  ["= belongs to a short value", ["-f=x"], "use-file==x"],
  ["a required value may open with a dash", ["-f", "-n"], "use-file=-n"],
  ["a required value may be --", ["-f", "--", "-n"], "use-file=-- dont-fork"],
  ["a required long value may be --", ["--use-file", "--", "-n"], "use-file=-- dont-fork"],
  ["short value empty", ["-f", ""], "use-file="],
  ["short value missing", ["-n", "-f"], "dont-fork ! option requires an argument -- 'f'"],
  ["optional short absent", ["-t", "/x"], "config-test [/x]"],
  ["optional short attached", ["-t/x"], "config-test=/x"],
  ["optional short in a cluster", ["-nt"], "dont-fork config-test"],
  ["optional short then letters", ["-tn"], "config-test=n"],
  ["long", ["--dont-fork"], "dont-fork"],
  ["long value attached", ["--use-file=/x=y"], "use-file=/x=y"],
  ["long value in its own word", ["--use-file", "/x"], "use-file=/x"],
  ["long value missing", ["--use-file"], "! option '--use-file' requires an argument"],
  [
    "long value empty",
    ["--use-file=", "-n"],
    "dont-fork ! option '--use-file' requires an argument",
  ],
  ["long value an empty word", ["--use-file", ""], "! option '--use-file' requires an argument"],
  [
    "by prefix, the message has the full name",
    ["--use"],
    "! option '--use-file' requires an argument",
  ],
  ["optional long absent", ["--config-test", "/x"], "config-test [/x]"],
  ["optional long attached", ["--config-test=/x"], "config-test=/x"],
  ["optional long empty", ["--config-test="], "config-test"],
  ["unique prefix", ["--use=/x", "--a", "--vers"], "use-file=/x all version"],
  ["exact beats prefix", ["--vrrp"], "vrrp"],
  ["prefix beyond the exact", ["--vrrp_=x"], "vrrp_pid=x"],
  [
    "ambiguous",
    ["--dont"],
    "! option '--dont' is ambiguous; possibilities: '--dont-fork' '--dont-respawn'",
  ],
  [
    "ambiguous with a value",
    ["--vr=x"],
    "! option '--vr=x' is ambiguous; possibilities: '--vrrp' '--vrrp_pid'",
  ],
  ["unknown long", ["--nosuch"], "! unrecognized option '--nosuch'"],
  ["unknown long with a value", ["--nosuch=3"], "! unrecognized option '--nosuch=3'"],
  ["longer than the name", ["--alll"], "! unrecognized option '--alll'"],
  ["case counts", ["--Vrrp"], "! unrecognized option '--Vrrp'"],
  ["flag with a value", ["--al=x"], "! option '--all' doesn't allow an argument"],
  ["flag with an empty value", ["--all="], "! option '--all' doesn't allow an argument"],
  ["unknown letter, reading goes on", ["-nqR"], "dont-fork dont-respawn ! invalid option -- 'q'"],
  ["a dash in a cluster", ["-n-"], "dont-fork ! invalid option -- '-'"],
  [
    "no long-only options",
    ["-all"],
    "! invalid option -- 'a' ! invalid option -- 'l' ! invalid option -- 'l'",
  ],
  [
    "surplus words are moved aside",
    ["a", "-n", "b", "-f", "x", "c"],
    "dont-fork use-file=x [a] [b] [c]",
  ],
  ["a lone dash is a word", ["-", "-n"], "dont-fork [-]"],
  ["an empty word is a word", ["", "-n"], "dont-fork []"],
  ["-- ends the options", ["-n", "--", "-v", "--", "x"], "dont-fork [-v] [--] [x]"],
  ["a last option ends the reading", ["-n", "-v", "--nosuch", "x"], "dont-fork version"],
  ["a last option within a cluster", ["-nvq"], "dont-fork version"],
  [
    "mistakes before it count",
    ["--nosuch", "--version"],
    "version ! unrecognized option '--nosuch'",
  ],
  ["letters are characters, not code units", ["-µ🐐x", "-🐐", "y"], "mu goat=x goat=y"],
];

for (const [why, words, expected] of rows) {
  test(`${why}: ${words.join(" ")}`, () => expect(read(words)).toBe(expected));
}

test("an empty name is a prefix of every name", () => {
  expect(read(["--=x"])).toStartWith("! option '--=x' is ambiguous; possibilities: '--dont-fork'");
});

test("errors open with argv[0] as given", () => {
  expect(parseOptions(table, ["/usr/sbin/keepalived", "--x"]).errors).toEqual([
    "/usr/sbin/keepalived: unrecognized option '--x'",
  ]);
  expect(parseOptions(table, []).errors).toEqual([]);
});

test("the arguments are left as they were, and a long cluster does not exhaust the stack", () => {
  const argv = ["upkeep", "-f", "x", "y"];
  parseOptions(table, argv);
  expect(argv).toEqual(["upkeep", "-f", "x", "y"]);
  expect(parseOptions(table, ["upkeep", `-${"n".repeat(50_000)}`]).settings).toHaveLength(50_000);
});

test("no line of seeded random words is ever lost or thrown on", () => {
  const pieces = ["-", "--", "n", "f", "t", "=", "use-file", "vrrp", "", "x", "q", "config"];
  const endless = table.filter(({ last }) => !last);
  let seed = 0x5eed;
  const draw = (limit: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % limit;
  };
  const word = (): string =>
    Array.from({ length: draw(4) }, () => pieces[draw(pieces.length)]).join("");
  for (let round = 0; round < 5_000; round++) {
    const words = Array.from({ length: draw(6) }, word);
    const { settings, surplus, errors } = parseOptions(endless, ["upkeep", ...words]);
    for (const { option, value } of settings) {
      if (option.value === "none") expect(value).toBeUndefined();
      if (option.value === "required") expect(value).toBeString();
    }
    // Each word ends as an option, its value, surplus, a mistake, or the one `--`.
    const outcomes = settings.length + surplus.length + errors.length;
    const values = settings.filter(({ value }) => value !== undefined).length;
    const empties = errors.filter((error) => error.includes("requires")).length;
    expect(outcomes + values + empties + 1).toBeGreaterThanOrEqual(words.length);
  }
});
