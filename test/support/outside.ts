/**
 * A mail server and a web server on a host, in a process of their own, and all that was sent to them. The mail
 * server is smtp-server's: nothing of ours judges whether what we say is SMTP.
 */

import { resolve } from "node:path";
import type { Network } from "./namespaces.ts";
import { until, Waiting } from "./waiting.ts";

const DRIVER = resolve(import.meta.dir, "outside_driver.ts");

/** A mail, as the server has received it. */
export interface ReceivedMail {
  readonly type: "mail";
  readonly helo: string;
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and text, lines joined by `\n`. */
  readonly text: string;
}

/** A POST, whatever was answered. */
export interface ReceivedPost {
  readonly type: "post";
  readonly path: string;
  readonly contentType: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly status: number;
}

/** What the driver tells. */
export type Received = ReceivedMail | ReceivedPost | { readonly type: "ready" };

/** What the servers refuse. */
export interface OutsideSettings {
  /** So many mails are refused for now (451) before the first is taken. */
  readonly mailsRefused?: number;
  /** The same of posts, with this status. */
  readonly postsRefused?: number;
  readonly status?: number;
}

/** Port 2525 and port 8080 of a host. */
export class Outside {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #all: Received[] = [];
  readonly #waiting = new Waiting();

  private constructor(network: Network, host: string, settings: OutsideSettings) {
    const argument = JSON.stringify(settings);
    this.#child = Bun.spawn([...network.enter(host), process.execPath, DRIVER, argument], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#read();
  }

  /** Starts both and waits until they listen. */
  static async start(
    network: Network,
    host: string,
    settings: OutsideSettings = {},
  ): Promise<Outside> {
    const outside = new Outside(network, host, settings);
    await outside.#until(() => outside.#all.length > 0, "no servers");
    return outside;
  }

  /** The mails so far. */
  get mails(): ReceivedMail[] {
    return this.#all.flatMap((one) => one.type === "mail" ? one : []);
  }

  /** The posts so far. */
  get posts(): ReceivedPost[] {
    return this.#all.flatMap((one) => one.type === "post" ? one : []);
  }

  /** The subjects of the mails so far. */
  get subjects(): string[] {
    return this.mails.map(({ text }) => /^Subject: (.*)$/m.exec(text)?.[1] ?? "");
  }

  /** Waits for a mail whose subject contains this. */
  async mailAbout(text: string): Promise<ReceivedMail> {
    const find = (): ReceivedMail | undefined =>
      this.mails.find((_, i) => this.subjects[i]!.includes(text));
    await this.#until(() => find() !== undefined, `no mail about ${text}: ${this.subjects}`);
    return find()!;
  }

  /** Waits for so many posts. */
  async hasPosts(count: number): Promise<void> {
    await this.#until(() => this.posts.length >= count, `fewer than ${count} posts`);
  }

  async #until(isDone: () => boolean, complaint: string): Promise<void> {
    await until(this.#waiting, () => isDone() ? true : undefined, 10_000, () => complaint);
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const bytes of this.#child.stdout) {
      const lines = (rest + new TextDecoder().decode(bytes)).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#all.push(JSON.parse(line) as Received);
      this.#waiting.look();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}
