/**
 * One attempt over a socket: a connection, a talk over it, a verdict. It never waits; its time is the loop's,
 * and it hears of it through its owner's alarm.
 */

import {
  EINPROGRESS,
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from "../../ffi/constants.ts";
import { BROKEN, type Connector, ENDED, receiveSome, sendSome } from "../../ffi/connection.ts";
import { Memory } from "../../ffi/memory.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import { errnoText } from "../lib/errno_text.ts";
import type { Loop } from "../loop.ts";
import { bad, isVerdict, type Reply, type Talk, type Verdict } from "./check/talk.ts";
import type { TlsConnection, TlsLine, TlsPort } from "./tls_perform.ts";

/** What attempts share: they take turns. */
export interface Ground {
  readonly loop: Loop;
  /** What has just been received. */
  readonly buffer: Memory;
}

/** How long an attempt may take. */
export interface Limits {
  /** Until there is a connection, and then from one sign of life to the next. */
  readonly stepUs: number;
  /** In all. */
  readonly totalUs: number;
}

/** Whose attempt it is. */
export interface AttemptOwner {
  /** Wants {@link Attempt.onTime} at `at`. */
  wake(at: number): void;
  /** It is over; called once, and never from within the constructor. */
  conclude(verdict: Verdict): void;
}

/** An attempt under way. */
export interface Attempt {
  /** The moment that was asked for has come. */
  onTime(now: number): void;
  /** Nobody wants to know any more. */
  abandon(): void;
}

/** How an attempt speaks TLS. */
export interface Encryption {
  readonly port: TlsPort;
  /** What to ask for, made once. */
  readonly line: TlsLine;
}

const READS_A_TURN = 8;
const DATAGRAMS = new Set(["udp", "ping"]);

function verdictOn(errno: number): Verdict {
  return { isGood: false, fault: "connect", why: errnoText(errno), errno };
}

/** An attempt over a stream or datagrams. */
export class SocketAttempt implements Attempt {
  readonly #ground: Ground;
  readonly #owner: AttemptOwner;
  readonly #talk: Talk;
  readonly #isDatagram: boolean;
  readonly #limits: Limits;
  readonly #encryption: Encryption | undefined;
  readonly #endsAt: number;
  #fd = -1;
  #phase: "connecting" | "talking" | "over" = "connecting";
  /** Something has come. */
  #isAlive = false;
  /** There is more to read than one turn may take. */
  #hasMore = false;
  #secure: TlsConnection | undefined;
  /** The handshake is done. */
  #isSecure = false;
  #out: Memory | undefined;
  #sent = 0;

  constructor(
    ground: Ground,
    owner: AttemptOwner,
    talk: Talk,
    transport: "tcp" | "tls" | "udp" | "ping",
    limits: Limits,
    encryption: Encryption | undefined,
  ) {
    this.#ground = ground;
    this.#owner = owner;
    this.#talk = talk;
    this.#isDatagram = DATAGRAMS.has(transport);
    this.#limits = limits;
    this.#encryption = encryption;
    this.#endsAt = ground.loop.now + limits.totalUs;
  }

  /** Connects. */
  begin(connector: Connector): void {
    const { loop } = this.#ground;
    const fd = connector.open();
    if (fd < 0) {
      const { call, errno } = connector.refused;
      const why = `${call}: ${errnoText(errno)}`;
      this.#conclude({ isGood: false, fault: "connect", why, errno });
      return;
    }
    this.#fd = fd;
    const refusal = connector.connect(fd);
    if (refusal !== 0 && refusal !== EINPROGRESS) {
      this.#conclude(verdictOn(refusal));
      return;
    }
    this.#owner.wake(Math.min(this.#endsAt, loop.now + this.#limits.stepUs));
    loop.watch(
      fd,
      (now, events) => this.#onReady(now, events),
      EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
    );
    if (this.#isDatagram) this.#connected();
  }

  /** Time is up, or there is more to read. */
  onTime(now: number): void {
    // Who sends without end is not listened to without end.
    if (this.#hasMore && now < this.#endsAt) {
      this.#read(now, true);
      return;
    }
    if (this.#phase === "connecting") {
      const seconds = this.#limits.stepUs / 1_000_000;
      this.#conclude(bad("connect timeout", `no connection within ${seconds} s`));
    } else if (this.#encryption !== undefined && !this.#isSecure) {
      this.#conclude(bad("connect timeout", "no TLS handshake in time"));
    } else this.#conclude(this.#talk.onTimer(this.#isAlive));
  }

  /** Ends it without a verdict. */
  abandon(): void {
    if (this.#phase !== "over") this.#close();
  }

  #onReady(now: number, events: number): void {
    if (this.#phase === "connecting") {
      if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
        const count = receiveSome(this.#fd, this.#ground.buffer);
        this.#conclude(verdictOn(count < BROKEN ? BROKEN - count : 0));
        return;
      }
      if ((events & EPOLLOUT) === 0) return;
      this.#owner.wake(Math.min(this.#endsAt, now + this.#limits.stepUs));
      this.#connected();
      // What TLS has to say, the runtime reads.
      if (this.#fd < 0) return;
    } else if (this.#out !== undefined && (events & EPOLLOUT) !== 0) this.#flush();
    if (this.#fd < 0) return;
    if ((events & ~EPOLLOUT) === 0) return;
    this.#read(now, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0);
  }

  #connected(): void {
    this.#phase = "talking";
    if (this.#encryption === undefined) this.#hear(this.#talk.start());
    else this.#encrypt(this.#encryption);
  }

  /** Hands the connection over to the runtime, which speaks TLS over it and closes it in the end. */
  #encrypt({ port, line }: Encryption): void {
    const { loop } = this.#ground;
    const fd = this.#fd;
    loop.unwatch(fd);
    this.#fd = -1;
    this.#secure = port.open(fd, line, {
      opened: () => {
        this.#isSecure = true;
        this.#live();
        this.#hear(this.#talk.start());
      },
      failed: (verdict) => this.#conclude(verdict),
      bytes: (bytes) => {
        this.#live();
        this.#hear(this.#talk.onBytes(bytes));
      },
      closed: () => this.#conclude(this.#talk.onClosed()),
    });
  }

  /** A sign of life: the other end has as long as before for the next. */
  #live(): void {
    this.#isAlive = true;
    // The answers to a datagram are single: what is none must not prolong the waiting for one.
    if (this.#isDatagram || this.#phase !== "talking") return;
    this.#owner.wake(Math.min(this.#endsAt, this.#ground.loop.now + this.#limits.stepUs));
  }

  /** `isEnding` tells that the end may be behind what is there to read: it is reported once. */
  #read(now: number, isEnding: boolean): void {
    const { buffer } = this.#ground;
    this.#hasMore = false;
    for (let turn = 0; turn < READS_A_TURN; turn++) {
      const count = receiveSome(this.#fd, buffer);
      if (count === 0) return;
      if (count === ENDED) {
        this.#conclude(this.#talk.onClosed());
        return;
      }
      if (count <= BROKEN) {
        const errno = BROKEN - count;
        if (this.#isDatagram) this.#conclude(verdictOn(errno));
        else this.#conclude({ isGood: false, fault: "closed", why: errnoText(errno), errno });
        return;
      }
      this.#live();
      this.#hear(this.#talk.onBytes(buffer.bytes.subarray(0, count)));
      if (this.#phase !== "talking") return;
      // Less than there was room for: that was all. (Of datagrams each comes alone.)
      if (!isEnding && !this.#isDatagram && count < buffer.bytes.length) return;
    }
    // Others want their turn, too.
    this.#hasMore = true;
    this.#owner.wake(now + 1);
  }

  #hear(reply: Reply): void {
    if (reply === undefined || this.#phase === "over") return;
    if (isVerdict(reply)) this.#conclude(reply);
    else this.#send(reply);
  }

  #send(bytes: Uint8Array): void {
    if (this.#secure !== undefined) {
      this.#secure.send(bytes);
      return;
    }
    const rest = this.#out?.bytes.subarray(this.#sent) ?? new Uint8Array(0);
    const all = new Memory(rest.length + bytes.length);
    all.bytes.set(rest);
    all.bytes.set(bytes, rest.length);
    this.#out = all;
    this.#sent = 0;
    this.#flush();
  }

  #flush(): void {
    const out = this.#out!;
    const count = sendSome(this.#fd, out, this.#sent, out.bytes.length - this.#sent);
    if (count <= BROKEN) {
      // Of a connection that broke, reading tells why; it may also have an answer.
      if (this.#isDatagram) this.#conclude(verdictOn(BROKEN - count));
      else this.#out = undefined;
      return;
    }
    this.#sent += count;
    if (this.#sent === out.bytes.length) this.#out = undefined;
  }

  #conclude(verdict: Verdict): void {
    if (this.#phase === "over") return;
    this.#close();
    this.#owner.conclude(verdict);
  }

  #close(): void {
    this.#phase = "over";
    this.#secure?.close();
    if (this.#fd < 0) return;
    this.#ground.loop.forget(this.#fd);
    closeDescriptor(this.#fd);
    this.#fd = -1;
  }
}
