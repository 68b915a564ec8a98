/**
 * Checks that are run over real sockets, in the loop of the test: it turns whenever the test waits, so that
 * servers of the test, which live in the runtime's loop, get their turns in between.
 */

import type { Check, CheckConnection, CheckTiming, MiscCheck, Url } from "../../src/config/lvs.ts";
import type { ProgramEnd } from "../../src/lvs/check/misc.ts";
import { Probes } from "../../src/lvs/probe_perform.ts";
import type { CheckResult, PlannedCheck } from "../../src/lvs/probes.ts";
import { Loop } from "../../src/loop.ts";

/** Times that a test can wait for. */
export const TIMING: CheckTiming = {
  retry: 0,
  delay_before_retry: 20_000,
  warmup: 0,
  delay_loop: 50_000,
  alpha: false,
  log_all_failures: true,
};

/** Where a check connects to on this machine. */
export function connection(port: number, rest: Partial<CheckConnection> = {}): CheckConnection {
  return {
    connect_ip: "127.0.0.1",
    connect_port: port,
    connect_timeout: 1_500_000,
    fwmark: 0,
    ...rest,
  };
}

/** A request without wishes. */
export function urlOf(rest: Partial<Url> = {}): Url {
  return {
    path: "/",
    status_code: [{ from: 200, to: 299 }],
    regex_no_match: false,
    regex_options: [],
    regex_min_offset: 0,
    method: "GET",
    header: [],
    tls_compliant: false,
    ...rest,
  };
}

/** Programs, as the parent runs them: by their first word, how they end. */
export type Programs = Readonly<Record<string, () => ProgramEnd>>;

/** A prober and what it has said. */
export class Prober {
  readonly loop = new Loop();
  readonly probes: Probes;
  readonly results: CheckResult[] = [];
  readonly lines: string[] = [];
  /** Programs that were begun and those that were ended. */
  readonly programs: { id: number; check: MiscCheck }[] = [];
  readonly stopped: number[] = [];

  constructor() {
    this.probes = new Probes(this.loop, {
      report: (result) => this.results.push(result),
      log: (_level, text) => this.lines.push(text),
      runProgram: (id, check) => this.programs.push({ id, check }),
      stopProgram: (id) => this.stopped.push(id),
    });
  }

  /** Runs one check for a server each, by the servers' names; `rest` may be different for each. */
  apply(
    checks: Readonly<Record<string, Check>>,
    rest: Partial<PlannedCheck> | ((server: string) => Partial<PlannedCheck>) = {},
  ): void {
    this.probes.apply(
      Object.entries(checks).map(([realServer, check]) => ({
        service: "vs",
        server: realServer,
        virtualServer: "vs",
        realServer,
        index: 0,
        check,
        serverWeight: 1,
        isUp: !("alpha" in check && check.alpha),
        isSuspended: false,
        ...(typeof rest === "function" ? rest(realServer) : rest),
      })),
    );
  }

  /** The last result for a server of {@link Prober.apply}. */
  last(server: string): CheckResult | undefined {
    return this.results.findLast((result) => result.server === server);
  }

  /** Lets the loop turn until `isSo`; rejects when that takes longer than `ms`. */
  async until(isSo: () => boolean, ms = 15_000): Promise<void> {
    const limit = performance.now() + ms;
    while (!isSo()) {
      if (performance.now() > limit) {
        const said = JSON.stringify([this.results, this.lines.slice(-40)], undefined, 1);
        throw new Error(`not in ${ms} ms; ${said}`);
      }
      await this.#turn();
    }
  }

  async #turn(): Promise<void> {
    this.loop.turn(0);
    await Bun.sleep(1);
  }

  [Symbol.dispose](): void {
    this.probes.stop();
  }
}
