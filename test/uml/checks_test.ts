/**
 * Real servers that are checked: they die in the way of their kind, and leave the kernel's table; they return,
 * and so do they there. The backends live in this process, which is the guest's only other one of weight.
 */

import { expect, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { certificate } from "../support/certificate.ts";
import { childrenOf, Daemon } from "../support/daemon.ts";
import { GUEST, reset, run, savedTable, startHere, tableIs } from "../support/ipvs_guest.ts";
import { Network } from "../support/namespaces.ts";
import { Outside } from "../support/outside.ts";
import { IN_GUEST } from "../support/uml.ts";
import { poll } from "../support/waiting.ts";

const HERE = "127.0.0.1";
/** What a ping finds, or does not. */
const PINGED = "10.7.7.7";
const SCRIPT = "/run/checks-script";
const STATUS = "/run/checks-status";
const FILE = "/run/checks-file";
const MAILS = { well: ["220 hi", "250 me"], ill: ["554 no", "500 no"] };

/** Servers of every kind on loopback, well or ill together. */
class Ward implements Disposable {
  isWell = true;
  readonly ports: Record<string, number> = {};
  readonly #open: { stop?(force?: boolean): void; close?(): void }[] = [];
  #tcp: { stop(force?: boolean): void } | undefined;
  readonly #certificate = certificate("backend.example", 10);

  async open(): Promise<void> {
    this.ports["tcp"] = this.#listen(0);
    this.ports["http"] = this.#web();
    this.ports["ssl"] = this.#web(this.#certificate);
    this.ports["smtp"] = this.#mail();
    this.ports["dns"] = await this.#udp((bytes) => {
      const reply = Buffer.from(bytes);
      reply[2] = 0x84;
      reply[3] = this.isWell ? 0 : 2;
      return reply;
    });
    this.ports["udp"] = await this.#udp(() => Buffer.from(this.isWell ? "pong" : "gong"));
    for (const name of ["ping", "misc", "file"]) this.ports[name] = 9;
    run("sh", "-c", "ip link add dum7 type dummy && ip link set dum7 up");
    writeFileSync(SCRIPT, `#!/bin/sh\nexit $(cat ${STATUS})\n`);
    chmodSync(SCRIPT, 0o755);
    this.#setWorld();
  }

  /** All of them fall ill, or recover. */
  set(isWell: boolean): void {
    this.isWell = isWell;
    if (isWell) this.#listen(this.ports["tcp"]!);
    else this.#tcp?.stop(true);
    this.#setWorld();
  }

  #setWorld(): void {
    writeFileSync(STATUS, this.isWell ? "0" : "1");
    writeFileSync(FILE, this.isWell ? "0" : "7");
    run("ip", "address", this.isWell ? "add" : "delete", `${PINGED}/32`, "dev", "dum7");
  }

  #listen(port: number): number {
    const server = Bun.listen({
      hostname: HERE,
      port,
      socket: { data: () => {}, error: () => {} },
    });
    this.#tcp = server;
    return server.port;
  }

  /** keepalived waits for the end of the connection. */
  #web(tls?: { readonly cert: string; readonly key: string }): number {
    const server = Bun.listen({
      hostname: HERE,
      port: 0,
      ...(tls === undefined ? {} : { tls }),
      socket: {
        data: (socket) => void socket.end(`HTTP/1.0 ${this.isWell ? 200 : 500} Word\r\n\r\nhello`),
        error: () => {},
      },
    });
    this.#open.push(server);
    return server.port;
  }

  #mail(): number {
    const reply = (at: number): string => `${MAILS[this.isWell ? "well" : "ill"][at]}\r\n`;
    const server = Bun.listen({
      hostname: HERE,
      port: 0,
      socket: {
        open: (socket) => void socket.write(reply(0)),
        data: (socket, bytes) =>
          void socket.write(`${bytes}`.startsWith("HELO") ? reply(1) : "221\r\n"),
        error: () => {},
      },
    });
    this.#open.push(server);
    return server.port;
  }

  async #udp(answer: (bytes: Uint8Array) => Uint8Array): Promise<number> {
    const socket = await Bun.udpSocket({
      hostname: HERE,
      port: 0,
      socket: {
        data: (own, bytes, port, address) => void own.send(answer(bytes), port, address),
        // Whoever has asked may be gone.
        error: () => {},
      },
    });
    this.#open.push(socket);
    return socket.port;
  }

  [Symbol.dispose](): void {
    this.#tcp?.stop(true);
    for (const one of this.#open) {
      one.stop?.(true);
      one.close?.();
    }
    this.#certificate[Symbol.dispose]();
    run("ip", "link", "delete", "dum7");
  }
}

const CHECKS: Readonly<Record<string, string>> = {
  tcp: "TCP_CHECK {\n}",
  http: "HTTP_GET {\nurl {\npath /\ndigest 5d41402abc4b2a76b9719d911017c592\n}\n}",
  ssl: "SSL_GET {\nurl {\npath /\n}\n}",
  smtp: "SMTP_CHECK {\n}",
  dns: "DNS_CHECK {\ntype A\nname foo.example\nretry 1\ndelay_before_retry 0.1\n}",
  udp: "UDP_CHECK {\nrequire_reply 706f6e67\n}",
  ping: `PING_CHECK {\nconnect_ip ${PINGED}\n}`,
  misc: `MISC_CHECK {\nmisc_path ${SCRIPT}\nmisc_timeout 9\n}`,
  file: "FILE_CHECK {\ntrack_file f\nweight 0\n}",
};
const NAMES = Object.keys(CHECKS);
const TIMES = "delay_loop 0.3\ndelay_before_retry 0.1\nretry 1\nconnect_timeout 3\nwarmup 0.2";

const GLOBALS = "global_defs {\nscript_user root\n}\n";
const MAILING = `global_defs {
router_id LB
notification_email {
ops@example.net
}
notification_email_from lb@example.net
smtp_server 127.0.0.1 2525
}
`;
const TRACK_FILE = `track_file f {\nfile ${FILE}\n}\n`;

function service(vip: string, lines: string, rest = ""): string {
  return `virtual_server ${vip} 80 {\nlvs_sched rr\nlvs_method NAT\nprotocol TCP\n${TIMES}\n${rest}
    ${lines}\n}\n`;
}

function configOf({ ports }: Ward, rest = ""): string {
  const services = NAMES.map((name, i) =>
    service(`10.9.0.${i + 1}`, `real_server ${HERE} ${ports[name]} {\n${CHECKS[name]}\n}`, rest)
  );
  return `${GLOBALS}${TRACK_FILE}${services.join("")}`;
}

const serviceLines = NAMES.map((_, i) => `-A -t 10.9.0.${i + 1}:80 -s rr`);

async function started(config: string, program?: string): Promise<Daemon> {
  reset();
  const settings = { words: ["-c", "/run/checks.pid"] };
  const daemon = startHere(config, program === undefined ? settings : { ...settings, program });
  await daemon.waitForLog("Startup complete", 20_000);
  return daemon;
}

/** With all backends well. */
function wholeTable({ ports }: Ward): string[] {
  const servers = NAMES.map((name, i) =>
    `-a -t 10.9.0.${i + 1}:80 -r ${HERE}:${ports[name]} -m -w 1`
  );
  return [...serviceLines, ...servers];
}

/** Whether a log tells of all deaths. */
function saysSo(log: string): void {
  for (const line of ["TCP_CHECK on", "HTTP_CHECK on", "UDP_CHECK on", "ICMP CHECK on"]) {
    expect(log).toMatch(new RegExp(`${line} service \\S+ failed after 1 retries\\.`));
  }
  expect(log).toContain("read error occurred. (rcode = 2) after 1 retries");
  expect(log).toContain("tracked file f now FAULT state");
  expect(log).toContain("failed after 1 retries (exited with status 1).");
}

/** Of all mails the subject and what they say, with the kinds of checks in place of ports; sorted. */
function mailsOf({ mails }: Outside, { ports }: Ward): string[] {
  const kinds = new Map(NAMES.map((name) => [`${ports[name]}`, name]));
  return mails.map(({ text }) => {
    const subject = /^Subject: (.*)$/m.exec(text)?.[1];
    const said = /^=> .* <=$/m.exec(text)?.[0];
    return `${subject} ${said}`.replace(/:(\d+)\b/g, (all, port) => kinds.get(port) ?? all);
  }).sort();
}

/** What keepalived has mailed. */
let mailsThere: readonly string[] = [];

for (const program of ["keepalived", undefined]) {
  test.skipIf(!IN_GUEST)(
    `${program ?? "upkeep"}: backends of every kind die and return`,
    async () => {
      using ward = new Ward();
      await ward.open();
      await using outside = await Outside.start(GUEST, "");
      const config = MAILING + configOf(ward, "smtp_alert");
      await using daemon = await started(config, program);
      await tableIs(wholeTable(ward));
      for (let round = 0; round < 2; round++) {
        ward.set(false);
        await tableIs(serviceLines, 20_000);
        ward.set(true);
        await tableIs(wholeTable(ward), 20_000);
      }
      if (program === undefined) saysSo(daemon.log);
      // Two rounds, down and up, a server and its service; of files nobody is mailed. And the quorum of the start.
      const count = 4 * (2 * NAMES.length - 1) + NAMES.length;
      const isThere = (): boolean => mailsOf(outside, ward).length >= count;
      await poll(isThere, 10_000, `${mailsOf(outside, ward).length} mails, not ${count}`);
      if (program !== undefined) mailsThere = mailsOf(outside, ward);
      else expect(mailsOf(outside, ward)).toEqual([...mailsThere]);
      expect(await daemon.stop(10_000)).toBe(0);
      expect(savedTable()).toEqual([]);
    },
  );
}

test.skipIf(!IN_GUEST)(
  "a role that is started again goes on from what was known, and finds out what is not so",
  async () => {
    using ward = new Ward();
    await ward.open();
    await using daemon = await started(configOf(ward));
    await tableIs(wholeTable(ward));
    ward.set(false);
    await tableIs(serviceLines, 20_000);
    process.kill(Number(readFileSync("/run/checks.pid", "utf8")), "SIGKILL");
    await daemon.waitForLog("Healthcheck child process", 10_000);
    await tableIs(serviceLines, 20_000);
    ward.set(true);
    await tableIs(wholeTable(ward), 20_000);
    expect(await daemon.stop(10_000)).toBe(0);
  },
);

test.skipIf(!IN_GUEST)("programs and files set weights", async () => {
  using ward = new Ward();
  await ward.open();
  writeFileSync(STATUS, "22");
  writeFileSync(FILE, "3");
  const line = (weight: number): string[] => [
    "-A -t 10.9.0.1:80 -s rr",
    `-a -t 10.9.0.1:80 -r ${HERE}:80 -m -w ${weight}`,
  ];
  const config = `${GLOBALS}${TRACK_FILE}${
    service(
      "10.9.0.1",
      `real_server ${HERE} 80 {\nweight 10\nFILE_CHECK {\ntrack_file f\nweight 2\n}
        MISC_CHECK {\nmisc_path ${SCRIPT}\nmisc_timeout 9\nmisc_dynamic\n}\nTCP_CHECK {\nconnect_port ${
        ward.ports["tcp"]
      }\n}\n}`,
    )
  }`;
  await using daemon = await started(config);
  // 10, and 10 more by the program, and 6 by the file.
  await tableIs(line(26));
  writeFileSync(FILE, "-30");
  await tableIs(line(0));
  writeFileSync(FILE, "1");
  await tableIs(line(22));
  writeFileSync(STATUS, "0");
  await tableIs(line(12));
  expect(await daemon.stop(10_000)).toBe(0);
});

test.skipIf(!IN_GUEST)(
  "alpha, inhibit_on_failure, and checks only where the address is",
  async () => {
    using ward = new Ward();
    await ward.open();
    ward.set(false);
    const tcp = `TCP_CHECK {\nconnect_ip ${HERE}\nconnect_port ${ward.ports["tcp"]}\n}`;
    const config = [
      service("10.9.0.1", `real_server 127.0.0.2 80 {\n${tcp}\n}`, "alpha"),
      service("10.9.0.2", `real_server 127.0.0.3 80 {\ninhibit_on_failure\n${tcp}\n}`),
      service("10.9.0.3", `real_server 127.0.0.4 80 {\n${tcp}\n}`, "ha_suspend"),
    ].join("");
    const services = [1, 2, 3].map((i) => `-A -t 10.9.0.${i}:80 -s rr`);
    const at = (i: number, weight: number): string =>
      `-a -t 10.9.0.${i}:80 -r 127.0.0.${i + 1}:80 -m -w ${weight}`;
    await using daemon = await started(config);
    await tableIs([...services, at(2, 0), at(3, 1)]);
    run("ip", "address", "add", "10.9.0.3/32", "dev", "dum7");
    await tableIs([...services, at(2, 0)]);
    ward.set(true);
    await tableIs([...services, at(1, 1), at(2, 1), at(3, 1)]);
    // Without the address nobody looks any more.
    run("ip", "address", "delete", "10.9.0.3/32", "dev", "dum7");
    daemon.skipLog();
    ward.set(false);
    await tableIs([...services, at(2, 0), at(3, 1)]);
    expect(await daemon.stop(10_000)).toBe(0);
  },
);

test.skipIf(!IN_GUEST)("a BFD session is a check", async () => {
  using network = new Network(["one", "two"]);
  const session = (neighbour: string): string =>
    `bfd_instance b {\nneighbor_ip ${neighbour}\nmin_rx 100\nmin_tx 100\nmultiplier 3\n}\n`;
  const config = session("10.0.0.2") +
    service("10.9.0.1", `real_server 10.0.0.2 80 {\nBFD_CHECK {\nname b\nalpha\n}\n}`);
  const enter = network.enter("one");
  await using _own = new Daemon(network, "one", config, { words: ["-c", "/run/bfd-one.pid"] });
  const empty = ["-A -t 10.9.0.1:80 -s rr"];
  await tableIs(empty, 20_000, enter);
  const other = new Daemon(network, "two", session("10.0.0.1"), {
    words: ["-c", "/run/bfd-two.pid"],
  });
  await tableIs([...empty, "-a -t 10.9.0.1:80 -r 10.0.0.2:80 -m -w 1"], 20_000, enter);
  expect(childrenOf(other.pid).length).toBe(1);
  await other.crash();
  await tableIs(empty, 20_000, enter);
});
