/**
 * What the role keeps of one instance while it runs: its state and deadline, what is derived from its
 * configuration, and what it has counted. The socket and the packets are the role's own kinds.
 */

import type { VrrpInstance } from "../config/vrrp.ts";
import type { Address } from "../lib/address.ts";
import type { Deadline } from "../lib/deadlines.ts";
import { advertisedAddresses, type Held, heldAddresses } from "./addresses.ts";
import type { State, VirtualRouter } from "./state.ts";
import { type Counters, type FaultReason, freshCounters, virtualRouter } from "./instance.ts";

/** One instance; its own deadline in the loop. */
export interface RunningInstance<Port, Packets> extends Deadline {
  /** See diff.ts. */
  readonly key: string;
  /** Its place in the ledger, -1 for none. */
  readonly slot: number;
  instance: VrrpInstance;
  router: VirtualRouter;
  state: State;
  /** Why it may not take part. */
  fault: FaultReason | undefined;
  port: Port | undefined;
  /** The addresses it moves. */
  held: readonly Held[];
  /** Those of them that its adverts carry. */
  advertised: readonly Address[];
  /** The current advert as packets, and its priority. */
  packets: Packets | undefined;
  packetPriority: number;
  /** The same with priority 0, for when it leaves. */
  farewell: Packets | undefined;
  readonly counters: Counters;
  /** When each complaint was last logged. */
  readonly complainedAt: Map<string, number>;
  /** Its deadline decides an election. */
  isUrgent: boolean;
  /** Called by the loop at the deadline. */
  readonly fire: (now: number) => void;
}

/** An instance before its first event; it speaks from nowhere until its link is known. */
export function startRunning<Port, Packets>(
  key: string,
  slot: number,
  instance: VrrpInstance,
  fire: (now: number) => void,
): RunningInstance<Port, Packets> {
  const nowhere = new Uint8Array(instance.family === 4 ? 4 : 16);
  return {
    key,
    slot,
    instance,
    router: virtualRouter(instance, nowhere),
    state: { name: "INIT" },
    fault: undefined,
    port: undefined,
    held: heldAddresses(instance),
    advertised: advertisedAddresses(instance),
    packets: undefined,
    packetPriority: -1,
    farewell: undefined,
    counters: freshCounters(),
    complainedAt: new Map(),
    dueAt: Infinity,
    heapIndex: -1,
    rank: slot,
    isUrgent: false,
    fire,
  };
}

/** Gives a running instance its new configuration; its state and counters stay. */
export function reconfigure<Port, Packets>(
  running: RunningInstance<Port, Packets>,
  next: VrrpInstance,
): void {
  running.instance = next;
  running.router = virtualRouter(next, running.router.address);
  running.held = heldAddresses(next);
  running.advertised = advertisedAddresses(next);
  forgetPackets(running);
}

/** Something in the adverts has changed: they are made anew. */
export function forgetPackets<Port, Packets>(running: RunningInstance<Port, Packets>): void {
  running.packets = undefined;
  running.farewell = undefined;
}
