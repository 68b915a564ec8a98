/**
 * VRRP advertisements as bytes: version 2 (RFC 3768 §5.1) and version 3 (RFC 9568 §5.1).
 *
 * Version 3, addresses of 4 or 16 bytes:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------+-------+---------------+---------------+---------------+
 *     |Version| Type  | Virtual Rtr ID|   Priority    |IPvX Addr Count|
 *     +-------+-------+---------------+---------------+---------------+
 *     |Reserve| Max Advertise Interval|           Checksum            |
 *     +-------+-----------------------+-------------------------------+
 *     |                       IPvX Address(es)                        |
 *     +---------------------------------------------------------------+
 *
 * Version 2:
 *
 *     +-------+-------+---------------+---------------+---------------+
 *     |Version| Type  | Virtual Rtr ID|   Priority    | Count IP Addrs|
 *     +-------+-------+---------------+---------------+---------------+
 *     |   Auth Type   |   Adver Int   |           Checksum            |
 *     +---------------+---------------+-------------------------------+
 *     |                         IP Address(es)                        |
 *     +---------------------------------------------------------------+
 *     |                    Authentication Data (8)                    |
 *     +---------------------------------------------------------------+
 *
 * The interval is in centiseconds (12 bits) in version 3 and in seconds in version 2. keepalived also
 * speaks version 2 over IPv6, which no RFC describes: without authentication data.
 *
 * What the checksum covers:
 *
 *     version | over | RFC                 | we send    | we accept
 *     2       | IPv4 | message             | message    | message
 *     3       | IPv4 | message (§5.2.8)    | + pseudo   | either
 *     2, 3    | IPv6 | + pseudo (§5.2.8)   | + pseudo   | + pseudo
 *
 * RFC 5798 was read in both ways for IPv4, RFC 9568 settled it; keepalived includes the
 * pseudo-header, and we send as it does. Its releases before 1.3.7 took the multicast group for the
 * destination even when the packet went to a unicast peer; see {@link ChecksumStyle}.
 *
 * A trailer that authenticates the message (vrrp_trailer.ts) may follow. Over IPv6 the checksum covers it too,
 * as the kernel would compute it; over IPv4 it does not.
 */

import { type Address, familyOf } from "../lib/address.ts";
import { assert } from "../lib/assert.ts";
import { checksum, type Endpoints, pseudoHeaderSum, SOUND, sum16 } from "./checksum.ts";
import { Reader } from "./reader.ts";
import { AUTH_LENGTH } from "./vrrp_auth.ts";
import { Writer } from "./writer.ts";

/** IP protocol of VRRP (linux/in.h has no name for it; IANA). */
export const IPPROTO_VRRP = 112;

/** The versions of the protocol there are. */
export type Version = 2 | 3;

/** An advertisement. */
export interface Advert {
  readonly version: Version;
  /** Virtual Router Identifier, 1 to 255 (0 is passed on: no instance has it). */
  readonly vrid: number;
  /** 0 (leaving) to 255 (owner). */
  readonly priority: number;
  /** Whole seconds to 255 s in version 2, whole centiseconds to 40.95 s in version 3. */
  readonly advertisementIntervalUs: number;
  /** At most 255, of the family the message travels over; views of the message when decoded. */
  readonly addresses: readonly Address[];
  /** Version 2: 0 none, 1 PASS, 2 AH (any byte when received). Version 3: 0. */
  readonly authType: number;
  /** Version 2 over IPv4: 8 bytes, a view of the message when decoded. Else empty. */
  readonly authData: Uint8Array;
}

/**
 * Why a message is no advertisement, in the order of the checks; each is a counter. keepalived's
 * name for it in the JSON statistics (or the SNMP counter where only that has it):
 *
 *     length    packet_len_err          shorter than the header or than its count asks for
 *     version   vrrpRouterVersionErrors neither 2 nor 3
 *     type      invalid_type_rcvd       not 1, ADVERTISEMENT
 *     checksum  vrrpRouterChecksumErrors
 *     count     addr_list_err           version 3 without an address (RFC 9568 §5.2.5, erratum 8299)
 *     interval  advert_interval_err     version 3 with interval 0 (RFC 9568 §5.2.7, erratum 8301)
 */
export type AdvertError = "length" | "version" | "type" | "checksum" | "count" | "interval";

/**
 * What the checksum of a version 3 message over IPv4 covers besides the message: the pseudo-header of its
 * packet, nothing, or a pseudo-header with the multicast group for a destination.
 */
export type ChecksumStyle = "pseudo" | "message" | "group";

const ADVERTISEMENT = 1;
const HEADER_LENGTH = 8;
const CHECKSUM_AT = 6;
const SECOND_US = 1_000_000;
const CENTISECOND_US = 10_000;

/** How long a message is by what its header says, trailer excluded; a short header reads as zeros. */
export function messageLength(message: Uint8Array, ends: Endpoints): number {
  const version = (message[0] ?? 0) >> 4;
  const authBytes = version === 2 ? authLength(version, ends) : 0;
  return HEADER_LENGTH + (message[3] ?? 0) * ends.source.length + authBytes;
}

/**
 * The advertisement in `message`, which begins at the VRRP header; `ends` are those of its IP header
 * and tell the family. Bytes after what the header announces are ignored, but for the checksum over IPv6
 * of the `trailerLength` bytes that belong to it. Authentication and everything a configuration decides
 * (which VRID, interval, addresses, TTL) are the caller's to judge. `group` makes the checksum of old
 * unicast adverts sound too; see {@link ChecksumStyle}.
 */
export function decodeAdvert(
  message: Uint8Array,
  ends: Endpoints,
  { trailerLength = 0, group }: {
    readonly trailerLength?: number;
    readonly group?: Address | undefined;
  } = {},
): Advert | AdvertError {
  const r = new Reader(message);
  const versionType = r.u8();
  const vrid = r.u8();
  const priority = r.u8();
  const count = r.u8();
  const word = r.u16(); // authentication type and interval, or the longer interval
  r.skip(2); // checksum, verified below over the whole message
  if (r.short) return "length";
  const version = versionType >> 4;
  if (version !== 2 && version !== 3) return "version";
  if ((versionType & 0x0f) !== ADVERTISEMENT) return "type";
  const addresses = Array.from({ length: count }, () => r.bytes(ends.source.length));
  const authData = r.bytes(authLength(version, ends));
  if (r.short) return "length";
  const covered = familyOf(ends.source) === 4 ? r.remaining : r.remaining - trailerLength;
  if (!isSound(version, message.subarray(0, message.length - covered), ends, group)) {
    return "checksum";
  }
  const rest = { vrid, priority, addresses, authData };
  if (version === 2) {
    const advertisementIntervalUs = (word & 0xff) * SECOND_US;
    return { version, ...rest, authType: word >> 8, advertisementIntervalUs };
  }
  const advertisementIntervalUs = (word & 0x0fff) * CENTISECOND_US; // reserved bits: ignored, §5.2.6
  if (count === 0) return "count";
  if (advertisementIntervalUs === 0) return "interval";
  return { version, ...rest, authType: 0, advertisementIntervalUs };
}

/**
 * The message, from the VRRP header on, for its way between `ends`. The interval is rounded to the
 * version's unit and kept within its field, and never 0. `trailerLength` bytes of zeros follow; once they
 * are filled in over IPv6, {@link sealMessage} has to follow.
 */
export function encodeAdvert(
  advert: Advert,
  ends: Endpoints,
  { style = "pseudo", group, trailerLength = 0 }: {
    readonly style?: ChecksumStyle;
    readonly group?: Address | undefined;
    readonly trailerLength?: number;
  } = {},
): Uint8Array {
  const { version, addresses } = advert;
  const authBytes = authLength(version, ends);
  const length = HEADER_LENGTH + addresses.length * ends.source.length + authBytes;
  const w = new Writer(new Uint8Array(length + trailerLength));
  w.u8((version << 4) | ADVERTISEMENT);
  w.u8(advert.vrid);
  w.u8(advert.priority);
  w.u8(addresses.length);
  if (version === 2) {
    w.u8(advert.authType);
    w.u8(units(advert.advertisementIntervalUs, SECOND_US, 0xff));
  } else {
    w.u16(units(advert.advertisementIntervalUs, CENTISECOND_US, 0x0fff));
  }
  w.u16(0);
  for (const address of addresses) w.bytes(address);
  if (authBytes > 0) {
    assert(advert.authData.length === authBytes, "authentication data is 8 bytes");
    w.bytes(advert.authData);
  }
  w.bytes(new Uint8Array(trailerLength));
  const message = w.finish();
  const over4 = familyOf(ends.source) === 4;
  const covered = over4 ? message.subarray(0, length) : message;
  const plain = over4 && (version === 2 || style === "message");
  const destination = style === "group" && group !== undefined ? group : ends.destination;
  sealMessage(covered, plain ? undefined : { source: ends.source, destination });
  return message;
}

/**
 * Puts the checksum of a message right, in place: over the pseudo-header of `ends` as well, unless they are
 * undefined.
 */
export function sealMessage(message: Uint8Array, ends: Endpoints | undefined): void {
  message[CHECKSUM_AT] = 0;
  message[CHECKSUM_AT + 1] = 0;
  const start = ends === undefined ? 0 : pseudoHeaderSum(ends, IPPROTO_VRRP, message.length);
  const sum = checksum(message, start);
  message[CHECKSUM_AT] = sum >> 8;
  message[CHECKSUM_AT + 1] = sum;
}

/** What the checksum of a version 3 message over IPv4 covers; undefined when it is sound in no way. */
export function checksumStyle(
  message: Uint8Array,
  ends: Endpoints,
  group: Address,
): ChecksumStyle | undefined {
  const { length } = message;
  if (sum16(message, pseudoHeaderSum(ends, IPPROTO_VRRP, length)) === SOUND) return "pseudo";
  if (sum16(message) === SOUND) return "message";
  const old = { source: ends.source, destination: group };
  return sum16(message, pseudoHeaderSum(old, IPPROTO_VRRP, length)) === SOUND ? "group" : undefined;
}

function authLength(version: Version, ends: Endpoints): number {
  return version === 2 && familyOf(ends.source) === 4 ? AUTH_LENGTH : 0;
}

function isSound(
  version: Version,
  message: Uint8Array,
  ends: Endpoints,
  group: Address | undefined,
): boolean {
  if (familyOf(ends.source) === 6) {
    return sum16(message, pseudoHeaderSum(ends, IPPROTO_VRRP, message.length)) === SOUND;
  }
  if (version === 2) return sum16(message) === SOUND;
  return checksumStyle(message, ends, group ?? ends.destination) !== undefined;
}

function units(durationUs: number, unitUs: number, most: number): number {
  return Math.min(Math.max(Math.round(durationUs / unitUs), 1), most);
}
