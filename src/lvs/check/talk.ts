/**
 * What a check says to its server and what it makes of the answers: bytes in, bytes or a verdict out. Whoever
 * runs it has the socket and the clock, and tells when something has happened. A talk keeps little and
 * bounds it, whatever the other end does.
 */

/** What went wrong with an attempt, by the kinds that log lines distinguish. */
export type Fault =
  /** No connection came about, or there was no socket for it. */
  | "connect"
  /** Nor within connect_timeout. */
  | "connect timeout"
  /** TLS. */
  | "handshake"
  /** No answer at all in time. */
  | "silence"
  /** The answer broke off or did not come to its end in time. */
  | "incomplete"
  /** The connection was closed without an answer. */
  | "closed"
  /** An answer that is no sentence of the protocol. */
  | "garbage"
  /** More than we are willing to read. */
  | "too much"
  /** A status code, an rcode, or a health that is none of the good ones. */
  | "status"
  | "digest"
  | "regex"
  /** The mail server's first line. */
  | "greeting"
  /** A reply that is not the one asked for. */
  | "mismatch"
  /** A certificate. */
  | "certificate"
  /** A program or a file says no. */
  | "refused";

/** How an attempt ended. */
export type Verdict =
  | {
    readonly isGood: true;
    /** What was good about it, where log lines distinguish. */
    readonly proof?: "status" | "digest" | "regex";
    /** Something odd that does not count, for the log. */
    readonly note?: string;
    /** What it adds to the configured weight; absent when it has no say. */
    readonly weight?: number;
  }
  | {
    readonly isGood: false;
    readonly fault: Fault;
    /** In words, for people: what was and what should have been. */
    readonly why: string;
    /** Where the kernel said so. */
    readonly errno?: number;
  };

/** What a talk has to say: bytes to be sent, a verdict, or nothing yet. */
export type Reply = Uint8Array | Verdict | undefined;

/** One conversation with a server. */
export interface Talk {
  /** The connection is there. */
  start(): Reply;
  /** Bytes, or one datagram, have arrived; they are overwritten after the call. */
  onBytes(bytes: Uint8Array): Reply;
  /** The other end has closed; nothing comes any more. */
  onClosed(): Verdict;
  /** Time is up. `isSlow` tells that something has come, and yet no end. */
  onTimer(isSlow: boolean): Verdict;
}

/** A verdict that is good. */
export const GOOD: Verdict = { isGood: true };

/** A verdict that is not. */
export function bad(fault: Fault, why: string): Verdict {
  return { isGood: false, fault, why };
}

/** Whether a reply is a verdict. */
export function isVerdict(reply: Reply): reply is Verdict {
  return reply !== undefined && "isGood" in reply;
}

/** Bytes as text, a character a byte. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}

/** Text as bytes; UTF-8. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** What a server has said, short enough for a line of a log and safe to be shown there. */
export function excerpt(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]+/g, " ").trim();
  return clean.length > 60 ? `"${clean.slice(0, 60)}..."` : `"${clean}"`;
}
