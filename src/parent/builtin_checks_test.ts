/** Connections and pages of servers in this process; pings need a network of their own. */

import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { BuiltinCheck } from "../config/builtin_check.ts";
import { startCheck } from "./builtin_checks.ts";

const PAGE = "all is well" + " ".repeat(3000);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request): Response | Promise<Response> {
    switch (new URL(request.url).pathname) {
      case "/":
        return new Response(PAGE);
      case "/moved":
        return Response.redirect("/", 302);
      case "/hangs":
        return new Promise(() => {});
      case "/endless":
        return new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(65_536)),
          }),
        );
      default:
        return new Response("no", { status: 503 });
    }
  },
});
const port = server.port!;
const url = (path: string): string => `http://127.0.0.1:${port}${path}`;

async function why(check: BuiltinCheck): Promise<string | undefined> {
  const { status, why } = await startCheck(check).ended;
  expect(status).toBe(why === undefined ? 0 : 1);
  return why;
}

test("a port", async () => {
  expect(await why({ kind: "tcp", host: "127.0.0.1", port })).toBeUndefined();
  expect(await why({ kind: "tcp", host: "localhost", port })).toBeUndefined();
  expect(await why({ kind: "tcp", host: "127.0.0.1", port: 1 })).toBe("the connection is refused");
});

test("a name that nobody has", async () => {
  const host = "nowhere.invalid";
  const reasons = ["the name is not known", "the name server does not answer"];
  expect(reasons).toContain((await why({ kind: "tcp", host, port: 80 }))!);
  expect(reasons).toContain((await why({ kind: "ping", host }))!);
  expect(reasons).toContain((await why({ kind: "http", url: `http://${host}/` }))!);
});

for (
  const [path, rest, expected] of [
    ["/", {}, undefined],
    ["/", { status: 200 }, undefined],
    ["/", { contains: "is well" }, undefined],
    ["/", { contains: "is bad" }, "the page does not contain is bad"],
    ["/", { status: 204 }, "status 200, not 204"],
    ["/other", {}, "status 503, not 200 to 299"],
    ["/other", { status: 503, contains: "no" }, undefined],
    ["/moved", {}, "status 302, not 200 to 299"],
    ["/moved", { status: 302 }, undefined],
    ["/endless", { contains: "x" }, "the page does not contain x"],
  ] as const
) {
  test(`the page ${path} ${JSON.stringify(rest)}: ${expected ?? "good"}`, async () => {
    expect(await why({ kind: "http", url: url(path), ...rest })).toBe(expected);
  });
}

test("a server that is not there", async () => {
  expect(await why({ kind: "http", url: "http://127.0.0.1:1/" })).toBe("the connection is refused");
});

test("what takes too long is ended", async () => {
  const run = startCheck({ kind: "http", url: url("/hangs") });
  run.kill("SIGTERM");
  expect((await run.ended).status).toBe(1);
});

test("nothing is left open", async () => {
  const open = (): number => readdirSync("/proc/self/fd").length;
  const all = (): Promise<unknown> =>
    Promise.all([
      why({ kind: "http", url: url("/other") }),
      why({ kind: "tcp", host: "127.0.0.1", port }),
      why({ kind: "tcp", host: "127.0.0.1", port: 1 }),
    ]);
  await all();
  await Bun.sleep(50);
  const before = open();
  for (let i = 0; i < 30; i++) await all();
  await Bun.sleep(50);
  expect(open()).toBeLessThan(before + 10);
});
