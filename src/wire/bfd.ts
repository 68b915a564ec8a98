/**
 * BFD Control packets (RFC 5880 §4.1) as bytes, without authentication:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
 *     |Vers | Diag    |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
 *     +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
 *     |                       My Discriminator                        |
 *     +---------------------------------------------------------------+
 *     |                      Your Discriminator                       |
 *     +---------------------------------------------------------------+
 *     |                    Desired Min TX Interval                    |
 *     +---------------------------------------------------------------+
 *     |                   Required Min RX Interval                    |
 *     +---------------------------------------------------------------+
 *     |                 Required Min Echo RX Interval                 |
 *     +---------------------------------------------------------------+
 *
 * Intervals are in microseconds. At 10 ms a session hears and says 200 of these a second, so both
 * directions work in place: no reader, no view, no object is made.
 */

/** UDP port of single-hop sessions (RFC 5881 §4). */
export const BFD_PORT = 3784;
/** UDP port of multihop sessions (RFC 5883 §5). */
export const BFD_MULTIHOP_PORT = 4784;
/** The lowest and the highest source port a session may have (RFC 5881 §4). */
export const BFD_SOURCE_PORTS = { first: 49152, last: 65535 } as const;

/** Length of a packet without authentication. */
export const CONTROL_BYTES = 24;

/** bfd.SessionState; the names are the RFC's, in the order of its numbers (§4.1). */
export type SessionState = "AdminDown" | "Down" | "Init" | "Up";

const STATES: readonly SessionState[] = ["AdminDown", "Down", "Init", "Up"];

/** A Control packet; decoding fills one that is there. */
export interface ControlPacket {
  /** Why the sender last left Up or declared itself down: 0 to 31, see §4.1. */
  diagnostic: number;
  state: SessionState;
  poll: boolean;
  final: boolean;
  controlPlaneIndependent: boolean;
  demand: boolean;
  /** 1 to 255. */
  multiplier: number;
  /** Not 0. */
  myDiscriminator: number;
  /** 0 when the sender has not heard its peer. */
  yourDiscriminator: number;
  desiredMinTxUs: number;
  /** 0 asks for silence. */
  requiredMinRxUs: number;
  /** 0 when echo packets are not supported. */
  requiredMinEchoRxUs: number;
}

/**
 * Why bytes are no Control packet for us, in the order of the checks of §6.8.6:
 *
 *     version             not 1
 *     length              shorter than the mandatory part, or than the Length field says
 *     multiplier          Detect Mult 0
 *     multipoint          the M bit, reserved for RFC 8562
 *     my-discriminator    0
 *     your-discriminator  0 in a state that can only be reached by hearing the peer
 *     authentication      the A bit; there is no keyword for it
 *     poll-final          both, which §6.5 forbids
 */
export type ControlError =
  | "version"
  | "length"
  | "multiplier"
  | "multipoint"
  | "my-discriminator"
  | "your-discriminator"
  | "authentication"
  | "poll-final";

const VERSION = 1;
const POLL = 0x20;
const FINAL = 0x10;
const CONTROL_PLANE_INDEPENDENT = 0x08;
const AUTHENTICATION = 0x04;
const DEMAND = 0x02;
const MULTIPOINT = 0x01;

/** A packet to decode into; all fields zero, state AdminDown. */
export function blankControl(): ControlPacket {
  return {
    diagnostic: 0,
    state: "AdminDown",
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    multiplier: 0,
    myDiscriminator: 0,
    yourDiscriminator: 0,
    desiredMinTxUs: 0,
    requiredMinRxUs: 0,
    requiredMinEchoRxUs: 0,
  };
}

/**
 * Reads the UDP payload in the first `length` of `bytes` into `into`; undefined when it is a Control
 * packet, else why not, and `into` is as it was. Bytes beyond the packet's own length are ignored. Which
 * session it is for, and its TTL, are the caller's to judge.
 */
export function decodeControl(
  bytes: Uint8Array,
  into: ControlPacket,
  length = bytes.length,
): ControlError | undefined {
  // A version can be told from one byte; all else needs the whole mandatory part.
  if (length > 0 && bytes[0]! >> 5 !== VERSION) return "version";
  if (length < CONTROL_BYTES) return "length";
  const flags = bytes[1]!;
  const own = bytes[3]!;
  // With authentication there are at least its type and its length.
  const least = (flags & AUTHENTICATION) === 0 ? CONTROL_BYTES : CONTROL_BYTES + 2;
  if (own < least || own > length) return "length";
  if (bytes[2] === 0) return "multiplier";
  if ((flags & MULTIPOINT) !== 0) return "multipoint";
  const state = STATES[flags >> 6]!;
  const myDiscriminator = readU32(bytes, 4);
  const yourDiscriminator = readU32(bytes, 8);
  if (myDiscriminator === 0) return "my-discriminator";
  if (yourDiscriminator === 0 && (state === "Init" || state === "Up")) return "your-discriminator";
  if ((flags & AUTHENTICATION) !== 0) return "authentication";
  if ((flags & (POLL | FINAL)) === (POLL | FINAL)) return "poll-final";
  into.diagnostic = bytes[0]! & 0x1f;
  into.state = state;
  into.poll = (flags & POLL) !== 0;
  into.final = (flags & FINAL) !== 0;
  into.controlPlaneIndependent = (flags & CONTROL_PLANE_INDEPENDENT) !== 0;
  into.demand = (flags & DEMAND) !== 0;
  into.multiplier = bytes[2]!;
  into.myDiscriminator = myDiscriminator;
  into.yourDiscriminator = yourDiscriminator;
  into.desiredMinTxUs = readU32(bytes, 12);
  into.requiredMinRxUs = readU32(bytes, 16);
  into.requiredMinEchoRxUs = readU32(bytes, 20);
  return undefined;
}

/** Writes a packet into the first {@link CONTROL_BYTES} of `into`. */
export function encodeControl(packet: Readonly<ControlPacket>, into: Uint8Array): void {
  into[0] = (VERSION << 5) | packet.diagnostic;
  into[1] = (STATES.indexOf(packet.state) << 6) | (packet.poll ? POLL : 0) |
    (packet.final ? FINAL : 0) |
    (packet.controlPlaneIndependent ? CONTROL_PLANE_INDEPENDENT : 0) |
    (packet.demand ? DEMAND : 0);
  into[2] = packet.multiplier;
  into[3] = CONTROL_BYTES;
  writeU32(into, 4, packet.myDiscriminator);
  writeU32(into, 8, packet.yourDiscriminator);
  writeU32(into, 12, packet.desiredMinTxUs);
  writeU32(into, 16, packet.requiredMinRxUs);
  writeU32(into, 20, packet.requiredMinEchoRxUs);
}

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>>
    0;
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
