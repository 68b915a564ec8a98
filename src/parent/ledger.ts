/**
 * What outlives a vrrp role.
 *
 * The ledger: memory shared with the vrrp role in which it notes, for each instance that is MASTER, when
 * its last advert left. It outlives the role, so that after a crash the parent knows who may go on as
 * MASTER without any peer having noticed. Writing to it costs the role nothing.
 *
 * And the packet socket for gratuitous ARP: the kernel takes some 10 ms to close one, which a dying role would
 * have to wait for before anybody learns of its death. So the parent holds it too.
 *
 * And the stop line: a stop need not wait for the parent's loop to tell the role (see signals.ts).
 */

import { AF_PACKET, SO_SNDBUF, SOCK_RAW, SOL_SOCKET } from "../../ffi/constants.ts";
import { mapShared } from "../../ffi/memory.ts";
import { openSharedMemory } from "../../ffi/process.ts";
import { PREMISES_SLOT } from "./channel.ts";
import { openSocket, setOption, socketPair } from "../../ffi/socket.ts";

/** Instances beyond this number are not adopted after a crash, they start as BACKUP. */
const SLOTS = 16_384;
/** Room for the announcements of some thousand addresses at once. */
const ANNOUNCE_BYTES = 4 * 1024 * 1024;
/** How large the shared memory is. */
export const LEDGER_BYTES = SLOTS * Float64Array.BYTES_PER_ELEMENT;

/** What every role of a daemon gets from its parent. */
export interface Ledger {
  /** To be inherited by the role. */
  readonly fd: number;
  /** Moments of last adverts (microseconds on the monotonic clock; 0 is not MASTER), by slot; see slotOf. */
  readonly lastAdvertAt: Float64Array;
  /** A packet socket, to be inherited too; undefined without the right to one. */
  readonly announceFd: number | undefined;
  readonly stopLine: StopLine;
}

/** A connection at whose end both parent and role stop, each by itself. */
export interface StopLine {
  /** Where its end is seen; to be inherited by the role. */
  readonly fd: number;
  /** What the parent closes to stop. */
  readonly trigger: number;
}

/** A new, empty ledger. Throws SysError. */
export function makeLedger(): Ledger {
  const fd = openSharedMemory("upkeep-ledger", LEDGER_BYTES);
  const [heard, trigger] = socketPair();
  return ledgerOf({ fd, announceFd: openAnnouncer(), stopLine: { fd: heard, trigger } });
}

/** The ledger that these descriptors are. Throws SysError. */
export function ledgerOf(descriptors: Omit<Ledger, "lastAdvertAt">): Ledger {
  const { fd, announceFd } = descriptors;
  if (announceFd !== undefined) setOption(announceFd, SOL_SOCKET, SO_SNDBUF, ANNOUNCE_BYTES);
  return { ...descriptors, lastAdvertAt: openLedger(fd) };
}

/** One packet socket announces for every link; protocol 0 keeps it from receiving anything. */
function openAnnouncer(): number | undefined {
  try {
    return openSocket(AF_PACKET, SOCK_RAW, 0, "opening a socket for gratuitous ARP");
  } catch {
    // The role will say so when it needs it.
    return undefined;
  }
}

/** The ledger behind an inherited descriptor. Throws SysError. */
export function openLedger(fd: number): Float64Array {
  return new Float64Array(mapShared(fd, LEDGER_BYTES));
}

/** The slot of the `index`-th instance, or -1 when there are too many; the first one is PREMISES_SLOT. */
export function slotOf(index: number): number {
  const slot = PREMISES_SLOT + 1 + index;
  return slot < SLOTS ? slot : -1;
}
