/**
 * TLS for checks, spoken by the runtime over connections of ours. The runtime has a loop of its own, whose epoll
 * descriptor is watched in ours: when it has something to do, our loop lets it have a turn. Loaded only when a
 * check speaks TLS.
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { closeDescriptor } from "../../ffi/socket.ts";
import type { Ssl } from "../config/lvs.ts";
import type { Guest, Loop } from "../loop.ts";
import { bad, type Verdict } from "./check/talk.ts";
import type { TlsWish } from "./check/talks.ts";

/** What to ask of the runtime for a check's connections, or why that cannot be; made once. */
export interface TlsLine {
  readonly wish: TlsWish;
  readonly options: Bun.TLSOptions | string;
}

/** What happens on a connection. */
export interface TlsEvents {
  /** The handshake is done, and the certificate as it was wished for. */
  opened(): void;
  failed(verdict: Verdict): void;
  bytes(bytes: Uint8Array): void;
  closed(): void;
}

/** A connection that speaks TLS. */
export interface TlsConnection {
  send(bytes: Uint8Array): void;
  /** Closes it; nothing is heard of it any more. */
  close(): void;
}

/** Where the machine keeps the authorities it trusts: Debian and its like, Red Hat and its like. */
const AUTHORITIES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
const DAY_MS = 86_400_000;

/** The one place where the runtime's loop and ours meet. */
export class TlsPort implements Guest {
  readonly #loop: Loop;
  #hasWork = false;
  #isWatched = false;
  readonly #files = new Map<string, string>();

  constructor(loop: Loop) {
    this.#loop = loop;
    loop.invite(this);
  }

  /** The runtime has something to do. */
  get hasWork(): boolean {
    return this.#hasWork;
  }

  /** Lets the runtime do it. */
  async work(): Promise<void> {
    this.#hasWork = false;
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** What to ask of the runtime for a wish; `ssl` is what SSL_GET shows unless it says otherwise itself. */
  line(wish: TlsWish, ssl: Ssl | undefined): TlsLine {
    const { client_cert = ssl?.certificate, client_key = ssl?.key, serverName, alpn } = wish;
    try {
      const options: Bun.TLSOptions = {
        // Everything is looked at here: without a wish, any certificate will do.
        rejectUnauthorized: false,
        ...(serverName === undefined ? {} : { serverName }),
        ...(wish.tls_verify ? { ca: this.#authorities(ssl) } : {}),
        ...(client_cert === undefined ? {} : { cert: this.#text(client_cert) }),
        ...(client_cert === undefined ? {} : { key: this.#text(client_key ?? client_cert) }),
        ...(ssl?.password === undefined ? {} : { passphrase: ssl.password }),
        ...(alpn.length === 0 ? {} : { ALPNProtocols: alpnList(alpn) as never }),
      };
      return { wish, options };
    } catch (error) {
      return { wish, options: firstLine(String(error)) };
    }
  }

  /** Forgets what files held: they are read again for checks that are new. */
  refresh(): void {
    this.#files.clear();
  }

  #authorities(ssl: Ssl | undefined): string {
    if (ssl?.ca !== undefined) return this.#text(ssl.ca);
    const path = AUTHORITIES.find((one) => existsSync(one));
    if (path !== undefined) return this.#text(path);
    throw new Error("this machine has no certificate authorities; name some with ca in SSL");
  }

  #text(path: string): string {
    const text = this.#files.get(path) ?? readFileSync(path, "utf8");
    this.#files.set(path, text);
    return text;
  }

  /**
   * Speaks TLS over the connected descriptor `fd`, which belongs to the runtime from here on. Nothing is told
   * before this has returned, but for what fails at once.
   */
  open(fd: number, { wish, options }: TlsLine, events: TlsEvents): TlsConnection | undefined {
    if (typeof options === "string") {
      closeDescriptor(fd);
      events.failed(bad("handshake", options));
      return undefined;
    }
    const connection = new Connection(wish, events);
    try {
      // What the promise tells, the events tell, too.
      Bun.connect({ fd, tls: options, socket: connection.listener } as never).catch(() => {});
    } catch (error) {
      closeDescriptor(fd);
      events.failed(bad("handshake", String(error)));
      return undefined;
    }
    this.#watchRuntime(fd);
    this.#hasWork = true;
    return {
      send: (bytes) => {
        connection.send(bytes);
      },
      close: () => {
        connection.close();
        this.#hasWork = true;
      },
    };
  }

  /** The runtime's epoll descriptor is the one that has come to watch this connection. */
  #watchRuntime(fd: number): void {
    if (this.#isWatched) return;
    for (const name of readdirSync("/proc/self/fdinfo")) {
      let text = "";
      try {
        text = readFileSync(`/proc/self/fdinfo/${name}`, "utf8");
      } catch {
        // The descriptor with which the folder was read is gone by now.
      }
      if (!new RegExp(`^tfd: *${fd} `, "m").test(text)) continue;
      this.#loop.watch(Number(name), () => this.#hasWork = true);
      this.#isWatched = true;
      return;
    }
  }
}

/** What of the runtime's socket is used. */
interface RuntimeSocket {
  write(bytes: Uint8Array): number;
  end(): void;
  terminate(): void;
  getPeerCertificate(): PeerCertificate | undefined;
}

/** One connection, as the runtime tells of it. */
class Connection {
  readonly #wish: TlsWish;
  readonly #events: TlsEvents;
  #socket: RuntimeSocket | undefined;
  #isOpen = false;
  #isOver = false;
  /** What the socket has not taken yet. */
  #waiting = new Uint8Array(0);

  constructor(wish: TlsWish, events: TlsEvents) {
    this.#wish = wish;
    this.#events = events;
  }

  /** The runtime's callbacks. */
  get listener(): object {
    return {
      open: (socket: RuntimeSocket): void => {
        this.#socket = socket;
      },
      handshake: (_socket: RuntimeSocket, _isFine: boolean, error: unknown): void =>
        this.#shake(error as (Error & { code?: string }) | null),
      data: (_socket: RuntimeSocket, bytes: Uint8Array): void => {
        if (!this.#isOver) this.#events.bytes(bytes);
      },
      drain: (): void => this.#flush(),
      end: (): void => this.#end(undefined),
      close: (_socket: RuntimeSocket, error: unknown): void => this.#end(error),
      error: (_socket: RuntimeSocket, error: unknown): void => this.#end(error),
      connectError: (_socket: RuntimeSocket, error: unknown): void => this.#end(error),
    };
  }

  send(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#waiting.length + bytes.length);
    all.set(this.#waiting);
    all.set(bytes, this.#waiting.length);
    this.#waiting = all;
    this.#flush();
  }

  #flush(): void {
    if (this.#isOver || !this.#isOpen || this.#waiting.length === 0) return;
    const count = this.#socket!.write(this.#waiting);
    if (count > 0) this.#waiting = this.#waiting.slice(count);
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // close_notify is sent by an end; most servers do without, and ask for another packet less.
    if (this.#wish.isPolite && this.#isOpen) this.#socket?.end();
    this.#socket?.terminate();
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    if (this.#isOpen) {
      this.#events.closed();
      return;
    }
    const why = error instanceof Error ? error.message : "closed within the TLS handshake";
    this.#events.failed(bad("handshake", firstLine(why)));
  }

  #shake(error: (Error & { code?: string }) | null): void {
    if (this.#isOver) return;
    const code = error?.code ?? "";
    if (error !== null && (code === "EPROTO" || code.startsWith("ECONN"))) {
      this.#events.failed(bad("handshake", `TLS: ${reasonIn(error.message)}`));
      return;
    }
    // The name is looked at below: the runtime compares it with whatever it was asked for.
    const why = this.#complaint(code === "ERR_TLS_CERT_ALTNAME_INVALID" ? null : error);
    if (why !== undefined) {
      this.#events.failed(bad("certificate", why));
      return;
    }
    this.#isOpen = true;
    this.#events.opened();
  }

  /** What is wrong with the certificate, if that counts. */
  #complaint(error: Error | null): string | undefined {
    const { tls_verify, tls_days, verifyName } = this.#wish;
    if (tls_verify && error !== null) return `certificate: ${firstLine(error.message)}`;
    if (!tls_verify && tls_days === undefined) return undefined;
    const certificate = this.#socket?.getPeerCertificate();
    if (certificate === undefined) return "the server shows no certificate";
    if (tls_verify) {
      const wrong = checkServerIdentity(verifyName, certificate);
      if (wrong !== undefined) return `certificate: ${firstLine(wrong.message)}`;
    }
    if (tls_days === undefined) return undefined;
    const days = (Date.parse(certificate.valid_to) - Date.now()) / DAY_MS;
    if (days >= tls_days) return undefined;
    return days < 0
      ? `the certificate expired on ${certificate.valid_to}`
      : `the certificate expires in ${Math.floor(days)} days, on ${certificate.valid_to}`;
  }
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!;
}

/** `error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER` → what it ends with. */
function reasonIn(message: string): string {
  const line = firstLine(message);
  return line.startsWith("error:") ? line.slice(line.lastIndexOf(":") + 1) : line;
}

/** RFC 7301 §3.1: each name behind its length. */
function alpnList(names: readonly string[]): ArrayBuffer {
  const bytes = names.flatMap((name) => [name.length, ...new TextEncoder().encode(name)]);
  return Uint8Array.from(bytes).buffer;
}
