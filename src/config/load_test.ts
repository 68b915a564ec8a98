/** The whole way from text to Config: modes, prefixes, speed, and random input. */
import { expect, test } from "bun:test";
import { memoryFiles } from "./files.ts";
import { load, type Loaded } from "./load.ts";
import { configTestStatus, formatProblem, isFatal } from "./problem.ts";

function read(text: string, mode: "run" | "test" = "run"): Loaded {
  return load("/k.conf", memoryFiles({ "/k.conf": text }, { links: ["eth0", "eth1"] }), mode);
}

function messages(text: string, mode: "run" | "test" = "run"): readonly string[] {
  return read(text, mode).problems.map(formatProblem);
}

function instance(lines: string, name = "VI_1", vrid = 1): string {
  return `vrrp_instance ${name} {\ninterface eth0\nvirtual_router_id ${vrid}\n` +
    `virtual_ipaddress {\n10.0.0.${vrid & 255}\n}\n${lines}\n}\n`;
}

test("a start takes the number before junk where keepalived does, a test never", () => {
  const table: readonly (readonly [string, boolean])[] = [
    ["garp_master_delay 3x", true],
    ["garp_master_repeat 3x", true],
    ["preempt_delay 3x", true],
    ["advert_int 3x", true],
    ["version 2x", true],
    ["priority 3x", false],
    ["virtual_router_id 3x", false],
  ];
  for (const [line, tolerant] of table) {
    const lax = messages(instance(line)).join();
    expect([line, lax.includes("WARNING - invalid number")]).toEqual([line, tolerant]);
    expect(messages(instance(line), "test").join()).not.toContain("WARNING");
    expect(configTestStatus(read(instance(line), "test").problems)).toBe(5);
  }
  expect(read(instance("advert_int 3x")).config.vrrp_instances[0]?.advert_int).toBe(3_000_000);
  expect(read(instance("advert_int 3x"), "test").config.vrrp_instances[0]?.advert_int)
    .toBe(1_000_000);
});

test("globals count wherever they stand", () => {
  const { config } = read(`${instance("")}global_defs {\nvrrp_garp_master_delay 2\n}\n`);
  expect(config.vrrp_instances[0]).toMatchObject({
    garp_master_delay: 2_000_000,
    garp_lower_prio_delay: 2_000_000,
  });
});

test("an unknown interface is refused unless interfaces are dynamic", () => {
  const text = instance("track_interface {\nnope0\n}\ninterface nope1\n");
  expect(isFatal(read(text).problems)).toBe(true);
  const dynamic = read(`${text}global_defs {\ndynamic_interfaces\n}\n`);
  expect(isFatal(dynamic.problems)).toBe(false);
  expect(dynamic.config.vrrp_instances[0]?.interface).toBe("nope1");
});

test("a VRID is on one wire once, whatever the links there are called", () => {
  const below = (name: string): string => name === "mv0" ? "eth0" : name;
  const links = ["eth0", "eth1", "mv0"];
  const on = (link: string, more = ""): string =>
    instance(more, link).replace("interface eth0", `interface ${link}`);
  const problems = (text: string): Loaded["problems"] =>
    load("/k.conf", memoryFiles({ "/k.conf": text }, { links, linkBelow: below }), "run").problems;
  const refused = problems(on("eth0") + on("eth1") + on("mv0"));
  expect(refused.map(formatProblem)).toEqual([
    "eth0 and mv0 both use VRID 1 with IPv4 on interface eth0",
  ]);
  expect(isFatal(refused)).toBe(true);
  expect(problems(on("eth0") + on("mv0", "mcast_dst_ip 224.0.0.19"))).toEqual([]);
  expect(problems(on("eth0") + on("mv0", "unicast_peer {\n10.0.0.9\n}"))).toEqual([]);
  const changing = problems(
    "global_defs {\ndynamic_interfaces allow_if_changes\n}\n" + on("eth0") + on("mv0"),
  );
  expect(changing.map(formatProblem)).toEqual([
    "(eth0) warning, VRID 1 for IPv4 is currently duplicated on mv0",
  ]);
  expect(isFatal(changing)).toBe(false);
  expect(configTestStatus(changing)).toBe(0);
});

test("IPv6 speaks version 3, whatever version says", () => {
  const text = "vrrp_instance a {\ninterface eth0\nvirtual_router_id 1\nversion 2\n" +
    "virtual_ipaddress {\nfe80::1\n}\n}\n";
  expect(read(text).config.vrrp_instances[0]).toMatchObject({ version: 3, family: 6 });
  expect(messages(text)).toEqual([]);
});

test("instances without a VRID are not each other's duplicates", () => {
  const text = "vrrp_instance a {\ninterface eth0\n}\nvrrp_instance b {\ninterface eth0\n}\n";
  const fatal = read(text).problems.filter((problem) => problem.severity === "fatal");
  expect(fatal.map((problem) => problem.message)).toEqual([
    "(a) the virtual router id must be set",
    "(b) the virtual router id must be set",
  ]);
});

test("minus zero is zero", () => {
  const { globals } = read("global_defs {\nmax_auto_priority -0\n}").config;
  expect(Object.is(globals.max_auto_priority, 0)).toBe(true);
});

test("a keyword without effect is said once, however often it is used", () => {
  const two = "global_defs {\nenable_traps\n}\nglobal_defs {\nenable_traps\n}\n";
  expect(messages(two)).toEqual(["(Line 2) enable_traps is not supported yet, ignored"]);
  expect(configTestStatus(read(two).problems)).toBe(0);
});

test("names that every object has are unknown keywords too", () => {
  const text = "constructor\n__proto__ {\n}\nglobal_defs {\ntoString\n}\n" +
    instance(
      "hasOwnProperty\nauthentication {\nvalueOf\n}\nvirtual_ipaddress {\n1.1.1.1 constructor\n}",
    );
  expect(messages(text).filter((line) => line.includes("Unknown keyword")).length).toBe(5);
});

test("an unknown block is passed over whole", () => {
  const text = "foo 1\n{\nglobal_defs {\nrouter_id a\n}\n}\n" +
    instance("bar { priority 1 }\nbaz {\nvirtual_ipaddress {\n}\n}\npriority 77");
  const { config } = read(text);
  expect(config.globals.router_id).not.toBe("a");
  expect(config.vrrp_instances.map(({ priority }) => priority)).toEqual([77]);
  expect(messages(text).filter((line) => /nknown|nexpected|xtra|missing/.test(line))).toEqual([
    "(Line 1) Unknown keyword 'foo'",
    "(/k.conf: Line 13) Unknown keyword 'bar'",
    "(/k.conf: Line 14) Unknown keyword 'baz'",
  ]);
});

test("prefixes name the file as soon as there are two", () => {
  const files = memoryFiles({ "/k.conf": "foo\ninclude b", "/b": "bar" });
  expect(load("/k.conf", files).problems.map(formatProblem)).toEqual([
    "(/k.conf: Line 1) Unknown keyword 'foo'",
    "(b: Line 1) Unknown keyword 'bar'",
  ]);
});

test("the same file gives the same configuration, and it is plain JSON", () => {
  const text = instance("authentication {\nauth_type PASS\nauth_pass secret\n}");
  expect(read(text)).toEqual(read(text));
  const { config } = read(text);
  expect(JSON.parse(JSON.stringify(config))).toEqual(config);
});

test("a thousand instances load in linear time", () => {
  const many = (count: number): string =>
    Array.from({ length: count }, (_, i) => instance("priority 90\nadvert_int 2", `i${i}`, i))
      .join("");
  const time = (text: string): number => {
    const rounds = Array.from({ length: 3 }, () => {
      const before = performance.now();
      read(text);
      return performance.now() - before;
    });
    return Math.min(...rounds);
  };
  const [few, lots] = [many(250), many(2000)];
  time(few);
  // Eight times the text; a quadratic step would show as 64. Whatever else the machine does comes and goes.
  const isLinear = (): boolean => time(lots) < Math.max(2, time(few)) * 30;
  expect(Array.from({ length: 10 }).some(isLinear)).toBeTrue();
});

/** A small seeded generator (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const TOKENS =
  ("vrrp_instance global_defs VI_1 { } { } \n \n \n \n interface eth0 eth9 state MASTER " +
    "BACKUP virtual_router_id 1 255 256 -1 priority advert_int 0.5 1e9 version 2 3 virtual_ipaddress " +
    "10.0.0.1/24 fe80::1 ::/0 dev brd + - scope label peer weight reverse track_interface track_script " +
    "vrrp_script authentication auth_type PASS auth_pass secret unicast_peer min_ttl notify '/bin/x y' " +
    "\" \\ \\\n # ! ' $A $A= $A=${B} ${A} ${_ENV X} ~SEQ(A,1,3) ~LST({A,B},{1,2}) ~SEQ(A @router @^x " +
    "include k.conf include {a,b} includem [z include_check 99999999999999999999 \0 \r \u00e9 nopreempt " +
    "virtual_server vrrp_sync_group smtp_server router_id preempt_delay garp_master_delay").split(
      " ",
    );

function checkSane({ config, problems }: Loaded): void {
  for (const problem of problems) {
    expect(problem.line).toBeGreaterThanOrEqual(0);
    expect(formatProblem(problem).length).toBeLessThan(80_000);
  }
  for (const one of config.vrrp_instances) {
    expect(one.priority).toBeWithin(1, 256);
    expect(one.virtual_router_id).toBeWithin(0, 256);
    expect(Number.isSafeInteger(one.advert_int) && one.advert_int >= 10_000).toBe(true);
  }
  expect(JSON.parse(JSON.stringify(config))).toEqual(config);
}

test("random tokens never throw and never hang", () => {
  for (let seed = 1; seed <= 1500; seed++) {
    const next = random(seed);
    const words = Array.from({ length: 5 + next(120) }, () => TOKENS[next(TOKENS.length)]!);
    checkSane(read(words.join(next(4) === 0 ? "\n" : " ")));
  }
});

test("random bytes, and a good file with bytes changed, never throw", () => {
  const good = new TextEncoder().encode(
    instance(
      "notify_master '/bin/x \"a b\"' root\nunicast_peer {\n10.0.0.3 min_ttl 3\n}\npriority 9",
    ),
  );
  for (let seed = 1; seed <= 1500; seed++) {
    const next = random(seed);
    const bytes = seed % 3 === 0
      ? Uint8Array.from({ length: next(400) }, () => next(256))
      : good.slice(0, good.length - next(3) * next(60));
    for (let i = next(8); i > 0 && bytes.length > 0; i--) bytes[next(bytes.length)] = next(256);
    checkSane(load("/k.conf", memoryFiles({ "/k.conf": bytes })));
  }
});

test("notices of priority: the instance decides, then its group, then all", () => {
  const group = (line: string): string =>
    `vrrp_sync_group G {\ngroup {\nVI_1\nVI_2\n}\n${line}\n}\n`;
  const members = instance("notify_priority_changes off") + instance("", "VI_2", 2);
  const changes = (text: string): (boolean | undefined)[] =>
    read(text).config.vrrp_instances.map((one) => one.notify_priority_changes);
  const globals = "global_defs {\nvrrp_notify_priority_changes\n}\n";
  expect(changes(members)).toEqual([false, undefined]);
  expect(changes(group("") + members)).toEqual([false, undefined]);
  expect(changes(group("notify_priority_changes") + members)).toEqual([false, true]);
  expect(changes(globals + group("") + members)).toEqual([false, true]);
  expect(changes(globals + group("notify_priority_changes off") + members)).toEqual([false, false]);
});

test("random_seed: the same numbers from there on, also without asking for a seed", () => {
  const seeded = (seed: number, first = ""): string[] => {
    let asked = 0;
    const files = memoryFiles({
      "/k.conf": `${first}global_defs {\nrandom_seed ${seed}\n}\n$V=\${_RANDOM 1 250}\n` +
        instance("priority ${_RANDOM 1 250}") +
        instance("priority ${_RANDOM 1 250}", "VI_2", 2),
    }, { links: ["eth0"] });
    const counting = {
      ...files,
      get randomSeed(): number {
        return ++asked;
      },
    };
    const { config } = load("/k.conf", counting);
    return [...config.vrrp_instances.map(({ priority }) => `${priority}`), `asked ${asked}`];
  };
  const one = seeded(7);
  expect(seeded(7)).toEqual(one);
  expect(seeded(8)).not.toEqual(one);
  expect(one.at(-1)).toBe("asked 0");
  expect(one[0]).not.toBe(one[1]);
  // Before it, whatever comes.
  const before = "$W=${_RANDOM}\nvrrp_script s$W {\nscript /bin/true\n}\n";
  expect(seeded(7, before).slice(0, 2)).toEqual(one.slice(0, 2));
});
