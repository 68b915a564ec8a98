/** Words that several blocks of the load balancer share: addresses, ports, and complaints about a block. */
import { canonicalAddress } from "../lib/address.ts";
import { complain, type Context, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";

/** The canonical text of an address; a mask or range after it means nothing here, as in keepalived. */
export function readAddress(word: string): string | undefined {
  const whole = canonicalAddress(word);
  if (whole !== undefined) return whole;
  const end = word.search(/[/-]/);
  return end < 0 ? undefined : canonicalAddress(word.slice(0, end));
}

/** The port at a word of the line, 0 when it is 0 or absent; undefined, with a message, when it is none. */
export function readPort(node: Statement, at: number, context: Context): number | undefined {
  const word = node.words[at];
  return word === undefined || word === "0" ? 0 : readInteger(node, at, context, PORTS);
}

/** What a port may be. */
export const PORTS = { min: 1, max: 65_535 };

/** Says what is wrong with the whole of a block, at the line that opened it. */
export function complainOf(node: Statement, context: Context, message: string): undefined {
  complain(context, node, "general", message, 0);
}
