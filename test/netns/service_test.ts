/**
 * The most common use, as tutorials write it: two hosts with a service, `killall -0 SERVICE` tells whether it
 * runs, and a script logs each change. Where the service is killed the address goes, and the rules of
 * preemption say whether it returns with the service.
 */

import { expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

const HELD = "192.168.1.20/32";

/** A host with a service of a name that nothing else on the machine has, and a script that is told of changes. */
class Host {
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly notify = join(this.folder, "my-notify.sh");
  readonly service: string;
  #running: Bun.Subprocess | undefined;

  constructor(name: string) {
    this.service = `${name}${process.pid}`.slice(0, 15);
    copyFileSync("/bin/sleep", join(this.folder, this.service));
    writeFileSync(
      this.notify,
      `#!/bin/bash

TYPE=$1
NAME=$2
STATE=$3

case $STATE in
        "MASTER") echo "$TYPE $NAME entered MASTER" >>${this.folder}/log
                  exit 0
                  ;;
        "BACKUP") echo "$TYPE $NAME entered BACKUP" >>${this.folder}/log
                  exit 0
                  ;;
        "FAULT")  echo "$TYPE $NAME entered FAULT" >>${this.folder}/log
                  exit 0
                  ;;
        *)        echo "unknown state" >>${this.folder}/log
                  exit 1
                  ;;
esac
`,
    );
    chmodSync(this.notify, 0o755);
    this.start();
  }

  start(): void {
    const stdio = ["ignore", "ignore", "ignore"] as const;
    this.#running = Bun.spawn([join(this.folder, this.service), "1000"], { stdio: [...stdio] });
  }

  async kill(): Promise<void> {
    this.#running?.kill("SIGKILL");
    await this.#running?.exited;
  }

  /** The states that the script was told, in order. */
  get states(): string[] {
    const path = join(this.folder, "log");
    const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
    return lines.map((line) => line.replace("INSTANCE MY-FAILOVER entered ", ""));
  }

  config(priority: number, ...lines: readonly string[]): string {
    return `vrrp_script chequea_script {
  script       "killall -0 ${this.service}"
  interval 0.2   # each 0.2 s
  fall 2       # two failures
  rise 2       # two successes
}

vrrp_instance MY-FAILOVER {
	interface eth0
	virtual_router_id 21
	priority ${priority}
	version 3
	advert_int 0.2
	authentication {
	    auth_type PASS
	    auth_pass Venezuela21
	}
	virtual_ipaddress {
	    192.168.1.20
	}
	track_script {
		chequea_script
	}
	notify ${this.notify}
	${lines.join("\n")}
}
`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function holds(network: Network, host: string): Promise<void> {
  const isHeld = (one: string): boolean => network.addresses(one).includes(HELD);
  const other = host === "left" ? "right" : "left";
  return poll(() => isHeld(host) && !isHeld(other), 8000, `${host} does not hold it alone`);
}

function told(host: Host, ...states: readonly string[]): Promise<void> {
  const wanted = states.join(" ");
  return poll(() => host.states.join(" ") === wanted, 5000, `not ${wanted}`).catch(() => {
    throw new Error(`told ${host.states.join(" ")}, not ${wanted}`);
  });
}

test("the service is killed: the address moves, and returns with the service", async () => {
  using network = new Network(["left", "right"]);
  await using one = new Host("one");
  await using two = new Host("two");
  await using left = new Daemon(network, "left", one.config(150, "state MASTER"));
  await holds(network, "left");
  await using right = new Daemon(network, "right", two.config(100, "state BACKUP"));
  await right.waitForLog("Entering BACKUP STATE");
  await one.kill();
  await left.waitForLog("VRRP_Script(chequea_script) failed (exited with status 1)");
  await left.waitForLog("(MY-FAILOVER) script chequea_script fails");
  await holds(network, "right");
  one.start();
  await left.waitForLog("VRRP_Script(chequea_script) succeeded");
  await holds(network, "left");
  // The one that has gone down as BACKUP moves nothing.
  await two.kill();
  await right.waitForLog("(MY-FAILOVER) Entering FAULT STATE");
  await holds(network, "left");
  expect(await left.stop()).toBe(0);
  await told(one, "BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "unknown state");
  await told(two, "BACKUP", "MASTER", "BACKUP", "FAULT");
});

test("with nopreempt the address stays where it has gone, until it has to move again", async () => {
  using network = new Network(["left", "right"]);
  await using one = new Host("one");
  await using two = new Host("two");
  const lines = ["state BACKUP", "nopreempt"];
  await using left = new Daemon(network, "left", one.config(150, ...lines));
  await holds(network, "left");
  await using right = new Daemon(network, "right", two.config(100, ...lines));
  await right.waitForLog("Entering BACKUP STATE");
  await one.kill();
  await holds(network, "right");
  one.start();
  await left.waitForLog("VRRP_Script(chequea_script) succeeded", 8000);
  await left.waitForLog("(MY-FAILOVER) Entering BACKUP STATE");
  // Longer than it takes to find out that nobody is there.
  await Bun.sleep(1200);
  await holds(network, "right");
  await two.kill();
  await holds(network, "left");
  await told(one, "BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER");
  await told(two, "BACKUP", "MASTER", "FAULT");
});

test("a script that only asks whether a path opens", async () => {
  using network = new Network(["left"]);
  const folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  const flag = join(folder, "flag");
  const config = `vrrp_script port {
  script "<${flag}"
  interval 0.2
}
vrrp_instance V {
  interface eth0
  virtual_router_id 21
  priority 150
  version 3
  advert_int 0.2
  virtual_ipaddress {
    192.168.1.20
  }
  track_script {
    port
  }
}
`;
  try {
    writeFileSync(flag, "");
    await using left = new Daemon(network, "left", config);
    await left.waitForLog("VRRP_Script(port) succeeded");
    await left.waitForLog("Entering MASTER STATE");
    rmSync(flag);
    await left.waitForLog("VRRP_Script(port) failed (exited with status");
    await left.waitForLog("Entering FAULT STATE");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
