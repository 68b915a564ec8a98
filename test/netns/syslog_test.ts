/** Lines as syslog receives them: keepalived's idents, each with the process that spoke. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_UNIX, SOCK_DGRAM } from "../../ffi/constants.ts";
import { sockaddrUn } from "../../ffi/layout.ts";
import { Memory } from "../../ffi/memory.ts";
import { bindSocket, closeDescriptor, openSocket, receiveNow } from "../../ffi/socket.ts";
import { instance } from "../support/configs.ts";
import { Daemon } from "../support/daemon.ts";
import { Network } from "../support/namespaces.ts";
import { poll } from "../support/waiting.ts";

setDefaultTimeout(60_000);

/** A syslog daemon of our own at a path: keeps what it is sent. */
class Syslog {
  readonly folder = mkdtempSync(join(tmpdir(), `upk${process.pid}-`));
  readonly path = join(this.folder, "log");
  readonly received: string[] = [];
  readonly #buffer = new Memory(8192);
  #fd = -1;

  constructor() {
    this.open();
  }

  open(): void {
    this.#fd = openSocket(AF_UNIX, SOCK_DGRAM, 0, "opening a log socket");
    bindSocket(this.#fd, sockaddrUn(this.path), `listening at ${this.path}`);
  }

  close(): void {
    closeDescriptor(this.#fd);
    rmSync(this.path);
  }

  async waitFor(pattern: RegExp): Promise<void> {
    const found = (): boolean => {
      for (;;) {
        const count = receiveNow(this.#fd, this.#buffer);
        if (count <= 0) return this.received.some((line) => pattern.test(line));
        this.received.push(new TextDecoder().decode(this.#buffer.bytes.slice(0, count)));
      }
    };
    await poll(found, 5000, `no line ${pattern} among\n${this.received.join("\n")}\n`);
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.#fd);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A /dev of its own in which /dev/log leads to us. */
function withLog(path: string): string {
  return `mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && mknod /dev/urandom c 1 9 &&
    ln -s ${path} /dev/log && exec "$0" "$@"`;
}

test("idents, process ids, facility and severity; a syslog that comes back is found again", async () => {
  using network = new Network(["a"]);
  using syslog = new Syslog();
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER", priority: 200 }), {
    before: ["unshare", "-m", "sh", "-ec", withLog(syslog.path)],
    syslog: true,
  });
  const TIME = "[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d";
  // Facility 3 is daemon: 30 for information, 28 for warnings, 27 for errors.
  await syslog.waitFor(
    new RegExp(`^<30>${TIME} Keepalived\\[${daemon.pid}\\]: Starting Keepalived v`),
  );
  const role = `Keepalived_vrrp\\[${daemon.pids().vrrp}\\]`;
  await syslog.waitFor(new RegExp(`^<30>${TIME} ${role}: \\(V\\) Entering MASTER STATE$`));
  // -l was given: the console has the same lines.
  await daemon.waitForLog("(V) Entering MASTER STATE");
  expect(syslog.received.some((line) => line.includes("\n"))).toBe(false);

  syslog.close();
  daemon.signal("SIGHUP");
  await daemon.waitForLog("Reload finished");
  syslog.open();
  daemon.signal("SIGHUP");
  await syslog.waitFor(/Reload finished/);
  expect(await daemon.stop()).toBe(0);
  await syslog.waitFor(new RegExp(`Keepalived\\[${daemon.pid}\\]: Stopped`));
});

test("without anyone at /dev/log the daemon runs all the same", async () => {
  using network = new Network(["a"]);
  await using daemon = new Daemon(network, "a", instance({ state: "MASTER" }), {
    before: ["unshare", "-m", "sh", "-ec", withLog("/nowhere")],
    syslog: true,
  });
  await daemon.waitForLog("(V) Entering MASTER STATE");
  expect(await daemon.stop()).toBe(0);
});
