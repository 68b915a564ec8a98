/**
 * The load balancer's blocks from text to complete values: defaults and where they come from, what one
 * line says about another, and the way back.
 */
import { expect, test } from "bun:test";
import { memoryFiles } from "./files.ts";
import { load, type Loaded } from "./load.ts";
import type { Check, RealServer, VirtualServer } from "./lvs.ts";
import { printConfig } from "./print.ts";
import { configTestStatus } from "./problem.ts";
import { root } from "./root.ts";
import type { Written } from "./schema.ts";

function read(text: string): Loaded {
  return load("/k.conf", memoryFiles({ "/k.conf": text }, { links: ["eth0"] }), "test");
}

/** What is wrong, but for what is not built yet; places left out. */
function messages(text: string): readonly string[] {
  return read(text).problems.filter(({ kind }) => kind !== "not_supported")
    .map(({ message }) => message);
}

const PLAIN = "lb_algo rr\nlb_kind NAT\nprotocol TCP";

function service(lines: string, head = "192.0.2.1 80", plain = PLAIN): string {
  return `virtual_server ${head} {\n${plain}\n${lines}\n}\n`;
}

function server(lines = "", head = "198.51.100.1 80"): string {
  return `real_server ${head} {\n${lines}\n}`;
}

function only(text: string): VirtualServer {
  const { config } = read(text);
  expect(config.virtual_servers?.length).toBe(1);
  return config.virtual_servers![0]!;
}

function servers(text: string): readonly RealServer[] {
  return only(text).real_servers;
}

function check(lines: string, around = "", outside = ""): Check {
  const [one] = servers(`${outside}\n${service(server(`${around}\n${lines}`))}`);
  expect(one?.checks.length).toBe(1);
  return one!.checks[0]!;
}

const TIMING = {
  retry: 1,
  delay_before_retry: 1_000_000,
  warmup: 60_000_000,
  delay_loop: 60_000_000,
  alpha: false,
  log_all_failures: false,
};
const CONNECTION = {
  connect_ip: "198.51.100.1",
  connect_port: 80,
  connect_timeout: 5_000_000,
  fwmark: 0,
};
const URL = {
  path: "/",
  status_code: [{ from: 200, to: 299 }],
  regex_no_match: false,
  regex_options: [],
  regex_min_offset: 0,
  method: "GET",
  header: [],
  tls_compliant: false,
};
const WEB = {
  ...TIMING,
  ...CONNECTION,
  delay_before_retry: 3_000_000,
  http_protocol: "1.0",
  fast_recovery: false,
  url: [URL],
};

test("an empty check of each kind has the defaults of its kind", () => {
  const table: Readonly<Record<string, unknown>> = {
    "TCP_CHECK {\n}": { type: "TCP_CHECK", ...TIMING, ...CONNECTION },
    "PING_CHECK {\n}": { type: "PING_CHECK", ...TIMING, ...CONNECTION },
    "SMTP_CHECK {\n}": {
      type: "SMTP_CHECK",
      ...TIMING,
      ...CONNECTION,
      helo_name: "smtpchecker.keepalived.org",
    },
    "UDP_CHECK {\n}": {
      type: "UDP_CHECK",
      ...TIMING,
      ...CONNECTION,
      require_reply: false,
      min_reply_length: 0,
      max_reply_length: 255,
    },
    "DNS_CHECK {\n}": {
      type: "DNS_CHECK",
      ...TIMING,
      ...CONNECTION,
      retry: 3,
      delay_before_retry: 60_000_000,
      record: "SOA",
      name: "",
    },
    "GRPC_CHECK {\n}": {
      type: "GRPC_CHECK",
      ...TIMING,
      ...CONNECTION,
      service: "",
      tls: false,
      tls_verify: false,
    },
    "MISC_CHECK {\nmisc_path /bin/x\n}": {
      type: "MISC_CHECK",
      ...TIMING,
      retry: 0,
      misc_path: { argv: ["/bin/x"] },
      misc_timeout: 60_000_000,
      misc_dynamic: false,
    },
    "HTTP_GET {\nurl {\npath /\n}\n}": { type: "HTTP_GET", ...WEB },
    "SSL_GET {\nurl {\npath /\n}\n}": {
      type: "SSL_GET",
      ...WEB,
      tls_verify: false,
      enable_sni: false,
      alpn: [],
    },
  };
  for (const [lines, expected] of Object.entries(table)) {
    expect(JSON.parse(JSON.stringify(check(lines)))).toEqual(expected);
  }
});

test("a check's schedule comes from itself, its server, its service, its kind", () => {
  const kinds = ["TCP_CHECK {", "PING_CHECK {", "DNS_CHECK {", "HTTP_GET {\nurl {\npath /\n}"];
  const lines = (n: number): string =>
    `retry ${n}\ndelay_before_retry ${n}\nwarmup ${n}\ndelay_loop ${n}\nconnect_timeout ${n}\n`;
  const of = (n: number): object => ({
    retry: n,
    delay_before_retry: n * 1e6,
    warmup: n * 1e6,
    delay_loop: n * 1e6,
    connect_timeout: n * 1e6,
  });
  for (const kind of kinds) {
    const own = (inside: string, around: string, above: string): Check =>
      servers(service(`${above}\n${server(`${around}\n${kind}\n${inside}\n}`)}`))[0]!.checks[0]!;
    expect(own(lines(3), lines(4), lines(5))).toMatchObject(of(3));
    expect(own("", lines(4), lines(5))).toMatchObject(of(4));
    expect(own("", "", lines(5))).toMatchObject(of(5));
    // warmup follows the check's own delay_loop.
    expect(own("delay_loop 2", "", "delay_loop 9")).toMatchObject({ warmup: 2_000_000 });
  }
});

test("settings of the service that follow a real server count for it too", () => {
  const [one] = servers(service(`${server("TCP_CHECK {\n}")}\nweight 7\nalpha\ndelay_loop 3`));
  expect(one).toMatchObject({ weight: 7, alpha: true });
  expect(one!.checks[0]).toMatchObject({ delay_loop: 3_000_000, alpha: true });
});

test("a real server keeps the forwarding method it found, unless it found none", () => {
  const text = service(
    `${server()}\nlb_kind DR\n${server("", "198.51.100.2 80")}\nlb_kind NAT`,
    "192.0.2.1 80",
    "lb_algo rr\nprotocol TCP",
  );
  expect(servers(text).map(({ lvs_method }) => lvs_method.method)).toEqual(["NAT", "DR"]);
});

test("virtualhost comes from the url, the check, the server, the service", () => {
  const hosts = (url: string, own: string, around: string, above: string): unknown => {
    const text = service(
      `${above}\n${server(`${around}\nHTTP_GET {\n${own}\nurl {\npath /\n${url}\n}\n}`)}`,
    );
    const [web] = servers(text)[0]!.checks;
    return web?.type === "HTTP_GET" ? web.url[0]?.virtualhost : undefined;
  };
  const set = (name: string): string => `virtualhost ${name}`;
  expect(hosts(set("a"), set("b"), set("c"), set("d"))).toBe("a");
  expect(hosts("", set("b"), set("c"), set("d"))).toBe("b");
  expect(hosts("", "", set("c"), set("d"))).toBe("c");
  expect(hosts("", "", "", set("d"))).toBe("d");
  expect(hosts("", "", "", "")).toBeUndefined();
});

test("alerts and logs follow global_defs: servers mail unless told not to, services if told to", () => {
  const alerts = (globals: string): readonly boolean[] => {
    const one = only(`global_defs {\n${globals}\n}\n${service(server())}`);
    return [one.smtp_alert, one.real_servers[0]!.smtp_alert];
  };
  expect(alerts("")).toEqual([false, true]);
  expect(alerts("smtp_alert on")).toEqual([true, true]);
  expect(alerts("smtp_alert off")).toEqual([false, false]);
  expect(alerts("smtp_alert on\nsmtp_alert_checker off")).toEqual([false, false]);
  const globals = "global_defs {\nchecker_log_all_failures\n}";
  expect(check("TCP_CHECK {\n}", "", globals)).toMatchObject({ log_all_failures: true });
  expect(check("TCP_CHECK {\nlog_all_failures no\n}", "", globals))
    .toMatchObject({ log_all_failures: false });
});

test("port 0 of a service forces persistence, port 0 of a server is the service's", () => {
  expect(only(service(server("", "198.51.100.1"), "192.0.2.1"))).toMatchObject({
    persistence_timeout: 360_000_000,
    real_servers: [{ port: 0 }],
  });
  expect(only(service(`persistence_timeout 50\n${server()}`, "192.0.2.1 0")))
    .toMatchObject({ persistence_timeout: 50_000_000, real_servers: [{ port: 80 }] });
  expect(servers(service(server("TCP_CHECK {\n}", "198.51.100.1")))[0])
    .toMatchObject({ port: 80, checks: [{ connect_port: 80 }] });
});

test("netmasks and prefix lengths", () => {
  const mask = (value: string, head = "192.0.2.1 80", real = "198.51.100.1 80"): unknown =>
    only(service(`persistence_granularity ${value}\n${server("", real)}`, head))
      .persistence_granularity;
  expect(mask("255.255.254.0")).toBe("255.255.254.0");
  expect(mask("23")).toBe("255.255.254.0");
  expect(mask("32")).toBe("255.255.255.255");
  expect(mask("33")).toBeUndefined();
  expect(mask("64", "2001:db8::1 80", "2001:db8::2 80")).toBe("64");
  expect(mask("129", "2001:db8::1 80", "2001:db8::2 80")).toBeUndefined();
  expect(only(service(`persistence_granularity 24\n${server()}`)).persistence_timeout)
    .toBe(360_000_000);
});

test("the family of a service without an address is settled by what shows it first", () => {
  const v6 = server("", "2001:db8::2 80");
  const table: readonly (readonly [string, readonly string[]])[] = [
    [`${server()}\n${v6}`, ["198.51.100.1"]],
    [`${v6}\n${server()}`, ["2001:db8::2"]],
    [`ip_family inet6\n${server()}\n${v6}`, ["2001:db8::2"]],
    [`persistence_granularity 64\n${server()}\n${v6}`, ["2001:db8::2"]],
    [`lb_kind TUN\n${server()}\n${v6}`, ["198.51.100.1", "2001:db8::2"]],
  ];
  for (const [lines, addresses] of table) {
    const one = only(service(lines, "fwmark 1", "lb_algo rr"));
    expect([lines, ...one.real_servers.map(({ address }) => address)]).toEqual([
      lines,
      ...addresses,
    ]);
  }
});

test("duplicates are dropped, however many servers there are", () => {
  const many = Array.from({ length: 40 }, (_, i) => server("", `198.51.100.${i % 35} 80`));
  expect(servers(service(many.join("\n"))).length).toBe(35);
  expect(servers(service(many.slice(0, 10).join("\n"))).length).toBe(10);
  const twice = service(`${server("", "198.51.100.1 80")}\n${server("", "198.51.100.1")}`);
  expect(servers(twice).length).toBe(1);
  expect(messages(twice)).toEqual([
    "VS [192.0.2.1]:tcp:80: real server [198.51.100.1]:tcp:80 is duplicated - removing second rs",
  ]);
});

test("quorum and hysteresis are cut to what can be reached", () => {
  const cut = (lines: string): object => {
    const { quorum, hysteresis } = only(service(lines));
    return { quorum, hysteresis };
  };
  const two = `${server("weight 2")}\n${server("", "198.51.100.2 80")}`;
  expect(cut(`quorum 3\nhysteresis 2\n${two}`)).toEqual({ quorum: 3, hysteresis: 2 });
  expect(cut(`quorum 4\nhysteresis 3\n${two}`)).toEqual({ quorum: 3, hysteresis: 2 });
  expect(cut(`weight 9\nquorum 12\n${two}`)).toEqual({ quorum: 11, hysteresis: 0 });
  expect(cut(server("weight 0"))).toEqual({ quorum: 0, hysteresis: 0 });
});

test("a group may be defined below the service, and the first one of a name counts", () => {
  const group = (name: string, entry: string): string =>
    `virtual_server_group ${name} {\n${entry}\n}\n`;
  const text = service(server("", "198.51.100.1 80"), "group g");
  expect(read(text + group("g", "192.0.2.1 80")).config.virtual_servers?.length).toBe(1);
  expect(messages(text)).toEqual([
    "Virtual server group g specified but not configured - ignoring virtual server [g]:0",
  ]);
  expect(configTestStatus(read(text).problems)).toBe(0);
  const twice = text + group("g", "192.0.2.1 80") + group("g", "2001:db8::1 80");
  expect(messages(twice)).toEqual([]);
});

test("services of one group are numbered, those that are dropped too", () => {
  const of = (name: string, lines: string): string => service(lines, `group ${name}`);
  const one = server("", "198.51.100.1 80");
  const text = "virtual_server_group g {\n192.0.2.1 80\n}\n" + of("g", "") + of("g", one) +
    of("missing", one) + of("missing", one) + of("g", `quorum 70000\n${one}`);
  expect(messages(text)).toEqual([
    "Virtual server [g]:0 has no real servers - ignoring",
    "Virtual server group missing specified but not configured - ignoring virtual server [missing]:0",
    "Virtual server group missing specified but not configured - ignoring virtual server [missing]:0",
    "Warning - quorum 70000 for [g]:2 exceeds total weight of real servers 1, reducing quorum to 1",
  ]);
  expect(read(text).config.virtual_servers?.map(({ target }) => target)).toEqual([
    { type: "group", group: "g", number: 1 },
    { type: "group", group: "g", number: 2 },
  ]);
});

test("every spelling of a range", () => {
  const entries = (...lines: readonly string[]): unknown =>
    read(`virtual_server_group g {\n${lines.join("\n")}\n}`).config.virtual_server_groups?.[0]
      ?.entries;
  expect(entries("192.0.2.1-9 80", "192.0.2.1-192.0.3.4", "192.0.2.0/30 1", "192.0.2.1/32"))
    .toEqual([
      { type: "range", first: "192.0.2.1", last: "192.0.2.9", port: 80 },
      { type: "range", first: "192.0.2.1", last: "192.0.3.4", port: 0 },
      { type: "range", first: "192.0.2.0", last: "192.0.2.3", port: 1 },
      { type: "address", address: "192.0.2.1", port: 0 },
    ]);
  expect(entries("2001:DB8::1-ff 80", "2001:db8::/112", "fe80::1-fe80::1:0 0")).toEqual([
    { type: "range", first: "2001:db8::1", last: "2001:db8::ff", port: 80 },
    { type: "range", first: "2001:db8::", last: "2001:db8::ffff", port: 0 },
    { type: "range", first: "fe80::1", last: "fe80::1:0", port: 0 },
  ]);
  expect(entries("fwmark 0", "fwmark 4294967295 inet6")).toEqual([
    { type: "fwmark", fwmark: 0 },
    { type: "fwmark", fwmark: 4294967295, family: 6 },
  ]);
});

test("checks that cannot be are dropped, and the server stays", () => {
  const table: readonly (readonly [string, string])[] = [
    ["HTTP_GET {\n}", "HTTP/SSL_GET checker has no urls specified - ignoring"],
    ["MISC_CHECK {\n}", "No script path has been specified for MISC_CHECKER - skipping"],
    ["FILE_CHECK {\n}", "FILE_CHECK has no track_file specified - ignoring"],
    [
      "BFD_CHECK {\n}",
      "([198.51.100.1]:tcp:80) No name has been specified for BFD_CHECKER - skipping",
    ],
    ["BFD_CHECK {\nname x\n}", "([198.51.100.1]:tcp:80) BFD_CHECK - BFD x not configured"],
    [
      "TCP_CHECK {\nconnect_ip fe80::1\n}",
      "Checker link local address fe80::1 requires a bind_if",
    ],
  ];
  for (const [lines, message] of table) {
    const text = service(server(lines));
    expect(messages(text)).toEqual([message]);
    expect(servers(text)[0]!.checks).toEqual([]);
  }
});

test("names of other blocks must be defined above", () => {
  const file = "track_file load {\nfile /run/load\n}\n";
  const bfd = "bfd_instance far {\nneighbor_ip 198.51.100.1\n}\n";
  const text = service(server("FILE_CHECK {\ntrack_file load\n}\nBFD_CHECK {\nname far\n}"));
  expect(messages(file + bfd + text)).toEqual([]);
  expect(messages(text + file + bfd).length).toBe(3);
  const master = service(`only_when_master VI_1\n${server()}`);
  const instance = "vrrp_instance VI_1 {\ninterface eth0\nvirtual_router_id 1\n" +
    "virtual_ipaddress {\n192.0.2.1\n}\n}\n";
  expect(messages(master + instance)).toEqual([]);
  expect(messages(master)).toEqual([
    "Virtual server [192.0.2.1]:tcp:80: only_when_master names no vrrp_instance VI_1 - it will " +
    "never be active",
  ]);
});

test("hosts of a SMTP_CHECK become checks of their own, with the settings around them", () => {
  const [one] = servers(
    service(server(
      "SMTP_CHECK {\nhelo_name me\nretry 4\nconnect_timeout 2\nhost {\nconnect_ip 198.51.100.7\n" +
        "connect_port 26\n}\nhost {\nretry 5\n}\n}",
    )),
  );
  expect(one!.checks).toMatchObject([
    { type: "SMTP_CHECK", connect_ip: "198.51.100.1", connect_port: 80, retry: 4 },
    { connect_ip: "198.51.100.7", connect_port: 26, retry: 4, connect_timeout: 2_000_000 },
    { connect_ip: "198.51.100.1", connect_port: 80, retry: 5, helo_name: "me" },
  ]);
});

test("an include inside a real server", () => {
  const files = memoryFiles({
    "/k.conf": service(server("include check.conf")),
    "/check.conf": "weight 3\nTCP_CHECK {\nconnect_timeout 1\n}\n",
  });
  const { config } = load("/k.conf", files, "test");
  expect(config.virtual_servers![0]!.real_servers[0]).toMatchObject({
    weight: 3,
    checks: [{ type: "TCP_CHECK", connect_timeout: 1_000_000 }],
  });
});

test("what a blog's configuration holds besides is named and passed over", () => {
  const text = service(`net_mask 255.255.255.0\n${server("nb_get_retry 3")}`);
  expect(messages(text)).toEqual([
    "Unknown keyword 'net_mask'",
    "Unknown keyword 'nb_get_retry'",
  ]);
  expect(servers(text).length).toBe(1);
});

test("five thousand services load in linear time", () => {
  const many = (count: number): string =>
    Array.from({ length: count }, (_, i) =>
      service(
        [1, 2, 3, 4].map((one) =>
          server(
            "weight 1\nTCP_CHECK {\nconnect_timeout 3\n}",
            `127.${one}.${i >> 8}.${i & 255} 80`,
          )
        ).join("\n"),
        `10.0.${i >> 8}.${i & 255} 80`,
      )).join("");
  const time = (text: string): number => {
    const rounds = Array.from({ length: 3 }, () => {
      const before = performance.now();
      read(text);
      return performance.now() - before;
    });
    return Math.min(...rounds);
  };
  const [few, lots] = [many(500), many(4000)];
  time(few);
  // Eight times the text; a quadratic step would show as 64.
  expect(time(lots)).toBeLessThan(Math.max(2, time(few)) * 30);
});

test("what is printed says the same", () => {
  const text = service(
    `quorum 2\nsorry_server 192.0.2.9 81\nsorry_server_inhibit\n${
      server("HTTP_GET {\nurl {\npath /\nstatus_code 200 300-310\nheader A b\n}\n}\nweight 2")
    }`,
    "fwmark 5",
    "lb_algo mh\nmh-port\nlb_kind TUN type gue port 6080 csum",
  );
  const first = read(text);
  const again = read(printConfig(first.written as Written, root, { showSecrets: true }));
  const places = (key: string, value: unknown): unknown => key === "place" ? undefined : value;
  expect(JSON.stringify(again.config, places)).toBe(JSON.stringify(first.config, places));
  expect(again.problems.map(({ message }) => message)).toEqual(
    first.problems.map(({ message }) => message),
  );
});
