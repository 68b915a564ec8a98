/**
 * The payload of an .rpm packed anew. The library in nfpm knows xz only in its weakest form, so nfpm
 * packs quickly and this takes the payload out, packs it with xz and writes the headers that speak
 * of it again.
 *
 * Format (RPM V4): a lead of 96 bytes, the signature header padded to 8, the main header, the payload.
 * A header is
 *
 *     8e ad e8 01, 4 reserved, number of entries, bytes of data
 *     entries: tag, type, offset into the data, count, 4 bytes each
 *     data
 *
 * The first entry of each is its region: 16 bytes at the very end of the data which repeat the size of
 * the index.
 */

import { createHash } from "node:crypto";
import { concatenate, padding } from "./tar.ts";

const LEAD = 96;
const INTRO = 16;
const ENTRY = 16;

/** rpmtag.h, and in the signature header RPMSIGTAG_. */
const TAG = {
  HEADERSIGNATURES: 62,
  HEADERIMMUTABLE: 63,
  SIG_SHA256: 273,
  SIG_SIZE: 1000,
  PAYLOADCOMPRESSOR: 1125,
  PAYLOADDIGEST: 5092,
};

/** What each type's items are aligned to: int16, int32 and int64 are, bytes and strings are not. */
const ALIGNMENT: Readonly<Record<number, number>> = { 3: 2, 4: 4, 5: 8 };

interface Entry {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  readonly data: Uint8Array;
}

/**
 * The package with its payload passed through `pack`, which is handed the cpio archive and returns it
 * as xz packs it. `bytes` is a package whose payload is packed with gzip.
 */
export async function repackRpm(
  bytes: Uint8Array,
  pack: (cpio: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const signature = readHeader(bytes, LEAD);
  const mainAt = signature.end + padding(signature.end, 8).length;
  const main = readHeader(bytes, mainAt);
  const cpio = Bun.gunzipSync(new Uint8Array(bytes.subarray(main.end)));
  const payload = await pack(cpio);
  const header = writeHeader(
    main.entries.map((entry) => {
      if (entry.tag === TAG.PAYLOADCOMPRESSOR) return { ...entry, data: string("xz") };
      if (entry.tag === TAG.PAYLOADDIGEST) return { ...entry, data: string(sha256(payload)) };
      return entry;
    }),
  );
  const signatures = writeHeader(
    signature.entries.map((entry) => {
      if (entry.tag === TAG.SIG_SHA256) return { ...entry, data: string(sha256(header)) };
      if (entry.tag !== TAG.SIG_SIZE) return entry;
      const size = new Uint8Array(4);
      new DataView(size.buffer).setUint32(0, header.length + payload.length);
      return { ...entry, data: size };
    }),
  );
  const pad = padding(LEAD + signatures.length, 8);
  return concatenate([bytes.subarray(0, LEAD), signatures, pad, header, payload]);
}

function readHeader(bytes: Uint8Array, at: number): { entries: Entry[]; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at);
  if (view.getUint32(0) !== 0x8eade801) throw new Error(`no rpm header at offset ${at}`);
  const [count, size] = [view.getUint32(8), view.getUint32(12)];
  const dataAt = at + INTRO + count * ENTRY;
  const rows = Array.from({ length: count }, (_, i) => {
    const [tag, type, offset, items] = [0, 4, 8, 12]
      .map((part) => view.getUint32(INTRO + i * ENTRY + part)) as [number, number, number, number];
    return { tag, type, offset, count: items };
  });
  const offsets = rows.map(({ offset }) => offset).toSorted((a, b) => a - b);
  // What lies up to the next entry's data; padding that it takes along comes out the same again.
  const entries = rows.map(({ offset, ...row }) => {
    const next = offsets.find((other) => other > offset) ?? size;
    return { ...row, data: bytes.subarray(dataAt + offset, dataAt + next) };
  });
  return { entries, end: dataAt + size };
}

function writeHeader(entries: readonly Entry[]): Uint8Array {
  const isRegion = ({ tag }: Entry): boolean =>
    tag === TAG.HEADERSIGNATURES || tag === TAG.HEADERIMMUTABLE;
  const pieces: Uint8Array[] = [];
  const offsets = new Map<Entry, number>();
  let size = 0;
  for (const entry of [...entries.filter((one) => !isRegion(one)), ...entries.filter(isRegion)]) {
    const data = trimmed(entry);
    const pad = padding(size, ALIGNMENT[entry.type] ?? 1);
    offsets.set(entry, size + pad.length);
    pieces.push(pad, data);
    size += pad.length + data.length;
  }
  const index = new DataView(new ArrayBuffer(INTRO + entries.length * ENTRY));
  index.setUint32(0, 0x8eade801);
  index.setUint32(8, entries.length);
  index.setUint32(12, size);
  for (const [i, entry] of entries.entries()) {
    const row = [entry.tag, entry.type, offsets.get(entry)!, entry.count];
    for (const [j, value] of row.entries()) index.setUint32(INTRO + i * ENTRY + j * 4, value);
  }
  return concatenate([new Uint8Array(index.buffer), ...pieces]);
}

/** An entry's data without padding that followed it. */
function trimmed({ type, count, data }: Entry): Uint8Array {
  // NULL, CHAR, INT8, INT16, INT32, INT64, STRING, BIN, STRING_ARRAY, I18NSTRING
  const width = [0, 1, 1, 2, 4, 8, 0, 1, 0, 0][type];
  if (width === undefined) throw new Error(`unknown rpm type ${type}`);
  if (width > 0) return data.subarray(0, width * count);
  let end = 0;
  for (let i = 0; i < count; i++) end = data.indexOf(0, end) + 1;
  return data.subarray(0, end);
}

function string(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
