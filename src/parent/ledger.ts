/**
 * The ledger: memory shared with the vrrp role in which it notes, for each instance that is MASTER, when
 * its last advert left. It outlives the role, so that after a crash the parent knows who may go on as
 * MASTER without any peer having noticed. Writing to it costs the role nothing.
 */

import { mapShared } from "../../ffi/memory.ts";
import { openSharedMemory } from "../../ffi/process.ts";

/** Instances beyond this number are not adopted after a crash, they start as BACKUP. */
const SLOTS = 16_384;
const BYTES = SLOTS * Float64Array.BYTES_PER_ELEMENT;

/** Moments of last adverts (microseconds on the monotonic clock; 0 is not MASTER), by slot. */
export interface Ledger {
  /** To be inherited by the role. */
  readonly fd: number;
  readonly lastAdvertAt: Float64Array;
}

/** A new, empty ledger. Throws SysError. */
export function makeLedger(): Ledger {
  const fd = openSharedMemory("upkeep-ledger", BYTES);
  return { fd, lastAdvertAt: openLedger(fd) };
}

/** The ledger behind an inherited descriptor. Throws SysError. */
export function openLedger(fd: number): Float64Array {
  return new Float64Array(mapShared(fd, BYTES));
}

/** The slot of the `index`-th instance, or -1 when there are too many. */
export function slotOf(index: number): number {
  return index < SLOTS ? index : -1;
}
