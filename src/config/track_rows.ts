/** Lines that name what an instance or a group depends on, and the weight that has. */
import { hasKey, integer, list } from "./readers.ts";
import {
  checkLink,
  complain,
  type Context,
  firstWord,
  type LineRow,
  type ListRow,
  readInteger,
} from "./schema.ts";
import type { Statement } from "./statement.ts";
import type { Track } from "./vrrp.ts";
import { quote } from "./words.ts";

/** The weight of a tracked object, and whether it counts the other way round. */
export interface Weight {
  readonly weight: number;
  readonly reverse: boolean;
}

/** `weight N [reverse]`. `most` is the largest; `once` says why a second one is refused. */
export function weight(
  doc: string,
  most: number,
  says: {
    readonly range: (word: string, who: string) => string;
    readonly option: (word: string, who: string) => string;
    readonly once?: (word: string, who: string) => string;
  },
): LineRow<Weight | undefined> {
  return {
    ...integer(doc, undefined, { min: -most, max: most }),
    initial: undefined,
    read: (node: Statement, context: Context, before: Weight | undefined) => {
      const { who } = context;
      const say = (message: string, at: number): undefined => {
        complain(context, node, "general", message, at);
      };
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      if (says.once !== undefined && before !== undefined) return say(says.once(first, who), 1);
      const value = readInteger(node, 1, context, { min: -most, max: most });
      if (value === undefined) return say(says.range(first, who), 1);
      const option = node.words[2];
      if (option !== undefined && option !== "reverse") say(says.option(option, who), 2);
      return { weight: value, reverse: option === "reverse" };
    },
    format: (value: Weight | undefined) =>
      value === undefined ? [] : [`${value.weight}${value.reverse ? " reverse" : ""}`],
  };
}

/** The rows of a block that depends on things: an instance, or a sync group for all its members. */
export function trackRows(): {
  readonly track_interface: ListRow<Track>;
  readonly track_script: ListRow<Track>;
  readonly track_file: ListRow<Track>;
  readonly track_process: ListRow<Track>;
  readonly track_bfd: ListRow<Track>;
} {
  const others = (block: string, keyword: string, what: string, most: number): ListRow<Track> =>
    list<Track>(
      `{ NAME [weight N [reverse|noreverse]] per line } - each ${what} it depends on, defined ` +
        `before; range ${-most}..${most}; default the weight of the ${what}`,
      trackNamed(block, keyword, what, most),
      formatTrack,
    );
  return {
    track_interface: list<Track>(
      "{ IFNAME [weight N [reverse]] per line } - interfaces it depends on; range -253..253; " +
        "default 0, FAULT while one is down",
      readTrackedInterface,
      formatTrack,
    ),
    track_script: others("vrrp_script", "track_script", "track script", 253),
    track_file: others("track_file", "track_file", "track file", 254),
    track_process: others("vrrp_track_process", "track_process", "track process", 254),
    track_bfd: others("bfd_instance", "track_bfd", "track bfd", 253),
  };
}

/** The end of a track line: [weight N [reverse|noreverse]]. A mistake leaves the weight out. */
function readWeight(
  node: Statement,
  context: Context,
  most: number,
  says: { readonly bad: string; readonly missing: string; readonly option: string },
): Omit<Track, "name"> {
  const [name, keyword, value, last] = node.words;
  const refuse = (message: string, at: number): { readonly reverse: false } => {
    complain(context, node, "general", `(${context.who}) ${message}`, at);
    return { reverse: false };
  };
  if (keyword === undefined) return { reverse: false };
  if (keyword !== "weight") {
    return refuse(`${says.option} ${keyword} - ignoring`, 1);
  }
  if (value === undefined) return refuse(`${says.missing} ${name!} - ignoring`, 1);
  const weight = readInteger(node, 2, context, { min: -254, max: 254 });
  if (weight === undefined) return refuse(says.bad, 2);
  const reverse = last === "reverse";
  if (Math.abs(weight) <= most) return { weight, reverse };
  refuse(`weight for ${name!} cannot be +/-254. Setting to +/-253`, 2);
  return { weight: Math.sign(weight) * most, reverse };
}

/** A track line whose name an earlier block defines. */
function trackNamed(
  block: string,
  keyword: string,
  what: string,
  most: number,
): (node: Statement, context: Context, before: readonly Track[]) => Track | undefined {
  return (node, context, before) => {
    const name = node.words[0]!;
    const refuse = (message: string): undefined => {
      complain(context, node, "general", `(${context.who}) ${message}`, 0);
    };
    if (context.names.get(block)?.has(name) !== true) {
      return refuse(`${what} ${name} not found, ignoring...`);
    }
    if (hasKey(before, nameOf, name)) {
      return refuse(`duplicate ${keyword} ${name} - ignoring`);
    }
    return {
      name,
      ...readWeight(node, context, most, {
        bad: `${what} ${name}: weight must be between [-${most}..${most}] inclusive, ignoring...`,
        missing: `weight without value specified for ${what}`,
        option: `unknown ${keyword} ${name} option`,
      }),
    };
  };
}

function readTrackedInterface(
  node: Statement,
  context: Context,
  before: readonly Track[],
): Track | undefined {
  const first = node.words[0]!;
  const name = first;
  checkLink(node, 0, context, `(${context.who}) tracked interface ${name} doesn't exist`);
  if (hasKey(before, nameOf, name)) {
    const message = `(${context.who}) duplicate track_interface ${name} - ignoring`;
    complain(context, node, "general", message, 0);
    return undefined;
  }
  const value = node.words[2] ?? "";
  return {
    name,
    ...readWeight(node, context, 253, {
      bad: `weight ${value} for ${name} must be between [-253..253] inclusive. Ignoring...`,
      missing: "weight without value specified for track_interface",
      option: `unknown track_interface ${name} option`,
    }),
  };
}

const nameOf = ({ name }: Track): string => name;

/** A track line. */
function formatTrack({ name, weight, reverse }: Track): string {
  const end = weight === undefined ? "" : ` weight ${weight}${reverse ? " reverse" : ""}`;
  return quote(name) + end;
}
