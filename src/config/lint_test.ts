/** Lints: each finds its mistake, at the right line, and keeps quiet about the right way. */
import { expect, test } from "bun:test";
import { explained } from "./codes.ts";
import { lint } from "./lint.ts";
import { load } from "./load.ts";
import { memoryWorld, type Owned } from "./world.ts";

const dir = (uid = 0, mode = 0o755, gid = 0): Owned => ({ kind: "directory", uid, gid, mode });
const file = (uid = 0, mode = 0o755, gid = 0): Owned => ({ kind: "file", uid, gid, mode });

const OWNED: Readonly<Record<string, Owned>> = {
  "/": dir(),
  "/etc": dir(),
  "/k.conf": file(0, 0o600),
  "/etc/good.sh": file(),
  "/etc/plain.txt": file(0, 0o644),
  "/etc/theirs.sh": file(1000),
  "/etc/open.sh": file(0, 0o775, 50),
  "/opt": dir(0, 0o777),
  "/opt/x.sh": file(),
  "/tmp": dir(0, 0o1777),
  "/tmp/x.sh": file(),
  "/link.sh": file(),
};
const LINKS: Readonly<Record<string, string>> = {
  "/link.sh": "/opt/x.sh",
  "/bin/sh": "/usr/bin/dash",
};
const texts = Object.fromEntries(Object.keys(OWNED).map((path) => [path, ""]));

/** CODE:LINE of each lint about an instance with these lines, which start at line 5. */
function found(lines: string, owned: Readonly<Record<string, Owned>> = OWNED): readonly string[] {
  const head = "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 5\npriority 150\n";
  return foundIn(`${head}${lines}\nvirtual_ipaddress {\n192.0.2.9/24\n}\n}\n`, owned);
}

function foundIn(text: string, owned = OWNED): readonly string[] {
  return lintsOf(text, owned).map(({ code, line }) => `${code}:${line}`);
}

function lintsOf(text: string, owned = OWNED): readonly ReturnType<typeof explained>[] {
  const world = memoryWorld({ ...texts, "/k.conf": text }, {
    owned,
    addresses: { eth0: ["192.0.2.1/24", "2001:db8::1/64"], eth1: ["198.51.100.1/25"] },
    users: { root: 0, nobody: 65_534, deploy: 1000, ops: 50 },
    realPath: (path) => LINKS[path] ?? path,
    environment: (name) => name === "PATH" ? "/nowhere:/etc" : undefined,
  });
  const { problems } = load("/k.conf", world, "test", {
    inspect: (loaded, all) => lint(loaded, world, all),
  });
  return problems.filter(({ severity }) => severity === "lint").map(explained);
}

test("what is right is not complained about", () => {
  expect(found("track_interface {\neth1 weight -60\n}")).toEqual([]);
  expect(found('notify "/etc/good.sh a b"\nnotify_master good.sh')).toEqual([]);
  expect(found("unicast_src_ip 192.0.2.1\nunicast_peer {\n192.0.2.2\n}")).toEqual([]);
});

test("each mistake is found where it is", () => {
  const track = (weight: string): string => `track_interface {\neth1 weight ${weight}\n}`;
  const table: readonly [string, readonly string[]][] = [
    [`nopreempt\n${track("-60")}`, ["weight_with_nopreempt:5"]],
    [`nopreempt\ntrack_interface {\neth1\n}`, []],
    [`priority 254\n${track("10")}`, ["weight_no_effect:6"]],
    [`priority 1\n${track("-10")}`, ["weight_no_effect:6"]],
    [`priority 254\n${track("-10")}`, []],
    [`priority 254\n${track("10 reverse")}`, []],
    ["unicast_peer {\n192.0.2.2\n}", ["unicast_without_source:5"]],
    ["unicast_src_ip 192.0.2.5\nunicast_peer {\n192.0.2.5\n}", ["peer_is_self:7"]],
    ["unicast_src_ip 192.0.2.5\nunicast_peer {\n192.0.2.2\n192.0.2.1\n}", ["peer_is_self:8"]],
    ["virtual_ipaddress_excluded {\n192.0.2.7/32\n198.51.100.5/24\n}", ["vip_outside_subnets:7"]],
    ["virtual_ipaddress_excluded {\n198.51.100.5/24 dev eth1\n}", []],
    ["virtual_ipaddress_excluded {\n198.51.100.128/24 dev eth1\n}", ["vip_outside_subnets:6"]],
    ["virtual_ipaddress_excluded {\n2001:db8:0:0:1::7\n}", []],
    ["virtual_ipaddress_excluded {\n2001:db8:0:1::7\n}", ["vip_outside_subnets:6"]],
    ["virtual_ipaddress_excluded {\n203.0.113.1 dev eth7\n}", []],
    ["authentication {\nauth_type PASS\nauth_pass x\n}", []],
    ["notify /etc/none.sh", ["script_missing:5"]],
    ["notify nosuch", ["script_missing:5"]],
    ["notify /etc/plain.txt", ["script_not_executable:5"]],
    ["notify /etc", ["script_not_executable:5"]],
    ["notify /etc/good.sh deploi", ["script_user_missing:5"]],
    ["notify /etc/good.sh deploy", []],
    ["notify_stop /etc/theirs.sh", ["script_insecure:5"]],
    ["notify_stop /etc/theirs.sh deploy", []],
    ["notify_fault /etc/open.sh", ["script_insecure:5"]],
    ["notify_fault /opt/x.sh", ["script_insecure:5"]],
    ["notify_fault /link.sh", ["script_insecure:5"]],
    ["notify_fault /tmp/x.sh", []],
    ["notify_fault /opt/x.sh\nnotify_backup /opt/x.sh", ["script_insecure:5"]],
  ];
  for (const [lines, codes] of table) expect([lines, found(lines)]).toEqual([lines, codes]);
});

test("a secret that everybody may read", () => {
  const lines = "authentication {\nauth_type PASS\nauth_pass x\n}";
  const readable = { ...OWNED, "/k.conf": file(0, 0o644) };
  expect(found(lines, readable)).toEqual(["secret_readable:7"]);
  expect(found("", readable)).toEqual([]);
});

test("a shell that opens no connections is asked to", () => {
  const script = (text: string): string => `vrrp_script s {\nscript "${text}"\n}\n`;
  const hints = (text: string): unknown[] =>
    lintsOf(script(text)).filter(({ code }) => code?.startsWith("script_")).map((
      { code, hint },
    ) => [code, hint]);
  expect(hints("</dev/tcp/127.0.0.1/443")).toEqual([
    ["script_shell", "check tcp 127.0.0.1 443, in place of script"],
  ]);
  expect(hints("</dev/udp/192.0.2.1/53")).toEqual([["script_shell", "have a program ask"]]);
  expect(hints("</run/flag")).toEqual([]);
});

test("instances beside each other", () => {
  const one = (name: string, lines: string, address: string): string =>
    `vrrp_instance ${name} {\ninterface eth0\nvirtual_router_id 5\n${lines}\n` +
    `virtual_ipaddress {\n${address}\n}\n}\n`;
  const unicast = "unicast_src_ip 192.0.2.1\nunicast_peer {\n192.0.2.77\n}";
  expect(foundIn(one("A", "", "192.0.2.9/24") + one("B", unicast, "192.0.2.8/24")))
    .toEqual(["duplicate_vrid:11"]);
  const other = one("B", "", "192.0.2.9/24").replace("_id 5", "_id 6");
  expect(foundIn(one("A", "", "192.0.2.9/24") + other)).toEqual(["shared_vip:14"]);
});

test("services", () => {
  const service = (lines: string, servers: string): string =>
    `virtual_server 192.0.2.9 80 {\nlvs_sched rr\nlvs_method DR\nprotocol TCP\n${lines}\n${servers}}\n`;
  const server = (n: number, lines: string): string =>
    `real_server 198.51.100.${n} 80 {\n${lines}\n}\n`;
  const check = "TCP_CHECK {\n}";
  expect(foundIn(service("", server(1, check)))).toEqual([]);
  expect(foundIn(service("", server(1, check) + server(2, "")))).toEqual(["no_checker:10"]);
  expect(foundIn(service("", server(1, `weight 0\n${check}`)))).toEqual(["no_weight:7"]);
  const many = [1, 2, 3, 4, 5].map((n) => server(n, "")).join("");
  expect(lintsOf(service("", many))[0]?.message).toBe(
    "([192.0.2.9]:tcp:80) 198.51.100.1 80, 198.51.100.2 80, 198.51.100.3 80, 198.51.100.4 80 " +
      "and 1 more: without a check they count as healthy whatever happens",
  );
  const { problems } = load(
    "/k.conf",
    memoryWorld({ "/k.conf": service("quorum 9", server(1, check)) }),
  );
  expect(problems.map(explained).map(({ code }) => code)).toContain("quorum_above_weight");
});

test("a script that nobody tracks", () => {
  const script = "vrrp_script check {\nscript /etc/good.sh\n}\n";
  expect(foundIn(script)).toEqual(["unused_script:1"]);
  const user =
    "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 5\ntrack_script {\ncheck\n}\n" +
    "virtual_ipaddress { 192.0.2.9/24 }\n}\n";
  expect(foundIn(script + user)).toEqual([]);
});

test("a process that cannot be found", () => {
  const tracked = (lines: string): string =>
    `vrrp_track_process p {\n${lines}\n}\nvrrp_instance VI {\ninterface eth0\nvirtual_router_id 5\n` +
    "track_process {\np\n}\nvirtual_ipaddress { 192.0.2.9/24 }\n}\n";
  expect(foundIn(tracked("process /usr/sbin/haproxy"))).toEqual(["process_never_found:2"]);
  expect(foundIn(tracked("process a-name-of-16-char"))).toEqual(["process_never_found:2"]);
  expect(foundIn(tracked("process haproxy"))).toEqual([]);
  expect(foundIn(tracked("process /usr/sbin/haproxy\nfull_command"))).toEqual([]);
  expect(foundIn(tracked("process /usr/sbin/haproxy -f x"))).toEqual([]);
});

test("the sentence names the component, its owner and its mode, and the hint what to do", () => {
  const sentence = (script: string): string => {
    const [problem] = lintsOf(
      `vrrp_script check {\nscript ${script}\n}\n` +
        "vrrp_instance VI {\ninterface eth0\nvirtual_router_id 5\ntrack_script {\ncheck\n}\n" +
        "virtual_ipaddress { 192.0.2.9/24 }\n}",
    );
    return `${problem?.line} ${problem?.message}; ${problem?.hint}`;
  };
  expect(sentence("/opt/x.sh")).toBe(
    "2 (check) script: /opt (owner root:root, mode 0777) may be changed by everybody, and root runs " +
      "/opt/x.sh; chmod go-w /opt; or have a user of its own run it (script_user)",
  );
  expect(sentence("/etc/theirs.sh")).toBe(
    "2 (check) script: /etc/theirs.sh (owner deploy:root, mode 0755) may be changed by user deploy, " +
      "and root runs /etc/theirs.sh; chown root /etc/theirs.sh; or have a user of its own run it " +
      "(script_user)",
  );
  expect(sentence("/etc/open.sh")).toContain("may be changed by group ops");
});

test("weights show their arithmetic", () => {
  const [problem] = lintsOf(
    "vrrp_script check {\nscript /etc/good.sh\nweight 10\n}\nvrrp_instance VI {\ninterface eth0\n" +
      "virtual_router_id 5\npriority 254\ntrack_script {\ncheck\n}\n" +
      "virtual_ipaddress { 192.0.2.9/24 }\n}",
  );
  expect(problem?.message).toBe(
    "(VI) track_script check (10): the priority is 254 whatever happens, for it is kept between 1 " +
      "and 254 (254 without + 10)",
  );
});
