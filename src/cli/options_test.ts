/** The table against keepalived's own list, written out here, and what each option sets. */
import { expect, test } from "bun:test";
import { type DaemonOptions, daemonOptions, readDaemonOptions, signalNumber } from "./options.ts";

/** Every option of keepalived 2.4.3: short, long, kind of value, and + where it has an effect. */
const everyOption = `
f use-file            required +
P vrrp                none     +
C check               none     +
B no_bfd              none     +
. all                 none     +
l log-console         none     +
D log-detail          none     +
S log-facility        required +
g log-file            optional +
. flush-log-file      none     +
G no-syslog           none     +
u umask               required +
X release-vips        none     +
V dont-release-vrrp   none     +
I dont-release-ipvs   none     +
R dont-respawn        none     +
n dont-fork           none     +
d dump-conf           none     +
p pid                 required +
r vrrp_pid            required +
c checkers_pid        required +
b bfd_pid             required +
T genhash             none     -
a address-monitoring  none     -
x snmp                none     -
A snmp-agent-socket   required -
s namespace           required +
m core-dump           none     -
M core-dump-pattern   optional -
. no-mem-check        none     -
L mem-check-log       none     -
O openssl-mem-check   none     -
e all-config          none     +
i config-id           required +
. ignore-sigint       none     +
. signum              required +
t config-test         optional +
. config-fd           required -
. perf                optional -
. debug               optional -
v version             none     +
h help                none     +
`.trim().split("\n").map((line) => line.split(/ +/).join(" "));

test("the table holds every option, each once", () => {
  const ours = daemonOptions.map(({ short = ".", long, value, built }) =>
    `${short} ${long} ${value} ${built ? "+" : "-"}`
  );
  expect(ours.toSorted()).toEqual(everyOption.toSorted());
  expect(ours).toHaveLength(42);
});

test("names are unique, purposes are one line", () => {
  const letters = daemonOptions.flatMap(({ short }) => short ?? []);
  expect(new Set(letters).size).toBe(letters.length);
  for (const { usage, purpose } of daemonOptions) {
    expect(usage).toMatch(/^(-[a-zA-Z], | {4})--[a-z_-]+(=\S+|\[=\S+\])?$/);
    expect(purpose).toMatch(/^[ -~]{4,78}$/);
  }
});

test("the defaults", () => {
  expect(readDaemonOptions("keepalived", [])).toStrictEqual({
    configFile: "/etc/keepalived/keepalived.conf",
    dontFork: false,
    logConsole: false,
    noSyslog: false,
    logDetail: 0,
    dumpConf: false,
    configTest: undefined,
    vrrpOnly: false,
    checkOnly: false,
    noBfd: false,
    allRoles: false,
    pidFile: "/run/keepalived.pid",
    vrrpPidFile: "/run/vrrp.pid",
    checkersPidFile: "/run/checkers.pid",
    bfdPidFile: "/run/bfd.pid",
    logFile: undefined,
    flushLogFile: false,
    logFacility: 3,
    umask: undefined,
    dontRespawn: false,
    releaseVips: false,
    dontReleaseVrrp: false,
    dontReleaseIpvs: false,
    namespace: undefined,
    configId: undefined,
    allConfig: false,
    signum: undefined,
    ignoreSigint: false,
    version: false,
    help: false,
    unbuilt: [],
    notices: [],
    errors: [],
  });
});

/** What the words change, and nothing else. */
function changes(...words: string[]): Partial<DaemonOptions> {
  const plain = readDaemonOptions("keepalived", []);
  const read = readDaemonOptions("keepalived", words);
  const names = Object.keys(read) as (keyof DaemonOptions)[];
  return Object.fromEntries(
    names.filter((name) => !Bun.deepEquals(read[name], plain[name])).map((name) => [
      name,
      read[name],
    ]),
  );
}

const testing = { dontFork: true, dontRespawn: true, noSyslog: true };
const rows: readonly (readonly [words: string, expected: Partial<DaemonOptions>])[] = [
  ["-f /x", { configFile: "/x" }],
  ["--use-file /x", { configFile: "/x" }],
  ["--use-file=/x -f/y", { configFile: "/y" }],
  ["-n", { dontFork: true }],
  ["--dont-fork", { dontFork: true }],
  ["-l", { logConsole: true }],
  ["--log-console", { logConsole: true }],
  ["-G", { noSyslog: true }],
  ["--no-syslog", { noSyslog: true }],
  ["-D", { logDetail: 1 }],
  ["--log-detail", { logDetail: 1 }],
  ["-D -D", { logDetail: 2 }],
  ["-DDD --log-d", { logDetail: 2 }],
  ["-d", { dumpConf: true }],
  ["--dump-conf", { dumpConf: true }],
  ["-nldD", { dontFork: true, logConsole: true, dumpConf: true, logDetail: 1 }],
  ["-t", { configTest: {}, ...testing }],
  ["--config-test", { configTest: {}, ...testing }],
  ["--config-test=", { configTest: {}, ...testing }],
  ["-t/x", { configTest: { file: "/x" }, ...testing }],
  ["--config-test=/x", { configTest: { file: "/x" }, ...testing }],
  ["-t /x", { configTest: {}, ...testing, notices: ["Unexpected argument(s): /x"] }],
  ["-P", { vrrpOnly: true }],
  ["--vrrp", { vrrpOnly: true }],
  ["-C", { checkOnly: true }],
  ["--check", { checkOnly: true }],
  ["-B", { noBfd: true }],
  ["--no_bfd", { noBfd: true }],
  ["--all", { allRoles: true }],
  ["-p /x", { pidFile: "/x" }],
  ["--pid /x", { pidFile: "/x" }],
  ["-r /x", { vrrpPidFile: "/x" }],
  ["--vrrp_pid /x", { vrrpPidFile: "/x" }],
  ["-c /x", { checkersPidFile: "/x" }],
  ["--checkers_pid /x", { checkersPidFile: "/x" }],
  ["-b /x", { bfdPidFile: "/x" }],
  ["--bfd_pid /x", { bfdPidFile: "/x" }],
  ["-g", { logFile: {} }],
  ["-g/x", { logFile: { file: "/x" } }],
  ["--log-file", { logFile: {} }],
  ["--log-file=/x --flush-log-file", { logFile: { file: "/x" }, flushLogFile: true }],
  ["-V", { dontReleaseVrrp: true }],
  ["--dont-release-vrrp", { dontReleaseVrrp: true }],
  ["-R", { dontRespawn: true }],
  ["--dont-respawn", { dontRespawn: true }],
  ["-X", { releaseVips: true }],
  ["--release-vips", { releaseVips: true }],
  ["-i one", { configId: "one" }],
  ["--config-id=one", { configId: "one" }],
  ["-e", { allConfig: true }],
  ["--all-config", { allConfig: true }],
  ["--ignore-sigint", { ignoreSigint: true }],
  ["-v", { version: true }],
  ["--version --nosuch", { version: true }],
  ["-h", { help: true }],
  ["--help --version", { help: true }],
  ["--signum=STOP -f", { signum: 15 }],
  ["--sig JSON", { signum: 36 }],
  ["-n one -l two", {
    dontFork: true,
    logConsole: true,
    notices: ["Unexpected argument(s): one two"],
  }],
  ["-x -x --snmp", {
    unbuilt: ["--snmp"],
    notices: ["Option --snmp is accepted but has no effect yet"],
  }],
  ["-s ns -BIx", {
    noBfd: true,
    namespace: "ns",
    dontReleaseIpvs: true,
    unbuilt: ["--snmp"],
    notices: ["Option --snmp is accepted but has no effect yet"],
  }],
];

for (const [words, expected] of rows) {
  test(words, () => expect(changes(...words.split(" "))).toEqual(expected));
}

test("every option is accepted, by both names, and says so when it has no effect", () => {
  for (const { long, short, value, built } of daemonOptions) {
    if (long === "signum" || long === "genhash") continue;
    const attached = value === "required" ? "=5" : "";
    const given = [[`--${long}${attached}`], ...(short ? [[`-${short}`, "5"]] : [])];
    for (const words of given) {
      const { errors, unbuilt, notices } = readDaemonOptions("keepalived", words);
      expect(errors).toEqual([]);
      expect(unbuilt).toEqual(built ? [] : [`--${long}`]);
      expect(notices.some((line) => line.includes(`--${long} `))).toBe(!built);
    }
  }
});

test("an empty value after a short option is as if not given", () => {
  for (const letter of "fpcrbiSu") expect(changes(`-${letter}`, "")).toEqual({});
});

test("log facilities", () => {
  const facility = (name: string): number | undefined => changes("-S", name).logFacility;
  const known: Record<string, number | undefined> = {
    "0": 16,
    "7": 23,
    "07": 23,
    local0: 16,
    local3: 19,
    local7: 23,
    user: 1,
  };
  for (const [name, number] of Object.entries(known)) expect(facility(name)).toBe(number);
  expect(changes("-S", "0", "-S", "daemon")).toEqual({});
  for (const name of ["8", "-1", "local8", "local", "LOCAL7", "0x7", "7x", "x7", "mail", "70"]) {
    const { logFacility, notices, errors } = readDaemonOptions("keepalived", ["-S", name]);
    expect(logFacility).toBe(3);
    expect(notices).toHaveLength(1);
    expect(notices[0]).toStartWith(`Invalid log facility '${name}'`);
    expect(errors).toEqual([]);
  }
  expect(changes("-S", "local4", "-S", "bad").logFacility).toBe(20);
});

test("umask in the notation of C", () => {
  const good = { "022": 0o22, "0": 0, "00": 0, "0777": 0o777, "0xff": 255, "0X1f": 31, " 22": 22 };
  for (const [text, umask] of Object.entries(good)) expect(changes("-u", text)).toEqual({ umask });
  for (const text of ["01000", "512", "7777", "-1", "abc", "08", "022x", "0x200", "0x", "1e2"]) {
    const { umask, notices, errors } = readDaemonOptions("keepalived", ["-u", text]);
    expect(umask).toBeUndefined();
    expect(notices).toEqual([`Invalid umask '${text}', 0 to 0777 is possible`]);
    expect(errors).toEqual([]);
  }
});

test("signal numbers", () => {
  const numbers = ["STOP", "RELOAD", "DATA", "STATS", "STATS_CLEAR", "JSON", "TDUMP", "TDATA"]
    .map(signalNumber);
  expect(numbers).toEqual([15, 1, 10, 12, 63, 36, 64, 64]);
  for (const name of ["stop", "BAD", "", "STO", "constructor", "__proto__"]) {
    expect(signalNumber(name)).toBeUndefined();
  }
  const bad = readDaemonOptions("keepalived", ["--signum=BAD", "--nosuch"]);
  expect(bad.signum).toBeUndefined();
  expect(bad.errors).toHaveLength(1);
  expect(bad.errors[0]).toStartWith("Unknown sigfunc BAD");
});

test("mistakes", () => {
  const { errors } = readDaemonOptions("upkeep", ["--nosuch", "-q", "--pid=", "--log-f", "-f"]);
  expect(errors).toEqual([
    "upkeep: unrecognized option '--nosuch'",
    "upkeep: invalid option -- 'q'",
    "upkeep: option '--pid' requires an argument",
    "upkeep: option '--log-f' is ambiguous; possibilities: '--log-facility' '--log-file'",
    "upkeep: option requires an argument -- 'f'",
  ]);
  const { version, errors: before } = readDaemonOptions("upkeep", ["--nosuch", "-v"]);
  expect([version, before.length]).toEqual([true, 1]);
});

test("genhash never starts the daemon, and its options are not taken for ours", () => {
  const cases: [string, string[]][] = [
    ["upkeep", ["-T", "-s", "192.0.2.1", "-u", "/"]],
    ["upkeep", ["-n", "--genhash", "--nosuch"]],
    ["genhash", ["-v"]],
    ["/usr/bin/genhash", []],
  ];
  for (const [argv0, words] of cases) {
    const { errors } = readDaemonOptions(argv0, words);
    expect(errors).toEqual([`${argv0}: genhash is not available yet`]);
  }
  expect(readDaemonOptions("mygenhash", []).errors).toEqual([]);
});

test("the value survives JSON", () => {
  const read = readDaemonOptions("upkeep", ["-nDD", "-t/x", "-g", "-u", "022", "-x", "word"]);
  expect(JSON.parse(JSON.stringify(read))).toEqual(read);
});
