/**
 * IP addresses as bytes in network order: 4 for IPv4, 16 for IPv6. The length tells the family, a
 * byte-wise comparison is the numeric one RFC 9568 §6.4.3 asks for, and text appears only where
 * people or files are involved (RFC 5952 for IPv6).
 */

/** An IP address, 4 or 16 bytes in network order. */
export type Address = Uint8Array;

/** An address family by the number in its name. */
export type Family = 4 | 6;

/** The family of an address, told by its length. */
export function familyOf(address: Address): Family {
  return address.length === 4 ? 4 : 6;
}

/** Bytes of an IPv4 or IPv6 address in text, or undefined when the text is not one. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

const DOT = ".".charCodeAt(0);
const ZERO = "0".charCodeAt(0);

/**
 * Whether a text is four decimal numbers to 255 without leading zeros. A loop: configurations hold
 * thousands of them, most of which stay text.
 */
function isV4(text: string): boolean {
  const { length } = text;
  if (length > 15) return false;
  let parts = 0;
  let value = 0;
  let digits = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0) return false;
      parts++;
      value = digits = 0;
      continue;
    }
    const digit = code - ZERO;
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return false;
    value = value * 10 + digit;
    digits++;
    if (value > 255) return false;
  }
  return parts === 3 && digits > 0;
}

function parseV4(text: string): Address | undefined {
  return isV4(text) ? Uint8Array.from(text.split("."), Number) : undefined;
}

/**
 * The text of an address as `formatAddress` would give it, or undefined when the text is no address.
 * An IPv4 address that is one is its own.
 */
export function canonicalAddress(text: string): string | undefined {
  if (!text.includes(":")) return isV4(text) ? text : undefined;
  const address = parseV6(text);
  return address === undefined ? undefined : formatAddress(address);
}

function parseV6(text: string): Address | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "");
  const tail = halves.length === 2 ? groups(halves[1] ?? "") : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const out = new Uint8Array(16);
  for (const [i, group] of all.entries()) {
    out[2 * i] = group >> 8;
    out[2 * i + 1] = group & 255;
  }
  return out;
}

/** The 16-bit groups of one side of `::`; a dotted IPv4 tail counts as two. */
function groups(text: string): number[] | undefined {
  if (text === "") return [];
  const words = text.split(":");
  const out: number[] = [];
  for (const [i, word] of words.entries()) {
    if (i === words.length - 1 && word.includes(".")) {
      const v4 = parseV4(word);
      if (v4 === undefined) return undefined;
      out.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(word)) {
      out.push(parseInt(word, 16));
    } else {
      return undefined;
    }
  }
  return out;
}

/** Text of an address: dotted IPv4, or IPv6 as RFC 5952 §4 wants it. */
export function formatAddress(address: Address): string {
  if (address.length === 4) return address.join(".");
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push((address[i]! << 8) | address[i + 1]!);
  const run = longestZeroRun(words);
  const hex = (part: number[]): string => part.map((word) => word.toString(16)).join(":");
  if (run.length < 2) return hex(words);
  return `${hex(words.slice(0, run.start))}::${hex(words.slice(run.start + run.length))}`;
}

function longestZeroRun(words: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < words.length; start++) {
    let length = 0;
    while (words[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** Negative, zero or positive as `a` is numerically below, equal to or above `b` (same family). */
export function compareAddress(a: Address, b: Address): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
