/**
 * The operate role: the process that talks to the outside, in the runtime's own loop. Nothing waits for it,
 * and its parent starts it again when it dies. Alerts arrive with a number, and their end is answered with
 * it.
 */

import { INTERFACE_SIGNALS, SIG_IGN } from "../../ffi/constants.ts";
import { setDisposition } from "../../ffi/process.ts";
import type { LogLevel } from "../lib/log.ts";
import { encodeFrame, FrameReader } from "../parent/channel.ts";
import type { Alert, FromOperate, MailSettings, ToOperate } from "../parent/operate_channel.ts";
import { Stream } from "../parent/stream.ts";
import { Deliveries, type Outcome } from "./deliveries.ts";
import { placeOf, postEvent } from "./webhook.ts";

interface Numbered {
  readonly id: number;
  readonly alert: Alert;
}

/** The place of all mails. */
const MAIL = "mail";

/** Runs the role until its parent ends it; resolves with the exit status. */
export function runOperateRole(channel: number): Promise<number> {
  for (const signal of INTERFACE_SIGNALS) setDisposition(signal, SIG_IGN);
  return new OperateRole(channel).ended;
}

class OperateRole {
  readonly ended: Promise<number>;
  readonly #stream: Stream;
  readonly #end: (status: number) => void;
  /** By URL, and one for all mails. */
  readonly #places = new Map<string, Deliveries<Numbered>>();
  #mail: MailSettings | undefined;

  constructor(channel: number) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#end = resolve;
    const frames = new FrameReader<ToOperate>();
    this.#stream = new Stream(channel, {
      data: (bytes) => {
        for (const message of frames.push(bytes)) this.#obey(message);
      },
      // The parent is gone, or does not need us any more.
      close: () => resolve(0),
    });
  }

  #obey(message: ToOperate): void {
    switch (message.type) {
      case "configure":
        this.#mail = message.mail;
        return;
      case "alert":
        this.#deliver(message);
        return;
      case "shutdown":
        void this.#finish();
        return;
    }
  }

  async #finish(): Promise<void> {
    await Promise.all([...this.#places.values()].map((place) => place.finish()));
    this.#end(0);
  }

  #deliver(item: Numbered): void {
    const key = item.alert.type === "mail" ? MAIL : item.alert.url;
    let place = this.#places.get(key);
    if (place === undefined) this.#places.set(key, place = this.#open());
    place.add(item);
  }

  #open(): Deliveries<Numbered> {
    return new Deliveries<Numbered>({
      deliver: ({ alert }) => this.#try(alert),
      after(ms, fire): () => void {
        const timer = setTimeout(fire, ms);
        return () => clearTimeout(timer);
      },
      failed: ({ alert }, why, isFinal) => this.#sayFailed(alert, why, isFinal),
      done: ({ id }) => this.#tell({ type: "done", id }),
    });
  }

  async #try(alert: Alert): Promise<Outcome> {
    if (alert.type === "post") return await postEvent(alert.url, alert.event);
    if (this.#mail === undefined) return { refused: "no mail server is configured any more" };
    // Only who sends mails needs the library.
    const { sendMail } = await import("./mail.ts");
    const outcome = await sendMail(this.#mail, alert);
    if (outcome === "delivered") this.#log("info", "SMTP alert successfully sent.");
    return outcome;
  }

  #sayFailed(alert: Alert, why: string, isFinal: boolean): void {
    const what = alert.type === "mail"
      ? `SMTP alert "${alert.subject}" to ${this.#mail?.host}:${this.#mail?.port}`
      : `Webhook ${placeOf(alert.url)}`;
    const then = isFinal ? "given up" : "will be tried again";
    this.#log("warning", `${what} failed: ${why} - ${then}`);
  }

  #log(level: LogLevel, text: string): void {
    this.#tell({ type: "log", level, text });
  }

  #tell(message: FromOperate): void {
    this.#stream.send(encodeFrame(message));
  }
}
