/** What instances can depend on, defaults filled in: scripts, files and processes. Plain JSON. */
import type { BuiltinCheck } from "./builtin_check.ts";
import type { Globals } from "./globals.ts";
import type { Problems } from "./problem.ts";
import type { Said } from "./readers.ts";
import type { Values } from "./schema.ts";
import type { InitFile, trackFile, vrrpScript, vrrpTrackProcess } from "./track_keywords.ts";
import type { Weight } from "./track_rows.ts";
import type { Script } from "./vrrp.ts";

/** One vrrp_script. */
export interface VrrpScript extends Weight {
  readonly name: string;
  /** With the identity it runs under, where one is named. Either this or `check` is there. */
  readonly script?: Script;
  readonly check?: BuiltinCheck;
  readonly interval: number;
  readonly timeout: number;
  readonly rise: number;
  readonly fall: number;
  readonly init_fail: boolean;
}

/** One track_file. */
export interface TrackFile extends Weight {
  readonly name: string;
  readonly file: string;
  readonly init_file?: InitFile;
}

/** One vrrp_track_process. */
export interface TrackProcess extends Weight {
  readonly name: string;
  /** The program, and its parameters as they are compared. */
  readonly process: readonly string[];
  readonly param_match: "exact" | "initial" | "partial" | "none";
  readonly full_command: boolean;
  readonly quorum: number;
  /** Any number when absent. */
  readonly quorum_max?: number;
  readonly terminate_delay: number;
  readonly fork_delay: number;
}

const NO_WEIGHT: Weight = { weight: 0, reverse: false };

/** Completes a vrrp_script; a built-in check leaves its script without a purpose. */
export function completeScript(
  { name, place, values }: Said<Values<typeof vrrpScript>>,
  globals: Globals,
  problems: Problems,
): VrrpScript {
  const { script, check, interval, timeout, weight, user, rise, fall, init_fail } = values;
  if (script !== undefined && check !== undefined) {
    const message = `(${name}) has a script and a check: the script is not run`;
    problems.addAt(place, "general", message, { near: "script" });
  }
  const identity = user ?? globals.script_user;
  return {
    name,
    ...(check === undefined
      ? { script: { ...script!, ...(script!.user === undefined ? identity : {}) } }
      : { check }),
    interval,
    timeout: timeout ?? interval,
    ...(weight ?? NO_WEIGHT),
    rise,
    fall,
    init_fail,
  };
}

/** Completes a track_file, whose weight is a factor. */
export function completeTrackFile(
  { name, values: { file, weight, init_file } }: Said<Values<typeof trackFile>>,
): TrackFile {
  return {
    name,
    file: file!,
    ...(weight ?? { weight: 1, reverse: false }),
    ...(init_file === undefined ? {} : { init_file }),
  };
}

/** Completes a vrrp_track_process; parameters imply the whole command line. */
export function completeTrackProcess(
  { name, place, values }: Said<Values<typeof vrrpTrackProcess>>,
  problems: Problems,
): TrackProcess {
  const { process: command, param_match, weight, quorum, quorum_max, delay } = values;
  const hasParameters = command!.length > 1 || param_match !== undefined;
  const isBackwards = quorum !== undefined && quorum_max !== undefined && quorum_max !== 0 &&
    quorum_max < quorum;
  if (isBackwards) problems.addAt(place, "general", "quorum_max is less than quorum - ignoring");
  return {
    name,
    process: command!,
    param_match: param_match ?? (hasParameters ? "exact" : "none"),
    full_command: values.full_command || hasParameters,
    ...(weight ?? NO_WEIGHT),
    quorum: quorum ?? (quorum_max === 0 ? 0 : 1),
    ...(quorum_max === undefined || isBackwards ? {} : { quorum_max }),
    terminate_delay: values.terminate_delay ?? delay ?? 0,
    fork_delay: values.fork_delay ?? delay ?? 0,
  };
}
