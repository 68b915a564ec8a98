/** Blocks about interfaces: how fast they announce, how their link is watched, and when that counts. */
import { formatSeconds, list, seconds, word } from "./readers.ts";
import {
  block,
  checkLink,
  complain,
  type Context,
  firstWord,
  type LineRow,
  type ListRow,
  readSeconds,
} from "./schema.ts";
import type { Statement } from "./statement.ts";
import { quote } from "./words.ts";
import type { Linkbeat, UpDownDelay } from "./vrrp.ts";

const LONGEST_GAP = 4294.967295;

/** The keywords of garp_group: links that share the pace of their announcements. */
export const garpGroup = block(() => ({
  garp_interval: gap("SECS - gap between gratuitous ARPs; range 0..4294.967295; default none"),
  gna_interval: gap(
    "SECS - gap between neighbour advertisements; range 0..4294.967295; default none",
  ),
  interface: word<string, undefined>(
    "IFNAME - the only interface; range no VMAC; default none",
    undefined,
    (name, node, context) => {
      const message = `WARNING - interface ${name} specified for garp_group doesn't exist`;
      checkLink(node, 1, context, message);
      return name;
    },
  ),
  interfaces: links(),
}));

function gap(doc: string): LineRow<number | undefined> {
  return {
    ...seconds(doc, undefined, { min: 0, max: LONGEST_GAP, says: () => "" }),
    read: (node, context) =>
      firstWord(node, context) === undefined
        ? undefined
        : readSeconds(node, 1, context, { min: 0, max: LONGEST_GAP }),
  };
}

function links(): ListRow<string> {
  return {
    doc: "{ IFNAME ... } - interfaces that share the pace; range no VMACs; default none",
    shape: "values",
    initial: [],
    entry: (node, context, all) => {
      for (const [at, name] of node.words.entries()) {
        const message = `WARNING - interface ${name} specified for garp_group doesn't exist`;
        checkLink(node, at, context, message);
        all.push(name);
      }
    },
    format: quote,
  };
}

/** `linkbeat_interfaces`. */
export function linkbeatInterfaces(): ListRow<Linkbeat> {
  return list<Linkbeat>(
    "{ IFNAME [MII|ETHTOOL|IOCTL] per line } - interfaces whose link is polled; default none",
    (node, context) => {
      const [name, type] = node.words;
      const message = `unknown interface ${name} specified for linkbeat interface`;
      checkLink(node, 0, context, message);
      if (type === undefined) return { interface: name! };
      if (type === "MII" || type === "ETHTOOL" || type === "IOCTL") {
        return { interface: name!, type };
      }
      const hint = "MII, ETHTOOL or IOCTL";
      const surplus = `extra characters ${type} in linkbeat interface`;
      complain(context, node, "general", surplus, 1, { hint });
      return { interface: name! };
    },
    ({ interface: name, type }) => quote(name) + (type === undefined ? "" : ` ${type}`),
  );
}

const LONGEST_DELAY = 255;

/** `interface_up_down_delays`. */
export function upDownDelays(): ListRow<UpDownDelay> {
  return list<UpDownDelay>(
    "{ IFNAME DOWN [UP] per line } - seconds a link must be down, or up, before that counts; " +
      "range 0..255; default 0 0",
    readDelay,
    ({ interface: name, down, up }) => `${quote(name)} ${formatSeconds(down)} ${formatSeconds(up)}`,
  );
}

function readDelay(node: Statement, context: Context): UpDownDelay | undefined {
  const name = node.words[0]!;
  checkLink(node, 0, context, `unknown interface ${name} specified for up/down delay`);
  const range = { min: 0, max: LONGEST_DELAY };
  const read = (at: number): number | undefined =>
    at < node.words.length ? readSeconds(node, at, context, range) : 0;
  const down = read(1);
  const up = read(2);
  return down === undefined || up === undefined ? undefined : { interface: name, down, up };
}
