/** Netlink requests of two programs compared: the order of attributes means nothing. */

/** Types of nested attributes, each with what is nested in it. */
export interface Nests {
  readonly [type: number]: Nests;
}

/** The bytes of a message up to its attributes in hex, then its attributes, sorted at every depth. */
export function sortedMessage(bytes: Uint8Array, headLength: number, nests: Nests = {}): string[] {
  const attributes = sortedAttributes(bytes.subarray(headLength), nests);
  return [bytes.subarray(0, headLength).toHex(), ...attributes];
}

function sortedAttributes(bytes: Uint8Array, nests: Nests): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes: string[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const length = view.getUint16(offset, true);
    if (length < 4) throw new Error(`an attribute of ${length} bytes at ${offset}`);
    const inside = nests[view.getUint16(offset + 2, true) & 0x3fff];
    // Padding is whatever it is.
    const whole = new Uint8Array((length + 3) & ~3);
    whole.set(bytes.subarray(offset, offset + length));
    attributes.push(
      inside === undefined
        ? whole.toHex()
        : `${whole.subarray(0, 4).toHex()}(${
          sortedAttributes(whole.subarray(4), inside).join(" ")
        })`,
    );
    offset += whole.length;
  }
  return attributes.sort();
}
