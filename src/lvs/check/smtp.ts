/**
 * SMTP_CHECK (RFC 5321): greeting 220, HELO 250, QUIT. A server that has taken the HELO is good, whatever it
 * says to the farewell.
 */

import type { SmtpCheck } from "../../config/lvs.ts";
import { bad, excerpt, GOOD, latin1, type Reply, type Talk, utf8, type Verdict } from "./talk.ts";

/** Replies are lines of 512 bytes at most (RFC 5321 §4.5.3.1.5), and a few of them. */
const MOST_BYTES = 16 * 1024;

/** One talk with a mail server. */
export class SmtpTalk implements Talk {
  readonly #helo: string;
  #step: "greeting" | "helo" | "quit" = "greeting";
  /** What has come of a reply that is not complete. */
  #pending = "";
  #total = 0;

  constructor({ helo_name }: Pick<SmtpCheck, "helo_name">) {
    this.#helo = helo_name;
  }

  start(): Reply {
    return undefined;
  }

  onBytes(bytes: Uint8Array): Reply {
    this.#total += bytes.length;
    if (this.#total > MOST_BYTES) {
      return bad("too much", `more than ${MOST_BYTES} bytes of replies`);
    }
    this.#pending += latin1(bytes);
    for (;;) {
      const end = this.#pending.indexOf("\n");
      if (end < 0) return undefined;
      const line = this.#pending.slice(0, end).replace(/\r$/, "");
      this.#pending = this.#pending.slice(end + 1);
      // §4.2.1: a hyphen after the code tells that more lines of the same reply follow.
      if (/^\d\d\d-/.test(line)) continue;
      return this.#hear(line);
    }
  }

  #hear(line: string): Reply {
    const code = /^\d\d\d(?= |$)/.exec(line)?.[0];
    switch (this.#step) {
      case "greeting":
        if (code !== "220") return bad("greeting", `greeting ${excerpt(line)}, not 220`);
        this.#step = "helo";
        return utf8(`HELO ${this.#helo}\r\n`);
      case "helo":
        if (code !== "250") return bad("status", `reply to HELO ${excerpt(line)}, not 250`);
        this.#step = "quit";
        return utf8("QUIT\r\n");
      case "quit":
        return GOOD;
    }
  }

  onClosed(): Verdict {
    return this.#step === "quit" ? GOOD : bad("closed", `closed before ${this.#awaited()}`);
  }

  onTimer(isSlow: boolean): Verdict {
    if (this.#step === "quit") return GOOD;
    return bad(isSlow ? "incomplete" : "silence", `timed out before ${this.#awaited()}`);
  }

  #awaited(): string {
    return this.#step === "greeting" ? "the greeting" : "the reply to HELO";
  }
}
