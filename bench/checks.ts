/**
 * What health checks cost: CPU time a check and how late they start, with a thousand checks a second over
 * loopback. The checks run in a process that does nothing else, in the loop of the checkers role; another
 * process answers. keepalived's checks need IPVS, so that it can only be measured in a guest.
 */

import { monotonicUs } from "../ffi/timer.ts";
import type { Check } from "../src/config/lvs.ts";
import { Probes } from "../src/lvs/probe_perform.ts";
import type { PlannedCheck } from "../src/lvs/probes.ts";
import { type Alarm, Loop } from "../src/loop.ts";
import { certificate } from "../test/support/certificate.ts";
import { WaitingChild } from "../test/support/child.ts";
import { connection, TIMING, urlOf } from "../test/support/prober.ts";
import { parseArgs } from "node:util";
import { progress, run } from "./observe.ts";
import { Report } from "./report.ts";

const USAGE = `Usage: bun bench/checks.ts [--count N] [--seconds N] [--only KIND,KIND...] [--json]

CPU time a check and the latest start, for so many checks (default 1000) of one kind,
each every second, after a second of warming up. A KIND is tcp, http, ssl or udp.
`;

const KINDS = ["tcp", "http", "ssl", "udp"];
const SECOND_US = 1_000_000;
/** The first attempts are spread over a second, and code is compiled in another few. */
const WARM_UP_US = 5 * SECOND_US;

run(async () => {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "1000" },
      seconds: { type: "string", default: "20" },
      only: { type: "string", default: KINDS.join(",") },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const report = await Report.begin(
    "checks: CPU time a check, and how late they start",
    values.json,
  );
  for (const kind of values.only.split(",")) {
    progress(`${kind}: ${values.count} checks a second for ${values.seconds} s`);
    const cost = await measure(kind, Number(values.count), Number(values.seconds));
    report.add(`${kind}: CPU time a check`, "µs", "upkeep", cost.cpuUs);
    report.add(`${kind}: latest start`, "ms", "upkeep", cost.latenessUs / 1000);
    report.add(`${kind}: memory`, "MiB", "upkeep", cost.memoryBytes / 2 ** 20);
    if (cost.failed > 0) report.remark(`${kind}: ${cost.failed} of ${cost.attempts} checks failed`);
    report.print(`${kind}: ${cost.attempts} checks in ${values.seconds} s`);
  }
  await report.end();
});

/** What one kind of check costs. */
interface Cost {
  /** CPU time a check. */
  readonly cpuUs: number;
  readonly latenessUs: number;
  readonly attempts: number;
  readonly failed: number;
  /** Resident at the end. */
  readonly memoryBytes: number;
}

/** Answers on two ports, TCP and UDP, or TLS; prints them. */
const LISTENER = `
  const OK = "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\nhello";
  const plain = Bun.listen({ hostname: "127.0.0.1", port: 0,
    socket: { data: (socket) => void socket.end(OK) } });
  const [key, cert] = [process.env.KEY, process.env.CERT].map((path) => Bun.file(path));
  const tls = Bun.listen({ hostname: "127.0.0.1", port: 0, tls: { key, cert },
    socket: { data: (socket) => void socket.end(OK) } });
  const udp = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0,
    socket: { data: (socket, _bytes, port, address) => void socket.send("x", port, address) } });
  console.log(plain.port + " " + tls.port + " " + udp.port);`;

async function measure(kind: string, count: number, seconds: number): Promise<Cost> {
  using own = certificate("bench", 2);
  const files = `process.env.KEY = "${own.keyFile}"; process.env.CERT = "${own.certFile}";`;
  await using listener = await WaitingChild.start(`${files}${LISTENER}`);
  const [plain = 0, tls = 0, udp = 0] = listener.said.trim().split(" ").map(Number);
  const check = checkOf(kind, { plain, tls, udp });
  const loop = new Loop();
  let failed = 0;
  const probes = new Probes(loop, {
    report: ({ isUp }) => failed += isUp ? 0 : 1,
    log: () => {},
    runProgram: () => {},
    stopProgram: () => {},
  });
  const planned = Array.from({ length: count }, (_, i): PlannedCheck => ({
    service: "bench",
    server: `${i}`,
    index: 0,
    virtualServer: "bench",
    realServer: `${i}`,
    check,
    serverWeight: 1,
    isUp: true,
    isSuspended: false,
  }));
  const attempted = (): number =>
    planned.reduce((sum, one) => sum + probes.statusOf(one)!.attempts, 0);
  probes.apply(planned);
  let before = process.cpuUsage();
  let begun = 0;
  at(loop, WARM_UP_US, () => {
    before = process.cpuUsage();
    begun = attempted();
    failed = 0;
    probes.worstLatenessUs = 0;
  });
  at(loop, WARM_UP_US + seconds * SECOND_US, () => loop.stop());
  await loop.runWithGuest();
  const { user, system } = process.cpuUsage(before);
  const attempts = attempted() - begun;
  const latenessUs = probes.worstLatenessUs;
  probes.stop();
  const memoryBytes = process.memoryUsage().rss;
  return { cpuUs: (user + system) / attempts, latenessUs, attempts, failed, memoryBytes };
}

function at(loop: Loop, us: number, fire: () => void): void {
  const alarm: Alarm = { dueAt: Infinity, heapIndex: -1, fire };
  loop.schedule(alarm, monotonicUs() + us);
}

function checkOf(kind: string, ports: { plain: number; tls: number; udp: number }): Check {
  const timing = { ...TIMING, warmup: SECOND_US, delay_loop: SECOND_US, retry: 1 };
  const to = (port: number): ReturnType<typeof connection> =>
    connection(port, { connect_timeout: 5 * SECOND_US });
  const web = { ...timing, http_protocol: "1.0C", fast_recovery: false, url: [urlOf()] } as const;
  switch (kind) {
    case "tcp":
      return { type: "TCP_CHECK", ...timing, ...to(ports.plain) };
    case "http":
      return { type: "HTTP_GET", ...to(ports.plain), ...web };
    case "ssl":
      return {
        type: "SSL_GET",
        ...to(ports.tls),
        ...web,
        tls_verify: false,
        enable_sni: false,
        alpn: [],
      };
    case "udp":
      return {
        type: "UDP_CHECK",
        ...timing,
        ...to(ports.udp),
        require_reply: true,
        min_reply_length: 0,
        max_reply_length: 255,
      };
  }
  throw new Error(`there is no kind ${kind}; there are ${KINDS.join(", ")}`);
}
