/**
 * The BFD sessions of this host at run time: the machine of bfd.ts, its sockets and its deadline for each
 * of them. A session whose output socket cannot be opened is tried again every minute.
 *
 * A session that is Up hears and says the same packet a hundred times a second. The packet lies where it is
 * sent from and is written anew only when the machine has new variables.
 */

import type { SysError } from "../../ffi/libc.ts";
import type { BfdInstance } from "../config/bfd.ts";
import { compareAddress, familyOf, formatAddress } from "../lib/address.ts";
import type { LogLevel } from "../lib/log.ts";
import type { Alarm, Loop } from "../loop.ts";
import { blankControl, decodeControl, encodeControl } from "../wire/bfd.ts";
import {
  type Action,
  controlPacket,
  deadline,
  type Event,
  initialState,
  type Session,
  type State,
  step,
  type Variables,
} from "./bfd.ts";
import {
  BfdReceiver,
  BfdSender,
  type End,
  endOf,
  openReceiver,
  openSender,
} from "./bfd_perform.ts";
import {
  actionLine,
  agreementLine,
  type BfdChange,
  type BfdCounters,
  type Discard,
  discardText,
  type Line,
  lowestTtl,
  sessionOf,
} from "./bfd_sessions.ts";

/** How long a socket that could not be opened waits for its next try. */
const RETRY_US = 60_000_000;
/** The same complaint is logged once in this time. */
const COMPLAINT_US = 10_000_000;

/** A session with its sockets; its own deadline in the loop. */
interface Running extends Alarm {
  readonly key: string;
  instance: BfdInstance;
  session: Session;
  state: State;
  readonly neighbor: End;
  readonly source: End | undefined;
  leastTtl: number;
  sender: BfdSender | undefined;
  receiver: BfdReceiver | undefined;
  /** What the sender's packet was made from. */
  encoded: Variables | undefined;
  /** Whether that is an answer to a Poll. */
  isAnswer: boolean;
  /** What was last signalled. */
  isUp: boolean;
  /** It was removed and only says so. */
  isEnding: boolean;
  readonly counters: BfdCounters;
}

/** What the speaker needs from its surroundings. */
export interface Surroundings {
  readonly loop: Loop;
  /** A line for the log; `detail` lines are for -D only. */
  readonly log: (level: LogLevel, text: string, detail: boolean) => void;
  /** A session went Up, or went Down although its peer did not want it to. */
  readonly onEvent: (instance: BfdInstance, isUp: boolean) => void;
  /** At least 0 and below 1, another each time. */
  readonly random: () => number;
}

/** The BFD sessions of one process. */
export class BfdSpeaker {
  readonly #around: Surroundings;
  readonly #running = new Map<string, Running>();
  readonly #byDiscriminator = new Map<number, Running>();
  readonly #receivers: BfdReceiver[] = [];
  readonly #ports = new Set<number>();
  /** When a complaint was last logged, by what it is about. */
  readonly #complainedAt = new Map<string, number>();
  /** What a packet is decoded into, and the events of every day: filled anew each time. */
  readonly #packet = blankControl();
  readonly #heard = { type: "packet" as const, roll: 0, packet: this.#packet };
  readonly #timer = { type: "timer" as const, roll: 0 };

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Performs one change of the configuration. */
  configure(change: BfdChange, now: number): void {
    const running = this.#running.get(change.key);
    switch (change.type) {
      case "add":
        // The farewell of a predecessor ends where a new session begins.
        if (running !== undefined) this.#close(running);
        this.#add(change.key, change.instance, now);
        return;
      case "change":
        if (running !== undefined) this.#change(running, change.instance, now);
        return;
      case "remove":
        if (running === undefined) return;
        running.isEnding = true;
        if (running.sender === undefined) this.#close(running);
        else this.#dispatch(running, { type: "disable", roll: this.#around.random() }, now);
        return;
    }
  }

  /** Every session tells its peer AdminDown, once, and its sockets are closed. */
  shutdown(now: number): void {
    for (const running of [...this.#running.values()]) {
      if (running.sender !== undefined) {
        this.#dispatch(running, { type: "disable", roll: this.#around.random() }, now);
      }
      if (this.#running.get(running.key) === running) this.#close(running);
    }
  }

  /** Whether a session, by the name of its instance, was last signalled to be Up. */
  isUp(name: string): boolean {
    return this.#find(name)?.isUp ?? false;
  }

  /** How a session stands and what it has counted; undefined when there is none of that name. */
  look(name: string): { variables: Variables; counters: Readonly<BfdCounters> } | undefined {
    const running = this.#find(name);
    return running && { variables: running.state.variables, counters: running.counters };
  }

  /**
   * These were Up in a process that died a moment ago. They count as that, which whoever is told of them knows,
   * until a neighbour that is there would have answered; those that are not Up by then are Down.
   */
  presume(names: readonly string[], now: number): void {
    for (const name of names) {
      const instance = this.#find(name)?.instance;
      if (instance === undefined) continue;
      const alarm: Alarm = {
        dueAt: Infinity,
        heapIndex: -1,
        fire: () => {
          const running = this.#find(name);
          if (running?.isUp === false) this.#around.onEvent(running.instance, false);
        },
      };
      this.#around.loop.schedule(alarm, now + instance.multiplier * instance.idle_tx);
    }
  }

  #find(name: string): Running | undefined {
    for (const running of this.#running.values()) {
      if (running.instance.name === name && !running.isEnding) return running;
    }
    return undefined;
  }

  // --- configuration ---

  #add(key: string, instance: BfdInstance, now: number): void {
    const session = sessionOf(instance);
    const { source_ip } = instance;
    const running: Running = {
      dueAt: Infinity,
      heapIndex: -1,
      key,
      instance,
      session,
      state: initialState(session, this.#freeDiscriminator()),
      neighbor: endOf(instance.neighbor_ip),
      source: source_ip === undefined ? undefined : endOf(source_ip),
      leastTtl: lowestTtl(instance),
      sender: undefined,
      receiver: undefined,
      encoded: undefined,
      isAnswer: false,
      isUp: false,
      isEnding: false,
      counters: { received: 0, sent: 0, refused: 0, discarded: 0 },
      fire: (at) => this.#fire(running, at),
    };
    this.#running.set(key, running);
    this.#byDiscriminator.set(running.state.variables.localDiscriminator, running);
    this.#open(running, now);
  }

  #change(running: Running, next: BfdInstance, now: number): void {
    const before = running.instance;
    running.instance = next;
    running.session = sessionOf(next);
    running.leastTtl = lowestTtl(next);
    running.encoded = undefined;
    const family = familyOf(running.neighbor.address);
    const refused = before.ttl === next.ttl ? undefined : running.sender?.setTtl(family, next.ttl);
    if (refused !== undefined) this.#around.log("error", refused.message, false);
    // Who tracks it by a new name has heard nothing yet.
    if (before.name !== next.name && running.isUp) this.#around.onEvent(next, true);
    if (running.sender !== undefined) this.#dispatch(running, this.#timerEvent(), now);
  }

  /** §6.8.1: a number of its own, not 0. */
  #freeDiscriminator(): number {
    for (;;) {
      const number = Math.floor(this.#around.random() * 2 ** 32);
      if (number !== 0 && !this.#byDiscriminator.has(number)) return number;
    }
  }

  #open(running: Running, now: number): void {
    const refused = this.#openReceiver(running) ?? this.#openSender(running);
    if (refused === undefined) {
      this.#dispatch(running, { type: "enable", roll: this.#around.random() }, now);
      return;
    }
    this.#leaveReceiver(running);
    const text = `(${running.instance.name}) Unable to open its sockets, next try in ` +
      `${RETRY_US / 1e6} s: ${refused.message}`;
    this.#around.log("error", text, false);
    this.#around.loop.schedule(running, now + RETRY_US);
  }

  #openReceiver(running: Running): SysError | undefined {
    const { neighbor: { address }, instance: { multihop } } = running;
    const family = familyOf(address);
    const isFor = (one: BfdReceiver): boolean => one.family === family && one.multihop === multihop;
    const receiver = this.#receivers.find(isFor) ?? openReceiver(family, multihop);
    if (!(receiver instanceof BfdReceiver)) return receiver;
    running.receiver = receiver;
    if (this.#receivers.includes(receiver)) return undefined;
    this.#receivers.push(receiver);
    const { loop } = this.#around;
    const onDatagram = (): void => this.#hear(receiver, loop.now);
    loop.watch(receiver.fd, (now) => {
      const broken = receiver.read(onDatagram);
      if (broken !== undefined && this.#mayComplain("receiving", now)) {
        this.#around.log("error", broken.message, false);
      }
    });
    return undefined;
  }

  #openSender(running: Running): SysError | undefined {
    const isTaken = (port: number): boolean => this.#ports.has(port);
    const sender = openSender(running.instance, this.#around.random(), isTaken);
    if (!(sender instanceof BfdSender)) return sender;
    running.sender = sender;
    this.#ports.add(sender.port);
    return undefined;
  }

  #leaveReceiver(running: Running): void {
    const { receiver } = running;
    running.receiver = undefined;
    if (receiver === undefined) return;
    for (const other of this.#running.values()) if (other.receiver === receiver) return;
    this.#receivers.splice(this.#receivers.indexOf(receiver), 1);
    this.#around.loop.unwatch(receiver.fd);
    receiver.close();
  }

  #close(running: Running): void {
    this.#running.delete(running.key);
    this.#byDiscriminator.delete(running.state.variables.localDiscriminator);
    this.#around.loop.schedule(running, Infinity);
    this.#leaveReceiver(running);
    if (running.sender === undefined) return;
    this.#ports.delete(running.sender.port);
    running.sender.close();
    running.sender = undefined;
  }

  // --- the peers ---

  // §6.8.6
  #hear(receiver: BfdReceiver, now: number): void {
    const { batch } = receiver;
    const error = decodeControl(batch.bytes, this.#packet, batch.length);
    if (error !== undefined) {
      this.#discard(error, receiver, undefined, now);
      return;
    }
    const running = this.#sessionFor(receiver);
    if (running === undefined) {
      this.#discard("no-session", receiver, undefined, now);
    } else if (batch.ttl < running.leastTtl) {
      this.#discard("ttl", receiver, running, now);
    } else {
      running.counters.received++;
      this.#heard.roll = this.#around.random();
      this.#dispatch(running, this.#heard, this.#arrival(batch.arrivedAt, now));
    }
  }

  /** A packet counts from its arrival, not from when we came to read it. */
  #arrival(arrivedAt: number, now: number): number {
    return arrivedAt < 0 ? now : Math.min(now, Math.max(this.#around.loop.previous, arrivedAt));
  }

  /** By its discriminator, or by its ends while the peer does not know ours yet (RFC 5881 §3). */
  #sessionFor(receiver: BfdReceiver): Running | undefined {
    const { yourDiscriminator } = this.#packet;
    if (yourDiscriminator !== 0) {
      const running = this.#byDiscriminator.get(yourDiscriminator);
      return running?.receiver === receiver ? running : undefined;
    }
    const { source, destination } = receiver.batch;
    for (const running of this.#running.values()) {
      if (running.receiver !== receiver || running.isEnding) continue;
      if (compareAddress(running.neighbor.address, source) !== 0) continue;
      const own = running.source?.address;
      if (own === undefined || compareAddress(own, destination) === 0) return running;
    }
    return undefined;
  }

  #discard(
    why: Discard,
    receiver: BfdReceiver,
    running: Running | undefined,
    now: number,
  ): void {
    if (running !== undefined) running.counters.discarded++;
    // Anybody can send rubbish: it costs a look at a clock.
    if (!this.#mayComplain(why, now)) return;
    const { source, ttl } = receiver.batch;
    const { yourDiscriminator } = this.#packet;
    const seen = { ttl, yourDiscriminator, least: running?.leastTtl ?? 0 };
    this.#around.log("warning", discardText(why, formatAddress(source), seen), false);
  }

  #mayComplain(what: string, now: number): boolean {
    if (now - (this.#complainedAt.get(what) ?? -COMPLAINT_US) < COMPLAINT_US) return false;
    this.#complainedAt.set(what, now);
    return true;
  }

  // --- the machine ---

  #fire(running: Running, now: number): void {
    if (running.sender === undefined) this.#open(running, now);
    else this.#dispatch(running, this.#timerEvent(), now);
  }

  #timerEvent(): Event {
    this.#timer.roll = this.#around.random();
    return this.#timer;
  }

  /** The one place where a session's state changes. */
  #dispatch(running: Running, event: Event, now: number): void {
    const before = running.state.variables;
    const { state, actions } = step(running.session, running.state, event, now);
    running.state = state;
    for (const action of actions) this.#act(running, action, now);
    const { name } = running.instance;
    if (state.variables !== before) this.#logLine(agreementLine(name, before, state.variables));
    if (this.#running.get(running.key) !== running) return;
    this.#around.loop.schedule(running, deadline(running.session, state));
  }

  #act(running: Running, action: Action, now: number): void {
    switch (action.type) {
      case "send":
        this.#send(running, action.final, now);
        return;
      case "transition":
      case "expired":
        this.#logLine(actionLine(running.instance.name, action));
        return;
      case "signal":
        running.isUp = action.isUp;
        this.#around.onEvent(running.instance, action.isUp);
        return;
      case "closed":
        this.#close(running);
        return;
    }
  }

  #send(running: Running, final: boolean, now: number): void {
    const { sender, session, state: { variables }, counters, instance } = running;
    if (sender === undefined) return;
    if (running.encoded !== variables || running.isAnswer !== final) {
      encodeControl(controlPacket(session, variables, final), sender.packet.bytes);
      running.encoded = variables;
      running.isAnswer = final;
    }
    const error = sender.send();
    if (error === undefined) {
      counters.sent++;
      return;
    }
    counters.refused++;
    if (!this.#mayComplain(running.key, now)) return;
    this.#around.log("error", `(${instance.name}) Error sending packet: ${error.message}`, false);
  }

  #logLine(line: Line | undefined): void {
    if (line !== undefined) this.#around.log(line.level, line.text, line.detail);
  }
}
