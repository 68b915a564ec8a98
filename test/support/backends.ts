/**
 * Servers and clients on the hosts of a network, all in this process: a socket belongs to the namespace it was
 * made in, wherever its process goes afterwards.
 */

import { enterNamespaceOf, enterNetworkNamespace, openOwnNamespace } from "../../ffi/process.ts";
import { closeDescriptor } from "../../ffi/socket.ts";
import type { Network } from "./namespaces.ts";
import { poll } from "./waiting.ts";

const CONNECT_MS = 10_000;

/** Does something as a process of a host. */
export async function on<T>(network: Network, host: string, act: () => T | Promise<T>): Promise<T> {
  const home = openOwnNamespace();
  try {
    enterNetworkNamespace(`/run/netns/${network.netns(host)}`);
    return await act();
  } finally {
    enterNamespaceOf(home);
    closeDescriptor(home);
  }
}

/** Servers that greet with their name and echo what they are told. */
export class Backends implements Disposable {
  readonly #network: Network;
  readonly #open: { stop(): void }[] = [];

  constructor(network: Network) {
    this.#network = network;
  }

  /** Serves over TCP; the greeting is the host's name. */
  async tcp(host: string, address: string, port: number, greeting = host): Promise<() => void> {
    const server = await on(this.#network, host, () =>
      Bun.listen({
        hostname: address,
        port,
        socket: {
          open: (socket) => void socket.write(`${greeting}\n`),
          data: (socket, bytes) => void socket.write(bytes),
          error: () => {},
        },
      }));
    const stop = { stop: (): void => server.stop(true) };
    this.#open.push(stop);
    return () => server.stop(true);
  }

  /** Serves web pages, which say the host's name. */
  async http(host: string, address: string, port: number): Promise<void> {
    const server = await on(this.#network, host, () =>
      Bun.serve({
        hostname: address,
        port,
        fetch: () => new Response(`${host}\n`, { headers: { connection: "close" } }),
      }));
    this.#open.push({ stop: () => void server.stop(true) });
  }

  /** Serves over UDP: answers every datagram with the host's name. */
  async udp(host: string, address: string, port: number): Promise<void> {
    const socket = await on(this.#network, host, () =>
      Bun.udpSocket({
        hostname: address,
        port,
        socket: { data: (own, _, from, address) => void own.send(host, from, address) },
      }));
    this.#open.push({ stop: () => socket.close() });
  }

  [Symbol.dispose](): void {
    for (const one of this.#open.splice(0)) one.stop();
  }
}

/** A connection of a client's. */
export class Call implements Disposable {
  /** All that has come. */
  heard = "";
  /** The other end, or the network, has ended it. */
  isOver = false;
  #socket: { write(text: string): number; end(): void; terminate(): void } | undefined;

  /** Connects from a host; rejects when that fails or takes too long. */
  static async make(network: Network, host: string, to: string, port: number): Promise<Call> {
    const call = new Call();
    await on(network, host, async () => {
      const connecting = Bun.connect({
        hostname: to,
        port,
        socket: {
          data: (_, bytes) => void (call.heard += bytes.toString()),
          close: () => void (call.isOver = true),
          error: () => void (call.isOver = true),
        },
      });
      // Room for a first packet that is lost while neighbours get to know each other.
      const late = Bun.sleep(CONNECT_MS).then(() => {
        throw new Error(`no connection from ${host} to ${to}:${port}`);
      });
      call.#socket = await Promise.race([connecting, late]);
    });
    return call;
  }

  /** The name that the server greets with. */
  async greeting(): Promise<string> {
    await poll(() => this.heard.includes("\n"), 3000, "no greeting");
    return this.heard.slice(0, this.heard.indexOf("\n"));
  }

  /** Says something and waits for its echo. */
  async echo(word: string): Promise<void> {
    if (this.isOver) throw new Error("the connection is over");
    this.#socket!.write(`${word}\n`);
    await poll(() => this.heard.endsWith(`${word}\n`), 5000, `no echo of ${word}`);
  }

  [Symbol.dispose](): void {
    this.#socket?.end();
  }
}

/** Who answers one connection from a host. */
export async function answering(
  network: Network,
  host: string,
  to: string,
  port: number,
): Promise<string> {
  using call = await Call.make(network, host, to, port);
  return await call.greeting();
}

/** Who answers one datagram from a host. */
export async function answeringUdp(
  network: Network,
  host: string,
  to: string,
  port: number,
): Promise<string> {
  let answer = "";
  const hostname = to.includes(":") ? "::" : "0.0.0.0";
  const socket = await on(network, host, () =>
    Bun.udpSocket({
      hostname,
      socket: { data: (_, bytes) => void (answer ||= bytes.toString()) },
    }));
  try {
    socket.send("who", port, to);
    await poll(() => answer !== "", 3000, `no answer from ${to}:${port}`);
    return answer;
  } finally {
    socket.close();
  }
}
