/** Who is mailed and posted what. */

import { expect, test } from "bun:test";
import { memoryFiles } from "../config/files.ts";
import { type Config, load } from "../config/load.ts";
import { Alerts, type Change, type Happening, mailSettings, wantsAlerts } from "./alerts.ts";

const MAIL = `router_id LB1
notification_email {
a@example.net
}
smtp_server mail.example.net
`;
const AT = Date.UTC(2026, 0, 2, 3, 4, 5);

/** Globals, and lines of instance V and group G. */
function configWith(globals: string, ofInstance = "", ofGroup = ""): Config {
  const text = `global_defs {\n${globals}\n}\nvrrp_sync_group G {\ngroup {\nV\n}\n${ofGroup}\n}
vrrp_instance V {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n192.0.2.9\n}
${ofInstance}\n}
virtual_server 192.0.2.80 80 {\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\nsmtp_alert
real_server 198.51.100.1 80 {\nsmtp_alert off\n}
real_server 198.51.100.2 80 {\n}\n}\n`;
  return load("/k.conf", memoryFiles({ "/k.conf": text }, { hasLink: () => true })).config;
}

function alertsOf(config: Config): Alerts {
  const alerts = new Alerts("host");
  alerts.configure(config);
  return alerts;
}

function change(config: Config, state: Change["state"], kind: Change["kind"] = "INSTANCE"): Change {
  const owner = kind === "GROUP" ? config.vrrp_sync_groups![0]! : config.vrrp_instances[0]!;
  return { type: "change", kind, owner, state, previous: "INIT", priority: 100 };
}

/** Subject and body of each mail. */
function mails(alerts: Alerts, ...happenings: Parameters<Alerts["of"]>[0][]): string[] {
  return happenings.flatMap((one) =>
    alerts.of(one, AT).flatMap((alert) =>
      alert.type === "mail" ? `${alert.subject} ${alert.body}` : []
    )
  );
}

test("subjects and bodies are keepalived's", () => {
  const config = configWith(MAIL + "smtp_alert_vrrp");
  const alerts = alertsOf(config);
  const states = ["BACKUP", "MASTER", "FAULT", "STOP", "DELETED"] as const;
  expect(mails(alerts, ...states.map((state) => change(config, state)))).toEqual([
    "[LB1] VRRP Instance V - Entering BACKUP state => VRRP Instance is no longer owning VRRP VIPs <=",
    "[LB1] VRRP Instance V - Entering MASTER state => VRRP Instance is now owning VRRP VIPs <=",
    "[LB1] VRRP Instance V - Entering FAULT state => VRRP Instance is no longer owning VRRP VIPs <=",
    "[LB1] VRRP Instance V - Stopping => VRRP is stopping <=",
    "[LB1] VRRP Instance V - Deleted => VRRP Deleted at reload <=",
  ]);
  expect(mails(alerts, change(config, "MASTER", "GROUP"))).toEqual([
    "[LB1] VRRP Group G - Entering MASTER state => All VRRP group instances are now in MASTER state <=",
  ]);
});

test("a state is told once in a row, and only to those who asked", () => {
  const config = configWith(MAIL + "no_email_faults", "smtp_alert");
  const alerts = alertsOf(config);
  const of = (...states: Change["state"][]): number =>
    mails(alerts, ...states.map((state) => change(config, state))).length;
  expect(of("MASTER", "MASTER")).toBe(1);
  expect(of("FAULT", "MASTER")).toBe(0);
  expect(of("BACKUP", "MASTER")).toBe(2);
  expect(mails(alerts, change(config, "MASTER", "GROUP"))).toEqual([]);
});

test("servers: those with smtp_alert, by their names and what their checks say", () => {
  const service = "[192.0.2.80]:tcp:80";
  const server = (n: number): string => `[198.51.100.${n}]:tcp:80`;
  const check = (n: number, isChange: boolean, mail: string): Happening => ({
    type: "check",
    service,
    server: server(n),
    isUp: false,
    isChange,
    mail,
  });
  const all: Happening[] = [
    { type: "real-server", service, server: server(2), isUp: false },
    check(1, true, "TCP CHECK failed on service"),
    check(2, true, "TCP CHECK failed on service"),
    check(2, false, "MISC CHECK succeeded on service"),
    { type: "quorum", service, key: service, isUp: true, mail: "Gained quorum 1+0=1 <= 1" },
  ];
  const about = `Realserver ${server(2)} of virtual server ${service}`;
  const [failed, succeeded, gained] = [
    `[LB1] ${about} - DOWN => TCP CHECK failed on service <=`,
    `[LB1] ${about} - DOWN => MISC CHECK succeeded on service <=`,
    `[LB1] Virtualserver ${service} - UP => Gained quorum 1+0=1 <= 1 <=`,
  ];
  expect(mails(alertsOf(configWith(MAIL)), ...all)).toEqual([failed!, succeeded!, gained!]);
  // Then only servers that change are worth a mail.
  const quiet = alertsOf(configWith(MAIL + "no_checker_emails"));
  expect(mails(quiet, ...all)).toEqual([failed!, gained!]);
  // Checks are for mails alone.
  const posting = alertsOf(configWith("notify_webhook http://all/"));
  expect(all.map((one) => posting.of(one, AT).length)).toEqual([1, 0, 0, 0, 1]);
});

test("without a server or recipients there is no mail", () => {
  expect(mailSettings(configWith(""), "host")).toBeUndefined();
  expect(mailSettings(configWith("smtp_server 192.0.2.1"), "host")).toBeUndefined();
  expect(mailSettings(configWith(MAIL), "host")).toEqual({
    host: "mail.example.net",
    port: 25,
    helo: "host",
    from: "keepalived@host",
    to: ["a@example.net"],
    timeoutUs: 30_000_000,
  });
  const config = configWith("smtp_server 192.0.2.1\nsmtp_alert");
  expect(mails(alertsOf(config), change(config, "MASTER"))).toEqual([]);
});

test("the role is needed for those who ask for something", () => {
  const needs = (...words: Parameters<typeof configWith>): boolean =>
    wantsAlerts(configWith(...words), "host");
  const quiet = MAIL + "smtp_alert_checker off\n";
  const withoutServers = (config: Config): Config => ({ ...config, virtual_servers: [] });
  expect(wantsAlerts(withoutServers(configWith(quiet)), "host")).toBeFalse();
  expect(needs(MAIL, "smtp_alert")).toBeTrue();
  expect(needs("smtp_alert")).toBeFalse();
  expect(needs("notify_webhook http://x/")).toBeTrue();
  expect(needs("", "notify_webhook http://x/")).toBeTrue();
  expect(needs("", "", "notify_webhook http://x/")).toBeTrue();
});

test("posts go to all who asked, to each URL once", () => {
  const config = configWith(
    "router_id R\nnotify_webhook http://all/\nnotify_webhook http://both/",
    "notify_webhook http://own/\nnotify_webhook http://both/",
    "notify_webhook http://group/",
  );
  const alerts = alertsOf(config);
  const urls = (...happenings: Parameters<Alerts["of"]>[0][]): string[] =>
    happenings.flatMap((one) =>
      alerts.of(one, AT).flatMap((alert) => alert.type === "post" ? alert.url : [])
    );
  expect(urls(change(config, "MASTER"))).toEqual(["http://all/", "http://both/", "http://own/"]);
  expect(urls(change(config, "MASTER", "GROUP"))).toEqual([
    "http://all/",
    "http://both/",
    "http://group/",
  ]);
  expect(urls({ type: "rival", instance: "V", peer: "192.0.2.3", cause: "x" })).toContain(
    "http://own/",
  );
  expect(urls({ type: "quorum", service: "S", key: "S", isUp: true, mail: "" })).toEqual([
    "http://all/",
    "http://both/",
  ]);
});

test("what is posted", () => {
  const config = configWith("router_id R\nnotify_webhook http://all/");
  const alerts = alertsOf(config);
  const event = (happening: Parameters<Alerts["of"]>[0]): unknown =>
    alerts.of(happening, AT).map((alert) => alert.type === "post" && alert.event)[0];
  const common = { time: "2026-01-02T03:04:05.000Z", router: "R" };
  const cause = { reason: "a better one", peer: "192.0.2.3" };
  expect(event({ ...change(config, "BACKUP"), ...cause })).toEqual({
    ...common,
    event: "state",
    instance: "V",
    state: "BACKUP",
    previous: "INIT",
    priority: 100,
    ...cause,
  });
  const stuck = { peer: "192.0.2.3", peerPriority: 80, missing: 1 };
  expect(event({
    type: "priority",
    instance: "V",
    state: "MASTER",
    priority: 80,
    isWanted: false,
    base: 100,
    contributions: [{ of: "script s", points: -20 }],
    stuck,
  })).toEqual({
    ...common,
    event: "priority",
    instance: "V",
    state: "MASTER",
    priority: 80,
    base: 100,
    contributions: [{ of: "script s", points: -20 }],
    no_failover: stuck,
  });
  expect(alerts.of({
    type: "priority",
    instance: "V",
    state: "INIT",
    priority: 80,
    isWanted: true,
    base: 100,
    contributions: [],
  }, AT)).toEqual([]);
  expect(event({ type: "conflict", instance: "V", address: "192.0.2.9" })).toMatchObject({
    event: "address_conflict",
  });
  const lower = { instance: "V", priority: 100, peer: "192.0.2.3", peerPriority: 5 };
  expect(event({ type: "lower-priority", ...lower })).toMatchObject({
    event: "lower_priority",
    peer_priority: 5,
  });
});
