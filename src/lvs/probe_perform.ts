/**
 * Running the checks: when one is due it is begun, what becomes of it is judged, and what has changed is
 * reported. All of it happens in one loop; nothing waits. Programs are run by the parent, files and BFD
 * sessions are heard of from there.
 */

import { Memory } from "../../ffi/memory.ts";
import type { MiscCheck } from "../config/lvs.ts";
import type { Loop } from "../loop.ts";
import type { ProgramEnd } from "./check/misc.ts";
import {
  type CheckStatus,
  Probe,
  type ProbesOwner,
  type Surroundings,
} from "./one_probe_perform.ts";
import {
  type CheckSubject,
  isSameProbe,
  type PlannedCheck,
  planProbes,
  type ProbePlan,
  subjectOf,
} from "./probes.ts";
import type { TlsPort } from "./tls_perform.ts";

const BUFFER_BYTES = 64 * 1024;
/** All checks that are run. */
export class Probes {
  readonly #loop: Loop;
  readonly #owner: ProbesOwner;
  readonly #around: Surroundings;
  /** By real server. */
  #probes = new Map<string, Probe[]>();
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
    this.#around = {
      loop,
      ground: { loop, buffer: new Memory(BUFFER_BYTES) },
      owner,
      tls: () => this.#loadTls(),
      runProgram: (probe, check) => this.#runProgram(probe, check),
      forgetProgram: (id) => this.#programs.delete(id),
      fileValue: (name) => this.#files.get(name),
      sessionIsUp: (name) => this.#sessions.get(name),
      isLate: (us) => this.worstLatenessUs = Math.max(this.worstLatenessUs, us),
    };
  }

  /**
   * From now on these checks are run; one that is the same as before goes on as it is. What is known of a server
   * by a check that has changed is what its new self begins with.
   */
  apply(checks: readonly PlannedCheck[]): void {
    const former = this.#probes;
    const { before, asleep } = subscribersOf(this.#all());
    const fresh: Probe[] = [];
    const awake: [Probe, PlannedCheck][] = [];
    this.#probes = new Map();
    this.#tls?.refresh();
    for (const [server, plans] of planProbes(checks)) {
      const candidates = former.get(server);
      const probes = plans.map((plan) => {
        const known = candidates?.find(({ plan: [first] }) => isSameProbe(first, plan[0]));
        const probe = known ?? this.#begin(plan, before);
        if (known === undefined) fresh.push(probe);
        else probe.plan = plan;
        for (const subscriber of plan) {
          const subject = subjectOf(subscriber);
          const isNew = before.get(subject) !== probe;
          if (isNew) this.#sayActive(subscriber);
          const isWoken = asleep.has(subject) && !subscriber.isSuspended;
          if (known !== undefined && (isNew || isWoken)) awake.push([probe, subscriber]);
        }
        return probe;
      });
      this.#probes.set(server, probes);
    }
    const kept = new Set(this.#all());
    for (const probes of former.values()) {
      for (const probe of probes) if (!kept.has(probe)) probe.stop();
    }
    for (const probe of kept) probe.resume();
    for (const [probe, subscriber] of awake) probe.introduce(subscriber);
    fresh.forEach((probe, i) => probe.start(i, fresh.length));
  }

  *#all(): Iterable<Probe> {
    for (const probes of this.#probes.values()) yield* probes;
  }

  /** Runs nothing any more. */
  stop(): void {
    this.apply([]);
  }

  /** What is known by a check; undefined when there is none. */
  statusOf(subject: CheckSubject): CheckStatus | undefined {
    const isMeant = ({ service, index }: CheckSubject): boolean =>
      service === subject.service && index === subject.index;
    const probe = this.#probes.get(subject.server)?.find(({ plan }) => plan.some(isMeant));
    return probe?.statusFor(subject);
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
    for (const probe of this.#all()) probe.hearFile(name, value);
  }

  /** A BFD session is up, or is not. */
  hearSession(name: string, isUp: boolean): void {
    this.#sessions.set(name, isUp);
    for (const probe of this.#all()) probe.hearSession(name, isUp);
  }

  #sayActive({ realServer, virtualServer }: PlannedCheck): void {
    const text = `Activating healthchecker for service ${realServer} for VS ${virtualServer}`;
    this.#owner.log("info", text);
  }

  #begin(plan: ProbePlan, before: ReadonlyMap<string, Probe>): Probe {
    const [{ check, isUp }] = plan;
    const ancestor = plan.map((subscriber) => before.get(subjectOf(subscriber)))
      .find((probe) => probe?.check.type === check.type);
    return new Probe(plan, ancestor?.isUp ?? isUp, this.#around);
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

/** By subject what runs now, and the subjects that do not want to be told for the time being. */
function subscribersOf(probes: Iterable<Probe>): {
  readonly before: ReadonlyMap<string, Probe>;
  readonly asleep: ReadonlySet<string>;
} {
  const before = new Map<string, Probe>();
  const asleep = new Set<string>();
  for (const probe of probes) {
    for (const one of probe.plan) {
      const subject = subjectOf(one);
      before.set(subject, probe);
      if (one.isSuspended) asleep.add(subject);
    }
  }
  return { before, asleep };
}
