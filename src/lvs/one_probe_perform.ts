/**
 * One check that is run: when it is due it is begun, what becomes of it is judged, what has changed is told to
 * all those it is run for.
 */

import { Connector } from "../../ffi/connection.ts";
import { IPPROTO_ICMP, IPPROTO_ICMPV6, SOCK_DGRAM, SOCK_STREAM } from "../../ffi/constants.ts";
import { monotonicUs } from "../../ffi/timer.ts";
import { linkIndex } from "../../ffi/udp.ts";
import type { Check, CheckTiming, MiscCheck } from "../config/lvs.ts";
import { parseAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Alarm, Loop } from "../loop.ts";
import { judgeSession } from "./check/bfd.ts";
import { factorOf, judgeFile } from "./check/file.ts";
import { type Health, type HealthNews, judge, newHealth } from "./check/health.ts";
import { judgeProgram, type ProgramEnd } from "./check/misc.ts";
import type { WebRequest } from "./check/http.ts";
import type { Verdict } from "./check/talk.ts";
import {
  type ConnectingCheck,
  isConnecting,
  requestsOf,
  stepsOf,
  talkOf,
  type TalkTools,
  tlsWish,
  type Transport,
  transportOf,
} from "./check/talks.ts";
import { allowPings } from "./ping_perform.ts";
import { linesAbout, mailAbout } from "./probe_log.ts";
import {
  type CheckResult,
  type CheckSubject,
  firstDelayUs,
  gridPoint,
  type PlannedCheck,
  type ProbePlan,
} from "./probes.ts";
import {
  type Attempt,
  type AttemptOwner,
  type Encryption,
  type Ground,
  SocketAttempt,
} from "./socket_perform.ts";
import type { TlsLine, TlsPort } from "./tls_perform.ts";

/** Who wants the checks to be run. */
export interface ProbesOwner {
  /** Takes what has changed. */
  report(result: CheckResult): void;
  log(level: LogLevel, text: string): void;
  /** Runs a program; {@link Probes.hearProgram} is to be told how it ended. */
  runProgram(id: number, check: MiscCheck): void;
  /** Ends a program, of which nobody wants to hear any more. */
  stopProgram(id: number): void;
}

/** What is known by one check. */
export interface CheckStatus extends CheckResult {
  /** It is no guess. */
  readonly isKnown: boolean;
  readonly attempts: number;
  readonly failures: number;
}

/** From one sign of life to the next a server has connect_timeout; in all so many of them, or a delay_loop. */
const TOTAL_STEPS = 4;

/** What a probe may ask for. */
export interface Surroundings {
  readonly loop: Loop;
  readonly ground: Ground;
  readonly owner: ProbesOwner;
  tls(): TlsPort | undefined;
  runProgram(probe: Probe, check: MiscCheck): number;
  forgetProgram(id: number): void;
  fileValue(name: string): number | undefined;
  sessionIsUp(name: string): boolean | undefined;
  isLate(us: number): void;
}

const TOOLS: TalkTools = {
  md5: () => new Bun.CryptoHasher("md5"),
  random16: () => Math.floor(Math.random() * 65_536),
};

/** A check that is run, for whoever wants its result. */
export class Probe implements Alarm, AttemptOwner {
  dueAt = Infinity;
  heapIndex = -1;
  plan: ProbePlan;
  readonly #around: Surroundings;
  /** Of each step, as far as its kind of check has them. */
  readonly #requests: readonly WebRequest[];
  /** Of each step that has been taken over TLS. */
  #tlsLines: TlsLine[] | undefined;
  #health: Health;
  #attempt: Attempt | undefined;
  #program = 0;
  /** When the next attempt is to begin; Infinity while there is one, or none is wanted. */
  #nextAt = Infinity;
  #startedAt = 0;
  #why = "";
  #latencyUs = 0;
  #changedAt = 0;
  #weight: number | undefined;
  #attempts = 0;
  #failures = 0;

  constructor(plan: ProbePlan, isUp: boolean, around: Surroundings) {
    this.plan = plan;
    this.#around = around;
    this.#health = newHealth(isUp);
    this.#requests = isConnecting(this.check) ? requestsOf(this.check) : [];
    this.#changedAt = around.loop.now;
  }

  get check(): Check {
    return this.plan[0].check;
  }

  get isUp(): boolean {
    return this.#health.isUp;
  }

  /** Begins, as the `index`-th of `count` that begin together. */
  start(index: number, count: number): void {
    const { check } = this;
    if (check.type === "FILE_CHECK") {
      const value = this.#around.fileValue(check.track_file);
      if (value !== undefined) this.hearFile(check.track_file, value);
    } else if (check.type === "BFD_CHECK") {
      const isUp = this.#around.sessionIsUp(check.name);
      if (isUp !== undefined) this.hearSession(check.name, isUp);
    } else {
      const at = this.#around.loop.now + firstDelayUs(check.warmup, index, count);
      this.#nextAt = gridPoint(at, check.delay_loop);
      this.resume();
    }
  }

  /** Goes on, or holds still, as those it is run for want it. */
  resume(): void {
    const { loop } = this.#around;
    if (this.#isSuspended) {
      this.#drop();
      loop.schedule(this, Infinity);
    } else if (this.#attempt === undefined && this.#program === 0 && this.#nextAt !== Infinity) {
      this.#nextAt = Math.max(this.#nextAt, loop.now);
      loop.schedule(this, this.#nextAt);
    }
  }

  get #isSuspended(): boolean {
    return this.plan.every(({ isSuspended }) => isSuspended);
  }

  stop(): void {
    this.#drop();
    this.#nextAt = Infinity;
    this.#around.loop.schedule(this, Infinity);
  }

  /** Ends an attempt that is under way; the next is due at once. */
  #drop(): void {
    if (this.#attempt === undefined && this.#program === 0) return;
    this.#attempt?.abandon();
    this.#attempt = undefined;
    if (this.#program !== 0) {
      this.#around.owner.stopProgram(this.#program);
      this.#around.forgetProgram(this.#program);
    }
    this.#program = 0;
    this.#nextAt = this.#around.loop.now;
  }

  /** The moment has come for an attempt, or for one that is under way. */
  fire(now: number): void {
    if (this.#attempt !== undefined) {
      this.#attempt.onTime(now);
      return;
    }
    const at = monotonicUs();
    this.#around.isLate(at - this.#nextAt);
    this.#startedAt = at;
    this.#nextAt = Infinity;
    this.#attempts++;
    if (this.check.type === "MISC_CHECK") {
      this.#program = this.#around.runProgram(this, this.check);
    } else if (isConnecting(this.check)) this.#connect(this.check);
  }

  #connect(check: ConnectingCheck): void {
    const { loop, ground, owner } = this.#around;
    const transport = transportOf(check);
    const { connect_timeout: stepUs, delay_loop } = check;
    const { step } = this.#health;
    let encryption: Encryption | undefined;
    if (transport === "tls") {
      const port = this.#around.tls();
      if (port === undefined) {
        // The first of all: it is there after a turn or two.
        this.#attempts--;
        this.#nextAt = loop.now + 1000;
        loop.schedule(this, this.#nextAt);
        return;
      }
      encryption = {
        port,
        line: (this.#tlsLines ??= [])[step] ??= port.line(
          wishOf(check, step),
          this.plan[0].ssl,
        ),
      };
    }
    if (transport === "ping") allowPings((text) => owner.log("warning", text));
    const totalUs = transport === "udp" || transport === "ping"
      ? stepUs
      : Math.max(TOTAL_STEPS * stepUs, delay_loop);
    const attempt = new SocketAttempt(
      ground,
      this,
      talkOf(check, step, this.#requests, TOOLS),
      transport,
      { stepUs, totalUs },
      encryption,
    );
    this.#attempt = attempt;
    attempt.begin(connectorOf(check, transport));
  }

  /** A program that was run for this has ended. */
  hearProgram(id: number, end: ProgramEnd): void {
    if (id !== this.#program || this.check.type !== "MISC_CHECK") return;
    this.#program = 0;
    this.conclude(judgeProgram(this.check, end, this.plan[0].serverWeight));
  }

  /** A file holds a number; perhaps it is this check's. */
  hearFile(name: string, value: number): void {
    const { check } = this;
    if (check.type !== "FILE_CHECK" || check.track_file !== name) return;
    const file = this.plan[0].file ?? { weight: 1, reverse: false };
    this.#take(judgeFile(factorOf(check, file), value), EVENTS);
  }

  /** A BFD session is up or not; perhaps it is this check's. */
  hearSession(name: string, isUp: boolean): void {
    if (this.check.type !== "BFD_CHECK" || this.check.name !== name) return;
    this.#take(judgeSession(isUp), EVENTS);
  }

  /** Its attempt wants to be told when that moment has come. */
  wake(at: number): void {
    this.#around.loop.schedule(this, at);
  }

  /** Its attempt, or its program, is over. */
  conclude(verdict: Verdict): void {
    const { loop } = this.#around;
    this.#attempt = undefined;
    // The clock was read when this turn began; an attempt may begin and end in one.
    this.#latencyUs = Math.max(0, loop.now - this.#startedAt);
    const timing = this.check as CheckTiming;
    const pauseUs = this.#take(verdict, timing);
    this.#nextAt = gridPoint(loop.now + pauseUs, timing.delay_loop);
    loop.schedule(this, this.#nextAt);
  }

  /** Judges a verdict and tells what has changed; how long to wait until the next attempt. */
  #take(
    verdict: Verdict,
    timing: Pick<CheckTiming, "retry" | "delay_before_retry" | "delay_loop">,
  ): number {
    const { check } = this;
    const before = this.#health;
    const { retry, delay_before_retry, delay_loop } = timing;
    const fast_recovery = "fast_recovery" in check && check.fast_recovery;
    const rules = { retry, delay_before_retry, delay_loop, steps: stepsOf(check), fast_recovery };
    const { health, pauseUs, news } = judge(rules, before, verdict.isGood);
    this.#health = health;
    if (!verdict.isGood) {
      this.#failures++;
      this.#why = verdict.why;
    }
    if (before.isUp !== health.isUp) this.#changedAt = this.#around.loop.now;
    const weight = verdict.isGood ? verdict.weight : undefined;
    const isReweighed = verdict.isGood && weight !== undefined && weight !== this.#weight;
    if (isReweighed) this.#weight = weight;
    const isQuiet = news === "fine" && (!verdict.isGood || verdict.note === undefined);
    if (!isQuiet) this.#say(before, news, verdict);
    if (isReweighed || news === "up" || news === "down") {
      // Under alpha the first word counts, even when it only says that the guess was right.
      const isChange = before.isUp !== health.isUp || (news === "down" && !before.isKnown);
      this.#report(isChange ? mailAbout(check, verdict) : undefined);
    }
    return pauseUs;
  }

  #say(before: Health, news: HealthNews, verdict: Verdict): void {
    const { plan } = this;
    const lines = linesAbout({
      check: this.check,
      realServer: plan[0].realServer,
      virtualServers: plan.map(({ virtualServer }) => virtualServer),
      before,
      news,
      verdict,
    });
    for (const line of lines) this.#around.owner.log("info", line);
  }

  #report(mail: string | undefined): void {
    const more = mail === undefined ? {} : { mail };
    for (const subscriber of this.plan) {
      if (subscriber.isSuspended) continue;
      this.#around.owner.report({ ...this.#resultFor(subscriber), ...more });
    }
  }

  /** Tells somebody who has joined what is known. */
  introduce(subscriber: PlannedCheck): void {
    const isNews = this.#health.isKnown || this.#weight !== undefined;
    if (isNews) this.#around.owner.report(this.#resultFor(subscriber));
  }

  #resultFor({ service, server, index }: CheckSubject): CheckResult {
    return {
      service,
      server,
      index,
      isUp: this.#health.isUp,
      why: this.#why,
      latencyUs: this.#latencyUs,
      changedAt: this.#changedAt,
      ...(this.#weight === undefined ? {} : { weight: this.#weight }),
    };
  }

  statusFor(subject: CheckSubject): CheckStatus {
    return {
      ...this.#resultFor(subject),
      isKnown: this.#health.isKnown,
      attempts: this.#attempts,
      failures: this.#failures,
    };
  }
}

/** What is heard of needs no schedule. */
const EVENTS = { retry: 0, delay_before_retry: 0, delay_loop: 0 } as const;

function wishOf(check: ConnectingCheck, step: number): ReturnType<typeof tlsWish> {
  return tlsWish(check as Parameters<typeof tlsWish>[0], step);
}

/** Made for each attempt: it costs a microsecond, and to keep thousands of them costs megabytes. */
function connectorOf(check: ConnectingCheck, transport: Transport): Connector {
  const { connect_ip, connect_port, bindto, bind_port, bind_if, fwmark } = check;
  const address = parseAddress(connect_ip)!;
  const isV4 = address.length === 4;
  const isStream = transport === "tcp" || transport === "tls";
  const hasSource = bindto !== undefined || bind_port !== undefined;
  const source = bindto === undefined ? new Uint8Array(isV4 ? 4 : 16) : parseAddress(bindto)!;
  return new Connector({
    type: isStream ? SOCK_STREAM : SOCK_DGRAM,
    protocol: transport === "ping" ? isV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6 : 0,
    address,
    port: transport === "ping" ? 0 : connect_port,
    scope: isV4 || bind_if === undefined ? 0 : linkIndex(bind_if),
    source: hasSource ? { address: source, port: bind_port ?? 0 } : undefined,
    device: bind_if,
    mark: fwmark,
  });
}
