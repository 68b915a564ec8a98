/** The blocks of what instances can depend on: scripts, files and processes. */
import { builtinCheckLine } from "./builtin_check.ts";
import { flag, formatScript, integer, readScript, words } from "./readers.ts";
import { block, complain, firstWord, type LineRow, readInteger, readSeconds } from "./schema.ts";
import { weight } from "./track_rows.ts";
import type { Script } from "./vrrp.ts";
import { quote } from "./words.ts";

const INT_MAX = 2_147_483_647;
const LONGEST_SECONDS = 4294;

/** The keywords of vrrp_script. */
export const vrrpScript = block(() => ({
  script: scriptLine(),
  check: builtinCheckLine(),
  interval: period(
    "interval",
    "SECS - time from run to run; range 0.001..4294; default 1",
    1_000_000,
    (text, who) => `(${who}): vrrp script interval '${text}' must be between 1 and 4294 - ignoring`,
  ),
  timeout: period(
    "timeout",
    "SECS - limit for one run; range 0.001..4294; default the interval",
    undefined,
    (text, who) => `(${who}): vrrp script timeout '${text}' invalid - ignoring`,
  ),
  weight: weight(
    "N [reverse] - change of priority; 0 is FAULT on failure; range -253..253; default 0",
    253,
    {
      range: (text, who) => `vrrp_script ${who} weight ${text} must be in [-253, 253]`,
      option: (text, who) => `vrrp_script ${who} unknown weight option ${text}`,
    },
  ),
  rise: times("rise", "N - successes in a row that make it good; range 1..2147483647; default 1"),
  fall: times("fall", "N - failures in a row that make it bad; range 1..2147483647; default 1"),
  user: words(
    "USER [[:]GROUP] - who runs it; default script_user",
    "Unable to set uid/gid for script ",
    ([user, group]): Omit<Script, "argv"> => ({
      user: user!,
      ...(group === undefined ? {} : { group }),
    }),
    ({ user, group }) => [user!, ...(group === undefined ? [] : [group])].map(quote).join(" "),
  ),
  init_fail: flag("- bad until it has succeeded; default off"),
}));

function scriptLine(): LineRow<Script | undefined> {
  return {
    doc: "SCRIPT - command to run, in quotes with its arguments; must be set, unless check is",
    shape: "line",
    initial: undefined,
    read: (node, context) => node.words.length < 2 ? undefined : readScript(node, context),
    format: (value) => value === undefined ? [] : [formatScript(value)],
  };
}

/** Seconds to three decimals; 0 becomes 1. */
function period<D extends number | undefined>(
  keyword: string,
  doc: string,
  initial: D,
  says: (word: string, who: string) => string,
): LineRow<number | D> {
  return {
    doc,
    shape: "line",
    initial,
    read: (node, context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const us = /\.[0-9]{4,}$/.test(first)
        ? undefined
        : readSeconds(node, 1, context, { min: 0, max: LONGEST_SECONDS, strict: true });
      if (us === undefined) {
        const hint = "seconds with up to three decimals";
        if (/\.[0-9]{4,}$/.test(first)) {
          complain(context, node, "invalid_number", `invalid number '${first}'`, 1, { hint });
        }
        complain(context, node, "general", says(first, context.who), 1, { hint });
      } else if (us === 0) {
        const message =
          `(${context.who}): vrrp script ${keyword} must be greater than 0, setting to 1`;
        complain(context, node, "general", message, 1);
        return 1_000_000;
      }
      return us;
    },
    format: (value) => value === undefined ? [] : [`${value / 1_000_000}`],
  };
}

function times(keyword: string, doc: string): LineRow<number> {
  return integer(doc, 1, {
    min: 1,
    max: INT_MAX,
    otherwise: 1,
    says: (text, who) =>
      `(${who}): vrrp script ${keyword} value '${text}' invalid, defaulting to 1`,
  });
}

/** What `init_file` does to a file at start. */
export interface InitFile {
  readonly value: number;
  /** Also when the file is there already. */
  readonly overwrite: boolean;
}

/** The keywords of track_file. */
export const trackFile = block(() => ({
  file: words(
    "PATH - file whose number counts; must be set",
    "track file path missing",
    ([path]) => path!,
    quote,
  ),
  weight: weight(
    "N [reverse] - factor for the number; 0 is FAULT unless the number is 0; range -254..254; " +
      "default 1",
    254,
    {
      range: (text, who) =>
        `Weight (${text}) for track_file ${who} must be between [-254..254] inclusive. Ignoring...`,
      option: (text, who) => `track_file ${who} unknown weight option ${text}`,
      once: (text, who) => `Weight already set for track file ${who} - ignoring ${text}`,
    },
  ),
  init_file: initFile(),
}));

function initFile(): LineRow<InitFile | undefined> {
  return {
    doc: "[VALUE] [overwrite] - make the file at start, with this number; " +
      "range -2147483648..2147483647; default not made, VALUE 0",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      let value = 0;
      let overwrite = false;
      for (let at = 1; at < node.words.length; at++) {
        const word = node.words[at]!;
        if (word === "overwrite") overwrite = true;
        else if (/^[+-]?[0-9]+$/.test(word)) {
          value = readInteger(node, at, context, { min: -INT_MAX - 1, max: INT_MAX }) ?? value;
          if (Math.abs(value) <= 254) continue;
          const message =
            `Track file ${context.who} init value ${value} is outside sensible range ` +
            "[-254, 254]";
          complain(context, node, "general", message, at);
        } else {
          const hint = "a number or overwrite";
          complain(context, node, "general", `Unknown track file init option ${word}`, at, {
            hint,
          });
        }
      }
      return { value, overwrite };
    },
    format: (value) =>
      value === undefined ? [] : [`${value.value}${value.overwrite ? " overwrite" : ""}`],
  };
}

const LONGEST_DELAY = 3600;

/** The keywords of vrrp_track_process. */
export const vrrpTrackProcess = block(() => ({
  process: command(),
  param_match: paramMatch(),
  weight: weight(
    "N [reverse] - change of priority; 0 is FAULT while it does not run; range -254..254; default 0",
    254,
    {
      range: (text, who) =>
        `Weight (${text}) for vrrp_track_process ${who} must be between [-254..254] inclusive. Ignoring...`,
      option: (text, who) => `vrrp_track_process ${who} unknown weight option ${text}`,
      once: (text, who) => `Weight already set for track process ${who} - ignoring ${text}`,
    },
  ),
  quorum: integer(
    "N - how many must run; range 1..65535, not above quorum_max; default 1",
    undefined,
    {
      min: 1,
      max: 65_535,
      says: (text, who) =>
        `Quorum (${text}) for vrrp_track_process ${who} must be between [1..65535] inclusive. Ignoring...`,
    },
  ),
  quorum_max: integer("N - how many may run; range 0..65535; default any number", undefined, {
    min: 0,
    max: 65_535,
    says: (text, who) =>
      `quorum_max (${text}) for vrrp_track_process ${who} must be between [0..65535] inclusive. Ignoring...`,
  }),
  delay: wait("delay", "SECS - both delays; range 0.000001..3600; default 0"),
  terminate_delay: wait(
    "terminate_delay",
    "SECS - wait before it counts as gone; range 0.000001..3600; default 0",
  ),
  fork_delay: wait(
    "fork_delay",
    "SECS - wait before a new one counts; range 0.000001..3600; default 0",
  ),
  full_command: flag("- compare the command line, not the name; default off"),
}));

function command(): LineRow<readonly string[] | undefined> {
  return {
    doc: "PATH|NAME [PARAM ...] - program to look for; parameters imply full_command; must be set",
    shape: "line",
    initial: undefined,
    read: (node, context, before) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      if (before === undefined) return node.words.slice(1);
      const message = `Process already set for track process ${context.who} - ignoring ${first}`;
      complain(context, node, "general", message, 1);
      return undefined;
    },
    format: (value) => value === undefined ? [] : [value.map(quote).join(" ")],
  };
}

function paramMatch(): LineRow<"exact" | "initial" | "partial" | undefined> {
  return {
    doc:
      "[initial|partial] - parameters are compared as far as given, or the last one in part too; " +
      "default exactly",
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const how = node.words[1];
      if (how === undefined) return "exact";
      if (how === "initial" || how === "partial") return how;
      const hint = "initial, partial or nothing";
      complain(context, node, "general", `Invalid param_match type ${how} - ignoring`, 1, { hint });
      return undefined;
    },
    format: (value) => value === undefined ? [] : [value === "exact" ? "" : value],
  };
}

function wait(keyword: string, doc: string): LineRow<number | undefined> {
  return {
    doc,
    shape: "line",
    initial: undefined,
    read: (node, context) => {
      const first = firstWord(node, context);
      if (first === undefined) return undefined;
      const us = readSeconds(node, 1, context, { min: 0.000001, max: LONGEST_DELAY });
      if (us === undefined) {
        const message =
          `${keyword} (${first}) for vrrp_track_process ${context.who} must be between ` +
          "[0.000001..3600] inclusive. Ignoring...";
        complain(context, node, "general", message, 1);
      }
      return us;
    },
    format: (value) => value === undefined ? [] : [`${value / 1_000_000}`],
  };
}
