/**
 * The checkers role: a process that only ever runs the tight loop. It keeps IPVS's table as the virtual servers
 * and the health of their real servers want it, and leaves when the parent says so or is gone.
 */

import { INTERFACE_SIGNALS, SIG_IGN } from "../../ffi/constants.ts";
import { claimPidFile, removePidFile } from "../../ffi/pid_file.ts";
import { inNetworkNamespace, setDisposition } from "../../ffi/process.ts";
import { releaseStartPages } from "../../ffi/start_pages.ts";
import { monotonicUs } from "../../ffi/timer.ts";
import type { LogLevel } from "../lib/log.ts";
import { Conductor, ORDINARY } from "../conductor.ts";
import { baseName } from "../lib/path.ts";
import { type Alarm, Loop } from "../loop.ts";
import { openNftables } from "../nftables.ts";
import { RoleChannel } from "../parent/channel.ts";
import type { FromCheckers, ToCheckers } from "../parent/checkers_channel.ts";
import { Balancer } from "./balancer.ts";
import { Checking } from "./checking_perform.ts";
import { type BalancerGlobals, concernsKernel, type LvsChange } from "./changes.ts";
import type { Services } from "./checking.ts";
import { whole } from "./likeness.ts";
import type { Marking } from "./marking_perform.ts";
import { Mirror } from "./mirror_perform.ts";
import { NoIpvs, openIpvs } from "./perform.ts";

/** From the end of a configuration to when its garbage is collected. */
const SETTLE_US = 500_000;
/** How soon a channel that was full is tried again. */
const RETRY_US = 20_000;
/** Bytes that may wait before log lines are dropped: a line for each of many thousand servers. */
const LOG_LIMIT = 16 * 1024 * 1024;
/** keepalived's KEEPALIVED_EXIT_FATAL: starting again would not help. */
const EXIT_FATAL = 1;
/** sysexits.h EX_SOFTWARE: our own mistake, after which the parent starts the role again. */
const EX_SOFTWARE = 70;

const NO_SERVICES: Services = new Map();

type Channel = RoleChannel<ToCheckers, FromCheckers>;

/** Runs the role until its parent ends it; the exit status. `channel` is the descriptor of the channel. */
export async function runCheckersRole(channel: number): Promise<number> {
  for (const signal of INTERFACE_SIGNALS) setDisposition(signal, SIG_IGN);
  // The executable's start is interpreted; what thousands of servers take is worth compiling.
  Bun.unsafe.setJITPolicy(1);
  const parent: Channel = new RoleChannel(channel, LOG_LIMIT);
  try {
    const role = new CheckersRole(parent);
    await role.run();
    return role.status;
  } catch (error) {
    const stack = error instanceof Error ? error.stack ?? error.message : String(error);
    parent.outbox.push({ type: "crash", stack });
    parent.flush();
    return EX_SOFTWARE;
  }
}

class CheckersRole {
  readonly #loop = new Loop();
  readonly #parent: Channel;
  readonly #retry: Alarm = { dueAt: Infinity, heapIndex: -1, fire: () => {} };
  /** Gives back what only the start, or a reload, has needed. */
  readonly #settling: Alarm = {
    dueAt: Infinity,
    heapIndex: -1,
    fire: () => {
      Bun.gc(true);
      releaseStartPages();
    },
  };
  #balancer: Balancer | undefined;
  /** What was told before there was a balancer. */
  readonly #early: ((balancer: Balancer, mirror: Mirror) => void)[] = [];
  /** What was said of a configuration before there was something to balance. */
  #withheld: readonly LvsChange[] = [];
  readonly #checking: Checking;
  readonly #conductor: Conductor;
  /** What holds for all checks, when the configuration on its way says it anew. */
  #checkGlobals: BalancerGlobals | undefined;
  /** Only a part of a configuration is here yet. */
  #isPartial = false;
  /** The configuration changes something, and the checks are as they were. */
  #isUnchecked = false;
  /** A configuration was performed in this turn. */
  #configured = false;
  /** Orders whose end the parent wants to hear of. */
  #obeying: number | undefined;
  #pidFile: string | undefined;
  /** Undefined: our own. */
  #ipvsNamespace: string | undefined;
  /** What the process ends with. */
  status = 0;

  constructor(parent: Channel) {
    this.#parent = parent;
    const name = baseName(process.argv0);
    this.#conductor = new Conductor(name, ORDINARY, (level, text) => this.#log(level, text));
    this.#checking = new Checking({
      loop: this.#loop,
      services: () => this.#balancer?.servers ?? NO_SERVICES,
      say: (message) => this.#parent.outbox.push(message),
      hear: (service, finding) => this.#balancer?.hear(service, finding, this.#loop.now),
    });
  }

  async run(): Promise<void> {
    this.#loop.watch(this.#parent.fd, () => this.#readChannel());
    this.#loop.atTurnEnd((now) => this.#endTurn(now));
    await this.#loop.runWithGuest();
    this.#parent.flush();
    if (this.#pidFile !== undefined) removePidFile(this.#pidFile);
  }

  #readChannel(): void {
    // A parent that has not said farewell has crashed: whoever follows it finds the table as it is.
    if (!this.#parent.receive((message) => this.#obey(message))) this.#shutdown(true);
  }

  #obey(message: ToCheckers): void {
    switch (message.type) {
      case "configure":
        this.#configure(message);
        return;
      case "ipvs-namespace":
        this.#ipvsNamespace = message.path;
        return;
      case "conduct":
        this.#conductor.follow(message.conduct);
        return;
      case "instance":
        this.#tell((balancer) => balancer.hearInstance(message.instance, message.state));
        return;
      case "orders":
        this.#tell((balancer) => balancer.obey(message.orders, this.#loop.now));
        this.#obeying = message.id;
        return;
      case "leftovers":
        this.#tell((balancer) => balancer.adopt(message.services));
        return;
      case "timeouts":
        this.#early.push((_, mirror) => mirror.inheritTimeouts(message.before));
        return;
      case "tracked":
        this.#checking.hearTracked(message);
        return;
      case "program-end":
        this.#checking.hearProgram(message.id, message.end);
        return;
      case "pid-file":
        this.#claim(message.path);
        return;
      case "settle":
        // The turn that performs a configuration may only now come to its end.
        this.#loop.schedule(this.#settling, monotonicUs() + SETTLE_US);
        return;
      case "shutdown":
        this.#shutdown(message.keepServices);
        return;
    }
  }

  #configure(message: Extract<ToCheckers, { type: "configure" }>): void {
    const { isPart } = message;
    const changes = whole(message.changes);
    if (this.#balancer === undefined && !concernsKernel(changes)) {
      // Nothing to balance so far, by --all: who has no IPVS shall not need it. What holds for all is kept.
      this.#withheld = changes.length > 0 ? changes : this.#withheld;
      this.#configured = !isPart;
      return;
    }
    if (!this.#isPartial) {
      this.#log("info", `${this.#balancer === undefined ? "I" : "Rei"}nitializing ipvs`);
    }
    const all = [...this.#withheld, ...changes];
    this.#withheld = [];
    this.#balancer ??= this.#open();
    if (this.#balancer === undefined) return;
    this.#balancer.configure(all);
    this.#isUnchecked ||= all.length > 0;
    const globals = all.find((change) => change.type === "globals");
    this.#checkGlobals = globals?.globals ?? this.#checkGlobals;
    this.#isPartial = isPart;
    this.#configured = !isPart;
  }

  /** Tells the balancer, as soon as there is one. */
  #tell(say: (balancer: Balancer) => void): void {
    if (this.#balancer === undefined) this.#early.push(say);
    else say(this.#balancer);
  }

  /** The kernel's load balancer; without one this is the end of the daemon. */
  #open(): Balancer | undefined {
    try {
      const mirror = new Mirror(
        openIpvs(this.#ipvsNamespace),
        (level, text) => this.#log(level, text),
        (before) => {
          this.#parent.outbox.push({ type: "timeouts", before });
          // Not later than they are set.
          this.#parent.flush();
        },
      );
      const balancer = new Balancer({
        loop: this.#loop,
        mirror,
        openMarking: () => this.#openMarking(),
        say: (message) => this.#parent.outbox.push(message),
      });
      for (const tell of this.#early.splice(0)) tell(balancer, mirror);
      return balancer;
    } catch (error) {
      if (!(error instanceof NoIpvs)) throw error;
      if (error.message !== "") this.#log("error", error.message);
      this.#log("error", "IPVS: Can't initialize ipvs: No such file or directory");
      this.status = EXIT_FATAL;
      this.#loop.stop();
      return undefined;
    }
  }

  #openMarking(): Marking {
    // Few mark anything.
    const { Marking } = require("./marking_perform.ts") as typeof import("./marking_perform.ts");
    const path = this.#ipvsNamespace;
    const open = path === undefined ? openNftables : () => inNetworkNamespace(path, openNftables);
    return new Marking(this.#loop, (level, text) => this.#log(level, text), open);
  }

  /** Has the checks run that the virtual servers ask for now. */
  #check(): void {
    this.#checking.configure(this.#checkGlobals);
    this.#checkGlobals = undefined;
    this.#isUnchecked = false;
  }

  #claim(path: string): void {
    if (this.#pidFile === path) return;
    try {
      if (claimPidFile(path, process.pid)) {
        this.#pidFile = path;
        return;
      }
      const text = `Healthcheck child process: pid file ${path} is held by another process`;
      this.#log("error", text);
    } catch (error) {
      this.#log("error", `Healthcheck child process: cannot write pidfile: ${String(error)}`);
    }
  }

  #shutdown(keepServices: boolean): void {
    this.#checking.stop();
    this.#balancer?.shutdown(keepServices);
    this.#balancer = undefined;
    this.#loop.stop();
  }

  #endTurn(now: number): void {
    this.#conductor.noteLateness(this.#loop.lateUs);
    // What checks know of a server counts before it is in the table. At the start there is nothing.
    if (this.#configured && this.#isUnchecked && this.#checking.isInformed) this.#check();
    if (!this.#isPartial) this.#performAll();
    if (this.#configured) {
      this.#configured = false;
      if (this.#isUnchecked) this.#check();
      this.#parent.outbox.push({ type: "configured" });
    }
    this.#loop.schedule(this.#retry, this.#parent.flush() ? Infinity : now + RETRY_US);
  }

  #performAll(): void {
    if (this.#balancer === undefined) return;
    this.#balancer.flush();
    if (this.#obeying === undefined) return;
    this.#parent.outbox.push({ type: "obeyed", id: this.#obeying });
    this.#obeying = undefined;
  }

  #log(level: LogLevel, text: string): void {
    this.#parent.outbox.push({ type: "log", level, text });
  }
}
