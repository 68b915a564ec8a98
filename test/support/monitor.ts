/** What happens to the addresses of a host, as `ip monitor` tells it. */

import type { Network } from "./namespaces.ts";
import { poll, until, Waiting } from "./waiting.ts";

const SHOWN = "127.0.0.9/32";

/** A host whose addresses are watched; ends with `await using`. */
export class AddressMonitor {
  /** In their order, `+10.0.0.100/32` for one that came and `-10.0.0.100/32` for one that left. */
  readonly events: string[] = [];
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #waiting = new Waiting();
  #isListening = false;

  private constructor(network: Network, host: string) {
    this.#child = Bun.spawn([...network.enter(host), "ip", "-o", "monitor", "address"], {
      stdin: "ignore",
      stdout: "pipe",
    });
    void this.#read();
  }

  /** Watches from now on. */
  static async start(network: Network, host: string): Promise<AddressMonitor> {
    const monitor = new AddressMonitor(network, host);
    // It does not say when it listens: show it something until it tells of it.
    await poll(
      () => {
        network.run(host, "ip", "address", "add", SHOWN, "dev", "lo");
        network.run(host, "ip", "address", "del", SHOWN, "dev", "lo");
        return monitor.#isListening;
      },
      5000,
      "ip monitor does not listen",
    );
    return monitor;
  }

  /** Waits until this event, of a form as in {@link AddressMonitor.events}, has been seen. */
  async waitFor(event: string, ms = 5000): Promise<void> {
    const complaint = (): string => `no ${event} in ${ms} ms: ${this.events.join(" ")}`;
    await until(this.#waiting, () => this.events.includes(event) || undefined, ms, complaint);
  }

  /** Ends the watch. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.#child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const address = / inet6? (\S+)/.exec(line)?.[1];
        if (address === undefined) continue;
        if (address === SHOWN) {
          this.#isListening = true;
          continue;
        }
        this.events.push(`${line.startsWith("Deleted") ? "-" : "+"}${address}`);
      }
      this.#waiting.look();
    }
  }
}
