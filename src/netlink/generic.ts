/**
 * Generic netlink (linux/genetlink.h): families that the kernel numbers as they come. A controller
 * with a fixed number tells the number of a name. Every message starts with `struct genlmsghdr`, a
 * command and the version of the family's protocol.
 *
 * ```
 *  0        1        2                 4
 * +--------+--------+-----------------+
 * | command| version| reserved        |
 * +--------+--------+-----------------+
 * | attributes ...
 * ```
 */

import {
  AttributeReader,
  AttributeWriter,
  encodeMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
} from "./message.ts";

/** The controller's number (linux/genetlink.h). */
const GENL_ID_CTRL = 0x10;
const CTRL_VERSION = 1;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

/** Bytes of a `struct genlmsghdr`. */
const GENL_HDRLEN = 4;

/** A family by its name. */
export interface GenericFamily {
  readonly name: string;
  /** The type of its messages, until the kernel or its module is loaded anew. */
  readonly id: number;
}

/**
 * Asks for a family by name, at most 15 bytes; the reply is read by {@link decodeFamily}, then comes
 * an acknowledgement; ENOENT when the kernel has none of that name.
 */
export function encodeGetFamily(name: string): Uint8Array {
  return encodeGeneric(
    { family: GENL_ID_CTRL, version: CTRL_VERSION, command: CTRL_CMD_GETFAMILY },
    NLM_F_ACK,
    (w) => w.text(CTRL_ATTR_FAMILY_NAME, name),
  );
}

/** The family that a reply of the controller describes; undefined when malformed. */
export function decodeFamily(payload: Uint8Array): GenericFamily | undefined {
  const r = genericAttributes(payload);
  let [name, id] = ["", 0];
  while (r.next()) {
    if (r.type === CTRL_ATTR_FAMILY_NAME) name = r.text();
    if (r.type === CTRL_ATTR_FAMILY_ID) id = r.u16();
  }
  return r.short || name === "" || id === 0 ? undefined : { name, id };
}

/** The attributes of a message of any family; a reader that is `short` when there is no room. */
export function genericAttributes(payload: Uint8Array): AttributeReader {
  const r = new AttributeReader(payload.subarray(GENL_HDRLEN));
  r.short = payload.length < GENL_HDRLEN;
  return r;
}

/** A request of a family; `flags` are NLM_F_ACK or NLM_F_DUMP. */
export function encodeGeneric(
  to: { readonly family: number; readonly version: number; readonly command: number },
  flags: typeof NLM_F_ACK | typeof NLM_F_DUMP,
  write: (w: AttributeWriter) => void,
): Uint8Array {
  const w = new AttributeWriter();
  w.raw(Uint8Array.of(to.command, to.version, 0, 0));
  write(w);
  return encodeMessage({ type: to.family, flags: NLM_F_REQUEST | flags, payload: w.finish() });
}
