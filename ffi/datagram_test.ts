/** Datagrams to a listener that comes and goes, as syslog does. */

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AF_UNIX, SOCK_DGRAM } from "./constants.ts";
import { Datagrams } from "./datagram.ts";
import { sockaddrUn } from "./layout.ts";
import { Memory } from "./memory.ts";
import { bindSocket, closeDescriptor, openSocket, receiveNow } from "./socket.ts";

const folder = mkdtempSync(join(tmpdir(), "upkeep-datagrams-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A listener like /dev/log. */
class Listener {
  readonly #path: string;
  readonly #fd = openSocket(AF_UNIX, SOCK_DGRAM, 0, "listening");

  constructor(path: string) {
    this.#path = path;
    bindSocket(this.#fd, sockaddrUn(path), "listening");
  }

  /** All that has come. */
  take(): string[] {
    const memory = new Memory(4096);
    const heard: string[] = [];
    for (;;) {
      const count = receiveNow(this.#fd, memory);
      if (count <= 0) return heard;
      heard.push(new TextDecoder().decode(memory.bytes.subarray(0, count)));
    }
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.#fd);
    if (!this.#path.startsWith("@")) rmSync(this.#path);
  }
}

for (const kind of ["a path", "an abstract name"]) {
  const name = kind === "a path" ? join(folder, "log") : `@upkeep-datagrams-${process.pid}`;

  test(`to ${kind}: sent when there is a listener, lost when there is none`, () => {
    const datagrams = new Datagrams(name);
    expect(datagrams.send("lost")).toBeFalse();
    {
      using listener = new Listener(name);
      expect(datagrams.send("one")).toBeTrue();
      expect(datagrams.send("zwölf\n")).toBeTrue();
      expect(listener.take()).toEqual(["one", "zwölf\n"]);
    }
    expect(datagrams.send("lost")).toBeFalse();
    using again = new Listener(name);
    expect(datagrams.send("three")).toBeTrue();
    expect(again.take()).toEqual(["three"]);
  });

  test(`to ${kind}: a listener that was restarted meanwhile gets what is sent next`, () => {
    const datagrams = new Datagrams(name);
    {
      using listener = new Listener(name);
      datagrams.send("one");
      expect(listener.take()).toEqual(["one"]);
    }
    using again = new Listener(name);
    expect(datagrams.send("two")).toBeTrue();
    expect(again.take()).toEqual(["two"]);
  });
}

test("a listener that does not read does not hold us up", () => {
  const name = `@upkeep-datagrams-full-${process.pid}`;
  using listener = new Listener(name);
  const datagrams = new Datagrams(name);
  const sent = Array.from({ length: 2000 }, (_, i) => datagrams.send(`line ${i}`));
  expect(sent).toContain(false);
  const heard = listener.take();
  expect(heard).toEqual(sent.flatMap((isSent, i) => isSent ? [`line ${i}`] : []));
  expect(datagrams.send("and on")).toBeTrue();
  expect(listener.take()).toEqual(["and on"]);
});
