/**
 * What the role keeps of one instance while it runs: its state and deadline, what is derived from its
 * configuration, and what it has counted. The socket and the packets are the role's own kinds.
 */

import type { VrrpGlobals, VrrpInstance } from "../config/vrrp.ts";
import { type Address, compareAddress, type Family, parseAddress } from "../lib/address.ts";
import type { Deadline } from "../lib/deadlines.ts";
import type { ChecksumStyle } from "../wire/vrrp.ts";
import { advertisedAddresses, type Held, heldAddresses } from "./addresses.ts";
import { type AuthState, authState } from "./auth.ts";
import type { Rival } from "./rival.ts";
import type { State, VirtualRouter } from "./state.ts";
import type { Standing } from "./tracking.ts";
import {
  type Counters,
  type FaultReason,
  freshCounters,
  type Placed,
  virtualRouter,
} from "./instance.ts";

/** One instance; its own deadline in the loop. */
export interface RunningInstance<Port, Packets> extends Deadline {
  /** See diff.ts. */
  readonly key: string;
  /** Its place in the ledger, -1 for none. */
  readonly slot: number;
  instance: VrrpInstance;
  /** The VMAC it speaks from; undefined: the link of its configuration. */
  vmac: string | undefined;
  router: VirtualRouter;
  state: State;
  /** Why it may not take part. */
  fault: FaultReason | undefined;
  /** The same in words, as it was last logged; "" for nothing. */
  why: string;
  /** What it makes of what it tracks; undefined when it tracks nothing. */
  standing: Standing | undefined;
  /** The peer with the best priority that was heard, and that priority; 0 for none. */
  peer: Address | undefined;
  peerPriority: number;
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
  /** Sequence numbers and keys, when its adverts are authenticated by more than a password. */
  auth: AuthState | undefined;
  /** How it makes checksums, and whether a peer's were looked at yet. */
  style: ChecksumStyle;
  knowsStyle: boolean;
  /** The group that old unicast checksums are made over, when they are accepted. */
  oldGroup: Address | undefined;
  /** Whose list of addresses was compared last; only with skip_check_adv_addr. */
  checkedSource: Address;
  /** Other MASTERs that were heard while we were MASTER. */
  rivals: readonly Rival[];
  readonly counters: Counters;
  /** When each complaint was last logged; undefined while there was none. */
  complainedAt: Map<string, number> | undefined;
  /** Its deadline decides an election. */
  isUrgent: boolean;
  /** Called by the loop at the deadline. */
  readonly fire: (this: RunningInstance<Port, Packets>, now: number) => void;
}

const NOBODY: Address = new Uint8Array(0);
const NOWHERE: Readonly<Record<Family, Address>> = { 4: new Uint8Array(4), 6: new Uint8Array(16) };

/** An instance before its first event; it speaks from nowhere until its link is known. */
export function startRunning<Port, Packets>(
  key: string,
  slot: number,
  { instance, vmac }: Placed,
  fire: (this: RunningInstance<Port, Packets>, now: number) => void,
): RunningInstance<Port, Packets> {
  // What every advert touches comes first, and lies together.
  return {
    dueAt: Infinity,
    heapIndex: -1,
    rank: slot,
    isUrgent: false,
    fire,
    state: { name: "INIT" },
    router: virtualRouter(instance, NOWHERE[instance.family]),
    port: undefined,
    packets: undefined,
    packetPriority: -1,
    auth: authState(instance),
    counters: freshCounters(),
    slot,
    why: "",
    instance,
    key,
    vmac,
    fault: undefined,
    standing: undefined,
    peer: undefined,
    peerPriority: 0,
    held: heldAddresses(instance),
    advertised: advertisedAddresses(instance),
    farewell: undefined,
    ...checksums(instance),
    checkedSource: NOBODY,
    rivals: [],
    complainedAt: undefined,
  };
}

/** Gives a running instance its new configuration; its state and counters stay. */
export function reconfigure<Port, Packets>(
  running: RunningInstance<Port, Packets>,
  { instance: next, vmac }: Placed,
): void {
  const { address, priority } = running.router;
  running.instance = next;
  running.vmac = vmac;
  // The priority is weighed anew together with what is tracked, see Tracked.weigh.
  running.router = virtualRouter(next, address, priority);
  running.held = heldAddresses(next);
  running.advertised = advertisedAddresses(next);
  running.auth = authState(next, running.auth);
  const known = running.knowsStyle && running.style;
  Object.assign(running, checksums(next));
  // What a peer has taught us lasts, unless it may not be learned any more.
  if (known === "group" && running.oldGroup !== undefined) running.style = "group";
  running.checkedSource = NOBODY;
  if (!isPeer(next, running.peer)) {
    running.peer = undefined;
    running.peerPriority = 0;
  }
  forgetPackets(running);
}

/** Whether adverts of this address may still be heard; undefined is nobody. */
function isPeer({ unicast_peer }: VrrpInstance, peer: Address | undefined): boolean {
  return peer === undefined || unicast_peer.length === 0 ||
    unicast_peer.some(({ address }) => compareAddress(parseAddress(address)!, peer) === 0);
}

/** Only version 3 over IPv4 leaves a choice; see ChecksumStyle. */
function checksums(instance: VrrpInstance): Pick<
  RunningInstance<unknown, unknown>,
  "style" | "knowsStyle" | "oldGroup"
> {
  const { version, family, unicast_peer, old_unicast_checksum, v3_checksum_as_v2 } = instance;
  const isOpen = version === 3 && family === 4;
  if (!isOpen) return { style: "pseudo", knowsStyle: true, oldGroup: undefined };
  if (v3_checksum_as_v2 === true) {
    return { style: "message", knowsStyle: true, oldGroup: undefined };
  }
  const mayBeOld = unicast_peer.length > 0 && old_unicast_checksum !== "never";
  const oldGroup = mayBeOld ? parseAddress(instance.mcast_group) : undefined;
  const isOld = mayBeOld && old_unicast_checksum === "always";
  return { style: isOld ? "group" : "pseudo", knowsStyle: isOld, oldGroup };
}

/** An Ethernet frame's share of a socket buffer besides its payload: headers, and the kernel's own. */
const OVERHEAD_BYTES = 768;
const IP_HEADERS = 60;

/** A peer has advertised this priority; the best one is remembered, as it was last heard. */
export function notePeer<Port, Packets>(
  running: RunningInstance<Port, Packets>,
  source: Address,
  priority: number,
): void {
  const { peer, peerPriority } = running;
  const isKnown = peer !== undefined && compareAddress(peer, source) === 0;
  if (priority === peerPriority || (!isKnown && priority < peerPriority)) return;
  // The bytes belong to whoever has received them.
  if (!isKnown) running.peer = source.slice();
  running.peerPriority = priority;
}

/** How much receive buffer an instance asks for; 0 leaves it to the system. */
export function receiveBytes(instance: VrrpInstance, globals: VrrpGlobals, mtu: number): number {
  const { kernel_rx_buf_size, virtual_ipaddress, family } = instance;
  if (kernel_rx_buf_size !== undefined) return kernel_rx_buf_size;
  const { vrrp_rx_bufs_policy: policy, vrrp_rx_bufs_multiplier: multiplier = 3 } = globals;
  if (policy === undefined) return 0;
  if (typeof policy === "number") return policy;
  const advertBytes = IP_HEADERS + 8 + virtual_ipaddress.length * (family === 4 ? 4 : 16) + 28;
  const payload = policy === "MTU" ? mtu : advertBytes;
  return multiplier * (payload + OVERHEAD_BYTES);
}

/** Something in the adverts has changed: they are made anew. */
export function forgetPackets<Port, Packets>(running: RunningInstance<Port, Packets>): void {
  running.packets = undefined;
  running.farewell = undefined;
}

/** What the loop calls at the deadline of each of many instances: one function for all of them. */
export function timerOf<Port, Packets>(
  expire: (running: RunningInstance<Port, Packets>, now: number) => void,
): RunningInstance<Port, Packets>["fire"] {
  return function (now: number): void {
    expire(this, now);
  };
}
