/** How packets reach real servers: NAT|DR|TUN and the options of a tunnel, for servers of three kinds. */
import type { Forwarding } from "./lvs.ts";
import { complain, type Context, firstWord, type LineRow, readInteger } from "./schema.ts";
import type { Statement } from "./statement.ts";
import { PORTS } from "./lvs_words.ts";

const METHODS = ["NAT", "DR", "TUN"] as const;
const TUNNELS = ["ipip", "gue", "gre"] as const;
const CHECKSUMS = ["nocsum", "csum", "remcsum"] as const;

/** The grammar of a forwarding method. */
export const FORWARDING = "NAT|DR|TUN [type ipip|gue|gre] [port N] [nocsum|csum|remcsum]";
/** The range of its options. */
export const FORWARDING_RANGE =
  "range port 1..65535 and with gue only, no checksum option with ipip, no remcsum with gre";

/** A row with a forwarding method. `accept` may refuse or note it; `who` is "virtual", "real" or "sorry". */
export function forwarding(
  doc: string,
  who: string,
  accept: (value: Forwarding, node: Statement, context: Context) => Forwarding | undefined,
): LineRow<Forwarding | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const value = readForwarding(node, context, who);
      return value === undefined ? undefined : accept(value, node, context);
    },
    format: (value) => value === undefined ? [] : [formatForwarding(value)],
  };
}

/** Methods without options, which nearly all are: one value each for all servers. */
const PLAIN: Readonly<Record<Forwarding["method"], Forwarding>> = {
  NAT: { method: "NAT" },
  DR: { method: "DR" },
  TUN: { method: "TUN" },
};

function readForwarding(node: Statement, context: Context, who: string): Forwarding | undefined {
  const word = firstWord(node, context);
  if (word === undefined) return undefined;
  const method = METHODS.find((one) => one === word);
  if (method === undefined) {
    const message = `PARSER : unknown [${word}] routing method for ${who} server.`;
    complain(context, node, "general", message, 1, { hint: `one of ${METHODS.join(", ")}` });
    return undefined;
  }
  // A mistake in the options costs these only.
  const refuse = (message: string, at: number, hint: string): Forwarding => {
    complain(context, node, "general", message, at, { hint });
    return PLAIN[method];
  };
  // Only a tunnel has options; after other methods keepalived reads them all the same, to no effect.
  if (method === "NAT" || node.words.length === 2) return PLAIN[method];
  const found: { -readonly [K in keyof Forwarding]: Forwarding[K] } = { method };
  for (let at = 2; at < node.words.length; at++) {
    const option = node.words[at]!;
    const checksum = CHECKSUMS.find((one) => one === option);
    if (checksum !== undefined) found.checksum = checksum;
    else if (option === "type") {
      const type = node.words[++at];
      if (type === undefined) {
        return refuse(`Missing tunnel type for ${who} server.`, at - 1, TUNNELS.join(", "));
      }
      found.type = TUNNELS.find((one) => one === type);
      if (found.type === undefined) {
        return refuse(`Unknown tunnel type ${type} for ${who} server.`, at, TUNNELS.join(", "));
      }
    } else if (option === "port") {
      const hint = "a port from 1 to 65535";
      if (node.words[++at] === undefined) {
        return refuse(`Missing port for ${who} server gue tunnel.`, at - 1, hint);
      }
      found.port = readInteger(node, at, context, PORTS);
      if (found.port === undefined) {
        return refuse(`Invalid gue tunnel port ${node.words[at]} for ${who} server.`, at, hint);
      }
    } else {
      const message = `Invalid tunnel option ${option} for ${who} server.`;
      return refuse(message, at, `one of type, port, ${CHECKSUMS.join(", ")}`);
    }
  }
  const { type = "ipip", port, checksum = "nocsum" } = found;
  if ((type === "gue") !== (port !== undefined)) {
    const hint = type === "gue" ? "add: port N" : "leave the port out";
    return refuse("gue tunnels require port, otherwise cannot have port.", 1, hint);
  }
  if (type === "ipip" && checksum !== "nocsum") {
    return refuse("ipip tunnels do not support checksum option.", 1, "leave it out");
  }
  if (type === "gre" && checksum === "remcsum") {
    return refuse("gre tunnels do not support remote checksum option.", 1, "csum or nocsum");
  }
  return method === "TUN" ? found : PLAIN[method];
}

function formatForwarding({ method, type, port, checksum }: Forwarding): string {
  const words: string[] = [method];
  if (type !== undefined) words.push("type", type);
  if (port !== undefined) words.push("port", `${port}`);
  if (checksum !== undefined) words.push(checksum);
  return words.join(" ");
}
