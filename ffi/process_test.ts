/** What a process can change about itself, each in a process of its own. */

import { expect, test } from "bun:test";
import { inChild } from "../test/support/child.ts";
import { collectChild, functionAddress, linkExists, sendSignal } from "./process.ts";

const IMPORT = `
  import { readFileSync } from "node:fs";
  import * as own from "./ffi/process.ts";
  const status = (field: string): string =>
    new RegExp(field + ":\\\\s*(.*)").exec(readFileSync("/proc/thread-self/status", "utf8"))![1]!;
  const signals = (field: string): number[] => {
    const bits = BigInt("0x" + status(field));
    return Array.from({ length: 64 }, (_, i) => i + 1).filter((n) => bits >> BigInt(n - 1) & 1n);
  };
  const out: unknown[] = [];
`;

/** What `code` has put into `out`. */
const outOf = (code: string): unknown[] =>
  JSON.parse(inChild(`${IMPORT}\n${code}\nprocess.stdout.write(JSON.stringify(out));`));

test("the name is comm, cut to 15 bytes", () => {
  expect(outOf(`
    for (const name of ["keepalived", "a-name-of-twenty-byt", ""]) {
      own.setProcessName(name);
      out.push(readFileSync("/proc/self/comm", "utf8"));
    }
  `)).toEqual(["keepalived\n", "a-name-of-twent\n", "\n"]);
});

test("signals are blocked beside those that are, and the mask before comes back", () => {
  expect(outOf(`
    own.setSignalMask();
    out.push(signals("SigBlk"));
    const first = own.blockSignals([1, 10, 12, 36, 64]);
    out.push(signals("SigBlk"));
    const second = own.blockSignals([15, 8]);
    out.push(signals("SigBlk"));
    own.setSignalMask(second);
    out.push(signals("SigBlk"));
    own.setSignalMask(first);
    out.push(signals("SigBlk"));
    own.blockSignals([64]);
    own.setSignalMask();
    out.push(signals("SigBlk"));
  `)).toEqual([[], [1, 10, 12, 36, 64], [1, 8, 10, 12, 15, 36, 64], [1, 10, 12, 36, 64], [], []]);
});

test("a disposition is a number: ignored, default, or a function of libc", () => {
  expect(outOf(`
    const ours = [12, 36, 64];
    const seen = (field: string): number[] => signals(field).filter((n) => ours.includes(n));
    for (const signal of ours) own.setDisposition(signal, 1);
    out.push(seen("SigIgn"), seen("SigCgt"));
    for (const signal of ours) own.sendSignal(process.pid, signal);
    own.setDisposition(36, own.functionAddress("close"));
    own.setDisposition(64, 0);
    out.push(seen("SigIgn"), seen("SigCgt"));
  `)).toEqual([[12, 36, 64], [], [12], [36]]);
});

test("libc's functions have addresses; what it has not is an error", () => {
  expect(functionAddress("close")).toBeGreaterThan(4096);
  expect(functionAddress("close")).not.toBe(functionAddress("open"));
  expect(() => functionAddress("no_such_function")).toThrow("libc has no no_such_function");
});

test("a descriptor that moves replaces what was there, and does not outlive an exec", () => {
  expect(outOf(`
    const { openSync, readlinkSync, existsSync } = await import("node:fs");
    const [fd, target] = [openSync("/dev/null", "r"), openSync("/dev/zero", "r")];
    own.moveDescriptor(fd, target);
    out.push(readlinkSync("/proc/self/fd/" + target), existsSync("/proc/self/fd/" + fd));
    const info = readFileSync("/proc/self/fdinfo/" + target, "utf8");
    out.push((Number.parseInt(/flags:\\s*(\\d+)/.exec(info)![1]!, 8) & 0o2000000) !== 0);
    try {
      own.moveDescriptor(fd, 99);
    } catch (error) {
      out.push((error as Error).message === \`dup2 failed with EBADF while placing descriptor \${fd} at 99\`);
    }
  `)).toEqual(["/dev/null", false, true, true]);
});

test("a copy of a descriptor has a number that no signal has, and is not inherited", () => {
  expect(outOf(`
    const { readlinkSync } = await import("node:fs");
    const copy = own.copyDescriptor(1);
    out.push(copy > 64, readlinkSync("/proc/self/fd/" + copy) === readlinkSync("/proc/self/fd/1"));
    const info = readFileSync("/proc/self/fdinfo/" + copy, "utf8");
    out.push((Number.parseInt(/flags:\\s*(\\d+)/.exec(info)![1]!, 8) & 0o2000000) !== 0);
    out.push(own.isDescriptor(copy), own.isDescriptor(copy + 1), own.isDescriptor(-1));
    try {
      own.copyDescriptor(-1);
    } catch (error) {
      out.push((error as Error).message);
    }
  `)).toEqual([
    ...[true, true, true, true, false, false],
    "fcntl failed with EBADF while copying descriptor -1",
  ]);
});

test("the nice value, up for everyone", () => {
  expect(outOf(`
    const nice = (): number =>
      Number(readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ")[16]);
    const before = nice();
    own.setShare(Math.min(19, before + 3), 1000);
    out.push(nice() - before === Math.min(3, 19 - before));
  `)).toEqual([true]);
});

test("what is not allowed, or makes no sense, is refused in words", () => {
  expect(outOf(`
    if (process.getuid!() === 0) process.setuid!(65534);
    const attempt = (act: () => void): void => {
      try {
        act();
        out.push("nothing");
      } catch (error) {
        out.push((error as Error).message);
      }
    };
    attempt(() => own.setRoundRobin(0));
    attempt(() => own.enterNetworkNamespace("/proc/self/ns/net"));
    attempt(() => own.enterNetworkNamespace("/no/such/namespace"));
    attempt(() => own.enterNamespaceOf(-1));
    attempt(() => own.newNetworkNamespace());
    attempt(() => own.setShare(-20, 100));
  `)).toEqual([
    "sched_setscheduler failed with EINVAL while setting real-time priority 0",
    "setns failed with EPERM while entering network namespace /proc/self/ns/net",
    "open failed with ENOENT while entering network namespace /no/such/namespace",
    "setns failed with EBADF while entering a network namespace",
    "unshare failed with EPERM while making a network namespace",
    "sched_setattr failed with EPERM while setting the nice value to -20",
  ]);
});

test("signal 0 only asks who lives", () => {
  expect(sendSignal(process.pid, 0)).toBeTrue();
  const gone = Bun.spawnSync(["true"]);
  expect(sendSignal(gone.pid, 0)).toBeFalse();
});

test("links are found by their whole name", () => {
  expect([linkExists("lo"), linkExists("l"), linkExists("")]).toEqual([true, false, false]);
});

test("a dead child is shown, left where it is, and collected when asked for", () => {
  const code = `
    import { peekDeadChild, collectChild } from "./ffi/process.ts";
    const limit = performance.now() + 5000;
    while (peekDeadChild() === undefined && performance.now() < limit);
    const seen = [peekDeadChild(), peekDeadChild()];
    const ends = [collectChild(seen[0]!), collectChild(seen[0]!) ?? "none"];
    process.stdout.write(JSON.stringify([...seen, peekDeadChild() ?? "none", ...ends]));
  `;
  for (
    const [command, end] of [
      ["exit 3", { status: 3, signal: 0 }],
      ["kill -9 $$", { status: null, signal: 9 }],
    ]
  ) {
    // The shell makes way for us: its child is ours now, and nobody else waits for it.
    const shell = ["sh", "-c", `sh -c '${command}' & exec "$@"`, "sh"];
    const seen = JSON.parse(inChild(code, shell));
    expect(seen).toEqual([seen[0], seen[0], "none", end, "none"]);
    expect(seen[0]).toBeNumber();
  }
});

test("a child that lives, or is none of ours, has no end", () => {
  const child = Bun.spawn(["sleep", "60"]);
  try {
    expect([collectChild(child.pid), collectChild(1)]).toEqual([undefined, undefined]);
  } finally {
    child.kill();
  }
});
