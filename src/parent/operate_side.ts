/**
 * The parent's side of the operate role, which talks to the outside by libraries that are not ours: it may
 * die at any time, and nothing but a late alert comes of it. What it has not confirmed is kept here and
 * told again to the next one. Loaded only when the configuration has something to send.
 */

import type { Config } from "../config/load.ts";
import { Alerts, type Happening, mailSettings, wantsAlerts } from "./alerts.ts";
import type { FromAnyRole } from "./common_channel.ts";
import { type Household, Keeper } from "./keeper.ts";
import type { Alert, FromOperate, ToOperate } from "./operate_channel.ts";
import { spawnRole } from "./supervisor.ts";

/** Alerts that may wait; beyond that the oldest are lost. */
const MOST_WAITING = 1000;
/** How long the role may take to deliver what is left, in milliseconds. */
const FINISH_MS = 2500;

/** What the side needs of its daemon. */
export interface OperateHousehold extends Pick<Household, "log" | "isStopping" | "say"> {
  readonly argv0: string;
  readonly argv: readonly string[];
  readonly hostName: string;
}

/** The operate role, kept. */
export class OperateSide {
  readonly #household: OperateHousehold;
  readonly #keeper: Keeper<ToOperate, FromOperate>;
  readonly #alerts: Alerts;
  readonly #waiting = new Map<number, Alert>();
  #config: Config | undefined;
  #next = 0;
  #lost = 0;
  #isFinishing = false;
  #onGone: () => void = () => {};

  constructor(household: OperateHousehold) {
    const { argv0, argv, log, say, hostName } = household;
    this.#household = household;
    this.#alerts = new Alerts(hostName);
    this.#keeper = new Keeper({
      title: "Operate",
      ident: "operate",
      pidFile: "",
      spawn: () => spawnRole<ToOperate, FromOperate>(argv0, argv, undefined, "operate"),
      isNeeded: () => this.#isNeeded,
      brief: () => this.#brief(),
      hear: (message) => this.#hear(message),
    }, {
      log,
      say,
      // It outlives the others: what they say at the end is to be sent, too.
      isStopping: () => this.#isFinishing,
      dontRespawn: false,
      heedStop: () => {},
      stop: () => {},
      gone: () => this.#onGone(),
      starting: () => {},
    });
  }

  /** The process, when there is one. */
  get pid(): number | undefined {
    return this.#keeper.pid;
  }

  /** What is to be sent from now on, to whom; the role is started or let go as that needs. */
  configure(config: Config): void {
    this.#config = config;
    this.#alerts.configure(config);
    const isStarted = this.pid === undefined;
    if (this.#keeper.ready(this.#isNeeded)) this.#tellSettings();
    else if (isStarted) this.#keeper.sayStarted();
  }

  /** Sends what has to be sent about it. */
  hear(happening: Happening): void {
    for (const alert of this.#alerts.of(happening, Date.now())) this.#send(alert);
  }

  /** The end: resolves when everything was sent, or that takes too long. */
  async finish(): Promise<void> {
    this.#isFinishing = true;
    if (this.pid === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onGone = resolve;
    this.#keeper.stop({ type: "shutdown" });
    const limit = setTimeout(resolve, FINISH_MS);
    await promise;
    clearTimeout(limit);
    if (this.#waiting.size === 0) return;
    this.#household.say("warning", `${this.#waiting.size} alerts could not be sent in time`);
  }

  get #isNeeded(): boolean {
    return this.#config !== undefined && wantsAlerts(this.#config, this.#household.hostName);
  }

  #send(alert: Alert): void {
    const id = this.#next++;
    this.#waiting.set(id, alert);
    if (this.#waiting.size > MOST_WAITING) this.#drop();
    this.#keeper.tell({ type: "alert", id, alert });
  }

  #drop(): void {
    const [oldest] = this.#waiting.keys();
    this.#waiting.delete(oldest!);
    if (this.#lost++ % MOST_WAITING > 0) return;
    this.#household.say("warning", `More than ${MOST_WAITING} alerts wait, the oldest are lost`);
  }

  #hear(message: Exclude<FromOperate, FromAnyRole>): void {
    this.#waiting.delete(message.id);
  }

  #tellSettings(): void {
    const mail = mailSettings(this.#config!, this.#household.hostName);
    this.#keeper.tell({ type: "configure", ...(mail === undefined ? {} : { mail }) });
  }

  #brief(): void {
    this.#tellSettings();
    for (const [id, alert] of this.#waiting) this.#keeper.tell({ type: "alert", id, alert });
  }
}
