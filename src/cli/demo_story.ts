/**
 * The demo's plot: start two routers, crash the MASTER, start it again, stop the MASTER; and the journal
 * of what was seen meanwhile.
 *
 * Every step waits for what it should cause, within a limit taken from the configuration's own timers;
 * a step without effect ends the story with a {@link DemoError}.
 */

import { rmSync } from "node:fs";
import { SIGKILL, SIGTERM } from "../../ffi/constants.ts";
import { sendSignal } from "../../ffi/process.ts";
import { monotonicUs } from "../../ffi/timer.ts";
import { type Child, Lab } from "./demo_lab.ts";
import { formatDuration, type Plan, type RouterName, type RouterPlan } from "./demo_plan.ts";
import {
  type MeasuredFailover,
  measureFailover,
  type Sighting,
  type Sightings,
  type TimelineEvent,
} from "./demo_timeline.ts";

/** The demo cannot go on; the message is for the user. */
export class DemoError extends Error {}

/** Between two steps, so that people can follow. */
const PAUSE_US = 1_000_000;
/** For processes to start and stop, beside the protocol's own timers. */
const PATIENCE_US = 5_000_000;
/** Events reach us by several pipes: waiting this long puts them in order. */
const ORDER_US = 50_000;
const LOG_LINES = 8;

/** What happened so far, and who waits for what. */
export class Journal {
  /** Every event, in the order of their moments once {@link Journal.close} was called. */
  readonly events: TimelineEvent[] = [];
  readonly sightings: Sightings = { answers: [], adverts: [] };
  readonly failovers: MeasuredFailover[] = [];
  readonly #startedAt = monotonicUs();
  readonly #print: (event: TimelineEvent) => void;
  #printed = 0;
  #wake: (() => void) | undefined;
  #failure: Error | undefined;
  #closed = false;

  /** `print` is called for each event soon after it happened, in order. */
  constructor(print: (event: TimelineEvent) => void) {
    this.#print = print;
  }

  /** Notes an event that happened at `at`, µs on the monotonic clock. */
  record(router: string, event: string, at = monotonicUs()): void {
    if (this.#closed) return;
    this.events.push({ atMs: (at - this.#startedAt) / 1000, router, event });
    this.#wake?.();
    setTimeout(() => this.#flush(monotonicUs() - ORDER_US), ORDER_US / 1000 + 1);
  }

  /** Notes what the client saw. */
  sight(sighting: Sighting): void {
    if (sighting.type === "answer") this.sightings.answers.push(sighting);
    else this.sightings.adverts.push(sighting);
    this.#wake?.();
  }

  /** Ends the story: whoever waits, now or later, gets this error. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Prints what is not printed yet; nothing is noted any more. */
  close(): void {
    this.#flush(Infinity);
    this.#closed = true;
  }

  /** Prints the events up to a moment. */
  #flush(upTo: number): void {
    // In one and the same moment, the client comes last: it sees what the routers do.
    const rank = ({ router }: TimelineEvent): number => router === "client" ? 1 : 0;
    this.events.sort((one, other) => one.atMs - other.atMs || rank(one) - rank(other));
    const limitMs = (upTo - this.#startedAt) / 1000;
    for (;;) {
      const next = this.events[this.#printed];
      if (next === undefined || next.atMs > limitMs) return;
      this.#printed++;
      this.#print(next);
    }
  }

  /** Waits until `ready` has an answer; throws DemoError saying `what` did not happen in time. */
  async until<T>(what: string, limitUs: number, ready: () => T | undefined): Promise<T> {
    const limitAt = monotonicUs() + limitUs;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const value = ready();
      if (value !== undefined) return value;
      const leftUs = limitAt - monotonicUs();
      if (leftUs <= 0) throw new DemoError(`${what} within ${formatDuration(limitUs)}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, Math.ceil(leftUs / 1000));
      await promise;
      clearTimeout(timer);
    }
  }

  /** Lets time pass, unless the story ends. */
  async pause(us: number): Promise<void> {
    const endsAt = monotonicUs() + us;
    await this.until("", us * 2, () => monotonicUs() >= endsAt || undefined);
  }
}

/** A router's daemon while it runs. */
interface Daemon {
  readonly child: Child;
  /** When its watched instance last became MASTER, or undefined while it is not. */
  masterAt: number | undefined;
  /** When that last became BACKUP, if it ever was. */
  backupAt: number | undefined;
  readonly startedAt: number;
  /** It was asked to end. */
  leaving: boolean;
}

/** The routers on their stage. */
export class Story {
  readonly #plan: Plan;
  readonly #journal: Journal;
  readonly #folder: string;
  readonly #files: Readonly<Record<RouterName, string>>;
  readonly #lab: Lab;
  readonly #daemons = new Map<RouterPlan, Daemon>();
  readonly #logs: Record<RouterName, string[]> = { A: [], B: [] };
  readonly #limitUs: number;

  /** Builds the stage; pid files go to `folder`, `files` are the configurations. Throws SysError. */
  constructor(
    plan: Plan,
    journal: Journal,
    folder: string,
    files: Readonly<Record<RouterName, string>>,
  ) {
    this.#plan = plan;
    this.#journal = journal;
    this.#folder = folder;
    this.#files = files;
    this.#lab = new Lab(plan);
    const delayUs = plan.preferred.instance.preempt_delay;
    this.#limitUs = PATIENCE_US + 2 * plan.activeDownIntervalUs + delayUs;
  }

  /** The last lines of both daemons' logs, each after its router's name. */
  get lastLines(): string[] {
    return Object.entries(this.#logs).flatMap(([name, log]) =>
      log.slice(-LOG_LINES).map((line) => `${name}: ${line}`)
    );
  }

  /** Plays everything once. Throws DemoError, or SysError when the kernel refuses. */
  async play(): Promise<void> {
    const { preferred, standby, vip } = this.#plan;
    const journal = this.#journal;
    const preempts = !preferred.instance.nopreempt &&
      preferred.instance.priority > standby.instance.priority;
    // One after the other: near-equal priorities would race, and without preemption nobody gives way.
    this.#lab.plugIn(preferred);
    this.#start(preferred, "starts");
    this.#startClient();
    await this.#untilMaster(preferred);
    const answered = await journal.until(
      `The client got no answer from ${vip}`,
      PATIENCE_US,
      () => journal.sightings.answers[0],
    );
    journal.record("client", `${vip} answers`, answered.at);
    this.#lab.plugIn(standby);
    this.#start(standby, "starts");
    await journal.until(
      `${standby.name} did not become BACKUP`,
      this.#limitUs,
      () => this.#daemons.get(standby)?.backupAt,
    );
    await journal.pause(PAUSE_US);

    await this.#failOver("crash", preferred, standby);
    await journal.pause(PAUSE_US);

    this.#lab.unplug(preferred);
    this.#lab.plugIn(preferred);
    this.#start(preferred, "starts again");
    if (preempts) await this.#untilMaster(preferred);
    else {
      journal.record(preferred.name, "will not preempt: nopreempt, or no higher priority");
      await journal.pause(this.#plan.activeDownIntervalUs);
    }
    await journal.pause(PAUSE_US);

    if (preempts) await this.#failOver("stop", preferred, standby);
    else await this.#failOver("stop", standby, preferred);
    await journal.pause(ORDER_US); // what has happened may still be on its way
  }

  /** Ends every process and waits for them: politely, then by force. */
  async close(): Promise<void> {
    const daemons = [...this.#daemons.values()];
    for (const daemon of daemons) {
      daemon.leaving = true;
      if (daemon.child.exitCode === null) daemon.child.kill(SIGTERM);
    }
    const ended = Promise.all(daemons.map(({ child }) => child.exited));
    await Promise.race([ended, Bun.sleep(1500)]);
    this.#lab.killAll();
    await ended;
  }

  /** Ends MASTERship of `old` in one way or the other, waits for `next`, and measures. */
  async #failOver(kind: "crash" | "stop", old: RouterPlan, next: RouterPlan): Promise<void> {
    const journal = this.#journal;
    const daemon = this.#daemons.get(old)!;
    const group = daemon.child.pid;
    daemon.leaving = true;
    const since = monotonicUs();
    if (kind === "crash") {
      sendSignal(-group, SIGKILL);
      this.#lab.cutOff(old);
      journal.record(old.name, "crashes: SIGKILL to all its processes, link dead", since);
    } else {
      sendSignal(group, SIGTERM);
      journal.record(old.name, "is stopped: SIGTERM", since);
    }
    await this.#untilMaster(next);
    const masterAt = this.#daemons.get(next)!.masterAt!;
    await journal.until(
      `The client got no answer from ${next.name}`,
      this.#limitUs,
      () => journal.sightings.answers.find(({ at }) => at > Math.max(masterAt, since)),
    );
    const failover = measureFailover(kind, since, journal.sightings);
    const { tookMs, pingsLost, answeredAt } = failover;
    const text = pingsLost === 0
      ? "VIP never stopped answering, no ping lost"
      : `VIP answers again after ${formatDuration(tookMs * 1000)}, ${pingsLost} pings lost`;
    journal.record("client", text, answeredAt);
    journal.failovers.push(failover);
    await journal.until(
      `${old.name} did not end`,
      PATIENCE_US,
      () => daemon.child.exitCode ?? daemon.child.signalCode ?? undefined,
    );
  }

  async #untilMaster(router: RouterPlan): Promise<void> {
    const daemon = this.#daemons.get(router)!;
    await this.#journal.until(
      `${router.name} did not become MASTER`,
      this.#limitUs,
      () => daemon.masterAt,
    );
  }

  #start(router: RouterPlan, verb: string): void {
    const { name, instance } = router;
    const pidFile = (what: string): string => {
      const path = `${this.#folder}/${name}.${what}.pid`;
      rmSync(path, { force: true }); // a machine that starts has an empty /run
      return path;
    };
    // deno-fmt-ignore
    const options = [
      "-n", "-l", "-G", "-D", "-f", this.#files[name],
      "-p", pidFile("parent"), "-r", pidFile("vrrp"), "-c", pidFile("checkers"), "-b", pidFile("bfd"),
    ];
    const child = this.#lab.startDaemon(router, options);
    const daemon: Daemon = {
      child,
      masterAt: undefined,
      backupAt: undefined,
      startedAt: monotonicUs(),
      leaving: false,
    };
    this.#daemons.set(router, daemon);
    this.#journal.record(name, `${verb}, priority ${instance.priority}`);
    const onLine = (line: string): void => this.#readLog(router, daemon, line);
    readLines(child.stdout, onLine);
    readLines(child.stderr, onLine);
    child.exited.then((status) => {
      if (daemon.leaving) return;
      this.#journal.fail(new DemoError(`The daemon of ${name} ended with status ${status}`));
    });
  }

  #readLog(router: RouterPlan, daemon: Daemon, line: string): void {
    this.#logs[router.name].push(line);
    const [, instance, event, state] =
      /\((.+?)\) (Entering (\w+) STATE|sent 0 priority)/.exec(line) ?? [];
    if (event === undefined) return;
    const at = monotonicUs();
    if (instance !== router.instance.name) {
      this.#journal.record(router.name, `(${instance}) ${event}`, at);
    } else if (state === "MASTER") {
      daemon.masterAt = at;
      const since = daemon.backupAt ?? daemon.startedAt;
      // A log line comes through several processes; its first advert, once here, tells the moment.
      setTimeout(() => {
        const first = this.#journal.sightings.adverts.find((advert) =>
          advert.at > since && advert.source === router.links[0]?.addresses[0]
        );
        this.#journal.record(router.name, event, Math.min(at, first?.at ?? at));
      }, ORDER_US / 4000);
    } else {
      this.#journal.record(router.name, event, at);
      if (state === undefined) return;
      daemon.masterAt = undefined;
      if (state === "BACKUP") daemon.backupAt = at;
    }
  }

  #startClient(): void {
    // Twenty pings per advert, between 1 000 and 50 a second.
    const everyUs = this.#plan.preferred.instance.advert_int / 20;
    const child = this.#lab.startClient(Math.min(20_000, Math.max(1000, everyUs)));
    readLines(child.stdout, (line) => this.#journal.sight(JSON.parse(line) as Sighting));
    let complaint = "";
    readLines(child.stderr, (line) => complaint ||= line);
    child.exited.then((status) => {
      const why = complaint === "" ? `with status ${status}` : complaint;
      this.#journal.fail(new DemoError(`The client ended: ${why}`));
    });
  }
}

/** Calls `onLine` for each line of a stream, without its end. Ends with the stream. */
async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
}
