/**
 * Running the checks: when one is due it is begun, what becomes of it is judged, and what has changed is
 * reported. All of it happens in one loop; nothing waits. Programs are run by the parent, files and BFD
 * sessions are heard of from there.
 */

import { Memory } from "../../ffi/memory.ts";
import type { MiscCheck } from "../config/lvs.ts";
import type { Loop } from "../loop.ts";
import type { ProgramEnd } from "./check/misc.ts";
import { type CheckStatus, Probe, type ProbesOwner } from "./one_probe_perform.ts";
import {
  type CheckSubject,
  type PlannedCheck,
  planProbes,
  type ProbePlan,
  subjectOf,
} from "./probes.ts";
import type { Ground } from "./socket_perform.ts";
import type { TlsPort } from "./tls_perform.ts";

const BUFFER_BYTES = 64 * 1024;
/** All checks that are run. */
export class Probes {
  readonly #loop: Loop;
  readonly #owner: ProbesOwner;
  readonly #ground: Ground;
  readonly #probes = new Map<string, Probe>();
  /** By what they are run for. */
  readonly #subjects = new Map<string, Probe>();
  readonly #programs = new Map<number, Probe>();
  readonly #files = new Map<string, number>();
  readonly #sessions = new Map<string, boolean>();
  #tls: TlsPort | undefined;
  #isLoading = false;
  #programCount = 0;
  /** How late the latest start of an attempt was since this was last set to 0. */
  worstLatenessUs = 0;

  constructor(loop: Loop, owner: ProbesOwner) {
    this.#loop = loop;
    this.#owner = owner;
    this.#ground = { loop, buffer: new Memory(BUFFER_BYTES) };
  }

  /**
   * From now on these checks are run; one that is the same as before goes on as it is. What is known of a server
   * by a check that has changed is what its new self begins with.
   */
  apply(checks: readonly PlannedCheck[]): void {
    const wanted = planProbes(checks);
    const before = new Map(this.#subjects);
    const asleep = new Set(
      [...before].filter(([key, probe]) => probe.sleepsFor(key)).map(([key]) => key),
    );
    const fresh: Probe[] = [];
    const awake: PlannedCheck[] = [];
    this.#subjects.clear();
    this.#tls?.refresh();
    for (const plan of wanted.values()) {
      const known = this.#probes.get(plan.key);
      const probe = known ?? this.#begin(plan, before);
      if (known === undefined) fresh.push(probe);
      for (const subscriber of plan.subscribers) {
        const subject = subjectOf(subscriber);
        this.#subjects.set(subject, probe);
        const { realServer, virtualServer, isSuspended } = subscriber;
        const isNew = before.get(subject) !== probe;
        if (isNew) {
          this.#log(`Activating healthchecker for service ${realServer} for VS ${virtualServer}`);
        }
        const isToBeTold = isNew || (asleep.has(subject) && !isSuspended);
        if (known !== undefined && isToBeTold) awake.push(subscriber);
      }
      probe.plan = plan;
    }
    for (const [key, probe] of this.#probes) {
      if (wanted.has(key)) continue;
      probe.stop();
      this.#probes.delete(key);
    }
    for (const probe of this.#probes.values()) probe.resume();
    for (const subscriber of awake) {
      this.#subjects.get(subjectOf(subscriber))?.introduce(subscriber);
    }
    fresh.forEach((probe, i) => probe.start(i, fresh.length));
  }

  /** Runs nothing any more. */
  stop(): void {
    this.apply([]);
  }

  /** What is known by a check; undefined when there is none. */
  statusOf(subject: CheckSubject): CheckStatus | undefined {
    return this.#subjects.get(subjectOf(subject))?.statusFor(subject);
  }

  /** A program has ended. */
  hearProgram(id: number, end: ProgramEnd): void {
    const probe = this.#programs.get(id);
    this.#programs.delete(id);
    probe?.hearProgram(id, end);
  }

  /** A track_file holds a number. */
  hearFile(name: string, value: number): void {
    this.#files.set(name, value);
    for (const probe of this.#probes.values()) probe.hearFile(name, value);
  }

  /** A BFD session is up, or is not. */
  hearSession(name: string, isUp: boolean): void {
    this.#sessions.set(name, isUp);
    for (const probe of this.#probes.values()) probe.hearSession(name, isUp);
  }

  #log(text: string): void {
    this.#owner.log("info", text);
  }

  #begin(plan: ProbePlan, before: ReadonlyMap<string, Probe>): Probe {
    const { check } = plan.sample;
    const ancestor = plan.subscribers
      .map((subscriber) => before.get(subjectOf(subscriber)))
      .find((probe) => probe?.check.type === check.type);
    const isUp = ancestor?.isUp ?? !("alpha" in check && check.alpha);
    const probe = new Probe(plan, isUp, {
      loop: this.#loop,
      ground: this.#ground,
      owner: this.#owner,
      tls: () => this.#loadTls(),
      runProgram: (one, misc) => this.#runProgram(one, misc),
      forgetProgram: (id) => this.#programs.delete(id),
      fileValue: (name) => this.#files.get(name),
      sessionIsUp: (name) => this.#sessions.get(name),
      isLate: (us) => this.worstLatenessUs = Math.max(this.worstLatenessUs, us),
    });
    this.#probes.set(plan.key, probe);
    return probe;
  }

  #runProgram(probe: Probe, check: MiscCheck): number {
    const id = ++this.#programCount;
    this.#programs.set(id, probe);
    this.#owner.runProgram(id, check);
    return id;
  }

  /** The runtime's TLS, once it is there; it is fetched when it is first asked for. */
  #loadTls(): TlsPort | undefined {
    if (this.#tls === undefined && !this.#isLoading) {
      this.#isLoading = true;
      const waiting = this.#loop;
      const guest = { hasWork: true, work: (): Promise<void> => load };
      const load = import("./tls_perform.ts").then(({ TlsPort: Port }) => {
        this.#tls = new Port(waiting);
      });
      waiting.invite(guest);
    }
    return this.#tls;
  }
}
