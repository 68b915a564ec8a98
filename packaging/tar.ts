/**
 * Archives whose bytes depend on nothing but their content: tar (POSIX.1-1988 ustar) and ar (the form
 * that deb(5) uses). Owner and group are 0, times are the ones given.
 */

/** A member of a tar archive. */
export type TarEntry =
  | { readonly path: string; readonly mode: number; readonly data: Uint8Array }
  | { readonly path: string; readonly link: string }
  /** A folder: the path ends in a slash. */
  | { readonly path: string; readonly mode: number };

const BLOCK = 512;

/** A tar archive of the entries in their order; `time` in seconds since 1970 is everybody's. */
export function writeTar(entries: readonly TarEntry[], time: number): Uint8Array {
  const blocks = entries.flatMap((entry) => {
    const data = "data" in entry ? entry.data : new Uint8Array();
    return [tarHeader(entry, data.length, time), data, padding(data.length, BLOCK)];
  });
  return concatenate([...blocks, new Uint8Array(2 * BLOCK)]);
}

/** ustar: name, mode, owner, group, size, time, checksum, type, link, "ustar", "00", two names. */
function tarHeader(entry: TarEntry, size: number, time: number): Uint8Array {
  const type = "data" in entry ? "0" : "link" in entry ? "2" : "5";
  const mode = "mode" in entry ? entry.mode : 0o777;
  const header = new Uint8Array(BLOCK);
  const put = (at: number, width: number, text: string): void => {
    const bytes = new TextEncoder().encode(text);
    if (bytes.length > width) throw new Error(`"${text}" has no room in a tar header`);
    header.set(bytes, at);
  };
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, "0");
  put(0, 100, entry.path);
  put(100, 8, octal(mode, 7));
  put(108, 8, octal(0, 7));
  put(116, 8, octal(0, 7));
  put(124, 12, octal(size, 11));
  put(136, 12, octal(time, 11));
  put(148, 8, " ".repeat(8)); // what the checksum is taken over
  put(156, 1, type);
  put(157, 100, "link" in entry ? entry.link : "");
  put(257, 8, "ustar\x0000");
  put(265, 32, "root");
  put(297, 32, "root");
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, 8, `${octal(sum, 6)}\0 `);
  return header;
}

/** A member of an ar archive. */
export interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

const AR_MAGIC = "!<arch>\n";
const AR_HEADER = 60;

/** The members of an ar archive. Throws on what is none. */
export function readAr(bytes: Uint8Array): ArMember[] {
  const text = (from: number, to: number): string =>
    new TextDecoder("latin1").decode(bytes.subarray(from, to));
  if (text(0, AR_MAGIC.length) !== AR_MAGIC) throw new Error("not an ar archive");
  const members: ArMember[] = [];
  for (let at = AR_MAGIC.length; at < bytes.length;) {
    const size = Number(text(at + 48, at + 58));
    const start = at + AR_HEADER;
    const name = text(at, at + 16).trim().replace(/\/$/, "");
    members.push({ name, data: bytes.subarray(start, start + size) });
    at = start + size + size % 2;
  }
  return members;
}

/** An ar archive as dpkg reads it. */
export function writeAr(members: readonly ArMember[], time: number): Uint8Array {
  const pieces = members.flatMap(({ name, data }) => {
    const header = `${name.padEnd(16)}${String(time).padEnd(12)}${"0     0     100644  "}${
      String(data.length).padEnd(10)
    }\`\n`;
    return [new TextEncoder().encode(header), data, new Uint8Array(data.length % 2).fill(0x0a)];
  });
  return concatenate([new TextEncoder().encode(AR_MAGIC), ...pieces]);
}

/** Zeros up to the next multiple of `unit`. */
export function padding(length: number, unit: number): Uint8Array {
  return new Uint8Array((unit - length % unit) % unit);
}

/** All of them in one. */
export function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
