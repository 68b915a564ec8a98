/** The keywords of bfd_instance: one BFD session (RFC 5880). Its unit is the millisecond. */
import { type Address, familyOf, formatAddress, parseAddress } from "../lib/address.ts";
import { alias, bool, flag, integer, type Says, word } from "./readers.ts";
import { block, complain, type Context, firstWord, type LineRow, refuseNumber } from "./schema.ts";
import type { Statement } from "./statement.ts";
import { weight } from "./track_rows.ts";

const wrong = (what: string): Says => (text, who) =>
  `Configuration error: BFD instance ${who} ${what.replace("$", text)}`;

/** The keywords of bfd_instance. */
export const bfdInstance = block(() => ({
  source_ip: address(
    "IPADDR - our address, of the neighbour's family; default the kernel's choice",
    "source",
  ),
  neighbor_ip: address("IPADDR - the peer; must be set", "neighbor"),
  neighbour_ip: alias("neighbor_ip", address("IPADDR - the same as neighbor_ip", "neighbor")),
  min_rx: milliseconds("min_rx", "MS - how often we can bear to hear the peer", 1, 10_000),
  min_tx: milliseconds("min_tx", "MS - how often we wish to speak", 1, 10_000),
  idle_tx: milliseconds(
    "idle_tx",
    "MS - how often we speak while the session is not up",
    1000,
    1_000_000,
  ),
  multiplier: integer("N - packets that may be missing; range 1..255; default 5", 5, {
    min: 1,
    max: 255,
    says: wrong("multiplier value $ not valid (must be in range [1-255]), ignoring"),
  }),
  passive: flag("- wait for the peer to speak first; default off"),
  ttl: ttl("N - TTL of what we send; range 1..255; default 255 (IPv4), 64 (IPv6)"),
  hoplimit: alias("ttl", ttl("N - the same as ttl; range 1..255")),
  max_hops: integer(
    "N - how much less the TTL of what we hear may be, -1 for any; range -1..255; default 0",
    undefined,
    {
      min: -1,
      max: 255,
      says: wrong("max_hops value $ not valid (must be in range [-1-255]), ignoring"),
    },
  ),
  multihop: bool(
    "[BOOL] - the peer is more than one hop away: port 4784; default off",
    wrong("invalid multihop value $, ignoring"),
    false,
  ),
  weight: weight("N [reverse] - default weight of track_bfd; range -253..253; default 0", 253, {
    range: wrong("weight value $ not valid (must be in range [-253-253]), ignoring"),
    option: wrong("unknown weight option $"),
  }),
  vrrp: flag("- events go to instances, and to checkers only with `checker`; default to both"),
  checker: flag("- events go to checkers, and to instances only with `vrrp`; default to both"),
}));

function address(doc: string, what: string): LineRow<string | undefined> {
  return word<string, undefined>(doc, undefined, (first, node, context) => {
    const [text, link] = first.split("%");
    const parsed: Address | undefined = parseAddress(text!);
    if (parsed === undefined) {
      const message = `Configuration error: BFD instance ${context.who} has malformed ${what} ` +
        `address ${first}, ignoring instance`;
      complain(context, node, "general", message, 1);
      return undefined;
    }
    return formatAddress(parsed) + (link === undefined || familyOf(parsed) === 4 ? "" : `%${link}`);
  });
}

const LONGEST_MS = 4_294_967;

/** Milliseconds to three decimals, kept as microseconds. */
function milliseconds(
  keyword: string,
  doc: string,
  least: number,
  initial: number,
): LineRow<number> {
  const range = `[${least}-${LONGEST_MS}]`;
  return {
    doc: `${doc}; range ${least}..${LONGEST_MS}, three decimals; default ${initial / 1000}`,
    shape: "line",
    initial,
    read: (node: Statement, context: Context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const match = /^\+?([0-9]*)(?:\.([0-9]{0,3}))?$/.exec(first);
      const isNumber = match !== null && /[0-9]/.test(first);
      const ms = isNumber ? Number(first) : NaN;
      if (ms >= least && ms <= LONGEST_MS) return Math.round(ms * 1000);
      const why = first.startsWith("-")
        ? `negative number '${first}'`
        : isNumber
        ? `number '${first}' outside range [${least}.000, ${LONGEST_MS}.000]`
        : `invalid number '${first}'`;
      refuseNumber(node, 1, context, why, { min: least, max: LONGEST_MS });
      const message = `${keyword} value $ is not valid (must be in range ${range}), ignoring`;
      complain(context, node, "general", wrong(message)(first, context.who), 1);
      return undefined;
    },
    format: (value) => [`${value / 1000}`],
  };
}

function ttl(doc: string): LineRow<number | undefined> {
  return integer(doc, undefined, {
    min: 1,
    max: 255,
    says: wrong("ttl/hoplimit value $ not valid (must be in range [1-255]), ignoring"),
  });
}
