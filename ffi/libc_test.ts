/** errno right after the call that failed, and the words an error is told in. */

import { expect, test } from "bun:test";
import { errnoName } from "./constants.ts";
import { check, errno, libc, SysError } from "./libc.ts";
import { cString } from "./memory.ts";

const EBADF = 9;
const ENOENT = 2;
const ENOTDIR = 20;

test("an error says which call, which errno, what for, and what the kernel said", () => {
  const error = new SysError("bind", 98, "opening a socket");
  expect(error).toBeInstanceOf(Error);
  expect(error.message).toBe("bind failed with EADDRINUSE while opening a socket");
  expect({ ...error }).toMatchObject({ call: "bind", code: 98, errno: "EADDRINUSE" });
  expect(error.name).toBe("SysError");
  expect(new SysError("netlink", 19, "adding 10.0.0.1/24 to eth0", "no such link").message)
    .toBe("netlink failed with ENODEV while adding 10.0.0.1/24 to eth0: no such link");
});

test("an errno without a name of ours is told by its number", () => {
  expect(errnoName(1)).toBe("EPERM");
  expect(errnoName(113)).toBe("EHOSTUNREACH");
  expect(errnoName(133)).toBe("errno 133");
  expect(new SysError("ioctl", 133, "waiting").message)
    .toBe("ioctl failed with errno 133 while waiting");
});

test("check passes results on and throws for -1", () => {
  expect(check(0, "dup2", "trying")).toBe(0);
  expect(check(7, "dup2", "trying")).toBe(7);
  expect(() => check(libc.close(-1), "close", "trying"))
    .toThrow(new SysError("close", EBADF, "trying"));
});

test("errno is that of the call before, however often, and whatever the collector does", () => {
  const missing = cString("/no/such/file");
  const below = cString("/dev/null/below");
  const calls: [() => number, number][] = [
    [(): number => libc.close(-1), EBADF],
    [(): number => libc.open(missing.pointer, 0, 0), ENOENT],
    [(): number => libc.open(below.pointer, 0, 0), ENOTDIR],
  ];
  let wrong = 0;
  for (let i = 0; i < 30_000; i++) {
    const [call, code] = calls[i % calls.length]!;
    if (i % 5000 === 0) Bun.gc(true);
    // Objects for the collector, which makes system calls of its own.
    new Uint8Array(1000);
    const result = call();
    if (result !== -1 || errno() !== code) wrong++;
  }
  expect(wrong).toBe(0);
});
