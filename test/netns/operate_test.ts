/** Mails and webhooks: sent by a role that may die, never in the way of anything, with patience. */

import { expect, test } from "bun:test";
import { instance } from "../support/configs.ts";
import { childrenOf, Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { Outside } from "../support/outside.ts";
import { poll } from "../support/waiting.ts";

const GLOBALS = `global_defs {
router_id LB1
notification_email {
root@example.net
"Ops <ops@example.net>"
}
notification_email_from "Balancer <lb1@example.net>"
smtp_server 10.0.0.2 2525
smtp_helo_name lb1.example.net
smtp_connect_timeout 5
MORE
}
`;
const globals = (...lines: string[]): string => GLOBALS.replace("MORE", lines.join("\n"));

const OWNER = { priority: 255, state: "MASTER" } as const;

/** The process of the operate role. */
function operateOf(daemon: Daemon): number {
  const { vrrp } = daemon.pids();
  const other = childrenOf(daemon.pid).filter((pid) => pid !== vrrp);
  expect(other).toHaveLength(1);
  return other[0]!;
}

test("mails are keepalived's, for every state once", async () => {
  using network = new Network(["left", "right"]);
  await using outside = await Outside.start(network, "right");
  const group = "vrrp_sync_group G {\ngroup {\nV\n}\nsmtp_alert\n}\n";
  const config = globals() + group + instance({ ...OWNER, more: "smtp_alert" });
  await using left = new Daemon(network, "left", config);
  const mail = await outside.mailAbout("VRRP Instance V - Entering MASTER state");
  expect(mail).toMatchObject({
    helo: "lb1.example.net",
    from: "lb1@example.net",
    to: ["root@example.net", "ops@example.net"],
  });
  const headers = mail.text.split("\n\n")[0]!.split("\n");
  expect(headers).toContain("From: Balancer <lb1@example.net>");
  expect(headers).toContain("To: root@example.net, Ops <ops@example.net>");
  expect(headers).toContain("Subject: [LB1] VRRP Instance V - Entering MASTER state");
  expect(headers).toContain("X-Mailer: Keepalived");
  expect(headers.some((line) => /^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000$/.test(line)))
    .toBeTrue();
  expect(mail.text).toContain("\n\n=> VRRP Instance is now owning VRRP VIPs <=\n");
  const ofGroup = await outside.mailAbout("VRRP Group G - Entering MASTER state");
  expect(ofGroup.text).toContain("\n=> All VRRP group instances are now in MASTER state <=\n");
  await left.waitForLog("SMTP alert successfully sent.");
  expect(await left.stop()).toBe(0);
  // What happens last is sent, too.
  expect(outside.subjects.slice(2).sort()).toEqual([
    "[LB1] VRRP Group G - Stopping",
    "[LB1] VRRP Instance V - Stopping",
  ]);
});

test("who asks for none gets none, and faults can be left out", async () => {
  using network = new Network(["left", "right"]);
  await using outside = await Outside.start(network, "right");
  const quiet = instance({ name: "Q", vrid: 8, addresses: ["10.0.0.101/32"] });
  const config = globals("no_email_faults") + quiet +
    instance({ more: "smtp_alert\ntrack_interface {\nlo weight 0\n}" });
  await using left = new Daemon(network, "left", config);
  await outside.mailAbout("V - Entering MASTER");
  network.run("left", "ip", "link", "set", "lo", "down");
  await left.waitForLog("(V) Entering FAULT STATE");
  network.run("left", "ip", "link", "set", "lo", "up");
  await poll(() => outside.subjects.length >= 4, 10_000, "too few mails");
  expect(outside.subjects.map((one) => one.replace("[LB1] VRRP Instance ", ""))).toEqual([
    "V - Entering BACKUP state",
    "V - Entering MASTER state",
    "V - Entering BACKUP state",
    "V - Entering MASTER state",
  ]);
});

test("a mail that is refused for now is sent again, and the log says so", async () => {
  using network = new Network(["left", "right"]);
  await using outside = await Outside.start(network, "right", { mailsRefused: 2 });
  await using left = new Daemon(
    network,
    "left",
    globals("smtp_alert") + instance({ ...OWNER }),
  );
  const { text } = await left.waitForLog("will be tried again");
  expect(text).toContain("451");
  await left.waitForLog("SMTP alert successfully sent.", 8000);
  expect(outside.subjects).toEqual(["[LB1] VRRP Instance V - Entering MASTER state"]);
});

test("webhooks: who asks gets its events, in order, with the why", async () => {
  using network = new Network(["left", "right"]);
  await using outside = await Outside.start(network, "right", { postsRefused: 1 });
  const url = "http://10.0.0.2:8080";
  const group = `vrrp_sync_group G {\ngroup {\nV\n}\nnotify_webhook ${url}/group\n}\n`;
  const own = instance({
    priority: 100,
    more: `notify_webhook ${url}/own\ntrack_interface {\nlo weight 30\n}`,
  });
  const all = `global_defs {\nrouter_id LB1\nnotify_webhook ${url}/all\n}\n`;
  const config = all + group.replace("}\nnotify", "}\nsync_group_tracking_weight\nnotify") + own +
    instance({ name: "W", vrid: 8, addresses: ["10.0.0.101/32"] });
  await using _left = new Daemon(network, "left", config);
  const at = (path: string): Readonly<Record<string, unknown>>[] =>
    outside.posts.filter((one) => one.path === path && one.status === 204).map(({ body }) => body);
  await poll(() => at("/own").length >= 2 && at("/all").length >= 5, 10_000, "too few posts");
  network.run("left", "ip", "link", "set", "lo", "down");
  await poll(() => at("/own").length >= 3, 10_000, "no post about the priority");
  expect(outside.posts[0]!.contentType).toStartWith("application/json");
  const plain = at("/own").map(({ time, ...rest }) => {
    expect(Date.parse(time as string)).toBeWithin(Date.now() - 60_000, Date.now());
    return rest;
  });
  const common = { router: "LB1", instance: "V" };
  expect(plain).toEqual([
    {
      ...common,
      event: "state",
      state: "BACKUP",
      previous: "INIT",
      priority: 130,
      reason: "started",
    },
    {
      ...common,
      event: "state",
      state: "MASTER",
      previous: "BACKUP",
      priority: 130,
      reason: "Receive advertisement timeout",
    },
    {
      ...common,
      event: "priority",
      state: "MASTER",
      priority: 100,
      base: 100,
      contributions: [],
    },
  ]);
  expect(at("/group").map(({ group, state }) => [group, state])).toEqual([
    ["G", "BACKUP"],
    ["G", "MASTER"],
  ]);
  expect(at("/all").map(({ instance, group }) => instance ?? group)).toContain("W");
  // A retry, not a second message.
  expect(new Set(at("/own").map((one) => JSON.stringify(one))).size).toBe(3);
});

test("the role is only there when needed, comes back when it dies, and loses nothing", async () => {
  using network = new Network(["left", "right"]);
  const plain = instance({ priority: 100 });
  await using left = new Daemon(network, "left", globals() + plain);
  await left.waitForLog("Entering MASTER STATE");
  expect(childrenOf(left.pid)).toHaveLength(1);
  left.rewrite(globals("smtp_alert") + plain);
  left.signal("SIGHUP");
  await left.waitForLog("Starting Operate child process");
  // Nobody listens yet.
  network.run("left", "ip", "link", "set", "eth0", "down");
  await left.waitForLog("Entering FAULT STATE");
  process.kill(operateOf(left), "SIGKILL");
  await left.waitForLog("Operate child process");
  expect(left.pids().vrrp).toBeGreaterThan(0);
  await using outside = await Outside.start(network, "right");
  network.run("left", "ip", "link", "set", "eth0", "up");
  await outside.mailAbout("Entering FAULT");
  await outside.mailAbout("Entering MASTER");
  left.rewrite(globals() + plain);
  left.signal("SIGHUP");
  await poll(() => childrenOf(left.pid).length === 1, 5000, "the role stays");
  expect(await left.stop()).toBe(0);
});
