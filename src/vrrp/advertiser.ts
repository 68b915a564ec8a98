/**
 * Adverts on their way out: made ready before they are needed, signed, queued, and noted in the ledger that
 * outlives the process.
 */

import { realtimeUs } from "../../ffi/timer.ts";
import { preparePackets, signPackets } from "./packets.ts";
import type { Ports } from "./ports.ts";
import type { Running } from "./reception.ts";
import type { Action } from "./state.ts";

/** The sending side of one process. */
export class Advertiser {
  readonly #ports: Ports;
  readonly #ledger: Float64Array;

  /** `ledger` is where each MASTER's last advert is noted. */
  constructor(ports: Ports, ledger: Float64Array) {
    this.#ports = ports;
    this.#ledger = ledger;
  }

  /** Queues an advert. */
  advertise(running: Running, priority: number, now: number): void {
    const { port, counters, auth } = running;
    if (port === undefined) return;
    const packets = preparePackets(running, priority);
    if (auth !== undefined) {
      const { instance, router } = running;
      signPackets(instance, packets, router.address, auth, realtimeUs());
    }
    this.#ports.queue(port, packets);
    counters.advert_sent++;
    if (priority === 0) counters.pri_zero_sent++;
    else this.note(running, now);
  }

  /** An election is decided by its first advert: it does not wait for the rest of the turn. */
  advertiseAtOnce(running: Running, actions: readonly Action[], now: number): void {
    for (const action of actions) {
      if (action.type === "advert") this.advertise(running, action.priority, now);
    }
    this.#ports.flush();
  }

  /** Makes the adverts of the next election ready. */
  prepare(running: Running): void {
    if (running.port === undefined) return;
    preparePackets(running, running.router.priority);
    preparePackets(running, 0);
  }

  /** Notes when a MASTER has last advertised; 0 when its term is over. */
  note({ slot }: Running, at: number): void {
    if (slot >= 0) this.#ledger[slot] = at;
  }
}
