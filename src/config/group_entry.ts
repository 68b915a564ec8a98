/**
 * The lines of a virtual_server_group: an address, a range of addresses in one of four spellings, or a
 * firewall mark.
 */
import { type Address, compareAddress, formatAddress, parseAddress } from "../lib/address.ts";
import type { GroupEntry } from "./lvs.ts";
import { readPort } from "./lvs_words.ts";
import { complain, type Context, firstWord, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";

const UINT_MAX = 4_294_967_295;

/** Reads a line; undefined, with a message, when it is none. */
export function readGroupEntry(node: Statement, context: Context): GroupEntry | undefined {
  const word = node.words[0]!;
  if (word === "fwmark") return readMark(node, context);
  const sign = word.search(/[/-]/);
  const start = parseAddress(sign < 0 ? word : word.slice(0, sign));
  const port = start === undefined ? undefined : readPort(node, 1, context);
  if (start === undefined || port === undefined) {
    const shown = node.words[1] === undefined ? "" : ` /port/${node.words[1]}`;
    const message = `Invalid virtual server group IP address ${word}${shown} - skipping`;
    complain(context, node, "general", message, 0, { hint: "ADDRESS [PORT], both numeric" });
    return undefined;
  }
  const first = formatAddress(start);
  if (sign < 0) return { type: "address", address: first, port };
  const refuse: Refuse = (message) => {
    complain(context, node, "general", message, 0, { offset: sign + 1 });
  };
  const end = word[sign] === "/"
    ? lastOfPrefix(start, word, sign + 1, refuse)
    : lastOfRange(start, word, sign + 1, refuse);
  if (end === undefined) return undefined;
  const last = formatAddress(end);
  if (last === first) return { type: "address", address: first, port };
  return { type: "range", first, last, port };
}

type Refuse = (message: string) => undefined;

function readMark(node: Statement, context: Context): GroupEntry | undefined {
  const word = firstWord(node, context);
  if (word === undefined) return undefined;
  const fwmark = readInteger(node, 1, context, { min: 0, max: UINT_MAX });
  if (fwmark === undefined) {
    const message = `(${context.who}): fwmark '${word}' must be in [0, ${UINT_MAX}] - ignoring`;
    complain(context, node, "general", message, 1);
    return undefined;
  }
  const family = node.words[2];
  if (family === undefined) return { type: "fwmark", fwmark };
  if (family === "inet") return { type: "fwmark", fwmark, family: 4 };
  if (family === "inet6") return { type: "fwmark", fwmark, family: 6 };
  const message = `(${context.who}): fwmark '${word}' family ${family} unknown - ignoring`;
  complain(context, node, "general", message, 2, { hint: "inet or inet6" });
  return undefined;
}

/** The last address of ADDR/PREFIX, whose host bits must be zero. */
function lastOfPrefix(
  start: Address,
  word: string,
  from: number,
  refuse: Refuse,
): Address | undefined {
  const text = word.slice(from);
  const length = /^[0-9]{1,3}$/.test(text) ? Number(text) : 0;
  if (length < 1 || length > start.length * 8) {
    return refuse(`Invalid netmask - ${word} - skipping`);
  }
  const hostBits = (i: number): number => 0xff >> Math.min(8, Math.max(0, length - 8 * i));
  if (start.some((byte, i) => (byte & hostBits(i)) !== 0)) {
    return refuse(`Address mask bits not empty - ${word} - skipping`);
  }
  return start.map((byte, i) => byte | hostBits(i));
}

/** The last address of ADDR-END, END being an address or its last number (hexadecimal in IPv6). */
function lastOfRange(
  start: Address,
  word: string,
  from: number,
  refuse: Refuse,
): Address | undefined {
  const text = word.slice(from);
  const isV6 = start.length === 16;
  if (text.includes(isV6 ? ":" : ".")) {
    const end = parseAddress(text);
    if (end?.length !== start.length) {
      return refuse(`Invalid virtual server group IP address ${word} - skipping`);
    }
    if (compareAddress(end, start) >= 0) return end;
    return refuse(`Address range end is less than address range start - ${word} - skipping`);
  }
  const digits = (isV6 ? /^[0-9a-fA-F]*/ : /^[0-9]*/).exec(text)![0];
  const what = `Virtual server group range '${word}'`;
  if (digits.length < text.length) {
    return refuse(`${what} has extra characters at end '${text.slice(digits.length)}'`);
  }
  const number = parseInt(digits === "" ? "0" : digits, isV6 ? 16 : 10);
  if (number > (isV6 ? 0xffff : 255)) return refuse(`${what} end '${text}' too large`);
  const end = start.slice();
  const size = end.length;
  if (isV6) end[size - 2] = number >> 8;
  end[size - 1] = number & 0xff;
  if (compareAddress(end, start) > 0) return end;
  return refuse(`Address range end is not greater than address range start - ${word} - skipping`);
}

/** A line as it is written. */
export function formatGroupEntry(entry: GroupEntry): string {
  switch (entry.type) {
    case "address":
      return `${entry.address}${formatPort(entry.port)}`;
    case "range":
      return `${entry.first}-${entry.last}${formatPort(entry.port)}`;
    case "fwmark": {
      const family = entry.family === undefined ? "" : entry.family === 4 ? " inet" : " inet6";
      return `fwmark ${entry.fwmark}${family}`;
    }
  }
}

/** A port after an address; nothing for none. */
export function formatPort(port: number): string {
  return port === 0 ? "" : ` ${port}`;
}
